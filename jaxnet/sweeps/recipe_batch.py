"""Many recipes of one structure: the forms that a recipe takes on its way through a sweep."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxnet.recipes.recipe import Recipe

INPUTS = ("augmentation", "input_dropout")
"""The parts that change a mini-batch's inputs."""


@dataclass(frozen=True)
class RecipeBatch:
    """Recipes of one structure.

    They come as one recipe with arrays, from a user, or as `stacked` recipes with scalars; they
    leave as `rows`, one for each setting, or as arrays `placed` in a program.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> batch = RecipeBatch(Recipe(sgd([0.1, 0.5])))
    >>> [row.optimizer for row in batch.rows()]
    [sgd(learning_rate=0.1), sgd(learning_rate=0.5)]
    """

    recipe: Recipe
    """Its numbers are arrays with a number for each recipe, or scalars that all share."""

    @classmethod
    def stacked(cls, recipes: Sequence[Recipe]) -> "RecipeBatch":
        """The batch of these recipes, one or more of one structure, whose numbers are scalars."""
        return cls(jax.tree.map(lambda *numbers: np.stack(numbers), *recipes))

    def sharing_inputs(self) -> "RecipeBatch":
        """With a scalar for each number that changes the inputs, where all have the same.

        Only so lanes share the mini-batch that is augmented, or whose inputs are dropped.
        """
        parts = {name: getattr(self.recipe, name) for name in INPUTS}
        parts = {k: jax.tree.map(_merged, part) for k, part in parts.items() if part is not None}
        return RecipeBatch(dataclasses.replace(self.recipe, **parts))

    @property
    def has_own_inputs(self) -> bool:
        """Whether the recipes change inputs in different ways, so that lanes cannot share them."""
        parts = [getattr(self.recipe, name) for name in INPUTS]
        return any(np.ndim(number) for number in jax.tree.leaves(parts))

    def rows(self) -> list[Recipe]:
        """A recipe with scalars for each place of the arrays.

        Raises:
          ValueError: the arrays differ in length.
        """
        n = len(self.recipe)
        host = jax.tree.map(np.asarray, self.recipe)
        at = lambda index: jax.tree.map(lambda leaf: leaf[index] if leaf.ndim else leaf, host)
        return [at(index) for index in range(n)]

    def part(self, places: slice) -> "RecipeBatch":
        """The recipes in these places."""
        pick = lambda number: number[places] if np.ndim(number) else number
        return RecipeBatch(jax.tree.map(pick, self.recipe))

    def placed(self, lanes: np.ndarray) -> Recipe:
        """The arrays of a program, each of the shape of `lanes`, (groups, lanes): whose number.

        Args:
          lanes: the recipe in each place of the program, by its number in the batch.
        """
        return jax.tree.map(lambda leaf: leaf[lanes] if np.ndim(leaf) else leaf, self.recipe)


def placed_axes(recipe: Recipe) -> Any:
    """The group axis of each number of a placed recipe: 0, or none where all share it."""
    return jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, recipe)


def _merged(number: Any) -> Any:
    """One number where all are equal, else all."""
    return number[0] if np.ndim(number) and np.all(number == number[0]) else number
