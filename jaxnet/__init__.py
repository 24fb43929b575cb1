"""jaxnet: feed-forward networks as pure functions over parameter pytrees in JAX.

The gradient is handwritten backpropagation, proved against `jax.grad` and finite differences;
whole training runs compile with `jit`. Read the files from the floor up: `types`, `activations`,
`costs`, `network`, `backprop`, `optimizers`, `training`.
"""

from jaxnet import activations, costs, datasets, initializers
from jaxnet.backprop import backprop, gradient
from jaxnet.gradcheck import GradientError, check_deltas, check_gradients, numerical_gradient
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
from jaxnet.storage import load, save
from jaxnet.training import Recipe, Run, TrainState, epoch, evaluate, fit, train
from jaxnet.types import Dataset, History, Layer, Params, Split

__version__ = "0.1.0"

__all__ = [
    "Dataset",
    "GradientError",
    "History",
    "Layer",
    "Network",
    "Optimizer",
    "Params",
    "Recipe",
    "Run",
    "Split",
    "TrainState",
    "activations",
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "amsgrad",
    "backprop",
    "check_deltas",
    "check_gradients",
    "costs",
    "custom",
    "datasets",
    "epoch",
    "evaluate",
    "fit",
    "gradient",
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
    "noisy_sgd",
    "numerical_gradient",
    "predict",
    "radam",
    "rmsprop",
    "rprop",
    "save",
    "schedule_free_adam",
    "schedule_free_sgd",
    "sgd",
    "sm3",
    "train",
    "yogi",
]
