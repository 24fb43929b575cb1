"""NumPy's files: one array (.npy), or a zip archive of named arrays (.npz).

`numpy.load` allocates what a header claims. Here a size is believed only if the file can hold it,
only the arrays that are asked for are read, and nothing pickled is ever loaded.
"""

import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxnet.io import reading

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""How NumPy stores an array in an archive."""
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""The readers of a .npy file's header, by the number of its format."""


def read_npy(path: str | Path) -> np.ndarray:
    """The array in a .npy file.

    Args:
      path: the file.

    Returns:
      The array.

    Raises:
      ValueError: the file cannot be read; the message is a sentence with the path, the fault and
        the remedy.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", [1.0, 2.0])
    ...     read_npy(f"{folder}/x.npy")
    array([1., 2.])
    """
    remedy = "save it again with numpy.save"
    return reading.read_file(path, "a readable .npy array", _single_array, remedy)


def read_npz(path: str | Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of a .npz archive by their names.

    Args:
      path: the archive.
      names: the arrays to read, of those that are there; all, if None.

    Returns:
      The arrays. Where none is there that was asked for, the dictionary is empty.

    Raises:
      ValueError: the archive, or an array that was asked for, cannot be read; the message is a
        sentence with the path, the fault and the remedy.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/data.npz", x=[1.0, 2.0], y=[0, 1])
    ...     read_npz(f"{folder}/data.npz", ["x"])
    {'x': array([1., 2.])}
    """
    return reading.read_file(
        path,
        "a readable .npz archive",
        lambda file: _named_arrays(file, names),
        "save it again with numpy.savez",
    )


def _single_array(file: BinaryIO) -> np.ndarray:
    """The array in an open .npy file; errors are bare reasons."""
    if file.read(2) == ZIP_MAGIC:
        raise ValueError("it is an archive of named arrays (.npz), not a single array (.npy)")
    file.seek(0)
    return _array(file, reading.file_size(file))


def _named_arrays(file: BinaryIO, names: Collection[str] | None) -> dict[str, np.ndarray]:
    """The arrays of these names, or all, in an open archive; errors are bare reasons."""
    if file.read(len(NPY_MAGIC)) == NPY_MAGIC:
        raise ValueError("it is a single array (.npy), not an archive of named arrays (.npz)")
    size = reading.file_size(file)
    with zipfile.ZipFile(file) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.filelist}
        if len(members) < len(archive.filelist):
            raise ValueError("two of its arrays have the same name")
        wanted = members if names is None else [name for name in members if name in names]
        return {name: _member(archive, members[name], name, size) for name in wanted}


def _member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, archive_size: int
) -> np.ndarray:
    """The array in a file of an archive."""
    try:
        if member.compress_type not in METHODS:
            raise ValueError("it is compressed by a method that NumPy does not use")
        reading.check_expansion(member.file_size, min(member.compress_size, archive_size))
        with archive.open(member) as file:
            return _array(file, member.file_size)
    except Exception as error:
        raise ValueError(f"its array {name}: {reading.fault(error)}") from error


def _array(file: reading.ByteStream, size: int) -> np.ndarray:
    """The array in an open .npy file of a known size, which its header has to match."""
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"its format is {version[0]}.{version[1]}; {sorted(HEADERS)} are read")
    shape, _, dtype = HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never loaded; save numbers")
    n_bytes = math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or not dtype.itemsize or n_bytes != size - file.tell():
        raise ValueError(
            f"its header names {dtype} of shape {shape}, which is {n_bytes} bytes, and "
            f"{size - file.tell()} follow it"
        )
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)
