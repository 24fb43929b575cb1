"""Checks of arrays as splits of a data set: shapes, types, labels, what is held out."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.core.types import Dataset, Split


def checked_split(x: Any, y: Any, source: str, n_classes: int | None = None) -> Split:
    """Check one split, flatten its examples, and bring its arrays to the types that train."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim < 2:
        raise ValueError(f"{source}: inputs have shape {x.shape}; they must be (n, n_in).")
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(
            f"{source}: inputs are {x.dtype}; use uint8 for pixels 0..255 (scaled by 1/255), or "
            "floats, used as they are."
        )
    if len(x) == 0:
        raise ValueError(f"{source}: there are no examples.")
    if len(x) != len(np.atleast_1d(y)):
        raise ValueError(f"{source}: {len(x)} inputs, but {len(np.atleast_1d(y))} targets.")
    x = x.reshape(len(x), -1)
    if x.dtype.kind == "f" and not (finite := np.isfinite(x).all(axis=1)).all():
        raise ValueError(f"{source}: input {int(finite.argmin())} holds NaN or infinity.")
    if y.dtype.kind == "f":
        y = y[:, None] if y.ndim == 1 else y
        if y.ndim != 2 or not np.isfinite(y).all():
            fault = "are not (n, n_out)" if y.ndim != 2 else "hold NaN or infinity"
            raise ValueError(f"{source}: the float targets, of shape {y.shape}, {fault}.")
        return Split(x, y)
    if y.dtype.kind not in "iu" or y.ndim != 1:
        raise ValueError(
            f"{source}: targets are {y.dtype} of shape {y.shape}; they must be n integer labels, "
            "or floats (n, n_out)."
        )
    allowed = (y >= 0) & (y < (2**31 if n_classes is None else n_classes))
    if not allowed.all():
        index = int(allowed.argmin())
        bounds = "in [0, 2³¹)" if n_classes is None else f"in [0, {n_classes - 1}]"
        raise ValueError(f"{source}: label {index} is {y[index]}; labels must be {bounds}.")
    return Split(x, y.astype(np.int32))


def matching(data: Dataset, source: str) -> Dataset:
    """The dataset, if its splits have inputs of one width and targets of one kind."""
    kinds = {(split.x.shape[1:], split.y.shape[1:], split.y.dtype.kind) for split in data if split}
    if len(kinds) > 1:
        raise ValueError(f"{source}: the splits differ in width or in their kind of targets.")
    return data


def held_out(train: Split, n_valid: int | None, source: str) -> tuple[Split, Split | None]:
    """Split the last n_valid examples off."""
    n_valid = len(train.x) // 6 if n_valid is None else n_valid
    if not 0 <= n_valid < len(train.x):
        raise ValueError(
            f"{source}: n_valid must be in [0, {len(train.x) - 1}], to leave some of the "
            f"{len(train.x)} training examples, not {n_valid}."
        )
    if n_valid == 0:
        return train, None
    kept, held = slice(None, -n_valid), slice(-n_valid, None)
    return Split(train.x[kept], train.y[kept]), Split(train.x[held], train.y[held])


def existing_file(path: Path) -> Path:
    """The path, if a file is there."""
    if not path.is_file():
        raise ValueError(f"{path} does not exist, or is not a file.")
    return path
