"""Plans: how many lanes make a program, and what a sweep will take, before it begins.

The number of lanes is a function of shapes, optimizer family and device alone, never of a time
that was measured (unless asked for by name): bits depend on it, so it must be the same tomorrow.
On a CPU a program's weights, gradients and optimizer state should stay near its core's cache; on
an accelerator more lanes mean larger matrix products, as far as memory goes.
"""

import os
import time
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.acceleration import first_layer
from jaxnet.acceleration.xla_options import ONE_THREAD
from jaxnet.core.network import Network
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.step import start

CACHE = 8 * 2**20
"""Bytes of parameters, gradients and optimizer state that one core's program should have. Of 2, 4,
8 and 16 MiB at [784, 30, 10]: SGD 0.019, 0.018, 0.018, 0.018 s an epoch and network, momentum
0.037, 0.034, 0.034, 0.034, Adam 0.044, 0.041, 0.035, 0.035."""
EFFICIENCY = 0.3
"""The part of the rate of a matrix product at which lanes train, about."""
FEW = 8
"""Lanes of one seed from which on a CPU's program has a single group."""
MOST = 1024
"""Lanes of a program on an accelerator, at most."""
EVALUATED = 1000
"""Examples evaluated at once (`evaluation.CHUNK`), whose activations take memory."""


class Size(NamedTuple):
    """So many chunks of one shape."""

    network: Network
    recipe: Recipe
    batch_size: int
    examples: int
    groups: int
    """Seeds."""
    lanes: int
    """To each."""
    chunks: int
    epochs: int
    """Of all their lanes, if none ends early."""
    own: frozenset[tuple[int, ...]] = frozenset()
    """The sizes of the lanes' own networks, which the program's may fill up: see `widths`."""

    def __str__(self) -> str:
        several = f"{self.groups} seeds × " if self.groups > 1 else ""
        sizes = next(iter(self.own)) if len(self.own) == 1 else self.network.sizes
        return (
            f"{self.chunks} chunk{'s' if self.chunks > 1 else ''} of {several}"
            f"{self.lanes} lane{'s' if self.lanes > 1 else ''} [{', '.join(map(str, sizes))}]"
        )


class Plan(NamedTuple):
    """How a sweep is cut into programs, and what it is predicted to take."""

    lanes: int
    """Networks to train."""
    epochs: int
    sizes: tuple[Size, ...]
    devices: int
    device: str
    bytes: int
    """Of memory, for the arrays on all devices."""
    seconds: float
    """From operations and the rate of a matrix product; never used to choose anything."""
    tuned: bool
    """Whether sizes were timed (`tune_plan`), not calculated."""
    backed_off: int = 0
    """How often a chunk was halved because memory ran out."""

    def __str__(self) -> str:
        each = "; ".join(map(str, self.sizes[:4]))
        each += f"; and {len(self.sizes) - 4} more sizes" if len(self.sizes) > 4 else ""
        where = f"{self.devices} {self.device} device{'s' if self.devices > 1 else ''}"
        return (
            f"{self.lanes:,} network{'s' if self.lanes > 1 else ''} × "
            f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}: "
            f"{each or 'nothing is missing'}, on {where}; about {self.bytes / 2**30:.2f} GiB, "
            f"{_duration(self.seconds)}"
            + (", sizes timed" if self.tuned else "")
            + (f", {self.backed_off} × halved for memory" if self.backed_off else "")
            + "."
        )


def predicted(
    sizes: list[Size],
    lanes: int,
    epochs: int,
    data_bytes: int,
    devices: Sequence[Any],
    tuned: bool,
) -> Plan:
    """The plan of a sweep, with the memory and time that these chunks should take."""
    rate = _rate() * len(devices) if sizes else 1.0
    operations = sum(size.epochs * size.examples * _operations(size.network) for size in sizes)
    most = max((chunk_bytes(size) for size in sizes), default=0)
    return Plan(
        lanes,
        epochs,
        tuple(sizes),
        len(devices),
        devices[0].platform.upper(),
        len(devices) * (most + data_bytes),
        operations / rate / EFFICIENCY,
        tuned,
    )


def chunk_bytes(size: Size) -> int:
    """What a chunk takes on its device."""
    return size.groups * size.lanes * lane_bytes(size.network, size.recipe, size.batch_size)


def _operations(net: Network) -> int:
    """Multiplications and additions to train one example: no gradient with respect to pixels."""
    pairs = list(zip(net.sizes, net.sizes[1:]))
    return sum(6 * n_in * n_out for n_in, n_out in pairs) - 2 * pairs[0][0] * pairs[0][1]


@lru_cache(maxsize=1)
def _rate() -> float:
    """The operations a second of one device, in a product of matrices."""
    square = jax.numpy.ones((1024, 1024))
    product = jax.jit(jax.numpy.dot, compiler_options=ONE_THREAD)
    product(square, square).block_until_ready()
    began = time.perf_counter()
    product(square, square).block_until_ready()
    return 2 * 1024**3 / (time.perf_counter() - began)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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


def memory(device: Any) -> int:
    """The bytes of memory that a device has."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


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
