"""What the best setting of a study scores on new data: its score without the bias of selection.

The best of many scores is too good, since its setting is the best in part by chance. Over folds the
bias is how much better the best setting of each fold is on it. On a single validation split,
settings are chosen on resampled examples and scored on those that were left out.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxnet.recipes.stopping import Criterion
from jaxnet.sweeps.network_stack import resampled_scores
from jaxnet.sweeps.ranking import recipe_order
from jaxnet.sweeps.study_networks import StudyNetworks

SPLITS = {"evaluation": "validation", "test": "test"}
"""The splits that networks are not trained on, by the first words of their curves."""


class CorrectedScore(NamedTuple):
    """The best setting of a study, and its mean score with and without the bias of selection.

    Both numbers are in the metric's own unit, as in `Study.leaderboard`.

    Attributes:
      recipe: the setting's place on the axis recipe, from 0.
      best: its mean score over the networks, which is too good.
      corrected: an estimate of its mean score on new data.

    >>> score = CorrectedScore(recipe=3, best=0.92, corrected=0.9)
    >>> round(score.best - score.corrected, 2)
    0.02
    """

    recipe: int
    best: float
    corrected: float


def bias_over_folds(scores: Float[np.ndarray, "recipes seeds folds"]) -> float:
    """How much better the best setting scores over folds than on new data, estimated.

    It is (1/K) Σₖ [sₖ(θₖ) − sₖ(θ)], with sₖ the mean score over the seeds on the test rows of fold
    k, θₖ the best setting on fold k, and θ the best one on all K folds.

    Args:
      scores: the score of each network, higher ones better, −∞ if it diverged.

    Returns:
      The bias, at least 0; NaN if all networks of one of these settings diverged on a fold.

    Source: Tibshirani and Tibshirani, A bias correction for the minimum error rate in
      cross-validation, 2009.

    >>> bias_over_folds(np.array([[[0.75, 0.5]], [[0.5, 0.625]]]))
    0.0625
    """
    best = _best_recipe(scores)
    differences = [
        _mean(fold[_best_recipe(fold)]) - _mean(fold[best]) for fold in np.moveaxis(scores, -1, 0)
    ]
    return float(np.mean(differences))


def out_of_bag_score(
    in_bag: Float[np.ndarray, "recipes seeds resamples"],
    out_of_bag: Float[np.ndarray, "recipes seeds resamples"],
) -> float:
    """The mean score, over resamples, of the setting that is the best on the resampled examples.

    Args:
      in_bag: the score of each network on each resample, higher ones better; −∞ if it diverged, NaN
        where the metric has no value.
      out_of_bag: its score on the examples that are not in the resample.

    Returns:
      The mean of the winners' scores on the examples that did not choose them. Resamples without a
      value do not count; NaN if none has one.

    Source: Tsamardinos, Greasidou and Borboudakis, Bootstrapping the out-of-sample predictions for
      efficient and accurate cross-validation, 2018 (BBC-CV).

    >>> in_bag = np.array([[[0.9, 0.5]], [[0.6, 0.7]]])
    >>> out_of_bag_score(in_bag, np.array([[[0.5, 0.8]], [[0.7, 0.6]]]))
    0.55
    """
    winners = (
        _mean(scores[_best_recipe(resample)])
        for resample, scores in zip(
            np.moveaxis(in_bag, -1, 0), np.moveaxis(out_of_bag, -1, 0), strict=True
        )
        if np.isfinite(resample).any()
    )
    values = np.array([value for value in winners if not np.isnan(value)])
    return float(values.mean()) if len(values) else float("nan")


def bootstrap_counts(n: int, resamples: int, seed: int) -> Int[np.ndarray, "resamples n"]:
    """How often each of n examples is in each resample, drawn with replacement.

    A draw that leaves no example out is made again.

    Args:
      n: the number of examples, at least 2.
      resamples: the number of resamples.
      seed: the seed of the draws.

    >>> counts = bootstrap_counts(5, resamples=3, seed=0)
    >>> counts.sum(axis=1), (counts == 0).any(axis=1)
    (array([5, 5, 5]), array([ True,  True,  True]))
    """
    random, shares = np.random.default_rng(seed), np.full(n, 1 / n)
    counts = random.multinomial(n, shares, size=resamples)
    while (is_whole := (counts > 0).all(axis=1)).any():
        counts[is_whole] = random.multinomial(n, shares, size=int(is_whole.sum()))
    return counts


def bootstrap_score(
    networks: StudyNetworks, criterion: Criterion, resamples: int, seed: int
) -> float:
    """The bootstrap bias corrected score of the best setting of a study without folds.

    Args:
      networks: the networks of the study.
      criterion: what ranks the settings.
      resamples: how often the examples are resampled.
      seed: the seed of the draws.

    Returns:
      The score, in the metric's own unit.

    Raises:
      ValueError: the networks were ranked by training examples or by a cost with penalties, there
        are no data, or too few examples.
    """
    prefix, _, name = criterion.curve.partition("_")
    if prefix not in SPLITS:
        raise ValueError(
            f"the settings are ranked by {criterion.curve}, on examples that trained the networks, "
            "which says nothing about new data; give the data a validation split, or sweep over "
            "folds, with resample."
        )
    if name == "cost":
        raise ValueError(
            f"metric {criterion.curve} has penalties, which differ between settings; choose "
            '"cost", the cost without them.'
        )
    split = networks.own_split((0, 0), SPLITS[prefix])  # without folds all networks have the same
    if len(split.x) < 2:
        raise ValueError(
            f"the {SPLITS[prefix]} split has one example, which cannot be resampled; give it more."
        )
    metric = {"accuracy": "accuracy", "data_cost": "cost"}.get(name)
    chosen = dict(networks.source.measured.metrics)[name] if metric is None else metric
    counts = bootstrap_counts(len(split.x), resamples, seed)
    stacks = [stack for _, stack in networks.stacks()]
    sign = 1 if criterion.higher_is_better else -1
    in_bag, out_of_bag = (
        sign * resampled_scores(stacks, networks.epochs.size, split, weights, chosen)
        for weights in (counts, counts == 0)
    )
    shape = (*networks.epochs.shape, resamples)
    return sign * out_of_bag_score(in_bag.reshape(shape), out_of_bag.reshape(shape))


def _best_recipe(scores: Float[np.ndarray, "recipes *lanes"]) -> int:
    """The recipe with the best mean score over its networks."""
    return int(recipe_order(scores.reshape(len(scores), -1))[0])


def _mean(scores: Float[np.ndarray, "*lanes"]) -> float:
    """The mean of the scores that are finite; NaN if none is."""
    finite = scores[np.isfinite(scores)]
    return float(finite.mean(dtype=float)) if finite.size else float("nan")
