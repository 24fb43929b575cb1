"""Ranking: the score of each network of a sweep, the best recipe, and its median seed.

A score is that of the network which would be used: of the parameters after its best epoch, and
without penalties, so that networks with different penalties can be compared.
"""

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxnet.core.types import History
from jaxnet.recipes import stopping
from jaxnet.recipes.stopping import Criterion, Stopping

CURVES = ("evaluation_accuracy", "evaluation_data_cost", "training_accuracy", "training_data_cost")
"""The fields of `History` that can rank networks; the first that was evaluated does."""


def with_data_costs(history: History) -> History:
    """The history with a cost in place of each data cost that is missing.

    Version 0.2.0 kept no data costs. Where a recipe has no penalties, the two are equal.

    Args:
      history: the curves, of any shape.
    """
    curves = jax.tree.map(np.asarray, history)
    pairs = (
        (curves.evaluation_data_cost, curves.evaluation_cost),
        (curves.training_data_cost, curves.training_cost),
    )
    evaluation, training = (np.where(np.isnan(known), cost, known) for known, cost in pairs)
    return curves._replace(evaluation_data_cost=evaluation, training_data_cost=training)


def ranking_curve(history: History, criterion: Criterion | None = None) -> str:
    """The curve of a history that ranks networks with these histories.

    Args:
      history: the curves, of any shape.
      criterion: what ranks; `None` (the default) for the first of `CURVES` that was evaluated.

    >>> cost, missing = np.array([0.5, 0.3]), np.full(2, np.nan)
    >>> ranking_curve(History(cost, missing, missing, missing, cost))
    'evaluation_data_cost'
    """
    if criterion is not None:
        return criterion.curve
    curves = with_data_costs(history)
    evaluated = [name for name in CURVES if np.isfinite(getattr(curves, name)).any()]
    return evaluated[0] if evaluated else CURVES[0]


def ranking_scores(
    history: History,
    epochs: Int[np.ndarray, "*lanes"],
    diverged: Int[np.ndarray, "*lanes"] | Bool[np.ndarray, "*lanes"],
    criterion: Criterion | None = None,
) -> Float[np.ndarray, "*lanes"]:
    """The score by which lanes are ranked, as `Study.score` defines it.

    Args:
      history: the curves, each with the axes of the lanes and then the axis of epochs.
      epochs: the epoch, from 1, whose network is scored: the best one, for what would be used.
      diverged: not 0 for a lane that diverged, whose score is −∞.
      criterion: what ranks; `None` (the default) for an accuracy or a cost.

    >>> cost, missing = np.array([[0.5, 0.3, 0.4]]), np.full((1, 3), np.nan)
    >>> history = History(cost + 1, missing, missing, missing, cost)
    >>> ranking_scores(history, np.array([2]), np.array([0]))
    array([-0.3])
    """
    name = ranking_curve(history, criterion)
    curve = np.asarray(with_data_costs(history).curves[name])
    rises = not name.endswith("cost") if criterion is None else criterion.higher_is_better
    curve = curve if rises else -curve
    index = np.maximum(epochs - 1, 0)[..., None]
    score = np.take_along_axis(curve, index, axis=-1)[..., 0]
    return np.where((diverged > 0) | ~np.isfinite(score), -np.inf, score)


def best_epochs(
    rule: Stopping | None,
    history: History,
    epochs: Int[np.ndarray, " lanes"],
    criterion: Criterion | None = None,
) -> Int[np.ndarray, " lanes"]:
    """The best of the first epochs of each lane, from 1, as training itself would have noted it.

    Args:
      rule: the stopping rule of the lanes; `None` for lanes without one.
      history: the curves, each of shape (lanes, epochs).
      epochs: how many epochs of each lane count.
      criterion: what decides in place of the rule's accuracy or cost; `None` (the default) for
        these.

    >>> accuracy, missing = np.array([[0.5, 0.8, 0.8, 0.9]]), np.full((1, 4), np.nan)
    >>> best_epochs(None, History(missing, accuracy, missing, missing), np.array([3]))
    array([2])
    """
    scores = np.asarray(stopping.score(rule, with_data_costs(history), criterion))
    counts = np.arange(scores.shape[-1]) < epochs[:, None]
    scores = np.where(counts & ~np.isnan(scores), scores, -np.inf)
    was_evaluated = np.isfinite(scores).any(axis=-1)
    return np.where(was_evaluated, np.argmax(scores, axis=-1) + 1, epochs)


def recipe_order(scores: Float[np.ndarray, "recipes seeds"]) -> Int[np.ndarray, " recipes"]:
    """The recipes from the best to the worst, by their mean score over the seeds.

    The mean of a recipe with a diverged seed is −∞: it follows all recipes without one. Among such
    recipes those with fewer diverged seeds come first, and then the higher mean of the others.

    Args:
      scores: the score of each lane, −∞ if it diverged.

    >>> recipe_order(np.array([[0.9, -np.inf], [0.7, 0.8], [0.8, 0.8]]))
    array([2, 1, 0])
    """
    finite = np.isfinite(scores)
    n_finite = finite.sum(axis=1)
    total = np.where(finite, scores, 0.0).sum(axis=1, dtype=float)
    return np.lexsort((-total / np.maximum(n_finite, 1), -n_finite))


def seeds_from_median(scores: Float[np.ndarray, " seeds"]) -> Int[np.ndarray, " seeds"]:
    """A recipe's seeds by their distance from the median score, the median seed first.

    Of an even number of seeds, the lower of the two in the middle is the median one. Seeds that
    diverged come last.

    Args:
      scores: the score of each seed, −∞ if it diverged.

    >>> seeds_from_median(np.array([0.9, 0.6, 0.8, 0.7]))
    array([3, 1, 2, 0])
    """
    order = np.argsort(scores, kind="stable")
    n_diverged = int(np.count_nonzero(~np.isfinite(scores)))
    diverged, finite = order[:n_diverged], order[n_diverged:]
    distance = np.abs(np.arange(len(finite)) - (len(finite) - 1) // 2)
    return np.concatenate([finite[np.argsort(distance, kind="stable")], diverged])
