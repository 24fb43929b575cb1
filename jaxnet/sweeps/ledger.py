"""The ledger: all that is known of the lanes of a sweep while it goes on."""

import pickle

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxnet.core.types import Dataset, History, Params
from jaxnet.sweeps.chunk import ChunkResult
from jaxnet.sweeps.planning import Plan
from jaxnet.sweeps.store import (
    ARRAYS,
    Folder,
    Lane,
    Record,
    Setting,
    lane_params,
    part_of_chunk,
    ranked,
    state_like,
)
from jaxnet.sweeps.study import Source, Study
from jaxnet.training.step import TrainState

KEPT = 16
"""Without a folder, the parameters of so many lanes, the best ones, are kept."""


class Ledger:
    """All that is known of the lanes of a sweep while it goes on, in memory and in its folder."""

    def __init__(
        self, settings: tuple[Setting, ...], seeds: tuple[int, ...], folder: Folder | None
    ) -> None:
        self.settings, self.seeds, self.folder = settings, seeds, folder
        self.keys = [setting.key() for setting in settings]
        self.places: dict[tuple[str, int], list[Lane]] = {}
        for lane in np.ndindex(len(settings), len(seeds)):
            self.places.setdefault((self.keys[lane[0]], seeds[lane[1]]), []).append(lane)
        self.records: list[Record] = []
        self.where: dict[Lane, tuple[int, int]] = {}
        self.params: dict[Lane, tuple[float, Params]] = {}
        self.new: list[Record] = []
        alike: dict[str, Setting] = {}
        for key, setting in zip(self.keys, settings, strict=True):
            first = alike.setdefault(key, setting)
            static = lambda one: (one.network, jax.tree.structure(one.recipe))
            if static(first) != static(setting):
                raise ValueError(
                    f"two settings are called the same, {first.network!r}, {first.recipe!r}, but "
                    "have different functions; give these names of their own, at a module's top."
                )
        older = {setting.older_key(): key for setting, key in zip(settings, self.keys, strict=True)}
        for record in folder.records(older) if folder else ():
            self._add(record)

    def longest(self) -> int:
        """The most epochs that a lane of these settings and seeds has had."""
        return max((self.records[index].length() for index, _ in self.where.values()), default=0)

    def wanted(self, lanes: list[Lane]) -> list[Lane]:
        """These lanes, each of those that are the same run once; none, if all have begun."""
        once = {(self.keys[r], self.seeds[s]): (r, s) for r, s in lanes}
        return [] if all(lane in self.where for lane in once.values()) else list(once.values())

    def unfinished(self, lanes: list[Lane], until: int) -> list[tuple[Record, list[Lane]]]:
        """The chunks that have had fewer epochs, each with those of these lanes that would go on.

        A lane that has left a chunk, and has had more epochs in another, is in the later one only.
        """
        found: dict[int, list[Lane]] = {}
        for lane in dict.fromkeys(self.places[self.keys[r], self.seeds[s]][0] for r, s in lanes):
            if lane in self.where:
                index, row = self.where[lane]
                record = self.records[index]
                if record.length() < until and record.result.alive()[row]:
                    found.setdefault(index, []).append(lane)
        return [(self.records[index], some) for index, some in found.items()]

    def members(self, record: Record) -> list[Lane | None]:
        """A chunk's lanes by their places on the axes; those that are not asked for have none."""
        return [self.places.get(lane, [None])[0] for lane in record.lanes]

    def states(self, record: Record) -> TrainState:
        """The last states of a chunk."""
        if record.states is not None:
            return record.states
        assert self.folder is not None
        setting = next(self.settings[lane[0]] for lane in self.members(record) if lane is not None)
        return self.folder.states(record, state_like(record.program, setting))

    def gathered(self, lanes: list[Lane]) -> dict[Lane, tuple[ChunkResult, TrainState]]:
        """What is known of each of these lanes, one at a time."""
        found = {}
        for index in dict.fromkeys(self.where[lane][0] for lane in lanes):
            record = self.records[index]
            states = self.states(record)
            for lane in lanes:
                of, row = self.where[lane]
                if of == index:
                    found[lane] = part_of_chunk((record.result, states), slice(row, row + 1))
        return found

    def enter(
        self, lanes: tuple[Lane, ...], program: tuple[int, ...], result: ChunkResult,
        states: TrainState, keep: bool,
    ) -> None:  # fmt: skip
        """Take up what became of a chunk; its states stay in memory only if they are to be kept."""
        named = tuple((self.keys[r], self.seeds[s]) for r, s in lanes)
        record = Record(named, program, result, states)
        if self.folder is not None:
            self.folder.write(record)
        else:
            self._keep_best(record, lanes)
        slim = record._replace(states=None)
        self.new.append(slim)
        self._add(record if keep and self.folder is None else slim)

    def exchange(self, interrupted: bool) -> bool:
        """Tell all other processes of the new chunks, and hear of theirs.

        Returns:
          Whether any process was interrupted.
        """
        if jax.process_count() == 1:
            return interrupted
        mine = np.frombuffer(pickle.dumps((self.new, self.params, interrupted)), np.uint8)
        lengths = multihost_utils.process_allgather(np.array(len(mine)))
        padded = np.zeros(max(lengths), np.uint8)
        padded[: len(mine)] = mine
        for process, told in enumerate(multihost_utils.process_allgather(padded)):
            if process != jax.process_index():
                sent = np.asarray(told)[: lengths[process]].tobytes()
                new, params, theirs = pickle.loads(sent)
                interrupted = interrupted or theirs
                for record in new:
                    self._add(record)
                self._keep(params)
        self.new = []
        return interrupted

    def let_go(self) -> None:
        """Keep no states in memory any longer: chunks to come have theirs."""
        self.records = [record._replace(states=None) for record in self.records]

    def scores(self, until: int) -> np.ndarray:
        """The score that each lane had after so many epochs: see `Study.score`."""
        found = np.full((len(self.settings), len(self.seeds)), -np.inf)
        score = [ranked(*_ends(record.result, until)) for record in self.records]
        for lane, (index, row) in self.where.items():
            found[lane] = score[index][row]
        return found

    def study(
        self, epochs: int, out: list[Lane], plan: Plan, seconds: float, data: Dataset,
        evaluate_on: tuple[str, ...],
    ) -> Study:  # fmt: skip
        """All of it as a study; lanes that are `out` ended because of others."""
        shape = (len(self.settings), len(self.seeds))
        dtype = jax.dtypes.canonicalize_dtype(float)
        curves = np.full((4, *shape, epochs), np.nan, dtype)
        numbers = {name: np.zeros(shape, int) for name in ARRAYS if name != "best_score"}
        for lane, (index, row) in self.where.items():
            result = self.records[index].result
            history = np.array(result.history)[:, row]
            curves[:, *lane, : history.shape[1]] = history
            for name, array in numbers.items():
                array[lane] = getattr(result, name)[row]
        for lane in out:
            numbers["stopped"][lane] = 1
        numbers["stopped"] = numbers["stopped"].astype(bool)
        ended = numbers["stopped"] | (numbers["diverged_epoch"] > 0)
        saved = (epochs - numbers.pop("computed"))[ended].sum() / (epochs * ended.size)
        kept = {lane: params for lane, (_, params) in self.params.items()}
        chunks = tuple(self.records)
        source = Source(data, evaluate_on, chunks, dict(self.where), self.folder, kept)
        return Study(
            self.settings, np.array(self.seeds), History(*curves), **numbers, plan=plan,
            seconds=seconds, saved=saved, source=source,
        )  # fmt: skip

    def _add(self, record: Record) -> None:
        self.records.append(record)
        for row, name in enumerate(record.lanes):
            for lane in self.places.get(name, ()):
                before = self.where.get(lane)
                if before is None or self.records[before[0]].length() <= record.length():
                    self.where[lane] = (len(self.records) - 1, row)

    def _keep_best(self, record: Record, lanes: tuple[Lane, ...]) -> None:
        score = ranked(*_ends(record.result, record.length()))
        assert record.states is not None
        best = np.argsort(-score)[:KEPT].tolist()
        params = {
            lanes[row]: lane_params(self.settings[lanes[row][0]], record.states, row)
            for row in best
        }
        for lane in lanes:  # what it had after fewer epochs is no longer its last
            self.params.pop(lane, None)
        self._keep({lanes[row]: (float(score[row]), params[lanes[row]]) for row in best})

    def _keep(self, params: dict[Lane, tuple[float, Params]]) -> None:
        """Of all parameters, those of the best."""
        best = sorted((self.params | params).items(), key=lambda item: (-item[1][0], item[0]))
        self.params = dict(best[:KEPT])


def _ends(result: ChunkResult, until: int) -> tuple[History, np.ndarray, np.ndarray]:
    """The curves, epochs and divergences of a chunk's first so many epochs."""
    diverged = np.where(result.diverged_epoch <= until, result.diverged_epoch, 0)
    return result.history, np.minimum(result.epochs, until), diverged
