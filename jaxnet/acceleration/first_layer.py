"""The first layer in the span of the mini-batches to come: many small steps as few large products.

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


class InSpan(NamedTuple):
    """An example, or a mini-batch, known by its product with the first layer's weights."""

    product: Float[Array, "*batch n_out"]
    """xᵀW."""
    own: Float[Array, "*batch n_coefficients"]
    """1 at its mini-batch's own coefficient, 0 elsewhere: the gradient of the coefficients."""


class Span(NamedTuple):
    """What a block's steps need of it."""

    bases: tuple[Float[Array, "n_rows n_out"], ...]
    """XVⱼ for each j."""
    errors: Float[Array, "n_rows n_out"]
    """Δ of the steps so far; 0 for those to come."""

    def noted(self, place: Int[Array, ""], errors: Float[Array, "batch n_out"]) -> "Span":
        """With the errors of the block's mini-batch number `place`."""
        first = place * len(errors)
        errors = jax.lax.dynamic_update_slice_in_dim(self.errors, errors, first, 0)
        return self._replace(errors=errors)


def enter(
    matrices: Sequence[Float[Array, "n_in n_out"]],
    xs: Float[Array, "n_rows n_in"],
    n_steps: int,
    precision: Any,
) -> tuple[list[Array], Span]:
    """The coefficients (α, c) of each matrix at a block's start, and its span.

    >>> (coefficients,), span = enter([jnp.ones((3, 2))], jnp.ones((20, 3)), 4, "highest")
    >>> coefficients.tolist(), span.bases[0].shape
    ([0.0, 0.0, 0.0, 0.0, 1.0], (20, 2))
    """
    n, dtype = len(matrices), matrices[0].dtype
    bases = tuple(jnp.dot(xs, v, precision=precision) for v in matrices)
    return list(jnp.eye(n, n_steps + n, n_steps, dtype)), Span(bases, jnp.zeros_like(bases[0]))


def seen(
    coefficients: Float[Array, " n_coefficients"],
    span: Span,
    place: Int[Array, ""],
    gram: Float[Array, "batch n_rows"],
    precision: Any,
) -> InSpan:
    """The block's mini-batch number `place`, from its products with all examples of the block.

    >>> (coefficients,), span = enter([jnp.ones((3, 2))], jnp.ones((20, 3)), 4, "highest")
    >>> seen(coefficients, span, jnp.array(1), jnp.ones((5, 20)), "highest").product[0].tolist()
    [3.0, 3.0]
    """
    batch, n_rows = gram.shape
    n_steps = n_rows // batch
    scaled = gram * jnp.repeat(coefficients[:n_steps], batch)[None]
    z = jnp.dot(scaled, span.errors, precision=precision)
    for base, c in zip(span.bases, coefficients[n_steps:], strict=True):
        z = z + c * jax.lax.dynamic_slice_in_dim(base, place * batch, batch)
    own = jax.nn.one_hot(place, len(coefficients), dtype=z.dtype)
    return InSpan(z, jnp.broadcast_to(own, (batch, len(own))))


def leave(
    coefficients: Sequence[Float[Array, " n_coefficients"]],
    matrices: Sequence[Float[Array, "n_in n_out"]],
    xs: Float[Array, "n_rows n_in"],
    errors: Float[Array, "n_rows n_out"],
    precision: Any,
) -> list[Array]:
    """The matrices of these coefficients: Σⱼ cⱼVⱼ + Σₛ αₛXₛᵀΔₛ.

    >>> w, xs, errors = jnp.ones((3, 2)), jnp.ones((20, 3)), jnp.ones((20, 2))
    >>> coefficients, _ = enter([w], xs, 4, "highest")
    >>> bool(jnp.all(leave(coefficients, [w], xs, errors, "highest")[0] == w))
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
