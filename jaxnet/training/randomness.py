"""Where the randomness of a run comes from: each draw has an address of its own under the seed.

Randomness is *addressed*, not consumed: the key for the initial weights, for the order of epoch e
and for the dropout mask, the distortions or the noise of mini-batch t are each derived from the
seed and that address alone (`address`). So a stopped run can be resumed to the same bits, and all
recipes under one seed see the same initial weights and the same mini-batches.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Integer

from jaxnet.core.types import AnyArray, KeyArray

Stream = Literal["init", "order", "step", "rule", "dropout", "augmentation", "phase"]
"""The first part of an address: what the randomness is for."""


STREAMS: tuple[Stream, ...] = (
    "init", "order", "step", "rule", "dropout", "augmentation", "phase",
)  # fmt: skip


def address(
    key: KeyArray, stream: Stream, index: int | np.integer | Integer[AnyArray, ""] = 0
) -> KeyArray:
    """The random key of one address in a run.

    Args:
      key: the run's own key.
      stream: what the randomness is for.
      index: the number of the epoch or mini-batch, from 0, in streams that have one.

    Returns:
      The key, a function of the three arguments alone.

    >>> key = jax.random.key(0)
    >>> bool(address(key, "order", 1) == address(key, "order", 2))
    False
    """
    return jax.random.fold_in(jax.random.fold_in(key, STREAMS.index(stream)), index)


def shuffle(
    key: KeyArray, n: int, n_examples: int | Int[AnyArray, ""] | None = None
) -> Int[Array, " n"]:
    """A random order of n examples, by sorting random 32-bit numbers.

    With 50,000 numbers a pair is equal in one epoch of four, and keeps its order then: a bias of
    10⁻¹⁰, which is too small to be measured.

    The result is the `argsort` of the numbers, in a third of its time for up to 65,536 examples, in
    half for up to two million: XLA sorts numbers five times as fast as pairs of numbers. So this is
    a radix sort, which sorts by one digit after the other, from the last one on. Each digit is
    sorted as one number with the example's position in its low bits, which keeps the order of equal
    digits.

    Args:
      key: the random key.
      n: the number of examples, at least 1.
      n_examples: how many of them to order, from the first on, at least 1 and at most n; the others
        follow. `None`, the default, for all.

    Returns:
      A permutation of 0 … n − 1. Its first `n_examples` entries are those of
      `shuffle(key, n_examples)`, since a random number depends on its own index alone.

    >>> shuffle(jax.random.key(0), 5).tolist(), shuffle(jax.random.key(0), 8, 5)[:5].tolist()
    ([2, 3, 4, 0, 1], [2, 3, 4, 0, 1])
    """
    bits = jax.random.bits(key, (n,), jnp.uint32)
    if n_examples is not None:  # of equal numbers the first comes first, so that these come last
        bits = jnp.where(jnp.arange(n) < n_examples, bits, jnp.uint32(2**32 - 1))
    positions = order = jnp.arange(n, dtype=jnp.uint32)
    n_position_bits = (n - 1).bit_length()
    for low in range(0, 32, 32 - n_position_bits):
        digits = bits[order] >> low << n_position_bits
        order = order[jnp.sort(digits | positions) & (2**n_position_bits - 1)]
    return order.astype(jnp.int32)
