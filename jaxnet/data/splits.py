"""Checks of the splits of a data set: shapes, types, labels, the size of the validation split."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from jaxnet.core.types import Dataset, Split


def checked_split(x: ArrayLike, y: ArrayLike, source: str, n_classes: int | None = None) -> Split:
    """Check the arrays of a split, flatten its examples, and convert labels to int32.

    Args:
      x: the inputs, (n, …): uint8 pixels or finite floats.
      y: n integer labels, or finite float targets, (n,) or (n, n_out).
      source: where the arrays are from, for errors.
      n_classes: the number of classes, which labels have to be below; 2³¹, if None.

    Returns:
      The split, with inputs of shape (n, n_in) and labels in int32, or float targets (n, n_out).

    Raises:
      ValueError: an array has another shape, type or range, or the two have different lengths.

    >>> checked_split(np.zeros((2, 8, 8), np.uint8), [0, 1], "example").x.shape
    (2, 64)
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim < 2:
        raise ValueError(f"{source}: inputs have shape {x.shape}; they must be (n, n_in).")
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(
            f"{source}: inputs are {x.dtype}; use uint8 for pixels 0..255 (scaled by 1/255), or "
            "floats, used as they are."
        )
    if len(x) == 0:
        raise ValueError(f"{source}: there are no examples; give at least one.")
    n_targets = len(np.atleast_1d(y))
    if len(x) != n_targets:
        raise ValueError(
            f"{source}: {len(x)} inputs, but {n_targets} targets; give one target for each input."
        )
    x = x.reshape(len(x), -1)
    if x.dtype.kind == "f":
        is_finite = np.isfinite(x).all(axis=1)
        if not is_finite.all():
            raise ValueError(
                f"{source}: input {int(is_finite.argmin())} holds NaN or infinity; inputs must be "
                "finite."
            )
    if y.dtype.kind == "f":
        return Split(x, _checked_floats(y, source))
    return Split(x, _checked_labels(y, source, n_classes))


def _checked_floats(y: np.ndarray, source: str) -> np.ndarray:
    """Float targets of shape (n, n_out)."""
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or not np.isfinite(y).all():
        fault = "are not (n, n_out)" if y.ndim != 2 else "hold NaN or infinity"
        raise ValueError(f"{source}: the float targets, of shape {y.shape}, {fault}.")
    return y


def _checked_labels(y: np.ndarray, source: str, n_classes: int | None) -> np.ndarray:
    """Labels in int32."""
    if y.dtype.kind not in "iu" or y.ndim != 1:
        raise ValueError(
            f"{source}: targets are {y.dtype} of shape {y.shape}; they must be n integer labels, "
            "or floats (n, n_out)."
        )
    is_allowed = (y >= 0) & (y < (2**31 if n_classes is None else n_classes))
    if not is_allowed.all():
        index = int(is_allowed.argmin())
        bounds = "in [0, 2³¹)" if n_classes is None else f"in [0, {n_classes - 1}]"
        raise ValueError(f"{source}: label {index} is {y[index]}; labels must be {bounds}.")
    return y.astype(np.int32)


def matching_splits(data: Dataset, source: str) -> Dataset:
    """The data set, if its splits have inputs of one width, and targets of one kind and width.

    Args:
      data: the data set.
      source: where it is from, for errors.

    Returns:
      The same data set.

    Raises:
      ValueError: the splits differ.
    """
    kinds = {(split.x.shape[1:], split.y.shape[1:], split.y.dtype.kind) for split in data if split}
    if len(kinds) > 1:
        raise ValueError(
            f"{source}: the splits differ in width or in their kind of targets; give all of them "
            "inputs of one width, and labels or float targets alike."
        )
    return data


def hold_out_last(train: Split, n_valid: int | None, source: str) -> tuple[Split, Split | None]:
    """Split the last examples off, to validate on them.

    Args:
      train: the examples.
      n_valid: how many of them to split off; a sixth, if None.
      source: where they are from, for errors.

    Returns:
      The first examples, and the last n_valid, or None where n_valid is 0.

    Raises:
      ValueError: n_valid is negative, or leaves no example.

    >>> train, valid = hold_out_last(Split(np.zeros((6, 2)), np.arange(6)), 2, "example")
    >>> valid.y
    array([4, 5])
    """
    n_train = len(train.x)
    n_valid = n_train // 6 if n_valid is None else n_valid
    if not 0 <= n_valid < n_train:
        raise ValueError(
            f"{source}: n_valid must be in [0, {n_train - 1}], to leave at least one of the "
            f"{n_train} training examples, not {n_valid}."
        )
    if n_valid == 0:
        return train, None
    first, last = slice(None, -n_valid), slice(-n_valid, None)
    return Split(train.x[first], train.y[first]), Split(train.x[last], train.y[last])


def existing_file(path: Path) -> Path:
    """The path, if it is that of a file.

    Args:
      path: the path.

    Returns:
      The same path.

    Raises:
      ValueError: there is no such file.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist, or is not a file.")
    return path
