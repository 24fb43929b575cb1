"""Metrics: numbers that say how good a network's outputs are, computed on the device.

A metric is a function of the output activations a, (n, n_out), of the targets, and of the examples'
weights, (n,). `train`, `fit` and `sweep` evaluate those of `metrics={"auc": jn.metrics.roc_auc}`
after each epoch. Any function with these arguments will do; a class derived from `Metric` also says
which direction is better, and can be copied, compared and named in files.

Names in lower case are metrics ready for use (`roc_auc`, `precision`). Names in upper case are the
classes behind them, for those with something to choose: `Precision(label=1)`,
`F1(average="micro")`, `TopK(5)`.

Targets are n class labels, or a matrix (n, n_out). Of labels, an example belongs to the class of
its largest output; a network of one output says 1 above ½, and has two classes. Where targets are
a matrix, classification metrics are multi-label ones: each output says yes above ½.

Values are those of scikit-learn, with these conventions. An example of weight 0 counts as if it
were not there, so that its class may be absent. A metric that is not defined, where scikit-learn
raises an error or warns and returns NaN, is NaN: an area under the ROC curve without positive or
without negative examples, an R² of one example, and every metric without examples. Precision of a
class that is never predicted, and recall of one that never appears, are 0. An example with an
output that is NaN is classified wrongly.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num

from jaxnet.core.arguments import require_choice
from jaxnet.core.hyperparameters import count
from jaxnet.core.registry import Registry
from jaxnet.core.types import AnyArray

Outputs = Float[AnyArray, "n n_out"]
"""The output activations of n examples."""
MetricTargets = (
    Int[AnyArray, " n"]
    | Float[AnyArray, "n n_targets"]
    | Int[AnyArray, "n n_targets"]
    | Bool[AnyArray, "n n_targets"]
)
"""The targets of n examples: labels, or a matrix."""
Weights = Float[AnyArray, " n"]
"""The weights of n examples, at least 0."""
MetricFunction = Callable[[AnyArray, AnyArray, AnyArray], Array]
"""A function of outputs, targets and weights whose value is a scalar; see `Metric.__call__`."""
NamedMetrics = tuple[tuple[str, MetricFunction], ...]
"""Metrics with the names that a caller gave them, in alphabetical order; static."""
Average = Literal["macro", "micro"]
"""How classes are averaged: each class counts the same, or each decision does."""


class Metric(ABC):
    """Base class of all metrics.

    A subclass defines `value`. Programs are compiled once for equal metrics, and files name them,
    so instances must be hashable and equal by value: make the subclass a frozen dataclass.

    Attributes:
      higher_is_better: whether a higher value is better; by default it is. A plain function in
        place of a metric has no such attribute, and counts as one where higher is better.
      worst: the worst possible value, which a network that diverged has in a comparison; `None`
        (the default) if there is none, so that it is infinitely bad.

    >>> @dataclass(frozen=True)
    ... class LargestError(Metric):
    ...     higher_is_better = False
    ...     def value(self, outputs, targets, weights):
    ...         return jnp.max(jnp.where(weights[:, None] > 0, jnp.abs(outputs - targets), 0))
    >>> LargestError()(jnp.array([[1.0], [2.0]]), jnp.array([[1.5], [5.0]])).item()
    3.0
    """

    higher_is_better: ClassVar[bool] = True
    worst: ClassVar[float | None] = None

    def __call__(
        self,
        outputs: Num[AnyArray, "n n_out"],
        targets: MetricTargets,
        weights: Weights | None = None,
    ) -> Float[Array, ""]:
        """The value of the metric.

        Args:
          outputs: the output activations of n examples, (n, n_out).
          targets: their labels, (n,), or a matrix of targets, (n, n_out).
          weights: their weights, (n,), at least 0; `None` gives each the weight 1.

        Returns:
          A scalar; NaN if no example has a positive weight.

        Raises:
          ValueError: the metric is not for such targets.
        """
        outputs, targets = jnp.asarray(outputs), jnp.asarray(targets)
        if outputs.dtype not in (jnp.float32, jnp.float64):
            outputs = outputs.astype(float)
        if weights is None:
            weights = jnp.ones(len(outputs), outputs.dtype)
        weights = jnp.asarray(weights, outputs.dtype)
        value = self.value(outputs, targets, weights)
        return jnp.where(jnp.any(weights > 0), value, jnp.nan)

    @abstractmethod
    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """The value of the metric, where at least one weight is positive.

        Args:
          outputs: the output activations, (n, n_out).
          targets: the labels, (n,), or a matrix of targets, (n, n_out).
          weights: the examples' weights, (n,).

        Returns:
          A scalar.
        """


@dataclass(frozen=True)
class Accuracy(Metric):
    """The share of examples that are classified correctly; of a matrix, in all their labels.

    Source: scikit-learn's `accuracy_score`.

    >>> accuracy(jnp.array([[0.2, 0.8], [0.9, 0.1]]), jnp.array([1, 1])).item()
    0.5
    """

    worst = 0.0

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """Σw·[right] / Σw."""
        return _mean(jnp.all(_is_right(outputs, targets), axis=1), weights)


@dataclass(frozen=True)
class BalancedAccuracy(Metric):
    """The mean of the classes' recalls, over the classes that appear; for labels.

    Source: scikit-learn's `balanced_accuracy_score`.

    >>> outputs = jnp.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.2, 0.8]])
    >>> balanced_accuracy(outputs, jnp.array([0, 0, 1, 1])).item()
    0.75
    """

    worst = 0.0

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """The mean over classes k that appear of Σw·[k and right] / Σw·[k]."""
        _require_labels(self, targets)
        n_hits, _, n_true = _class_sums(outputs, targets, weights)
        return _mean(_ratio(n_hits, n_true), jnp.asarray(n_true > 0, outputs.dtype))


@dataclass(frozen=True)
class ClassMetric(Metric):
    """Base class of `Precision`, `Recall` and `F1`.

    Attributes:
      label: the one class, or the one output of a matrix of targets, that counts; `None` (the
        default) averages over all.
      average: "macro" (the default), the mean over the classes that appear or are predicted, or
        over all outputs of a matrix; or "micro", of the sums over all classes.

    >>> @dataclass(frozen=True)
    ... class Jaccard(ClassMetric):
    ...     def of_sums(self, n_hits, n_predicted, n_true):
    ...         return n_hits / (n_predicted + n_true - n_hits)
    >>> outputs = jnp.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> Jaccard(label=1)(outputs, jnp.array([0, 1, 1])).item()
    0.5
    """

    worst = 0.0

    label: int | None = None
    average: Average = "macro"

    def __post_init__(self) -> None:
        if self.label is not None:
            object.__setattr__(self, "label", count("label", self.label, low=0))
        require_choice("average", self.average, ("macro", "micro"))

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """The score of the one class, or the average over the classes."""
        sums = _class_sums(outputs, targets, weights)
        n_classes = len(sums[0])
        if self.label is not None:
            if self.label >= n_classes:
                raise ValueError(
                    f"label must be in [0, {n_classes}), the classes of the network, not "
                    f"{self.label}; choose one inside that range."
                )
            return self.of_sums(*(numbers[self.label] for numbers in sums))
        if self.average == "micro":
            return self.of_sums(*map(jnp.sum, sums))
        _, n_predicted, n_true = sums
        counts = jnp.ones(n_classes) if targets.ndim > 1 else n_predicted + n_true > 0
        return _mean(self.of_sums(*sums), jnp.asarray(counts, outputs.dtype))

    @abstractmethod
    def of_sums(self, n_hits: Array, n_predicted: Array, n_true: Array) -> Array:
        """The score of each class.

        Args:
          n_hits: the weight of the examples that are predicted to be of the class, and are.
          n_predicted: the weight of those that are predicted to be of it.
          n_true: the weight of those that are of it.

        Returns:
          The scores, of the same shape.
        """


@dataclass(frozen=True)
class Precision(ClassMetric):
    """The share of right ones among the examples that are predicted to be of a class.

    It is 0 for a class that is never predicted.

    Args:
      label: the one class, or the one output of a matrix of targets; `None` (the default) averages
        over all. `Precision(label=1)` is scikit-learn's default for two classes.
      average: "macro" (the default) or "micro".

    Raises:
      ValueError: `label` is not a whole number of at least 0, or `average` is unknown.

    Source: scikit-learn's `precision_score`.

    >>> outputs = jnp.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    >>> Precision(label=1)(outputs, jnp.array([0, 0, 1])).item()
    0.5
    """

    def of_sums(self, n_hits: Array, n_predicted: Array, n_true: Array) -> Array:
        """The ratio hits / predicted."""
        return _ratio(n_hits, n_predicted)


@dataclass(frozen=True)
class Recall(ClassMetric):
    """The share of a class's examples that are predicted to be of it.

    It is 0 for a class that never appears but is predicted.

    Args:
      label: the one class, or the one output of a matrix of targets; `None` (the default) averages
        over all. `Recall(label=1)` is scikit-learn's default for two classes.
      average: "macro" (the default) or "micro".

    Raises:
      ValueError: `label` is not a whole number of at least 0, or `average` is unknown.

    Source: scikit-learn's `recall_score`.

    >>> outputs = jnp.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> Recall(label=1)(outputs, jnp.array([0, 1, 1])).item()
    0.5
    """

    def of_sums(self, n_hits: Array, n_predicted: Array, n_true: Array) -> Array:
        """The ratio hits / true."""
        return _ratio(n_hits, n_true)


@dataclass(frozen=True)
class F1(ClassMetric):
    """The harmonic mean of precision and recall, 2·hits / (predicted + true).

    Args:
      label: the one class, or the one output of a matrix of targets; `None` (the default) averages
        over all. `F1(label=1)` is scikit-learn's default for two classes.
      average: "macro" (the default) or "micro".

    Raises:
      ValueError: `label` is not a whole number of at least 0, or `average` is unknown.

    Source: scikit-learn's `f1_score`.

    >>> outputs = jnp.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.3, 0.7]])
    >>> F1(label=1)(outputs, jnp.array([0, 1, 1, 0])).item()
    0.5
    """

    def of_sums(self, n_hits: Array, n_predicted: Array, n_true: Array) -> Array:
        """The ratio 2·hits / (predicted + true)."""
        return _ratio(2 * n_hits, n_predicted + n_true)


@dataclass(frozen=True)
class TopK(Metric):
    """The share of examples whose label is among the k largest outputs; for labels.

    Of equal outputs those of higher classes come first, as in scikit-learn.

    Args:
      k: how many outputs count, at least 1.

    Raises:
      ValueError: `k` is not a whole number of at least 1.

    Source: scikit-learn's `top_k_accuracy_score`.

    >>> TopK(2)(jnp.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), jnp.array([1, 2])).item()
    0.5
    """

    worst = 0.0

    k: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", count("k", self.k, low=1))

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """Σw·[fewer than k outputs come before that of the label] / Σw."""
        _require_labels(self, targets)
        if outputs.shape[1] == 1:
            right = _is_right(outputs, targets)[:, 0]
            return _mean(right | (self.k > 1), weights)
        own = jnp.take_along_axis(outputs, targets[:, None], axis=1)
        is_higher_class = jnp.arange(outputs.shape[1])[None] > targets[:, None]
        is_before = (outputs > own) | ((outputs == own) & is_higher_class)
        is_number = ~jnp.any(jnp.isnan(outputs), axis=1)
        return _mean(is_number & (jnp.sum(is_before, axis=1) < self.k), weights)


@dataclass(frozen=True)
class RocAuc(Metric):
    """The area under the ROC curve: the chance that a positive example has the higher output.

    Equal outputs count half. With one or two outputs it is that of class 1, by the last output;
    with more, the mean over the classes, each against the rest; with a matrix of targets, the mean
    over the outputs.

    Source: scikit-learn's `roc_auc_score` with `multi_class="ovr"`.

    >>> roc_auc(jnp.array([[0.1], [0.4], [0.35], [0.8]]), jnp.array([0, 0, 1, 1])).item()
    0.75
    """

    worst = 0.0

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """The mean over the outputs of their areas."""
        if targets.ndim > 1:
            is_positive = targets > 0.5
        elif outputs.shape[1] <= 2:
            outputs, is_positive = outputs[:, -1:], targets[:, None] == 1
        else:
            is_positive = targets[:, None] == jnp.arange(outputs.shape[1])[None]
        area = lambda columns: _area(columns[0], columns[1], weights)
        return jnp.mean(jax.lax.map(area, (outputs.T, is_positive.T)))


@dataclass(frozen=True)
class LogLoss(Metric):
    """The mean of −ln a, with a the output of the example's class; for labels.

    Outputs are probabilities, such as those of `LogLikelihood`; they are not divided by their sum.
    They are clipped to [ε, 1 − ε], with ε the float type's distance from 1 to the next number.

    Source: scikit-learn's `log_loss`.

    >>> log_loss(jnp.array([[0.5], [0.5]]), jnp.array([0, 1])).item()  # ln 2
    0.6931471824645996
    """

    higher_is_better = False

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """Σw·(−ln a) / Σw."""
        _require_labels(self, targets)
        smallest = jnp.finfo(outputs.dtype).eps
        probabilities = jnp.clip(_probabilities(outputs), smallest, 1 - smallest)
        own = jnp.take_along_axis(probabilities, targets[:, None], axis=1)
        return _mean(-jnp.log(own[:, 0]), weights)


@dataclass(frozen=True)
class Brier(Metric):
    """The mean squared difference between outputs and one-hot labels, summed over the classes.

    With two classes it is half of that: the squared difference for class 1. For labels.

    Source: scikit-learn's `brier_score_loss`.

    >>> round(brier(jnp.array([[0.8], [0.4]]), jnp.array([1, 0])).item(), 6)
    0.1
    """

    higher_is_better = False

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """Σw·Σₖ(aₖ−yₖ)² / Σw."""
        _require_labels(self, targets)
        probabilities = _probabilities(outputs)
        n_classes = probabilities.shape[1]
        errors = probabilities - jax.nn.one_hot(targets, n_classes, dtype=outputs.dtype)
        return _mean(jnp.sum(errors**2, axis=1), weights) / (2 if n_classes == 2 else 1)


@dataclass(frozen=True)
class MeanAbsoluteError(Metric):
    """The mean of |a − y| over examples and outputs; labels are one-hot.

    Source: scikit-learn's `mean_absolute_error`.

    >>> mae(jnp.array([[1.0], [2.0]]), jnp.array([[1.5], [2.5]])).item()
    0.5
    """

    higher_is_better = False

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """The mean over the outputs of Σw·|a−y| / Σw."""
        predictions, numbers = _numbers(outputs, targets)
        return _mean(jnp.mean(jnp.abs(predictions - numbers), axis=1), weights)


@dataclass(frozen=True)
class RootMeanSquaredError(Metric):
    """The root of the mean of (a − y)², as a mean over the outputs; labels are one-hot.

    Source: scikit-learn's `root_mean_squared_error`.

    >>> rmse(jnp.array([[1.0], [2.0]]), jnp.array([[4.0], [5.0]])).item()
    3.0
    """

    higher_is_better = False

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """The mean over the outputs of √(Σw·(a−y)² / Σw)."""
        predictions, numbers = _numbers(outputs, targets)
        errors = (predictions - numbers) ** 2
        means = jax.vmap(_mean, in_axes=(1, None))(errors, weights)
        return jnp.mean(jnp.sqrt(means))


@dataclass(frozen=True)
class RSquared(Metric):
    """The coefficient of determination R² = 1 − Σ(a−y)²/Σ(y−ȳ)², as a mean over the outputs.

    For constant targets it is 1 if all are met, and 0 otherwise; for one example it is NaN. Labels
    are one-hot.

    Source: scikit-learn's `r2_score`.

    >>> r2(jnp.array([[1.0], [2.0]]), jnp.array([[1.0], [3.0]])).item()
    0.5
    """

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """The mean over the outputs of 1 − Σw·(a−y)² / Σw·(y−ȳ)²."""
        of_outputs = jax.vmap(_r_squared, in_axes=(1, 1, None))
        values = of_outputs(*_numbers(outputs, targets), weights)
        return jnp.where(jnp.sum(weights > 0) < 2, jnp.nan, jnp.mean(values))


@dataclass(frozen=True)
class Hamming(Metric):
    """The share of wrong labels: of all outputs of a matrix of targets, or of the examples.

    Source: scikit-learn's `hamming_loss`.

    >>> hamming(jnp.array([[0.9, 0.1], [0.9, 0.1]]), jnp.array([[1.0, 0.0], [0.0, 0.0]])).item()
    0.25
    """

    higher_is_better = False
    worst = 1.0

    def value(self, outputs: Outputs, targets: MetricTargets, weights: Weights) -> Float[Array, ""]:
        """Σw·[wrong] / Σw, as a mean over the outputs."""
        wrong = jnp.asarray(~_is_right(outputs, targets), outputs.dtype)
        return _mean(jnp.mean(wrong, axis=1), weights)


def _require_labels(metric: Metric, targets: MetricTargets) -> None:
    """Refuse a matrix of targets."""
    if targets.ndim > 1:
        raise ValueError(
            f"{metric} is for integer labels, but the targets have shape {targets.shape}; choose "
            "another metric."
        )


def _mean(values: AnyArray, weights: Weights) -> Float[Array, ""]:
    """The weighted mean Σwv / Σw, in which what has no weight may be NaN."""
    values = jnp.asarray(values, weights.dtype)
    return jnp.sum(jnp.where(weights > 0, weights * values, 0)) / jnp.sum(weights)


def _ratio(numerator: Array, denominator: Array) -> Array:
    """A quotient that is 0 where the denominator is."""
    is_positive = denominator > 0
    return jnp.where(is_positive, numerator / jnp.where(is_positive, denominator, 1), 0)


def _probabilities(outputs: Outputs) -> Float[Array, "n n_classes"]:
    """The output of each class: a network of one output says 1 − a for class 0."""
    if outputs.shape[1] > 1:
        return jnp.asarray(outputs)
    return jnp.concatenate([1 - outputs, outputs], axis=1)


def _numbers(
    outputs: Outputs, targets: MetricTargets
) -> tuple[Float[Array, "n n_targets"], Float[Array, "n n_targets"]]:
    """Predictions and targets as floats, a number of each; labels one-hot.

    Where there are two outputs for a target, the first half are the predictions: `GaussianNLL` has
    the means there, and log-variances in the second half.
    """
    outputs, n_out = jnp.asarray(outputs), outputs.shape[1]
    if targets.ndim > 1 and n_out == 2 * targets.shape[1]:
        return outputs[:, : n_out // 2], jnp.asarray(targets, outputs.dtype)
    if targets.ndim > 1 or n_out == 1:
        return outputs, jnp.asarray(targets, outputs.dtype).reshape(outputs.shape)
    return outputs, jax.nn.one_hot(targets, n_out, dtype=outputs.dtype)


def _predicted_classes(outputs: Outputs) -> Int[Array, " n"]:
    """The class that each example is predicted to be of; −1, which is none, where one is NaN."""
    if outputs.shape[1] == 1:
        classes = jnp.asarray(outputs[:, 0] > 0.5, jnp.int32)
    else:
        classes = jnp.argmax(outputs, axis=1).astype(jnp.int32)
    return jnp.where(jnp.any(jnp.isnan(outputs), axis=1), -1, classes)


def _is_right(outputs: Outputs, targets: MetricTargets) -> Bool[Array, "n n_labels"]:
    """Whether each example's label, or each label of a matrix, is predicted; labels as a column."""
    if targets.ndim == 1:
        return (_predicted_classes(outputs) == targets)[:, None]
    return ((outputs > 0.5) == (targets > 0.5)) & ~jnp.isnan(outputs)


def _class_sums(
    outputs: Outputs, targets: MetricTargets, weights: Weights
) -> tuple[Array, Array, Array]:
    """For each class the weights of its hits, of what is predicted to be it, and of what is it."""
    if targets.ndim == 1:
        classes = jnp.arange(max(2, outputs.shape[1]))[None]
        predicted, true = (
            _predicted_classes(outputs)[:, None] == classes,
            targets[:, None] == classes,
        )
    else:
        predicted, true = outputs > 0.5, targets > 0.5
    summed = lambda mask: jnp.sum(jnp.where(mask, weights[:, None], 0), axis=0)
    return summed(predicted & true), summed(predicted), summed(true)


def _area(
    outputs: Float[AnyArray, " n"], is_positive: Bool[AnyArray, " n"], weights: Weights
) -> Float[Array, ""]:
    """The area under the ROC curve of one output.

    Each positive example scores the weight of the negative ones below it, and half of that of the
    negative ones with the same output.
    """
    positive = jnp.where(is_positive, weights, 0)
    negative = jnp.where(is_positive, 0, weights)
    keys = _sortable(jnp.asarray(outputs))
    rank = jnp.searchsorted(jnp.sort(keys), keys)  # equal outputs have one rank
    equal = jnp.zeros_like(negative).at[rank].add(negative)  # negative ones of each rank
    up_to = jnp.cumsum(equal)
    won = jnp.sum(positive * (up_to - equal / 2)[rank])
    lost = jnp.sum(positive * (up_to[-1] - up_to + equal / 2)[rank])
    total = won + lost  # so that a perfect order has the area 1, whatever the rounding
    is_defined = (total > 0) & ~jnp.any(jnp.isnan(outputs) & (weights > 0))
    return jnp.where(is_defined, won / jnp.where(total > 0, total, 1), jnp.nan)


def _sortable(x: Float[Array, " n"]) -> Int[Array, " n"]:
    """Integers in the order of the numbers: XLA sorts them ten times as fast on a CPU."""
    dtype = jnp.int64 if x.dtype == jnp.float64 else jnp.int32
    bits = jax.lax.bitcast_convert_type(x + 0, dtype)  # −0 + 0 is 0
    # Of negative numbers, whose magnitude is in the other bits, those are turned about.
    return jnp.where(bits < 0, bits ^ jnp.iinfo(dtype).max, bits)


def _r_squared(
    outputs: Float[AnyArray, " n"], targets: Float[AnyArray, " n"], weights: Weights
) -> Float[Array, ""]:
    """R² of one output."""
    counts = weights > 0
    residual = _mean((outputs - targets) ** 2, weights)
    spread = _mean((targets - _mean(targets, weights)) ** 2, weights)
    low = jnp.min(jnp.where(counts, targets, jnp.inf))
    is_constant = low == jnp.max(jnp.where(counts, targets, -jnp.inf))
    of_constant = jnp.asarray(residual == 0, outputs.dtype)
    return jnp.where(is_constant, of_constant, 1 - residual / jnp.where(is_constant, 1, spread))


OF_CLASSES = (Accuracy, BalancedAccuracy, Precision, Recall, F1, RocAuc, Hamming)
"""The metrics that take a matrix of targets for labels: numbers to predict would be cut at ½."""
accuracy = Accuracy()
"""The share of examples that are classified correctly."""
balanced_accuracy = BalancedAccuracy()
"""The mean of the classes' recalls."""
precision = Precision()
"""The mean of the classes' precisions."""
recall = Recall()
"""The mean of the classes' recalls, among them those of classes that are only predicted."""
f1 = F1()
"""The mean of the classes' F1 scores."""
roc_auc = RocAuc()
"""The area under the ROC curve."""
log_loss = LogLoss()
"""The mean of −ln a of the example's class."""
brier = Brier()
"""The mean squared difference between outputs and one-hot labels."""
mae = MeanAbsoluteError()
"""The mean of |a − y|."""
rmse = RootMeanSquaredError()
"""The root of the mean of (a − y)²."""
r2 = RSquared()
"""The coefficient of determination R²."""
hamming = Hamming()
"""The share of wrong labels."""

NAMED: Registry[Metric] = Registry(
    "metric",
    {
        "accuracy": accuracy,
        "balanced_accuracy": balanced_accuracy,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "f1_micro": F1(average="micro"),
        "top_5": TopK(5),
        "roc_auc": roc_auc,
        "log_loss": log_loss,
        "brier": brier,
        "mae": mae,
        "rmse": rmse,
        "r2": r2,
        "hamming": hamming,
    },
)
"""The metrics by name."""
