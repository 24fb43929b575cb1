"""The sentences of a comparison, from tables made by hand."""

import math

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.comparison import conclusions, result_tables
from jaxnet.comparison.result_tables import Runs


def _report(label, scores):
    """The runs of a contender under the report's seeds; of those that diverged the score is −∞."""
    scores = np.array([scores], float)
    diverged = np.isinf(scores).astype(int)
    curve = scores[..., None]
    return Runs(
        label, (jn.Recipe(jn.sgd(0.1)),), tuple(range(scores.size)), -scores, scores, -scores,
        scores, diverged, diverged, curve, curve, -scores,
    )  # fmt: skip


def _sentences(*reports, score="−rmse"):
    resampled = np.zeros((100, len(reports)))
    for k, runs in enumerate(reports):
        resampled[:, k] = np.nan if np.isinf(runs.test_score).any() else 0
    pairs = result_tables.pair_rows(reports, resampled, 0.0, 0)
    summary = [
        {"optimizer": runs.label, "edge": "", "seeds": runs.test_score.size,
         "diverged": int((runs.diverged_epoch > 0).sum()), "test_score": runs.test_score.mean(),
         "test_score_low": math.nan, "test_score_high": math.nan}
        for runs in reports
    ]  # fmt: skip
    return conclusions.conclusion(summary, pairs, score, 0.0)[1:]


FOUND = {
    "best of all": ((3, 1, 0), "a is better than b and c."),
    "one is behind": (
        (1, 1, 0),
        "No difference between a and b could be found; c is worse than a and b.",
    ),
    "none": ((1, 1, 1), "No difference between a, b and c could be found."),
    "in steps": ((0, 1, 2), "c is better than a and b."),
}


@pytest.mark.parametrize("case", FOUND)
def test_the_first_sentence_is_what_the_tests_found(case):
    """Scores in steps of 1 with noise of which the signed ranks of equal levels cancel out."""
    levels, expected = FOUND[case]
    noise = np.array([[1, -2, 3, -4, -5, 6, -7, 8, 9, -10], [0.0] * 10]) / 100
    reports = [
        _report(label, level + noise[place % 2])
        for place, (label, level) in enumerate(zip("abc", levels))
    ]
    pairs = result_tables.pair_rows(reports, np.zeros((10, 3)), 0.0, 0)
    summary = [{"optimizer": runs.label, "edge": "", "seeds": 10} for runs in reports]
    assert conclusions._finding(summary, pairs) == expected


def test_one_that_is_only_in_part_better_is_worse_than_none():
    verdicts = {"ab": "better", "ac": "indistinguishable", "bc": "worse"}
    pairs = [{"a": a, "b": b, "verdict": verdict} for (a, b), verdict in verdicts.items()]
    summary = [{"optimizer": label, "edge": edge, "seeds": 10} for label, edge in
               zip("abc", ("EDGE (low)", "", ""))]  # fmt: skip
    assert conclusions._finding(summary, pairs) == (
        "No difference between a (EDGE) and c could be found; b is worse than a (EDGE) and c."
    )
    pairs[2]["verdict"] = "better"
    assert conclusions._finding(summary, pairs) == (
        "None is better than a (EDGE); b is worse than a (EDGE); c is worse than b."
    )
    pairs[1]["verdict"] = "worse"  # a before b before c before a
    assert conclusions._finding(summary, pairs) == (
        "a (EDGE) is worse than c; b is worse than a (EDGE); c is worse than b."
    )


def test_too_few_seeds_can_find_no_difference():
    pairs = [{"a": "a", "b": "b", "verdict": "indistinguishable"}]
    summary = [{"optimizer": label, "edge": "", "seeds": 4} for label in "ab"]
    assert conclusions._finding(summary, pairs) == (
        "No difference between a and b could be found: there are too few seeds."
    )


@pytest.mark.filterwarnings("error")
def test_runs_that_diverged_are_counted_where_no_mean_is_finite():
    """Each contender has failed in seeds of its own, so that differences are ∞, −∞ and NaN."""
    a, b, c = (np.linspace(-1.0, -0.9, 8) for _ in range(3))
    a[0] = -np.inf
    b[1:4] = -np.inf
    c[2] = -np.inf
    best, first, second, _ = _sentences(_report("a", a), _report("b", b), _report("c", c))
    assert best == (
        "No optimizer has a finite mean test −rmse, since runs of all of them failed; a and c each "
        "have the fewest that diverged, 1 of 8."
    )
    assert first.startswith("a and b are indistinguishable, p = ")
    assert first.endswith("since 1 of 8 runs of a and 3 of 8 runs of b diverged.")
    assert second.endswith("since 1 of 8 runs of a and 1 of 8 runs of c diverged.")


def test_an_infinite_difference_is_told_by_the_runs_that_diverged():
    good, bad = np.linspace(-0.5, -0.4, 12), np.linspace(-2.0, -1.0, 12)
    bad[:3] = -np.inf
    best, sentence = _sentences(_report("bad", bad), _report("good", good))
    assert best.startswith("good has the best mean test −rmse: −0.4500 ")
    assert sentence.startswith("good is ahead of bad in most seeds, p = ")
    assert sentence.endswith("no finite mean, since 3 of 12 runs of bad diverged.")
    assert "∞" not in best + sentence


AHEAD_IN_SIX = np.array([-1e-3, -2e-3, 0.010, 0.011, 0.012, 0.013, 0.014, 0.015])
"""Differences of which the signed-rank test has p = 2·(1 + 1 + 1 + 2)/2⁸ = 0.039: the sums 0 to 3
of ranks of one sign have 1, 1, 1 and 2 patterns of signs."""


def test_a_verdict_that_an_interval_seems_to_deny_says_what_decided():
    """0.039 would be below 0.05 for one pair, and is not when corrected for three."""
    a = np.linspace(0.8, 0.9, 8)
    others = _report("b", a - AHEAD_IN_SIX), _report("c", a - AHEAD_IN_SIX[::-1])
    sentence = _sentences(_report("a", a), *others)[1]
    assert sentence.startswith("a and b are indistinguishable: the difference is 0.0090 ")
    assert "p = 0.12 (corrected for 3 pairs)." in sentence
    assert sentence.endswith(
        " The interval over seeds excludes 0, but is for this pair alone: the signed-rank test "
        "over seeds decides, corrected for 3 pairs, at p < 0.05."
    )
    sentence = _sentences(_report("a", a), others[0])[1]
    assert sentence.startswith("a is better than b by 0.0090 ")
    assert ", p = 0.039." in sentence
    assert sentence.endswith(
        " The interval over seeds and examples includes 0, but the signed-rank test over seeds "
        "decides, at p < 0.05."
    )
