"""Regularization: penalties on the weights, in the book's units; dropout; max-norm; smoothing.

    C = C₀ + (λ₂/2n) Σw² + (λ₁/n) Σ|w|

over weights, never biases, with n the number of *training* examples: the λ of Nielsen, chapter 3,
equations 87 and 95, so that the book's values carry over.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32
from jaxtyping import Array, Bool, Float

from jaxnet.core.activations import Softmax
from jaxnet.core.costs import Cost
from jaxnet.core.types import AnyArray, KeyArray, Layer, Params

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


def keep_mask(key: KeyArray, shape: tuple[int, ...], rate: Any) -> Bool[Array, "..."]:
    """Which units dropout keeps, each with probability 1 − rate, to within 2⁻¹⁷.

    Two units share the 32 bits of a draw: at 784 inputs an example, drawing is what costs.
    """
    n = math.prod(shape)
    bits = threefry_2x32(jax.random.key_data(key), jnp.arange(-(-n // 2), dtype=jnp.uint32))
    halves = jax.lax.bitcast_convert_type(bits, jnp.uint16).reshape(-1)[:n].reshape(shape)
    return halves >= jnp.minimum(jnp.round(rate * 2**16), 2**16 - 1).astype(jnp.uint16)


def dropout_mask(keep: Bool[Array, "..."], rate: Any) -> Float[Array, "..."]:
    """Dropout's mask, 1/(1−rate) where a unit is kept: the mean of what is passed on stays.

    So nothing needs halving when the whole network is used, as Nielsen's chapter 3 has it.

    Source: Srivastava et al., Dropout, 2014, section 10 (the inverted form).

    >>> dropout_mask(jnp.array([True, False]), jnp.array(0.5)).tolist()
    [2.0, 0.0]
    """
    return keep * (1 / (1 - rate))


def apply_max_norm(params: Params, max_norm: Any) -> Params:
    """Max-norm: the weights into a hidden unit are scaled down to ‖w‖ = c where they exceed it.

    Source: Srivastava et al., Dropout, 2014, section 5.1.

    >>> layer = Layer(jnp.array([[3.0], [4.0]]), jnp.zeros(1))
    >>> apply_max_norm((layer, layer), 1.0)[0].w.round(3).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """

    def constrain(layer: Layer) -> Layer:
        norms = jnp.sqrt(jnp.sum(layer.w**2, axis=0, keepdims=True))
        return layer._replace(w=layer.w * jnp.minimum(1, max_norm / jnp.maximum(norms, 1e-30)))

    return (*map(constrain, params[:-1]), params[-1])


def smooth_labels(cost: Cost, ys: Float[Array, "batch n_out"], epsilon: Any) -> Array:
    """Label smoothing: (1−ε)y + ε/K for K softmax outputs, (1−ε)y + ε/2 for all others.

    Source: Szegedy et al., Rethinking the Inception architecture, 2016, section 7.

    >>> from jaxnet.core.costs import CrossEntropy
    >>> smooth_labels(CrossEntropy(), jnp.array([[0.0, 1.0]]), 0.5).tolist()
    [[0.25, 0.75]]
    """
    outcomes = ys.shape[1] if isinstance(cost.output, Softmax) else 2
    return (1 - epsilon) * ys + epsilon / outcomes
