"""The reader of NumPy archives, Keras's format of `mnist.npz`."""

import contextlib
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxnet.core.types import Dataset, Split
from jaxnet.data.splits import checked_split, existing_file, held_out, matching


def npz(path: str | Path, n_valid: int | None = None, n_classes: int | None = None) -> Dataset:
    """A NumPy archive of `x_train`, `y_train`, `x_test`, `y_test`, as Keras's `mnist.npz` is.

    `x_valid` and `y_valid` are read where there are any; else the last `n_valid` training examples
    validate. Without `x_test` there is no test split. Nothing pickled is ever loaded.

    Args:
      path: the archive.
      n_valid: how many of the last training examples validate, if the archive does not say; by
        default a sixth.
      n_classes: where given, labels must be below it.

    Returns:
      A `Dataset`, each example flattened.

    Raises:
      ValueError: the archive or an array in it cannot be used.
    """
    path = Path(path)
    try:
        with (
            existing_file(path).open("rb") as file,
            contextlib.closing(_archive(file)) as archive,
        ):
            held = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(f"{path} is not a readable .npz archive: {error}.") from None

    def split(name: str) -> Split | None:
        if f"x_{name}" not in held and f"y_{name}" not in held:
            return None
        for array in (f"x_{name}", f"y_{name}"):
            if array not in held:
                raise ValueError(f"{path} has no array {array}; it holds {sorted(held)}.")
        return checked_split(held[f"x_{name}"], held[f"y_{name}"], f"{path} ({name})", n_classes)

    train, valid, test = split("train"), split("valid"), split("test")
    if train is None:
        raise ValueError(f"{path} has no arrays x_train and y_train; it holds {sorted(held)}.")
    if valid is None:
        train, valid = held_out(train, n_valid, str(path))
    return matching(Dataset(train, valid, test), str(path))


def _archive(file: BinaryIO) -> Any:
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError("it holds a single array")
    return archive
