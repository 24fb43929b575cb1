"""Pictures, drawn with matplotlib and without a display."""

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from jaxnet.types import History

# Two hues that differ in lightness and in line style too: readable in grey and by the colour-blind.
STYLES: dict[str, dict[str, Any]] = {
    "training": {"color": "#7aa6c2", "linestyle": "--", "linewidth": 1.6},
    "validation": {"color": "#b3402a", "linestyle": "-", "linewidth": 2.0},
}


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
        figure.suptitle(title, fontsize=10)
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


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
