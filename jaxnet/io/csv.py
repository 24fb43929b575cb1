"""Tables as CSV: one encoder and one decoder, UTF-8 and line feeds whatever the locale says.

Numbers are written with the fewest digits that name them, so that reading gives the same numbers.
"""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.core.types import History
from jaxnet.io import files

Row = dict[str, Any]


def names(rows: Sequence[Row]) -> list[str]:
    """All names that any row has, each after the one that it follows there.

    >>> names([{"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}])
    ['a', 'b', 'c']
    """
    merged: list[str] = []
    for kind in dict.fromkeys(tuple(row) for row in rows):
        place = 0
        for name in kind:
            if name not in merged:
                merged.insert(place, name)
            place = merged.index(name) + 1
    return merged


def encode(rows: Iterable[Iterable[Any]], nan: str = "") -> bytes:
    r"""A table as the content of a CSV file, in UTF-8.

    Args:
      rows: of cells: strings, numbers (NumPy's too), or None, which stays empty.
      nan: what is written for a NaN.

    >>> encode([("epoch", "cost"), (1, 0.1), (2, float("nan"))])
    b'epoch,cost\n1,0.1\n2,\n'
    """

    def cell(value: Any) -> str:
        if value is None:
            return ""
        return nan if value != value else str(value)

    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8")


def decode(content: bytes) -> list[list[str]]:
    r"""The cells of a CSV file's content, line by line, empty lines left out.

    Raises:
      ValueError: it is not UTF-8, or not CSV.

    >>> decode(b'label,score\n"adam, 5",0.9\n')
    [['label', 'score'], ['adam, 5', '0.9']]
    """
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
        return [row for row in rows if row]
    except csv.Error as error:
        raise ValueError(f"its CSV is damaged: {error}") from None


def write_csv(path: str | Path, rows: Iterable[Row]) -> None:
    """Write rows of named values as CSV, atomically, with a first line of all their names.

    Args:
      path: where; a file that is there is replaced.
      rows: a NaN, and what a row does not have, stays empty.

    Raises:
      OSError: the file cannot be written; one that was there is unharmed.
    """
    rows = list(rows)
    columns = names(rows)
    cells = ([row.get(name) for name in columns] for row in rows)
    files.write_atomic(path, encode([columns, *cells]))


def read_csv(path: str | Path, text: Collection[str] = ()) -> list[Row]:
    """The rows of a CSV file by the names in its first line.

    Args:
      path: the file, in UTF-8.
      text: the columns that stay strings; all others are numbers, NaN where nothing stands.

    Raises:
      ValueError: a line has more or fewer cells than the first, or a cell is no number; the message
        names the file and the row.
      OSError: the file cannot be read.
    """
    path = Path(path)
    try:
        columns, *lines = decode(path.read_bytes()) or [[]]
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    return [_row(columns, cells, text, f"{path}, row {n}") for n, cells in enumerate(lines, 1)]


def _row(columns: list[str], cells: list[str], text: Collection[str], where: str) -> Row:
    if len(cells) != len(columns):
        raise ValueError(f"{where}: it has {len(cells)} cells, and the first line {len(columns)}")
    try:
        return {
            name: cell if name in text else _number(cell)
            for name, cell in zip(columns, cells, strict=True)
        }
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _number(cell: str) -> int | float:
    try:
        return int(cell)
    except ValueError:
        return float(cell or "nan")


def monitors_csv(measured: dict[str, np.ndarray]) -> bytes:
    """A line a measurement: its step, then each monitor's number of each layer."""
    columns = {"step": measured["step"]}
    for name, table in measured.items():
        if name != "step":
            several = table.shape[1] > 1
            columns |= {
                f"{name}_{layer}" if several else name: column
                for layer, column in enumerate(table.T, start=1)
            }
    # A NaN was measured: it is no empty cell.
    return encode([list(columns), *zip(*columns.values(), strict=True)], nan="nan")


def history_csv(history: History) -> bytes:
    """The four curves, a line per epoch, exactly; what was not monitored stays empty."""
    rows = zip(*map(np.asarray, history), strict=True)
    return encode([("epoch", *History._fields), *((n, *row) for n, row in enumerate(rows, 1))])
