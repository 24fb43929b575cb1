"""The ranges of a search: numbers of a recipe by name, and how each is moved within its range."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxnet.core.arguments import brief
from jaxnet.core.types import AnyArray
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.search_space import LogUniform, OneMinus, Range, Uniform

_Array = TypeVar("_Array", bound=AnyArray)


class Scale(NamedTuple):
    """A range from `low` to `high`, on the scale on which points are spread evenly.

    Attributes:
      kind: `Uniform`, `LogUniform`, or `OneMinus`, of which `low` and `high` are those of 1 − x.
      low: the lower end.
      high: the upper end.

    >>> Scale(LogUniform, 0.01, 1.0).at(np.array([0.0, 0.5, 1.0])).round(3).tolist()
    [0.01, 0.1, 1.0]
    """

    kind: type
    low: float
    high: float

    def at(self, position: _Array) -> _Array:
        """The number at a position from 0, at `low`, to 1, at `high`; it may be traced.

        Args:
          position: an array of positions.
        """
        if self.kind is Uniform:
            return self.low + (self.high - self.low) * position  # pyright: ignore[reportReturnType]
        number = self.low * (self.high / self.low) ** position
        return 1 - number if self.kind is OneMinus else number  # pyright: ignore[reportReturnType]

    def position(self, number: np.ndarray) -> np.ndarray:
        """The position of a number: the inverse of `at`.

        Args:
          number: an array of numbers.
        """
        if self.kind is Uniform:
            return (number - self.low) / (self.high - self.low)
        number = 1 - number if self.kind is OneMinus else number
        return np.log(number / self.low) / np.log(self.high / self.low)

    def multiplied(self, number: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """A number (of `OneMinus`, 1 − number) times a factor, kept within the range.

        Args:
          number: an array of numbers.
          factor: an array of as many factors.

        >>> Scale(OneMinus, 0.01, 1.0).multiplied(np.array([0.9]), np.array([0.5])).round(3)
        array([0.95])
        """
        if self.kind is OneMinus:
            return 1 - np.clip((1 - number) * factor, self.low, self.high)
        return np.clip(number * factor, self.low, self.high)


def checked_ranges(ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The ranges of a search as keywords of `jaxnet.sample`, which checks each of them.

    Args:
      ranges: a range for each hyperparameter to vary, by name.

    Returns:
      The same as a dictionary.

    Raises:
      ValueError: it is no dictionary with names of hyperparameters for keys, or empty.

    >>> checked_ranges({"learning_rate": (0.01, 1)})
    {'learning_rate': (0.01, 1)}
    """
    is_named = isinstance(ranges, Mapping) and all(isinstance(name, str) for name in ranges)
    if not is_named or not ranges:
        raise ValueError(
            'ranges must be a dictionary such as {"learning_rate": (0.001, 1.0)}, not '
            f"{brief(ranges)}."
        )
    if reserved := sorted({"recipe", "n", "seed"}.intersection(ranges)):
        raise ValueError(f"ranges has {reserved[0]}, which is no hyperparameter; leave it out.")
    return dict(ranges)


def scales_of(ranges: Mapping[str, Range]) -> dict[str, Scale]:
    """The scale of each range, by hyperparameter.

    Args:
      ranges: ranges that `jaxnet.sample` has taken.

    >>> scales_of({"learning_rate": (0.01, 1)})["learning_rate"].high
    1.0
    """
    scales = {}
    for name, given_range in ranges.items():
        is_kind = isinstance(given_range, (Uniform, OneMinus))
        low, high = map(float, given_range)  # pyright: ignore[reportArgumentType]
        scales[name] = Scale(type(given_range) if is_kind else LogUniform, low, high)
    return scales


def swept_numbers(swept: Recipe) -> dict[str, np.ndarray]:
    """The arrays of a recipe that `jaxnet.sample` made, by the names that it was given.

    Args:
      swept: the recipe.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> sorted(swept_numbers(Recipe(sgd([0.1, 0.2]), l2=[0.0, 1.0])))
    ['l2', 'learning_rate']
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(swept)
    return {_name(path): np.asarray(leaf) for path, leaf in leaves if np.ndim(leaf)}


def with_numbers(swept: Recipe, numbers: Mapping[str, ArrayLike]) -> Recipe:
    """A recipe with other numbers in place of its arrays; they may be traced, and are not checked.

    Args:
      swept: a recipe that `jaxnet.sample` made.
      numbers: a number, or an array of any shape, for each of its arrays, by name.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> with_numbers(Recipe(sgd([0.1, 0.2])), {"learning_rate": np.array(0.5)})
    Recipe(optimizer=sgd(learning_rate=0.5))
    """

    def replaced(path: tuple[object, ...], leaf: AnyArray) -> AnyArray:
        if not np.ndim(leaf):
            return leaf
        return jnp.asarray(numbers[_name(path)], leaf.dtype)

    return jax.tree_util.tree_map_with_path(replaced, swept)


def _name(path: tuple[object, ...]) -> str:
    """The last part of the path to a number of a recipe."""
    last = path[-1]
    return str(getattr(last, "key", getattr(last, "name", last)))
