"""Sequential looks: a report adds seeds until every pair is decided, or known closely enough.

The looks are preset: their numbers of seeds n₁ < … < n_L = n are fixed before training, and each
has a part of the error α, in proportion to the seeds that it adds: α_l = α·(n_l − n_{l−1})/n. They
halve from look to look, so that the last look keeps about α/2, however many there are. A pair has
two guarantees, each by the sum of these parts, which is α:

- Verdict. At look l the exact signed-rank test on all seeds so far, with Holm's correction for all
  pairs, rejects at the level α_l. The probability of any false rejection at look l is at most α_l;
  at any look it is at most Σ α_l = α.
- Width. At look l the interval of the mean difference has the level 1 − α_l. The probability that
  it misses at look l is at most α_l, and at any look at most α: so the one at which the report
  stops holds the true difference with a probability of at least 1 − α, whatever made it stop.

Source: Lan, DeMets, Discrete sequential boundaries for clinical trials, 1983 (spending α, here in
proportion to the seeds, and without the correlation of the looks).
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.comparison import result_tables, statistics
from jaxnet.comparison.conclusions import score_text
from jaxnet.comparison.resampling import Interval
from jaxnet.comparison.result_tables import ALPHA
from jaxnet.io.csv import Row
from jaxnet.io.reading import JsonObject

FEWEST = 8
"""The fewest seeds of a look."""
OPEN, NARROW = "open", "narrow"
"""States of a pair without a verdict, at a look; with one it is "better" or "worse"."""


class Look(NamedTuple):
    """A look at the seeds so far.

    Attributes:
      seeds: how many seeds it looks at.
      alpha: its part of the error of 5%, in (0, 0.05].

    >>> Look(seeds=16, alpha=0.025).seeds
    16
    """

    seeds: int
    alpha: float


def preset(most: int, n_contenders: int) -> tuple[Look, ...]:
    """The looks of a report, from its largest number of seeds.

    The last look is at all seeds, and each one before at half of the next one's, down to `FEWEST`;
    without those at which no test could reject, even if all seeds had one sign.

    Args:
      most: the largest number of seeds.
      n_contenders: the number of contenders, of which all pairs are tested.

    Returns:
      The looks; fewer than two if there are too few seeds.

    >>> [look.seeds for look in preset(32, 2)], [look.alpha for look in preset(32, 2)]
    ([8, 16, 32], [0.0125, 0.0125, 0.025])
    """
    sizes, n_pairs = [most], math.comb(n_contenders, 2)
    while (half := math.ceil(sizes[0] / 2)) >= FEWEST:
        sizes.insert(0, half)
    while sizes and statistics.smallest_p_value(sizes[0]) * n_pairs >= ALPHA * sizes[0] / most:
        del sizes[0]
    return tuple(
        Look(size, ALPHA * (size - before) / most) for before, size in zip([0, *sizes], sizes)
    )


def fewest_seeds(n_contenders: int) -> int:
    """The smallest number of seeds that makes two looks."""
    return next(most for most in itertools.count(FEWEST) if len(preset(most, n_contenders)) > 1)


def exact_p_value(differences: Float[np.ndarray, " n"]) -> float:
    """The two-sided p-value of the signed-rank test, by all 2ⁿ patterns of signs.

    It is `statistics.wilcoxon` without a normal approximation where differences have equal sizes,
    as those of counts have: the probability that |Σ ±rank(|dᵢ|)| is as large as it is or larger.

    Args:
      differences: one difference per seed, shape (n,), of which those of 0 are left out.

    Returns:
      The p-value, in (0, 1].

    >>> exact_p_value(np.array([1.0, 1.0, 1.0, 1.0, 0.0])), 2 / 2**4
    (0.125, 0.125)
    """
    from scipy import stats  # in functions only: to import it takes longer than all of jaxnet

    rounded = np.round(differences, 12)
    rounded = rounded[rounded != 0]
    # Equal sizes share the mean of their ranks; twice that is a whole number.
    ranks = np.rint(2 * stats.rankdata(np.abs(rounded))).astype(int)
    distance = abs(int(np.sum(np.sign(rounded) * ranks)))
    sums, probabilities = _distribution(tuple(sorted(ranks.tolist())))
    return min(1.0, float(probabilities[np.abs(sums) >= distance].sum()))


@functools.lru_cache(maxsize=8)
def _distribution(ranks: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The sums ±r₁ ± r₂ …, and their probabilities under random signs."""
    total = sum(ranks)
    probabilities = np.zeros(total + 1)  # of the sum of the ranks with a plus
    probabilities[0] = 1.0
    for rank in ranks:
        with_plus = np.concatenate([np.zeros(rank), probabilities[:-rank]])
        probabilities = (probabilities + with_plus) / 2
    return 2 * np.arange(total + 1) - total, probabilities


def mean_interval(differences: Float[np.ndarray, " n"], alpha: float) -> Interval:
    """Student's interval of the mean: mean ± t·s/√n, with n − 1 degrees of freedom.

    Its level 1 − alpha is exact for normal differences, also where alpha is too small for a
    bootstrap of few seeds.

    Args:
      differences: one difference per seed, shape (n,).
      alpha: the probability that it misses.

    Returns:
      The interval; NaN at both ends if a difference is not finite.

    >>> low, high = mean_interval(np.arange(16.0), 0.05)
    >>> round(low, 2), round(high, 2)
    (4.96, 10.04)
    """
    from scipy import special

    if not np.isfinite(differences).all():
        return Interval(math.nan, math.nan)
    n, mean = len(differences), float(differences.mean())
    # Rounded as the test rounds: equal differences have no spread.
    sd = float(np.std(np.round(differences, 12), ddof=1))
    half = float(special.stdtrit(n - 1, 1 - alpha / 2)) * sd / math.sqrt(n)
    return Interval(mean - half, mean + half)


def take(
    looks: Sequence[Look],
    labels: Sequence[str],
    until: float,
    scores_of: Callable[[int], Sequence[np.ndarray]],
) -> list[Row]:
    """Take the looks in turn, until no pair is open or there are no more.

    Args:
      looks: the preset looks.
      labels: the contenders.
      until: the width of an interval below which a pair without a verdict is not open.
      scores_of: called with the place of a look, from 0; returns the scores of each contender
        under all seeds so far.

    Returns:
      A row for each look that was taken, and pair.

    >>> scores = [np.arange(15.0) + 1, np.arange(15.0)]
    >>> looks = preset(15, 2)
    >>> rows = take(looks, "ab", 0.1, lambda place: [x[: looks[place].seeds] for x in scores])
    >>> [(row["look"], row["seeds"], row["state"]) for row in rows]
    [(1, 8, 'better')]
    """
    rows: list[Row] = []
    before: list[Row] = []
    for place, look in enumerate(looks):
        scores = scores_of(place)
        before = _look_rows(place + 1, look, labels, scores, before)
        for row in before:
            if row["state"] == OPEN and row["width"] < until:
                row["state"] = NARROW
        rows += before
        if not any(row["state"] == OPEN for row in before):
            break
    return rows


def _look_rows(
    number: int,
    look: Look,
    labels: Sequence[str],
    scores: Sequence[np.ndarray],
    before: Sequence[Row],
) -> list[Row]:
    """The rows of one look, one for each pair, after those of the look before."""
    pairs = list(itertools.combinations(range(len(labels)), 2))
    differences = [result_tables.paired_differences(scores[i], scores[j]) for i, j in pairs]
    p_values = np.array([exact_p_value(difference) for difference in differences])
    rows = []
    for k, p_holm in enumerate(statistics.holm(p_values)):
        i, j = pairs[k]
        interval = mean_interval(differences[k], look.alpha)
        width = interval.high - interval.low
        # The look rejects if p_holm < its alpha, which is: if this one is below ALPHA.
        p_adjusted = min(1.0, float(p_holm) * ALPHA / look.alpha)
        direction = "better" if statistics.signed_ranks(differences[k]) > 0 else "worse"
        state = direction if p_adjusted < ALPHA else OPEN
        if before and before[k]["p_adjusted"] <= p_adjusted:
            p_adjusted = before[k]["p_adjusted"]
            state = before[k]["state"] if p_adjusted < ALPHA else OPEN
        rows.append({
            "look": number,
            "seeds": look.seeds,
            "alpha": look.alpha,
            "a": labels[i],
            "b": labels[j],
            "difference": result_tables.mean_of(differences[k]),
            "low": interval.low,
            "high": interval.high,
            # Differences that are all equal do not tell how much others would vary.
            "width": width if width > 0 else math.inf,
            "p": float(p_values[k]),
            "p_holm": float(p_holm),
            "p_adjusted": p_adjusted,
            "state": state,
        })  # fmt: skip
    return rows


def last_of(rows: Sequence[Row]) -> list[Row]:
    """The rows of the last look that was taken; none if there are no looks.

    Args:
      rows: those of `take`.

    Returns:
      A row for each pair.

    >>> last_of([{"look": 1}, {"look": 2}])
    [{'look': 2}]
    """
    return [row for row in rows if row["look"] == rows[-1]["look"]]


def description(looks: Sequence[Look], last_look: Sequence[Row], n_contenders: int) -> JsonObject:
    """The looks as the manifest of a comparison describes them.

    Args:
      looks: the preset looks.
      last_look: the rows of the look at which the report stopped.
      n_contenders: the number of contenders.

    Returns:
      The preset looks, and how many seeds and networks were taken and saved.
    """
    taken = last_look[0]["seeds"]
    saved = looks[-1].seeds - taken
    return {
        "seeds": [look.seeds for look in looks],
        "alphas": [look.alpha for look in looks],
        "taken": taken,
        "seeds_saved": saved,
        "networks_saved": saved * n_contenders,
    }


def sentence(described: JsonObject, last_look: Sequence[Row], until: float, score: str) -> str:
    """Where the report stopped, why, and what that saved.

    Args:
      described: the looks of the manifest: see `description`.
      last_look: the rows of the look at which the report stopped.
      until: the width that was asked for.
      score: what the score is called.

    Returns:
      A sentence.
    """
    n_looks, most, saved = (
        len(described["seeds"]), described["seeds"][-1], described["seeds_saved"]
    )  # fmt: skip
    number, text = last_look[0]["look"], score_text(score)
    unit = " points" if score == "accuracy" else ""
    reasons = {
        "decided": [_pair(row) for row in last_look if row["state"] not in (OPEN, NARROW)],
        f"narrower than {width_text(until, score)}": [
            _pair(row) for row in last_look if row["state"] == NARROW
        ],
        "still open": [
            f"{_pair(row)} (an interval of {text(row['width'])}{unit})"
            if math.isfinite(row["width"]) else _pair(row)
            for row in last_look if row["state"] == OPEN
        ],
    }  # fmt: skip
    why = "; ".join(f"{', '.join(names)} {reason}" for reason, names in reasons.items() if names)
    if not saved:
        return f"The report took all {most} seeds, in {n_looks} looks: {why}."
    return (
        f"The report stopped after {described['taken']} of at most {most} seeds, at look {number} "
        f"of {n_looks}: {why}; {saved} seeds, {described['networks_saved']} networks saved."
    )


def width_text(until: float, score: str) -> str:
    """A width with its unit: of accuracies in points."""
    return f"{100 * until:g} points" if score == "accuracy" else f"{until:g}"


def _pair(row: Row) -> str:
    return f"{row['a']} − {row['b']}"


def taken_seeds(manifest: JsonObject) -> list[int]:
    """The seeds of a report that were trained: all, or those up to the look at which it stopped.

    Args:
      manifest: the comparison's manifest.

    Returns:
      The seeds.
    """
    return manifest["protocol"]["report_seeds"][: manifest.get("looks", {}).get("taken")]
