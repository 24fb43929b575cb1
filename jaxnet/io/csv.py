"""Tables: rows of named values, as CSV and as Parquet."""

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
    files.write_atomic(path, text.getvalue().encode())


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


def monitors_csv(found: dict[str, np.ndarray]) -> bytes:
    """A line a measurement: its step, then each monitor's number of each layer."""
    columns = {"step": found["step"]}
    for name, table in found.items():
        if name != "step":
            several = table.shape[1] > 1
            columns |= {
                f"{name}_{layer}" if several else name: column
                for layer, column in enumerate(table.T, start=1)
            }
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values()))]
    return ("\n".join(lines) + "\n").encode()


def history_csv(history: History) -> bytes:
    """The four curves as CSV, a line per epoch, exactly; what was not monitored stays empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("epoch", *History._fields))
    for index, row in enumerate(zip(*map(np.asarray, history), strict=True), 1):
        writer.writerow((index, *("" if np.isnan(x) else str(x) for x in row)))
    return text.getvalue().encode()
