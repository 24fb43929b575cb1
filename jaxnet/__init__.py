"""jaxnet: feed-forward networks as pure functions over parameter pytrees in JAX.

The gradient is handwritten backpropagation, proved against `jax.grad` and finite differences;
whole training runs compile with `jit`. Read the files from the floor up: `types`, `activations`,
`costs`, `network`, `backprop`, `optimizers`, `recipe`, `steps`, `training`, `driver`, `lanes`,
`sweeps`, `comparison`.
"""

from jaxnet import (
    activations,
    augmentation,
    callbacks,
    comparison,
    costs,
    datasets,
    initializers,
    schedules,
    statistics,
    stopping,
    tasks,
)
from jaxnet.augmentation import Augmentation
from jaxnet.backprop import backprop, gradient
from jaxnet.comparison import Comparison, compare
from jaxnet.driver import EpochReport, Run, train
from jaxnet.evaluation import confusion, evaluate
from jaxnet.gradcheck import GradientError, check_deltas, check_gradients, numerical_gradient
from jaxnet.monitors import Monitors
from jaxnet.network import Network, init, logits, predict
from jaxnet.optimizers import (
    Optimizer,
    adabelief,
    adadelta,
    adagrad,
    adam,
    adamax,
    adamw,
    amsgrad,
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
    sgd,
    sm3,
    yogi,
)
from jaxnet.recipe import Recipe
from jaxnet.runners import SweepReport
from jaxnet.schedules import Schedule
from jaxnet.spaces import LogUniform, OneMinus, Uniform, grid, sample
from jaxnet.steps import TrainState, start
from jaxnet.stopping import Stopping
from jaxnet.storage import load, save
from jaxnet.studies import Study
from jaxnet.sweeps import sweep, use_all_cores
from jaxnet.training import epoch, fit
from jaxnet.types import Dataset, History, Layer, Params, Split

__version__ = "0.2.0"

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
