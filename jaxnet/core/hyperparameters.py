"""How a number becomes a leaf of a pytree, and a class a pytree."""

import dataclasses
import operator
from dataclasses import MISSING, dataclass, field
from typing import Any, TypeVar, dataclass_transform

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

_Instance = TypeVar("_Instance")


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


def static(*, default: Any = MISSING, default_factory: Any = MISSING) -> Any:
    """A field of a `pytree` class that is part of its structure instead of a child.

    Static values are what a compiled program depends on: shapes, Python branches, functions. They
    must be hashable, and a changed one is another program.

    Args:
      default: the field's default value; without one the field must be given.
      default_factory: a function of no arguments that makes the default, instead of `default`.

    Returns:
      The field, to be assigned in the body of the class.

    Raises:
      ValueError: both a default and a factory are given.

    >>> @pytree
    ... class Power:
    ...     scale: float
    ...     exponent: int = static(default=2)
    >>> jax.tree.leaves(Power(3.0, exponent=4))
    [3.0]
    """
    return field(default=default, default_factory=default_factory, metadata={"static": True})


def number(*, default: Any, linear: bool = False) -> Any:
    """A field of a `pytree` class that is a hyperparameter, or `None`: "not in the program".

    Args:
      default: the field's default value.
      linear: whether with it the first layer's update stays linear in its weights, gradients and
        states, and its inputs the same from step to step: only then may training take steps in the
        span of its inputs. What does not say so is trained the plain way.

    Returns:
      The field, to be assigned in the body of the class.
    """
    return field(default=default, metadata={"linear": linear})


@dataclass_transform(
    frozen_default=True, eq_default=False, field_specifiers=(field, static, number)
)
def pytree(cls: type[_Instance]) -> type[_Instance]:
    """A class of annotated fields as a frozen dataclass that is a JAX pytree.

    Fields declared with `static()` are part of the tree's structure; all others are its children,
    in their order. `jax.tree_util.register_dataclass` calls the constructor whenever JAX rebuilds
    a tree, with tracers or placeholders in place of numbers. This one does not, so that a
    constructor may cast and validate what a person passes in.

    Instances compare by value: they are equal if they are of one class, of the same tree structure
    (static fields included) and of leaves with the same type, shape and bytes, so that a NaN equals
    itself and 0.0 is not -0.0. Tracers, whose bytes are not known, equal only themselves. The hash
    is that of structure, shapes and types alone: leaves may be arrays, and traced ones have no
    more. Instances are nevertheless no static arguments of `jit`, which would compile anew for each
    number.

    Args:
      cls: the class, without a `@dataclass` of its own.

    Returns:
      The class itself.

    Raises:
      TypeError: it is a dataclass already, so that its fields' metadata is no longer to be had.

    >>> @pytree
    ... class Line:
    ...     slope: float
    ...     intercept: float = 0.0
    >>> jax.tree.map(lambda number: 2 * number, Line(3.0, 1.0))
    Line(slope=6.0, intercept=2.0)
    >>> Line(jnp.ones(2)) == Line(np.ones(2, np.float32)), Line(1.0) == Line(2.0)
    (True, False)
    """
    if "__dataclass_fields__" in vars(cls):
        raise TypeError(f"@pytree makes {cls.__name__} a dataclass itself; leave @dataclass out.")
    registered: Any = dataclass(frozen=True, eq=False)(cls)
    fields = dataclasses.fields(registered)
    structural = [entry.name for entry in fields if entry.metadata.get("static", False)]
    children = [entry.name for entry in fields if entry.name not in structural]

    def flatten(tree: Any) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        paths = [(jax.tree_util.GetAttrKey(name), getattr(tree, name)) for name in children]
        return paths, tuple(getattr(tree, name) for name in structural)

    def unflatten(aux: tuple[Any, ...], values: Any) -> Any:
        tree = object.__new__(registered)
        for name, value in zip((*children, *structural), (*values, *aux), strict=True):
            object.__setattr__(tree, name, value)
        return tree

    jax.tree_util.register_pytree_with_keys(registered, flatten, unflatten)
    # A generated __eq__ would ask an array of truth values whether it is true.
    registered.__eq__ = _equal_trees
    registered.__hash__ = _hash_of_tree
    return registered


def _equal_trees(tree: Any, other: Any) -> Any:
    """Whether two instances of `pytree` classes are equal by value; see there."""
    if tree is other:
        return True
    if type(tree) is not type(other):
        return NotImplemented
    leaves, structure = jax.tree.flatten(tree)
    other_leaves, other_structure = jax.tree.flatten(other)
    return structure == other_structure and all(map(_equal_leaves, leaves, other_leaves))


def _hash_of_tree(tree: Any) -> int:
    """A hash of a tree's structure and of what is known of its leaves without their numbers."""
    leaves, structure = jax.tree.flatten(tree)
    return hash((type(tree), structure, tuple(map(_shape_and_type, leaves))))


def _equal_leaves(leaf: Any, other: Any) -> bool:
    """Whether two leaves are the same object, or arrays of the same type, shape and bytes."""
    if leaf is other:
        return True
    if isinstance(leaf, jax.core.Tracer) or isinstance(other, jax.core.Tracer):
        return False
    if _shape_and_type(leaf) != _shape_and_type(other):
        return False
    arrays = (np.ndarray, np.generic, jax.Array)
    if not (isinstance(leaf, arrays) and isinstance(other, arrays)):
        return bool(leaf == other)
    # Random keys have no bytes of their own: their type is JAX's, not NumPy's.
    bare = isinstance(leaf.dtype, np.dtype)
    return bare and np.asarray(leaf).tobytes() == np.asarray(other).tobytes()


def _shape_and_type(leaf: Any) -> tuple[Any, Any]:
    """An array's or a tracer's shape and element type; of anything else its class."""
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    return (None, type(leaf)) if shape is None or dtype is None else (tuple(shape), dtype)


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
