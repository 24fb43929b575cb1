"""jaxnet: feed-forward networks as pure functions over parameter pytrees in JAX.

The gradient is handwritten backpropagation, checked against `jax.grad` and finite differences;
whole training runs compile with `jit`. Packages, from the ground up; each imports only those
before it: `core` (networks and backpropagation), `io` (files), `data`, `recipes` (optimizers and
all else that says how to train), `acceleration`, `training`, `sweeps` (many networks at once),
`comparison` (which optimizer is better), `reporting` (pictures and pages), `cli`.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from jaxnet import comparison
from jaxnet.comparison import Comparison, compare, statistics, tasks
from jaxnet.core import (
    Dataset,
    GradientError,
    History,
    Layer,
    Network,
    Params,
    Split,
    activations,
    backprop,
    check_deltas,
    check_gradients,
    costs,
    gradient,
    init,
    initializers,
    logits,
    numerical_gradient,
    predict,
)
from jaxnet.data import datasets
from jaxnet.io import load, save
from jaxnet.recipes import (
    Augmentation,
    Optimizer,
    Recipe,
    Schedule,
    Stopping,
    adabelief,
    adadelta,
    adagrad,
    adam,
    adamax,
    adamw,
    amsgrad,
    augmentation,
    custom,
    lamb,
    lbfgs,
    lion,
    momentum,
    muon,
    nadam,
    nesterov,
    newton_cg,
    noisy_sgd,
    radam,
    rmsprop,
    rprop,
    schedule_free_adam,
    schedule_free_sgd,
    schedules,
    sgd,
    sm3,
    stopping,
    yogi,
)
from jaxnet.sweeps import LogUniform, OneMinus, Study, SweepReport, Uniform, grid, sample, sweep
from jaxnet.training import (
    EpochReport,
    Monitors,
    Run,
    TrainState,
    callbacks,
    confusion,
    epoch,
    evaluate,
    fit,
    start,
    train,
    use_all_cores,
)

__version__ = "0.3.0"

__all__ = [
    "Augmentation",
    "Comparison",
    "Dataset",
    "EpochReport",
    "GradientError",
    "History",
    "Layer",
    "LogUniform",
    "Monitors",
    "Network",
    "OneMinus",
    "Optimizer",
    "Params",
    "Recipe",
    "Run",
    "Schedule",
    "Split",
    "Stopping",
    "Study",
    "SweepReport",
    "TrainState",
    "Uniform",
    "activations",
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "amsgrad",
    "augmentation",
    "backprop",
    "callbacks",
    "check_deltas",
    "check_gradients",
    "compare",
    "comparison",
    "confusion",
    "costs",
    "custom",
    "datasets",
    "epoch",
    "evaluate",
    "fit",
    "gradient",
    "grid",
    "init",
    "initializers",
    "lamb",
    "lbfgs",
    "lion",
    "load",
    "logits",
    "momentum",
    "muon",
    "nadam",
    "nesterov",
    "newton_cg",
    "noisy_sgd",
    "numerical_gradient",
    "predict",
    "radam",
    "rmsprop",
    "rprop",
    "sample",
    "save",
    "schedule_free_adam",
    "schedule_free_sgd",
    "schedules",
    "sgd",
    "sm3",
    "start",
    "statistics",
    "stopping",
    "sweep",
    "tasks",
    "train",
    "use_all_cores",
    "yogi",
]

# These need matplotlib, of the extra `cli`: they are imported at first use.
_LAZY = {"pages": "comparison_page", "plots": "plots"}

if TYPE_CHECKING:
    from jaxnet.reporting import comparison_page as pages  # noqa: F401
    from jaxnet.reporting import plots  # noqa: F401
else:

    def __getattr__(name: str) -> ModuleType:
        """The modules `jaxnet.pages` and `jaxnet.plots`, imported at first use."""
        if name in _LAZY:
            return importlib.import_module(f"jaxnet.reporting.{_LAZY[name]}")
        raise AttributeError(f"module 'jaxnet' has no attribute {name!r}")
