"""Tuning curves with simultaneous confidence bands, from independent random trials."""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.core.arguments import brief
from jaxnet.core.hyperparameters import constant


class TuningBand(NamedTuple):
    """The best score of n random trials, n = 1, 2, …, with a confidence band: see `tuning_band`.

    Attributes:
      median: the estimated median of the best score, shape (trials,); entry n − 1 is for n trials.
      low: the lower end of the median's band.
      high: the upper end of the median's band.
      expected: the estimated mean of the best score; NaN without finite bounds.
      expected_low: the lower end of the mean's band.
      expected_high: the upper end of the mean's band.

    >>> band = tuning_band(np.arange(64.0))
    >>> band.median[:3].tolist(), bool(band.low[2] < band.median[2] < band.high[2])
    ([31.0, 45.0, 50.0], True)
    """

    median: Float[np.ndarray, " trials"]
    low: Float[np.ndarray, " trials"]
    high: Float[np.ndarray, " trials"]
    expected: Float[np.ndarray, " trials"]
    expected_low: Float[np.ndarray, " trials"]
    expected_high: Float[np.ndarray, " trials"]


def tuning_band(
    scores: Float[np.ndarray, " trials"],
    level: float = 0.95,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> TuningBand:
    """The median and the mean of the best score of n random trials, with simultaneous bands.

    If F is the distribution function of the score of one trial, Fⁿ is that of the best of n
    independent ones. Of N sorted scores, F(x₍ᵢ₎) has the distribution Beta(i, N − i + 1). The band
    of F goes, at each of them, from its quantile η/2 to 1 − η/2, with the η for which F lies in all
    N intervals with the probability `level`: that is exact for continuous scores, and with ties the
    probability is higher. Then the median of the best, where Fⁿ = ½, lies between those of the two
    ends, for all n at once. So does the mean, b − ∫ Fⁿ over [a, b], of scores in [a, b].

    At the best scores, which decide, this band is much narrower than that of Kolmogorov and
    Smirnov: with 256 scores both ends exist up to n = 24, and not up to 7.

    Args:
      scores: a score, higher for a better trial, of each of N independent trials, shape (N,);
        −∞ for a failed one. Points of a grid, Sobol points, and trials that depend on earlier ones
        are not independent.
      level: the probability that all ends hold together, in (0, 1); 0.95 by default. For k bands
        that are to hold together it is 1 − (1 − level)/k (Bonferroni).
      bounds: the least and the largest possible score, (a, b); by default there are none, the mean
        and its band are NaN, and where an end does not exist it is infinite.

    Returns:
      The curves and their bands, for n = 1, …, N.

    Raises:
      ValueError: there are no scores, a score is NaN or out of bounds, or the level is out of its
        range.

    Source: Lourie, Cho, He, Show your work with confidence, 2023; for the band of F Aldor-Noiman et
    al., The power to see: a new graphical test of normality, 2013.

    >>> band = tuning_band(np.linspace(0, 1, 64), bounds=(0, 1))
    >>> band.expected[:2].round(2).tolist(), band.high[-1].item()
    ([0.5, 0.67], 1.0)
    """
    level = constant("level", level)
    if not 0 < level < 1:
        raise ValueError(f"level must be above 0 and below 1, such as 0.95, not {level!r}.")
    least, largest = _checked_bounds(bounds)
    scores = _checked_scores(scores, least, largest)
    n = len(scores)
    low, high = _ends_of_ranks(n, level)
    # F from x₍ᵢ₎ to x₍ᵢ₊₁₎ for i = 0, …, N, with the bounds as the first and the last x.
    functions = (np.arange(n + 1) / n, np.append(high, 1.0), np.insert(low, 0, 0.0))
    x = np.concatenate([[least], scores, [largest]])
    trials = np.arange(1, n + 1)
    medians = [x[np.searchsorted(function, 0.5 ** (1 / trials))] for function in functions]
    means = [np.full(n, np.nan)] * 3
    if math.isfinite(least) and math.isfinite(largest):
        means = [largest - function ** trials[:, None] @ np.diff(x) for function in functions]
    return TuningBand(*medians, *means)


def _checked_bounds(bounds: object) -> tuple[float, float]:
    """The least and the largest possible score."""
    try:
        least, largest = map(float, bounds)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        least = largest = math.nan
    if not least < largest:
        raise ValueError(
            "bounds must be the least and the largest possible score, such as (0, 1), not "
            f"{brief(bounds)}."
        )
    return least, largest


def _checked_scores(scores: object, least: float, largest: float) -> Float[np.ndarray, " trials"]:
    """The scores, sorted."""
    try:
        array = np.asarray(scores, float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"scores must be a list of one number of each trial, not {brief(scores)}.")
    wrong = np.flatnonzero(~((least <= array) & (array <= largest)) | (array == math.inf))
    if wrong.size:
        raise ValueError(
            f"scores[{wrong[0]}] must be a number from {least:g} to {largest:g} (without bounds "
            f"−∞ is a trial that failed), not {array[wrong[0]]:g}."
        )
    return np.sort(array)


@functools.lru_cache
def _ends_of_ranks(n: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the intervals that hold all n sorted uniform numbers with the probability."""
    from scipy import optimize, stats  # in functions only: to import it takes longer than jaxnet

    ranks = np.arange(1, n + 1)

    def ends(log_eta: float) -> tuple[np.ndarray, np.ndarray]:
        tail = math.exp(log_eta) / 2
        of_rank = stats.beta(ranks, n + 1 - ranks)
        return np.asarray(of_rank.ppf(tail)), np.asarray(of_rank.isf(tail))

    # At η = (1 − level)/n the probability is at least the level, for the sum of all tails is.
    bracket = math.log((1 - level) / (2 * n)), math.log(1 - level / 2)
    excess = lambda log_eta: probability_of_ranks(*ends(log_eta)) - level
    return ends(float(np.asarray(optimize.brentq(excess, *bracket, xtol=1e-9))))


def probability_of_ranks(low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"]) -> float:
    """P(lowᵢ ≤ U₍ᵢ₎ ≤ highᵢ for all i), with U₍₁₎ ≤ … ≤ U₍ₙ₎ n independent uniform numbers, sorted.

    The numbers up to a time t are as many as a Poisson process of rate n has events, given that it
    has n by time 1. The distribution of this count goes from one end to the next.

    Args:
      low: the lower ends, in [0, 1] and sorted, shape (n,).
      high: the upper ends, in [0, 1], sorted, and nowhere below `low`.

    Returns:
      The probability, to about 1e-12.

    Source: Moscovich, Nadler, Fast calculation of boundary crossing probabilities for Poisson
    processes, 2017.

    >>> round(probability_of_ranks(np.array([0.0, 0.5]), np.array([0.5, 1.0])), 12)
    0.5
    """
    from scipy import special

    n = len(low)
    counts = np.arange(n + 1)
    log_factorials = special.gammaln(counts + 1)
    poisson = lambda k, mean: np.exp(special.xlogy(k, mean) - mean - log_factorials[k])
    times = np.unique([*low, *high, 1.0])
    fewest = np.searchsorted(high, times, side="right")
    most = np.searchsorted(low, times, side="left")
    first, probabilities, before = 0, np.ones(1), 0.0
    for time, least, largest in zip(times, fewest, most):
        steps = poisson(counts[: largest - first + 1], n * (time - before))
        probabilities = np.convolve(probabilities, steps)[least - first : largest - first + 1]
        first, before = least, time
    return float(probabilities[-1] / poisson(n, float(n)))
