"""How a one-network function runs on many networks (`vmap`) or devices (sharding)."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


@dataclasses.dataclass(frozen=True)
class Parallelism:
    """How the program of one network on one device becomes another.

    This one leaves it as it is. The lanes of a sweep have a `vmap` of every function of a network,
    a network whose mini-batches several devices share has their rows split.
    """

    n_lanes: int = 1
    """How many networks share their mini-batches."""

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """Of a function of one network, `f(tree, *shared)`, that of all: here `f` itself."""
        return f

    def split(self, rows: Any, axis: int = 0) -> Any:
        """Arrays of examples, along this axis: here as they are."""
        return rows


SINGLE = Parallelism()


@dataclass(frozen=True)
class DataParallel(Parallelism):
    """The `over` of a network whose mini-batches several devices share.

    Each has all parameters, and computes the gradient of its rows; the sum of the gradients is
    the only thing that goes from one to another.
    """

    devices: tuple[Any, ...] = ()

    def sharding(self, *axes: str | None) -> NamedSharding:
        """Arrays whose axis "rows" is split; without one, each device has all of it."""
        return NamedSharding(Mesh(np.array(self.devices), ("rows",)), PartitionSpec(*axes))

    def split(self, rows: Any, axis: int = 0) -> Any:
        """A part of the rows for each device."""
        return jax.lax.with_sharding_constraint(rows, self.sharding(*[None] * axis, "rows"))


def check_devices(devices: Sequence[Any]) -> tuple[Any, ...]:
    """The devices that are to share mini-batches, checked."""
    given = tuple(devices) if isinstance(devices, (list, tuple)) else ()
    if not given or not all(isinstance(one, jax.Device) for one in given):
        raise ValueError(f"devices must be a list such as jax.devices(), not {devices!r}.")
    if len(set(given)) < len(given):
        raise ValueError(f"devices must be different ones, not {devices!r}.")
    return given
