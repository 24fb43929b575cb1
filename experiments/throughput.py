"""How fast does one network train, against scikit-learn at the same shape and batch size?

    python experiments/throughput.py               # about 1 minute on 2 cores
    python experiments/throughput.py --features    # what dropout, shifts … cost: 2 minutes
    python experiments/throughput.py --smoke       # seconds, for the tests

[784, 30, 10], mini-batches of 10, plain SGD on the shipped MNIST. The contestants take turns, an
epoch each, so that a machine that slows down slows all of them: read the ratios, not the seconds.
scikit-learn is `MLPClassifier.partial_fit`, one pass over the data in mini-batches, as its
documentation has it. Operations are counted as 4·784·30 + 6·30·10 an example: a product forwards
and one for each gradient, none for the gradient with respect to pixels.
"""

import json
import platform
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.neural_network import MLPClassifier

import jaxnet as jn


@dataclass(frozen=True)
class Config:
    """Settings of the measurement."""

    rounds: int = 9
    """How often each contestant takes its turn; the medians count."""
    examples: int = 50_000
    """Training examples."""
    hidden: int = 30
    """Hidden units."""
    batch_size: int = 10
    """Examples per mini-batch."""
    features: bool = False
    """Measure parts of a recipe against the bare epoch instead."""
    smoke: bool = False
    """Two rounds of 500 examples: does it run?"""
    results: Path = Path("results/throughput")
    """Where to write results.json."""


def features(config: Config) -> dict:
    """A function for each part of a recipe that trains one epoch with it."""
    whole = jn.datasets.mnist()
    train = jn.Split(whole.train.x[: config.examples], whole.train.y[: config.examples])
    net = jn.Network((784, config.hidden, 10))
    data = jax.device_put(jn.Dataset(train, whole.valid))

    def trained(monitor=(), monitors=None, **parts):
        recipe = jn.Recipe(jn.sgd(0.5), l2=5.0, **parts)
        options = {"epochs": 1, "batch_size": config.batch_size, "monitor": monitor}
        return lambda: jn.train(net, data, recipe, monitors=monitors, **options)

    curves = ("evaluation", "training")
    return {
        "bare": trained(),
        "dropout": trained(dropout=0.5),
        "dropout, of inputs too": trained(dropout=0.5, input_dropout=0.2),
        "shifts by a pixel": trained(augmentation=jn.Augmentation(shift=1)),
        "max-norm": trained(max_norm=3.0),
        "label smoothing": trained(label_smoothing=0.1),
        "cosine schedule": trained(schedule=jn.schedules.cosine(30)),
        "halving": trained(("evaluation",), stopping=jn.stopping.halving(10)),
        "four curves": trained(curves),
        "four curves, all monitors": trained(curves, jn.Monitors()),
        "all monitors, every 50 mini-batches": trained((), jn.Monitors(every=50)),
    }


def contestants(config: Config) -> dict:
    """A function for each contestant that trains one epoch (or multiplies two matrices)."""
    whole = jn.datasets.mnist()
    train = jn.Split(whole.train.x[: config.examples], whole.train.y[: config.examples])
    net = jn.Network((784, config.hidden, 10))
    recipe = jn.Recipe(jn.sgd(0.5), l2=5.0)
    data = jax.device_put(jn.Dataset(train, whole.valid))
    key = jax.random.key(0)

    def trained(monitor):
        options = {"epochs": 1, "batch_size": config.batch_size, "monitor": monitor}
        return lambda: jn.train(net, data, recipe, **options)

    peer = MLPClassifier(
        (config.hidden,), "logistic", solver="sgd", batch_size=config.batch_size,  # pyright: ignore[reportArgumentType]
        learning_rate_init=0.5, momentum=0.0, alpha=5.0 * config.batch_size / config.examples,
    )  # fmt: skip
    xs = train.x / np.float32(255)
    square = jax.random.normal(key, (2048, 2048))
    product = jax.jit(jnp.dot)
    return {
        "matrix product, 2048²": lambda: product(square, square).block_until_ready(),
        "jaxnet": trained(()),
        "jaxnet, with its monitors": trained(("evaluation", "training")),
        "scikit-learn": lambda: peer.partial_fit(xs, train.y, classes=np.arange(10)),
    }


def medians(turns: dict, rounds: int) -> dict[str, float]:
    """Median seconds of each, taking turns, after one turn to warm up."""
    times = {name: [] for name in turns}
    for round_number in range(rounds + 1):
        for name, turn in turns.items():
            began = time.perf_counter()
            turn()
            if round_number:
                times[name].append(time.perf_counter() - began)
    return {name: float(np.median(some)) for name, some in times.items()}


def described(config: Config) -> dict:
    """The settings and the machine."""
    return {
        "config": asdict(config) | {"results": str(config.results)},
        "versions": {"jax": jax.__version__, "python": platform.python_version()},
        "device": jax.devices()[0].device_kind,
    }


def run_features(config: Config) -> dict:
    """What each part of a recipe costs over the bare epoch."""
    turns = features(config)
    if config.smoke:
        turns = {name: turns[name] for name in ("bare", "dropout", "four curves, all monitors")}
    seconds = medians(turns, config.rounds)
    rows = {
        name: {"seconds": some, "of_bare": some / seconds["bare"]} for name, some in seconds.items()
    }
    return described(config) | {"rows": rows}


def run(config: Config) -> dict:
    """What each contestant takes, and what part of the matrix-product rate it makes use of."""
    turns = contestants(config)
    seconds = medians(turns, config.rounds)
    operations = config.examples * (4 * 784 * config.hidden + 6 * config.hidden * 10)
    rate = 2 * 2048**3 / seconds["matrix product, 2048²"]
    rows = {
        name: {
            "seconds": seconds[name],
            "of_jaxnet": seconds[name] / seconds["jaxnet"],
            "of_matrix_product_rate": operations / seconds[name] / rate,
        }
        for name in turns
        if "matrix" not in name
    }
    return described(config) | {"gflops_matrix_product": rate / 1e9, "rows": rows}


def main(config: Config) -> None:
    """Measure, print, write."""
    if config.smoke:
        config = replace(config, rounds=2, examples=500)
    title = f"One epoch of [784, {config.hidden}, 10], batch {config.batch_size}"
    if config.features:
        results, file = run_features(config), "features.json"
        headings, keys = ("", "seconds", "over bare"), ("of_bare",)
    else:
        results, file = run(config), "results.json"
        title += f"; a 2048² matrix product runs at {results['gflops_matrix_product']:.0f} GFLOP/s"
        headings = ("", "seconds", "relative", "of matrix product")
        keys = ("of_jaxnet", "of_matrix_product_rate")
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    form = {"of_bare": "{:.2f}", "of_jaxnet": "{:.2f}", "of_matrix_product_rate": "{:.1%}"}
    for name, row in results["rows"].items():
        cells = [form[key].format(row[key]) for key in keys]
        table.add_row(name, f"{row['seconds']:.3f}", *cells)
    Console().print(table)
    config.results.mkdir(parents=True, exist_ok=True)
    (config.results / file).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
