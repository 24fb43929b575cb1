"""Optimizers: a constructor for each update rule, under the name that it has in the field.

Each constructor states its defaults: the book's or, where the book names none, optax's. It also
states where its formula or a default differs from PyTorch's, Keras's or the paper's. In the
formulas g is the gradient, w a parameter, η the learning rate and t the step, counted from 1. Every
number may be an array: the optimizer then stands for one optimizer per entry, and a recipe with it
is a sweep.
"""

from collections.abc import Callable

from jaxnet.core.registry import Registry
from jaxnet.recipes.adam_family import (
    adabelief,
    adam,
    adamax,
    adamw,
    amsgrad,
    lamb,
    nadam,
    radam,
    schedule_free_adam,
    yogi,
)
from jaxnet.recipes.adaptive import adadelta, adagrad, rmsprop, rprop, sm3
from jaxnet.recipes.gradient_descent import (
    lion,
    momentum,
    muon,
    nesterov,
    noisy_sgd,
    schedule_free_sgd,
    sgd,
)
from jaxnet.recipes.optimizer import Optimizer, UpdateRule, custom
from jaxnet.recipes.second_order import lbfgs, newton_cg

__all__ = [
    "NAMED",
    "Optimizer",
    "UpdateRule",
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "amsgrad",
    "custom",
    "lamb",
    "lbfgs",
    "lion",
    "momentum",
    "muon",
    "nadam",
    "nesterov",
    "newton_cg",
    "noisy_sgd",
    "radam",
    "rmsprop",
    "rprop",
    "schedule_free_adam",
    "schedule_free_sgd",
    "sgd",
    "sm3",
    "yogi",
]

NAMED: Registry[Callable[..., Optimizer]] = Registry(
    "optimizer",
    {
        "sgd": sgd,
        "momentum": momentum,
        "nesterov": nesterov,
        "adagrad": adagrad,
        "adadelta": adadelta,
        "rmsprop": rmsprop,
        "adam": adam,
        "amsgrad": amsgrad,
        "nadam": nadam,
        "adamax": adamax,
        "adamw": adamw,
        "lion": lion,
        "lamb": lamb,
        "adabelief": adabelief,
        "radam": radam,
        "yogi": yogi,
        "sm3": sm3,
        "noisy_sgd": noisy_sgd,
        "rprop": rprop,
        "schedule_free_sgd": schedule_free_sgd,
        "schedule_free_adam": schedule_free_adam,
        "muon": muon,
        "lbfgs": lbfgs,
        "newton_cg": newton_cg,
    },
)
"""The optimizers by the names that the command line and fingerprints use."""
