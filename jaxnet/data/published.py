"""The reader of published sets of files: which of them is there, and what is in it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from jaxnet.core.types import Dataset
from jaxnet.data.file_sets import FileSet, Format
from jaxnet.data.splits import training_and_test
from jaxnet.io import compressed, idx_files, matlab_files, number_text, numpy_files

N_PIXELS_OF_USPS = 256
"""The inputs of the sets in LIBSVM's format and in columns, images of 16×16 pixels."""
Arrays = Sequence[np.ndarray | None]
"""Training images and labels, test images and labels; without the last two, or with a `None` in
place of test labels, there is no test split."""


def read(
    path: Path, file_sets: Sequence[FileSet], n_valid: int | None, n_classes: int | None
) -> Dataset:
    """The data set of the published files at a path.

    Args:
      path: the folder in which the files of a single one of the sets lie, or one of its files.
      file_sets: the sets that may be there.
      n_valid: how many of the last training examples to validate on; a sixth, if None.
      n_classes: the number of classes, which labels have to be below; the set's own, if None.

    Returns:
      The data set.

    Raises:
      ValueError: none or several of the sets are there, a file is missing or damaged, or does not
        match its partner.
    """
    present = sets_at(path, file_sets)
    if not present:
        names = ", ".join(dict.fromkeys(file_set.first_file for file_set in file_sets))
        what = "has none of these" if path.is_dir() else "is not a folder, nor one of these"
        raise ValueError(f"{path} {what} files: {names} (.gz or not), or the others of a set.")
    if len(present) > 1:
        names = " and ".join(file_set.files[0] for file_set in present[:2])
        raise ValueError(
            f"{path} has the files of {len(present)} sets, such as {names}; name one of the files "
            "in place of the folder."
        )
    return _read_set(path if path.is_dir() else path.parent, present[0], n_valid, n_classes)


def sets_at(path: Path, file_sets: Sequence[FileSet]) -> list[FileSet]:
    """The sets of which there is a file at a path.

    Args:
      path: a folder, or a file.
      file_sets: the sets that may be there.

    Returns:
      Those of which the folder has a file that is needed, or of which the path is a file.

    >>> from jaxnet.data.file_sets import USPS
    >>> sets_at(Path("gone"), USPS)
    []
    """
    if path.is_dir():
        return [
            file_set
            for file_set in file_sets
            if any(compressed.existing_file(path / name) for name in file_set.needed)
        ]
    name = compressed.plain_name(path) if path.is_file() else ""
    return [file_set for file_set in file_sets if name in file_set.files]


def _read_set(
    folder: Path, file_set: FileSet, n_valid: int | None, n_classes: int | None
) -> Dataset:
    """The data set of a set of files in a folder."""
    existing = [compressed.existing_file(folder / name) for name in file_set.files]
    for name, file in zip(file_set.files, existing, strict=True):
        if file is None and name in file_set.needed:
            raise ValueError(
                f"{folder} has no {name}, neither compressed nor not, which belongs to "
                f"{file_set.name}; put the {len(file_set.files)} files of the set there."
            )
    arrays = list(_READERS[file_set.format]([file for file in existing if file is not None]))
    for k in range(0, len(arrays), 2):
        arrays[k : k + 2] = _converted(arrays[k], arrays[k + 1], file_set, folder)
    n_classes = file_set.n_classes if n_classes is None else n_classes
    return training_and_test(arrays, n_valid, n_classes, str(folder))


def _converted(
    x: np.ndarray | None, y: np.ndarray | None, file_set: FileSet, folder: Path
) -> list[np.ndarray | None]:
    """Images and labels as all sets have them: row by row, and from 0."""
    if x is not None and file_set.is_transposed:
        side = math.isqrt(math.prod(x.shape[1:]))
        if side**2 != math.prod(x.shape[1:]):
            raise ValueError(
                f"{folder}: the images of {file_set.name} have shape {x.shape[1:]}, and are not "
                "square; download the files again."
            )
        x = x.reshape(len(x), side, side).swapaxes(1, 2)
    if y is not None and y.ndim == 2:  # a column, or QMNIST's labels and details of the writers
        y = y[:, :1].reshape(-1)
    first = file_set.first_label
    if y is None or not first:
        return [x, y]
    is_allowed = (y >= first) & (y < first + (file_set.n_classes or 0))
    if not is_allowed.all():
        row = int(is_allowed.argmin())
        raise ValueError(
            f"{folder}: row {row} has the label {y[row]:g}; the labels of {file_set.name} are "
            f"{first} to {file_set.n_classes}; download the files again."
        )
    return [x, (y - first) if y.dtype.kind == "f" else y.astype(np.int32) - first]


def _arrays_of_pixels(files: Sequence[Path]) -> Arrays:
    return [
        array
        for file in files
        for array in number_text.read_pixels(file, needs_labels=file == files[0])
    ]


def _arrays_of_libsvm(files: Sequence[Path]) -> Arrays:
    return [array for file in files for array in number_text.read_libsvm(file, N_PIXELS_OF_USPS)]


def _arrays_of_columns(files: Sequence[Path]) -> Arrays:
    return [array for file in files for array in number_text.read_columns(file, N_PIXELS_OF_USPS)]


def _arrays_of_mat(files: Sequence[Path]) -> Arrays:
    kinds = ("train.images", "train.labels", "test.images", "test.labels")
    return matlab_files.read_mat(files[0], [f"dataset.{kind}" for kind in kinds])


def _arrays_of_npz(files: Sequence[Path]) -> Arrays:
    arrays = []
    for file in files:
        named = numpy_files.read_npz(file, ["arr_0"])
        if not named:
            raise ValueError(f"{file} has no array arr_0; download it again.")
        arrays.append(named["arr_0"])
    return arrays


_READERS: dict[Format, Callable[[Sequence[Path]], Arrays]] = {
    "idx": lambda files: [idx_files.read_idx(file) for file in files],
    "npz": _arrays_of_npz,
    "mat": _arrays_of_mat,
    "csv": _arrays_of_pixels,
    "libsvm": _arrays_of_libsvm,
    "columns": _arrays_of_columns,
}
"""The readers of a set's files, by their format."""
