"""Do mixup and noise in the inputs help a small network that learns from 1,000 images?

    python experiments/mixup.py            # 5 minutes on 2 cores
    python experiments/mixup.py --smoke    # seconds, for the tests

[784, 30, 10], the first 1,000 training images of MNIST, mini-batches of 10, no other
regularization. Each arm gets its own learning rate and its own number (α of mixup, the standard
deviation of the noise): those with the best mean validation accuracy after the last epoch, over
tuning seeds. Then all arms are trained from 16 fresh seeds, which share initial weights and
mini-batches, and their test accuracies are compared seed by seed.

Source of the question: Zhang et al., mixup, 2018, and Bishop, Training with noise, 1995; neither
reports a number at this size.
"""

from dataclasses import dataclass

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

NET = jn.Network((784, 30, 10))


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    rates: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
    """Learning rates to choose from."""
    alphas: tuple[float, ...] = (0.02, 0.05, 0.1, 0.4)
    """Numbers α of mixup to choose from."""
    sds: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)
    """Standard deviations of the noise to choose from; a pixel goes from 0 to 1."""
    tuning_seeds: int = 4
    """Seeds for choosing, from 1000 on."""
    seeds: int = 16
    """Seeds for the comparison, from 0 on."""
    epochs: int = 60
    """Epochs of each run."""
    examples: int = 1000
    """Training images, the first of MNIST."""


def arms(config: Config) -> dict[str, jn.Recipe]:
    """For each arm all of its recipes, which are tried."""
    sgd = jn.Recipe(jn.sgd(0.5))
    mixed = jn.Recipe(jn.sgd(0.5), augmentation=jn.augmentation.mixup(0.2))
    noisy = jn.Recipe(jn.sgd(0.5), augmentation=jn.augmentation.input_noise(0.1))
    return {
        "none": jn.grid(sgd, learning_rate=config.rates),
        "mixup": jn.grid(mixed, learning_rate=config.rates, alpha=config.alphas),
        "noise": jn.grid(noisy, learning_rate=config.rates, sd=config.sds),
    }


def last_accuracies(
    config: Config, data: jn.Dataset, recipe: jn.Recipe, seeds: range
) -> tuple[jn.Study, np.ndarray]:
    """The sweep of a recipe, and its accuracies on data.valid after the last epoch."""
    study = jn.sweep(NET, data, recipe, seeds=seeds, epochs=config.epochs, examples=config.examples)
    return study, np.asarray(study.history.evaluation_accuracy)[:, :, -1]


def is_at_edge(best: jn.Recipe, recipes: jn.Recipe) -> bool:
    """Whether a number of the best recipe is the smallest or the largest that was tried."""
    pairs = zip(jax.tree.leaves(best), jax.tree.leaves(recipes), strict=True)
    return any(number in (np.min(tried), np.max(tried)) for number, tried in pairs)


def run(config: Config) -> tuple[list[dict], dict]:
    """Tune each arm, compare them from fresh seeds."""
    data = jn.datasets.mnist()
    unseen = data._replace(valid=data.test)
    tuning_seeds = range(1000, 1000 + config.tuning_seeds)
    rows, curves = [], {}
    for arm, recipes in arms(config).items():
        study, valid = last_accuracies(config, data, recipes, tuning_seeds)
        best = study.settings[int(np.argmax(valid.mean(axis=1)))].recipe
        _, test = last_accuracies(config, unseen, best, range(config.seeds))
        curves[arm] = test[0]
        row = experiment.estimate_row(f"{arm}: {', '.join(best.parts().values())}", test[0])
        if is_at_edge(best, recipes):
            row["verdict"] = "EDGE of the grid"
        rows.append(row)
    rows += [
        experiment.difference_row(f"{arm} − none", curves[arm], curves["none"])
        for arm in ("mixup", "noise")
    ]
    return rows, curves


def plot(curves: dict) -> Figure:
    """The paired differences of each arm, seed by seed."""
    figure, axes = experiment.panels(3, 2, height=3.6)
    for panel, arm in zip(axes, ("mixup", "noise"), strict=True):
        differences = np.sort(100 * (curves[arm] - curves["none"]))
        panel.axvline(0, color="0.6", linewidth=0.8)
        panel.plot(differences, np.arange(1, len(differences) + 1), "o", color="#b3402a")
        panel.axvline(differences.mean(), color="#b3402a", linewidth=1.2, linestyle="--")
        panel.set(
            xlabel=f"{arm} − none, points of test accuracy",
            ylabel="seeds, sorted",
            title="Each arm at its own numbers",
        )
    return figure


if __name__ == "__main__":
    smoke = Config(
        rates=(0.5,), alphas=(0.2,), sds=(0.1,), tuning_seeds=2, seeds=2, epochs=1, examples=200
    )
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
