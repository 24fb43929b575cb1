"""Validate arguments before tracing.

Network, data, recipe and settings are checked in Python, before anything is traced. An error names
the value, what is allowed and the remedy.
"""

import operator
from pathlib import Path
from typing import SupportsIndex

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Integer

from jaxnet.core import network
from jaxnet.core.accuracy import have_accuracy
from jaxnet.core.arguments import brief, path_of, reason_of, require_choice, require_kind
from jaxnet.core.checks import check_data
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Dataset, Params, Split
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.measured import Measured, check_is_defined, check_metric_name, check_metrics
from jaxnet.training.monitors import Monitors
from jaxnet.training.part_checks import check_own_parts

MOST_SEEDS = 2**24
"""A larger number of seeds was meant as a seed."""
ORDERS = ("shuffled", "sequential")
"""The orders in which an epoch may visit the examples."""
DRAWS = {"jax_threefry_partitionable": True, "jax_random_seed_offset": 0}
"""JAX's settings that decide on what a random key draws, with their defaults."""


def check_recipe(recipe: object) -> None:
    """Raise an error unless the argument is a recipe.

    Args:
      recipe: the argument that a caller gave as recipe.

    Raises:
      ValueError: it is something else, such as an optimizer.
    """
    if not isinstance(recipe, Recipe):
        wrapped = ": wrap it, jaxnet.Recipe(…)" if isinstance(recipe, Optimizer) else ""
        raise ValueError(f"recipe must be a Recipe, not {brief(recipe)}{wrapped}.")


def check_not_traced(function_name: str, instead: str, *arguments: object) -> None:
    """Raise an error if a function that works on the host is being compiled or differentiated.

    Args:
      function_name: the function that was called.
      instead: what to call instead, as a clause: "jaxnet.fit is a pure function".
      *arguments: its arguments, any pytrees.

    Raises:
      ValueError: a number in them is traced.

    >>> check_not_traced("train", "jaxnet.fit is a pure function", 0.5)
    """
    if any(isinstance(number, jax.core.Tracer) for number in jax.tree.leaves(arguments)):
        raise ValueError(
            f"{function_name} works on the host, so jit, vmap and grad cannot trace it: {instead}."
        )


def checked(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    epochs: SupportsIndex,
    batch_size: SupportsIndex,
    seed: SupportsIndex | Integer[AnyArray, ""],
    params: Params | None,
    choices: Measured,
) -> Dataset:
    """Check the arguments of `train` and `fit`.

    Args:
      net: the architecture.
      data: the splits; the test split is checked, too.
      recipe: how the network is to be trained.
      epochs: how many times every example is visited.
      batch_size: examples per mini-batch.
      seed: the seed, traced or not.
      params: initial parameters, or `None`.
      choices: what to measure.

    Returns:
      The data in arrays that a network can read, without its test split unless that is evaluated.

    Raises:
      ValueError: network, data and settings do not fit together.
    """
    data = check_data(net, data)
    check_settings(net, data, recipe, epochs, batch_size, seed, params, choices)
    rule, n_out = recipe.stopping, net.sizes[-1]
    if rule is not None and rule.split == "training":
        check_is_defined(rule.metric, "training split", data.train, n_out, choices)
    elif rule is not None and data.valid is not None:
        check_is_defined(rule.metric, "validation split", data.valid, n_out, choices)
    return data if "test" in choices.evaluate_on else data._replace(test=None)


def check_settings(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    epochs: SupportsIndex,
    batch_size: SupportsIndex,
    seed: SupportsIndex | Integer[AnyArray, ""],
    params: Params | None,
    choices: Measured,
) -> None:
    """Check all arguments of `train` and `fit` but the data, which takes longest.

    Args:
      net: the architecture.
      data: the splits, as `jaxnet.core.checks.check_data` returns them.
      recipe: how the network is to be trained.
      epochs: how many times every example is visited.
      batch_size: examples per mini-batch.
      seed: the seed, traced or not.
      params: initial parameters, or `None`.
      choices: what to measure.

    Raises:
      ValueError: network, data and settings do not fit together.
    """
    check_recipe(recipe)
    _check_draws()
    if any(np.ndim(number) for number in jax.tree.leaves(recipe)):
        raise ValueError(
            "train and fit take scalars, but a number in the recipe is an array; use "
            "jaxnet.sweep to train one network for each of its values."
        )
    count("epochs", epochs, low=1)
    n_examples = len(data.train.x)
    if count("batch_size", batch_size, low=1) > n_examples:
        raise ValueError(
            f"batch_size must be in [1, {n_examples}], the number of training examples (in folds, "
            f"of the smallest), not {brief(batch_size)}."
        )
    if not isinstance(seed, jax.core.Tracer):
        count("seed", seed, low=0, high=2**32)
    check_metrics(net, data, choices)
    if params is not None:
        network.check_initial_params(net, params)
    n_steps = -(-n_examples // operator.index(batch_size))
    _check_parts(net, data, recipe)
    _check_schedule(recipe, n_steps, operator.index(epochs))
    _check_stopping(net, data, recipe, choices)


def count_of_seeds(name: str, value: object, low: int) -> int:
    """A number of seeds, checked to be one and not a seed itself.

    Args:
      name: what the argument is called, for the error.
      value: the argument.
      low: the smallest number allowed.

    Returns:
      The number as a Python int.

    Raises:
      ValueError: it is not a whole number of at least `low`, or so large that a list of as many
        networks would fill the memory before any training.

    >>> count_of_seeds("seeds", 3, low=1)
    3
    """
    n_seeds = count(name, value, low)
    if n_seeds >= MOST_SEEDS:
        raise ValueError(
            f"{name} must be a number of seeds below {MOST_SEEDS}, not {n_seeds}; pass [{n_seeds}] "
            "for this one seed."
        )
    return n_seeds


def check_epoch(
    net: object, batch_size: object, data: object, order: object, key: object, recipe: object
) -> int:
    """Check the kinds of the arguments of `epoch`.

    Args:
      net: what the caller gave as the architecture.
      batch_size: as the examples per mini-batch.
      data: as the split to train on.
      order: as the examples' indices.
      key: as the run's key.
      recipe: as the recipe.

    Returns:
      The batch size as a Python int.

    Raises:
      ValueError: one of them is of another kind, or the batch size is out of its range.
    """
    require_kind("net", net, Network, "jaxnet.Network((784, 30, 10))")
    require_kind("data", data, Split, "jaxnet.datasets.mnist().train")
    check_recipe(recipe)
    network.check_key("epoch", key)
    is_array = isinstance(order, (jax.Array, np.ndarray))
    if not is_array or order.ndim != 1 or not jnp.issubdtype(order.dtype, jnp.integer):
        raise ValueError(
            "order must be a vector of the examples' indices, such as numpy.arange(n), not "
            f"{brief(order)}."
        )
    return count("batch_size", batch_size, low=1, high=len(order) + 1)


def check_order(order: object) -> None:
    """Raise an error unless the argument is an order in which an epoch may visit the examples.

    Args:
      order: the argument that a caller gave as order.

    Raises:
      ValueError: it is something else than one of `ORDERS`.
    """
    require_choice("order", order, ORDERS)


def check_monitors(monitors: object, net: Network, n_steps: int) -> None:
    """Raise an error unless the argument is `None`, or monitors that can measure this network.

    Args:
      monitors: the argument that a caller gave as monitors.
      net: the architecture.
      n_steps: mini-batches per epoch.

    Raises:
      ValueError: it is something else, measures only hidden layers of a network without any, or
        measures less often than once in an epoch.
    """
    if monitors is None:
        return
    if not isinstance(monitors, Monitors):
        raise ValueError(
            f"monitors must be Monitors, such as jaxnet.Monitors(), not {brief(monitors)}."
        )
    if not sum(monitors.widths(net).values()):
        raise ValueError(
            f"{' and '.join(monitors.names)} are of hidden layers, but sizes {net.sizes} has none; "
            "choose other monitors."
        )
    if not len(monitors.rows(n_steps)):
        raise ValueError(
            f"monitors measure every {monitors.every} mini-batches, but an epoch has {n_steps}; "
            "choose fewer."
        )


def _check_draws() -> None:
    """Check that JAX draws what it draws by default: a seed stands for the same run everywhere."""
    for name, default in DRAWS.items():
        value = getattr(jax.config, name)
        if value != default:
            raise ValueError(
                f"{name} is {value}, so that JAX would draw other numbers from the same seed; set "
                f"it to {default}, JAX's default."
            )


def _check_parts(net: Network, data: Dataset, recipe: Recipe) -> None:
    """Check the recipe's dropout, max-norm, label smoothing and augmentation."""
    for name in ("dropout", "max_norm"):
        if getattr(recipe, name) is not None and len(net.sizes) == 2:
            raise ValueError(
                f"{name} is for hidden units, but sizes {net.sizes} has none; leave it out."
            )
    if recipe.label_smoothing is not None and not have_accuracy(net.cost, data.train.y):
        raise ValueError(
            "label_smoothing is for classes: integer labels, multi-label targets or probabilities; "
            "but the targets are numbers to predict; leave it out."
        )
    if recipe.augmentation is not None:
        recipe.augmentation.check(net.sizes[0], net.n_targets)
    check_own_parts(net, recipe.optimizer)


def _check_schedule(recipe: Recipe, n_steps: int, epochs: int) -> None:
    """Check that the recipe's schedule can be computed, and lasts as long as the run."""
    if recipe.schedule is None:
        return
    for name, length in recipe.schedule.spans:
        if recipe.schedule.steps(length, n_steps) >= 2**31:
            raise ValueError(
                f"{name} of the schedule {recipe.schedule} must be below 2³¹ mini-batches, and an "
                f"epoch has {n_steps} of them; choose a smaller one."
            )
    try:
        factor = jax.eval_shape(lambda s, t: s.factor(t, n_steps), recipe.schedule, np.int32(0))
    except Exception as error:  # a schedule may be anyone's
        reason = reason_of(error)
        raise ValueError(
            f"the schedule {recipe.schedule} cannot be made of epochs of {n_steps} "
            f"mini-batches: {reason}."
        ) from error
    if np.shape(factor) != ():
        raise ValueError(
            f"the schedule {recipe.schedule} must return one factor for a step, not an array of "
            f"shape {np.shape(factor)}."
        )
    end = recipe.schedule.ends(n_steps)
    if end is not None and end < epochs * n_steps:
        raise ValueError(
            f"the schedule {recipe.schedule} ends after {end / n_steps:g} epochs, but the run has "
            f"{epochs}; a new run may have a longer one, a resumed run keeps its end."
        )


def _check_stopping(net: Network, data: Dataset, recipe: Recipe, choices: Measured) -> None:
    """Check that the metric of the recipe's stopping rule is evaluated, and exists."""
    rule = recipe.stopping
    if rule is None:
        return
    check_metric_name("the stopping rule's metric", rule.metric, choices)
    split = data.valid if rule.split == "evaluation" else data.train
    if split is None or rule.split not in choices.evaluate_on:
        fault = (
            "but the data has no validation set; give the data one, or the rule another split."
            if split is None
            else f'but evaluate_on lacks "{rule.split}"; add it, or give the rule another split.'
        )
        raise ValueError(f"the stopping rule looks at the {rule.curve.replace('_', ' ')}, {fault}")
    if rule.metric == "accuracy" and not have_accuracy(net.cost, split.y):
        raise ValueError(
            "the stopping rule looks at accuracy, but the targets are numbers to predict; use "
            'metric="cost".'
        )


def check_host_settings(
    epochs: int,
    every: SupportsIndex,
    checkpoint: str | Path | None,
    resume: str | Path | None,
    time_budget: float | None,
) -> None:
    """Check what the host does besides training: see `jaxnet.train`."""
    count("every", every, low=1)
    for name, folder in (("checkpoint", checkpoint), ("resume", resume)):
        if folder is not None:
            path_of(name, folder)
            if not epochs:
                raise ValueError(
                    f"epochs is 0, so that there is nothing to write a checkpoint of; leave {name} "
                    "out."
                )
    if time_budget is not None:
        constant("time_budget", time_budget, low=0)
