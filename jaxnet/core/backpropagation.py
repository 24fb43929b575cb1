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

from jaxnet.core.network import Masks, Network, forward, forward_from, targets
from jaxnet.core.types import AnyArray, Input, Inputs, Layer, Params, Target, Targets


def errors(
    net: Network,
    params: Params,
    x: Input,
    y: Target,
    masks: Masks = None,
) -> tuple[list[Array], list[Float[Array, "..."]]]:
    """One example: what goes into each layer, aˡ⁻¹, and the error that comes out of it, δˡ."""
    layer_inputs, zs = forward(net, params, x, masks)
    return layer_inputs, _backward(net, params, zs, _output_error(net, zs[-1], y), masks)


def errors_from(
    net: Network,
    params: Params,
    z1: Float[Array, " n_1"],
    y: Target,
    masks: Masks = None,
) -> tuple[list[Array], list[Float[Array, "..."]]]:
    """One example, from the first layer's z¹ on: the activations a¹ … aᴸ⁻¹, the errors δ¹ … δᴸ."""
    activations, zs = forward_from(net, params, z1, masks)
    return activations, _backward(net, params, zs, _output_error(net, zs[-1], y), masks)


def _output_error(net: Network, z: Float[Array, " n_out"], y: Target) -> Float[Array, " n_out"]:
    return net.cost.delta(z, targets(y, net.sizes[-1], z.dtype))  # BP1


def _backward(
    net: Network, params: Params, zs: list[Array], delta: Array, masks: Masks
) -> list[Array]:
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
    xs: Inputs,
    ys: Targets,
    masks: Masks = None,
    weights: Float[AnyArray, " batch"] | None = None,
) -> Params:
    """The gradient of the mean cost of a mini-batch.

    Args:
      net: the architecture.
      params: its parameters.
      xs: the examples' inputs: uint8 pixels or floats.
      ys: their labels, or their float targets.
      masks: one per hidden layer: (n_l,), the same for every example, or (batch, n_l).
      weights: what each example counts, instead of 1/batch.

    Returns:
      The gradient, shaped like `params`.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 2))
    >>> params = init(net, jax.random.key(0))
    >>> mean = gradient(net, params, jnp.ones((4, 2)), jnp.zeros(4, int))
    >>> single = backprop(net, params, jnp.ones(2), jnp.array(0))
    >>> bool(jnp.allclose(mean[0].w, single[0].w))
    True
    """

    def of_example(x: Input, y: Target, masks: Masks) -> tuple[list, list]:
        return errors(net, params, x, y, masks)

    layer_inputs, deltas = _over_batch(of_example, xs, ys, masks)
    return _contracted(net, layer_inputs, deltas, weights)


def gradient_from(
    net: Network,
    params: Params,
    z1s: Float[Array, "batch n_1"],
    ys: Targets,
    masks: Masks = None,
    weights: Float[AnyArray, " batch"] | None = None,
) -> tuple[Float[Array, "batch n_1"], Params]:
    """The gradient of a mini-batch's mean cost but for the first layer's, which the caller forms.

    With X the inputs, (batch, n_in), and E the errors that this returns, the first layer's
    gradient is XᵀE for its weights, and the sum of E over the batch for its biases.

    Args:
      net: the architecture.
      params: its parameters; the first layer's are not used.
      z1s: the first layer's weighted inputs of each example.
      ys: the examples' labels, or their float targets.
      masks: one per hidden layer: (n_l,), the same for every example, or (batch, n_l).
      weights: what each example counts, instead of 1/batch.

    Returns:
      The first layer's errors, each times what its example counts, and the gradient of the layers
      after it.
    """

    def of_example(z1: Array, y: Target, masks: Masks) -> tuple[list, list]:
        return errors_from(net, params, z1, y, masks)

    activations, deltas = _over_batch(of_example, z1s, ys, masks)
    counts = jnp.full(len(z1s), 1 / len(z1s), z1s.dtype) if weights is None else weights
    return deltas[0] * counts[:, None], _contracted(net, activations, deltas[1:], counts)


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

    def of_example(x: Input, y: Target, masks: Masks) -> tuple[list, list]:
        forward_at = lambda params: forward(net, params, x, masks)
        (layer_inputs, zs), (_, moved) = jax.jvp(forward_at, (params,), (along,))
        delta_at = lambda z: net.cost.delta(z, targets(y, net.sizes[-1], z.dtype))
        _, delta = jax.jvp(delta_at, (zs[-1],), (moved[-1],))  # HJv in place of BP1
        return layer_inputs, _backward(net, params, zs, delta, masks)

    layer_inputs, deltas = _over_batch(of_example, xs, ys, masks)
    return _contracted(net, layer_inputs, deltas, weights)


def _over_batch(
    of_example: Callable[..., tuple[list, list]], xs: Any, ys: Targets, masks: Masks
) -> tuple[list[Array], list[Array]]:
    """What goes into each layer, and its errors, for every example of a mini-batch."""
    mask_axes = None if masks is None else [None if mask.ndim == 1 else 0 for mask in masks]
    masks = None if masks is None else list(masks)
    batched = jax.vmap(of_example, in_axes=(0, 0, mask_axes))
    return batched(jnp.asarray(xs), jnp.asarray(ys), masks)


def _contracted(
    net: Network,
    layer_inputs: list[Array],
    deltas: list[Array],
    weights: Float[AnyArray, " batch"] | None,
) -> Params:
    """The mean over a mini-batch of BP3 and BP4: one matrix product for each layer."""

    def contract(a: Array, delta: Float[Array, "batch n_out"]) -> Layer:
        if weights is not None:
            delta = delta * weights[:, None]
        # For many networks at once the product is fast only where both operands are contiguous. XLA
        # would fold the transposition into it, and take ten times as long, but for the barrier.
        a = jax.lax.optimization_barrier(a.T)
        layer = Layer(jnp.dot(a, delta, precision=net.precision), jnp.sum(delta, axis=0))
        return layer if weights is not None else Layer(layer.w / len(delta), layer.b / len(delta))

    return tuple(map(contract, layer_inputs, deltas))
