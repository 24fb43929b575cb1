"""How many gradients' worth of work do Newton-CG and L-BFGS need, against momentum at its best?

    python experiments/second_order.py            # 8 minutes on 2 cores
    python experiments/second_order.py --smoke    # seconds, for the tests

[784, 30, 10] on the first 1,000 training images of MNIST, full batch, no regularization, until the
training cost is 0.01. Work is counted in gradient-equivalents, so that neither the machine nor the
dispatch of small programs decides: a gradient is 1, a product with the Hessian or the Gauss–Newton
matrix 2, an evaluation of a line search 1. A Newton step is charged for all the products that it
may make (conjugate gradients may have ended earlier) and for two values of the cost. Momentum gets
the learning rate and the decay that need the fewest gradients on a seed of its own.

Source of the question: Nielsen, chapter 3, variations on stochastic gradient descent, which leaves
Hessian optimization aside since the Hessian is too large; its products with vectors are not.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax
import tyro
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

import jaxnet as jn

COLORS = {"momentum": "#7aa6c2", "L-BFGS": "#4f6d3a", "Newton-CG, Gauss–Newton": "#b3402a",
          "Newton-CG, Hessian": "#d9a08c"}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Settings of the experiment."""

    rates: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    """Learning rates of momentum to choose from."""
    decays: tuple[float, ...] = (0.9, 0.95, 0.98)
    """Decays of momentum to choose from."""
    seeds: int = 5
    """Seeds of the comparison, from 0 on."""
    budget: int = 5000
    """Gradient-equivalents after which a run is given up."""
    target: float = 0.01
    """Training cost to reach."""
    examples: int = 1000
    """Training images, the first of MNIST."""
    iterations: int = 10
    """Conjugate-gradient iterations of a Newton step, at most."""
    smoke: bool = False
    """One rate, two seeds, 60 gradient-equivalents: does it run?"""
    plot_only: bool = False
    """Draw the picture anew from the results that are there."""
    results: Path = Path("results/second_order")
    """Where to write results.json, curves.npz and second_order.png."""


def descend(
    config: Config, data: jn.Split, optimizer: jn.Optimizer, work: Callable, seed: int
) -> np.ndarray:
    """Rows (gradient-equivalents, training cost) of a run, from the start to the target."""
    net, recipe, key = jn.Network((784, 30, 10)), jn.Recipe(optimizer), jax.random.key(seed)
    n = len(data.x)
    state = jn.start(net, recipe, key)
    spent, rows = 0, [(0, float(jn.evaluate(net, state.params, data).cost))]
    while rows[-1][1] > config.target and spent < config.budget:
        state, _ = one_step(net, n, data, np.arange(n), key, recipe, state)
        spent += work(state.opt_state)
        rows.append((spent, float(jn.evaluate(net, state.params, data).cost)))
    return np.array(rows)


one_step = jax.jit(jn.epoch, static_argnames=("net", "batch_size"))


def reached(config: Config, curve: np.ndarray) -> float:
    """The work that the target took; infinite if it was not reached."""
    return float(curve[-1, 0]) if curve[-1, 1] <= config.target else float("inf")


def run(config: Config) -> tuple[dict, dict]:
    """Tune momentum, then train every contestant from the same seeds."""
    train = jn.datasets.mnist().train
    data = jax.device_put(jn.Split(train.x[: config.examples], train.y[: config.examples]))
    one = lambda state: 1
    grid = {
        (rate, decay): reached(config, descend(config, data, jn.momentum(rate, decay), one, 1000))
        for rate in config.rates
        for decay in config.decays
    }
    rate, decay = min(grid, key=lambda pair: grid[pair])
    newton = lambda state: 1 + 2 * (config.iterations + 2) + 2
    newton_cg = partial(jn.newton_cg, iterations=config.iterations)
    contestants = {
        "momentum": (jn.momentum(rate, decay), one),
        "L-BFGS": (
            jn.lbfgs(),
            lambda state: 1 + int(optax.tree.get(state, "info").num_linesearch_steps),
        ),
        "Newton-CG, Gauss–Newton": (newton_cg(), newton),
        "Newton-CG, Hessian": (newton_cg(gauss_newton=False), newton),
    }
    curves, rows = {}, []
    for name, (optimizer, work) in contestants.items():
        found = [descend(config, data, optimizer, work, seed) for seed in range(config.seeds)]
        curves |= {f"{name}_{seed}": curve for seed, curve in enumerate(found)}
        work_done = np.array([reached(config, curve) for curve in found])
        rows.append({
            "name": name, "optimizer": repr(optimizer), "published": None,
            "mean": float(work_done.mean()), "low": float(work_done.min()),
            "high": float(work_done.max()), "n_seeds": config.seeds, "verdict": "",
        })  # fmt: skip
    for row in rows[1:]:
        row["verdict"] = "fewer than momentum" if row["high"] < rows[0]["low"] else ""
    for row in rows:  # JSON knows no infinity: a run that did not get there has no number
        row |= {key: None for key in ("mean", "low", "high") if np.isinf(row[key])}
    settings = asdict(config) | {"results": str(config.results)}
    tuning = [
        {"learning_rate": r, "decay": d, "work": None if np.isinf(w) else w}
        for (r, d), w in grid.items()
    ]
    return {"config": settings, "jax": jax.__version__, "tuning": tuning, "rows": rows}, curves


def plot(config: Config, curves: dict) -> Figure:
    """Training cost by work, a line a seed."""
    figure = Figure(figsize=(8, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    for name, color in COLORS.items():
        mine = [curve for key, curve in curves.items() if key.rpartition("_")[0] == name]
        for index, curve in enumerate(mine):
            shown = curve[1:]
            axes.plot(*shown.T, color=color, linewidth=1.3, alpha=0.8,
                      label=None if index else name)  # fmt: skip
            axes.plot(*shown[-1:].T, "o", color=color, markersize=4)
    axes.axhline(config.target, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="gradient-equivalents", ylabel="training cost")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def main(config: Config) -> None:
    """Run, print, write, draw."""
    if config.smoke:
        config = Config((0.5,), (0.9,), 2, 60, 0.01, 200, smoke=True, results=config.results)
    config.results.mkdir(parents=True, exist_ok=True)
    if not config.plot_only:
        results, curves = run(config)
        (config.results / "results.json").write_text(json.dumps(results, indent=2) + "\n")
        np.savez(config.results / "curves.npz", **curves)
    results = json.loads((config.results / "results.json").read_text())
    title = f"Gradient-equivalents to a training cost of {config.target:g}, by seed"
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    for column in ("", "fewest", "mean", "most", ""):
        table.add_column(column, justify="right" if column else "left")
    for r in results["rows"]:
        numbers = [
            f"> {config.budget}" if r[key] is None else f"{r[key]:.0f}"
            for key in ("low", "mean", "high")
        ]
        table.add_row(r["name"], *numbers, r["verdict"])
    Console().print(table)
    figure = plot(config, dict(np.load(config.results / "curves.npz")))
    figure.savefig(config.results / "second_order.png")
    print(f"Written to {config.results}/")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
