"""Sequential looks: their tests by counting signs, their errors by simulation, and a comparison.

The simulation is written for many reports at once, in NumPy; some of them are taken by the library.
"""

import itertools
import json

import numpy as np
import pytest
from scipy import stats

import jaxnet as jn
from jaxnet.comparison import file_checks, looks, read
from jaxnet.comparison.looks import exact_p_value, fewest_seeds, mean_interval, preset, take
from jaxnet.reporting import comparison_page
from tests.support.json_schema import manifest_faults

REPORTS = 4000


# --- Tests and intervals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "differences",
    [
        [1, 2, -3, 4, 5, 6, 7, -8, 9], [1, 1, 1, -1, 2, 2, -3, 3], [0, 0, 1, 2, 2, -2, 0, 5],
        [-0.5, -0.5, -0.5, -0.5, -0.5, -0.5, -0.5, -0.5], [np.inf, np.inf, 1, -2, 3, -np.inf],
    ],
)  # fmt: skip
def test_the_p_value_is_the_share_of_all_sign_patterns(differences):
    differences = np.array(differences, float)
    sizes = np.abs(differences[differences != 0])
    ranks = stats.rankdata(sizes)
    sums = [abs(np.dot(ranks, s)) for s in itertools.product([-1, 1], repeat=len(ranks))]
    observed = abs(np.sum(ranks * np.sign(differences[differences != 0])))
    assert exact_p_value(differences) == pytest.approx(np.mean(np.array(sums) >= observed))


def test_without_ties_it_is_scipys_and_without_differences_it_is_1():
    differences = np.random.default_rng(0).normal(0.4, 1, 40)
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert exact_p_value(differences) == pytest.approx(expected, rel=1e-9)
    assert exact_p_value(np.zeros(8)) == 1
    assert exact_p_value(np.arange(1.0, 41)) == pytest.approx(2 / 2**40)


def test_the_interval_is_that_of_the_t_test():
    differences = np.random.default_rng(0).normal(0.4, 1, 16)
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.9875)
    np.testing.assert_allclose(mean_interval(differences, 0.0125), expected)
    assert np.isnan(mean_interval(np.array([1.0, np.inf]), 0.05)).all()


@pytest.mark.parametrize("n_contenders", [2, 3, 4, 6])
def test_every_look_can_reject_and_their_parts_are_all_of_the_error(n_contenders):
    n_pairs, fewest = n_contenders * (n_contenders - 1) // 2, fewest_seeds(n_contenders)
    assert len(preset(fewest - 1, n_contenders)) < 2
    for most in (fewest, 32, 33, 64, 100):
        plan = preset(most, n_contenders)
        assert len(plan) >= 2
        assert plan[-1].seeds == most
        assert sum(look.alpha for look in plan) == pytest.approx(0.05)
        assert plan[-1].alpha >= 0.023
        for look in plan:
            assert look.seeds >= 8
            assert stats.binomtest(0, look.seeds).pvalue * n_pairs < look.alpha
    assert [look.seeds for look in preset(64, 2)] == [16, 32, 64]


# --- Errors, by simulation -----------------------------------------------------------------------


def many_reports(scores, plan, until):
    """What the reports end with, whose scores have the shape (reports, contenders, seeds).

    Returns, of shape (reports, pairs): whether a pair is called different, and the ends of its
    interval at the look where the report stops; and that look of each report.
    """
    pairs = list(itertools.combinations(range(scores.shape[1]), 2))
    every = np.stack([scores[:, i] - scores[:, j] for i, j in pairs], axis=1)
    shape = every.shape[:2]
    is_different, low, high = np.zeros(shape, bool), np.zeros(shape), np.zeros(shape)
    stopped = np.full(len(scores), len(plan) - 1)
    is_running = np.ones(len(scores), bool)
    for place, (n, alpha) in enumerate(plan):
        differences = every[..., :n]
        ranks = np.abs(differences).argsort(-1).argsort(-1) + 1
        distance = np.abs(np.sum(np.sign(differences) * ranks, -1)).astype(int)
        counts = np.ones(1)  # of the sign patterns with each sum of the positive ranks
        for rank in range(1, n + 1):
            counts = np.convolve(counts, np.eye(1, rank + 1)[0] + np.eye(1, rank + 1, rank)[0]) / 2
        sums = np.abs(2 * np.arange(len(counts)) - n * (n + 1) // 2)
        table = np.array([counts[sums >= d].sum() for d in range(sums.max() + 1)])
        p_values = table[distance]
        # Holm: the smallest is compared with α/m, the next one with α/(m − 1), …
        order = p_values.argsort(-1)
        limits = alpha / np.arange(len(pairs), 0, -1)
        rejects = np.logical_and.accumulate(np.take_along_axis(p_values, order, -1) < limits, -1)
        rejected = np.zeros(shape, bool)
        np.put_along_axis(rejected, order, rejects, -1)
        is_different |= rejected & is_running[:, None]
        t = stats.t.ppf(1 - alpha / 2, n - 1)
        half = t * differences.std(-1, ddof=1) / np.sqrt(n)
        mean = differences.mean(-1)
        low = np.where(is_running[:, None], mean - half, low)
        high = np.where(is_running[:, None], mean + half, high)
        ends = is_running & (is_different | (2 * half < until)).all(-1)
        stopped[ends] = place
        is_running &= ~ends
    return is_different, low, high, stopped


def scores_of(means, most, seed=0, sd=1.0):
    """Scores of reports, which share the luck of a seed."""
    random = np.random.default_rng(seed)
    shared = random.normal(0, 3, (REPORTS, 1, most))
    return np.array(means)[:, None] + shared + random.normal(0, sd, (REPORTS, len(means), most))


def error(share):
    """Two standard errors of a share of all reports."""
    return 2 * np.sqrt(share * (1 - share) / REPORTS)


@pytest.mark.parametrize(
    ("means", "until"),
    [((0, 0), 1e-9), ((0, 0), 1.6), ((0, 0, 0), 1e-9), ((0, 0, 2), 1.9), ((0, 1, 1, 0), 1e-9)],
)
def test_false_verdicts_over_all_looks_and_pairs_are_5_percent_at_most(means, until):
    plan = preset(32, len(means))
    is_different, _, _, _ = many_reports(scores_of(means, 32), plan, until)
    is_null = [a == b for a, b in itertools.combinations(means, 2)]
    share = is_different[:, is_null].any(-1).mean()
    assert 0.005 < share <= 0.05 + error(0.05)


@pytest.mark.parametrize("means", [(0, 0), (0, 0.5), (0, 0, 0.5)])
def test_the_interval_at_which_a_report_stops_holds_the_difference(means):
    plan = preset(64, len(means))
    _, low, high, stopped = many_reports(scores_of(means, 64), plan, 1.7)
    assert (np.bincount(stopped, minlength=len(plan)) > 20).all()  # it stops at every look
    for k, (a, b) in enumerate(itertools.combinations(means, 2)):
        holds = (low[:, k] <= a - b) & (a - b <= high[:, k])
        assert holds.mean() >= 0.95 - error(0.95)


@pytest.mark.parametrize("planted", [0.5, 0.7, 1.0])
def test_a_planted_difference_is_found_as_often_as_normal_statistics_are_beyond_their_limits(
    planted,
):
    """In units of the differences' SD; the statistics are those of 3n/π seeds."""
    plan = preset(32, 2)
    scores = scores_of((planted, 0), 32, sd=np.sqrt(0.5))
    is_different, _, _, stopped = many_reports(scores, plan, 1e-9)
    sizes = np.array([look.seeds for look in plan]) * 3 / np.pi
    limits = np.array([stats.t.isf(look.alpha / 2, look.seeds - 1) for look in plan])
    steps = np.random.default_rng(1).normal(size=(200_000, len(plan)))
    sums = np.cumsum(steps * np.sqrt(np.diff(sizes, prepend=0)), axis=1)
    beyond = np.abs(sums / np.sqrt(sizes) + planted * np.sqrt(sizes)) > limits
    expected = beyond.any(1).mean()
    assert is_different.mean() == pytest.approx(expected, abs=error(expected) + 0.03)
    # Reports that found it have saved seeds, at most those of all looks but the first.
    assert ((stopped < len(plan) - 1) <= is_different[:, 0]).all()


def test_a_report_of_the_library_is_one_of_the_simulation():
    plan, until = preset(64, 3), 1.7
    scores = scores_of((0, 0.2, 0.6), 64)[:60]
    is_different, low, high, stopped = many_reports(scores, plan, until)
    for k, of_report in enumerate(scores):
        rows = take(plan, "abc", until, lambda place, s=of_report: [*s[:, : plan[place].seeds]])
        last = looks.last_of(rows)
        assert last[0]["look"] == stopped[k] + 1
        assert [row["state"] in ("better", "worse") for row in last] == is_different[k].tolist()
        np.testing.assert_allclose([row["low"] for row in last], low[k])
        np.testing.assert_allclose([row["high"] for row in last], high[k])
    assert len(np.unique(stopped)) == len(plan)


def test_a_verdict_stands_and_what_does_not_vary_stays_open():
    plan = preset(32, 3)
    a = np.zeros(32)
    b = np.where(np.arange(32) < 16, -1.0, 1.33) - np.arange(32) / 100
    rows = take(plan, "abc", 1e-3, lambda place: [x[: plan[place].seeds] for x in (a, b, a)])
    states = [(row["look"], row["state"]) for row in rows]
    assert states == [(1, "better"), (1, "open"), (1, "worse"),
                      (2, "better"), (2, "open"), (2, "worse")]  # fmt: skip
    assert rows[3]["p_adjusted"] == rows[0]["p_adjusted"] < 0.05 < rows[3]["p"]
    assert rows[4]["low"] == rows[4]["high"] == 0
    assert rows[4]["width"] == np.inf
    described = looks.description(plan, looks.last_of(rows), 3)
    assert looks.sentence(described, looks.last_of(rows), 1e-3, "R²") == (
        "The report took all 32 seeds, in 2 looks: a − b, b − c decided; a − c still open."
    )


# --- A comparison --------------------------------------------------------------------------------

NET, DATA = jn.Network((2, 4, 2)), jn.datasets.spirals(n=60)
OPTIONS = {
    "tier": "defaults", "epochs": 2, "tuning_seeds": 1, "seeds": 18, "timing": False, "log": None,
}  # fmt: skip
FAR, NEAR = {"a": jn.adam(0.1), "b": jn.adam(1e-7)}, {"a": jn.adam(0.03), "b": jn.adam(0.032)}


def _compare(optimizers, folder=None, **options):
    return jn.compare(NET, DATA, optimizers, folder=folder, **(OPTIONS | options))


def _files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A comparison that needs both looks, in a folder; and one that stops at the first look."""
    folder = tmp_path_factory.mktemp("looks") / "near"
    near = _compare(NEAR, folder, until=1e-6)
    return folder, near, _compare(NEAR, until=0.9)


def test_it_says_where_it_stopped_and_what_that_saved(both):
    _, near, narrow = both
    assert [row["seeds"] for row in near.looks] == [9, 18]
    assert near.manifest["looks"] == {
        "seeds": [9, 18], "alphas": [0.025, 0.025], "taken": 18, "seeds_saved": 0,
        "networks_saved": 0,
    }  # fmt: skip
    width = 100 * near.looks[-1]["width"]
    assert near.conclusion[-1] == (
        f"The report took all 18 seeds, in 2 looks: a − b (an interval of {width:.2f} points) "
        "still open."
    )
    assert narrow.conclusion[-1] == (
        "The report stopped after 9 of at most 18 seeds, at look 1 of 2: a − b narrower than 90 "
        "points; 9 seeds, 18 networks saved."
    )
    assert "(corrected for 2 looks)" in narrow.conclusion[2]
    assert {row["seeds"] for row in narrow.summary} == {9}
    report = [row for row in narrow.runs if row["phase"] == "report"]
    assert [row["seed"] for row in report] == [*range(1000, 1009)] * 2
    assert narrow.manifest["networks"] == len(narrow.runs)
    assert narrow.manifest["network_epochs"] == 2 * len(narrow.runs)
    assert "at 9 and 18 seeds, until each pair" in narrow.methods
    assert "after 9 seeds the report stopped" in narrow.methods
    assert "under 9 other seeds (1000 to 1008)" in narrow.methods
    row, look = narrow.pairwise[0], narrow.looks[-1]
    assert (row["low"], row["high"], row["p_holm"]) == (
        look["low"], look["high"], look["p_adjusted"]
    )  # fmt: skip
    assert narrow.to_markdown("looks").count("\n") == 2


def test_the_scores_are_those_of_the_same_seeds_at_once(both):
    at_once = _compare(NEAR)
    assert not at_once.looks
    assert "looks" not in at_once.manifest
    assert "until" not in at_once.manifest["protocol"]
    for row, expected in zip(both[1].runs, at_once.runs, strict=True):
        assert (row["optimizer"], row["seed"]) == (expected["optimizer"], expected["seed"])
        assert row["test_loss"] == pytest.approx(expected["test_loss"], rel=1e-3)
    narrow = [row["test_loss"] for row in both[2].runs if row["phase"] == "report"]
    first = [row["test_loss"] for row in at_once.runs if row["seed"] in range(1000, 1009)]
    np.testing.assert_allclose(narrow, first, rtol=1e-3)


def test_a_verdict_stops_it():
    far = _compare(FAR, until=1e-6, seeds=15, epochs=12)
    assert far.pairwise[0]["verdict"] == "better"
    assert far.conclusion[-1] == (
        "The report stopped after 8 of at most 15 seeds, at look 1 of 2: a − b decided; 7 seeds, "
        "14 networks saved."
    )


def test_interrupted_between_looks_it_goes_on_to_the_same_files(both, tmp_path, monkeypatch):
    folder, sweep, calls = both[0], jn.sweep, []

    def interrupted(*args, **kwargs):
        calls.append(tuple(kwargs["seeds"]))
        if 1009 in kwargs["seeds"]:
            raise KeyboardInterrupt
        return sweep(*args, **kwargs)

    monkeypatch.setattr("jaxnet.comparison.stages.sweep", interrupted)
    again = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        _compare(NEAR, again, until=1e-6)
    assert calls == [(0,), tuple(range(1000, 1009)), tuple(range(1009, 1018))]
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"protocol\.until was 1e-06 and is 0\.001"):
        _compare(NEAR, again, until=1e-3)
    _compare(NEAR, again, until=1e-6)
    assert _files(again) == _files(folder)


def test_its_folder_has_the_looks_and_its_page_shows_them(both):
    folder, near, narrow = both
    result = read(folder)
    assert result.conclusion == near.conclusion
    assert [row["state"] for row in result.looks] == [row["state"] for row in near.looks]
    assert str(result.looks) == str(near.looks)
    assert manifest_faults(folder) == []
    for result, is_shown in ((narrow, True), (narrow._replace(looks=()), False)):
        page = comparison_page.page(result, {})
        assert ("<h2>Looks</h2>" in page) == is_shown
        assert ("Seeds were added in looks that were fixed" in page) == is_shown
        assert "9 fresh seeds" in page
    assert "narrower than 90 points" in comparison_page.page(narrow, {})
    (folder / "looks.csv").write_bytes((folder / "looks.csv").read_bytes().replace(b"9", b"8"))
    with pytest.raises(ValueError, match=r"looks\.csv is not .*SHA-256 that manifest\.json names"):
        read(folder)


def test_the_entries_of_looks_are_checked(both):
    manifest = json.loads(json.dumps(both[2].manifest))
    file_checks.check_manifest(manifest)
    for name in file_checks.LOOKS:
        with pytest.raises(ValueError, match=name):
            file_checks.check_manifest(manifest | {"looks": manifest["looks"] | {name: None}})
    for column in file_checks.COLUMNS["looks"]:
        rows = [{name: row[name] for name in row if name != column} for row in both[2].looks]
        with pytest.raises(ValueError, match=f"it lacks the column '{column}'"):
            file_checks.check_table("looks", rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": 0}, "until must be a width above 0, such as 0.002 for 0.2 points"),
        ({"until": -0.1}, "until must be a width above 0, .*, not -0.1"),
        ({"until": np.inf}, "until must be"),
        ({"until": np.nan}, "until must be"),
        ({"until": 0.1, "seeds": 14}, "which for 2 optimizers are 15 or more, not 14; give more"),
    ],
)
def test_a_wrong_width_and_too_few_seeds_are_told_in_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        _compare(FAR, **options)
