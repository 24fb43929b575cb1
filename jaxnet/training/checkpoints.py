"""Checkpoints: the files from which a run is resumed to the same bits as if it had never stopped.

A checkpoint is one sealed file, replaced atomically: it holds the state's arrays, and in its header
the settings of the run. With other settings it would be another run, which is refused.
"""

import warnings
from pathlib import Path
from typing import BinaryIO

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from jaxnet.core.types import AnyArray
from jaxnet.data.doubtful import outer_stacklevel
from jaxnet.io import files, reading, version_0_2
from jaxnet.io.files import Origin
from jaxnet.io.reading import JsonObject
from jaxnet.training.fingerprint import require_same

FILE = "checkpoint.safetensors"
"""The name of the file in its folder."""
KIND = "checkpoint"
"""The kind of file that the header names."""
FORMAT = 4
"""The number of the format that this version writes."""
INITIAL = "initial parameters"
"""The name of the setting that holds the hash of initial parameters that a caller gave."""
RENAMED_FIELDS = {".sound": ".finite_steps"}
"""Today's names of a state's fields by their names in older files."""


def save(folder: str | Path, tree: PyTree, settings: JsonObject) -> None:
    """Write a checkpoint, atomically.

    Args:
      folder: the folder to write into; made if there is none.
      tree: a pytree of arrays: the state of the run.
      settings: the settings that the run is identified by.

    Raises:
      OSError: the file cannot be written; the previous checkpoint is unharmed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    by_path = _leaves_by_path(jax.tree.map(np.asarray, tree))
    arrays = {f"tree/{name}": np.asarray(array) for name, array in by_path.items()}
    files.write_sealed(folder / FILE, KIND, FORMAT, arrays, {"settings": settings})


def read(folder: str | Path) -> tuple[dict[str, np.ndarray], JsonObject]:
    """Read a checkpoint of this version or of 0.2, without comparing it with a run.

    Args:
      folder: the folder that `save` wrote into.

    Returns:
      The arrays by their paths in the pytree; and the header: the run's `settings`, where the file
      was made (`origin`), and the number of its `format`, which is 4, or 3 if the settings are
      named as in version 0.2.

    Raises:
      ValueError: there is no checkpoint, or it is damaged.
    """
    path = Path(folder) / FILE
    if not path.exists():
        raise ValueError(
            f"cannot resume from {folder}: it holds no {FILE}, as before a run's first checkpoint; "
            "begin the run with checkpoint= in place of resume=."
        )
    arrays, header = reading.read_file(path, "a checkpoint", _sealed)
    tree_arrays = files.section(arrays, "tree")
    return {_current_path(name): array for name, array in tree_arrays.items()}, header


def _sealed(file: BinaryIO) -> files.Sealed:
    """The arrays and the header of an open checkpoint."""
    arrays, header = files.read_sealed(file, KIND, FORMAT, older=version_0_2.read_checkpoint)
    if not isinstance(header["settings"], dict):
        raise ValueError("its settings are not an object")
    return arrays, header


def load(
    folder: str | Path, like: PyTree, settings: JsonObject, older_settings: JsonObject
) -> PyTree:
    """Read the checkpoint of a run that is to be resumed.

    Args:
      folder: the folder that `save` wrote into.
      like: a pytree of the structure to return, whose leaves have the shapes and types of its
        arrays, or are `None` for an array of any shape and type.
      settings: the settings of the run now.
      older_settings: the same in the format of version 0.2, whose checkpoints are read, too.

    Returns:
      The pytree of arrays.

    Warns:
      UserWarning: it was written with another version of JAX or on another kind of device.

    Raises:
      ValueError: there is no checkpoint, it is damaged, or it is of a run with other settings.
    """
    path = Path(folder) / FILE
    arrays, header = read(folder)
    now = older_settings if header["format"] < FORMAT else settings
    if header["settings"].get(INITIAL) == "given" and now.get(INITIAL) is not None:
        now = now | {INITIAL: "given"}  # versions before 0.3 kept no hash of them
    require_same(
        f"cannot resume from {path}, it would be another run",
        header["settings"],
        now,
        "Give the same settings, or start a new run.",
    )
    _warn_of_another_origin(path, Origin(**header["origin"]))
    expected = _leaves_by_path(like)
    if set(expected) != set(arrays) or any(
        leaf is not None and (leaf.shape, leaf.dtype) != (arrays[name].shape, arrays[name].dtype)
        for name, leaf in expected.items()
    ):
        raise ValueError(
            f"cannot resume from {path}: its arrays differ in name, shape or type from those of "
            "this run; start a new run."
        )
    leaves = [jnp.asarray(arrays[name]) for name in expected]
    return jax.tree.unflatten(jax.tree.structure(like, is_leaf=_is_none), leaves)


def check_replaceable(folder: str | Path, settings: JsonObject, older_settings: JsonObject) -> None:
    """Check that a run that begins may replace the checkpoint in a folder, if there is one.

    Args:
      folder: the folder to write into.
      settings: the settings of the run.
      older_settings: the same in the format of version 0.2.

    Warns:
      UserWarning: the checkpoint is of the same run, and the run begins anew.

    Raises:
      ValueError: the checkpoint is of another run, or damaged.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return
    arrays, header = read(folder)
    require_same(
        f"{path} is the checkpoint of another run",
        header["settings"],
        older_settings if header["format"] < FORMAT else settings,
        "Choose another folder, or delete that file.",
    )
    n_epochs = len(arrays["['history']"])
    warnings.warn(
        f"{path}, the checkpoint of this run after epoch {n_epochs:,}, will be replaced, since the "
        f"run begins anew; resume={str(folder)!r} would go on from it.",
        stacklevel=outer_stacklevel(),
    )


def _warn_of_another_origin(path: Path, origin: Origin) -> None:
    """Warn where the bits of a resumed run may differ from those of one that never stopped."""
    current = files.origin()
    if (origin.jax, origin.device) != (current.jax, current.device):
        warnings.warn(
            f"{path} was written by {origin}, and the run goes on with {current}: it may differ in "
            "the last places from one that never stopped.",
            stacklevel=outer_stacklevel(),
        )


def tree_sha256(tree: PyTree) -> str:
    """The hash of a pytree of arrays.

    Args:
      tree: the arrays; where it has `None` there is none.

    Returns:
      The SHA-256 of their paths, types, shapes and bytes.

    >>> tree_sha256([np.ones(2)]) == tree_sha256([np.zeros(2)])
    False
    """
    by_path = _leaves_by_path(tree)
    return files.sha256({p: np.asarray(leaf) for p, leaf in by_path.items() if leaf is not None})


def _leaves_by_path(tree: PyTree) -> dict[str, AnyArray | None]:
    """The leaves of a pytree, `None` included, by their paths."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=_is_none)
    return {jax.tree_util.keystr(path): leaf for path, leaf in paths}


def _current_path(path: str) -> str:
    """The path of an array in today's state, from its path in a file of any version."""
    for old, new in RENAMED_FIELDS.items():
        path = path.replace(old, new)
    return path


def _is_none(leaf: object) -> bool:
    return leaf is None
