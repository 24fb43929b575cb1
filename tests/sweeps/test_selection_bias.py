"""Scores of the best setting without the bias of selection: plain loops and scikit-learn."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_validate

import jaxnet as jn
from jaxnet.data.resampling import Fold, inner_folds
from jaxnet.sweeps import cross_validation
from jaxnet.sweeps.selection_bias import bias_over_folds, bootstrap_counts, out_of_bag_score
from jaxnet.training.evaluation import by_example

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4))
LABELS = (X[:, 0] + RANDOM.normal(size=60) > 0).astype(int)
DATA = jn.Dataset(
    jn.Split(X[:36], LABELS[:36]), jn.Split(X[36:], LABELS[36:], RANDOM.gamma(2, size=24))
)
NET = jn.Network((4, 5, 2), cost=jn.costs.LogLikelihood())
RECIPE = jn.Recipe(jn.sgd([0.02, 0.3, 1.0, 3.0]))
FOLDED = jn.Dataset(jn.Split(X, LABELS))
METRICS = {"auc": jn.metrics.roc_auc, "loss": jn.metrics.log_loss}


@pytest.fixture(scope="module")
def folded():
    return jn.sweep(
        NET, FOLDED, RECIPE, seeds=2, epochs=3, batch_size=8, metrics=METRICS, log=None,
        resample=jn.resampling.k_fold(4),
    )  # fmt: skip


@pytest.fixture(scope="module")
def validated():
    nets = [NET, jn.Network((4, 3, 2), cost=NET.cost)]
    return jn.sweep(
        nets, DATA, RECIPE, seeds=2, epochs=3, batch_size=8, metrics=METRICS, log=None
    )  # fmt: skip


def test_the_bias_over_folds_is_that_of_a_plain_loop():
    scores = RANDOM.normal(size=(7, 3, 5))
    scores[2, 1, 3] = scores[4, 0, 0] = -np.inf
    means = [np.mean(scores[r]) if np.isfinite(scores[r]).all() else -np.inf for r in range(7)]
    best, gaps = int(np.argmax(means)), []
    for fold in range(5):
        own = [scores[recipe, :, fold].mean() for recipe in range(7)]
        gaps.append(max(own) - own[best])
    np.testing.assert_allclose(bias_over_folds(scores), np.mean(gaps))
    assert bias_over_folds(scores[:1]) == 0  # nothing was selected


@pytest.mark.parametrize("metric", [None, "cost", "auc", "loss"])
def test_a_study_with_folds_is_corrected_by_the_best_settings_of_its_folds(folded, metric):
    table = folded.to_frame()
    table = table[table.epoch == table.best_epoch]
    name = {None: "test_accuracy", "cost": "test_data_cost"}.get(metric, f"test_{metric}")
    sign = -1 if metric in ("cost", "loss") else 1
    by_fold = sign * table.pivot_table(name, index="recipe", columns="fold", aggfunc="mean")
    best = by_fold.mean(axis=1).idxmax()
    bias = np.mean([by_fold[fold].max() - by_fold[fold][best] for fold in range(4)])
    score = folded.corrected_score(metric)
    assert score.recipe == best
    np.testing.assert_allclose(sign * score.best, by_fold.loc[best].mean(), 1e-6)
    np.testing.assert_allclose(sign * score.corrected, by_fold.loc[best].mean() - bias, 1e-6)
    board = folded.leaderboard(metric)
    assert (board[0]["recipe"], board[0][name]) == (score.recipe, score.best)
    assert board[0]["corrected"] == score.corrected
    assert all(np.isnan(row["corrected"]) for row in board[1:])
    assert folded.leaderboard(metric, by="learning_rate", top=1) == board[:1]


def test_the_out_of_bag_score_is_that_of_a_plain_loop():
    in_bag, out_of_bag = RANDOM.normal(size=(2, 6, 3, 50))
    in_bag[3, 1], out_of_bag[3, 1] = -np.inf, np.nan  # diverged
    in_bag[..., 7] = np.nan  # a metric without a value
    values = []
    for resample in set(range(50)) - {7}:
        means = [in_bag[recipe, :, resample].mean() for recipe in range(6)]
        values.append(out_of_bag[int(np.argmax(means)), :, resample].mean())
    np.testing.assert_allclose(out_of_bag_score(in_bag, out_of_bag), np.mean(values))
    assert np.isnan(out_of_bag_score(in_bag[..., 7:8], out_of_bag[..., 7:8]))


def test_resamples_are_drawn_with_replacement_and_leave_an_example_out():
    counts = bootstrap_counts(3, 2000, seed=1)
    assert (counts.sum(axis=1) == 3).all()
    assert (counts == 0).any(axis=1).all()
    # Of the 27 draws of three, 6 have all and are drawn again, 3 have a single one three times.
    np.testing.assert_allclose(np.mean(counts.max(axis=1) == 3), 3 / 21, atol=0.03)


def _scores_by_setting(study, metric):
    """A function of the numbers of times that validation examples count, and of a setting."""
    networks = {}
    for places in np.ndindex(8, 2):
        net, params = study.settings[places[0]].network, study.best_params(*places)
        outputs = np.asarray(jn.predict(net, params, DATA.valid.x))
        networks[places] = outputs, *by_example(net, params, DATA.valid)

    def of_network(places, counts):
        rows = np.repeat(np.arange(24), counts)
        outputs, costs, hits = (array[rows] for array in networks[places])
        y, weight = DATA.valid.y[rows], DATA.valid.weight[rows]
        if metric == "auc":
            return roc_auc_score(y, outputs[:, 1], sample_weight=weight)
        if metric == "loss":
            return log_loss(y, outputs, sample_weight=weight)
        return np.average(costs if metric == "cost" else hits, weights=weight)

    return lambda recipe, counts: np.mean([of_network((recipe, seed), counts) for seed in (0, 1)])


@pytest.mark.parametrize("metric", ["accuracy", "cost", "auc", "loss"])
def test_a_study_without_folds_is_corrected_by_the_bootstrap(validated, metric):
    sign, score_of = -1 if metric in ("cost", "loss") else 1, _scores_by_setting(validated, metric)
    values = []
    for counts in bootstrap_counts(24, 12, seed=5):
        winner = int(np.argmax([sign * score_of(recipe, counts) for recipe in range(8)]))
        values.append(score_of(winner, (counts == 0).astype(int)))
    score = validated.corrected_score(metric, resamples=12, seed=5)
    np.testing.assert_allclose(score.corrected, np.mean(values), rtol=1e-5)
    row = validated.leaderboard(metric)[0]
    name = {"accuracy": "evaluation_accuracy", "cost": "evaluation_data_cost"}.get(metric)
    assert (row["recipe"], row[name or f"evaluation_{metric}"]) == (score.recipe, score.best)
    assert "corrected" not in row


def test_what_cannot_be_corrected_is_refused(validated):
    def refused(study, message, *arguments, **options):
        with pytest.raises(ValueError, match=message):
            study.corrected_score(*arguments, **options)

    refused(validated, "metric f2 was not evaluated", "f2")
    refused(validated, "resamples must be a whole number of at least 1", resamples=0)
    refused(validated, "seed must be a whole number of at least 0", seed=-1)
    refused(validated, 'evaluation_cost has penalties.*choose "cost"', "evaluation_cost")
    recipe = jn.Recipe(jn.sgd([0.1, 0.2]))
    trained = jn.Dataset(DATA.train)
    refused(jn.sweep(NET, trained, recipe, epochs=1, log=None), "examples that trained the netw")
    small = DATA._replace(valid=DATA.valid.take([0]))
    refused(jn.sweep(NET, small, recipe, epochs=1, log=None), "has one example")
    holdout = jn.resampling.holdout(0.5)
    study = jn.sweep(NET, DATA, recipe, epochs=1, resample=holdout, log=None)
    refused(study, "has one fold.*sweep over several")
    assert "corrected" not in study.leaderboard()[0]


class Trained(ClassifierMixin, BaseEstimator):
    """`train` as an estimator of scikit-learn."""

    def __init__(self, learning_rate=0.1):
        self.learning_rate = learning_rate

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        recipe = jn.Recipe(jn.sgd(self.learning_rate))
        data = jn.Dataset(jn.Split(x, y))
        self.run_ = jn.train(NET, data, recipe, epochs=6, batch_size=8, evaluate_on=())
        return self

    def predict(self, x):
        return np.argmax(jn.predict(NET, self.run_.params, x), axis=1)


class Splitter:
    """A resampling as a splitter of scikit-learn."""

    def __init__(self, resampling):
        self.resampling = resampling

    def split(self, x, y, groups=None):
        folds = self.resampling.folds(jn.Split(x, y))
        return [(fold.train, fold.test) for fold in folds]

    def get_n_splits(self, x=None, y=None, groups=None):
        return self.resampling.n_folds


@pytest.mark.usefixtures("x64")
def test_nested_cross_validation_is_scikit_learns_search_inside_of_its_own():
    rates = [0.5, 2.0, 5.0]
    outer, inner = jn.resampling.k_fold(3, stratify=True), jn.resampling.k_fold(2, stratify=True)
    search = GridSearchCV(Trained(), {"learning_rate": rates}, cv=Splitter(inner))
    expected = cross_validate(search, X, LABELS, cv=Splitter(outer), return_estimator=True)
    result = jn.cross_validate(
        NET, FOLDED, jn.Recipe(jn.sgd(rates)), outer, nested=inner, epochs=6, batch_size=8
    )
    np.testing.assert_allclose(result.scores[0], expected["test_score"], rtol=1e-9)
    for fold, fitted in enumerate(expected["estimator"]):
        setting = result.study.settings[result.selected[fold]]
        assert setting.number("learning_rate") == fitted.best_params_["learning_rate"]
        means = result.inner.score[:, 0, 2 * fold : 2 * fold + 2].mean(axis=1)
        np.testing.assert_allclose(means, fitted.cv_results_["mean_test_score"], rtol=1e-9)
        rows = outer.folds(FOLDED.train)[fold].test
        predicted = np.argmax(result.predictions[rows], axis=1)
        np.testing.assert_array_equal(predicted, fitted.predict(X[rows]))
    assert len(set(result.selected)) > 1  # or the test would show less


def test_a_setting_is_selected_by_the_mean_over_seeds_and_inner_folds(tmp_path):
    settings = jn.grid(jn.Recipe(jn.sgd(0.5)), widths=[[3], [6]], learning_rate=[0.02, 0.5])

    def validated():
        return jn.cross_validate(
            NET, FOLDED, settings, jn.resampling.k_fold(3), nested=4, seeds=2, epochs=2,
            metrics=METRICS, select_by="loss", folder=tmp_path, standardize=True,
        )  # fmt: skip

    result = validated()
    assert result.inner.score.shape == (4, 2, 12)
    for fold in range(3):
        inner = result.inner.score[:, :, 4 * fold : 4 * fold + 4].mean(axis=(1, 2))
        assert result.selected[fold] == np.argmax(inner)
        chosen = result.study.score[result.selected[fold], :, fold]
        np.testing.assert_array_equal(result.scores[:, fold], chosen)
    np.testing.assert_allclose(result.best, result.study.score.mean(axis=(1, 2)).max())
    np.testing.assert_allclose(result.mean, result.scores.mean())
    assert result.study.corrected_score().best == pytest.approx(-result.best)
    chunks = [*tmp_path.glob("chunks/*"), *tmp_path.glob("inner/chunks/*")]
    before = [path.stat().st_mtime_ns for path in chunks]
    again = validated()  # trains nothing
    np.testing.assert_array_equal(again.scores, result.scores)
    assert before == [path.stat().st_mtime_ns for path in chunks]
    assert len(jn.open_study(tmp_path / "inner").score[0, 0]) == 12


def test_one_recipe_without_nested_selects_nothing():
    result = jn.cross_validate(
        NET, FOLDED, jn.Recipe(jn.sgd(0.5)), jn.resampling.k_fold(3), epochs=2
    )
    assert result.inner is None
    assert result.selected.tolist() == [0, 0, 0]
    assert result.best == pytest.approx(result.mean)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (jn.resampling.k_fold(3, valid=0.2, stratify=True), jn.resampling.k_fold(2, stratify=True)),
        (jn.resampling.k_fold(2), jn.resampling.k_fold(3, valid=0.3)),
        (jn.resampling.bootstrap(3), jn.resampling.k_fold(2)),
        (jn.resampling.holdout(0.3), jn.resampling.bootstrap(2)),
        (jn.resampling.leave_one_group_out(np.arange(60) % 4), jn.resampling.holdout(0.5)),
    ],
)
def test_inner_folds_are_parts_of_the_outer_training_rows(outer, inner):
    nested = inner_folds(outer, inner)
    groups = nested.by_outer_fold(FOLDED.train)
    folds = outer.folds(FOLDED.train)
    assert len(groups) == len(folds)
    assert len(nested.folds(FOLDED.train)) == sum(map(len, groups))
    for fold, group in zip(folds, groups, strict=True):
        for part in group:
            assert set(part.train) | set(part.test) <= set(fold.train)
            assert not set(part.train) & set(part.test)
            times = np.bincount(fold.train, minlength=60)
            if not isinstance(inner, type(jn.resampling.bootstrap(1))):
                np.testing.assert_array_equal(
                    np.bincount(part.train, minlength=60)[part.train], times[part.train]
                )
            if part.valid is not None:
                others = {*part.train, *part.test, *fold.test}
                assert not set(part.valid) & others
            assert (part.valid is None) == (fold.valid is None and not getattr(inner, "valid", 0))


def test_an_inner_fold_without_rows_for_the_best_epoch_has_those_of_its_outer_fold():
    fold = Fold(np.arange(10), np.arange(10, 20), np.arange(20, 30))
    (group,) = inner_folds(cross_validation.resampling_of([fold]), 2).by_outer_fold(FOLDED.train)
    for part in group:
        np.testing.assert_array_equal(part.valid, fold.valid)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nested": 1}, "nested must be a whole number of at least 2, not 1"),
        ({"nested": jn.resampling.leave_one_group_out([0, 1])}, "nested makes folds of a part"),
        ({"nested": 50}, "k_fold makes 50 folds, but there are 40 examples"),
        ({}, "takes one recipe, but this one stands for 4; give nested=5"),
        ({"recipe": [jn.Recipe(jn.sgd(0.1))] * 2}, "takes one recipe, but this one stands for 2"),
        (
            {"nested": 2, "seeds": 2, "resample": jn.resampling.holdout(0.5, per_seed=True)},
            "folds of resample differ by the seed",
        ),
    ],
)
def test_what_cannot_be_nested_is_refused(options, message):
    arguments = {"recipe": RECIPE, "resample": jn.resampling.k_fold(3), "epochs": 1} | options
    with pytest.raises(ValueError, match=message):
        jn.cross_validate(NET, FOLDED, **arguments)


def test_nothing_is_selected_by_inner_folds_that_were_interrupted(monkeypatch, folded):
    half = folded._replace(epochs=folded.epochs * (np.arange(4) < 2))
    monkeypatch.setattr(cross_validation, "sweep", lambda *args, **options: half)
    with pytest.raises(KeyboardInterrupt):
        jn.cross_validate(NET, FOLDED, RECIPE, jn.resampling.k_fold(2), nested=2)


@pytest.mark.slow
def test_the_best_score_on_noise_is_too_good_and_the_corrected_ones_are_not(tmp_path):
    """Labels are independent of the inputs: every network is right in half of new examples."""
    script = Path(__file__).parents[2] / "experiments" / "honest_selection.py"
    options = "--repetitions 10 --rates 6 --epochs 3 --scenarios noise --results".split()
    command = [sys.executable, script, *options, tmp_path]  # without the checks of shapes
    subprocess.run(command, capture_output=True, check=True)
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    rows = {row["name"].removeprefix("noise: ").removesuffix(" − truth"): row for row in rows}
    for name in ("best of folds", "best of a split"):
        assert rows[name]["low"] > 0.03
    for name in ("corrected", "nested", "bootstrap"):
        assert -0.06 < rows[name]["mean"] < 0.02
