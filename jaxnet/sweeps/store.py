"""Records: what is known of the lanes of a chunk, and the folder that keeps it.

A study's folder holds `study.json`, which says of what data and settings it is, and a file for each
chunk of lanes that was trained together: their curves, how they ended, and their last states, from
which more epochs go on. A chunk's file is written whole or not at all, so a sweep that is killed
loses at most the chunks that it was training.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
import safetensors.numpy

from jaxnet.acceleration.padding import narrowed
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, Params, Split
from jaxnet.io import files
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.chunk import Outcome
from jaxnet.sweeps.layout import Place
from jaxnet.training import checkpoints
from jaxnet.training.step import TrainState, start

FORMAT = 1
Lane = tuple[int, int]
"""A lane by its places on the axes recipe and seed."""
ARRAYS = tuple(name for name in Outcome._fields if name not in ("history", "places", "swept"))


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
        self.last: tuple[tuple[str, int], dict[str, np.ndarray]] | None = None
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
        files.write_atomic(header, (json.dumps(about, indent=2) + "\n").encode())

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
            "sha256": [files.sha256(found), files.sha256(leaves)],
        }
        content = safetensors.numpy.save(found | leaves, {"chunk": json.dumps(told)})
        files.write_atomic(self._file(record), content)

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
        asked = record.name(), record.length()
        if self.last is None or self.last[0] != asked:  # lanes of a chunk are asked for in turn
            found, told = _read(self._file(record), states=True)
            if told["epochs"] != record.length():
                raise LookupError(f"{self._file(record)} has had {told['epochs']} epochs by now.")
            self.last = asked, found
        found = self.last[1]
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
        if files.sha256(found) != told["sha256"][states]:
            raise ValueError("its arrays do not have the SHA-256 it names")
    except (*files.DAMAGE, KeyError, OSError) as error:
        raise ValueError(
            f"{path} is damaged: {error}. Delete it, and its lanes are trained again."
        ) from None
    return found, told


def ranked(history: History, epochs: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """What ranks lanes: see `Study.score`."""
    curves = [np.asarray(curve) for curve in history]
    order = (curves[1], -curves[0], curves[3], -curves[2])
    known = next((curve for curve in order if np.isfinite(curve).any()), order[0])
    last = np.maximum(epochs - 1, 0)[..., None]
    score = np.take_along_axis(known, last, axis=-1)[..., 0]
    return np.where((diverged > 0) | ~np.isfinite(score), -np.inf, score)


def joined_chunks(parts: list[tuple[Outcome, TrainState]]) -> tuple[Outcome, TrainState]:
    """What is known of lanes of several chunks, as of one."""
    outcomes = [outcome for outcome, _ in parts]
    arrays = {name: np.concatenate([getattr(o, name) for o in outcomes]) for name in ARRAYS}
    history = History(*(np.concatenate(some) for some in zip(*(o.history for o in outcomes))))
    places = tuple(place for outcome in outcomes for place in outcome.places)
    swept = any(outcome.swept for outcome in outcomes)
    states = jax.tree.map(lambda *rows: np.concatenate(rows), *(states for _, states in parts))
    return Outcome(history, **arrays, places=places, swept=swept), states


def part_of_chunk(chunk: tuple[Outcome, TrainState], one: slice) -> tuple[Outcome, TrainState]:
    """Some lanes of a chunk."""
    outcome, states = chunk
    arrays = {name: getattr(outcome, name)[one] for name in ARRAYS}
    history = History(*(curve[one] for curve in outcome.history))
    alone = outcome._replace(history=history, **arrays, places=outcome.places[one])
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
    return narrowed(setting.network, last)
