"""EMNIST: handwritten letters and digits."""

from pathlib import Path

from jaxnet.core.arguments import path_of, require_choice
from jaxnet.core.types import Dataset
from jaxnet.data import file_sets, published


def emnist(path: str | Path, part: str | None = None, n_valid: int | None = None) -> Dataset:
    """EMNIST's handwritten letters and digits, in any of the forms in which it is published.

    Its files hold the images column by column, so that letters would lie on their sides: they are
    turned, and look as MNIST's do. The labels of the part letters, 1 to 26, become 0 to 25. Those
    of the other parts stay: digits first, then capital letters, then small ones (in balanced and
    bymerge those that differ from the capital ones).

    Args:
      path: the folder of the files, or one of them: `emnist-balanced-train-images-idx3-ubyte` and
        its three partners, each gzipped (`.gz`) or not; `emnist-balanced.mat`; or
        `emnist-balanced-train.csv` and `emnist-balanced-test.csv`. The same with another part.
      part: "balanced", "byclass", "bymerge", "digits", "letters" or "mnist"; not needed, the
        default, where only one of them is there.
      n_valid: how many of the last training examples to validate on; by default a sixth, which are
        those that the paper sets aside.

    Returns:
      A `Dataset` of uint8 images (n, 784) and labels: 47 classes in balanced and bymerge, 62 in
      byclass, 26 in letters, 10 in digits and mnist.

    Raises:
      ValueError: there is no such part, none or several are at the path, or a file is missing or
        damaged.

    Source: Cohen, Afshar, Tapson, van Schaik, EMNIST: an extension of MNIST to handwritten letters,
    2017.

    >>> emnist("gone", "letters")
    Traceback (most recent call last):
    ValueError: gone is not a folder, nor one of these files: emnist-PART-train-images-idx3-ubyte, \
emnist-PART.mat, emnist-PART-train.csv (.gz or not), or the others of a set.
    """
    if part is not None:
        require_choice("part", part, tuple(file_sets.EMNIST_CLASSES))
    sets = [file_set for file_set in file_sets.EMNIST if part in (None, file_set.part)]
    return published.read(path_of("path", path), sets, n_valid, None)
