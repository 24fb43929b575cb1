"""How a one-network function runs on many networks (`vmap`) or devices (sharding)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from jaxnet.core.arguments import brief
from jaxnet.core.dtypes import unshared
from jaxnet.core.types import Device

Result = TypeVar("Result")
Rows = TypeVar("Rows")

Devices = Sequence[Device]
"""Devices that share mini-batches."""


@runtime_checkable
class Parallelism(Protocol):
    """How functions of one network on one device run on several networks or devices.

    `epoch` and the functions around it are written for one network and one device, and apply a
    parallelism to each of their parts. Implementations are static arguments of compiled programs,
    so they must be hashable and equal by value, such as frozen dataclasses. `SingleNetwork`,
    `DataParallel` and, for a sweep, `jaxnet.sweeps.lanes.LaneGroup` are those of jaxnet.
    """

    @property
    def n_lanes(self) -> int:
        """How many networks share their mini-batches."""
        ...

    def __call__(self, f: Callable[..., Result]) -> Callable[..., Result]:
        """Turn a function of one network into that of all networks.

        Args:
          f: a function `f(tree, *shared)`: a pytree of one network's arrays, and what all networks
            share.

        Returns:
          A function of the same arguments, with the arrays of all networks stacked in its first
          argument and in its result.
        """
        ...

    def split(self, rows: Rows, axis: int = 0) -> Rows:
        """Divide a mini-batch's examples among devices.

        Args:
          rows: an array, or a pytree of arrays, of examples.
          axis: the axis that counts the examples.

        Returns:
          The same arrays, with the axis sharded.
        """
        ...


@dataclass(frozen=True)
class SingleNetwork:
    """One network on one device: functions and arrays stay as they are."""

    n_lanes: int = 1
    """One network has its mini-batches to itself."""

    def __call__(self, f: Callable[..., Result]) -> Callable[..., Result]:
        """Return the function of one network itself."""
        return f

    def split(self, rows: Rows, axis: int = 0) -> Rows:
        """Return the rows undivided, as one device needs them."""
        return rows


SINGLE: Parallelism = SingleNetwork()
"""One network on one device."""


@dataclass(frozen=True)
class DataParallel(SingleNetwork):
    """One network whose mini-batches several devices share.

    Each device has all parameters and computes the gradient of its own rows of the mini-batch. The
    sum of these gradients is all that the devices exchange.
    """

    devices: Devices = ()
    """The devices, as a tuple, in the order in which they get their rows."""

    def sharding(self, *axes: str | None) -> NamedSharding:
        """The sharding of arrays that are split over the devices, or copied to each.

        Args:
          *axes: one entry per axis of the array: "rows" if that axis is split over the devices,
            `None` if not. Without entries each device has the whole array.

        Returns:
          The sharding over all devices.
        """
        return NamedSharding(Mesh(np.array(self.devices), ("rows",)), PartitionSpec(*axes))

    def split(self, rows: Rows, axis: int = 0) -> Rows:
        """Give each device an equal part of the rows; see `Parallelism.split`."""
        return jax.lax.with_sharding_constraint(rows, self.sharding(*[None] * axis, "rows"))


def check_devices(devices: Devices) -> Devices:
    """The devices that are to share mini-batches, as a tuple.

    Args:
      devices: a list or tuple of one or more different devices.

    Returns:
      The devices, in the same order.

    Raises:
      ValueError: there are none, two of them are the same, or they are not devices.
    """
    checked = tuple(devices) if isinstance(devices, (list, tuple)) else ()
    if not checked or not all(isinstance(device, jax.Device) for device in checked):
        raise ValueError(f"devices must be a list such as jax.devices(), not {brief(devices)}.")
    if len(set(checked)) < len(checked):
        raise ValueError(
            f"devices must be different ones, not {brief(devices)}; name each device only once."
        )
    return checked


def parallelism_of(
    devices: Devices | None, time_budget: float | None
) -> tuple[Parallelism, Callable[[PyTree], PyTree], bool]:
    """How devices share mini-batches, and what depends on it.

    Args:
      devices: the devices; `None` for one.
      time_budget: the seconds of the run, which several processes cannot share; `None` for no
        limit.

    Returns:
      The parallelism; a function that puts a pytree of arrays on the devices; and whether all
      processes of JAX share them.

    Raises:
      ValueError: they are no devices, or there is a time budget for several processes.
    """
    if devices is None:
        return SINGLE, lambda tree: jax.device_put(unshared(tree)), False
    parallelism = DataParallel(devices=check_devices(devices))
    n_processes = len({device.process_index for device in parallelism.devices})
    if time_budget is not None and n_processes > 1:
        raise ValueError(
            "time_budget is for the devices of one process: each of several processes has its own "
            "clock, so they would stop at different times; leave it out."
        )
    # Not by device_put, which takes no random keys to another process.
    put = jax.jit(lambda tree: tree, out_shardings=parallelism.sharding())
    is_shared = n_processes == jax.process_count() > 1
    return parallelism, lambda tree: put(unshared(tree)), is_shared
