"""Studies: what a sweep has found, lane by lane, and the folder that keeps it.

A study's folder holds `study.json`, which says of what data and settings it is, and a file for each
chunk of lanes that was trained together: their curves, how they ended, and their last states, from
which more epochs go on. A chunk's file is written whole or not at all, so a sweep that is killed
loses at most the chunks that it was training.
"""

import csv
import hashlib
import io
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
import safetensors.numpy
from jax.experimental import multihost_utils

from jaxnet import checkpoints, lanes, storage, training
from jaxnet.driver import Ending, Run, train
from jaxnet.lanes import Outcome, Place, Work
from jaxnet.network import Network
from jaxnet.plans import Plan
from jaxnet.recipe import Recipe
from jaxnet.training import TrainState
from jaxnet.types import Dataset, History, Layer, Params, Split

FORMAT = 1
Lane = tuple[int, int]
"""A lane by its places on the axes recipe and seed."""
AXES = ("recipe", "seed", "epoch")
CURVES = History._fields
ARRAYS = tuple(name for name in Outcome._fields if name not in ("history", "places", "swept"))
KEPT = 16
"""Without a folder, the parameters of so many lanes, the best ones, are kept."""


class Setting(NamedTuple):
    """One place on a study's first axis: what is the same for all its seeds."""

    network: Network
    recipe: Recipe
    """Its numbers are scalars."""
    batch_size: int
    examples: int
    """How many of the training examples, from the first on."""

    def key(self) -> str:
        """What it is called in a folder: the same wherever the runs would be."""
        told = checkpoints.described(self.network, self.recipe, self.batch_size)
        text = json.dumps(told | {"examples": self.examples}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def number(self, name: str) -> float:
        """A number by its name, or by the end of it: patience for stopping.patience."""
        return next(v for k, v in self.columns().items() if k == name or k.endswith(f".{name}"))

    def columns(self) -> dict[str, Any]:
        """All that may differ between settings, by name: for tables and files."""
        found: dict[str, Any] = {
            "network": "-".join(map(str, self.network.sizes)),
            "batch_size": self.batch_size,
            "examples": self.examples,
            "optimizer": self.recipe.optimizer.name,
        }
        leaves, _ = jax.tree_util.tree_flatten_with_path(self.recipe)
        for path, leaf in leaves:
            names = [str(getattr(key, "name", getattr(key, "key", key))) for key in path]
            names = [name for name in names if name not in ("optimizer", "hyper")]
            found[".".join(names)] = float(leaf)
        return found


class Record(NamedTuple):
    """A chunk of lanes, trained: what a file of a study's folder holds."""

    lanes: tuple[tuple[str, int], ...]
    """Each lane's setting, by key, and its seed."""
    program: tuple[int, ...]
    """The sizes of the program's network."""
    outcome: Outcome
    states: TrainState | None
    """The last ones, a row a lane, where they are in memory."""

    def length(self) -> int:
        """The epochs that its lanes have been trained for, where they did not end."""
        return self.outcome.history.training_cost.shape[1]

    def name(self) -> str:
        """The name of its file: a chunk of the same lanes replaces it."""
        text = json.dumps([self.lanes, self.program])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Folder:
    """Where a study's chunks are kept."""

    def __init__(self, path: str | Path, about: dict[str, Any]) -> None:
        self.path = Path(path)
        (self.path / "chunks").mkdir(parents=True, exist_ok=True)
        header = self.path / "study.json"
        if header.exists():
            before = json.loads(header.read_text())
            for name in about:
                if before.get(name) != about[name]:
                    raise ValueError(
                        f"{self.path} holds another study: its {name} was {before.get(name)!r} and "
                        f"is {about[name]!r}; choose another folder."
                    )
            return
        storage.write_atomic(header, (json.dumps(about, indent=2) + "\n").encode())

    def write(self, record: Record) -> None:
        """Keep a chunk, atomically."""
        outcome, states = record.outcome, record.states
        assert states is not None
        found = {"history": np.array(outcome.history)}
        found |= {name: np.asarray(getattr(outcome, name)) for name in ARRAYS}
        leaves = {f"state/{i:03d}": leaf for i, leaf in enumerate(jax.tree.leaves(states))}
        told = {
            "format": FORMAT,
            "lanes": record.lanes,
            "program": record.program,
            "places": outcome.places,
            "epochs": record.length(),
            "swept": outcome.swept,
            "sha256": [storage.sha256(found), storage.sha256(leaves)],
        }
        content = safetensors.numpy.save(found | leaves, {"chunk": json.dumps(told)})
        storage.write_atomic(self._file(record), content)

    def records(self) -> Iterator[Record]:
        """All chunks, without their states."""
        for path in sorted((self.path / "chunks").glob("*.safetensors")):
            found, told = _read(path, states=False)
            ends = {name: found[name] for name in ARRAYS}
            places = tuple(tuple(Place(*one) for one in some) for some in told["places"])
            history = History(*found["history"])
            outcome = Outcome(history, **ends, places=places, swept=told["swept"])
            lanes = tuple((key, seed) for key, seed in told["lanes"])
            yield Record(lanes, tuple(told["program"]), outcome, None)

    def states(self, record: Record, like: Any) -> TrainState:
        """The last states of a chunk's lanes, of this structure."""
        found, told = _read(self._file(record), states=True)
        if told["epochs"] != record.length():
            raise LookupError(f"{self._file(record)} has had {told['epochs']} epochs by now.")
        return jax.tree.unflatten(jax.tree.structure(like), [found[name] for name in sorted(found)])

    def _file(self, record: Record) -> Path:
        return self.path / "chunks" / f"{record.name()}.safetensors"


def _read(path: Path, states: bool) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A chunk's file: its states, or all but those."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            told = json.loads(file.metadata()["chunk"])
            if told["format"] != FORMAT:
                raise ValueError(f"its format is {told['format']!r}; this version reads {FORMAT}")
            names = [name for name in file.keys() if name.startswith("state/") == states]  # noqa: SIM118
            found = {name: file.get_tensor(name) for name in names}
        if storage.sha256(found) != told["sha256"][states]:
            raise ValueError("its arrays do not have the SHA-256 it names")
    except (*storage.DAMAGE, KeyError, OSError) as error:
        raise ValueError(
            f"{path} is damaged: {error}. Delete it, and its lanes are trained again."
        ) from None
    return found, told


@dataclass(frozen=True)
class Source:
    """What a study was made from: enough to train any of its lanes again."""

    data: Dataset
    monitor: tuple[str, ...]
    records: tuple[Record, ...]
    where: dict[tuple[int, int], tuple[int, int]]
    """Each lane's record, and its row there."""
    folder: Folder | None
    params: dict[tuple[int, int], Params]
    """Those of the best lanes, where there is no folder."""


class Study(NamedTuple):
    """What a sweep has found: arrays with the named axes (recipe, seed, epoch).

    Every array has the axes that its name stands for, in this order: the curves of `history` all
    three, what is one number a lane, the first two. A curve is NaN after a lane's end.
    """

    settings: tuple[Setting, ...]
    """Along the axis recipe."""
    seeds: np.ndarray
    """Along the axis seed."""
    history: History
    """The four curves, each (recipe, seed, epoch)."""
    epochs: np.ndarray
    """Epochs trained."""
    best_epoch: np.ndarray
    stopped: np.ndarray
    """Whether the stopping rule, or halving, ended it."""
    diverged_epoch: np.ndarray
    """The epoch in which a lane diverged, from 1; 0 if it did not."""
    diverged_step: np.ndarray
    """The mini-batch of that epoch, from 1, that left a number that is not finite."""
    plan: Plan
    seconds: float
    """Of this call."""
    saved: float
    """The part of the work that was not done because lanes had stopped or diverged."""
    source: Source

    axes = AXES

    @property
    def score(self) -> np.ndarray:
        """What ranks lanes, (recipe, seed): the last evaluation accuracy, or minus the cost.

        A lane that diverged has −∞. Without an evaluation it is the training curves that count.
        """
        return ranked(self.history, self.epochs, self.diverged_epoch)

    @property
    def best_lane(self) -> tuple[int, int]:
        """Recipe and seed, as places on the axes, of the lane that ranks first."""
        recipe, seed = np.unravel_index(np.argmax(self.score), self.score.shape)
        return int(recipe), int(seed)

    @property
    def best_recipe(self) -> int:
        """The recipe whose mean over seeds ranks first."""
        return int(np.argmax(self.score.mean(axis=1)))

    def run(self, recipe: int, seed: int) -> Run:
        """A lane as the `Run` that `train` would have returned, by places on the axes.

        Its parameters come from the folder, or from memory if it is among the best; any other
        lane, and any whose best epoch was not its last, is trained again: see `replay`.
        """
        lane = self._lane(recipe, seed)
        params = self._kept(*lane)
        if params is None or self.best_epoch[lane] != self.epochs[lane]:
            return self.replay(*lane)
        return self._as_run(lane, params, params)

    def params(self, recipe: int, seed: int) -> Params:
        """A lane's last parameters, by places on the axes: trained again if they are not kept."""
        lane = self._lane(recipe, seed)
        kept = self._kept(*lane)
        return self.replay(*lane).params if kept is None else kept

    def replay(self, recipe: int, seed: int, alone: bool = False) -> Run:
        """Train a lane again, by places on the axes.

        Args:
          recipe: its place on the first axis.
          seed: its place on the second axis.
          alone: whether to train it with `train`, as a network of its own, and not in programs of
            the sizes that it was in, to the same bits.
        """
        lane = self._lane(recipe, seed)
        setting, number = self.settings[lane[0]], int(self.seeds[lane[1]])
        data = examples(self.source.data, setting.examples)
        if alone:
            return train(
                setting.network,
                data,
                setting.recipe,
                epochs=max(1, int(self.epochs[lane])),
                batch_size=setting.batch_size,
                seed=number,
                monitor=self.source.monitor,
            )
        number_of_record, row = self.source.where[lane]
        chunk = self.source.records[number_of_record]
        packings = tuple(place.alone() for place in chunk.outcome.places[row])
        net = setting.network
        stacked = jax.tree.map(lambda leaf: np.asarray(leaf)[None], setting.recipe)
        stacked = stacked if chunk.outcome.swept else lanes.shared(stacked)
        program = Network(chunk.program, net.hidden, net.cost, net.init, net.precision)
        work = Work(
            (net,), stacked, (number,), program, packings, setting.batch_size,
            max(1, int(self.epochs[lane])), self.source.monitor, repack=False, keep_best=True,
        )  # fmt: skip
        _, states = lanes.train_chunk(work, data)
        best = states.watch.best
        last = setting.recipe.optimizer.evaluation_params(
            *jax.tree.map(lambda leaf: leaf[0], (states.opt_state, states.params))
        )
        kept = jax.tree.map(lambda leaf: leaf[0], best)
        return self._as_run(lane, narrowed(net, last), narrowed(net, kept))

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for each epoch that was trained: setting, seed, how it ended, the four curves."""
        for lane in np.ndindex(self.epochs.shape):
            told = {"recipe": lane[0], **self.settings[lane[0]].columns()}
            told |= {"seed": int(self.seeds[lane[1]]), "ending": self.ending(*lane)}
            for epoch in range(self.epochs[lane]):
                curves = {
                    name: float(curve[*lane, epoch]) for name, curve in zip(CURVES, self.history)
                }
                yield told | {"epoch": epoch + 1} | curves

    def ending(self, recipe: int, seed: int) -> Ending:
        """How a lane ended, in a word."""
        if self.diverged_epoch[recipe, seed]:
            return "diverged"
        if self.stopped[recipe, seed]:
            return "stopped"
        asked = self.history.training_cost.shape[-1]
        return "done" if self.epochs[recipe, seed] == asked else "interrupted"

    def to_csv(self, path: str | Path) -> None:
        """Write `rows` as CSV, atomically; what was not monitored stays empty."""
        table = list(self.rows())
        names = list(dict.fromkeys(name for row in table for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: "" if v != v else v for k, v in row.items()} for row in table)
        storage.write_atomic(path, text.getvalue().encode())

    def to_frame(self) -> Any:
        """`rows` as a pandas frame.

        Raises:
          ImportError: pandas is not installed.
        """
        try:
            import pandas  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError("a frame needs pandas: pip install pandas.") from None
        return pandas.DataFrame(list(self.rows()))

    def to_parquet(self, path: str | Path) -> None:
        """Write `rows` as Parquet, atomically.

        Raises:
          ImportError: pyarrow is not installed.
        """
        try:
            import pyarrow  # pyright: ignore[reportMissingImports]
            import pyarrow.parquet  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError("Parquet needs pyarrow: pip install pyarrow.") from None
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(self.rows())), sink)
        storage.write_atomic(path, sink.getvalue().to_pybytes())

    def __repr__(self) -> str:
        recipe, seed = self.best_lane
        n = self.epochs.size
        return (
            f"Study({len(self.settings)} recipes × {len(self.seeds)} seeds × "
            f"{self.epochs.max(initial=0)} epochs; "
            f"best lane: recipe {recipe}, seed {self.seeds[seed]}, {self.score[recipe, seed]:.4g}; "
            f"{np.count_nonzero(self.diverged_epoch)} of {n} diverged)"
        )

    def _lane(self, recipe: int, seed: int) -> tuple[int, int]:
        """The places on the axes, from 0."""
        try:
            lane = range(len(self.settings))[recipe], range(len(self.seeds))[seed]
            if lane in self.source.where:
                return lane
            raise ValueError(
                f"lane {lane} was not begun: the sweep was interrupted; with a folder, the same "
                "call goes on."
            )
        except IndexError:
            raise ValueError(
                f"there is no lane ({recipe}, {seed}): the study has {len(self.settings)} recipes "
                f"and {len(self.seeds)} seeds, counted from 0."
            ) from None

    def _kept(self, *lane: int) -> Params | None:
        """A lane's last parameters, if they are kept."""
        if self.source.folder is None:
            return self.source.params.get((lane[0], lane[1]))
        record, row = self.source.where[lane[0], lane[1]]
        setting = self.settings[lane[0]]
        chunk = self.source.records[record]
        like = state_like(chunk.program, setting)
        try:
            return lane_params(setting, self.source.folder.states(chunk, like), row)
        except LookupError:  # a later call has trained it for longer
            return None

    def _as_run(self, lane: tuple[int, int], params: Params, best: Params) -> Run:
        setting, n = self.settings[lane[0]], int(self.epochs[lane])
        ending = self.ending(*lane)
        stopped = None
        if ending == "diverged":
            stopped = (
                f"training diverged in epoch {self.diverged_epoch[lane]}, at mini-batch "
                f"{self.diverged_step[lane]} of it."
            )
        elif ending == "stopped":
            stopped = f"stopped after epoch {n}."
        return Run(
            setting.network,
            setting.recipe,
            self.history.training_cost.shape[-1],
            setting.batch_size,
            int(self.seeds[lane[1]]),
            params,
            History(*(curve[*lane, :n] for curve in self.history)),
            int(self.best_epoch[lane]),
            best,
            {},
            ending,
            stopped,
        )


def ranked(history: History, epochs: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """What ranks lanes: see `Study.score`."""
    curves = [np.asarray(curve) for curve in history]
    order = (curves[1], -curves[0], curves[3], -curves[2])
    known = next((curve for curve in order if np.isfinite(curve).any()), order[0])
    last = np.maximum(epochs - 1, 0)[..., None]
    score = np.take_along_axis(known, last, axis=-1)[..., 0]
    return np.where((diverged > 0) | ~np.isfinite(score), -np.inf, score)


def _ends(outcome: Outcome, until: int) -> tuple[History, np.ndarray, np.ndarray]:
    """The curves, epochs and divergences of a chunk's first so many epochs."""
    diverged = np.where(outcome.diverged_epoch <= until, outcome.diverged_epoch, 0)
    return outcome.history, np.minimum(outcome.epochs, until), diverged


def joined(parts: list[tuple[Outcome, TrainState]]) -> tuple[Outcome, TrainState]:
    """What is known of lanes of several chunks, as of one."""
    outcomes = [outcome for outcome, _ in parts]
    arrays = {name: np.concatenate([getattr(o, name) for o in outcomes]) for name in ARRAYS}
    history = History(*(np.concatenate(some) for some in zip(*(o.history for o in outcomes))))
    places = tuple(place for outcome in outcomes for place in outcome.places)
    swept = any(outcome.swept for outcome in outcomes)
    states = jax.tree.map(lambda *rows: np.concatenate(rows), *(states for _, states in parts))
    return Outcome(history, **arrays, places=places, swept=swept), states


def part(chunk: tuple[Outcome, TrainState], one: slice) -> tuple[Outcome, TrainState]:
    """Some lanes of a chunk."""
    outcome, states = chunk
    arrays = {name: getattr(outcome, name)[one] for name in ARRAYS}
    history = History(*(curve[one] for curve in outcome.history))
    alone = outcome._replace(history=history, **arrays, places=outcome.places[one])
    return alone, jax.tree.map(lambda leaf: leaf[one], states)


class Book:
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
        for record in folder.records() if folder else ():
            self._add(record)

    def longest(self) -> int:
        """The most epochs that a lane of these settings and seeds has had."""
        return max((self.records[index].length() for index, _ in self.where.values()), default=0)

    def missing(self, lanes: list[Lane]) -> list[Lane]:
        """Those that have not begun, each once."""
        once = {(self.keys[r], self.seeds[s]): (r, s) for r, s in lanes}
        return [lane for lane in once.values() if lane not in self.where]

    def unfinished(self, lanes: list[Lane], until: int) -> list[Record]:
        """The chunks with lanes that have had fewer epochs, and would go on."""
        found: dict[int, None] = {}
        for lane in lanes:
            if lane in self.where:
                index, row = self.where[lane]
                record = self.records[index]
                if record.length() < until and record.outcome.alive()[row]:
                    found[index] = None
        return [self.records[index] for index in found]

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

    def gathered(self, lanes: list[Lane]) -> dict[Lane, tuple[Outcome, TrainState]]:
        """What is known of each of these lanes, one at a time."""
        found = {}
        for index in dict.fromkeys(self.where[lane][0] for lane in lanes):
            record = self.records[index]
            states = self.states(record)
            for lane in lanes:
                of, row = self.where[lane]
                if of == index:
                    found[lane] = part((record.outcome, states), slice(row, row + 1))
        return found

    def enter(
        self, lanes: tuple[Lane, ...], program: tuple[int, ...], outcome: Outcome,
        states: TrainState, keep: bool,
    ) -> None:  # fmt: skip
        """Take up what became of a chunk; its states stay in memory only if they are to be kept."""
        named = tuple((self.keys[r], self.seeds[s]) for r, s in lanes)
        record = Record(named, program, outcome, states)
        if self.folder is not None:
            self.folder.write(record)
        else:
            self._keep_best(record, lanes)
        slim = record._replace(states=None)
        self.new.append(slim)
        self._add(record if keep and self.folder is None else slim)

    def exchange(self) -> None:
        """Tell all other processes of the new chunks, and hear of theirs."""
        if jax.process_count() == 1:
            return
        mine = np.frombuffer(pickle.dumps((self.new, self.params)), np.uint8)
        lengths = multihost_utils.process_allgather(np.array(len(mine)))
        padded = np.zeros(max(lengths), np.uint8)
        padded[: len(mine)] = mine
        for process, told in enumerate(multihost_utils.process_allgather(padded)):
            if process != jax.process_index():
                records, params = pickle.loads(np.asarray(told)[: lengths[process]].tobytes())
                for record in records:
                    self._add(record)
                self._keep(params)
        self.new = []

    def scores(self, until: int) -> np.ndarray:
        """The score that each lane had after so many epochs: see `Study.score`."""
        found = np.full((len(self.settings), len(self.seeds)), -np.inf)
        score = [ranked(*_ends(record.outcome, until)) for record in self.records]
        for lane, (index, row) in self.where.items():
            found[lane] = score[index][row]
        return found

    def study(
        self, epochs: int, out: list[Lane], plan: Plan, seconds: float, data: Dataset,
        monitor: tuple[str, ...],
    ) -> Study:  # fmt: skip
        """All of it as a study; lanes that are `out` ended because of others."""
        shape = (len(self.settings), len(self.seeds))
        dtype = jax.dtypes.canonicalize_dtype(float)
        curves = np.full((4, *shape, epochs), np.nan, dtype)
        numbers = {name: np.zeros(shape, int) for name in ARRAYS if name != "best_score"}
        for lane, (index, row) in self.where.items():
            outcome = self.records[index].outcome
            history = np.array(outcome.history)[:, row]
            curves[:, *lane, : history.shape[1]] = history
            for name, array in numbers.items():
                array[lane] = getattr(outcome, name)[row]
        for lane in out:
            numbers["stopped"][lane] = 1
        numbers["stopped"] = numbers["stopped"].astype(bool)
        ended = numbers["stopped"] | (numbers["diverged_epoch"] > 0)
        saved = (epochs - numbers.pop("computed"))[ended].sum() / (epochs * ended.size)
        where, records = dict(self.where), tuple(self.records)
        kept = {lane: params for lane, (_, params) in self.params.items()}
        source = Source(data, monitor, records, where, self.folder, kept)
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
        score = ranked(*_ends(record.outcome, record.length()))
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


def examples(data: Dataset, n: int) -> Dataset:
    """The data with the first n training examples."""
    train = data.train
    return data if n == len(train.x) else data._replace(train=Split(train.x[:n], train.y[:n]))


def state_like(program: tuple[int, ...], setting: Setting) -> TrainState:
    """The structure of a lane's state, in a program of these sizes."""
    net = setting.network
    wide = Network(program, net.hidden, net.cost, net.init, net.precision)
    key, stops = jax.random.key(0, impl="threefry2x32"), setting.recipe.stopping is not None
    begun = lambda recipe: training.start(wide, recipe, key, keep_best=stops)
    return jax.eval_shape(begun, setting.recipe)


def lane_params(setting: Setting, states: TrainState, row: int) -> Params:
    """The parameters to evaluate of a lane, at their true widths."""
    opt_state, params = jax.tree.map(lambda leaf: leaf[row], (states.opt_state, states.params))
    last = setting.recipe.optimizer.evaluation_params(opt_state, params)
    return narrowed(setting.network, last)


def narrowed(net: Network, params: Params) -> Params:
    """Parameters without the units that only fill up the width."""
    return tuple(
        Layer(layer.w[:n_in, :n_out], layer.b[:n_out])
        for layer, n_in, n_out in zip(params, net.sizes, net.sizes[1:])
    )
