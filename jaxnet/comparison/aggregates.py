"""Statistics of runs on several tasks: aggregates, profiles, a stratified bootstrap, groups.

Public as `jaxnet.statistics`. The last two axes of scores are tasks, then seeds; higher is better.
Scores must have one scale on all tasks: see `normalized`. The definitions are those of Agarwal et
al. (2021) and their library rliable, whose axes are runs, then tasks.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from jaxnet.comparison.resampling import N_RESAMPLES, iqm, quantile

BLOCK = 100
"""Resamples at once, to bound the memory."""


def normalized(
    scores: Float[np.ndarray, "..."], target: float, best: float = 1.0
) -> Float[np.ndarray, "..."]:
    """Skill scores: the part of the target's errors that a network avoids.

    The formula is 1 − (best − score)/(best − target): 1 for the best possible score, 0 for the
    target, negative below it. It is linear, so that it changes no test and no order within a task;
    it depends on no other contender; and halving the target's errors counts alike on all tasks.

    Args:
      scores: scores of a task, of any shape; higher is better.
      target: a score that was fixed in advance, below `best`.
      best: the best possible score: 1 (the default) for accuracies and R², 0 for negated errors.

    Returns:
      The skill scores, of the same shape.

    Raises:
      ValueError: the target is not below the best score.

    Source: Murphy, Skill scores based on the mean square error, 1988.

    >>> normalized(np.array([0.90, 0.95, 0.975, 1.0]), target=0.95).round(6).tolist()
    [-1.0, 0.0, 0.5, 1.0]
    """
    if not target < best:
        raise ValueError(f"the target must be below the best possible score, {best:g}: {target:g}.")
    return 1 - (best - np.asarray(scores, float)) / (best - target)


def aggregate_iqm(scores: Float[np.ndarray, "... tasks seeds"]) -> Float[np.ndarray, "..."]:
    """The interquartile mean over all runs of all tasks: without the lowest and highest quarter.

    Args:
      scores: normalized scores, shape (…, tasks, seeds).

    Returns:
      The means, of the shape of the leading axes.

    Source: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice,
    2021, section 4.3.

    >>> float(aggregate_iqm(np.array([[-9.0, 1.0], [2.0, 50.0]])))
    1.5
    """
    return iqm(scores.reshape(*scores.shape[:-2], -1))


def optimality_gap(
    scores: Float[np.ndarray, "... tasks seeds"], target: float = 1.0
) -> Float[np.ndarray, "..."]:
    """How far runs stay below a target on average: γ − the mean of min(score, γ).

    Args:
      scores: normalized scores, shape (…, tasks, seeds).
      target: γ, on the scale of the scores; 1 by default. Runs above it count as at it.

    Returns:
      The gaps, at least 0, of the shape of the leading axes.

    Source: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice,
    2021, section 4.3.

    >>> float(optimality_gap(np.array([[0.5, 2.0], [1.0, 0.5]])))
    0.25
    """
    return np.asarray(np.mean(np.maximum(target - scores, 0.0), axis=(-2, -1)))


def probability_of_improvement(
    a: Float[np.ndarray, "... tasks seeds_a"], b: Float[np.ndarray, "... tasks seeds_b"]
) -> Float[np.ndarray, "..."]:
    """P(A > B), averaged over tasks: that a run of A beats a run of B with another seed.

    On each task it is the fraction of all pairs of a run of A and a run of B in which A scores
    higher; a tie counts one half. It is the Mann–Whitney statistic U/(n_a·n_b). In contrast to
    `probability_of_superiority`, runs are not paired by seed.

    Args:
      a: the scores of A, shape (…, tasks, seeds of A).
      b: the scores of B, shape (…, tasks, seeds of B).

    Returns:
      The probabilities, of the shape of the leading axes.

    Source: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice,
    2021, section 4.3.

    >>> a, b = np.array([[1.0, 3.0], [5.0, 5.0]]), np.array([[2.0, 2.0], [5.0, 4.0]])
    >>> float(probability_of_improvement(a, b))  # the mean of 1/2 and 3/4
    0.625
    """
    a, b = a[..., :, None], b[..., None, :]
    by_task = (np.mean(a > b, axis=(-2, -1)) + np.mean(a >= b, axis=(-2, -1))) / 2
    return np.asarray(by_task.mean(axis=-1))


def performance_profile(
    scores: Float[np.ndarray, "... tasks seeds"], thresholds: Float[np.ndarray, " t"]
) -> Float[np.ndarray, "... t"]:
    """The fraction of runs with a score above each threshold τ, averaged over tasks.

    Args:
      scores: normalized scores, shape (…, tasks, seeds).
      thresholds: the values of τ, shape (t,).

    Returns:
      The fractions, shape (…, t).

    Source: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice,
    2021, section 4.2.

    >>> performance_profile(np.array([[0.1, 0.5], [0.9, 0.9]]), np.array([0.0, 0.5])).tolist()
    [1.0, 0.5]
    """
    return np.stack([np.mean(scores > tau, axis=(-2, -1)) for tau in thresholds], axis=-1)


def stratified_bootstrap(
    scores: Float[np.ndarray, "... tasks seeds"],
    statistic: Callable[[np.ndarray], np.ndarray],
    seed: int = 0,
) -> Float[np.ndarray, "resamples ..."]:
    """A statistic of 2000 resamples, in which the seeds of each task are drawn with replacement.

    The tasks stay as they are, so that intervals (see `percentiles`) are about other seeds on the
    same tasks, not about other tasks. All leading axes share the draws, so that contenders are
    paired by seed.

    Args:
      scores: the scores, shape (…, tasks, seeds).
      statistic: a function of an array whose last two axes are tasks and seeds, and which may have
        one more leading axis, such as `aggregate_iqm`.
      seed: the seed of the resampling, at least 0.

    Returns:
      The statistic of each resample, shape (2000, …).

    Source: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice,
    2021, section 4.1.

    >>> scores = np.array([[0.0, 1.0], [5.0, 5.0]])
    >>> means = stratified_bootstrap(scores, lambda x: x.mean(axis=(-2, -1)))
    >>> sorted(set(means.tolist()))
    [2.5, 2.75, 3.0]
    """
    random = np.random.default_rng(seed)
    n_tasks, n_seeds = scores.shape[-2:]
    rows = np.arange(n_tasks)[:, None]
    blocks = []
    for begin in range(0, N_RESAMPLES, BLOCK):
        size = min(BLOCK, N_RESAMPLES - begin)
        drawn = random.integers(n_seeds, size=(size, n_tasks, n_seeds))
        blocks.append(statistic(np.moveaxis(scores[..., rows, drawn], -3, 0)))
    return np.concatenate(blocks)


def expanded_level(level: float, n_tasks: int, n_seeds: int) -> float:
    """The level of percentiles that makes up for the narrowness of resamples of few seeds.

    n seeds that are drawn from n seeds vary too little, by the factor (n − 1)/n of the variance,
    and a normal quantile takes that variance for known. The level is 2Φ(t·√(n/(n − 1))) − 1, where
    t is the (1 + level)/2 quantile of Student's t with tasks·(n − 1) degrees of freedom.

    Args:
      level: the coverage that is wanted, in (0, 1).
      n_tasks: the number of tasks, at least 1.
      n_seeds: n, the seeds of each task, at least 2.

    Returns:
      The level for `percentiles`, above `level`.

    Source: Hesterberg, What teachers should know about the bootstrap, 2015, section 4.4.

    >>> [round(expanded_level(0.95, 2, n), 3) for n in (8, 32)]
    [0.978, 0.958]
    """
    from scipy import stats  # in functions only: to import it takes longer than all of jaxnet

    t = stats.t.ppf((1 + level) / 2, n_tasks * (n_seeds - 1))
    return float(2 * stats.norm.cdf(t * math.sqrt(n_seeds / (n_seeds - 1))) - 1)


def simultaneous_half_width(
    values: Float[np.ndarray, " t"],
    draws: Float[np.ndarray, "resamples t"],
    n_seeds: int,
    level: float = 0.95,
) -> float:
    """The half-width of a band that holds a whole curve, by the bootstrap of its largest deviation.

    It is the quantile `level` of max over t of |drawₜ − valueₜ|, times √(n/(n − 1)), since n seeds
    that are drawn from n seeds vary too little by that factor. The band, the curve ± this width, is
    simultaneous: the true curve lies within it at all t with about this probability.

    Args:
      values: the curve, shape (t,).
      draws: the curve of each resample, shape (resamples, t).
      n_seeds: n, the seeds of each task, at least 2.
      level: the coverage, in (0, 1); 0.95 by default.

    Returns:
      The half-width.

    Source: Bickel, Freedman, Asymptotic theory for the bootstrap, 1981, section 4.

    >>> round(simultaneous_half_width(np.zeros(1), np.linspace(-1, 1, 201)[:, None], 100), 2)
    0.95
    """
    largest = np.abs(draws - values).max(axis=1)
    return quantile(largest, level) * math.sqrt(n_seeds / (n_seeds - 1))


def mean_ranks(scores: Float[np.ndarray, "k tasks"]) -> Float[np.ndarray, " k"]:
    """The mean rank of each contender over the tasks; 1 is best, and ties share their mean.

    Args:
      scores: a score for each contender and task, shape (k, tasks). They are rounded to 12
        decimals, so that equal means are equal.

    Returns:
      The mean ranks, from 1 to k, shape (k,).

    Source: Demšar, Statistical comparisons of classifiers over multiple data sets, 2006.

    >>> mean_ranks(np.array([[0.9, 0.8], [0.9, 0.7], [0.1, 0.9]])).tolist()
    [1.75, 2.25, 2.0]
    """
    from scipy import stats

    return np.asarray(stats.rankdata(-np.round(scores, 12), axis=0).mean(axis=1))


def groups(
    ranks: Float[np.ndarray, " k"], differ: Bool[np.ndarray, "k k"]
) -> list[tuple[int, ...]]:
    """The bars of a critical-difference diagram: neighbours in rank of which no two differ.

    Args:
      ranks: the mean rank of each contender, shape (k,).
      differ: whether a test calls two contenders different, symmetric, shape (k, k).

    Returns:
      The largest such groups of two or more contenders, by rank.

    Source: Demšar, Statistical comparisons of classifiers over multiple data sets, 2006, here with
    the result of any test of pairs.

    >>> differ = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]], bool)
    >>> groups(np.array([1.0, 2.0, 3.0]), differ)
    [(0, 1), (1, 2)]
    """
    order = np.argsort(ranks, kind="stable").tolist()
    bars: list[tuple[int, ...]] = []
    last_end = 0
    for begin in range(len(order)):
        end = begin + 1
        while end < len(order) and not differ[order[end], order[begin:end]].any():
            end += 1
        if end - begin > 1 and end > last_end:
            bars.append(tuple(order[begin:end]))
            last_end = end
    return bars


def tasks_needed(n_contenders: int, alpha: float = 0.05) -> int:
    """The fewest tasks with which a signed-rank test over tasks can show any difference.

    The smallest p-value with n tasks is 2/2ⁿ, and Holm's correction multiplies the smallest of m =
    k(k − 1)/2 p-values by m: n is the least number with m·2/2ⁿ < α.

    Args:
      n_contenders: k, at least 2.
      alpha: the level of the test, in (0, 1); 0.05 by default.

    Returns:
      The number of tasks: 6 for two contenders, 8 for four, 10 for six.

    Source: Wilcoxon, Individual comparisons by ranking methods, 1945; Holm, A simple sequentially
    rejective multiple test procedure, 1979.

    >>> [tasks_needed(k) for k in (2, 4, 6)]
    [6, 8, 10]
    """
    n_pairs = math.comb(n_contenders, 2)
    return next(n for n in itertools.count(1) if n_pairs * 2.0 ** (1 - n) < alpha)
