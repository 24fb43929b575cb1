"""Plans: what a sweep will take, before it begins."""

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax

from jaxnet.acceleration.xla_options import ONE_THREAD
from jaxnet.core.network import Network
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.chunk_sizes import lane_bytes

EFFICIENCY = 0.3
"""The part of the rate of a matrix product at which lanes train, about."""


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
    """The sizes of the lanes' own networks, which the program's may fill up: see `padding`."""

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
