"""Validate data against a network before anything is traced."""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxnet.core.activations import ANY
from jaxnet.core.costs import Cost
from jaxnet.core.network import Network, are_labels
from jaxnet.core.types import AnyArray, Split


def check_split(net: Network, name: str, split: Split) -> None:
    """Check that the examples of a split fit a network.

    The numbers of traced arrays are not known, so that only their shapes and types are checked.

    Args:
      net: the architecture.
      name: what the split is called in the error: "training".
      split: inputs (n, n_in), uint8 or finite floats, and targets: n labels, from 0 to n_out − 1
        (to 1 for a single output), or finite floats (n, n_out) within the cost's `target_bounds`.

    Raises:
      ValueError: the split does not fit the network; the message says why.

    >>> check_split(Network((2, 3)), "training", Split(np.zeros((5, 2)), np.array([0, 1, 2, 0, 3])))
    Traceback (most recent call last):
    ValueError: the training labels lie in [0, 3], but the network's 3 outputs can tell 0 to 2 \
apart; choose sizes that end with 4.
    """
    x, y = split
    arrays = (jax.Array, np.ndarray)
    if not (isinstance(x, arrays) and isinstance(y, arrays)):
        raise ValueError(f"the {name} split must hold arrays; jaxnet.datasets.arrays makes them.")
    _check_inputs(net.sizes[0], name, x, y)
    _check_targets(net.sizes[-1], name, x, y)
    if jnp.issubdtype(y.dtype, jnp.floating) and not isinstance(y, jax.core.Tracer):
        check_target_bounds(net.cost, name, np.asarray(y))


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


def _check_inputs(n_in: int, name: str, x: AnyArray, y: AnyArray) -> None:
    """Raise a ValueError unless x has shape (len(y), n_in), and is uint8 or finite floats."""
    if x.ndim != 2 or x.shape[1] != n_in:
        raise ValueError(
            f"the {name} inputs have shape {x.shape}, but the network's {n_in} inputs need "
            f"(n, {n_in}); choose sizes that begin with {x.shape[-1]}, or reshape them."
        )
    if len(x) != len(y) or not len(x):
        raise ValueError(
            f"the {name} split has {len(x)} inputs and {len(y)} targets; it needs as many of "
            "both, at least one."
        )
    floats = jnp.issubdtype(x.dtype, jnp.floating)
    if x.dtype != np.uint8 and not floats:
        raise ValueError(f"the {name} inputs are {x.dtype}; use uint8 for pixels, or floats.")
    if floats and not isinstance(x, jax.core.Tracer) and not np.isfinite(np.sum(np.asarray(x))):
        raise ValueError(
            f"the {name} inputs hold NaN or infinity, or overflow when added up; use finite "
            "numbers, such as standardized ones."
        )


def _check_targets(n_out: int, name: str, x: AnyArray, y: AnyArray) -> None:
    """Raise a ValueError unless y holds float targets or labels for n_out outputs."""
    if jnp.issubdtype(y.dtype, jnp.floating):
        if y.shape != (len(x), n_out):
            raise ValueError(
                f"the {name} targets have shape {y.shape}, but the network's {n_out} outputs need "
                f"({len(x)}, {n_out}); choose sizes that end with {y.shape[-1]}, or reshape them."
            )
    elif not are_labels(y) or y.ndim != 1:
        raise ValueError(
            f"the {name} targets are {y.dtype} of shape {y.shape}; use n integer labels, or floats "
            f"(n, {n_out})."
        )
    elif not isinstance(y, jax.core.Tracer):
        n_classes = max(2, n_out)
        # By NumPy, since JAX would trace it where the caller is being compiled.
        labels = np.asarray(y)
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= n_classes:
            raise ValueError(
                f"the {name} labels lie in [{low}, {high}], but the network's {n_out} outputs can "
                f"tell 0 to {n_classes - 1} apart; choose sizes that end with {high + 1}."
            )
