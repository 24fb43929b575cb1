"""The figures of a run's, a study's or a comparison's folder, drawn again from its files."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxnet.comparison import across, comparison_folder
from jaxnet.core.types import History
from jaxnet.io import csv, reading
from jaxnet.reporting import across_page, comparison_plots, plots, study_plots
from jaxnet.sweeps.opening import open_study
from jaxnet.sweeps.study import Study

CURVES = ("evaluation_cost", "evaluation_accuracy", "training_cost", "training_accuracy")
"""The columns of history.csv that are drawn."""


def figures_of(folder: Path, title: str = "") -> dict[str, Callable[[], Figure]]:
    """The figures of a folder, by their kinds.

    Args:
      folder: of a run, of a sweep, or of a comparison on one task or several.
      title: the title of a run's curves; empty by default.

    Returns:
      For each kind of figure, such as "curves", a function that draws it.

    Raises:
      ValueError: the folder is none of these, or a file of it cannot be read.
    """
    if (folder / "manifest.json").exists():
        comparison = comparison_folder.read(folder)
        return {
            name: functools.partial(draw, comparison)
            for name, (draw, _) in comparison_plots.figures_of(comparison).items()
        }
    if (folder / "aggregates.csv").exists():
        paths = sorted(folder.glob("*/manifest.json"))
        comparisons = {path.parent.name: comparison_folder.read(path.parent) for path in paths}
        drawings = across_page.figures_of(across(comparisons), comparisons)
        return {name: draw for name, (draw, _) in drawings.items()}
    if (folder / "study.json").exists():
        study = open_study(folder)
        return of_study(study)
    if (folder / "history.csv").exists():
        figures = {"curves": lambda: _curves(folder, title)}
        if (folder / "monitors.csv").exists():
            figures["monitors"] = lambda: plots.monitors(_monitors(folder / "monitors.csv"))
        return figures
    raise ValueError(
        f"{folder} is no folder of a run, a sweep or a comparison, which have a history.csv, "
        "study.json or manifest.json; name one that has."
    )


def of_study(study: Study) -> dict[str, Callable[[], Figure]]:
    """The figures of a study, by their kinds.

    Args:
      study: the study.

    Returns:
      For "sweep", and where two things were varied "parallel" and "heat_map", a function that draws
      it.
    """
    names = study_plots.varied_numbers(study)
    figures = {"sweep": lambda: plots.sweep(study, names)}
    if len(study_plots.varied(study)) > 1:
        figures["parallel"] = lambda: study_plots.parallel(study)
    for pair in study_plots.pairs(study)[:1]:
        figures["heat_map"] = functools.partial(study_plots.heat_map, study, *pair)
    return figures


def _curves(folder: Path, title: str) -> Figure:
    """The curves of a run, with its best epoch where the run is finished."""
    table = _columns(folder / "history.csv", CURVES)
    best_epoch = 0
    if (folder / "config.json").exists():
        config = reading.read_json(folder / "config.json", "the config.json of a run")
        best = (config.get("results") or {}).get("best") or {}
        best_epoch = best.get("epoch", 0)
    is_epoch = isinstance(best_epoch, int) and 0 <= best_epoch <= len(table[CURVES[0]])
    cost, accuracy, training_cost, training_accuracy = (table[name] for name in CURVES)
    nothing = np.full_like(np.asarray(cost, float), np.nan)  # version 0.2 kept no costs alone
    alone = (table.get(name, nothing) for name in ("evaluation_data_cost", "training_data_cost"))
    cost_alone, training_cost_alone = alone
    history = History(
        cost, accuracy, training_cost, training_accuracy, cost_alone, training_cost_alone
    )
    return plots.curves(history, best_epoch if is_epoch else 0, title)


def _columns(path: Path, needed: Sequence[str]) -> dict[str, np.ndarray]:
    """The columns of a run's CSV file, among them those that are needed."""
    rows = csv.read_csv(path)
    missing = [name for name in needed if not rows or name not in rows[0]]
    if missing:
        raise ValueError(f"{path} lacks the column {missing[0]}; name the folder of a run.")
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _monitors(path: Path) -> dict[str, np.ndarray]:
    """The measurements in a monitors.csv, as `Run.monitors` has them."""
    measured: dict[str, list[np.ndarray]] = {}
    for column, numbers in _columns(path, ("step",)).items():
        name, _, layer = column.rpartition("_")
        measured.setdefault(name if layer.isdigit() else column, []).append(numbers)
    return {
        name: columns[0] if name == "step" else np.stack(columns, axis=1)
        for name, columns in measured.items()
    }
