"""The origin of a study's results: the trained chunks, and all that trains a network again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from jaxnet.core.dtypes import FloatType
from jaxnet.core.types import Dataset, Order, Params, Split
from jaxnet.recipes.trainable import TrainableMasks
from jaxnet.sweeps.chunk_params import ChunkParams, Epoch, chunk_params
from jaxnet.sweeps.folds import LaneFold
from jaxnet.sweeps.starts import LaneStart, stacked_masks
from jaxnet.sweeps.store import Folder, Lane, Record, Setting, state_like
from jaxnet.training.measured import Measured


@dataclass(frozen=True)
class Source:
    """The origin of a study's results: enough to train any of its networks again."""

    data: Dataset | None
    """The splits that the networks were trained and evaluated on; None for a study that was opened
    without them."""
    test: Split | None
    """The test split, which may not have been evaluated; None if there is none."""
    measured: Measured
    """What was measured after each epoch and during it, and what ranks the networks."""
    order: Order
    """In which order each epoch visited the examples."""
    records: tuple[Record, ...]
    """The trained chunks."""
    row_by_lane: dict[Lane, tuple[int, int]]
    """For each lane that has started, its record (an index of `records`) and its row there."""
    folder: Folder | None
    """Keeps the chunks' last states, if there is a folder."""
    folds: tuple[LaneFold, ...] | None
    """The fold of each group: those of the first seed first; None without folds."""
    starts: Sequence[Sequence[LaneStart]] | None
    """For each setting and seed where it starts; None where all parameters are drawn."""
    dtype: FloatType | None
    """The type to train the networks in again; None for JAX's default."""

    def kept_params(
        self, settings: Sequence[Setting], lanes: Sequence[Lane], epoch: Epoch
    ) -> Iterator[tuple[list[int], Params]]:
        """The parameters of networks of one shape, as far as they were kept, chunk by chunk.

        Args:
          settings: the settings of the study.
          lanes: the networks, which have started.
          epoch: after which epoch.

        Yields:
          For some of the networks, their places in `lanes`, and their parameters, (networks, …).
        """
        places_by_record: dict[int, list[int]] = {}
        for place, lane in enumerate(lanes):
            places_by_record.setdefault(self.row_by_lane[lane][0], []).append(place)
        for index, places in places_by_record.items():
            setting, result = settings[lanes[places[0]][0]], self.records[index].result
            params, available = self._chunk_params(setting, index), epoch
            if params is None:
                continue
            rows = np.array([self.row_by_lane[lanes[place]][1] for place in places])
            if epoch == "best" and not params.best:  # known only where it is the last one
                is_last = result.best_epoch[rows] == result.epochs[rows]
                places, rows = list(np.array(places)[is_last]), rows[is_last]
                available = "last"
            if len(rows):
                yield places, params.of_rows(setting.network, rows, available)

    def start(self, lane: Lane) -> LaneStart | None:
        """Where a lane starts; None if its parameters are drawn and trained."""
        if self.starts is None:
            return None
        n_folds = 1 if self.folds is None else len(self.folds) // len(self.starts[0])
        recipe, group = lane
        return self.starts[recipe][group // n_folds]

    def _chunk_params(self, setting: Setting, index: int) -> ChunkParams | None:
        """The parameters of a chunk, from memory or files; None if they were not kept."""
        record = self.records[index]
        if record.params is not None:
            return record.params.read()
        if self.folder is None:
            return None
        try:
            states = self.folder.states(record, state_like(record.program_sizes, setting))
        except LookupError:  # a later call has trained it for longer
            return None
        return chunk_params(setting.recipe.optimizer, self._masks(setting, index), states)

    def _masks(self, setting: Setting, index: int) -> TrainableMasks | None:
        """What is trained of each lane of a chunk, where its parameters depend on it."""
        if self.starts is None or setting.recipe.optimizer.evaluation is None:
            return None
        record = self.records[index]
        # Rows of other calls, whose masks nobody asks for, count as trained.
        starts = [LaneStart("", None, None, None)] * len(record.lanes)
        for lane, (lane_index, row) in self.row_by_lane.items():
            if lane_index == index:
                starts[row] = self.start(lane) or starts[row]
        program = replace(setting.network, sizes=record.program_sizes)
        return stacked_masks(starts, program)
