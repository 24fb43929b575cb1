"""Statistics of runs: intervals, paired tests, times to a target, what luck does to tuning.

SciPy's wherever it has them; the rest is a few lines of NumPy. Axes are always seeds, then
examples. Every random choice takes an explicit seed.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxnet.core.deprecation import renamed_attributes

N_RESAMPLES = 2000
"""Bootstrap resamples: the ends of a 95 % interval of them are good to about 4 % of its width."""
EFFICIENCY = 3 / np.pi
"""Of the Wilcoxon signed-rank test relative to the t-test, for normal differences (Pitman's)."""


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def iqm(x: Float[np.ndarray, "..."], axis: int = -1) -> Float[np.ndarray, "..."]:
    """The interquartile mean: the mean, along an axis, without the lowest and the highest quarter.

    Source: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice,
    2021, section 4.3; by `scipy.stats.trim_mean`.

    >>> float(iqm(np.array([-100.0, 1.0, 2.0, 50.0])))
    1.5
    """
    from scipy import stats  # in functions only: to import it takes longer than all of jaxnet

    return np.asarray(stats.trim_mean(x, 0.25, axis=axis))


def bootstrap(
    x: Float[np.ndarray, " n"],
    statistic: Callable[..., Any] = np.mean,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The bias-corrected and accelerated bootstrap interval of a statistic over seeds.

    Args:
      x: a number for each seed.
      statistic: `np.mean` or `iqm`, or any other of an array and an axis.
      level: the interval's coverage.
      seed: of the resampling.

    Returns:
      The interval; NaN if a number is not finite, a point if all are equal.

    Source: Efron, Better bootstrap confidence intervals, 1987; by `scipy.stats.bootstrap`.

    >>> low, high = bootstrap(np.arange(32.0))
    >>> low < 15.5 < high
    True
    """
    from scipy import stats

    if not np.isfinite(x).all():
        return Interval(math.nan, math.nan)
    if np.ptp(x) == 0:
        return Interval(float(x[0]), float(x[0]))

    def interval(method: str) -> Any:
        return stats.bootstrap(
            (x,), statistic, n_resamples=N_RESAMPLES, confidence_level=level, method=method,
            rng=np.random.default_rng(seed),
        ).confidence_interval  # fmt: skip

    # Where leaving out any one seed changes nothing, there is nothing to correct by.
    without = [float(statistic(np.delete(x, k))) for k in range(len(x))]
    found = interval("BCa" if np.ptp(without) > 0 else "percentile")
    return Interval(float(found.low), float(found.high))


def pigeonhole_bootstrap(
    scores: Float[np.ndarray, "k seeds examples"], seed: int = 0
) -> Float[np.ndarray, "resamples k"]:
    """Means of k tables when seeds and examples are both resampled, with replacement.

    All k see the same resamples, so differences of its columns are paired. Intervals over seeds
    alone say what other seeds would give on this very test set; these, on another one too. They
    are a little too wide, since the interaction of seeds and examples is counted thrice.

    Args:
      scores: for each of k methods, what each run scored on each example; where one of them is
        not finite, all means are NaN.
      seed: of the resampling.

    Source: Owen, The pigeonhole bootstrap, 2007.

    >>> pigeonhole_bootstrap(np.ones((1, 3, 5))).std()
    np.float64(0.0)
    """
    random = np.random.default_rng(seed)
    k, n_seeds, n_examples = scores.shape
    if not np.isfinite(scores).all():
        return np.full((N_RESAMPLES, k), np.nan)
    drawn = lambda n: np.bincount(random.integers(n, size=n), minlength=n) / n
    found = []
    for begin in range(0, N_RESAMPLES, 200):  # as many weights of examples as stay in memory
        size = min(200, N_RESAMPLES - begin)
        rows = np.array([drawn(n_seeds) for _ in range(size)])
        columns = np.array([drawn(n_examples) for _ in range(size)], np.float32)
        of_seeds = np.einsum("kse,re->rks", scores.astype(np.float32), columns, optimize=True)
        found.append(np.einsum("rks,rs->rk", of_seeds, rows))
    return np.concatenate(found)


def percentiles(draws: Float[np.ndarray, " n"], level: float = 0.95) -> Interval:
    """The middle `level` of bootstrap draws; NaN if one of them is.

    >>> percentiles(np.arange(101.0), 0.5)
    Interval(low=25.0, high=75.0)
    """
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def wilcoxon(differences: Float[np.ndarray, " n"]) -> float:
    """The p-value, two-sided, of the signed-rank test that paired differences lie around 0.

    Differences of 0 count for neither side. Infinite ones have the highest rank.

    Source: Wilcoxon, Individual comparisons by ranking methods, 1945; by `scipy.stats.wilcoxon`.

    >>> round(wilcoxon(np.array([1.0, 2.0, 3.0, 4.0, 5.0])), 4)  # 2/2⁵
    0.0625
    """
    from scipy import stats

    # Scores are counts over n: without rounding, equal differences differ in the last bit.
    rounded = np.round(differences, 12)
    if not rounded.any():
        return 1.0
    found: Any = stats.wilcoxon(rounded)
    return float(found.pvalue)


def signed_ranks(differences: Float[np.ndarray, " n"]) -> float:
    """The ranks of the positive differences minus those of the negative ones, by their size.

    What the signed-rank test looks at; its sign says on which side of 0 they lie.

    >>> signed_ranks(np.array([1.0, 2.0, 3.0, -100.0]))  # 1 + 2 + 3 − 4
    2.0
    """
    from scipy import stats

    rounded = np.round(differences, 12)
    rounded = rounded[rounded != 0]
    return float(np.sum(np.sign(rounded) * stats.rankdata(np.abs(rounded))))


def smallest_p_value(n: int) -> float:
    """The smallest p-value that the two-sided signed-rank test can give with n pairs: 2/2ⁿ."""
    return min(1.0, 2.0 ** (1 - n))


def holm(p: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """p-values adjusted for having made m tests: max over j ≤ i of (m − j + 1)·p₍ⱼ₎, at most 1.

    To reject where the adjusted value is below α keeps the chance of any false rejection below α.

    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def probability_of_superiority(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """P(A > B): the part of the paired seeds in which A is ahead, ties counted by half.

    Source: Bouthillier et al., Accounting for variance in machine learning benchmarks, 2021.

    >>> probability_of_superiority(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 4.0]))
    0.5
    """
    return float(np.mean(a > b) + np.mean(a == b) / 2)


class TimeTo(NamedTuple):
    """How long runs took to something that some of them never reached."""

    median: float
    """Infinite if fewer than half reached it."""
    fraction: float
    """Of the runs that reached it within the horizon."""


def time_to(times: Float[np.ndarray, " n"], reached: Bool[np.ndarray, " n"]) -> TimeTo:
    """The Kaplan–Meier median of times, and the fraction that was reached at their end.

    Args:
      times: when each run reached the target or, if it did not, until when it would have been
        observed: the horizon, also for a run that diverged before.
      reached: which of the two.

    Source: Kaplan, Meier, Nonparametric estimation from incomplete observations, 1958; by
    `scipy.stats.ecdf`.

    >>> time_to(np.array([2.0, 3.0, 5.0, 10.0]), np.array([True, True, True, False]))
    TimeTo(median=3.0, fraction=0.75)
    """
    from scipy import stats

    if not reached.any():
        return TimeTo(math.inf, 0.0)
    survival = stats.ecdf(stats.CensoredData.right_censored(times, ~reached)).sf
    at, left = np.asarray(survival.quantiles), np.asarray(survival.probabilities)
    below = np.flatnonzero(left <= 0.5 + 1e-12)
    median = float(at[below[0]]) if below.size else math.inf
    return TimeTo(median, 1 - float(left[-1]))


def tuning_studies(
    loss: Float[np.ndarray, "trials seeds"],
    score: Float[np.ndarray, "trials seeds"],
    n_studies: int = N_RESAMPLES,
    seed: int = 0,
) -> Float[np.ndarray, "studies trials"]:
    """What tuning studies of the usual kind would have reported, by their number of trials.

    Each study has one seed and takes the trials in an order of its own, none twice; after n of
    them it reports the score of the one with the smallest loss.

    Args:
      loss: what selects, of every trial under every seed; infinite where it diverged.
      score: what is reported.
      n_studies: how many to draw.
      seed: of the draw.

    Source: Dodge et al., Show your work, 2019, with selection and report kept apart.

    >>> studies = tuning_studies(np.array([[2.0], [1.0]]), np.array([[0.5], [0.9]]), 100)
    >>> set(studies[:, 1].tolist())
    {0.9}
    """
    random = np.random.default_rng(seed)
    n_trials, n_seeds = loss.shape
    order = random.permuted(np.tile(np.arange(n_trials), (n_studies, 1)), axis=1)
    seeds = random.integers(n_seeds, size=(n_studies, 1))
    losses, scores = loss[order, seeds], score[order, seeds]
    least = np.minimum.accumulate(losses, axis=1)
    # The place of the least loss so far: where it was last undercut (the first trial at the start).
    new = losses < np.concatenate([np.full((n_studies, 1), np.inf), least[:, :-1]], axis=1)
    new[:, 0] = True
    place: Int[np.ndarray, "studies trials"] = np.maximum.accumulate(
        np.where(new, np.arange(n_trials), 0), axis=1
    )
    return np.take_along_axis(scores, place, axis=1)


def power(difference: float, sd: float, n: int, alpha: float = 0.05) -> float:
    """The chance that the signed-rank test finds a true mean difference, of normal differences.

    That of a t-test with 3/π as many pairs.

    Args:
      difference: the true mean of the paired differences.
      sd: their standard deviation.
      n: pairs.
      alpha: the level of the test, two-sided.

    Source: Lehmann, Nonparametrics, 1975, section 4.3.

    >>> round(power(0.0, 1.0, 32), 3)
    0.05
    """
    from scipy import stats

    pairs = n * EFFICIENCY
    shift = abs(difference) / sd * math.sqrt(pairs)
    limit = float(stats.t.ppf(1 - alpha / 2, pairs - 1))
    # Far below its mean scipy's noncentral t is NaN, for a probability that is 0.
    below = np.nan_to_num(stats.nct.cdf(-limit, pairs - 1, shift))
    return float(stats.nct.sf(limit, pairs - 1, shift) + below)


def detectable_difference(sd: float, n: int, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """The smallest mean difference that the signed-rank test finds with this chance: see `power`.

    Infinite where so few pairs can never reject.

    >>> found = detectable_difference(sd=1.0, n=32)
    >>> round(power(found, 1.0, 32), 3)
    0.8
    """
    from scipy import optimize

    if smallest_p_value(n) >= alpha or not math.isfinite(sd):
        return math.inf
    if sd == 0:
        return 0.0
    lacking = lambda difference: power(difference, sd, n, alpha) - wanted
    high = sd
    while lacking(high) < 0:
        high *= 2
    return float(np.asarray(optimize.brentq(lacking, 0.0, high)))


__getattr__ = renamed_attributes(
    __name__,
    {
        "crossed": "pigeonhole_bootstrap",
        "detectable": "detectable_difference",
        "smallest_p": "smallest_p_value",
        "superiority": "probability_of_superiority",
    },
)
