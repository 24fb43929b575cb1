"""Where the randomness of a run comes from: each draw has an address of its own under the seed.

Randomness is *addressed*, not consumed: the key for the initial weights, for the order of epoch e
and for the dropout mask, the distortions or the noise of mini-batch t are each derived from the
seed and that address alone (`address`). So a run that stops can go on to the same bits, and all
recipes under one seed see the same initial weights and the same mini-batches.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxnet.core.types import KeyArray

Stream = Literal["init", "order", "step", "rule", "dropout", "augmentation"]


STREAMS: tuple[Stream, ...] = ("init", "order", "step", "rule", "dropout", "augmentation")


def address(key: KeyArray, stream: Stream, index: Any = 0) -> KeyArray:
    """The random key of one place in a run, from the run's own key."""
    return jax.random.fold_in(jax.random.fold_in(key, STREAMS.index(stream)), index)


def shuffle(key: KeyArray, n: int) -> Int[Array, " n"]:
    """A random order of n examples, by sorting on random 32-bit keys.

    Of 50,000 keys a pair is equal in one epoch of four, and keeps its order then: a bias of 10⁻¹⁰
    that nothing can see.

    It is `argsort` of the keys, in a third of its time for up to 65,536 examples, in half for up
    to two million: XLA sorts numbers five times as fast as pairs of them. So the keys are sorted
    digit by digit from the last one on, as a radix sort does, each digit in front of its place,
    which keeps the order of equal ones.
    """
    bits = jax.random.bits(key, (n,), jnp.uint32)
    places = order = jnp.arange(n, dtype=jnp.uint32)
    room = (n - 1).bit_length()
    for low in range(0, 32, 32 - room):
        digits = bits[order] >> low << room
        order = order[jnp.sort(digits | places) & (2**room - 1)]
    return order.astype(jnp.int32)
