"""Pictures, drawn with matplotlib and without a display."""

import io
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from jaxnet.core.deprecation import renamed_attributes
from jaxnet.core.types import History
from jaxnet.sweeps.study import Study

# Two hues that differ in lightness and in line style too: readable in grey and by the colour-blind.
STYLES: dict[str, dict[str, Any]] = {
    "training": {"color": "#7aa6c2", "linestyle": "--", "linewidth": 1.6},
    "validation": {"color": "#b3402a", "linestyle": "-", "linewidth": 2.0},
}
LAYERS = colormaps["viridis"]


def curves(history: History, best_epoch: int = 0, title: str = "") -> Figure:
    """Cost and accuracy by epoch, of the training and the validation set, side by side.

    Args:
      history: the four curves; one that was not monitored is left out.
      best_epoch: marked on the validation accuracy, where there is one; counted from 1.
      title: above both panels.

    Returns:
      A matplotlib figure.

    >>> np_curve = np.array([0.5, 0.9])
    >>> len(curves(History(np_curve, np_curve, np_curve, np_curve)).axes)
    2
    """
    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    panels = figure.subplots(1, 2)
    _panel(panels[0], history.evaluation_cost, history.training_cost)
    _panel(panels[1], history.evaluation_accuracy, history.training_accuracy)
    panels[0].set(ylabel="cost, with each set's own λ/n")
    panels[1].set(ylabel="accuracy")
    panels[1].yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    accuracy = history.evaluation_accuracy
    if best_epoch and np.isfinite(accuracy[best_epoch - 1]):
        best = float(accuracy[best_epoch - 1])
        label = f"best {100 * best:.2f} %, epoch {best_epoch}"
        color = STYLES["validation"]["color"]
        panels[1].plot(best_epoch, best, "o", color=color, markersize=7, label=label)
    for panel in panels:
        if panel.lines:
            panel.legend(frameon=False, fontsize=9)
    if title:
        figure.suptitle(textwrap.fill(title, 120), fontsize=10)
    return figure


def _panel(axes: Any, validation: Any, training: Any) -> None:
    epochs = np.arange(1, len(validation) + 1)
    for name, curve in (("training", training), ("validation", validation)):
        if np.isfinite(curve).any():
            marker = "o" if len(epochs) == 1 else ""
            axes.plot(epochs, curve, label=name, marker=marker, **STYLES[name])
    axes.set(xlabel="epoch", xlim=(0.5, max(len(epochs), 1) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)


def monitors(found: dict[str, np.ndarray]) -> Figure:
    """What the monitors of a run measured: a panel each, a line a layer.

    Args:
      found: `Run.monitors`.

    >>> len(monitors({"step": np.arange(3), "dead": np.zeros((3, 2))}).axes)
    1
    """
    tables = {name: table for name, table in found.items() if name != "step" and table.size}
    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.6 * rows), dpi=120, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(tables) :]:
        panel.remove()
    for panel, (name, table) in zip(panels, tables.items()):
        n_layers = table.shape[1]
        for layer in range(n_layers):
            color = LAYERS(0.15 + 0.7 * layer / max(n_layers - 1, 1))
            marker = "o" if len(table) == 1 else ""
            panel.plot(found["step"], table[:, layer], marker=marker, color=color,
                       linewidth=1.4, label=f"layer {layer + 1}")  # fmt: skip
        shares = name in ("saturated", "dead")
        panel.set(title=name.replace("_", " "), xlabel="mini-batch")
        wide = np.all(table > 0) and np.max(table) > 10 * np.min(table)
        panel.set_yscale("log" if wide and name.endswith(("norm", "ratio")) else "linear")
        if shares:
            panel.set_ylim(0, max(0.05, 1.1 * float(np.max(table))))
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25, linewidth=0.6)
        if n_layers > 1:
            panel.legend(frameon=False, fontsize=8)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def sweep(study: Study, names: Sequence[str]) -> Figure:
    """The score of every lane against each number that was varied.

    Args:
      study: the study.
      names: the numbers, as `Setting.number` knows them: a panel each.

    Returns:
      A figure: a dot for each lane, a line through the best recipe's mean over seeds at each value,
      and a cross at the bottom for each lane that diverged.
    """
    figure = Figure(figsize=(max(5.0, 4.2 * len(names)), 3.8), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    accuracy = bool(np.isfinite(study.history.evaluation_accuracy).any())
    score = np.where(np.isfinite(study.score), study.score, np.nan) * (1 if accuracy else -1)
    bottom = np.nanmin(score, initial=np.inf) if np.isfinite(score).any() else 0.0
    dot, line = STYLES["training"]["color"], STYLES["validation"]["color"]
    for panel, name in zip(panels, names, strict=True):
        values = np.array([setting.number(name) for setting in study.settings])
        across = np.broadcast_to(values[:, None], score.shape)
        panel.plot(across.ravel(), score.ravel(), "o", color=dot, alpha=0.5, markersize=3.5)
        mean = study.score.mean(axis=1)
        best = np.array([mean[values == value].max() for value in np.unique(values)])
        best = np.where(np.isfinite(best), best, np.nan) * (1 if accuracy else -1)
        panel.plot(np.unique(values), best, "-", color=line, linewidth=1.8)
        lost = study.diverged_epoch > 0
        panel.plot(across[lost], np.full(lost.sum(), bottom), "x", color="black", markersize=5)
        if values.min() > 0 and values.max() >= 10 * values.min():
            panel.set_xscale("log")
        panel.set_xlabel(name.replace("_", " "))
        panel.grid(alpha=0.25)
    panels[0].set_ylabel(f"validation {'accuracy' if accuracy else 'cost'}, last epoch")
    if accuracy:
        panels[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.suptitle(
        "Each network (dots; crosses diverged) and the best mean over seeds", fontsize=10
    )
    return figure


__getattr__ = renamed_attributes(__name__, {"measured": "monitors"})
