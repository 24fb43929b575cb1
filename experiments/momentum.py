"""What does momentum bring, if every rule has its own learning rate?

    python experiments/momentum.py            # 3 minutes on 2 cores
    python experiments/momentum.py --smoke    # seconds, for the tests

[784, 30, 10], first 10,000 images of MNIST, cross-entropy, λ = 1, 10 epochs, batches of 10 and 500.
Under a steady gradient momentum's steps become η/(1 − μ) long. Each rule gets the best such rate by
validation cost after the last epoch, over tuning seeds; fresh seeds, paired, compare the rules.

Source of the question: Nielsen, chapter 3, "Variations on stochastic gradient descent". It has no
number, and says that momentum often learns faster.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

RULES = {"SGD": 0.0, "μ = 0.5": 0.5, "μ = 0.9": 0.9, "μ = 0.99": 0.99, "Nesterov 0.9": 0.9}
WHY = {"μ = 0.9": "With η tuned SGD steps as far; at one small η for both momentum is ahead."}


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


def run(config: Config) -> tuple[list[dict], dict]:
    """Tune all rules at each size of mini-batches, compare them under fresh seeds."""
    data, net, rates = jn.datasets.mnist(), jn.Network((784, 30, 10)), np.array(config.rates)
    mu = np.array(list(RULES.values()))[:, None]

    def history(effective, seeds, size):
        """Validation cost and accuracy, each (rule, rate, seed, epoch); SGD is μ = 0."""
        eta, decay = np.broadcast_arrays(effective * (1 - mu), mu)
        rules = jn.momentum(eta[:4].ravel(), decay[:4].ravel()), jn.nesterov(eta[4], decay[4])
        recipes = [jn.Recipe(rule, l2=config.examples / 10_000) for rule in rules]
        study = jn.sweep(net, data, recipes, seeds=seeds, epochs=config.epochs, batch_size=size,
                         examples=config.examples)  # fmt: skip
        return np.reshape(study.history[:2], (2, *eta.shape, len(seeds), config.epochs))

    rows, curves = [], {"rates": rates, "batches": config.batches}
    for size in config.batches:
        seeds = range(1000, 1000 + config.tuning_seeds)
        tuning = np.nan_to_num(history(rates, seeds, size)[0, ..., -1], nan=np.inf)  # diverged
        chosen = tuning.mean(axis=2).argmin(axis=1)
        cost, accuracy = history(rates[chosen, None], range(config.seeds), size)[:, :, 0]
        below = np.sum(np.maximum.accumulate(accuracy, axis=2) < 0.9, axis=2)
        for k, (rule, rate) in enumerate(zip(RULES, rates[chosen], strict=True)):
            name = f"batch {size}, {rule}, η = {rate * (1 - mu[k, 0]):.2g} = (1 − μ)·{rate:g}: cost"
            rows.append(experiment.measured(name, cost[k, :, -1], unit="", log=True))
            if rate in (rates[0], rates[-1]):
                rows[-1]["verdict"] = "EDGE of the grid"
        for k, rule in enumerate(RULES):
            name = f"batch {size}: SGD − {rule}"
            if k:
                rows.append(
                    experiment.compared(f"{name}, cost", cost[0, :, -1], cost[k, :, -1], "")
                )
            if rule in ("μ = 0.9", "Nesterov 0.9"):
                pair = below[0], below[k], "", rule in WHY, WHY.get(rule, "")
                rows.append(experiment.compared(f"{name}, epochs below 90 %", *pair))
        curves |= {f"tuning_{size}": tuning, f"cost_{size}": cost}
    return rows, curves


def plot(curves: dict) -> Figure:
    """For each size: cost by effective rate, and by epoch at the chosen one."""
    sizes = curves["batches"]
    figure, *axes = experiment.panels(*[1] * (2 * len(sizes)), width=13, height=3.6)
    for size, left, right in zip(sizes, axes[::2], axes[1::2], strict=True):
        tuning, cost = curves[f"tuning_{size}"], curves[f"cost_{size}"]
        for k, rule in enumerate(RULES):
            left.plot(curves["rates"], tuning[k].mean(axis=1), label=rule, **experiment.STYLES[k])
            experiment.band(right, np.arange(1, cost.shape[2] + 1), cost[k], k)
        low = cost[:, :, -1].min()
        left.set(xscale="log", xlabel="effective rate η/(1 − μ)", ylim=(0.9 * low, 4 * low))
        left.set(ylabel="validation cost", title=f"batch {size}, last epoch")
        right.set(ylim=(0.9 * low, 4 * low), xlabel="epoch", title=f"batch {size}, best rates")
    axes[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    smoke = Config(batches=(100,), rates=(1,), tuning_seeds=2, seeds=2, epochs=2, examples=500)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
