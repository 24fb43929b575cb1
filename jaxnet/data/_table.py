"""`table`: a file or a DataFrame as a data set that remembers its columns."""

import warnings
from collections.abc import Collection
from typing import Any, Literal, SupportsIndex

import numpy as np

from jaxnet.core.arguments import brief
from jaxnet.core.hyperparameters import count, flag
from jaxnet.core.registry import suggestion
from jaxnet.core.types import Dataset
from jaxnet.data import column_fitting, table_cells
from jaxnet.data.class_weights import ClassWeight, class_weighted
from jaxnet.data.doubtful import outer_stacklevel
from jaxnet.data.encoding import Category, Encoding, Label, Number, Target
from jaxnet.data.partition import Partition, partition
from jaxnet.data.splits import checked_split, matching_splits
from jaxnet.data.table_cells import Cells
from jaxnet.data.tables import Table

Task = Literal["classification", "regression"]
MOST_CLASSES = 20
"""Whole numbers are labels, unless `task` says otherwise, if there are at most so many."""


def table(
    source: Any,
    target: str,
    *,
    task: Task | None = None,
    valid: float = 0.2,
    test: float = 0.0,
    stratify: bool = True,
    seed: SupportsIndex = 0,
    groups: str | None = None,
    weight: str | None = None,
    class_weight: ClassWeight | None = None,
    categories: Collection[str] = (),
    drop: Collection[str] = (),
    min_count: SupportsIndex = 5,
) -> Table:
    """A table as a data set: its columns found, encoded, and remembered.

    A column in which all cells are numbers is standardized by the training rows; any other becomes
    a 0 or 1 for each of its values (one-hot). Gaps are filled with the mean of the training rows,
    and a column with gaps has a further input that says where they are. `Table.encoding` holds it.

    Args:
      source: the path of a CSV file (a header, then a row for each example) or of a Parquet file, a
        DataFrame, or a mapping from names to cells.
      target: the name of the column to predict. Strings, booleans and whole numbers of at most 20
        different values become labels; other numbers are standardized by the training rows.
      task: "classification" or "regression", to decide this otherwise; `None`, the default, for the
        rule above.
      valid: the fraction of the rows that validate, in [0, 1); 0.2 by default.
      test: the fraction of the rows that test, in [0, 1); 0, the default, for none.
      stratify: whether each split has each class in its proportion, where there are classes and no
        groups; true by default.
      seed: the seed of the random splits, at least 0; 0 by default.
      groups: the name of a column, such as a patient's number, whose rows stay together in one
        split, and which is no input; `None`, the default, for none.
      weight: the name of a column that says how much each training row counts, and is no input;
        `None`, the default, if all count the same.
      class_weight: weights of classes: see `class_weighted`. `None`, the default, for none.
      categories: names of columns of numbers that are categories, such as a postal code.
      drop: names of columns to leave out.
      min_count: how many training rows a category needs for an input of its own, at least 1;
        rarer ones share one. 5 by default.

    Returns:
      The splits, with inputs in float32, and their `encoding`.

    Raises:
      ValueError: a column does not exist, holds dates, or numbers with a few strings among them; or
        there is nothing to learn from, or to predict.
      ImportError: a Parquet file is given, and pyarrow is not installed.

    Warns:
      UserWarning: rows without a target, or columns that say nothing, are left out.

    >>> towns = ["Bern", "Zug", "Bern", "Zug"]
    >>> rows = {"age": [20, 30, None, 50], "town": towns, "ill": [0, 0, 1, 1]}
    >>> data = table(rows, "ill", valid=0, min_count=1)
    >>> data.encoding.input_names
    ['age', 'age is missing', 'town = Bern', 'town = Zug']
    >>> data.train.x[:, 1:].tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if task not in (None, "classification", "regression"):
        raise ValueError(f'task must be "classification", "regression" or None, not {brief(task)}.')
    raw = table_cells.raw_columns(source)
    _check_names(
        raw,
        {"target": target, "groups": groups, "weight": weight},
        {"categories": categories, "drop": drop},
    )
    group_of_row = None if groups is None else _groups(groups, raw[groups])
    apart = {*drop} if groups is None else {*drop, groups}
    columns = {
        name: table_cells.cells_of(name, cells) for name, cells in raw.items() if name not in apart
    }
    has_target = _has_target(columns[target], target)
    columns = {name: cells[has_target] for name, cells in columns.items()}
    group_of_row = None if group_of_row is None else group_of_row[has_target]
    labels, classes = _labels(columns[target], target, task)
    parts = partition(
        len(labels), valid, test, labels=labels if classes and flag("stratify", stratify) else None,
        groups=group_of_row, seed=count("seed", seed, low=0),
    )  # fmt: skip
    inputs = [name for name in columns if name not in {target, weight, ""}]
    least = count("min_count", min_count, low=1)
    fitted = [
        column_fitting.fitted_column(
            name, columns[name], parts.train, name in set(categories), least
        )
        for name in inputs
    ]
    used = tuple(column for column in fitted if isinstance(column, (Number, Category)))
    if not used:
        raise ValueError("no column of the table is left to learn from; give it one that varies.")
    known = {target, *(column.name for column in used)}
    left_out = tuple(name for name in raw if name not in known)
    encoding = Encoding(_target(target, labels, classes, parts), used, left_out)
    data = _splits(encoding, columns, labels, parts, weight)
    train_groups = None if group_of_row is None else tuple(group_of_row[parts.train].tolist())
    described = Table.of(matching_splits(data, "the table"), encoding, train_groups)
    return described if class_weight is None else class_weighted(described, class_weight)  # pyright: ignore


def _groups(name: str, cells: Any) -> np.ndarray:
    """The group of each row as a string."""
    groups = [None if cell is None or cell != cell else str(cell).strip() for cell in cells]
    for row, group in enumerate(groups):
        if not group:
            raise ValueError(
                f"row {row} of the column {name!r}, of groups, is missing; give the group of each "
                "row, such as one of its own."
            )
    return np.array(groups)


def _check_names(
    columns: Collection[str],
    apart: dict[str, str | None],
    lists: dict[str, Collection[str]],
) -> None:
    """Raise a ValueError for a name that no column has, or that is the target's."""
    for argument, names in lists.items():
        if isinstance(names, str):
            raise ValueError(f"{argument} must be a list of names, such as [{names!r}].")
    pairs = [(argument, name) for argument, name in apart.items() if name is not None]
    pairs += [(argument, name) for argument, names in lists.items() for name in names]
    target = apart["target"]
    for argument, name in [("target", target), *pairs]:
        if not isinstance(name, str):
            raise ValueError(
                f"{argument} must name columns by strings, such as 'age', not {brief(name)}."
            )
        if name not in columns:
            hint = suggestion(name, filter(None, columns))
            raise ValueError(f"{argument} names {name!r}, which is no column of the table; {hint}")
        if argument != "target" and name == target:
            raise ValueError(f"{argument} names the target, {name!r}; name another column.")


def _has_target(cells: Cells, target: str) -> np.ndarray:
    """Whether each row has a target."""
    is_text = cells.dtype == object
    has_target = np.array([c is not None for c in cells]) if is_text else ~np.isnan(cells)
    if not has_target.any():
        raise ValueError(f"all cells of the target, {target!r}, are missing.")
    n_without = np.count_nonzero(~has_target)
    if n_without:
        _warn(f"{n_without} of {len(cells)} rows have no {target!r}, the target, and are left out.")
    return has_target


def _labels(cells: Cells, target: str, task: Task | None) -> tuple[np.ndarray, tuple[Label, ...]]:
    """The targets as labels with the names of their classes; or as numbers, without names."""
    numbers = table_cells.all_numbers(cells) if cells.dtype == object else cells
    if task == "regression" and numbers is None:
        raise ValueError(
            f"the target {target!r} holds strings, such as {cells[0]!r}, which are no numbers to "
            'predict; leave task out, or give task="classification".'
        )
    if numbers is not None:
        if not np.isfinite(numbers).all():
            raise ValueError(f"the target {target!r} holds an infinite number; leave its row out.")
        values = np.unique(numbers)
        are_whole = bool((values == np.round(values)).all())
        if task == "regression" or (
            task is None and not (are_whole and len(values) <= MOST_CLASSES)
        ):
            return numbers, ()
        if are_whole:
            classes: tuple[Label, ...] = tuple(int(value) for value in values)
            return _checked_labels(np.searchsorted(values, numbers), classes, target)
    texts = table_cells.texts_of(cells)
    names, labels = np.unique(np.array(texts, str), return_inverse=True)
    return _checked_labels(labels, tuple(names.tolist()), target)


def _checked_labels(
    labels: np.ndarray, classes: tuple[Label, ...], target: str
) -> tuple[np.ndarray, tuple[Label, ...]]:
    """Labels of two classes or more."""
    if len(classes) == 1:
        raise ValueError(
            f"all cells of the target {target!r} are {classes[0]!r}, so that there is nothing to "
            "predict; give rows of other classes, too."
        )
    if len(classes) > len(labels) / 2:
        raise ValueError(
            f"the target {target!r} has {len(classes)} different classes in {len(labels)} rows; "
            'name another column, or, if they are numbers, give task="regression".'
        )
    return labels.astype(np.int32), classes


def _target(name: str, labels: np.ndarray, classes: tuple[Label, ...], parts: Partition) -> Target:
    """The target, with the mean and deviation of the training rows if it is a number."""
    if classes:
        return Target(name, classes)
    numbers = labels[parts.train]
    if (numbers == numbers[0]).all():
        raise ValueError(f"all training rows have the same {name!r}; there is nothing to predict.")
    mean, sd = column_fitting.mean_and_sd(name, numbers)
    return Target(name, mean=mean, sd=sd)


def _splits(
    encoding: Encoding,
    columns: dict[str, Cells],
    labels: np.ndarray,
    parts: Partition,
    weight: str | None,
) -> Dataset:
    """The splits of a table."""
    target = encoding.target
    y = labels if target.classes else ((labels - target.mean) / target.sd)[:, None]
    splits = []
    for name, rows in parts._asdict().items():
        if not len(rows):
            splits.append(None)
            continue
        x = encoding.inputs({column: cells[rows] for column, cells in columns.items()})
        weights = None if weight is None else table_cells.numbers_of(columns[weight][rows], weight)
        arrays = (x, y[rows], weights if name == "train" else None)
        splits.append(checked_split(arrays, f"the {name} rows of the table"))
    return Dataset(*splits)


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=outer_stacklevel())
