"""The reader of IDX files, MNIST's format: a folder of four, each gzipped or not."""

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from jaxnet.core.types import Dataset
from jaxnet.data.splits import checked_split, existing_file, held_out

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx(folder: str | Path, n_valid: int | None = None, n_classes: int | None = None) -> Dataset:
    """Any folder with the four files of MNIST's names: Fashion-MNIST, KMNIST, EMNIST.

    Args:
      folder: where `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
        `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte` lie, each gzipped (`.gz`) or not.
      n_valid: how many of the last training examples validate instead; by default a sixth, which
        is the book's 10,000 of 60,000.
      n_classes: where given, labels must be below it.

    Returns:
      A `Dataset` of uint8 images (n, rows·columns) and integer labels.

    Raises:
      ValueError: a file is missing, truncated, of another format or does not match its partner.
    """
    return read_folder(Path(folder), n_valid, n_classes, {})


def read_folder(
    folder: Path, n_valid: int | None, n_classes: int | None, hashes: dict[str, str]
) -> Dataset:
    """The `Dataset` of a folder, whose files have these SHA-256 where they are named."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder.")
    x, y, x_test, y_test = (read_file(folder, name, hashes.get(name)) for name in IDX_FILES)
    train = checked_split(x, y, f"{folder} (training files)", n_classes)
    test = checked_split(x_test, y_test, f"{folder} (t10k files)", n_classes)
    if train.x.shape[1] != test.x.shape[1]:
        raise ValueError(
            f"{folder}: training images have {train.x.shape[1]} pixels, test images "
            f"{test.x.shape[1]}."
        )
    return Dataset(*held_out(train, n_valid, str(folder)), test)


def read_file(folder: Path, name: str, sha256: str | None) -> np.ndarray:
    """One IDX file: the bytes 0, 0, type (8: uint8), rank; each dimension, big-endian; the data."""
    path = folder / name
    if not path.is_file():
        path = existing_file(folder / f"{name}.gz")
    rank = int(name.split("-idx")[1][0])
    magic = bytes([0, 0, 8, rank])
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 * (1 + rank))
            if header[:4] != magic:
                raise ValueError(
                    f"{path}: magic number 0x{header[:4].hex() or '(empty)'} instead of "
                    f"0x{magic.hex()}; this is no IDX file of bytes with {rank} dimensions."
                )
            shape = tuple(int.from_bytes(header[4 * i : 4 * i + 4]) for i in range(1, rank + 1))
            size = math.prod(shape)
            # In pieces, so that memory is bounded by what is there, not by what the header
            # claims; one byte more than that shows what is too long.
            pieces, left = [], size + 1
            while left and (piece := file.read(min(left, 2**20))):
                pieces.append(piece)
                left -= len(piece)
            content = b"".join(pieces)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is truncated or no gzip file: {error}.") from None
    if len(header) < 4 * (1 + rank) or len(content) < size:
        raise ValueError(f"{path} is truncated: {len(content)} of {size} bytes for {shape}.")
    if len(content) > size:
        raise ValueError(f"{path} is longer than the {size} bytes that its header {shape} names.")
    if sha256 is not None and hashlib.sha256(header + content).hexdigest() != sha256:
        raise ValueError(f"{path} is damaged: its contents do not have MNIST's SHA-256.")
    return np.frombuffer(content, np.uint8).reshape(shape)
