"""USPS: handwritten digits of ZIP codes."""

from pathlib import Path

from jaxnet.core.arguments import path_of
from jaxnet.core.types import Dataset
from jaxnet.data import file_sets, published


def usps(path: str | Path, n_valid: int | None = None) -> Dataset:
    """USPS's handwritten digits of ZIP codes, as LIBSVM or a textbook publishes them.

    Args:
      path: the folder of the files, or one of them: `usps` and `usps.t` in LIBSVM's format, whose
        labels 1 to 10 are the digits 0 to 9; or `zip.train` and `zip.test` of The Elements of
        Statistical Learning. Each may be compressed (`.bz2`, `.gz`). The `usps.h5` in HDF5 is not
        read.
      n_valid: how many of the last training examples to validate on; by default a sixth.

    Returns:
      A `Dataset` of images of 16×16 pixels in [−1, 1], floats (n, 256), and labels 0 to 9.

    Raises:
      ValueError: neither or both of the two sets are at the path, or a file is missing or damaged.

    Source: Hull, A database for handwritten text recognition research, 1994.

    >>> usps("gone")
    Traceback (most recent call last):
    ValueError: gone is not a folder, nor one of these files: usps, zip.train (.gz or not), or the \
others of a set.
    """
    return published.read(path_of("path", path), file_sets.USPS, n_valid, None)
