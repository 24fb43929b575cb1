"""Warn of data that can be used, but that are hardly what a person means."""

import sys
import warnings
import weakref
from pathlib import Path

import jax.core
import numpy as np

from jaxnet.core.types import AnyArray, Dataset

LARGE_INPUT = 128
"""Float inputs of this size or more are doubtful, and so are uint8 pixels that are all smaller."""
SMALLEST_IMAGE = 9
"""Fewer uint8 columns than the pixels of a 3×3 image are doubtful."""
RARE = 0.01
"""If so few rows of targets are not one-hot, these may be faulty."""
PACKAGE = str(Path(__file__).parents[1])
"""The folder of the package's source."""
_EXAMINED: weakref.WeakValueDictionary[int, AnyArray] = weakref.WeakValueDictionary()
"""The training inputs that were examined, by their id: each array is examined once, although
reading, training and comparing each pass it on."""


def warn_if_doubtful(data: Dataset, source: str) -> None:
    """Warn of inputs and labels of a data set that are hardly what a person means.

    Args:
      data: a data set of arrays that a network can read. Its training inputs are examined once;
        nothing is said of traced arrays.
      source: where the data are from, for the warning: a file's name, or "the data".

    Warns:
      UserWarning: inputs are floats as large as pixels, or uint8 numbers that look like no pixels;
        all training labels are equal; other splits have labels that training examples lack; or
        a few rows of targets are not one-hot, but all others are.

    >>> from jaxnet.core.types import Split
    >>> data = Dataset(Split(np.full((4, 9), 255.0), np.array([0, 1, 0, 1])))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_if_doubtful(data, "example")
    >>> str(caught[0].message)[:57]
    'example: training inputs reach 255, and floats are used a'
    """
    x = data.train.x
    if isinstance(x, jax.core.Tracer) or _EXAMINED.get(id(x)) is x:
        return
    _EXAMINED[id(x)] = x
    for doubt in (_doubt_of_inputs(np.asarray(x)), *_doubts_of_labels(data)):
        if doubt:
            warnings.warn(f"{source}: {doubt}", UserWarning, stacklevel=outer_stacklevel())


def _doubt_of_inputs(x: np.ndarray) -> str:
    """What is doubtful about inputs, (n, n_in); "" for nothing."""
    low, high = float(x.min()), float(x.max())
    if x.dtype == np.uint8:
        oddity = f"reach only {high:g}" if 0 < high < LARGE_INPUT else ""
        if x.shape[1] < SMALLEST_IMAGE:
            oddity = f"have only {x.shape[1]} columns"
        if not oddity:
            return ""
        return (
            f"uint8 inputs are divided by 255, as pixels are, but these {oddity}; if they are no "
            "pixels, pass x.astype(numpy.float32)."
        )
    largest = max(high, -low)
    if largest < LARGE_INPUT:
        return ""
    remedy = "standardize them, (x - x.mean(axis=0)) / x.std(axis=0)"
    if low >= 0 and high <= 255:
        remedy = f"divide pixels by 255 or pass them as uint8, and if they are no pixels {remedy}"
    return f"training inputs reach {largest:g}, and floats are used as they are; {remedy}."


def _doubts_of_labels(data: Dataset) -> list[str]:
    """What is doubtful about the labels of a data set."""
    train, *others = (None if split is None else np.asarray(split.y) for split in data)
    if train is None:
        return []
    if train.dtype.kind == "f":
        return _doubts_of_float_targets(train)
    classes = np.unique(train)
    if len(classes) == 1 < len(train):
        return [
            f"all {len(train)} training labels are {classes[0]}, so that a network learns to "
            "answer nothing else; give it examples of all classes."
        ]
    doubts = []
    for name, labels in zip(("validation", "test"), others, strict=True):
        is_unseen = np.zeros(0, bool) if labels is None else ~np.isin(labels, classes)
        if labels is not None and is_unseen.any():
            doubts.append(
                f"{np.count_nonzero(is_unseen)} of {len(labels)} {name} labels, such as "
                f"{labels[is_unseen.argmax()]}, are of classes that no training example has; "
                "shuffle the examples before they are split, or pass floats if they are numbers to "
                "predict."
            )
    return doubts


def _doubts_of_float_targets(y: np.ndarray) -> list[str]:
    """What is doubtful about float targets, (n, n_out)."""
    is_one_hot = ((y == 0) | (y == 1)).all(axis=1) & (y.sum(axis=1) == 1)
    n_others = np.count_nonzero(~is_one_hot)
    if y.shape[1] == 1 or not 0 < n_others <= RARE * len(y):
        return []
    row = int(is_one_hot.argmin())
    return [
        f"{n_others} of {len(y)} rows of the training targets are not one-hot, such as row {row}, "
        "so that all are taken as multi-label, or as numbers to predict; correct such rows if each "
        "example has one class."
    ]


def outer_stacklevel() -> int:
    """The `stacklevel` of the nearest line outside the package, for `warnings.warn`.

    Returns:
      How many calls above its caller that line is, plus 1.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
