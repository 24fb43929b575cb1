"""Stopping: patience, the book's halving of the learning rate, a target, and the best weights.

All of it is decided on the device, at the end of an epoch, from what was monitored: so it is part
of the compiled run, of a sweep's lanes and of a checkpoint. The test set never decides.
"""

from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxnet.core.deprecation import renamed_attributes
from jaxnet.core.hyperparameters import leaf, pytree, shown, static
from jaxnet.core.types import AnyArray, History, Params


@pytree
class Stopping:
    """When to stop, or to lower the learning rate, and what the best epoch is.

    Args:
      patience: epochs without a new best before something happens; `None` waits for ever.
      factor: what the learning rate is then multiplied by; `None` stops instead.
      floor: with a factor: stop once the rate has come down to this part of the first one.
      target: stop once the metric has reached this.
      metric: "accuracy" or "cost" decides what is better.
      split: "evaluation" or "training", on which it is measured.

    >>> no_improvement_in(10)
    Stopping(patience=10, evaluation accuracy)
    """

    patience: Any = None
    factor: Any = None
    floor: Any = None
    target: Any = None
    metric: Literal["accuracy", "cost"] = static(default="accuracy")
    split: Literal["evaluation", "training"] = static(default="evaluation")

    linear: ClassVar[bool] = True
    """It changes the learning rate alone: see `Recipe.linear`."""

    def __post_init__(self) -> None:
        if self.metric not in ("accuracy", "cost"):
            raise ValueError(f'metric must be "accuracy" or "cost", not {self.metric!r}.')
        if self.split not in ("evaluation", "training"):
            raise ValueError(
                f'split must be "evaluation" or "training", not {self.split!r}; '
                "the test set never decides."
            )
        object.__setattr__(self, "patience", leaf("patience", self.patience, low=1, whole=True))
        object.__setattr__(self, "factor", leaf("factor", self.factor, high=1))
        object.__setattr__(self, "floor", leaf("floor", self.floor, high=1))
        object.__setattr__(self, "target", leaf("target", self.target))
        if self.patience is None and (self.target is None or self.factor is not None):
            raise ValueError("a stopping rule needs a patience, or a target alone.")
        if (self.factor is None) != (self.floor is None):
            raise ValueError(
                "factor and floor of a stopping rule go together: see reduce_on_plateau."
            )
        over = self.metric == "accuracy" and not isinstance(self.target, jax.core.Tracer)
        if self.target is not None and over and np.any(np.asarray(self.target) > 1):
            raise ValueError(f"target must be an accuracy in [0, 1], not {self.target}.")

    @property
    def curve(self) -> str:
        """The curve of the history that decides."""
        return f"{self.split}_{self.metric}"

    def __repr__(self) -> str:
        names = ("patience", "factor", "floor", "target")
        numbers = [f"{k}={shown(v)}" for k in names if (v := getattr(self, k)) is not None]
        return f"Stopping({', '.join([*numbers, self.curve.replace('_', ' ')])})"


def no_improvement_in(n: Any, **where: Any) -> Stopping:
    """Stop after n epochs without a new best: the book's no-improvement-in-n rule.

    `metric`, `split` and `target` may be given besides. Source: Nielsen, chapter 3, early stopping.

    >>> no_improvement_in(5, metric="cost").curve
    'evaluation_cost'
    """
    return Stopping(patience=n, **where)


def reduce_on_plateau(n: Any, factor: Any = 0.5, floor: Any = 1 / 128, **where: Any) -> Stopping:
    """Halve the learning rate after n epochs without a new best; stop at 1/128 of the first.

    `metric`, `split` and `target` may be given besides. Source: Nielsen, chapter 3, the exercise on
    learning rate schedules.

    >>> reduce_on_plateau(10)
    Stopping(patience=10, factor=0.5, floor=0.0078125, evaluation accuracy)
    """
    return Stopping(patience=n, factor=factor, floor=floor, **where)


def reach(target: Any, **where: Any) -> Stopping:
    """Stop once the evaluation accuracy, or what `metric` and `split` name, has reached this.

    >>> reach(0.98)
    Stopping(target=0.98, evaluation accuracy)
    """
    return Stopping(target=target, **where)


__getattr__ = renamed_attributes(__name__, {"halving": "reduce_on_plateau"})


class Watch(NamedTuple):
    """What a run remembers from epoch to epoch to find its best, and its end."""

    best: Params | tuple[()]
    """The best epoch's parameters, where they are kept."""
    best_score: Float[AnyArray, ""]
    """The highest so far of what decides; −∞ before the first epoch."""
    best_epoch: Int[AnyArray, ""]
    """Counted from 1; 0 is the start."""
    waited: Int[AnyArray, ""]
    """Epochs since the best, or since the learning rate was lowered."""
    scale: Float[AnyArray, ""]
    """What the learning rate is multiplied by."""
    stopped: Bool[AnyArray, ""]


def watch(params: Params, keep_best: bool = True) -> Watch:
    """What is known before the first epoch."""
    dtype, zero = params[0].w.dtype, jnp.zeros((), jnp.int32)
    low, one = jnp.full((), -jnp.inf, dtype), jnp.ones((), dtype)
    return Watch(params if keep_best else (), low, zero, zero, one, jnp.zeros((), bool))


def score(rule: Stopping | None, row: History) -> Float[Array, ""]:
    """What the best epoch has most of; NaN where nothing is monitored.

    The rule's metric, or without a rule the evaluation accuracy, or the lowest evaluation cost
    where there is no accuracy.
    """
    if rule is not None:
        value = jnp.asarray(getattr(row, rule.curve))
        return value if rule.metric == "accuracy" else -value
    accuracy = jnp.asarray(row.evaluation_accuracy)
    return jnp.where(jnp.isnan(accuracy), -jnp.asarray(row.evaluation_cost), accuracy)


def update(rule: Stopping | None, before: Watch, params: Params, row: History, epoch: Any) -> Watch:
    """What is known after an epoch, counted from 1, that ended with these parameters and scores."""
    now = score(rule, row)
    # Without a rule nothing may be monitored: the score is NaN then, and the last epoch the best.
    better = now > before.best_score if rule is not None else ~(now <= before.best_score)
    best = before.best
    if best:
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), params, best)
    waited = jnp.where(better, 0, before.waited + 1)
    scale, stopped = before.scale, before.stopped
    if rule is not None and rule.patience is not None:
        out = waited >= rule.patience
        if rule.factor is None:
            stopped |= out
        else:
            scale = jnp.where(out, scale * rule.factor, scale)
            waited = jnp.where(out, 0, waited)
            stopped |= scale <= rule.floor * (1 + 1e-5)  # 0.1³ is more than 0.001
    if rule is not None and rule.target is not None:
        stopped |= now >= (rule.target if rule.metric == "accuracy" else -rule.target)
    highest = jnp.where(better, now, before.best_score)
    number = jnp.where(better, epoch, before.best_epoch).astype(jnp.int32)
    return Watch(best, highest, number, waited, scale, stopped)
