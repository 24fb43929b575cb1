"""Scikit-learn's rules for the end of a training, and for the learning rate on the way."""

from dataclasses import dataclass, field

import numpy as np

from jaxnet.core.types import Params
from jaxnet.sklearn.parameters import Parameters

SMALLEST_RATE = 1e-6
"""The adaptive learning rate from which on a standstill ends the training."""


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

    def begin(self, learning_rate: float) -> None:
        """Begin another call, with the curves of the earlier ones.

        Args:
          learning_rate: that of its first epoch.
        """
        self.n_iter, self.is_training, self.learning_rate = 0, True, learning_rate

    def add_loss(self, loss: float, tol: float) -> None:
        """Add the running loss of an epoch, which decides where there is no validation.

        Args:
          loss: the mean of the mini-batches' penalized losses.
          tol: by how much the best loss has to be improved upon.
        """
        self.n_stalled = self.n_stalled + 1 if loss > self.best_loss - tol else 0
        self.best_loss = min(self.best_loss, loss)

    def add_score(self, score: float, params: Params, tol: float) -> None:
        """Add the validation score of an epoch, which decides with early stopping.

        Args:
          score: the score; higher is better.
          params: the parameters that have it, to be kept if it is the best one.
          tol: by how much the best score has to be improved upon.
        """
        self.validation_scores.append(score)
        self.n_stalled = self.n_stalled + 1 if score < self.best_score + tol else 0
        if score > self.best_score:
            self.best_score, self.best_params = score, params

    def end_epoch(self, parameters: Parameters, n_examples: int) -> str | None:
        """End the epoch: set the next one's learning rate, or stop.

        Args:
          parameters: the estimator.
          n_examples: the examples of the epoch.

        Returns:
          What a person may want to know, if something has changed.
        """
        self.n_iter += 1
        self.n_seen += n_examples
        schedule = parameters.learning_rate if parameters.solver == "sgd" else "constant"
        if schedule == "invscaling":
            decay = (self.n_seen + 1) ** parameters.power_t
            self.learning_rate = parameters.learning_rate_init / decay
        if self.n_stalled <= parameters.n_iter_no_change:
            return None
        if schedule == "adaptive" and self.learning_rate > SMALLEST_RATE:
            self.learning_rate /= 5
            self.n_stalled = 0
            return f"The learning rate is {self.learning_rate:g} from now on."
        self.is_training = False
        curve = "validation score" if parameters.early_stopping else "training loss"
        return (
            f"The {curve} did not improve by more than tol={parameters.tol:g} for "
            f"{parameters.n_iter_no_change} epochs; the training ends."
        )
