"""Hyperparameters as leaves of a pytree, and classes of them as pytrees.

`leaf` casts and validates a number that a compiled program takes as an argument, `constant` and
`count` a number that is a static part of it. `pytree` makes a class whose fields are either.
"""

import dataclasses
import operator
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field
from types import NotImplementedType
from typing import Any, SupportsFloat, SupportsIndex, TypeVar, dataclass_transform, overload

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxnet.core.arguments import brief, lists_keywords
from jaxnet.core.types import AnyArray, Numbers

_Instance = TypeVar("_Instance")
_Value = TypeVar("_Value")


MOST = 2**31
"""Counts are below this number, since JAX's integers have 32 bits."""


def count(name: str, value: object, low: int, high: int | None = None) -> int:
    """A whole number in [low, high) as a Python int.

    Equal counts then share a compiled program, whichever type they were passed in.

    Args:
      name: what the number is called, for the error.
      value: the number; anything but a whole number in the range is refused.
      low: the smallest number allowed.
      high: the number has to be below it; below 2³¹, which JAX's integers hold, if None.

    Returns:
      The number as a Python int.

    Raises:
      ValueError: the value is not a whole number, or out of the range.

    >>> count("epochs", np.int64(30), low=1)
    30
    """
    try:
        number = None
        if isinstance(value, SupportsIndex) and not isinstance(value, bool):
            number = operator.index(value)
    except TypeError:  # arrays have an __index__, but not all of them can use it
        number = None
    limit = MOST if high is None else high
    if number is None or not low <= number < limit:
        is_too_large = number is not None and number >= limit
        allowed = f"in [{low}, {limit})" if high or is_too_large else f"of at least {low}"
        raise ValueError(f"{name} must be a whole number {allowed}, not {brief(value)}.")
    return number


def flag(name: str, value: object) -> bool:
    """A truth value that a compiled program depends on.

    Args:
      name: what the value is called, for the error.
      value: the value; anything but `True` and `False` is refused, as "no" would count as true.

    Returns:
      The value as a Python bool.

    Raises:
      ValueError: it is something else.

    >>> flag("gauss_newton", np.True_)
    True
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, not {brief(value)}.")
    return bool(value)


@overload
def static() -> Any: ...
@overload
def static(*, default: _Value) -> _Value: ...
@overload
def static(*, default_factory: Callable[[], _Value]) -> _Value: ...
def static(*, default: object = MISSING, default_factory: object = MISSING) -> object:
    """A field of a `pytree` class that is part of its structure instead of a child.

    Static values are those that a compiled program depends on: shapes, Python branches, functions.
    They must be hashable, and another value is another program.

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
    make_field: Callable[..., object] = field  # its overloads know nothing of MISSING
    return make_field(default=default, default_factory=default_factory, metadata={"static": True})


def number(*, default: _Value, linear: bool = False) -> _Value:
    """A field of a `pytree` class that is a hyperparameter, or `None`: "not in the program".

    Args:
      default: the field's default value.
      linear: whether a training step stays linear where the field is set: the first layer's update
        is linear in its weights, gradients and states, and its inputs are the same from step to
        step. Only then may training take steps in the span of the first layer's inputs. False, the
        default, is always correct.

    Returns:
      The field, to be assigned in the body of the class.

    >>> @pytree
    ... class Penalty:
    ...     l2: float | None = number(default=None, linear=True)
    >>> jax.tree.leaves(Penalty(l2=0.5)), jax.tree.leaves(Penalty())
    ([0.5], [])
    """
    return field(default=default, metadata={"linear": linear})


@dataclass_transform(
    frozen_default=True, eq_default=False, field_specifiers=(field, static, number)
)
def pytree(cls: type[_Instance]) -> type[_Instance]:
    """Make a class of annotated fields a frozen dataclass that is a JAX pytree.

    Fields declared with `static()` are part of the tree's structure; all others are its children,
    in their order. `jax.tree_util.register_dataclass` calls the constructor whenever JAX rebuilds
    a tree, with tracers or placeholders in place of numbers. This function does not, so that a
    constructor may cast and validate what a person passes in.

    Instances compare by value. They are equal if they are of one class, of the same tree structure
    (static fields included) and of leaves with the same type, shape and bytes, so that a NaN equals
    itself and 0.0 is not -0.0. Tracers, whose bytes are not known, equal only themselves. The hash
    depends on structure, shapes and types alone, because the numbers of a traced leaf are not
    known. Instances are nevertheless no static arguments of `jit`, which would compile anew for
    each number.

    Args:
      cls: the class, without a `@dataclass` of its own.

    Returns:
      The class itself.

    Raises:
      TypeError: it is a dataclass already, so that the metadata of its fields is lost.

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
    registered: Any = lists_keywords(dataclass(frozen=True, eq=False)(cls))
    fields = dataclasses.fields(registered)
    static_names = [entry.name for entry in fields if entry.metadata.get("static", False)]
    child_names = [entry.name for entry in fields if entry.name not in static_names]

    def flatten(tree: object) -> tuple[list[tuple[object, object]], tuple[object, ...]]:
        children: list[tuple[object, object]] = [
            (jax.tree_util.GetAttrKey(name), getattr(tree, name)) for name in child_names
        ]
        return children, tuple(getattr(tree, name) for name in static_names)

    def unflatten(static_values: Iterable[object], children: Iterable[object]) -> object:
        tree = object.__new__(registered)
        for name, value in zip(child_names, children, strict=True):
            object.__setattr__(tree, name, value)
        for name, value in zip(static_names, static_values, strict=True):
            object.__setattr__(tree, name, value)
        return tree

    jax.tree_util.register_pytree_with_keys(registered, flatten, unflatten)
    # A generated __eq__ would ask an array of truth values whether it is true.
    registered.__eq__ = _equal_trees
    registered.__hash__ = _hash_of_tree
    return registered


def _equal_trees(tree: object, other: object) -> bool | NotImplementedType:
    """Whether two instances of `pytree` classes are equal by value."""
    if tree is other:
        return True
    if type(tree) is not type(other):
        return NotImplemented
    leaves, structure = jax.tree.flatten(tree)
    other_leaves, other_structure = jax.tree.flatten(other)
    return structure == other_structure and all(map(_equal_leaves, leaves, other_leaves))


def _hash_of_tree(tree: object) -> int:
    """A hash of the tree's structure, and of its leaves' shapes and types."""
    leaves, structure = jax.tree.flatten(tree)
    return hash((type(tree), structure, tuple(map(_shape_and_type, leaves))))


def _equal_leaves(leaf: object, other: object) -> bool:
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
    # The bytes of random keys cannot be read: their type is JAX's, not NumPy's.
    readable = isinstance(leaf.dtype, np.dtype)
    return readable and np.asarray(leaf).tobytes() == np.asarray(other).tobytes()


def _shape_and_type(leaf: object) -> tuple[tuple[int, ...] | None, object]:
    """The shape and element type of an array or a tracer; None and the class of anything else."""
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    return (None, type(leaf)) if shape is None or dtype is None else (tuple(shape), dtype)


@overload
def leaf(
    name: str, value: Numbers, low: float = 0.0, high: float = np.inf, whole: bool = False
) -> AnyArray: ...
@overload
def leaf(
    name: str, value: object, low: float = 0.0, high: float = np.inf, whole: bool = False
) -> AnyArray | None: ...
def leaf(
    name: str, value: object, low: float = 0.0, high: float = np.inf, whole: bool = False
) -> AnyArray | None:
    """Cast a hyperparameter to a strongly typed array of the default float type.

    `0.5`, `1`, `np.float64(0.5)` and `jnp.float32(0.5)` then give one and the same program, and an
    array in place of a scalar is a sweep. `None` stays `None`: it means "not in the program".

    Args:
      name: what the value is called, for the error.
      value: a number, an array of numbers, a tracer or `None`.
      low: the smallest value allowed; 0 by default.
      high: all values have to be below it; by default they have to be finite.
      whole: whether it must be a whole number (the array is one of floats nevertheless).

    Returns:
      A NumPy or JAX array in JAX's default float type, or `None`.

    Raises:
      ValueError: the value is not a number in [low, high), or not whole, or so small that it would
        be 0; texts and truth values are no numbers.

    >>> leaf("learning_rate", 1)
    array(1., dtype=float32)
    """
    if value is None:
        return None
    allowed = f"{name} must be a {'whole ' if whole else ''}number in [{low:g}, {high:g})"
    array = _as_floats(value)
    if array is None:
        raise ValueError(f"{allowed}, not {brief(value)}.")
    if not isinstance(array, jax.core.Tracer):
        numbers = np.asarray(array)
        wrong = numbers[~(np.isfinite(numbers) & (numbers >= low) & (numbers < high))]
        if whole and not wrong.size:
            wrong = numbers[numbers % 1 != 0]
        if wrong.size:
            raise ValueError(f"{allowed}, not {wrong.flat[0]:g}; choose one inside that range.")
        _check_not_lost(name, np.asarray(value, float), numbers)
    return array


def _check_not_lost(name: str, given: np.ndarray, numbers: np.ndarray) -> None:
    """Refuse numbers other than 0 that are 0 in a program, which has no subnormal numbers."""
    least = jnp.finfo(numbers.dtype).tiny
    lost = given[(given != 0) & (np.abs(numbers) < least)]
    if lost.size:
        raise ValueError(
            f"{name} is {lost.flat[0]:g}, which is 0 in {numbers.dtype}; give 0 itself, or at "
            f"least {least:g}."
        )


def _as_floats(value: object) -> AnyArray | None:
    """Numbers in JAX's default float type; None for what is not made of real numbers.

    Texts and truth values are none, although NumPy would make numbers of them.
    """
    dtype = jax.dtypes.canonicalize_dtype(float)
    if isinstance(value, (list, tuple)) and any(isinstance(entry, bool) for entry in value):
        return None
    try:
        array = value if isinstance(value, jax.Array) else np.asarray(value)
        if array.dtype == object:  # among them ints beyond 64 bits, and fractions
            is_number = [
                isinstance(entry, SupportsFloat) and not isinstance(entry, (bool, np.bool_))
                for entry in np.asarray(array).flat
            ]
        else:
            is_number = [
                jnp.issubdtype(array.dtype, jnp.integer)
                or jnp.issubdtype(array.dtype, jnp.floating)
                or array.size == 0
            ]
        with np.errstate(over="ignore"):  # what overflows is refused by the caller, as not finite
            return array.astype(dtype) if all(is_number) else None
    except (TypeError, ValueError, OverflowError):  # ragged lists, lists of tracers, 10**400
        return None


def shown(value: Numbers) -> str:
    """The text of a leaf: its number, or … where it is traced.

    Args:
      value: a number, an array or a tracer.

    Returns:
      The text; arrays have that of their `repr`.

    >>> shown(np.float32(0.5))
    '0.5'
    """
    if isinstance(value, jax.core.Tracer):
        return "…"
    return f"{value:g}" if np.ndim(value) == 0 else repr(value)


def constant(name: str, value: object, low: float = -np.inf) -> float:
    """A static number, as a Python float.

    Args:
      name: what the number is called, for the error.
      value: the number; anything but a finite number is refused.
      low: the smallest number allowed; no limit by default.

    Returns:
      The number as a Python float: the shortest decimal that is the same number in JAX's default
      float type.

    Raises:
      ValueError: it is not one finite number of at least `low`.

    >>> constant("slope", np.float32(0.1))
    0.1
    """
    number = leaf(name, value, low)
    if number is None or np.ndim(number):
        raise ValueError(f"{name} must be one number, not {brief(value)}.")
    return float(str(np.asarray(number)))
