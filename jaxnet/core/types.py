"""The types that cross the compiler, and the one way a number becomes a leaf.

A NamedTuple (or a registered dataclass) of arrays crosses `jit`, `vmap` and `scan`; a plain
frozen dataclass (`Network`, `CrossEntropy`) is a static choice, hashable and equal by value.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, UInt8

AnyArray = Array | np.ndarray
"""A JAX or a NumPy array: users hold data in either."""
KeyArray = Key[Array, ""]
"""A typed JAX random key, as `jax.random.key(seed)` returns."""
Numbers = ArrayLike | Sequence[float]
"""A hyperparameter as a caller gives it: a number, traced or not, or an array of them (a sweep)."""


Input = Float[AnyArray, " n_in"] | UInt8[AnyArray, " n_in"]
"""One example: floats, or uint8 pixels."""
Inputs = Float[AnyArray, "batch n_in"] | UInt8[AnyArray, "batch n_in"]
"""Many examples."""
Target = Int[AnyArray, ""] | int | np.integer | Float[AnyArray, " n_out"]
"""What one example should give: a class label, or float targets."""
Targets = Int[AnyArray, " batch"] | Float[AnyArray, "batch n_out"]
"""What many should give."""


class Layer(NamedTuple):
    """One layer's weights `w`, shape (n_in, n_out), and biases `b`, shape (n_out,)."""

    w: Float[AnyArray, "n_in n_out"]
    b: Float[AnyArray, " n_out"]


Params = tuple[Layer, ...]
"""A network's parameters, from the first hidden layer to the output layer."""

Initializer = Callable[[KeyArray, int, int], Layer]
"""`(key, n_in, n_out) -> Layer`."""


class Split(NamedTuple):
    """Examples and what they should give.

    `x` has shape (n, n_in): uint8 pixels 0..255, scaled by 1/255 when they are read, or floats,
    used as they are. `y` holds n integer class labels, or float targets of shape (n, n_out).
    """

    x: AnyArray
    y: AnyArray


class Dataset(NamedTuple):
    """A training split, and the splits that validate and test, where there are any."""

    train: Split
    valid: Split | None = None
    test: Split | None = None


class History(NamedTuple):
    """The four curves of network2, in its order: one value per epoch, NaN where not monitored.

    Costs include the penalty terms, with each set's own size for n, as network2's `total_cost`.
    Accuracies are fractions; they are NaN where targets are not labels.
    """

    evaluation_cost: Float[AnyArray, "..."]
    evaluation_accuracy: Float[AnyArray, "..."]
    training_cost: Float[AnyArray, "..."]
    training_accuracy: Float[AnyArray, "..."]
