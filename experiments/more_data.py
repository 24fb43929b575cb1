"""How does accuracy grow with the number of training images?

    python experiments/more_data.py            # 7 minutes on 2 cores
    python experiments/more_data.py --smoke    # seconds, for the tests

[784, 30, 10], cross-entropy, η = 0.5, mini-batches of 10, weights N(0, 1), on the first 100 to
50,000 training images of MNIST. All networks visit 1,500,000 images, 30 epochs of all 50,000, and
λ grows in proportion, 0.0001 to each image; accuracy on the validation set in the end.

Source: Nielsen, chapter 3, "Other techniques for regularization", the figure of accuracy by
training set size, and the numbers behind it in his repository (fig/more_data.json).
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

PUBLISHED = {
    100: 0.6909,
    200: 0.7637,
    500: 0.8529,
    1_000: 0.8885,
    2_000: 0.9127,
    5_000: 0.9324,
    10_000: 0.9489,
    20_000: 0.9585,
    50_000: 0.9597,
}
"""Accuracy by number of training images."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    sizes: tuple[int, ...] = tuple(PUBLISHED)
    """Numbers of training images; those in `PUBLISHED` have a published accuracy."""
    visits: int = 1_500_000
    """Images that each network sees, counting repetitions."""
    seeds: int = 16
    """Seeds of each size, from 0 on."""


def last_accuracies(config: Config, n_images: int) -> np.ndarray:
    """The accuracy of each seed's last parameters on the validation set."""
    mnist = jn.datasets.mnist()
    assert mnist.valid is not None
    net = jn.Network((784, 30, 10), init=jn.initializers.large)
    study = jn.sweep(
        net,
        mnist,
        jn.Recipe(jn.sgd(0.5), l2=1e-4 * n_images),
        seeds=config.seeds,
        epochs=config.visits // n_images,
        examples=n_images,
        # To evaluate 10,000 images after each of 15,000 epochs would take longest.
        evaluate_on=(),
    )
    scores = [jn.evaluate(net, study.params(0, k), mnist.valid) for k in range(config.seeds)]
    return np.array([float(score.accuracy) for score in scores])


def run(config: Config) -> tuple[list[dict], dict]:
    """A sweep over the seeds for each size."""
    accuracy = {n_images: last_accuracies(config, n_images) for n_images in config.sizes}
    rows = [
        experiment.estimate_row(f"{n_images:,} images", values, PUBLISHED.get(n_images))
        for n_images, values in accuracy.items()
    ]
    for fewer, more in zip(config.sizes, config.sizes[1:]):
        name = f"{more:,} are better than {fewer:,}"
        rows.append(experiment.difference_row(name, accuracy[more], accuracy[fewer], claimed=True))
    return rows, {"sizes": config.sizes, "accuracy": list(accuracy.values())}


def plot(curves: dict) -> Figure:
    """Accuracy by size, on a linear and a logarithmic axis: mean and range over the seeds."""
    figure, (left, right) = experiment.panels(1, 1, sharey=True)
    sizes = curves["sizes"]
    published = [100 * PUBLISHED.get(size, np.nan) for size in sizes]
    for axes in (left, right):
        experiment.band(axes, sizes, 100 * curves["accuracy"].T, label="mean and range")
        axes.plot(sizes, published, "x", color="black", zorder=3, label="published")
        axes.set(xlabel="training images")
    left.set(ylabel="validation accuracy, %", title="Linear axis")
    left.set_xticks([0, 10_000, 20_000, 30_000, 40_000, 50_000])
    left.xaxis.set_major_formatter("{x:,.0f}")
    right.set(xscale="log", title="Logarithmic axis")
    right.xaxis.set_major_formatter("{x:,.0f}")
    right.legend(frameon=False, loc="lower right")
    return figure


if __name__ == "__main__":
    smoke = Config(sizes=(100, 200), visits=400, seeds=2)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
