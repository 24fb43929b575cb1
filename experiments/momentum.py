"""What does momentum bring, if every rule has its own learning rate?

    python experiments/momentum.py            # 3 minutes on 2 cores
    python experiments/momentum.py --smoke    # seconds, for the tests

[784, 30, 10], the first 10,000 training images of MNIST, cross-entropy, λ = 1, 10 epochs,
mini-batches of 10 and of 500. Under a steady gradient momentum's steps become η/(1 − μ) long, the
effective learning rate. Each rule gets the effective rate of the least validation cost after the
last epoch, over tuning seeds; then the rules are compared under fresh seeds, which are paired.

Source of the question: Nielsen, chapter 3, "Variations on stochastic gradient descent". It has no
number, and says that momentum often learns faster.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

RULES = {"SGD": 0.0, "μ = 0.5": 0.5, "μ = 0.9": 0.9, "μ = 0.99": 0.99, "Nesterov 0.9": 0.9}
"""μ of each rule; SGD is momentum with μ = 0."""
MU = np.array(list(RULES.values()))
WHY = {"μ = 0.9": "With η tuned SGD steps as far; at one small η for both momentum is ahead."}
"""The reason for the verdict where the book claims that a rule is faster than SGD."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    batches: tuple[int, ...] = (10, 500)
    """Sizes of mini-batches."""
    rates: tuple[float, ...] = tuple(2.0**k for k in range(-5, 6))
    """Effective learning rates to choose from."""
    tuning_seeds: int = 4
    """Seeds for choosing them, from 1000 on."""
    seeds: int = 16
    """Seeds for the comparison, from 0 on."""
    epochs: int = 10
    """Epochs of each run."""
    examples: int = 10_000
    """Training images, the first of MNIST."""


def train_all(
    config: Config, effective_rates: np.ndarray, seeds: range, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Validation cost and accuracy, each (rule, rate, seed, epoch).

    The effective rates have shape (rule, rate).
    """
    mu = np.broadcast_to(MU[:, None], effective_rates.shape)
    rates = effective_rates * (1 - mu)
    optimizers = [  # Nesterov's is the last rule
        jn.momentum(rates[:-1].ravel(), mu[:-1].ravel()),
        jn.nesterov(rates[-1], mu[-1]),
    ]
    study = jn.sweep(
        jn.Network((784, 30, 10)),
        jn.datasets.mnist(),
        [jn.Recipe(optimizer, l2=config.examples / 10_000) for optimizer in optimizers],
        seeds=seeds,
        epochs=config.epochs,
        batch_size=batch_size,
        examples=config.examples,
    )
    shape = (*rates.shape, len(seeds), config.epochs)
    cost, accuracy = study.history.evaluation_cost, study.history.evaluation_accuracy
    return np.reshape(cost, shape), np.reshape(accuracy, shape)


def rule_rows(
    config: Config, batch_size: int, rates: np.ndarray, cost: np.ndarray, accuracy: np.ndarray
) -> list[dict]:
    """The rules at their effective rates, and their comparison with SGD.

    The rates have shape (rule,), cost and accuracy (rule, seed, epoch).
    """
    rows = []
    last_cost = cost[:, :, -1]
    for k, rule in enumerate(RULES):
        rate = f"η = {rates[k] * (1 - MU[k]):.2g} = (1 − μ)·{rates[k]:g}"
        row = experiment.estimate_row(
            f"batch {batch_size}, {rule}, {rate}: cost", last_cost[k], unit="", log=True
        )
        if rates[k] in (config.rates[0], config.rates[-1]):
            row["verdict"] = "EDGE of the grid"
        rows.append(row)
    epochs_below = np.sum(np.maximum.accumulate(accuracy, axis=2) < 0.9, axis=2)
    for k, rule in enumerate(RULES):
        name = f"batch {batch_size}: SGD − {rule}"
        if rule != "SGD":
            rows.append(
                experiment.difference_row(f"{name}, cost", last_cost[0], last_cost[k], unit="")
            )
        if rule in ("μ = 0.9", "Nesterov 0.9"):
            row = experiment.difference_row(
                f"{name}, epochs below 90%", epochs_below[0], epochs_below[k], unit="",
                claimed=rule in WHY, why=WHY.get(rule, ""),
            )  # fmt: skip
            rows.append(row)
    return rows


def run(config: Config) -> tuple[list[dict], dict]:
    """Tune all rules at each size of mini-batches, compare them under fresh seeds."""
    grid = np.array(config.rates)
    every_rate = np.tile(grid, (len(RULES), 1))
    tuning_seeds = range(1000, 1000 + config.tuning_seeds)
    rows, curves = [], {"rates": grid, "batches": config.batches}
    for batch_size in config.batches:
        tuning_cost, _ = train_all(config, every_rate, tuning_seeds, batch_size)
        tuning = np.nan_to_num(tuning_cost[..., -1], nan=np.inf)  # NaN where a run diverged
        best = grid[tuning.mean(axis=2).argmin(axis=1)]
        cost, accuracy = train_all(config, best[:, None], range(config.seeds), batch_size)
        rows += rule_rows(config, batch_size, best, cost[:, 0], accuracy[:, 0])
        curves[f"tuning_{batch_size}"] = tuning
        curves[f"cost_{batch_size}"] = cost[:, 0]
    return rows, curves


def plot(curves: dict) -> Figure:
    """For each size: cost by effective rate, and by epoch at the chosen one."""
    sizes = curves["batches"]
    figure, panels = experiment.panels(*[1] * (2 * len(sizes)), width=13, height=3.6)
    for k, size in enumerate(sizes):
        left, right = panels[2 * k], panels[2 * k + 1]
        tuning, cost = curves[f"tuning_{size}"], curves[f"cost_{size}"]
        epochs = np.arange(1, cost.shape[2] + 1)
        for style, rule in enumerate(RULES):
            means = tuning[style].mean(axis=1)
            left.plot(curves["rates"], means, label=rule, **experiment.line_style(style))
            experiment.band(right, epochs, cost[style], style)
        low = cost[:, :, -1].min()
        limits = (0.9 * low, 4 * low)
        left.set(xscale="log", xlabel="effective rate η/(1 − μ)", ylim=limits)
        left.set(ylabel="validation cost", title=f"batch {size}, last epoch")
        right.set(ylim=limits, xlabel="epoch", title=f"batch {size}, best rates")
    panels[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    smoke = Config(batches=(100,), rates=(1,), tuning_seeds=2, seeds=2, epochs=2, examples=500)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
