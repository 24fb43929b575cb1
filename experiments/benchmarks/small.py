"""Small tables: hundreds of small networks on scikit-learn's digits and breast cancer data.

    python -m benchmarks.small CASE            # in experiments/: one case in this process

Each case is trained in a fresh process, with its first call, which compiles, and again. All have
both curves after every epoch, on the validation and the training examples.
"""

import functools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet as jn
from benchmarks.classifier import fit
from benchmarks.counting import counted
from benchmarks.processes import in_fresh_process


@dataclass(frozen=True)
class Task:
    """A table, and the networks to train on it: every learning rate under every seed."""

    table: str
    """The loader of `sklearn.datasets`."""
    n_train: int
    """The first rows, which train; the others validate."""
    sizes: tuple[int, ...]
    rates: int = 64
    """Learning rates of Adam, from 1e-4 to 1e-1."""
    seeds: int = 5
    epochs: int = 50
    batch_size: int = 32

    def shortened(self) -> "Task":
        """The task in seconds, for the tests."""
        return replace(self, rates=2, seeds=1, epochs=2)

    def learning_rates(self) -> np.ndarray:
        """The learning rates, evenly in the logarithm."""
        return np.geomspace(1e-4, 1e-1, self.rates)

    def data(self) -> jn.Dataset:
        """The inputs, scaled to [0, 1] (digits) or standardized by the training rows."""
        return _load(self.table, self.n_train)

    def net(self, hidden: int | None = None) -> jn.Network:
        """The network, with another hidden width if one is given."""
        sizes = self.sizes if hidden is None else (self.sizes[0], hidden, self.sizes[-1])
        return jn.Network(
            sizes, jn.activations.relu, jn.costs.LogLikelihood(), jn.initializers.glorot
        )


@functools.cache
def _load(table: str, n_train: int) -> jn.Dataset:
    from sklearn import datasets

    x, y = getattr(datasets, table)(return_X_y=True)
    mean, std = (0, 16) if table == "load_digits" else (x[:n_train].mean(0), x[:n_train].std(0))
    x, y = ((x - mean) / std).astype(np.float32), y.astype(np.int32)
    return jn.Dataset(jn.Split(x[:n_train], y[:n_train]), jn.Split(x[n_train:], y[n_train:]))


DIGITS = Task("load_digits", 1437, (64, 32, 10))
CANCER = Task("load_breast_cancer", 455, (30, 16, 2), rates=200, epochs=100)
WIDTHS = (4, 8, 16, 32, 48, 64, 96, 128)
CURVE_WIDTHS, CURVE_EXAMPLES = (4, 16, 64, 256), (50, 200, 800, 1437)
SAMPLE = 16
"""Networks that scikit-learn trains; the seconds are scaled up to all."""


def sweep_digits(task: Task) -> jn.Study:
    """64 learning rates × 5 seeds."""
    return _sweep(task, task.net(), jn.Recipe(jn.adam(task.learning_rates())))


def sweep_with_patience(task: Task) -> jn.Study:
    """The same, each network until five epochs without a better validation accuracy."""
    stopping = jn.stopping.no_improvement_in(5)
    recipe = jn.Recipe(jn.adam(task.learning_rates()), stopping=stopping)
    return _sweep(task, task.net(), recipe)


def sweep_widths(task: Task) -> jn.Study:
    """8 widths × 8 learning rates × 5 seeds."""
    recipe = jn.Recipe(jn.adam(replace(task, rates=min(task.rates, 8)).learning_rates()))
    return _sweep(task, [task.net(width) for width in WIDTHS], recipe)


def sweep_learning_curve(task: Task) -> jn.Study:
    """4 numbers of examples × 4 widths × 5 seeds, 30 epochs."""
    nets = [task.net(width) for width in CURVE_WIDTHS]
    shorter = replace(task, epochs=min(task.epochs, 30))
    return _sweep(shorter, nets, jn.Recipe(jn.adam(1e-3)), list(CURVE_EXAMPLES))


def _sweep(
    task: Task,
    nets: jn.Network | list[jn.Network],
    recipe: jn.Recipe,
    examples: list[int] | None = None,
) -> jn.Study:
    return jn.sweep(
        nets, task.data(), recipe, seeds=task.seeds, epochs=task.epochs,
        batch_size=task.batch_size, evaluate_on=("validation", "training"), log=None,
        examples=examples,
    )  # fmt: skip


def vmap_by_hand(task: Task) -> Callable[[], np.ndarray]:
    """`jit(vmap(vmap(run)))` over learning rates and seeds: Adam, both curves, whole batches.

    One order of the examples for all rates of a seed; the last, smaller mini-batch is left out.
    """
    data = jax.device_put(task.data())
    n_steps = task.n_train // task.batch_size

    def init(key: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
        keys = jax.random.split(key, len(task.sizes) - 1)
        glorot = jax.nn.initializers.glorot_normal()
        return [
            (glorot(key, sizes), jnp.zeros(sizes[1]))
            for key, sizes in zip(keys, zip(task.sizes, task.sizes[1:]))
        ]

    def logits(params, x):
        for w, b in params[:-1]:
            x = jax.nn.relu(x @ w + b)
        w, b = params[-1]
        return x @ w + b

    def cost(params, x, y):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits(params, x)), y[:, None], 1))

    def step(rate, carry, rows):
        params, m, v, count = carry
        grads = jax.grad(cost)(params, data.train.x[rows], data.train.y[rows])
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        count += 1
        scale = rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        params = jax.tree.map(lambda p, m, v: p - scale * m / (jnp.sqrt(v) + 1e-8), params, m, v)
        return (params, m, v, count), None

    def scores(params, split):
        right = jnp.argmax(logits(params, split.x), axis=1) == split.y
        return cost(params, split.x, split.y), jnp.mean(right)

    def epoch(rate, carry, key):
        order = jax.random.permutation(key, task.n_train)
        rows = order[: n_steps * task.batch_size].reshape(n_steps, task.batch_size)
        carry, _ = jax.lax.scan(lambda carry, rows: step(rate, carry, rows), carry, rows)
        return carry, (scores(carry[0], data.valid), scores(carry[0], data.train))

    def run(rate, key):
        first, second = jax.random.split(key)
        params = init(first)
        zeros = jax.tree.map(jnp.zeros_like, params)
        keys = jax.random.split(second, task.epochs)
        carry = (params, zeros, zeros, jnp.float32(0))
        return jax.lax.scan(lambda carry, key: epoch(rate, carry, key), carry, keys)

    program = jax.jit(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    rates = jnp.asarray(task.learning_rates(), jnp.float32)
    keys = jax.random.split(jax.random.key(0), task.seeds)
    return lambda: np.asarray(program(rates, keys)[1][0][1]).max(axis=-1)


def fit_in_sklearn(task: Task) -> Callable[[], np.ndarray]:
    """`MLPClassifier` on both cores, a sample of the networks evenly over the learning rates."""
    import joblib

    data = task.data()
    (train, valid) = ((split.x, split.y) for split in data if split is not None)
    rates = task.learning_rates()[:: max(1, task.rates * task.seeds // SAMPLE // task.seeds)]
    networks = [(rate, seed) for rate in rates for seed in range(task.seeds)][:SAMPLE]
    arguments = (train, valid, task.sizes[1:-1], task.batch_size, task.epochs)
    jobs = [joblib.delayed(fit)(*arguments, rate, seed) for rate, seed in networks]
    return lambda: np.array(joblib.Parallel(n_jobs=joblib.cpu_count())(jobs))


CASES: dict[str, tuple[Task, Callable[[Task], jn.Study]]] = {
    "digits": (DIGITS, sweep_digits),
    "patience": (DIGITS, sweep_with_patience),
    "widths": (DIGITS, sweep_widths),
    "curve": (DIGITS, sweep_learning_curve),
    "cancer": (CANCER, sweep_digits),
}
PEERS: dict[str, tuple[Task, Callable[[Task], Callable[[], np.ndarray]]]] = {
    "digits, vmap by hand": (DIGITS, vmap_by_hand),
    "cancer, vmap by hand": (CANCER, vmap_by_hand),
    "digits, scikit-learn": (DIGITS, fit_in_sklearn),
    "cancer, scikit-learn": (CANCER, fit_in_sklearn),
}


SMOKE = ("digits", "digits, vmap by hand", "digits, scikit-learn")
"""What the tests run, one of each kind."""
COLUMNS = {
    "case": "case",
    "networks": "networks",
    "first call": "first",
    "again": "again",
    "compilations": "compilations_first",
    "compile s": "compile_seconds_first",
    "planned": "planned_first",
    "off by": "plan_error_first",
    "best": "best",
}


def measure(name: str, smoke: bool) -> dict[str, float | None]:
    """A case's first call and the next: seconds, compilations, predictions."""
    task = (CASES | PEERS)[name][0]
    task = task.shortened() if smoke else task
    task.data()  # read before the clock starts
    row: dict[str, float | None] = {}
    turn = PEERS[name][1](task) if name in PEERS else functools.partial(CASES[name][1], task)
    for call in ("first", "again"):
        began = time.perf_counter()
        with counted() as counts:
            result = turn()
        seconds = time.perf_counter() - began
        networks, planned = task.rates * task.seeds, None
        if isinstance(result, jn.Study):
            networks, planned = result.epochs.size, result.plan.seconds
            row |= {"networks": networks, "epochs": int(result.epochs.sum())}
            result = np.asarray(result.score)
        else:
            seconds *= networks / min(networks, np.size(result))
            row |= {"networks": networks, "epochs": networks * task.epochs}
        row |= {
            call: seconds,
            f"compilations_{call}": counts.compilations,
            f"compile_seconds_{call}": counts.compile_seconds,
            f"planned_{call}": planned,
            f"plan_error_{call}": None if planned is None else planned / seconds - 1,
            "best": float(np.nanmax(result)),
        }
    return row


def run(names: list[str], rounds: int, smoke: bool) -> list[dict]:
    """Every case in fresh processes, in turns; medians of the rounds."""
    names = [name for name in names if name in SMOKE] if smoke else names
    measured: dict[str, list[dict]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            measured[name].append(in_fresh_process("small", name, *["--smoke"] * smoke))
    return [
        {"case": name}
        | {
            key: None if rows[0][key] is None else float(np.median([row[key] for row in rows]))
            for key in rows[0]
        }
        for name, rows in measured.items()
    ]


if __name__ == "__main__":
    if not sys.argv[1].endswith("by hand"):  # which is one program on one device
        jn.use_all_cores()
    print(json.dumps(measure(sys.argv[1], smoke="--smoke" in sys.argv)))
