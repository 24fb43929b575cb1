"""What a sweep costs besides its steps: the first call, a second process, a call per network."""

import json
import sys
import tempfile
import time

import numpy as np

import jaxnet as jn
from benchmarks.contestants import BOOK, first_examples
from benchmarks.counting import Counts, counted
from benchmarks.processes import in_fresh_process


def sweep(networks: int, n: int, epochs: int) -> Counts:
    """A sweep over learning rates on n images, evaluated on 1,000; what it compiled and fetched."""
    data = jn.Dataset(first_examples(n), first_examples(1000))
    recipe = jn.Recipe(jn.sgd(np.geomspace(0.01, 0.1, networks)))
    with counted() as counts:
        jn.sweep(BOOK, data, recipe, seeds=1, epochs=epochs, batch_size=10, log=None)
    return counts


def measure(networks: int, n: int, rounds: int) -> dict[str, float]:
    """In a fresh process: seconds of the first and later calls, of 1 epoch and of 3."""
    seconds: dict[str, list[float]] = {"first": [], "1 epoch": [], "3 epochs": []}
    counts: dict[str, Counts] = {}
    calls = [("first", 1), *[("1 epoch", 1), ("3 epochs", 3)] * (rounds + 1)]
    for name, epochs in calls:
        began = time.perf_counter()
        latest = sweep(networks, n, epochs)
        seconds[name].append(time.perf_counter() - began)
        counts.setdefault(name, latest)
    one, three = (float(np.median(seconds[name][1:])) for name in ("1 epoch", "3 epochs"))
    epoch = (three - one) / 2
    return {
        "networks": networks,
        "first_call": seconds["first"][0],
        "next_call": one,
        "marginal_epoch": epoch,
        "call_ms_a_network": 1000 * (one - epoch) / networks,
        "compilations_first": counts["first"].compilations,
        "compilations_next": counts["1 epoch"].compilations,
        "fetches_1_epoch": counts["1 epoch"].fetches,
        "fetches_3_epochs": counts["3 epochs"].fetches,
        "mbytes_1_epoch": counts["1 epoch"].bytes / 1e6,
        "mbytes_3_epochs": counts["3 epochs"].bytes / 1e6,
    }


COLUMNS = {
    "process": "process",
    "first call": "first_call",
    "next": "next_call",
    "ms a call and network": "call_ms_a_network",
    "compilations": "compilations_first",
    "fetches": "fetches_1_epoch",
    "of 3 epochs": "fetches_3_epochs",
    "MB": "mbytes_1_epoch",
    "of 3": "mbytes_3_epochs",
}


def run(rounds: int, smoke: bool) -> list[dict]:
    """A process without cache, one that fills a cache, and one that finds it full."""
    sizes = (8, 100) if smoke else (512, 2000)
    rows = [{"process": "no cache"} | in_fresh_process("overheads", *sizes, rounds)]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("fills the cache", "second, with the cache"):
            row = in_fresh_process("overheads", *sizes, rounds, JAXNET_CACHE=folder)
            rows.append({"process": name} | row)
    return rows


if __name__ == "__main__":
    jn.use_all_cores()
    jn.use_compilation_cache()  # JAXNET_CACHE says where, or that there is none
    print(json.dumps(measure(*map(int, sys.argv[1:]))))
