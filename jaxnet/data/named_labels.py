"""Arrays as people have them: labels that are names, and sparse inputs."""

import warnings
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from jaxnet.data.doubtful import outer_stacklevel


@runtime_checkable
class SparseMatrix(Protocol):
    """A matrix that says only where it is not 0, such as `scipy.sparse.csr_matrix`."""

    def toarray(self) -> np.ndarray:
        """All its numbers."""
        ...


Arrays = tuple[object, object, object]
"""The inputs, targets and weights of a split; None for no weights."""
MEGABYTE = 2**20


def readable_arrays(arrays: object, source: str) -> Arrays:
    """The arrays of a split, with dense inputs.

    Args:
      arrays: a pair (x, y), or (x, y, weight).
      source: what they are called in errors.

    Raises:
      ValueError: they are no such pair.

    Warns:
      UserWarning: the inputs were sparse; the message says how much memory they take.
    """
    if not isinstance(arrays, (tuple, list)) or len(arrays) not in (2, 3):
        raise ValueError(
            f"the {source} must be a pair (x, y), or a fraction of the examples, not "
            f"{type(arrays).__name__}."
        )
    x, y, weight = (*arrays, None)[:3]
    if isinstance(x, SparseMatrix):
        dense = np.asarray(x.toarray())
        warnings.warn(
            f"the inputs of the {source} are sparse and were made dense, {dense.shape[0]} × "
            f"{dense.shape[1]} numbers or {dense.nbytes / MEGABYTE:.1f} MiB, since networks read "
            "all inputs.",
            UserWarning,
            stacklevel=outer_stacklevel(),
        )
        x = dense
    return x, y, weight


def with_named_labels(
    pairs: Mapping[str, Arrays],
) -> tuple[dict[str, Arrays], tuple[str | int, ...] | None]:
    """Splits with numbers in the place of labels that are strings or booleans.

    Args:
      pairs: the splits, by what they are called in errors; the first one trains.

    Returns:
      The splits, and the names of the classes in the order of their labels; None where the targets
      are numbers already.

    Raises:
      ValueError: a label is missing, or is of a class that no training example has.

    >>> with_named_labels({"data": ([[1.0], [2.0]], ["b", "a"], None)})[1]
    ('a', 'b')
    """
    columns = {source: _names(pair[1]) for source, pair in pairs.items()}
    train = next(iter(columns.values()))
    if train is None:
        return dict(pairs), None
    classes = np.unique(train)
    numbered = {}
    for source, (x, _, weight) in pairs.items():
        names = columns[source]
        if names is None:
            raise ValueError(f"the {source} have no names as labels, but the training data have.")
        is_unknown = ~np.isin(names, classes)
        if is_unknown.any():
            raise ValueError(
                f"row {int(is_unknown.argmax())} of the {source} has the label "
                f"{str(names[is_unknown.argmax()])!r}, which no training example has; the classes "
                f"are {', '.join(classes[:10])}{' …' if len(classes) > 10 else ''}."
            )
        numbered[source] = (x, np.searchsorted(classes, names).astype(np.int32), weight)
    return numbered, tuple(classes.tolist())


def _names(y: object) -> np.ndarray | None:
    """Labels that are strings or booleans, (n,), as strings; None for other targets."""
    # NumPy would make strings of what else a list holds, such as NaN.
    array = np.asarray(y, object) if isinstance(y, (list, tuple)) else np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not array.size:
        return None
    if array.dtype == np.bool_:
        return array.astype(str)
    if array.dtype.kind in "UST" or isinstance(array[0], (str, bool, np.bool_)):
        for row, name in enumerate(array):
            if not isinstance(name, (str, bool, np.bool_, bytes)) or name == "":
                raise ValueError(
                    f"row {row} of the targets is {name!r}, while others are strings; give the "
                    "label of each example."
                )
        return array.astype(str)
    return None
