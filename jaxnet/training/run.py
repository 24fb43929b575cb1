"""What `train` returns and reports: a `Run`, and an `EpochReport` for each epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from jaxnet.core.display import brief_repr, html_of
from jaxnet.core.network import Network
from jaxnet.core.types import History, Params, Split
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.trainable import TrainableMasks
from jaxnet.training.classification_report import ClassificationReport
from jaxnet.training.regression_report import RegressionReport
from jaxnet.training.reports import report
from jaxnet.training.step import TrainState

Ending = Literal["done", "stopped", "out of time", "interrupted", "diverged"]
"""Why a run ended: after its last epoch, by the stopping rule or a callback, by the time budget, by
Ctrl-C, or because a parameter or a cost was no longer finite."""


class EpochReport(NamedTuple):
    """The results of one epoch, in plain Python numbers and NumPy arrays.

    `train` passes one to `on_epoch` after each epoch.

    Attributes:
      epoch: epochs done, from 1.
      epochs: epochs that the run has at most.
      evaluation_cost: the cost on the validation split, with the penalties; NaN where it is not
        evaluated.
      evaluation_accuracy: the accuracy on the validation split, in [0, 1]; NaN where it is not
        evaluated or where targets are numbers to predict.
      training_cost: the cost on the training split, with the penalties; NaN where it is not
        evaluated.
      training_accuracy: the accuracy on the training split, in [0, 1]; NaN where it is not
        evaluated or where targets are numbers to predict.
      learning_rate: η of the epoch's last mini-batch; NaN where the optimizer has none.
      best_epoch: the best epoch so far, from 1.
      seconds: time since this call of `train` began; the first epoch's includes compilation.
      params: the parameters after this epoch.
      monitors: the measurements of this epoch by the monitor's name, each of shape (measurements,
        layers); empty without monitors.
      evaluation_data_cost: the cost on the validation split without penalties; NaN (the default)
        where it is not evaluated.
      training_data_cost: the cost on the training split without penalties; NaN (the default) where
        it is not evaluated.
      metrics: the epoch's metrics, by the names in `History.metrics`: "evaluation_auc"; empty by
        default.

    >>> from jaxnet import Network, Recipe, datasets, sgd, train
    >>> reports = []
    >>> run = train(
    ...     Network((2, 2)), datasets.xor(), Recipe(sgd(0.5)), epochs=2, on_epoch=reports.append
    ... )
    >>> [report.epoch for report in reports], reports[-1].learning_rate
    ([1, 2], 0.5)
    """

    epoch: int
    epochs: int
    evaluation_cost: float
    evaluation_accuracy: float
    training_cost: float
    training_accuracy: float
    learning_rate: float
    best_epoch: int
    seconds: float
    params: Params
    monitors: dict[str, np.ndarray]
    evaluation_data_cost: float = math.nan
    training_data_cost: float = math.nan
    metrics: dict[str, float] = {}  # noqa: RUF012 (nobody writes into it)

    def __repr__(self) -> str:
        return brief_repr(
            self, [name for name in self._fields if name not in ("params", "monitors")]
        )


@runtime_checkable
class EpochCallback(Protocol):
    """A function that `train` calls after every epoch, such as those of `jaxnet.callbacks`."""

    def __call__(self, report: EpochReport, /) -> Literal["stop"] | None:
        """Take the report of an epoch.

        Args:
          report: the results of the epoch that has just ended.

        Returns:
          "stop" to end the run after this epoch, or `None`.
        """
        ...


@dataclass(frozen=True)
class RunState:
    """Where a run ended: what `train(state=…)` goes on from.

    Attributes:
      network: the architecture.
      recipe: how it was trained.
      batch_size: examples per mini-batch.
      seed: the seed of the run.
      trainable: which numbers were trained, as masks; `None` for all.
      phase: how many other phases came before this one.
      epochs: epochs done in this phase.
      train: the parameters that are trained, the optimizer's state, and the stopping rule's.
      params: the parameters to evaluate the network with: those of `train`, for most optimizers.

    >>> from jaxnet import Network, Recipe, datasets, sgd, train
    >>> net, data, recipe = Network((2, 2)), datasets.xor(), Recipe(sgd(0.5))
    >>> run = train(net, data, recipe, epochs=2)
    >>> train(net, data, recipe, epochs=3, state=run.state).state.epochs
    5
    """

    network: Network
    recipe: Recipe
    batch_size: int
    seed: int
    trainable: TrainableMasks | None = field(repr=False)
    phase: int
    epochs: int
    train: TrainState = field(repr=False)
    params: Params = field(repr=False)


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes:
      network: the architecture.
      recipe: how it was trained.
      epochs: epochs that the run has at most, those of earlier calls in the same phase included;
        `history` tells how many it had.
      batch_size: examples per mini-batch.
      seed: the seed of initial weights, mini-batches and all other randomness.
      params: the parameters after the last epoch.
      history: the costs, accuracies and metrics after each epoch of this call. With `epochs=0` it
        has one row, that of the initial parameters.
      best_epoch: the best epoch, counted from 1 over all calls of a phase; 0 is the start. The
        stopping rule's metric decides. Without a rule it is the highest evaluation accuracy or,
        without accuracies, the lowest evaluation cost without penalties; the last epoch where no
        validation split was evaluated.
      best_params: the parameters after the best epoch.
      monitors: the measurements of each monitor by name, of shape (measurements, layers); and under
        "step" the mini-batch of each measurement, counted from 1 over the whole run.
      ending: why the run ended, in a word.
      stopped: why the run ended early, as a sentence; `None` if it had all its epochs.
      initial_params: the parameters before the first epoch of this call; `None` for a run of a
        study.
      state: where the run ended, for `train(state=…)`; `None` for a run of a study.

    >>> from jaxnet import Network, Recipe, datasets, sgd, train
    >>> run = train(Network((2, 2)), datasets.xor(), Recipe(sgd(0.5)), epochs=2)
    >>> run.ending, run.history.training_cost.shape
    ('done', (2,))
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
    initial_params: Params | None = field(repr=False, default=None)
    state: RunState | None = field(repr=False, default=None)

    def report(
        self,
        split: Split,
        *,
        valid: Split | None = None,
        class_names: Sequence[str] | None = None,
    ) -> ClassificationReport | RegressionReport:
        """How good the network of the best epoch is on a split: see `jaxnet.report`.

        Args:
          split: the examples to report on, such as the test split.
          valid: other examples to fit a temperature on; None, the default, fits none.
          class_names: the names of the classes; None, the default, for numbers.

        Returns:
          The report, for `print` and `to_dict()`.

        Raises:
          ValueError: the splits and names do not fit the network, or outputs are NaN.
          ImportError: scikit-learn is not installed.
        """
        return report(self.network, self.best_params, split, valid=valid, class_names=class_names)

    def _repr_html_(self) -> str | None:
        return html_of(self)
