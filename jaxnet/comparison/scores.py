"""Scores: the number that judges the networks of a comparison; higher is better.

Without a metric it is the accuracy or, for targets that have none, R², and the validation loss
selects hyperparameters. A metric of the caller's both selects and judges. One of which less is
better is negated, as in scikit-learn's `neg_mean_absolute_error`, so that all tables have one
direction.
"""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.core import network
from jaxnet.core.accuracy import have_accuracy
from jaxnet.core.arguments import brief, reason_of
from jaxnet.core.costs import Quadratic
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, Params, Split
from jaxnet.io.files import JsonObject
from jaxnet.training import evaluation
from jaxnet.training.measured import (
    Measured,
    check_metrics,
    higher_is_better,
    require_hash,
)
from jaxnet.training.metrics import NAMED, Metric, MetricFunction

CURVE = "score"
"""What a study calls the metric of a comparison."""
N_TRIED = 32
"""Random outputs on which a metric is tried before it is refused."""


class Score(ABC):
    """What judges the networks of a comparison.

    Attributes:
      name: what it is called in tables and texts.
      metric: the metric of the caller's, if there is one; it selects hyperparameters in place of
        the validation loss.
      higher_is_better: whether more of the metric is better; if not, the score is its negative.
      of_diverged: the score of a network that diverged.
    """

    name: str
    metric: MetricFunction | None = None
    higher_is_better: bool = True
    of_diverged: float = 0.0

    @property
    def is_bounded(self) -> bool:
        """Whether there is a worst score; else nothing is known of the unit of scores."""
        return math.isfinite(self.of_diverged)

    def description(self) -> JsonObject:
        """What the manifest says of it; a direction and a worst score of 0 go without saying."""
        description: JsonObject = {"score": self.name}
        if not self.higher_is_better:
            description["higher_is_better"] = False
        if self.of_diverged != 0:  # JSON has no infinity
            is_finite = math.isfinite(self.of_diverged)
            description["score_of_diverged"] = self.of_diverged if is_finite else None
        return description

    @abstractmethod
    def by_example(
        self, net: Network, params: Params, split: Split
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """A score and a cost of each example, whose means are those of the split.

        Args:
          net: the architecture.
          params: its parameters.
          split: the examples and their targets.

        Returns:
          The scores and the costs.
        """

    @abstractmethod
    def curve(self, history: History, valid: Split) -> Float[np.ndarray, "trials seeds epochs"]:
        """The validation score after each epoch.

        Args:
          history: the curves of the trials, each of shape (trials, seeds, epochs).
          valid: the validation split.

        Returns:
          The scores.
        """


class AccuracyScore(Score):
    """The fraction of examples classified correctly; of multi-label targets, in all labels."""

    name = "accuracy"

    def by_example(
        self, net: Network, params: Params, split: Split
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """1 for each example that is classified correctly, else 0; and the costs."""
        cost, hit = evaluation.by_example(net, params, split)
        return _weighted(hit, split), _weighted(cost, split)

    def curve(self, history: History, valid: Split) -> Float[np.ndarray, "trials seeds epochs"]:
        """The accuracies."""
        del valid
        return np.asarray(history.evaluation_accuracy, float)


class RSquaredScore(Score):
    """R², summed over the outputs, under the quadratic cost; 0 where it is negative."""

    name = "R²"

    def by_example(
        self, net: Network, params: Params, split: Split
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """1 − cost / the mean cost of predicting the mean; and the costs."""
        by_example, _ = evaluation.by_example(net, params, split)
        cost = _weighted(by_example, split)
        score = _r_squared(cost, split)
        return np.where(np.mean(score) > 0, score, 0.0), cost

    def curve(self, history: History, valid: Split) -> Float[np.ndarray, "trials seeds epochs"]:
        """R² from the costs without penalties."""
        return np.maximum(0.0, _r_squared(np.asarray(history.evaluation_data_cost), valid))


class MetricScore(Score):
    """The value of a metric, negated if less is better.

    Args:
      metric: the metric.
      metric_name: what it is called.
    """

    def __init__(self, metric: MetricFunction, metric_name: str) -> None:
        self.metric = metric
        self.higher_is_better = higher_is_better(metric)
        self.sign = 1 if self.higher_is_better else -1
        self.name = metric_name if self.higher_is_better else f"−{metric_name}"
        worst = getattr(metric, "worst", None)
        self.of_diverged = -math.inf if worst is None else float(self.sign * worst)

    def by_example(
        self, net: Network, params: Params, split: Split
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """What the metric is the mean of, to first order; and the costs.

        A metric such as an area under the ROC curve is no mean over examples. Its value m for the
        weights w changes by Σᵢ wᵢ ∂m/∂wᵢ (cᵢ − 1) if example i is drawn cᵢ times. So
        m + n wᵢ ∂m/∂wᵢ stands for example i: its mean is m, and for a mean over examples it is the
        example's own value.

        Source: Efron, Tibshirani, An introduction to the bootstrap, 1993, chapter 21: the
        infinitesimal jackknife.
        """
        cost, _ = evaluation.by_example(net, params, split)
        assert self.metric is not None
        value, slopes = _value_and_slopes(net, self.metric, params, split)
        if not math.isfinite(value):
            return np.full(len(cost), self.of_diverged), _weighted(cost, split)
        influence = len(cost) * slopes
        return self.sign * (value + influence - influence.mean()), _weighted(cost, split)

    def curve(self, history: History, valid: Split) -> Float[np.ndarray, "trials seeds epochs"]:
        """The metric's curve."""
        del valid
        return self.sign * np.asarray(history.metrics[f"evaluation_{CURVE}"], float)


def chosen_score(net: Network, data: Dataset, metric: MetricFunction | str | None) -> Score:
    """What judges the networks of a comparison, from the argument of `compare`.

    Args:
      net: the network that all contenders train.
      data: the training, the validation and the test split, as `check_data` returns them.
      metric: a metric, its name in `jaxnet.metrics.NAMED`, or `None` for the default.

    Returns:
      The score.

    Raises:
      ValueError: the metric is unknown or not for these targets, or there is none, and the targets
        have neither an accuracy nor an R².
    """
    if metric is None:
        return _default_score(net, data)
    name, function = _named_metric(metric)
    check_metrics(net, data, Measured(("evaluation",), ((name, function),)))
    start = network.init(net, jax.random.key(0))
    for kind, split in (("validation", data.valid), ("test", data.test)):
        assert split is not None
        _check_defined(net, function, name, start, kind, split)
        _check_uses_weights(net, function, name, split)
    return MetricScore(function, name)


def _default_score(net: Network, data: Dataset) -> Score:
    """The accuracy, or R² for targets that have none."""
    if all(have_accuracy(net.cost, split.y) for split in data if split is not None):
        return AccuracyScore()
    if isinstance(net.cost, Quadratic):
        return RSquaredScore()
    raise ValueError(
        "on float targets the score is R², which needs the quadratic cost, not "
        f'{net.cost!r}; or choose the score yourself, such as metric="r2" or metric="mae".'
    )


def _named_metric(metric: object) -> tuple[str, MetricFunction]:
    """A metric and what it is called: by its name in the registry, or its own."""
    if isinstance(metric, str) and metric in NAMED:
        return metric, NAMED[metric]
    if not callable(metric) or isinstance(metric, type):
        raise ValueError(
            "metric must be a function such as jaxnet.metrics.f1, or one of the names "
            f"{', '.join(NAMED)}, not {brief(metric)}."
        )
    name = getattr(metric, "__name__", type(metric).__name__)
    name = "metric" if name == "<lambda>" else name
    require_hash(name, metric)
    if isinstance(metric, Metric):
        return NAMED.name_of(metric) or repr(metric), metric
    return name, cast(MetricFunction, metric)


def _check_defined(
    net: Network, metric: MetricFunction, name: str, params: Params, kind: str, split: Split
) -> None:
    """Refuse a metric that has no value, or no derivative by the weights, on a split."""
    try:
        value, _ = _value_and_slopes(net, metric, params, split)
    except Exception as error:  # a function of the caller's may raise anything
        reason = reason_of(error)
        raise ValueError(
            f"the metric {name} cannot be differentiated by the examples' weights, which intervals "
            f"over test examples need ({reason}); write it with jax.numpy."
        ) from error
    if math.isfinite(value):
        return
    weights = np.ones(len(split.x))
    if any(
        np.isfinite(_compiled_value(metric, outputs, split.y, weights))
        for outputs in _random_outputs(net, split)
    ):
        raise ValueError(
            f"the metric {name} of the untrained network is {value} on the {kind} split, and a "
            "network may stay like that; return a number there, such as 0."
        )
    raise ValueError(
        f"the metric {name} is {value} on the {kind} split, as where an area under the ROC "
        "curve sees one class only; choose another metric, or split the data otherwise."
    )


def _check_uses_weights(net: Network, metric: MetricFunction, name: str, split: Split) -> None:
    """Refuse a metric that is the same for all weights of the examples."""
    n = len(split.x)
    if n == 1:  # its weight cancels
        return
    random = np.random.default_rng(1)
    values = []
    for outputs in _random_outputs(net, split):
        # About half of the examples are left out.
        pair = np.maximum(0, random.uniform(-1, 1, (2, n)))
        pair[:, 0] += 0.5
        a, b = (np.asarray(_compiled_value(metric, outputs, split.y, row)) for row in pair)
        if not np.array_equal(a, b, equal_nan=True):
            return
        values.append(float(a))
    if len(set(values)) == 1:  # a constant, such as the five likeliest of three classes
        return
    raise ValueError(
        f"the metric {name} does not use the examples' weights, which intervals over test examples "
        "need; multiply what it averages by the weights, and divide by their sum."
    )


def _random_outputs(net: Network, split: Split) -> Iterator[Float[np.ndarray, "n n_out"]]:
    """Outputs to try a metric on: evenly spread over (0, 1), so that few of them are alike."""
    random = np.random.default_rng(0)
    for _ in range(N_TRIED):
        yield random.uniform(size=(len(split.x), net.sizes[-1]))


@functools.partial(jax.jit, static_argnums=0)
def _compiled_value(
    metric: MetricFunction, outputs: Array, targets: Array, weights: Array
) -> Array:
    """A metric's value."""
    return jnp.asarray(metric(outputs, targets, weights))


def _value_and_slopes(
    net: Network, metric: MetricFunction, params: Params, split: Split
) -> tuple[float, Float[np.ndarray, " n"]]:
    """A metric's value, and its derivatives by how often each example counts.

    A derivative is 0 where there is none, as that of a root at 0.
    """
    outputs = network.predict(net, params, split.x)
    weights = jnp.ones(len(split.x)) if split.weight is None else jnp.asarray(split.weight)
    weights = weights.astype(outputs.dtype)
    value, slopes = _compiled_value_and_slopes(metric, outputs, jnp.asarray(split.y), weights)
    slopes = np.nan_to_num(np.asarray(slopes, float), nan=0.0, posinf=0.0, neginf=0.0)
    return float(value), np.asarray(weights, float) * slopes


@functools.partial(jax.jit, static_argnums=0)
def _compiled_value_and_slopes(
    metric: MetricFunction, outputs: Array, targets: Array, weights: Array
) -> tuple[Array, Array]:
    """A metric's value, and its derivatives by the weights."""
    of_weights = lambda weights: jnp.asarray(metric(outputs, targets, weights), outputs.dtype)
    return jax.value_and_grad(of_weights)(weights)


def _weighted(values: Float[np.ndarray, " n"], split: Split) -> Float[np.ndarray, " n"]:
    """Numbers of examples whose plain mean is the weighted mean of `values`.

    With m = Σwv/Σw they are m + n wᵢ/Σw (vᵢ − m): see `MetricScore.by_example`.
    """
    if split.weight is None:
        return values
    shares = np.asarray(split.weight, float) / np.sum(split.weight, dtype=float)
    mean = np.sum(shares * values)
    return mean + len(values) * shares * (values - mean)


def _r_squared(cost: Float[np.ndarray, "*n"], split: Split) -> Float[np.ndarray, "*n"]:
    """1 − cost / the cost of the mean; of constant targets 1 where the cost is 0, and 0 elsewhere.

    Source: scikit-learn's `r2_score`, which defines it so for constant targets.
    """
    of_mean = _cost_of_mean(split)
    return 1 - cost / of_mean if of_mean > 0 else np.where(cost == 0, 1.0, 0.0)


def _cost_of_mean(split: Split) -> float:
    """The quadratic cost of a network that always predicts the mean of the targets."""
    y = np.asarray(split.y)
    if split.weight is None:
        return float(np.mean(np.sum((y - y.mean(axis=0)) ** 2, axis=-1)) / 2)
    mean = np.average(y, axis=0, weights=split.weight)
    return float(np.average(np.sum((y - mean) ** 2, axis=-1), weights=split.weight) / 2)
