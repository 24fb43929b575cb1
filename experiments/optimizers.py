"""Which optimizer is better on the book's network, each at its own learning rate?

    python experiments/optimizers.py            # 4 minutes on 2 cores
    python experiments/optimizers.py --smoke    # seconds, for the tests

[784, 30, 10], cross-entropy, the first 10,000 training images of MNIST, mini-batches of 10, 10
epochs, no regularization, by the protocol of `jaxnet.compare`: for each optimizer 21 learning rates
under 3 seeds, its other numbers at their defaults; the one of least validation loss goes to the
test set, under 32 fresh seeds that all optimizers share. The verdict is that of a signed-rank test,
corrected by Holm's method for all pairs. Second-order methods are left to second_order.py: the
curvature of ten images is mostly noise, and a step by it costs as much as many gradients.

Source of the question: Nielsen, chapter 3, variations on stochastic gradient descent; he reports no
numbers for them.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

OPTIMIZERS = {"momentum": jn.momentum, "Nesterov": jn.nesterov, "Adagrad": jn.adagrad,
              "RMSProp": jn.rmsprop, "Adam": jn.adam, "AdamW": jn.adamw, "SGD": jn.sgd}  # fmt: skip
FAMILIES = ("SGD",), ("momentum", "Nesterov"), ("Adagrad",), ("RMSProp",), ("Adam", "AdamW")
LOOKS = {name: style | {"marker": " o"[place]} for family, style in zip(FAMILIES, experiment.STYLES)
         for place, name in enumerate(family)}  # fmt: skip


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    """Which ones."""
    trials: int = 21
    """Learning rates of each optimizer, over four decades."""
    tuning_seeds: int = 3
    """Seeds for choosing among them, from 0 on."""
    seeds: int = 32
    """Seeds of the report, from 1000 on."""
    epochs: int = 10
    """Epochs of each run."""
    examples: int = 10_000
    """Training images, the first of MNIST."""


def run(config: Config) -> tuple[list[dict], dict]:
    """Compare, and take the tables apart."""
    data, net = jn.datasets.mnist(), jn.Network((784, 30, 10))
    data = data._replace(train=jn.Split(*(array[: config.examples] for array in data.train)))
    named = {name: make for name, make in OPTIMIZERS.items() if name in config.optimizers}
    protocol: dict = {"trials": config.trials, "tuning_seeds": config.tuning_seeds}
    found = jn.compare(
        net, data, named, seeds=config.seeds, epochs=config.epochs, timing=False, **protocol
    )
    print(found)
    rows, curves = [], {}
    for row in found.summary:
        name = row["optimizer"]
        runs = [run for run in found.runs if run["optimizer"] == name]
        test = curves[name] = [run["test_score"] for run in runs if run["phase"] == "report"]
        tried = [(r["learning_rate"], r["valid_loss"]) for r in runs if r["phase"] == "tuning"]
        curves[f"{name}, tuning"] = np.reshape(tried, (-1, config.tuning_seeds, 2)).mean(axis=1)
        told = experiment.measured(f"{name}, η = {row['learning_rate']:.2g}", test)
        rows.append(told | {"verdict": row["edge"]})
    for pair in found.pairwise:
        if pair["b"] == "SGD":
            told = experiment.compared(f"{pair['a']} − SGD", curves[pair["a"]], curves["SGD"])
            rows.append(told | {"verdict": f"{pair['verdict']}, p = {pair['p_holm']:.1g}"})
    return rows, curves


def plot(curves: dict) -> Figure:
    """Test accuracy, seed by seed, its mean and interval; validation loss by learning rate."""
    figure, left, right = experiment.panels(2, 3, width=10, height=4.2)
    names, random = [name for name in LOOKS if name in curves], np.random.default_rng(0)
    for k, name in enumerate(names):
        look, test = {"color": LOOKS[name]["color"]}, 100 * curves[name]
        left.plot(test, k + random.uniform(0.15, 0.4, len(test)), ".", alpha=0.5, **look)
        row = experiment.measured(name, test)
        left.errorbar(row["mean"], k, xerr=row["high"] - row["mean"], fmt="o", capsize=4, **look)
        right.plot(*curves[f"{name}, tuning"].T, label=name, markersize=3, **LOOKS[name])
    left.set(yticks=range(len(names)), yticklabels=names, xlabel="test accuracy, %")
    left.invert_yaxis()
    right.set(xscale="log", yscale="log", xlabel="learning rate η", ylabel="validation loss")
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    smoke = Config(
        optimizers=("momentum", "SGD"), trials=5, tuning_seeds=1, seeds=2, epochs=1, examples=100
    )
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
