"""Checkpoints: everything that a run needs to go on to the bits it would have had.

One safetensors file, replaced atomically: the state's arrays, and in its metadata the settings of
the run they belong to. To go on with other settings would be another run, and is refused.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from jaxnet.core.network import Network
from jaxnet.io import files
from jaxnet.recipes.recipe import Recipe

FILE = "checkpoint.safetensors"
FORMAT = 3


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
    tensors = _named(jax.tree.map(np.asarray, tree))
    described = {"format": FORMAT, "settings": settings, "sha256": files.sha256(tensors)}
    metadata = {"checkpoint": json.dumps(described)}
    files.write_atomic(folder / FILE, safetensors.numpy.save(tensors, metadata))


def load(folder: str | Path, like: Any, settings: dict[str, Any]) -> Any:
    """Read a checkpoint of the same run.

    Args:
      folder: where `save` wrote.
      like: a pytree of the same structure; its leaves say shape and type, or are `None` for an
        array of any shape.
      settings: what the run is now.

    Returns:
      The pytree of arrays.

    Raises:
      ValueError: there is no checkpoint, it is damaged, or it is of a run with other settings.
    """
    path = Path(folder) / FILE
    try:
        tensors, metadata = files.read_safetensors(path.read_bytes())
        described = json.loads(metadata["checkpoint"])
        if described["format"] != FORMAT:
            raise ValueError(f"its format is {described['format']!r}; this version reads {FORMAT}")
        if files.sha256(tensors) != described["sha256"]:
            raise ValueError("its arrays do not have the SHA-256 it names; it was changed")
        before = described["settings"]
    except OSError as error:
        raise ValueError(f"cannot resume from {path}: {error.strerror}.") from None
    except (*files.DAMAGE, KeyError) as error:
        raise ValueError(f"{path} is not a checkpoint: {error}.") from None
    changed = [
        f"{name} was {before.get(name)!r} and is {settings.get(name)!r}"
        for name in sorted({*before, *settings})
        if before.get(name) != settings.get(name)
    ]
    if changed:
        raise ValueError(
            f"cannot resume from {path}, it would be another run: {'; '.join(changed)}. "
            "Give the same settings, or start a new run."
        )
    wanted = _named(like)
    if set(wanted) != set(tensors) or any(
        leaf is not None and (leaf.shape, leaf.dtype) != (tensors[name].shape, tensors[name].dtype)
        for name, leaf in wanted.items()
    ):
        raise ValueError(f"cannot resume from {path}: its arrays are not those of this run.")
    leaves = [jnp.asarray(tensors[name]) for name in wanted]
    return jax.tree.unflatten(jax.tree.structure(like, is_leaf=_is_none), leaves)


def described(net: Network, recipe: Recipe, batch_size: int) -> dict[str, Any]:
    """What a network and its training are, in JSON's types: equal where the runs would be.

    A number that not all runs have in common is left to others: data, seed, epochs.
    """
    optimizer, keystr = recipe.optimizer, jax.tree_util.keystr
    leaves, _ = jax.tree_util.tree_flatten_with_path(recipe)
    schedule, augmentation = recipe.schedule, recipe.augmentation
    spans = (*schedule.spans, *schedule.options) if schedule else ()
    return {
        # Where a function lies in memory is no setting.
        "network": re.sub(r" at 0x\w+", "", f"{net!r}, init {net.init!r}, {net.precision}"),
        "optimizer": [_qualified(optimizer.rule), *map(list, optimizer.options)],
        **{f"recipe{keystr(path)}": np.asarray(leaf).item() for path, leaf in leaves},
        "schedule": schedule and [_qualified(schedule.rule), schedule.unit, *map(list, spans)],
        "augmentation": augmentation and [augmentation.shift, list(augmentation.shape or ())],
        "stopping": recipe.stopping and recipe.stopping.curve,
        "batch_size": batch_size,
    }


def _qualified(rule: Callable[..., Any]) -> str:
    return f"{rule.__module__}.{rule.__name__}"


def _named(tree: Any) -> dict[str, Any]:
    """The leaves by the path to each."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=_is_none)
    return {jax.tree_util.keystr(path): leaf for path, leaf in paths}


def _is_none(leaf: Any) -> bool:
    return leaf is None
