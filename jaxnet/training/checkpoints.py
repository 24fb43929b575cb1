"""Checkpoints: everything that a run needs to go on to the bits it would have had.

One sealed file, replaced atomically: the state's arrays, and in its header the settings of the run
they belong to. To go on with other settings would be another run, and is refused.
"""

import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.io import files, version_0_2
from jaxnet.io.files import Origin
from jaxnet.training.fingerprint import require_same

FILE = "checkpoint.safetensors"
KIND = "checkpoint"
FORMAT = 4
RENAMED_FIELDS = {".sound": ".finite_steps"}
"""What fields of a state were called in older files, and are called now."""


def save(folder: str | Path, tree: Any, settings: dict[str, Any]) -> None:
    """Write a pytree of arrays and the settings it belongs to, atomically.

    Args:
      folder: where; made if it is not there.
      tree: the arrays.
      settings: what makes the run this run, in JSON's types.

    Raises:
      OSError: the file cannot be written; the checkpoint that was there is unharmed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    named = _named(jax.tree.map(np.asarray, tree))
    arrays = {f"tree/{name}": array for name, array in named.items()}
    files.write_sealed(folder / FILE, KIND, FORMAT, arrays, {"settings": settings})


def read(folder: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a checkpoint as it is, of this version or of 0.2.

    Args:
      folder: where `save` wrote.

    Returns:
      The arrays by the path to each in the pytree, and the header: the run's `settings`, where the
      file was made (`origin`), and the number of its `format`: 4, or 3 with settings that are
      named in the way of version 0.2.

    Raises:
      ValueError: there is no checkpoint, or it is damaged.
    """
    path = Path(folder) / FILE
    try:
        arrays, header = files.read_sealed(path, KIND, FORMAT, older=version_0_2.read_checkpoint)
        if not isinstance(header["settings"], dict):
            raise ValueError("its settings are not an object")
    except OSError as error:
        raise ValueError(f"cannot resume from {path}: {files.reason(error)}.") from None
    except files.DAMAGE as error:
        raise ValueError(f"{path} is not a checkpoint: {files.reason(error)}.") from None
    return {_renamed(name): a for name, a in files.section(arrays, "tree").items()}, header


def load(
    folder: str | Path, like: Any, settings: dict[str, Any], older_settings: dict[str, Any]
) -> Any:
    """Read a checkpoint of the same run.

    Args:
      folder: where `save` wrote.
      like: a pytree of the same structure; its leaves say shape and type, or are `None` for an
        array of any shape.
      settings: what the run is now.
      older_settings: the same in the words of version 0.2, whose checkpoints are read, too.

    Returns:
      The pytree of arrays.

    Warns:
      UserWarning: it was written with another version of JAX or on another kind of device.

    Raises:
      ValueError: there is no checkpoint, it is damaged, or it is of a run with other settings.
    """
    path = Path(folder) / FILE
    arrays, header = read(folder)
    require_same(
        f"cannot resume from {path}, it would be another run",
        header["settings"],
        older_settings if header["format"] < FORMAT else settings,
        "Give the same settings, or start a new run.",
    )
    _warn_of_another_origin(path, Origin(**header["origin"]))
    wanted = _named(like)
    if set(wanted) != set(arrays) or any(
        leaf is not None and (leaf.shape, leaf.dtype) != (arrays[name].shape, arrays[name].dtype)
        for name, leaf in wanted.items()
    ):
        raise ValueError(f"cannot resume from {path}: its arrays are not those of this run.")
    leaves = [jnp.asarray(arrays[name]) for name in wanted]
    return jax.tree.unflatten(jax.tree.structure(like, is_leaf=_is_none), leaves)


def _warn_of_another_origin(path: Path, origin: Origin) -> None:
    """Warn where the bits of a run that goes on may differ from those of one that never stopped."""
    now = files.origin()
    if (origin.jax, origin.device) != (now.jax, now.device):
        warnings.warn(
            f"{path} was written by {origin}, and the run goes on with {now}: it may differ in the "
            "last places from one that never stopped.",
            stacklevel=5,
        )


def _named(tree: Any) -> dict[str, Any]:
    """The leaves by the path to each."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=_is_none)
    return {jax.tree_util.keystr(path): leaf for path, leaf in paths}


def _renamed(path: str) -> str:
    for old, new in RENAMED_FIELDS.items():
        path = path.replace(old, new)
    return path


def _is_none(leaf: Any) -> bool:
    return leaf is None
