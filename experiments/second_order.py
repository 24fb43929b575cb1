"""How many gradients' worth of work do Newton-CG and L-BFGS need, against momentum at its best?

    python experiments/second_order.py            # 5 minutes on 2 cores
    python experiments/second_order.py --smoke    # seconds, for the tests

[784, 30, 10] on the first 1,000 training images of MNIST, full batch, no regularization, until the
training cost is 0.01. Work is counted in gradient-equivalents, whatever the machine: a gradient and
an evaluation of a line search are 1, a product with the Hessian or the Gauss–Newton matrix 2. A
Newton step is charged for all the products that it may make, and for two values of the cost.
Momentum gets the η and μ that need the fewest gradients on a seed of its own.

Source of the question: Nielsen, chapter 3, variations on stochastic gradient descent, which leaves
Hessian optimization aside since the Hessian is too large; its products with vectors are not.
"""

from dataclasses import dataclass

import jax
import numpy as np
import optax
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

TARGET = 0.01
NEWTON = 1 + 2 * (10 + 2) + 2  # gradient-equivalents of a step of 10 iterations
one_step = jax.jit(jn.epoch, static_argnames=("net", "batch_size"))


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    rates: tuple[float, ...] = (1.0, 0.5, 0.2, 0.1)
    """Learning rates of momentum to choose from."""
    decays: tuple[float, ...] = (0.95, 0.9, 0.98)
    """Decays of momentum to choose from."""
    seeds: int = 5
    """Seeds of the comparison, from 0 on."""
    budget: int = 5000
    """Gradient-equivalents after which a run is given up."""


def descend(data: jn.Split, optimizer: jn.Optimizer, work, seed: int, budget: float):
    """Rows (gradient-equivalents, training cost) of a run, from the start to the target."""
    net, recipe, key = jn.Network((784, 30, 10)), jn.Recipe(optimizer), jax.random.key(seed)
    state, n, spent = jn.start(net, recipe, key), len(data.x), 0
    rows = [(0, float(jn.evaluate(net, state.params, data).cost))]
    while rows[-1][1] > TARGET and spent < budget:
        state, _ = one_step(net, n, data, np.arange(n), key, recipe, state)
        spent += work(state.opt_state)
        rows.append((spent, float(jn.evaluate(net, state.params, data).cost)))
    return np.array(rows)


def run(config: Config) -> tuple[list[dict], dict]:
    """Tune momentum, then train every contestant from the same seeds."""
    data = jax.device_put(jn.Split(*(array[:1000] for array in jn.datasets.mnist().train)))
    one, newton = lambda state: 1, lambda state: NEWTON
    searched = lambda state: 1 + int(optax.tree.get(state, "info").num_linesearch_steps)
    fewest, best = config.budget, (config.rates[0], config.decays[0])
    for pair in ((rate, decay) for rate in config.rates for decay in config.decays):
        work, cost = descend(data, jn.momentum(*pair), one, 1000, fewest)[-1]
        fewest, best = (work, pair) if cost <= TARGET else (fewest, best)
    contestants = {
        "momentum": (jn.momentum(*best), one),
        "L-BFGS": (jn.lbfgs(), searched),
        "Newton-CG, Gauss–Newton": (jn.newton_cg(iterations=10), newton),
        "Newton-CG, Hessian": (jn.newton_cg(iterations=10, gauss_newton=False), newton),
    }
    curves, took, rows = {}, {}, []
    for name, (optimizer, work) in contestants.items():
        for seed in range(config.seeds):
            curves[f"{name}_{seed}"] = descend(data, optimizer, work, seed, config.budget)
        took[name] = np.array([curves[f"{name}_{k}"][-1, 0] for k in range(config.seeds)])
        rows.append(experiment.measured(name, took[name], unit="", log=True))
    rows[0]["name"] += ", η = {:g}, μ = {:g}".format(*best)
    times = {name: np.log(took["momentum"] / took[name]) for name in list(took)[1:]}
    rows += [
        experiment.compared(f"ln(momentum / {name})", x, 0 * x, "") for name, x in times.items()
    ]
    return rows, curves


def plot(curves: dict) -> Figure:
    """Training cost by work, a line a seed."""
    figure, axes = experiment.panels(width=8, height=4.2)
    names = list(dict.fromkeys(key.rpartition("_")[0] for key in curves))
    for key, curve in curves.items():
        name, _, seed = key.rpartition("_")
        line = experiment.STYLES[names.index(name)] | {"linewidth": 1.3}
        axes.plot(*curve[1:].T, alpha=0.8, label=name if seed == "0" else None, **line)
        axes.plot(*curve[-1:].T, "o", color=line["color"], markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="gradient-equivalents", ylabel="training cost")
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    return figure


if __name__ == "__main__":
    smoke = Config(rates=(0.5,), decays=(0.9,), seeds=2, budget=60)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
