"""How a network is trained: all that makes up a `Recipe`, and its mathematics.

Optimizers with their update rules, penalties and dropout (`regularization`), distorted images
(`augmentation`), learning-rate schedules, early stopping.
"""

from jaxnet.recipes import augmentation, optimizers, pruning, schedules, stopping
from jaxnet.recipes.augmentation import Augmentation
from jaxnet.recipes.optimizers import (
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
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.schedules import Schedule
from jaxnet.recipes.stopping import Stopping

__all__ = [
    "Augmentation",
    "Optimizer",
    "Recipe",
    "Schedule",
    "Stopping",
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "amsgrad",
    "augmentation",
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
    "optimizers",
    "pruning",
    "radam",
    "rmsprop",
    "rprop",
    "schedule_free_adam",
    "schedule_free_sgd",
    "schedules",
    "sgd",
    "sm3",
    "stopping",
    "yogi",
]
