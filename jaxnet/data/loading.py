"""One function that reads whatever data set lies at a path."""

from pathlib import Path

from jaxnet.core.arguments import path_of
from jaxnet.core.types import Dataset
from jaxnet.data import file_sets, published
from jaxnet.data.npz import npz
from jaxnet.data.pixels import pixels
from jaxnet.io import compressed, number_text


def load(path: str | Path, n_valid: int | None = None) -> Dataset:
    """The data set that lies at a path, recognized by the names of its files.

    Args:
      path: a folder of the files of one set, or a file: see the page on data files for the sets.
        Any `.npz` archive is read as `npz` does, and any `.csv` file of labels and pixels as
        `pixels` does.
      n_valid: how many of the last training examples to validate on, if the set has no validation
        split of its own; by default a sixth.

    Returns:
      The data set.

    Raises:
      ValueError: nothing that is known is there, or several sets are, or a file is missing or
        damaged.

    >>> from pathlib import Path
    >>> folder = Path(__file__).parent / "mnist"  # which ships with the package
    >>> [len(split.x) for split in load(folder)]
    [50000, 10000, 10000]
    """
    path = path_of("path", path)
    if not path.is_dir() and not published.sets_at(path, file_sets.ALL):
        if path.suffix == ".npz":
            return npz(path, n_valid)
        if compressed.plain_name(path).endswith(".csv") and number_text.is_pixel_table(path):
            return pixels(path, n_valid=n_valid)
    return published.read(path, file_sets.ALL, n_valid, None)
