"""Tables: rows of named values, as CSV and as Parquet."""

import csv
import importlib.util
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jaxnet import storage

Row = dict[str, Any]


def names(rows: Sequence[Row]) -> list[str]:
    """All names that any row has, in the order in which they come.

    >>> names([{"a": 1}, {"b": 2, "a": 3}])
    ['a', 'b']
    """
    return list(dict.fromkeys(name for row in rows for name in row))


def write_csv(path: str | Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV, atomically; NaN, and what a row does not have, stays empty."""
    rows = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v != v else v for k, v in row.items()} for row in rows)
    storage.write_atomic(path, text.getvalue().encode())


def read_csv(path: str | Path) -> list[Row]:
    """The rows of a CSV file: numbers where they are numbers, NaN where nothing stands."""

    def value(text: str) -> Any:
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
        return text if text else float("nan")

    with Path(path).open(newline="") as file:
        return [{name: value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def write_parquet(path: str | Path, rows: Iterable[Row]) -> None:
    """Write rows as Parquet, atomically.

    Raises:
      ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install pyarrow.") from None
    rows = list(rows)
    columns = {name: [row.get(name) for row in rows] for name in names(rows)}
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    storage.write_atomic(path, sink.getvalue().to_pybytes())


def has_parquet() -> bool:
    """Whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None
