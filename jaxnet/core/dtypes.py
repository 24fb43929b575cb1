"""The float type of a call, whatever JAX's global switch says.

`jax.enable_x64` as a context holds for one thread, so that calls in other threads compute in types
of their own.
"""

import contextlib
from typing import Literal, TypeVar

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxnet.core.arguments import require_choice

FloatType = Literal["float32", "float64"]
"""A type to compute in."""
Tree = TypeVar("Tree")


def computing_in(dtype: FloatType | None) -> contextlib.AbstractContextManager[object]:
    """A context in which this thread computes in a float type.

    Args:
      dtype: "float32" or "float64"; `None` leaves JAX's default.

    Returns:
      The context.

    Raises:
      ValueError: it is another type.

    >>> with computing_in("float64"):
    ...     jnp.ones(2).dtype
    dtype('float64')
    """
    if dtype is None:
        return contextlib.nullcontext()
    require_choice("dtype", dtype, ("float32", "float64"))
    return jax.enable_x64(dtype == "float64")


def uses_float64() -> bool:
    """Whether JAX's default float type is float64 in this thread.

    >>> with computing_in("float64"):
    ...     uses_float64()
    True
    """
    return jax.dtypes.canonicalize_dtype(float).itemsize == 8


def unrounded_type(tree: object, *arrays: object) -> FloatType | None:
    """The type that results of a pytree need, where JAX's default would round its floats.

    Args:
      tree: a pytree, such as the parameters of a network that was trained in float64.
      *arrays: what the results are computed of, too; a compiled or differentiated function of them
        has one type.

    Returns:
      "float64" if an array of the tree is of this type and JAX's default is float32; `None` if not,
      or if the call is traced.

    >>> unrounded_type(np.ones(2)), unrounded_type(np.ones(2, np.float32))
    ('float64', None)
    """
    leaves = jax.tree.leaves(tree)
    has_float64 = any(getattr(leaf, "dtype", None) == np.float64 for leaf in leaves)
    if not has_float64 or jax.dtypes.canonicalize_dtype(float) == np.float64:
        return None
    # Within `jit` all new arrays are traced.
    is_traced = any(isinstance(leaf, jax.core.Tracer) for leaf in (*leaves, *arrays, jnp.zeros(())))
    return None if is_traced else "float64"


def in_dtype(dtype: FloatType | None, tree: Tree) -> Tree:
    """A pytree with all its arrays of floats in a type.

    Args:
      dtype: the type; `None` changes nothing.
      tree: a pytree, such as a recipe.

    Returns:
      The tree, with copies of these arrays; its other leaves are as they were.

    >>> in_dtype("float64", [np.ones(2, np.float32), 3])
    [array([1., 1.]), 3]
    """

    def cast(leaf: object) -> object:
        if isinstance(leaf, jax.core.Tracer) and jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf.astype(dtype)
        if isinstance(leaf, (jax.Array, np.ndarray)) and jnp.issubdtype(leaf.dtype, jnp.floating):
            return np.array(leaf, dtype)
        return leaf

    return tree if dtype is None else jax.tree.map(cast, tree)


def unshared(tree: Tree) -> Tree:
    """A pytree whose NumPy arrays are views of this call's own.

    JAX casts a NumPy array to the type to compute in, and while it does so it gives the result to
    every thread that passes the same object, also to one that computes in another type. A view is
    another object of the same numbers.

    Args:
      tree: a pytree, such as a data set that several threads train on.

    Returns:
      The tree; all leaves that are no NumPy arrays are as they were.

    >>> x = np.ones(2)
    >>> (y,) = unshared((x,))
    >>> y is x, np.shares_memory(x, y)
    (False, True)
    """
    return jax.tree.map(lambda leaf: leaf.view() if isinstance(leaf, np.ndarray) else leaf, tree)


def on_host(dtype: FloatType | None, tree: Tree) -> Tree:
    """A result as NumPy arrays, which keep their type where JAX's default is another one.

    Args:
      dtype: the type of the call; `None` leaves the result as it is.
      tree: a pytree of arrays.

    Returns:
      The tree with NumPy arrays, but for what is traced.

    >>> type(on_host("float32", jnp.ones(2))).__name__
    'ndarray'
    """

    def fetch(leaf: object) -> object:
        is_known = isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer)
        return np.asarray(leaf) if is_known else leaf

    return tree if dtype is None else jax.tree.map(fetch, tree)
