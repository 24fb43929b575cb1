"""The store: what is known of the lanes of a chunk, and the folder that keeps it.

A study's folder holds `study.json`, which says of what data and settings it is, and a file for each
chunk of lanes that was trained together: their curves, how they ended, and their last states, from
which more epochs go on. A chunk's file is written whole or not at all, so a sweep that is killed
loses at most the chunks that it was training.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.acceleration.padding import unpad_params
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, Params, Split
from jaxnet.io import files, version_0_2
from jaxnet.io.files import Origin
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.chunk import ChunkResult
from jaxnet.sweeps.layout import Slot
from jaxnet.training.fingerprint import fingerprint, require_same
from jaxnet.training.fingerprint_0_2 import fingerprint_0_2
from jaxnet.training.step import TrainState, start

KIND = "chunk"
FORMAT = 2
"""Of a chunk's file and of study.json."""
Lane = tuple[int, int]
"""A lane by its places on the axes recipe and seed."""
ARRAYS = tuple(
    name for name in ChunkResult._fields if name not in ("history", "places", "swept", "origins")
)


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
        return self._hashed(fingerprint(self.network, self.recipe, self.batch_size))

    def older_key(self) -> str:
        """What version 0.2 called it."""
        return self._hashed(fingerprint_0_2(self.network, self.recipe, self.batch_size))

    def _hashed(self, settings: dict[str, Any]) -> str:
        text = json.dumps(settings | {"examples": self.examples}, sort_keys=True)
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
    result: ChunkResult
    states: TrainState | None
    """The last ones, a row a lane, where they are in memory."""
    file: Path | None = None
    """Its file of version 0.2, where it is one."""

    def length(self) -> int:
        """The epochs that its lanes have been trained for, where they did not end."""
        return self.result.history.training_cost.shape[1]

    def name(self) -> str:
        """The name of its file: a chunk of the same lanes replaces it."""
        text = json.dumps([self.lanes, self.program])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Folder:
    """Where a study's chunks are kept.

    Args:
      path: the folder, made if it is not there.
      about: what the study is of, in JSON's types, with the `format` of its files.

    Raises:
      ValueError: the folder holds another study, or its study.json is damaged.
    """

    def __init__(self, path: str | Path, about: dict[str, Any]) -> None:
        self.path, self.about = Path(path), about
        self.older: dict[str, Path] = {}
        """Files of version 0.2, by the name of today's file that would replace each."""
        self.last: tuple[tuple[str, int], dict[str, np.ndarray]] | None = None
        (self.path / "chunks").mkdir(parents=True, exist_ok=True)
        self.header = self.path / "study.json"
        if not self.header.exists():
            self._write_header()
            return
        before = _read_header(self.header)
        # Version 0.2's chunks are read too, and the folder is marked when one of today's joins
        # them, so that version 0.2 refuses the folder and does not call that chunk damaged.
        self.outdated = before.get("format") == version_0_2.CHUNK_FORMAT != about.get("format")
        expected = about | {"format": version_0_2.CHUNK_FORMAT} if self.outdated else about
        require_same(f"{self.path} holds another study", before, expected, "Choose another folder.")

    def write(self, record: Record) -> None:
        """Keep a chunk, atomically."""
        record = record._replace(file=None)
        result, states = record.result, record.states
        assert states is not None
        if self.outdated:
            self._write_header()
        arrays = {"outcome/history": np.array(result.history)}
        arrays |= {f"outcome/{name}": np.asarray(getattr(result, name)) for name in ARRAYS}
        leaves = enumerate(jax.tree.leaves(states))
        arrays |= {f"state/{index:06d}": np.asarray(leaf) for index, leaf in leaves}
        header = {
            "lanes": record.lanes,
            "program": record.program,
            "places": result.places,
            "epochs": record.length(),
            "swept": result.swept,
            "study": self.about,
            "origins": [origin._asdict() for origin in result.origins],
        }
        files.write_sealed(self._file(record), KIND, FORMAT, arrays, header)
        older = self.older.pop(record.name(), None)
        if older not in (None, self._file(record)):  # the chunk has had fewer epochs there
            older.unlink(missing_ok=True)

    def records(self, keys: Mapping[str, str]) -> Iterator[Record]:
        """All chunks, without their states.

        Args:
          keys: the key of a setting by what version 0.2 called it.

        Raises:
          ValueError: a chunk's file is damaged.
        """
        for path in sorted((self.path / "chunks").glob("*.safetensors")):
            record, _ = _read(path, ("outcome",), self.about)
            if record.file is not None:
                lanes = tuple((keys.get(key, key), seed) for key, seed in record.lanes)
                record = record._replace(lanes=lanes)
                self.older[record.name()] = path
            yield record

    def states(self, record: Record, like: Any) -> TrainState:
        """The last states of a chunk's lanes, of this structure.

        Raises:
          ValueError: the chunk's file is damaged, or its states have another structure.
          LookupError: another process has trained the chunk for longer by now.
        """
        asked, path = (record.name(), record.length()), self._file(record)
        if record.file is not None and not path.exists():
            raise LookupError(f"{path} was replaced by a chunk of this version.")
        if self.last is None or self.last[0] != asked:  # lanes of a chunk are asked for in turn
            kept, arrays = _read(path, ("outcome", "state"), self.about)
            if kept.length() != record.length():
                raise LookupError(f"{path} has had {kept.length()} epochs by now.")
            self.last = asked, files.section(arrays, "state")
        leaves, structure = self.last[1], jax.tree.structure(like)
        if len(leaves) != structure.num_leaves:
            raise ValueError(
                f"{path} holds {len(leaves)} arrays of states, and this training has "
                f"{structure.num_leaves}. Delete it, and its lanes are trained again."
            )
        return jax.tree.unflatten(structure, [leaves[name] for name in sorted(leaves, key=int)])

    def _write_header(self) -> None:
        files.write_atomic(self.header, (json.dumps(self.about, indent=2) + "\n").encode())
        self.outdated = False

    def _file(self, record: Record) -> Path:
        return record.file or self.path / "chunks" / f"{record.name()}.safetensors"


def _read_header(path: Path) -> dict[str, Any]:
    """What study.json says."""
    try:
        about = json.loads(path.read_bytes())
        if not isinstance(about, dict):
            raise ValueError("its JSON is not an object")
    except files.DAMAGE as error:
        raise ValueError(
            f"{path} is damaged: {files.reason(error)}; choose another folder."
        ) from None
    return about


def _read(
    path: Path, sections: Collection[str], about: dict[str, Any]
) -> tuple[Record, dict[str, np.ndarray]]:
    """A chunk's file: its record, without states, and the arrays of these sections."""
    try:
        arrays, header = files.read_sealed(
            path, KIND, FORMAT, sections, older=version_0_2.read_chunk
        )
        record = _record(files.section(arrays, "outcome"), header)
        if header.get("study", about) != about:  # version 0.2 did not say
            raise ValueError("it is of another study, with other data or another monitor")
        if record.name() != path.stem:
            raise ValueError(f"its lanes are those of {record.name()}.safetensors")
        if header["format"] < FORMAT:
            record = record._replace(file=path)
    except (*files.DAMAGE, OSError) as error:
        raise ValueError(
            f"{path} is damaged: {files.reason(error)}. Delete it, and its lanes are trained again."
        ) from None
    return record, arrays


def _record(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Record:
    """What a chunk's file says, without the states."""
    places = tuple(tuple(Slot(*place) for place in lane) for lane in header["places"])
    result = ChunkResult(
        History(*arrays["history"]),
        **{name: arrays[name] for name in ARRAYS},
        places=places,
        swept=header["swept"],
        origins=tuple(Origin(**origin) for origin in header.get("origins", [header["origin"]])),
    )
    lanes = tuple((key, seed) for key, seed in header["lanes"])
    return Record(lanes, tuple(header["program"]), result, None)


def ranked(history: History, epochs: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """What ranks lanes: see `Study.score`."""
    curves = [np.asarray(curve) for curve in history]
    order = (curves[1], -curves[0], curves[3], -curves[2])
    known = next((curve for curve in order if np.isfinite(curve).any()), order[0])
    last = np.maximum(epochs - 1, 0)[..., None]
    score = np.take_along_axis(known, last, axis=-1)[..., 0]
    return np.where((diverged > 0) | ~np.isfinite(score), -np.inf, score)


def joined_chunks(parts: list[tuple[ChunkResult, TrainState]]) -> tuple[ChunkResult, TrainState]:
    """What is known of lanes of several chunks, as of one."""
    results = [result for result, _ in parts]
    arrays = {name: np.concatenate([getattr(o, name) for o in results]) for name in ARRAYS}
    history = History(*(np.concatenate(some) for some in zip(*(o.history for o in results))))
    places = tuple(place for result in results for place in result.places)
    swept = any(result.swept for result in results)
    origins = tuple(dict.fromkeys(origin for result in results for origin in result.origins))
    states = jax.tree.map(lambda *rows: np.concatenate(rows), *(states for _, states in parts))
    return ChunkResult(history, **arrays, places=places, swept=swept, origins=origins), states


def part_of_chunk(
    chunk: tuple[ChunkResult, TrainState], one: slice
) -> tuple[ChunkResult, TrainState]:
    """Some lanes of a chunk."""
    result, states = chunk
    arrays = {name: getattr(result, name)[one] for name in ARRAYS}
    history = History(*(curve[one] for curve in result.history))
    alone = result._replace(history=history, **arrays, places=result.places[one])
    return alone, jax.tree.map(lambda leaf: leaf[one], states)


def first_examples(data: Dataset, n: int) -> Dataset:
    """The data with the first n training examples."""
    train = data.train
    return data if n == len(train.x) else data._replace(train=Split(train.x[:n], train.y[:n]))


def state_like(program: tuple[int, ...], setting: Setting) -> TrainState:
    """The structure of a lane's state, in a program of these sizes."""
    net = setting.network
    wide = Network(program, net.hidden, net.cost, net.init, net.precision)
    key, stops = jax.random.key(0, impl="threefry2x32"), setting.recipe.stopping is not None
    begun = lambda recipe: start(wide, recipe, key, keep_best=stops)
    return jax.eval_shape(begun, setting.recipe)


def lane_params(setting: Setting, states: TrainState, row: int) -> Params:
    """The parameters to evaluate of a lane, at their true widths."""
    opt_state, params = jax.tree.map(lambda leaf: leaf[row], (states.opt_state, states.params))
    last = setting.recipe.optimizer.evaluation_params(opt_state, params)
    return unpad_params(setting.network, last)
