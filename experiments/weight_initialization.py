"""What do weights N(0, 1/n_in) bring over N(0, 1), at first and in the end?

    python experiments/weight_initialization.py            # 5 minutes on 2 cores
    python experiments/weight_initialization.py --smoke    # seconds, for the tests

[784, 30, 10] and [784, 100, 10], cross-entropy, η = 0.1, λ = 5, mini-batches of 10, 30 epochs of
all 50,000 training images of MNIST; accuracy on the validation set.

Source: Nielsen, chapter 3, "Weight initialization", its two figures: after the first epoch 92.70
and 86.43% with 30 hidden units, 92.95 and 89.94% with 100; in the end 96.50 and 96.37%, 97.81
and 97.42%. He claims a faster start, and calls the ends with 30 almost the same.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

INITS = {"1/√n": jn.initializers.default, "1": jn.initializers.large}
"""Initializers by the standard deviation of their weights."""
PUBLISHED = {
    (30, "1/√n"): (0.9270, 0.9650),
    (30, "1"): (0.8643, 0.9637),
    (100, "1/√n"): (0.9295, 0.9781),
    (100, "1"): (0.8994, 0.9742),
}
"""Accuracies after the first epoch and in the end, by hidden units and initializer."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Seeds of each network, from 0 on."""
    epochs: int = 30
    """Epochs of each run."""
    examples: int = 50_000
    """Training images, the first of MNIST."""


def run(config: Config) -> tuple[list[dict], dict]:
    """All four networks under all seeds, in one sweep."""
    study = jn.sweep(
        [jn.Network((784, width, 10), init=INITS[init]) for width, init in PUBLISHED],
        jn.datasets.mnist(),
        jn.Recipe(jn.sgd(0.1), l2=5.0),
        seeds=config.seeds,
        epochs=config.epochs,
        examples=config.examples,
    )
    curves = np.asarray(study.history.evaluation_accuracy)  # (network, seed, epoch)
    rows = []
    for epoch, when in ((0, "first epoch"), (-1, "end")):
        accuracy = dict(zip(PUBLISHED, curves[:, :, epoch], strict=True))
        for (width, init), published in PUBLISHED.items():
            name = f"{width} hidden, σ = {init}: {when}"
            rows.append(experiment.estimate_row(name, accuracy[width, init], published[epoch]))
        for width in (30, 100):
            row = experiment.difference_row(
                f"{width} hidden: 1/√n is better, {when}",
                accuracy[width, "1/√n"],
                accuracy[width, "1"],
                claimed=when == "first epoch",
            )
            rows.append(row)
    return rows, {"accuracy": curves}


def plot(curves: dict) -> Figure:
    """Validation accuracy by epoch: mean and range over the seeds; published points as crosses."""
    figure, (left, right) = experiment.panels(1, 1, sharey=True)
    panels = {30: left, 100: right}
    styles = {init: style for style, init in enumerate(INITS)}
    for k, ((width, init), published) in enumerate(PUBLISHED.items()):
        accuracy = 100 * curves["accuracy"][k]
        epochs = np.arange(1, accuracy.shape[1] + 1)
        axes = panels[width]
        experiment.band(axes, epochs, accuracy, styles[init], f"σ = {init}")
        axes.plot(epochs[[0, -1]], 100 * np.array(published), "x", color="black", zorder=3)
        axes.set(title=f"{width} hidden units", xlabel="epoch")
    left.set_ylabel("validation accuracy, %")
    right.legend(frameon=False, title="weights N(0, σ²); × published")
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, epochs=2, examples=500)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
