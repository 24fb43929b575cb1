"""Is a lane of a sweep the network that `train` trains alone, under every optimizer?

    python experiments/lanes.py            # 3 minutes on 2 cores
    python experiments/lanes.py --smoke    # two optimizers

In float64, over 200 steps in mini-batches, with L2, in a program that is wider than the network
where it may be: the largest difference of any weight, relative to the largest weight. L-BFGS and
Newton-CG decide by rounding where a line search or an iteration ends, so they have a network
without hidden layers, whose optimum is the only one, and the whole set for a mini-batch. Newton-CG
is there after 10 steps; what it does then depends on the last digit of the cost, 1e-16, which is
1e-8 of a weight.

Source: the bound is the project's own.
"""

from dataclasses import dataclass

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

NAMES = (
    "sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "amsgrad", "nadam",
    "adamax", "adamw", "lion", "lamb", "adabelief", "radam", "yogi", "sm3", "noisy_sgd", "rprop",
    "schedule_free_sgd", "schedule_free_adam", "muon", "lbfgs", "newton_cg",
)  # fmt: skip


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the comparison."""

    optimizers: tuple[str, ...] = NAMES
    """Which ones."""


def difference(name: str) -> float:
    """The largest difference between a lane and its network alone."""
    random = np.random.default_rng(0)
    data = jn.Dataset(jn.Split(random.random((53, 4)), random.integers(3, size=53)))
    full = name in ("lbfgs", "newton_cg")
    net = jn.Network((4, 3) if full else (4, 15, 3), cost=jn.costs.LogLikelihood())
    make = getattr(jn, name)
    optimizer = make(0.1) if name == "schedule_free_sgd" else make()
    recipe = jn.Recipe(optimizer, l2=np.array([0.0, 0.3, 1.0]))
    epochs = {"lbfgs": 200, "newton_cg": 10}.get(name, 23)
    options = {"epochs": epochs, "batch_size": 53 if full else 6, "evaluate_on": ()}
    study = jn.sweep(net, data, recipe, seeds=[7], log=None, **options)
    lane, alone = study.run(1, 0).params, study.replay(1, 0, alone=True).params
    pairs = list(zip(jax.tree.leaves(lane), jax.tree.leaves(alone), strict=True))
    largest = max(np.abs(b).max() for _, b in pairs)
    return float(max(np.abs(np.asarray(a) - b).max() for a, b in pairs) / largest)


def run(config: Config) -> tuple[list[dict], dict]:
    """Compare all."""
    with jax.enable_x64(True):
        found = np.array([difference(name) for name in config.optimizers])
    rows = [
        experiment.bounded(name, [distance], 1e-9)
        for name, distance in zip(config.optimizers, found, strict=True)
    ]
    return rows, {"names": np.array(config.optimizers), "distances": found}


def plot(curves: dict) -> Figure:
    """The largest difference under each optimizer, and what is allowed."""
    figure, axes = experiment.panels(width=7, height=4.6)
    order = np.argsort(curves["distances"])
    axes.plot(curves["distances"][order].clip(1e-17), curves["names"][order], "o", color="#b3402a")
    axes.axvline(1e-9, color="0.4", linestyle="--", linewidth=1)
    axes.set(
        xscale="log",
        xlabel="largest difference of a weight, of the largest weight; 0 at 10⁻¹⁷; allowed --",
    )
    return figure


if __name__ == "__main__":
    smoke = Config(optimizers=("momentum", "newton_cg"))
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
