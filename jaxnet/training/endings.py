"""Why a run ended, in words."""

import math

import numpy as np

from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.stopping import Criterion
from jaxnet.training.run import Ending
from jaxnet.training.step import TrainState


def ending_by_rule(
    epochs: int, recipe: Recipe, state: TrainState, criterion: Criterion | None
) -> tuple[Ending, str | None]:
    """Whether, and why, the stopping rule ended a run.

    Args:
      epochs: how many epochs the run has had.
      recipe: how it was trained.
      state: the state after the last epoch.
      criterion: what decides on the best epoch in place of the rule's accuracy or cost, if
        anything.

    Returns:
      "stopped" with a sentence, or "done" without one.
    """
    rule, watch = recipe.stopping, state.watch
    if rule is None or not watch.stopped:
        return "done", None
    metric = rule.curve.replace("_", " ")
    rises = rule.metric != "cost" if criterion is None else criterion.higher_is_better
    sign = 1 if rises else -1
    best = float(watch.best_score) * sign
    if rule.target is not None and float(watch.best_score) >= float(np.asarray(rule.target)) * sign:
        reason = f"the {metric} has reached {best:g}"
    elif rule.factor is None:
        n = int(watch.waited)
        reason = f"the {metric} has had no new best for {n} epoch{'s' if n > 1 else ''}"
    else:
        reason = f"the learning rate has come down to {float(watch.scale):g} of the first one"
    return "stopped", f"stopped after epoch {epochs}: {reason}."


def divergence_message(epoch: int, rate: float) -> str:
    """The sentence that says why a run diverged.

    Args:
      epoch: the epoch in which it did, from 1.
      rate: the learning rate of the epoch's last mini-batch; NaN if unknown.

    Returns:
      The sentence.
    """
    advice = "Its steps are too large for this network and data; try larger mini-batches."
    if not math.isnan(rate):
        advice = f"The learning rate {rate:g} is probably too large; try a smaller one."
    remaining = f" The {epoch - 1} epochs before it are kept." if epoch > 1 else ""
    fault = "a weight or a cost is no longer finite"
    return f"training diverged in epoch {epoch}: {fault}. {advice}{remaining}"
