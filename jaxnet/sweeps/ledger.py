"""The ledger: the results of a sweep's lanes while it goes on, in memory and in its folder."""

import dataclasses
import itertools
import pickle
from collections.abc import Collection, Sequence

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxnet.core.dtypes import FloatType
from jaxnet.core.types import Dataset, History, Order, Split
from jaxnet.recipes.stopping import Stopping
from jaxnet.recipes.trainable import TrainableMasks, is_first_layer_whole
from jaxnet.sweeps.chunk import TrainedChunk
from jaxnet.sweeps.chunk_params import ChunkParams, ParamsKeeper, chunk_params
from jaxnet.sweeps.folds import LaneFold, Room, fold_of_first, room_for, room_for_first
from jaxnet.sweeps.planning import Plan
from jaxnet.sweeps.ranking import best_epochs, ranking_scores
from jaxnet.sweeps.score_curves import ScoreCurves
from jaxnet.sweeps.source import Source
from jaxnet.sweeps.starts import LaneStart, stacked_masks
from jaxnet.sweeps.store import (
    ARRAYS,
    Folder,
    Lane,
    Record,
    RunKey,
    Setting,
    key_of,
    numbers_of_examples,
    select_lanes,
    state_like,
)
from jaxnet.sweeps.study import Study
from jaxnet.training.measured import Measured
from jaxnet.training.step import TrainState


class Ledger:
    """The results of a sweep's lanes while it goes on, in memory and in its folder.

    Two lanes are the same *run* if their settings have the same key, and their seeds and folds are
    equal: one result is that of both. The second place of a lane is that of its group: the seed
    or, with folds, the seed and the fold, the folds varying fastest.

    Args:
      settings: the settings, along the study's axis recipe.
      seeds: the seed of each group.
      folder: keeps the trained chunks; None keeps them in memory.
      choices: what the networks measure, and what ranks them.
      folds: for each seed its folds; None if all lanes have the whole training split.
      starts: for each setting and seed where it starts; None if all parameters are drawn.

    Attributes:
      descriptions: what identifies each setting, in JSON's types.
      setting_keys: the key of each setting.
      numbers_of_examples: the numbers of training examples of the settings, by their batch size.
      lanes_by_run: the lanes of each run, which its setting's key and its seed name.
      records: the trained chunks.
      row_by_lane: for each lane that has started, its record (an index of `records`) and its row
        there; the record with most epochs, if a lane is in several.
      lane_scores: the present score of each lane, (recipe, seed): see `Study.score`; −∞ before it
        has started.

    Raises:
      ValueError: the folder has a damaged chunk, or settings that differ have the same key.
    """

    def __init__(
        self,
        settings: tuple[Setting, ...],
        seeds: tuple[int, ...],
        folder: Folder | None,
        choices: Measured,
        folds: Sequence[Sequence[LaneFold]] | None = None,
        starts: Sequence[Sequence[LaneStart]] | None = None,
    ) -> None:
        self.starts = starts
        self.settings, self.folder, self.choices = settings, folder, choices
        self.n_folds = None if folds is None else len(folds[0])
        self.seeds = tuple(seed for seed in seeds for _ in range(self.n_folds or 1))
        self.folds = None if folds is None else tuple(itertools.chain(*folds))
        self.descriptions = [setting.description() for setting in settings]
        self.setting_keys = [key_of(description) for description in self.descriptions]
        self.numbers_of_examples = numbers_of_examples(settings)
        self.lanes_by_run: dict[RunKey, list[Lane]] = {}
        self.lane_scores = np.full((len(settings), len(self.seeds)), -np.inf)
        for lane in self.lanes():
            self.lanes_by_run.setdefault(self._run(lane), []).append(lane)
        self.records: list[Record] = []
        self.row_by_lane: dict[Lane, tuple[int, int]] = {}
        self._keeper = ParamsKeeper()
        self._n_current_rows: list[int] = []
        self._unsent: list[int] = []
        _check_keys(self.setting_keys, settings)
        if folder is not None:
            keys = zip(settings, self.setting_keys, strict=True)
            for record in folder.records({setting.older_key(): key for setting, key in keys}):
                self._add_record(record)

    def lanes(self) -> list[Lane]:
        """All lanes, those of the first recipe first."""
        return list(np.ndindex(self.lane_scores.shape))

    def most_epochs(self) -> int:
        """The most epochs that a lane of these settings and seeds has had."""
        indices = {index for index, _ in self.row_by_lane.values()}
        return max((self.records[index].n_epochs for index in indices), default=0)

    def score_curves(self, epochs: int) -> ScoreCurves:
        """The scores, after each of at most so many epochs, of the lanes that have started."""
        shape = (*self.lane_scores.shape, epochs)
        curves = ScoreCurves(
            self.settings, np.full(shape, np.nan, np.float32), self.choices.rank_by
        )
        places_by_record: dict[int, list[tuple[Lane, int]]] = {}
        for lane, (index, row) in self.row_by_lane.items():
            places_by_record.setdefault(index, []).append((lane, row))
        for index, places in places_by_record.items():
            lanes, rows = zip(*places, strict=True)
            result = self.records[index].result
            history = jax.tree.map(lambda curve, rows=rows: curve[list(rows)], result.history)
            diverged = result.diverged_epoch[list(rows)] > 0
            curves.add(lanes, history, until=self.records[index].n_epochs, diverged=diverged)
        return curves

    def lanes_to_start(self, lanes: Sequence[Lane]) -> list[Lane]:
        """One lane of each run, also of those that have started; none if all have started.

        Those that have started are included so that the caller forms the same chunks whichever of
        them were trained before a crash.

        Args:
          lanes: the lanes that are to be trained.
        """
        lane_by_run = {self._run(lane): lane for lane in lanes}
        if all(lane in self.row_by_lane for lane in lane_by_run.values()):
            return []
        return list(lane_by_run.values())

    def records_to_continue(
        self, lanes: Sequence[Lane], until: int
    ) -> list[tuple[Record, list[Lane]]]:
        """The chunks that have had fewer epochs than `until`, with their lanes that would go on.

        A lane that has left a chunk, and has had more epochs in another, is in the later one only.

        Args:
          lanes: the lanes that are to be trained.
          until: the epochs that they are to have had.

        Returns:
          Each chunk with one lane of each run that is to be trained, and neither stopped nor
          diverged.
        """
        lanes_by_record: dict[int, list[Lane]] = {}
        for lane in dict.fromkeys(self.lanes_by_run[self._run(lane)][0] for lane in lanes):
            if lane in self.row_by_lane:
                index, row = self.row_by_lane[lane]
                record = self.records[index]
                if record.n_epochs < until and record.result.alive()[row]:
                    lanes_by_record.setdefault(index, []).append(lane)
        return [(self.records[index], group) for index, group in lanes_by_record.items()]

    def lanes_of(self, record: Record) -> list[Lane | None]:
        """The lane of each row of a chunk; None for a run that this sweep does not ask for."""
        return [self.lanes_by_run.get(run, [None])[0] for run in record.lanes]

    def states(self, record: Record) -> TrainState:
        """The last states of a chunk, one row per lane, from memory or from the folder."""
        if record.states is not None:
            return record.states
        assert self.folder is not None
        lane = next(lane for lane in self.lanes_of(record) if lane is not None)
        like = state_like(record.program_sizes, self.settings[lane[0]])
        return self.folder.states(record, like)

    def trained_lanes(self, lanes: Sequence[Lane]) -> dict[Lane, TrainedChunk]:
        """The results and states of each of these lanes, as a chunk of one lane."""
        chunk_by_lane = {}
        for index in dict.fromkeys(self.row_by_lane[lane][0] for lane in lanes):
            record = self.records[index]
            chunk = TrainedChunk(record.result, self.states(record))
            for lane in lanes:
                lane_index, row = self.row_by_lane[lane]
                if lane_index == index:
                    chunk_by_lane[lane] = select_lanes(chunk, slice(row, row + 1))
        return chunk_by_lane

    def add_chunk(
        self,
        lanes: tuple[Lane, ...],
        program_sizes: tuple[int, ...],
        chunk: TrainedChunk,
        keep_states: bool,
    ) -> None:
        """Add a trained chunk, and write it into the folder.

        Args:
          lanes: the lane of each row.
          program_sizes: the sizes of the network that the program was compiled for.
          chunk: the results and states.
          keep_states: whether the lanes will be trained further. If so, and if there is no folder
            to read their states from, the states stay in memory.

        With a folder a chunk counts as trained when its file, which holds the lanes' parameters, is
        written; without one, the parameters are kept here.
        """
        runs = tuple(self._run(lane) for lane in lanes)
        record = Record(runs, program_sizes, chunk.result, chunk.states)
        if self.folder is not None:
            self.folder.write(record)
        else:
            record = record._replace(params=self._keeper.keep(self._chunk_params(record, lanes)))
        stays_in_memory = keep_states and self.folder is None
        self._unsent.append(len(self.records))
        self._add_record(record if stays_in_memory else record._replace(states=None))

    def exchange_with_processes(self, interrupted: bool) -> bool:
        """Send the chunks added since the last exchange to all processes, and add theirs.

        Args:
          interrupted: whether this process was interrupted.

        Returns:
          Whether any process was interrupted.
        """
        if jax.process_count() == 1:
            return interrupted
        unsent = [self.records[index]._replace(states=None) for index in self._unsent]
        message = (unsent, interrupted)
        sent = np.frombuffer(pickle.dumps(message), np.uint8)
        lengths = multihost_utils.process_allgather(np.array(len(sent)))
        padded = np.zeros(max(lengths), np.uint8)
        padded[: len(sent)] = sent
        for process, received in enumerate(multihost_utils.process_allgather(padded)):
            if process == jax.process_index():
                continue
            content = np.asarray(received)[: lengths[process]].tobytes()
            records, was_interrupted = pickle.loads(content)
            interrupted = interrupted or was_interrupted
            for record in records:
                if record.params is not None:
                    record = record._replace(params=self._keeper.keep(record.params.read()))
                self._add_record(record)
        self._unsent = []
        return interrupted

    def release_states(self) -> None:
        """Free the states in memory: the jobs that go on from them hold their own."""
        self.records = [record._replace(states=None) for record in self.records]

    def scores(self, until: int) -> np.ndarray:
        """The score of each lane after `until` epochs, (recipe, seed): see `Study.score`."""
        scores = np.full((len(self.settings), len(self.seeds)), -np.inf)
        lanes_by_record: dict[int, list[Lane]] = {}
        for lane, (index, _) in self.row_by_lane.items():
            lanes_by_record.setdefault(index, []).append(lane)
        for index, lanes in lanes_by_record.items():
            rule = self.settings[lanes[0][0]].recipe.stopping
            record_scores = _scores_after(self.records[index], rule, until, self.choices)
            for lane in lanes:
                scores[lane] = record_scores[self.row_by_lane[lane][1]]
        return scores

    def study(
        self,
        epochs: int,
        dropped_lanes: Collection[Lane],
        plan: Plan,
        seconds: float,
        data: Dataset | None,
        test: Split | None,
        order: Order,
        dtype: FloatType | None,
    ) -> Study:
        """The study of all lanes.

        Args:
          epochs: the epochs that were asked for.
          dropped_lanes: the lanes that successive halving ended.
          plan: the sweep's plan.
          seconds: how long the sweep took.
          data: the splits that were trained on and evaluated; None if they are not at hand.
          test: the test split; None if there is none.
          order: in which order the examples were visited.
          dtype: the type that the call asked for; None for JAX's default.
        """
        shape = (len(self.settings), len(self.seeds))
        history = self._unknown_history(epochs)
        numbers = {name: np.zeros(shape, int) for name in ARRAYS if name != "best_score"}
        for lane, (index, row) in self.row_by_lane.items():
            result = self.records[index].result
            for array, known in zip(*map(jax.tree.leaves, (history, result.history)), strict=True):
                array[lane][: known.shape[1]] = known[row]
            for name, array in numbers.items():
                array[lane] = getattr(result, name)[row]
        for lane in dropped_lanes:
            numbers["stopped"][lane] = 1
        numbers["stopped"] = numbers["stopped"].astype(bool)
        has_ended = numbers["stopped"] | (numbers["diverged_epoch"] > 0)
        n_saved = (epochs - numbers.pop("computed"))[has_ended].sum()
        saved = n_saved / (epochs * has_ended.size)
        if self.n_folds is not None:
            with_folds = (len(self.settings), -1, self.n_folds)
            history, numbers = jax.tree.map(
                lambda array: array.reshape(*with_folds, *array.shape[2:]), (history, numbers)
            )
        source = Source(
            data=data,
            test=test,
            measured=self.choices,
            order=order,
            records=tuple(self.records),
            row_by_lane=dict(self.row_by_lane),
            folder=self.folder,
            folds=self.folds,
            starts=self.starts,
            dtype=dtype,
        )
        return Study(
            settings=self.settings,
            seeds=np.array(self.seeds[:: self.n_folds or 1]),
            history=history,
            **numbers,
            plan=plan,
            seconds=seconds,
            saved=saved,
            source=source,
        )

    def folds_of(self, lanes: Sequence[Lane]) -> tuple[LaneFold, ...] | None:
        """The fold of each of these lanes; None without folds."""
        return None if self.folds is None else tuple(self.folds[group] for _, group in lanes)

    def parts_of(self, lanes: Sequence[Lane]) -> tuple[LaneFold, ...] | None:
        """The examples of each of these lanes of one program; None if all have the whole split."""
        room = self.room_of(lanes[0])
        if room is None or not room.ends_early:
            return self.folds_of(lanes)
        return tuple(fold_of_first(self.settings[recipe].examples) for recipe, _ in lanes)

    def starts_of(self, lanes: Sequence[Lane]) -> tuple[LaneStart, ...] | None:
        """Where each of these lanes starts; None where all parameters are drawn and trained."""
        if self.starts is None:
            return None
        return tuple(self.starts[recipe][group // (self.n_folds or 1)] for recipe, group in lanes)

    def trains_first_layer_whole(self, lane: Lane) -> bool:
        """Whether no weight of a lane's first layer is frozen, so that it may train in the span."""
        return is_first_layer_whole(self._masks(lane))

    def _masks(self, lane: Lane) -> TrainableMasks | None:
        """What is trained of a lane; None for everything."""
        starts = self.starts_of([lane])
        return None if starts is None else starts[0].masks

    def room_of(self, lane: Lane) -> Room | None:
        """The room for examples of a program that trains this lane; None where it needs none."""
        setting = self.settings[lane[0]]
        schedule, monitors = setting.recipe.schedule, self.choices.monitors
        if self.folds is None:
            numbers = self.numbers_of_examples[setting.batch_size]
            return room_for_first(numbers, setting.batch_size, schedule, monitors)
        fold = self.folds[lane[1]]
        return room_for(self.folds, fold, setting.batch_size, schedule, monitors)

    def _run(self, lane: Lane) -> RunKey:
        """The setting's key, the seed, fold and start: equal for lanes that are the same run."""
        recipe, group = lane
        folds, starts = self.folds_of([lane]) or (), self.starts_of([lane]) or ()
        own_keys = (part.key for part in (*folds, *starts))
        return self.setting_keys[recipe], self.seeds[group], *own_keys

    def _unknown_history(self, epochs: int) -> History:
        """A history of NaN with the axes recipe, seed and epoch."""
        dtype = jax.dtypes.canonicalize_dtype(float)
        shape = (len(self.settings), len(self.seeds), epochs)
        names, monitors = self.choices.metric_names, self.choices.monitors
        curves = np.full((len(History.CURVES) + len(names), *shape), np.nan, dtype)
        history = History.from_array(curves, names)
        if monitors is None:
            return history
        first = self.settings[0]
        n_measured = len(monitors.rows(-(-first.examples // first.batch_size)))
        widths = monitors.widths(first.network).items()
        tables = {
            name: np.full((*shape, n_measured, width), np.nan, dtype) for name, width in widths
        }
        return history._replace(monitors=tables)

    def _add_record(self, record: Record) -> None:
        self.records.append(record)
        self._n_current_rows.append(0)
        scores = _scores_after(record, None, record.n_epochs, self.choices)
        for row, run in enumerate(record.lanes):
            for lane in self.lanes_by_run.get(run, ()):
                before = self.row_by_lane.get(lane)
                if before is None or self.records[before[0]].n_epochs <= record.n_epochs:
                    self.row_by_lane[lane] = (len(self.records) - 1, row)
                    self.lane_scores[lane] = scores[row]
                    self._n_current_rows[-1] += 1
                    if before is not None:
                        self._leave(before[0])

    def _leave(self, index: int) -> None:
        """Note that a lane has had more epochs in a later chunk than in this one."""
        self._n_current_rows[index] -= 1
        record = self.records[index]
        if self._n_current_rows[index] == 0 and record.params is not None:
            self._keeper.drop(record.params)
            self.records[index] = record._replace(params=None)

    def _chunk_params(self, record: Record, lanes: Sequence[Lane]) -> ChunkParams:
        """The parameters of a chunk that was just trained."""
        assert record.states is not None
        setting = self.settings[lanes[0][0]]
        program = dataclasses.replace(setting.network, sizes=record.program_sizes)
        masks = stacked_masks(self.starts_of(lanes), program)
        return chunk_params(setting.recipe.optimizer, masks, record.states)


def _check_keys(keys: Sequence[str], settings: Sequence[Setting]) -> None:
    """Refuse settings that have the same key, but different functions."""
    first_by_key: dict[str, Setting] = {}
    for key, setting in zip(keys, settings, strict=True):
        first = first_by_key.setdefault(key, setting)
        structures = (jax.tree.structure(first.recipe), jax.tree.structure(setting.recipe))
        if first.network != setting.network or structures[0] != structures[1]:
            raise ValueError(
                f"two settings are called the same, {first.network!r}, {first.recipe!r}, but have "
                "different functions; define each function under a name of its own at the top of a "
                "module."
            )


def _scores_after(
    record: Record, rule: Stopping | None, until: int, choices: Measured
) -> np.ndarray:
    """The scores that a chunk's lanes, which have this stopping rule, had after `until` epochs."""
    result, best = record.result, record.result.best_epoch
    if until < record.n_epochs:
        epochs = np.minimum(result.epochs, until)
        best = best_epochs(rule, result.history, epochs, choices.best_by(rule))
    diverged = np.where(result.diverged_epoch <= until, result.diverged_epoch, 0)
    return ranking_scores(result.history, best, diverged, choices.rank_by)
