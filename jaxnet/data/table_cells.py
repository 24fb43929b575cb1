"""The cells of a table's columns: numbers, or strings, with one mark for what is missing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxnet.core.arguments import brief
from jaxnet.io import table_files

Cells = np.ndarray
"""The cells of a column, (n,): float64 with NaN where one is missing, or strings and None."""
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "<na>", "nat"})
"""Strings, in small letters, that stand for a missing cell."""
_DATE = re.compile(
    r"(\d{4}([./-])\d{1,2}\2\d{1,2}"
    r"|\d{1,2}([./-])\d{1,2}\3\d{2,4}"
    r"|\d{1,2}\.? [A-Za-z]{3,9} \d{2,4})([T ].*)?"
)


def raw_columns(rows: object) -> dict[str, Any]:
    """The columns of a table by their names, as they come.

    Args:
      rows: a path of a CSV or Parquet file, a DataFrame, a table of pyarrow, or a mapping from
        names to cells.

    Raises:
      ValueError: it is none of these, has no rows, its columns differ in length, or two have one
        name.
    """
    if isinstance(rows, (str, Path)):
        rows = table_files.read_columns(rows)
    if hasattr(rows, "column_names") and hasattr(rows, "to_pydict"):  # pyarrow's
        pairs = [(name, rows.column(name).to_pylist()) for name in rows.column_names]  # pyright: ignore
    elif hasattr(rows, "columns") and hasattr(rows, "__getitem__"):  # a DataFrame
        pairs = [(name, rows[name]) for name in rows.columns]  # pyright: ignore
    else:
        pairs = list(rows.items()) if isinstance(rows, Mapping) else []
    if not pairs:
        raise ValueError(
            "a table is the path of a CSV or Parquet file, a DataFrame or a mapping from names to "
            f"cells, not {brief(rows)}."
        )
    columns = {str(name): cells for name, cells in pairs}
    if len(columns) < len(pairs):
        raise ValueError("two columns of the table have the same name; rename one of them.")
    lengths = {name: _length(name, cells) for name, cells in columns.items()}
    if not min(lengths.values()):
        raise ValueError("the table has no rows; give it at least one.")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns of a table need equally many rows, not {lengths}.")
    return columns


def _length(name: str, cells: Any) -> int:
    """The number of cells of a column."""
    if isinstance(cells, str) or not hasattr(cells, "__len__"):
        raise ValueError(
            f"the column {name!r} is {brief(cells)}; give a list of cells, such as "
            f"[{brief(cells)}] for one row."
        )
    return len(cells)


def cells_of(name: str, cells: Any) -> Cells:
    """The cells of one column, as numbers or as strings; missing ones as NaN or None.

    Args:
      name: the column's name, for errors.
      cells: a sequence of strings, numbers, booleans and None.

    Raises:
      ValueError: a cell is something else, such as a date.
    """
    if isinstance(cells, np.ma.MaskedArray):  # what is masked is missing
        cells = np.ma.filled(cells.astype(object), None)
    # Lists of both are left as they are: NumPy would make strings of the numbers.
    array = np.asarray(cells, object) if isinstance(cells, (list, tuple)) else np.asarray(cells)
    if array.dtype.kind in "iuf" and array.ndim == 1:
        return array.astype(np.float64)
    if array.dtype.kind == "M":
        raise date_error(name, str(array[~np.isnat(array)][:1])[2:12])
    values = [_cell(name, cell) for cell in array.astype(object)]
    present = [value for value in values if value is not None]
    if present and not any(isinstance(value, str) for value in present):
        return np.array([np.nan if value is None else value for value in values], np.float64)
    texts = [_text(value) if isinstance(value, float) else value for value in values]
    return np.array(texts, object)


def _cell(name: str, cell: Any) -> str | float | None:
    """A cell as a string, a number or None."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):  # pandas' missing values
        return None
    if isinstance(cell, (bool, np.bool_)):
        return str(bool(cell))
    if isinstance(cell, str):
        text = cell.strip()
        return None if text.lower() in MISSING else text
    if hasattr(cell, "year") and hasattr(cell, "month"):
        raise date_error(name, str(cell)[:10])
    try:
        number = float(cell)
    except (TypeError, ValueError):
        raise ValueError(
            f"the column {name!r} holds {brief(cell)}; cells must be numbers, strings or booleans."
        ) from None
    return None if np.isnan(number) else number


def texts_of(cells: Cells) -> list[str | None]:
    """The cells of a column as strings; missing ones are None."""
    if cells.dtype == object:
        return list(cells)
    return [None if np.isnan(number) else _text(number) for number in cells]


def _text(number: float) -> str:
    """A number as a category's name: 2.0 is "2"."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def numbers_of(cells: Cells, name: str) -> Float[np.ndarray, " n"]:
    """The cells of a column as numbers; missing ones are NaN.

    Raises:
      ValueError: a cell is no number.
    """
    if cells.dtype != object:
        return cells
    numbers = np.full(len(cells), np.nan)
    for row, text in enumerate(cells):
        if text is None:
            continue
        number = number_of(text)
        if number is None:
            raise ValueError(
                f"row {row} of the column {name!r} is {text!r}, but in training it held numbers; "
                "give a number, or leave the cell empty."
            )
        numbers[row] = number
    return numbers


def all_numbers(cells: Cells) -> Float[np.ndarray, " n"] | None:
    """The numbers that all strings of a column stand for; None if one is no number.

    Args:
      cells: the strings, None where one is missing, which becomes NaN.
    """
    numbers = [np.nan if cell is None else number_of(cell) for cell in cells]
    return None if None in numbers else np.array(numbers, float)


def check_finite(name: str, numbers: Float[np.ndarray, " n"]) -> None:
    """Raise a ValueError if a number of a column is infinite.

    Args:
      name: the column's name.
      numbers: its numbers, NaN where one is missing.
    """
    if np.isinf(numbers).any():
        row = int(np.isinf(numbers).argmax())
        raise ValueError(
            f"row {row} of the column {name!r} is {numbers[row]}; give finite numbers, or leave "
            "the cell empty."
        )


def number_of(text: str) -> float | None:
    """The number that a string stands for; None for another string."""
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def is_date(text: str) -> bool:
    """Whether a string looks like a date, such as 2024-05-31 or 31.5.2024."""
    return _DATE.fullmatch(text) is not None


def date_error(name: str, date: str) -> ValueError:
    """The error for a column of dates.

    Args:
      name: the column's name.
      date: one of them.
    """
    return ValueError(
        f"the column {name!r} holds dates, such as {date}; make numbers of them, such as the days "
        f"since a first one, or leave the column out with drop=[{name!r}]."
    )
