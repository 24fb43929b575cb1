"""Statistics of several tasks, against rliable's numbers, NumPy by hand, and simulated truths."""

import itertools

import numpy as np
import pytest
from scipy import stats

from jaxnet.comparison import statistics

TASKS, SEEDS = 4, 9


def _scores():
    """Scores of two contenders with many ties, by a generator that every platform has."""
    state, uniform = 1, []
    for _ in range(2 * TASKS * SEEDS):
        state = (1103515245 * state + 12345) % 2**31
        uniform.append(state / 2**31)
    scores = 1.6 * np.reshape(uniform, (2, TASKS, SEEDS)) - 0.3
    return np.round(scores + np.array([0.0, 0.05])[:, None, None], 1)


A, B = _scores()
THRESHOLDS = np.array([-0.25, 0.0, 0.3, 0.5, 0.95, 1.2])
# Computed once by rliable 1.2.0 (pandas 2) from A.T and B.T: metrics.aggregate_iqm,
# aggregate_optimality_gap(gamma), probability_of_improvement, library.run_score_deviation.
RLIABLE_IQM = (0.6055555555555556, 0.5055555555555555)
RLIABLE_GAP = {1.0: (0.4444444444444444, 0.5055555555555556),
               0.5: (0.14166666666666666, 0.17222222222222222)}  # fmt: skip
RLIABLE_IMPROVEMENT = 0.5524691358024691
RLIABLE_PROFILES = np.array([
    [1.0, 0.8611111111111112, 0.6388888888888888, 0.5555555555555556, 0.2222222222222222,
     0.027777777777777776],
    [1.0, 0.8611111111111112, 0.6388888888888888, 0.3888888888888889, 0.2777777777777778,
     0.1111111111111111],
])  # fmt: skip


def test_aggregates_are_those_of_rliable():
    both = np.stack([A, B])
    close = {"rtol": 0, "atol": 1e-9}
    np.testing.assert_allclose(statistics.aggregate_iqm(both), RLIABLE_IQM, **close)
    for target, gaps in RLIABLE_GAP.items():
        np.testing.assert_allclose(statistics.optimality_gap(both, target), gaps, **close)
    improvement = statistics.probability_of_improvement(A, B)
    np.testing.assert_allclose(improvement, RLIABLE_IMPROVEMENT, **close)
    profiles = statistics.performance_profile(both, THRESHOLDS)
    np.testing.assert_allclose(profiles, RLIABLE_PROFILES, **close)


def test_aggregates_are_their_definitions_in_loops():
    runs = sorted(A.ravel().tolist())
    assert statistics.aggregate_iqm(A) == pytest.approx(np.mean(runs[9:27]), abs=1e-12)
    shortfalls = [max(0.0, 0.7 - score) for score in runs]
    assert statistics.optimality_gap(A, 0.7) == pytest.approx(np.mean(shortfalls), abs=1e-12)
    by_task = [
        np.mean([(a > b) + (a == b) / 2 for a, b in itertools.product(of_a, of_b)])
        for of_a, of_b in zip(A, B[:, :5], strict=True)
    ]
    assert statistics.probability_of_improvement(A, B[:, :5]) == pytest.approx(np.mean(by_task))
    mann_whitney = [stats.mannwhitneyu(*of_task).statistic for of_task in zip(A, B, strict=True)]
    np.testing.assert_allclose(
        statistics.probability_of_improvement(A, B), np.mean(mann_whitney) / SEEDS**2, atol=1e-12
    )


def test_leading_axes_are_evaluated_one_by_one():
    stacked = np.stack([[A, B], [B, A], [A, A]])
    functions = (
        statistics.aggregate_iqm,
        statistics.optimality_gap,
        lambda x: statistics.performance_profile(x, THRESHOLDS),
        lambda x: statistics.probability_of_improvement(x, B),
    )
    for function in functions:
        one_by_one = [[function(scores) for scores in pair] for pair in stacked]
        np.testing.assert_allclose(function(stacked), one_by_one, atol=1e-12)


def test_normalized_scores_are_linear_in_the_error():
    accuracies = np.array([0.9, 0.95, 1.0])
    np.testing.assert_allclose(statistics.normalized(accuracies, 0.95), [-1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(statistics.normalized(np.array([-3.0, 0.0]), -2.0, 0.0), [-0.5, 1])
    with pytest.raises(ValueError, match=r"target must be below the best possible score, 1: 1\."):
        statistics.normalized(accuracies, 1.0)


def test_resamples_are_drawn_within_each_task_and_paired_between_contenders():
    scores = np.stack([A, A + 1.0])
    draws = statistics.stratified_bootstrap(scores, lambda x: x.mean(axis=-1))
    assert draws.shape == (2000, 2, TASKS)
    np.testing.assert_allclose(draws[:, 1] - draws[:, 0], 1)
    np.testing.assert_allclose(draws[:, 0].mean(axis=0), A.mean(axis=1), atol=0.03)
    expected = A.std(axis=1) / np.sqrt(SEEDS)  # each task by its own seeds, and independently
    np.testing.assert_allclose(draws[:, 0].std(axis=0), expected, rtol=0.06)
    correlations = np.corrcoef(draws[:, 0].T)[np.triu_indices(TASKS, 1)]
    assert np.abs(correlations).max() < 0.08
    again = statistics.stratified_bootstrap(scores, lambda x: x.mean(axis=-1))
    np.testing.assert_array_equal(draws, again)
    other = statistics.stratified_bootstrap(scores, lambda x: x.mean(axis=-1), seed=1)
    assert not np.array_equal(draws, other)


@pytest.mark.slow
def test_intervals_and_bands_hold_the_truth_as_often_as_they_say(monkeypatch):
    """5 tasks of 8 seeds, normal scores: the band of the profile, and the interval of the IQM."""
    monkeypatch.setattr("jaxnet.comparison.aggregates.N_RESAMPLES", 300)
    random = np.random.default_rng(3)
    means, sds = random.normal(0, 0.5, (5, 1)), random.uniform(0.5, 1.5, (5, 1))
    thresholds = np.linspace(-2, 2, 15)
    true_profile = stats.norm.sf(thresholds, means, sds).mean(axis=0)
    truth = statistics.aggregate_iqm(means + sds * random.standard_normal((5, 200_000)))
    level = statistics.expanded_level(0.95, 5, 8)
    in_band, in_interval, n = 0, 0, 300
    for k in range(n):
        scores = means + sds * random.standard_normal((5, 8))
        profile = lambda x: statistics.performance_profile(x, thresholds)
        draws = statistics.stratified_bootstrap(scores, profile, seed=k)
        width = statistics.simultaneous_half_width(profile(scores), draws, 8)
        in_band += np.abs(profile(scores) - true_profile).max() <= width
        iqms = statistics.stratified_bootstrap(scores, statistics.aggregate_iqm, seed=k)
        low, high = statistics.percentiles(iqms, level)
        in_interval += low <= truth <= high
    assert 0.92 <= in_band / n <= 0.99
    assert 0.92 <= in_interval / n <= 0.99


def test_mean_ranks_are_those_of_friedmans_test():
    scores = np.random.default_rng(0).normal(size=(4, 7))
    ranks = statistics.mean_ranks(scores)
    k, n = scores.shape
    chi_square = 12 * n / (k * (k + 1)) * np.sum((ranks - (k + 1) / 2) ** 2)
    assert chi_square == pytest.approx(stats.friedmanchisquare(*scores).statistic)
    tied = np.array([[0.1 + 0.2, 1.0], [0.3, 0.0]])  # equal up to the last bit
    assert statistics.mean_ranks(tied).tolist() == [1.25, 1.75]


def test_the_fewest_tasks_are_those_with_which_a_test_rejects():
    for k in range(2, 9):
        n, pairs = statistics.tasks_needed(k), k * (k - 1) // 2
        p = lambda n: statistics.wilcoxon(np.arange(1.0, n + 1))  # every task agrees
        assert statistics.holm(np.r_[p(n), np.ones(pairs - 1)])[0] < 0.05
        assert statistics.holm(np.r_[p(n - 1), np.ones(pairs - 1)])[0] >= 0.05


def test_bars_join_all_neighbours_that_do_not_differ():
    ranks = np.array([3.0, 1.0, 2.0, 4.0])
    differ = np.zeros((4, 4), bool)
    assert statistics.groups(ranks, differ) == [(1, 2, 0, 3)]
    differ[1, 3] = differ[3, 1] = True
    assert statistics.groups(ranks, differ) == [(1, 2, 0), (2, 0, 3)]
    assert statistics.groups(ranks, ~np.eye(4, dtype=bool)) == []
