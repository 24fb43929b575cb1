"""The fits of a search: candidates × folds × seeds, trained together and scored."""

import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection._validation import _score  # pyright: ignore[reportPrivateUsage]

from jaxnet.sklearn.candidates import Fold, Preparation
from jaxnet.sklearn.lane_training import Lane, in_chunks, train_chunks
from jaxnet.sklearn.search_callbacks import SearchCallbacks
from jaxnet.sklearn.training import is_batch_clipped, warn_of_clipped_batches

Candidate = dict[str, Any]
"""Parameters of the estimator that is searched."""


class SearchSweep:
    """All fits of a search.

    Args:
      search: the `SweepSearchCV`, whose parameters are read.
      candidates: the candidates.
      folds: the folds.
      seed: the `random_state` of networks that have none.

    Attributes:
      models: the fits, (candidates, folds, seeds).
    """

    def __init__(
        self, search: Any, candidates: Sequence[Candidate], folds: Sequence[Fold], seed: int
    ) -> None:
        self.search, self.candidates, self.folds, self.seed = search, candidates, folds, seed
        self.n_threads = effective_n_jobs(-1 if search.n_jobs is None else search.n_jobs)
        preparation = Preparation(search.estimator, seed)
        self.models = np.empty((len(candidates), len(folds), search.n_seeds), object)
        for fold in range(len(folds)):
            for candidate, number in np.ndindex(len(candidates), search.n_seeds):
                self.models[candidate, fold, number] = preparation.model(
                    candidates[candidate], fold, folds[fold], number
                )
        self._warn_of_clipped_batches()
        self.chunks = in_chunks(self.lanes(), self.n_threads, self._needs_losses())

    def _needs_losses(self) -> bool:
        """Whether somebody may look at the losses: in kept models, or in a score of the user's."""
        scoring = self.search.scoring
        names = scoring if isinstance(scoring, list | tuple | set) else [scoring]
        has_own_scores = any(name is not None and not isinstance(name, str) for name in names)
        return self.search.keep_models or has_own_scores

    def _warn_of_clipped_batches(self) -> None:
        """Warn of batch sizes that are larger than a fold."""
        clipped = {
            lane.estimator.batch_size: lane.estimator
            for lane in self.lanes()
            if is_batch_clipped(lane.estimator, len(lane.examples.x))
        }
        for estimator in clipped.values():
            n = min(len(lane.examples.x) for lane in self.lanes())
            warn_of_clipped_batches(estimator, n, stacklevel=5)

    def lanes(self) -> list[Lane]:
        """The fits that are trained together."""
        return [model.lane for model in self.models.flat if model.lane is not None]

    @property
    def n_epochs(self) -> int:
        """The most epochs of a candidate."""
        return max((lane.estimator.max_iter for lane in self.lanes()), default=1)

    def train(self, candidates: Sequence[int], n_epochs: int) -> None:
        """Train some candidates until their end, or until they have had so many epochs.

        Args:
          candidates: the numbers of these candidates; others end where they are.
          n_epochs: the most epochs.
        """
        for candidate in set(range(len(self.models))).difference(candidates):
            for model in self.models[candidate].flat:
                if model.lane is not None:
                    model.lane.progress.is_training = False
        train_chunks(self.chunks, n_epochs, self.n_threads)
        for model in self.models[list(candidates)].flat:
            if model.lane is None:
                continue
            model.seconds += model.lane.seconds
            model.lane.seconds = 0.0
            try:
                model.lane.keep()
            except Exception as error:
                model.error = error

    def fit_others(self) -> None:
        """Fit what cannot be trained together, one after the other.

        Warns:
          UserWarning: there is something.
        """
        n_others = 0
        for (_, number, _), model in np.ndenumerate(self.models):
            if model.lane is not None or model.error is not None:
                continue
            n_others += 1
            fold, start = self.folds[number], time.perf_counter()
            try:
                model.estimator.fit(*fold.train(), **fold.fit_params())
            except Exception as error:  # as scikit-learn: it costs only the score
                model.error = error
            model.seconds = time.perf_counter() - start
        if n_others:
            warnings.warn(
                f"{n_others} of {self.models.size} fits were not trained together but one after "
                "the other: a sweep takes jaxnet.sklearn's estimators, alone or at the end of a "
                'Pipeline without memory, with epochs (no solver="lbfgs") and n_members=1.',
                stacklevel=5,
            )

    def outcomes(
        self, candidates: Sequence[int], scorers: Any, callbacks: SearchCallbacks
    ) -> list[dict[str, Any]]:
        """Scores and times as scikit-learn collects them, by candidates and then by folds.

        Args:
          candidates: the numbers of the candidates to score.
          scorers: the scores' functions.
          callbacks: those of the search.
        """
        outcomes = {}
        for number, fold in enumerate(self.folds):
            parts = {"test_scores": (*fold.test(), fold.score_params(of_training=False))}
            if self.search.return_train_score:
                parts["train_scores"] = (*fold.train(), fold.score_params(of_training=True))
            for candidate in candidates:
                with callbacks.fit():
                    models = self.models[candidate, number]
                    outcomes[candidate, number] = self._outcome(parts, models, scorers)
        return [
            outcomes[candidate, number]
            for candidate in candidates
            for number in range(len(self.folds))
        ]

    def _outcome(
        self, parts: Mapping[str, tuple[Any, Any, Any]], models: np.ndarray, scorers: Any
    ) -> dict[str, Any]:
        """The scores of a candidate on a fold: the means over its seeds."""
        error_score, start = self.search.error_score, time.perf_counter()
        error = next((model.error for model in models if model.error is not None), None)
        outcome: dict[str, Any] = {"fit_error": None}
        if error is not None:
            if error_score == "raise":
                raise error
            names = getattr(scorers, "_scorers", None)
            failed = error_score if names is None else dict.fromkeys(names, error_score)
            outcome |= dict.fromkeys(parts, failed)
            outcome["fit_error"] = "".join(traceback.format_exception_only(error))
        else:
            for name, (inputs, targets, score_params) in parts.items():
                outcome[name] = _mean(
                    [
                        _score(model.estimator, inputs, targets, scorers, score_params, error_score)
                        for model in models
                    ]
                )
        outcome["fit_time"] = sum(model.seconds for model in models)
        outcome["score_time"] = time.perf_counter() - start
        return outcome

    def warn_of_unfinished(self, candidates: Sequence[int]) -> None:
        """Warn of networks that their stopping rule would have trained on.

        Args:
          candidates: the numbers of the candidates that were trained to the end.

        Warns:
          ConvergenceWarning: there are some.
        """
        models = self.models[list(candidates)].ravel()
        n_unfinished = sum(
            model.lane is not None and model.lane.progress.is_training for model in models
        )
        if n_unfinished:
            warnings.warn(
                f"{n_unfinished} of {len(models)} trainings have not converged after max_iter "
                "epochs; raise max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def estimators(self) -> np.ndarray:
        """The fitted estimators, (candidates, folds, seeds); `None` where a fit failed."""
        fitted = np.empty(self.models.shape, object)
        for index, model in np.ndenumerate(self.models):
            fitted[index] = None if model.error is not None else model.estimator
        return fitted


def _mean(scores: list[Any]) -> Any:
    """The mean of numbers, or of each number of dicts."""
    if isinstance(scores[0], dict):
        return {name: float(np.mean([own[name] for own in scores])) for name in scores[0]}
    return float(np.mean(scores))
