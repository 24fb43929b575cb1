"""MATLAB's files of level 5 (MATLAB 5 to 7): arrays of numbers, and structures of them.

SciPy's reader allocates what a header claims. Here a size is believed only if the file can hold it.

Source: MathWorks, MAT-File Format, level 5.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxnet.io import reading

HEADER_BYTES = 128
LITTLE_ENDIAN = b"\x00\x01IM"
"""How the header ends: version 1.0, and MATLAB's mark "MI", read as a little-endian number."""
MATRIX, COMPRESSED = 14, 15
"""The types of elements that hold others."""
STRUCT, NUMBERS = 2, range(6, 16)
"""The classes of arrays that are read."""
TYPES = {
    1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8",
    13: "<u8",
}  # fmt: skip
"""The types of numbers by the type of their element."""
PIECE_BYTES = 2**16
"""How much is decompressed at once."""


def read_mat(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Arrays of numbers in a MATLAB file.

    Args:
      path: the file.
      names: the arrays, with dots where they are fields of structures: "dataset.train.images".

    Returns:
      The arrays, in the order of the names.

    Raises:
      ValueError: the file cannot be read, or has no such array.
    """

    def parse(content: bytes) -> list[np.ndarray]:
        arrays = _variables(content)
        for name in names:
            if name not in arrays:
                raise ValueError(f"it has no array {name}")
        return [arrays[name] for name in names]

    return reading.read_content(path, "a readable MATLAB file", parse, "download it again")


def _variables(content: bytes) -> dict[str, np.ndarray]:
    """All arrays of numbers in a content, by their names; errors are bare reasons."""
    mark = content[HEADER_BYTES - 4 : HEADER_BYTES]
    if content.startswith(b"MATLAB 7.3"):
        raise ValueError("it is of MATLAB 7.3, which is not read; save it with -v7")
    if mark != LITTLE_ENDIAN:
        raise ValueError("it does not begin as a little-endian MAT-file of level 5")
    arrays = {}
    for kind, element in _elements(memoryview(content)[HEADER_BYTES:]):
        if kind == COMPRESSED:
            kind, element = _next(_elements(memoryview(_decompressed(element))))
        if kind == MATRIX:
            name, fields = _matrix(element)
            arrays |= {f"{name}{field}": array for field, array in fields.items()}
    return arrays


def _decompressed(element: memoryview) -> bytes:
    """The content of a compressed element."""
    decompressor, pieces, n_bytes = zlib.decompressobj(), [], 0
    for start in range(0, len(element), PIECE_BYTES):
        pieces.append(decompressor.decompress(element[start : start + PIECE_BYTES]))
        n_bytes += len(pieces[-1])
        reading.check_expansion(n_bytes, len(element))
    if not decompressor.eof:
        raise ValueError("it is truncated: a compressed array has no end")
    return b"".join(pieces)


def _elements(buffer: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The elements of a part of a file, each with its type.

    An element is a tag of two numbers, type and size, and its data up to a multiple of 8 bytes. Of
    up to 4 bytes the size stands in the upper half of the type, and the data follow at once.
    """
    position = 0
    while position < len(buffer):
        if position + 8 > len(buffer):
            raise ValueError("it is truncated within the tag of an element")
        kind, size = struct.unpack_from("<II", buffer, position)
        start, is_small = position + 8, kind >= 2**16
        if is_small:
            start, size, kind = position + 4, kind >> 16, kind % 2**16
        available = 4 if is_small else len(buffer) - start
        if size > available:
            raise ValueError(f"it is truncated: {available} of the {size} bytes of an element")
        yield kind, buffer[start : start + size]
        padding = 0 if kind == COMPRESSED else -size % 8
        position = position + 8 if is_small else start + size + padding


def _next(elements: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    """The next element, which has to be there."""
    element = next(elements, None)
    if element is None:
        raise ValueError("it is truncated: an array lacks a part")
    return element


def _matrix(buffer: memoryview) -> tuple[str, dict[str, np.ndarray]]:
    """The name of an array, and the arrays of numbers in it.

    By "" itself, if it is one, or by ".field" and ".field.field", if it is a structure.
    """
    if not buffer:  # an empty field of a structure
        return "", {}
    elements = _elements(buffer)
    flags, dimensions, name = (_next(elements)[1] for _ in range(3))
    array_class, shape = flags[0], np.frombuffer(dimensions, "<i4").tolist()
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"an array has the dimensions {shape}")
    if array_class == STRUCT:
        fields = _fields(elements) if shape == [1, 1] else {}
    elif array_class in NUMBERS:
        kind, data = _next(elements)
        if kind not in TYPES:
            raise ValueError(f"an array has numbers of the unknown type {kind}")
        fields = {"": np.frombuffer(data, TYPES[kind]).reshape(shape, order="F")}
    else:
        fields = {}
    return bytes(name).decode("latin-1"), fields


def _fields(elements: Iterator[tuple[int, memoryview]]) -> dict[str, np.ndarray]:
    """The arrays of numbers in the fields of a structure: its remaining elements."""
    length = int(np.frombuffer(_next(elements)[1], "<i4")[0])
    text = bytes(_next(elements)[1])
    if length <= 0:
        raise ValueError(f"the names of a structure's fields have {length} characters")
    names = [text[i : i + length].split(b"\0")[0] for i in range(0, len(text), length)]
    arrays = {}
    for name, (_, element) in zip(names, elements, strict=True):
        for field, array in _matrix(element)[1].items():
            arrays[f".{name.decode('latin-1')}{field}"] = array
    return arrays
