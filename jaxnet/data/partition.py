"""Partition rows at random into training, validation and test rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

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
    groups: object = None,
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
    shares = {"valid": fraction("valid", valid), "test": fraction("test", test)}
    if sum(shares.values()) >= 1:
        raise ValueError(
            f"valid and test add up to {sum(shares.values()):g} of the rows, which leaves none to "
            "train on; choose smaller fractions."
        )
    random = np.random.default_rng(seed)
    if groups is None:
        rest, test_rows = draw_rows(np.arange(n), round(shares["test"] * n), labels, random)
        train, valid_rows = draw_rows(rest, round(shares["valid"] * n), labels, random)
    else:
        own_share = 1 - sum(shares.values())
        part_of_row = deal_groups(groups, n, [own_share, *shares.values()], random)
        train, valid_rows, test_rows = (np.flatnonzero(part_of_row == k) for k in range(3))
    for name, rows in (("valid", valid_rows), ("test", test_rows)):
        if shares[name] and not len(rows):
            raise ValueError(
                f"{name} is {shares[name]:g}, which is less than one of {n} rows; choose a larger "
                "fraction."
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
            f"{name} must be a number in [0, 1), not {number:g}; choose a smaller one."
        )
    return number


def in_class_order(n: int, labels: np.ndarray | None, random: np.random.Generator) -> Indices:
    """Rows in a random order; with labels class by class, each in a random order.

    Args:
      n: the number of rows.
      labels: the class of each; None to disregard classes.
      random: draws the order.
    """
    order = random.permutation(n)
    return order if labels is None else order[np.argsort(labels[order], kind="stable")]


def draw_rows(
    rows: Indices, n_drawn: int, labels: np.ndarray | None, random: np.random.Generator
) -> tuple[Indices, Indices]:
    """The rows that are left when some are drawn at random, and the drawn ones.

    Args:
      rows: the rows, in rising order.
      n_drawn: how many to draw.
      labels: the class of each row of the whole data, to draw each class in its proportion; None to
        disregard classes.
      random: draws them.
    """
    if not n_drawn:
        return rows, rows[:0]
    order = rows[in_class_order(len(rows), None if labels is None else labels[rows], random)]
    # Equally spaced rows of the examples sorted by class: each class in its proportion.
    places = (np.arange(n_drawn) + random.random()) * len(rows) / n_drawn
    is_drawn = np.zeros(len(rows), bool)
    is_drawn[np.searchsorted(rows, order[np.floor(places).astype(int)])] = True
    return rows[~is_drawn], rows[is_drawn]


def group_names(groups: object) -> tuple[object, ...]:
    """The group of each row, checked to have one.

    Args:
      groups: numbers or texts, one for each row.

    Raises:
      ValueError: a row's is missing, None or NaN.
    """
    names = tuple(np.asarray(groups).ravel().tolist())
    for index, name in enumerate(names):
        if name is None or name != name:  # NaN is no group: it does not equal itself
            raise ValueError(
                f"entry {index} of groups is {name}; give the group of each example, such as one "
                "of its own."
            )
    return names


def deal_groups(
    groups: object, n: int, shares: Sequence[float], random: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """The part that each row falls to, where all rows of a group fall to the same.

    The largest group first, each goes to the part that lacks the largest fraction of its rows.

    Args:
      groups: the group of each row.
      n: the number of rows.
      shares: the fraction of the rows that each part is to have; 0 for a part that gets none.
      random: orders groups of one size.

    Raises:
      ValueError: there are fewer groups than parts, or not as many entries as rows.
    """
    entries = group_names(groups)
    if len(entries) != n:
        raise ValueError(
            f"groups name {len(entries)} rows, but there are {n}; give the group of each."
        )
    names, group_of_row = np.unique(np.array(entries).astype(str), return_inverse=True)
    n_parts = np.count_nonzero(shares)
    if len(names) < n_parts:
        raise ValueError(
            f"there are {len(names)} groups, fewer than the {n_parts} parts that need one each; "
            "choose fewer parts."
        )
    sizes, wanted = np.bincount(group_of_row), np.array(shares) * n
    part_of_group, has = np.zeros(len(names), int), np.zeros(len(wanted))
    order = random.permutation(len(names))
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        lacking = np.where(wanted > 0, 1 - has / np.where(wanted > 0, wanted, 1), -np.inf)
        part_of_group[group] = np.argmax(lacking)
        has[part_of_group[group]] += sizes[group]
    return part_of_group[group_of_row]
