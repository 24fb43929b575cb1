"""Search spaces: recipes whose numbers are arrays, made from named values or ranges.

A recipe with arrays for numbers is a sweep: they zip, and must agree in length. `grid` makes all
combinations of values, `sample` draws from ranges.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.core.hyperparameters import count, leaf
from jaxnet.recipes import optimizers
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.schedules import Schedule


class Uniform(NamedTuple):
    """A range to sample from evenly: low + (high − low)·u."""

    low: float
    high: float


class LogUniform(NamedTuple):
    """A range to sample from evenly in its logarithm: low·(high/low)ᵘ."""

    low: float
    high: float


class OneMinus(NamedTuple):
    """A range to sample from so that 1 − x is even in its logarithm, as decays near 1 want it."""

    low: float
    """Of 1 − x."""
    high: float


def grid(recipe: Recipe, **values: Any) -> Recipe:
    """All combinations of values, the last name's varying fastest.

    Args:
      recipe: what is the same in all.
      **values: a number or an array for each name: a hyperparameter of the optimizer, of the
        schedule, the stopping rule or the augmentation, or a number of the recipe itself.

    Raises:
      ValueError: a name is none of the recipe's, or a value is out of its range.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> swept = grid(Recipe(sgd(0.1)), learning_rate=[0.1, 1.0], l2=[0.0, 1.0, 5.0])
    >>> len(swept), swept.l2.tolist()
    (6, [0.0, 1.0, 5.0, 0.0, 1.0, 5.0])
    """
    columns = [np.atleast_1d(np.asarray(some, float)) for some in values.values()]
    if not columns or any(column.ndim != 1 or not column.size for column in columns):
        raise ValueError("grid takes one or more names, each with a number or a list of numbers.")
    mesh = np.meshgrid(*columns, indexing="ij")
    return _with(recipe, {name: some.ravel() for name, some in zip(values, mesh, strict=True)})


def sample(recipe: Recipe, n: int, *, seed: int = 0, **ranges: Any) -> Recipe:
    """n scrambled Sobol points in a box: more even than random points; best at powers of two.

    Args:
      recipe: what is the same in all.
      n: how many.
      seed: of the scrambling.
      **ranges: for each name (see `grid`) a `LogUniform`, or a pair (low, high) for short, or a
        `Uniform`, or a `OneMinus`.

    Raises:
      ValueError: a name is none of the recipe's, or a range is empty or reaches out of bounds.

    Source: Sobol', 1967; Owen, 1998, by `scipy.stats.qmc`.

    >>> from jaxnet.recipes.optimizers import momentum
    >>> swept = sample(Recipe(momentum()), 8, learning_rate=(1e-3, 1.0), decay=Uniform(0, 0.99))
    >>> len(swept), bool(swept.optimizer.hyper["learning_rate"].max() < 1)
    (8, True)
    """
    from scipy.stats import qmc  # only here: to import it takes longer than all of jaxnet

    count("n", n, low=1)
    if not ranges:
        raise ValueError("sample takes one or more names, each with a range (low, high).")
    points = qmc.Sobol(len(ranges), rng=seed).random_base2(math.ceil(math.log2(max(n, 2))))[:n]
    columns = {}
    for (name, given), u in zip(ranges.items(), points.T, strict=True):
        span = given if isinstance(given, Uniform) else _log_range(name, given)
        low, high = (float(leaf(name, end)) for end in span)
        if not low < high:
            raise ValueError(f"the range of {name} must have low < high, not ({low}, {high}).")
        inside = low + (high - low) * u if isinstance(span, Uniform) else low * (high / low) ** u
        inside = np.clip(inside, low, high)
        columns[name] = 1 - inside if isinstance(span, OneMinus) else inside
    return _with(recipe, columns)


def _log_range(name: str, given: Any) -> LogUniform | OneMinus:
    try:
        low, high = given
    except (TypeError, ValueError):
        raise ValueError(f"{name} needs a range (low, high), not {given!r}.") from None
    if not low > 0:
        raise ValueError(
            f"the range of {name} begins at {low}, which has no logarithm; begin above 0, or take "
            f"jaxnet.Uniform({low}, {high})."
        )
    return given if isinstance(given, OneMinus) else LogUniform(low, high)


def _with(recipe: Recipe, columns: dict[str, np.ndarray]) -> Recipe:
    """The recipe with these numbers, each of its constructors having seen them."""
    if not isinstance(recipe, Recipe):
        raise ValueError(f"grid and sample vary a Recipe, such as Recipe({recipe!r}).")
    parts: dict[str, Any] = {}
    homes: dict[str, tuple[str, ...]] = {
        "optimizer": tuple(recipe.optimizer.hyper),
        "schedule": tuple(recipe.schedule.hyper) if recipe.schedule else (),
        "stopping": tuple(_present(recipe.stopping)),
        "augmentation": tuple(_present(recipe.augmentation)),
    }
    numbers = {field.name for field in dataclasses.fields(recipe)} - set(homes)
    for name, column in columns.items():
        home = next((part for part, names in homes.items() if name in names), None)
        if name in numbers:
            parts[name] = column
        elif home is not None:
            parts.setdefault(home, {})[name] = column
        else:
            known = sorted({*numbers, *(n for names in homes.values() for n in names)})
            raise ValueError(f"{name} is no number of this recipe; it has {', '.join(known)}.")
    changed = {name: parts[name] for name in parts if name not in homes}
    for home in homes:
        if home in parts:
            changed[home] = _rebuilt(getattr(recipe, home), parts[home])
    return dataclasses.replace(recipe, **changed)


def _present(part: Any) -> Sequence[str]:
    """The numbers that a part has."""
    if part is None:
        return ()
    leaves, _ = jax.tree_util.tree_flatten_with_path(part)
    return [path[0].name for path, _ in leaves if isinstance(path[0], jax.tree_util.GetAttrKey)]


def _rebuilt(part: Any, numbers: dict[str, Any]) -> Any:
    """A part with other numbers, by its own constructor, which knows their ranges."""
    if isinstance(part, Schedule):  # whose numbers are all factors of at least 0
        numbers = {name: leaf(name, column) for name, column in numbers.items()}
        return dataclasses.replace(part, hyper=part.hyper | numbers)
    if not hasattr(part, "hyper"):
        return dataclasses.replace(part, **numbers)
    hyper = part.hyper | numbers
    named: Callable[..., Any] | None = optimizers.NAMED.get(getattr(part, "name", ""))
    if named is not None and (made := named(**hyper, **dict(part.options))).rule is part.rule:
        return dataclasses.replace(made, version=part.version)
    return dataclasses.replace(part, hyper=hyper)
