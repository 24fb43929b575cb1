"""Backpropagation by hand: the book's four equations, for one example and for a mini-batch.

With zˡ the weighted inputs of layer l, aˡ = mˡ·f(zˡ) its (masked) activations and δˡ = ∂C/∂zˡ
its error (Nielsen, chapter 2; here `w` has shape (n_in, n_out)):

    (BP1)  δᴸ     = ∂C/∂zᴸ, the cost's `delta`
    (BP2)  δˡ     = J_f(zˡ)ᵀ (mˡ · Wˡ⁺¹ δˡ⁺¹), the activation's `pullback`
    (BP3)  ∂C/∂bˡ = δˡ
    (BP4)  ∂C/∂Wˡ = aˡ⁻¹ (δˡ)ᵀ

and, where an activation f(z, pˡ) has a parameter of its own,

    (BP5)  ∂C/∂pˡ = Σₖ (mˡ · Wˡ⁺¹ δˡ⁺¹)ₖ ∂f/∂p(zˡₖ, pˡ), its `parameter_pullback`

A mini-batch needs the *mean* of the outer products of BP4, Σ aˡ⁻¹(δˡ)ᵀ/n, which is a single
matrix product over the batch: the gradients of single examples are never written to memory.

Second-order methods need products of a vector with the cost's curvature. `hessian_product` is the
derivative of the handwritten gradient in the direction of the vector. `gauss_newton_product`
replaces BP1 with another error at the output, and uses BP2 to BP5 as they are.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.core.checks import check_split
from jaxnet.core.network import (
    Masks,
    Network,
    check_params,
    forward,
    forward_from,
    hidden_functions,
    targets,
)
from jaxnet.core.parametric import AtParameter
from jaxnet.core.types import (
    AnyArray,
    AnyLayer,
    Input,
    Inputs,
    Params,
    Split,
    Target,
    Targets,
    layer_of,
)


class ExampleErrors(NamedTuple):
    """What the gradient of one example's cost is made of; or of many examples, stacked.

    Attributes:
      inputs: the inputs of the layers, aˡ⁻¹.
      deltas: the errors of the layers, δˡ.
      parameter_gradients: ∂C/∂pˡ of each layer; `None` where the activation has no parameter, as at
        the output.
    """

    inputs: list[Array]
    deltas: list[Array]
    parameter_gradients: list[Array | None]


def errors(
    net: Network,
    params: Params,
    x: Input,
    y: Target,
    masks: Masks = None,
) -> ExampleErrors:
    """The inputs aˡ⁻¹ and the error δˡ of each layer, for one example.

    Args:
      net: the architecture.
      params: its parameters.
      x: one example's inputs, (n_in,): uint8 pixels or floats.
      y: its label, or its float targets, (n_targets,).
      masks: one vector per hidden layer, (n_l,), that its activations are multiplied by.

    Returns:
      The inputs of the layers, a⁰ … aᴸ⁻¹, their errors, δ¹ … δᴸ, and the gradients with respect to
      the parameters of their activations.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 1))
    >>> of_example = errors(net, init(net, jax.random.key(0)), jnp.ones(2), jnp.zeros(1))
    >>> [a.shape for a in of_example.inputs], [delta.shape for delta in of_example.deltas]
    ([(2,), (3,)], [(3,), (1,)])
    """
    layer_inputs, zs = forward(net, params, x, masks)
    output_delta = _output_error(net, zs[-1], y)
    return ExampleErrors(layer_inputs, *_backward(net, params, zs, output_delta, masks))


def errors_from(
    net: Network,
    params: Params,
    z1: Float[Array, " n_1"],
    y: Target,
    masks: Masks = None,
) -> ExampleErrors:
    """The hidden activations and the error of each layer, for one example, from z¹ on.

    Args:
      net: the architecture.
      params: its parameters; the first layer's weights and biases are not used.
      z1: the first layer's weighted inputs, (n_1,).
      y: the example's label, or its float targets, (n_targets,).
      masks: one vector per hidden layer, (n_l,), that its activations are multiplied by.

    Returns:
      What `errors` returns, without the inputs of the first layer: a¹ … aᴸ⁻¹.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 1))
    >>> of_example = errors_from(net, init(net, jax.random.key(0)), jnp.zeros(3), jnp.zeros(1))
    >>> of_example.inputs[0].tolist()
    [0.5, 0.5, 0.5]
    """
    activations, zs = forward_from(net, params, z1, masks)
    output_delta = _output_error(net, zs[-1], y)
    return ExampleErrors(activations, *_backward(net, params, zs, output_delta, masks))


def _output_error(net: Network, z: Float[Array, " n_out"], y: Target) -> Float[Array, " n_out"]:
    """The error δᴸ of the output layer, by BP1."""
    return net.cost.delta(z, targets(y, net.n_targets, z.dtype))


def _backward(
    net: Network, params: Params, zs: list[Array], output_delta: Array, masks: Masks
) -> tuple[list[Array], list[Array | None]]:
    """The errors δ¹ … δᴸ of all layers, from that of the output layer, by BP2; and BP5."""
    functions = hidden_functions(net, params)
    deltas = [output_delta]
    parameter_gradients: list[Array | None] = [None]
    for index in reversed(range(len(params) - 1)):
        f = functions[index]
        back = jnp.dot(deltas[0], params[index + 1].w.T, precision=net.precision)
        if masks is not None:
            back = back * masks[index]
        deltas.insert(0, f.pullback(zs[index], back))
        own = f.parameter_pullback(zs[index], back) if isinstance(f, AtParameter) else None
        parameter_gradients.insert(0, own)
    return deltas, parameter_gradients


def backprop(
    net: Network,
    params: Params,
    x: Input,
    y: Target,
    masks: Masks = None,
) -> Params:
    """The gradient of the cost of one example, by the equations of backpropagation.

    Args:
      net: the architecture.
      params: its parameters.
      x: one example's inputs, (n_in,): uint8 pixels or floats.
      y: its label, or its float targets, (n_targets,).
      masks: one vector per hidden layer, (n_l,), that its activations are multiplied by.

    Returns:
      The gradient, shaped like `params`.

    Raises:
      ValueError: the parameters are no layers of floats, or another network's; or the inputs and
        targets do not fit the network, which is checked only where they are not traced.

    Source: Nielsen, chapter 2, equations BP1 to BP4.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 1))
    >>> params = init(net, jax.random.key(0))
    >>> example_gradient = backprop(net, params, jnp.array([0.0, 1.0]), jnp.array([1.0]))
    >>> [layer.w.shape for layer in example_gradient]
    [(2, 3), (3, 1)]
    """
    check_params(net, params)
    if not _are_traced(x, y):
        xs, ys, _ = check_split(net, "given", Split(np.asarray(x)[None], np.asarray(y)[None]))
        x, y = xs[0], ys[0]
    return tuple(
        layer_of(w=jnp.outer(a, delta), b=delta, activation=own)  # BP4, BP3, BP5
        for a, delta, own in zip(*errors(net, params, x, y, masks), strict=True)
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
      xs: the inputs of the examples, (batch, n_in): uint8 pixels or floats.
      ys: their labels, (batch,), or their float targets, (batch, n_targets).
      masks: one per hidden layer: (n_l,), the same for every example, or (batch, n_l).
      weights: the factor of each example's gradient in the sum, (batch,); 1/batch by default.

    Returns:
      The gradient, shaped like `params`.

    Raises:
      ValueError: the parameters are no layers of floats, or another network's; or the inputs and
        targets do not fit the network, which is checked only where they are not traced.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 2))
    >>> params = init(net, jax.random.key(0))
    >>> mean = gradient(net, params, jnp.ones((4, 2)), jnp.zeros(4, int))
    >>> single = backprop(net, params, jnp.ones(2), jnp.array(0))
    >>> bool(jnp.allclose(mean[0].w, single[0].w))
    True
    """
    check_params(net, params)
    if not _are_traced(xs, ys):
        xs, ys, _ = check_split(net, "given", Split(xs, ys))

    def example_errors(x: Input, y: Target, masks: Masks) -> ExampleErrors:
        return errors(net, params, x, y, masks)

    return _mean_gradient(net, _for_each_example(example_errors, xs, ys, masks), weights)


def gradient_from(
    net: Network,
    params: Params,
    z1s: Float[Array, "batch n_1"],
    ys: Targets,
    masks: Masks = None,
    weights: Float[AnyArray, " batch"] | None = None,
) -> tuple[Float[Array, "batch n_1"], Float[Array, ""] | None, Params]:
    """The errors of the first layer, and the gradient of a mini-batch's mean cost for all others.

    The caller can form the first layer's gradient: with X the inputs, (batch, n_in), and E the
    returned errors, it is XᵀE for the weights, and the sum of E over the batch for the biases.

    Args:
      net: the architecture.
      params: its parameters; the first layer's weights and biases are not used.
      z1s: the first layer's weighted inputs of each example, (batch, n_1).
      ys: the examples' labels, (batch,), or their float targets, (batch, n_targets).
      masks: one per hidden layer: (n_l,), the same for every example, or (batch, n_l).
      weights: the factor of each example's gradient in the sum, (batch,); 1/batch by default.

    Returns:
      The first layer's errors, each times its example's weight; the gradient with respect to the
      parameter of its activation, `None` if it has none; and the gradient of the layers after it.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 1))
    >>> params = init(net, jax.random.key(0))
    >>> first_errors, _, later = gradient_from(net, params, jnp.zeros((4, 3)), jnp.zeros(4, int))
    >>> first_errors.shape, [layer.w.shape for layer in later]
    ((4, 3), [(3, 1)])
    """

    def example_errors(z1: Array, y: Target, masks: Masks) -> ExampleErrors:
        return errors_from(net, params, z1, y, masks)

    activations, (first, *deltas), (own, *others) = _for_each_example(
        example_errors, z1s, ys, masks
    )
    if weights is None:
        weights = jnp.full(len(z1s), 1 / len(z1s), z1s.dtype)
    first = first * weights[:, None]
    own = None if own is None else jnp.sum(own * weights)
    later = ExampleErrors(activations, deltas, others)
    return first, own, _mean_gradient(net, later, weights)


def hessian_product(
    net: Network,
    params: Params,
    along: Params,
    xs: Inputs,
    ys: Targets,
    masks: Masks = None,
    weights: Float[AnyArray, " batch"] | None = None,
) -> Params:
    """The product Hv of the Hessian of a mini-batch's mean cost with a vector v.

    It is the derivative of `gradient` in the direction v, and costs about two gradients.

    Args:
      net: the architecture.
      params: the parameters at which the Hessian is taken.
      along: the vector v, shaped like `params`.
      xs: the inputs of the examples, (batch, n_in): uint8 pixels or floats.
      ys: their labels, (batch,), or their float targets, (batch, n_targets).
      masks: one per hidden layer: (n_l,), the same for every example, or (batch, n_l).
      weights: the factor of each example's cost in the sum, (batch,); 1/batch by default.

    Returns:
      The product, shaped like `params`.

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
    """The product Gv of the Gauss-Newton matrix of a mini-batch's mean cost with a vector v.

    G = mean JᵀHJ, with J = ∂zᴸ/∂(all parameters) and H the cost's Hessian in zᴸ: the part of the
    Hessian without the network's own curvature. Where the cost is convex in the logits, as
    cross-entropy and log-likelihood are, G has no negative direction. A product costs about two
    gradients.

    Args:
      net: the architecture.
      params: the parameters at which the matrix is taken.
      along: the vector v, shaped like `params`.
      xs: the inputs of the examples, (batch, n_in): uint8 pixels or floats.
      ys: their labels, (batch,), or their float targets, (batch, n_targets).
      masks: one per hidden layer: (n_l,), the same for every example, or (batch, n_l).
      weights: the factor of each example's cost in the sum, (batch,); 1/batch by default.

    Returns:
      The product, shaped like `params`.

    Source: Schraudolph, Fast curvature matrix-vector products, 2002, section 3.

    >>> from jaxnet.core.network import init
    >>> net = Network((2, 3, 1))
    >>> params = init(net, jax.random.key(0))
    >>> product = gauss_newton_product(net, params, params, jnp.ones((4, 2)), jnp.zeros(4, int))
    >>> bool(sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(product))))
    True
    """

    def example_errors(x: Input, y: Target, masks: Masks) -> ExampleErrors:
        forward_at = lambda params: forward(net, params, x, masks)
        (layer_inputs, zs), (_, z_tangents) = jax.jvp(forward_at, (params,), (along,))
        delta_at = lambda z: net.cost.delta(z, targets(y, net.n_targets, z.dtype))
        _, output_delta = jax.jvp(delta_at, (zs[-1],), (z_tangents[-1],))  # HJv in place of BP1
        return ExampleErrors(layer_inputs, *_backward(net, params, zs, output_delta, masks))

    return _mean_gradient(net, _for_each_example(example_errors, xs, ys, masks), weights)


def _are_traced(*arrays: object) -> bool:
    """Whether some numbers are known only when the compiled program runs."""
    return any(isinstance(array, jax.core.Tracer) for array in arrays)


def _for_each_example(
    example_errors: Callable[..., ExampleErrors],
    xs: AnyArray,
    ys: Targets,
    masks: Masks,
) -> ExampleErrors:
    """The inputs of each layer and its errors, for every example of a mini-batch."""
    mask_axes = None
    if masks is not None:
        masks = list(masks)
        mask_axes = [None if mask.ndim == 1 else 0 for mask in masks]
    batched = jax.vmap(example_errors, in_axes=(0, 0, mask_axes))
    return batched(jnp.asarray(xs), jnp.asarray(ys), masks)


def _mean_gradient(
    net: Network, examples: ExampleErrors, weights: Float[AnyArray, " batch"] | None
) -> Params:
    """The weighted sum over a mini-batch of BP3 to BP5: one matrix product for each layer."""

    def layer_gradient(
        a: Array, delta: Float[Array, "batch n_out"], own: Float[Array, " batch"] | None
    ) -> AnyLayer:
        if weights is not None:
            delta = delta * weights[:, None]
            own = None if own is None else own * weights
        # For many networks at once the product is fast only where both operands are contiguous. XLA
        # would fold the transposition into it, and take ten times as long, but for the barrier.
        a = jax.lax.optimization_barrier(a.T)
        total = layer_of(
            w=jnp.dot(a, delta, precision=net.precision),
            b=jnp.sum(delta, axis=0),
            activation=None if own is None else jnp.sum(own),
        )
        if weights is not None:
            return total
        return total._make(array / len(delta) for array in total)

    return tuple(map(layer_gradient, *examples))
