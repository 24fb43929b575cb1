"""How fast do networks train: alone, in sweeps, and in other libraries?

    python experiments/throughput.py               # 4 minutes on 2 cores, alone
    python experiments/throughput.py --features    # what dropout, weights … cost: a minute
    python experiments/throughput.py --folds       # five folds against five seeds: 3 minutes
    python experiments/throughput.py --small       # hundreds of small networks: 9 minutes
    python experiments/throughput.py --overheads   # first call, second process, a call: 5 minutes
    python experiments/throughput.py --ensembles   # marginal epochs, as on a GPU: 5 minutes
    python experiments/throughput.py --searches    # beside scikit-learn's grid search: 8 minutes
    python experiments/throughput.py --trials      # Optuna's, beside one at a time: 3 minutes
    python experiments/throughput.py --watching    # the live page of a sweep: 6 minutes
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

`--small` trains [64, 32, 10] on scikit-learn's digits and [30, 16, 2] on its breast cancer data
with Adam, each case in fresh processes: the first call and the next, compilations by JAX's own
events, and the seconds that the plan predicted. Beside it stand a `vmap` of a whole run, written by
hand, and `MLPClassifier` on all cores, whose seconds are scaled up from a sample of 16 networks.

`--searches` tries 60 learning rates and penalties of one hidden layer of 32 units on five folds of
digits and of MNIST by `jaxnet.sklearn.SweepSearchCV`, and by scikit-learn's `GridSearchCV` with two
workers over its own `MLPClassifier`, whose seconds are scaled up from a sample of 8 candidates.
`--trials` trains 256 trials of Optuna in batches of 64 by `jaxnet.optuna.optimize`, and one after
the other by `MLPClassifier`, scaled up from 32.

`--watching` runs `jaxnet sweep` alone, beside an open page, and beside 10,000 requests a minute,
whose sender shares the processor, and counts the processor's time of a request.

Why the sweeps are fast, and what was tried without success: docs/why_sweeps_are_fast.md.
"""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import jax
import tyro
from benchmarks import (
    book,
    ensembles,
    overheads,
    peers,
    searches,
    small,
    tables,
    trials,
    watching,
)
from benchmarks.contestants import measure

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
    """Lanes of the largest sweep, and of an ensemble."""
    features: bool = False
    """Measure parts of a recipe against the bare epoch instead."""
    folds: bool = False
    """Measure five folds of 64 recipes against five seeds instead."""
    small: bool = False
    """Measure hundreds of small networks on small tables instead."""
    overheads: bool = False
    """Measure what a sweep costs besides its steps instead."""
    ensembles: bool = False
    """Measure marginal epochs of ensembles on one device instead."""
    searches: bool = False
    """Measure searches beside scikit-learn's instead."""
    trials: bool = False
    """Measure Optuna's trials in batches, beside one at a time, instead."""
    watching: bool = False
    """Measure what the live page of a sweep costs it instead."""
    smoke: bool = False
    """A round of few examples and few contestants on one core: does it run?"""
    plot_only: bool = False
    """Draw the picture from results.json."""
    results: Path = Path("results/throughput")
    """Where to write results.json and throughput.png."""

    @property
    def part(self) -> str:
        """What is measured, which names the file of results."""
        parts = (
            "features", "folds", "small", "overheads", "ensembles", "searches", "trials",
            "watching",
        )  # fmt: skip
        return next((part for part in parts if getattr(self, part)), "results")


def small_rows(config: Config) -> list[dict]:
    """The cases of small tables, with those of the peers; scikit-learn has the tables."""
    if not find_spec("sklearn"):
        raise SystemExit(
            "--small needs scikit-learn, which has the tables: pip install scikit-learn"
        )
    names = [*small.CASES, *small.PEERS]
    if not find_spec("joblib"):
        print("Not measured, since joblib is not installed: scikit-learn's MLPClassifier.")
        names = [name for name in names if "scikit" not in name]
    return small.run(names, config.rounds, config.smoke)


def ensemble_rows(config: Config) -> list[dict]:
    """Ensembles on one device."""
    if not find_spec("torch"):
        print("Not measured, since it is not installed: PyTorch.")
    return ensembles.run(config.examples // 5, config.most // 2, config.rounds)


def run(config: Config) -> dict:
    """Let the contestants take turns; the content of the file of results."""
    began = time.perf_counter()
    n, smoke = config.examples, config.smoke
    separate: dict[str, Callable[[], list[dict]]] = {
        "small": lambda: small_rows(config),
        "overheads": lambda: overheads.run(config.rounds, smoke),
        "ensembles": lambda: ensemble_rows(config),
        "searches": lambda: searches.run(config.rounds, smoke),
        "trials": lambda: trials.run(config.rounds, smoke),
        "watching": lambda: watching.run(config.rounds, smoke),
    }
    rate = None
    if config.part in separate:
        rows = separate[config.part]()
    else:
        if config.features:
            contestants = book.features(n, smoke)
        elif config.folds:
            contestants = book.folds(n, smoke)
        else:
            contestants = peers.single_networks(n) | book.sweeps(n, config.most, smoke)
            contestants |= peers.peers(n)
        rows, rate = measure(contestants, config.rounds)
    return {
        "config": asdict(config) | {"results": None},
        "versions": {"jax": jax.__version__, "python": platform.python_version()},
        "device": f"{jax.device_count()} × {jax.devices()[0].device_kind}",
        "gflops_matrix_product": None if rate is None else rate / 1e9,
        "rows": rows,
        "changed": [],
        "seconds": round(time.perf_counter() - began, 1),
    }


def main(config: Config) -> None:
    """Measure, print, write, draw."""
    if config.smoke:
        config = replace(config, rounds=1, examples=500, most=8)
    file = config.results / f"{config.part}.json"
    if config.plot_only:
        results = json.loads(file.read_text())
    else:
        # An ensemble has one device, and fresh processes choose for themselves.
        if not config.smoke and config.part in ("results", "features", "folds"):
            jn.use_all_cores()
        results = run(config)
        config.results.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n")
        if results["gflops_matrix_product"] is None:
            modules = {
                "small": small, "overheads": overheads, "ensembles": ensembles,
                "searches": searches, "trials": trials, "watching": watching,
            }  # fmt: skip
            columns = modules[config.part].COLUMNS
            tables.print_rows(results["rows"], columns, f"On {results['device']}")
        else:
            tables.print_table(results)
    if config.part == "results":
        picture = experiment.picture(tables.plot, results)
        (config.results / "throughput.png").write_bytes(picture)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
