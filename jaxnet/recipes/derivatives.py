"""Derivatives of a training run: of updates where a root or a quotient has none at 0.

An input that is always 0, or a unit that never fires, has gradients of 0, and Adam takes the root
of their mean square. The root's slope at 0 is infinite, and ∞ · 0 is NaN: by JAX's rule the
derivative of the whole run would be NaN. Here such a slope counts as 0, which is right wherever a
number is 0 for all values of the hyperparameters near the given one. What is computed forward stays
as it is, to the bit.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.core
import jax.numpy as jnp
from jax.extend import core
from jax.extend.core import primitives
from jaxtyping import Array, Float, PyTree

_Tree = TypeVar("_Tree")


@jax.custom_jvp
def root(v: Float[Array, "..."]) -> Float[Array, "..."]:
    """The square root √v, with a derivative of 0 at v = 0, where JAX's is infinite.

    Args:
      v: numbers of at least 0. A negative number gives NaN, with a derivative of 0; NaN stays NaN.

    Returns:
      The roots, of the shape and the type of v.

    >>> v = jnp.array([0.0, 4.0])
    >>> root(v).tolist(), jax.vmap(jax.grad(root))(v).tolist()
    ([0.0, 2.0], [0.0, 0.25])
    """
    return jnp.sqrt(v)


@root.defjvp
def _root_tangent(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (v,), (dv,) = primals, tangents
    return jnp.sqrt(v), _unless(v <= 0, v, lambda v: dv / (2 * jnp.sqrt(v)))


@jax.custom_jvp
def _inverse_root(v: Array) -> Array:
    """1/√v, with a derivative of 0 at v = 0."""
    return jax.lax.rsqrt(v)


@_inverse_root.defjvp
def _inverse_root_tangent(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (v,), (dv,) = primals, tangents
    return jax.lax.rsqrt(v), _unless(v <= 0, v, lambda v: -dv * jax.lax.rsqrt(v) / (2 * v))


@jax.custom_jvp
def _quotient(x: Array, y: Array) -> Array:
    """x/y, with a derivative of 0 where y = 0."""
    return x / y


@_quotient.defjvp
def _quotient_tangent(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    (x, y), (dx, dy) = primals, tangents
    return x / y, _unless(y == 0, y, lambda y: dx / y - x / y * (dy / y))


def _unless(singular: Array, v: Array, tangent: Callable[[Array], Array]) -> Array:
    """The tangent at v, 0 where v is singular. There it is computed at 1, so that it is finite."""
    return jnp.where(singular, 0, tangent(jnp.where(singular, 1, v)))


_REPLACED: dict[core.Primitive, Callable[..., Array]] = {
    primitives.sqrt_p: root,
    primitives.rsqrt_p: _inverse_root,
    primitives.div_p: _quotient,
}
"""The operations whose derivative may be infinite where their result is not, or is not used."""


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def without_derivative(name: str, tree: _Tree) -> _Tree:
    """A pytree as it is, of which no derivative can be taken.

    Args:
      name: what has no derivative, for the error, such as "lbfgs".
      tree: arrays.

    Returns:
      The same pytree.

    Raises:
      ValueError: a derivative is taken, forward or backward, also from outside of a compiled
        function.

    >>> try:
    ...     jax.grad(lambda x: without_derivative("lbfgs", x))(1.0)
    ... except ValueError as error:
    ...     print(error)
    a run with lbfgs has no derivative; differentiate one with another optimizer, such as adam.
    """
    return tree


@without_derivative.defjvp
def _refuse_tangent(name: str, primals: PyTree, tangents: PyTree) -> tuple[PyTree, PyTree]:
    raise ValueError(
        f"a run with {name} has no derivative; differentiate one with another optimizer, such as "
        "adam."
    )


def with_finite_slopes(fn: Callable[..., _Tree]) -> Callable[..., _Tree]:
    """The same function, whose roots and quotients have a derivative of 0 where they divide by 0.

    It serves update rules of other packages, such as optax's: the function is traced, and its roots
    and quotients are replaced by those of this module.

    Args:
      fn: a function of pytrees of arrays that returns one.

    Returns:
      A function that computes the same numbers.

    >>> smooth = with_finite_slopes(lambda x: jnp.where(x > 0, jnp.sqrt(x), 0))
    >>> float(jax.grad(smooth)(0.0))
    0.0
    """

    def smooth(*args: PyTree) -> _Tree:
        program, result = jax.make_jaxpr(fn, return_shape=True)(*args)
        arrays = core.jaxpr_as_fun(_rewritten(program))(*jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(result), arrays)

    return smooth


def _rewritten(value: Any) -> Any:
    """A traced function with its roots and quotients replaced; any other value as it is."""
    if not isinstance(value, core.ClosedJaxpr):
        return value
    operations = [_replaced(operation) for operation in value.jaxpr.eqns]
    return value.replace(jaxpr=value.jaxpr.replace(eqns=operations))


def _is_float(of: object) -> bool:
    """Whether a traced value is an array of floats: whole numbers are divided, too."""
    return isinstance(of, jax.core.ShapedArray) and jnp.issubdtype(of.dtype, jnp.floating)


def _replaced(operation: core.JaxprEqn) -> core.JaxprEqn:
    """The operation to do instead of one; those inside of loops and branches are replaced, too."""
    primitive, types = operation.primitive, [operand.aval for operand in operation.invars]
    if primitive in _REPLACED and all(map(_is_float, types)):
        (instead,) = jax.make_jaxpr(_REPLACED[primitive])(*types).eqns
        return instead.replace(invars=operation.invars, outvars=operation.outvars)
    if primitive.name.startswith("custom_"):  # it has a derivative of its own
        return operation
    is_program = lambda value: isinstance(value, core.ClosedJaxpr)
    return operation.replace(params=jax.tree.map(_rewritten, operation.params, is_leaf=is_program))
