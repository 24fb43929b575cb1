"""Validate data against a network before anything is traced."""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxnet.core.network import Network, are_labels
from jaxnet.core.types import Split


def check_split(net: Network, name: str, split: Split) -> None:
    """Raise a ValueError unless a split of this name fits the network."""
    n_in, n_out = net.sizes[0], net.sizes[-1]
    x, y = split
    arrays = (jax.Array, np.ndarray)
    if not (isinstance(x, arrays) and isinstance(y, arrays)):
        raise ValueError(f"the {name} split must hold arrays; jaxnet.datasets.arrays makes them.")
    if x.ndim != 2 or x.shape[1] != n_in:
        raise ValueError(
            f"the {name} inputs have shape {x.shape}, but the network's {n_in} inputs need "
            f"(n, {n_in}); choose sizes that begin with {x.shape[-1]}, or reshape them."
        )
    if len(x) != len(y) or not len(x):
        raise ValueError(f"the {name} split has {len(x)} inputs and {len(y)} targets.")
    floats = jnp.issubdtype(x.dtype, jnp.floating)
    if x.dtype != np.uint8 and not floats:
        raise ValueError(f"the {name} inputs are {x.dtype}; use uint8 for pixels, or floats.")
    if floats and not isinstance(x, jax.core.Tracer) and not np.isfinite(np.sum(np.asarray(x))):
        raise ValueError(f"the {name} inputs hold NaN or infinity, or overflow when added up.")
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
