"""Examples in text, a line each: pixels in CSV, LIBSVM's pairs, and numbers between spaces."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from jaxnet.io import compressed, reading

_PIXEL_NAME = rb'"?(?:pixel\d+|\d+x\d+)"?'
_HEADER = re.compile(rb'("?label"?,)?%b(?:,%b)*' % (_PIXEL_NAME, _PIXEL_NAME), re.IGNORECASE)
"""The first line of a table of pixels, with or without a column of labels."""
_BYTES = {str(number).encode(): number for number in range(256)}
"""A pixel, or a label, by the cell that holds it."""
LONGEST_LINE = 2**20
"""The bytes of a first line that are looked at."""
REMEDY = "begin it with label,pixel0,pixel1,… or with a label and pixels from 0 to 255"
_SMALLEST_IMAGE = 8
"""The side of the smallest image that is taken for one where no header says so."""

Rows = tuple[Float[np.ndarray, "n n_in"], Float[np.ndarray, " n"]]
"""Inputs and labels of n examples."""


def is_pixel_table(path: Path, n_pixels: int | None = None) -> bool:
    """Whether the first line of a CSV file says that its rows are a label and pixels.

    Args:
      path: the file, compressed or not.
      n_pixels: the number of pixels of an image, with or without a label; by default those of a
        square image of at least 8×8 pixels, with a label.

    Returns:
      True for a header such as label,pixel0,pixel1,…, and for a label and the pixels of an image,
      all from 0 to 255.

    Raises:
      ValueError: the file cannot be read.
    """
    first_line = compressed.read_decompressed(
        path, "a CSV file", lambda file, _: file.read(LONGEST_LINE), "name another file"
    )
    line = _without_mark(first_line).splitlines()[:1]
    cells = line[0].split(b",") if line else []
    side = int(max(0, len(cells) - 1) ** 0.5)
    is_image = side >= _SMALLEST_IMAGE and side**2 == len(cells) - 1
    if n_pixels is not None:
        is_image = len(cells) in (n_pixels, 1 + n_pixels)
    has_header = bool(line) and _HEADER.fullmatch(line[0]) is not None
    return has_header or (is_image and all(cell in _BYTES for cell in cells))


def read_pixels(
    path: Path, needs_labels: bool = True, n_pixels: int | None = None
) -> tuple[UInt8[np.ndarray, "n n_pixels"], UInt8[np.ndarray, " n"] | None]:
    r"""The images and their labels in a CSV file, a line each: the label, and the pixels.

    Args:
      path: the file, compressed or not. Its first line may be a header, label,pixel0,pixel1,… or
        label,1x1,1x2,…
      needs_labels: whether a file is refused of which the header has pixels alone.
      n_pixels: the number of pixels of an image: without a header, lines of so many cells have no
        label. By default each line begins with a label.

    Returns:
      The images, and the labels; `None` for labels that are not there and need not be.

    Raises:
      ValueError: the file cannot be read, lacks labels that are needed, or holds something else
        than whole numbers from 0 to 255, in rows of equally many.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "train.csv")
    ...     _ = path.write_text("label,pixel0,pixel1\n7,0,255\n")
    ...     read_pixels(path)
    (array([[  0, 255]], dtype=uint8), array([7], dtype=uint8))
    """
    return compressed.read_decompressed_content(
        path,
        "a table of labels and pixels",
        lambda content: _pixels(content, needs_labels, n_pixels),
        REMEDY,
    )


def _pixels(
    content: bytes, needs_labels: bool, n_pixels: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The images and labels in a content; errors are bare reasons."""
    lines = _without_mark(content).splitlines()
    while lines and not lines[-1]:
        lines.pop()
    header = _HEADER.fullmatch(lines[0]) if lines else None
    n_header = 0 if header is None else 1
    if len(lines) == n_header:
        raise ValueError("it has no rows")
    n_cells = lines[0].count(b",") + 1
    has_labels = n_cells != n_pixels if header is None else header[1] is not None
    if needs_labels and not has_labels:
        raise ValueError("it has no labels, as its first line says")
    table = bytearray()
    for number, line in enumerate(lines[n_header:], 1 + n_header):
        cells = line.split(b",")
        if len(cells) != n_cells:
            raise ValueError(f"line {number} has {len(cells)} cells, and line 1 has {n_cells}")
        try:
            table += bytes(map(_BYTES.__getitem__, cells))
        except KeyError as error:
            cell = error.args[0][:20].decode("utf-8", "replace")
            raise ValueError(
                f"line {number} holds {cell!r}, which is not a whole number from 0 to 255"
            ) from None
    rows = np.frombuffer(table, np.uint8).reshape(-1, n_cells)
    if not has_labels:
        return rows, None
    return np.ascontiguousarray(rows[:, 1:]), rows[:, 0].copy()


def _without_mark(content: bytes) -> bytes:
    return content.removeprefix(b"\xef\xbb\xbf")


def read_libsvm(path: Path, n_in: int) -> Rows:
    r"""The inputs and labels in a file of LIBSVM's format: label, and pairs index:value.

    Args:
      path: the file, compressed or not.
      n_in: the number of inputs, of which the indices are 1 to n_in; those without a pair are 0.

    Returns:
      The inputs and the labels, as floats.

    Raises:
      ValueError: the file cannot be read, or a line is of another form.

    Source: Chang and Lin, LIBSVM: a library for support vector machines, 2011; its README.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "usps")
    ...     _ = path.write_text("7 1:-1 3:0.5\n")
    ...     read_libsvm(path, 3)
    (array([[-1. ,  0. ,  0.5]]), array([7.]))
    """

    def row_of(cells: Sequence[bytes]) -> list[float]:
        if len(cells) == 1:
            raise ValueError("it has no inputs")
        row = [float(cells[0]), *[0.0] * n_in]
        for pair in cells[1:]:
            index, _, value = pair.partition(b":")
            if not 1 <= int(index) <= n_in:
                raise ValueError(f"it has the input {int(index)}, and there are {n_in}")
            row[int(index)] = float(value)
        return row

    return _read_rows(path, "a LIBSVM file", n_in, row_of)


def read_columns(path: Path, n_in: int) -> Rows:
    """The inputs and labels in a file of numbers between spaces: the label, and the inputs.

    Args:
      path: the file, compressed or not.
      n_in: the number of inputs.

    Returns:
      The inputs and the labels, as floats.

    Raises:
      ValueError: the file cannot be read, or a line is of another form.
    """

    def row_of(cells: Sequence[bytes]) -> list[float]:
        if len(cells) != 1 + n_in:
            raise ValueError(f"it has {len(cells)} numbers, and not a label and {n_in} inputs")
        return [float(cell) for cell in cells]

    return _read_rows(path, "a table of numbers between spaces", n_in, row_of)


def _read_rows(
    path: Path, kind: str, n_in: int, row_of: Callable[[Sequence[bytes]], list[float]]
) -> Rows:
    """Inputs and labels in a file of lines, each of which a function makes a row of 1 + n_in."""

    def parse(content: bytes) -> Rows:
        # A line of LIBSVM's may be much shorter than its row.
        reading.check_expansion(8 * (1 + n_in) * (content.count(b"\n") + 1), len(content))
        rows = []
        for number, line in enumerate(content.splitlines(), 1):
            try:
                if cells := line.split():
                    rows.append(np.array(row_of(cells)))
            except ValueError as error:
                raise ValueError(f"line {number}: {reading.fault(error)}") from None
        if not rows:
            raise ValueError("it has no rows")
        table = np.array(rows)
        return table[:, 1:], table[:, 0]

    return compressed.read_decompressed_content(path, kind, parse, "download it again")
