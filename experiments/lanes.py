"""Is a lane of a sweep the network that `train` trains alone, under every optimizer?

    python experiments/lanes.py            # 3 minutes on 2 cores
    python experiments/lanes.py --smoke    # two optimizers

In float64, over 200 steps in mini-batches, with L2, in a program that is padded to a greater width
where that is possible: the largest difference of any weight, relative to the largest weight. L-BFGS
and Newton-CG decide by rounding where a line search or an iteration ends, so they get a network
without hidden layers, which has only one optimum, and the whole set as one mini-batch. Newton-CG
has reached the optimum after 10 steps; what it does then depends on the last digit of the cost,
1e-16, which is 1e-8 of a weight.

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
FULL_BATCH = ("lbfgs", "newton_cg")
EPOCHS = {"lbfgs": 200, "newton_cg": 10}
"""Epochs of the optimizers that do not take the usual 23."""
BOUND = 1e-9


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the comparison."""

    optimizers: tuple[str, ...] = NAMES
    """Names of the optimizers."""


def largest_difference(name: str) -> float:
    """The largest difference of a weight between a lane and its network alone, relative."""
    random = np.random.default_rng(0)
    data = jn.Dataset(jn.Split(random.random((53, 4)), random.integers(3, size=53)))
    sizes, batch_size = ((4, 3), 53) if name in FULL_BATCH else ((4, 15, 3), 6)
    net = jn.Network(sizes, cost=jn.costs.LogLikelihood())
    make_optimizer = getattr(jn, name)
    optimizer = make_optimizer(0.1) if name == "schedule_free_sgd" else make_optimizer()
    study = jn.sweep(
        net,
        data,
        jn.Recipe(optimizer, l2=np.array([0.0, 0.3, 1.0])),
        seeds=[7],
        epochs=EPOCHS.get(name, 23),
        batch_size=batch_size,
        evaluate_on=(),
        log=None,
    )
    lane = jax.tree.leaves(study.run(1, 0).params)
    solo = jax.tree.leaves(study.replay(1, 0, alone=True).params)
    difference = max(np.abs(np.asarray(a) - b).max() for a, b in zip(lane, solo, strict=True))
    largest = max(np.abs(weights).max() for weights in solo)
    return float(difference / largest)


def run(config: Config) -> tuple[list[dict], dict]:
    """Compare under all optimizers."""
    with jax.enable_x64(True):
        distances = [largest_difference(name) for name in config.optimizers]
    rows = [
        experiment.bound_row(name, [distance], BOUND)
        for name, distance in zip(config.optimizers, distances, strict=True)
    ]
    return rows, {"names": config.optimizers, "distances": distances}


def plot(curves: dict) -> Figure:
    """The largest difference under each optimizer, and the bound."""
    figure, (axes,) = experiment.panels(width=7, height=4.6)
    order = np.argsort(curves["distances"])
    axes.plot(curves["distances"][order].clip(1e-17), curves["names"][order], "o", color="#b3402a")
    axes.axvline(BOUND, color="0.4", linestyle="--", linewidth=1)
    axes.set(
        xscale="log",
        xlabel="largest difference of a weight, of the largest weight; 0 at 10⁻¹⁷; allowed --",
    )
    return figure


if __name__ == "__main__":
    smoke = Config(optimizers=("momentum", "newton_cg"))
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
