"""How each column of a table is encoded: found in its cells, fitted to its training rows."""

import warnings

import numpy as np
from jaxtyping import Float, Int

from jaxnet.data import table_cells
from jaxnet.data.doubtful import outer_stacklevel
from jaxnet.data.encoding import Category, Column, Number
from jaxnet.data.table_cells import Cells

SMALLEST_SD = 1e-150
"""Smaller standard deviations are not told from 0."""
FEW_ROWS = 10
"""Whole numbers of so few rows may increase from row to row by chance."""
MOSTLY = 0.9
"""A column in which so many cells are dates, or have commas, is meant to hold nothing else."""


def fitted_column(
    name: str, cells: Cells, train: Int[np.ndarray, " rows"], is_category: bool, min_count: int
) -> Column | None:
    """How a column is encoded, by its training rows; None for one that says nothing.

    Args:
      name: the column's name.
      cells: the cells of all rows.
      train: the training rows.
      is_category: whether numbers are categories, too.
      min_count: how many training rows a category needs for an input of its own.

    Raises:
      ValueError: the column holds dates, infinite numbers, or numbers with strings among them.

    Warns:
      UserWarning: the column is left out, or seems to count the rows.

    >>> fitted_column("age", np.array([20.0, 40.0, 90.0]), np.array([0, 1]), False, min_count=1)
    Number(name='age', mean=30.0, sd=10.0, has_missing=False)
    """
    if not is_category:
        if cells.dtype == object:
            _check_not_mixed(name, cells)
        numbers = table_cells.all_numbers(cells) if cells.dtype == object else cells
        if numbers is not None:
            table_cells.check_finite(name, numbers)
            return _fitted_number(name, numbers[train])
    texts = table_cells.texts_of(cells[train])
    present = [text for text in texts if text is not None]
    values, counts = np.unique(np.array(present, str), return_counts=True)
    frequent = tuple(values[counts >= min_count].tolist())
    has_missing = len(present) < len(texts)
    if not frequent and len(values):
        _warn(
            f"the column {name!r} is left out: it has {len(values)} different values in "
            f"{len(texts)} training rows, and none of them in {min_count}."
        )
        return None
    if (len(values) < 2 and not has_missing) or not len(values):
        return _left_out_constant(name)
    return Category(name, frequent, tuple(values[counts < min_count].tolist()), has_missing)


def _fitted_number(name: str, numbers: np.ndarray) -> Number | None:
    """How a column of numbers is standardized; None where all are the same."""
    is_missing = np.isnan(numbers)
    present = numbers[~is_missing]
    if not len(present) or (present == present[0]).all():
        if is_missing.any() and len(present):
            return Number(name, float(present[0]), 1.0, True)
        return _left_out_constant(name)
    is_whole = (numbers == np.round(numbers)).all()
    if len(numbers) > FEW_ROWS and is_whole and (np.diff(numbers) > 0).all():
        _warn(
            f"the column {name!r} increases from row to row, as numbers of rows do; leave it out "
            f"with drop=[{name!r}], unless it means something."
        )
    return Number(name, *mean_and_sd(name, present), bool(is_missing.any()))


def mean_and_sd(name: str, numbers: Float[np.ndarray, " rows"]) -> tuple[float, float]:
    """The mean and the standard deviation of a column's numbers, which are finite.

    Args:
      name: the column's name, for the error.
      numbers: its numbers.

    Raises:
      ValueError: the numbers are too large or too close together for float64.
    """
    with np.errstate(over="ignore", under="ignore"):
        mean, sd = float(numbers.mean()), float(numbers.std())
    if not (np.isfinite(mean) and np.isfinite(sd) and sd > SMALLEST_SD):
        largest = numbers[np.abs(numbers).argmax()]
        raise ValueError(
            f"the column {name!r} has no standard deviation in float64, with numbers such as "
            f"{largest:g}; scale it, or take its logarithm."
        )
    return mean, sd


def _left_out_constant(name: str) -> None:
    _warn(f"the column {name!r} is left out: all its cells are the same in the training rows.")


def _check_not_mixed(name: str, cells: Cells) -> None:
    """Raise a ValueError for dates, numbers with decimal commas, and numbers among strings."""
    texts = [text for text in cells if text is not None]
    if not texts:
        return
    dates = [text for text in texts if table_cells.is_date(text)]
    if len(dates) >= MOSTLY * len(texts):
        raise table_cells.date_error(name, dates[0])
    others = [text for text in texts if table_cells.number_of(text) is None]
    if sum(text.replace(",", "").lstrip("-").isdigit() for text in others) >= MOSTLY * len(texts):
        raise ValueError(
            f"the column {name!r} holds numbers with commas, such as {others[0]!r}; write a point "
            "for decimals and nothing between thousands, or name the column in categories."
        )
    if others and len(others) <= len(texts) / 2:
        raise ValueError(
            f"the column {name!r} holds numbers, but {len(others)} cells such as {others[0]!r} "
            "too; leave such cells empty, or name the column in categories."
        )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=outer_stacklevel())
