"""What a run's page shows of the test split: classes and errors, or residuals."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxnet.core import network
from jaxnet.core.types import Dataset, Split
from jaxnet.data.encoding import Encoding, Number
from jaxnet.data.tables import encoding_of
from jaxnet.io.csv import Row
from jaxnet.reporting import run_plots
from jaxnet.reporting.html_page import Table, table
from jaxnet.reporting.page_pictures import Picture, Thumbnail, grey_image, scaled_to_bytes
from jaxnet.training import evaluation
from jaxnet.training.classification_report import ClassificationReport
from jaxnet.training.regression_report import RegressionReport
from jaxnet.training.run import Run

MOST_CLASSES = 26
"""Classes whose confusion matrix is shown: of more only the most frequent confusions."""
MOST_CONFUSIONS = 12
MOST_TARGETS = 4
"""Targets of a regression whose residuals are drawn."""
MOST_COLUMNS = 8
"""Columns of a table that are shown of wrong examples."""


class Matrix(NamedTuple):
    """A confusion matrix as the template shows it."""

    names: Sequence[str]
    """The classes."""
    rows: list[tuple[str, list[tuple[str, str, str]]]]
    """For each true class its name and its cells: their kind, how strong their colour is, and the
    count."""


def content(
    run: Run, data: Dataset, report: ClassificationReport | RegressionReport | None
) -> dict[str, object]:
    """All that depends on the test split, by the names that the template has for it.

    Args:
      run: the run.
      data: the data set.
      report: the report on its test split; `None` leaves everything out.
    """
    names = (
        "matrix", "confusions", "classes", "wrong_images", "wrong_rows", "targets", "residuals",
    )  # fmt: skip
    empty: Mapping[str, object] = dict.fromkeys(names)
    if data.test is None or report is None:
        return {**empty}
    if isinstance(report, RegressionReport):
        return {**empty, **_regression(run, data, data.test, report)}
    is_one_class = np.asarray(data.test.y).dtype.kind in "iu" and np.ndim(data.test.y) == 1
    counts = evaluation.confusion(run.network, run.best_params, data.test) if is_one_class else None
    return {
        **empty,
        "matrix": None if counts is None else _matrix(counts, report.class_names),
        "confusions": None if counts is None else _confusions(counts, report.class_names),
        "classes": _classes(report),
        **_wrong(data, data.test, report),
    }


def _matrix(counts: Int[np.ndarray, "n n"], names: Sequence[str]) -> Matrix | None:
    """The confusion matrix of few classes; None for many."""
    if len(counts) > MOST_CLASSES:
        return None
    of_class = np.maximum(counts.sum(axis=1), 1)
    most_errors = max(1, int((counts - np.diag(np.diag(counts))).max()))
    rows = []
    for i, name in enumerate(names):
        cells = []
        for j in range(len(names)):
            n = int(counts[i, j])
            share = n / of_class[i] if i == j else n / most_errors
            kind = "none" if not n else "right" if i == j else "wrong"
            cells.append((kind, f"{share:.2f}" if n else "", f"{n:,}" if n else "·"))
        rows.append((name, cells))
    return Matrix(names, rows)


def _confusions(counts: Int[np.ndarray, "n n"], names: Sequence[str]) -> Table | None:
    """The most frequent errors; None where there are none, or only two classes."""
    errors = counts - np.diag(np.diag(counts))
    order = np.argsort(-errors, axis=None, kind="stable")[:MOST_CONFUSIONS]
    rows: list[Row] = [
        {"true": names[i], "predicted": names[j], "n": int(errors[i, j]), "of": counts[i].sum()}
        for i, j in (divmod(int(place), len(counts)) for place in order)
        if errors[i, j]
    ]
    if len(counts) <= 2 or not rows:
        return None
    columns = [
        ("class", lambda row: row["true"]),
        ("taken for", lambda row: row["predicted"]),
        ("test examples", lambda row: f"{row['n']:,}"),
        ("of the class", lambda row: f"{row['n'] / row['of']:.1%}"),
    ]
    return table("The most frequent confusions", rows, columns, ("taken for",))


def _classes(report: ClassificationReport) -> Table:
    """Precision, recall and F1 of each class."""
    names = ("precision", "recall", "f1", "support")
    rows: list[Row] = [
        {"class": name, **{key: float(getattr(report, key)[place]) for key in names}}
        for place, name in enumerate(report.class_names)
    ]
    columns = [
        ("class", lambda row: row["class"]),
        ("precision", lambda row: f"{row['precision']:.1%}"),
        ("recall", lambda row: f"{row['recall']:.1%}"),
        ("F1", lambda row: f"{row['f1']:.1%}"),
        ("test examples", lambda row: f"{row['support']:,.10g}"),
    ]
    note = "Precision: of those that are named so, the share that is right. Recall: of the class."
    return table("The classes, on the test set", rows, columns, note=note)


def _wrong(data: Dataset, split: Split, report: ClassificationReport) -> dict[str, object]:
    """The most confident wrong predictions, as images or as rows of a table."""
    names, side = report.class_names, run_plots.image_side(data)
    if not report.wrong:
        return {}
    if side:
        to_bytes = scaled_to_bytes(np.asarray(data.train.x[:1000]))
        images: list[Thumbnail] = [
            grey_image(
                to_bytes(np.asarray(split.x[example.row]).reshape(side, side)),
                f"{names[example.label]}, taken for {names[example.predicted]} "
                f"({example.probability:.1%})",
            )
            for example in report.wrong
        ]
        return {"wrong_images": images}
    encoding = encoding_of(data)
    cells = [
        cells_of_example(encoding, np.asarray(split.x[example.row], float))
        for example in report.wrong
    ]
    rows: list[list[str]] = [
        [str(example.row), str(names[example.label]), str(names[example.predicted]),
         f"{example.probability:.1%}", *own.values()]
        for example, own in zip(report.wrong, cells, strict=True)
    ]  # fmt: skip
    numbers = _numbers(encoding)
    headings = [("row", True), ("is", True), ("taken for", True), ("probability", False)]
    headings += [(name, name not in numbers) for name in cells[0]]  # which may be called "row", too
    return {"wrong_rows": Table("Rows of the test set, from 0", headings, rows)}


def _numbers(encoding: Encoding | None) -> set[str]:
    """The names of the columns that hold numbers."""
    if encoding is None or encoding.columns is None:
        return {f"input {k}" for k in range(MOST_COLUMNS)}
    return {column.name for column in encoding.columns if isinstance(column, Number)}


def cells_of_example(encoding: Encoding | None, x: Float[np.ndarray, " n_in"]) -> dict[str, str]:
    """The cells of a table's row, from the inputs of a network; the inputs where there is no table.

    Args:
      encoding: how the columns became inputs; `None` where they are arrays.
      x: the inputs.

    Returns:
      The texts of the first columns, by their names; empty where a cell was missing.

    >>> from jaxnet.data.encoding import Category, Target
    >>> columns = (Number("age", 40.0, 10.0), Category("town", ("Bern", "Zug")))
    >>> cells_of_example(Encoding(Target("ill"), columns), np.array([1.5, 0.0, 1.0]))
    {'age': '55', 'town': 'Zug'}
    """
    if encoding is None or encoding.columns is None:
        return {f"input {k}": f"{number:.4g}" for k, number in enumerate(x[:MOST_COLUMNS].tolist())}
    cells, start = {}, 0
    for column in encoding.columns[:MOST_COLUMNS]:
        inputs = x[start : start + len(column.input_names)]
        start += len(column.input_names)
        if column.has_missing and inputs[-1] > 0.5:
            cells[column.name] = ""
        elif isinstance(column, Number):
            cells[column.name] = f"{column.mean + column.sd * float(inputs[0]):.5g}"
        else:
            names = [*column.values, "(rare)"]
            cells[column.name] = names[int(np.argmax(inputs))] if inputs.any() else ""
    return cells


def _regression(
    run: Run, data: Dataset, split: Split, report: RegressionReport
) -> dict[str, object]:
    """The errors of each target, in its own unit."""
    encoding = encoding_of(data)
    targets = np.asarray(split.y, float)
    n_targets = targets.shape[1]
    outputs = np.asarray(jax.device_get(network.predict(run.network, run.best_params, split.x)))
    predicted = np.asarray(outputs[:, :n_targets], float)  # of a Gaussian's outputs the means
    names, mean, sd = [f"target {k}" for k in range(n_targets)], 0.0, 1.0
    if encoding is not None:
        names, mean, sd = [encoding.target.name], encoding.target.mean, encoding.target.sd
    rows: list[Row] = [
        {"target": name, "bias": sd * report.bias[k], "rmse": sd * report.rmse[k],
         "mae": sd * report.mae[k], "r2": report.r2[k],
         "coverage": {level: share[k] for level, share in report.coverage.items()}}
        for k, name in enumerate(names)
    ]  # fmt: skip
    columns = [
        ("target", lambda row: row["target"]),
        ("bias", lambda row: f"{row['bias']:.4g}"),
        ("RMSE", lambda row: f"{row['rmse']:.4g}"),
        ("mean absolute error", lambda row: f"{row['mae']:.4g}"),
        ("R²", lambda row: f"{row['r2']:.4f}"),
        *((f"in the {level:.0%} interval", lambda row, level=level: f"{row['coverage'][level]:.1%}")
          for level in report.coverage),
    ]  # fmt: skip
    pictures: list[Picture] = []
    for k, name in enumerate(names[:MOST_TARGETS]):
        pair = mean + sd * predicted[:, k], mean + sd * targets[:, k]
        pictures += run_plots.residuals(name, *pair)
    note = "Bias is the mean of predicted − true, RMSE the root of the mean squared error."
    return {
        "targets": table("On the test set, in the target's own unit", rows, columns, note=note),
        "residuals": pictures,
    }
