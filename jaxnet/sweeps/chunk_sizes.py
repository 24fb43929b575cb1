"""Chunk sizes: how many lanes make a program.

The number of lanes is a function of shapes, optimizer family and device alone, never of a time
that was measured (unless asked for by name): bits depend on it, so it must be the same tomorrow.
On a CPU a program's weights, gradients and optimizer state should stay near its core's cache; on
an accelerator more lanes mean larger matrix products, as far as memory goes.
"""

import os
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxnet.acceleration import first_layer
from jaxnet.core.network import Network
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.step import start

CACHE = 8 * 2**20
"""Bytes of parameters, gradients and optimizer state that one core's program should have. Of 2, 4,
8 and 16 MiB at [784, 30, 10]: SGD 0.019, 0.018, 0.018, 0.018 s an epoch and network, momentum
0.037, 0.034, 0.034, 0.034, Adam 0.044, 0.041, 0.035, 0.035."""
FEW = 8
"""Lanes of one seed from which on a CPU's program has a single group."""
MOST = 1024
"""Lanes of a program on an accelerator, at most."""
EVALUATED = 1000
"""Examples evaluated at once (`evaluation.CHUNK`), whose activations take memory."""


def most_lanes(net: Network, recipe: Recipe, batch_size: int, n_recipes: int, device: Any) -> int:
    """How many lanes a program should have on this device: a power of two.

    Where a first layer is trained in a span, it has no gradient that would take up the cache.
    """
    if device.platform == "cpu":
        item = jax.dtypes.canonicalize_dtype(float).itemsize
        hot = state_bytes(net, recipe, keep_best=False) + item * net.n_params
        room = CACHE // hot
        lean = CACHE // (hot - item * net.sizes[0] * net.sizes[1])
        if first_layer.span_steps(net, recipe, batch_size, min(n_recipes, lean)):
            room = lean
    else:
        room = min(MOST, memory(device) // 2 // lane_bytes(net, recipe, batch_size))
    return 1 << max(0, int(room).bit_length() - 1)


def rectangle(
    n_recipes: int, n_seeds: int, most: int, devices: int, platform: str = "cpu"
) -> tuple[int, int]:
    """Groups and lanes of a program, for a rectangle of lanes on so many devices.

    As many recipes of one seed as fit, since they share their mini-batches; no more than leave
    each device its share, and the chunks nearly full. More seeds only make up for too few recipes:
    on a CPU, where products of several groups gain nothing, only for less than `FEW`.

    >>> rectangle(64, 1, most=16, devices=2)
    (1, 16)
    >>> rectangle(1, 64, most=16, devices=2)
    (8, 1)
    >>> rectangle(1, 64, most=16, devices=2, platform="gpu")
    (16, 1)
    >>> rectangle(10, 1, most=8, devices=2)
    (1, 5)
    """
    most = max(1, min(most, -(-n_recipes * n_seeds // devices)))
    chunks = -(-n_recipes // most)
    lanes = -(-n_recipes // chunks)
    groups = max(1, (min(most, FEW) if platform == "cpu" else most) // lanes)
    return -(-n_seeds // -(-n_seeds // groups)), lanes


def state_bytes(net: Network, recipe: Recipe, keep_best: bool) -> int:
    """What one lane carries from step to step, in bytes."""
    one = jax.tree.map(lambda leaf: np.zeros((), leaf.dtype), recipe)
    key = jax.random.key(0, impl="threefry2x32")
    state = jax.eval_shape(partial(start, net, keep_best=keep_best), one, key)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


def lane_bytes(net: Network, recipe: Recipe, batch_size: int) -> int:
    """What one lane takes at most: its state before and after an epoch, gradients, activations."""
    keep_best = recipe.stopping is not None
    item = jax.dtypes.canonicalize_dtype(float).itemsize
    rows = max(EVALUATED, batch_size)
    return (
        3 * state_bytes(net, recipe, keep_best)
        + item * net.n_params
        + 3 * item * rows * sum(net.sizes[1:])
    )


def memory(device: Any) -> int:
    """The bytes of memory that a device has."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
