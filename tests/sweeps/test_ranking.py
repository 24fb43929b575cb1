"""Scores of sweeps: of the networks that would be used, computed here by hand from the curves."""

import dataclasses
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.io import files, reading
from jaxnet.sweeps import ranking, store

RANDOM = np.random.default_rng(0)
X = RANDOM.random((73, 4)).astype(np.float32)
LABELS = RANDOM.integers(3, size=73)
TARGETS = (X @ [[1.0], [-2.0], [0.5], [0.0]] + RANDOM.normal(size=(73, 1)) / 2).astype(np.float32)
CLASSES = jn.Dataset(jn.Split(X[:53], LABELS[:53]), jn.Split(X[53:], LABELS[53:]))
NUMBERS = jn.Dataset(jn.Split(X[:53], TARGETS[:53]), jn.Split(X[53:], TARGETS[53:]))
NET = jn.Network((4, 6, 3))
LINEAR = jn.Network((4, 1), cost=jn.costs.Quadratic(jn.activations.linear))
FAST = jn.Recipe(jn.sgd([0.5, 3.0, 8.0]))
PENALIZED = jn.Recipe(jn.sgd(0.2), l2=[0.0, 3.0, 30.0], l1=[0.0, 1.0, 3.0])
OPTIONS = {"epochs": 6, "batch_size": 6, "log": None}
RULES = {
    "none": None,
    "accuracy": jn.stopping.no_improvement_in(2),
    "cost": jn.stopping.no_improvement_in(2, metric="cost"),
    "training": jn.stopping.reduce_on_plateau(1, metric="cost", split="training"),
    "target": jn.stopping.reach(0.35, patience=4),
}
BOTH = ("evaluation", "training")


def _sweep(data, recipe, seeds=3, **options):
    net = NET if data.train.y.ndim == 1 else LINEAR
    return jn.sweep(net, data, recipe, seeds=seeds, **(OPTIONS | options))


def _half_mean_square(params, split):
    (w, b), *_ = params
    return np.mean((np.asarray(split.x @ w + b - split.y, float)) ** 2) / 2


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_the_score_is_the_accuracy_after_the_best_epoch(rule):
    study = _sweep(
        CLASSES, dataclasses.replace(FAST, stopping=RULES[rule]), evaluate_on=BOTH, seeds=2
    )
    accuracy = study.history.evaluation_accuracy
    metric = -study.history.evaluation_data_cost if rule == "cost" else accuracy
    if rule == "training":
        metric = -study.history.training_data_cost
    for lane in np.ndindex(study.score.shape):
        best = int(np.nanargmax(metric[lane]))
        assert study.best_epoch[lane] == best + 1
        assert study.score[lane] == accuracy[(*lane, best)]
    again = ranking.best_epochs(
        RULES[rule],
        jn.History.from_array(study.history.to_array().reshape(6, 6, -1)),
        study.epochs.ravel(),
    )
    assert np.array_equal(again, study.best_epoch.ravel())


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["none", "cost"])
def test_a_regression_is_scored_by_the_cost_without_penalties_after_the_best_epoch(rule):
    study = _sweep(NUMBERS, dataclasses.replace(PENALIZED, stopping=RULES[rule]))
    for recipe, seed in np.ndindex(study.score.shape):
        run = study.run(recipe, seed)
        assert study.score[recipe, seed] == -np.nanmin(
            study.history.evaluation_data_cost[recipe, seed]
        )
        by_hand = _half_mean_square(run.best_params, NUMBERS.valid)
        assert study.score[recipe, seed] == pytest.approx(-by_hand, rel=1e-5)
    penalty = study.history.evaluation_cost - study.history.evaluation_data_cost
    assert np.nanmax(np.abs(penalty[0])) == 0
    w = study.params(2, 0)[0].w
    expected = 30 / (2 * 20) * np.sum(w**2) + 3 / 20 * np.sum(np.abs(w))
    assert penalty[2, 0, study.epochs[2, 0] - 1] == pytest.approx(expected, rel=1e-4)


def test_a_larger_penalty_alone_does_not_look_worse():
    """With a learning rate of 0 the networks are equal, whatever λ."""
    study = _sweep(NUMBERS, jn.Recipe(jn.sgd(0.0), l2=[0.0, 5.0, 500.0]))
    assert len(np.unique(study.history.evaluation_cost)) > 3
    assert np.array_equal(study.score[0], study.score[1])
    assert np.array_equal(study.score[0], study.score[2])


@pytest.mark.slow
def test_without_a_validation_split_the_last_epoch_is_the_best_and_training_ranks():
    study = _sweep(CLASSES._replace(valid=None), FAST)
    assert np.array_equal(study.score, study.history.training_accuracy[:, :, -1])
    study = _sweep(NUMBERS._replace(valid=None), PENALIZED)
    assert np.array_equal(study.score, -study.history.training_data_cost[:, :, -1])
    assert (study.best_epoch == study.epochs).all()


@pytest.mark.slow
def test_the_best_recipe_has_the_highest_mean_and_the_best_lane_its_median_seed():
    whole = _sweep(CLASSES, FAST, seeds=5)
    for seeds in (1, 4, 5):
        first = (slice(None), slice(seeds))
        study = whole._replace(
            history=jn.History.from_array(whole.history.to_array()[:, *first]),
            best_epoch=whole.best_epoch[first],
            diverged_epoch=whole.diverged_epoch[first],
        )
        score = study.history.evaluation_accuracy.max(axis=2)
        recipe = int(np.argmax(score.mean(axis=1, dtype=float)))
        assert study.best_recipe == recipe
        assert study.best_lane[0] == recipe
        assert study.score[study.best_lane] == np.sort(score[recipe])[(seeds - 1) // 2]
    assert f"best recipe: {recipe}, whose median seed, {whole.best_lane[1]}, has" in repr(whole)


def test_a_recipe_with_a_diverged_seed_is_behind_all_without():
    scores = np.array([[0.9, 0.9, -np.inf], [0.2, 0.1, 0.3], [0.99, -np.inf, -np.inf]])
    assert ranking.recipe_order(scores).tolist() == [1, 0, 2]
    assert ranking.seeds_from_median(scores[0]).tolist()[-1] == 2
    assert ranking.recipe_order(np.array([[0.5, 0.8], [0.7, 0.6], [0.6, 0.8]])).tolist() == [
        2,
        0,
        1,
    ]


def _turns(at):
    """Descent up to a step, and ascent from there on."""
    return lambda step: jnp.where(step < at, 1.0, -1.0)


@pytest.mark.slow
def test_a_recipe_that_successive_halving_ended_does_not_overtake_its_survivors():
    """The survivor is better after an epoch, and unlearns in the others all that it learned."""
    turns = jn.schedules.custom(_turns, at=np.array([1e9, 9.0]))
    recipe = jn.Recipe(jn.sgd(np.array([0.02, 0.1])), l2=1.0, schedule=turns)
    study = _sweep(NUMBERS, recipe, epochs=4, successive_halving=2)
    assert study.epochs.tolist() == [[2] * 3, [4] * 3]
    cost = study.history.evaluation_data_cost
    assert (cost[1, :, 3] > cost[0, :, 1]).all()
    assert study.best_recipe == 1
    assert (study.score[1] >= -cost[1, :, :2].min(axis=1)).all()


@pytest.mark.slow
def test_the_same_halving_goes_on_the_same_way_when_all_is_trained(tmp_path):
    """Rungs are ranked by the best epoch up to each, also where there are more epochs by now."""
    options = {"epochs": 8, "successive_halving": 2, "folder": tmp_path, "evaluate_on": BOTH}
    recipe = jn.Recipe(jn.sgd(np.geomspace(0.5, 20, 6)), stopping=RULES["training"])
    first, again = _sweep(CLASSES, recipe, **options), _sweep(CLASSES, recipe, **options)
    assert "nothing is missing" in str(again.plan)
    assert np.array_equal(first.epochs, again.epochs)
    assert np.array_equal(first.stopped, again.stopped)


def _as_an_older_version_wrote(folder):
    """Take the data costs and the best epochs' parameters out of the chunks of a folder."""
    for path in (folder / "chunks").iterdir():
        arrays, header = reading.read_file(
            path, "a chunk", lambda file: files.read_sealed(file, store.KIND, store.FORMAT)
        )
        arrays["outcome/history"] = arrays["outcome/history"][:4]
        for index in (4, 5):  # after the parameters, the step and the count of finite steps
            del arrays[f"state/{index:06d}"]
        kept = {
            key: header[key] for key in header if key not in ("format", "kind", "origin", "sha256")
        }
        files.write_sealed(path, store.KIND, store.FORMAT, arrays, kept)


@pytest.mark.slow
def test_a_study_without_data_costs_is_read_ranked_with_a_warning_and_goes_on(tmp_path):
    study = _sweep(NUMBERS, PENALIZED, folder=tmp_path, epochs=3)
    _as_an_older_version_wrote(tmp_path)
    with pytest.warns(UserWarning, match="their costs with penalties rank them"):
        older = _sweep(NUMBERS, PENALIZED, folder=tmp_path, epochs=3)
    assert "nothing is missing" in str(older.plan)
    assert np.isnan(older.history.evaluation_data_cost).all()
    assert np.array_equal(older.score[0], study.score[0])  # without a penalty they are equal
    cost = np.take_along_axis(older.history.evaluation_cost, study.best_epoch[..., None] - 1, 2)
    assert np.array_equal(older.score, -cost[..., 0])
    np.testing.assert_array_equal(older.run(1, 1).params[0].w, study.run(1, 1).params[0].w)
    with pytest.warns(UserWarning, match="their costs with penalties rank them"):
        longer = _sweep(NUMBERS, PENALIZED, folder=tmp_path)
    whole = _sweep(NUMBERS, PENALIZED)
    assert np.array_equal(longer.history.evaluation_cost, whole.history.evaluation_cost)
    assert np.array_equal(
        longer.history.evaluation_data_cost[..., 3:], whole.history.evaluation_data_cost[..., 3:]
    )
    with warnings.catch_warnings():  # where penalties rank nothing there is nothing to say
        warnings.simplefilter("error")
        _sweep(NUMBERS, PENALIZED)
