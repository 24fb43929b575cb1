"""Bootstrap intervals over seeds, and over seeds and examples. Public as `jaxnet.statistics`.

Every random choice takes an explicit seed, so that a repeated call returns the same numbers.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

N_RESAMPLES = 2000
"""Number of bootstrap resamples: they locate the ends of a 95% interval to about 4% of its width.
"""


class Interval(NamedTuple):
    """An interval, such as a confidence interval.

    Attributes:
      low: the lower end; NaN if the interval does not exist.
      high: the upper end; NaN if the interval does not exist.

    >>> Interval(low=0.94, high=0.96).high
    0.96
    """

    low: float
    high: float


def iqm(x: Float[np.ndarray, "..."], axis: int = -1) -> Float[np.ndarray, "..."]:
    """The interquartile mean: the mean without the lowest and the highest quarter of the values.

    For n sorted values it is the sum of x₍ᵢ₎ over k < i ≤ n − k, divided by n − 2k, with k = ⌊n/4⌋.

    Args:
      x: the values, of any shape.
      axis: the axis along which the mean is taken; the last one by default.

    Returns:
      The interquartile means, of x's shape without that axis.

    Source: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice,
    2021, section 4.3; by `scipy.stats.trim_mean`.

    >>> float(iqm(np.array([-100.0, 1.0, 2.0, 50.0])))
    1.5
    """
    from scipy import stats  # in functions only: to import it takes longer than all of jaxnet

    return np.asarray(stats.trim_mean(x, 0.25, axis=axis))


def bootstrap(
    x: Float[np.ndarray, " n"],
    statistic: Callable[..., np.ndarray | np.floating] = np.mean,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A confidence interval of a statistic over seeds, by the BCa bootstrap.

    BCa is the bias-corrected and accelerated bootstrap, here with 2000 resamples. The ends are the
    quantiles Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))) of the resampled statistics, with
    z = Φ⁻¹((1 − level)/2) for the lower end and its negative for the upper one. z₀ corrects the
    bias; a corrects the skewness, from the statistics with one seed left out. If these are all
    equal, a is undefined, and the ends are plain percentiles.

    Args:
      x: one number per seed, shape (n,).
      statistic: a function of an array and a keyword `axis`, such as `np.mean` (the default) or
        `iqm`.
      level: the coverage of the interval, in (0, 1); 0.95 by default.
      seed: the seed of the resampling, at least 0.

    Returns:
      The interval. Both ends are NaN if a number is not finite; they are equal if all numbers are.

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
    without_one_seed = [float(statistic(np.delete(x, k))) for k in range(len(x))]
    interval = stats.bootstrap(
        (x,),
        statistic,
        n_resamples=N_RESAMPLES,
        confidence_level=level,
        method="BCa" if np.ptp(without_one_seed) > 0 else "percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(interval.low), float(interval.high))


def pigeonhole_bootstrap(
    scores: Float[np.ndarray, "k seeds examples"], seed: int = 0
) -> Float[np.ndarray, "resamples k"]:
    """Mean scores of k methods under 2000 resamples of both seeds and examples.

    A resample draws seeds and, independently, examples with replacement. With wₛ and vₑ the
    fractions of the draws that are seed s and example e, the mean score of method k is
    Σₛ Σₑ wₛ vₑ scores[k, s, e]. All methods share the resamples, so differences of columns are
    paired.

    Intervals over seeds alone hold for other seeds on this very test set; these intervals hold for
    other seeds and another test set. They are slightly too wide, since the interaction of seeds and
    examples is counted three times.

    Args:
      scores: the score of each run on each example, shape (k methods, seeds, examples).
      seed: the seed of the resampling, at least 0.

    Returns:
      The means, shape (2000, k); NaN for a method with a score that is not finite.

    Source: Owen, The pigeonhole bootstrap, 2007.

    >>> means = pigeonhole_bootstrap(np.ones((1, 3, 5)))
    >>> means.shape, float(means.std())
    ((2000, 1), 0.0)
    """
    random = np.random.default_rng(seed)
    _, n_seeds, n_examples = scores.shape
    is_finite = np.asarray(np.isfinite(scores).all(axis=(1, 2)))
    scores = np.where(is_finite[:, None, None], scores, 0.0).astype(np.float32)

    def fractions(n: int) -> Float[np.ndarray, " n"]:
        """How often each of n items is drawn in n draws, divided by n."""
        return np.bincount(random.integers(n, size=n), minlength=n) / n

    blocks = []
    for begin in range(0, N_RESAMPLES, 200):  # 200 resamples at once, to bound the memory
        size = min(200, N_RESAMPLES - begin)
        seed_weights = np.array([fractions(n_seeds) for _ in range(size)])
        example_weights = np.array([fractions(n_examples) for _ in range(size)], np.float32)
        seed_means = np.einsum("kse,re->rks", scores, example_weights, optimize=True)
        blocks.append(np.einsum("rks,rs->rk", seed_means, seed_weights))
    return np.where(is_finite, np.concatenate(blocks), np.nan)


def percentiles(draws: Float[np.ndarray, " n"], level: float = 0.95) -> Interval:
    """The percentile interval of bootstrap draws: their quantiles (1 − level)/2 and (1 + level)/2.

    Args:
      draws: the resampled statistics, shape (n,).
      level: the fraction of the draws inside the interval, in (0, 1); 0.95 by default.

    Returns:
      The interval; NaN at both ends if a draw is NaN.

    Source: Efron, Tibshirani, An introduction to the bootstrap, 1993, chapter 13.

    >>> percentiles(np.arange(101.0), 0.5)
    Interval(low=25.0, high=75.0)
    """
    low, high = (quantile(draws, q) for q in ((1 - level) / 2, (1 + level) / 2))
    return Interval(low, high)


def quantile(values: Float[np.ndarray, " n"], q: float) -> float:
    """A quantile of values, of which some may be infinite.

    It is interpolated between its neighbours. Where a value is infinite, it is the nearest of the
    values, since infinite neighbours cannot be interpolated between.

    Args:
      values: the values, shape (n,).
      q: the probability, in [0, 1].

    Returns:
      The quantile.

    >>> quantile(np.array([-np.inf, -np.inf, 1.0]), 0.1), quantile(np.array([1.0, 2.0]), 0.5)
    (-inf, 1.5)
    """
    return float(np.quantile(values, q, method="nearest" if np.isinf(values).any() else "linear"))
