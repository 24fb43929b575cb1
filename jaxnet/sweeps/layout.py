"""Layout: which lane stands in which place of a program.

Bits depend on the size of a program (on how a matrix product is cut up), so every size that a lane
was trained in is recorded.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.sweeps.lanes import LaneGroup


class Layout(NamedTuple):
    """From this epoch on, counted from 0, lanes are trained in a program of this size."""

    epoch: int
    groups: int
    lanes: int
    """Per group."""
    members: tuple[int, ...]
    """Which of the chunk's lanes fill the groups × lanes places; −1 where it is empty."""


class Slot(NamedTuple):
    """Where one lane was trained from this epoch on: what its bits depend on."""

    epoch: int
    groups: int
    lanes: int
    place: int

    def alone(self) -> Layout:
        """The same program, empty but for a lane 0 in this place."""
        members = [-1] * (self.groups * self.lanes)
        members[self.place] = 0
        return Layout(self.epoch, self.groups, self.lanes, tuple(members))


class SlotMap:
    """The places of a program, and who is in them: between rows, one a lane, and stacked arrays."""

    def __init__(self, layout: Layout, parallelism: LaneGroup) -> None:
        members = np.array(layout.members).reshape(layout.groups, layout.lanes)
        first = members[members >= 0][0]
        heads = np.array([next((m for m in group if m >= 0), first) for group in members])
        self.held = members >= 0
        self.members = members[self.held]
        self.lanes = np.where(self.held, members, heads[:, None])
        """Who is in each place; an empty one holds a copy of its group's first lane."""
        self.heads = heads
        """A lane of each group, whose seed is the group's."""
        self.parallelism = parallelism

    def stacked(self, rows: Any) -> Any:
        """The arrays of a program, from rows."""

        def stack(row: Any) -> np.ndarray:
            placed = np.asarray(row)[self.lanes]
            return np.moveaxis(placed, 1, 2) if self.parallelism.is_inner(row.shape[1:]) else placed

        return jax.tree.map(stack, rows)

    def unstack(self, tree: Any, rows: Any) -> None:
        """Write what a program's arrays hold into the rows of those in it."""

        def write(leaf: Any, row: np.ndarray) -> None:
            array = np.asarray(leaf)
            axis = 1 + (self.parallelism.axis(array[0]) or 0)
            row[self.members] = np.moveaxis(array, axis, 1)[self.held]

        jax.tree.map(write, tree, rows)


def smaller(seeds: Sequence[int], layout: Layout, alive: np.ndarray, epoch: int) -> Layout | None:
    """A program of at most half the size that holds all lanes still alive: powers of two."""
    left = np.flatnonzero(alive)
    of_left = np.asarray(seeds)[left]
    groups = [left[of_left == seed] for seed in dict.fromkeys(of_left)]
    n_groups = 1 << (len(groups) - 1).bit_length()
    lanes = 1 << (max(map(len, groups)) - 1).bit_length()
    if 2 * n_groups * lanes > layout.groups * layout.lanes:
        return None
    members = np.full((n_groups, lanes), -1)
    for place, group in zip(members, groups):
        place[: len(group)] = group
    return Layout(epoch, n_groups, lanes, tuple(members.ravel().tolist()))
