"""How fast do networks train: alone, in sweeps, and in other libraries?

    python experiments/throughput.py               # 4 minutes on 2 cores, alone
    python experiments/throughput.py --features    # what dropout, weights … cost: a minute
    python experiments/throughput.py --folds       # five folds against five seeds: 3 minutes
    python experiments/throughput.py --smoke       # seconds, for the tests
    python experiments/throughput.py --plot-only   # draws the picture again

On the shipped MNIST. The contestants take turns, so that a machine that slows down slows all of
them: read the ratios, not the seconds. A time is that of an epoch of 50,000 examples, for one
network of those that are trained together. Operations are counted as 4·n_in·n_1 for the first layer
and 6·n_in·n_out for each other, an example: a product forwards and one for each gradient, none for
that of pixels; no padding. Their rate is a fraction of that of a product of 2048² matrices.

Peers, where they are installed: scikit-learn's `partial_fit`; PyTorch's loop of zero_grad, backward
and step; Flax NNX and Equinox with a jitted train step; mini-batches in NumPy; and in JAX by hand
an expert's `scan` over an epoch, its gather and shuffle included, and a `vmap` of that over
learning rates with one order for all.

Why the sweeps are fast, and what was tried without success: docs/why_sweeps_are_fast.md.
"""

import importlib.util
import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

import jaxnet as jn
from jaxnet.reporting import experiment


@dataclass(frozen=True)
class Config:
    """Settings of the measurement."""

    rounds: int = 3
    """How often each contestant takes its turn; the medians count."""
    examples: int = 50_000
    """Training examples of a turn; sweeps of more than 64 lanes have as few as a fifth."""
    most: int = 1024
    """Lanes of the largest sweep."""
    features: bool = False
    """Measure parts of a recipe against the bare epoch instead."""
    folds: bool = False
    """Measure five folds of 64 recipes against five seeds instead."""
    smoke: bool = False
    """A round of few examples and few contestants on one core: does it run?"""
    plot_only: bool = False
    """Draw the picture from results.json."""
    results: Path = Path("results/throughput")
    """Where to write results.json and throughput.png."""


@dataclass(frozen=True)
class Contestant:
    """Something that trains networks."""

    turn: Callable[[], object]
    """Trains them for an epoch."""
    net: jn.Network
    """The architecture."""
    examples: int
    """Training examples of an epoch."""
    networks: int = 1
    """How many networks a turn trains."""


BOOK = jn.Network((784, 30, 10))
WIDE = jn.Network((784, 128, 10))
DEEP = jn.Network((784, 512, 512, 10))
RULES = {"SGD": jn.sgd, "momentum": jn.momentum, "Adam": jn.adam}
RED, BLUE, GREY = "#b3402a", "#7aa6c2", "#9a9a9a"


def first_examples(n: int) -> jn.Split:
    """The first n training examples of MNIST."""
    train = jn.datasets.mnist().train
    return jn.Split(train.x[:n], train.y[:n])


def one_sweep(
    n: int, rule: str, recipes: int, seeds: int = 1, net: jn.Network = BOOK, batch_size: int = 10
) -> Contestant:
    """A sweep over learning rates and seeds, an epoch of n examples, without evaluation."""
    rates = np.geomspace(0.01, 0.1, recipes) * (0.1 if rule == "Adam" else 1.0)
    data, recipe = jn.Dataset(first_examples(n)), jn.Recipe(RULES[rule](rates))

    def turn():
        return jn.sweep(
            net, data, recipe, seeds=seeds, epochs=1, batch_size=batch_size, evaluate_on=(),
            log=None,
        )  # fmt: skip

    return Contestant(turn, net, n, recipes * seeds)


def sweeps(config: Config) -> dict[str, Contestant]:
    """Sweeps of every form, size, rule and shape."""
    n = config.examples
    contestants = {}
    rules = ["SGD"] if config.smoke else list(RULES)
    for rule in rules:
        for lanes in (8, 64, 256, 1024, 4096):
            if lanes <= config.most and (rule == "SGD" or lanes <= 256):
                fewer = max(n // 5, n * 64 // max(64, lanes))
                contestants[f"{rule}, {lanes} recipes × 1 seed"] = one_sweep(fewer, rule, lanes)
    contestants["SGD, 1 recipe × 64 seeds"] = one_sweep(n, "SGD", 1, 64)
    if config.smoke:
        return contestants
    contestants["SGD, 8 recipes × 8 seeds"] = one_sweep(n, "SGD", 8, 8)
    contestants["Adam, 8 recipes × 8 seeds"] = one_sweep(n, "Adam", 8, 8)
    contestants["SGD, 64 recipes × 1 seed, in two processes"] = sweep_in_processes(n)
    for rule in ("SGD", "Adam"):
        name = f"{rule}, [784, 128, 10], batch 128, 64 × 1"
        contestants[name] = one_sweep(n // 5, rule, 64, 1, WIDE, 128)
        name = f"{rule}, [784, 512, 512, 10], batch 128, 8 × 1"
        contestants[name] = one_sweep(n // 10, rule, 8, 1, DEEP, 128)
    return contestants


def sweep_in_processes(n: int) -> Contestant:
    """The sweep of 64 recipes, shared by two processes of one device, and one of XLA's threads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    # Each process trains when it receives a line, and then says that it is done.
    script = (
        "import sys, jax; jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]));"
        "import throughput; turn = throughput.one_sweep(int(sys.argv[3]), 'SGD', 64).turn;"
        "[turn() and print('done', flush=True) for _ in sys.stdin]"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, address, str(process), str(n)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent,
            env=os.environ | {"NPROC": "1"},
        )
        for process in range(2)
    ]  # fmt: skip

    def turn() -> None:
        for process in processes:
            print(file=process.stdin, flush=True)
        for process in processes:
            if "done\n" not in iter(process.stdout.readline, ""):  # pyright: ignore
                raise RuntimeError("a process of the sweep in two processes has ended.")

    return Contestant(turn, BOOK, n, 64)


def single_networks(config: Config) -> dict[str, Contestant]:
    """jaxnet's `train`, and what an expert would write in JAX: one network, and a `vmap` of it."""
    n = config.examples
    train = first_examples(n)
    data = jax.device_put(jn.Dataset(train))
    recipe = jn.Recipe(jn.sgd(0.5))

    def turn():
        return jn.train(BOOK, data, recipe, epochs=1, batch_size=10, evaluate_on=())

    scan = by_hand(train, None)
    vmapped = by_hand(train, jnp.geomspace(0.01, 0.1, 64))
    return {
        "jaxnet, train": Contestant(turn, BOOK, n),
        "JAX by hand, scan": Contestant(scan, BOOK, n),
        "JAX by hand, vmap of the scan, 64": Contestant(vmapped, BOOK, n, 64),
    }


def by_hand(data: jn.Split, rates: jax.Array | None) -> Callable[[], object]:
    """An epoch as one jitted `scan`, or a `vmap` of it over learning rates, one order for all."""
    xs, labels = jnp.asarray(data.x, jnp.float32) / 255, jax.nn.one_hot(data.y, 10)
    first_key, second_key = jax.random.split(jax.random.key(0), 2)

    def layer(key, n_in, n_out):
        return jax.random.normal(key, (n_in, n_out)) / n_in**0.5, jnp.zeros(n_out)

    params = [layer(first_key, 784, 30), layer(second_key, 30, 10)]

    def cost(params, x, y):
        (w1, b1), (w2, b2) = params
        z = jax.nn.sigmoid(x @ w1 + b1) @ w2 + b2
        return jnp.mean(jnp.sum(jnp.logaddexp(0, z) - y * z, axis=1))

    def epoch(params, rate, xs, ys, order):
        def step(params, rows):
            grads = jax.grad(cost)(params, xs[rows], ys[rows])
            return jax.tree.map(lambda p, g: p - rate * g, params, grads), None

        return jax.lax.scan(step, params, order.reshape(-1, 10))[0]

    @jax.jit
    def run(params, rate, xs, ys, key):
        order = jax.random.permutation(key, len(xs))
        train = epoch if rates is None else jax.vmap(epoch, (None, 0, None, None, None))
        return train(params, rate, xs, ys, order)

    rate = jnp.float32(0.5) if rates is None else rates
    return lambda: jax.block_until_ready(run(params, rate, xs, labels, first_key))


def peers(config: Config) -> dict[str, Contestant]:
    """Other libraries, as their documentation writes a training loop."""
    n = config.examples
    train = first_examples(n)
    xs, ys = train.x / np.float32(255), train.y.astype(np.int64)
    contestants = {"NumPy, mini-batches": Contestant(in_numpy(xs, ys), BOOK, n)}
    for module, name, make_turn in (
        ("sklearn", "scikit-learn", in_sklearn),
        ("torch", "PyTorch", in_torch),
        ("flax", "Flax NNX", in_flax),
        ("equinox", "Equinox", in_equinox),
    ):
        if importlib.util.find_spec(module):
            contestants[name] = Contestant(make_turn(xs, ys), BOOK, n)
    return contestants


def batches(n: int):
    """A shuffled epoch's mini-batches of 10."""
    return np.random.default_rng(0).permutation(n).reshape(-1, 10)


def in_numpy(xs, ys):
    """One matrix product for each mini-batch and layer."""
    random = np.random.default_rng(0)
    targets = np.eye(10, dtype=np.float32)[ys]
    w1 = (random.normal(size=(784, 30)) / 28).astype(np.float32)
    w2 = (random.normal(size=(30, 10)) / 5.5).astype(np.float32)
    b1, b2 = np.zeros(30, np.float32), np.zeros(10, np.float32)
    rate = np.float32(0.05)

    def turn():
        for rows in batches(len(xs)):
            x, y = xs[rows], targets[rows]
            a1 = 1 / (1 + np.exp(-(x @ w1 + b1)))
            a2 = 1 / (1 + np.exp(-(a1 @ w2 + b2)))
            d2 = a2 - y
            d1 = d2 @ w2.T * a1 * (1 - a1)
            grads = (x.T @ d1, d1.sum(0), a1.T @ d2, d2.sum(0))
            for parameter, grad in zip((w1, b1, w2, b2), grads):
                parameter -= rate * grad

    return turn


def in_sklearn(xs, ys):
    """`MLPClassifier.partial_fit`, one pass over the data."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((30,), "logistic", solver="sgd", batch_size=10, momentum=0.0)  # pyright: ignore[reportArgumentType]
    return lambda: model.partial_fit(xs, ys, classes=np.arange(10))


def in_torch(xs, ys):
    """The tutorial's loop."""
    import torch  # pyright: ignore[reportMissingImports]

    layers = (torch.nn.Linear(784, 30), torch.nn.Sigmoid(), torch.nn.Linear(30, 10))
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    cost = torch.nn.CrossEntropyLoss()
    x_all, y_all = torch.from_numpy(xs), torch.from_numpy(ys)

    def turn():
        for rows in torch.from_numpy(batches(len(xs))):
            optimizer.zero_grad()
            cost(model(x_all[rows]), y_all[rows]).backward()
            optimizer.step()

    return turn


def in_flax(xs, ys):
    """Flax NNX: a module, `nnx.Optimizer`, a jitted train step."""
    import optax
    from flax import nnx  # pyright: ignore[reportMissingImports]

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(784, 30, rngs=rngs)
            self.second = nnx.Linear(30, 10, rngs=rngs)

        def __call__(self, x):
            return self.second(nnx.sigmoid(self.first(x)))

    model = Model(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.5), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, x, y):
        def cost(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        optimizer.update(model, nnx.grad(cost)(model))

    def turn():
        for rows in batches(len(xs)):
            step(model, optimizer, xs[rows], ys[rows])
        jax.block_until_ready(nnx.state(model))

    return turn


def in_equinox(xs, ys):
    """Equinox: `eqx.nn.MLP`, `filter_grad`, a jitted step."""
    import equinox as eqx  # pyright: ignore[reportMissingImports]
    import optax

    model = eqx.nn.MLP(784, 10, 30, 1, jax.nn.sigmoid, key=jax.random.key(0))
    rule = optax.sgd(0.5)
    opt_state = rule.init(eqx.filter(model, eqx.is_array))

    @eqx.filter_jit
    def step(model, opt_state, x, y):
        def cost(model):
            logits = jax.vmap(model)(x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        updates, opt_state = rule.update(eqx.filter_grad(cost)(model), opt_state)
        return eqx.apply_updates(model, updates), opt_state

    def turn():
        nonlocal model, opt_state
        for rows in batches(len(xs)):
            model, opt_state = step(model, opt_state, xs[rows], ys[rows])  # pyright: ignore
        jax.block_until_ready(jax.tree.leaves(eqx.filter(model, eqx.is_array)))

    return turn


def features(config: Config) -> dict[str, Contestant]:
    """One epoch of `train` with each part of a recipe."""
    n = config.examples
    data = jax.device_put(jn.Dataset(first_examples(n), jn.datasets.mnist().valid))
    random = np.random.default_rng(0)
    weighted = data._replace(train=data.train._replace(weight=random.uniform(0.5, 1.5, n)))
    half = tuple(
        jn.Layer(random.random((n_in, n_out)) < 0.5, np.ones(n_out, bool))
        for n_in, n_out in zip(BOOK.sizes, BOOK.sizes[1:])
    )

    def with_parts(evaluate_on=(), data=data, monitors=None, **parts) -> Contestant:
        options = {name: parts.pop(name) for name in ("trainable", "metrics") if name in parts}
        recipe = jn.Recipe(jn.sgd(0.5), l2=5.0, **parts)

        def turn():
            return jn.train(
                BOOK, data, recipe, epochs=1, batch_size=10, evaluate_on=evaluate_on,
                monitors=monitors, **options,
            )  # fmt: skip

        return Contestant(turn, BOOK, n)

    curves = ("validation", "training")
    several = {"f1": jn.metrics.f1, "auc": jn.metrics.roc_auc, "top_3": jn.metrics.TopK(3)}
    contestants = {
        "bare": with_parts(),
        "dropout": with_parts(dropout=0.5),
        "four curves, all monitors": with_parts(curves, monitors=jn.Monitors()),
        "example weights": with_parts(data=weighted),
        "half the weights frozen": with_parts(trainable=half),
        "validation": with_parts(("validation",)),
        "F1, AUC and top 3, too": with_parts(("validation",), metrics=several),
    }
    if config.smoke:
        return contestants
    return contestants | {
        "dropout, of inputs too": with_parts(dropout=0.5, input_dropout=0.2),
        "shifts by a pixel": with_parts(augmentation=jn.Augmentation(shift=1)),
        "max-norm": with_parts(max_norm=3.0),
        "label smoothing": with_parts(label_smoothing=0.1),
        "cosine schedule": with_parts(schedule=jn.schedules.cosine(30)),
        "halving": with_parts(("validation",), stopping=jn.stopping.reduce_on_plateau(10)),
        "four curves": with_parts(curves),
        "all monitors, every 50 mini-batches": with_parts(monitors=jn.Monitors(every=50)),
    }


def folds(config: Config) -> dict[str, Contestant]:
    """Recipes × five seeds, and × five folds of as many examples, trained and evaluated."""
    n_valid = config.examples // 25
    n_train, examples = 4 * n_valid, first_examples(5 * n_valid)
    data = jn.Dataset(examples.take(slice(n_train)), examples.take(slice(n_train, None)))
    recipes = jn.Recipe(jn.sgd(np.geomspace(0.01, 0.1, 2 if config.smoke else 64)))
    options = {"epochs": 1, "batch_size": 10, "log": None}

    def seeds_turn():
        return jn.sweep(BOOK, data, recipes, seeds=5, evaluate_on=("validation",), **options)

    def folds_turn():
        return jn.sweep(
            BOOK, jn.Dataset(examples), recipes, resample=jn.resampling.k_fold(5),
            evaluate_on=("test",), **options,
        )  # fmt: skip

    networks = 5 * len(recipes)
    return {
        "five seeds": Contestant(seeds_turn, BOOK, n_train, networks),
        "five folds": Contestant(folds_turn, BOOK, n_train, networks),
    }


def time_turns(turns: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each turn of each function: they take turns, after one turn to warm up."""
    seconds = {name: [] for name in turns}
    for round_number in range(rounds + 1):
        for name, turn in turns.items():
            began = time.perf_counter()
            turn()
            if round_number > 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def operations(net: jn.Network) -> int:
    """Useful operations to train one example."""
    pairs = list(zip(net.sizes, net.sizes[1:]))
    n_in, n_1 = pairs[0]
    return sum(6 * a * b for a, b in pairs) - 2 * n_in * n_1  # pixels need no gradient


def row_of(name: str, contestant: Contestant, seconds: list[float], product_rate: float) -> dict:
    """A contestant's seconds for an epoch and network, and its part of the product's rate."""
    per_example = np.array(seconds) / contestant.networks / contestant.examples
    epoch = 50_000 * per_example
    median = float(np.median(epoch))
    share = 50_000 * operations(contestant.net) / median / product_rate
    row = experiment.make_row(
        f"{name}: seconds an epoch",
        experiment.Summary(mean=median, low=epoch.min(), high=epoch.max()),
        len(epoch),
        f"{share:.1%} of the matrix product's rate",
    )
    row["contestant"] = name
    row["networks"] = contestant.networks
    row["of_matrix_product_rate"] = share
    return row


def run(config: Config) -> dict:
    """Let the contestants take turns with a matrix product; the content of results.json."""
    if config.features:
        contestants = features(config)
    elif config.folds:
        contestants = folds(config)
    else:
        contestants = single_networks(config) | sweeps(config) | peers(config)
    square = jax.random.normal(jax.random.key(0), (2048, 2048))
    product = jax.jit(jnp.dot)
    turns: dict[str, Callable[[], object]] = {
        "matrix product": lambda: product(square, square).block_until_ready()
    }
    for name, contestant in contestants.items():
        turns[name] = contestant.turn
    began = time.perf_counter()
    seconds = time_turns(turns, config.rounds)
    product_rate = 2 * 2048**3 / float(np.median(seconds["matrix product"]))
    rows = [
        row_of(name, contestant, seconds[name], product_rate)
        for name, contestant in contestants.items()
    ]
    first = next(iter(contestants))
    for row in rows:  # of each round, whose turns follow one another
        contestant = contestants[row["contestant"]]
        size = contestant.networks * contestant.examples
        first_size = contestants[first].networks * contestants[first].examples
        of_first = np.array(seconds[row["contestant"]]) / seconds[first] / size * first_size
        row["of_first"] = float(np.median(of_first))
        row["of_first_range"] = [float(of_first.min()), float(of_first.max())]
    return {
        "config": asdict(config) | {"results": None},
        "versions": {"jax": jax.__version__, "python": platform.python_version()},
        "device": f"{jax.device_count()} × {jax.devices()[0].device_kind}",
        "gflops_matrix_product": product_rate / 1e9,
        "rows": rows,
        "changed": [],
        "seconds": round(time.perf_counter() - began, 1),
    }


def color(row: dict) -> str:
    """Red for jaxnet's sweeps, blue for its `train`, grey for others."""
    if row["networks"] > 1 and "hand" not in row["contestant"]:
        return RED
    return BLUE if row["contestant"].startswith("jaxnet") else GREY


def plot(results: dict) -> Figure:
    """Seconds an epoch and network of [784, 30, 10]; the part of the rate beside them."""
    rows = [row for row in results["rows"] if "[784" not in row["name"]]
    rows.sort(key=lambda row: -row["mean"])
    names = [row["contestant"] for row in rows]
    seconds = [row["mean"] for row in rows]
    figure = Figure(figsize=(8, 0.27 * len(names) + 1.1), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, seconds, color=[color(row) for row in rows])
    axes.set_xscale("log")
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xlim(min(seconds) / 2, max(seconds) * 4)
    for place, row in enumerate(rows):
        text = f"{row['mean']:.3g} s, {row['of_matrix_product_rate']:.0%}"
        axes.text(row["mean"] * 1.1, place, text, va="center", fontsize=8)
    axes.set_xlabel("seconds an epoch of 50,000 examples and network; part of a product's rate")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", labelsize=8)
    return figure


def print_table(results: dict) -> None:
    """Print the results."""
    rate = results["gflops_matrix_product"]
    title = f"A matrix product runs at {rate:.0f} GFLOP/s on {results['device']}"
    table = Table(box=box.SIMPLE, title=title, title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in ("networks", "seconds", "relative", "of the rate"):
        table.add_column(heading, justify="right")
    for row in results["rows"]:
        table.add_row(
            row["contestant"],
            f"{row['networks']}",
            f"{row['mean']:.3f}",
            "{:.2f} ({:.2f}–{:.2f})".format(row["of_first"], *row["of_first_range"]),
            f"{row['of_matrix_product_rate']:.1%}",
        )
    Console().print(table)


def main(config: Config) -> None:
    """Measure, print, write, draw."""
    if config.smoke:
        config = replace(config, rounds=1, examples=500, most=8)
    part = "features" if config.features else "folds" if config.folds else "results"
    file = config.results / f"{part}.json"
    if config.plot_only:
        results = json.loads(file.read_text())
    else:
        if not config.smoke:
            jn.use_all_cores()
        results = run(config)
        print_table(results)
        config.results.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n")
    if part == "results":
        plot(results).savefig(config.results / "throughput.png", dpi=120)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
