"""Starting weights and masks of a sweep: what lanes have of their own besides numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxnet.core import network
from jaxnet.core.arguments import brief
from jaxnet.core.network import Network
from jaxnet.core.types import Params
from jaxnet.recipes.trainable import LayerMasks, Trainable, TrainableMasks, trainable_masks
from jaxnet.training.checkpoints import tree_sha256

PerLane = Any
"""An argument for all networks; or a list with one entry per setting; an entry may be a list with
one for each seed."""


@dataclass(frozen=True)
class LaneStart:
    """Where a lane starts, and what of it is trained; two are equal if their keys are.

    Args:
      key: a hash of all below, which files name it by.
      params: the initial parameters; None draws them from the seed.
      trainable: which of them are trained, as `train` takes it; None trains all.
      masks: the masks that `trainable` stands for.
    """

    key: str
    params: Params | None = field(compare=False)
    trainable: Trainable = field(compare=False)
    masks: TrainableMasks | None = field(compare=False)


def lane_starts(
    networks: Sequence[Network], n_seeds: int, params: PerLane, trainable: PerLane
) -> list[list[LaneStart]] | None:
    """The start of each network: a list for each setting, with an entry for each seed.

    Args:
      networks: the network of each setting.
      n_seeds: the number of seeds.
      params: the initial parameters of all, or lists of them; None draws them.
      trainable: what is trained of all, or lists of that; None trains everything.

    Returns:
      The starts; None where all parameters are drawn and trained.

    Raises:
      ValueError: a list has another length, or an entry does not fit its network.

    >>> net = Network((2, 3, 2))
    >>> lane_starts([net], 2, None, None)
    >>> rows = lane_starts([net, net], 2, None, [True, (False, True)])
    >>> [[start.masks is None for start in row] for row in rows]
    [[True, True], [False, False]]
    """
    if params is None and trainable is None:
        return None
    shape = (len(networks), n_seeds)
    all_params = _per_lane("params", params, shape)
    all_trainable = _per_lane("trainable", trainable, shape)
    return [
        [_start(net, *pair) for pair in zip(own_params, own_trainable, strict=True)]
        for net, own_params, own_trainable in zip(networks, all_params, all_trainable, strict=True)
    ]


def _start(net: Network, params: Params | None, trainable: Trainable) -> LaneStart:
    """The start of one network, checked."""
    if params is not None:
        network.check_initial_params(net, params)
        params = tuple(layer._make(map(np.asarray, layer)) for layer in params)
    masks = trainable_masks(net, trainable)
    key = tree_sha256({"params": params, "masks": masks})[:16]
    return LaneStart(key, params, trainable, masks)


def _per_lane(name: str, value: PerLane, shape: tuple[int, int]) -> list[list[Any]]:
    """One value for each setting and seed."""
    n_settings, n_seeds = shape
    rows = value if isinstance(value, list) else [value] * n_settings
    if len(rows) != n_settings:
        raise ValueError(
            f"{name} is a list of {len(rows)}, but the sweep has {n_settings} settings; give one "
            "entry for each, or, for all of them, a value that is not a list."
        )
    full = [row if isinstance(row, list) else [row] * n_seeds for row in rows]
    for row in full:
        if len(row) != n_seeds:
            raise ValueError(
                f"an entry of {name} is a list of {len(row)}, but there are {n_seeds} seeds; give "
                f"one for each, or, for all of them, a value that is not a list, not {brief(row)}."
            )
    return full


def stacked_masks(starts: Sequence[LaneStart] | None, program: Network) -> TrainableMasks | None:
    """The masks of all lanes, stacked, at the widths of their program.

    Args:
      starts: the start of each lane; None for lanes that train everything.
      program: the network of the program. What only pads a lane's own widths counts as trained.

    Returns:
      Masks with an axis for the lanes in front; `None` in place of an array that all lanes train
      whole, and of all masks if there is no array.
    """
    if starts is None:
        return None
    masks = [start.masks for start in starts]
    layers = []
    for index, shapes in enumerate(network.param_shapes(program)):
        of_lanes = [LayerMasks(None, None) if mask is None else mask[index] for mask in masks]
        layers.append(LayerMasks(*map(_stacked, zip(*of_lanes), shapes)))
    return tuple(layers) if jax.tree.leaves(layers) else None


def _stacked(masks: Sequence[object], shape: tuple[int, ...]) -> np.ndarray | None:
    """The masks of one array of all lanes; None if there is none."""
    if all(mask is None for mask in masks):
        return None
    stacked = np.ones((len(masks), *shape), bool)
    for row, mask in enumerate(masks):
        if mask is not None:
            own = np.asarray(mask)
            stacked[row, *map(slice, own.shape)] = own
    return stacked
