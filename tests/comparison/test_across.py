"""Comparisons on several tasks, evaluated together, from scores made by hand."""

import itertools
import re

import numpy as np
import pytest
from scipy import stats

from jaxnet.comparison import across, statistics
from tests.support import task_samples

LABELS = ("sgd", "momentum", "adam")


def _normalized(compared, label):
    """The normalized test scores of an optimizer, by hand: shape (tasks, seeds)."""
    return np.array([
        [1 - (1 - run["test_score"]) / 0.05 for run in comparison.runs
         if run["phase"] == "report" and run["optimizer"] == label]
        for comparison in compared.values()
    ])  # fmt: skip


@pytest.fixture(scope="module")
def compared():
    return task_samples.comparisons(8)


@pytest.fixture(scope="module")
def result(compared):
    return across(compared)


def test_tables_are_the_statistics_of_normalized_scores(compared, result):
    scores = {label: _normalized(compared, label) for label in LABELS}
    of_all = {row["optimizer"]: row for row in result.aggregates if row["task"] == "all tasks"}
    for label in LABELS:
        row, runs = of_all[label], np.sort(scores[label].ravel())
        assert row["iqm"] == pytest.approx(runs[16:48].mean(), abs=1e-9)
        assert row["gap"] == pytest.approx(np.maximum(-runs, 0).mean(), abs=1e-9)
        assert row["iqm_low"] < row["iqm"] < row["iqm_high"]
        assert row["gap_low"] < row["gap"] < row["gap_high"]
        profile = [row for row in result.score_profiles if row["optimizer"] == label]
        fractions = [(runs > row["score"]).mean() for row in profile]
        np.testing.assert_allclose([row["fraction"] for row in profile], fractions, atol=1e-9)
        widths = {round(row["high"] - row["fraction"], 9) for row in profile if row["high"] < 1}
        assert len(widths) == 1  # the band is equally wide everywhere
    by_task = {(row["task"], row["optimizer"]): row for row in result.aggregates}
    row = by_task["task 2", "adam"]
    assert row["test_score"] == pytest.approx(1 - 0.05 * (1 - scores["adam"][2].mean()), abs=1e-9)
    assert row["iqm"] == pytest.approx(np.sort(scores["adam"][2])[2:6].mean(), abs=1e-9)
    pairs = {(row["task"], row["a"], row["b"]): row for row in result.improvement}
    for a, b in itertools.combinations(LABELS, 2):
        wins = (scores[a][:, :, None] > scores[b][:, None, :]).mean(axis=(1, 2))
        row = pairs["all tasks", a, b]
        assert row["p_improvement"] == pytest.approx(wins.mean(), abs=1e-9)
        assert row["low"] < wins.mean() < row["high"]
        assert pairs["task 5", a, b]["p_improvement"] == pytest.approx(wins[5], abs=1e-9)


def test_tests_and_ranks_are_over_the_means_of_the_tasks(compared, result):
    means = np.array([_normalized(compared, row["optimizer"]).mean(axis=1)
                      for row in result.task_ranks])  # fmt: skip
    pairs = list(itertools.combinations(range(3), 2))
    p_values = np.array([stats.wilcoxon(means[i], means[j]).pvalue for i, j in pairs])
    np.testing.assert_allclose([row["p"] for row in result.task_tests], p_values, atol=1e-9)
    holm = statistics.holm(p_values)
    np.testing.assert_allclose([row["p_holm"] for row in result.task_tests], holm, atol=1e-9)
    ranks = stats.rankdata(-means, axis=0)
    for k, row in enumerate(result.task_ranks):
        assert row["mean_rank"] == pytest.approx(ranks[k].mean())
        assert row["without task 3"] == pytest.approx(np.delete(ranks[k], 3).mean())
    assert result.task_tests[1]["verdict"] == "better"
    assert result.conclusion[:2] == [
        "sgd is better than momentum and adam over the 8 tasks (p ≤ 0.023, corrected for 3 pairs).",
        "momentum is better than adam over the 8 tasks (p = 0.023, corrected for 3 pairs).",
    ]
    assert not result.warnings


def test_too_few_tasks_are_said():
    result = across(task_samples.comparisons(3))
    assert result.conclusion[0] == "No difference over tasks could be found: there are too few, 3."
    assert result.warnings == [
        "3 tasks can never show a difference over tasks: the smallest p-value of the test is "
        "2/2³ = 0.25, corrected for 3 pairs 0.75, above 0.05; 3 optimizers need at least 7 tasks."
    ]


def test_the_first_rank_that_hangs_on_one_task_is_said():
    high, low = [0.97, 0.98], [0.96, 0.95]
    compared = {
        name: task_samples.comparison({"a": a, "b": b})
        for name, a, b in [("one", high, low), ("two", high, low), ("three", low, high)]
    }
    assert across(compared).conclusion[-1] == (
        "The best mean rank is that of a; without one it is a and b, without two it is a and b."
    )


def test_metrics_of_which_less_is_better_are_normalized_from_zero():
    rmse = {"score": "−rmse", "higher_is_better": False, "score_of_diverged": None}
    compared = {
        "houses": task_samples.comparison({"a": [-2, -4], "b": [-3, -np.inf]}, [-4.0], **rmse),
        "digits": task_samples.comparison({"a": [0.95, 1.0], "b": [0.9, 0.9]}),
    }
    result = across(compared)
    of = {(row["task"], row["optimizer"]): row for row in result.aggregates}
    assert result.targets == {"houses": 4.0, "digits": 0.95}
    assert of["houses", "a"]["mean"] == pytest.approx(0.25)
    assert of["houses", "b"]["mean"] == -np.inf  # a run that diverged
    assert across(compared, {"houses": 2.0}).targets == {"houses": 2.0, "digits": 0.95}
    with pytest.raises(ValueError, match=r"targets\['houses'\] must be above 0, .*, not -1"):
        across(compared, {"houses": -1.0})
    assert across(compared, result.targets).aggregates == result.aggregates


def test_tasks_with_other_numbers_of_seeds_share_the_first_ones():
    scores = np.linspace(0.9, 0.99, 10)
    few, many = ({"a": scores[:n], "b": scores[::-1][:n]} for n in (4, 10))
    compared = {"few": task_samples.comparison(few), "many": task_samples.comparison(many)}
    result = across(compared)
    assert {row["seeds"] for row in result.aggregates} == {4}
    assert "the first 4 of each count" in result.warnings[-1]
    # A report that stopped at a look has fewer seeds than its protocol.
    stopped = task_samples.comparison(few, looks={"taken": 4})
    stopped.manifest["protocol"]["report_seeds"] = many_seeds = [*range(1000, 1010)]
    assert compared["many"].manifest["protocol"]["report_seeds"] == many_seeds
    result = across({"stopped": stopped, "many": compared["many"]})
    assert "the first 4 of each count" in result.warnings[-2]
    assert "The seeds of stopped were added in looks" in result.warnings[-1]
    assert result.improvement[0]["p_improvement"] == result.improvement[1]["p_improvement"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: [{"a": c["task 0"]}], "comparisons must be a dict of two comparisons or more"),
        (lambda c: [{**c, "all tasks": c["task 0"]}],
         "a task's name must be a text other than 'all tasks'"),
        (lambda c: [{**c, "x": task_samples.comparison({"adam": [1.0]})}],
         "must be of the same optimizers: that of x has adam, and not sgd, momentum, adam"),
        (lambda c: [{**c, "x": task_samples.comparison({name: [1] for name in LABELS}, [])}],
         r"x has no target, .*; add one: targets=\{'x': "),
        (lambda c: [c, {"t": 0.9}], "targets names t, which is none of the tasks: task 0, task 1"),
        (lambda c: [c, {"task 1": 1.0}],
         r"targets\['task 1'\] must be below 1, the best possible score, not 1"),
        (lambda c: [c, None, -1], "seed"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message) as error:
        across(*change(task_samples.comparisons(2)))
    assert len(re.findall(r"[.?!](?=\s|$)", str(error.value))) == 1


def test_the_same_comparisons_give_the_same_files(compared, result, tmp_path):
    result.write(tmp_path / "a")
    across(compared).write(tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["aggregates.csv", "improvement.csv", "score_profiles.csv", "task_ranks.csv",
                     "task_tests.csv"]  # fmt: skip
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_target_that_no_score_is_better_than_normalizes_nothing():
    scores = {"a": [0.95, 0.96], "b": [0.9, 0.91]}
    tasks = {name: task_samples.comparison(scores, (0.9, 1.0)) for name in ("x", "y")}
    assert across(tasks).targets == {"x": 0.9, "y": 0.9}
    tasks["y"] = task_samples.comparison(scores, (1.0,))
    with pytest.raises(ValueError, match="y has no target"):
        across(tasks)


def test_without_a_finite_interquartile_mean_none_is_best():
    rmse = {"score": "−rmse", "higher_is_better": False, "score_of_diverged": None}
    failed = {"a": [-2.0, -np.inf, -np.inf], "b": [-np.inf, -3.0, -np.inf]}
    tasks = {name: task_samples.comparison(failed, [-4.0], **rmse) for name in ("x", "y")}
    assert "No optimizer has a finite interquartile mean" in across(tasks).conclusion[1]


def test_tables_are_there_for_a_paper(result):
    frame = result.to_frame("task_ranks")
    assert frame["mean_rank"].tolist() == [row["mean_rank"] for row in result.task_ranks]
    head, rule, *lines = result.to_markdown().split("\n")
    assert head.startswith("| task | optimizer | iqm | iqm low |")
    assert rule.startswith("|---|---|---:|")
    assert len(lines) == len(result.aggregates)
    assert result.to_latex("task_tests", ["a", "b", "p"]).startswith(r"\begin{tabular}{llr}")
    with pytest.raises(ValueError, match="table must be"):
        result.to_frame("runs")
