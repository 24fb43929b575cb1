"""Search spaces: make recipes whose hyperparameters are arrays, from lists of values or ranges.

A recipe whose hyperparameters are arrays is a sweep: entry i of every array belongs to recipe i, so
all arrays have one length. `grid` makes all combinations of values, `zipped` pairs them, and
`sample` draws from ranges. What is no number, as widths or optimizers, makes `Settings`.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, overload

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
from jaxnet.sweeps.settings import CHOICES, PARTS, Settings, Variant, checked_choice

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


@overload
def grid(recipe: Recipe, **values: Numbers) -> Recipe: ...
@overload
def grid(recipe: Recipe, **values: object) -> Recipe | Settings: ...
def grid(recipe: Recipe, **values: object) -> Recipe | Settings:
    """All combinations of values: of hyperparameters, and of what else a sweep can vary.

    The values of the last name vary fastest. If only hyperparameters vary, the result is a recipe
    with arrays; else it is `Settings`, which `sweep` takes in place of recipes.

    Args:
      recipe: what all combinations have in common.
      values: for each thing to vary, by name, a value or a list of them. Numbers (a list or 1-D
        array of them): a name is one of the optimizer's hyperparameters (`learning_rate`), the
        schedule's, the stopping rule's or the augmentation's, or a number of the recipe itself
        (`l2`). Parts of the recipe: `optimizer`, `schedule`, `stopping`, `augmentation`. What
        replaces the arguments of `sweep`: `net`; `widths` of the hidden layers, each an integer
        from 1 or a list of one for each layer; `activation` of the hidden layers, or a tuple with
        one for each; `batch_size` and `examples`, integers from 1.

    Returns:
      The recipe with an array of n numbers for each name, n being the product of their lengths; or
      n settings. A hyperparameter that one of the optimizers does not have is an error: give each
      optimizer a grid of its own, and add these: `grid(…) + grid(…)`.

    Raises:
      ValueError: the recipe has arrays already, or no hyperparameter of a name, a value is out of
        its range, or there are no values.

    >>> from jaxnet.recipes.optimizers import adam, sgd
    >>> swept = grid(Recipe(sgd(0.1)), learning_rate=[0.1, 1.0], l2=[0.0, 1.0, 5.0])
    >>> len(swept), swept.l2.tolist()
    (6, [0.0, 1.0, 5.0, 0.0, 1.0, 5.0])
    >>> recipe = Recipe(sgd())
    >>> len(grid(recipe, widths=[30, [64, 64]], optimizer=[sgd(), adam()], learning_rate=[0.1, 1]))
    8
    """
    _check_recipe("grid", recipe)
    columns = {name: _values(name, choices) for name, choices in values.items()}
    if not columns:
        raise ValueError("grid takes one or more names, each with a value or a list of values.")
    rows = itertools.product(*columns.values())
    return _from_rows(recipe, list(columns), list(rows))


def zipped(recipe: Recipe, **values: object) -> Recipe | Settings:
    """Values that belong together: the i-th setting has the i-th value of every list.

    Args:
      recipe: what all settings have in common.
      values: for each thing to vary, by its name in `grid`, a list of n values, or one for all.

    Returns:
      The recipe with an array of n numbers for each name, if only hyperparameters vary; else n
      settings, which `sweep` takes in place of recipes.

    Raises:
      ValueError: the lists have different lengths, or what `grid` refuses.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> settings = zipped(Recipe(sgd()), widths=[16, 64], learning_rate=[1.0, 0.3], l2=5.0)
    >>> [variant.widths for variant in settings.variants]
    [(16,), (64,)]
    """
    _check_recipe("zipped", recipe)
    columns = {name: _values(name, choices) for name, choices in values.items()}
    if not columns:
        raise ValueError("zipped takes one or more names, each with a list of values.")
    lengths = {name: len(column) for name, column in columns.items() if len(column) > 1}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"zipped needs lists of one length, not {listed}; grid combines them.")
    n = max(map(len, columns.values()))
    full = [column if len(column) == n else column * n for column in columns.values()]
    return _from_rows(recipe, list(columns), list(zip(*full, strict=True)))


def _values(name: str, choices: object) -> list:
    """The values of one name: numbers as floats, others checked."""
    if name not in CHOICES:
        return _column(name, choices).tolist()
    values = list(choices) if isinstance(choices, (list, range, np.ndarray)) else [choices]
    if not values:
        raise ValueError(f"{name} needs at least one value, not an empty list.")
    return [checked_choice(name, value) for value in values]


def _from_rows(
    recipe: Recipe, names: list[str], rows: Sequence[tuple[object, ...]]
) -> Recipe | Settings:
    """A setting for each row of values: neighbours that differ in numbers only share a recipe."""
    is_choice = [name in CHOICES for name in names]
    numbers_of = [name for name in names if name not in CHOICES]

    def choices_of(row: tuple[object, ...]) -> list[tuple[str, object]]:
        return [(name, value) for name, value, choice in zip(names, row, is_choice) if choice]

    optimizer_numbers = {
        number
        for row in rows
        for name, value in zip(names, row)
        if name == "optimizer" and isinstance(value, Optimizer)
        for number in value.hyper
    }
    variants = []
    for choices, group in itertools.groupby(rows, choices_of):
        columns = list(zip(*group, strict=True))
        numbers = {name: np.asarray(columns[names.index(name)], float) for name in numbers_of}
        parts = {name: part for name, part in choices if name in PARTS}
        base = dataclasses.replace(recipe, **parts)
        if "optimizer" in parts:
            _check_recipe("a search space", base)
            _check_has_numbers(base.optimizer, numbers_of, optimizer_numbers)
        varied = _with_numbers(base, numbers)
        others: dict[str, Any] = {name: v for name, v in choices if name not in PARTS}
        variants.append(Variant(varied, **others))
    return Settings(tuple(variants)) if any(is_choice) else variants[0].recipe


def _check_has_numbers(
    optimizer: Optimizer, names: Collection[str], known: Collection[str]
) -> None:
    """Refuse a number that another one of the varied optimizers has, but not this one."""
    for name in names:
        if name in known and name not in optimizer.hyper:
            raise ValueError(
                f"{name} is no number of {optimizer.name}; give each optimizer a search space of "
                "its own, and add them: jaxnet.grid(…) + jaxnet.grid(…)."
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


@overload
def sample(recipe: Recipe, n: int, *, seed: int = 0, **ranges: Range) -> Recipe: ...
@overload
def sample(recipe: Recipe, n: int, *, seed: int = 0, **ranges: object) -> Recipe | Settings: ...
def sample(recipe: Recipe, n: int, *, seed: int = 0, **ranges: object) -> Recipe | Settings:
    """A recipe, or settings, of n scrambled Sobol points of the given ranges and choices.

    Sobol points cover the box of ranges more evenly than random points, most evenly if n is a power
    of 2.

    Args:
      recipe: what all points have in common.
      n: the number of points, at least 1.
      seed: the seed of the scrambling, at least 0.
      ranges: for each hyperparameter to vary, by name (see `grid`), a `LogUniform`, a `Uniform`, a
        `OneMinus`, or a pair (low, high), short for `LogUniform(low, high)`. For each other name
        of `grid`, such as `widths` or `optimizer`, a list of choices that are equally likely.

    Returns:
      The recipe with an array of n numbers for each name; with choices, n settings, which `sweep`
      takes in place of recipes.

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
    columns = []
    for (name, choices_or_range), unit_points in zip(ranges.items(), points.T, strict=True):
        if name in CHOICES:
            choices = _values(name, choices_or_range)
            columns.append([choices[int(place * len(choices))] for place in unit_points])
        else:
            columns.append(_in_range(name, choices_or_range, unit_points).tolist())
    return _from_rows(recipe, list(ranges), list(zip(*columns, strict=True)))


def sample_independently(recipe: Recipe, n: int, *, seed: int = 0, **ranges: Range) -> Recipe:
    """A recipe of n independent random points of the given ranges.

    They cover the ranges less evenly than the points of `sample`. But their results are a random
    sample, from which the distribution of the best of any number of such points follows.

    Args:
      recipe: what all points have in common.
      n: the number of points, at least 1.
      seed: the seed of the draws, at least 0.
      ranges: the range of each hyperparameter to vary, by name, as in `sample`.

    Returns:
      The recipe with an array of n numbers for each name.

    Raises:
      ValueError: the recipe or a range is refused, as by `sample`.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> rates = sample_independently(Recipe(sgd()), 3, learning_rate=(0.01, 1.0)).optimizer.hyper
    >>> rates["learning_rate"].shape
    (3,)
    """
    _check_recipe("sample_independently", recipe)
    points = np.random.default_rng(seed).random((n, len(ranges)))
    pairs = zip(ranges.items(), points.T, strict=True)
    columns = {name: _in_range(name, span, unit_points) for (name, span), unit_points in pairs}
    return _with_numbers(recipe, columns)


def _in_range(name: str, given_range: object, unit_points: np.ndarray) -> np.ndarray:
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


def _log_range(name: str, given_range: object) -> LogUniform | OneMinus:
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
            meant = likeliest(name, [*known, *CHOICES])
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
