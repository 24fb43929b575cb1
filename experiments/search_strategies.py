"""Which search finds the best network for the same number of epochs trained?

    python experiments/search_strategies.py            # 5 minutes on 2 cores
    python experiments/search_strategies.py --smoke    # seconds, for the tests

[64, 30, 10], cross-entropy and momentum, scikit-learn's digits in mini-batches of 32: 600 images to
train on, 300 for validation, 897 for the test. The searches have three hyperparameters: η from
0.001 to 10, 1 − μ from 0.01 to 1, and λ from 0.001 to 100. Each may train networks for as many
epochs in all as Hyperband does with R epochs per network and a factor of 3; all others have R
epochs per network, too, but hypergradients: their networks have R/3, and a slope counts as the
training of one network. Validation chooses the network whose test accuracy is shown: by accuracy,
and in hypergradients by cost, as they can only follow a cost. Every repetition has another split,
other points, weights and mini-batches.

Source: Li et al., Hyperband, 2018, and Li et al., A system for massively parallel hyperparameter
tuning, 2020: at equal budgets both are better than random search. There the budget is small beside
the space; whether it is so here is the question.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

NET = jn.Network((64, 30, 10))
RECIPE = jn.Recipe(jn.momentum(0.1, 0.9), l2=1.0)
RANGES = {"learning_rate": (1e-3, 10.0), "decay": jn.OneMinus(0.01, 1.0), "l2": (1e-3, 100.0)}
FACTOR = 3
BATCH = 32


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the comparison."""

    repetitions: int = 16
    """Repetitions of each search."""
    epochs: int = 81
    """R, the most epochs of a network."""


def split_digits(seed: int) -> jn.Dataset:
    """The digits in a random order, split in three."""
    parts = [split for split in jn.datasets.digits() if split is not None]
    x = np.concatenate([part.x for part in parts])
    y = np.concatenate([part.y for part in parts])
    order = np.random.default_rng(seed).permutation(len(x))
    return jn.Dataset(*(jn.Split(x[rows], y[rows]) for rows in np.split(order, [600, 900])))


class Chosen(NamedTuple):
    """The network that a search chose, and what that took."""

    params: jn.Params
    """The parameters of the network that it chose."""
    networks_epochs: int
    """Epochs trained, over all networks."""
    progress: jn.searches.Progress
    """How the best score rose."""


def random_recipe(n: int, seed: int) -> jn.Recipe:
    """The recipe with n random points of the ranges."""
    rate, distance, penalty = np.random.default_rng(seed).random((3, n))
    optimizer = jn.momentum(1e-3 * 1e4**rate, 1 - 0.01 * 100**distance)
    return jn.Recipe(optimizer, l2=1e-3 * 1e5**penalty)


def swept(
    config: Config, seed: int, recipe: jn.Recipe | jn.Settings, halving: int | None = None
) -> Chosen:
    """A sweep of these recipes under one seed."""
    study = jn.sweep(
        NET, split_digits(seed), recipe, seeds=[seed], epochs=config.epochs, batch_size=BATCH,
        successive_halving=halving, log=None,
    )  # fmt: skip
    epochs = study.epochs[:, 0]
    if halving is None:  # recipe after recipe
        spent, best = np.cumsum(epochs), study.score[:, 0]
    else:  # rung after rung
        rungs = np.unique(epochs)
        curves = np.nan_to_num(study.history.evaluation_accuracy[:, 0])
        spent = np.array([np.minimum(epochs, rung).sum() for rung in rungs])
        best = np.array([curves[:, :rung].max() for rung in rungs])
    progress = jn.searches.Progress(spent, np.maximum.accumulate(best))
    return Chosen(study.run(*study.best_lane).best_params, int(epochs.sum()), progress)


def searched(search, seed: int, **options) -> Chosen:
    """One of the searches of jaxnet."""
    data = split_digits(seed)
    result = search(NET, data, RECIPE, RANGES, batch_size=BATCH, seed=seed, log=None, **options)
    return Chosen(result.best.params, result.networks_epochs, result.progress)


def strategies(config: Config, budget: int) -> dict[str, Callable[[int], Chosen]]:
    """Each search as a function of its seed, with about this many networks·epochs."""
    n_full = budget // config.epochs
    n_rungs = 1 + int(np.floor(np.log(config.epochs) / np.log(FACTOR) + 1e-9))
    n_halved = int(budget / (1 + (n_rungs - 1) * (1 - 1 / FACTOR)))
    short = max(1, config.epochs // FACTOR)
    n_steps = max(2, budget // (2 * short * (1 + len(RANGES))))
    segment = max(1, config.epochs // 27)
    asha = {"n": n_halved, "epochs": config.epochs, "factor": FACTOR}
    population = {"members": n_full, "epochs": config.epochs, "every": segment}
    descent = {"starts": 2, "steps": n_steps, "epochs": short}
    return {
        "random search": lambda seed: swept(config, seed, random_recipe(n_full, seed)),
        "Sobol points": lambda seed: swept(
            config, seed, jn.sample(RECIPE, n_full, seed=seed, **RANGES)
        ),
        "successive halving": lambda seed: swept(
            config, seed, jn.sample(RECIPE, n_halved, seed=seed, **RANGES), FACTOR
        ),
        "Hyperband": lambda seed: hyperband(config, seed),
        "ASHA": lambda seed: searched(jn.searches.asha, seed, seeds=[seed], **asha),
        "population": lambda seed: searched(jn.searches.population, seed, **population),
        "hypergradients": lambda seed: searched(jn.searches.hypergradient, seed, **descent),
    }


def hyperband(config: Config, seed: int) -> Chosen:
    """Hyperband, which sets the budget of all."""
    options = {"epochs": config.epochs, "factor": FACTOR, "seeds": [seed]}
    return searched(jn.searches.hyperband, seed, **options)


def run(config: Config) -> tuple[list[dict], dict]:
    """Every search under every seed."""
    splits = map(split_digits, range(config.repetitions))
    tests = [data.test for data in splits if data.test is not None]
    budget = hyperband(config, 0).networks_epochs
    accuracy, rows = {}, []
    curves: dict = {"budget": budget}
    for name, search in strategies(config, budget).items():
        outcomes = [search(seed) for seed in range(config.repetitions)]
        pairs = zip(outcomes, tests, strict=True)
        accuracy[name] = np.array(
            [float(jn.evaluate(NET, outcome.params, test).accuracy) for outcome, test in pairs]
        )
        spent = np.mean([outcome.networks_epochs for outcome in outcomes])
        rows.append(experiment.estimate_row(f"{name}, {spent:,.0f} epochs", accuracy[name]))
        if name != "hypergradients":  # whose scores are costs
            grid = np.linspace(0, budget, 101)[1:]
            curves[f"best {name}"] = np.array([_best_at(grid, o.progress) for o in outcomes])
    rows += [
        experiment.difference_row(f"{name} − random search", values, accuracy["random search"])
        for name, values in accuracy.items()
        if name != "random search"
    ]
    names = np.array(list(accuracy))
    return rows, curves | {"names": names, "accuracy": np.array(list(accuracy.values()))}


def _best_at(grid: np.ndarray, progress: jn.searches.Progress) -> np.ndarray:
    """The best score so far at these numbers of epochs; NaN before the first."""
    places = np.searchsorted(progress.networks_epochs, grid, side="right")
    return np.concatenate([[np.nan], progress.best_score])[places]


def plot(curves: dict) -> Figure:
    """The test accuracy of each repetition; the median of the best validation accuracy so far."""
    figure, (left, right) = experiment.panels(5, 6, height=3.8)
    for y, values in enumerate(100 * curves["accuracy"]):
        left.plot(values, np.full(len(values), y), "o", color="#7aa6c2", alpha=0.5)
        left.plot(values.mean(), y, "|", color="#1a1a1a", markersize=14, markeredgewidth=2)
    left.set_yticks(range(len(curves["names"])), curves["names"])
    left.set(ylim=(len(curves["names"]) - 0.5, -0.5), xlabel="test accuracy, %", title="| mean")
    grid = np.linspace(0, curves["budget"], 101)[1:]
    names = [str(name) for name in curves["names"] if f"best {name}" in curves]
    for k, name in enumerate(names):
        median = 100 * np.median(curves[f"best {name}"], axis=0)
        right.plot(grid, median, label=name, **experiment.line_style(k))
    right.set(xlabel="epochs, all networks", ylabel="best on validation, %, median", ylim=(88, 99))
    right.legend(edgecolor="none", framealpha=1)
    return figure


if __name__ == "__main__":
    smoke = Config(repetitions=2, epochs=4)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
