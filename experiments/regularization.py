"""How accurate does L2 regularization make networks of 30 and 100 hidden units?

    python experiments/regularization.py            # 8 minutes on 2 cores
    python experiments/regularization.py --smoke    # seconds, for the tests

Accuracy with the cross-entropy, mini-batches of 10, weights N(0, 1) and η = 0.5:
30 hidden units on the first 1,000 training images of MNIST for 400 epochs, λ = 0.1 and none, and on
all 50,000 for 30, λ = 5 and none (best on the test set); 100 likewise with λ = 5, and for 60 at
η = 0.1 (validation set, in the end).

Source: Nielsen, chapter 3, "Overfitting and regularization": 87.1, 96.49, 97.92 and 98.04 %.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

PUBLISHED = {"few": 0.871, "all": 0.9649, "wide": 0.9792, "long": 0.9804}
WHY = "at the last epoch, 95.61 %, the published run agrees with ours; its peak is above all 16."


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Of each setting, from 0 on."""
    few: int = 1_000
    """Training images of the small set, the first of MNIST."""
    few_epochs: int = 400
    """Epochs with the small set."""
    examples: int = 50_000
    """Training images of the large set."""
    epochs: int = 30
    """Epochs with the large set, doubled at η = 0.1."""


def run(config: Config) -> tuple[list[dict], dict]:
    """Four sweeps over the same seeds."""
    mnist = jn.datasets.mnist()
    test = mnist._replace(valid=mnist.test)

    def accuracy(data, width: int, eta: float, l2, examples: int, epochs: int):
        net = jn.Network((784, width, 10), init=jn.initializers.large)
        recipe, seeds = jn.Recipe(jn.sgd(eta), l2=l2), config.seeds
        study = jn.sweep(net, data, recipe, seeds=seeds, epochs=epochs, examples=examples)
        return study.history.evaluation_accuracy

    n, epochs = config.examples, config.epochs
    few, without = accuracy(test, 30, 0.5, [0.1, 0.0], config.few, config.few_epochs)
    every, bare = accuracy(test, 30, 0.5, [5.0, 0.0], n, epochs)
    found = {"few": few, "all": every}
    found["wide"] = accuracy(mnist, 100, 0.5, 5.0, n, epochs)[0]
    found["long"] = accuracy(mnist, 100, 0.1, 5.0, n, 2 * epochs)[0]
    judged = {name: table.max(axis=1) for name, table in found.items()}
    judged |= {name: found[name][:, -1] for name in ("wide", "long")}
    names = (
        f"{config.few:,} images, λ = 0.1: test, peak", f"{n:,} images, λ = 5: test, peak",
        "100 hidden, η = 0.5: validation, end", "100 hidden, η = 0.1: validation, end",
    )  # fmt: skip
    rows = [experiment.measured(name, judged[key], PUBLISHED[key], why=WHY if key == "all" else "")
            for name, key in zip(names, judged)]  # fmt: skip
    for name, *both in (
        ("λ = 0.1 is better than none", judged["few"], without.max(axis=1)),
        ("λ = 5 is better than none", judged["all"], bare.max(axis=1)),
        ("η = 0.1, 60 epochs, is better than 0.5, 30", judged["long"], judged["wide"]),
    ):
        rows.append(experiment.compared(name, *both, claimed=True))
    return rows, found | {"without": without, "all without": bare}


def plot(curves: dict) -> Figure:
    """Accuracy by epoch: mean and range over the seeds; published numbers as crosses."""
    figure, left, right = experiment.panels(1, 1, width=10)
    for axes, name, style, label in (
        (left, "without", 1, "no regularization"),
        (left, "few", 0, "λ = 0.1"),
        (right, "all", 1, "30 hidden, η = 0.5 (test)"),
        (right, "wide", 2, "100 hidden, η = 0.5 (validation)"),
        (right, "long", 0, "100 hidden, η = 0.1 (validation)"),
    ):
        table, epochs = 100 * curves[name], np.arange(1, curves[name].shape[1] + 1)
        experiment.band(axes, epochs, table, style, label)
        published, color = 100 * PUBLISHED.get(name, np.nan), experiment.STYLES[style]["color"]
        axes.plot(1.03 * epochs[-1], published, "x", color=color, zorder=3, clip_on=False)
    left.set(title="1,000 images", xlabel="epoch", ylabel="test accuracy, %", ylim=(75, 88.5))
    right.set(title="50,000 images, λ = 5", xlabel="epoch", ylabel="accuracy, %", ylim=(91, 98.5))
    left.legend(frameon=False, loc="lower right", title="× published")
    right.legend(frameon=False, loc="lower right", title="× published")
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, few=200, few_epochs=1, examples=200, epochs=1)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
