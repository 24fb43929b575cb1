"""Resamples of a training split: folds, holdouts and bootstraps, as rows of it.

A `Fold` names the rows to train on, those that a stopping rule looks at, and those that are scored
in the end: three sets that share no example. `jaxnet.sweep` and `jaxnet.cross_validate` train each
network on each fold; the data are in memory once.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, SupportsIndex

import numpy as np
from jaxtyping import Int

from jaxnet.core.arguments import brief
from jaxnet.core.hyperparameters import count, flag
from jaxnet.core.types import Dataset, Split
from jaxnet.data import partition

__all__ = [
    "Fold",
    "Resampling",
    "bootstrap",
    "holdout",
    "k_fold",
    "leave_one_group_out",
]

Indices = Int[np.ndarray, "..."]
"""Rows of a split, by their numbers from 0."""


class Fold(NamedTuple):
    """Which rows of a split train, which ones stop a run, and which ones score it.

    Attributes:
      train: the rows to train on; a row that is listed twice counts twice.
      test: the rows that are scored: they never steer anything.
      valid: the rows that choose the best epoch, and that a stopping rule looks at; `None`, the
        default, for none: then the last epoch is scored, or the data's own validation split
        chooses.

    >>> fold = Fold(train=np.array([0, 2]), test=np.array([1]))
    >>> fold.of(Split(np.eye(3), np.arange(3))).train.y.tolist()
    [0, 2]
    """

    train: Indices
    test: Indices
    valid: Indices | None = None

    def of(self, split: Split, valid: Split | None = None) -> Dataset:
        """The data set that this fold makes of a split.

        Args:
          split: all examples.
          valid: the validation split, if the fold has no rows for it; `None` for none.

        Returns:
          The fold's own training, validation and test split.
        """
        own_valid = valid if self.valid is None else split.take(self.valid)
        return Dataset(split.take(self.train), own_valid, split.take(self.test))


class Resampling(ABC):
    """Base class of the ways to make folds of a split: all are functions of it and a seed.

    >>> class FirstHalf(Resampling):
    ...     def folds(self, split, seed=0):
    ...         rows = np.arange(len(split.x))
    ...         return [Fold(rows[: len(rows) // 2], rows[len(rows) // 2 :])]
    >>> FirstHalf().folds(Split(np.zeros((4, 2)), np.zeros(4, int)))[0].test
    array([2, 3])
    """

    @abstractmethod
    def folds(self, split: Split, seed: int = 0) -> list[Fold]:
        """The folds of a split.

        Args:
          split: all examples.
          seed: the seed of the networks that will be trained; most ways do not look at it, so that
            the networks of all seeds have the same folds.

        Returns:
          One or more folds.

        Raises:
          ValueError: the split has too few examples.
        """


@dataclass(frozen=True)
class KFold(Resampling):
    """See `k_fold`."""

    n_folds: int
    stratify: bool
    repeats: int
    valid: float
    seed: int
    groups: tuple[object, ...] | None = None

    def folds(self, split: Split, seed: int = 0) -> list[Fold]:
        """`n_folds` times `repeats` folds: see `Resampling.folds`."""
        n = len(split.x)
        if self.groups is not None:
            return self._folds_of_groups(n, self.groups)
        if self.n_folds > n:
            raise ValueError(
                f"k_fold makes {self.n_folds} folds, but there are {n} examples; choose fewer."
            )
        labels = _labels(split, "k_fold") if self.stratify else None
        random, folds = np.random.default_rng(self.seed), []
        for _ in range(self.repeats):
            fold_of_row = np.empty(n, int)
            fold_of_row[partition.in_class_order(n, labels, random)] = np.arange(n) % self.n_folds
            for index in range(self.n_folds):
                rest = np.flatnonzero(fold_of_row != index)
                train, valid = _held_out(rest, self.valid, labels, random)
                folds.append(Fold(train, np.flatnonzero(fold_of_row == index), valid))
        return folds

    def _folds_of_groups(self, n: int, groups: tuple[object, ...]) -> list[Fold]:
        """Folds that keep the rows of a group together."""
        random, folds = np.random.default_rng(self.seed), []
        for _ in range(self.repeats):
            shares = [1 / self.n_folds] * self.n_folds
            fold_of_row = partition.deal_groups(groups, n, shares, random)
            folds += [
                Fold(np.flatnonzero(fold_of_row != index), np.flatnonzero(fold_of_row == index))
                for index in range(self.n_folds)
            ]
        return folds


@dataclass(frozen=True)
class Holdout(Resampling):
    """See `holdout`."""

    fraction: float
    stratify: bool
    per_seed: bool
    valid: float
    seed: int

    def folds(self, split: Split, seed: int = 0) -> list[Fold]:
        """A single fold: see `Resampling.folds`."""
        labels = _labels(split, "holdout") if self.stratify else None
        random = np.random.default_rng([self.seed, seed] if self.per_seed else self.seed)
        rest, test = _held_out(np.arange(len(split.x)), self.fraction, labels, random)
        if test is None:
            raise ValueError(
                f"holdout leaves {self.fraction:g} of {len(split.x)} examples to score, which is "
                "none; choose a larger fraction."
            )
        train, valid = _held_out(rest, self.valid, labels, random)
        return [Fold(train, test, valid)]


@dataclass(frozen=True)
class Bootstrap(Resampling):
    """See `bootstrap`."""

    n_folds: int
    seed: int

    def folds(self, split: Split, seed: int = 0) -> list[Fold]:
        """`n_folds` folds: see `Resampling.folds`."""
        random, n, folds = np.random.default_rng(self.seed), len(split.x), []
        if n < 2:
            raise ValueError(f"bootstrap needs at least 2 examples, not {n}; give it more.")
        while len(folds) < self.n_folds:
            train = np.sort(random.integers(n, size=n))
            test = np.setdiff1d(np.arange(n), train)
            if len(test):  # of a few examples a draw may have all
                folds.append(Fold(train, test))
        return folds


@dataclass(frozen=True)
class LeaveOneGroupOut(Resampling):
    """See `leave_one_group_out`."""

    groups: tuple[object, ...]

    def folds(self, split: Split, seed: int = 0) -> list[Fold]:
        """A fold for each group: see `Resampling.folds`."""
        if len(self.groups) != len(split.x):
            raise ValueError(
                f"leave_one_group_out has groups of {len(self.groups)} examples, but the training "
                f"split has {len(split.x)}; give one for each."
            )
        groups = np.asarray(self.groups)
        return [
            Fold(np.flatnonzero(groups != group), np.flatnonzero(groups == group))
            for group in np.unique(groups)
        ]


@dataclass(frozen=True)
class GivenFolds(Resampling):
    """Folds that a user made."""

    listed: tuple[Fold, ...]

    def folds(self, split: Split, seed: int = 0) -> list[Fold]:
        """The folds themselves, checked: see `Resampling.folds`."""
        return [_checked(fold, index, len(split.x)) for index, fold in enumerate(self.listed)]


@dataclass(frozen=True)
class InnerFolds(Resampling):
    """Folds of the training rows of each outer fold, for nested cross-validation.

    No example that an outer fold trains on several times, such as one of a bootstrap, is in two
    parts of an inner fold.
    """

    outer: Resampling
    inner: Resampling

    def folds(self, split: Split, seed: int = 0) -> list[Fold]:
        """Those of the first outer fold first: see `Resampling.folds`."""
        return [fold for folds in self.by_outer_fold(split, seed) for fold in folds]

    def by_outer_fold(self, split: Split, seed: int = 0) -> list[list[Fold]]:
        """The inner folds of each outer fold, as rows of the whole split.

        Args:
          split: all examples.
          seed: the seed of the networks that will be trained.

        Returns:
          A list for each outer fold. Where an inner fold has no rows of its own that choose the
          best epoch, those of the outer fold do.

        Raises:
          ValueError: the outer folds differ by the seed, or a fold has too few examples.
        """
        outer = self.outer.folds(split, seed)
        if seed and not _are_same(outer, self.outer.folds(split, 0)):
            raise ValueError(
                "the folds of resample differ by the seed, so that a setting cannot be chosen for "
                "each; take the same for all seeds, or seeds=1."
            )
        return [self._inside(fold, split, seed) for fold in outer]

    def _inside(self, outer: Fold, split: Split, seed: int) -> list[Fold]:
        """The folds of an outer fold's training rows."""
        rows = np.unique(outer.train)
        return [
            Fold(
                train=outer.train[np.isin(outer.train, rows[fold.train])],
                test=rows[fold.test],
                valid=outer.valid if fold.valid is None else rows[fold.valid],
            )
            for fold in self.inner.folds(split.take(rows), seed)
        ]


def k_fold(
    n_folds: SupportsIndex,
    *,
    stratify: bool = False,
    repeats: SupportsIndex = 1,
    valid: float = 0.0,
    seed: SupportsIndex = 0,
    groups: Sequence[object] | np.ndarray | None = None,
) -> KFold:
    """Folds for cross-validation: each example is scored in exactly one of them.

    Args:
      n_folds: how many parts the examples are divided into, at least 2; each is scored once, by
        networks that are trained on the others.
      stratify: whether every part has each class in the proportion of the whole, to an example.
      repeats: how often this is done, each time with other parts; at least 1, the default.
      valid: the fraction of each fold's training rows, in [0, 1), that choose the best epoch
        instead; 0, the default, for none.
      seed: the seed of the parts, at least 0; 0 by default.
      groups: the group of each training example, such as a patient's, whose rows stay together in
        one part, so that parts are of equal size only as far as groups allow: such as
        `table.groups`. Without stratify and valid. None, the default, for none.

    Returns:
      The resampling, for `sweep` and `cross_validate`.

    Raises:
      ValueError: a number is out of its range, or groups are incomplete or do not go with the rest.

    Source: Stone, Cross-validatory choice and assessment of statistical predictions, 1974.

    >>> folds = k_fold(3).folds(Split(np.zeros((7, 2)), np.zeros(7, int)))
    >>> [len(fold.train) for fold in folds], [len(fold.test) for fold in folds]
    ([4, 5, 5], [3, 2, 2])
    """
    names = None if groups is None else partition.group_names(groups)
    if names is not None and (flag("stratify", stratify) or partition.fraction("valid", valid)):
        raise ValueError(
            "groups of k_fold go with neither stratify nor valid, which would divide them; leave "
            "those out."
        )
    return KFold(
        count("n_folds", n_folds, low=2), flag("stratify", stratify),
        count("repeats", repeats, low=1), partition.fraction("valid", valid),
        count("seed", seed, low=0), names,
    )  # fmt: skip


def holdout(
    fraction: float,
    *,
    stratify: bool = False,
    per_seed: bool = False,
    valid: float = 0.0,
    seed: SupportsIndex = 0,
) -> Holdout:
    """One fold: a random part of the examples is scored, the others train.

    Args:
      fraction: the fraction of the examples that is scored, in (0, 1).
      stratify: whether both parts have each class in the proportion of the whole.
      per_seed: whether the networks of each seed have another part, so that their spread shows the
        luck of the split, too.
      valid: the fraction of the training rows, in [0, 1), that choose the best epoch instead; 0,
        the default, for none.
      seed: the seed of the part, at least 0; 0 by default.

    Returns:
      The resampling, for `sweep` and `cross_validate`.

    Raises:
      ValueError: a number is out of its range.

    >>> (fold,) = holdout(0.25).folds(Split(np.zeros((8, 2)), np.zeros(8, int)))
    >>> len(fold.train), len(fold.test)
    (6, 2)
    """
    if partition.fraction("fraction", fraction) == 0:
        raise ValueError("fraction must be a number in (0, 1), not 0; choose a larger one.")
    return Holdout(
        partition.fraction("fraction", fraction), flag("stratify", stratify),
        flag("per_seed", per_seed),
        partition.fraction("valid", valid), count("seed", seed, low=0),
    )  # fmt: skip


def bootstrap(n_folds: SupportsIndex, *, seed: SupportsIndex = 0) -> Bootstrap:
    """Folds of n examples drawn with replacement; those that were not drawn are scored.

    Args:
      n_folds: how many such samples, at least 1. About 37% of the examples are out of each.
      seed: the seed of the draws, at least 0; 0 by default.

    Returns:
      The resampling, for `sweep` and `cross_validate`.

    Raises:
      ValueError: a number is out of its range.

    Source: Efron and Tibshirani, Improvements on cross-validation: the .632+ bootstrap, 1997.

    >>> fold = bootstrap(1).folds(Split(np.zeros((8, 2)), np.zeros(8, int)))[0]
    >>> len(fold.train), bool(np.isin(fold.test, fold.train).any())
    (8, False)
    """
    return Bootstrap(count("n_folds", n_folds, low=1), count("seed", seed, low=0))


def leave_one_group_out(groups: Sequence[object] | np.ndarray) -> LeaveOneGroupOut:
    """A fold for each group of examples, such as a patient's, which is scored by the others.

    Args:
      groups: the group of each training example: numbers or texts, two different ones at least.

    Returns:
      The resampling, for `sweep` and `cross_validate`.

    Raises:
      ValueError: there are not two groups, or an example's is missing (None or NaN).

    >>> split = Split(np.zeros((4, 2)), np.zeros(4, int))
    >>> [fold.test.tolist() for fold in leave_one_group_out(["a", "b", "a", "c"]).folds(split)]
    [[0, 2], [1], [3]]
    """
    names = partition.group_names(groups)
    if len(set(names)) < 2:
        raise ValueError(
            f"groups must name at least two different groups, not {brief(groups)}; give the group "
            "of each example."
        )
    return LeaveOneGroupOut(names)


def resampling_of(value: object) -> Resampling:
    """The resampling that the argument `resample` stands for.

    Args:
      value: a `Resampling`, or an iterable of `Fold`s or of pairs of indices (train, test), such as
        scikit-learn's splitters yield.

    Returns:
      The resampling.

    Raises:
      ValueError: it is something else.

    >>> resampling_of([([0, 1], [2])]).folds(Split(np.zeros((3, 2)), np.zeros(3, int)))[0].test
    array([2], dtype=int32)
    """
    if isinstance(value, Resampling):
        return value
    items = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []
    if not items or not all(isinstance(item, tuple) and len(item) in (2, 3) for item in items):
        raise ValueError(
            "resample must be such as jaxnet.resampling.k_fold(5), or a list of pairs of indices "
            f"(train, test), not {brief(value)}."
        )
    return GivenFolds(tuple(Fold(*item) for item in items))


def _checked(fold: Fold, index: int, n: int) -> Fold:
    """A user's fold with arrays of row numbers."""
    parts = {}
    for name, rows in fold._asdict().items():
        if name == "valid" and rows is None:
            continue
        array = np.asarray(rows)
        if array.dtype == bool and array.shape == (n,):
            array = np.flatnonzero(array)
        is_rows = array.ndim == 1 and array.size and array.dtype.kind in "iu"
        if not is_rows or array.min() < 0 or array.max() >= n:
            raise ValueError(
                f"the {name} rows of fold {index} of resample must be one or more numbers in "
                f"[0, {n - 1}], the rows of the training split, not {brief(rows)}."
            )
        parts[name] = array.astype(np.int32)
    names = list(parts)
    for first, second in [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]:
        common = np.intersect1d(parts[first], parts[second])
        if common.size:
            raise ValueError(
                f"row {common[0]} of fold {index} of resample is among both its {first} and its "
                f"{second} rows; leave it out of one of them."
            )
    return Fold(**parts)


def _are_same(folds: list[Fold], others: list[Fold]) -> bool:
    """Whether two lists have the same folds."""
    parts, other_parts = ([rows for fold in each for rows in fold] for each in (folds, others))
    return len(parts) == len(other_parts) and all(
        np.array_equal(np.asarray(rows), np.asarray(other_rows))
        for rows, other_rows in zip(parts, other_parts, strict=True)
    )


def inner_folds(outer: Resampling, nested: object) -> InnerFolds:
    """The resampling that the argument `nested` stands for.

    Args:
      outer: the outer folds.
      nested: the number of inner folds, at least 2, or a `Resampling`.

    Returns:
      The inner folds of all outer folds.

    Raises:
      ValueError: it is something else, or of groups of a split's examples.

    >>> split = Split(np.zeros((8, 2)), np.zeros(8, int))
    >>> [(len(fold.train), len(fold.test)) for fold in inner_folds(k_fold(2), 2).folds(split)]
    [(2, 2), (2, 2), (2, 2), (2, 2)]
    """
    if isinstance(nested, LeaveOneGroupOut):
        raise ValueError(
            "nested makes folds of a part of the examples, and leave_one_group_out has the groups "
            "of all; give nested=jaxnet.resampling.k_fold(5), for example."
        )
    if isinstance(nested, Resampling):
        return InnerFolds(outer, nested)
    return InnerFolds(outer, k_fold(count("nested", nested, low=2)))


def _labels(split: Split, what: str) -> np.ndarray:
    """The labels of a split, by which it can be stratified."""
    labels = np.asarray(split.y)
    if labels.dtype.kind == "f":
        raise ValueError(
            f"{what} can stratify integer labels, but the training targets are floats; leave "
            "stratify out."
        )
    return labels


def _held_out(
    rows: Indices, fraction: float, labels: np.ndarray | None, random: np.random.Generator
) -> tuple[Indices, Indices | None]:
    """Rows without a random fraction of them, and these; `None` if they are none."""
    n_out = round(fraction * len(rows))
    if 0 < n_out == len(rows):
        raise ValueError(
            f"a fraction of {fraction:g} of {n_out} rows leaves none to train on; choose a smaller "
            "one."
        )
    rest, drawn = partition.draw_rows(rows, n_out, labels, random)
    return rest, drawn if n_out else None
