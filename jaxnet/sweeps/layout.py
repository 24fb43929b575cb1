"""The layout of a program: which lane stands in which slot.

The bits of a result depend on the size of the program (on how a matrix product is cut up), so every
size that a lane was trained in is recorded.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, PyTree

from jaxnet.core.types import AnyArray
from jaxnet.sweeps.lanes import LaneGroup


class Layout(NamedTuple):
    """The size of a program of lanes, and the lane in each of its slots, from one epoch on."""

    epoch: int
    """The first epoch trained in this layout, counted from 0."""
    n_groups: int
    """Groups of lanes in the program; each has one seed."""
    n_lanes: int
    """Slots per group."""
    members: tuple[int, ...]
    """The chunk's lane in each of the n_groups × n_lanes slots, group by group; −1: empty slot."""


class Slot(NamedTuple):
    """Where one lane was trained from one epoch on: the bits of its result depend on it."""

    epoch: int
    """The first epoch trained in this slot, counted from 0."""
    n_groups: int
    """Groups of lanes in the program."""
    n_lanes: int
    """Slots per group."""
    position: int
    """The slot's number among the program's n_groups × n_lanes, counted group by group from 0."""

    def single_lane_layout(self) -> Layout:
        """A program of the same size with lane 0 in this slot and all other slots empty."""
        members = [-1] * (self.n_groups * self.n_lanes)
        members[self.position] = 0
        return Layout(self.epoch, self.n_groups, self.n_lanes, tuple(members))


class SlotMap:
    """Converts between arrays with one row per lane and the stacked arrays of a program.

    Args:
      layout: the lane in each slot.
      lane_group: where the stacked arrays have their lane axis.

    Attributes:
      is_occupied: whether each slot has a lane, (groups, lanes).
      occupants: the lanes of the occupied slots, in the order of the slots.
      source_lanes: the lane whose data fills each slot, (groups, lanes); an empty slot holds a copy
        of its group's first lane.
      first_lanes: the first lane of each group, whose seed is the group's, (groups,).
    """

    def __init__(self, layout: Layout, lane_group: LaneGroup) -> None:
        members = np.array(layout.members).reshape(layout.n_groups, layout.n_lanes)
        self.lane_group = lane_group
        self.is_occupied = members >= 0
        self.occupants = members[self.is_occupied]
        self.first_lanes = np.full(layout.n_groups, self.occupants[0])  # also of an empty group
        for group in np.flatnonzero(self.is_occupied.any(axis=1)):
            self.first_lanes[group] = members[group][self.is_occupied[group]][0]
        self.source_lanes = np.where(self.is_occupied, members, self.first_lanes[:, None])

    def stack(self, rows: PyTree) -> PyTree:
        """The stacked arrays of a program, from arrays with one row per lane."""

        def stack_array(row_array: AnyArray) -> np.ndarray:
            stacked = np.asarray(row_array)[self.source_lanes]
            if self.lane_group.has_inner_lane_axis(row_array.shape[1:]):
                return np.moveaxis(stacked, 1, 2)
            return stacked

        return jax.tree.map(stack_array, rows)

    def unstack_into(self, rows: PyTree, stacked: PyTree) -> None:
        """Write a program's stacked arrays into the rows of the lanes that it holds."""

        def write(leaf: AnyArray, row_array: np.ndarray) -> None:
            of_group = jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
            lane_axis = 1 + (self.lane_group.lane_axis(of_group) or 0)
            if isinstance(leaf, jax.Array) and _is_on_accelerator(leaf):  # which is faster at it
                array = np.asarray(jnp.moveaxis(leaf, lane_axis, 1))
            else:
                array = np.moveaxis(np.asarray(leaf), lane_axis, 1)
            row_array[self.occupants] = array[self.is_occupied]

        jax.tree.map(write, stacked, rows)


def _is_on_accelerator(array: jax.Array) -> bool:
    return all(device.platform != "cpu" for device in array.devices())


def smaller_layout(
    groups_of_lanes: Sequence[Hashable],
    layout: Layout,
    alive: Bool[np.ndarray, " lanes"],
    epoch: int,
) -> Layout | None:
    """A layout of at most half the size for the lanes still alive, or None if they need more.

    Args:
      groups_of_lanes: the group of each lane of the chunk: lanes of one group share it.
      layout: the present layout.
      alive: whether each lane of the chunk is still trained.
      epoch: the epoch, from 0, from which the new layout would be used.

    Returns:
      A layout whose numbers of groups and of lanes are powers of 2, or None.
    """
    lanes_by_group: dict[Hashable, list[int]] = {}
    for lane in np.flatnonzero(alive).tolist():
        lanes_by_group.setdefault(groups_of_lanes[lane], []).append(lane)
    groups = list(lanes_by_group.values())
    n_groups = _next_power_of_2(len(groups))
    n_lanes = _next_power_of_2(max(map(len, groups)))
    if 2 * n_groups * n_lanes > layout.n_groups * layout.n_lanes:
        return None
    return layout_of(groups, (n_groups, n_lanes), epoch)


def layout_of(
    groups: Sequence[Sequence[int] | np.ndarray], shape: tuple[int, int], epoch: int
) -> Layout:
    """The layout with these groups of lanes, each at the beginning of its row of slots.

    Args:
      groups: the lanes of each group; at most `shape[0]` groups of at most `shape[1]` lanes.
      shape: the numbers of groups and of slots per group.
      epoch: the first epoch trained in it, from 0.
    """
    members = np.full(shape, -1)
    for slots, group in zip(members, groups):
        slots[: len(group)] = group
    return Layout(epoch, *shape, members=tuple(members.ravel().tolist()))


def _next_power_of_2(n: int) -> int:
    """The smallest power of 2 that is at least n."""
    return 1 << (n - 1).bit_length()
