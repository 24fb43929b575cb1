"""Early stopping: patience, halving the learning rate, a target, and the best epoch's parameters.

A rule decides at the end of each epoch, on the device, from the costs and accuracies of that epoch.
So it is part of the compiled run, of each network of a sweep, and of a checkpoint. The test set
never decides.
"""

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxnet.core.arguments import brief, lists_keywords
from jaxnet.core.deprecation import renamed_attributes
from jaxnet.core.hyperparameters import leaf, pytree, shown, static
from jaxnet.core.types import AnyArray, EvaluatedSplit, History, Numbers, Params

METRICS = ("accuracy", "cost")
"""What every run measures: a higher accuracy is better, and a lower cost (without penalties)."""


class Criterion(NamedTuple):
    """What decides on the best epoch of a run (static).

    Attributes:
      curve: the name of a curve, as in `History.curves`: "evaluation_auc".
      higher_is_better: whether the epoch with the highest value is the best, or that with the
        lowest.

    >>> Criterion("evaluation_auc", higher_is_better=True).curve
    'evaluation_auc'
    """

    curve: str
    higher_is_better: bool


SPLITS = ("evaluation", "training", "validation")
"""The splits that may decide; "validation" is another word for "evaluation"."""


@pytree
class Stopping:
    """A rule that says when to stop, or to lower the learning rate, and which epoch is the best.

    An epoch is a new best if its metric is better than that of all epochs before. The cost that a
    rule compares is the mean over the examples without penalties: it is the cost of the network
    that is used in the end, and does not depend on λ itself or on the size of the split. Each
    number may be an array, which makes a sweep; `None` leaves it out.

    Attributes:
      patience: after how many epochs in a row without a new best the rule acts, a whole number of
        at least 1; `None` for never.
      factor: what the learning rate is multiplied by then, in [0, 1); `None` stops the run instead.
      floor: in [0, 1), together with `factor`: the run stops once the learning rate is at most this
        fraction of what it would be without the rule.
      target: the run stops once the metric is at least (an accuracy) or at most (a cost) this; at
        least 0. `None` for no target.
      metric: "accuracy" (the default), "cost", the cost without penalties, or the name of one of
        the run's `metrics=`, which says whether higher is better.
      split: "evaluation" (the default; or "validation", which is the same) or "training": what the
        metric is measured on.
      linear: whether it leaves the first layer's update linear: it does, since it changes the
        learning rate alone. See `Recipe.linear`.

    Raises:
      ValueError: a number is out of its range, `metric` is no name, `split` is unknown, there is
        neither a patience nor a target, or only one of `factor` and `floor`.

    >>> Stopping(patience=10)
    Stopping(patience=10, evaluation accuracy)
    """

    patience: Numbers | None = None
    factor: Numbers | None = None
    floor: Numbers | None = None
    target: Numbers | None = None
    metric: str = static(default="accuracy")
    split: EvaluatedSplit = static(default="evaluation")
    linear: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric.isidentifier():
            raise ValueError(
                'metric must be "accuracy", "cost" or the name of one of the run\'s metrics, not '
                f"{brief(self.metric)}."
            )
        if not isinstance(self.split, str) or self.split not in SPLITS:
            raise ValueError(
                f'split must be "evaluation" or "training", not {brief(self.split)}; '
                "the test set never decides."
            )
        object.__setattr__(self, "split", self.split.replace("validation", "evaluation"))
        object.__setattr__(self, "patience", leaf("patience", self.patience, low=1, whole=True))
        object.__setattr__(self, "factor", leaf("factor", self.factor, high=1))
        object.__setattr__(self, "floor", leaf("floor", self.floor, high=1))
        object.__setattr__(self, "target", leaf("target", self.target))
        if self.patience is None and (self.target is None or self.factor is not None):
            raise ValueError(
                "a stopping rule needs a patience, or a target alone, without a factor; give "
                "patience=10 or target=0.98, for example."
            )
        if (self.factor is None) != (self.floor is None):
            raise ValueError(
                "factor and floor of a stopping rule go together; give both or neither, as "
                "reduce_on_plateau does."
            )
        is_known = self.target is not None and not isinstance(self.target, jax.core.Tracer)
        if is_known and self.metric == "accuracy" and np.any(np.asarray(self.target) > 1):
            raise ValueError(
                f"target must be an accuracy in [0, 1], not {self.target}; choose one inside that "
                'range, or metric="cost".'
            )

    @property
    def curve(self) -> str:
        """The curve that decides, such as "evaluation_accuracy" or "evaluation_auc"."""
        return f"{self.split}_{'data_cost' if self.metric == 'cost' else self.metric}"

    def __repr__(self) -> str:
        names = ("patience", "factor", "floor", "target")
        numbers = [
            f"{name}={shown(value)}" for name in names if (value := getattr(self, name)) is not None
        ]
        return f"Stopping({', '.join([*numbers, self.curve.replace('_', ' ')])})"


@lists_keywords
def no_improvement_in(
    n: Numbers,
    *,
    metric: str = "accuracy",
    split: EvaluatedSplit = "evaluation",
    target: Numbers | None = None,
) -> Stopping:
    """Stop after n epochs in a row without a new best: the book's no-improvement-in-n rule.

    Args:
      n: the patience in epochs, a whole number of at least 1.
      metric: "accuracy" (the default), "cost" (without penalties) or the name of one of the run's
        metrics, which decides on the best epoch.
      split: "evaluation" (the default) or "training", the split whose metric decides.
      target: the metric at which the run stops, as in `reach`; `None` (the default) for none.

    Returns:
      The rule.

    Raises:
      ValueError: a number is out of its range, `metric` is no name, or `split` is unknown.

    Source: Nielsen, chapter 3, early stopping.

    >>> no_improvement_in(5, metric="cost").curve
    'evaluation_data_cost'
    """
    return Stopping(patience=n, target=target, metric=metric, split=split)


@lists_keywords
def reduce_on_plateau(
    n: Numbers,
    factor: Numbers = 0.5,
    floor: Numbers = 1 / 128,
    *,
    metric: str = "accuracy",
    split: EvaluatedSplit = "evaluation",
    target: Numbers | None = None,
) -> Stopping:
    """Halve the learning rate after n epochs without a new best; stop at 1/128 of the first rate.

    Args:
      n: the patience in epochs, a whole number of at least 1; it starts again after each halving.
      factor: what the learning rate is multiplied by, in [0, 1), by default ½.
      floor: the fraction of the first learning rate at which the run stops, in [0, 1), by default
        1/128.
      metric: "accuracy" (the default), "cost" (without penalties) or the name of one of the run's
        metrics, which decides on the best epoch.
      split: "evaluation" (the default) or "training", the split whose metric decides.
      target: the metric at which the run stops, as in `reach`; `None` (the default) for none.

    Returns:
      The rule.

    Raises:
      ValueError: a number is out of its range, `metric` is no name, or `split` is unknown.

    Source: Nielsen, chapter 3, the exercise on learning rate schedules.

    >>> reduce_on_plateau(10)
    Stopping(patience=10, factor=0.5, floor=0.0078125, evaluation accuracy)
    """
    return Stopping(
        patience=n, factor=factor, floor=floor, target=target, metric=metric, split=split
    )


@lists_keywords
def reach(
    target: Numbers,
    *,
    metric: str = "accuracy",
    split: EvaluatedSplit = "evaluation",
    patience: Numbers | None = None,
) -> Stopping:
    """Stop once the metric has reached a target, by default an evaluation accuracy.

    Args:
      target: the accuracy, in [0, 1], or the cost without penalties, at least 0, at which the run
        stops.
      metric: "accuracy" (the default), "cost" (without penalties) or the name of one of the run's
        metrics, which decides on the best epoch.
      split: "evaluation" (the default) or "training", the split whose metric decides.
      patience: epochs without a new best after which the run stops, too; `None` (the default) for
        none.

    Returns:
      The rule.

    Raises:
      ValueError: a number is out of its range, `metric` is no name, or `split` is unknown.

    >>> reach(0.98)
    Stopping(target=0.98, evaluation accuracy)
    """
    return Stopping(patience=patience, target=target, metric=metric, split=split)


class Watch(NamedTuple):
    """The state of early stopping: what a run remembers from epoch to epoch.

    Attributes:
      best: the parameters after the best epoch so far; empty if they are not kept.
      best_score: the score of the best epoch, see `score`; −∞ before the first epoch.
      best_epoch: the number of the best epoch, counted from 1; 0 before the first epoch.
      waited: how many epochs ago the best was, or the learning rate was lowered, if that is later.
      scale: what the learning rate is multiplied by, from 1 down.
      stopped: whether the rule has ended the run.

    >>> from jaxnet.core.types import Layer
    >>> watch((Layer(jnp.ones((1, 1)), jnp.zeros(1)),)).best_score.item()
    -inf
    """

    best: Params | tuple[()]
    best_score: Float[AnyArray, ""]
    best_epoch: Int[AnyArray, ""]
    waited: Int[AnyArray, ""]
    scale: Float[AnyArray, ""]
    stopped: Bool[AnyArray, ""]


def watch(params: Params, keep_best: bool = True) -> Watch:
    """The state of early stopping before the first epoch.

    Args:
      params: the initial parameters.
      keep_best: whether the best epoch's parameters are kept, which takes as much memory again.

    Returns:
      The state, with `params` as the best parameters if they are kept.

    >>> from jaxnet.core.types import Layer
    >>> watch((Layer(jnp.ones((1, 1)), jnp.zeros(1)),), keep_best=False).best
    ()
    """
    dtype = params[0].w.dtype
    return Watch(
        best=params if keep_best else (),
        best_score=jnp.full((), -jnp.inf, dtype),
        best_epoch=jnp.zeros((), jnp.int32),
        waited=jnp.zeros((), jnp.int32),
        scale=jnp.ones((), dtype),
        stopped=jnp.zeros((), bool),
    )


def score(
    rule: Stopping | None, row: History, criterion: Criterion | None = None
) -> Float[Array, "..."]:
    """The score of an epoch, or of many: the best epoch is the one with the highest.

    Args:
      rule: the stopping rule; `None` for a run without one.
      row: the costs and accuracies of the epoch, NaN where they were not measured; with axes for
        many epochs.
      criterion: what decides in place of the rule's accuracy or cost; `None` (the default) for
        these.

    Returns:
      The curve that decides, with a minus sign if lower is better. Without a rule and a criterion,
      the evaluation accuracy, or minus the evaluation cost without penalties if there is no
      accuracy; NaN if neither was measured.

    >>> row = History(*map(jnp.array, (0.5, 0.75, 0.3, 1.0, 0.25, 0.125)))
    >>> score(None, row).item(), score(Stopping(1, metric="cost"), row).item()
    (0.75, -0.25)
    """
    if criterion is None and rule is not None:
        criterion = Criterion(rule.curve, rule.metric != "cost")
    if criterion is not None:
        value = jnp.asarray(row.curves[criterion.curve])
        return value if criterion.higher_is_better else -value
    accuracy = jnp.asarray(row.evaluation_accuracy)
    return jnp.where(jnp.isnan(accuracy), -jnp.asarray(row.evaluation_data_cost), accuracy)


def update(
    rule: Stopping | None,
    before: Watch,
    params: Params,
    row: History,
    epoch: Int[AnyArray, ""] | int,
    criterion: Criterion | None = None,
) -> Watch:
    """The state of early stopping after an epoch.

    Args:
      rule: the stopping rule; `None` for a run without one, in which the best epoch is noted all
        the same, and is the last one if nothing is evaluated.
      before: the state after the epoch before.
      params: the parameters at the end of the epoch.
      row: the costs and accuracies of the epoch, NaN where they were not measured.
      epoch: the number of the epoch, counted from 1.
      criterion: what decides in place of the rule's accuracy or cost; `None` (the default) for
        these.

    Returns:
      The new state.

    >>> from jaxnet.core.types import Layer
    >>> params = (Layer(jnp.ones((1, 1)), jnp.zeros(1)),)
    >>> row = History(jnp.array(0.5), jnp.array(0.75), jnp.array(0.0), jnp.array(1.0))
    >>> after = update(reach(0.7), watch(params), params, row, epoch=1)
    >>> after.best_score.item(), after.best_epoch.item(), after.stopped.item()
    (0.75, 1, True)
    """
    new_score = score(rule, row, criterion)
    # Without a rule nothing may be evaluated: the score is NaN then, and the last epoch the best.
    is_best = (
        new_score > before.best_score if rule is not None else ~(new_score <= before.best_score)
    )
    best = before.best
    if best:
        best = jax.tree.map(lambda new, old: jnp.where(is_best, new, old), params, best)
    waited = jnp.where(is_best, 0, before.waited + 1)
    scale, stopped = before.scale, before.stopped
    if rule is not None and rule.patience is not None:
        out_of_patience = waited >= jnp.asarray(rule.patience)
        if rule.factor is None or rule.floor is None:
            stopped |= out_of_patience
        else:
            scale = jnp.where(out_of_patience, scale * jnp.asarray(rule.factor), scale)
            waited = jnp.where(out_of_patience, 0, waited)
            # 0.1³ is more than 0.001
            stopped |= scale <= jnp.asarray(rule.floor) * (1 + 1e-5)
    if rule is not None and rule.target is not None:
        target = jnp.asarray(rule.target)
        rises = rule.metric != "cost" if criterion is None else criterion.higher_is_better
        stopped |= new_score >= (target if rises else -target)
    return Watch(
        best=best,
        best_score=jnp.where(is_best, new_score, before.best_score),
        best_epoch=jnp.where(is_best, epoch, before.best_epoch).astype(jnp.int32),
        waited=waited,
        scale=scale,
        stopped=stopped,
    )


if not TYPE_CHECKING:  # a type checker is to report unknown names
    __getattr__ = renamed_attributes(__name__, {"halving": "reduce_on_plateau"})
