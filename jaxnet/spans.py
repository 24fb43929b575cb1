"""The first layer in the span of the mini-batches to come: many small steps as few large products.

SGD and momentum move the first layer's weights by sums of outer products aδᵀ, where a is an input
of the mini-batches. So within a block of mini-batches whose inputs are the rows of X,

    W = Σⱼ Vⱼ diag(cⱼ) + Xᵀ A,

with V₁ = W and V₂ = the velocity at the block's start. A rule that is linear in gradients, weights
and its own state, number by number, does to the coefficients (cⱼ, A) what it does to W. So it is
given the matrix of those, `(n_rows + n_bases, n_out)`, for the weights: it is small, and stays in
the cache. An example x of the block sees xᵀW = Σⱼ (xᵀVⱼ)cⱼ + (xᵀXᵀ)A, where XVⱼ and XXᵀ are one
matrix product each per block; the gradient of its A is δ in its own row. Both are exact.

On two cores at [784, 30, 10] in mini-batches of 10, blocks of 8 raise the rate of SGD's sweeps
from 0.33 of a matrix product's to over 0.5: products of 80 rows run at its full rate, products of
10 at half of it, and the weights go through memory once a block instead of three times a step.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class InSpan(NamedTuple):
    """An example of a block, as what it has in common with the block."""

    bases: tuple[Float[Array, "*batch n_out"], ...]
    """xᵀVⱼ for each j."""
    gram: Float[Array, "*batch n_coefficients"]
    """Its products with all examples of the block; 0 for the cⱼ."""
    row: Int[Array, "*batch"]
    """Its own: there the coefficients' gradient is δ. Examples of a batch lie in a row."""

    def times(self, w: Float[Array, "n_coefficients n_out"], precision: Any) -> Array:
        """xᵀW for one example, from the coefficients w of W."""
        z = jnp.dot(self.gram, w, precision=precision)
        for base, c in zip(self.bases, w[-len(self.bases) :]):
            z = z + base * c
        return z


def enter(
    matrices: Sequence[Float[Array, "n_in n_out"]],
    xs: Float[Array, "n_rows n_in"],
    precision: Any,
) -> tuple[list[Array], tuple[Array, ...]]:
    """The coefficients of each matrix, (n_rows + n_bases, n_out), and XVⱼ for each.

    >>> w, xs = jnp.ones((3, 2)), jnp.ones((4, 3))
    >>> (coefficients,), (base,) = enter([w], xs, "highest")
    >>> coefficients[:, 0].tolist(), base.shape
    ([0.0, 0.0, 0.0, 0.0, 1.0], (4, 2))
    """
    n = len(matrices)
    eye = np.eye(n, len(xs) + n, len(xs))
    coefficients = [
        jnp.broadcast_to(jnp.asarray(row, v.dtype)[:, None], (len(xs) + n, v.shape[1]))
        for row, v in zip(eye, matrices, strict=True)
    ]
    return coefficients, tuple(jnp.dot(xs, v, precision=precision) for v in matrices)


def leave(
    coefficients: Sequence[Array],
    matrices: Sequence[Float[Array, "n_in n_out"]],
    xs: Float[Array, "n_rows n_in"],
    precision: Any,
) -> list[Array]:
    """The matrices of these coefficients: XᵀA + Σⱼ Vⱼ diag(cⱼ).

    >>> w, xs = jnp.ones((3, 2)), jnp.ones((4, 3))
    >>> coefficients, _ = enter([w], xs, "highest")
    >>> bool(jnp.all(leave(coefficients, [w], xs, "highest")[0] == w))
    True
    """
    n = len(matrices)
    # Rows of zeros for the cⱼ: cheaper than to cut those off from the coefficients.
    rows = jnp.pad(xs, ((0, n), (0, 0)))

    def matrix(w: Array) -> Array:
        moved = jnp.einsum("ri,ro->io", rows, w, precision=precision)
        for v, c in zip(matrices, w[-n:]):
            moved = moved + v * c[None]
        return moved

    return [matrix(w) for w in coefficients]
