"""Every argument of every public function × what it may not be: one sentence that names it.

    python tests/support/wrong_arguments.py

The table is generated from `jaxnet.__all__` and from signatures, so that a new function or argument
is in it by being there.
"""

import inspect
import itertools
import json
import os
import re
import sys
import tempfile
import traceback
import warnings
from functools import partial  # noqa: F401 (for WRITE_INSTEAD)
from pathlib import Path
from typing import Any

import data_files
import jax
import numpy as np
import optax

import jaxnet as jn
from jaxnet.core import parametric
from jaxnet.data import file_sets
from jaxnet.integrations.tensorboard_events import TensorboardTool
from jaxnet.recipes import optimizers
from jaxnet.sweeps.ensemble import Member

LIBRARY = str(Path(jn.__file__).parent)
NET, DATA = jn.Network((2, 3, 2)), jn.datasets.xor(n=20)
RECIPE, KEY = jn.Recipe(jn.sgd(0.5)), jax.random.key(0)
PARAMS = jn.init(NET, KEY)
FILES = tempfile.TemporaryDirectory()
"""A folder of data files, for the functions that read them."""
READERS = {
    "idx": "train-images-idx3-ubyte", "npz": "kmnist-train-imgs.npz", "usps": "usps",
    "emnist": "emnist-digits.mat", "pixels": "mnist_train.csv", "load": "k49-train-imgs.npz",
}  # fmt: skip
"""The functions of `jaxnet.datasets` that read files, and a file of each."""
RIGHT: dict[str, Any] = {
    "net": NET, "data": DATA, "recipe": RECIPE, "params": PARAMS, "key": KEY, "split": DATA.train,
    "cost": jn.costs.CrossEntropy(), "x": DATA.train.x, "y": DATA.train.y, "xs": DATA.train.x,
    "ys": DATA.train.y, "masks": None, "weights": None, "state": jn.start(NET, RECIPE, KEY),
    "order": np.arange(20), "rule": optax.sgd, "sizes": (2, 3, 2), "optimizer": jn.sgd(),
    "optimizers": [jn.sgd, jn.adam], "horizon": 30, "warmup": 2, "n": 4, "target": 0.9,
    "hyper": {"learning_rate": 0.1}, "slope": 0.1,
    "std": 0.1, "f": lambda p: p[0].w.sum(),
    "epochs": 1, "patience": 3, "evaluate_on": ("training",), "log": None, "tier": "defaults",
    "seeds": 8, "tuning_seeds": 1,
    "resample": jn.resampling.k_fold(2), "timing": False, "folder": "unused", "path": "unused.json",
    "members": (Member(NET, PARAMS),), "mlp": None,
    "results": None, "tracker": jn.integrations.Tracker(TensorboardTool(Path("unused"))),
}  # fmt: skip
"""What an argument of a name is, where it is right."""
SHORT = {"patience", "epochs", "evaluate_on", "log", "tier", "seeds", "tuning_seeds", "timing"}
"""Arguments that are not left at their default, so that a run is short and silent."""
RIGHT_IN: dict[str, dict[str, Any]] = {
    "custom": {"learning_rate": 0.1}, "grid": {"learning_rate": [0.1]},
    "zipped": {"learning_rate": [0.1]},
    "sample": {"learning_rate": (0.1, 1.0)}, "epoch": {"data": DATA.train, "batch_size": 10},
    "searches.asha": {"ranges": {"learning_rate": (0.1, 1.0)}},
    "searches.hyperband": {"ranges": {"learning_rate": (0.1, 1.0)}},
    "searches.hypergradient": {"ranges": {"learning_rate": (0.1, 1.0)}},
    "searches.population": {"ranges": {"learning_rate": (0.1, 1.0)}},
    **{f"datasets.{name}": {"path": f"{FILES.name}/{first}"} for name, first in READERS.items()},
    "datasets.idx": {"folder": f"{FILES.name}/{READERS['idx']}"},
    "network2.Network": {"cost": jn.book.CrossEntropyCost},
    "network2.load": {"filename": "unused"},
    "to_onnx": {"path": "unused.onnx"}, "register": {"name": "relu", "part": jn.activations.relu},
    "metrics.TopK": {"k": 3}, "backprop": {"x": DATA.train.x[0], "y": DATA.train.y[0]},
}  # fmt: skip
"""The arguments of a single function, among them those that it takes by any name."""
BAD: dict[str, Any] = {
    "nothing": None, "text": "text", "digits": "0.1", "bytes": b"1", "truth": True, "complex": 1j,
    "nan": float("nan"), "inf": float("inf"), "huge": 10**400, "negative": -1, "2**32": 2**32,
    "fraction": 3.5, "whole float": 3.0, "empty": [], "mixed": [1.0, "a"], "ragged": [[1], [1, 2]],
    "dict": {"w": 1}, "set": {1}, "class": dict, "object": object(), "constructor": jn.sgd,
    "objects": np.array([None, object()]), "nan array": np.array([np.nan]), "matrix": np.eye(2),
    "pair": (np.zeros((3, 2)), np.zeros(3, int)), "split": DATA.train, "dataset": DATA,
    "network": NET, "recipe": RECIPE, "swept": jn.Recipe(jn.sgd([0.1, 0.2])),
    "optimizer": jn.adam(), "transformation": optax.adam(1e-3), "schedule": jn.schedules.cosine(3),
    "other params": jn.init(jn.Network((2, 4, 2)), KEY), "layers": [[1, 2], [3]],
    "int params": jax.tree.map(lambda array: np.asarray(array).astype(int), PARAMS),
    "object params": jax.tree.map(lambda array: np.asarray(array).astype(object), PARAMS),
    "untyped key": jax.random.PRNGKey(0), "keys": jax.random.split(KEY),
}  # fmt: skip
RECORDS = {
    "ClassificationReport", "Comparison", "EpochReport", "GradientError", "History", "Layer",
    "ParametricLayer", "Params", "RegressionReport", "Run", "Study", "SweepReport",
    "TrainState", "Dataset", "Split", "Uniform", "LogUniform",
    "OneMinus", "Settings", "stopping.Watch", "searches.Asha", "searches.BestNetwork",
    "searches.Hyperband", "searches.Hypergradient", "searches.Population", "searches.Progress",
}  # fmt: skip
"""What only holds what it is given: whatever takes one checks it."""
INNER = {"stopping.watch", "stopping.score", "stopping.update", "schedules.ScheduleRule"} | {
    f"initializers.{name}" for name in jn.initializers.NAMED
} | {f"activations.{name}" for name in ("Elementwise", "Sigmoid", "Tanh")} | {
    "parametric.AtParameter"
}  # fmt: skip
"""What training calls, not a person."""
NOT_TRIED = {
    (name, argument)
    for name in ("backprop", "gradient", "check_gradients")
    for argument in ("x", "y", "xs", "ys", "masks", "weights")
} | {("numerical_gradient", "params")}  # fmt: skip
"""Arrays that reach JAX, or the caller's own function, as they are."""
OTHER_WORDS = {
    "params": "parameters", "length": "warmup", "optimizers": "contender",
    "batch_size": "batch size",
    "split": "inputs",
}  # fmt: skip
"""What an error calls an argument by another name than its own."""
MODULES = (
    jn.activations, jn.book.network, jn.book.network2, parametric, jn.callbacks, jn.costs,
    jn.initializers, jn.metrics, jn.schedules, jn.stopping,
)  # fmt: skip


def write_files():
    """Write the files of `READERS`."""
    for file_set in file_sets.ALL:
        if file_set.files[0] in READERS.values():
            side = 16 if file_set in file_sets.USPS else 28
            splits = [data_files.images(9, side)] * 2, [np.arange(9) % 3] * 2
            contents = data_files.contents_of(file_set, *splits)
            data_files.write_files(Path(FILES.name), contents)


def _functions():
    """All public functions and classes that a person calls with arguments, by name."""
    functions = {name: getattr(jn, name) for name in jn.__all__}
    for name in jn.searches.__all__:
        functions[f"searches.{name}"] = getattr(jn.searches, name)
    for name in READERS:
        functions[f"datasets.{name}"] = getattr(jn.datasets, name)
    for module in MODULES:
        prefix = module.__name__.rpartition(".")[2]
        for name, member in vars(module).items():
            is_own = getattr(member, "__module__", None) == module.__name__
            if is_own and name[0] != "_" and member not in functions.values():
                functions[f"{prefix}.{name}"] = member
    return {
        name: function
        for name, function in functions.items()
        if (inspect.isfunction(function) or inspect.isclass(function))
        and name not in RECORDS | INNER and not inspect.isabstract(function)
    }  # fmt: skip


def _arguments(name, function):
    """Right arguments of a function, by name."""
    right = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            right[parameter.name] = RIGHT.get(parameter.name, parameter.default)
            if parameter.default is not parameter.empty and parameter.name not in SHORT:
                right[parameter.name] = parameter.default
    return right | RIGHT_IN.get(name, {})


ALLOWED = {
    "net": {"network"}, "recipe": {"recipe", "swept"}, "timing": {"truth"}, "tune_plan": {"truth"},
    "progress": {"truth"},
    "params": {"nothing"}, "on_epoch": {"constructor"}, "on_progress": {"constructor"},
    "log": {"constructor", "nothing"}, "evaluate_on": {"nothing", "empty"},
    "path": {"text", "digits"}, "folder": {"text", "digits"}, "test": {"text", "digits"},
    "uri": {"text", "digits"}, "experiment": {"text", "digits"}, "project": {"text", "digits"},
    "name": {"text", "digits"}, "filename": {"text", "digits"}, "checkpoint": {"text", "digits"},
    "resume": {"text", "digits"}, "ranges": {"nothing", "dict"}, "trials": {"nothing"},
    "order": {"untyped key"}, "data": {"dataset"}, "split": {"split"},
    "successive_halving": {"huge", "2**32"}, "every": {"huge", "2**32"},
    "time_budget": {"2**32", "fraction", "whole float"},
    "margin": {"2**32", "fraction", "whole float"},
    "until": {"2**32", "fraction", "whole float"},
    "l1": {"2**32", "fraction", "whole float", "empty", "matrix", "untyped key"},
    "l2": {"2**32", "fraction", "whole float", "empty", "matrix", "untyped key"},
}  # fmt: skip
"""Kinds that are right for an argument of a function that trains: not tried, to be fast."""
SEEDS_OF_NUMPY = {"check_deltas", "compare"}
"""Functions whose seed may be any whole number."""
TRAIN = {
    "train", "fit", "sweep", "compare", "check_deltas", "check_gradients", "gradient", "evaluate",
    "confusion", "epoch", "predict", "logits", "backprop", "save", "load", "open_study", "to_onnx",
    *(f"datasets.{name}" for name in READERS),
    "network2.load", "callbacks.mlflow", "callbacks.wandb",
    "searches.asha", "searches.hyperband", "searches.hypergradient", "searches.population",
}  # fmt: skip


def _wrong_values(name, argument, right):
    """What an argument may not be, or what any function but those that train may try."""
    allowed = ALLOWED.get(argument, set()) if name in TRAIN else set()
    if argument == "seed" and name in SEEDS_OF_NUMPY:
        allowed = {"huge", "2**32"}
    if right is None:
        allowed = allowed | {"nothing"}
    return {kind: value for kind, value in BAD.items() if kind not in allowed}


FUNCTIONS = _functions()
CELLS = [
    (name, argument)
    for name, function in FUNCTIONS.items()
    for argument in _arguments(name, function)
    if (name, argument) not in NOT_TRIED
]


def _fault(argument, error):
    """What is wrong with an error, if anything."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place, message = f"{frame.filename}:{frame.lineno}", str(error)
    if not isinstance(error, ValueError):
        return f"{type(error).__name__} at {place}: {message[:200]}"
    if not frame.filename.startswith(LIBRARY) or not (frame.line or "").startswith("raise"):
        return f"raised at {place}, not by jaxnet: {message[:200]}"
    if "\n" in message or not message.endswith(".") or len(message) > 500:
        return f"not one short sentence: {message[:600]!r}"
    words = {argument, argument.rstrip("s"), OTHER_WORDS.get(argument, argument)}
    if not any(word in message for word in words):
        return f"does not name {argument}: {message}"
    return None


def faults_of(name):
    """What is wrong with the errors of a function, for each argument × each kind."""
    function, right = FUNCTIONS[name], _arguments(name, FUNCTIONS[name])
    faults = []
    for argument in [argument for cell, argument in CELLS if cell == name]:
        for kind, value in _wrong_values(name, argument, right[argument]).items():
            try:
                function(**{**right, argument: value})
            except Exception as error:
                if fault := _fault(argument, error):
                    faults.append(f"{name}({argument}={kind}): {fault}")
    return faults


# What a hyperparameter may never be; `None` leaves out what has it as its default.
NEVER = ("text", "digits", "bytes", "truth", "complex", "nan", "inf", "huge", "dict", "object")


def lenient_optimizers():
    """The optimizers that take something that is no number, or refuse it in other words."""
    lenient = []
    for name, constructor in optimizers.NAMED.items():
        for argument, kind in itertools.product(inspect.signature(constructor).parameters, NEVER):
            is_flag = argument in ("centered", "gauss_newton")
            if is_flag and kind == "truth":
                continue
            try:
                message = f"{constructor(**{argument: BAD[kind]})!r}"
            except ValueError as error:
                message = str(error)
            if not re.fullmatch(f"{argument} must be .*, not .*[.]|{argument} must be .*", message):
                lenient.append(f"{name}({argument}={kind}): {message}")
    return lenient


WRITE_INSTEAD = {
    "jn.adam(lr=0.1)": "adam takes no lr; its arguments are learning_rate, b1, b2 and eps",
    "jn.Recipe(jn.sgd(0.1), lr=0.1)": "Recipe takes no lr; its arguments are optimizer, l2, l1",
    "jn.Network((2, 2), activation=1)": "Network takes no activation; .* hidden, cost, init and",
    "jn.schedules.cosine(3, stop=1)": "cosine takes no stop; its arguments are horizon, end and",
    "jn.stopping.reach(0.9, n=3)": "reach takes no n; its arguments are target, metric, split",
    "jn.train(NET, DATA, RECIPE, lr=1)": "train takes no lr; its arguments are net, data, recipe",
    "jn.sweep(NET, DATA, RECIPE, seed=1)": "sweep takes no seed; its arguments are .*seeds",
    "jn.sgd(0.1, learning_rate=0.2)": "multiple values for argument 'learning_rate'",
    "jn.Recipe(jn.sgd)": r"in place of the function jaxnet.sgd, write .* jaxnet.sgd\(\)",
    "jn.Recipe('adam')": r"in place of the name 'adam', write jaxnet.adam\(\)",
    "jn.Recipe(optax.adam(1e-3))": r"write jaxnet.custom\(optax.adam, learning_rate=0.001\)",
    "jn.Recipe(optax.adam)": r"function adam, write jaxnet.custom\(adam, learning_rate=0.001\)",
    "jn.Recipe(optimizer=None)": "must be an Optimizer such as .*: it is not None",
    "jn.custom(optax.adam(1e-3))": r"write jaxnet.custom\(optax.adam, learning_rate=0.001\) in",
    "jn.custom(optax.sgd, lr=0.1)": r"sgd\(lr=0.1\): sgd takes no lr; .* are learning_rate, mom",
    "jn.custom(optax.sgd)": "missing 1 required positional argument: 'learning_rate'",
    "jn.custom(partial(optax.sgd, 0.1))": "must be a function with a name, not a functools.part",
    "jn.custom(jn.sgd, learning_rate=0.1)": "jaxnet's own optimizers are called as they are",
    "jn.custom(_branching, learning_rate=0.1)": "traced, so a rule must not branch on their valu",
    "jn.compare(NET, DATA, [optax.adam, jn.sgd])": r"give jaxnet.custom\(optax.adam, learning_ra",
    "jn.Network((2, 2), init='he')": "init must be a function .* jaxnet.initializers.he.*not 'he'",
    "jn.Network((2, 2), init=jn.initializers.gaussian)": r"or jaxnet.initializers.gaussian\(0.1\)",
    "jn.init(jn.Network((2, 3), init=_transposed), KEY)": r"for 2 .*drew shapes \(\(3, 2\)",
    "jn.Monitors(([],))": r"the names of monitors must be a tuple of .*, not \(\[\],\)",
    "jax.jit(partial(jn.train, NET, DATA))(RECIPE)": "cannot trace it: jaxnet.fit is a pure func",
    "jax.jit(partial(jn.sweep, NET, DATA))(RECIPE)": "cannot trace it: map jaxnet.fit",
    "jn.evaluate(NET, PARAMS, None)": "split is None: the data has no such split; give one that it",
    "jn.train(NET, RECIPE, DATA)": "^(data|recipe) must be",
}
"""What a person may write, and what the error says instead."""


def _branching(learning_rate):
    return optax.sgd(learning_rate) if learning_rate > 0 else optax.identity()


def _transposed(key, n_in, n_out):
    w, b = jn.initializers.he(key, n_in, n_out)
    return jn.Layer(w.T, b)


def wrong_advice():
    """The expressions that are not refused with what to write instead."""
    wrong = []
    for expression, advice in WRITE_INSTEAD.items():
        try:
            message = repr(eval(expression))
        except (ValueError, TypeError) as error:
            message = str(error)
        if not re.search(advice, message):
            wrong.append(f"{expression}: {message}")
    return wrong


def main():
    """Print all faults, and how many cells were tried."""
    warnings.simplefilter("error")
    faults = []
    write_files()
    with tempfile.TemporaryDirectory() as folder:
        for index, name in enumerate(FUNCTIONS):  # what one writes is not in another's way
            os.mkdir(os.path.join(folder, str(index)))
            os.chdir(os.path.join(folder, str(index)))
            faults += faults_of(name)
        faults += lenient_optimizers() + wrong_advice()
        os.chdir("/")
    json.dump({"faults": faults, "cells": CELLS, "kinds": len(BAD)}, sys.stdout)


if __name__ == "__main__":
    main()
