"""Is there a λ₁ for which L1 regularization beats none, on [784, 30, 10]?

    python experiments/l1.py            # 3 minutes on 2 cores
    python experiments/l1.py --smoke    # seconds, for the tests

All 50,000 training images of MNIST, η = 0.5, mini-batches of 10, 30 epochs. λ₁ is chosen by the
mean validation accuracy after the last epoch, over tuning seeds. Then networks with the chosen λ₁
and with none are trained from fresh seeds, which share initial weights and mini-batches, and their
test accuracies are compared seed by seed.

Source of the question: Nielsen, chapter 3, the exercises on "How to choose a neural network's
hyper-parameters?"; he asks, and gives no number.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    strengths: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    """λ₁ to choose from; 0 is always among them."""
    tuning_seeds: int = 4
    """Seeds for choosing λ₁, from 1000 on."""
    seeds: int = 16
    """Seeds for the comparison, from 0 on."""
    epochs: int = 30
    """Epochs of each run."""
    examples: int = 50_000
    """Training images, the first of MNIST."""


def last_accuracies(
    config: Config, data: jn.Dataset, strengths: list[float], seeds: range
) -> np.ndarray:
    """Accuracies on data.valid after the last epoch, (λ₁, seed)."""
    study = jn.sweep(
        jn.Network((784, 30, 10)),
        data,
        jn.Recipe(jn.sgd(0.5), l1=strengths),
        seeds=seeds,
        epochs=config.epochs,
        examples=config.examples,
    )
    return np.asarray(study.history.evaluation_accuracy)[:, :, -1]


def run(config: Config) -> tuple[list[dict], dict]:
    """Choose λ₁ on the validation set, compare it with none on the test set."""
    data = jn.datasets.mnist()
    strengths = [0.0, *config.strengths]
    tuning_seeds = range(1000, 1000 + config.tuning_seeds)
    valid = last_accuracies(config, data, strengths, tuning_seeds)
    best = config.strengths[int(np.argmax(valid[1:].mean(axis=1)))]
    unseen = data._replace(valid=data.test)
    none, chosen = last_accuracies(config, unseen, [0.0, best], range(config.seeds))
    rows = [
        experiment.estimate_row(f"validation, λ₁ = {l1:g}", accuracies)
        for l1, accuracies in zip(strengths, valid, strict=True)
    ]
    rows += [
        experiment.estimate_row("test, λ₁ = 0", none),
        experiment.estimate_row(f"test, λ₁ = {best:g}", chosen),
        experiment.difference_row(f"test, λ₁ = {best:g} − none", chosen, none),
    ]
    return rows, {"strengths": strengths, "valid": valid, "difference": chosen - none}


def plot(curves: dict) -> Figure:
    """Validation accuracy by λ₁, and the paired differences on the test set."""
    figure, (left, right) = experiment.panels(3, 2, height=3.6)
    valid = 100 * curves["valid"]
    places = np.arange(len(valid))
    left.plot(places, valid.mean(axis=1), "o-", color="#b3402a", label="mean")
    left.plot(np.repeat(places, valid.shape[1]), valid.ravel(), ".", color="0.5", label="each seed")
    left.set(
        xticks=places,
        xticklabels=[f"{l1:g}" for l1 in curves["strengths"]],
        xlabel="λ₁",
        ylabel="validation accuracy, %",
        title="Choosing λ₁",
    )
    left.legend(frameon=False)
    differences = np.sort(100 * curves["difference"])
    right.axvline(0, color="0.6", linewidth=0.8)
    right.plot(differences, np.arange(1, len(differences) + 1), "o", color="#b3402a")
    right.axvline(differences.mean(), color="#b3402a", linewidth=1.2, linestyle="--")
    right.set(
        xlabel="L1 − none, points of test accuracy",
        ylabel="seeds, sorted",
        title="The chosen λ₁, fresh seeds",
    )
    return figure


if __name__ == "__main__":
    smoke = Config(strengths=(1.0,), tuning_seeds=2, seeds=2, epochs=1, examples=200)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
