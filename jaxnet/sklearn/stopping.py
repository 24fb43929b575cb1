"""Scikit-learn's rules for the end of a training, and for the learning rate on the way."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from jaxnet.core.types import Params
from jaxnet.sklearn.parameters import Parameters

SMALLEST_RATE = 1e-6
"""The adaptive learning rate from which on a standstill ends the training."""


class Validated(NamedTuple):
    """What a network's validation examples say after an epoch."""

    loss: float
    """Their mean cost, without penalties."""
    score: float
    """Their score; higher is better."""
    metrics: dict[str, float]
    """Their further metrics, by name."""
    params: Params
    """The parameters that have it."""


@dataclass
class Progress:
    """The curves of one network, and what they say about its end."""

    learning_rate: float = 0.0
    """That of the next epoch."""
    n_iter: int = 0
    """Epochs of the last call."""
    n_seen: int = 0
    """Examples seen in all calls."""
    n_stalled: int = 0
    """Epochs without progress, one after the other."""
    is_training: bool = True
    """Whether the last call has not ended its training."""
    best_loss: float = np.inf
    best_score: float = -np.inf
    best_params: Params | None = None
    """The parameters of the best validation score."""
    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    validation_metrics: dict[str, list[float]] = field(default_factory=dict)

    def begin(self, learning_rate: float) -> None:
        """Begin another call, with the curves of the earlier ones.

        Args:
          learning_rate: that of its first epoch.
        """
        self.n_iter, self.is_training, self.learning_rate = 0, True, learning_rate

    def add_epoch(
        self,
        parameters: Parameters,
        n_examples: int,
        loss: float,
        validated: Validated | None = None,
    ) -> list[str]:
        """Add an epoch to the curves, and decide how the training goes on.

        Args:
          parameters: the estimator.
          n_examples: the examples of the epoch.
          loss: the mean of the mini-batches' penalized losses, which decides where there is no
            validation.
          validated: what the validation examples say, with early stopping.

        Returns:
          What a person may want to read, line by line.
        """
        texts = [f"Iteration {self.n_iter + 1}, loss = {loss:.8f}"]
        self.loss_curve.append(loss)
        if validated is None:
            self.n_stalled = self.n_stalled + 1 if loss > self.best_loss - parameters.tol else 0
            self.best_loss = min(self.best_loss, loss)
        else:
            self._add_score(validated, parameters.tol)
            texts.append(f"Validation score: {validated.score:f}")
        return [*texts, *self._end_epoch(parameters, n_examples)]

    def _add_score(self, validated: Validated, tol: float) -> None:
        """Add what the validation says; the best score has to be improved upon by `tol`."""
        loss, score, metrics, params = validated
        self.validation_losses.append(loss)
        self.validation_scores.append(score)
        for name, value in metrics.items():
            self.validation_metrics.setdefault(name, []).append(value)
        self.n_stalled = self.n_stalled + 1 if score < self.best_score + tol else 0
        if score > self.best_score:
            self.best_score, self.best_params = score, params

    def _end_epoch(self, parameters: Parameters, n_examples: int) -> list[str]:
        """Set the next epoch's learning rate, or stop; returns what has changed."""
        self.n_iter += 1
        self.n_seen += n_examples
        schedule = parameters.learning_rate if parameters.solver == "sgd" else "constant"
        if schedule == "invscaling":
            decay = (self.n_seen + 1) ** parameters.power_t
            self.learning_rate = parameters.learning_rate_init / decay
        if self.n_stalled <= parameters.n_iter_no_change:
            return []
        if schedule == "adaptive" and self.learning_rate > SMALLEST_RATE:
            self.learning_rate /= 5
            self.n_stalled = 0
            return [f"The learning rate is {self.learning_rate:g} from now on."]
        self.is_training = False
        curve = "validation score" if parameters.early_stopping else "training loss"
        text = (
            f"The {curve} did not improve by more than tol={parameters.tol:g} for "
            f"{parameters.n_iter_no_change} epochs; the training ends."
        )
        return [text]
