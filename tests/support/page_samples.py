"""Small runs and studies for the tests of pages; the runs are made up instead of trained."""

from pathlib import Path

import jax
import numpy as np

import jaxnet as jn

COMPARISON = Path(__file__).parents[1] / "data" / "version_0_2_0" / "comparison"


def run_of(net, data, ending="done", best_epoch=2):
    """A run of three epochs whose curves are made up and whose parameters are the initial ones."""
    params = jn.init(net, jax.random.key(0))
    falling = np.array([0.9, 0.5, 0.4])
    is_classifier = np.asarray(data.train.y).dtype.kind in "iu"
    accuracy = np.array([0.6, 0.9, 0.85]) if is_classifier else np.full(3, np.nan)
    history = jn.History(
        falling + 1, accuracy, falling + 0.2, accuracy, falling + 0.1, falling,
        metrics={"evaluation_f1": accuracy} if is_classifier else {},
    )  # fmt: skip
    return jn.Run(
        network=net, recipe=jn.Recipe(jn.sgd(0.5), l2=5.0), epochs=3, batch_size=10, seed=0,
        params=params, history=history, best_epoch=best_epoch, best_params=params, ending=ending,
        stopped=None if ending == "done" else "training diverged in epoch 3.",
        monitors={"step": np.arange(3), "dead": np.full((3, 2), 0.1)},
    )  # fmt: skip


def images():
    """A run on images of 8 × 8 pixels, and its data."""
    random = np.random.default_rng(0)
    splits = [jn.Split(random.random((60, 64)), random.integers(0, 5, 60)) for _ in range(3)]
    data = jn.Dataset(*splits)
    return run_of(jn.Network((64, 12, 5), cost=jn.costs.LogLikelihood()), data), data


def table(target="<b>ill</b>"):
    """A run on a table with gaps, a category, and either classes or numbers to predict."""
    random = np.random.default_rng(1)
    n = 80
    columns = {
        "age": [None if k % 9 == 0 else float(k) for k in range(n)],
        "town": ["Zug" if k % 3 else "Bern & more" for k in range(n)],
        "<b>ill</b>": ["yes <i>" if k % 2 else "no" for k in range(n)],
        "price": list(1000.0 + 50 * random.normal(size=n)),
    }
    others = {name: cells for name, cells in columns.items() if name in ("age", "town", target)}
    data = jn.datasets.table(others, target, test=0.3)
    cost = jn.costs.Quadratic(jn.activations.linear) if target == "price" else None
    net = jn.Network((data.n_inputs, 6, data.n_outputs), cost=cost or jn.costs.LogLikelihood())
    return run_of(net, data), data


def study(folder, n=4):
    """A study of n learning rates, two penalties and two seeds."""
    recipe = jn.grid(
        jn.Recipe(jn.sgd()), learning_rate=np.geomspace(0.01, 1, n), l2=[0.0, 1.0]
    )  # fmt: skip
    return jn.sweep(
        jn.Network((2, 3, 2)), jn.datasets.xor(n=20), recipe, seeds=2, epochs=2, folder=folder,
        log=None,
    )  # fmt: skip
