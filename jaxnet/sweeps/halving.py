"""Successive halving: which recipes of a sweep go on from rung to rung, and how far.

A rung trains some recipes until each has had a number of epochs. A `Halving` yields the rungs in
turn, and sees the ranking after each before it chooses the next. It depends on nothing else, so
that the same call makes the same choices again, and goes on where it was interrupted.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, SupportsIndex, runtime_checkable

import numpy as np
from jaxtyping import Float

from jaxnet.core.arguments import brief
from jaxnet.core.hyperparameters import count
from jaxnet.sweeps.ranking import recipe_order


@dataclass(frozen=True)
class Ranking:
    """Ranks the recipes of a sweep by what they have reached: `ranked(recipes, epochs)`.

    Args:
      scores: `(epochs) -> (recipe, seed)`, the score of each network after so many epochs, that of
        its best epoch so far; −∞ for one that diverged or has not begun. Higher is better.

    >>> ranked = Ranking(lambda epochs: np.array([[0.2], [0.9], [0.5]]) * epochs)
    >>> ranked([0, 2], epochs=1), ranked.scores(2).max().item()
    ([2, 0], 1.8)
    """

    scores: Callable[[int], Float[np.ndarray, "recipes seeds"]]

    def __call__(self, recipes: Iterable[int], epochs: int) -> list[int]:
        """Recipes from the best to the worst, by the mean over the seeds.

        Args:
          recipes: some recipes, by their places on the study's axis recipe, from 0.
          epochs: after how many epochs.
        """
        places = np.unique(list(recipes))
        return places[recipe_order(self.scores(epochs)[places])].tolist()


class Rung(NamedTuple):
    """Which recipes to train next, and how far."""

    recipes: tuple[int, ...]
    """The recipes, by their places on the study's axis recipe, from 0."""
    epochs: int
    """The epochs that each of them is to have had."""
    ends_others: bool = True
    """Whether all other recipes have ended; if not, they may go on later."""


@runtime_checkable
class Halving(Protocol):
    """Chooses the rungs of a sweep."""

    def rungs(self, n_recipes: int, epochs: int, ranked: Ranking) -> Iterator[Rung]:
        """The rungs, each of which is trained before the next one is asked for.

        Args:
          n_recipes: the recipes of the sweep.
          epochs: the most epochs of a recipe, which the last rung has.
          ranked: ranks recipes by what they have reached.

        Yields:
          The rungs.
        """
        ...


@dataclass(frozen=True)
class Synchronous:
    """Successive halving in rounds: the best recipes of each rung make the next one.

    Args:
      sizes: the recipes and the epochs of each rung; the first one holds all recipes, the last one
        has the epochs of the sweep.

    >>> ranked = Ranking(lambda epochs: np.array([[0.2], [0.9], [0.5]]))
    >>> [rung.recipes for rung in Synchronous(((3, 1), (1, 2))).rungs(3, 2, ranked)]
    [(0, 1, 2), (1,)]
    """

    sizes: tuple[tuple[int, int], ...]

    def rungs(self, n_recipes: int, epochs: int, ranked: Ranking) -> Iterator[Rung]:
        """The rungs; see `Halving.rungs`."""
        recipes, epochs_before = list(range(n_recipes)), 0
        for n_best, until in self.sizes:
            if epochs_before:
                recipes = list(ranked(recipes, epochs_before))[:n_best]
            yield Rung(tuple(recipes), until)
            epochs_before = until


@dataclass(frozen=True)
class Asynchronous:
    """Successive halving that waits for no round: recipes go on, or start, in chunks of one size.

    Whenever `chunk` recipes are among the best 1/`factor` of those that have ended a rung, and have
    not gone on from it, the best of them do, on the highest rung where that is so. Otherwise the
    next recipes start. Once all have started the rungs are emptied from below, in smaller chunks;
    from each at least one recipe goes on.

    Args:
      factor: of `factor` recipes one goes on, at least 2.
      chunk: the recipes that are trained together, at least 1.

    >>> ranked = Ranking(lambda epochs: np.array([[0.9], [0.8], [0.7], [0.6]]))
    >>> rungs = Asynchronous(factor=2, chunk=2).rungs(4, 2, ranked)
    >>> [(rung.recipes, rung.epochs) for rung in rungs]
    [((0, 1), 1), ((2, 3), 1), ((0, 1), 2)]
    """

    factor: int
    chunk: int

    def rungs(self, n_recipes: int, epochs: int, ranked: Ranking) -> Iterator[Rung]:
        """The rungs; see `Halving.rungs`."""
        rung_epochs = epochs_of_rungs(self.factor, n_recipes, epochs)
        ended: list[list[int]] = [[] for _ in rung_epochs]
        while True:
            n_started = len(ended[0])
            level, recipes = self._to_promote(ended, rung_epochs, ranked, n_started == n_recipes)
            if not recipes:
                recipes = list(range(n_started, min(n_started + self.chunk, n_recipes)))
            if not recipes:
                return
            yield Rung(tuple(recipes), rung_epochs[level], ends_others=False)
            ended[level] += recipes

    def _to_promote(
        self, ended: list[list[int]], rung_epochs: list[int], ranked: Ranking, all_started: bool
    ) -> tuple[int, list[int]]:
        """The level to which recipes go on, and which; level 0 and none if they have to wait."""
        levels = range(len(ended) - 1)
        for level in levels if all_started else reversed(levels):
            n_best = len(ended[level]) // self.factor
            if all_started and ended[level]:
                n_best = max(1, n_best)
            best = ranked(ended[level], rung_epochs[level])[:n_best] if n_best else []
            ready = [recipe for recipe in best if recipe not in ended[level + 1]]
            n_needed = 1 if all_started else self.chunk
            if len(ready) >= n_needed:
                return level + 1, ready[: self.chunk]
        return 0, []


def epochs_of_rungs(factor: int, n_recipes: int, epochs: int) -> list[int]:
    """The epochs after which 1/`factor` of the recipes go on, …, epochs/factor, epochs.

    Args:
      factor: of `factor` recipes one goes on.
      n_recipes: the recipes that start; there are only so many rungs that one is left in the last.
      epochs: the epochs of the last rung.

    >>> epochs_of_rungs(3, 9, 30)
    [3, 10, 30]
    """
    n_rungs = 1
    while n_recipes > factor ** (n_rungs - 1) and epochs >= factor**n_rungs:
        n_rungs += 1
    return [epochs // factor**k for k in reversed(range(n_rungs))]


def checked_halving(
    successive_halving: SupportsIndex | Halving | None, n_recipes: int, epochs: int
) -> Halving:
    """What chooses the rungs of a sweep, from its argument.

    Args:
      successive_halving: the factor of rounds, or an object that chooses; `None` for one rung.
      n_recipes: the recipes of the sweep.
      epochs: the epochs of the sweep.

    Returns:
      An object that chooses.

    Raises:
      ValueError: the factor is no whole number of at least 2.

    >>> checked_halving(2, 5, 8)
    Synchronous(sizes=((5, 1), (3, 2), (2, 4), (1, 8)))
    """
    if successive_halving is None:
        return Synchronous(((n_recipes, epochs),))
    if isinstance(successive_halving, Halving):
        return successive_halving
    factor = count("successive_halving", successive_halving, low=2)
    sizes, n_best = [], n_recipes
    for until in epochs_of_rungs(factor, n_recipes, epochs):
        sizes.append((n_best, until))
        n_best = -(-n_best // factor)
    return Synchronous(tuple(sizes))


def checked_rungs(halving: Halving, n_recipes: int, epochs: int, ranked: Ranking) -> Iterator[Rung]:
    """The rungs that an object chooses, each checked before it is trained.

    Args:
      halving: what chooses the rungs.
      n_recipes: the recipes of the sweep.
      epochs: the epochs of the sweep.
      ranked: ranks recipes by what they have reached.

    Yields:
      The rungs.

    Raises:
      ValueError: a rung has a recipe that the sweep does not have, or none, or more epochs.

    >>> list(checked_rungs(Synchronous(((1, 3),)), 1, 2, Ranking(lambda epochs: np.zeros((1, 1)))))
    Traceback (most recent call last):
    ValueError: successive_halving chose 3 epochs, but the sweep has 1 to 2; choose from these.
    """
    for rung in halving.rungs(n_recipes, epochs, ranked):
        if not 1 <= rung.epochs <= epochs:
            raise ValueError(
                f"successive_halving chose {rung.epochs} epochs, but the sweep has 1 to "
                f"{epochs}; choose from these."
            )
        if not rung.recipes or not set(rung.recipes) <= set(range(n_recipes)):
            raise ValueError(
                f"successive_halving chose the recipes {brief(rung.recipes)}, but the sweep has "
                f"those from 0 to {n_recipes - 1}; choose one or more of these."
            )
        yield rung


def has_several(halving: Halving) -> bool:
    """Whether recipes are ranked between rungs.

    Args:
      halving: what chooses the rungs.
    """
    return not isinstance(halving, Synchronous) or len(halving.sizes) > 1
