"""Tables of other people's making: CSV and Parquet files as columns by name."""

import csv
import io
import re
from collections import Counter
from pathlib import Path

from jaxnet.io import reading

Columns = dict[str, list[object]]
"""The cells of each column, from the first row on, by the columns' names."""
DELIMITERS = ",;\t|"
"""What may stand between the cells of a CSV file: the one that is most frequent in its header."""
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
"""The suffixes of the files that are read."""
REMEDY = "write it as CSV in UTF-8, a header and a row for each example"


def read_columns(path: str | Path) -> Columns:
    r"""The columns of a CSV or Parquet file.

    Args:
      path: the file, which ends with .csv, .tsv or .txt: text in UTF-8 whose first line names the
        columns, with commas, semicolons, tabs or bars between the cells; or with .parquet, which
        needs pyarrow.

    Returns:
      The cells by the columns' names, in the order of the file: strings, or what Parquet holds.

    Raises:
      ValueError: the file cannot be read, its suffix is another, two columns have one name, or a
        row has more or fewer cells than the header.
      ImportError: pyarrow is not installed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "table.csv")
    ...     _ = path.write_text("age;town\n41;Bern\n35;Zug\n", encoding="utf-8")
    ...     read_columns(path)
    {'age': ['41', '35'], 'town': ['Bern', 'Zug']}
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{path} must end with one of {', '.join(SUFFIXES)}; rename or convert it."
        )
    if path.suffix.lower() == ".parquet":
        return _parquet_columns(path)
    return reading.read_content(path, "a table", _csv_columns, REMEDY)


def _csv_columns(content: bytes) -> Columns:
    """The columns in the content of a CSV file; errors are bare reasons."""
    text = reading.utf8(content)
    header = re.sub('"[^"]*"', "", text.lstrip().partition("\n")[0])
    delimiter = max(DELIMITERS, key=header.count)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [row or [""] for row in lines]
    except csv.Error as error:
        raise ValueError(f"its CSV is damaged: {error}") from None
    while rows and not "".join(rows[-1]).strip():
        rows.pop()
    if rows and len(rows[0]) > 1:  # in a table of one column an empty line is an empty cell
        rows = [row for row in rows if row != [""]]
    if len(rows) < 2:
        raise ValueError("it has no row below its header")
    names = [name.strip() for name in rows[0]]
    for index, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise ValueError(
                f"row {index} has {len(row)} cells, but the header has {len(names)}: "
                f"{delimiter.join(row)[:40]!r}"
            )
    _check_names(names)
    return {name: list(cells) for name, cells in zip(names, zip(*rows[1:]))}


def _check_names(names: list[str]) -> None:
    """Raise a ValueError with a bare reason if two columns have one name."""
    name, n = Counter(names).most_common(1)[0]
    if n > 1:
        raise ValueError(f"{n} of its columns are called {name!r}")


def _parquet_columns(path: Path) -> Columns:
    """The columns of a Parquet file."""
    try:
        import pyarrow.parquet  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install 'jaxnet-mlp[tables]'.") from None

    def parse(content: bytes) -> Columns:
        # In one thread: pyarrow's others may read on in a damaged file after its error, and crash.
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content), pre_buffer=False)
        table = file.read(use_threads=False)
        _check_names(table.column_names)
        if not table.num_rows:
            raise ValueError("it has no rows")
        return {name: table.column(name).to_pylist() for name in table.column_names}

    return reading.read_content(path, "a Parquet file", parse)
