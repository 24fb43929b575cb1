"""The pictures of a run's page: curves, predictions against targets, weights."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxnet.core.types import Dataset
from jaxnet.data.tables import encoding_of
from jaxnet.reporting import curve_plots
from jaxnet.reporting.page_pictures import Picture, Thumbnail, of_figure, signed_image
from jaxnet.reporting.style import BLUE, DIVERGING, RED, WIDTH, literal, remove_frame, styled
from jaxnet.training.run import Run

SMALLEST_IMAGE = 7
"""Pixels in a row from which on a square number of inputs is taken for an image."""
MOST_UNITS = 64
"""Units whose weights are shown."""
MOST_INPUTS = 40
"""Inputs whose weights are shown in a heat map."""
MOST_POINTS = 1500
"""Examples that are drawn in a picture of residuals."""


def curves(run: Run) -> list[Picture]:
    """Costs, accuracies and metrics by epoch, a picture each.

    Args:
      run: the run.
    """
    figures = curve_plots.curve_panels(run.history, run.best_epoch)
    return [of_figure(f"{name} by epoch", figure) for name, figure in figures.items()]


def image_side(data: Dataset) -> int:
    """The pixels in a row of square images; 0 where the inputs are none.

    Args:
      data: the data set.
    """
    encoding = encoding_of(data)
    n_inputs = math.prod(np.shape(data.train.x)[1:])
    side = math.isqrt(n_inputs)
    is_table = encoding is not None and bool(encoding.input_names)
    return side if side * side == n_inputs and side >= SMALLEST_IMAGE and not is_table else 0


def weight_images(w: Float[np.ndarray, "n_in n_out"], side: int) -> tuple[float, list[Thumbnail]]:
    """The weights into each of the first units as an image.

    Args:
      w: the weights.
      side: the pixels in a row.

    Returns:
      The size above which colours are no stronger, and the images.
    """
    largest = float(np.quantile(np.abs(w), 0.995)) or 1.0
    units = w[:, :MOST_UNITS].T.reshape(-1, side, side)
    return largest, [signed_image(unit, largest, str(k)) for k, unit in enumerate(units)]


@styled
def weight_map(
    w: Float[np.ndarray, "n_in n_out"], names: Sequence[str] | None, unit: str
) -> Picture:
    """The weights of the inputs with the largest ones, an input in each row.

    Args:
      w: the weights.
      names: the inputs' names; `None` for numbers.
      unit: what the columns are.
    """
    norms = np.linalg.norm(w, axis=1)
    order = np.argsort(-norms, kind="stable")[:MOST_INPUTS]
    shown = w[order, :MOST_UNITS]
    all_names = [f"input {k}" for k in range(len(w))] if names is None else list(names)
    labels = [literal(_short(all_names[int(k)])) for k in order]
    figure = Figure(figsize=(WIDTH, 0.9 + 0.19 * len(order)), layout="constrained")
    axes = figure.subplots()
    largest = float(np.quantile(np.abs(shown), 0.995)) or 1.0
    edges = np.arange(shown.shape[1] + 1) - 0.5, np.arange(len(order) + 1) - 0.5
    colours = axes.pcolormesh(*edges, shown, cmap=DIVERGING, vmin=-largest, vmax=largest,
                              rasterized=True)  # fmt: skip
    axes.set(yticks=range(len(order)), yticklabels=labels, xlabel=unit)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(colours, label="weight")
    n_inputs, n_units = w.shape
    caption = "The inputs with the largest weights (Euclidean norm over the units) come first."
    if n_inputs > len(order):
        caption += f" Of {n_inputs:,} inputs {len(order)} are shown."
    if n_units > MOST_UNITS:
        caption += f" Of {n_units:,} units the first {MOST_UNITS} are shown."
    return of_figure("weights of the first layer", figure, caption)


@styled
def residuals(
    name: str, predicted: Float[np.ndarray, " n"], targets: Float[np.ndarray, " n"]
) -> list[Picture]:
    """Predictions against targets, and how the errors are distributed.

    Args:
      name: the target.
      predicted: the predictions.
      targets: the targets.
    """
    figure = Figure(figsize=(WIDTH / 2, 3.2), layout="constrained")
    axes = figure.subplots()
    step = -(-len(targets) // MOST_POINTS)
    ends = [min(targets.min(), predicted.min()), max(targets.max(), predicted.max())]
    axes.plot(ends, ends, "-", color=RED, linewidth=1.2)
    axes.plot(targets[::step], predicted[::step], "o", color=BLUE, markersize=3, alpha=0.5,
              markeredgewidth=0)  # fmt: skip
    target = literal(name)
    axes.set(xlabel=f"{target}, true", ylabel=f"{target}, predicted")
    remove_frame(axes)
    shown = "every test example" if step == 1 else f"every {step}th test example"
    against = of_figure(
        f"predictions of {name}", figure, f"A dot is {shown}; on the line predictions are right."
    )
    figure = Figure(figsize=(WIDTH / 2, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(predicted - targets, bins=min(40, max(5, len(targets) // 8)), color=BLUE, alpha=0.7)
    axes.axvline(0, color=RED, linewidth=1.2)
    axes.set(xlabel=f"error of {target}, predicted − true", ylabel="test examples")
    remove_frame(axes)
    return [against, of_figure(f"errors of {name}", figure, "How the errors are distributed.")]


def _short(text: str) -> str:
    """A name that leaves room for the picture."""
    return text if len(text) <= 28 else f"{text[:27]}…"
