"""Validate data against a network before anything is traced."""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxnet.core.network import Network, are_labels
from jaxnet.core.types import AnyArray, Split


def check_split(net: Network, name: str, split: Split) -> None:
    """Check that the examples of a split fit a network.

    The numbers of traced arrays are not known, so that only their shapes and types are checked.

    Args:
      net: the architecture.
      name: what the split is called in the error: "training".
      split: inputs (n, n_in), uint8 or finite floats, and targets: n labels, from 0 to n_out − 1
        (to 1 for a single output), or floats (n, n_out).

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
