"""Networks and their gradient: activations, costs, initial weights, backpropagation, checks.

How networks are trained is written elsewhere. A reader may begin here, with `activations`, `costs`,
`initializers`, `network`, `backpropagation` and `gradient_check`, in this order.
"""

from jaxnet.core import activations, costs, initializers
from jaxnet.core.backpropagation import backprop, gradient
from jaxnet.core.gradient_check import (
    GradientError,
    check_deltas,
    check_gradients,
    numerical_gradient,
)
from jaxnet.core.network import Network, init, logits, predict
from jaxnet.core.types import Dataset, History, Layer, ParametricLayer, Params, Split

__all__ = [
    "Dataset",
    "GradientError",
    "History",
    "Layer",
    "Network",
    "ParametricLayer",
    "Params",
    "Split",
    "activations",
    "backprop",
    "check_deltas",
    "check_gradients",
    "costs",
    "gradient",
    "init",
    "initializers",
    "logits",
    "numerical_gradient",
    "predict",
]
