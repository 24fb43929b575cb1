"""Figures of runs and sweeps, drawn with matplotlib and without a display."""

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from jaxnet.core import costs
from jaxnet.core.deprecation import renamed_attributes
from jaxnet.core.network import Network
from jaxnet.core.types import History
from jaxnet.recipes.recipe import Recipe
from jaxnet.reporting.axis_names import in_words, score_in_words
from jaxnet.reporting.curve_plots import STYLES, draw_accuracies, draw_costs
from jaxnet.reporting.style import MOST_DOTS, SEQUENTIAL, WIDTH, literal, remove_frame, styled
from jaxnet.sweeps.study import Study

MOST_STEPS = 24
"""Values of a number whose best scores a line joins: sampled numbers are different everywhere."""
LAYERS = colormaps[SEQUENTIAL]


@styled
def curves(history: History, best_epoch: int = 0, title: str = "") -> Figure:
    """Draw cost and accuracy by epoch, of the training and the validation set, side by side.

    Args:
      history: the curves, each of shape (epochs,), such as `Run.history`. A curve that is NaN
        throughout, because it was not evaluated, is left out. The costs drawn are those without
        penalties, which can be compared between sets; where a history lacks them, those with
        penalties.
      best_epoch: the epoch, from 1, that is marked on the validation accuracy; 0 (the default)
        marks none.
      title: a title above both panels; empty by default.

    Returns:
      The figure, with one axes for the cost and one for the accuracy.

    >>> curve = np.array([0.5, 0.9])
    >>> len(curves(History(curve, curve, curve, curve)).axes)
    2
    """
    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    panels = figure.subplots(1, 2)
    draw_costs(panels[0], history)
    draw_accuracies(panels[1], history, best_epoch)
    for panel in panels:
        if panel.lines:
            panel.legend()
    if title:
        figure.suptitle(literal(textwrap.fill(title, 110)))
    return figure


def run_title(net: Network, recipe: Recipe, batch_size: int, seed: int) -> str:
    """A title for the figure of a run, in words.

    Args:
      net: the architecture.
      recipe: how it is trained.
      batch_size: examples per mini-batch.
      seed: the seed of the run.

    Returns:
      The title.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> run_title(Network((784, 30, 10)), Recipe(sgd(0.5), l2=5.0), 10, 0)
    '784-30-10 sigmoid, cross-entropy; sgd, learning rate η 0.5, L2 penalty λ 5, batch size 10, \
seed 0'
    """
    hidden = " ".join(dict.fromkeys(str(f).partition("(")[0] for f in net.activations))
    cost = costs.NAMED.name_of(type(net.cost)) or type(net.cost).__name__
    sizes = "-".join(map(str, net.sizes))
    numbers = {name: f"{float(number):.4g}" for name, number in recipe.optimizer.hyper.items()}
    parts = {
        name: str(part).partition("(")[0].replace("_", " ")
        for name, part in recipe.parts().items()
        if name not in ("optimizer", "augmentation")
    }
    words = [f"{in_words(name)} {text}" for name, text in (numbers | parts).items()]
    words += ["augmented images"] * (recipe.augmentation is not None)
    words += [f"batch size {batch_size}", f"seed {seed}"]
    architecture = ", ".join(filter(None, (f"{sizes} {hidden}".strip(), cost)))
    return f"{architecture}; {', '.join([recipe.optimizer.name, *words])}"


@styled
def monitors(measurements: dict[str, np.ndarray]) -> Figure:
    """Draw the measurements of a run's monitors by mini-batch: a panel each, with a line per layer.

    Args:
      measurements: `Run.monitors`: under "step" the mini-batches, shape (n,), and under each
        monitor's name its values, shape (n, layers).

    Returns:
      The figure, with one axes per monitor.

    >>> len(monitors({"step": np.arange(3), "dead": np.zeros((3, 2))}).axes)
    1
    """
    tables = {name: table for name, table in measurements.items() if name != "step" and table.size}
    n_columns = min(3, len(tables))
    n_rows = -(-len(tables) // n_columns)
    figure = Figure(figsize=(WIDTH / 3 * n_columns, 2.1 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for unused in panels[len(tables) :]:
        unused.remove()
    for panel, (name, table) in zip(panels, tables.items()):
        _draw_monitor(panel, name, measurements["step"], table)
    return figure


def _draw_monitor(axes: Axes, name: str, steps: np.ndarray, table: np.ndarray) -> None:
    """Draw one monitor's values, shape (n, layers), against the mini-batches, shape (n,)."""
    n_layers = table.shape[1]
    for layer in range(n_layers):
        color = LAYERS(0.15 + 0.7 * layer / max(n_layers - 1, 1))
        marker = "o" if len(table) == 1 else ""
        axes.plot(steps, table[:, layer], marker=marker, color=color, linewidth=1.4,
                  label=f"layer {layer + 1}")  # fmt: skip
    axes.set(title=name.replace("_", " "), xlabel="mini-batch")
    spans_decades = np.all(table > 0) and np.max(table) > 10 * np.min(table)
    is_size = name.endswith(("norm", "ratio"))
    axes.set_yscale("log" if spans_decades and is_size else "linear")
    if name in ("saturated", "dead"):  # fractions of units
        axes.set_ylim(0, max(0.05, 1.1 * float(np.max(table))))
    remove_frame(axes)
    if n_layers > 1:
        axes.legend()


def png(figure: Figure) -> bytes:
    r"""Render a figure as the bytes of a PNG file.

    Args:
      figure: a matplotlib figure.

    Returns:
      The content of the file.

    >>> png(Figure())[:4]
    b'\x89PNG'
    """
    return rendered(figure, "png")


@styled
def rendered(figure: Figure, file_format: str) -> bytes:
    """Render a figure as the bytes of a file; the same figure gives the same bytes.

    Args:
      figure: a matplotlib figure.
      file_format: "svg", "pdf" or "png".

    Returns:
      The content of the file.

    >>> rendered(Figure(), "pdf")[:4]
    b'%PDF'
    """
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=file_format, metadata=dates.get(file_format))
    return buffer.getvalue()


@styled
def sweep(study: Study, names: Sequence[str]) -> Figure:
    """Draw the score of every network of a study against each hyperparameter that was varied.

    A dot is a network, and a cross at the bottom one that diverged. The line is, for each value of
    a number that has few, the best mean over seeds among the recipes with this value; a circle is
    the best recipe's.

    Args:
      study: the study.
      names: the hyperparameters, with a panel each: names that `Setting.number` knows, such as
        "learning_rate" or "l2".

    Returns:
      The figure, with one axes per name. It shows what ranks the networks, `Study.ranked_by`, after
      the best epoch of each: the validation accuracy, cost or metric.

    >>> import jaxnet as jn
    >>> net, data = jn.Network((2, 3, 2)), jn.datasets.xor(n=20)
    >>> study = jn.sweep(net, data, jn.Recipe(jn.sgd([0.1, 1.0])), epochs=1, log=None)
    >>> len(sweep(study, ["learning_rate"]).axes)
    1
    """
    figure = Figure(
        figsize=(min(2, len(names)) * WIDTH / 2 * max(1, len(names) / 2), 3.4), layout="constrained"
    )
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for panel, name in zip(panels, names, strict=True):
        _draw_sensitivity(panel, study, name)
    panels[0].set_ylabel(f"{score_in_words(study)}, best epoch")
    if study.ranked_by.endswith("_accuracy"):
        panels[0].yaxis.set_major_formatter(PercentFormatter(1))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2 if len(names) == 1 else 4)
    return figure


def _draw_sensitivity(panel: Axes, study: Study, name: str) -> None:
    """Draw the scores of all networks against a hyperparameter."""
    sign = 1 if study.higher_is_better else -1  # the score of a cost is the negative cost
    scores = np.where(np.isfinite(study.score), study.score, np.nan) * sign
    scores = scores.reshape(len(study.settings), -1)
    mean = study.score.reshape(len(study.settings), -1).mean(axis=1)
    values = np.array([setting.number(name) for setting in study.settings])
    lane_values = np.broadcast_to(values[:, None], scores.shape)
    dot, line = STYLES["training"]["color"], STYLES["validation"]["color"]
    panel.plot(lane_values.ravel(), scores.ravel(), "o", color=dot, alpha=0.5, markersize=3.5,
               label="a network", rasterized=scores.size > MOST_DOTS)  # fmt: skip
    steps = np.unique(values)
    if len(steps) <= MOST_STEPS:
        best = np.array([mean[values == value].max() for value in steps])
        best = np.where(np.isfinite(best), best, np.nan) * sign
        panel.plot(steps, best, "-", color=line, linewidth=1.8, label="best mean over seeds")
    if np.isfinite(study.score[study.best_lane]):
        at, height = values[study.best_recipe], sign * mean[study.best_recipe]
        panel.plot(at, height, "o", color=line, markersize=9, fillstyle="none",
                   markeredgewidth=1.6, label="best recipe")  # fmt: skip
    diverged = study.diverged_epoch.reshape(scores.shape) > 0
    if diverged.any():
        bottom = np.nanmin(scores, initial=np.inf) if np.isfinite(scores).any() else 0.0
        panel.plot(lane_values[diverged], np.full(diverged.sum(), bottom), "x", color="black",
                   markersize=5, label="diverged")  # fmt: skip
    if values.min() > 0 and values.max() >= 10 * values.min():
        panel.set_xscale("log")
    panel.set_xlabel(in_words(name))
    remove_frame(panel)


if not TYPE_CHECKING:  # a type checker is to report unknown names
    __getattr__ = renamed_attributes(__name__, {"measured": "monitors"})
