"""What the two estimators share: parameters, training, attributes and outputs."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from numbers import Real
from typing import Any

import jax
import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxnet.core.arguments import brief
from jaxnet.core.conversion import weight_array
from jaxnet.core.dtypes import computing_in
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, Layer, Params, Split
from jaxnet.sklearn.lbfgs import minimize
from jaxnet.sklearn.mapping import (
    COSTS,
    draw_params,
    network_of,
    optimizer_of,
)
from jaxnet.sklearn.parameters import Parameters, check_parameters
from jaxnet.sklearn.programs import (
    metric_value,
    outputs_of_members,
    padded,
    room_for_inputs,
    rows_at_once,
    with_inputs,
)
from jaxnet.sklearn.stopping import Progress
from jaxnet.sklearn.training import Examples, Networks, random_states, train
from jaxnet.training.measured import check_metrics, measured


def has_epochs(estimator: "MultilayerPerceptron") -> bool:
    """Whether the estimator has `partial_fit`, for scikit-learn's `available_if`.

    Args:
      estimator: the estimator.

    Raises:
      AttributeError: its solver has no epochs.
    """
    if estimator.solver == "lbfgs":
        raise AttributeError(
            'partial_fit trains an epoch, which solver="lbfgs" does not have; take solver="adam".'
        )
    return True


class MultilayerPerceptron(Parameters, BaseEstimator, ABC):
    """The base of `MLPClassifier` and `MLPRegressor`."""

    @property
    @abstractmethod
    def _kind(self) -> str:
        """Which of `COSTS` belongs to the targets."""

    @abstractmethod
    def _targets(
        self, x: np.ndarray, y: Any, weight: np.ndarray | None, is_partial: bool
    ) -> Examples:
        """The examples with their targets as numbers, (n, n_out)."""

    @abstractmethod
    def _score(self, outputs: np.ndarray, ys: np.ndarray, weights: np.ndarray | None) -> float:
        """The score of a network's outputs for validation examples."""

    @abstractmethod
    def _metric_targets(self, ys: np.ndarray) -> np.ndarray:
        """The targets as jaxnet's metrics read them: labels where there is one for an example."""

    def _validate(
        self, outputs: np.ndarray, ys: np.ndarray, weights: np.ndarray | None
    ) -> tuple[float, dict[str, float]]:
        """The score of a network's outputs for validation examples, and their metrics by name."""
        score = self._score(outputs, ys, weights)
        if not self.metrics:
            return score, {}
        targets = self._metric_targets(ys)
        weights = np.ones(len(ys), outputs.dtype) if weights is None else weights
        values = {
            name: float(metric_value(metric, outputs, targets, np.asarray(weights, outputs.dtype)))
            for name, metric in self.metrics.items()
        }
        return score, values

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may expect of the estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _fit(self, X: Any, y: Any, sample_weight: Any, is_partial: bool) -> None:
        """Train until the end, or an epoch."""
        is_first = not hasattr(self, "coefs_") or not (self.warm_start or is_partial)
        net, examples = prepared(self, X, y, sample_weight, is_first, is_partial)
        dtype = examples.x.dtype
        with computing(self, dtype):
            randoms = random_states(self)
            networks = (
                self._new_networks(net, randoms, dtype) if is_first
                else self._earlier_networks(net, dtype)
            )  # fmt: skip
            losses = None
            wide, examples = widened(self, net, examples)
            networks.params = with_inputs(networks.params, wide.sizes[0])
            if self.solver == "lbfgs":
                losses = minimize(self, wide, examples, networks)
            else:
                train(self, wide, examples, networks, randoms, self._validate, is_partial)
        networks.params = with_inputs(networks.params, net.sizes[0])
        self._keep(networks, losses)

    def _new_networks(
        self, net: Network, randoms: list[np.random.RandomState], dtype: np.dtype
    ) -> Networks:
        drawn = [draw_params(net, self.activation, random) for random in randoms]
        params = jax.tree.map(lambda *arrays: np.stack(arrays).astype(dtype), *drawn)
        return Networks(params, [Progress() for _ in randoms])

    def _earlier_networks(self, net: Network, dtype: np.dtype) -> Networks:
        """The networks of the last call, with the parameters of the estimator's attributes."""
        networks: Networks = self._networks
        params = self._stacked_params(dtype)
        sizes = (params[0].w.shape[1], *(layer.b.shape[1] for layer in params))
        if sizes != net.sizes or len(networks.progress) != self.n_members:
            raise ValueError(
                f"the estimator goes on with {len(networks.progress)} network(s) of the sizes "
                f"{sizes}, but its parameters and the data ask for {self.n_members} of "
                f"{net.sizes}; leave them as they were, or fit with warm_start=False."
            )
        return replace(networks, params=params)

    def _stacked_params(self, dtype: np.dtype | None = None) -> Params:
        """The parameters in the attributes, with an axis for the members."""
        arrays = zip(self.coefs_, self.intercepts_, strict=True)
        layers = tuple(Layer(np.asarray(w, dtype), np.asarray(b, dtype)) for w, b in arrays)
        is_stacked = layers[0].b.ndim > 1
        return layers if is_stacked else jax.tree.map(lambda array: array[None], layers)

    def _keep(self, networks: Networks, losses: list[float] | None) -> None:
        """Set the attributes that the training ends with."""
        if not all(np.isfinite(array).all() for array in jax.tree.leaves(networks.params)):
            raise ValueError(
                "the solver came to weights that are not finite; scale the inputs, or take a "
                "smaller learning_rate_init."
            )
        first, progress = networks.progress[0], networks.progress
        is_single = len(progress) == 1
        params = networks.member(0) if is_single else networks.params
        self.coefs_ = [layer.w for layer in params]
        self.intercepts_ = [layer.b for layer in params]
        # The attributes are the parameters from here on: they may be changed.
        self._networks = replace(networks, params=())
        self.n_layers_, self.n_outputs_ = len(params) + 1, params[-1].b.shape[-1]
        self.out_activation_ = COSTS[self._kind][1]
        self.n_iter_ = max(each.n_iter for each in progress)
        self.t_ = max(each.n_seen for each in progress)
        if losses is not None:
            self.loss_ = float(np.mean(losses))
            return
        self.loss_curve_ = _mean_curve([each.loss_curve for each in progress])
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = self.best_validation_score_ = None
        self.validation_scores_ = self.validation_loss_curve_ = None
        self.validation_metrics_ = {
            name: _mean_curve([each.validation_metrics[name] for each in progress])
            for name in first.validation_metrics
        }
        if first.validation_scores:
            losses_of_all = [each.validation_losses for each in progress]
            self.validation_scores_ = _mean_curve([each.validation_scores for each in progress])
            self.validation_loss_curve_ = _mean_curve(losses_of_all)
            self.best_validation_score_ = float(np.mean([each.best_score for each in progress]))
        else:
            self.best_loss_ = float(np.mean([each.best_loss for each in progress]))

    def _outputs(self, X: Any) -> np.ndarray:
        """The outputs of the network for each example, or the mean of the members' ones."""
        check_is_fitted(self)
        data: Any = validate_data(self, X, accept_sparse=("csr", "csc"), reset=False)
        params = self._stacked_params()
        dtype, n_in = params[0].w.dtype, room_for_inputs(data.shape[1])
        params = with_inputs(params, n_in)
        net = network_of(self, n_in, self.n_outputs_, COSTS[self._kind][0])
        outputs, n_at_once = [], rows_at_once(data.shape[0])
        with computing(self, dtype):
            for first in range(0, data.shape[0], n_at_once):
                rows = _dense(data[first : first + n_at_once], dtype)
                n = len(rows)
                xs = padded(rows, rows_at_once(n), n_in)
                outputs.append(np.asarray(outputs_of_members(net, params, xs)).mean(axis=0)[:n])
        return np.concatenate(outputs)


def prepared(
    estimator: MultilayerPerceptron,
    X: Any,
    y: Any,
    sample_weight: Any,
    is_first: bool = True,
    is_partial: bool = False,
) -> tuple[Network, Examples]:
    """Check an estimator and its data, and set its attributes that describe them.

    Args:
      estimator: the estimator.
      X: the inputs, (n, n_features).
      y: the labels or targets.
      sample_weight: the examples' weights, (n,), or `None`.
      is_first: whether the training begins, rather than goes on.
      is_partial: whether it is a single epoch.

    Returns:
      The network to train, and the examples.

    Raises:
      ValueError: a parameter, the data or the weights cannot be used.
    """
    check_parameters(estimator)
    if is_partial and estimator.early_stopping:
        raise ValueError(
            "partial_fit trains an epoch, which early_stopping=True does not go with; leave it out."
        )
    data, y = validate_data(
        estimator, X, y, accept_sparse=("csr", "csc"), multi_output=True, reset=is_first,
        y_numeric=estimator._kind in ("squared_error", "poisson"), dtype=(np.float64, np.float32),
    )  # fmt: skip
    x = _dense(data, estimator.dtype)
    if isinstance(sample_weight, Real):
        sample_weight = np.full(len(x), sample_weight)
    weight = weight_array(sample_weight, len(x), "sample_weight")
    weight = None if weight is None else np.asarray(weight)
    examples = estimator._targets(x, y, weight, is_partial)
    net = architecture(estimator, examples)
    if estimator.metrics:
        split = Split(examples.x, estimator._metric_targets(examples.y))
        check_metrics(net, Dataset(split, split), measured(("validation",), estimator.metrics))
    return net, examples


def architecture(estimator: MultilayerPerceptron, examples: Examples) -> Network:
    """The network that an estimator trains on examples.

    Args:
      estimator: the estimator, with the attributes that `prepared` sets.
      examples: the examples.
    """
    cost = COSTS[estimator._kind][0]
    return network_of(estimator, examples.x.shape[1], examples.y.shape[1], cost)


def widened(
    estimator: MultilayerPerceptron, net: Network, examples: Examples
) -> tuple[Network, Examples]:
    """The network and the examples with inputs that are 0, up to a width with a program.

    Args:
      estimator: the estimator.
      net: its network.
      examples: its examples.
    """
    n_in = net.sizes[0]
    if optimizer_of(estimator).shaped:
        return net, examples
    wide = replace(net, sizes=(room_for_inputs(n_in), *net.sizes[1:]))
    return wide, examples._replace(x=padded(examples.x, len(examples.x), wide.sizes[0]))


@contextlib.contextmanager
def computing(estimator: MultilayerPerceptron, dtype: np.dtype) -> Iterator[None]:
    """A context in which this thread computes in a type, on the device that is asked for.

    Args:
      estimator: the estimator.
      dtype: the float type.

    Yields:
      Nothing.

    Raises:
      ValueError: JAX has no such device here.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(computing_in(dtype.name))  # pyright: ignore[reportArgumentType]
        if estimator.device is not None:
            try:
                devices = jax.local_devices(backend=estimator.device)
            except RuntimeError:
                raise ValueError(
                    f"device must be a platform that JAX has here, such as "
                    f'"{jax.default_backend()}", not {brief(estimator.device)}.'
                ) from None
            stack.enter_context(jax.default_device(devices[0]))
        yield


def keep(
    estimator: MultilayerPerceptron, networks: Networks, losses: list[float] | None = None
) -> None:
    """Set the attributes that the training of an estimator ends with.

    Args:
      estimator: the estimator.
      networks: its trained networks, with as many inputs as there are features.
      losses: each network's loss where there are no epochs.

    Raises:
      ValueError: the weights are not finite.
    """
    estimator._keep(networks, losses)


def validate(
    estimator: MultilayerPerceptron,
    outputs: np.ndarray,
    ys: np.ndarray,
    weights: np.ndarray | None,
) -> tuple[float, dict[str, float]]:
    """The score that early stopping looks at, an accuracy or R², and the estimator's metrics.

    Args:
      estimator: the estimator, with the attributes that `prepared` sets.
      outputs: a network's outputs for validation examples, (n, n_out).
      ys: their targets, (n, n_out).
      weights: their weights, or `None`.
    """
    return estimator._validate(outputs, ys, weights)


def _dense(data: Any, dtype: np.dtype | str | None) -> np.ndarray:
    """A matrix, which may be sparse, as an array of a type, or of its own one for `None`."""
    return np.asarray(data.toarray() if sparse.issparse(data) else data, dtype)


def _mean_curve(curves: list[list[float]]) -> list[float]:
    """The mean of the members' curves; one that has ended counts with its last number."""
    length = max(map(len, curves))
    filled = [[*curve, *[curve[-1]] * (length - len(curve))] for curve in curves]
    return [float(number) for number in np.mean(filled, axis=0)]
