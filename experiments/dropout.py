"""Does dropout help a network of 100 hidden units that learns from 1,000 images, and by how much?

    python experiments/dropout.py            # 3 minutes on 2 cores
    python experiments/dropout.py --smoke    # seconds, for the tests

[784, 100, 10], the first 1,000 training images of MNIST, mini-batches of 10, no other
regularization. Each arm gets its own learning rate: the one with the best mean validation accuracy
after the last epoch, over tuning seeds. Then both arms are trained from fresh seeds, which share
initial weights and mini-batches, and their test accuracies are compared seed by seed.

Source of the question: Nielsen, chapter 3, other techniques for regularization; he reports no
number for it at this size.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

ARMS = {"none": None, "dropout": 0.5}
"""The rate of dropout of each arm."""


@dataclass(frozen=True)
class Config(experiment.Config):
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


def last_accuracies(
    config: Config, data: jn.Dataset, dropout: float | None, rates, seeds: range
) -> np.ndarray:
    """Accuracies on data.valid after the last epoch, (learning rate, seed)."""
    study = jn.sweep(
        jn.Network((784, 100, 10)),
        data,
        jn.Recipe(jn.sgd(list(rates)), dropout=dropout),
        seeds=seeds,
        epochs=config.epochs,
        examples=config.examples,
    )
    return np.asarray(study.history.evaluation_accuracy)[:, :, -1]


def run(config: Config) -> tuple[list[dict], dict]:
    """Tune both arms, compare them from fresh seeds."""
    data = jn.datasets.mnist()
    unseen = data._replace(valid=data.test)
    tuning_seeds = range(1000, 1000 + config.tuning_seeds)
    rows = []
    curves = {"rates": np.array(config.rates)}
    for arm, dropout in ARMS.items():
        valid = last_accuracies(config, data, dropout, config.rates, tuning_seeds)
        best = int(np.argmax(valid.mean(axis=1)))
        rate = config.rates[best]
        test = last_accuracies(config, unseen, dropout, [rate], range(config.seeds))[0]
        curves[f"{arm}_valid"] = valid
        curves[f"{arm}_test"] = test
        row = experiment.estimate_row(f"{arm}, η = {rate:g}", test)
        if best in (0, len(config.rates) - 1):
            row["verdict"] = "EDGE of the grid"
        rows.append(row)
    rows.append(
        experiment.difference_row("dropout − none", curves["dropout_test"], curves["none_test"])
    )
    return rows, curves


def plot(curves: dict) -> Figure:
    """Validation accuracy by learning rate, and the paired differences."""
    figure, (left, right) = experiment.panels(3, 2, height=3.6)
    for style, arm in enumerate(reversed(ARMS)):
        experiment.band(left, curves["rates"], 100 * curves[f"{arm}_valid"].T, style, arm)
    left.set(
        xscale="log",
        xlabel="learning rate η",
        ylabel="validation accuracy, %",
        title="Tuning: mean and range over seeds",
    )
    left.legend(frameon=False)
    differences = np.sort(100 * (curves["dropout_test"] - curves["none_test"]))
    right.axvline(0, color="0.6", linewidth=0.8)
    right.plot(differences, np.arange(1, len(differences) + 1), "o", color="#b3402a")
    right.axvline(differences.mean(), color="#b3402a", linewidth=1.2, linestyle="--")
    right.set(
        xlabel="dropout − none, points of test accuracy",
        ylabel="seeds, sorted",
        title="Each arm at its own η",
    )
    return figure


if __name__ == "__main__":
    smoke = Config(rates=(0.5,), tuning_seeds=2, seeds=2, epochs=1, examples=200)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
