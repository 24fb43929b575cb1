"""The models of a search: each candidate on each fold under each seed, ready to be trained.

What candidates have in common is computed once: a fold's rows, a pipeline's transformers with the
same parameters, and the checked examples.
"""

import copy
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import _safe_split  # pyright: ignore[reportPrivateUsage]
from sklearn.utils.validation import _check_method_params  # pyright: ignore[reportPrivateUsage]

from jaxnet.sklearn.base import MultilayerPerceptron, prepared
from jaxnet.sklearn.lane_training import Lane, may_share
from jaxnet.sklearn.mapping import recipe_of
from jaxnet.sklearn.parameters import check_parameters
from jaxnet.sklearn.training import Examples, check_recipe

DATA_PARAMETERS = ("dtype", "class_weight", "loss")
"""The parameters of an estimator that change its examples."""


class Fold(NamedTuple):
    """A division of the examples."""

    X: Any
    """The inputs to train on."""
    y: Any
    """Their targets."""
    X_test: Any
    """The inputs to score."""
    y_test: Any
    """Their targets."""
    fit_params: Mapping[str, Any]
    """What `fit` takes besides, for the examples to train on."""
    score_params: Mapping[str, Any]
    """What scorers take besides, for the examples to score."""
    train_score_params: Mapping[str, Any]
    """What scorers take besides, for the examples to train on."""


def fold_of(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    rows: tuple[np.ndarray, np.ndarray],
    fit_params: Mapping[str, Any],
    score_params: Mapping[str, Any],
) -> Fold:
    """The examples of a fold.

    Args:
      estimator: the estimator that is searched.
      X: all inputs.
      y: all targets.
      rows: the rows to train on, and those to score.
      fit_params: what `fit` takes besides, for all examples.
      score_params: what scorers take besides, for all examples.
    """
    train, test = rows
    trained, scored = _safe_split(estimator, X, y, train), _safe_split(estimator, X, y, test, train)
    return Fold(
        *trained, *scored,
        _check_method_params(X, fit_params, train),
        _check_method_params(X, score_params, test),
        _check_method_params(X, score_params, train),
    )  # fmt: skip


@dataclass
class Model:
    """A candidate on a fold under a seed."""

    estimator: Any
    """The whole estimator, which is or will be fitted."""
    lane: Lane | None = None
    """Its network among others; `None` where it is fitted by itself."""
    error: Exception | None = None
    """Why it could not be fitted."""
    seconds: float = 0.0
    """The time of its fit: a lane's share of its chunk's."""


@dataclass
class Preparation:
    """Makes the models of a search, and keeps what several of them share.

    Args:
      base: the estimator that is searched.
      seed: the `random_state` of networks that have none.
    """

    base: Any
    seed: int
    transformed: dict[Hashable, Any] = field(default_factory=dict)
    """The fitted transformers of pipelines, their outputs and their errors."""
    examples: dict[Hashable, tuple[dict[str, Any], Examples]] = field(default_factory=dict)
    """The attributes of an estimator that describe its examples, and the checked examples."""

    def model(self, parameters: Mapping[str, Any], number: int, fold: Fold, seed: int) -> Model:
        """A model that is ready to be trained as a lane, or alone.

        Args:
          parameters: the candidate.
          number: the fold's number.
          fold: the fold.
          seed: the number of the seed, from 0.
        """
        own: Any = clone(parameters, safe=False)
        estimator: Any = clone(self.base)
        estimator.set_params(**own)
        network = network_in(estimator)
        if network is None:
            return Model(estimator)
        network.random_state = _seed(network.random_state, self.seed, seed)
        weight = self._weight(estimator, fold)
        if weight is NotImplemented or not may_share(network):
            return Model(estimator)
        start = time.perf_counter()
        model = Model(estimator)
        try:
            inputs, key = fold.X, (number,)
            if isinstance(estimator, Pipeline):
                key = (number, *_parameters_of_transformers(parameters, estimator))
                transformers, inputs = self._transformed(key, estimator, fold)
                estimator.steps = [*transformers.steps, estimator.steps[-1]]
            model.lane = self._lane(key, network, inputs, fold.y, weight)
        except Exception as error:  # as scikit-learn: any error of a fit costs only its score
            model.error = error
        model.seconds = time.perf_counter() - start
        return model

    def _weight(self, estimator: Any, fold: Fold) -> Any:
        """The examples' weights; `NotImplemented` if `fit` takes something else, too."""
        name = "sample_weight"
        if isinstance(estimator, Pipeline):
            name = f"{estimator.steps[-1][0]}__{name}"
        others = {key for key, value in fold.fit_params.items() if value is not None} - {name}
        return NotImplemented if others else fold.fit_params.get(name)

    def _transformed(self, key: Hashable, estimator: Pipeline, fold: Fold) -> tuple[Pipeline, Any]:
        """The fitted transformers of a pipeline, and the inputs that they make."""
        if key not in self.transformed:
            transformers: Any = clone(estimator[:-1])
            self.transformed[key] = transformers, transformers.fit_transform(fold.X, fold.y)
        return self.transformed[key]

    def _lane(
        self, key: tuple, network: MultilayerPerceptron, inputs: Any, y: Any, weight: Any
    ) -> Lane:
        """The lane of an estimator; its attributes are those of others on the same examples."""
        check_parameters(network)
        recipe = recipe_of(network)
        check_recipe(recipe)
        key = (*key, repr([getattr(network, name, None) for name in DATA_PARAMETERS]))
        if key not in self.examples:
            names = set(vars(network))
            examples = prepared(network, inputs, y, weight)[1]
            described = {name: vars(network)[name] for name in set(vars(network)) - names}
            self.examples[key] = described, examples
        described, examples = self.examples[key]
        vars(network).update(described)
        return Lane(network, examples, recipe)


def network_in(estimator: Any) -> MultilayerPerceptron | None:
    """The network of an estimator that is one, or of a pipeline that ends with one.

    Args:
      estimator: the estimator.
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    is_cached = isinstance(estimator, Pipeline) and estimator.memory is not None
    return last if isinstance(last, MultilayerPerceptron) and not is_cached else None


def _parameters_of_transformers(
    parameters: Mapping[str, Any], pipeline: Pipeline
) -> tuple[Hashable, ...]:
    """A candidate's parameters for the transformers of a pipeline: its own numbers, or objects."""
    network_name = pipeline.steps[-1][0]
    return tuple(
        (name, type(value), value if isinstance(value, (bool, int, float, str)) else id(value))
        for name, value in sorted(parameters.items())
        if name.split("__")[0] != network_name
    )


def _seed(
    random_state: int | np.random.RandomState | None, default: int, number: int
) -> int | np.random.RandomState:
    """The `random_state` of seed `number`: for 0 its own, then others drawn from a copy of it."""
    own = default if random_state is None else random_state
    if number == 0:
        return own
    copied = check_random_state(copy.deepcopy(own))
    return int(copied.randint(2**31 - 1, size=number)[-1])
