"""The mini-batches of an epoch: their examples, and how much each example counts.

With vᵢ = wᵢ/w̄ for an example of weight wᵢ, and 1 without weights, a step follows the gradient of

    (1/b) Σᵢ vᵢ Cᵢ + (λ₂/2n) Σw² + (λ₁/n) Σ|w|,

the sum being over the b examples of the mini-batch, n the number of training examples, and w̄ the
mean weight of all of them. So its mean over all mini-batches of one size is the weighted cost of
the training set, whatever the size: it is unbiased. With `Recipe.normalization` "batch", w̄ is the
mean weight of the mini-batch alone, and n the sum of its weights, as scikit-learn has it: an
example that is rare and counts much is then divided by its own weight wherever it appears.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxnet.core import network
from jaxnet.core.hyperparameters import pytree, static
from jaxnet.core.types import AnyArray
from jaxnet.recipes.recipe import Normalization


@pytree
class Sizes:
    """A network's own number of examples and batch size, in a program that has room for more.

    A step beyond the network's own last one is skipped: its state stays as it is, counters,
    schedules and the addresses of randomness included.

    Attributes:
      n_examples: training examples, at least 1 and at most as many as the program has.
      batch_size: examples per mini-batch, at least 1 and at most the program's.
      n_steps: mini-batches per epoch in the program, at least the network's own (static).
      last_step: the number of mini-batches after which all networks of the program skip theirs, so
        that the epoch ends; `None` for a program in which that is never before its last one.
    """

    n_examples: Int[AnyArray, "..."]
    batch_size: Int[AnyArray, "..."]
    n_steps: int = static()
    last_step: Int[AnyArray, ""] | None = None


@pytree
class Rows:
    """Some of the examples of a split, in an array that has room for more.

    Attributes:
      indices: the examples' indices; the last ones only fill the array up.
      n: how many there are, at least 1.
      most: the most that any network of the program has; `None` if some has all.
    """

    indices: Int[AnyArray, "... n_all"]
    n: Int[AnyArray, "..."]
    most: Int[AnyArray, ""] | None = None


@pytree
class Subset:
    """The part of the training split that a group of lanes has: one fold of a resample, say.

    Attributes:
      sizes: the number of examples to train on, and the batch size.
      train: the indices of these examples, the group's own first.
      valid: the examples to validate on; `None` where the validation split does that.
      test: the examples to score, which never steer anything; `None` for none.
      shift: what is subtracted from each input, (n_in,); `None` for nothing.
      scale: what each input is multiplied by then, (n_in,); `None` for nothing.
    """

    sizes: Sizes
    train: Int[AnyArray, "... n_all"]
    valid: Rows | None = None
    test: Rows | None = None
    shift: Float[AnyArray, "... n_in"] | None = None
    scale: Float[AnyArray, "... n_in"] | None = None

    def inputs(self, xs: AnyArray, dtype: np.dtype) -> AnyArray:
        """Inputs as the group reads them: floats, shifted and scaled.

        Args:
          xs: the inputs of some examples, (..., n_in): uint8 pixels or floats.
          dtype: the float type.

        Returns:
          (xs − shift)·scale; `xs` itself if the group has none of the two.
        """
        if self.shift is None or self.scale is None:
            return xs
        rows = network.inputs(xs.reshape(-1, xs.shape[-1]), dtype)
        return ((rows - self.shift[None]) * self.scale[None]).reshape(xs.shape)


class MiniBatches(NamedTuple):
    """Mini-batches to train, one after the other."""

    indices: Int[Array, "n_steps batch"]
    """Each mini-batch's examples, by their indices in the split."""
    weights: Float[Array, "n_steps batch"]
    """The factor of each example's cost, vᵢ/b; 0 where it only fills the mini-batch up."""
    weight_sums: Float[Array, " n_steps"] | None
    """The n of λ/n where it is each mini-batch's own; `None` where it is that of the training
    set."""
    is_trained: Bool[Array, " n_steps"] | None
    """Whether each mini-batch has an example that counts: others are skipped. `None`: all have."""


def mini_batches(
    order: Int[AnyArray, " n"],
    batch_size: int,
    dtype: np.dtype,
    weight: Float[AnyArray, " n_all"] | None = None,
    normalization: Normalization = "training set",
    sizes: Sizes | None = None,
) -> MiniBatches:
    """All mini-batches of an epoch.

    Args:
      order: the examples' indices in the order in which they are visited.
      batch_size: examples per mini-batch, at least 1.
      dtype: the float type of the weights.
      weight: the weight of each example of the split; `None` if all count the same.
      normalization: what a mini-batch's costs are divided by: see the module's docstring.
      sizes: the network's own sizes, where the order and `batch_size` are a program's that has room
        for more; the network's own examples come first in the order.

    Returns:
      The mini-batches. The last one may have fewer examples: it is filled up with examples of
      weight 0.

    >>> batches = mini_batches(np.arange(3), 2, np.dtype(np.float32))
    >>> batches.indices.tolist(), batches.weights.tolist()
    ([[0, 1], [2, 0]], [[0.5, 0.5], [1.0, 0.0]])
    """
    indices, is_example = _examples(order, batch_size, sizes)
    counts = is_example.sum(axis=1, keepdims=True)
    if weight is None and normalization == "training set" and sizes is None:
        return MiniBatches(indices, jnp.asarray(is_example / counts, dtype), None, None)
    weights = jnp.asarray(is_example, dtype)
    if weight is not None:
        weights = weights * jnp.asarray(weight, dtype)[indices]
    sums = jnp.sum(weights, axis=1)
    divisors = sums[:, None]
    if normalization == "training set":
        mean = 1 if weight is None else jnp.sum(sums) / jnp.sum(counts)
        divisors = counts.astype(dtype) * mean
    is_trained = None if weight is None and sizes is None else sums > 0
    return MiniBatches(
        indices=indices,
        weights=weights / jnp.where(divisors > 0, divisors, 1),
        weight_sums=jnp.where(sums > 0, sums, 1) if normalization == "batch" else None,
        is_trained=is_trained,
    )


def _examples(
    order: Int[AnyArray, " n"], batch_size: int, sizes: Sizes | None
) -> tuple[Int[Array, "n_steps batch"], Bool[AnyArray, "n_steps batch"]]:
    """Each mini-batch's examples by their indices, and which of them do not only fill it up."""
    n = len(order)
    if sizes is None:
        n_steps = -(-n // batch_size)
        is_example = np.arange(n_steps * batch_size).reshape(n_steps, batch_size) < n
        padded = jnp.pad(jnp.asarray(order), (0, n_steps * batch_size - n))
        return padded.reshape(n_steps, batch_size), is_example
    columns = jnp.arange(batch_size)[None]
    positions = sizes.batch_size * jnp.arange(sizes.n_steps)[:, None] + columns
    is_example = (columns < sizes.batch_size) & (positions < sizes.n_examples)
    return jnp.asarray(order)[jnp.where(is_example, positions, 0)], is_example
