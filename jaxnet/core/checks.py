"""Validate data against a network before anything is traced."""

import math

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxnet.core.activations import ANY
from jaxnet.core.conversion import (
    alike_targets,
    input_array,
    labels_of_floats,
    target_array,
    weight_array,
)
from jaxnet.core.costs import Cost
from jaxnet.core.network import Network, are_labels
from jaxnet.core.types import AnyArray, Dataset, Split


def check_data(net: Network, data: Dataset) -> Dataset:
    """The data set with arrays that a network can read, after checking that they fit it.

    Args:
      net: the architecture.
      data: the splits, each a pair of what `check_split` takes.

    Returns:
      The data set. Arrays that a network can read already are the same objects.

    Raises:
      ValueError: a split does not fit the network, or another split; the message says why.

    >>> one_hot = np.eye(3)[[0, 1, 2]]
    >>> data = Dataset(Split(np.zeros((3, 2)), [0, 1, 2]), Split(np.zeros((3, 2)), one_hot))
    >>> check_data(Network((2, 3)), data).valid.y.tolist()
    [0, 1, 2]
    """
    for argument_name, argument, kind in (("net", net, Network), ("data", data, Dataset)):
        if not isinstance(argument, kind):
            raise ValueError(
                f"{argument_name} must be a {kind.__name__}, not {type(argument).__name__}."
            )
    names = dict(zip(data._fields, ("training", "validation", "test"), strict=True))
    fields = data._asdict().items()
    splits = {field: split for field, split in fields if field == "train" or split is not None}
    readable = {field: _readable_split(net, names[field], split) for field, split in splits.items()}
    readable = dict(zip(readable, _with_numbers(net, list(readable.values())), strict=True))
    alike = alike_targets(data._replace(**readable), "the data")
    fitting = {field: _fitting_split(net, names[field], getattr(alike, field)) for field in splits}
    # Whole floats are labels where the network has several outputs: the others' may be, too.
    return alike_targets(data._replace(**fitting), "the data")


def check_split(net: Network, name: str, split: Split) -> Split:
    """The split with arrays that a network can read, after checking that they fit it.

    The numbers of traced arrays are not known, so that only their shapes and types are checked.

    Args:
      net: the architecture.
      name: what the split is called in the error: "training".
      split: inputs, (n, n_in) or (n, …) of as many numbers, uint8 or finite floats or what
        `jaxnet.core.conversion.input_array` makes floats of; and targets: n labels, from 0 to
        n_out − 1 (to 1 for a single output), or floats (n, n_out) within the cost's
        `target_bounds`. A matrix of integers or booleans that is not one-hot becomes floats. So do
        integers where the cost takes no labels, or where there is a single output that can
        approach them, and they are not all 0 or 1.

    Returns:
      The split. Arrays that a network can read already are the same objects. Labels that are
      floats, (n,) or (n, 1) for more outputs than one, are converted.

    Raises:
      ValueError: the split does not fit the network; the message says why.

    >>> check_split(Network((2, 3)), "training", Split(np.zeros((5, 2)), np.array([0, 1, 2, 0, 3])))
    Traceback (most recent call last):
    ValueError: the training labels lie in [0, 3], but the network's 3 outputs can tell 0 to 2 \
apart (row 4 has the label 3); choose sizes that end with 4.
    """
    return _fitting_split(net, name, *_with_numbers(net, [_readable_split(net, name, split)]))


def _readable_split(net: Network, name: str, split: object) -> Split:
    """The arrays of a split as a network can read them."""
    if split is None:
        raise ValueError(
            f"the {name} split is None: the data has no such split; give one that it has, such as "
            "data.train."
        )
    if not isinstance(split, (tuple, list)) or len(split) not in (2, 3):
        raise ValueError(
            f"the {name} split must be a Split of inputs and targets, such as jaxnet.Split(x, y), "
            f"not {type(split).__name__}."
        )
    x, y, weight = (*split, None)[:3]
    source = f"the {name} split"
    targets = target_array(y, source, net.cost.takes_labels)
    return Split(input_array(x, source), targets, weight_array(weight, len(targets), source))


def _with_numbers(net: Network, splits: list[Split]) -> list[Split]:
    """The splits, with floats for the integer targets of a regression by a single output.

    Integers are such targets if they are not all 0 or 1, and the output can reach them.
    """
    if net.n_targets > 1 or any(isinstance(split.y, jax.core.Tracer) for split in splits):
        return splits
    integers = [np.asarray(split.y) for split in splits if are_labels(split.y)]
    low, high, _ = net.cost.target_bounds
    lowest = min((int(y.min()) for y in integers if y.size), default=0)
    largest = max((int(y.max()) for y in integers if y.size), default=0)
    if (lowest >= 0 and largest <= 1) or lowest < low or largest > high:
        return splits
    return [
        split._replace(y=target_array(split.y, "the data", False)) if are_labels(split.y) else split
        for split in splits
    ]


def check_target_bounds(cost: Cost, name: str, ys: Float[np.ndarray, "n n_out"]) -> None:
    """Check that float targets are finite, and such that the cost is made for.

    Rounding errors pass: a number may be 1e-6 outside of the bounds, and a sum 1e-3 off.

    Args:
      cost: the cost, whose `target_bounds` say what is allowed.
      name: what the split is called in the error: "training".
      ys: the targets, (n, n_out).

    Raises:
      ValueError: a target is not; the message names the first one.

    >>> from jaxnet.core.costs import CrossEntropy
    >>> check_target_bounds(CrossEntropy(), "training", np.array([[0.0, 1.0], [0.5, 300.0]]))
    Traceback (most recent call last):
    ValueError: the training target in row 1, column 1 is 300, but CrossEntropy() takes targets in \
[0, 1]; scale them, or use Quadratic(jaxnet.activations.linear), which takes any.
    """
    low, high, total = cost.target_bounds
    wrong = np.argwhere(~(np.isfinite(ys) & (ys >= low - 1e-6) & (ys <= high + 1e-6)))
    if wrong.size:
        row, column = wrong[0]
        allowed = "finite targets" if (low, high) == ANY[:2] else f"targets in [{low:g}, {high:g}]"
        raise ValueError(
            f"the {name} target in row {row}, column {column} is {ys[row, column]:g}, but {cost} "
            f"takes {allowed}; {_remedy(ys)}."
        )
    if total is not None:
        sums = ys.sum(axis=1)
        wrong = np.flatnonzero(np.abs(sums - total) > 1e-3)
        if wrong.size:
            raise ValueError(
                f"the {name} targets in row {wrong[0]} add up to {sums[wrong[0]]:g}, but {cost} "
                f"takes targets that add up to {total:g}; divide each row by its sum, or use "
                "CrossEntropy() for outputs that are independent of each other."
            )


def _remedy(ys: Float[np.ndarray, "n n_out"]) -> str:
    """What to do about targets that are out of bounds."""
    if not np.isfinite(ys).all():
        return "leave out such examples, or fill their targets in"
    return "scale them, or use Quadratic(jaxnet.activations.linear), which takes any"


def _fitting_split(net: Network, name: str, split: Split) -> Split:
    """The split with inputs (n, n_in), and with labels or targets (n, n_out)."""
    x = _fitting_inputs(net.sizes[0], name, split.x, split.y)
    y = _fitting_targets(net, name, x, split.y)
    if jnp.issubdtype(y.dtype, jnp.floating) and not isinstance(y, jax.core.Tracer):
        check_target_bounds(net.cost, name, np.asarray(y))
    return Split(x, y, split.weight)


def _fitting_inputs(n_in: int, name: str, x: AnyArray, y: AnyArray) -> AnyArray:
    """The inputs, flattened to shape (len(y), n_in)."""
    if x.ndim > 2 and math.prod(x.shape[1:]) == n_in:
        x = x.reshape(len(x), n_in)
    if x.ndim != 2 or x.shape[1] != n_in:
        remedy = "give a row of inputs for each example"
        if x.ndim > 1:
            width = math.prod(x.shape[1:])
            remedy = f"choose sizes that begin with {width}, or reshape them"
        elif x.ndim == 1 and n_in == 1:
            remedy = "x.reshape(-1, 1) makes them a column"
        raise ValueError(
            f"the {name} inputs have shape {x.shape}, but the network's {n_in} inputs need "
            f"(n, {n_in}); {remedy}."
        )
    if len(x) != len(y) or not len(x):
        raise ValueError(
            f"the {name} split has {len(x)} inputs and {len(y)} targets; it needs as many of "
            "both, at least one."
        )
    return x


def _fitting_targets(net: Network, name: str, x: AnyArray, y: AnyArray) -> AnyArray:
    """Float targets (n, n_targets), or n labels that the outputs can tell apart."""
    n_out, n_targets = net.sizes[-1], net.n_targets
    if jnp.issubdtype(y.dtype, jnp.floating):
        if y.shape == (len(x), n_targets):
            return y
        can_be_labels = net.cost.takes_labels and y.shape[1] == 1
        is_known = not isinstance(y, jax.core.Tracer)
        labels = labels_of_floats(y) if can_be_labels and is_known else None
        if labels is None:
            last = n_out // n_targets * y.shape[-1]
            raise ValueError(
                f"the {name} targets have shape {y.shape}, but the network's {n_out} outputs need "
                f"({len(x)}, {n_targets}); choose sizes that end with {last}, or reshape them."
            )
        y = labels
    if isinstance(y, jax.core.Tracer):
        return y
    # By NumPy, since JAX would trace it where the caller is being compiled.
    labels = np.asarray(y)
    n_classes = max(2, n_out)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= n_classes:
        index = int(np.argmin((labels >= 0) & (labels < n_classes)))
        remedy = f"choose sizes that end with {high + 1}"
        if low < 0:
            remedy = "number the classes from 0: numpy.unique(y, return_inverse=True)[1]"
        elif low == 1 and high == n_classes:
            remedy = f"the labels start at 1: pass y - 1, or {remedy}"
        elif n_out == 1:
            remedy += ", or take Quadratic(jaxnet.activations.linear) for a regression"
        raise ValueError(
            f"the {name} labels lie in [{low}, {high}], but the network's {n_out} outputs can tell "
            f"0 to {n_classes - 1} apart (row {index} has the label {labels[index]}); {remedy}."
        )
    return y
