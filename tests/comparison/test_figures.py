"""Figures of scores of any range, from tables made by hand."""

import numpy as np
import pytest

from jaxnet.comparison import Comparison
from jaxnet.comparison.scores import AccuracyScore, MetricScore
from jaxnet.reporting import comparison_plots
from jaxnet.reporting.score_axis import ScoreAxis
from jaxnet.training import metrics

SEEDS = [1000, 1001]


def _comparison(description, curves):
    """Two contenders, of which `curves` has the validation scores, shape (2, seeds, epochs).

    Where a score is NaN the run has diverged.
    """
    rows = [
        {"phase": "report", "optimizer": label, "seed": seed, "epoch": epoch + 1,
         "valid_score": float(score)}
        for label, of_label in zip("ab", curves, strict=True)
        for seed, of_seed in zip(SEEDS, of_label, strict=True)
        for epoch, score in enumerate(of_seed)
        if np.isfinite(score)
    ]  # fmt: skip
    manifest = description | {
        "protocol": {"report_seeds": SEEDS, "epochs": len(curves[0][0]), "batch_size": 10},
        "examples": [100, 10, 10],
    }
    summary = [{"optimizer": label, "edge": ""} for label in "ab"]
    tables = {name: [] for name in Comparison._fields}
    return Comparison(**(tables | {"manifest": manifest, "summary": summary, "timing": {},
                                   "report_curves": rows}))  # fmt: skip


def _lines(comparison):
    (axes,) = comparison_plots.curves(comparison).axes
    return axes, [np.asarray(line.get_ydata()) for line in axes.lines]


def test_scores_outside_of_0_and_1_are_drawn_themselves_on_a_linear_axis():
    curves = [[[-2.0, 0.5], [-1.0, 0.7]], [[-4.0, -2.0], [0.0, 0.2]]]
    compared = _comparison(MetricScore(metrics.r2, "r2").description(), curves)
    axes, lines = _lines(compared)
    np.testing.assert_allclose(lines, np.mean(curves, axis=1))
    assert axes.get_yscale() == "linear"
    assert axes.get_ylabel() == "validation score, r2"


def test_a_run_that_diverged_is_never_drawn_as_the_better_one():
    """A score of 0 in its place would be above an R² of −2."""
    curves = [[[-2.0, -2.0], [-2.0, np.nan]], [[-2.0, -2.0], [-2.0, -2.0]]]
    compared = _comparison(MetricScore(metrics.r2, "r2").description(), curves)
    _, (lost, good) = _lines(compared)
    assert np.isnan(lost[1])
    assert good[1] == -2
    curves = comparison_plots._score_curves(compared, "a", ScoreAxis(compared).of_diverged)
    np.testing.assert_array_equal(curves[1], [-2, -np.inf])


def test_a_metric_with_a_worst_value_has_it_after_a_divergence():
    """The Hamming loss of a run that diverged is 1, as in the tables."""
    curves = [[[-0.2, -0.2], [-0.2, np.nan]], [[-0.1, -0.1], [-0.1, -0.1]]]
    compared = _comparison(MetricScore(metrics.hamming, "hamming").description(), curves)
    axes, lines = _lines(compared)
    np.testing.assert_allclose(lines, [[0.2, 0.6], [0.1, 0.1]])
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "validation error, hamming"


@pytest.mark.parametrize("score", ["accuracy", "R²", "−mae"])
def test_manifests_without_a_direction_are_drawn_as_before(score):
    sign = -1 if score == "−mae" else 1
    curves = sign * np.array([[[0.5, 0.6], [0.7, np.nan]], [[0.5, 0.9], [0.5, 0.9]]])
    _, lines = _lines(_comparison({"score": score}, curves))
    if score == "−mae":
        np.testing.assert_allclose(lines[0], [0.6, np.nan])
    else:
        np.testing.assert_allclose(lines[0], [0.4, 0.7])
    assert AccuracyScore().description() == {"score": "accuracy"}
