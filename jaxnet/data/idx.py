"""The reader of IDX files, MNIST's format: a folder of four files, each compressed or not."""

from pathlib import Path

from jaxnet.core.arguments import path_of
from jaxnet.core.types import Dataset
from jaxnet.data import file_sets, published


def idx(folder: str | Path, n_valid: int | None = None, n_classes: int | None = None) -> Dataset:
    """The data set in a folder of four IDX files: MNIST, Fashion-MNIST, KMNIST, QMNIST, EMNIST.

    EMNIST's images are turned, and the labels of its letters counted from 0: see `emnist`. Of
    QMNIST's labels the first column is read, which is the digit.

    Args:
      folder: where `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
        `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte` lie, each gzipped (`.gz`) or not; or
        the same names with a dot, `train-images.idx3-ubyte`; or
        `qmnist-train-images-idx3-ubyte`, `qmnist-train-labels-idx2-int` and the like; or
        `emnist-balanced-train-images-idx3-ubyte` and the like. It may also be one of the files,
        which chooses among several sets in a folder.
      n_valid: how many of the last training examples to validate on instead; by default a sixth,
        which is the book's 10,000 of 60,000. Random ones, if the examples are in order of their
        classes.
      n_classes: the number of classes, which labels have to be below; by default EMNIST's and
        QMNIST's own, and no limit for the names of MNIST.

    Returns:
      A `Dataset` of uint8 images (n, rows·columns) and integer labels.

    Raises:
      ValueError: a file is missing, truncated, of another format or does not match its partner, or
        the folder has several sets.

    Warns:
      UserWarning: the examples are in order of their classes, or look like no images.

    >>> folder = Path(__file__).parent / "mnist"  # which ships with the package
    >>> [len(split.x) for split in idx(folder)]
    [50000, 10000, 10000]
    """
    return published.read(path_of("folder", folder), file_sets.IDX, n_valid, n_classes)
