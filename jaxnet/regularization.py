"""Penalties on the weights, in the book's units, and their gradients.

    C = C₀ + (λ₂/2n) Σw² + (λ₁/n) Σ|w|

over weights, never biases, with n the number of *training* examples: the λ of Nielsen, chapter 3,
equations 87 and 95, so that the book's values carry over.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.types import AnyArray, Layer, Params

Strength = Float[AnyArray, ""] | None


def penalty(params: Params, n: int, l1: Strength = None, l2: Strength = None) -> Float[Array, ""]:
    """(λ₂/2n)Σw² + (λ₁/n)Σ|w|; a λ that is `None` is left out.

    >>> layer = Layer(jnp.array([[1.0, -2.0]]), jnp.zeros(2))
    >>> penalty((layer,), n=10, l1=jnp.array(1.0), l2=jnp.array(2.0)).item()
    0.800000011920929
    """
    total = jnp.zeros((), params[0].w.dtype)
    for layer in params:
        if l2 is not None:
            total += l2 / (2 * n) * jnp.sum(layer.w**2)
        if l1 is not None:
            total += l1 / n * jnp.sum(jnp.abs(layer.w))
    return total


def add_penalty_gradient(
    grads: Params, params: Params, n: int, l1: Strength = None, l2: Strength = None
) -> Params:
    """The gradient of the regularized cost: adds (λ₂/n)w + (λ₁/n)sgn(w), with sgn(0) = 0.

    Source: Nielsen, chapter 3, equations 88 and 96.
    """

    def add(grad: Layer, layer: Layer) -> Layer:
        w = grad.w
        if l2 is not None:
            w = w + l2 / n * layer.w
        if l1 is not None:
            w = w + l1 / n * jnp.sign(layer.w)
        return Layer(w, grad.b)

    return jax.tree.map(add, grads, params, is_leaf=lambda node: isinstance(node, Layer))
