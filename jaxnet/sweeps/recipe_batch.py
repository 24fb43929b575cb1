"""A batch of recipes of one structure: with arrays, as single recipes, or as a program's arrays."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Int, PyTree

from jaxnet.recipes.recipe import Recipe

INPUT_PARTS = ("augmentation", "input_dropout")
"""The parts of a recipe that change a mini-batch's inputs."""


@dataclass(frozen=True)
class RecipeBatch:
    """Recipes of one structure, held as one recipe whose hyperparameters are arrays.

    A batch comes from a user's recipe with arrays, or from recipes with scalars (`stacked`).
    `rows` gives one recipe per entry, `in_slots` the arrays for a program of lanes.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> batch = RecipeBatch(Recipe(sgd([0.1, 0.5])))
    >>> [row.optimizer for row in batch.rows()]
    [sgd(learning_rate=0.1), sgd(learning_rate=0.5)]
    """

    recipe: Recipe
    """Each hyperparameter is an array with one number per recipe, or a scalar for all recipes."""

    @classmethod
    def stacked(cls, recipes: Sequence[Recipe]) -> "RecipeBatch":
        """The batch of one or more recipes of one structure, whose hyperparameters are scalars."""
        return cls(jax.tree.map(lambda *numbers: np.stack(numbers), *recipes))

    def with_shared_inputs(self) -> "RecipeBatch":
        """The batch, with a scalar for each number that changes inputs and is equal in all recipes.

        Only then can lanes share one augmented mini-batch, or one with dropped inputs.
        """
        parts = {name: getattr(self.recipe, name) for name in INPUT_PARTS}
        shared_parts = {
            name: jax.tree.map(_scalar_if_equal, part)
            for name, part in parts.items()
            if part is not None
        }
        return RecipeBatch(dataclasses.replace(self.recipe, **shared_parts))

    @property
    def has_own_inputs(self) -> bool:
        """Whether recipes change inputs in different ways, so that lanes cannot share them."""
        parts = [getattr(self.recipe, name) for name in INPUT_PARTS]
        return any(np.ndim(number) for number in jax.tree.leaves(parts))

    def rows(self) -> list[Recipe]:
        """One recipe with scalars for each entry of the arrays.

        Raises:
          ValueError: the arrays differ in length.
        """
        n_recipes = len(self.recipe)
        host_recipe = jax.tree.map(np.asarray, self.recipe)

        def row(index: int) -> Recipe:
            return jax.tree.map(lambda leaf: leaf[index] if leaf.ndim else leaf, host_recipe)

        return [row(index) for index in range(n_recipes)]

    def select(self, rows: slice) -> "RecipeBatch":
        """The batch of the recipes of these rows."""
        pick = lambda number: number[rows] if np.ndim(number) else number
        return RecipeBatch(jax.tree.map(pick, self.recipe))

    def in_slots(self, rows: Int[np.ndarray, "groups lanes"]) -> Recipe:
        """The recipe for a program of lanes: each array has the shape (groups, lanes) of `rows`.

        Args:
          rows: the row of the batch whose recipe trains the lane in each slot of the program.
        """
        return jax.tree.map(lambda leaf: leaf[rows] if np.ndim(leaf) else leaf, self.recipe)


def group_axes(recipe: Recipe) -> PyTree:
    """For each number of a program's recipe, its `vmap` axis of groups: 0, or None for a scalar."""
    return jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, recipe)


def _scalar_if_equal(number: ArrayLike) -> ArrayLike:
    """The first entry of an array whose entries are all equal; anything else as it is."""
    array = np.asarray(number)
    return array[0] if array.ndim and np.all(array == array[0]) else number
