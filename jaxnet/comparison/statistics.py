"""Statistics of runs: intervals, paired tests, times to a target, single-seed tuning studies.

Functions call SciPy where it has the method, and NumPy otherwise. Axes are always seeds, then
examples. Every random choice takes an explicit seed, so that a repeated call returns the same
numbers.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxnet.comparison.aggregates import (
    aggregate_iqm,
    expanded_level,
    groups,
    mean_ranks,
    normalized,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    simultaneous_half_width,
    stratified_bootstrap,
    tasks_needed,
)
from jaxnet.comparison.resampling import (
    N_RESAMPLES,
    Interval,
    bootstrap,
    iqm,
    percentiles,
    pigeonhole_bootstrap,
)
from jaxnet.comparison.tuning_bands import TuningBand, tuning_band
from jaxnet.core.deprecation import renamed_attributes

__all__ = [
    "EFFICIENCY",
    "N_RESAMPLES",
    "Interval",
    "TimeTo",
    "TuningBand",
    "aggregate_iqm",
    "bootstrap",
    "detectable_difference",
    "expanded_level",
    "groups",
    "holm",
    "iqm",
    "mean_ranks",
    "normalized",
    "optimality_gap",
    "percentiles",
    "performance_profile",
    "pigeonhole_bootstrap",
    "power",
    "probability_of_improvement",
    "probability_of_superiority",
    "signed_ranks",
    "simultaneous_half_width",
    "smallest_p_value",
    "stratified_bootstrap",
    "tasks_needed",
    "time_to",
    "tuning_band",
    "tuning_studies",
    "wilcoxon",
]

EFFICIENCY = 3 / np.pi
"""Efficiency of the Wilcoxon signed-rank test relative to the t-test, for normal differences
(Pitman's asymptotic relative efficiency)."""


def wilcoxon(differences: Float[np.ndarray, " n"]) -> float:
    """The two-sided p-value of the Wilcoxon signed-rank test that paired differences center on 0.

    With W the sum of the ranks of |d| over positive differences d (see `signed_ranks`), it is the
    probability, under random signs, of a W at least as far from its mean. Differences of 0 are
    left out. Infinite differences have the highest rank.

    Args:
      differences: one difference per pair, such as per seed, shape (n,). They are rounded to 12
        decimals, so that differences of equal scores are equal.

    Returns:
      The p-value, in (0, 1]; 1 if all differences are 0.

    Source: Wilcoxon, Individual comparisons by ranking methods, 1945; by `scipy.stats.wilcoxon`.

    >>> round(wilcoxon(np.array([1.0, 2.0, 3.0, 4.0, 5.0])), 4)  # 2/2⁵
    0.0625
    """
    from scipy import stats  # in functions only: to import it takes longer than all of jaxnet

    # Scores are counts over n: without rounding, equal differences differ in the last bit.
    rounded = np.round(differences, 12)
    if not rounded.any():
        return 1.0
    _, p_value = np.asarray(stats.wilcoxon(rounded))
    return float(p_value)


def signed_ranks(differences: Float[np.ndarray, " n"]) -> float:
    """The sum of signed ranks Σ sign(dᵢ)·rank(|dᵢ|), whose sign says which side of 0 prevails.

    It is the statistic of the Wilcoxon signed-rank test. Differences of 0 are left out, and equal
    sizes share the mean of their ranks.

    Args:
      differences: one difference per pair, shape (n,), rounded to 12 decimals as in `wilcoxon`.

    Returns:
      The sum, which is positive if positive differences prevail.

    Source: Wilcoxon, Individual comparisons by ranking methods, 1945.

    >>> signed_ranks(np.array([1.0, 2.0, 3.0, -100.0]))  # 1 + 2 + 3 − 4
    2.0
    """
    from scipy import stats

    rounded = np.round(differences, 12)
    rounded = rounded[rounded != 0]
    return float(np.sum(np.sign(rounded) * stats.rankdata(np.abs(rounded))))


def smallest_p_value(n: int) -> float:
    """The smallest p-value that the two-sided signed-rank test can give with n pairs: 2/2ⁿ.

    It is reached if all differences have one sign, which 2 of the 2ⁿ sign patterns do.

    Args:
      n: the number of pairs, at least 0.

    Returns:
      min(1, 2/2ⁿ).

    Source: Wilcoxon, Individual comparisons by ranking methods, 1945.

    >>> smallest_p_value(5)
    0.0625
    """
    return min(1.0, 2.0 ** (1 - n))


def holm(p: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """p-values adjusted for m tests: max over j ≤ i of (m − j + 1)·p₍ⱼ₎, at most 1.

    Rejecting where the adjusted value is below α keeps the probability of any false rejection
    below α.

    Args:
      p: the p-values of the m tests, shape (m,), in any order.

    Returns:
      The adjusted p-values, in the order of `p`.

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
    """P(A > B): the fraction of paired seeds in which A scores higher; a tie counts one half.

    The formula is (1/n) Σᵢ ([aᵢ > bᵢ] + ½[aᵢ = bᵢ]).

    Args:
      a: the scores of A, one per seed, shape (n,).
      b: the scores of B under the same seeds, shape (n,).

    Returns:
      The fraction, in [0, 1].

    Source: Bouthillier et al., Accounting for variance in machine learning benchmarks, 2021.

    >>> probability_of_superiority(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 4.0]))
    0.5
    """
    return float(np.mean(a > b) + np.mean(a == b) / 2)


class TimeTo(NamedTuple):
    """The time that runs took to reach a target, from `time_to`.

    Attributes:
      median: the Kaplan–Meier median, in the unit of the times; infinite if fewer than half of the
        runs reached the target.
      fraction: the fraction of runs that reached the target within the horizon, in [0, 1].

    >>> TimeTo(median=3.0, fraction=0.75).median
    3.0
    """

    median: float
    fraction: float


def time_to(times: Float[np.ndarray, " n"], reached: Bool[np.ndarray, " n"]) -> TimeTo:
    """The Kaplan–Meier median of times to a target, and the fraction of runs that reached it.

    The estimated fraction of runs that have not reached the target by time t is
    S(t) = Π over times tᵢ ≤ t of (1 − dᵢ/nᵢ), where dᵢ runs reach the target at tᵢ, and nᵢ are
    still observed just before. The median is the first time with S(t) ≤ ½.

    Args:
      times: for each run, when it reached the target or, if it did not, the horizon: the time until
        which it was, or would have been, observed; shape (n,). A run that diverged has the horizon,
        too: with an earlier time it would count as nearly there.
      reached: whether each run reached the target, shape (n,).

    Returns:
      The median, and the fraction 1 − S at the last time.

    Source: Kaplan, Meier, Nonparametric estimation from incomplete observations, 1958; by
    `scipy.stats.ecdf`.

    >>> time_to(np.array([2.0, 3.0, 5.0, 10.0]), np.array([True, True, True, False]))
    TimeTo(median=3.0, fraction=0.75)
    """
    from scipy import stats

    if not reached.any():
        return TimeTo(math.inf, 0.0)
    survival = stats.ecdf(stats.CensoredData.right_censored(times, ~reached)).sf
    event_times = np.asarray(survival.quantiles)
    not_reached = np.asarray(survival.probabilities)
    at_most_half = np.flatnonzero(not_reached <= 0.5 + 1e-12)
    median = float(event_times[at_most_half[0]]) if at_most_half.size else math.inf
    return TimeTo(median, 1 - float(not_reached[-1]))


def tuning_studies(
    loss: Float[np.ndarray, "trials seeds"],
    score: Float[np.ndarray, "trials seeds"],
    n_studies: int = N_RESAMPLES,
    seed: int = 0,
) -> Float[np.ndarray, "studies trials"]:
    """Scores that simulated single-seed tuning studies report, by their number of trials.

    Each study draws one seed and a random order of the trials. After n trials it reports the score
    of the trial with the smallest loss among the first n.

    Args:
      loss: the loss that selects, of each trial under each seed, shape (trials, seeds); infinite
        for a run that diverged.
      score: the score that is reported, of the same shape.
      n_studies: how many studies to simulate, at least 1; 2000 by default.
      seed: the seed of the simulation, at least 0.

    Returns:
      The reported scores, shape (studies, trials); column n − 1 is after n trials.

    Source: Dodge et al., Show your work, 2019, here with one set for selection and another one for
    the report.

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
    least_before = np.concatenate([np.full((n_studies, 1), np.inf), least[:, :-1]], axis=1)
    improves = losses < least_before
    improves[:, 0] = True  # also if the first trial diverged
    # The least loss among the first n trials is at the last trial that improved on it.
    selected: Int[np.ndarray, "studies trials"] = np.maximum.accumulate(
        np.where(improves, np.arange(n_trials), 0), axis=1
    )
    return np.take_along_axis(scores, selected, axis=1)


def power(difference: float, sd: float, n: int, alpha: float = 0.05) -> float:
    """The probability that the signed-rank test rejects, given the true mean difference.

    For normal differences, the test has about the power of a t-test with m = 3n/π pairs: the
    probability that |T| exceeds the 1 − α/2 quantile of Student's t with m − 1 degrees of freedom,
    where T is noncentral t with noncentrality |difference|/sd·√m.

    Args:
      difference: the true mean of the paired differences.
      sd: the standard deviation of the paired differences, above 0, in the same unit.
      n: the number of pairs, at least 2.
      alpha: the level of the two-sided test, in (0, 1); 0.05 by default.

    Returns:
      The probability, in [0, 1]; `alpha` for a difference of 0.

    Source: Lehmann, Nonparametrics, 1975, section 4.3.

    >>> round(power(0.0, 1.0, 32), 3)
    0.05
    """
    from scipy import stats

    n_effective = n * EFFICIENCY
    noncentrality = abs(difference) / sd * math.sqrt(n_effective)
    critical = float(stats.t.ppf(1 - alpha / 2, n_effective - 1))
    # Far below its mean scipy's noncentral t is NaN, for a probability that is 0.
    below = np.nan_to_num(stats.nct.cdf(-critical, n_effective - 1, noncentrality))
    return float(stats.nct.sf(critical, n_effective - 1, noncentrality) + below)


def detectable_difference(sd: float, n: int, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """The smallest true mean difference that the signed-rank test detects with a given power.

    It is the difference at which `power(difference, sd, n, alpha)` equals `wanted`.

    Args:
      sd: the standard deviation of the paired differences, at least 0.
      n: the number of pairs, at least 2.
      alpha: the level of the two-sided test, in (0, 1); 0.05 by default.
      wanted: the power, in (alpha, 1); 0.8 by default.

    Returns:
      The difference, in the unit of `sd`. It is 0 if `sd` is 0, and infinite if `sd` is not finite
      or if n pairs can never reject at this level (see `smallest_p_value`).

    Source: Lehmann, Nonparametrics, 1975, section 4.3.

    >>> difference = detectable_difference(sd=1.0, n=32)
    >>> round(power(difference, 1.0, 32), 3)
    0.8
    """
    from scipy import optimize

    if smallest_p_value(n) >= alpha or not math.isfinite(sd):
        return math.inf
    if sd == 0:
        return 0.0
    excess_power = lambda difference: power(difference, sd, n, alpha) - wanted
    high = sd
    while excess_power(high) < 0:
        high *= 2
    return float(np.asarray(optimize.brentq(excess_power, 0.0, high)))


if not TYPE_CHECKING:  # a type checker is to report unknown names
    __getattr__ = renamed_attributes(
        __name__,
        {
            "crossed": "pigeonhole_bootstrap",
            "detectable": "detectable_difference",
            "smallest_p": "smallest_p_value",
            "superiority": "probability_of_superiority",
        },
    )
