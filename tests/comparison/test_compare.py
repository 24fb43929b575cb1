import dataclasses
import json
import os

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.comparison import TABLES, conclusions, read, result_tables, statistics, tuning
from jaxnet.comparison.comparison_folder import TABLES_OF_SOME
from jaxnet.comparison.result_tables import Runs
from jaxnet.comparison.scores import AccuracyScore
from jaxnet.reporting import comparison_page, style
from tests.support.json_schema import manifest_faults

NET = jn.Network((2, 6, 2))
DATA = jn.datasets.xor(n=120)
SMALL = {"trials": 9, "epochs": 3, "tuning_seeds": 2, "seeds": 8, "timing": False, "log": None}
WIDE = {"learning_rate": (0.05, 500.0)}  # of 9 rates, the 5 inner ones are at no edge

RANGES = {"sgd": WIDE, "still": WIDE, "adam": {"learning_rate": (1e-3, 10.0)}}


def _compare(optimizers, data=DATA, **options):
    return jn.compare(NET, data, optimizers, **(SMALL | options))


def _files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Momentum without momentum, and Adam; in a folder."""
    folder = tmp_path_factory.mktemp("comparison") / "xor"
    optimizers = {"sgd": jn.sgd, "still": jn.momentum(decay=0.0), "adam": jn.adam}
    options = {"ranges": RANGES, "targets": (0.6, 0.99)}
    return folder, optimizers, options, _compare(optimizers, folder=folder, **options)


def test_momentum_without_momentum_is_sgd_to_the_bit(compared):
    row = compared[3].pairwise[0]
    assert (row["a"], row["b"]) == ("sgd", "still")
    assert row["difference"] == row["low"] == row["high"] == row["low_examples"] == 0
    assert row["verdict"] == "indistinguishable, equivalent"
    assert row["p"] == 1
    assert row["p_a_better"] == 0.5


def test_what_is_reported_is_what_train_gives_under_fresh_seeds(compared):
    result = compared[3]
    (chosen,) = [row for row in result.summary if row["optimizer"] == "adam"]
    recipe = jn.Recipe(jn.adam(chosen["learning_rate"]))
    rows = [r for r in result.runs if r["optimizer"] == "adam" and r["phase"] == "report"]
    assert [row["seed"] for row in rows] == list(range(1000, 1008))
    for row in rows[:2]:
        run = jn.train(NET, DATA, recipe, epochs=3, seed=row["seed"], evaluate_on=("evaluation",))
        test = jn.evaluate(NET, run.params, DATA.test)
        assert row["test_loss"] == pytest.approx(float(test.cost), rel=1e-3)
        assert row["test_score"] == pytest.approx(float(test.accuracy), abs=2 / 120)
        valid = jn.evaluate(NET, run.params, DATA.valid)
        assert row["valid_loss"] == pytest.approx(float(valid.cost), rel=1e-3)
    scores = [row["test_score"] for row in rows]
    assert chosen["test_score"] == pytest.approx(np.mean(scores))
    assert chosen["test_score_sd"] == pytest.approx(np.std(scores, ddof=1))


def test_the_least_mean_validation_loss_selects(compared):
    result = compared[3]
    for summary in result.summary:
        rows = [r for r in result.runs
                if r["optimizer"] == summary["optimizer"] and r["phase"] == "tuning"]  # fmt: skip
        loss = {}
        for row in rows:
            loss.setdefault(row["learning_rate"], []).append(row["valid_loss"])
        best = min(loss, key=lambda rate: np.mean(loss[rate]))
        assert summary["learning_rate"] == best
        assert {row["seed"] for row in rows} == {0, 1}


def test_the_test_set_selects_nothing(compared):
    _, optimizers, options, before = compared
    upside_down = DATA._replace(test=jn.Split(DATA.test.x, 1 - DATA.test.y))
    after = _compare(optimizers, upside_down, **options)
    for a, b in zip(before.summary, after.summary, strict=True):
        assert a["learning_rate"] == b["learning_rate"]
        assert a["valid_loss"] == b["valid_loss"]
        assert a["test_score"] == pytest.approx(1 - b["test_score"])


def test_interrupted_it_goes_on_to_the_same_files(compared, tmp_path, monkeypatch):
    folder, optimizers, options, _ = compared
    sweep = jn.sweep

    def interrupted(*args, **kwargs):
        study = sweep(*args, **kwargs)
        if not calls or 1000 in kwargs["seeds"]:
            calls.append("interrupted")
            os.unlink(min((kwargs["folder"] / "chunks").iterdir()))  # one had not been written
            raise KeyboardInterrupt
        return study

    calls = []
    monkeypatch.setattr("jaxnet.comparison.stages.sweep", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            _compare(optimizers, folder=tmp_path / "again", **options)
    with pytest.raises(ValueError, match="was not finished"):
        read(tmp_path / "again")
    monkeypatch.undo()
    _compare(optimizers, folder=tmp_path / "again", **options)
    assert _files(tmp_path / "again") == _files(folder)


def test_its_files_are_all_of_it(compared):
    folder, _, _, result = compared
    again = read(folder)
    for name in TABLES:
        rows = getattr(result, name)
        assert len(getattr(again, name)) == len(rows)
        assert rows
        for row, row_read in zip(rows, getattr(again, name), strict=True):
            for key, value in row.items():
                missing = value in ("", np.inf) or value != value
                assert missing or row_read[key] == value, (name, key)
    assert manifest_faults(folder) == []
    for name in TABLES_OF_SOME:  # random trials, and looks
        assert not getattr(again, name)
        assert not (folder / f"{name}.csv").exists()
    assert again.conclusion == result.conclusion
    assert str(again).startswith(result.conclusion[0])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["networks"] == len(result.runs) == 3 * (2 * result.summary[0]["trials"] + 8)
    assert manifest["protocol"]["report_seeds"] == list(range(1000, 1008))


@pytest.mark.slow
def test_random_trials_are_not_extended_and_have_bands(tmp_path):
    options = SMALL | {"tier": "random", "trials": 7, "epochs": 1, "folder": tmp_path / "random"}
    far = {"learning_rate": (1e-6, 1e-4)}  # the best is at the upper edge
    result = _compare(["sgd", "adam"], ranges={"sgd": far, "adam": far}, **options)
    assert [row["trials"] for row in result.summary] == [7, 7]
    assert [row["optimizer"] for row in result.tuning_bands] == ["sgd"] * 7 + ["adam"] * 7
    assert any("EDGE" in sentence for sentence in result.warnings)
    assert "overlap at all lengths" in result.conclusion[-1]
    assert "independent random points" in result.methods
    losses = np.reshape([
        row["valid_loss"] for row in result.runs
        if (row["phase"], row["optimizer"]) == ("tuning", "adam")
    ], (7, 2)).mean(axis=1)  # fmt: skip
    band = statistics.tuning_band(-losses, 0.975)
    medians = [row["median"] for row in result.tuning_bands[7:]]
    np.testing.assert_allclose(medians, -band.median)
    assert str(read(tmp_path / "random").tuning_bands) == str(result.tuning_bands)
    before = _files(tmp_path / "random")
    _compare(["sgd", "adam"], ranges={"sgd": far, "adam": far}, **options)
    assert _files(tmp_path / "random") == before
    assert manifest_faults(tmp_path / "random") == []
    page = comparison_page.page(result, {})
    assert "tuned at independent random points, and no search was extended" in page


def test_another_comparison_is_refused_in_the_same_folder(compared):
    folder, optimizers, options, _ = compared
    with pytest.raises(ValueError, match=r"another comparison: protocol\.epochs was 3 and is 2"):
        _compare(optimizers, folder=folder, **(options | {"epochs": 2}))
    large = jn.Network((2, 6, 2), init=jn.initializers.large)  # of which the repr says nothing
    with pytest.raises(
        ValueError, match=r"another comparison: settings\.adam\.network\.init was at its default"
    ):
        jn.compare(large, DATA, optimizers, folder=folder, **(SMALL | options))


def test_a_thousandth_of_the_learning_rate_is_found_worse():
    spirals = jn.datasets.spirals(n=200)
    options = {"tier": "defaults", "trials": 1, "seeds": 12, "epochs": 10}
    result = _compare({"adam": jn.adam(0.03), "slow": jn.adam(3e-5)}, spirals, **options)
    (row,) = result.pairwise
    assert row["verdict"] == "better"
    assert row["p_holm"] < 0.05
    assert row["low"] > 0
    assert result.conclusion[0] == "adam is better than slow."
    assert "adam is better than slow by" in result.conclusion[2]


def test_an_optimum_at_the_edge_extends_all_searches_twice_and_is_marked():
    ranges = {"sgd": {"learning_rate": (1e-6, 1e-2)}, "adam": {"learning_rate": (1e-3, 1e-1)}}
    result = _compare(["sgd", "adam"], ranges=ranges, trials=5, epochs=2)
    low = [result.manifest["searches"][name]["learning_rate"] for name in ("sgd", "adam")]
    np.testing.assert_allclose(low[0], (1e-6, 1.0), rtol=1e-6)
    np.testing.assert_allclose(low[1], (1e-3, 1.0), rtol=1e-6)  # a quarter of its range, twice
    assert {row["trials"] for row in result.summary} == {7}
    rates = [row["learning_rate"] for row in result.divergence if row["optimizer"] == "sgd"]
    assert rates == sorted(rates)
    assert result.summary[0]["edge"] == "EDGE (high)"
    assert result.summary[0]["learning_rate"] in rates[-2:]
    assert any("sgd" in sentence and "EDGE" in sentence for sentence in result.warnings)


def test_runs_that_diverge_are_never_chosen_and_are_counted(tmp_path):
    net = jn.Network((2, 6, 2), jn.activations.relu, jn.costs.Quadratic(jn.activations.linear))
    ranges = RANGES | {"sgd": {"learning_rate": (1e-8, 1e18)}}
    del ranges["still"]
    result = jn.compare(net, DATA, ["sgd", "adam"], ranges=ranges, **SMALL)
    lost = [row["diverged"] for row in result.divergence if row["optimizer"] == "sgd"]
    assert lost[-1] == 2
    assert lost[0] == 0
    bad = [r for r in result.runs if r["diverged_epoch"]]
    assert bad
    assert all(row["valid_loss"] == np.inf and row["test_score"] == 0 for row in bad)
    assert result.summary[0]["learning_rate"] < 1
    assert result.summary[0]["tuning_diverged"] == sum(lost)


def test_float_targets_are_scored_by_r_squared():
    task = jn.tasks.named("noisy-quadratic")
    data = jn.datasets.quadratic(n=100, n_in=8)
    net = jn.Network((8, 1), cost=task.network.cost, init=task.network.init)
    options = {"ranges": {"sgd": {"learning_rate": (0.001, 10.0)}}}
    contenders = {rule: jn.Recipe(getattr(jn, rule)(), l2=1.0) for rule in ("sgd", "momentum")}
    result = jn.compare(net, data, contenders, **(SMALL | options))
    row = next(r for r in result.runs if r["phase"] == "report" and r["optimizer"] == "sgd")
    rate = result.summary[0]["learning_rate"]
    run = jn.train(net, data, jn.Recipe(jn.sgd(rate), l2=1.0), epochs=3, seed=row["seed"])
    residual = data.test.y - np.asarray(jn.predict(net, run.params, data.test.x))
    expected = 1 - residual.var(axis=0).sum() / data.test.y.var(axis=0).sum()
    assert row["test_score"] == pytest.approx(expected, abs=0.02)
    assert result.manifest["score"] == "R²"
    last = {(r["optimizer"], r["trial"], r["seed"]): r["valid_score"]
            for r in result.report_curves if r["epoch"] == 3}  # fmt: skip
    for row in (row for row in result.runs if row["phase"] == "report"):
        key = row["optimizer"], row["trial"], row["seed"]
        assert last[key] == pytest.approx(row["valid_score"], abs=1e-4)


def test_the_full_search_is_audited_by_inclusion(tmp_path):
    options = {"ranges": {"sgd": WIDE, "momentum": WIDE}, "folder": tmp_path}
    result = _compare(["sgd", "momentum"], tier="full", trials=8, epochs=3, **options)
    assert manifest_faults(tmp_path) == []
    assert result.manifest["audits"][0].startswith("sgd is momentum with decay = 0, and")
    assert result.manifest["searches"]["momentum"]["others"] == {"decay": "OneMinus(0.01, 1.0)"}


def _runs(label, score, loss=None, rates=(0.1,)):
    score = np.atleast_2d(np.asarray(score, float))
    loss = 1 - score if loss is None else np.atleast_2d(loss)
    zeros = np.zeros(score.shape, int)
    recipes = tuple(jn.Recipe(jn.sgd(rate)) for rate in rates)
    seeds = tuple(range(score.shape[1]))
    curve = score[..., None]
    return Runs(label, recipes, seeds, loss, score, loss, score, zeros, zeros, curve, curve, loss)


def test_an_audit_fails_where_the_larger_family_loses():
    compared = [
        tuning.begin(name, jn.Recipe(rule()), "full", 64, {})
        for name, rule in (("sgd", jn.sgd), ("momentum", jn.momentum))
    ]
    tuned = [_runs("sgd", [0.9] * 8, rates=(1.0,)), _runs("momentum", [0.8] * 8, rates=(1.0,))]
    audit = lambda verdict: conclusions.audits(
        compared, tuned, [{"a": "sgd", "b": "momentum", "verdict": verdict}]
    )
    ((passed, sentence),) = audit("better")
    assert not passed
    assert "the search was too small" in sentence
    assert audit("indistinguishable")[0][0]
    assert audit("worse")[0][0]
    outside = [_runs("sgd", [0.9] * 8, rates=(100.0,)), tuned[1]]  # momentum searched up to 10
    assert conclusions.audits(compared, outside, []) == []


def test_where_every_run_diverges_there_is_a_page_still(tmp_path):
    net = jn.Network((2, 6, 2), jn.activations.relu, jn.costs.Quadratic(jn.activations.linear))
    optimizers = {"1": jn.sgd(1e18), "0.10": jn.sgd(1e17)}  # labels that look like numbers
    options = SMALL | {"tier": "defaults", "trials": 1, "timing": True}
    jn.compare(net, DATA, optimizers, folder=tmp_path / "lost", **options)
    compared = comparison_page.publish(tmp_path / "lost")
    assert [row["optimizer"] for row in compared.summary] == ["1", "0.10"]
    assert [row["diverged"] for row in compared.summary] == [8, 8]
    assert compared.summary[0]["test_loss"] == np.inf
    assert compared.timing == {}
    assert compared.conclusion == ["Nothing can be concluded: all runs of the report diverged."]
    assert compared.pairwise[0]["verdict"] == "undecided: all runs diverged"
    assert "8 of 8 runs of the report diverged" in (tmp_path / "lost" / "report.html").read_text()


def test_one_lost_run_does_not_turn_the_verdict_round():
    a, b = np.full(32, 0.96), np.full(32, 0.95)
    a[0] = 0.0
    pairs = result_tables.pair_rows([_runs("a", a), _runs("b", b)], np.zeros((100, 2)), 0.0, 0)
    assert pairs[0]["difference"] < 0
    assert pairs[0]["verdict"] == "better"
    summary = [{"optimizer": k, "edge": "", "test_score": 0.9, "test_score_low": 0.8,
                "test_score_high": 1.0, "seeds": 32, "diverged": 0} for k in "ab"]  # fmt: skip
    sentence = conclusions.conclusion(summary, pairs, "accuracy", 0.0)[2]
    assert sentence.startswith("a is ahead of b in most seeds, p < 0.0001; but its mean is lower")


def test_other_penalties_are_no_inclusion():
    compared = [
        tuning.begin("sgd", jn.Recipe(jn.sgd()), "full", 64, {}),
        tuning.begin("momentum", jn.Recipe(jn.momentum(), l2=5.0), "full", 64, {}),
    ]
    tuned = [_runs("sgd", [0.9] * 8, rates=(1.0,)), _runs("momentum", [0.8] * 8, rates=(1.0,))]
    assert conclusions.audits(compared, tuned, []) == []


def test_ctrl_c_while_single_runs_are_timed_is_an_interruption(tmp_path, monkeypatch):
    train = jn.train
    ended = lambda *a, **k: dataclasses.replace(train(*a, **k), ending="interrupted")
    monkeypatch.setattr("jaxnet.comparison.timing.train", ended)
    options = {"tier": "defaults", "trials": 1, "timing": True, "folder": tmp_path / "x"}
    with pytest.raises(KeyboardInterrupt):
        _compare(["sgd", "adam"], **options)
    assert not (tmp_path / "x" / "timing.json").exists()
    monkeypatch.undo()
    cosine = jn.Recipe(jn.sgd(), schedule=jn.schedules.cosine(3))  # shorter than what is timed
    compared = _compare({"sgd": cosine, "adam": "adam"}, **(options | {"folder": None}))
    assert set(compared.timing) == {"sgd", "adam"}


def test_as_many_styles_as_there_are_optimizers():
    styles = [style.line_style(k) for k in range(16)]
    assert all(a != b for i, a in enumerate(styles) for b in styles[:i])


def test_a_run_that_diverges_is_censored_at_the_horizon():
    runs = _runs("sgd", [0.9, 0.9, 0.0, 0.0])
    nan = np.nan
    curve = np.array([[[0.5, 0.96, 0.9], [0.1, 0.2, 0.97], [0.3, nan, nan], [0.96, nan, nan]]])
    rows = list(result_tables.speed_rows(runs._replace(score_curve=curve), (0.95, 0.999), 100))
    assert rows[0]["median_epochs"] == 2  # reached after 1, 2 and 3 epochs, and never
    assert rows[0]["median_steps"] == 200
    assert rows[0]["fraction_reached"] == 0.75
    assert rows[1]["median_epochs"] == np.inf
    assert rows[1]["censored"] == 4


def test_the_good_learning_rates_are_those_around_the_best():
    search = tuning.begin("sgd", jn.Recipe(jn.sgd()), "lr", 21, {})
    score = [0.5, 0.96, 0.2, 0.955, 0.962, 0.965, 0.956, 0.9, 0.96]
    tuned = _runs("sgd", [[s] for s in score], rates=np.geomspace(0.01, 1, 9))
    assert result_tables.good_decades(search, tuned) == pytest.approx(3 * 0.2)


def test_profiles_are_dolan_and_mores():
    """Three solvers, two problems: 10 and 20 steps, 30 and 10, never and 15."""
    rows = lambda *steps: [
        {"optimizer": name, "target": 0.9, "median_steps": n}
        for name, n in zip("abc", steps, strict=True)
    ]
    compared = result_tables.profile_rows({"one": rows(10, 30, np.inf), "two": rows(20, 10, 15)})
    profile = {(row["optimizer"], row["factor"]): row["fraction"] for row in compared}
    assert profile["a", 1.0] == profile["b", 1.0] == 0.5
    assert profile["a", 2.0] == 1
    assert profile["c", 1.5] == profile["c", 3.0] == 0.5
    assert profile["b", 3.0] == 1


def test_too_few_seeds_to_reject_are_warned_of():
    assert statistics.detectable_difference(0.01, 5) == np.inf
    summary = [{"optimizer": "a", "edge": "", "diverged": 0, "seeds": 5}]
    (sentence,) = conclusions.warnings(summary, [], [{}], [], AccuracyScore(), 0.002)
    assert sentence.startswith("5 seeds can never show a difference: the smallest p-value")
    assert (
        conclusions.warnings([summary[0] | {"seeds": 8}], [], [{}] * 3, [], AccuracyScore(), 0.002)
        == []
    )


def test_a_trial_with_a_better_score_than_the_selected_one_is_told():
    tuned = _runs("sgd", [[0.9], [0.95]], loss=[[0.1], [0.2]], rates=(0.1, 1.0))
    summary = [{"optimizer": "sgd", "edge": "", "diverged": 0, "seeds": 32}]
    (sentence,) = conclusions.warnings(summary, [tuned], [{}], [], AccuracyScore(), 0.002)
    assert "but the validation score is highest at 1, where it is 0.0500 higher" in sentence


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 1}, "seeds must be a whole number of at least 2, not 1"),
        ({"seeds": [3]}, "seeds must be 2 or more different numbers"),
        ({"seeds": range(4)}, "seed 0 would tune and report"),
        ({"targets": (0.9, 1.2)}, r"targets are validation scores in \(0, 1\), .* not .*1.2"),
        ({"data": DATA._replace(valid=None)}, "no validation split, and a comparison selects"),
        ({"data": DATA._replace(test=None)}, "no test split, and a comparison reports"),
        ({"ranges": {"lion": {}}}, "ranges has an entry for lion, which is not among"),
        ({"targets": 1.5}, r"targets are validation scores in \(0, 1\)"),
        ({"targets": ()}, "targets must be one validation score or more"),
        ({"margin": -1}, "margin must be a number in"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1"),
        ({"optimizers": ["sgd"]}, "needs two optimizers or more"),
        (
            {"data": jn.datasets.function(np.sin, n=20), "net": jn.Network((1, 2, 1))},
            "R², which needs the quadratic cost",
        ),
    ],
)
def test_bad_input_is_told_in_a_sentence(options, message):
    call = {"net": NET, "data": DATA, "optimizers": ["sgd", "adam"]} | SMALL | options
    with pytest.raises(ValueError, match=message):
        jn.compare(**call)


def test_what_a_task_is_made_of_fits_together():
    key = jax.random.key(0)
    known = {}
    for name, task in jn.tasks.NAMED.items():
        data = known.setdefault(task.data, task.data())
        params = jax.eval_shape(lambda net=task.network: jn.init(net, key))
        logits = lambda params, x, net=task.network: jn.logits(net, params, x)
        out = jax.eval_shape(logits, params, data.train.x[0])
        assert out.shape == (task.network.sizes[-1],), name
        assert all(0 < target < 1 for target in task.targets)
        assert data.valid is not None
        assert data.test is not None


def test_the_quadratic_has_the_curvatures_it_promises():
    data = jn.datasets.quadratic(n=20_000, n_in=5, noise=0.0)
    hessian = data.train.x.T @ data.train.x / 20_000
    np.testing.assert_allclose(np.diag(hessian), 1 / np.arange(1, 6), rtol=0.05)
    best = np.linalg.lstsq(data.train.x, data.train.y)[0]
    np.testing.assert_allclose(best[:, 0], np.sqrt(np.arange(1, 6)), rtol=1e-6)
