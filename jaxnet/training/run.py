"""What `train` returns and reports: a `Run`, and an `EpochReport` for each epoch."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from jaxnet.core.network import Network
from jaxnet.core.types import History, Params
from jaxnet.recipes.recipe import Recipe

Ending = Literal["done", "stopped", "out of time", "interrupted", "diverged"]


class EpochReport(NamedTuple):
    """What `train` tells `on_epoch`, in plain Python numbers and NumPy arrays."""

    epoch: int
    """Epochs done, from 1."""
    epochs: int
    evaluation_cost: float
    evaluation_accuracy: float
    training_cost: float
    training_accuracy: float
    learning_rate: float
    """η of the epoch's last mini-batch; NaN where the optimizer has none."""
    best_epoch: int
    """The best epoch so far, from 1."""
    seconds: float
    """Time since this call of `train` began; its first epoch's includes compilation."""
    params: Params
    """The parameters now."""
    monitors: dict[str, np.ndarray]
    """What the monitors measured in this epoch, a row a measurement."""


@dataclass(frozen=True)
class Run:
    """A finished training run.

    `params` are those after the last epoch, `best_params` those of `best_epoch` (counted from 1;
    0 is the start): what is best the stopping rule says; without one it is the highest evaluation
    accuracy or, without accuracies, the lowest evaluation cost; the last epoch where nothing was
    evaluated. `monitors` holds, by name, an array of shape (measurements, layers), and under
    "step" the mini-batch, counted from 1 over the whole run, of each measurement. `stopped` says
    why a run ended early, `ending` in a word.
    """

    network: Network
    recipe: Recipe
    epochs: int
    batch_size: int
    seed: int
    params: Params = field(repr=False)
    history: History = field(repr=False)
    best_epoch: int
    best_params: Params = field(repr=False)
    monitors: dict[str, np.ndarray] = field(repr=False, default_factory=dict)
    ending: Ending = "done"
    stopped: str | None = None
