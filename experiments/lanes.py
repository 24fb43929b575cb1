"""Is a lane of a sweep the network that `train` trains alone, under every optimizer?

    python experiments/lanes.py            # about 4 minutes on 2 cores
    python experiments/lanes.py --smoke    # two optimizers

In float64, over 200 steps in mini-batches, with L2, in a program that is wider than the network
where it may be: the largest difference of any weight, relative to the largest weight. L-BFGS and
Newton-CG decide by rounding where a line search or an iteration ends, so they have a network
without hidden layers, whose optimum is the only one, and the whole set for a mini-batch. Newton-CG
is there after 10 steps; what it does then depends on the last digit of the cost, 1e-16, which is
1e-8 of a weight.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import tyro

import jaxnet as jn

NAMES = (
    "sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "amsgrad", "nadam",
    "adamax", "adamw", "lion", "lamb", "adabelief", "radam", "yogi", "sm3", "noisy_sgd", "rprop",
    "schedule_free_sgd", "schedule_free_adam", "muon", "lbfgs", "newton_cg",
)  # fmt: skip
BOUND = 1e-9


@dataclass(frozen=True)
class Config:
    """Settings of the comparison."""

    optimizers: tuple[str, ...] = NAMES
    """Which ones."""
    smoke: bool = False
    """One linear rule and one second-order rule only."""
    results: Path = Path("results/lanes")
    """Where to write results.json."""


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
    options = {"epochs": epochs, "batch_size": 53 if full else 6, "monitor": ()}
    study = jn.sweep(net, data, recipe, seeds=[7], say=None, **options)
    lane, alone = study.run(1, 0).params, study.replay(1, 0, alone=True).params
    pairs = list(zip(jax.tree.leaves(lane), jax.tree.leaves(alone), strict=True))
    largest = max(np.abs(b).max() for _, b in pairs)
    return float(max(np.abs(np.asarray(a) - b).max() for a, b in pairs) / largest)


def main(config: Config) -> None:
    """Compare, print, write."""
    if config.smoke:
        config = replace(config, optimizers=("momentum", "newton_cg"))
    jax.config.update("jax_enable_x64", True)
    rows = {}
    for name in config.optimizers:
        rows[name] = difference(name)
        print(f"{name:20} {rows[name]:.1e}", flush=True)
    config.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"bound": BOUND, "rows": rows}, indent=2)
    (config.results / "results.json").write_text(text + "\n")
    worst = max(rows, key=lambda name: rows[name])
    verdict = "all within" if rows[worst] < BOUND else "not all within"
    print(f"{len(rows)} optimizers, {verdict} {BOUND:g}; the largest: {worst}, {rows[worst]:.1e}.")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
