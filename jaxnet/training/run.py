"""What `train` returns and reports: a `Run`, and an `EpochReport` for each epoch."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from jaxnet.core.network import Network
from jaxnet.core.types import History, Params
from jaxnet.recipes.recipe import Recipe

Ending = Literal["done", "stopped", "out of time", "interrupted", "diverged"]
"""Why a run ended: after its last epoch, by the stopping rule, by the time budget, by Ctrl-C, or
because a parameter or a cost was no longer finite."""


class EpochReport(NamedTuple):
    """The results of one epoch, in plain Python numbers and NumPy arrays.

    `train` passes one to `on_epoch` after each epoch.

    >>> from jaxnet import Network, Recipe, datasets, sgd, train
    >>> reports = []
    >>> run = train(
    ...     Network((2, 2)), datasets.xor(), Recipe(sgd(0.5)), epochs=2, on_epoch=reports.append
    ... )
    >>> [report.epoch for report in reports], reports[-1].learning_rate
    ([1, 2], 0.5)
    """

    epoch: int
    """Epochs done, from 1."""
    epochs: int
    """Epochs that the run has at most."""
    evaluation_cost: float
    """The regularized cost on the validation split; NaN where it is not evaluated."""
    evaluation_accuracy: float
    """The accuracy on the validation split, in [0, 1]; NaN where it is not evaluated or where
    targets are floats."""
    training_cost: float
    """The regularized cost on the training split; NaN where it is not evaluated."""
    training_accuracy: float
    """The accuracy on the training split, in [0, 1]; NaN where it is not evaluated or where targets
    are floats."""
    learning_rate: float
    """η of the epoch's last mini-batch; NaN where the optimizer has none."""
    best_epoch: int
    """The best epoch so far, from 1."""
    seconds: float
    """Time since this call of `train` began; the first epoch's includes compilation."""
    params: Params
    """The parameters after this epoch."""
    monitors: dict[str, np.ndarray]
    """The measurements of this epoch by the monitor's name, each of shape (measurements, layers);
    empty without monitors."""


@runtime_checkable
class EpochCallback(Protocol):
    """A function that `train` calls after every epoch, such as those of `jaxnet.callbacks`."""

    def __call__(self, report: EpochReport, /) -> None:
        """Take the report of an epoch.

        Args:
          report: the results of the epoch that has just ended.
        """
        ...


@dataclass(frozen=True)
class Run:
    """A finished training run.

    >>> from jaxnet import Network, Recipe, datasets, sgd, train
    >>> run = train(Network((2, 2)), datasets.xor(), Recipe(sgd(0.5)), epochs=2)
    >>> run.ending, run.history.training_cost.shape
    ('done', (2,))
    """

    network: Network
    """The architecture."""
    recipe: Recipe
    """How it was trained."""
    epochs: int
    """Epochs that the run has at most; `history` tells how many it had."""
    batch_size: int
    """Examples per mini-batch."""
    seed: int
    """The seed of initial weights, mini-batches and all other randomness."""
    params: Params = field(repr=False)
    """The parameters after the last epoch."""
    history: History = field(repr=False)
    """The costs and accuracies after each epoch."""
    best_epoch: int
    """The best epoch, counted from 1; 0 is the start. The stopping rule's metric decides. Without a
    rule it is the highest evaluation accuracy or, without accuracies, the lowest evaluation cost;
    the last epoch where nothing was evaluated."""
    best_params: Params = field(repr=False)
    """The parameters after the best epoch."""
    monitors: dict[str, np.ndarray] = field(repr=False, default_factory=dict)
    """The measurements of each monitor by name, of shape (measurements, layers); and under "step"
    the mini-batch of each measurement, counted from 1 over the whole run."""
    ending: Ending = "done"
    """Why the run ended, in a word."""
    stopped: str | None = None
    """Why the run ended early, as a sentence; `None` if it had all its epochs."""
