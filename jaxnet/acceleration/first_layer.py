"""The first layer trained in the span of a block's mini-batches: many steps as few large products.

SGD and momentum move the first layer's weights by their gradients, which are XₛᵀΔₛ for mini-batch
s: its inputs Xₛ, a row an example, and their errors Δₛ, each divided by the batch size. So within
a block of mini-batches

    W = Σⱼ cⱼ Vⱼ + Σₛ αₛ XₛᵀΔₛ,

with V₁ = W and V₂ = the velocity at the block's start. A rule that is linear in gradients, weights
and its own state, number by number, does to the coefficients (α, c) what it does to W, and the
gradient of mini-batch s with respect to them is 1 at αₛ and 0 elsewhere. So the rule is given a
vector of some ten numbers for the weights. An example x of the block sees

    xᵀW = Σⱼ cⱼ xᵀVⱼ + Σₛ αₛ (xᵀXₛᵀ) Δₛ,

where XVⱼ and XXᵀ are one matrix product each per block. All of it is exact.

On two cores at [784, 30, 10] in mini-batches of 10, products of 80 rows run at the full rate of a
matrix product, those of 10 at half of it, and the weights go through memory once a block instead of
three times a step.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxnet.core.backpropagation import gradient_from
from jaxnet.core.network import Masks, Network
from jaxnet.core.types import AnyArray, Layer, Params, Targets
from jaxnet.recipes.recipe import Recipe

SPAN = 8
"""A block's examples are at most this part of the inputs, where the first layer is trained in
their span: 5 to 15 differ by less than noise."""

SHARING = 4
"""Lanes that make training in the span no slower: alone, a network would pay more for XXᵀ than it
saves, 0.049 s an epoch against 0.036; two lanes 0.033 against 0.027, three and four the same."""

Trained = tuple[Params, Any]
"""What a step changes: the parameters, and the optimizer's state."""


class Span(NamedTuple):
    """What a block's steps need of it."""

    bases: tuple[Float[Array, "n_rows n_out"], ...]
    """XVⱼ for each j."""
    errors: Float[Array, "n_rows n_out"]
    """Δ of the steps so far; 0 for those to come."""

    def with_errors(self, place: Int[Array, ""], errors: Float[Array, "batch n_out"]) -> "Span":
        """With the errors of the block's mini-batch number `place`."""
        first = place * len(errors)
        errors = jax.lax.dynamic_update_slice_in_dim(self.errors, errors, first, 0)
        return self._replace(errors=errors)


def span_steps(net: Network, recipe: Recipe, batch_size: int, lanes: int) -> int:
    """Mini-batches in whose span the first layer is trained; 0 if it is not.

    Only where all parts of the recipe are linear; only if the inputs are so many that the
    coefficients are far fewer, and if enough lanes share the block's XXᵀ.

    >>> from jaxnet.recipes.optimizers import adam, sgd
    >>> net = Network((784, 30, 10))
    >>> [span_steps(net, Recipe(rule), 10, lanes=8) for rule in (sgd(), adam())]
    [9, 0]
    """
    if not recipe.linear or lanes < SHARING:
        return 0
    steps = net.sizes[0] // SPAN // batch_size
    return steps if steps >= 4 else 0


def enter(
    net: Network, n_steps: int, trained: Trained, xs: Float[Array, "n_rows n_in"]
) -> tuple[Trained, Span]:
    """Put coefficients in the span of a block's inputs in place of the first layer's weights.

    Args:
      net: the architecture.
      n_steps: mini-batches in the block.
      trained: parameters and optimizer's state at the block's start.
      xs: the block's inputs, a row an example.
    """
    matrices = _first_weights(trained)
    coefficients, span = into_span(matrices, xs, n_steps, net.precision)
    return _replaced(trained, coefficients), span


def leave(
    net: Network,
    trained: Trained,
    begun: Trained,
    span: Span,
    xs: Float[Array, "n_rows n_in"],
) -> Trained:
    """The inverse of `enter`: put the weights of these coefficients in their place.

    Args:
      net: the architecture.
      trained: with the coefficients at the block's end.
      begun: with the weights at its start.
      span: the block's span, with all errors.
      xs: the block's inputs.
    """
    coefficients, matrices = _first_weights(trained), _first_weights(begun)
    return _replaced(trained, out_of_span(coefficients, matrices, xs, span.errors, net.precision))


def gradient_in_span(
    net: Network,
    span: Span,
    place: Int[Array, ""],
    gram: Float[Array, "batch n_rows"],
    params: Params,
    ys: Targets,
    masks: Masks,
    weights: Float[AnyArray, " batch"],
) -> tuple[Params, Float[Array, "batch n_1"]]:
    """The gradient of a mini-batch, the first layer's with respect to its coefficients.

    Args:
      net: the architecture.
      span: the block's span.
      place: the number of the mini-batch in its block.
      gram: the products of its inputs with all inputs of the block.
      params: with coefficients for the first layer's weights.
      ys: the examples' targets.
      masks: the hidden layers' masks.
      weights: what each example counts.

    Returns:
      The gradient, and the first layer's errors, which `Span.with_errors` keeps.
    """
    first = params[0]
    z1s = weighted_inputs(first.w, span, place, gram, net.precision) + first.b[None]
    errors, later = gradient_from(net, params, z1s, ys, masks, weights)
    own = jax.nn.one_hot(place, len(first.w), dtype=z1s.dtype)
    return (Layer(own, jnp.sum(errors, axis=0)), *later), errors


def _first_places(trained: Trained) -> list[int]:
    """Which leaves are the first layer's weights, or mirror them."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(trained)
    return [
        index for index, (path, _) in enumerate(leaves)
        if jax.tree_util.keystr(path[-2:]) == "[0].w"
    ]  # fmt: skip


def _first_weights(trained: Trained) -> list[Array]:
    leaves = jax.tree.leaves(trained)
    return [leaves[index] for index in _first_places(trained)]


def _replaced(trained: Trained, arrays: Sequence[Array]) -> Trained:
    """With other arrays for the first layer's weights and what mirrors them."""
    leaves, tree = jax.tree.flatten(trained)
    for index, array in zip(_first_places(trained), arrays, strict=True):
        leaves[index] = array
    return jax.tree.unflatten(tree, leaves)


def into_span(
    matrices: Sequence[Float[Array, "n_in n_out"]],
    xs: Float[Array, "n_rows n_in"],
    n_steps: int,
    precision: Any,
) -> tuple[list[Array], Span]:
    """The coefficients (α, c) of each matrix at a block's start, and its span.

    >>> (coefficients,), span = into_span([jnp.ones((3, 2))], jnp.ones((20, 3)), 4, "highest")
    >>> coefficients.tolist(), span.bases[0].shape
    ([0.0, 0.0, 0.0, 0.0, 1.0], (20, 2))
    """
    n, dtype = len(matrices), matrices[0].dtype
    bases = tuple(jnp.dot(xs, v, precision=precision) for v in matrices)
    return list(jnp.eye(n, n_steps + n, n_steps, dtype)), Span(bases, jnp.zeros_like(bases[0]))


def weighted_inputs(
    coefficients: Float[AnyArray, " n_coefficients"],
    span: Span,
    place: Int[Array, ""],
    gram: Float[Array, "batch n_rows"],
    precision: Any,
) -> Float[Array, "batch n_out"]:
    """xᵀW for each example of the block's mini-batch number `place`.

    >>> (coefficients,), span = into_span([jnp.ones((3, 2))], jnp.ones((20, 3)), 4, "highest")
    >>> gram = jnp.ones((5, 20))
    >>> weighted_inputs(coefficients, span, jnp.array(1), gram, "highest")[0].tolist()
    [3.0, 3.0]
    """
    batch, n_rows = gram.shape
    n_steps = n_rows // batch
    scaled = gram * jnp.repeat(coefficients[:n_steps], batch)[None]
    z = jnp.dot(scaled, span.errors, precision=precision)
    for base, c in zip(span.bases, coefficients[n_steps:], strict=True):
        z = z + c * jax.lax.dynamic_slice_in_dim(base, place * batch, batch)
    return z


def out_of_span(
    coefficients: Sequence[Float[Array, " n_coefficients"]],
    matrices: Sequence[Float[Array, "n_in n_out"]],
    xs: Float[Array, "n_rows n_in"],
    errors: Float[Array, "n_rows n_out"],
    precision: Any,
) -> list[Array]:
    """The matrices of these coefficients: Σⱼ cⱼVⱼ + Σₛ αₛXₛᵀΔₛ.

    >>> w, xs, errors = jnp.ones((3, 2)), jnp.ones((20, 3)), jnp.ones((20, 2))
    >>> coefficients, _ = into_span([w], xs, 4, "highest")
    >>> bool(jnp.all(out_of_span(coefficients, [w], xs, errors, "highest")[0] == w))
    True
    """
    n_steps = len(coefficients[0]) - len(matrices)

    def matrix(row: Array) -> Array:
        scaled = errors * jnp.repeat(row[:n_steps], len(xs) // n_steps)[:, None]
        moved = jnp.einsum("ri,ro->io", xs, scaled, precision=precision)
        for v, c in zip(matrices, row[n_steps:], strict=True):
            moved = moved + c * v
        return moved

    return [matrix(row) for row in coefficients]
