"""Validate arguments before tracing: do network, data, recipe and settings fit together?

Everything is looked at in Python, before anything is traced; the message names the value, what is
allowed and the remedy.
"""

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import jax
import jax.core
import numpy as np

from jaxnet.core import network
from jaxnet.core.checks import check_split
from jaxnet.core.hyperparameters import count
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, Params
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.monitors import Monitors


def check_recipe(recipe: Any) -> None:
    """Raise a ValueError unless it is a recipe."""
    if not isinstance(recipe, Recipe):
        wrapped = ": wrap it, jaxnet.Recipe(…)" if isinstance(recipe, Optimizer) else ""
        raise ValueError(f"recipe must be a Recipe, not {type(recipe).__name__}{wrapped}.")


def checked(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    epochs: SupportsIndex,
    batch_size: SupportsIndex,
    seed: Any,
    params: Params | None,
    evaluate_on: Sequence[str] = ("evaluation", "training"),
) -> Dataset:
    """The data without its test split, if network, data and settings fit together.

    Raises:
      ValueError: they do not; the message names the value, what is allowed and the remedy.
    """
    for name, given, kind in (("net", net, Network), ("data", data, Dataset)):
        if not isinstance(given, kind):
            raise ValueError(f"{name} must be a {kind.__name__}, not {type(given).__name__}.")
    check_recipe(recipe)
    if any(np.ndim(number) for number in jax.tree.leaves(recipe)):
        raise ValueError(
            "train and fit take scalars, but a number in the recipe is an array; sweep it."
        )
    count("epochs", epochs, low=1)
    n = len(data.train.x)
    if count("batch_size", batch_size, low=1) > n:
        raise ValueError(
            f"batch_size must be in [1, {n}], the number of training examples, not {batch_size}."
        )
    if not isinstance(seed, jax.core.Tracer):
        count("seed", seed, low=0, high=2**32)
    if not isinstance(evaluate_on, (tuple, list)) or not set(evaluate_on) <= {
        "evaluation",
        "training",
    }:
        raise ValueError(
            'evaluate_on must be a tuple of "evaluation" and "training", or empty, '
            f"not {evaluate_on!r}."
        )
    for name, split in zip(("training", "validation", "test"), data, strict=True):
        if split is not None:
            check_split(net, name, split)
    if params is not None:
        network.check_params(net, params)
    n_steps = -(-n // operator.index(batch_size))
    _check_recipe(net, data, recipe, n_steps, operator.index(epochs), evaluate_on)
    return data._replace(test=None)


def check_monitors(monitors: Any, net: Network, n_steps: int) -> None:
    """Raise a ValueError unless these are `None`, or monitors that can measure this network.

    Args:
      monitors: what a caller gave.
      net: the architecture.
      n_steps: mini-batches to the epoch.
    """
    if monitors is None:
        return
    if not isinstance(monitors, Monitors):
        raise ValueError(f"monitors must be Monitors, such as jaxnet.Monitors(), not {monitors!r}.")
    if not sum(monitors.widths(net).values()):
        raise ValueError(
            f"{' and '.join(monitors.names)} are of hidden layers, but sizes {net.sizes} has none."
        )
    if not len(monitors.rows(n_steps)):
        raise ValueError(
            f"monitors measure every {monitors.every} mini-batches, but an epoch has {n_steps}; "
            "choose fewer."
        )


def _check_recipe(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    n_steps: int,
    epochs: int,
    evaluate_on: Sequence[str],
) -> None:
    """Raise a ValueError unless this network, on this data, for so long, can follow the recipe."""
    for name in ("dropout", "max_norm"):
        if getattr(recipe, name) is not None and len(net.sizes) == 2:
            raise ValueError(f"{name} is for hidden units, but sizes {net.sizes} has none.")
    labels = network.are_labels(data.train.y)
    if recipe.label_smoothing is not None and not labels:
        raise ValueError("label_smoothing is for integer labels, but the targets are floats.")
    if recipe.augmentation is not None:
        recipe.augmentation.image_shape(net.sizes[0])
    if recipe.schedule is not None:
        try:
            jax.eval_shape(lambda s, t: s.factor(t, n_steps), recipe.schedule, np.int32(0))
        except (TypeError, ValueError) as error:  # among them JAX's, of traced numbers
            reason = str(error).partition("\n")[0].rstrip(".")
            raise ValueError(
                f"the schedule {recipe.schedule} cannot be made of epochs of {n_steps} "
                f"mini-batches: {reason}."
            ) from None
    ends = None if recipe.schedule is None else recipe.schedule.ends(n_steps)
    if ends is not None and ends < epochs * n_steps:
        raise ValueError(
            f"the schedule {recipe.schedule} ends after {ends / n_steps:g} epochs, but the run has "
            f"{epochs}; a new run may have a longer one, a resumed run keeps its end."
        )
    stopping = recipe.stopping
    if stopping is not None:
        split = data.valid if stopping.split == "evaluation" else data.train
        if split is None or stopping.split not in evaluate_on:
            missing = "monitored" if split is not None else "there: the data has no validation set"
            raise ValueError(
                f"the stopping rule looks at the {stopping.curve.replace('_', ' ')}, which is not "
                f"{missing}; let the rule decide on another split, or add this one."
            )
        if stopping.metric == "accuracy" and not network.are_labels(split.y):
            raise ValueError(
                "the stopping rule looks at accuracy, but the targets are floats; "
                'use metric="cost".'
            )
