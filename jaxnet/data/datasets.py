"""Data sets: the MNIST that ships with the package, your own files and arrays, synthetic tasks.

Data are checked when they are read, and every fault is a `ValueError` that names the file (or the
array) and the fault. Images stay uint8; the network scales them when it reads them.
"""

import functools
import hashlib
import importlib.util
from pathlib import Path

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxnet.core.types import Dataset, Split
from jaxnet.data.class_weights import ClassWeight, class_weighted
from jaxnet.data.emnist import emnist
from jaxnet.data.file_sets import IDX_FILES
from jaxnet.data.idx import idx
from jaxnet.data.label_noise import label_noise
from jaxnet.data.loading import load
from jaxnet.data.npz import npz
from jaxnet.data.pixels import pixels
from jaxnet.data.splits import checked_split, matching_splits, training_and_test
from jaxnet.data.synthetic import function, quadratic, spirals, xor
from jaxnet.data.usps import usps
from jaxnet.io.idx_files import read_idx

__all__ = [
    "IDX_FILES",
    "MNIST_SHA256",
    "arrays",
    "class_weighted",
    "digits",
    "emnist",
    "function",
    "idx",
    "label_noise",
    "load",
    "mnist",
    "npz",
    "pixels",
    "quadratic",
    "sha256",
    "spirals",
    "usps",
    "xor",
]

MNIST_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
"""The SHA-256 of MNIST's decompressed files, in the order of `IDX_FILES`."""


@functools.cache
def mnist() -> Dataset:
    """MNIST's handwritten digits, which ship with the package: 50,000 / 10,000 / 10,000 examples.

    As in the book, the last 10,000 of the training file are the validation split. The SHA-256 of
    each file is verified.

    Returns:
      A `Dataset` of uint8 images (n, 784) and labels 0 to 9.

    Raises:
      ValueError: a file is not MNIST's.

    Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits.

    >>> [len(split.x) for split in mnist()]
    [50000, 10000, 10000]
    """
    folder = Path(__file__).parent / "mnist"
    hashes = zip(IDX_FILES, MNIST_SHA256, strict=True)
    arrays = [read_idx(folder / f"{name}.gz", sha256) for name, sha256 in hashes]
    data = training_and_test(arrays, 10_000, 10, str(folder))
    for array in jax.tree.leaves(data):
        array.flags.writeable = False  # all callers share these arrays
    return data


def arrays(
    x: ArrayLike,
    y: ArrayLike,
    valid: tuple[ArrayLike, ...] | None = None,
    test: tuple[ArrayLike, ...] | None = None,
    *,
    weight: ArrayLike | None = None,
    class_weight: ClassWeight | None = None,
) -> Dataset:
    """Your own arrays as a `Dataset`.

    Args:
      x: the training inputs, (n, …), flattened to (n, n_in): uint8 pixels, which networks divide by
        255, or finite numbers of any other type, which are used as they are. Lists, DataFrames
        and the arrays of other libraries are converted; a sparse matrix is not.
      y: their targets: n integer labels from 0, also booleans, a column (n, 1) or one-hot integers
        (n, n_classes); or floats (n, n_out). A matrix of integers or booleans that is not one-hot
        becomes floats: multi-label targets, or counts. A column of whole floats becomes labels
        where a network of several outputs is trained on it, or another split has labels; integers
        become floats where the network's cost predicts numbers, such as `jaxnet.costs.Poisson`.
      valid: a pair (x, y) to validate on, or (x, y, weight); `None` for none.
      test: a pair (x, y) to test on, or (x, y, weight); `None` for none.
      weight: how much each training example counts, n numbers of at least 0; `None`, the default,
        if all count the same.
      class_weight: what the weights of the training examples are multiplied by, class by class: see
        `class_weighted`. `None`, the default, for nothing.

    Returns:
      The data set, with inputs in uint8, float32 or float64, labels in int32 and weights in float32
      or float64.

    Raises:
      ValueError: an array cannot be used, or the two of a pair do not match.

    Warns:
      UserWarning: the data are hardly what is meant: floats up to 255, uint8 numbers that look like
        no pixels, labels all alike, labels that no training example has, or a matrix of which
        almost all rows are one-hot.

    >>> data = arrays(np.zeros((4, 2, 3)), [0, 1, 1, 0])
    >>> data.train.x.shape, data.valid
    ((4, 6), None)
    """
    arguments = {"training data": (x, y, weight), "validation data": valid, "test data": test}
    splits = []
    for source, split in arguments.items():
        if split is not None and (not isinstance(split, (tuple, list)) or len(split) not in (2, 3)):
            raise ValueError(f"the {source} must be a pair (x, y), not {type(split).__name__}.")
        splits.append(None if split is None else checked_split(split, source))
    data = matching_splits(Dataset(*splits), "the arrays")
    return data if class_weight is None else class_weighted(data, class_weight)


def digits() -> Dataset:
    """scikit-learn's handwritten digits, small enough for seconds: 1,197 / 300 / 300 examples.

    Returns:
      A `Dataset` of images of 8×8 pixels in [0, 1], (n, 64), and labels 0 to 9.

    Raises:
      ModuleNotFoundError: scikit-learn is not installed.

    >>> [len(split.x) for split in digits()]
    [1197, 300, 300]
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "datasets.digits() comes with scikit-learn: pip install scikit-learn"
        )
    # Read from its file, since importing scikit-learn takes a second.
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    table = np.loadtxt(file, dtype=np.int32, delimiter=",")
    pixels, labels = table[:, :-1], table[:, -1]
    x, y = (pixels / 16).astype(np.float32), labels.copy()
    parts = np.split(np.arange(len(x)), [1197, 1497])
    return Dataset(*(Split(x[part], y[part]) for part in parts))


def sha256(data: Dataset) -> str:
    """The SHA-256 of a data set: two runs with the same hash had the same examples.

    Args:
      data: the data set.

    Returns:
      The hash of all arrays' types, shapes and bytes, in hexadecimal digits.

    >>> sha256(xor(seed=1)) == sha256(xor(seed=2))
    False
    """
    digest = hashlib.sha256()
    for array in jax.tree.leaves(data):
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
