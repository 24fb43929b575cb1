"""Tuning: where an optimizer's hyperparameters are looked for, with the same budget for all.

Three tiers. `defaults` tries nothing else. `lr` tries a grid of learning rates, evenly spaced in
their logarithm, over four decades around the power of ten that is nearest to the rule's own
default. `full` tries Sobol points over the same learning rates and the rule's other numbers. A
best learning rate at the edge of what was searched is no optimum: the search is extended there.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from jaxnet.core.hyperparameters import count
from jaxnet.recipes import optimizers
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps import search_space
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.search_space import LogUniform, OneMinus, grid, sample

Tier = Literal["defaults", "lr", "full"]
TRIALS: dict[str, int] = {"defaults": 1, "lr": 21, "full": 64}
"""Trials of each tier, unless told otherwise."""
DECADES = 4
"""Of learning rates, at first."""
PLACES = 20
"""Steps from end to end that tier `full` measures an edge by: there is no grid."""
EXTENSIONS = 2
"""How often, at most, a search is extended by a decade."""
OTHERS: dict[str, LogUniform | OneMinus] = {
    "decay": OneMinus(1e-2, 1.0),
    "rho": OneMinus(1e-2, 1.0),
    "momentum": OneMinus(1e-2, 1.0),
    "beta": OneMinus(1e-2, 1.0),
    "b1": OneMinus(1e-2, 1.0),
    "b2": OneMinus(1e-4, 1e-1),
    "eps": LogUniform(1e-10, 1e-2),
    "weight_decay": LogUniform(1e-5, 1e-1),
}
"""Ranges of the other numbers, in tier `full`; a decay of 0 is at the end of its range."""
CONTAINED: dict[str, tuple[str, dict[str, float]]] = {
    "momentum": ("sgd", {"decay": 0.0}),
    "nesterov": ("sgd", {"decay": 0.0}),
}
"""Rules that are another rule at some of their numbers, to the bit."""


@dataclass(frozen=True)
class Search:
    """Where one contender's hyperparameters are looked for.

    Its learning rates are low·10^(step·i) for the places i from `first` to `last`.
    """

    label: str
    recipe: Recipe
    """With the numbers that are not searched."""
    tier: Tier
    trials: int
    low: float
    """The learning rate of place 0."""
    step: float
    """Decades from place to place."""
    first: int
    last: int
    others: tuple[tuple[str, LogUniform | OneMinus | search_space.Uniform], ...] = ()
    """Ranges of other numbers, in tier `full`."""

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest learning rate."""
        return self._rate(self.first), self._rate(self.last)

    def points(self, seed: int) -> list[Recipe]:
        """The recipes to try, in the order of their learning rates."""
        if self.tier == "defaults":
            return [self.recipe]
        return self._between(self.first, self.last, self.trials, seed)

    def edge(self, rate: float) -> int:
        """−1 or 1 if a learning rate is within one place of the lower or the upper end, else 0."""
        if self.tier == "defaults":
            return 0
        place = math.log10(rate / self.low) / self.step
        return -1 if place < self.first + 1.01 else 1 if place > self.last - 1.01 else 0

    def extended(self, side: int, seed: int) -> tuple["Search", list[Recipe]]:
        """The search with another decade below (−1) or above (1), and the recipes there.

        That is a quarter of what it began with, also where this was another range than its own: so
        that all contenders have as many trials.
        """
        places = (self.trials - 1 if self.tier == "lr" else PLACES) // DECADES
        n = self.trials // DECADES
        if side < 0:
            new = dataclasses.replace(self, first=self.first - places)
            ends = new.first, self.first - (self.tier == "lr")
        else:
            new = dataclasses.replace(self, last=self.last + places)
            ends = self.last + (self.tier == "lr"), new.last
        return new, self._between(*ends, n, seed)

    def covers(self, numbers: Mapping[str, float]) -> bool:
        """Whether these numbers lie inside of what is searched, or are those that are fixed."""
        ranges: dict[str, Any] = dict(self.others) | {"learning_rate": LogUniform(*self.ends)}
        fixed = self.recipe.optimizer.hyper

        def inside(name: str, value: float) -> bool:
            if name not in ranges:
                return name in fixed and float(fixed[name]) == value
            low, high = ranges[name]
            told = 1 - value if isinstance(ranges[name], OneMinus) else value
            return low * (1 - 1e-6) <= told <= high * (1 + 1e-6)

        return all(inside(name, value) for name, value in numbers.items())

    def described(self) -> dict[str, Any]:
        """What was searched, for a file."""
        told: dict[str, Any] = {"recipe": repr(self.recipe), "tier": self.tier}
        if self.tier != "defaults":
            told |= {"learning_rate": list(self.ends), "decades_between": self.step}
        named = {name: f"{type(span).__name__}{tuple(span)}" for name, span in self.others}
        return told | ({"others": named} if named else {})

    def _rate(self, place: float) -> float:
        return float(self.low * 10 ** (self.step * place))

    def _between(self, first: int, last: int, n: int, seed: int) -> list[Recipe]:
        if self.tier == "lr":
            rates = [self._rate(place) for place in range(first, last + 1)]
            return RecipeBatch(grid(self.recipe, learning_rate=rates)).rows()
        ranges: dict[str, Any] = dict(self.others)
        ranges["learning_rate"] = LogUniform(self._rate(first), self._rate(last))
        found = RecipeBatch(sample(self.recipe, n, seed=seed, **ranges)).rows()
        return sorted(found, key=rate_of)


def begin(label: str, recipe: Recipe, tier: Tier, trials: int, ranges: Mapping[str, Any]) -> Search:
    """The search of a contender, before it is extended.

    Args:
      label: what it is called.
      recipe: its optimizer, whose numbers are the defaults, and all else.
      tier: what is searched.
      trials: how many points.
      ranges: other ranges than its own: a pair (low, high) for learning_rate, a pair, `Uniform`,
        `LogUniform` or `OneMinus` for other numbers.

    Raises:
      ValueError: it has nothing to be tuned, or not what a range is for.
    """
    optimizer = recipe.optimizer
    if tier == "defaults":
        if ranges:
            raise ValueError('ranges are for what is tuned: tier "lr" or "full".')
        return Search(label, recipe, tier, 1, 1.0, 1.0, 0, 0)
    if "learning_rate" not in optimizer.hyper:
        raise ValueError(
            f"{label} has no learning rate to be tuned; leave it out, or compare with "
            'tier="defaults".'
        )
    given = dict(ranges)
    centre = 10.0 ** round(math.log10(max(float(optimizer.hyper["learning_rate"]), 1e-30)))
    half = 10.0 ** (DECADES // 2)
    rates = given.pop("learning_rate", (centre / half, centre * half))
    try:
        low, high = (float(end) for end in rates)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not 0 < low < high < math.inf:
        raise ValueError(
            f"the learning rates of {label} must be a range (low, high) with 0 < low < high, not "
            f"{rates}."
        )
    if tier == "lr":
        if given:
            raise ValueError(f'tier "lr" tunes the learning rate alone, not {min(given)}.')
        step = math.log10(high / low) / (trials - 1)
        return Search(label, recipe, tier, trials, low, step, 0, trials - 1)
    own = {name: OTHERS[name] for name in optimizer.hyper if name in OTHERS}
    if unknown := set(given) - set(optimizer.hyper):
        raise ValueError(
            f"{label} takes no {min(unknown)}; its numbers are {', '.join(optimizer.hyper)}."
        )
    own |= {
        name: span if hasattr(span, "_fields") else LogUniform(*span)
        for name, span in given.items()
    }
    step = math.log10(high / low) / PLACES
    return Search(label, recipe, tier, trials, low, step, 0, PLACES, tuple(own.items()))


def rate_of(recipe: Recipe) -> float:
    """A recipe's learning rate; NaN if it has none."""
    return float(recipe.optimizer.hyper.get("learning_rate", np.nan))


def contenders(given: Any) -> dict[str, Recipe]:
    """Recipes by label, of what a person names: constructors, names, optimizers or recipes.

    Args:
      given: a sequence, whose labels are the optimizers' names, or a mapping of labels.

    Raises:
      ValueError: one is unknown, there are fewer than two, or two have one label.

    >>> list(contenders([optimizers.sgd, "adam"]))
    ['sgd', 'adam']
    """
    pairs: list[tuple[str | None, Any]]
    if isinstance(given, Mapping):
        pairs = list(given.items())
    elif isinstance(given, Sequence) and not isinstance(given, str):
        pairs = [(None, one) for one in given]
    else:
        raise ValueError(f"optimizers must be a list or a dict of labels, not {given!r}.")
    found: dict[str, Recipe] = {}
    for label, one in pairs:
        recipe = _recipe(one)
        label = recipe.optimizer.name if label is None else str(label)
        if label in found:
            raise ValueError(
                f"two contenders are called {label}; give each a label of its own: "
                f'{{"{label} a": …, "{label} b": …}}.'
            )
        found[label] = recipe
    if len(found) < 2:
        raise ValueError(f"a comparison needs two optimizers or more, not {len(found)}.")
    return found


def _recipe(one: Any) -> Recipe:
    if isinstance(one, str):
        one = named(one)
    if not isinstance(one, (Optimizer, Recipe)) and callable(one):
        one = one()
    recipe = Recipe(one) if isinstance(one, Optimizer) else one
    if not isinstance(recipe, Recipe):
        raise ValueError(
            "a contender must be an optimizer such as jaxnet.adam, or a Recipe with one, not "
            f"{one!r}."
        )
    if any(np.ndim(number) for number in jax.tree.leaves(recipe)):
        raise ValueError(f"{recipe!r} holds arrays; the comparison itself makes the search.")
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
      ValueError: there is none; the message suggests similar names.
    """
    return optimizers.NAMED.look_up(name)


def trials_of(tier: str, trials: Any) -> int:
    """The number of trials, checked."""
    if tier not in TRIALS:
        raise ValueError(f'tier must be "defaults", "lr" or "full", not {tier!r}.')
    n = count("trials", TRIALS[tier] if trials is None else trials, low=1)
    if tier == "defaults" and n != 1:
        raise ValueError(f'tier "defaults" has one trial, not {n}.')
    if tier != "defaults" and (n < 5 or (tier == "lr" and (n - 1) % DECADES)):
        raise ValueError(
            f"trials must be at least 5 and, for a grid with as many in each of its {DECADES} "
            f"decades, one more than a multiple of {DECADES}; not {n}."
        )
    return n
