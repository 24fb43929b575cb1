"""Curves of a run by epoch: costs, accuracies and metrics, each in a panel."""

import functools
from collections.abc import Callable
from typing import TypedDict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from jaxnet.core.types import AnyArray, History
from jaxnet.reporting.style import LIGHT_BLUE, RED, WIDTH, remove_frame, styled


class _LineStyle(TypedDict):
    """Keyword arguments of `Axes.plot`."""

    color: str
    linestyle: str
    linewidth: float


# Two hues that differ in lightness and in line style too: readable in grey and by the colour-blind.
STYLES: dict[str, _LineStyle] = {
    "training": {"color": LIGHT_BLUE, "linestyle": "--", "linewidth": 1.6},
    "validation": {"color": RED, "linestyle": "-", "linewidth": 2.0},
}


@styled
def curve_panels(history: History, best_epoch: int = 0) -> dict[str, Figure]:
    """Draw cost, accuracy and each metric by epoch, in figures of their own.

    Args:
      history: the curves, as in `curves`.
      best_epoch: the epoch, from 1, that is marked on the validation accuracy; 0 (the default)
        marks none.

    Returns:
      The figures by what they show, half a column wide; those without a number are left out.

    >>> curve = np.array([0.5, 0.9])
    >>> list(curve_panels(History(curve, curve, curve, curve)))
    ['cost', 'accuracy']
    """
    drawings: dict[str, Callable[[Axes], None]] = {
        "cost": lambda axes: draw_costs(axes, history),
        "accuracy": lambda axes: draw_accuracies(axes, history, best_epoch),
    }
    for metric in dict.fromkeys(name.partition("_")[2] for name in history.metrics):
        nothing = np.full_like(np.asarray(history.training_cost, float), np.nan)
        pair = [history.metrics.get(f"{split}_{metric}", nothing)
                for split in ("evaluation", "training")]  # fmt: skip
        drawings.setdefault(metric, functools.partial(_draw_metric, metric, *pair))
    figures = {}
    for name, draw in drawings.items():
        figure = Figure(figsize=(WIDTH / 2, 2.7), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        if axes.lines:
            axes.legend()
            figures[name] = figure
    return figures


def curves_of_costs(history: History) -> tuple[AnyArray, AnyArray, str]:
    """The costs by epoch that can be compared between sets: those without penalties, if known.

    A penalty is divided by the number of examples of the set that it is measured on, so that the
    cost with penalties of a small validation set is far above that of the training set.

    Args:
      history: the curves of a run.

    Returns:
      Those of the validation and of the training set, each (epochs,), and what they are, in words.

    >>> curve = np.array([0.5, 0.4])
    >>> curves_of_costs(History(curve, curve, curve, curve, curve / 2, curve / 2))[2]
    'cost, without penalties'
    """
    with_penalties = history.evaluation_cost, history.training_cost
    alone = history.evaluation_data_cost, history.training_data_cost
    if not any(np.isfinite(np.asarray(curve)).any() for curve in alone):
        return *with_penalties, "cost, with penalties if there are any"
    is_same = all(
        np.allclose(np.asarray(a), np.asarray(b), rtol=1e-5, equal_nan=True)
        for a, b in zip(with_penalties, alone, strict=True)
    )
    return *alone, "cost" if is_same else "cost, without penalties"


def draw_costs(axes: Axes, history: History) -> None:
    """Draw the costs without penalties, where they are known.

    Args:
      axes: the panel.
      history: the curves of a run.
    """
    validation, training, label = curves_of_costs(history)
    _draw_curves(axes, validation, training)
    axes.set(ylabel=label)


def draw_accuracies(axes: Axes, history: History, best_epoch: int) -> None:
    """Draw the accuracies, and mark the best epoch.

    Args:
      axes: the panel.
      history: the curves of a run.
      best_epoch: the epoch, from 1; 0 marks none.
    """
    accuracy = history.evaluation_accuracy
    _draw_curves(axes, accuracy, history.training_accuracy)
    axes.set(ylabel="accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if best_epoch and np.isfinite(accuracy[best_epoch - 1]):
        best = float(accuracy[best_epoch - 1])
        label = f"best {100 * best:.2f}%, epoch {best_epoch}"
        color = STYLES["validation"]["color"]
        axes.plot(best_epoch, best, "o", color=color, markersize=7, label=label)


def _draw_metric(name: str, validation: AnyArray, training: AnyArray, axes: Axes) -> None:
    """Draw a metric, whose name stands at the axis."""
    _draw_curves(axes, validation, training)
    axes.set(ylabel=name.replace("_", " "))


def _draw_curves(axes: Axes, validation: AnyArray, training: AnyArray) -> None:
    """Draw two curves of shape (epochs,), each unless it is NaN throughout."""
    epochs = np.arange(1, len(validation) + 1)
    for name, curve in (("training", training), ("validation", validation)):
        if np.isfinite(curve).any():
            marker = "o" if len(epochs) == 1 else ""
            axes.plot(epochs, curve, label=name, marker=marker, **STYLES[name])
    axes.set(xlabel="epoch", xlim=(0.5, max(len(epochs), 1) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    remove_frame(axes)
