"""Regularization: penalties on the weights, dropout, max-norm and label smoothing.

    C = C₀ + (λ₂/2n) Σw² + (λ₁/n) Σ|w|

over weights, never biases, with n the number of *training* examples: the λ of Nielsen, chapter 3,
equations 87 and 95, so that the book's values carry over.
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32
from jaxtyping import Array, Bool, Float, Num

from jaxnet.core.activations import Softmax
from jaxnet.core.costs import Cost
from jaxnet.core.types import AnyArray, AnyLayer, KeyArray, Numbers, Params
from jaxnet.recipes.derivatives import root


def penalty(
    params: Params, n: int | Num[AnyArray, ""], l1: Numbers | None = None, l2: Numbers | None = None
) -> Float[Array, ""]:
    """The penalty on the weights that is added to the cost, (λ₂/2n)Σw² + (λ₁/n)Σ|w|.

    Args:
      params: the network's parameters; weights alone are penalized.
      n: the number of training examples, at least 1, or what stands in its place.
      l1: λ₁ ≥ 0; `None`, the default, leaves its term out.
      l2: λ₂ ≥ 0; `None`, the default, leaves its term out.

    Returns:
      The penalty, a scalar.

    >>> from jaxnet.core.types import Layer
    >>> layer = Layer(jnp.array([[1.0, -2.0]]), jnp.zeros(2))
    >>> penalty((layer,), n=10, l1=jnp.array(1.0), l2=jnp.array(2.0)).item()
    0.800000011920929
    """
    total = jnp.zeros((), params[0].w.dtype)
    for layer in params:
        if l2 is not None:
            total += jnp.asarray(l2) / (2 * n) * _sum(layer.w**2)
        if l1 is not None:
            total += jnp.asarray(l1) / n * _sum(jnp.abs(layer.w))
    return total


def _sum(weights: Float[AnyArray, "n_in n_out"]) -> Float[Array, ""]:
    """The sum of a matrix, by columns first.

    On a CPU XLA adds up rows of many lanes in vectors, but not all numbers of each lane at once,
    which the barrier keeps it from.
    """
    return jnp.sum(jax.lax.optimization_barrier(jnp.sum(weights, axis=0)))


def add_penalty_gradient(
    grads: Params,
    params: Params,
    n: int | Num[AnyArray, ""],
    l1: Numbers | None = None,
    l2: Numbers | None = None,
) -> Params:
    """The gradient of the cost with its penalty: (λ₂/n)w + (λ₁/n)sgn(w) is added for weights.

    Args:
      grads: the gradient of the cost without penalty, of the form of `params`.
      params: the network's parameters.
      n: the number of training examples, at least 1, or what stands in its place.
      l1: λ₁ ≥ 0; `None`, the default, leaves its term out. sgn(0) is 0.
      l2: λ₂ ≥ 0; `None`, the default, leaves its term out.

    Returns:
      The gradient, of the form of `params`; that of all but weights is as it was.

    Source: Nielsen, chapter 3, equations 88 and 96.

    >>> from jaxnet.core.types import Layer
    >>> params = (Layer(jnp.array([[1.0, -2.0]]), jnp.zeros(2)),)
    >>> grads = (Layer(jnp.zeros((1, 2)), jnp.zeros(2)),)
    >>> add_penalty_gradient(grads, params, n=10, l2=jnp.array(5.0))[0].w.tolist()
    [[0.5, -1.0]]
    """

    def add(grad: AnyLayer, layer: AnyLayer) -> AnyLayer:
        w = grad.w
        if l2 is not None:
            w = w + jnp.asarray(l2) / n * layer.w
        if l1 is not None:
            w = w + jnp.asarray(l1) / n * jnp.sign(layer.w)
        return grad._replace(w=w)

    return tuple(map(add, grads, params))


def keep_mask(key: KeyArray, shape: tuple[int, ...], rate: Numbers) -> Bool[Array, "..."]:
    """Which units dropout keeps, drawn at random.

    A unit takes 16 bits, so that a draw of 32 serves two units: with many inputs, such as 784, most
    of the time of dropout is that of drawing.

    Args:
      key: the random key of the step and layer.
      shape: the shape of the mask, such as (examples, units).
      rate: the probability with which a unit is dropped, in [0, 1); rounded to a multiple of 2⁻¹⁶.

    Returns:
      A mask, true where a unit is kept.

    >>> keep_mask(jax.random.key(0), (2, 3), jnp.array(0.0)).all().item()
    True
    """
    n = math.prod(shape)
    bits = threefry_2x32(jax.random.key_data(key), jnp.arange(-(-n // 2), dtype=jnp.uint32))
    halves = jax.lax.bitcast_convert_type(bits, jnp.uint16).reshape(-1)[:n].reshape(shape)
    threshold = jnp.minimum(jnp.round(jnp.asarray(rate) * 2**16), 2**16 - 1)
    return halves >= threshold.astype(jnp.uint16)


def dropout_mask(keep: Bool[Array, "..."], rate: Numbers) -> Float[Array, "..."]:
    """The factors that dropout multiplies activations by: 1/(1−rate) where a unit is kept, else 0.

    So the mean of what is passed on stays, and nothing needs halving when the whole network is
    used, as Nielsen's chapter 3 has it.

    Args:
      keep: which units are kept, see `keep_mask`.
      rate: the probability with which a unit is dropped, in [0, 1).

    Returns:
      The factors, of the shape of `keep`.

    Source: Srivastava et al., Dropout, 2014, section 10 (the inverted form).

    >>> dropout_mask(jnp.array([True, False]), jnp.array(0.5)).tolist()
    [2.0, 0.0]
    """
    return keep * (1 / (1 - jnp.asarray(rate)))


def apply_max_norm(params: Params, max_norm: Numbers) -> Params:
    """Scale the weights into each hidden unit down to a norm of at most c.

    Args:
      params: the network's parameters; those of the output layer stay as they are.
      max_norm: c > 0, the largest Euclidean norm of the weights into a hidden unit.

    Returns:
      The parameters after scaling.

    Source: Srivastava et al., Dropout, 2014, section 5.1.

    >>> from jaxnet.core.types import Layer
    >>> layer = Layer(jnp.array([[3.0], [4.0]]), jnp.zeros(1))
    >>> apply_max_norm((layer, layer), 1.0)[0].w.round(3).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """

    def constrain(layer: AnyLayer) -> AnyLayer:
        norms = root(jnp.sum(layer.w**2, axis=0, keepdims=True))
        bound = jnp.asarray(max_norm)
        return layer._replace(w=layer.w * jnp.minimum(1, bound / jnp.maximum(norms, 1e-30)))

    return (*map(constrain, params[:-1]), params[-1])


def smooth_labels(
    cost: Cost, ys: Float[Array, "batch n_out"], epsilon: Numbers
) -> Float[Array, "batch n_out"]:
    """Targets after label smoothing: (1−ε)y + ε/K for K softmax outputs, else (1−ε)y + ε/2.

    Args:
      cost: the network's cost, which knows its output activation.
      ys: the targets, a 1 at the label.
      epsilon: ε in [0, 1).

    Returns:
      The smoothed targets.

    Source: Szegedy et al., Rethinking the Inception architecture, 2016, section 7.

    >>> from jaxnet.core.costs import CrossEntropy
    >>> smooth_labels(CrossEntropy(), jnp.array([[0.0, 1.0]]), 0.5).tolist()
    [[0.25, 0.75]]
    """
    epsilon = jnp.asarray(epsilon)
    n_classes = ys.shape[1] if isinstance(cost.output, Softmax) else 2
    return (1 - epsilon) * ys + epsilon / n_classes
