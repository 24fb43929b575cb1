"""The book's network on MNIST: `train`, sweeps of every form, parts of a recipe, folds."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np

import jaxnet as jn
from benchmarks.contestants import BOOK, Contestant, first_examples

WIDE = jn.Network((784, 128, 10))
DEEP = jn.Network((784, 512, 512, 10))
RULES = {"SGD": jn.sgd, "momentum": jn.momentum, "Adam": jn.adam}


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


def sweeps(n: int, most: int, smoke: bool) -> dict[str, Contestant]:
    """Sweeps of every form, size, rule and shape."""
    contestants = {}
    rules = ["SGD"] if smoke else list(RULES)
    for rule in rules:
        for lanes in (8, 64, 256, 1024, 4096):
            if lanes <= most and (rule == "SGD" or lanes <= 256):
                fewer = max(n // 5, n * 64 // max(64, lanes))
                contestants[f"{rule}, {lanes} recipes × 1 seed"] = one_sweep(fewer, rule, lanes)
    contestants["SGD, 1 recipe × 64 seeds"] = one_sweep(n, "SGD", 1, 64)
    if smoke:
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
        "from benchmarks import book; turn = book.one_sweep(int(sys.argv[3]), 'SGD', 64).turn;"
        "[turn() and print('done', flush=True) for _ in sys.stdin]"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, address, str(process), str(n)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
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


def features(n: int, smoke: bool) -> dict[str, Contestant]:
    """One epoch of `train` with each part of a recipe."""
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
    if smoke:
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


def folds(n: int, smoke: bool) -> dict[str, Contestant]:
    """Recipes × five seeds, and × five folds of as many examples, trained and evaluated."""
    n_valid = n // 25
    n_train, examples = 4 * n_valid, first_examples(5 * n_valid)
    data = jn.Dataset(examples.take(slice(n_train)), examples.take(slice(n_train, None)))
    recipes = jn.Recipe(jn.sgd(np.geomspace(0.01, 0.1, 2 if smoke else 64)))
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
