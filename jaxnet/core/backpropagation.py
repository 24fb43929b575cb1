"""Backpropagation by hand: the four equations, for one example and for a mini-batch.

With zˡ the weighted inputs of layer l, aˡ = mˡ·f(zˡ) its (masked) activations and δˡ = ∂C/∂zˡ
its error (Nielsen, chapter 2; here `w` has shape (n_in, n_out)):

    (BP1)  δᴸ     = ∂C/∂zᴸ, the cost's `delta`
    (BP2)  δˡ     = J_f(zˡ)ᵀ (mˡ · Wˡ⁺¹ δˡ⁺¹), the activation's `pullback`
    (BP3)  ∂C/∂bˡ = δˡ
    (BP4)  ∂C/∂Wˡ = aˡ⁻¹ (δˡ)ᵀ

A mini-batch needs the *mean* of the outer products of BP4, Σ aˡ⁻¹(δˡ)ᵀ/n, which is a single
matrix product over the batch: no example's own gradient is ever written to memory.

Second-order methods need products of the cost's curvature with a vector: `hessian_product` is the
derivative of the handwritten gradient along it, and `gauss_newton_product` sends another error
than the cost's through the same BP2 to BP4.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.acceleration.first_layer import InSpan
from jaxnet.core.network import Masks, Network, forward, targets
from jaxnet.core.types import AnyArray, Input, Inputs, Layer, Params, Target, Targets


def errors(
    net: Network,
    params: Params,
    x: Input | InSpan,
    y: Target,
    masks: Masks = None,
) -> tuple[list[Array], list[Float[Array, "..."]]]:
    """One example: what goes into each layer, aˡ⁻¹, and the error that comes out of it, δˡ."""
    layer_inputs, zs = forward(net, params, x, masks)
    delta = net.cost.delta(zs[-1], targets(y, net.sizes[-1], zs[-1].dtype))  # BP1
    return layer_inputs, _backward(net, params, zs, delta, masks)


def _backward(net: Network, params: Params, zs: list, delta: Array, masks: Masks) -> list:
    """The errors of all layers, from the output layer's."""
    deltas = [delta]
    for index in reversed(range(len(params) - 1)):
        back = jnp.dot(delta, params[index + 1].w.T, precision=net.precision)
        if masks is not None:
            back = back * masks[index]
        delta = net.activations[index].pullback(zs[index], back)  # BP2
        deltas.insert(0, delta)
    return deltas


def backprop(
    net: Network,
    params: Params,
    x: Input,
    y: Target,
    masks: Masks = None,
) -> Params:
    """The gradient of the cost of one example, by the four equations.

    Args:
      net: the architecture.
      params: its parameters.
      x: one example's inputs: uint8 pixels or floats.
      y: its label, or its float targets.
      masks: one vector per hidden layer, (n_l,), that its activations are multiplied by.

    Returns:
      The gradient, shaped like `params`.

    Source: Nielsen, chapter 2, equations BP1 to BP4.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 1))
    >>> params = init(net, jax.random.key(0))
    >>> gradient_of_one = backprop(net, params, jnp.array([0.0, 1.0]), jnp.array([1.0]))
    >>> [layer.w.shape for layer in gradient_of_one]
    [(2, 3), (3, 1)]
    """
    layer_inputs, deltas = errors(net, params, x, y, masks)
    return tuple(
        Layer(jnp.outer(a, delta), delta)  # BP4, BP3
        for a, delta in zip(layer_inputs, deltas, strict=True)
    )


def gradient(
    net: Network,
    params: Params,
    xs: Inputs | InSpan,
    ys: Targets,
    masks: Masks = None,
    weights: Float[AnyArray, " batch"] | None = None,
) -> Params:
    """The gradient of the mean cost of a mini-batch.

    Args:
      net: the architecture.
      params: its parameters.
      xs: the examples' inputs: uint8 pixels or floats; or `spans.InSpan`, where the first layer's
        weights are coefficients: then their errors (batch, n_out) stand for its gradient.
      ys: their labels, or their float targets.
      masks: one per hidden layer: (n_l,), the same for every example, or (batch, n_l).
      weights: what each example counts, instead of 1/batch.

    Returns:
      The gradient, shaped like `params`.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 2))
    >>> params = init(net, jax.random.key(0))
    >>> mean = gradient(net, params, jnp.ones((4, 2)), jnp.zeros(4, int))
    >>> one = backprop(net, params, jnp.ones(2), jnp.array(0))
    >>> bool(jnp.allclose(mean[0].w, one[0].w))
    True
    """

    def of_one(x: Input | InSpan, y: Target, masks: Masks) -> tuple[list, list]:
        return errors(net, params, x, y, masks)

    return _mean(net, params, of_one, xs, ys, masks, weights)


def hessian_product(
    net: Network,
    params: Params,
    along: Params,
    xs: Inputs,
    ys: Targets,
    masks: Masks = None,
    weights: Float[AnyArray, " batch"] | None = None,
) -> Params:
    """Hv, the Hessian of a mini-batch's mean cost times v = `along`: the derivative of `gradient`.

    Args are those of `gradient`; it costs about two of them.

    Source: Pearlmutter, Fast exact multiplication by the Hessian, 1994, section 3.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 1))
    >>> params = init(net, jax.random.key(0))
    >>> hessian_product(net, params, params, jnp.ones((4, 2)), jnp.zeros(4, int))[0].w.shape
    (2, 3)
    """
    gradient_at = lambda params: gradient(net, params, xs, ys, masks, weights)
    return jax.jvp(gradient_at, (params,), (along,))[1]


def gauss_newton_product(
    net: Network,
    params: Params,
    along: Params,
    xs: Inputs,
    ys: Targets,
    masks: Masks = None,
    weights: Float[AnyArray, " batch"] | None = None,
) -> Params:
    """Gv, G = mean JᵀHJ, with J = ∂zᴸ/∂(all parameters) and H the cost's Hessian in zᴸ.

    The part of the Hessian without the network's own curvature. Where the cost is convex in the
    logits, as cross-entropy and log-likelihood are, G has no negative direction.

    Args are those of `gradient`; it costs about two of them.

    Source: Schraudolph, Fast curvature matrix-vector products, 2002, section 3.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 1))
    >>> params = init(net, jax.random.key(0))
    >>> product = gauss_newton_product(net, params, params, jnp.ones((4, 2)), jnp.zeros(4, int))
    >>> bool(sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(product))))
    True
    """

    def of_one(x: Input, y: Target, masks: Masks) -> tuple[list, list]:
        forward_at = lambda params: forward(net, params, x, masks)
        (layer_inputs, zs), (_, moved) = jax.jvp(forward_at, (params,), (along,))
        delta_at = lambda z: net.cost.delta(z, targets(y, net.sizes[-1], z.dtype))
        _, delta = jax.jvp(delta_at, (zs[-1],), (moved[-1],))  # HJv in place of BP1
        return layer_inputs, _backward(net, params, zs, delta, masks)

    return _mean(net, params, of_one, xs, ys, masks, weights)


def _mean(
    net: Network,
    params: Params,
    of_one: Callable[..., tuple[list, list]],
    xs: Inputs | InSpan,
    ys: Targets,
    masks: Masks,
    weights: Any,
) -> Params:
    """The mean over a mini-batch of the outer products of what each example's `of_one` gives."""
    mask_axes = None if masks is None else [None if mask.ndim == 1 else 0 for mask in masks]
    masks = None if masks is None else list(masks)
    batched = jax.vmap(of_one, in_axes=(0, 0, mask_axes))
    layer_inputs, deltas = batched(jax.tree.map(jnp.asarray, xs), jnp.asarray(ys), masks)

    def contract(a: Any, delta: Float[Array, "batch n_out"], in_span: bool) -> Layer:
        if weights is not None:
            delta = delta * weights[:, None]
        if in_span:
            w = delta
        else:
            # The matrix product of many lanes is fast where both operands are contiguous. XLA would
            # fold the transposition into it, and take ten times as long, but for the barrier.
            a = jax.lax.optimization_barrier(a.T)
            w = jnp.dot(a, delta, precision=net.precision)
        layer = Layer(w, jnp.sum(delta, axis=0))
        return layer if weights is not None else Layer(w / len(delta), layer.b / len(delta))

    in_span = [isinstance(xs, InSpan)] + [False] * (len(deltas) - 1)
    return tuple(map(contract, layer_inputs, deltas, in_span))
