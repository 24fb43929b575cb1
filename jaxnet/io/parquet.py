"""Tables as Parquet files: needs pyarrow, which the extra `tables` installs."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from jaxnet.io import files
from jaxnet.io.csv import Row, column_names


def write_parquet(path: str | Path, rows: Iterable[Row]) -> None:
    """Write rows as Parquet, atomically.

    Args:
      path: the file; one that exists is replaced.
      rows: the table; a cell that a row lacks is null.

    Raises:
      ImportError: pyarrow is not installed.
      OSError: the file cannot be written; one that existed is unharmed.
    """
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install 'jaxnet-mlp[tables]'.") from None
    rows = list(rows)
    columns = {name: [row.get(name) for row in rows] for name in column_names(rows)}
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    files.write_atomic(path, sink.getvalue().to_pybytes())


def has_parquet() -> bool:
    """Whether pyarrow is installed, so that `write_parquet` works.

    Returns:
      True if it is.
    """
    return importlib.util.find_spec("pyarrow") is not None
