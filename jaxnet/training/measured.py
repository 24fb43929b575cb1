"""What a run measures: the splits and metrics after each epoch, the monitors during it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxnet.core.accuracy import have_accuracy
from jaxnet.core.arguments import brief, reason_of
from jaxnet.core.network import Network
from jaxnet.core.registry import suggestion
from jaxnet.core.types import Dataset, EvaluatedSplit, Split
from jaxnet.io.files import JsonObject
from jaxnet.recipes.stopping import METRICS, Criterion, Stopping
from jaxnet.training.fingerprint import described
from jaxnet.training.metrics import OF_CLASSES, Metric, MetricFunction, NamedMetrics
from jaxnet.training.monitors import Monitors

SPLITS = ("validation", "training", "test", "evaluation")
"""The splits that may be evaluated after each epoch; the last is another word for the first."""
RESERVED = (*METRICS, "data_cost")
"""What every run records anyway."""
TEST_CURVES = ("test_accuracy", "test_cost", "test_data_cost")
"""The metrics of a history whose test split is evaluated, besides those that were asked for."""


@dataclass(frozen=True)
class Measured:
    """What a run measures (static).

    `measured` makes one of what a caller gives.
    """

    evaluate_on: tuple[EvaluatedSplit, ...] = ("evaluation", "training")
    """The splits to evaluate after each epoch, in alphabetical order; "evaluation" is the
    validation split."""
    metrics: NamedMetrics = ()
    """What to evaluate on them besides costs and accuracies."""
    monitors: Monitors | None = None
    """What to measure in some of the mini-batches."""
    select_by: str | None = None
    """What ranks networks, and decides on the best epoch without a stopping rule: "accuracy",
    "cost" or the name of a metric; None for accuracies, or costs where there are none."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the history's metrics, in alphabetical order."""
        return metric_names(self.evaluate_on, self.metrics)

    def best_by(self, rule: Stopping | None) -> Criterion | None:
        """What decides on the best epoch of a run with this stopping rule; None for the default."""
        if rule is not None:
            metric = dict(self.metrics).get(rule.metric)
            return None if metric is None else Criterion(rule.curve, higher_is_better(metric))
        return self.rank_by

    @property
    def rank_by(self) -> Criterion | None:
        """What ranks networks; None for the default."""
        if self.select_by is None:
            return None
        split = "evaluation" if "evaluation" in self.evaluate_on else "training"
        if self.select_by in METRICS:
            is_cost = self.select_by == "cost"
            return Criterion(f"{split}_{'data_cost' if is_cost else 'accuracy'}", not is_cost)
        metric = dict(self.metrics)[self.select_by]
        return Criterion(f"{split}_{self.select_by}", higher_is_better(metric))

    def test_criterion(self, default: str) -> Criterion:
        """What ranks networks by the test split.

        Args:
          default: "accuracy" or "cost", if nothing was chosen.
        """
        name = default if self.select_by is None else self.select_by
        if name in METRICS:
            return Criterion(f"test_{'data_cost' if name == 'cost' else name}", name != "cost")
        return Criterion(f"test_{name}", higher_is_better(dict(self.metrics)[name]))

    def settings(self) -> JsonObject:
        """What identifies it in files, besides the splits and monitors; empty at its default."""
        metrics = {name: described(metric) for name, metric in self.metrics}
        select_by = {} if self.select_by is None else {"select_by": self.select_by}
        return ({"metrics": metrics} if metrics else {}) | select_by


def measured(
    evaluate_on: Sequence[EvaluatedSplit],
    metrics: Mapping[str, MetricFunction] | None = None,
    monitors: Monitors | None = None,
    select_by: str | None = None,
) -> Measured:
    """What a run measures, from the arguments of `train`, `fit` or `sweep`.

    Args:
      evaluate_on: the names of splits, in any order.
      metrics: metrics by the names that the caller chose; `None` for none.
      monitors: the monitors, which are not checked here, or `None`.
      select_by: what ranks networks, or `None` for the default.

    Returns:
      The checked choices, in alphabetical order.

    Raises:
      ValueError: a split or `select_by` is unknown, or `metrics` are not functions by names.

    >>> measured(("validation", "test")).evaluate_on
    ('evaluation', 'test')
    """
    is_known = isinstance(evaluate_on, (tuple, list)) and all(
        isinstance(name, str) and name in SPLITS for name in evaluate_on
    )
    if not is_known:
        raise ValueError(
            'evaluate_on must be a tuple of "validation", "training" and "test", or empty, '
            f"not {brief(evaluate_on)}."
        )
    splits: set[EvaluatedSplit] = {
        "evaluation" if name == "validation" else name for name in evaluate_on
    }
    named = _checked_metrics({} if metrics is None else metrics)
    choices = Measured(tuple(sorted(splits)), named, monitors, select_by)
    if select_by is not None:
        check_metric_name("select_by", select_by, choices)
        if not {"evaluation", "training"} & splits:
            raise ValueError(
                f"select_by is {select_by}, but neither the validation nor the training split is "
                'evaluated; add "validation" to evaluate_on.'
            )
    return choices


def metric_names(evaluate_on: Sequence[str], metrics: NamedMetrics) -> tuple[str, ...]:
    """The names of a history's metrics, in alphabetical order.

    Args:
      evaluate_on: the splits that are evaluated.
      metrics: the metrics with their names.

    >>> from jaxnet.training.metrics import roc_auc
    >>> metric_names(("evaluation", "training"), (("auc", roc_auc),))
    ('evaluation_auc', 'training_auc')
    """
    names = [f"{split}_{name}" for split in evaluate_on for name, _ in metrics]
    return tuple(sorted([*names, *(TEST_CURVES if "test" in evaluate_on else ())]))


def higher_is_better(metric: MetricFunction) -> bool:
    """Whether a higher value of a metric is better, which holds for functions that do not say.

    Args:
      metric: a metric, or any function in place of one.

    >>> from jaxnet.training.metrics import mae, roc_auc
    >>> higher_is_better(roc_auc), higher_is_better(mae)
    (True, False)
    """
    return bool(getattr(metric, "higher_is_better", True))


def check_metric_name(argument: str, name: object, choices: Measured) -> None:
    """Refuse the name of a metric that the run does not measure.

    Args:
      argument: what the name is the value of, for the error.
      name: the name.
      choices: what the run measures.

    Raises:
      ValueError: it is neither "accuracy", "cost" nor in `metrics`.
    """
    known = [*METRICS, *(own_name for own_name, _ in choices.metrics)]
    if not isinstance(name, str):
        raise ValueError(
            f"{argument} must be the name of a metric, such as accuracy, not {brief(name)}."
        )
    if name not in known:
        raise ValueError(
            f"{argument} {name} is neither accuracy, nor cost, nor in metrics; "
            f"{suggestion(name, known)}"
        )


def check_is_defined(name: str, where: str, split: Split, n_out: int, choices: Measured) -> None:
    """Refuse to let a metric decide that has no value on a split, whatever the outputs.

    Args:
      name: the name of the metric that decides; only metrics of the library are checked.
      where: what the split is called, for the error.
      split: the split.
      n_out: the number of outputs.
      choices: what the run measures.

    Raises:
      ValueError: the metric is NaN for random outputs.
    """
    metric = dict(choices.metrics).get(name)
    if not isinstance(metric, Metric) or isinstance(split.y, Tracer):
        return
    outputs = np.random.default_rng(0).random((len(split.y), n_out))
    if np.isnan(jax.jit(metric)(outputs, split.y, split.weight)):
        raise ValueError(
            f"the metric {name} cannot decide: it has no value on the {where}, as an "
            "area under the ROC curve has none where there is one class only; split the data "
            "otherwise, or choose another metric."
        )


def check_metrics(net: Network, data: Dataset, choices: Measured) -> None:
    """Check that each metric has one number for the outputs and targets of the data.

    Args:
      net: the architecture.
      data: the splits, as `jaxnet.core.checks.check_data` returns them.
      choices: what the run measures.

    Raises:
      ValueError: a metric fails, or its value is not a scalar; or the test split is to be evaluated
        and there is none, or the validation split alone and there is none.
    """
    has_nothing = data.valid is None and "training" not in choices.evaluate_on
    if "evaluation" in choices.evaluate_on and has_nothing:
        raise ValueError(
            "evaluate_on has the validation split, but the data has none; give it one, or evaluate "
            '"training".'
        )
    if "test" in choices.evaluate_on and data.test is None:
        raise ValueError(
            'evaluate_on has "test", but the data has no test split; give it one, or leave it out.'
        )
    n, targets = len(data.train.x), data.train.y
    dtype = jax.dtypes.canonicalize_dtype(float)
    structs = (
        jax.ShapeDtypeStruct((n, net.sizes[-1]), dtype),
        jax.ShapeDtypeStruct(targets.shape, jax.dtypes.canonicalize_dtype(targets.dtype)),
        jax.ShapeDtypeStruct((n,), dtype),
    )
    for name, metric in choices.metrics:
        if isinstance(metric, OF_CLASSES) and not have_accuracy(net.cost, targets):
            raise ValueError(
                f"the metric {name} is for classes, but the targets are numbers to predict; choose "
                "mae, rmse or r2."
            )
        try:
            value = jax.eval_shape(
                lambda *arrays, metric=metric: jnp.asarray(metric(*arrays)), *structs
            )
        except Exception as error:  # a function of the caller's may raise anything
            remedy = "it is called with outputs, targets and weights, and is written with jax.numpy"
            own = "" if isinstance(metric, Metric) else f"; {remedy}"
            raise ValueError(
                f"the metric {name} cannot be computed of outputs {structs[0].shape} and targets "
                f"{targets.shape}: {reason_of(error)}{own}."
            ) from error
        if value.shape != ():
            raise ValueError(
                f"the metric {name} must return one number, not an array of shape {value.shape}; "
                "take its mean, for example."
            )


def _checked_metrics(metrics: object) -> NamedMetrics:
    """Metrics in alphabetical order, checked to be functions by names."""
    if not isinstance(metrics, Mapping):
        raise ValueError(
            f'metrics must be a dictionary such as {{"auc": jaxnet.metrics.roc_auc}}, not '
            f"{brief(metrics)}."
        )
    for name, metric in metrics.items():
        if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
            raise ValueError(
                f"the name of a metric must be an identifier other than {', '.join(RESERVED)}, "
                f"which are recorded anyway, not {brief(name)}."
            )
        if not callable(metric) or isinstance(metric, type):
            raise ValueError(
                f"the metric {name} must be a function such as jaxnet.metrics.roc_auc, not "
                f"{brief(metric)}."
            )
        require_hash(name, metric)
    return tuple(sorted(metrics.items()))


def require_hash(name: str, metric: object) -> None:
    """Refuse a metric without a hash.

    Args:
      name: what it is called, for the error.
      metric: the metric.

    Raises:
      ValueError: it has none.
    """
    try:
        hash(metric)
    except TypeError as error:
        raise ValueError(
            f"the metric {name} has no hash, by which programs are compiled once for equal "
            "metrics; make its class a frozen dataclass, with @dataclass(frozen=True)."
        ) from error
