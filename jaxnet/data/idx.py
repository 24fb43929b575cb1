"""The reader of IDX files, MNIST's format: a folder of four files, each gzipped or not."""

import gzip
import hashlib
import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxnet.core.types import Dataset
from jaxnet.data.splits import checked_split, existing_file, hold_out_last, matching_splits
from jaxnet.io import reading

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""The names of MNIST's four files."""


def idx(folder: str | Path, n_valid: int | None = None, n_classes: int | None = None) -> Dataset:
    """The data set in a folder of four files with MNIST's names: Fashion-MNIST, KMNIST, EMNIST.

    Args:
      folder: where `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
        `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte` lie, each gzipped (`.gz`) or not.
      n_valid: how many of the last training examples to validate on instead; by default a sixth,
        which is the book's 10,000 of 60,000. Random ones, if the examples are in order of their
        classes.
      n_classes: the number of classes, which labels have to be below; no limit by default.

    Returns:
      A `Dataset` of uint8 images (n, rows·columns) and integer labels.

    Raises:
      ValueError: a file is missing, truncated, of another format or does not match its partner.

    Warns:
      UserWarning: the examples are in order of their classes, or look like no images.

    >>> folder = Path(__file__).parent / "mnist"  # which ships with the package
    >>> [len(split.x) for split in idx(folder)]
    [50000, 10000, 10000]
    """
    return read_folder(Path(folder), n_valid, n_classes, {})


def read_folder(
    folder: Path, n_valid: int | None, n_classes: int | None, hashes: dict[str, str]
) -> Dataset:
    """The data set in a folder of IDX files, whose hashes are verified.

    Args:
      folder: where the four files lie.
      n_valid: how many of the last training examples to validate on; a sixth, if None.
      n_classes: the number of classes, which labels have to be below; no limit, if None.
      hashes: the SHA-256 of decompressed files by name; files without one are not verified.

    Returns:
      The data set.

    Raises:
      ValueError: a file is missing, damaged, of another format or does not match its partner.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; name the folder with the four IDX files.")
    x, y, x_test, y_test = (read_file(folder, name, hashes.get(name)) for name in IDX_FILES)
    train = checked_split((x, y), f"{folder} (training files)", n_classes)
    test = checked_split((x_test, y_test), f"{folder} (t10k files)", n_classes)
    train, valid = hold_out_last(train, n_valid, str(folder))
    return matching_splits(Dataset(train, valid, test), str(folder))


def read_file(folder: Path, name: str, sha256: str | None) -> np.ndarray:
    """The array in an IDX file: the bytes 0, 0, 8 (for uint8), rank; each dimension; the data.

    The dimensions are big-endian integers of 4 bytes.

    Args:
      folder: where the file lies.
      name: its name without `.gz`, which holds the rank: `train-images-idx3-ubyte`.
      sha256: the SHA-256 of its decompressed content; not verified, if None.

    Returns:
      The array, uint8.

    Raises:
      ValueError: the file is missing, truncated, too long, of another format or rank, or damaged.
    """
    path = folder / name
    if not path.is_file():
        path = existing_file(folder / f"{name}.gz")
    rank = int(name.split("-idx")[1][0])
    kind = f"an IDX file of bytes with {rank} dimensions"
    parse = _decompressed_array if path.suffix == ".gz" else _array
    return reading.read_file(
        path, kind, lambda file: parse(file, rank, sha256), "download it again"
    )


def _decompressed_array(file: BinaryIO, rank: int, sha256: str | None) -> np.ndarray:
    """The array in an open IDX file that is gzipped; errors are bare reasons."""
    with gzip.open(file) as decompressed:
        return _array(decompressed, rank, sha256, reading.file_size(file))


def _array(
    file: reading.ByteStream, rank: int, sha256: str | None, n_compressed: int | None = None
) -> np.ndarray:
    """The array in an open, decompressed IDX file; errors are bare reasons."""
    header = file.read(4 * (1 + rank))
    magic = bytes([0, 0, 8, rank])
    if header[:4] != magic:
        given_magic = f"0x{header[:4].hex()}" if header else "(none)"
        raise ValueError(f"magic number {given_magic} instead of 0x{magic.hex()}")
    shape = tuple(int.from_bytes(header[4 * i : 4 * i + 4]) for i in range(1, rank + 1))
    size = math.prod(shape)
    # One byte more than the data shows whether the file is too long.
    content = reading.read_at_most(file, size + 1, n_compressed)
    if len(header) < 4 * (1 + rank) or len(content) < size:
        raise ValueError(f"it is truncated: {len(content)} of {size} bytes for {shape}")
    if len(content) > size:
        raise ValueError(f"it is longer than the {size} bytes that its header {shape} names")
    if sha256 is not None and hashlib.sha256(header + content).hexdigest() != sha256:
        raise ValueError("its contents do not have MNIST's SHA-256, it was changed")
    return np.frombuffer(content, np.uint8).reshape(shape)
