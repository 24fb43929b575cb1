"""The tuning curves of random searches: a table with confidence bands, and what they show.

The curve is that of the selecting quantity, the best validation loss (or score, with a metric)
among n trials. What a search reports is the test score of that trial, which is no best of n
independent numbers, so that no such band holds for it.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from jaxnet.comparison import statistics
from jaxnet.comparison.conclusions import listed
from jaxnet.comparison.result_tables import ALPHA, Runs
from jaxnet.comparison.scores import Score
from jaxnet.io.csv import Row


def band_rows(tuned: Sequence[Runs], score: Score) -> list[Row]:
    """A row for each contender and number of random trials: the median best, and its joint band.

    The trials of each are independent, given the tuning seeds and the data. The bands of all k
    contenders hold together with probability 1 − ALPHA, each with 1 − ALPHA/k (Bonferroni).

    Args:
      tuned: the runs of each contender under the tuning seeds; their trials are independent.
      score: what judges; its metric, if it has one, is the selecting quantity.

    Returns:
      The rows. "median", "low" and "high" are validation losses or, with a metric, scores; an end
      that does not exist is infinite.
    """
    rows = []
    for runs in tuned:
        selecting = -runs.selection_loss.mean(axis=1)
        band = statistics.tuning_band(selecting, 1 - ALPHA / len(tuned))
        low, high, median = band.low, band.high, band.median
        if score.metric is None:
            low, high, median = -high, -low, -median
        rows += [
            {
                "optimizer": runs.label,
                "trials": n,
                "median": float(median[n - 1]),
                "low": float(low[n - 1]),
                "high": float(high[n - 1]),
            }
            for n in range(1, len(selecting) + 1)
        ]
    return rows


def sentences(rows: Sequence[Row], score: Score) -> list[str]:
    """Which optimizer is ahead of which in random searches of which lengths, by the joint bands.

    Args:
      rows: the rows of `band_rows`.
      score: what judges.

    Returns:
      A sentence for each pair with bands that are apart, and one on how far the bands reach; none
      if there are no rows.
    """
    if not rows:
        return []
    labels = list(dict.fromkeys(row["optimizer"] for row in rows))
    n_trials = max(row["trials"] for row in rows)
    ends = {
        label: np.array([(row["low"], row["high"]) for row in rows if row["optimizer"] == label])
        for label in labels
    }
    less_is_better = score.metric is None
    quantity = "validation loss" if less_is_better else f"validation {score.name}"
    ahead = []
    for a, b in itertools.permutations(labels, 2):
        low, high = (b, a) if less_is_better else (a, b)
        if lengths := _spans(np.flatnonzero(ends[high][:, 1] < ends[low][:, 0]) + 1):
            trials = f"{lengths} random trial{'s' * (lengths != '1')}"
            ahead.append(
                f"Tuned with {trials}, {a} is ahead of {b}: the joint "
                f"{1 - ALPHA:.0%} bands of the median of the best {quantity} are apart."
            )
    reach = min(
        max((np.flatnonzero(np.isfinite(of_label).all(axis=1)) + 1).tolist(), default=0)
        for of_label in ends.values()
    )
    trials = f"{reach} trial{'s' * (reach != 1)}"
    extent = f"together they reach to {trials}; longer searches cannot be judged from {n_trials}"
    extent = extent if reach else f"{n_trials} trials are too few for bands with two ends"
    if not ahead:
        return [
            f"The bands of the tuning curves of {listed(labels)} overlap at all lengths; {extent}."
        ]
    return [*ahead, f"As for the bands of tuning curves, {extent}."]


def _spans(numbers: np.ndarray) -> str:
    """Whole numbers in words, neighbours joined: 2 to 5 and 7; "" without any."""
    return " and ".join(_span_texts(numbers.tolist()))


def _span_texts(numbers: list[int]) -> Iterator[str]:
    """The text of each run of consecutive numbers."""
    for _, group in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        span = [number for _, number in group]
        yield str(span[0]) if len(span) == 1 else f"{span[0]} to {span[-1]}"
