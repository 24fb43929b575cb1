"""The models of a search: each candidate on each fold under each seed, ready to be trained.

What candidates have in common is computed once: a fold's rows, a pipeline's transformers with the
same parameters, and the checked examples.
"""

import copy
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import _safe_split  # pyright: ignore[reportPrivateUsage]
from sklearn.utils.validation import _check_method_params  # pyright: ignore[reportPrivateUsage]

from jaxnet.sklearn.base import MultilayerPerceptron, computing, prepared
from jaxnet.sklearn.estimators import MLPClassifier, MLPRegressor
from jaxnet.sklearn.lane_training import Lane, may_share
from jaxnet.sklearn.mapping import recipe_of
from jaxnet.sklearn.parameters import check_parameters
from jaxnet.sklearn.training import Examples, check_recipe

DATA_PARAMETERS = ("dtype", "class_weight", "loss")
"""The parameters of an estimator that change its examples."""


@dataclass(frozen=True)
class Fold:
    """A fold: its rows, and the examples in them, which are copied only when asked for.

    Args:
      estimator: the estimator that is searched.
      X: all inputs.
      y: all targets.
      train_rows: the rows to train on.
      test_rows: those to score.
      params: what `fit` takes besides, for all examples.
      scores_params: what scorers take besides, for all examples.
    """

    estimator: BaseEstimator
    X: Any
    y: Any
    train_rows: np.ndarray
    test_rows: np.ndarray
    params: Mapping[str, Any]
    scores_params: Mapping[str, Any]

    def train(self) -> tuple[Any, Any]:
        """The inputs and targets to train on."""
        return _safe_split(self.estimator, self.X, self.y, self.train_rows)

    def test(self) -> tuple[Any, Any]:
        """The inputs and targets to score."""
        return _safe_split(self.estimator, self.X, self.y, self.test_rows, self.train_rows)

    def fit_params(self) -> Mapping[str, Any]:
        """What `fit` takes besides, for the examples to train on."""
        return _check_method_params(self.X, self.params, self.train_rows)

    def score_params(self, of_training: bool) -> Mapping[str, Any]:
        """What scorers take besides, for the examples to train on, or those to score."""
        rows = self.train_rows if of_training else self.test_rows
        return _check_method_params(self.X, self.scores_params, rows)


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
    """The fitted transformers of pipelines and their outputs, or their errors."""
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
        set_seed(network, self.seed, seed)
        if not may_share(network) or not self._takes_only_weights(estimator, fold):
            return Model(estimator)
        start = time.perf_counter()
        model = Model(estimator)
        try:
            key, transformers = (number,), None
            if isinstance(estimator, Pipeline) and len(estimator.steps) > 1:
                key = (number, *_parameters_of_transformers(parameters, estimator))
                transformers = self._transformed(key, estimator, fold)
                estimator.steps = [*transformers[0].steps, estimator.steps[-1]]
            model.lane = self._lane(
                key, network, fold, None if not transformers else transformers[1]
            )
        except Exception as error:  # as scikit-learn: any error of a fit costs only its score
            model.error = error
        model.seconds = time.perf_counter() - start
        return model

    def _takes_only_weights(self, estimator: Any, fold: Fold) -> bool:
        """Whether `fit` takes nothing but the weights of the examples."""
        names = {name for name, value in fold.params.items() if value is not None}
        return names <= {_name_of_weights(estimator)}

    def _transformed(self, key: Hashable, estimator: Pipeline, fold: Fold) -> tuple[Pipeline, Any]:
        """The fitted transformers of a pipeline, and the inputs that they make.

        Raises:
          Exception: what they raise, or raised before.
        """
        if key not in self.transformed:
            transformers: Any = clone(estimator[:-1])
            try:
                self.transformed[key] = transformers, transformers.fit_transform(*fold.train())
            except Exception as error:
                self.transformed[key] = error
        transformed = self.transformed[key]
        if isinstance(transformed, Exception):
            raise transformed
        return transformed

    def _lane(
        self, key: tuple, network: MultilayerPerceptron, fold: Fold, inputs: Any | None
    ) -> Lane:
        """The lane of an estimator; its attributes are those of others on the same examples.

        Args:
          key: what the inputs depend on.
          network: the estimator.
          fold: the fold.
          inputs: what a pipeline's transformers make of the inputs; `None` without any.
        """
        check_parameters(network)
        key = (*key, repr([getattr(network, name, None) for name in DATA_PARAMETERS]))
        if key not in self.examples:
            names = set(vars(network))
            X, y = fold.train()  # noqa: N806
            weight = fold.fit_params().get(_name_of_weights(self.base))
            examples = prepared(network, X if inputs is None else inputs, y, weight)[1]
            described = {name: vars(network)[name] for name in set(vars(network)) - names}
            self.examples[key] = described, examples
        described, examples = self.examples[key]
        vars(network).update(described)
        with computing(network, examples.x.dtype):  # in which hyperparameters are rounded
            recipe = recipe_of(network)
        check_recipe(recipe)
        return Lane(network, examples, recipe)


def _name_of_weights(estimator: Any) -> str:
    """The name by which `fit` of an estimator takes the weights of the examples."""
    is_pipeline = isinstance(estimator, Pipeline)
    return f"{estimator.steps[-1][0]}__sample_weight" if is_pipeline else "sample_weight"


def network_in(estimator: Any) -> MultilayerPerceptron | None:
    """The network of an estimator that is one, or of a pipeline that ends with one.

    Args:
      estimator: the estimator; classes that are derived from these may fit in another way.
    """
    last = estimator
    if type(estimator) is Pipeline and estimator.memory is None:
        last = estimator.steps[-1][1]
    return last if type(last) in (MLPClassifier, MLPRegressor) else None


def set_seed(network: MultilayerPerceptron, default: int, number: int = 0) -> None:
    """Set the `random_state` of an estimator for one of the seeds of a search.

    Args:
      network: the estimator.
      default: the seed of a network that has none.
      number: the number of the seed: for 0 its own, for others drawn from a copy of it.
    """
    if network.random_state is None:
        network.random_state = default
    if number:
        copied = check_random_state(copy.deepcopy(network.random_state))
        network.random_state = int(copied.randint(2**31 - 1, size=number)[-1])


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
