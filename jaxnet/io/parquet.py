"""Rows of named values as Parquet: needs the extra `tables`."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from jaxnet.io import files
from jaxnet.io.csv import Row, names


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
    files.write_atomic(path, sink.getvalue().to_pybytes())


def has_parquet() -> bool:
    """Whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None
