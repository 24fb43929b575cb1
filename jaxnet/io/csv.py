"""CSV files: all are UTF-8, with newlines for line ends and nothing where a number is NaN."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.core.types import History
from jaxnet.io import files

Row = dict[str, Any]
"""A row of named values."""


def encoded(header: Sequence[str] | None, rows: Iterable[Iterable[Any]]) -> bytes:
    r"""The content of a CSV file: numbers with as many digits as they need, NaN as nothing.

    Args:
      header: the names of the columns, or `None` for a file without them.
      rows: the values of each row, in the order of the columns.

    >>> encoded(["n", "cost"], [(1, 0.5), (2, float("nan"))])
    b'n,cost\n1,0.5\n2,\n'
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if header is not None:
        writer.writerow(header)
    writer.writerows(["" if value != value else value for value in row] for row in rows)
    return text.getvalue().encode("utf-8")


def decoded(path: str | Path) -> list[list[str]]:
    """The rows of a CSV file, the header among them, as text.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not UTF-8, or no CSV.
    """
    text = Path(path).read_bytes().decode("utf-8")
    try:
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV file: {error}.") from None


def names(rows: Sequence[Row]) -> list[str]:
    """All names that any row has, each after the one that it follows there.

    >>> names([{"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}])
    ['a', 'b', 'c']
    """
    known: list[str] = []
    for kind in dict.fromkeys(tuple(row) for row in rows):
        place = 0
        for name in kind:
            if name not in known:
                known.insert(place, name)
            place = known.index(name) + 1
    return known


def write_csv(path: str | Path, rows: Iterable[Row]) -> None:
    """Write rows of named values, atomically; what a row does not have stays empty.

    Raises:
      OSError: the file cannot be written; one that was there is unharmed.
    """
    rows = list(rows)
    header = names(rows)
    cells = ([row.get(name, "") for name in header] for row in rows)
    files.write_atomic(path, encoded(header, cells))


def read_csv(path: str | Path, text: Collection[str] = ()) -> list[Row]:
    """The rows of named values that `write_csv` wrote.

    Args:
      path: the file.
      text: the columns that hold text; all others hold numbers, NaN where nothing stands.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is no such file.
    """

    def value(name: str, cell: str) -> Any:
        if name in text:
            return cell
        try:
            return int(cell)
        except ValueError:
            return float(cell or "nan")

    header, *rows = decoded(path) or [[]]
    return [
        {name: value(name, cell) for name, cell in zip(header, row, strict=True)} for row in rows
    ]


def monitors_csv(monitors: dict[str, np.ndarray]) -> bytes:
    """A run's `monitors` as CSV: a line a measurement, its step, then each monitor's layers."""
    columns = {"step": monitors["step"]}
    for name, table in monitors.items():
        if name != "step":
            several = table.shape[1] > 1
            columns |= {
                f"{name}_{layer}" if several else name: column
                for layer, column in enumerate(table.T, start=1)
            }
    return encoded(list(columns), zip(*columns.values(), strict=True))


def history_csv(history: History) -> bytes:
    """The four curves as CSV, a line per epoch, exactly; what was not monitored stays empty."""
    epochs = range(1, len(history.training_cost) + 1)
    rows = zip(epochs, *map(np.asarray, history), strict=True)
    return encoded(("epoch", *History._fields), rows)
