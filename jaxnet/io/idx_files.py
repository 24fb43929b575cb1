"""IDX files: arrays of bytes, or of whole numbers of 4 bytes, as MNIST is published.

Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits, section "File formats".
"""

import hashlib
import math
from pathlib import Path

import numpy as np

from jaxnet.io import compressed, reading

TYPES = {"ubyte": (8, np.dtype(np.uint8)), "int": (12, np.dtype(">i4"))}
"""The number and the type of an array's entries, by the end of the file's name."""


def read_idx(path: Path, sha256: str | None = None) -> np.ndarray:
    """The array in an IDX file: the bytes 0, 0, type and rank; each dimension; the data.

    The dimensions are big-endian integers of 4 bytes.

    Args:
      path: the file. Its name ends with the rank and the type: `train-images-idx3-ubyte`, and `.gz`
        or `.bz2` where it is compressed.
      sha256: the SHA-256 of its decompressed content; not verified, if None.

    Returns:
      The array, uint8 or big-endian int32.

    Raises:
      ValueError: the file is missing, truncated, too long, of another format or rank, or damaged.
    """
    rank, _, ending = compressed.plain_name(path).rpartition("idx")[2].partition("-")
    type_number, dtype = TYPES[ending]
    magic = bytes([0, 0, type_number, int(rank)])
    what = "bytes" if ending == "ubyte" else "whole numbers"
    return compressed.read_decompressed(
        path,
        f"an IDX file of {what} with {rank} dimension{'' if rank == '1' else 's'}",
        lambda file, n_compressed: _array(file, magic, dtype, sha256, n_compressed),
        "download it again",
    )


def _array(
    file: reading.ByteStream,
    magic: bytes,
    dtype: np.dtype,
    sha256: str | None,
    n_compressed: int | None,
) -> np.ndarray:
    """The array in an open, decompressed IDX file; errors are bare reasons."""
    rank = magic[3]
    header = file.read(4 * (1 + rank))
    if header[:4] != magic:
        given_magic = f"0x{header[:4].hex()}" if header else "(none)"
        raise ValueError(f"magic number {given_magic} instead of 0x{magic.hex()}")
    shape = tuple(int.from_bytes(header[4 * i : 4 * i + 4]) for i in range(1, rank + 1))
    size = math.prod(shape) * dtype.itemsize
    # One byte more than the data shows whether the file is too long.
    content = reading.read_at_most(file, size + 1, n_compressed)
    if len(header) < 4 * (1 + rank) or len(content) < size:
        raise ValueError(f"it is truncated: {len(content)} of {size} bytes for {shape}")
    if len(content) > size:
        raise ValueError(f"it is longer than the {size} bytes that its header {shape} names")
    if sha256 is not None and hashlib.sha256(header + content).hexdigest() != sha256:
        raise ValueError("its contents do not have MNIST's SHA-256, it was changed")
    return np.frombuffer(content, dtype).reshape(shape)
