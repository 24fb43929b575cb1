"""Folds of a sweep: the part of the examples that each group of lanes has.

A group of lanes shares a seed and a fold, and so its mini-batches. Folds of different sizes share a
program that has room for the largest.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxnet.core.types import AnyArray, Dataset, Split
from jaxnet.data.resampling import Fold, Resampling
from jaxnet.recipes.schedules import Schedule
from jaxnet.training.mini_batches import Rows, Sizes, Subset
from jaxnet.training.monitors import Monitors


class Room(NamedTuple):
    """The sizes of a program that trains groups with different folds: the largest of each."""

    n_train: int
    """Training examples."""
    n_valid: int
    """Examples that choose the best epoch; 0 for none."""
    n_test: int
    """Examples that are scored."""
    n_steps: int
    """Mini-batches per epoch."""
    ends_early: bool = False
    """Whether an epoch ends after the last mini-batch that some group of a chunk has: where groups
    of different chunks differ much in their number."""


@dataclass(frozen=True)
class LaneFold:
    """A fold as a lane trains on it; two are equal if their keys are.

    Args:
      key: a hash of all below, which files name it by.
      fold: the rows.
      shift: what is subtracted from each input, (n_in,), or None.
      scale: what each input is multiplied by then, (n_in,), or None.
    """

    key: str
    fold: Fold = field(compare=False)
    shift: np.ndarray | None = field(default=None, compare=False)
    scale: np.ndarray | None = field(default=None, compare=False)

    def of(self, data: Dataset) -> Dataset:
        """The data set that a network alone would be trained on."""
        splits = self.fold.of(data.train, data.valid)
        train, valid, test = (
            None if split is None else split._replace(x=self.standardized(split.x))
            for split in splits
        )
        assert train is not None
        return Dataset(train, valid, test)

    def standardized(self, x: AnyArray) -> AnyArray:
        """Inputs, shifted and scaled; as they are where the fold has no standardization."""
        return standardized(x, self.shift, self.scale)

    def n_steps(self, batch_size: int) -> int:
        """Mini-batches per epoch, of so many examples."""
        return -(-len(self.fold.train) // batch_size)


def standardized(x: AnyArray, shift: np.ndarray | None, scale: np.ndarray | None) -> AnyArray:
    """Inputs, shifted and scaled: (x − shift)·scale.

    Args:
      x: the inputs, (..., n_in): uint8 pixels or floats.
      shift: what is subtracted, (n_in,); None for nothing.
      scale: what the rest is multiplied by, (n_in,); None for nothing.

    Returns:
      The inputs in float64; x itself if there is nothing to do.
    """
    return x if shift is None or scale is None else (_numbers(x) - shift) * scale


def lane_folds(
    resampling: Resampling,
    split: Split,
    seeds: Sequence[int],
    standardized_inputs: Bool[np.ndarray, " n_in"] | None,
) -> list[list[LaneFold]]:
    """The folds of each seed.

    Args:
      resampling: how the folds are made.
      split: all examples.
      seeds: the seeds.
      standardized_inputs: which inputs of each fold are shifted and scaled so that those of its
        training rows have the mean 0 and the standard deviation 1; None for none. Inputs that are
        constant there are only shifted.

    Returns:
      For each seed a list of folds, all of one length.
    """
    known: dict[str, LaneFold] = {}

    def prepared(fold: Fold) -> LaneFold:
        key = _key(fold, standardized_inputs)
        if key not in known:
            shift = scale = None
            if standardized_inputs is not None:
                shift, scale = _standardization(split, fold, standardized_inputs)
            known[key] = LaneFold(key, fold, shift, scale)
        return known[key]

    return [list(map(prepared, resampling.folds(split, seed))) for seed in seeds]


def smallest_fold(folds: Sequence[Sequence[LaneFold]], data: Dataset) -> Dataset:
    """The data of the fold with the fewest training examples, to check settings by.

    Args:
      folds: the folds of each seed.
      data: the splits.
    """
    smallest = min((lane.fold for row in folds for lane in row), key=lambda fold: len(fold.train))
    return smallest.of(data.train, data.valid)


def room_for(
    folds: Sequence[LaneFold],
    fold: LaneFold,
    batch_size: int,
    schedule: Schedule | None,
    monitors: Monitors | None,
) -> Room:
    """The room for examples in the program that trains a lane.

    Args:
      folds: all folds of the study, so that a program's sizes do not depend on which lanes are
        missing.
      fold: the lane's own.
      batch_size: examples per mini-batch.
      schedule: the schedule of the lane's recipe. It may count in epochs, and monitors count
        mini-batches, so that a lane with one of them needs a program with as many mini-batches per
        epoch as it has itself.
      monitors: what is measured during training.
    """
    n_steps = fold.n_steps(batch_size)
    any_steps = schedule is None and monitors is None
    fitting = [lane for lane in folds if any_steps or lane.n_steps(batch_size) == n_steps]
    return Room(
        n_train=max(len(lane.fold.train) for lane in fitting),
        n_valid=max(len(_valid(lane.fold)) for lane in fitting),
        n_test=max(len(lane.fold.test) for lane in fitting),
        n_steps=max(lane.n_steps(batch_size) for lane in fitting),
    )


def fold_of_first(n: int) -> LaneFold:
    """The first n training examples, as a fold that validates and tests on the data's own splits.

    Args:
      n: the number of training examples.
    """
    fold = Fold(np.arange(n, dtype=np.int32), np.zeros(0, np.int32))
    return LaneFold(f"first {n}", fold)


def room_for_first(
    numbers: Collection[int], batch_size: int, schedule: Schedule | None, monitors: Monitors | None
) -> Room | None:
    """The room for examples in a program that lanes with different numbers of them share.

    Args:
      numbers: the numbers of examples of all settings with this batch size.
      batch_size: examples per mini-batch.
      schedule: the schedule of the lane's recipe, which may count in epochs.
      monitors: what is measured during training, which counts mini-batches.

    Returns:
      The room; `None` if all numbers are the same, or if the lane needs as many mini-batches per
      epoch as it has itself.
    """
    n_train = max(numbers)
    if min(numbers) == n_train or schedule is not None or monitors is not None:
        return None
    n_steps = -(-n_train // batch_size)
    return Room(n_train=n_train, n_valid=0, n_test=0, n_steps=n_steps, ends_early=True)


def stacked_subset(folds: Sequence[LaneFold], batch_sizes: Sequence[int], room: Room) -> Subset:
    """The subsets of all groups of a program, stacked.

    Args:
      folds: the fold of each group.
      batch_sizes: the batch size of each group.
      room: the sizes of the program.
    """
    sizes = Sizes(
        n_examples=np.array([len(lane.fold.train) for lane in folds], np.int32),
        batch_size=np.array(batch_sizes, np.int32),
        n_steps=room.n_steps,
        last_step=_last_step(folds, batch_sizes) if room.ends_early else None,
    )
    shift = scale = None
    if folds[0].shift is not None:
        shift = np.stack([np.asarray(lane.shift) for lane in folds])
        scale = np.stack([np.asarray(lane.scale) for lane in folds])
    return Subset(
        sizes=sizes,
        train=_stacked([lane.fold.train for lane in folds], room.n_train),
        valid=_stacked_rows([_valid(lane.fold) for lane in folds], room.n_valid),
        test=_stacked_rows([lane.fold.test for lane in folds], room.n_test),
        shift=shift,
        scale=scale,
    )


def _last_step(folds: Sequence[LaneFold], batch_sizes: Sequence[int]) -> np.ndarray:
    """The most mini-batches per epoch of some groups."""
    return np.array(max(map(LaneFold.n_steps, folds, batch_sizes)), np.int32)


def _valid(fold: Fold) -> np.ndarray:
    """The rows that choose the best epoch."""
    return np.zeros(0, np.int32) if fold.valid is None else fold.valid


def _stacked(rows: Sequence[np.ndarray], n_all: int) -> np.ndarray:
    """Rows of several groups in one array with room for `n_all` of each."""
    indices = np.zeros((len(rows), n_all), np.int32)
    for stacked, own in zip(indices, rows, strict=True):
        stacked[: len(own)] = own
    return indices


def _stacked_rows(rows: Sequence[np.ndarray], n_all: int) -> Rows | None:
    """The same with their numbers; None if there is room for none."""
    if n_all == 0:
        return None
    return Rows(_stacked(rows, n_all), np.array([len(own) for own in rows], np.int32))


def _standardization(
    split: Split, fold: Fold, standardized_inputs: Bool[np.ndarray, " n_in"]
) -> tuple[np.ndarray, np.ndarray]:
    """What is subtracted from each input of a fold, and what the rest is multiplied by."""
    numbers = _numbers(split.x[fold.train])
    deviations = numbers.std(axis=0)
    is_constant = deviations <= 1e-7 * np.abs(numbers).max(axis=0, initial=0)
    shift = np.where(standardized_inputs, numbers.mean(axis=0), 0)
    return shift, 1 / np.where(is_constant | ~standardized_inputs, 1, deviations)


def _numbers(x: AnyArray) -> np.ndarray:
    """Inputs as `network.inputs` reads them, in float64."""
    return np.asarray(x) / (255.0 if x.dtype == np.uint8 else 1.0)


def _key(fold: Fold, standardized_inputs: Bool[np.ndarray, " n_in"] | None) -> str:
    """A hash of all that makes a fold what it is."""
    digest = hashlib.sha256(f"standardize {standardized_inputs is not None}".encode())
    if standardized_inputs is not None and not standardized_inputs.all():
        digest.update(standardized_inputs.tobytes())
    for name, rows in fold._asdict().items():
        numbers = np.asarray([] if rows is None else rows, np.int64)
        digest.update(f"{name}{len(numbers)}".encode())
        digest.update(numbers.tobytes())
    return digest.hexdigest()[:16]
