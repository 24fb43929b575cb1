"""What `jaxnet train` writes into the folder of a run that has ended, besides its config.json."""

import json
from pathlib import Path

import numpy as np
from rich.console import Console

from jaxnet.cli import console
from jaxnet.core.types import Dataset
from jaxnet.data.tables import encoding_of
from jaxnet.io import csv, files, network_files
from jaxnet.training import evaluation
from jaxnet.training.classification_report import ClassificationReport
from jaxnet.training.regression_report import RegressionReport
from jaxnet.training.run import Run

Report = ClassificationReport | RegressionReport


def confusion_of(run: Run, data: Dataset) -> np.ndarray | None:
    """The best network's confusion matrix on the test set; `None` without labels."""
    if data.test is None or not np.issubdtype(data.test.y.dtype, np.integer):
        return None
    return evaluation.confusion(run.network, run.best_params, data.test)


def write(folder: Path, run: Run, confusion: np.ndarray | None, data: Dataset) -> None:
    """Write the best network in both formats, the curves, the measurements and the pictures."""
    # Imported here, since matplotlib's figures take 0.3 s, for which training would wait.
    from jaxnet.reporting import plots

    encoding = encoding_of(data)
    for name in ("network.json", "network.safetensors"):
        network_files.save(folder / name, run.network, run.best_params, encoding=encoding)
    files.write_atomic(folder / "history.csv", csv.history_csv(run.history))
    if confusion is not None:
        files.write_atomic(folder / "confusion.csv", _confusion_csv(confusion, data))
    if run.monitors:
        files.write_atomic(folder / "monitors.csv", csv.monitors_csv(run.monitors))
        picture = plots.png(plots.monitors(run.monitors))
        files.write_atomic(folder / "monitors.png", picture)
    title = plots.run_title(run.network, run.recipe, run.batch_size, run.seed)
    figure = plots.curves(run.history, run.best_epoch, title)
    files.write_atomic(folder / "curves.png", plots.png(figure))


def _confusion_csv(confusion: np.ndarray, data: Dataset) -> bytes:
    """The confusion matrix, with the names of the classes where they have some."""
    names = console.class_names(data)
    if names is None:
        return csv.encode(confusion)
    header = ["true \\ predicted", *names]
    return csv.encode([header, *([name, *row] for name, row in zip(names, confusion.tolist()))])


def report_of(
    out: Console, run: Run, data: Dataset, results: dict[str, dict[str, float]]
) -> Report | None:
    """The report on the best network and the test set; None where its outputs are not finite."""
    if data.test is None or not np.isfinite(results["best"]["test_data_cost"]):
        return None
    try:
        return run.report(data.test, valid=data.valid, class_names=console.class_names(data))
    except ImportError as error:
        console.say(out, f"No report.txt: {error}")
        return None


def write_report(folder: Path, report: Report, data: Dataset) -> str:
    """Write the report; returns the errors in a table's own unit, in a sentence, or ""."""
    encoding = encoding_of(data)
    note, unit, in_unit = "", {}, ""
    if encoding is not None and isinstance(report, RegressionReport):
        name, sd = encoding.target.name, encoding.target.sd
        note = f"In units of the standard deviation of {name}, {sd:.4g}\n\n"
        unit = {"unit": sd}
        rmse, r2 = report.rmse[0] * sd, report.r2[0]
        in_unit = f"Best, on the test set: {name} to ± {rmse:.4g} (RMSE), R² {r2:.4f}."
    text = json.dumps(report.to_dict() | unit, indent=2, allow_nan=False) + "\n"
    files.write_atomic(folder / "report.txt", f"{note}{report}\n".encode())
    files.write_atomic(folder / "report.json", text.encode())
    return in_unit
