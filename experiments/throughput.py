"""How fast do networks train: alone, in sweeps, and in other libraries?

    python experiments/throughput.py               # 4 minutes on 2 cores, alone
    python experiments/throughput.py --features    # what dropout, shifts … cost: a minute
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

What was tried for the sweeps, and measured at [784, 30, 10], batch 10, on 2 cores with AVX2:
- plain `vmap` of the whole run: no faster than one after the other; the first layer's lane axis
  next to the outputs: twice as fast; widths filled up to 32: elementwise passes 2.5 times as fast;
- one program over two CPU devices (`shard_map`): 0.132 s; a program for each: 0.083 s;
- the first layer in the span of 8 mini-batches (`jaxnet.acceleration.first_layer`): 0.083 to
  0.056 s for SGD; with one exponential for σ(z) and σ(−z): 0.056 to 0.044 s;
- one recipe under many seeds, 2, 4 or 8 of them in a program: 0.089, 0.096, 0.084 s.

And on 2 cores with AVX-512, from a profile of XLA's kernels (`jax.profiler.ProfileData`):
- XLA's level 2 and whole vectors (`jaxnet.acceleration.xla_options`): SGD 0.027 to 0.024 s, Adam
  0.064 to 0.045, 64 seeds 0.056 to 0.041; evaluation is a program at level 3, 18 ms for 50,000
  instead of 32;
- a coefficient for each mini-batch of the span, not for each example: SGD 0.022 to 0.018 s,
  momentum 0.040 to 0.034; the span for a network alone: 0.049 s instead of 0.036;
- δWᵀ with the batch first: 6.9 to 2.3 µs a step for 16 lanes; aᵀδ from a transposed copy of a, kept
  by a barrier: a product again, where XLA made a plain loop of it, 10 to 1.6 µs for 8 lanes;
- the order by sorting digits, 8.1 to 2.9 ms: 64 seeds 0.038 to 0.035 s;
- 8 MiB a core instead of 4: Adam 0.041 to 0.035 s, the others the same;
- for 64 seeds, 2, 4, 8 or 16 in a program: 0.041, 0.038, 0.038, 0.038 s; sums of outer products in
  the update, (n_out, n_in) weights: within 10 % of what is there, either way;
- one thread a device, by switching XLA's pass `cpu-parallel-task-assigner` off: 1 to 3 %, but two
  thirds of the rate where a device is alone; YNNPACK for elementwise loops: Adam 0.045 to 0.077 s;
  fast-math, LLVM's cheap passes, XLA's presets: nothing.
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
    smoke: bool = False
    """A round of few examples and few contestants on one core: does it run?"""
    plot_only: bool = False
    """Draw the picture from results.json."""
    results: Path = Path("results/throughput")
    """Where to write results.json and throughput.png."""


@dataclass(frozen=True)
class Contestant:
    """Something that trains."""

    turn: Callable[[], object]
    net: jn.Network
    examples: int
    networks: int = 1


BOOK = jn.Network((784, 30, 10))
RULES = {"SGD": jn.sgd, "momentum": jn.momentum, "Adam": jn.adam}


def split(n: int) -> jn.Split:
    """The first n training examples."""
    train = jn.datasets.mnist().train
    return jn.Split(train.x[:n], train.y[:n])


def swept(
    n: int, rule: str, recipes: int, seeds: int = 1, net: jn.Network = BOOK, batch_size: int = 10
) -> Contestant:
    """A sweep over learning rates and seeds, an epoch of n examples, without evaluation."""
    rates = np.geomspace(0.01, 0.1, recipes) * (0.1 if rule == "Adam" else 1.0)
    data, recipe = jn.Dataset(split(n)), jn.Recipe(RULES[rule](rates))
    options = {"epochs": 1, "batch_size": batch_size, "evaluate_on": (), "log": None}
    turn = lambda: jn.sweep(net, data, recipe, seeds=seeds, **options)
    return Contestant(turn, net, n, recipes * seeds)


def sweeps(config: Config) -> dict[str, Contestant]:
    """Sweeps of every form, size, rule and shape."""
    found, n = {}, config.examples
    for rule in ["SGD"] if config.smoke else RULES:
        for lanes in (8, 64, 256, 1024, 4096):
            if lanes <= config.most and (rule == "SGD" or lanes <= 256):
                few = max(n // 5, n * 64 // max(64, lanes))
                found[f"{rule}, {lanes} recipes × 1 seed"] = swept(few, rule, lanes)
    found["SGD, 1 recipe × 64 seeds"] = swept(n, "SGD", 1, 64)
    if not config.smoke:
        found["SGD, 8 recipes × 8 seeds"] = swept(n, "SGD", 8, 8)
        found["Adam, 8 recipes × 8 seeds"] = swept(n, "Adam", 8, 8)
        found["SGD, 64 recipes × 1 seed, in two processes"] = in_processes(n)
        wide, deep = jn.Network((784, 128, 10)), jn.Network((784, 512, 512, 10))
        for rule in ("SGD", "Adam"):
            name = f"{rule}, [784, 128, 10], batch 128, 64 × 1"
            found[name] = swept(n // 5, rule, 64, 1, wide, 128)
            name = f"{rule}, [784, 512, 512, 10], batch 128, 8 × 1"
            found[name] = swept(n // 10, rule, 8, 1, deep, 128)
    return found


def in_processes(n: int) -> Contestant:
    """The sweep of 64 recipes, shared by two processes of one device, and one of XLA's threads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    script = (
        "import sys, jax; jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]));"
        "import throughput; turn = throughput.swept(int(sys.argv[3]), 'SGD', 64).turn;"
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


def alone(config: Config) -> dict[str, Contestant]:
    """One network: jaxnet's `train`, and what an expert would write in JAX."""
    n = config.examples
    data = jax.device_put(jn.Dataset(split(n)))
    options = {"epochs": 1, "batch_size": 10, "evaluate_on": ()}
    recipe = jn.Recipe(jn.sgd(0.5))
    return {
        "jaxnet, train": Contestant(lambda: jn.train(BOOK, data, recipe, **options), BOOK, n),
        "JAX by hand, scan": Contestant(by_hand(split(n), None), BOOK, n),
        "JAX by hand, vmap of the scan, 64": Contestant(
            by_hand(split(n), jnp.geomspace(0.01, 0.1, 64)), BOOK, n, 64
        ),
    }


def by_hand(data: jn.Split, rates: jax.Array | None) -> Callable[[], object]:
    """An epoch as one jitted `scan`, or a `vmap` of it over learning rates, one order for all."""
    xs, labels = jnp.asarray(data.x, jnp.float32) / 255, jax.nn.one_hot(data.y, 10)
    keys = jax.random.split(jax.random.key(0), 2)
    draw = lambda key, a, b: jax.random.normal(key, (a, b)) / a**0.5
    params = [(draw(keys[0], 784, 30), jnp.zeros(30)), (draw(keys[1], 30, 10), jnp.zeros(10))]

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
        many = epoch if rates is None else jax.vmap(epoch, (None, 0, None, None, None))
        return many(params, rate, xs, ys, order)

    rate = jnp.float32(0.5) if rates is None else rates
    return lambda: jax.block_until_ready(run(params, rate, xs, labels, keys[0]))


def peers(config: Config) -> dict[str, Contestant]:
    """Other libraries, as their documentation writes a training loop."""
    n = config.examples
    train = split(n)
    xs, ys = train.x / np.float32(255), train.y.astype(np.int64)
    found = {"NumPy, mini-batches": in_numpy(xs, ys)}
    for name, make in (("sklearn", in_sklearn), ("torch", in_torch), ("flax", in_flax),
                       ("equinox", in_equinox)):  # fmt: skip
        if importlib.util.find_spec(name):
            title = {"sklearn": "scikit-learn", "torch": "PyTorch", "flax": "Flax NNX"}
            found[title.get(name, "Equinox")] = make(xs, ys)
    return {name: Contestant(turn, BOOK, n) for name, turn in found.items()}


def batches(n: int):
    """A shuffled epoch's mini-batches of 10."""
    return np.random.default_rng(0).permutation(n).reshape(-1, 10)


def in_numpy(xs, ys):
    """One matrix product for each mini-batch and layer."""
    random, targets = np.random.default_rng(0), np.eye(10, dtype=np.float32)[ys]
    w1 = (random.normal(size=(784, 30)) / 28).astype(np.float32)
    w2 = (random.normal(size=(30, 10)) / 5.5).astype(np.float32)
    b1, b2, rate = np.zeros(30, np.float32), np.zeros(10, np.float32), np.float32(0.05)

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
            self.first, self.second = nnx.Linear(784, 30, rngs=rngs), nnx.Linear(30, 10, rngs=rngs)

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
    state = [model, rule.init(eqx.filter(model, eqx.is_array))]

    @eqx.filter_jit
    def step(model, opt_state, x, y):
        def cost(model):
            logits = jax.vmap(model)(x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        updates, opt_state = rule.update(eqx.filter_grad(cost)(model), opt_state)
        return eqx.apply_updates(model, updates), opt_state

    def turn():
        for rows in batches(len(xs)):
            state[:] = step(state[0], state[1], xs[rows], ys[rows])  # pyright: ignore
        jax.block_until_ready(jax.tree.leaves(eqx.filter(state[0], eqx.is_array)))

    return turn


def features(config: Config) -> dict[str, Contestant]:
    """One epoch of `train` with each part of a recipe."""
    n = config.examples
    data = jax.device_put(jn.Dataset(split(n), jn.datasets.mnist().valid))

    def trained(evaluate_on=(), monitors=None, **parts):
        recipe = jn.Recipe(jn.sgd(0.5), l2=5.0, **parts)
        options = {"epochs": 1, "batch_size": 10, "evaluate_on": evaluate_on, "monitors": monitors}
        return Contestant(lambda: jn.train(BOOK, data, recipe, **options), BOOK, n)

    curves = ("evaluation", "training")
    found = {
        "bare": trained(),
        "dropout": trained(dropout=0.5),
        "four curves, all monitors": trained(curves, jn.Monitors()),
    }
    if config.smoke:
        return found
    return found | {
        "dropout, of inputs too": trained(dropout=0.5, input_dropout=0.2),
        "shifts by a pixel": trained(augmentation=jn.Augmentation(shift=1)),
        "max-norm": trained(max_norm=3.0),
        "label smoothing": trained(label_smoothing=0.1),
        "cosine schedule": trained(schedule=jn.schedules.cosine(30)),
        "halving": trained(("evaluation",), stopping=jn.stopping.reduce_on_plateau(10)),
        "four curves": trained(curves),
        "all monitors, every 50 mini-batches": trained((), jn.Monitors(every=50)),
    }


def timed(turns: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each turn of each, taking turns, after one turn to warm up."""
    times = {name: [] for name in turns}
    for round_number in range(rounds + 1):
        for name, turn in turns.items():
            began = time.perf_counter()
            turn()
            if round_number:
                times[name].append(time.perf_counter() - began)
    return times


def operations(net: jn.Network) -> int:
    """Useful operations to train one example."""
    pairs = list(zip(net.sizes, net.sizes[1:]))
    return sum(6 * a * b for a, b in pairs) - 2 * pairs[0][0] * pairs[0][1]


def run(config: Config) -> dict:
    """What each contestant takes, an epoch and network, and what part of the rate it uses."""
    found = features(config) if config.features else alone(config) | sweeps(config) | peers(config)
    square = jax.random.normal(jax.random.key(0), (2048, 2048))
    product = jax.jit(jnp.dot)
    matrix = "matrix product"
    turns = {matrix: lambda: product(square, square).block_until_ready()}
    began = time.perf_counter()
    times = timed(turns | {name: one.turn for name, one in found.items()}, config.rounds)
    rate = 2 * 2048**3 / float(np.median(times[matrix]))
    rows = []
    for name, one in found.items():
        epoch = 50_000 * np.array(times[name]) / one.networks / one.examples
        seconds = float(np.median(epoch))
        part = 50_000 * operations(one.net) / seconds / rate
        numbers = seconds, epoch.min(), epoch.max(), np.nan
        told = f"{part:.1%} of the matrix product's rate"
        row = experiment.as_row(f"{name}: seconds an epoch", None, numbers, len(epoch), told, "")
        rows.append(row | {
            "contestant": name, "networks": one.networks, "of_matrix_product_rate": part,
        })  # fmt: skip
    for row in rows:
        row["of_first"] = row["mean"] / rows[0]["mean"]
    return {
        "config": asdict(config) | {"results": None},
        "versions": {"jax": jax.__version__, "python": platform.python_version()},
        "device": f"{jax.device_count()} × {jax.devices()[0].device_kind}",
        "gflops_matrix_product": rate / 1e9,
        "rows": rows,
        "changed": [],
        "seconds": round(time.perf_counter() - began, 1),
    }


def plot(results: dict) -> Figure:
    """Seconds an epoch and network of [784, 30, 10]; the part of the rate beside them."""
    rows = {row["contestant"]: row for row in results["rows"] if "[784" not in row["name"]}
    names = sorted(rows, key=lambda name: -rows[name]["mean"])
    seconds = [rows[name]["mean"] for name in names]
    colors = [
        "#b3402a" if rows[name]["networks"] > 1 and "hand" not in name else
        "#7aa6c2" if name.startswith("jaxnet") else "#9a9a9a" for name in names
    ]  # fmt: skip
    figure = Figure(figsize=(8, 0.27 * len(names) + 1.1), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, seconds, color=colors)
    axes.set_xscale("log")
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xlim(min(seconds) / 2, max(seconds) * 4)
    for index, name in enumerate(names):
        part = rows[name]["of_matrix_product_rate"]
        told = f"{seconds[index]:.3g} s, {part:.0%}"
        axes.text(seconds[index] * 1.1, index, told, va="center", fontsize=8)
    axes.set_xlabel("seconds an epoch of 50,000 examples and network; part of a product's rate")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", labelsize=8)
    return figure


def main(config: Config) -> None:
    """Measure, print, write."""
    if config.smoke:
        config = replace(config, rounds=1, examples=500, most=8)
    file = config.results / ("features.json" if config.features else "results.json")
    if config.plot_only:
        results = json.loads(file.read_text())
    else:
        if not config.smoke:
            jn.use_all_cores()
        results = run(config)
        rate = results["gflops_matrix_product"]
        title = f"A matrix product runs at {rate:.0f} GFLOP/s on {results['device']}"
        table = Table(box=box.SIMPLE, title=title, title_justify="left", padding=(0, 1, 0, 0))
        for heading in ("", "networks", "seconds", "relative", "of the rate"):
            table.add_column(heading, justify="right" if heading else "left")
        for row in results["rows"]:
            cells = (f"{row['networks']}", f"{row['mean']:.3f}", f"{row['of_first']:.2f}")
            table.add_row(row["contestant"], *cells, f"{row['of_matrix_product_rate']:.1%}")
        Console().print(table)
        config.results.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=2) + "\n")
    if not config.features:
        plot(results).savefig(config.results / "throughput.png", dpi=120)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
