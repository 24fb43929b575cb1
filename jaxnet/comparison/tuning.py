"""Tuning: which hyperparameters each optimizer tries, with the same number of trials for all.

There are four tiers. `defaults` tries only the given numbers. `lr` tries a grid of learning rates,
evenly spaced in their logarithm, over four decades around the power of ten nearest to the default
learning rate. `full` tries Sobol points over the same learning rates and the optimizer's other
numbers. `random` tries independent random points of the ranges of `full`. If the best learning rate
is at an edge of the searched range, the optimum may lie outside, and the search is extended on that
side; but not in tier `random`, whose trials would then depend on earlier ones.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, SupportsIndex

import jax
import numpy as np

from jaxnet.core.arguments import brief
from jaxnet.core.hyperparameters import count
from jaxnet.io.files import JsonObject
from jaxnet.recipes import optimizers
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.search_space import (
    LogUniform,
    OneMinus,
    Uniform,
    grid,
    sample,
    sample_independently,
)

Tier = Literal["defaults", "lr", "full", "random"]
Contender = str | Callable[..., Optimizer] | Optimizer | Recipe
"""An optimizer to compare: its name, its constructor, an instance, or a recipe that holds one."""
Span = Uniform | LogUniform | OneMinus
"""A range of a hyperparameter, with the scale on which points are spread evenly."""
Range = Span | Sequence[float]
"""A range as a caller gives it: (low, high) is short for `LogUniform(low, high)`."""
TRIALS: dict[str, int] = {"defaults": 1, "lr": 21, "full": 64, "random": 64}
"""The default number of trials of each tier."""
DECADES = 4
"""The decades of learning rates that a search covers before it is extended."""
PLACES = 20
"""The steps from the lowest to the highest learning rate in the tiers without a grid: a learning
rate within one step of an end is at the edge."""
EXTENSIONS = 2
"""The largest number of rounds in which searches are extended by a decade; 0 in tier `random`."""
OTHERS: dict[str, Span] = {
    "decay": OneMinus(1e-2, 1.0),
    "rho": OneMinus(1e-2, 1.0),
    "momentum": OneMinus(1e-2, 1.0),
    "beta": OneMinus(1e-2, 1.0),
    "b1": OneMinus(1e-2, 1.0),
    "b2": OneMinus(1e-4, 1e-1),
    "eps": LogUniform(1e-10, 1e-2),
    "weight_decay": LogUniform(1e-5, 1e-1),
}
"""The ranges of other numbers than the learning rate in the tiers without a grid. The range of a
decay, as of momentum, ends at decay = 0."""
CONTAINED: dict[str, tuple[str, dict[str, float]]] = {
    "momentum": ("sgd", {"decay": 0.0}),
    "nesterov": ("sgd", {"decay": 0.0}),
}
"""Optimizers that equal another one, to the bit, at some of their numbers: momentum with decay = 0
is sgd."""


@dataclass(frozen=True)
class Search:
    """The range in which one contender's hyperparameters are searched.

    Its learning rates are low·10^(step·i) for the places i from `first` to `last`.
    """

    label: str
    """The contender's name in all tables."""
    recipe: Recipe
    """The contender's recipe, with the values of all numbers that are not searched."""
    tier: Tier
    """Which numbers are searched."""
    trials: int
    """The number of trials before any extension."""
    low: float
    """The learning rate at place 0."""
    step: float
    """The decades from one place to the next."""
    first: int
    """The place of the smallest learning rate."""
    last: int
    """The place of the largest learning rate."""
    others: tuple[tuple[str, Span], ...] = ()
    """The ranges of other numbers by name, in tiers `full` and `random`."""

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest learning rate."""
        return self._rate(self.first), self._rate(self.last)

    def points(self, seed: int) -> list[Recipe]:
        """The recipes to try, sorted by learning rate; `seed` draws or scrambles the points."""
        if self.tier == "defaults":
            return [self.recipe]
        return self._points_between(self.first, self.last, self.trials, seed)

    def edge(self, rate: float) -> int:
        """−1 or 1 if a learning rate is within one place of the lower or the upper end, else 0."""
        if self.tier == "defaults":
            return 0
        place = math.log10(rate / self.low) / self.step
        if place < self.first + 1.01:
            return -1
        return 1 if place > self.last - 1.01 else 0

    def extended(self, side: int, seed: int) -> tuple["Search", list[Recipe]]:
        """The search extended below (side −1) or above (1), and the recipes that this adds.

        The added range and the added trials are a quarter of those at the start: one decade, unless
        the caller gave another range. So all contenders keep the same number of trials.
        """
        n_places = (self.trials - 1 if self.tier == "lr" else PLACES) // DECADES
        n_trials = self.trials // DECADES
        on_grid = self.tier == "lr"  # then the place at the old end has been tried
        if side < 0:
            wider = dataclasses.replace(self, first=self.first - n_places)
            first, last = wider.first, self.first - on_grid
        else:
            wider = dataclasses.replace(self, last=self.last + n_places)
            first, last = self.last + on_grid, wider.last
        return wider, wider._points_between(first, last, n_trials, seed)

    def covers(self, numbers: Mapping[str, float]) -> bool:
        """Whether each number is in its searched range or, if it is not searched, is its value."""
        ranges = self._ranges(*self.ends)
        fixed = self.recipe.optimizer.hyper

        def is_covered(name: str, value: float) -> bool:
            if name not in ranges:
                return name in fixed and float(fixed[name]) == value
            low, high = ranges[name]
            searched = 1 - value if isinstance(ranges[name], OneMinus) else value
            return low * (1 - 1e-6) <= searched <= high * (1 + 1e-6)

        return all(is_covered(name, value) for name, value in numbers.items())

    def to_json(self) -> JsonObject:
        """The search as the manifest of a comparison describes it."""
        description: JsonObject = {"recipe": repr(self.recipe), "tier": self.tier}
        if self.tier != "defaults":
            description |= {"learning_rate": list(self.ends), "decades_between": self.step}
        if self.others:
            description["others"] = {
                name: f"{type(span).__name__}{tuple(span)}" for name, span in self.others
            }
        return description

    def _rate(self, place: float) -> float:
        """The learning rate at a place."""
        return float(self.low * 10 ** (self.step * place))

    def _ranges(self, low: float, high: float) -> dict[str, Span]:
        """The ranges of all searched numbers, with learning rates from `low` to `high`."""
        return dict(self.others) | {"learning_rate": LogUniform(low, high)}

    def _points_between(self, first: int, last: int, n: int, seed: int) -> list[Recipe]:
        """The grid points from place `first` to `last`, or n other points, by learning rate."""
        if self.tier == "lr":
            rates = [self._rate(place) for place in range(first, last + 1)]
            return RecipeBatch(grid(self.recipe, learning_rate=rates)).rows()
        ranges = self._ranges(self._rate(first), self._rate(last))
        draw = sample_independently if self.tier == "random" else sample
        recipes = RecipeBatch(draw(self.recipe, n, seed=seed, **ranges)).rows()
        return sorted(recipes, key=rate_of)


def begin(
    label: str, recipe: Recipe, tier: Tier, trials: int, ranges: Mapping[str, Range]
) -> Search:
    """The search of one contender's hyperparameters, with ranges that are not yet extended.

    A search is extended later if its best learning rate lies at the edge of its range.

    Args:
      label: the contender's name in all tables.
      recipe: the contender; its optimizer's numbers are the defaults.
      tier: which numbers are searched: see the module's docstring.
      trials: the number of points: see `trials_of`.
      ranges: ranges, by hyperparameter, in place of the built-in ones: (low, high) for
        learning_rate; (low, high), `Uniform`, `LogUniform` or `OneMinus` for other numbers.

    Returns:
      The search.

    Raises:
      ValueError: the optimizer has no learning rate to tune, or a range is invalid, is for a number
        that the optimizer lacks, or for one that the tier does not tune.
    """
    hyper = recipe.optimizer.hyper
    if tier == "defaults":
        if ranges:
            raise ValueError(
                'ranges are for what is tuned, and tier "defaults" tunes nothing; leave them out, '
                'or use tier "lr", "full" or "random".'
            )
        return Search(label, recipe, tier, trials=1, low=1.0, step=1.0, first=0, last=0)
    if "learning_rate" not in hyper:
        raise ValueError(
            f"{label} has no learning rate to be tuned; leave it out, or compare with "
            'tier="defaults".'
        )
    default_rate = float(hyper["learning_rate"])
    low, high = _rate_range(label, default_rate, ranges.get("learning_rate"))
    other_ranges = {name: span for name, span in ranges.items() if name != "learning_rate"}
    if tier == "lr" and other_ranges:
        raise ValueError(
            f'tier "lr" tunes the learning rate alone, not {min(other_ranges)}; use tier "full" or '
            '"random".'
        )
    n_steps = trials - 1 if tier == "lr" else PLACES
    return Search(
        label, recipe, tier, trials=trials, low=low, step=math.log10(high / low) / n_steps,
        first=0, last=n_steps,
        others=() if tier == "lr" else _other_spans(label, recipe.optimizer, other_ranges),
    )  # fmt: skip


def _rate_range(label: str, default_rate: float, rates: Range | None) -> tuple[float, float]:
    """The given range of learning rates or, without one, four decades around the default."""
    if rates is None:
        centre = 10.0 ** round(math.log10(max(default_rate, 1e-30)))
        half = 10.0 ** (DECADES // 2)
        rates = (centre / half, centre * half)
    try:
        low, high = (float(end) for end in rates)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not 0 < low < high < math.inf:
        raise ValueError(
            f"the learning rates of {label} must be a range (low, high) with 0 < low < high, not "
            f"{rates}."
        )
    return low, high


def _other_spans(
    label: str, optimizer: Optimizer, ranges: Mapping[str, Range]
) -> tuple[tuple[str, Span], ...]:
    """The ranges of an optimizer's other numbers without a grid: built-in ones, then given ones."""
    if unknown := set(ranges) - set(optimizer.hyper):
        raise ValueError(
            f"{label} takes no {min(unknown)}; its numbers are {', '.join(optimizer.hyper)}."
        )
    spans = {name: OTHERS[name] for name in optimizer.hyper if name in OTHERS}
    for name, span in ranges.items():
        spans[name] = span if isinstance(span, Span) else LogUniform(*span)
    return tuple(spans.items())


def rate_of(recipe: Recipe) -> float:
    """A recipe's learning rate; NaN if the optimizer has none."""
    return float(recipe.optimizer.hyper.get("learning_rate", np.nan))


def contenders(candidates: object) -> dict[str, Recipe]:
    """The contenders of a comparison as recipes by label, from what the caller passes.

    Args:
      candidates: a sequence of contenders (see `Contender`), whose labels are the names of their
        optimizers, or a mapping from labels to contenders.

    Returns:
      A recipe for each label, in the given order.

    Raises:
      ValueError: a contender is unknown or cannot be compared, there are fewer than two, or two
        have the same label.

    >>> list(contenders([optimizers.sgd, "adam"]))
    ['sgd', 'adam']
    """
    if isinstance(candidates, Mapping):
        pairs = list(candidates.items())
    elif isinstance(candidates, Sequence) and not isinstance(candidates, str):
        pairs = [(None, contender) for contender in candidates]
    else:
        raise ValueError(
            "optimizers must be a list of constructors, names, optimizers or recipes, or a dict "
            f"from labels to these, not {brief(candidates)}."
        )
    recipes: dict[str, Recipe] = {}
    for label, contender in pairs:
        recipe = _contender_recipe(contender)
        label = recipe.optimizer.name if label is None else str(label)
        if label in recipes:
            raise ValueError(
                f"two contenders are called {label}; give each a label of its own: "
                f'{{"{label} a": …, "{label} b": …}}.'
            )
        recipes[label] = recipe
    if len(recipes) < 2:
        raise ValueError(f"a comparison needs two optimizers or more, not {len(recipes)}.")
    return recipes


def _contender_recipe(contender: object) -> Recipe:
    """The recipe of a contender: a name, a constructor, an optimizer or a recipe."""
    if isinstance(contender, str):
        contender = named(contender)
    if not isinstance(contender, (Optimizer, Recipe)) and callable(contender):
        try:
            contender = contender()
        except TypeError as error:  # such as optax.adam, whose learning rate has no default
            raise ValueError(
                f"a contender must be called without arguments, as jaxnet.adam is: {error}; for a "
                "rule of optax's, give jaxnet.custom(optax.adam, learning_rate=0.001)."
            ) from None
    recipe = Recipe(contender) if isinstance(contender, Optimizer) else contender
    if not isinstance(recipe, Recipe):
        raise ValueError(
            "a contender must be an optimizer such as jaxnet.adam or jaxnet.custom(optax.adam, "
            "learning_rate=0.001), or a Recipe with one, not "
            f"{brief(contender)}."
        )
    if any(np.ndim(number) for number in jax.tree.leaves(recipe)):
        raise ValueError(
            f"{recipe!r} holds arrays, but the comparison makes the search itself; give each "
            "number as a scalar, and other ranges to search as ranges=."
        )
    if recipe.stopping is not None:
        raise ValueError(
            "a comparison gives every run the same epochs: leave stopping out of the recipes."
        )
    return recipe


def named(name: str) -> Callable[..., Optimizer]:
    """The constructor of an optimizer by its name.

    Args:
      name: one of `jaxnet.recipes.optimizers.NAMED`.

    Returns:
      The constructor.

    Raises:
      ValueError: no optimizer has this name; the message suggests similar names.
    """
    return optimizers.NAMED.look_up(name)


def trials_of(tier: str, trials: SupportsIndex | None) -> int:
    """The number of trials, validated.

    Args:
      tier: "defaults", "lr", "full" or "random".
      trials: the number that the caller gives, or `None` for the tier's default (see `TRIALS`).

    Returns:
      The number of trials.

    Raises:
      ValueError: the tier is unknown, or cannot have this number of trials.
    """
    if not isinstance(tier, str) or tier not in TRIALS:
        raise ValueError(f'tier must be "defaults", "lr", "full" or "random", not {brief(tier)}.')
    n = count("trials", TRIALS[tier] if trials is None else trials, low=1, high=2**24)
    if tier == "defaults" and n != 1:
        raise ValueError(f'tier "defaults" has one trial, not {n}.')
    if tier != "defaults" and (n < 5 or (tier == "lr" and (n - 1) % DECADES)):
        raise ValueError(
            f'trials must be at least 5 and, for tier "lr", whose grid has equally many points in '
            f"each of its {DECADES} decades, one more than a multiple of {DECADES}; not {n}."
        )
    return n
