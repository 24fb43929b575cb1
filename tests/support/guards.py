"""What eight calls compile and fetch, in numbers that no noise can touch.

    python tests/support/guards.py             # what has risen or fallen since they were written
    python tests/support/guards.py --update    # write them for this version of JAX

The programs are those that the calls hand to XLA, before it optimizes them: their number, their
StableHLO operations, and the operations and bytes of XLA's cost analysis, which counts the body of
a loop once. They do not depend on the processor. `tests/data/program_guards.json` holds the numbers
by JAX's version, since JAX itself writes other programs from version to version.
"""

import contextlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from jax._src.interpreters import pxla

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import jaxnet as jn  # noqa: E402
from experiments.benchmarks.counting import counted  # noqa: E402

FILE = ROOT / "tests" / "data" / "program_guards.json"
VERSION = ".".join(jax.__version__.split(".")[:2])
REMEDY = (
    "if there is a reason, write it in the commit and update with "
    "`python tests/support/guards.py --update`"
)


def _data(n_in: int, n_out: int) -> jn.Dataset:
    random = np.random.default_rng(0)
    splits = (
        jn.Split(random.random((n, n_in), np.float32), random.integers(0, n_out, n))
        for n in (200, 100, 100)
    )
    return jn.Dataset(*splits)


BOOK, BOOK_DATA = jn.Network((784, 30, 10)), _data(784, 10)
BOOK_PARAMS = tuple(
    jn.Layer(np.zeros(shape, np.float32), np.zeros(shape[1], np.float32))
    for shape in zip(BOOK.sizes, BOOK.sizes[1:])
)
SMALL = jn.Network((64, 32, 10), jn.activations.relu, jn.costs.LogLikelihood())
SMALL_DATA = _data(64, 10)
RATES = np.geomspace(0.01, 0.1, 8)


def _train(recipe: jn.Recipe, **options: object) -> None:
    jn.train(BOOK, BOOK_DATA, recipe, epochs=2, batch_size=10, **options)


def _sweep(net: jn.Network, data: jn.Dataset, recipe: jn.Recipe, **options: object) -> None:
    settings = {"seeds": 2, "epochs": 2, "batch_size": 10, "log": None} | options
    jn.sweep(net, data, recipe, **settings)


CALLS: dict[str, Callable[[], object]] = {
    "train, sgd": lambda: _train(jn.Recipe(jn.sgd(0.5))),
    "train, adam": lambda: _train(jn.Recipe(jn.adam(0.001))),
    "sweep, sgd": lambda: _sweep(BOOK, BOOK_DATA, jn.Recipe(jn.sgd(RATES))),
    "sweep, adam": lambda: _sweep(BOOK, BOOK_DATA, jn.Recipe(jn.adam(RATES / 10))),
    "sweep, small network, adam": lambda: _sweep(
        SMALL, SMALL_DATA, jn.Recipe(jn.adam(RATES / 10)), evaluate_on=("validation", "training")
    ),
    "sweep, folds": lambda: _sweep(
        SMALL, jn.Dataset(SMALL_DATA.train), jn.Recipe(jn.sgd(RATES)), seeds=1,
        resample=jn.resampling.k_fold(4), evaluate_on=("test",),
    ),
    "evaluate": lambda: jn.evaluate(BOOK, BOOK_PARAMS, BOOK_DATA.test),
    "train, monitors": lambda: _train(jn.Recipe(jn.sgd(0.5)), monitors=jn.Monitors()),
}  # fmt: skip
"""The calls, by name."""


@contextlib.contextmanager
def _lowered_programs() -> Iterator[list[pxla.MeshComputation]]:
    """Yield a list that all programs are put into which JAX compiles in the block."""
    programs: list[pxla.MeshComputation] = []
    lock, compile_program = threading.Lock(), pxla.MeshComputation.compile

    def noted(program: pxla.MeshComputation, *args: object, **kwargs: object) -> object:
        with lock:
            programs.append(program)
        return compile_program(program, *args, **kwargs)

    pxla.MeshComputation.compile = noted
    try:
        yield programs
    finally:
        pxla.MeshComputation.compile = compile_program


def measure(name: str) -> dict[str, int]:
    """What a call compiles and fetches, its programs not yet compiled."""
    jax.clear_caches()
    with _lowered_programs() as programs, counted() as counts:
        CALLS[name]()
    costs = [program.cost_analysis() for program in programs]
    operations = re.compile(r"^\s+(?:%\S+ = )?\"?stablehlo\.", re.MULTILINE)
    return {
        "programs": len(programs),
        "operations": sum(len(operations.findall(str(p.stablehlo()))) for p in programs),
        "flops": int(sum(cost.get("flops", 0) for cost in costs)),
        "bytes": int(sum(cost.get("bytes accessed", 0) for cost in costs)),
        "fetches": counts.fetches,
        "fetched_bytes": counts.bytes,
    }


def committed() -> dict[str, dict[str, int]] | None:
    """The committed numbers for this version of JAX, if there are any."""
    return json.loads(FILE.read_text()).get(VERSION)


def changes(name: str, numbers: dict[str, int]) -> dict[str, str]:
    """The numbers of a call that differ from the committed ones, and how."""
    before = (committed() or {}).get(name, {})
    return {
        key: f"{before.get(key)} → {number}"
        for key, number in numbers.items()
        if before.get(key) != number
    }


def rises(name: str, numbers: dict[str, int]) -> list[str]:
    """What has risen, in a sentence each with the remedy."""
    before = (committed() or {})[name]
    return [
        f"{name}: {key} rose from {before[key]:,} to {number:,}; {REMEDY}"
        for key, number in numbers.items()
        if number > before[key]
    ]


def main() -> None:
    """Print the changes; with --update, write them."""
    table = {name: measure(name) for name in CALLS}
    for name, numbers in table.items():
        print(name, changes(name, numbers) or "unchanged", sep=": ")
    if "--update" in sys.argv:
        versions = json.loads(FILE.read_text()) if FILE.exists() else {}
        FILE.write_text(json.dumps(versions | {VERSION: table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
