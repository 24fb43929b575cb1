"""Checks of the splits of a data set: shapes, types, labels, the size of the validation split."""

import math
import warnings
from collections.abc import Sequence

import numpy as np

from jaxnet.core.arguments import brief
from jaxnet.core.conversion import (
    alike_targets,
    input_array,
    labels_of_floats,
    target_array,
    weight_array,
)
from jaxnet.core.types import AnyArray, Dataset, Split
from jaxnet.data.doubtful import outer_stacklevel, warn_if_doubtful

MIN_ORDERED = 10
"""Fewer examples may be in order of their classes by chance."""


def checked_split(arrays: Sequence[object], source: str, n_classes: int | None = None) -> Split:
    """Convert the arrays of a split, check them, and flatten its examples.

    Args:
      arrays: the inputs, (n, …), uint8 pixels or finite numbers that are used as they are; the
        targets: n integers, also as a column or one-hot, finite floats, (n,) or (n, n_out), or a
        matrix of integers or booleans that is not one-hot, (n, n_out), which becomes floats; and n
        weights or `None`, which may be left out.
      source: where the arrays are from, for errors.
      n_classes: the number of classes, which labels have to be below; floats are labels then, too.
        If None, integers need only fit into int32: a network and its cost decide later whether
        they are labels or numbers to predict.

    Returns:
      The split, with inputs of shape (n, n_in) and labels in int32, or float targets (n, n_out).

    Raises:
      ValueError: an array has another shape, type or range, or the two have different lengths.

    >>> checked_split([np.zeros((2, 8, 8), np.uint8), [0, 1]], "example").x.shape
    (2, 64)
    """
    if n_classes is not None and (not _is_whole(n_classes) or n_classes < 1):
        raise ValueError(f"n_classes must be a whole number of at least 1, not {brief(n_classes)}.")
    x, y, weight = (*arrays, None)[:3]
    inputs = np.asarray(input_array(x, source))
    if inputs.ndim < 2:
        remedy = ": x.reshape(-1, 1), if each example is one number" if inputs.ndim else ""
        raise ValueError(
            f"{source}: inputs have shape {inputs.shape}; they must be (n, n_in){remedy}."
        )
    if not inputs.size:
        raise ValueError(
            f"{source}: there are no examples in inputs of shape {inputs.shape}; give at least one."
        )
    targets = np.asarray(target_array(y, source))
    if len(inputs) != len(targets):
        raise ValueError(
            f"{source}: {len(inputs)} inputs, but {len(targets)} targets; give one target for each "
            "input."
        )
    if n_classes is not None and targets.dtype.kind == "f":
        labels = labels_of_floats(targets)
        if labels is None:
            raise ValueError(
                f"{source}: the targets are floats of shape {targets.shape}, but there are "
                f"{n_classes} classes; give n integer labels."
            )
        targets = labels
    if targets.dtype.kind != "f":
        targets = _checked_labels(targets, source, n_classes)
    weights = weight_array(weight, len(inputs), source)
    return Split(
        inputs.reshape(len(inputs), -1), targets, None if weights is None else np.asarray(weights)
    )


def _checked_labels(y: np.ndarray, source: str, n_classes: int | None) -> np.ndarray:
    """Integer targets in int32."""
    low, limit = (-(2**31), 2**31) if n_classes is None else (0, n_classes)
    is_allowed = (y >= low) & (y < limit)
    if not is_allowed.all():
        index = int(is_allowed.argmin())
        bounds = "in [−2³¹, 2³¹)" if n_classes is None else f"in [0, {n_classes - 1}]"
        remedy = "number the classes from 0: numpy.unique(y, return_inverse=True)[1]"
        if y.min() == 1 and y.max() == n_classes:
            remedy = "these start at 1: pass y - 1"
        raise ValueError(
            f"{source}: row {index} has the label {y[index]}; labels must be {bounds}; {remedy}."
        )
    return y.astype(np.int32)


def matching_splits(data: Dataset, source: str) -> Dataset:
    """The data set, if its splits have inputs of one width, and targets of one kind and width.

    Args:
      data: the data set.
      source: where it is from, for errors and warnings.

    Returns:
      The data set. If any split has labels, floats that stand for labels in the others are
      converted, such as one-hot rows.

    Raises:
      ValueError: the splits differ.

    Warns:
      UserWarning: the data are hardly what a person means, such as float pixels up to 255.
    """
    data = alike_targets(data, source)
    for kind in ("x", "y"):
        shapes = {name: getattr(split, kind).shape[1:] for name, split in _named(data).items()}
        if len(set(shapes.values())) > 1:
            widths = ", ".join(f"{math.prod(shape)} ({name})" for name, shape in shapes.items())
            raise ValueError(
                f"{source}: the splits differ in their number of "
                f"{'inputs' if kind == 'x' else 'targets'}: {widths}; give all the same."
            )
    warn_if_doubtful(data, source)
    return data


def training_and_test(
    arrays: Sequence[object], n_valid: int | None, n_classes: int | None, source: str
) -> Dataset:
    """The data set of a training and a test file, or of one alone.

    Args:
      arrays: training inputs and targets, test inputs and targets, as `checked_split` takes them;
        without the last two, or with `None` in place of the test targets, there is no test split.
      n_valid: how many of the last training examples to validate on; a sixth, if None.
      n_classes: the number of classes, which labels have to be below; no limit, if None.
      source: where they are from, for errors and warnings.

    Returns:
      The data set.

    Raises:
      ValueError: an array cannot be used, the two of a split do not match, or n_valid is out of its
        range.
    """
    x, y, x_test, y_test = (*arrays, None, None)[:4]
    train = checked_split((x, y), f"{source} (training files)", n_classes)
    test = None
    if y_test is not None:
        test = checked_split((x_test, y_test), f"{source} (test files)", n_classes)
    train, valid = hold_out_last(train, n_valid, source)
    return matching_splits(Dataset(train, valid, test), source)


def _named(data: Dataset) -> dict[str, Split]:
    """The splits that a data set has, by their names."""
    names = ("training", "validation", "test")
    return {name: split for name, split in zip(names, data, strict=True) if split is not None}


def hold_out_last(train: Split, n_valid: int | None, source: str) -> tuple[Split, Split | None]:
    """Split the last examples off, to validate on them; random ones, if classes are in order.

    Args:
      train: the examples.
      n_valid: how many of them to split off; a sixth, if None.
      source: where they are from, for errors and warnings.

    Returns:
      The first examples, and the last n_valid, or None where n_valid is 0. Of examples in order of
      their classes the last ones are of other classes than the first ones; then n_valid examples
      that are drawn at random, always the same, are split off instead.

    Raises:
      ValueError: n_valid is not a whole number, is negative, or leaves no example.

    Warns:
      UserWarning: the examples are in order of their classes.

    >>> train, valid = hold_out_last(Split(np.zeros((6, 2)), np.arange(6)), 2, "example")
    >>> valid.y
    array([4, 5])
    """
    n_train = len(train.x)
    if n_valid is None:
        n_valid = n_train // 6
    elif not _is_whole(n_valid) or not 0 <= n_valid < n_train:
        raise ValueError(
            f"{source}: n_valid must be in [0, {n_train - 1}], to leave at least one of the "
            f"{n_train} training examples, not {brief(n_valid)}."
        )
    if n_valid == 0:
        return train, None
    first, last = slice(None, -n_valid), slice(-n_valid, None)
    if are_in_order_of_class(train.y):
        warnings.warn(
            f"{source}: the examples are in order of their classes, so that the last {n_valid} "
            f"would be of {len(np.unique(train.y[-n_valid:]))} of {len(np.unique(train.y))} "
            "classes; random ones validate instead; shuffle the examples to choose others.",
            UserWarning,
            stacklevel=outer_stacklevel(),
        )
        is_held_out = np.zeros(n_train, bool)
        is_held_out[np.random.default_rng(0).permutation(n_train)[:n_valid]] = True
        first, last = ~is_held_out, is_held_out
    return train.take(first), train.take(last)


def _is_whole(value: object) -> bool:
    """Whether a value is a whole number, and not a truth value."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def are_in_order_of_class(y: AnyArray) -> bool:
    """Whether the examples of each class follow each other, so that it cannot be chance.

    Args:
      y: the targets; numbers to predict have no classes.

    >>> are_in_order_of_class(np.repeat([0, 1], 8)), are_in_order_of_class(np.tile([0, 1], 8))
    (True, False)
    """
    labels = np.asarray(y)
    if labels.dtype.kind == "f" or len(y) < MIN_ORDERED:
        return False
    n_classes, n_changes = len(np.unique(labels)), int(np.count_nonzero(np.diff(labels)))
    return 1 < n_classes <= len(y) // 2 and n_changes == n_classes - 1
