"""Chunk sizes: how many lanes a program has.

The number of lanes is a function of shapes, optimizer family and device alone, never of a measured
time (unless `sweep(tune_plan=True)` asks for it): bits depend on it, so it must be the same
tomorrow. On a CPU a program's weights, gradients and optimizer state should stay near its core's
cache; on an accelerator more lanes mean larger matrix products, as far as memory goes.
"""

import os

import jax

from jaxnet.acceleration import first_layer
from jaxnet.core.network import Network
from jaxnet.core.types import Device
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.step import state_struct

CACHE_BYTES = 8 * 2**20
"""Bytes of parameters, gradients and optimizer state that one core's program should have. Of 2, 4,
8 and 16 MiB at [784, 30, 10]: SGD 0.019, 0.018, 0.018, 0.018 s an epoch and network, momentum
0.037, 0.034, 0.034, 0.034, Adam 0.044, 0.041, 0.035, 0.035."""
ENOUGH_LANES_ON_CPU = 8
"""From so many lanes of one seed on, a CPU's program has a single group."""
LANES_OF_SMALL_CHUNKS = 16
"""Lanes from which on a CPU's program gains nothing by more: [64, 32, 10] under Adam takes 0.54 ms
an epoch and network with 8, 16, 32 or 64 lanes. So chunks may be as small where it pays: to leave
no core idle in the last round, and to end early where a stopping rule ends lanes."""
MOST_LANES_ON_ACCELERATOR = 4096
"""The most lanes of a program on an accelerator. On an H200 SGD at [784, 30, 10] takes 0.29 ms an
epoch and network with as many, 0.34 ms with 1,024."""
EVALUATION_ROWS = 1000
"""Examples evaluated at once (`evaluation.CHUNK`); their activations take memory."""


def most_lanes(
    net: Network, recipe: Recipe, batch_size: int, n_recipes: int, device: Device
) -> int:
    """How many lanes a program should have on a device: a power of 2.

    A first layer that is trained in the span of its inputs has no gradient that fills the cache.

    Args:
      net: the network of the program.
      recipe: a recipe of the lanes; only its structure counts.
      batch_size: examples per mini-batch.
      n_recipes: the most lanes that share a seed.
      device: where the program runs.
    """
    if device.platform == "cpu":
        item_bytes = jax.dtypes.canonicalize_dtype(float).itemsize
        hot_bytes = state_bytes(net, recipe, keep_best=False) + item_bytes * net.n_params
        first_layer_bytes = item_bytes * net.sizes[0] * net.sizes[1]
        most = CACHE_BYTES // hot_bytes
        most_in_span = CACHE_BYTES // (hot_bytes - first_layer_bytes)
        if first_layer.span_steps(net, recipe, batch_size, min(n_recipes, most_in_span)):
            most = most_in_span
    else:
        fitting = device_memory(device) // 2 // lane_bytes(net, recipe, batch_size)
        most = min(MOST_LANES_ON_ACCELERATOR, fitting)
    return 1 << max(0, int(most).bit_length() - 1)


def program_shape(
    n_recipes: int,
    n_seeds: int,
    most: int,
    n_devices: int,
    platform: str = "cpu",
    may_stop: bool = False,
) -> tuple[int, int]:
    """The numbers of groups and of lanes per group, for a rectangle of recipes and seeds.

    A group has as many recipes of one seed as fit, since they share their mini-batches; but no more
    than leave each device its share, and the chunks nearly full. More seeds only make up for too
    few recipes: on a CPU, where products of several groups gain nothing, only up to
    `ENOUGH_LANES_ON_CPU`.

    Args:
      n_recipes: recipes to train.
      n_seeds: seeds to train each of them under.
      most: the most lanes of a program, at least 1.
      n_devices: devices that share the chunks.
      platform: the platform of the devices, such as "cpu" or "gpu".
      may_stop: whether a stopping rule may end lanes early: chunks are small then on a CPU.

    Returns:
      The number of groups, and the number of lanes per group.

    >>> program_shape(64, 1, most=16, n_devices=2)
    (1, 16)
    >>> program_shape(1, 64, most=16, n_devices=2)
    (8, 1)
    >>> program_shape(1, 64, most=16, n_devices=2, platform="gpu")
    (16, 1)
    >>> program_shape(10, 1, most=8, n_devices=2)
    (1, 5)
    >>> program_shape(64, 5, most=256, n_devices=2)  # ten chunks, not five
    (1, 32)
    """
    share_of_device = _ceil_div(n_recipes * n_seeds, n_devices)
    most = max(1, min(most, share_of_device))
    if may_stop and platform == "cpu":
        most = min(most, LANES_OF_SMALL_CHUNKS)
    chunks_per_seed = _ceil_div(n_recipes, most)
    if platform == "cpu":
        chunks_per_seed = _even_chunks(chunks_per_seed, n_recipes, n_seeds, n_devices)
    n_lanes = _ceil_div(n_recipes, chunks_per_seed)
    worthwhile = min(most, ENOUGH_LANES_ON_CPU) if platform == "cpu" else most
    most_groups = max(1, worthwhile // n_lanes)
    chunks_per_recipe = _ceil_div(n_seeds, most_groups)
    return _ceil_div(n_seeds, chunks_per_recipe), n_lanes


def _even_chunks(chunks_per_seed: int, n_recipes: int, n_seeds: int, n_devices: int) -> int:
    """As many chunks per seed, or some more, so that all devices have equally many in the end."""
    most_chunks = min(n_recipes // LANES_OF_SMALL_CHUNKS, chunks_per_seed + n_devices)
    for more in range(chunks_per_seed, most_chunks + 1):
        if more * n_seeds % n_devices == 0:
            return more
    return chunks_per_seed


def _ceil_div(n: int, divisor: int) -> int:
    return -(-n // divisor)


def state_bytes(net: Network, recipe: Recipe, keep_best: bool) -> int:
    """The bytes that one lane carries from step to step.

    Args:
      net: the network of the program.
      recipe: a recipe of the lanes, with arrays or scalars.
      keep_best: whether the lane carries the parameters of its best epoch, too.
    """
    state = state_struct(net, recipe, keep_best)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


def lane_bytes(net: Network, recipe: Recipe, batch_size: int) -> int:
    """The most bytes that one lane takes: states before and after an epoch, gradients, activations.

    Args:
      net: the network of the program.
      recipe: a recipe of the lanes.
      batch_size: examples per mini-batch.
    """
    item_bytes = jax.dtypes.canonicalize_dtype(float).itemsize
    n_rows = max(EVALUATION_ROWS, batch_size)
    return (
        3 * state_bytes(net, recipe, keep_best=True)
        + item_bytes * net.n_params
        + 3 * item_bytes * n_rows * sum(net.sizes[1:])
    )


def device_memory(device: Device) -> int:
    """The bytes of memory that a device has."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
