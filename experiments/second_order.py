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

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
import optax
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

TARGET = 0.01
"""The training cost at which a run ends."""
NEWTON_ITERATIONS = 10
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


WorkFunction = Callable[[optax.OptState], int]
"""The gradient-equivalents of a step, from the optimizer's state after it."""


def gradient_work(opt_state: optax.OptState) -> int:
    """A step of momentum: a gradient."""
    return 1


def line_search_work(opt_state: optax.OptState) -> int:
    """A step of L-BFGS: a gradient, and the evaluations of its line search."""
    return 1 + int(optax.tree.get(opt_state, "info").num_linesearch_steps)


def newton_work(opt_state: optax.OptState) -> int:
    """A step of Newton-CG: a gradient, all products that it may make, two values of the cost."""
    return 1 + 2 * (NEWTON_ITERATIONS + 2) + 2


def descend(
    data: jn.Split, optimizer: jn.Optimizer, work: WorkFunction, seed: int, budget: float
) -> np.ndarray:
    """Train to the target, or until the budget is spent: (step, [work so far, training cost])."""
    net, recipe, key = jn.Network((784, 30, 10)), jn.Recipe(optimizer), jax.random.key(seed)
    n_examples = len(data.x)
    state = jn.start(net, recipe, key)
    spent, cost = 0, float(jn.evaluate(net, state.params, data).cost)
    curve = [(spent, cost)]
    while cost > TARGET and spent < budget:
        state, _ = one_step(net, n_examples, data, np.arange(n_examples), key, recipe, state)
        spent += work(state.opt_state)
        cost = float(jn.evaluate(net, state.params, data).cost)
        curve.append((spent, cost))
    return np.array(curve)


def tune_momentum(config: Config, data: jn.Split) -> tuple[float, float]:
    """The η and μ that reach the target with the fewest gradients."""
    fewest = config.budget
    best = config.rates[0], config.decays[0]
    for rate in config.rates:
        for decay in config.decays:
            curve = descend(data, jn.momentum(rate, decay), gradient_work, 1000, fewest)
            spent, cost = curve[-1]
            if cost <= TARGET:
                fewest, best = spent, (rate, decay)
    return best


def run(config: Config) -> tuple[list[dict], dict]:
    """Tune momentum, then train with every optimizer from the same seeds."""
    train = jn.datasets.mnist().train
    data = jax.device_put(jn.Split(train.x[:1000], train.y[:1000]))
    rate, decay = tune_momentum(config, data)
    gauss_newton = jn.newton_cg(iterations=NEWTON_ITERATIONS)
    hessian = jn.newton_cg(iterations=NEWTON_ITERATIONS, gauss_newton=False)
    contestants = {
        "momentum": (jn.momentum(rate, decay), gradient_work),
        "L-BFGS": (jn.lbfgs(), line_search_work),
        "Newton-CG, Gauss–Newton": (gauss_newton, newton_work),
        "Newton-CG, Hessian": (hessian, newton_work),
    }
    curves, spent, rows = {}, {}, []
    for name, (optimizer, work) in contestants.items():
        for seed in range(config.seeds):
            curves[f"{name}_{seed}"] = descend(data, optimizer, work, seed, config.budget)
        spent[name] = np.array([curves[f"{name}_{seed}"][-1, 0] for seed in range(config.seeds)])
        label = f"{name}, η = {rate:g}, μ = {decay:g}" if name == "momentum" else name
        rows.append(experiment.estimate_row(label, spent[name], unit="", log=True))
    for name in list(contestants)[1:]:
        log_ratio = np.log(spent["momentum"] / spent[name])
        row = experiment.difference_row(
            f"ln(momentum / {name})", log_ratio, np.zeros(config.seeds), unit=""
        )
        rows.append(row)
    return rows, curves


def plot(curves: dict) -> Figure:
    """Training cost by work, a line a seed."""
    figure, (axes,) = experiment.panels(width=8, height=4.2)
    styles = {}  # by name of the optimizer
    for key, curve in curves.items():
        name, _, seed = key.rpartition("_")
        style = styles.setdefault(name, experiment.line_style(len(styles)))
        spent, cost = curve.T
        label = name if seed == "0" else None
        axes.plot(
            spent[1:], cost[1:], alpha=0.8, label=label,
            color=style["color"], linestyle=style["linestyle"], linewidth=1.3,
        )  # fmt: skip
        axes.plot(spent[-1:], cost[-1:], "o", color=style["color"], markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="gradient-equivalents", ylabel="training cost")
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    return figure


if __name__ == "__main__":
    smoke = Config(rates=(0.5,), decays=(0.9,), seeds=2, budget=60)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
