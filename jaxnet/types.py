"""The types that cross the compiler, and the one way a number becomes a leaf.

A NamedTuple (or a registered dataclass) of arrays crosses `jit`, `vmap` and `scan`; a plain
frozen dataclass (`Network`, `CrossEntropy`) is a static choice, hashable and equal by value.
"""

import dataclasses
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8

AnyArray = Array | np.ndarray
"""A JAX or a NumPy array: users hold data in either."""
KeyArray = Key[Array, ""]
"""A typed JAX random key, as `jax.random.key(seed)` returns."""


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


@dataclasses.dataclass(frozen=True)
class Over:
    """How the program of one network on one device becomes another.

    This one leaves it as it is. The lanes of a sweep have a `vmap` of every function of a network,
    a network whose mini-batches several devices share has their rows split.
    """

    lanes: int = 1
    """How many networks share their mini-batches."""

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """Of a function of one network, `f(tree, *shared)`, that of all: here `f` itself."""
        return f

    def split(self, rows: Any, axis: int = 0) -> Any:
        """Arrays of examples, along this axis: here as they are."""
        return rows


alone = Over()


_Class = TypeVar("_Class", bound=type)


def count(name: str, value: Any, low: int, high: int | None = None) -> int:
    """A whole number in [low, high) as a Python int, so that equal counts are one program.

    Raises:
      ValueError: it is none; the message names the value and the range.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number >= high):
        allowed = f"in [{low}, {high})" if high else f"of at least {low}"
        raise ValueError(f"{name} must be a whole number {allowed}, not {value!r}.")
    return number


def pytree(*static: str) -> Callable[[_Class], _Class]:
    """Make a frozen dataclass a pytree whose fields, but for the `static` ones, are children.

    `jax.tree_util.register_dataclass` calls the constructor whenever JAX rebuilds a tree, with
    tracers or placeholders in place of numbers. This one does not, so that a constructor may
    cast and validate what a person passes in.
    """

    def register(cls: _Class) -> _Class:
        names = [field.name for field in dataclasses.fields(cls)]
        dynamic = [name for name in names if name not in static]

        def flatten(tree: Any) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
            children = [(jax.tree_util.GetAttrKey(name), getattr(tree, name)) for name in dynamic]
            return children, tuple(getattr(tree, name) for name in static)

        def unflatten(aux: tuple[Any, ...], children: Any) -> Any:
            tree = object.__new__(cls)
            for name, value in zip((*dynamic, *static), (*children, *aux), strict=True):
                object.__setattr__(tree, name, value)
            return tree

        jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)
        return cls

    return register


def leaf(name: str, value: Any, low: float = 0.0, high: float = np.inf, whole: bool = False) -> Any:
    """Cast a hyperparameter to a strongly typed array of the default float type.

    `0.5`, `1`, `np.float64(0.5)` and `jnp.float32(0.5)` then give one and the same program, and an
    array in place of a scalar is a sweep. `None` stays `None`: it means "not in the program".

    Args:
      name: what the value is called, for the error.
      value: a number, an array of numbers, a tracer or `None`.
      low: the smallest value allowed.
      high: no value may reach it.
      whole: whether it must be a whole number (the array is one of floats nevertheless).

    Returns:
      A NumPy or JAX array in JAX's default float type, or `None`.

    Raises:
      ValueError: the value is not a number in [low, high), or not whole.
    """
    if value is None:
        return None
    dtype = jax.dtypes.canonicalize_dtype(float)
    allowed = f"{name} must be a {'whole ' if whole else ''}number in [{low:g}, {high:g})"
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.complexfloating):
        raise ValueError(f"{allowed}, not {value!r}.")
    if isinstance(value, jax.Array):
        value = value.astype(dtype)
    else:
        try:
            with np.errstate(over="ignore"):  # what overflows is refused below, as not finite
                value = np.asarray(value, dtype)
        except (TypeError, ValueError):
            raise ValueError(f"{allowed}, not {value!r}.") from None
    if not isinstance(value, jax.core.Tracer):
        host = np.asarray(value)
        wrong = host[~(np.isfinite(host) & (host >= low) & (host < high))]
        wrong = host[host % 1 != 0] if whole and not wrong.size else wrong
        if wrong.size:
            raise ValueError(f"{allowed}, not {wrong.flat[0]:g}; choose one inside that range.")
    return value


def shown(value: Any) -> str:
    """A leaf in words: its number, or … where it is traced."""
    if isinstance(value, jax.core.Tracer):
        return "…"
    return f"{value:g}" if np.ndim(value) == 0 else repr(value)


def constant(name: str, value: Any, low: float = -np.inf) -> float:
    """A static number, as a Python float.

    Raises:
      ValueError: it is not one finite number of at least `low`.
    """
    number = leaf(name, value, low)
    if number is None or np.ndim(number):
        raise ValueError(f"{name} must be one number, not {value!r}.")
    return float(str(np.asarray(number)))
