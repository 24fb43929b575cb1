import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxnet.comparison import statistics

# Remission times (weeks) of 21 patients, + where still in remission: Freireich et al., 1963, as
# every textbook has them; the Kaplan–Meier median is 23, and S(23) = 0.448.
WEEKS = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+".split()


def test_the_interquartile_mean_is_the_mean_of_the_middle_half():
    x = np.random.default_rng(0).standard_normal((3, 32))
    np.testing.assert_allclose(statistics.iqm(x), np.sort(x, axis=1)[:, 8:24].mean(axis=1))


def test_the_bootstrap_interval_of_a_normal_mean_is_nearly_students():
    x = np.random.default_rng(1).standard_normal(60)
    expected = stats.t.interval(0.95, 59, x.mean(), x.std(ddof=1) / np.sqrt(60))
    np.testing.assert_allclose(statistics.bootstrap(x), expected, atol=0.03)


@pytest.mark.parametrize("x", [[1.0, np.inf], [np.nan, 1.0]])
def test_what_is_not_finite_has_no_interval(x):
    assert np.isnan(statistics.bootstrap(np.array(x))).all()


def test_a_statistic_that_no_single_seed_moves_still_has_an_interval():
    x = np.array([0.1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.9])
    low, high = statistics.bootstrap(x, statistics.iqm)
    assert 0.1 <= low <= 0.5 <= high <= 0.9


def test_all_equal_is_a_point():
    assert statistics.bootstrap(np.full(5, 0.25)) == (0.25, 0.25)


def test_resampling_both_axes_has_the_variance_of_both():
    random = np.random.default_rng(2)
    seeds, examples = random.standard_normal(30), 3 * random.standard_normal(400)
    scores = seeds[:, None] + examples[None, :]
    drawn = statistics.pigeonhole_bootstrap(np.stack([scores, scores + 1]))
    expected = np.sqrt(seeds.var() / 30 + examples.var() / 400)
    assert drawn[:, 0].std() == pytest.approx(expected, rel=0.06)
    np.testing.assert_allclose(drawn[:, 1] - drawn[:, 0], 1, atol=1e-5)  # the same resamples


@given(st.lists(st.integers(-6, 6).filter(bool), min_size=2, max_size=9))
def test_the_signed_rank_test_enumerates_all_signs(differences):
    ranks = stats.rankdata(np.abs(differences))
    signed = lambda signs: sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign)
    assert statistics.signed_ranks(np.array(differences, float)) == pytest.approx(
        2 * signed([d > 0 for d in differences]) - ranks.sum()
    )
    sums = [signed(signs) for signs in itertools.product([0, 1], repeat=len(ranks))]
    seen = signed([d > 0 for d in differences])
    below = np.mean([s <= seen for s in sums])
    above = np.mean([s >= seen for s in sums])
    expected = min(1.0, 2 * min(below, above))
    assert statistics.wilcoxon(np.array(differences, float)) == pytest.approx(expected)
    assert expected >= statistics.smallest_p_value(len(differences)) - 1e-12


def test_no_difference_at_all_has_p_1_and_rounding_makes_none():
    assert statistics.wilcoxon(np.zeros(5)) == 1
    assert statistics.wilcoxon(np.full(8, (0.1 + 0.2) - 0.3)) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.01, 0.5))
def test_holms_values_decide_as_his_procedure_does(p, alpha):
    order, rejected = np.argsort(p, kind="stable"), set()
    for place, index in enumerate(order):
        if (len(p) - place) * p[index] >= alpha:
            break
        rejected.add(int(index))
    adjusted = statistics.holm(np.array(p))
    # Of equal values either all or none are rejected; the sum of ties rounds as they do.
    assert {k for k in range(len(p)) if adjusted[k] < alpha} == rejected


def test_the_median_time_is_the_textbooks():
    times = np.array([float(week.rstrip("+")) for week in WEEKS])
    reached = np.array([not week.endswith("+") for week in WEEKS])
    median, fraction = statistics.time_to(times, reached)
    assert median == 23
    assert 1 - fraction == pytest.approx(0.448, abs=5e-4)


def test_what_fewer_than_half_reach_has_no_median():
    assert statistics.time_to(np.full(4, 10.0), np.zeros(4, bool)) == (np.inf, 0)
    reached = np.array([True, False, False, False])
    assert statistics.time_to(np.array([3.0, 10, 10, 10]), reached) == (np.inf, 0.25)


def test_tuning_studies_are_all_orders_of_all_trials():
    random = np.random.default_rng(3)
    loss, score = random.random((4, 2)), random.random((4, 2))
    loss[1, 0] = np.inf
    expected = np.zeros(4)
    orders = list(itertools.permutations(range(4)))
    for order, seed in itertools.product(orders, range(2)):
        for n in range(1, 5):
            best = min(order[:n], key=lambda trial: loss[trial, seed])
            expected[n - 1] += score[best, seed] / (2 * len(orders))
    studies = statistics.tuning_studies(loss, score, n_studies=20_000)
    np.testing.assert_allclose(studies.mean(axis=0), expected, atol=0.015)


@pytest.mark.parametrize("difference", [0.0, 0.3, 0.6, 3.0])
def test_the_power_is_the_part_of_simulated_tests_that_reject(difference):
    random = np.random.default_rng(4)
    samples = difference + random.standard_normal((3000, 32))
    rejected = np.mean(stats.wilcoxon(samples, axis=1).pvalue < 0.05)
    assert statistics.power(difference, 1.0, 32) == pytest.approx(rejected, abs=0.03)


def test_what_is_detectable_needs_seeds_and_spread():
    assert statistics.detectable_difference(0.0, 10) == 0
    assert statistics.detectable_difference(1.0, 5) == np.inf  # 2/2⁵ is above 5%
    assert statistics.detectable_difference(np.nan, 32) == np.inf
    assert statistics.detectable_difference(2.0, 32) == pytest.approx(
        2 * statistics.detectable_difference(1.0, 32)
    )
    assert statistics.detectable_difference(1.0, 32, alpha=0.01) > statistics.detectable_difference(
        1.0, 32
    )


def test_a_method_with_a_diverged_run_takes_no_interval_from_the_others():
    scores = np.random.default_rng(0).random((3, 4, 20))
    alone = statistics.pigeonhole_bootstrap(scores)
    scores[1, 2] = -np.inf
    resampled = statistics.pigeonhole_bootstrap(scores)
    np.testing.assert_array_equal(resampled[:, [0, 2]], alone[:, [0, 2]])
    assert np.isnan(resampled[:, 1]).all()
