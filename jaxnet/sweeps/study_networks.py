"""The trained networks of a study, by their places on its axes: parameters, folds and splits."""

import operator
from collections.abc import Hashable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from jaxnet.core.arguments import brief
from jaxnet.core.dtypes import computing_in
from jaxnet.core.network import param_shapes
from jaxnet.core.types import Dataset, Params, Split
from jaxnet.sweeps.chunk_params import ChunkParams, Epoch
from jaxnet.sweeps.ensemble import Member
from jaxnet.sweeps.folds import LaneFold
from jaxnet.sweeps.network_stack import NetworkStack
from jaxnet.sweeps.replaying import replayed_params
from jaxnet.sweeps.source import Source
from jaxnet.sweeps.store import Lane, Setting, first_examples, numbers_of_examples
from jaxnet.training.measured import SPLITS


class StudyNetworks(NamedTuple):
    """The networks of a study. A lane is one of them: its places on the axes recipe and group."""

    settings: tuple[Setting, ...]
    """The settings, along the axis recipe."""
    seeds: Int[np.ndarray, " seeds"]
    """The seeds, along the axis seed."""
    epochs: Int[np.ndarray, "recipes seeds *folds"]
    """The epochs that each network has had."""
    source: Source
    """The origin of the results."""

    @property
    def n_folds(self) -> int:
        """The number of folds of each seed; 1 without folds."""
        return 1 if self.source.folds is None else self.epochs.shape[2]

    def lane(self, recipe: int | None, seed: int | None, fold: int | None = None) -> Lane:
        """The lane at these places on the axes, checked to have been started."""
        lane = self.lane_at(recipe, seed, fold)
        if lane not in self.source.row_by_lane:
            raise ValueError(
                f"network {self.places(lane)} was not started, because the sweep was interrupted; "
                "if sweep was given a folder, make the same call again to continue."
            )
        return lane

    def lane_at(self, recipe: int | None, seed: int | None, fold: int | None = None) -> Lane:
        """The lane at these places on the axes, checked; negative places count from the end."""
        if fold is None and self.source.folds is not None:
            raise ValueError(
                f"the study has {self.n_folds} folds; name the place of one of them, from 0."
            )
        try:
            place = operator.itemgetter(seed)(range(len(self.seeds))) * self.n_folds
            place += range(self.n_folds)[fold or 0]
            return operator.itemgetter(recipe)(range(len(self.settings))), place
        except (IndexError, TypeError):
            folds = "" if self.source.folds is None else f", {self.n_folds} folds"
            places = (recipe, seed) if fold is None else (recipe, seed, fold)
            raise ValueError(
                f"there is no network {places}: the study has {len(self.settings)} recipes and "
                f"{len(self.seeds)} seeds{folds}, counted from 0."
            ) from None

    def places(self, lane: Lane) -> tuple[int, ...]:
        """The places of a lane on the axes recipe, seed and fold."""
        if self.source.folds is None:
            return lane
        recipe, group = lane
        return recipe, *divmod(group, self.n_folds)

    def seed(self, lane: Lane) -> int:
        """The seed of a lane."""
        return int(self.seeds[self.places(lane)[1]])

    @property
    def data(self) -> Dataset:
        """The splits; a ValueError if the study was opened without them."""
        if self.source.data is None:
            raise ValueError(
                "the study was opened without its data, which this needs; open it with "
                "jaxnet.open_study(folder, data)."
            )
        return self.source.data

    def replayed(self, lane: Lane) -> ChunkParams:
        """The parameters of a network that is trained again."""
        setting = self.settings[lane[0]]
        numbers = numbers_of_examples(self.settings)[setting.batch_size]
        epochs = max(1, int(self.epochs[self.places(lane)]))
        return replayed_params(
            self.source, self.data, setting, lane, self.seed(lane), epochs, numbers
        )

    def all_params(self, epoch: Epoch) -> Params:
        """The parameters of all networks, stacked along the axes of the study."""
        shapes = {param_shapes(setting.network) for setting in self.settings}
        if len(shapes) > 1:
            raise ValueError(
                "the parameters of the study's networks have different shapes, which cannot be "
                "stacked; name one network by recipe and seed, or use predict or evaluate."
            )
        lanes = [
            self.lane(recipe, seed, *fold) for recipe, seed, *fold in np.ndindex(self.epochs.shape)
        ]
        return jax.tree.map(
            lambda array: array.reshape(*self.epochs.shape, *array.shape[1:]),
            self.params_of(lanes, epoch),
        )

    def params_of_one(self, lane: Lane, epoch: Epoch) -> Params:
        """The parameters of one network."""
        return jax.tree.map(lambda array: array[0], self.params_of([lane], epoch))

    def params_of(self, lanes: list[Lane], epoch: Epoch) -> Params:
        """The parameters of networks of one shape, stacked; what was not kept is trained again."""
        with computing_in(self.source.dtype):
            parts = list(self.source.kept_params(self.settings, lanes, epoch))
        kept = {place for places, _ in parts for place in places}
        for place, lane in enumerate(lanes):
            if place not in kept:
                net, row = self.settings[lane[0]].network, np.zeros(1, int)
                parts.append(([place], self.replayed(lane).of_rows(net, row, epoch)))
        order = np.argsort(np.concatenate([places for places, _ in parts]))
        return jax.tree.map(
            lambda *arrays: np.concatenate(arrays)[order], *(params for _, params in parts)
        )

    def stacks(self, split: str | None = None) -> Iterator[tuple[Lane, NetworkStack]]:
        """The networks that have started, by what they share: the architecture and the inputs.

        Args:
          split: the name of the split that they read, each fold its own; None for one split that
            all read, as their folds are standardized.

        Yields:
          A network, and the stack that it is in.
        """
        lanes_by_key: dict[Hashable, list[Lane]] = {}
        for lane in sorted(self.source.row_by_lane):
            setting, fold = self.settings[lane[0]], self.fold(lane)
            has_own_inputs = fold is not None and (split is not None or fold.shift is not None)
            examples = setting.examples if split == "training" and fold is None else None
            key = (setting.network, fold if has_own_inputs else None, examples)
            lanes_by_key.setdefault(key, []).append(lane)
        n_groups = len(self.seeds) * self.n_folds
        for lanes in lanes_by_key.values():
            # The inputs of a fold's own rows are standardized already.
            fold = self.fold(lanes[0]) if split is None else None
            yield (
                lanes[0],
                NetworkStack(
                    self.settings[lanes[0][0]].network,
                    self.params_of(lanes, "best"),
                    np.array(lanes) @ [n_groups, 1],
                    *(() if fold is None else (fold.shift, fold.scale)),
                ),
            )

    def fold(self, lane: Lane) -> LaneFold | None:
        """The fold of a lane; None without folds."""
        return None if self.source.folds is None else self.source.folds[lane[1]]

    def own_split(self, lane: Lane, name: str) -> Split:
        """One of the splits of a network, by its name."""
        if name not in SPLITS:
            raise ValueError(
                f'split must be a Split, "training", "validation" or "test", not {brief(name)}.'
            )
        fold, data = self.fold(lane), self.data
        if fold is None:
            train = first_examples(data, self.settings[lane[0]].examples).train
            data = Dataset(train, data.valid, self.source.test)
        else:
            data = fold.of(data)
        split = {"training": data.train, "test": data.test}.get(name, data.valid)
        if split is None:
            raise ValueError(f"split is {name!r}, but the study's data has none; give a Split.")
        return split

    def member(self, lane: Lane) -> Member:
        """A network as a member of an ensemble."""
        fold = self.fold(lane)
        standardization = () if fold is None else (fold.shift, fold.scale)
        params = self.params_of_one(lane, "best")
        return Member(self.settings[lane[0]].network, params, *standardization)
