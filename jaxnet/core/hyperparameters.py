"""How a number becomes a leaf of a pytree, and a class a pytree."""

import dataclasses
import operator
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

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
