"""Does the cross-entropy cost classify better than the quadratic one?

    python experiments/quadratic_vs_cross_entropy.py            # 7 minutes on 2 cores
    python experiments/quadratic_vs_cross_entropy.py --smoke    # seconds, for the tests

[784, 30, 10] and [784, 100, 10], sigmoid outputs, weights N(0, 1), mini-batches of 10, 30 epochs of
all 50,000 training images of MNIST, no regularization; η = 3.0 with the quadratic cost ½‖a − y‖²,
0.5 with the cross-entropy; the best test accuracy of the 30 epochs.

Source: Nielsen, chapter 3, "Using the cross-entropy to classify MNIST digits": 95.49 % with 30
hidden units, 96.82 % with 100; and chapter 1, "Implementing our network to classify digits", for
the quadratic cost: 95.42 and 96.59 %, each the best of three runs. The book calls the first two
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
PUBLISHED = {(30, "cross-entropy"): 0.9549, (30, "quadratic"): 0.9542,
             (100, "cross-entropy"): 0.9682, (100, "quadratic"): 0.9659}  # fmt: skip
CLOSE = "the published peaks differ by 0.07 points with 30 hidden units, 0.23 with 100."


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    widths: tuple[int, ...] = (30, 100)
    """Hidden units, of those in `PUBLISHED`."""
    seeds: int = 16
    """Of each network, from 0 on; half as many more with the quadratic cost."""
    epochs: int = 30
    """Epochs of each run."""
    examples: int = 50_000
    """Training images, the first of MNIST."""


def run(config: Config) -> tuple[list[dict], dict]:
    """A sweep for each cost, since their learning rates differ; the seeds are the same."""
    mnist, large = jn.datasets.mnist(), jn.initializers.large
    accuracy, rows = {}, []
    for name, (cost, eta) in COSTS.items():
        study = jn.sweep(
            [jn.Network((784, width, 10), cost=cost, init=large) for width in config.widths],
            mnist._replace(valid=mnist.test),
            jn.Recipe(jn.sgd(eta)),
            seeds=config.seeds * 3 // 2 if name == "quadratic" else config.seeds,
            epochs=config.epochs,
            examples=config.examples,
        )
        for width, table in zip(config.widths, study.history.evaluation_accuracy, strict=True):
            accuracy[width, name] = table
    peak = {key: table.max(axis=1) for key, table in accuracy.items()}
    for width in config.widths:
        for name in COSTS:
            told, published = f"{width} hidden, {name}: peak", PUBLISHED.get((width, name))
            well = peak[width, name] > peak[width, name].max() - 0.05
            rows.append(experiment.measured(told, peak[width, name][well], published))
            if name == "quadratic":
                rows.append(
                    experiment.share(f"{width} hidden: over 5 points below the best", ~well)
                )
        both = [peak[width, name][: config.seeds] for name in COSTS]
        told = f"{width} hidden: cross-entropy is better, all runs"
        rows.append(experiment.compared(told, *both, claimed=width == 100, why=CLOSE))
        both = (one[well[: config.seeds]] for one in both)
        rows.append(experiment.compared(f"{width} hidden: so if none is stuck", *both))
    tables = {f"{width} {name}": table for (width, name), table in accuracy.items()}
    return rows, {"widths": np.array(config.widths)} | tables


def plot(curves: dict) -> Figure:
    """Test accuracy by epoch, a line a run, since some get stuck; published peaks as crosses."""
    widths = curves["widths"]
    figure, *panels = experiment.panels(*[1] * len(widths), sharey=True)
    for axes, width in zip(panels, widths, strict=True):
        for k, (name, (_, eta)) in enumerate(COSTS.items()):
            table, style = 100 * curves[f"{width} {name}"], experiment.STYLES[k] | {"linewidth": 1}
            epochs, color = np.arange(1, table.shape[1] + 1), style["color"]
            lines = axes.plot(epochs, table.T, **style)
            lines[0].set_label(f"{name}, η = {eta:g}")
            place = epochs[-1] + 1 + k
            axes.plot(
                place, 100 * PUBLISHED.get((width, name), np.nan), "x", color=color, clip_on=False
            )
        axes.set(title=f"{width} hidden units", xlabel="epoch")
    panels[0].set_ylabel("test accuracy, %")
    panels[-1].legend(frameon=False, loc="lower right", title="× published peak")
    return figure


if __name__ == "__main__":
    smoke = Config(widths=(30,), seeds=2, epochs=1, examples=200)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
