"""Does dropout help a network of 100 hidden units that learns from 1,000 images, and by how much?

    python experiments/dropout.py            # 6 minutes on 2 cores
    python experiments/dropout.py --smoke    # seconds, for the tests

[784, 100, 10], the first 1,000 training images of MNIST, mini-batches of 10, no other
regularization. Each arm gets its own learning rate: the one with the best mean validation accuracy
after the last epoch, over tuning seeds. Then both arms are trained from fresh seeds, which share
initial weights and mini-batches, and their test accuracies are compared seed by seed.

Source of the question: Nielsen, chapter 3, other techniques for regularization; he reports no
number for it at this size.
"""

from dataclasses import dataclass

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet import scripts

ARMS = {"none": None, "dropout": 0.5}
COLORS = {"none": "#7aa6c2", "dropout": "#b3402a"}


@dataclass(frozen=True)
class Config(scripts.Config):
    """Settings of the experiment."""

    rates: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
    """Learning rates to choose from."""
    tuning_seeds: int = 4
    """Seeds for choosing the learning rate, from 1000 on."""
    seeds: int = 16
    """Seeds for the comparison, from 0 on."""
    epochs: int = 100
    """Epochs of each run."""
    examples: int = 1000
    """Training images, the first of MNIST."""


def accuracies(config: Config, data: jn.Dataset, split: str, rate: float, dropout, seeds) -> list:
    """The accuracy on a split after the last epoch, for each seed."""
    net = jn.Network((784, 100, 10))
    recipe = jn.Recipe(jn.sgd(rate), dropout=dropout)
    options = {"epochs": config.epochs, "monitor": ()}
    runs = [jn.train(net, data, recipe, seed=seed, **options) for seed in seeds]
    return [float(jn.evaluate(net, run.params, getattr(data, split)).accuracy) for run in runs]


def run(config: Config) -> tuple[list[dict], dict]:
    """Tune both arms, compare them from fresh seeds."""
    mnist = jn.datasets.mnist()
    data = mnist._replace(train=jn.Split(*(array[: config.examples] for array in mnist.train)))
    data = jax.device_put(data)
    curves = {"rates": np.array(config.rates)}
    rows, tuned = [], {}
    for arm, dropout in ARMS.items():
        seeds = range(1000, 1000 + config.tuning_seeds)
        table = [accuracies(config, data, "valid", rate, dropout, seeds) for rate in config.rates]
        curves[f"{arm}_valid"] = np.array(table)
        index = int(np.argmax(np.mean(table, axis=1)))
        tuned[arm] = config.rates[index]
        curves[f"{arm}_test"] = np.array(
            accuracies(config, data, "test", tuned[arm], dropout, range(config.seeds))
        )
        rows.append(scripts.measured(f"{arm}, η = {tuned[arm]:g}", curves[f"{arm}_test"]))
        if index in (0, len(config.rates) - 1):
            rows[-1]["verdict"] = "EDGE of the grid"
    rows.append(scripts.compared("dropout − none", curves["dropout_test"], curves["none_test"]))
    return rows, curves


def plot(curves: dict) -> Figure:
    """Validation accuracy by learning rate, and the paired differences."""
    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for arm, color in COLORS.items():
        table = 100 * curves[f"{arm}_valid"]
        left.plot(curves["rates"], table.mean(axis=1), "o-", color=color, label=arm)
        left.fill_between(curves["rates"], table.min(axis=1), table.max(axis=1), color=color,
                          alpha=0.15, linewidth=0)  # fmt: skip
    left.set(xscale="log", xlabel="learning rate η", ylabel="validation accuracy, %",
             title="Tuning: mean and range over seeds")  # fmt: skip
    left.legend(frameon=False)
    difference = np.sort(100 * (curves["dropout_test"] - curves["none_test"]))
    right.axvline(0, color="0.6", linewidth=0.8)
    right.plot(difference, np.arange(1, len(difference) + 1), "o", color=COLORS["dropout"])
    right.axvline(difference.mean(), color=COLORS["dropout"], linewidth=1.2, linestyle="--")
    right.set(xlabel="dropout − none, points of test accuracy", ylabel="seeds, sorted",
              title="Each arm at its own η")  # fmt: skip
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
    return figure


if __name__ == "__main__":
    smoke = Config(rates=(0.2, 0.5), tuning_seeds=2, seeds=2, epochs=2, examples=200)
    scripts.main(__file__, __doc__, Config(), smoke, run, plot)
