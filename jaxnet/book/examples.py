"""Conversion of the book's examples, tuples of columns, into arrays that are trained on."""

from collections.abc import Sequence

import numpy as np

from jaxnet.core.arguments import brief
from jaxnet.core.types import Split


def split_of(name: str, examples: object, n_in: int, n_out: int) -> Split:
    """The arrays of a list of examples.

    Args:
      name: what the list is called, for errors.
      examples: the list, or a zip or another iterable that can be read once, of tuples (x, y): x a
        column (n_in, 1) of numbers, and y a column (n_out, 1) of targets or an integer label.
      n_in: the number of the network's inputs.
      n_out: the number of its outputs.

    Returns:
      Inputs (n, n_in), and float targets (n, n_out); labels become one-hot rows, or 0 or 1 for a
      single output.

    Raises:
      ValueError: it is no list of such tuples, or has none.

    >>> split_of("data", [(np.ones((3, 1)), 1)], n_in=3, n_out=2).y.tolist()
    [[0.0, 1.0]]
    """
    try:
        pairs = list(examples)  # pyright: ignore[reportArgumentType]
        are_pairs = all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs)
    except TypeError:
        pairs, are_pairs = [], False
    if not are_pairs:
        raise ValueError(
            f"{name} must be a list of tuples (x, y), such as those of "
            f"mnist_loader.load_data_wrapper(), not {brief(examples)}."
        )
    if not pairs:
        raise ValueError(
            f"{name} has no examples; give at least one, and make a list of a zip to read it twice."
        )
    xs, ys = zip(*pairs, strict=True)
    inputs = _columns(xs, n_in)
    if inputs is None:
        index = _first_other(xs, n_in)
        raise ValueError(
            f"{name}: x of example {index} must be a column of {n_in} numbers, of shape "
            f"({n_in}, 1), not {_in_words(xs[index])}."
        )
    targets = _columns(ys, n_out)
    if targets is None:
        targets = _targets_of_labels(name, ys, n_out)
    return Split(inputs, targets)


def _columns(arrays: Sequence[object], n: int) -> np.ndarray | None:
    """Columns of n numbers as the rows of a matrix of floats; None if these are others."""
    try:
        array = np.array(arrays)
    except ValueError:  # they differ in their shapes
        return None
    if array.shape != (len(arrays), n, 1) or array.dtype.kind not in "biuf":
        return None
    rows = array[:, :, 0]
    return rows if array.dtype in (np.float32, np.float64) else rows.astype(float)


def _first_other(arrays: Sequence[object], n: int) -> int:
    """The index of the first array that is no column of n numbers."""
    return next(index for index, array in enumerate(arrays) if _columns([array], n) is None)


def _targets_of_labels(name: str, labels: Sequence[object], n_out: int) -> np.ndarray:
    """Integer labels as rows of 0 and 1."""
    n_classes = max(n_out, 2)
    for index, label in enumerate(labels):
        is_label = np.ndim(label) == 0 and np.asarray(label).dtype.kind in "iu"  # pyright: ignore
        if not is_label or not 0 <= int(label) < n_classes:  # pyright: ignore[reportArgumentType]
            raise ValueError(
                f"{name}: y of example {index} must be a label in [0, {n_classes - 1}], or a "
                f"column of shape ({n_out}, 1), like those of all examples, not "
                f"{_in_words(label)}."
            )
    if n_out == 1:
        return np.array(labels, float)[:, None]
    return np.eye(n_out)[np.array(labels, int)]


def _in_words(value: object) -> str:
    """An array by its shape, anything else as it is."""
    return f"shape {value.shape}" if isinstance(value, np.ndarray) and value.ndim else brief(value)
