"""Datasets: the MNIST that ships with the package, anyone's files and arrays, synthetic ones.

Everything is checked when it is read, and every fault is a `ValueError` that names the file (or the
array) and what is wrong with it. Images stay uint8; the network scales them when it reads them.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.core.types import Dataset, Split
from jaxnet.data.idx import IDX_FILES, idx, read_folder
from jaxnet.data.npz import npz
from jaxnet.data.splits import checked_split, matching
from jaxnet.data.synthetic import function, quadratic, spirals, xor

__all__ = [
    "IDX_FILES",
    "MNIST_SHA256",
    "arrays",
    "digits",
    "function",
    "idx",
    "mnist",
    "npz",
    "quadratic",
    "sha256",
    "spirals",
    "xor",
]

MNIST_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
"""Of the decompressed files, in the order of `IDX_FILES`."""


@functools.cache
def mnist() -> Dataset:
    """The handwritten digits, from inside the package: 50,000 / 10,000 / 10,000, as in the book.

    Validation is the last 10,000 of the training file. Each file's SHA-256 is verified.

    Returns:
      A `Dataset` of uint8 images (n, 784) and labels 0 to 9.

    Raises:
      ValueError: a file is not MNIST's.

    Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits.

    >>> [len(split.x) for split in mnist()]
    [50000, 10000, 10000]
    """
    folder = Path(__file__).parent / "mnist"
    return read_folder(folder, 10_000, 10, dict(zip(IDX_FILES, MNIST_SHA256, strict=True)))


def arrays(x: Any, y: Any, valid: Any = None, test: Any = None) -> Dataset:
    """Anyone's arrays as a `Dataset`.

    Args:
      x: the training inputs, (n, …), flattened to (n, n_in): uint8 pixels or floats.
      y: n integer labels, or float targets (n, n_out).
      valid: a pair (x, y) to validate on, or `None`.
      test: a pair (x, y) to test on, or `None`.

    Raises:
      ValueError: an array cannot be used, or the two of a pair do not match.

    >>> data = arrays(np.zeros((4, 2, 3)), [0, 1, 1, 0])
    >>> data.train.x.shape, data.valid
    ((4, 6), None)
    """
    data = Dataset(
        checked_split(x, y, "training data"),
        None if valid is None else checked_split(valid[0], valid[1], "validation data"),
        None if test is None else checked_split(test[0], test[1], "test data"),
    )
    return matching(data, "the arrays")


def digits() -> Dataset:
    """scikit-learn's 1,797 digits of 8×8 pixels: a task that runs in seconds. 1,197 / 300 / 300.

    Raises:
      ModuleNotFoundError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "datasets.digits() comes with scikit-learn: pip install scikit-learn"
        ) from None
    bunch: Any = load_digits()
    x, y = (bunch.data / 16).astype(np.float32), bunch.target.astype(np.int32)
    return Dataset(*(Split(x[part], y[part]) for part in np.split(np.arange(len(x)), [1197, 1497])))


def sha256(data: Dataset) -> str:
    """The hash of a dataset's contents: two runs with the same hash saw the same examples."""
    digest = hashlib.sha256()
    for split in data:
        for array in split or ():
            array = np.ascontiguousarray(array)
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()
