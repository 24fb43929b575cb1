"""The reader of NumPy archives with the names of Keras's `mnist.npz`, or of MedMNIST."""

from pathlib import Path

import numpy as np

from jaxnet.core.arguments import path_of
from jaxnet.core.types import Dataset, Split
from jaxnet.data import file_sets, published
from jaxnet.data.splits import checked_split, hold_out_last, matching_splits
from jaxnet.io import numpy_files

Names = tuple[str, str]
"""The names of the arrays of a split: its inputs and its targets."""
KERAS: tuple[Names, ...] = (("x_train", "y_train"), ("x_valid", "y_valid"), ("x_test", "y_test"))
"""The names of Keras's archives, with a validation split."""
MEDMNIST: tuple[Names, ...] = tuple(
    (f"{use}_images", f"{use}_labels") for use in ("train", "val", "test")
)
"""The names of MedMNIST's archives."""


def npz(path: str | Path, n_valid: int | None = None, n_classes: int | None = None) -> Dataset:
    """The data set in a NumPy archive of `x_train`, `y_train`, `x_test`, `y_test`.

    These are the names of Keras's `mnist.npz`. `x_valid` and `y_valid` are read where they exist;
    else the last `n_valid` training examples are the validation split. Without `x_test` and
    `y_test` there is no test split. The names of MedMNIST do as well: `train_images`,
    `train_labels`, `val_images`, `val_labels`, `test_images`, `test_labels`. Other arrays are not
    read, and nothing pickled is ever loaded.

    Args:
      path: the archive; or one of the four of KMNIST (`kmnist-train-imgs.npz`) or Kuzushiji-49
        (`k49-train-imgs.npz`), whose partners lie in the same folder.
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

    Source: Yang et al., MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D biomedical
    image classification, 2023.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/data.npz", x_train=np.zeros((6, 2, 3)), y_train=[0, 1, 0, 1, 0, 1])
    ...     data = npz(f"{folder}/data.npz")
    >>> data.train.x.shape, data.valid.x.shape, data.test
    ((5, 6), (1, 6), None)
    """
    path = path_of("path", path)
    if published.sets_at(path, file_sets.KUZUSHIJI):
        return published.read(path, file_sets.KUZUSHIJI, n_valid, n_classes)
    wanted = [name for layout in (KERAS, MEDMNIST) for names in layout for name in names]
    arrays = numpy_files.read_npz(path, wanted)
    layout = KERAS if any(name in arrays for names in KERAS for name in names) else MEDMNIST
    if not arrays:
        raise ValueError(
            f"{path} has no arrays x_train and y_train, nor train_images and train_labels; "
            f"{_needed(KERAS)}."
        )
    train, valid, test = (_split(arrays, names, layout, path, n_classes) for names in layout)
    if train is None:
        names = " and ".join(layout[0])
        raise ValueError(f"{path} has no arrays {names}; {_needed(layout)}.")
    if valid is None:
        train, valid = hold_out_last(train, n_valid, str(path))
    return matching_splits(Dataset(train, valid, test), str(path))


def _needed(layout: tuple[Names, ...]) -> str:
    names = ", ".join(name for names in layout for name in names)
    return f"of {names} it needs the first two, and others in pairs"


def _split(
    arrays: dict[str, np.ndarray],
    names: Names,
    layout: tuple[Names, ...],
    path: Path,
    n_classes: int | None,
) -> Split | None:
    """The split of the arrays of these names; None if there is neither."""
    missing = [name for name in names if name not in arrays]
    if len(missing) == 2:
        return None
    if missing:
        raise ValueError(f"{path} has no array {missing[0]}; {_needed(layout)}.")
    use = names[0].replace("_images", "").removeprefix("x_")
    return checked_split([arrays[name] for name in names], f"{path} ({use})", n_classes)
