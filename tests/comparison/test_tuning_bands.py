"""Tuning curves of independent random trials: their bands, where the answer is known."""

import numpy as np
import pytest
from scipy import integrate, stats

from jaxnet.comparison import statistics, tuning_bands, tuning_curves
from jaxnet.comparison.result_tables import Runs
from jaxnet.comparison.scores import AccuracyScore, MetricScore
from jaxnet.training import metrics

REPETITIONS = 2000
LEAST = 0.95 - 2 * np.sqrt(0.95 * 0.05 / REPETITIONS)


@pytest.mark.parametrize("n", [1, 2, 7, 64])
@pytest.mark.parametrize("level", [0.2, 0.95, 0.999])
def test_the_probability_of_ranks_is_that_of_kolmogorov_and_smirnov(n, level):
    """Of the band F̂ ± c, whose distribution SciPy has."""
    critical, ranks = stats.kstwo.ppf(level, n), np.arange(1, n + 1)
    low, high = ranks / n - critical, (ranks - 1) / n + critical
    inside = tuning_bands.probability_of_ranks(np.maximum(low, 0), np.minimum(high, 1))
    assert inside == pytest.approx(level, abs=1e-9)


def test_the_band_of_the_distribution_holds_with_exactly_its_probability():
    low, high = tuning_bands._ends_of_ranks(30, 0.95)
    uniform = np.sort(np.random.default_rng(0).random((20_000, 30)), axis=1)
    share = np.mean(((low <= uniform) & (uniform <= high)).all(axis=1))
    assert share == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 20_000))
    assert (np.diff(low) > 0).all()
    # Every interval leaves out as much as every other one, and as much below as above.
    ranks = np.arange(1, 31)
    tails = [stats.beta.cdf(low, ranks, 31 - ranks), stats.beta.sf(high, ranks, 31 - ranks)]
    np.testing.assert_allclose(tails, tails[0][0], rtol=1e-6)


@pytest.mark.parametrize("truth", [stats.uniform(), stats.beta(0.3, 2.0), stats.beta(8.0, 1.2)])
def test_the_bands_hold_for_all_numbers_of_trials_at_once(truth):
    n = 24
    trials = np.arange(1, n + 1)
    medians = truth.ppf(0.5 ** (1 / trials))
    x = np.linspace(0, 1, 4001)
    means = 1 - integrate.trapezoid(truth.cdf(x) ** trials[:, None], x)
    draws = truth.rvs((REPETITIONS, n), random_state=np.random.default_rng(1))
    bands = [statistics.tuning_band(scores, bounds=(0, 1)) for scores in draws]
    low, high, mean_low, mean_high = (
        np.array([getattr(band, name) for band in bands])
        for name in ("low", "high", "expected_low", "expected_high")
    )
    assert np.mean(((low <= medians) & (medians <= high)).all(axis=1)) >= LEAST
    assert np.mean(((mean_low <= means + 1e-4) & (means - 1e-4 <= mean_high)).all(axis=1)) >= LEAST


def test_of_scores_with_ties_the_bands_hold_more_often():
    trials = np.arange(1, 17)
    draws = np.random.default_rng(2).binomial(5, 0.6, (REPETITIONS, 16)).astype(float)
    medians = stats.binom(5, 0.6).ppf(0.5 ** (1 / trials))
    bands = [statistics.tuning_band(scores) for scores in draws]
    hold = [(band.low <= medians).all() and (medians <= band.high).all() for band in bands]
    assert np.mean(hold) >= LEAST


def test_the_curve_is_that_of_the_empirical_distribution():
    """Drawn from the scores themselves: P(best of n ≤ x) = (the fraction at most x)ⁿ."""
    scores = np.array([0.3, 0.9, 0.1, 0.5])
    band = statistics.tuning_band(scores, bounds=(0, 1))
    for n in (1, 2, 3):
        best = np.max(np.meshgrid(*[scores] * n), axis=0).ravel()
        assert band.expected[n - 1] == pytest.approx(best.mean())
        assert band.median[n - 1] == np.quantile(best, 0.5, method="inverted_cdf")


def test_trials_that_failed_are_the_worst_and_without_bounds_an_end_may_not_exist():
    scores = np.append(np.full(15, -np.inf), np.arange(25.0))
    band = statistics.tuning_band(scores)
    assert band.low[0] == -np.inf
    assert 0 <= band.median[0] < band.high[0] < 24
    assert band.high[-1] == np.inf
    assert np.isnan(band.expected).all()
    assert np.isfinite(band.low[1:]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.array([]),), "scores must be a list of one number of each trial"),
        ((np.array([0.5, np.nan]),), r"scores\[1\] must be a number .*, not nan"),
        ((np.array([0.5, 1.5]), 0.95, (0, 1)), r"scores\[1\] must be a number from 0 to 1"),
        ((np.array([0.5]), 0.95, (1, 0)), r"bounds must be .*, not \(1, 0\)"),
        ((np.array([0.5]), 1.0), r"level must be above 0 and below 1, such as 0\.95, not 1"),
    ],
)
def test_what_has_no_band_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        statistics.tuning_band(*arguments)


def _runs(label, losses):
    arrays = dict.fromkeys(Runs._fields[3:], np.asarray(losses)[:, None])
    return Runs(label, (), (0,), **arrays)


def test_an_optimizer_is_ahead_only_where_the_joint_bands_are_apart():
    losses = np.random.default_rng(3).random((3, 200))
    tuned = [_runs("a", losses[0]), _runs("b", losses[1]), _runs("c", 0.2 + losses[2])]
    rows = tuning_curves.band_rows(tuned, AccuracyScore())
    a, b, c = ([row for row in rows if row["optimizer"] == label] for label in "abc")
    joint = statistics.tuning_band(-losses[0], 1 - 0.05 / 3)
    np.testing.assert_array_equal([row["median"] for row in a], -joint.median)
    np.testing.assert_array_equal([row["low"] for row in a], -joint.high)
    np.testing.assert_array_equal([row["high"] for row in a], -joint.low)
    *ahead, last = tuning_curves.sentences(rows, AccuracyScore())
    reach = int(np.isfinite(joint.high).sum())
    for label, band, sentence in zip("ab", (a, b), ahead, strict=True):
        apart = [n for n, (of, than) in enumerate(zip(band, c), 1) if of["high"] < than["low"]]
        assert apart == list(range(apart[0], reach + 1))
        assert 1 < apart[0] < reach
        lengths = f"{apart[0]} to {reach}"
        assert sentence.startswith(f"Tuned with {lengths} random trials, {label} is ahead of c:")
    assert f"reach to {reach} trials; longer searches cannot be judged from 200" in last


def test_few_trials_are_said_to_be_too_few():
    losses = np.random.default_rng(3).random((2, 5))
    tuned = [_runs("a", losses[0]), _runs("b", losses[1])]
    rows = tuning_curves.band_rows(tuned, AccuracyScore())
    assert "5 trials are too few for bands" in tuning_curves.sentences(rows, AccuracyScore())[-1]


def test_a_metric_is_its_own_curve_and_more_of_it_is_better():
    score = MetricScore(metrics.f1, "f1")
    scores = np.random.default_rng(4).random((2, 50)) * [[0.5], [1.0]] + [[0.0], [2.0]]
    tuned = [_runs("a", -scores[0]), _runs("b", -scores[1])]
    rows = tuning_curves.band_rows(tuned, score)
    joint = statistics.tuning_band(scores[1], 0.975)
    np.testing.assert_array_equal([row["low"] for row in rows[50:]], joint.low)
    first, _ = tuning_curves.sentences(rows, score)
    assert first.startswith("Tuned with 1 to ")
    assert "b is ahead of a" in first
    assert "median of the best validation f1" in first


def test_lengths_are_joined_in_words():
    assert tuning_curves._spans(np.array([2, 3, 4, 7, 9, 10])) == "2 to 4 and 7 and 9 to 10"
    assert tuning_curves._spans(np.array([], int)) == ""


def test_where_no_band_is_apart_nobody_is_ahead():
    losses = np.random.default_rng(5).random((2, 20))
    rows = tuning_curves.band_rows([_runs("a", losses[0]), _runs("b", losses[1])], AccuracyScore())
    (sentence,) = tuning_curves.sentences(rows, AccuracyScore())
    assert sentence.startswith("The bands of the tuning curves of a and b overlap at all lengths")
    assert tuning_curves.sentences([], AccuracyScore()) == []
