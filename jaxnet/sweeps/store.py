"""The store: the settings of a sweep, and the folder that keeps its trained chunks.

A study's folder holds `study.json`, which names its data and choices, and one file for each chunk
of lanes that was trained together: their curves, how they ended, and their last states, from which
more epochs go on. A chunk's file is written whole or not at all, so a sweep that is killed loses at
most the chunks that it was training.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import jax
import numpy as np

from jaxnet.core import activations, initializers
from jaxnet.core.arguments import brief
from jaxnet.core.network import Network
from jaxnet.core.registry import Registry, suggestion
from jaxnet.core.types import Dataset, History
from jaxnet.io import files, reading, version_0_2
from jaxnet.io.files import Origin
from jaxnet.io.reading import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.chunk import ChunkResult, TrainedChunk
from jaxnet.sweeps.chunk_params import KeptParams
from jaxnet.sweeps.layout import Slot
from jaxnet.training.fingerprint import fingerprint, require_same
from jaxnet.training.fingerprint_0_2 import fingerprint_0_2
from jaxnet.training.step import TrainState, state_struct

KIND = "chunk"
"""The kind of a chunk's file."""
FORMAT = 2
"""The format of a chunk's file and of study.json."""
Lane = tuple[int, int]
"""A lane by its places on a study's axes recipe and seed, counted from 0."""
RunKey = tuple[str | int, ...]
"""A run by the key of its setting and its seed, and by the keys of its fold and its start if it has
any."""
ARRAYS = (
    "epochs",
    "computed",
    "best_epoch",
    "best_score",
    "stopped",
    "diverged_epoch",
    "diverged_step",
)
"""The fields of `ChunkResult` that are arrays, by which a chunk's file names its arrays, too."""


class Setting(NamedTuple):
    """One entry of a study's first axis: what its networks under all seeds have in common."""

    network: Network
    """The architecture."""
    recipe: Recipe
    """How the network is trained; its hyperparameters are scalars."""
    batch_size: int
    """Examples per mini-batch."""
    examples: int
    """Training examples, from the first on."""

    def description(self) -> JsonObject:
        """All that identifies the setting, in JSON's types."""
        own = {"examples": self.examples}
        return fingerprint(self.network, self.recipe, self.batch_size) | own

    def key(self) -> str:
        """The name of the setting in a folder: equal for settings whose runs would be equal."""
        return key_of(self.description())

    def older_key(self) -> str:
        """The name of the setting in a folder of version 0.2."""
        own = {"examples": self.examples}
        return key_of(fingerprint_0_2(self.network, self.recipe, self.batch_size) | own)

    def number(self, name: str) -> float:
        """A hyperparameter by its name in `columns`, or by the last part of that name.

        Args:
          name: such as "stopping.patience", or "patience" for short.

        Raises:
          ValueError: the setting has no such hyperparameter.

        >>> from jaxnet.recipes.optimizers import sgd
        >>> Setting(Network((2, 3, 2)), Recipe(sgd(0.5)), 10, 100).number("learning_rate")
        0.5
        """
        columns = {
            column: value for column, value in self.columns().items() if not isinstance(value, str)
        }
        for column, value in columns.items():
            if column == name or column.endswith(f".{name}"):
                return value
        known = (column.rpartition(".")[2] for column in columns)
        raise ValueError(
            f"{brief(name)} is no number of this setting; {suggestion(str(name), known)}"
        )

    def columns(self) -> JsonObject:
        """All that may differ between settings, by name: for tables and files.

        Returns:
          The network's sizes, activations, cost and initializer, the batch size, the number of
          examples, the optimizer, all numbers of the recipe, and the schedule with its lengths, the
          curve of the stopping rule, and the augmentation, if there are any.

        >>> from jaxnet.recipes.optimizers import sgd
        >>> Setting(Network((2, 3, 2)), Recipe(sgd(0.5)), 10, 100).columns()["network"]
        '2-3-2'
        """
        net, recipe = self.network, self.recipe
        names_of_activations = [_name(activations.NAMED, part) for part in net.activations]
        if len(set(names_of_activations)) == 1:
            del names_of_activations[1:]
        columns: JsonObject = {
            "network": "-".join(map(str, net.sizes)),
            "activation": "-".join(names_of_activations),
            "cost": repr(net.cost),
            "init": _name(initializers.NAMED, net.init),
            "batch_size": self.batch_size,
            "examples": self.examples,
            "optimizer": recipe.optimizer.name,
        }
        leaves, _ = jax.tree_util.tree_flatten_with_path(recipe)
        for path, leaf in leaves:
            names = [str(getattr(key, "name", getattr(key, "key", key))) for key in path]
            names = [name for name in names if name not in ("optimizer", "hyper")]
            columns[".".join(names)] = float(leaf)
        if recipe.schedule is not None:
            spans = {f"schedule.{name}": length for name, length in recipe.schedule.spans}
            columns |= {"schedule": recipe.schedule.name} | spans
        if recipe.stopping is not None:
            columns["stopping"] = recipe.stopping.curve
        if recipe.augmentation is not None:
            columns["augmentation"] = repr(recipe.augmentation)
        return columns


def _name(registry: Registry[Any], part: object) -> str:
    """The registry name of a part of a network; that of a user's own function, or its `repr`."""
    return registry.name_of(part) or getattr(part, "__name__", None) or repr(part)


def numbers_of_examples(settings: Iterable[Setting]) -> dict[int, set[int]]:
    """The numbers of training examples of all settings, by their batch size.

    Args:
      settings: the settings of a sweep.
    """
    numbers: dict[int, set[int]] = {}
    for setting in settings:
        numbers.setdefault(setting.batch_size, set()).add(setting.examples)
    return numbers


def key_of(description: JsonObject) -> str:
    """The key of a setting from its description."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]


class Record(NamedTuple):
    """A trained chunk, as a file of a study's folder holds it."""

    lanes: tuple[RunKey, ...]
    """The run of each lane."""
    program_sizes: tuple[int, ...]
    """The sizes of the network that the program was compiled for."""
    result: ChunkResult
    """The lanes' results."""
    states: TrainState | None
    """The lanes' last states, one row per lane; None where they are not in memory."""
    file: Path | None = None
    """The file of version 0.2 that it was read from, if any."""
    params: KeptParams | None = None
    """The lanes' parameters; None where they are in the folder, or are not kept."""

    @property
    def n_epochs(self) -> int:
        """Epochs that the lanes have had, where they did not end early."""
        return self.result.history.training_cost.shape[1]

    def name(self) -> str:
        """The name of its file; a chunk of the same lanes and program replaces it."""
        text = json.dumps([self.lanes, self.program_sizes])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Folder:
    """A folder that keeps the trained chunks of a study.

    Args:
      path: the folder; it is made if it does not exist.
      description: the data and choices that all chunks of the study have in common, with the
        `format` of their files.

    Attributes:
      older_files: the files of version 0.2, by the name of the file that would replace each.

    Raises:
      ValueError: the folder holds another study, or its study.json is damaged.
    """

    def __init__(self, path: str | Path, description: JsonObject) -> None:
        # Training may change the working directory.
        self.path, self.description = Path(path).absolute(), description
        self.older_files: dict[str, Path] = {}
        self.last_read: tuple[tuple[str, int], dict[str, np.ndarray]] | None = None
        (self.path / "chunks").mkdir(parents=True, exist_ok=True)
        files.remove_stale(self.path / "chunks")
        self.header_path = self.path / "study.json"
        if not self.header_path.exists():
            self._write_header()
            return
        before = reading.read_json(
            self.header_path, "the study.json of a sweep", "choose another folder"
        )
        # Version 0.2's chunks are read too, and the folder is marked when a chunk of this version
        # joins them, so that version 0.2 refuses the folder and does not call that chunk damaged.
        old_format = version_0_2.CHUNK_FORMAT
        self.is_version_0_2 = (
            before.get("format") == old_format and description.get("format") != old_format
        )
        expected = description | {"format": old_format} if self.is_version_0_2 else description
        require_same(f"{path} holds another study", before, expected, "Choose another folder.")

    def write(self, record: Record) -> None:
        """Write a chunk's file, atomically.

        Args:
          record: the chunk, with its states.
        """
        record = record._replace(file=None)
        result, states = record.result, record.states
        assert states is not None
        if self.is_version_0_2:
            self._write_header()
        arrays = {"outcome/history": result.history.to_array()}
        measured = result.history.monitors.items()
        arrays |= {f"outcome/monitors/{name}": np.asarray(array) for name, array in measured}
        arrays |= {f"outcome/{name}": np.asarray(getattr(result, name)) for name in ARRAYS}
        leaves = enumerate(jax.tree.leaves(states))
        arrays |= {f"state/{index:06d}": np.asarray(leaf) for index, leaf in leaves}
        header = {
            "lanes": record.lanes,
            "program": record.program_sizes,
            "places": result.slots,
            "epochs": record.n_epochs,
            "swept": result.has_own_inputs,
            "study": self.description,
            "origins": [origin._asdict() for origin in result.origins],
        }
        if result.history.metrics:
            header["metrics"] = sorted(result.history.metrics)
        path = self._file(record)
        files.write_sealed(path, KIND, FORMAT, arrays, header)
        older = self.older_files.pop(record.name(), None)
        if older is not None and older != path:  # the chunk has had fewer epochs there
            older.unlink(missing_ok=True)

    def records(self, keys: Mapping[str, str]) -> Iterator[Record]:
        """All chunks of the folder, without their states.

        Args:
          keys: the key of each setting, by its key of version 0.2.

        Raises:
          ValueError: a chunk's file is damaged.
        """
        for path in sorted((self.path / "chunks").glob("*.safetensors")):
            record, _ = _read(path, ("outcome",), self.description)
            if record.file is not None:
                lanes = tuple((keys.get(str(key), key), *rest) for key, *rest in record.lanes)
                record = record._replace(lanes=lanes)
                self.older_files[record.name()] = path
            yield record

    def states(self, record: Record, like: TrainState) -> TrainState:
        """The last states of a chunk's lanes, one row per lane.

        Args:
          record: the chunk.
          like: a tree with the structure of the states: see `state_like`. The best epochs'
            parameters are left out if the file has none.

        Raises:
          ValueError: the chunk's file is damaged, or its states have another structure.
          LookupError: another process has trained the chunk for longer by now.
        """
        wanted, path = (record.name(), record.n_epochs), self._file(record)
        if record.file is not None and not path.exists():
            raise LookupError(f"{path} was replaced by a chunk of this version.")
        if self.last_read is None or self.last_read[0] != wanted:
            # The lanes of a chunk are usually asked for in turn: its arrays are read once.
            stored, arrays = _read(path, ("outcome", "state"), self.description)
            if stored.n_epochs != record.n_epochs:
                raise LookupError(
                    f"{path} was trained further meanwhile, to {stored.n_epochs} epochs."
                )
            self.last_read = wanted, files.section(arrays, "state")
        leaves, structure = self.last_read[1], jax.tree.structure(like)
        without_best = jax.tree.structure(_without_best_params(like))
        if len(leaves) == without_best.num_leaves:
            structure = without_best
        if len(leaves) != structure.num_leaves:
            raise ValueError(
                f"{path} holds {len(leaves)} arrays of states, and this training has "
                f"{structure.num_leaves}. Delete it, and its networks are trained again."
            )
        return jax.tree.unflatten(structure, [leaves[name] for name in sorted(leaves, key=int)])

    def _write_header(self) -> None:
        content = json.dumps(self.description, indent=2, allow_nan=False) + "\n"
        files.write_atomic(self.header_path, content.encode())
        self.is_version_0_2 = False

    def _file(self, record: Record) -> Path:
        return record.file or self.path / "chunks" / f"{record.name()}.safetensors"


def _read(
    path: Path, sections: Collection[str], description: JsonObject
) -> tuple[Record, dict[str, np.ndarray]]:
    """The record of a chunk's file, without states, and the arrays of these sections."""
    return reading.read_file(
        path,
        "a chunk of this study",
        lambda file: _parsed(file, path, sections, description),
        "delete it, and its networks are trained again",
    )


def _parsed(
    file: BinaryIO, path: Path, sections: Collection[str], description: JsonObject
) -> tuple[Record, dict[str, np.ndarray]]:
    """What `_read` returns, of the open file; errors are bare reasons."""
    arrays, header = files.read_sealed(file, KIND, FORMAT, sections, older=version_0_2.read_chunk)
    record = _record(files.section(arrays, "outcome"), header)
    # Version 0.2 did not store the description of the study in each chunk.
    if header.get("study", description) != description:
        raise ValueError("it is of another study, with other data or another evaluate_on")
    if record.name() != path.stem:
        raise ValueError(f"it holds the networks of {record.name()}.safetensors: it was renamed")
    if header["format"] < FORMAT:
        record = record._replace(file=path)
    return record, arrays


def _record(arrays: dict[str, np.ndarray], header: JsonObject) -> Record:
    """The record that a chunk's file holds, without the states."""
    origins = header.get("origins", [header["origin"]])
    history = History.from_array(arrays["history"], header.get("metrics", ()))
    result = ChunkResult(
        history=history._replace(monitors=files.section(arrays, "monitors")),
        **{name: arrays[name] for name in ARRAYS},
        slots=tuple(tuple(Slot(*slot) for slot in slots) for slots in header["places"]),
        has_own_inputs=header["swept"],
        origins=tuple(Origin(**origin) for origin in origins),
    )
    lanes = tuple(map(tuple, header["lanes"]))
    return Record(lanes, tuple(header["program"]), result, None)


def concatenate_chunks(chunks: Sequence[TrainedChunk]) -> TrainedChunk:
    """The lanes of several chunks as one chunk.

    Args:
      chunks: one or more chunks, trained for equally many epochs, whose programs have the same
        (padded) network.
    """
    results, all_states = [chunk.result for chunk in chunks], [chunk.states for chunk in chunks]
    if not all(states.watch.best for states in all_states):  # a chunk of an older version
        all_states = list(map(_without_best_params, all_states))
    joined = {name: np.concatenate([getattr(r, name) for r in results]) for name in ARRAYS}
    histories = [result.history for result in results]
    origins = [origin for result in results for origin in result.origins]
    result = ChunkResult(
        history=jax.tree.map(lambda *curves: np.concatenate(curves), *histories),
        **joined,
        slots=tuple(slots for result in results for slots in result.slots),
        has_own_inputs=any(result.has_own_inputs for result in results),
        origins=tuple(dict.fromkeys(origins)),
    )
    states = jax.tree.map(lambda *rows: np.concatenate(rows), *all_states)
    return TrainedChunk(result, states)


def select_lanes(chunk: TrainedChunk, rows: slice) -> TrainedChunk:
    """The lanes of these rows of a chunk."""
    result = chunk.result
    selected = result._replace(
        history=jax.tree.map(lambda curve: curve[rows], result.history),
        **{name: getattr(result, name)[rows] for name in ARRAYS},
        slots=result.slots[rows],
    )
    return TrainedChunk(selected, jax.tree.map(lambda leaf: leaf[rows], chunk.states))


def first_examples(data: Dataset, n: int) -> Dataset:
    """The data with the first n training examples only.

    Args:
      data: the splits.
      n: training examples to keep, at most as many as there are.

    >>> from jaxnet.data import datasets
    >>> len(first_examples(datasets.xor(n=20), 5).train.x)
    5
    """
    train = data.train
    return data if n == len(train.x) else data._replace(train=train.take(slice(n)))


def state_like(program_sizes: tuple[int, ...], setting: Setting) -> TrainState:
    """The shapes and types of a lane's state in a program whose network has these sizes.

    Args:
      program_sizes: the sizes of the program's network.
      setting: the lane's setting.
    """
    program = dataclasses.replace(setting.network, sizes=program_sizes)
    return state_struct(program, setting.recipe)


def _without_best_params(states: TrainState) -> TrainState:
    """States without the parameters of the best epochs."""
    return states._replace(watch=states.watch._replace(best=()))
