"""Tables: rows of named values, as CSV and as Parquet."""

import csv
import importlib.util
import io
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from jaxnet import storage

Row = dict[str, Any]


def names(rows: Sequence[Row]) -> list[str]:
    """All names that any row has, each after the one that it follows there.

    >>> names([{"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}])
    ['a', 'b', 'c']
    """
    found: list[str] = []
    for kind in dict.fromkeys(tuple(row) for row in rows):
        place = 0
        for name in kind:
            if name not in found:
                found.insert(place, name)
            place = found.index(name) + 1
    return found


def write_csv(path: str | Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV, atomically; NaN, and what a row does not have, stays empty."""
    rows = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v != v else v for k, v in row.items()} for row in rows)
    storage.write_atomic(path, text.getvalue().encode())


def read_csv(path: str | Path, text: Collection[str] = ()) -> list[Row]:
    """The rows of a CSV file, its columns numbers, NaN where nothing stands, but for `text`."""

    def value(name: str, told: str) -> Any:
        if name in text:
            return told
        try:
            return int(told)
        except ValueError:
            return float(told or "nan")

    with Path(path).open(newline="") as file:
        return [{name: value(name, told) for name, told in row.items()}
                for row in csv.DictReader(file)]  # fmt: skip


def write_parquet(path: str | Path, rows: Iterable[Row]) -> None:
    """Write rows as Parquet, atomically.

    Raises:
      ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install 'jaxnet-mlp[tables]'.") from None
    rows = list(rows)
    columns = {name: [row.get(name) for row in rows] for name in names(rows)}
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    storage.write_atomic(path, sink.getvalue().to_pybytes())


def has_parquet() -> bool:
    """Whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None
