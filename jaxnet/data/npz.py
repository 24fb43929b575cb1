"""The reader of NumPy archives with the names of Keras's `mnist.npz`."""

from pathlib import Path

import numpy as np

from jaxnet.core.types import Dataset, Split
from jaxnet.data.splits import checked_split, hold_out_last, matching_splits
from jaxnet.io import numpy_files

NAMES = ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test")
"""The arrays that are read."""
_NEEDED = f"of {', '.join(NAMES)} it needs the first two, and others in pairs"


def npz(path: str | Path, n_valid: int | None = None, n_classes: int | None = None) -> Dataset:
    """The data set in a NumPy archive of `x_train`, `y_train`, `x_test`, `y_test`.

    These are the names of Keras's `mnist.npz`. `x_valid` and `y_valid` are read where they exist;
    else the last `n_valid` training examples are the validation split. Without `x_test` and
    `y_test` there is no test split. Other arrays are not read, and nothing pickled is ever loaded.

    Args:
      path: the archive.
      n_valid: how many of the last training examples to validate on, if the archive has no
        `x_valid`; by default a sixth. Random ones, if the examples are in order of their classes.
      n_classes: the number of classes, which labels have to be below; no limit by default.

    Returns:
      A `Dataset`, each example flattened.

    Raises:
      ValueError: the archive or an array in it cannot be used.

    Warns:
      UserWarning: the examples are in order of their classes, or the data are hardly what is meant:
        see `arrays`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/data.npz", x_train=np.zeros((6, 2, 3)), y_train=[0, 1, 0, 1, 0, 1])
    ...     data = npz(f"{folder}/data.npz")
    >>> data.train.x.shape, data.valid.x.shape, data.test
    ((5, 6), (1, 6), None)
    """
    path = Path(path)
    arrays = numpy_files.read_npz(path, NAMES)
    train, valid, test = (
        _split(arrays, name, path, n_classes) for name in ("train", "valid", "test")
    )
    if train is None:
        raise ValueError(f"{path} has no arrays x_train and y_train; {_NEEDED}.")
    if valid is None:
        train, valid = hold_out_last(train, n_valid, str(path))
    return matching_splits(Dataset(train, valid, test), str(path))


def _split(
    arrays: dict[str, np.ndarray], name: str, path: Path, n_classes: int | None
) -> Split | None:
    """The split of the arrays x_name and y_name; None if there is neither."""
    x_name, y_name = f"x_{name}", f"y_{name}"
    if x_name not in arrays and y_name not in arrays:
        return None
    for array_name in (x_name, y_name):
        if array_name not in arrays:
            raise ValueError(f"{path} has no array {array_name}; {_NEEDED}.")
    return checked_split((arrays[x_name], arrays[y_name]), f"{path} ({name})", n_classes)
