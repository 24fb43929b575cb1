"""Does the cross-entropy cost classify better than the quadratic one?

    python experiments/quadratic_vs_cross_entropy.py            # 7 minutes on 2 cores
    python experiments/quadratic_vs_cross_entropy.py --smoke    # seconds, for the tests

[784, 30, 10] and [784, 100, 10], sigmoid outputs, weights N(0, 1), mini-batches of 10, 30 epochs of
all 50,000 training images of MNIST, no regularization; η = 3.0 with the quadratic cost ½‖a − y‖²,
0.5 with the cross-entropy; the best test accuracy of the 30 epochs.

Source: Nielsen, chapter 3, "Using the cross-entropy to classify MNIST digits": 95.49% with 30
hidden units, 96.82% with 100; and chapter 1, "Implementing our network to classify digits", for
the quadratic cost: 95.42 and 96.59%, each the best of three runs. The book calls the first two
close, and the cross-entropy a substantial improvement with 100 units. Many runs of the quadratic
cost get stuck 9, 19 or 30 points lower, as if they never learned some digits. The best of three is
one that did not, so its number is judged by those of ours within 5 points of the best.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

COSTS = {"cross-entropy": (jn.costs.CrossEntropy(), 0.5), "quadratic": (jn.costs.Quadratic(), 3.0)}
"""The costs, each with its learning rate."""
PUBLISHED = {
    (30, "cross-entropy"): 0.9549,
    (30, "quadratic"): 0.9542,
    (100, "cross-entropy"): 0.9682,
    (100, "quadratic"): 0.9659,
}
"""Peaks of test accuracy by number of hidden units and cost."""
WHY = "the published peaks differ by 0.07 points with 30 hidden units, 0.23 with 100."


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    widths: tuple[int, ...] = (30, 100)
    """Hidden units, of those in `PUBLISHED`."""
    seeds: int = 16
    """Seeds of each network, from 0 on; half as many more with the quadratic cost."""
    epochs: int = 30
    """Epochs of each run."""
    examples: int = 50_000
    """Training images, the first of MNIST."""


def accuracies(config: Config, name: str) -> np.ndarray:
    """Test accuracy with one cost, (width, seed, epoch)."""
    mnist = jn.datasets.mnist()
    cost, rate = COSTS[name]
    init = jn.initializers.large
    study = jn.sweep(
        [jn.Network((784, width, 10), cost=cost, init=init) for width in config.widths],
        mnist._replace(valid=mnist.test),
        jn.Recipe(jn.sgd(rate)),
        seeds=config.seeds * 3 // 2 if name == "quadratic" else config.seeds,
        epochs=config.epochs,
        examples=config.examples,
    )
    return np.asarray(study.history.evaluation_accuracy)


def width_rows(n_paired: int, width: int, entropy: np.ndarray, quadratic: np.ndarray) -> list[dict]:
    """Both costs with the same hidden units, from peaks of test accuracy by seed."""
    well = quadratic > quadratic.max() - 0.05  # the runs that are not stuck
    entropy_well = entropy > entropy.max() - 0.05
    rows = [
        experiment.estimate_row(
            f"{width} hidden, cross-entropy: peak",
            entropy[entropy_well],
            PUBLISHED.get((width, "cross-entropy")),
        ),
        experiment.estimate_row(
            f"{width} hidden, quadratic: peak",
            quadratic[well],
            PUBLISHED.get((width, "quadratic")),
        ),
        experiment.share_row(f"{width} hidden: over 5 points below the best", ~well),
    ]
    # The seeds that both costs have.
    entropy, quadratic, well = entropy[:n_paired], quadratic[:n_paired], well[:n_paired]
    rows += [
        experiment.difference_row(
            f"{width} hidden: cross-entropy is better, all runs",
            entropy,
            quadratic,
            claimed=width == 100,
            why=WHY,
        ),
        experiment.difference_row(
            f"{width} hidden: so if none is stuck", entropy[well], quadratic[well]
        ),
    ]
    return rows


def run(config: Config) -> tuple[list[dict], dict]:
    """A sweep for each cost, since their learning rates differ; the seeds are the same."""
    rows = []
    curves: dict = {"widths": config.widths}
    for name in COSTS:
        for width, table in zip(config.widths, accuracies(config, name), strict=True):
            curves[f"{width} {name}"] = table
    for width in config.widths:
        entropy = curves[f"{width} cross-entropy"].max(axis=1)
        quadratic = curves[f"{width} quadratic"].max(axis=1)
        rows += width_rows(config.seeds, width, entropy, quadratic)
    return rows, curves


def plot(curves: dict) -> Figure:
    """Test accuracy by epoch, a line a run, since some get stuck; published peaks as crosses."""
    widths = curves["widths"]
    figure, panels = experiment.panels(*[1] * len(widths), sharey=True)
    for axes, width in zip(panels, widths, strict=True):
        for k, (name, (_, rate)) in enumerate(COSTS.items()):
            accuracy = 100 * curves[f"{width} {name}"]
            epochs = np.arange(1, accuracy.shape[1] + 1)
            style = experiment.line_style(k)
            color = style["color"]
            lines = axes.plot(
                epochs, accuracy.T, color=color, linestyle=style["linestyle"], linewidth=1
            )
            lines[0].set_label(f"{name}, η = {rate:g}")
            published = 100 * PUBLISHED.get((width, name), np.nan)
            axes.plot(epochs[-1] + 1 + k, published, "x", color=color, clip_on=False)
        axes.set(title=f"{width} hidden units", xlabel="epoch")
    panels[0].set_ylabel("test accuracy, %")
    panels[-1].legend(frameon=False, loc="lower right", title="× published peak")
    return figure


if __name__ == "__main__":
    smoke = Config(widths=(30,), seeds=2, epochs=1, examples=200)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
