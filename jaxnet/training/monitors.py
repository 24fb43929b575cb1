"""Monitors: measurements inside a network while it trains, computed by the compiled program.

Each measurement is of one mini-batch, and has a number per layer; ∂C₀ is the gradient of the cost
without penalties::

    gradient_norm   ‖∂C₀/∂Wˡ‖
    delta_norm      ‖δˡ‖, of the mean error = ‖∂C₀/∂bˡ‖: the book's measure of how fast a layer
                    learns, and of vanishing gradients (Nielsen, chapter 5)
    weight_norm     ‖Wˡ‖ before the step
    update_ratio    ‖ΔWˡ‖/‖Wˡ‖, the relative size of the step
    saturated       the share of a hidden layer's activations with a derivative |f'(z)| < 0.01
    dead            the share of a hidden layer's units with such a derivative for every example
    learning_rate   η of the step, after the schedule and the stopping rule (one number)
    cost            the mini-batch's own mean cost C₀, and its penalties, before the step (two
                    numbers); measured only if it is asked for by name
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.core.arguments import brief, lists_keywords
from jaxnet.core.hyperparameters import count
from jaxnet.core.network import Masks, Network, forward, hidden_functions
from jaxnet.core.types import AnyArray, Input, Inputs, Params

NAMES = (
    "gradient_norm",
    "delta_norm",
    "weight_norm",
    "update_ratio",
    "saturated",
    "dead",
    "learning_rate",
)
"""The monitors that are measured by default, in the order of their columns."""
ALL_NAMES = (*NAMES, "cost")
"""All monitors, in the order of their columns."""
FLAT = 0.01
"""An activation is saturated where the absolute value of its derivative is below this."""

Table = TypeVar("Table", np.ndarray, Array)


@lists_keywords
@dataclass(frozen=True)
class Monitors:
    """Which quantities to measure during training, and how often (static).

    Args:
      names: any of `jaxnet.training.monitors.ALL_NAMES`; the default is all of them but "cost".
      every: mini-batches from one measurement to the next, at least 1, counted anew in each epoch;
        `None` measures the last mini-batch of each epoch.

    Raises:
      ValueError: a name is unknown, there is none, or `every` is not a whole number of at least 1.

    >>> Monitors(("delta_norm",), every=100).rows(n_steps=350).tolist()
    [99, 199, 299]
    """

    names: tuple[str, ...] = NAMES
    every: int | None = None

    def __post_init__(self) -> None:
        is_known = isinstance(self.names, (tuple, list)) and all(
            isinstance(name, str) and name in ALL_NAMES for name in self.names
        )
        if not is_known or not self.names:
            raise ValueError(
                f"the names of monitors must be a tuple of {', '.join(ALL_NAMES)}, not "
                f"{brief(self.names)}."
            )
        object.__setattr__(self, "names", tuple(name for name in ALL_NAMES if name in self.names))
        if self.every is not None:
            object.__setattr__(self, "every", count("every", self.every, low=1))

    def rows(self, n_steps: int) -> np.ndarray:
        """The indices of the mini-batches that are measured in an epoch.

        Args:
          n_steps: mini-batches per epoch.

        Returns:
          The indices, counted from 0, in ascending order, shape (measurements,).
        """
        every = self.every or n_steps
        return np.arange(every - 1, n_steps, every)

    def widths(self, net: Network) -> dict[str, int]:
        """How many columns each monitor has in a table of measurements.

        Args:
          net: the architecture.

        Returns:
          For each name one column per layer; for "saturated" and "dead" one per hidden layer, for
          "learning_rate" a single one, for "cost" two.
        """
        n_layers = len(net.sizes) - 1
        special = {"saturated": n_layers - 1, "dead": n_layers - 1, "learning_rate": 1, "cost": 2}
        return {name: special.get(name, n_layers) for name in self.names}

    def split(self, net: Network, table: Table) -> dict[str, Table]:
        """Split a table of measurements into the columns of each monitor.

        Args:
          net: the architecture.
          table: measurements as `epoch` returns them, of shape (..., columns).

        Returns:
          For each name an array of shape (..., layers), with as many layers as `widths` says.
        """
        widths = self.widths(net)
        ends = np.cumsum(list(widths.values()))
        return {
            name: table[..., end - width : end]
            for (name, width), end in zip(widths.items(), ends, strict=True)
        }

    def by_measurement(
        self, history: Mapping[str, AnyArray], n_steps: int, epochs_before: int = 0
    ) -> dict[str, np.ndarray]:
        """The measurements of a run one after the other, as `Run.monitors` has them.

        Args:
          history: the measurements by name, each of shape (epochs, measurements, layers).
          n_steps: mini-batches per epoch.
          epochs_before: epochs of the run before the first of these, 0 by default.

        Returns:
          For each name an array of shape (measurements of the run, layers), and under "step" the
          mini-batch of each measurement, counted from 1 over the whole run.
        """
        n_epochs, rows = len(next(iter(history.values()))), self.rows(n_steps) + 1
        steps = (epochs_before + np.arange(n_epochs))[:, None] * n_steps + rows
        flat = {
            name: np.asarray(array).reshape(n_epochs * len(rows), array.shape[-1])
            for name, array in history.items()
        }
        return {"step": steps.reshape(-1)} | flat


class StepRecord(NamedTuple):
    """The quantities of one step from which monitors are computed."""

    params: Params
    """The parameters before the step."""
    grads: Params
    """The gradient of the cost without penalties."""
    moved: Params
    """The parameters after the step minus those before it."""
    rate: Float[AnyArray, ""] | None
    """The learning rate of the step, or `None` where the optimizer has none."""
    xs: Inputs
    """The mini-batch's inputs."""
    masks: Masks
    """The hidden layers' dropout masks."""
    weights: Float[AnyArray, " batch"]
    """The examples' weights; those of weight 0 only fill up the mini-batch and do not count."""
    cost: Callable[[], tuple[Array, Array]]
    """The mini-batch's mean cost without penalties, and its penalties; computed where asked for."""


def measure(monitors: Monitors, net: Network, record: StepRecord) -> Float[Array, " n_columns"]:
    """All measurements of one step, side by side.

    Args:
      monitors: what to measure.
      net: the architecture.
      record: the step's quantities.

    Returns:
      The columns of all monitors, in the order and with the numbers of columns of
      `Monitors.widths`.
    """
    params, grads, moved, rate, xs, masks, weights, cost = record
    dtype = params[0].w.dtype
    norms = lambda arrays: jnp.stack([jnp.linalg.norm(array) for array in arrays])
    measurements: dict[str, Callable[[], Array]] = {
        "gradient_norm": lambda: norms([grad.w for grad in grads]),
        "delta_norm": lambda: norms([grad.b for grad in grads]),
        "weight_norm": lambda: norms([layer.w for layer in params]),
        "update_ratio": lambda: (
            norms([layer.w for layer in moved]) / norms([layer.w for layer in params])
        ),
        "learning_rate": lambda: jnp.full(1, jnp.nan if rate is None else rate, dtype),
        "cost": lambda: jnp.stack(cost()),
    }
    if {"saturated", "dead"} & set(monitors.names):
        flat_masks = _flat_activations(net, params, xs, masks)
        counts = (weights > 0)[:, None]
        measurements["saturated"] = lambda: _per_layer(
            [jnp.sum(flat & counts) / (jnp.sum(counts) * flat.shape[1]) for flat in flat_masks],
            dtype,
        )
        measurements["dead"] = lambda: _per_layer(
            [jnp.mean(jnp.all(flat | ~counts, axis=0)) for flat in flat_masks], dtype
        )
    return jnp.concatenate([measurements[name]().astype(dtype) for name in monitors.names])


def _flat_activations(net: Network, params: Params, xs: Inputs, masks: Masks) -> list[Array]:
    """Whether each hidden activation's derivative is below `FLAT`, per layer (batch, n_l)."""

    def of_example(x: Input, masks: Masks) -> list[Array]:
        _, zs = forward(net, params, x, masks)
        functions = hidden_functions(net, params)
        slopes = [f.pullback(z, jnp.ones_like(z)) for f, z in zip(functions, zs)]
        return [jnp.abs(slope) < FLAT for slope in slopes]

    return jax.vmap(of_example)(xs, masks)


def _per_layer(numbers: Sequence[Array], dtype: np.dtype) -> Array:
    """One number per layer as a vector, which is empty without hidden layers."""
    return jnp.stack(numbers).astype(dtype) if numbers else jnp.zeros(0, dtype)
