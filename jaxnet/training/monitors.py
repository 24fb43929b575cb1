"""Monitors: what happens inside a network while it trains, measured inside the program.

All are of one mini-batch, and per layer; ∂C₀ is the gradient without the penalties' part:

    gradient_norm   ‖∂C₀/∂Wˡ‖
    delta_norm      ‖δˡ‖, of the mean error = ‖∂C₀/∂bˡ‖: the book's measure of how fast a layer
                    learns, and of vanishing gradients (Nielsen, chapter 5)
    weight_norm     ‖Wˡ‖ before the step
    update_ratio    ‖ΔWˡ‖/‖Wˡ‖, how far the step goes
    saturated       the share of a hidden layer's activations where the derivative |f'(z)| < 0.01
    dead            the share of its units that are so for every example of the mini-batch
    learning_rate   η of the step, schedule and halving included
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.core.hyperparameters import count
from jaxnet.core.network import Masks, Network, forward
from jaxnet.core.types import Params

NAMES = (
    "gradient_norm",
    "delta_norm",
    "weight_norm",
    "update_ratio",
    "saturated",
    "dead",
    "learning_rate",
)
FLAT = 0.01
"""A derivative below this counts as none."""


@dataclass(frozen=True)
class Monitors:
    """What to measure, and how often: a static choice.

    Args:
      names: any of `jaxnet.training.monitors.NAMES`.
      every: mini-batches from one measurement to the next, counted anew in each epoch; `None`
        measures the last one of each epoch.

    >>> Monitors(("delta_norm",), every=100).rows(n_steps=350).tolist()
    [99, 199, 299]
    """

    names: tuple[str, ...] = NAMES
    every: int | None = None

    def __post_init__(self) -> None:
        known = isinstance(self.names, (tuple, list)) and set(self.names) <= set(NAMES)
        if not known or not self.names:
            raise ValueError(
                f"the names of monitors must be a tuple of {', '.join(NAMES)}, not {self.names!r}."
            )
        object.__setattr__(self, "names", tuple(name for name in NAMES if name in self.names))
        if self.every is not None:
            object.__setattr__(self, "every", count("every", self.every, low=1))

    def rows(self, n_steps: int) -> np.ndarray:
        """The mini-batches of an epoch, from 0, that are measured."""
        every = self.every or n_steps
        return np.arange(every - 1, n_steps, every)

    def widths(self, net: Network) -> dict[str, int]:
        """How many numbers each name has: one a layer, one a hidden layer, or one."""
        n = len(net.sizes) - 1
        special = {"saturated": n - 1, "dead": n - 1, "learning_rate": 1}
        return {name: special.get(name, n) for name in self.names}

    def split(self, net: Network, table: Any) -> dict[str, Any]:
        """The columns of `measure`'s vectors, by name."""
        widths = self.widths(net)
        ends = np.cumsum(list(widths.values()))
        return {k: table[..., end - widths[k] : end] for k, end in zip(widths, ends, strict=True)}


class StepRecord(NamedTuple):
    """What the monitors see of a step."""

    params: Params
    """The parameters before it."""
    grads: Params
    """The gradient of the cost without penalties."""
    moved: Params
    """The difference that it made to the parameters."""
    rate: Any
    """Its learning rate, or `None`."""
    xs: Any
    """The mini-batch's inputs."""
    masks: Masks
    """Its dropout masks."""
    weights: Float[Array, " batch"]
    """Its examples' weights; those of weight 0 do not count."""


def measure(monitors: Monitors, net: Network, record: StepRecord) -> Float[Array, " n"]:
    """All that is monitored in one step, in the order of `Monitors.widths`.

    Args:
      monitors: what to measure.
      net: the architecture.
      record: the step.
    """
    params, grads, moved, rate, xs, masks, weights = record
    dtype = params[0].w.dtype
    norms = lambda arrays: jnp.stack([jnp.linalg.norm(array) for array in arrays])
    measured: dict[str, Any] = {
        "gradient_norm": lambda: norms([grad.w for grad in grads]),
        "delta_norm": lambda: norms([grad.b for grad in grads]),
        "weight_norm": lambda: norms([layer.w for layer in params]),
        "update_ratio": lambda: (
            norms([layer.w for layer in moved]) / norms([layer.w for layer in params])
        ),
        "learning_rate": lambda: jnp.full(1, jnp.nan if rate is None else rate, dtype),
    }
    if {"saturated", "dead"} & set(monitors.names):
        flat = _flat(net, params, xs, masks)
        counted = (weights > 0)[:, None]
        measured["saturated"] = lambda: _per_layer(
            [jnp.sum(f & counted) / (jnp.sum(counted) * f.shape[1]) for f in flat], dtype
        )
        measured["dead"] = lambda: _per_layer(
            [jnp.mean(jnp.all(f | ~counted, axis=0)) for f in flat], dtype
        )
    return jnp.concatenate([measured[name]().astype(dtype) for name in monitors.names])


def _flat(net: Network, params: Params, xs: Any, masks: Masks) -> list[Array]:
    """Where each hidden activation has next to no derivative, per layer (batch, n_l)."""

    def of_one(x: Any, masks: Masks) -> list[Array]:
        _, zs = forward(net, params, x, masks)
        slopes = [f.pullback(z, jnp.ones_like(z)) for f, z in zip(net.activations, zs)]
        return [jnp.abs(slope) < FLAT for slope in slopes]

    return jax.vmap(of_one)(xs, masks)


def _per_layer(numbers: list[Array], dtype: Any) -> Array:
    return jnp.stack(numbers).astype(dtype) if numbers else jnp.zeros(0, dtype)
