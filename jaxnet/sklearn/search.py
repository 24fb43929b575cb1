"""A search whose candidates are trained as one sweep, with scikit-learn's interface."""

import math
import time
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import (
    _fit_context,  # pyright: ignore[reportPrivateUsage]
    clone,
    is_classifier,
)
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _insert_error_scores,  # pyright: ignore[reportPrivateUsage]
    _warn_or_raise_about_fit_failures,  # pyright: ignore[reportPrivateUsage]
)
from sklearn.utils import check_random_state, indexable
from sklearn.utils.validation import _check_method_params  # pyright: ignore[reportPrivateUsage]

from jaxnet.core.arguments import brief
from jaxnet.core.hyperparameters import count
from jaxnet.sklearn.candidates import Fold, network_in, set_seed
from jaxnet.sklearn.search_callbacks import SearchCallbacks
from jaxnet.sklearn.search_sweep import Candidate, SearchSweep


@dataclass(eq=False, repr=False)
class SweepSearchCV(BaseSearchCV):
    """A grid or random search that trains all candidates on all folds together.

    The networks of all candidates, folds and seeds are trained together, in a few compiled
    programs. Their scores are those of scikit-learn's `GridSearchCV` or `RandomizedSearchCV` over
    the same estimator, up to rounding. An estimator is `jaxnet.sklearn.MLPClassifier` or
    `MLPRegressor`, or a `Pipeline` that ends with one, whose transformers are fitted once per fold.
    Others, and those with `solver="lbfgs"` or several members, are fitted one after the other.

    Candidates share their start and order, and so a program, if they have the same `random_state`
    and layers. Without a `random_state` all candidates get one seed, drawn from that of the search.

    Args:
      estimator: what to search; it is copied.
      param_grid: for each name of a parameter the values to try; or a list of such dicts.
      param_distributions: for each name the values, or a distribution of `scipy.stats`, to draw
        from, in place of `param_grid`; or a list of such dicts.
      n_iter: the number of candidates drawn from distributions, at least 1.
      scoring: the scores, as for `GridSearchCV`: a name, a function, or several of them; `None` for
        the estimator's own.
      n_jobs: how many programs are trained side by side; `None` or −1 for one on each core.
      refit: whether to fit the best candidate on all examples: `True`; the name of the score that
        decides, of several ones; a function of `cv_results_` that returns its index; or `False`.
      cv: the folds: a number, a splitter, or pairs of indices; `None` for five.
      n_seeds: networks for each candidate and fold, at least 1. A score is their mean.
      halving: η > 1 of successive halving: rounds of max_iter/ηʳ … max_iter epochs, and after each
        of them the best 1/η of the candidates go on where they are. `None` trains all to the end.
      verbose: whether to print what is fitted.
      error_score: the score of a candidate that cannot be fitted, or "raise".
      return_train_score: whether to score the training examples, too.
      keep_models: whether `cv_models_` has the fitted estimators.
      random_state: a seed, or a `numpy.random.RandomState`, for drawn candidates and for estimators
        that have none; `None` for a random one.

    Attributes:
      cv_results_: the candidates, their scores and times, as those of `GridSearchCV`; a fit's time
        is its share of its program's. With halving there is a row for each candidate of each round,
        and the columns "iter" and "n_resources", the round and its epochs.
      best_estimator_: the best candidate, fitted on all examples.
      best_score_: its mean score on the folds.
      best_params_: its parameters.
      best_index_: its row.
      cv_models_: the fitted estimators, an array (candidates, folds, seeds), with `keep_models`.
      n_splits_: the number of folds.
      refit_time_: the seconds of the last fit.
      scorer_: the scores' functions.
      multimetric_: whether there are several.
      classes_: the labels.
      n_features_in_: the number of features.
      feature_names_in_: their names.

    >>> from sklearn.datasets import load_iris
    >>> from jaxnet.sklearn import MLPClassifier
    >>> x, y = load_iris(return_X_y=True)
    >>> grid = {"learning_rate_init": [0.001, 0.03]}
    >>> search = SweepSearchCV(MLPClassifier((8,), tol=0.01, random_state=0), grid).fit(x, y)
    >>> search.best_params_
    {'learning_rate_init': 0.03}
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        name: constraint
        for name, constraint in BaseSearchCV._parameter_constraints.items()
        if name != "pre_dispatch"
    } | {
        "param_grid": [dict, list, None],
        "param_distributions": [dict, list, None],
        "n_iter": [Integral],
        "n_seeds": [Integral],
        "halving": [Integral, None],
        "keep_models": ["boolean"],
        "random_state": ["random_state"],
    }

    estimator: Any
    param_grid: Any = None
    _: KW_ONLY
    param_distributions: Any = None
    n_iter: int = 10
    scoring: Any = None
    n_jobs: int | None = None
    refit: Any = True
    cv: Any = None
    n_seeds: int = 1
    halving: int | None = None
    verbose: int = 0
    error_score: Any = np.nan
    return_train_score: bool = False
    keep_models: bool = False
    random_state: int | np.random.RandomState | None = None

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **params: Any) -> "SweepSearchCV":
        """Train and score all candidates, and fit the best one on all examples.

        Args:
          X: the inputs, (n, n_features).
          y: the labels or targets.
          **params: what else the estimator's `fit`, the scores and the splitter take, such as
            `sample_weight` and `groups`.

        Returns:
          The search.

        Raises:
          ValueError: a parameter, the data or the folds cannot be used, or no fit succeeds.
        """
        for name, low in (("n_iter", 1), ("n_seeds", 1), ("halving", 2)):
            if getattr(self, name) is not None:
                count(name, getattr(self, name), low=low)
        scorers, refit_metric = self._get_scorers()
        X, y = indexable(X, y)  # noqa: N806
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        random = check_random_state(self.random_state)
        candidates = self._candidates(random)
        splitter: Any = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        folds = [
            Fold(self.estimator, X, y, train, test, routed.estimator.fit, routed.scorer.score)
            for train, test in splitter.split(X, y, **routed.splitter.split)
        ]
        self.n_splits_ = len(folds)
        sweep = SearchSweep(self, candidates, folds, int(random.randint(2**31 - 1)))
        if self.verbose > 0:
            print(
                f"Fitting {len(candidates)} candidates on {len(folds)} folds under {self.n_seeds} "
                f"seed(s): {sweep.models.size} fits."
            )
        n_scored = len(candidates) * len(folds) if self.halving is None else None
        callbacks = SearchCallbacks(self, X, y, params.get("sample_weight"), n_scored)
        results = self._rounds(sweep, scorers, refit_metric, callbacks)
        callbacks.end_fits()
        self._choose(results, refit_metric)
        if self.refit:
            self._refit(X, y, routed.estimator.fit, callbacks, sweep.seed)
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        self.cv_results_ = results
        if self.keep_models:
            self.cv_models_ = sweep.estimators()
        callbacks.end()
        return self

    def _candidates(self, random: np.random.RandomState) -> list[Candidate]:
        """The candidates of the grid, or those that are drawn."""
        if (self.param_grid is None) == (self.param_distributions is None):
            raise ValueError(
                "pass either param_grid, to try all its combinations, or param_distributions, to "
                "draw n_iter candidates."
            )
        if self.param_grid is not None:
            return list(ParameterGrid(self.param_grid))
        return list(ParameterSampler(self.param_distributions, self.n_iter, random_state=random))

    def _rounds(
        self, sweep: SearchSweep, scorers: Any, refit_metric: Any, callbacks: SearchCallbacks
    ) -> dict[str, Any]:
        """Train and score the candidates, all to the end or by successive halving."""
        going_on = list(range(len(sweep.candidates)))
        rounds = [sweep.n_epochs]
        if self.halving is not None:
            rounds = halving_rounds(len(going_on), sweep.n_epochs, self.halving)
        outcomes: list[dict[str, Any]] = []
        rows: list[int] = []
        columns: dict[str, list[int]] = {"iter": [], "n_resources": []}
        results: dict[str, Any] = {}
        sweep.fit_others()
        for number, n_epochs in enumerate(rounds):
            sweep.train(going_on, n_epochs)
            outcomes += sweep.outcomes(going_on, scorers, callbacks)
            rows += going_on
            columns["iter"] += [number] * len(going_on)
            columns["n_resources"] += [n_epochs] * len(going_on)
            results = self._results(
                [sweep.candidates[row] for row in rows], outcomes, columns, scorers
            )
            if self.halving is not None and number + 1 < len(rounds):
                scores = results[f"mean_test_{self._deciding_score()}"][-len(going_on) :]
                n_kept = math.ceil(len(going_on) / self.halving)
                best = np.argsort(-_without_nan(scores), kind="stable")[:n_kept]
                going_on = [going_on[index] for index in sorted(best)]
        sweep.warn_of_unfinished(going_on)
        return results

    def _deciding_score(self) -> str:
        """The name of the score by which candidates go on.

        Raises:
          ValueError: there are several scores, and `refit` names none of them.
        """
        if not self.multimetric_:
            return "score"
        if not isinstance(self.refit, str):
            raise ValueError(
                "halving needs to know which of several scores decides; pass its name as refit, "
                f"not {brief(self.refit)}."
            )
        return self.refit

    def _results(
        self,
        candidates: list[Candidate],
        outcomes: list[dict[str, Any]],
        columns: Mapping[str, list[int]],
        scorers: Any,
    ) -> dict[str, Any]:
        """`cv_results_`, by scikit-learn's own function."""
        outcomes = [dict(outcome) for outcome in outcomes]
        if not any(columns["iter"]):  # later rounds of halving have the same failures
            _warn_or_raise_about_fit_failures(outcomes, self.error_score)
        _insert_error_scores(outcomes, self.error_score)
        first = outcomes[0]["test_scores"]
        self.multimetric_ = isinstance(first, dict)
        if self.multimetric_ and callable(self.scoring):
            self._check_refit_for_multimetric(first)
        further_columns = columns if self.halving is not None else {}
        return self._format_results(candidates, self.n_splits_, outcomes, further_columns)

    def _choose(self, results: dict[str, Any], refit_metric: Any) -> None:
        """Set the attributes of the best candidate, among those trained to the end."""
        if not self.refit and self.multimetric_:
            return
        if callable(self.scoring) and self.multimetric_:
            refit_metric = self.refit
        if self.halving is None or callable(self.refit):
            self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
        else:
            scores = _without_nan(results[f"mean_test_{refit_metric}"])
            is_last = results["iter"] == max(results["iter"])
            self.best_index_ = int(np.argmax(np.where(is_last, scores, -np.inf)))
        if not callable(self.refit):
            self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _refit(
        self, X: Any, y: Any, fit_params: Mapping[str, Any], callbacks: SearchCallbacks, seed: int
    ) -> None:
        """Fit the best candidate on all examples."""
        parameters: Any = clone(self.best_params_, safe=False)
        best: Any = clone(self.estimator)
        best.set_params(**parameters)
        network = network_in(best)
        if network is not None:
            set_seed(network, seed)
        start = time.perf_counter()
        with callbacks.refit(best):
            best.fit(X, y, **fit_params)
        self.refit_time_ = time.perf_counter() - start
        self.best_estimator_ = best
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_


def _without_nan(scores: np.ndarray) -> np.ndarray:
    """Scores with a number below all others for those that are not known."""
    return np.nan_to_num(scores, nan=np.finfo(float).min, neginf=np.finfo(float).min)


def halving_rounds(n_candidates: int, n_epochs: int, factor: int) -> list[int]:
    """The epochs after which each round of successive halving ends.

    Args:
      n_candidates: the candidates of the first round.
      n_epochs: the epochs of the last one.
      factor: η: of the candidates 1/η go on, for η times as many epochs.

    >>> halving_rounds(27, 90, 3)
    [3, 10, 30, 90]
    """
    most = min(math.log(n_candidates, factor), math.log(n_epochs, factor))
    return [n_epochs // factor**number for number in range(int(most + 1e-9), -1, -1)]
