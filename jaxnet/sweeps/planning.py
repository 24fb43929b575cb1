"""Plans: how a sweep is divided into programs, and its memory and time before it begins."""

import time
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple

import jax
import numpy as np

from jaxnet.acceleration.xla_options import ONE_THREAD
from jaxnet.core.network import Network
from jaxnet.core.types import Device
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps import time_estimates
from jaxnet.sweeps.chunk_sizes import lane_bytes
from jaxnet.sweeps.time_estimates import (
    DISPATCH_SECONDS,
    REFERENCE_RATE,
    EpochSize,
    lane_epoch_seconds,
    operations,
)
from jaxnet.training.progress_line import duration

ACCELERATOR_EFFICIENCY = 0.1
"""On an accelerator, the rate at which lanes train, as a part of the rate of a matrix product."""
N_SIZES_SHOWN = 4
"""The most sizes of programs that a plan shows."""


_TRAINED: set[Hashable] = set()
"""The programs that sweeps of this process have trained."""


class Size(NamedTuple):
    """The chunks of a sweep that have one size, and so share one compiled program."""

    network: Network
    """The network of the program; it may be wider than the lanes' own: see `own`."""
    recipe: Recipe
    """The recipes of one of the chunks."""
    batch_size: int
    """Examples per mini-batch."""
    examples: int
    """Training examples."""
    groups: int
    """Groups of lanes per chunk; each has one seed."""
    lanes: int
    """Lanes per group."""
    chunks: int
    """Chunks of this size."""
    epochs: int
    """Epochs of all their lanes together, if none ends early."""
    evaluated: int = 0
    """Examples evaluated after each epoch."""
    own: frozenset[tuple[int, ...]] = frozenset()
    """The sizes of the lanes' own networks, which padding may fill up to those of `network`."""

    def __str__(self) -> str:
        chunks = f"{self.chunks:,} × " if self.chunks > 1 else ""
        seeds = f"{self.groups} seeds × " if self.groups > 1 else ""
        sizes = next(iter(self.own)) if len(self.own) == 1 else self.network.sizes
        return f"{chunks}{seeds}{_counted(self.lanes, 'network')} [{', '.join(map(str, sizes))}]"


class Plan(NamedTuple):
    """How a sweep is divided into programs, and its predicted memory and time."""

    lanes: int
    """Networks to train."""
    epochs: int
    """Epochs per network."""
    sizes: tuple[Size, ...]
    """The programs: how many chunks there are of each size."""
    devices: int
    """Devices that share the chunks."""
    device: str
    """The platform of the devices, such as "CPU"."""
    bytes: int
    """Predicted memory for the arrays on all devices, in bytes."""
    seconds: float
    """Predicted time, compiling included, from shapes and the rate of a matrix product.

    It is never used to choose anything.
    """
    tuned: bool
    """Whether the sizes were timed (`sweep(tune_plan=True)`), not calculated."""
    backed_off: int = 0
    """How often a chunk was bisected because memory ran out."""

    def __str__(self) -> str:
        work = f"{_counted(self.lanes, 'network', ',')} × {_counted(self.epochs, 'epoch')}"
        if not self.sizes:
            return f"{work}: nothing is missing."
        sizes = "; ".join(map(str, self.sizes[:N_SIZES_SHOWN]))
        if len(self.sizes) > N_SIZES_SHOWN:
            sizes += f"; and {len(self.sizes) - N_SIZES_SHOWN} more sizes"
        return (
            f"{work}: {sizes}, on {_counted(self.devices, f'{self.device} device')}"
            f"; about {_memory(self.bytes)}, {duration(self.seconds)}"
            + (", sizes timed" if self.tuned else "")
            + (f", {self.backed_off} × halved for memory" if self.backed_off else "")
            + "."
        )

    def compared_with(self, seconds: float) -> str:
        """How long the sweep took, in a sentence, beside the prediction.

        Args:
          seconds: how long it took.
        """
        return f"It took {duration(seconds)}; {duration(self.seconds)} were planned."


def predict_plan(
    sizes: Sequence[Size],
    n_lanes: int,
    epochs: int,
    data_bytes: int,
    devices: Sequence[Device],
    tuned: bool,
) -> Plan:
    """The plan of a sweep, with the memory and time that its chunks should take.

    Args:
      sizes: the chunks to train, by size.
      n_lanes: networks of the whole sweep.
      epochs: epochs per network.
      data_bytes: the bytes of the data, which every device holds.
      devices: the devices that share the chunks, one or more of a kind.
      tuned: whether the sizes were timed.
    """
    largest_chunk = max((chunk_bytes(size) for size in sizes), default=0)
    return Plan(
        lanes=n_lanes,
        epochs=epochs,
        sizes=tuple(sizes),
        devices=len(devices),
        device=devices[0].platform.upper(),
        bytes=len(devices) * (largest_chunk + data_bytes),
        seconds=_seconds(sizes, devices) if sizes else 0.0,
        tuned=tuned,
    )


def note_trained(plan: Plan) -> None:
    """Note that this process has trained a plan's programs, so that the next plan has no compiling.

    Args:
      plan: the plan of a sweep that has ended.
    """
    _TRAINED.update(map(_program_of, plan.sizes))


def _program_of(size: Size) -> Hashable:
    """What programs are compiled for: equal for two sizes that share one."""
    return (
        size.network, jax.tree.structure(size.recipe), size.batch_size, size.groups, size.lanes,
        size.examples, size.evaluated, jax.dtypes.canonicalize_dtype(float),
    )  # fmt: skip


def _seconds(sizes: Sequence[Size], devices: Sequence[Device]) -> float:
    """The time that chunks take to compile and to train."""
    rate = _operations_per_second(str(jax.dtypes.canonicalize_dtype(float)))
    compiling = _compile_seconds([size for size in sizes if _program_of(size) not in _TRAINED])
    if devices[0].platform != "cpu":
        n_operations = sum(size.epochs * size.examples * operations(size.network) for size in sizes)
        training = n_operations / rate / ACCELERATOR_EFFICIENCY
        return compiling + training / len(devices)
    training = sum(_training_seconds(size, rate) for size in sizes)
    n_chunks = sum(size.chunks for size in sizes)
    n_busy = n_chunks / -(-n_chunks // len(devices))  # of the devices, over all rounds
    return compiling * max(1.0, REFERENCE_RATE / rate) + training / n_busy


def _compile_seconds(sizes: Sequence[Size]) -> float:
    """The time to compile the programs of these sizes, on the reference core."""
    first = 0.0 if _TRAINED or not sizes else time_estimates.FIRST_CALL_SECONDS
    networks = {own for size in sizes for own in size.own}
    programs = sum(time_estimates.compile_seconds(size.network) for size in sizes)
    return first + programs + len(networks) * time_estimates.DRAW_SECONDS


def _training_seconds(size: Size, rate: float) -> float:
    """The time to train the chunks of one size on one core with this rate of products."""
    epoch_size = EpochSize(size.batch_size, size.examples, size.evaluated)
    seconds = lane_epoch_seconds(size.network, size.recipe, epoch_size, size.lanes, rate)
    n_epochs_of_chunks = size.epochs / (size.groups * size.lanes)
    return size.epochs * seconds + n_epochs_of_chunks * DISPATCH_SECONDS


def chunk_bytes(size: Size) -> int:
    """The bytes of memory that a chunk of this size takes on its device."""
    return size.groups * size.lanes * lane_bytes(size.network, size.recipe, size.batch_size)


@lru_cache(maxsize=2)
def _operations_per_second(dtype: str) -> float:
    """The operations per second of one device in a matrix product of this type."""
    square = jax.device_put(np.ones((1024, 1024), dtype))
    product = jax.jit(jax.numpy.dot, compiler_options=ONE_THREAD)
    product(square, square).block_until_ready()
    start_time = time.perf_counter()
    product(square, square).block_until_ready()
    return 2 * 1024**3 / (time.perf_counter() - start_time)


def _counted(n: int, noun: str, format_spec: str = "") -> str:
    """A number with its noun in the singular or plural."""
    return f"{n:{format_spec}} {noun}{'s' if n > 1 else ''}"


def _memory(n_bytes: int) -> str:
    """An amount of memory in words."""
    if n_bytes < 2**30:
        return f"{max(1, round(n_bytes / 2**20))} MiB"
    return f"{n_bytes / 2**30:.1f} GiB"
