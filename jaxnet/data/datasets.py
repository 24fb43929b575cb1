"""Data sets: the MNIST that ships with the package, your own files and arrays, synthetic tasks.

Data are checked when they are read, and every fault is a `ValueError` that names the file (or the
array) and the fault. Images stay uint8; the network scales them when it reads them.
"""

import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import SupportsIndex

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxnet.core.hyperparameters import count, flag
from jaxnet.core.types import Dataset, Split
from jaxnet.data._table import table
from jaxnet.data.class_weights import ClassWeight, class_weighted
from jaxnet.data.emnist import emnist
from jaxnet.data.encoding import Encoding, Target, load_encoding
from jaxnet.data.file_sets import IDX_FILES
from jaxnet.data.idx import idx
from jaxnet.data.label_noise import label_noise
from jaxnet.data.loading import load
from jaxnet.data.named_labels import SparseMatrix, readable_arrays, with_named_labels
from jaxnet.data.npz import npz
from jaxnet.data.partition import Partition, fraction, partition
from jaxnet.data.pixels import pixels
from jaxnet.data.splits import checked_split, matching_splits, training_and_test
from jaxnet.data.synthetic import function, quadratic, spirals, xor
from jaxnet.data.tables import Table
from jaxnet.data.usps import usps
from jaxnet.io.idx_files import read_idx

__all__ = [
    "IDX_FILES",
    "MNIST_SHA256",
    "Encoding",
    "Table",
    "arrays",
    "class_weighted",
    "digits",
    "emnist",
    "function",
    "idx",
    "label_noise",
    "load",
    "load_encoding",
    "mnist",
    "npz",
    "pixels",
    "quadratic",
    "sha256",
    "spirals",
    "table",
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
    x: ArrayLike | SparseMatrix,
    y: ArrayLike,
    valid: tuple[ArrayLike | SparseMatrix, ...] | float | None = None,
    test: tuple[ArrayLike | SparseMatrix, ...] | float | None = None,
    *,
    weight: ArrayLike | None = None,
    class_weight: ClassWeight | None = None,
    stratify: bool = True,
    groups: ArrayLike | None = None,
    seed: SupportsIndex = 0,
) -> Dataset:
    """Your own arrays as a `Dataset`.

    Args:
      x: the training inputs, (n, …), flattened to (n, n_in): uint8 pixels, which networks divide by
        255, or finite numbers of any other type, which are used as they are. Lists, DataFrames
        and the arrays of other libraries are converted; a sparse matrix is made dense.
      y: their targets: n integer labels from 0, also a column (n, 1) or one-hot integers
        (n, n_classes); n strings or booleans, which are numbered in order, and whose names the data
        set keeps in `encoding.target.classes`; or floats (n, n_out). A matrix of integers or
        booleans that is not one-hot becomes floats: multi-label targets, or counts. A column of
        whole floats becomes labels where a network of several outputs is trained on it, or another
        split has labels; integers become floats where the network's cost predicts numbers, such as
        `jaxnet.costs.Poisson`.
      valid: a pair (x, y) to validate on, or (x, y, weight); or the fraction of the examples, in
        [0, 1), that are drawn to validate on; `None`, the default, for none.
      test: a pair (x, y) to test on, or (x, y, weight); or a fraction of the examples; `None`, the
        default, for none.
      weight: how much each training example counts, n numbers of at least 0; `None`, the default,
        if all count the same.
      class_weight: what the weights of the training examples are multiplied by, class by class: see
        `class_weighted`. `None`, the default, for nothing.
      stratify: whether fractions have each class in its proportion, where there are labels and no
        groups; true by default.
      groups: the group of each example, such as a patient: fractions take whole groups. `None`, the
        default, for none.
      seed: the seed of the draw, at least 0; 0 by default.

    Returns:
      The data set, with inputs in uint8, float32 or float64, labels in int32 and weights in float32
      or float64; a `jaxnet.datasets.Table` where the labels have names.

    Raises:
      ValueError: an array cannot be used, or the two of a pair do not match.

    Warns:
      UserWarning: the data are hardly what is meant: floats up to 255, uint8 numbers that look like
        no pixels, labels all alike, labels that no training example has, or a matrix of which
        almost all rows are one-hot; or a sparse matrix was made dense.

    >>> data = arrays(np.zeros((4, 2, 3)), ["a", "b", "b", "a"], valid=0.5)
    >>> data.train.x.shape, len(data.valid.y), data.encoding.target.classes
    ((2, 6), 2, ('a', 'b'))
    """
    arguments = {"training data": (x, y, weight), "validation data": valid, "test data": test}
    fractions = {
        name: 0.0 if split is None or isinstance(split, (tuple, list)) else fraction(name, split)
        for name, split in (("valid", valid), ("test", test))
    }
    pairs = {
        source: readable_arrays(split, source)
        for source, split in arguments.items()
        if isinstance(split, (tuple, list))
    }
    pairs, classes = with_named_labels(pairs)
    splits = {source: checked_split(pair, source) for source, pair in pairs.items()}
    train = splits.pop("training data")
    if any(fractions.values()):
        parts = _drawn(train, fractions, stratify, groups, seed)
        drawn = {"validation data": parts.valid, "test data": parts.test}
        splits |= {source: train.take(rows) for source, rows in drawn.items() if len(rows)}
        train = train.take(parts.train)
    elif groups is not None:
        raise ValueError(
            "groups are for valid or test as a fraction, and neither is; leave it out."
        )
    data = Dataset(train, splits.get("validation data"), splits.get("test data"))
    data = matching_splits(data, "the arrays")
    data = data if classes is None else Table.of(data, Encoding(Target("class", classes)))
    return data if class_weight is None else class_weighted(data, class_weight)


def _drawn(
    split: Split,
    fractions: dict[str, float],
    stratify: bool,
    groups: ArrayLike | None,
    seed: SupportsIndex,
) -> Partition:
    """The rows of a split that train, validate and test."""
    labels = np.asarray(split.y)
    is_stratified = flag("stratify", stratify) and labels.dtype.kind in "iu"
    return partition(
        len(split.x), fractions["valid"], fractions["test"],
        labels=labels if is_stratified else None,
        groups=None if groups is None else np.asarray(groups),
        seed=count("seed", seed, low=0),
    )  # fmt: skip


def digits() -> Dataset:
    """scikit-learn's handwritten digits, small enough for seconds: 1,197 / 300 / 300 examples.

    The last rows are of other writers than the first ones, so that the test split is harder than
    the validation split.

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
