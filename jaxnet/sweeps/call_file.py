"""The last call of `sweep` for a folder, in a file from which its study is opened again."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from jaxnet.core.types import Order
from jaxnet.data.resampling import Fold
from jaxnet.io import files, reading
from jaxnet.io.reading import JsonObject
from jaxnet.sweeps.folds import LaneFold
from jaxnet.sweeps.store import Lane, Setting
from jaxnet.training.fingerprint import described
from jaxnet.training.measured import Measured
from jaxnet.training.monitors import Monitors
from jaxnet.training.rebuilding import rebuilt_metric, rebuilt_network, rebuilt_recipe

KIND = "call"
FORMAT = 1
FILE = "call.safetensors"
"""The name of the file in a study's folder."""
REMEDY = "make the same call of jaxnet.sweep again, which trains nothing that the folder holds"
_ROWS = ("train", "test", "valid")
"""The rows of a fold, by which arrays of the file are named."""


class SweepCall(NamedTuple):
    """What a call of `sweep` asked for, apart from its data."""

    settings: tuple[Setting, ...]
    """The settings, along the axis recipe."""
    seeds: tuple[int, ...]
    """The seeds."""
    epochs: int
    """The most epochs per network."""
    measured: Measured
    """What was measured, and what ranks."""
    order: Order
    """In which order the examples were visited."""
    folds: Sequence[Sequence[LaneFold]] | None
    """The folds of each seed; None without folds."""
    has_starts: bool
    """Whether initial parameters or masks were given, which the file does not hold."""
    dropped_lanes: tuple[Lane, ...] = ()
    """The lanes that successive halving ended, once the sweep has."""


def write_call(folder: Path, call: SweepCall, descriptions: Sequence[JsonObject]) -> None:
    """Write the call into a folder, atomically.

    Args:
      folder: the folder of the study.
      call: the call.
      descriptions: the description of each of its settings.
    """
    measured, monitors = call.measured, call.measured.monitors
    folds = {fold.key: fold for of_seed in call.folds or () for fold in of_seed}
    arrays: dict[str, np.ndarray] = {}
    for key, fold in folds.items():
        rows = {name: getattr(fold.fold, name) for name in _ROWS}
        for name, array in (rows | {"shift": fold.shift, "scale": fold.scale}).items():
            if array is not None:
                arrays[f"folds/{key}/{name}"] = np.asarray(array)
    header = {
        "settings": list(descriptions),
        "seeds": call.seeds,
        "epochs": call.epochs,
        "evaluate_on": measured.evaluate_on,
        "metrics": {name: described(metric) for name, metric in measured.metrics},
        "monitors": None if monitors is None else [monitors.names, monitors.every],
        "select_by": measured.select_by,
        "order": call.order,
        "folds": None if call.folds is None else [[f.key for f in row] for row in call.folds],
        "has_starts": call.has_starts,
        "dropped": call.dropped_lanes,
    }
    files.write_sealed(folder / FILE, KIND, FORMAT, arrays, header)


def read_call(folder: Path) -> SweepCall:
    """The last call for a folder; numbers have JAX's default float type.

    Args:
      folder: the folder of a study.

    Raises:
      ValueError: the folder holds no call, or one with parts that are not the library's own.
    """
    if not (folder / FILE).exists():
        raise ValueError(
            f"{folder} does not name the settings of its study, as folders of older versions do "
            f"not; {REMEDY}."
        )
    what = "a call that can be rebuilt"
    return reading.read_file(folder / FILE, what, _parsed, REMEDY)


def _parsed(file: BinaryIO) -> SweepCall:
    """The call in an open file; errors are bare reasons."""
    arrays, header = files.read_sealed(file, KIND, FORMAT)
    if header["has_starts"]:
        raise ValueError("its networks started from parameters or with masks of the caller's")
    metrics = {name: rebuilt_metric(metric) for name, metric in header["metrics"].items()}
    monitors = header["monitors"]
    measured = Measured(
        tuple(header["evaluate_on"]),
        tuple(sorted(metrics.items())),
        None if monitors is None else Monitors(tuple(monitors[0]), monitors[1]),
        header["select_by"],
    )
    fold_of = {key: _fold(key, arrays) for row in header["folds"] or () for key in row}
    return SweepCall(
        settings=tuple(map(_setting, header["settings"])),
        seeds=tuple(header["seeds"]),
        epochs=header["epochs"],
        measured=measured,
        order=header["order"],
        folds=header["folds"] and [[fold_of[key] for key in row] for row in header["folds"]],
        has_starts=False,
        dropped_lanes=tuple((recipe, group) for recipe, group in header["dropped"]),
    )


def _setting(description: JsonObject) -> Setting:
    """The setting that is described, whose own description has to be the same."""
    setting = Setting(
        rebuilt_network(description["network"]),
        rebuilt_recipe(description["recipe"]),
        description["batch_size"],
        description["examples"],
    )
    if setting.description() != description:
        raise ValueError(f"this version of jaxnet makes another setting of {description!r}")
    return setting


def _fold(key: str, arrays: dict[str, np.ndarray]) -> LaneFold:
    """The fold with this key."""
    own = files.section(arrays, f"folds/{key}")
    fold = Fold(own["train"], own["test"], own.get("valid"))
    return LaneFold(key, fold, own.get("shift"), own.get("scale"))
