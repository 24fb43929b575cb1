"""Search spaces: make recipes whose hyperparameters are arrays, from lists of values or ranges.

A recipe whose hyperparameters are arrays is a sweep: entry i of every array belongs to recipe i, so
all arrays have one length. `grid` makes all combinations of values, `sample` draws from ranges.
"""

import dataclasses
import math
from collections.abc import Callable, Collection
from typing import NamedTuple

import jax
import numpy as np

from jaxnet.core.arguments import brief, likeliest, require_kind
from jaxnet.core.hyperparameters import constant, count, leaf
from jaxnet.core.types import Numbers
from jaxnet.recipes import optimizers
from jaxnet.recipes.augmentation import BatchRule
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.schedules import Schedule
from jaxnet.recipes.stopping import Stopping

RecipePart = Optimizer | Schedule | Stopping | BatchRule
"""A part of a recipe that has hyperparameters of its own."""


class Uniform(NamedTuple):
    """A range for `sample`, uniform in the value itself: x = low + (high − low)·u, u in [0, 1).

    Attributes:
      low: the lower end, a number.
      high: the upper end, above `low`.

    >>> from jaxnet.recipes.optimizers import momentum
    >>> swept = sample(Recipe(momentum()), 4, decay=Uniform(0.5, 0.9))
    >>> sorted((swept.optimizer.hyper["decay"] // 0.1).tolist())  # one in each quarter
    [5.0, 6.0, 7.0, 8.0]
    """

    low: float
    high: float


class LogUniform(NamedTuple):
    """A range for `sample`, uniform in the logarithm: x = low·(high/low)ᵘ, u in [0, 1).

    Attributes:
      low: the lower end, above 0.
      high: the upper end, above `low`.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> swept = sample(Recipe(sgd()), 2, learning_rate=LogUniform(0.01, 1.0))
    >>> sorted((swept.optimizer.hyper["learning_rate"] > 0.1).tolist())  # one in each decade
    [False, True]
    """

    low: float
    high: float


class OneMinus(NamedTuple):
    """A range for `sample`, uniform in the logarithm of 1 − x: for decay rates x just below 1.

    Attributes:
      low: the lower end of 1 − x, above 0.
      high: the upper end of 1 − x, above `low`.

    >>> from jaxnet.recipes.optimizers import momentum
    >>> swept = sample(Recipe(momentum()), 2, decay=OneMinus(0.001, 0.1))  # x from 0.9 to 0.999
    >>> sorted((swept.optimizer.hyper["decay"] > 0.99).tolist())
    [False, True]
    """

    low: float
    high: float


Range = Uniform | LogUniform | OneMinus | Numbers
"""What `sample` draws from: one of the ranges, or a pair (low, high), short for `LogUniform`."""


def grid(recipe: Recipe, **values: Numbers) -> Recipe:
    """A recipe whose hyperparameters are all combinations of the given values.

    The values of the last name vary fastest.

    Args:
      recipe: what all combinations have in common.
      values: for each hyperparameter to vary, by name, a number or a list or 1-D array of numbers.
        A name is one of the optimizer's hyperparameters (`learning_rate`), the schedule's, the
        stopping rule's or the augmentation's, or a number of the recipe itself (`l2`).

    Returns:
      The recipe with an array of n numbers for each name, n being the product of their lengths.

    Raises:
      ValueError: the recipe has arrays already, or no hyperparameter of a name, a value is out of
        its range, or there are no values.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> swept = grid(Recipe(sgd(0.1)), learning_rate=[0.1, 1.0], l2=[0.0, 1.0, 5.0])
    >>> len(swept), swept.l2.tolist()
    (6, [0.0, 1.0, 5.0, 0.0, 1.0, 5.0])
    """
    _check_recipe("grid", recipe)
    columns = [_column(name, numbers) for name, numbers in values.items()]
    if not columns:
        raise ValueError("grid takes one or more names, each with a number or a list of numbers.")
    combinations = np.meshgrid(*columns, indexing="ij")
    return _with_numbers(
        recipe, {name: array.ravel() for name, array in zip(values, combinations, strict=True)}
    )


def _check_recipe(function_name: str, recipe: object) -> None:
    """Refuse what is no recipe, and one with arrays, which would be zipped with the new ones."""
    require_kind("recipe", recipe, Recipe, "jaxnet.Recipe(jaxnet.sgd(0.5))")
    leaves, _ = jax.tree_util.tree_flatten_with_path(recipe)
    names = [
        str(getattr(p[-1], "key", getattr(p[-1], "name", p[-1]))) for p, x in leaves if np.ndim(x)
    ]
    if names:
        raise ValueError(
            f"the recipe of {function_name} must hold single numbers, but {', '.join(names)} has "
            f"several; give all that varies to one call of {function_name}."
        )


def _column(name: str, numbers: object) -> np.ndarray:
    """The values of a hyperparameter as a vector of float64: ranges are checked later."""
    if leaf(name, numbers, low=-np.inf) is not None:
        column = np.atleast_1d(np.asarray(numbers, float))
        if column.ndim == 1 and column.size:
            return column
    raise ValueError(f"{name} must be a number or a list of numbers, not {brief(numbers)}.")


def sample(recipe: Recipe, n: int, *, seed: int = 0, **ranges: Range) -> Recipe:
    """A recipe whose hyperparameters are n scrambled Sobol points of the given ranges.

    Sobol points cover the box of ranges more evenly than random points, most evenly if n is a power
    of 2.

    Args:
      recipe: what all points have in common.
      n: the number of points, at least 1.
      seed: the seed of the scrambling, at least 0.
      ranges: for each hyperparameter to vary, by name (see `grid`), a `LogUniform`, a `Uniform`, a
        `OneMinus`, or a pair (low, high), short for `LogUniform(low, high)`.

    Returns:
      The recipe with an array of n numbers for each name.

    Raises:
      ValueError: the recipe has arrays already, or no hyperparameter of a name, a range is empty or
        reaches beyond the values allowed, or there are no ranges.

    Source: Sobol', 1967; Owen, 1998, by `scipy.stats.qmc`.

    >>> from jaxnet.recipes.optimizers import momentum
    >>> swept = sample(Recipe(momentum()), 8, learning_rate=(1e-3, 1.0), decay=Uniform(0, 0.99))
    >>> len(swept), bool(swept.optimizer.hyper["learning_rate"].max() < 1)
    (8, True)
    """
    from scipy.stats import qmc  # only here: to import it takes longer than all of jaxnet

    _check_recipe("sample", recipe)
    n = count("n", n, low=1)
    seed = count("seed", seed, low=0, high=2**64)
    if not ranges:
        raise ValueError("sample takes one or more names, each with a range (low, high).")
    points = qmc.Sobol(len(ranges), rng=seed).random_base2(math.ceil(math.log2(max(n, 2))))[:n]
    columns = {}
    for (name, given_range), unit_points in zip(ranges.items(), points.T, strict=True):
        columns[name] = _in_range(name, given_range, unit_points)
    return _with_numbers(recipe, columns)


def _in_range(name: str, given_range: Range, unit_points: np.ndarray) -> np.ndarray:
    """Points of [0, 1), mapped to a range."""
    span = given_range if isinstance(given_range, Uniform) else _log_range(name, given_range)
    low, high = (float(leaf(name, constant(name, end, low=0))) for end in span)
    if not low < high:
        raise ValueError(f"the range of {name} must have low < high, not ({low}, {high}).")
    if isinstance(span, Uniform):
        numbers = low + (high - low) * unit_points
    else:
        numbers = low * (high / low) ** unit_points
    numbers = np.clip(numbers, low, high)
    return 1 - numbers if isinstance(span, OneMinus) else numbers


def _log_range(name: str, given_range: Range) -> LogUniform | OneMinus:
    """A logarithmic range, of which a pair (low, high) is the short form."""
    try:
        ends = tuple(given_range)  # pyright: ignore[reportArgumentType]
    except TypeError:  # it has no items
        ends = ()
    if len(ends) != 2:
        raise ValueError(f"{name} needs a range (low, high), not {brief(given_range)}.")
    low, high = (constant(name, end, low=0) for end in ends)
    if not low > 0:
        raise ValueError(
            f"the range of {name} begins at {low}, which has no logarithm; begin above 0, or take "
            f"jaxnet.Uniform({low}, {high})."
        )
    return given_range if isinstance(given_range, OneMinus) else LogUniform(low, high)


def _with_numbers(recipe: Recipe, columns: dict[str, np.ndarray]) -> Recipe:
    """The recipe with other hyperparameters, checked by the constructors of its parts."""
    names_by_part: dict[str, Collection[str]] = {
        "optimizer": recipe.optimizer.hyper,
        "schedule": recipe.schedule.hyper if recipe.schedule else (),
        "stopping": _leaf_names(recipe.stopping),
        "augmentation": recipe.augmentation.numbers if recipe.augmentation else (),
    }
    own_names = {field.name for field in dataclasses.fields(recipe)} - set(names_by_part)
    own_columns: dict[str, np.ndarray] = {}
    columns_by_part: dict[str, dict[str, np.ndarray]] = {part: {} for part in names_by_part}
    for name, column in columns.items():
        part = next((part for part, names in names_by_part.items() if name in names), None)
        if name in own_names:
            own_columns[name] = column
        elif part is not None:
            columns_by_part[part][name] = column
        else:
            known = sorted(own_names.union(*names_by_part.values()))
            meant = likeliest(name, known)
            but = "" if meant is None else f", but {meant} is"
            raise ValueError(
                f"{name} is not a number of this recipe{but}; its numbers are {', '.join(known)}."
            )
    rebuilt_parts = {
        part: _rebuilt(getattr(recipe, part), part_columns)
        for part, part_columns in columns_by_part.items()
        if part_columns
    }
    return dataclasses.replace(recipe, **own_columns, **rebuilt_parts)


def _leaf_names(part: Stopping | None) -> list[str]:
    """The names of the hyperparameters that are set in a stopping rule."""
    if part is None:
        return []
    leaves, _ = jax.tree_util.tree_flatten_with_path(part)
    return [path[0].name for path, _ in leaves if isinstance(path[0], jax.tree_util.GetAttrKey)]


def _rebuilt(part: RecipePart, numbers: dict[str, np.ndarray]) -> RecipePart:
    """A part of a recipe with other hyperparameters, by a constructor that checks their ranges."""
    if isinstance(part, BatchRule):
        return part.with_numbers(**numbers)
    if isinstance(part, Stopping):
        return dataclasses.replace(part, **numbers)
    if isinstance(part, Schedule):
        checked = {name: leaf(name, column, part.lowest(name)) for name, column in numbers.items()}
        return dataclasses.replace(part, hyper=part.hyper | checked)
    hyper = part.hyper | numbers
    like = _registered_like(part)
    if like is None:
        return dataclasses.replace(part, hyper=hyper)
    optimizer = like(**hyper, **dict(part.options))
    return dataclasses.replace(optimizer, version=part.version)


def _registered_like(optimizer: Optimizer) -> Callable[..., Optimizer] | None:
    """The constructor that made an optimizer; None for one of a user's own rule.

    `custom(optax.sgd, momentum=0.9)` has the name of `jaxnet.sgd`, and even its rule.
    """
    constructor = optimizers.NAMED.get(optimizer.name)
    if constructor is None:
        return None
    like = dataclasses.replace(constructor(), hyper=optimizer.hyper, version=optimizer.version)
    is_same = like == dataclasses.replace(optimizer, options=like.options)
    return constructor if is_same and set(optimizer.hyper) == set(constructor().hyper) else None
