"""The page of a training run: curves, classes or residuals, the worst errors, weights."""

import math
from pathlib import Path

import numpy as np

from jaxnet.core.types import Dataset, Split
from jaxnet.data.tables import encoding_of
from jaxnet.io import files
from jaxnet.io.csv import Row
from jaxnet.reporting import html_page, plots, run_errors, run_plots
from jaxnet.reporting.axis_names import curve_in_words
from jaxnet.reporting.html_page import Column, Table, Top, table
from jaxnet.reporting.page_pictures import Picture, of_figure
from jaxnet.training import evaluation
from jaxnet.training.classification_report import ClassificationReport
from jaxnet.training.regression_report import RegressionReport
from jaxnet.training.run import Run

Report = ClassificationReport | RegressionReport
FILES = {
    "network.safetensors": "the network of the best epoch",
    "network.json": "the same, in the format of the book's network2",
    "history.csv": "all curves by epoch",
    "config.json": "all settings and results",
    "curves.png": "the curves as a picture",
    "monitors.csv": "what was measured inside the network",
    "monitors.png": "the same as a picture",
    "confusion.csv": "the confusion matrix",
    "report.txt": "the scores of the test set, in words",
    "report.json": "the same for programs",
    "checkpoint.safetensors": "the state from which the run goes on",
}
"""What a run's folder may hold, in the order of the page."""
MOST_EPOCHS = 200
"""Epochs whose numbers the page lists."""


def write(
    path: str | Path,
    run: Run,
    data: Dataset,
    *,
    data_text: str = "",
    command: str = "",
    report: Report | None = None,
) -> None:
    """Write the page of a training run: an HTML file that opens offline.

    It shows the curves and, for the network of the best epoch, its results; of the test split the
    confusion matrix and the most confident errors, or residuals; and the first layer's weights. Of
    data without a test split these are left out. It names the files of a run that lie beside it.

    Args:
      path: the file; one that exists is replaced.
      run: the run.
      data: the data set that it was trained on.
      data_text: which data that is, in words; by default only its sizes are named.
      command: the command that trains it again; by default there is none.
      report: `run.report` on the test split; by default it is made here.

    Raises:
      OSError: the file cannot be written.

    >>> import tempfile
    >>> import jaxnet as jn
    >>> data = jn.datasets.xor(n=40)
    >>> run = jn.train(jn.Network((2, 3, 2)), data, jn.Recipe(jn.adam(0.1)), epochs=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/run.html", run, data)
    ...     "<h2>Most confidently wrong</h2>" in Path(folder, "run.html").read_text()
    True
    """
    path = Path(path)
    if report is None:
        report = _report(run, data)
    title = plots.run_title(run.network, run.recipe, run.batch_size, run.seed)
    architecture, _, recipe = title.partition("; ")
    facts = [
        ("Recipe", recipe),
        ("Data", data_text or _sizes_text(data)),
        ("Written", html_page.date_text()),
        ("By", html_page.versions_text()),
    ]
    top = Top("Training run", architecture, facts, command, _warnings(run))
    content = {
        "results": _results(run, data),
        "sentences": _sentences(run, data, report),
        "curves": run_plots.curves(run),
        "epochs": _epochs(run),
        **run_errors.content(run, data, report),
        **_weights(run, data),
        "monitors": _monitors(run),
        "settings": _settings(run),
        "files": [(name, text) for name, text in FILES.items() if (path.parent / name).exists()],
    }
    files.write_atomic(path, html_page.render("run.html", top, **content).encode())


def _report(run: Run, data: Dataset) -> Report | None:
    """The report on the test split; None without one, scikit-learn or finite outputs."""
    if data.test is None:
        return None
    cost = evaluation.evaluate(run.network, run.best_params, data.test).cost
    if not np.isfinite(cost):
        return None
    encoding = encoding_of(data)
    names = None if encoding is None else list(map(str, encoding.target.classes)) or None
    try:
        return run.report(data.test, valid=data.valid, class_names=names)
    except ImportError:
        return None


def _sizes_text(data: Dataset) -> str:
    """How many examples there are of each split."""
    names = ("training", "validation", "test")
    counts = [f"{len(split.x):,} {name}" for name, split in zip(names, data) if split is not None]
    return f"{', '.join(counts)} examples"


def _warnings(run: Run) -> tuple[str, ...]:
    """What makes the results doubtful."""
    if run.ending == "diverged":
        return (f"{run.stopped} The results are of the best epoch before.",)
    if run.ending == "interrupted":
        return (f"{run.stopped}",)
    return ()


def _sentences(run: Run, data: Dataset, report: Report | None) -> list[str]:
    """How the run ended, and what the report says of its probabilities."""
    n_epochs = len(run.history.training_cost)
    ending = f"The run has {n_epochs} of {run.epochs} epochs."
    if run.ending in ("stopped", "out of time"):
        ending += f" {str(run.stopped).capitalize()}"
    sentences = [ending]
    has_penalty = run.recipe.l1 is not None or run.recipe.l2 is not None
    if has_penalty and _has_data_cost(run):
        sentences.append(
            "Costs are without penalties, so that training and other sets can be compared; the "
            "numbers by epoch have those with them, too."
        )
    elif has_penalty:
        sentences.append(
            "Costs by epoch are with penalties, divided by the size of each set: version 0.2, "
            "which began the run, kept no others."
        )
    if data.test is None:
        sentences.append("There is no test set: the page shows no confusion matrix and no errors.")
    elif report is None:
        sentences.append(
            "The errors on the test set are left out: outputs are not finite, or scikit-learn is "
            "not installed."
        )
    if isinstance(report, ClassificationReport) and report.calibration is not None:
        sentences.append(_calibration(report))
    return sentences


def _calibration(report: ClassificationReport) -> str:
    """Whether the probabilities of the test set are as often right as they say."""
    assert report.calibration is not None
    curve, temperature, scaled = report.calibration
    text = (
        f"Calibration: on the test set the probability of an answer is {curve.error:.1%} away "
        "from the share that is right, on average."
    )
    if scaled is None or scaled.error >= curve.error:
        return text
    return f"{text} With logits divided by {temperature:.3g} it would be {scaled.error:.1%}."


def _results(run: Run, data: Dataset) -> Table:
    """Costs, accuracies and metrics of the best and the last network."""
    curves = run.history.curves
    n_epochs = len(run.history.training_cost)
    has_data_cost = _has_data_cost(run)
    rows: list[Row] = []
    for name, curve in curves.items():
        is_other_cost = name.endswith("_cost") and name.endswith("data_cost") != has_data_cost
        if is_other_cost or not np.isfinite(np.asarray(curve)).any():
            continue
        best = float(curve[run.best_epoch - 1]) if 0 < run.best_epoch <= n_epochs else math.nan
        rows.append({"": curve_in_words(name), "best": number_text(name, best),
                     "last": number_text(name, float(curve[-1]))})  # fmt: skip
    if data.test is not None:
        rows += _test_rows(run, data.test)
    columns = [
        ("", lambda row: row[""]),
        (f"best (epoch {run.best_epoch})", lambda row: row["best"]),
        (f"last (epoch {n_epochs})", lambda row: row["last"]),
    ]
    return table("", rows, columns, is_sorted=False)


def _has_data_cost(run: Run) -> bool:
    """Whether the costs without penalties are known, in all epochs or since version 0.3."""
    history = run.history
    alone = (history.evaluation_data_cost, history.training_data_cost)
    return any(bool(np.isfinite(np.asarray(curve)).any()) for curve in alone)


def _test_rows(run: Run, split: Split) -> list[Row]:
    """The accuracy and the cost on the test split."""
    best, last = (
        evaluation.evaluate(run.network, params, split) for params in (run.best_params, run.params)
    )
    rows: list[Row] = []
    for name in ("accuracy", "cost"):
        numbers = [float(getattr(scores, name)) for scores in (best, last)]
        if np.isfinite(numbers).any():
            texts = [number_text(name, number) for number in numbers]
            rows.append({"": f"test {name}", "best": texts[0], "last": texts[1]})
    return rows


def number_text(curve: str, number: float) -> str:
    """A number of a curve as text: accuracies in percent.

    Args:
      curve: the name of the curve.
      number: the number; NaN becomes "–".

    >>> number_text("test_accuracy", 0.9642), number_text("cost", 0.5)
    ('96.42%', '0.5000')
    """
    if not math.isfinite(number):
        return "–"
    return f"{number:.2%}" if curve.endswith("accuracy") else f"{number:.4f}"


def _epochs(run: Run) -> Table | None:
    """The curves as a table; None for very many epochs."""
    curves = {
        name: np.asarray(curve, float).tolist()
        for name, curve in run.history.curves.items()
        if np.isfinite(np.asarray(curve)).any()
    }
    n_epochs = len(run.history.training_cost)
    if not 1 < n_epochs <= MOST_EPOCHS:
        return None
    rows: list[Row] = []
    for k in range(n_epochs):
        texts = {name: number_text(name, curve[k]) for name, curve in curves.items()}
        rows.append({"epoch": str(k + 1), **texts})
    headings = {name: _heading(name) for name in curves}
    columns = [("epoch", lambda row: row["epoch"])]
    columns += [(text, lambda row, name=name: row[name]) for name, text in headings.items()]
    shown = table("", rows, columns)
    return shown._replace(headings=[(text, False) for text, _ in shown.headings])


def _heading(curve: str) -> str:
    """The name of a curve where both kinds of costs are shown."""
    if not curve.endswith("cost"):
        return curve_in_words(curve)
    kind = "without" if curve.endswith("data_cost") else "with"
    return f"{curve_in_words(curve)}, {kind} penalties"


def _weights(run: Run, data: Dataset) -> dict[str, object]:
    """The first layer's weights: as images where inputs are pixels, or in one heat map."""
    w = np.asarray(run.best_params[0].w, float)
    encoding = encoding_of(data)
    unit = "hidden unit" if len(run.best_params) > 1 else "output"
    side = run_plots.image_side(data)
    images, pictures, largest = [], [], 0.0
    if np.isfinite(w).all() and side:
        largest, images = run_plots.weight_images(w, side)
    elif np.isfinite(w).all():
        names = None if encoding is None else encoding.input_names
        pictures = [run_plots.weight_map(w, names or None, unit)]
    return {
        "weight_images": images,
        "weight_pictures": pictures,
        "largest_weight": f"{largest:.2g}",
        "unit": unit,
        "n_units": w.shape[1],
    }


def _monitors(run: Run) -> list[Picture]:
    """What was measured inside the network."""
    if not run.monitors:
        return []
    caption = "Measured in single mini-batches, layer by layer."
    return [of_figure("monitors by mini-batch", plots.monitors(run.monitors), caption)]


def _settings(run: Run) -> Table:
    """The network and the recipe, a row for each part."""
    net, recipe = run.network, run.recipe
    hidden = ", ".join(dict.fromkeys(map(str, net.activations))) or "none"
    settings: dict[str, object] = {
        "layers": "-".join(map(str, net.sizes)),
        "parameters": f"{net.n_params:,}",
        "hidden activation": hidden,
        "cost": repr(net.cost),
        **{name.replace("_", " "): part for name, part in recipe.parts().items()},
        "batch size": run.batch_size,
        "seed": run.seed,
    }
    rows: list[Row] = [{"": name, "value": str(part)} for name, part in settings.items()]
    columns: list[Column] = [("part", lambda row: row[""]), ("value", lambda row: row["value"])]
    return table("", rows, columns, ("value",), is_sorted=False)
