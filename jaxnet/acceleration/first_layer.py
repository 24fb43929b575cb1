"""Train the first layer for a whole block of mini-batches with few large matrix products.

SGD and momentum move the first layer's weights W by their gradients, XₛᵀΔₛ for mini-batch s: Xₛ
holds its inputs, one example per row, and Δₛ the first layer's errors, each divided by the batch
size. So within a block of mini-batches

    W = Σⱼ cⱼ Vⱼ + Σₛ αₛ XₛᵀΔₛ,

with V₁ the weights and V₂ the velocity at the block's start. Instead of W, the optimizer is given
its vector of coefficients (α, c), some ten numbers. If the update rule is linear, number by number,
in gradients, weights and its own state, it does the same to the coefficients as to W. The gradient
of mini-batch s with respect to the coefficients is 1 at αₛ and 0 elsewhere. An example x of the
block has the weighted inputs

    xᵀW = Σⱼ cⱼ xᵀVⱼ + Σₛ αₛ (xᵀXₛᵀ) Δₛ,

where XVⱼ and XXᵀ, X being all inputs of the block, are one matrix product each per block. All of
this is exact. "In the span" below means: with coefficients in place of the first layer's weights.

On two cores at [784, 30, 10] in mini-batches of 10, products of 80 rows run at the full rate of a
matrix product, those of 10 at half of it, and the weights are read and written once per block
instead of three times per step.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from jaxnet.core.backpropagation import gradient_from
from jaxnet.core.network import Masks, Network
from jaxnet.core.types import AnyArray, Params, Targets, layer_of
from jaxnet.recipes.recipe import Recipe

INPUTS_PER_ROW = 8
"""Inputs that the network must have for each example (row) of a block: 5 to 15 differ by less than
noise."""

MIN_LANES = 4
"""Lanes sharing XXᵀ from which on training in the span is no slower. One network would pay more for
XXᵀ than it saves, 0.049 s an epoch against 0.036 s; two lanes 0.033 s against 0.027 s; three and
four are equally fast either way."""

MIN_STEPS = 4
"""Mini-batches from which on a block is trained in the span."""

ParamsAndState = tuple[Params, PyTree]
"""What a step changes: the parameters and the optimizer's state."""


class Span(NamedTuple):
    """A block's products with the matrices that its first layer's weights are combined from."""

    base_outputs: tuple[Float[Array, "n_rows n_out"], ...]
    """XVⱼ for each matrix Vⱼ at the block's start; X holds all inputs of the block."""
    errors: Float[Array, "n_rows n_out"]
    """Δ: the errors of the steps so far; 0 in the rows of later steps."""

    def with_errors(self, index: Int[Array, ""], errors: Float[Array, "batch n_out"]) -> "Span":
        """A copy with the errors of one mini-batch filled in.

        Args:
          index: the number of the mini-batch in its block, from 0.
          errors: the first layer's errors Δₛ for that mini-batch.

        Returns:
          The span for the next mini-batch.
        """
        first_row = index * len(errors)
        errors = jax.lax.dynamic_update_slice_in_dim(self.errors, errors, first_row, 0)
        return self._replace(errors=errors)


def span_steps(net: Network, recipe: Recipe, batch_size: int, lanes: int) -> int:
    """The number of mini-batches per block that is trained in the span, 0 if none is.

    Blocks are trained in the span if all parts of the recipe are linear (`Recipe.linear`), if the
    network has many more inputs than a block has coefficients, and if enough lanes share XXᵀ.

    Args:
      net: the architecture.
      recipe: how it is trained.
      batch_size: examples per mini-batch.
      lanes: networks that share the mini-batches.

    Returns:
      At least `MIN_STEPS`, or 0 where the first layer is trained step by step.

    >>> from jaxnet.recipes.optimizers import adam, sgd
    >>> net = Network((784, 30, 10))
    >>> [span_steps(net, Recipe(rule), 10, lanes=8) for rule in (sgd(), adam())]
    [9, 0]
    """
    if not recipe.linear or lanes < MIN_LANES:
        return 0
    n_steps = net.sizes[0] // INPUTS_PER_ROW // batch_size
    return n_steps if n_steps >= MIN_STEPS else 0


def weights_to_coefficients(
    net: Network, n_steps: int, trained: ParamsAndState, xs: Float[Array, "n_rows n_in"]
) -> tuple[ParamsAndState, Span]:
    """Replace the first layer's weights by their coefficients, at a block's start.

    The coefficients say how the weights are combined from those at the block's start and from the
    gradients of its mini-batches.

    Args:
      net: the architecture.
      n_steps: mini-batches in the block.
      trained: the parameters and the optimizer's state at the block's start.
      xs: all inputs of the block, one example per row.

    Returns:
      `trained` with a vector of coefficients for the first layer's weights and for each array of
      the optimizer's state that mirrors them; and the block's span.
    """
    matrices = _first_layer_leaves(trained)
    coefficients, span = matrices_to_coefficients(matrices, xs, n_steps, net.precision)
    return _with_first_layer_leaves(trained, coefficients), span


def coefficients_to_weights(
    net: Network,
    trained: ParamsAndState,
    initial: ParamsAndState,
    span: Span,
    xs: Float[Array, "n_rows n_in"],
) -> ParamsAndState:
    """Compute the first layer's weights from their coefficients, at a block's end.

    Within a block the weights are a linear combination: of the weights and the optimizer's state at
    its start, and of the gradients of its mini-batches, which are inputs times errors.

    Args:
      net: the architecture.
      trained: the parameters and the optimizer's state at the block's end, with coefficients.
      initial: those at the block's start, with weights.
      span: the block's span, with the errors of all its mini-batches.
      xs: all inputs of the block, one example per row.

    Returns:
      `trained` with weights in place of the coefficients.
    """
    matrices = coefficients_to_matrices(
        _first_layer_leaves(trained),
        _first_layer_leaves(initial),
        xs,
        span.errors,
        net.precision,
    )
    return _with_first_layer_leaves(trained, matrices)


def gradient_in_span(
    net: Network,
    span: Span,
    index: Int[Array, ""],
    gram: Float[Array, "batch n_rows"],
    params: Params,
    ys: Targets,
    masks: Masks,
    weights: Float[AnyArray, " batch"],
) -> tuple[Params, Float[Array, "batch n_1"]]:
    """The gradient of a mini-batch's mean cost, with coefficients for the first layer's weights.

    Args:
      net: the architecture.
      span: the block's span.
      index: the number of the mini-batch in its block, from 0.
      gram: the rows of XXᵀ, for the block's inputs X, that belong to the mini-batch's examples.
      params: the parameters, with coefficients for the first layer's weights.
      ys: the examples' targets.
      masks: the hidden layers' masks.
      weights: the weight of each example in the mean.

    Returns:
      The gradient with respect to all of `params`, and the first layer's errors Δₛ, to be stored by
      `Span.with_errors`.
    """
    first = params[0]
    z1s = weighted_inputs(first.w, span, index, gram, net.precision) + first.b[None]
    errors, own, later_layers = gradient_from(net, params, z1s, ys, masks, weights)
    coefficient_gradient = jax.nn.one_hot(index, len(first.w), dtype=z1s.dtype)
    first_layer = layer_of(coefficient_gradient, jnp.sum(errors, axis=0), own)
    return (first_layer, *later_layers), errors


def _first_layer_indices(trained: ParamsAndState) -> list[int]:
    """The indices of the leaves that are the first layer's weights or mirror them."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(trained)
    return [
        index for index, (path, _) in enumerate(leaves)
        if jax.tree_util.keystr(path[-2:]) == "[0].w"
    ]  # fmt: skip


def _first_layer_leaves(trained: ParamsAndState) -> list[Array]:
    """The first layer's weights and the arrays of the optimizer's state that mirror them."""
    leaves = jax.tree.leaves(trained)
    return [leaves[index] for index in _first_layer_indices(trained)]


def _with_first_layer_leaves(trained: ParamsAndState, arrays: Sequence[Array]) -> ParamsAndState:
    """A copy with other arrays for `_first_layer_leaves`."""
    leaves, tree = jax.tree.flatten(trained)
    for index, array in zip(_first_layer_indices(trained), arrays, strict=True):
        leaves[index] = array
    return jax.tree.unflatten(tree, leaves)


def matrices_to_coefficients(
    matrices: Sequence[Float[Array, "n_in n_out"]],
    xs: Float[Array, "n_rows n_in"],
    n_steps: int,
    precision: str,
) -> tuple[list[Array], Span]:
    """The coefficients of each matrix at a block's start, and the block's span.

    Args:
      matrices: V₁, V₂, …: the first layer's weights and the arrays that mirror them.
      xs: all inputs of the block, one example per row.
      n_steps: mini-batches in the block.
      precision: the precision of matrix products, as in `Network`.

    Returns:
      For each matrix Vⱼ the vector (α, c) of shape (n_steps + number of matrices,), here with
      cⱼ = 1 and 0 elsewhere; and the span, with all errors 0.

    >>> (coefficients,), span = matrices_to_coefficients(
    ...     [jnp.ones((3, 2))], jnp.ones((20, 3)), 4, "highest"
    ... )
    >>> coefficients.tolist(), span.base_outputs[0].shape
    ([0.0, 0.0, 0.0, 0.0, 1.0], (20, 2))
    """
    n_matrices, dtype = len(matrices), matrices[0].dtype
    outputs = tuple(jnp.dot(xs, matrix, precision=precision) for matrix in matrices)
    coefficients = list(jnp.eye(n_matrices, n_steps + n_matrices, n_steps, dtype))
    return coefficients, Span(outputs, jnp.zeros_like(outputs[0]))


def weighted_inputs(
    coefficients: Float[AnyArray, " n_coefficients"],
    span: Span,
    index: Int[Array, ""],
    gram: Float[Array, "batch n_rows"],
    precision: str,
) -> Float[Array, "batch n_out"]:
    """xᵀW for each example x of a mini-batch, without forming W.

    Args:
      coefficients: α and c, in one vector, of W = Σₛ αₛXₛᵀΔₛ + Σⱼ cⱼVⱼ: see the module's docstring.
      span: the products XVⱼ and the errors Δₛ of the block so far.
      index: the number of the mini-batch in its block, from 0.
      gram: the rows of XXᵀ, for the block's inputs X, that belong to the mini-batch's examples.
      precision: the precision of matrix products, as in `Network`.

    Returns:
      The first layer's weighted inputs, without its biases.

    >>> (coefficients,), span = matrices_to_coefficients(
    ...     [jnp.ones((3, 2))], jnp.ones((20, 3)), 4, "highest"
    ... )
    >>> gram = jnp.ones((5, 20))
    >>> weighted_inputs(coefficients, span, jnp.array(1), gram, "highest")[0].tolist()
    [3.0, 3.0]
    """
    batch_size, n_rows = gram.shape
    n_steps = n_rows // batch_size
    alphas = coefficients[:n_steps]
    scaled_gram = gram * jnp.repeat(alphas, batch_size)[None]
    z = jnp.dot(scaled_gram, span.errors, precision=precision)
    for output, c in zip(span.base_outputs, coefficients[n_steps:], strict=True):
        z = z + c * jax.lax.dynamic_slice_in_dim(output, index * batch_size, batch_size)
    return z


def coefficients_to_matrices(
    coefficients: Sequence[Float[Array, " n_coefficients"]],
    matrices: Sequence[Float[Array, "n_in n_out"]],
    xs: Float[Array, "n_rows n_in"],
    errors: Float[Array, "n_rows n_out"],
    precision: str,
) -> list[Array]:
    """The matrices that coefficients stand for: Σⱼ cⱼVⱼ + Σₛ αₛXₛᵀΔₛ.

    Args:
      coefficients: for each matrix its (α, c).
      matrices: V₁, V₂, … at the block's start.
      xs: all inputs of the block, one example per row.
      errors: Δ, the first layer's errors for all examples of the block.
      precision: the precision of matrix products, as in `Network`.

    Returns:
      A matrix of shape (n_in, n_out) for each vector of coefficients.

    >>> w, xs, errors = jnp.ones((3, 2)), jnp.ones((20, 3)), jnp.ones((20, 2))
    >>> coefficients, _ = matrices_to_coefficients([w], xs, 4, "highest")
    >>> matrices = coefficients_to_matrices(coefficients, [w], xs, errors, "highest")
    >>> bool(jnp.all(matrices[0] == w))
    True
    """
    n_steps = len(coefficients[0]) - len(matrices)

    def combine(row: Array) -> Array:
        alphas = row[:n_steps]
        scaled_errors = errors * jnp.repeat(alphas, len(xs) // n_steps)[:, None]
        total = jnp.einsum("ri,ro->io", xs, scaled_errors, precision=precision)
        for matrix, c in zip(matrices, row[n_steps:], strict=True):
            total = total + c * matrix
        return total

    return [combine(row) for row in coefficients]
