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
    adagrad,
    adam,
    adamw,
    momentum,
    nesterov,
    rmsprop,
    sgd,
)
from jaxnet.storage import load, save
from jaxnet.training import History, Recipe, Run, TrainState, epoch, evaluate, fit, train
from jaxnet.types import Dataset, Layer, Params, Split

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
    "adagrad",
    "adam",
    "adamw",
    "backprop",
    "check_deltas",
    "check_gradients",
    "costs",
    "datasets",
    "epoch",
    "evaluate",
    "fit",
    "gradient",
    "init",
    "initializers",
    "load",
    "logits",
    "momentum",
    "nesterov",
    "numerical_gradient",
    "predict",
    "rmsprop",
    "save",
    "sgd",
    "train",
]
