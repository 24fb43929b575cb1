"""Partition rows at random into training, validation and test rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxnet.core.arguments import brief
from jaxnet.core.hyperparameters import constant

Indices = Int[np.ndarray, "..."]
"""Rows, by their numbers from 0, in rising order."""


class Partition(NamedTuple):
    """Rows that train, that validate and that test: together all rows, each once.

    Attributes:
      train: the rows to train on, at least one.
      valid: the rows to validate on; empty for none.
      test: the rows to test on; empty for none.

    >>> partition(10, valid=0.2).valid.shape
    (2,)
    """

    train: Indices
    valid: Indices
    test: Indices


def partition(
    n: int,
    valid: float = 0.0,
    test: float = 0.0,
    labels: Int[np.ndarray, " n"] | None = None,
    groups: Sequence[object] | np.ndarray | None = None,
    seed: int = 0,
) -> Partition:
    """Random training, validation and test rows.

    Args:
      n: the number of rows, at least 1.
      valid: the fraction of the rows that validate, in [0, 1); 0, the default, for none.
      test: the fraction of the rows that test, in [0, 1); 0, the default, for none.
      labels: the class of each row, to give each part each class in its proportion; `None`, the
        default, to disregard classes.
      groups: the group of each row, such as a patient: all rows of a group lie in one part, so that
        the fractions are met as far as the groups allow. `None`, the default, for none. With
        groups, labels are disregarded.
      seed: the seed of the choice, at least 0; 0 by default.

    Returns:
      The rows of each part, in rising order.

    Raises:
      ValueError: a fraction is out of its range, the two leave no row to train on, or a part that
        is asked for has none.

    >>> parts = partition(6, valid=1 / 3, test=1 / 3, labels=np.array([0, 0, 0, 1, 1, 1]))
    >>> [len(rows) for rows in parts]
    [2, 2, 2]
    """
    fractions = {"valid": fraction("valid", valid), "test": fraction("test", test)}
    if sum(fractions.values()) >= 1:
        raise ValueError(
            f"valid and test add up to {sum(fractions.values()):g} of the rows, which leaves none "
            "to train on; choose smaller fractions."
        )
    random = np.random.default_rng(seed)
    if groups is None:
        part_of_row = _dealt(n, fractions, labels, random)
    else:
        part_of_row = _dealt_by_group(n, fractions, np.asarray(groups).ravel(), random)
    train, valid_rows, test_rows = (np.flatnonzero(part_of_row == part) for part in range(3))
    for name, rows in (("valid", valid_rows), ("test", test_rows)):
        if fractions[name] and not len(rows):
            raise ValueError(
                f"{name} is {fractions[name]:g}, which is less than one of {n} rows; choose a "
                "larger fraction."
            )
    if not len(train):
        raise ValueError(
            f"valid and test leave none of the {n} rows to train on; choose smaller fractions."
        )
    return Partition(train, valid_rows, test_rows)


def fraction(name: str, value: object) -> float:
    """A fraction of the rows, checked.

    Args:
      name: what it is called, for the error.
      value: the number.

    Raises:
      ValueError: it is not a number in [0, 1).
    """
    number = constant(name, value, low=0)
    if number >= 1:
        raise ValueError(
            f"{name} must be a fraction of the rows in [0, 1), not {brief(value)}; choose a "
            "smaller one."
        )
    return number


def _dealt(
    n: int, fractions: dict[str, float], labels: np.ndarray | None, random: np.random.Generator
) -> np.ndarray:
    """The part of each row: 0 trains, 1 validates, 2 tests."""
    order = random.permutation(n)
    if labels is not None:  # class by class, each in a random order
        order = order[np.argsort(labels[order], kind="stable")]
    part_of_row = np.zeros(n, int)
    rest = order
    for part, share in enumerate(fractions.values(), start=1):
        n_part = min(round(share * n), len(rest))
        # Equally spaced rows of the rest: each class in its proportion.
        places = np.floor((np.arange(n_part) + random.random()) * len(rest) / max(n_part, 1))
        chosen = places.astype(int)
        part_of_row[rest[chosen]] = part
        rest = np.delete(rest, chosen)
    return part_of_row


def _dealt_by_group(
    n: int, fractions: dict[str, float], groups: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """The part of each row; a group goes whole to the part that lacks most of its rows."""
    if len(groups) != n:
        raise ValueError(
            f"groups name {len(groups)} rows, but there are {n}; give the group of each row."
        )
    for row, group in enumerate(groups.tolist()):
        if group is None or group != group:  # NaN does not equal itself
            raise ValueError(
                f"entry {row} of groups is {group}; give the group of each row, such as one of its "
                "own."
            )
    names, group_of_row = np.unique(groups.astype(str), return_inverse=True)
    if len(names) < 1 + sum(share > 0 for share in fractions.values()):
        raise ValueError(
            f"there are {len(names)} groups, fewer than the parts that need one each; give more "
            "groups, or leave valid or test out."
        )
    sizes = np.bincount(group_of_row)
    wanted = np.array([1 - sum(fractions.values()), *fractions.values()]) * n
    part_of_group = np.zeros(len(names), int)
    has = np.zeros(3)
    shuffled = random.permutation(len(names))
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:  # large groups first
        lacking = np.where(wanted > 0, (wanted - has) / np.maximum(wanted, 1), -np.inf)
        part = int(np.argmax(lacking))
        part_of_group[group] = part
        has[part] += sizes[group]
    return part_of_group[group_of_row]
