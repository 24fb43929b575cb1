"""Tables as CSV files, in UTF-8 and with line feeds whatever the locale.

Numbers are written with the fewest digits that give the same number when it is read again. A text
that a spreadsheet would run as a formula, such as "=1+1", is written with an apostrophe in front,
which spreadsheets take for the sign of a text. Reading takes the apostrophe away again.

Source: OWASP, CSV injection, for the characters with which a formula may begin.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.core.types import History
from jaxnet.io import files, reading

_FORMULA = re.compile("'*[=+@\\t\\r\\n＝＋－＠-]")
"""How a text begins that a spreadsheet would run; apostrophes in front may be our own."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?inf|nan", re.ASCII)
"""A number as Python writes it."""
Row = dict[str, Any]
"""A row of a table: its cells by the names of their columns."""


def column_names(rows: Sequence[Row]) -> list[str]:
    """The names of all columns that any row has, in the order that the rows have them.

    Args:
      rows: the table.

    Returns:
      The names. A name that appears only in a later row stands after the name before it in that
      row.

    >>> column_names([{"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}])
    ['a', 'b', 'c']
    """
    merged: list[str] = []
    distinct_headers = dict.fromkeys(tuple(row) for row in rows)
    for header in distinct_headers:
        position = 0
        for name in header:
            if name not in merged:
                merged.insert(position, name)
            position = merged.index(name) + 1
    return merged


def encode(rows: Iterable[Iterable[object]], nan: str = "") -> bytes:
    r"""A table as the content of a CSV file, in UTF-8.

    Args:
      rows: the rows of cells: strings, numbers (NumPy's too), or None, which stays empty.
      nan: what is written for a NaN; nothing by default.

    Returns:
      The content of the file.

    >>> encode([("epoch", "cost"), (1, 0.1), (2, float("nan"))])
    b'epoch,cost\n1,0.1\n2,\n'
    >>> encode([("=1+1", -0.5)])
    b"'=1+1,-0.5\n"
    """

    def text_of(cell: object) -> str:
        if cell is None:
            return ""
        is_nan = cell != cell
        text = nan if is_nan else str(cell)
        return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text

    # Before Python 3.13 the writer quotes a "\r" only if lines end with one.
    lines = []
    for row in rows:
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\r\n").writerow([text_of(cell) for cell in row])
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines).encode("utf-8")


def decode(content: bytes) -> list[list[str]]:
    r"""The cells of a CSV file's content, line by line, without its empty lines.

    Args:
      content: the content of the file, in UTF-8, with or without a byte order mark.

    Returns:
      The cells of each line, as strings.

    Raises:
      ValueError: it is not UTF-8, or not CSV; the message is a bare reason.

    >>> decode(b'label,score\n"adam, 5",0.9\n')
    [['label', 'score'], ['adam, 5', '0.9']]
    """
    try:
        rows = csv.reader(io.StringIO(reading.utf8(content), newline=""), strict=True)
        return [[_without_apostrophe(cell) for cell in row] for row in rows if row]
    except csv.Error as error:
        raise ValueError(f"its CSV is damaged: {error}") from None


def _without_apostrophe(cell: str) -> str:
    """The text of a cell without the apostrophe that `encode` put in front of a formula."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def write_csv(path: str | Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV, atomically; the first line holds the names of the columns.

    Args:
      path: the file; one that exists is replaced.
      rows: the table; a NaN, and a cell that a row lacks, stays empty.

    Raises:
      OSError: the file cannot be written; one that existed is unharmed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_csv(f"{folder}/table.csv", [{"epoch": 1, "cost": 0.5}])
    ...     read_csv(f"{folder}/table.csv")
    [{'epoch': 1, 'cost': 0.5}]
    """
    files.write_atomic(path, encode_rows(list(rows)))


def encode_rows(rows: Sequence[Row]) -> bytes:
    r"""Rows as the content of a CSV file; the first line holds the names of the columns.

    Args:
      rows: the table; a NaN, and a cell that a row lacks, stays empty.

    Returns:
      The content of the file.

    >>> encode_rows([{"epoch": 1, "cost": 0.5}])
    b'epoch,cost\n1,0.5\n'
    """
    columns = column_names(rows)
    return encode([columns, *([row.get(name) for name in columns] for row in rows)])


def read_csv(path: str | Path, text: Collection[str] = ()) -> list[Row]:
    """The rows of a CSV file, by the names of columns in its first line.

    Args:
      path: the file, in UTF-8.
      text: the columns that stay strings; all others are numbers, and NaN where a cell is empty.

    Returns:
      The rows.

    Raises:
      ValueError: the file cannot be read, a line has more or fewer cells than the first, or a cell
        is not a number; the message names the file and the row.
    """
    return reading.read_content(path, "a table in CSV", lambda content: decode_rows(content, text))


def decode_rows(content: bytes, text: Collection[str] = ()) -> list[Row]:
    r"""The rows in the content of a CSV file, by the names of columns in its first line.

    Args:
      content: the content of the file, in UTF-8.
      text: the columns that stay strings; all others are numbers, and NaN where a cell is empty.

    Returns:
      The rows.

    Raises:
      ValueError: it is no table of such columns; the message is a bare reason.

    >>> decode_rows(b"label,score\nadam,0.9\n", text=["label"])
    [{'label': 'adam', 'score': 0.9}]
    """
    if not content:
        raise ValueError("it is empty; a table without rows has an empty line")
    columns, *lines = decode(content) or [[]]
    if columns and not lines:
        raise ValueError("it has no rows below its first line")
    if repeated := [name for name in columns if columns.count(name) > 1]:
        raise ValueError(f"its column {repeated[0]!r} occurs twice")
    return [_row(columns, cells, text, f"row {n}") for n, cells in enumerate(lines, 1)]


def _row(columns: list[str], cells: list[str], text: Collection[str], place: str) -> Row:
    """The cells of one line by their columns' names; `place` names the line in an error."""
    if len(cells) != len(columns):
        raise ValueError(f"{place} has {len(cells)} cells, and the first line {len(columns)}")
    return {
        name: cell if name in text else _number(cell, f"{place}, column {name!r}")
        for name, cell in zip(columns, cells, strict=True)
    }


def _number(cell: str, place: str) -> int | float:
    """The number in a cell, an int where it is written as one; NaN for an empty cell."""
    if cell and not _NUMBER.fullmatch(cell):
        raise ValueError(f"{place} is {cell[:40]!r}, which is not a number")
    try:
        return int(cell)
    except ValueError:
        return float(cell or "nan")


def monitors_csv(measured: dict[str, np.ndarray]) -> bytes:
    r"""The monitors of a run as the content of a CSV file, a line for each measured step.

    Args:
      measured: under "step" the steps, (n_steps,); under the name of each monitor its numbers,
        (n_steps, n_layers).

    Returns:
      The content of the file: a column for the step, and one for each layer of each monitor
      (`name_1`, `name_2`, …; just `name` for a single layer).

    >>> monitors_csv({"step": np.array([0, 10]), "update": np.array([[0.5, 1.5], [2.5, 3.5]])})
    b'step,update_1,update_2\n0,0.5,1.5\n10,2.5,3.5\n'
    """
    columns = {"step": measured["step"]}
    for monitor, numbers in measured.items():
        if monitor == "step":
            continue
        if numbers.shape[1] == 1:
            columns[monitor] = numbers[:, 0]
        else:
            for layer, column in enumerate(numbers.T, start=1):
                columns[f"{monitor}_{layer}"] = column
    # A NaN was measured: it is not an empty cell.
    return encode([list(columns), *zip(*columns.values(), strict=True)], nan="nan")


def history_csv(history: History) -> bytes:
    r"""The curves of a history as the content of a CSV file, a line for each epoch.

    Args:
      history: the curves and metrics, (epochs,) each.

    Returns:
      The content of the file, with all digits; a value that was not evaluated is an empty cell.

    >>> nothing = np.array([np.nan])
    >>> history_csv(History(np.array([0.5]), nothing, nothing, nothing)).splitlines()[1]
    b'1,0.5,,,,,'
    """
    curves = history.curves
    rows = zip(*np.broadcast_arrays(*curves.values()), strict=True)
    return encode([("epoch", *curves), *((n, *row) for n, row in enumerate(rows, 1))])
