"""How accurate does L2 regularization make networks of 30 and 100 hidden units?

    python experiments/regularization.py            # 8 minutes on 2 cores
    python experiments/regularization.py --smoke    # seconds, for the tests

Accuracy with the cross-entropy, mini-batches of 10 and weights N(0, 1). 30 hidden units at η = 0.5:
on the first 1,000 training images of MNIST for 400 epochs, with λ = 0.1 and without, and on all
50,000 for 30 epochs, with λ = 5 and without; the best accuracy on the test set. 100 hidden units
with λ = 5 on all images: 30 epochs at η = 0.5, and 60 at η = 0.1; the accuracy on the validation
set in the end.

Source: Nielsen, chapter 3, "Overfitting and regularization": 87.1, 96.49, 97.92 and 98.04%.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

PUBLISHED = {"few": 0.871, "all": 0.9649, "wide": 0.9792, "long": 0.9804}
"""The accuracy of each training with regularization."""
WHY = "at the last epoch, 95.61%, the published run agrees with ours; its peak is above all 16."
"""The reason for the verdict on "all"."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Seeds of each setting, from 0 on."""
    few: int = 1_000
    """Training images of the small set, the first of MNIST."""
    few_epochs: int = 400
    """Epochs with the small set."""
    examples: int = 50_000
    """Training images of the large set."""
    epochs: int = 30
    """Epochs with the large set, doubled at η = 0.1."""


def accuracies(
    config: Config, data: jn.Dataset, width: int, rate: float, l2, examples: int, epochs: int
) -> np.ndarray:
    """Accuracy on data.valid for each λ, (λ, seed, epoch)."""
    study = jn.sweep(
        jn.Network((784, width, 10), init=jn.initializers.large),
        data,
        jn.Recipe(jn.sgd(rate), l2=l2),
        seeds=config.seeds,
        epochs=epochs,
        examples=examples,
    )
    return np.asarray(study.history.evaluation_accuracy)


def run(config: Config) -> tuple[list[dict], dict]:
    """Four sweeps over the same seeds."""
    mnist = jn.datasets.mnist()
    on_test = mnist._replace(valid=mnist.test)
    n, epochs = config.examples, config.epochs
    few, few_without = accuracies(
        config, on_test, 30, 0.5, [0.1, 0.0], config.few, config.few_epochs
    )
    every, every_without = accuracies(config, on_test, 30, 0.5, [5.0, 0.0], n, epochs)
    (wide,) = accuracies(config, mnist, 100, 0.5, 5.0, n, epochs)
    (long,) = accuracies(config, mnist, 100, 0.1, 5.0, n, 2 * epochs)

    few_peak, every_peak = few.max(axis=1), every.max(axis=1)
    rows = [
        experiment.estimate_row(
            f"{config.few:,} images, λ = 0.1: test, peak", few_peak, PUBLISHED["few"]
        ),
        experiment.estimate_row(
            f"{n:,} images, λ = 5: test, peak", every_peak, PUBLISHED["all"], why=WHY
        ),
        experiment.estimate_row(
            "100 hidden, η = 0.5: validation, end", wide[:, -1], PUBLISHED["wide"]
        ),
        experiment.estimate_row(
            "100 hidden, η = 0.1: validation, end", long[:, -1], PUBLISHED["long"]
        ),
        experiment.difference_row(
            "λ = 0.1 is better than none", few_peak, few_without.max(axis=1), claimed=True
        ),
        experiment.difference_row(
            "λ = 5 is better than none", every_peak, every_without.max(axis=1), claimed=True
        ),
        experiment.difference_row(
            "η = 0.1, 60 epochs, is better than 0.5, 30", long[:, -1], wide[:, -1], claimed=True
        ),
    ]
    curves = {
        "few": few,
        "all": every,
        "wide": wide,
        "long": long,
        "without": few_without,
        "all without": every_without,
    }
    return rows, curves


def plot(curves: dict) -> Figure:
    """Accuracy by epoch: mean and range over the seeds; published numbers as crosses."""
    figure, (left, right) = experiment.panels(1, 1, width=10)
    for axes, name, style, label in (
        (left, "without", 1, "no regularization"),
        (left, "few", 0, "λ = 0.1"),
        (right, "all", 1, "30 hidden, η = 0.5 (test)"),
        (right, "wide", 2, "100 hidden, η = 0.5 (validation)"),
        (right, "long", 0, "100 hidden, η = 0.1 (validation)"),
    ):
        accuracy = 100 * curves[name]
        epochs = np.arange(1, accuracy.shape[1] + 1)
        experiment.band(axes, epochs, accuracy, style, label)
        published = 100 * PUBLISHED.get(name, np.nan)
        color = experiment.line_style(style)["color"]
        axes.plot(1.03 * epochs[-1], published, "x", color=color, zorder=3, clip_on=False)
    left.set(title="1,000 images", xlabel="epoch", ylabel="test accuracy, %", ylim=(75, 88.5))
    right.set(title="50,000 images, λ = 5", xlabel="epoch", ylabel="accuracy, %", ylim=(91, 98.5))
    left.legend(frameon=False, loc="lower right", title="× published")
    right.legend(frameon=False, loc="lower right", title="× published")
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, few=200, few_epochs=1, examples=200, epochs=1)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
