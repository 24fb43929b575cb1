"""Metrics, the test split and monitors, recorded in every epoch of runs and sweeps."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import jaxnet as jn
from jaxnet.training.epoch_results import finish_epoch
from jaxnet.training.epochs import EpochProgram

XOR = jn.datasets.xor(n=100)
DATA = XOR._replace(test=jn.datasets.xor(n=60, seed=9).train)
NET = jn.Network((2, 6, 2))
METRICS = {"auc": jn.metrics.roc_auc, "loss": jn.metrics.log_loss}
MONITORS = jn.Monitors(("weight_norm", "saturated", "learning_rate"), every=4)
ALL = {
    "metrics": METRICS, "evaluate_on": ("validation", "training", "test"), "monitors": MONITORS,
}  # fmt: skip
RECIPE = jn.Recipe(jn.sgd(0.5), l2=0.1)


def _close(first, second, atol=1e-9):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=atol), first, second)


def _same_bits(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    assert all(map(np.array_equal, jax.tree.leaves(first), jax.tree.leaves(second)))


def test_a_run_records_metrics_of_each_split_as_scikit_learn_has_them(x64):
    heard = []
    run = jn.train(NET, DATA, RECIPE, epochs=3, on_epoch=heard.append, **ALL)
    for name, split in (("evaluation", DATA.valid), ("training", DATA.train), ("test", DATA.test)):
        outputs = np.asarray(jn.predict(NET, run.params, split.x))
        expected = roc_auc_score(split.y, outputs[:, 1])
        assert run.history.metrics[f"{name}_auc"][-1] == pytest.approx(expected, abs=1e-12)
    scores = jn.evaluate(NET, run.params, DATA.test, l2=0.1)
    assert run.history.metrics["test_cost"][-1] == pytest.approx(float(scores.cost))
    assert run.history.metrics["test_accuracy"][-1] == pytest.approx(float(scores.accuracy))
    for epoch, report in enumerate(heard):
        numbers = {name: curve[epoch] for name, curve in run.history.metrics.items()}
        assert report.metrics == numbers


def test_what_is_measured_changes_nothing_else(x64):
    run = jn.train(NET, DATA, RECIPE, epochs=3, **ALL)
    plain = jn.train(NET, XOR, RECIPE, epochs=3)
    _close(run.history.to_array()[:6], plain.history.to_array())
    _same_bits(run.params, plain.params)
    assert run.best_epoch == plain.best_epoch


def test_without_metrics_the_program_has_no_outputs_and_returns_the_six_curves_alone():
    key = jax.random.key(0, impl="threefry2x32")
    state, index = jn.start(NET, RECIPE, key), np.int32(0)
    lowered = {}
    for name, metrics in (("none", ()), ("auc", (("auc", jn.metrics.roc_auc),))):
        program = EpochProgram(NET, 10, ("evaluation",), metrics=metrics)
        finish = jax.jit(partial(finish_epoch, program))
        lowered[name] = finish.lower(XOR, index, RECIPE, None, state).as_text()
        row = jax.eval_shape(finish, XOR, index, RECIPE, None, state).row
        assert list(row.metrics) == [f"evaluation_{metric}" for metric, _ in metrics]
    assert "sort" not in lowered["none"]
    assert "sort" in lowered["auc"]


def test_fit_records_what_train_does(x64):
    run = jn.train(NET, DATA, RECIPE, epochs=3, **ALL)
    _, history = jax.jit(partial(jn.fit, NET, epochs=3, **ALL))(DATA, RECIPE)
    _close(run.history, history)
    assert history.monitors["weight_norm"].shape == (3, 2, 2)
    assert np.array_equal(
        run.monitors["weight_norm"], run.history.monitors["weight_norm"].reshape(-1, 2)
    )


def test_after_a_stop_fit_has_nan_in_metrics_and_monitors():
    rule = jn.stopping.reach(0.0, split="training")
    recipe = jn.Recipe(jn.sgd(0.5), stopping=rule)
    _, history = jn.fit(NET, DATA, recipe, epochs=2, **ALL)
    for numbers in (*history.metrics.values(), *history.monitors.values()):
        assert np.isfinite(numbers[0]).all()
        assert np.isnan(numbers[1]).all()


def test_a_resumed_run_has_the_bits_of_one_that_never_stopped(tmp_path):
    whole = jn.train(NET, DATA, RECIPE, epochs=4, **ALL)
    jn.train(NET, DATA, RECIPE, epochs=2, checkpoint=tmp_path, **ALL)
    resumed = jn.train(NET, DATA, RECIPE, epochs=4, resume=tmp_path, **ALL)
    _same_bits(whole.history, resumed.history)
    other = ALL | {"metrics": {"auc": jn.metrics.f1, "loss": jn.metrics.log_loss}}
    with pytest.raises(ValueError, match=r"metrics\.auc\.kind was 'RocAuc' and is 'F1'"):
        jn.train(NET, DATA, RECIPE, epochs=4, resume=tmp_path, **other)


def test_a_lane_measures_what_train_does_alone_also_where_widths_differ(x64):
    nets = [NET, jn.Network((2, 5, 2))]
    recipe = jn.Recipe(jn.sgd([0.5, 3.0]), l2=0.1)
    study = jn.sweep(nets, DATA, recipe, seeds=2, epochs=2, log=None, **ALL)
    assert study.history.metrics["test_auc"].shape == (4, 2, 2)
    assert study.history.monitors["weight_norm"].shape == (4, 2, 2, 2, 2)
    for place, seed in np.ndindex(4, 2):
        setting = study.settings[place]
        alone = jn.train(setting.network, DATA, setting.recipe, epochs=2, seed=seed, **ALL)
        run = study.run(place, seed)
        _close(run.history, alone.history)
        _close(run.monitors, alone.monitors)
    row = list(study.rows())[-1]
    assert row["test_auc"] == study.history.metrics["test_auc"][-1, -1, -1]


def test_a_padded_lane_has_the_metrics_of_its_own_width(x64):
    nets, options = [NET, jn.Network((2, 7, 2))], {"epochs": 2, "metrics": METRICS}
    study = jn.sweep(nets, DATA, RECIPE, log=None, **options)
    for place, net in enumerate(nets):
        alone = jn.train(net, DATA, RECIPE, evaluate_on=("validation",), **options)
        _close(study.run(place, 0).history, alone.history)


def test_a_resumed_sweep_has_the_bits_of_one_that_never_stopped(tmp_path):
    recipe = jn.Recipe(jn.sgd([0.5, 3.0]))
    options = {"seeds": 2, "log": None} | ALL
    whole = jn.sweep(NET, DATA, recipe, epochs=3, **options)
    jn.sweep(NET, DATA, recipe, epochs=1, folder=tmp_path, **options)
    grown = jn.sweep(NET, DATA, recipe, epochs=3, folder=tmp_path, **options)
    _same_bits(whole.history, grown.history)
    with pytest.raises(ValueError, match="holds another study"):
        jn.sweep(NET, DATA, recipe, epochs=3, folder=tmp_path, log=None, metrics=METRICS)


def test_monitors_of_a_lane_that_diverged_are_nan():
    recipe = jn.Recipe(jn.sgd([0.5, 1e30]))
    net = jn.Network((2, 6, 2), jn.activations.relu)
    study = jn.sweep(net, XOR, recipe, epochs=2, log=None, monitors=MONITORS)
    assert study.diverged_epoch[1, 0] == 1
    assert np.isnan(study.history.monitors["weight_norm"][1]).all()
    assert np.isfinite(study.history.monitors["weight_norm"][0]).all()


def _largest_error(outputs, targets, weights):
    return jnp.max(1 - jnp.take_along_axis(outputs, targets[:, None], axis=1))


class _LargestError(jn.metrics.Metric):
    higher_is_better = False

    def value(self, outputs, targets, weights):
        return _largest_error(outputs, targets, weights)


@pytest.mark.parametrize(
    ("metric", "best", "split"),
    [(_LargestError(), np.argmin, "validation"), (_largest_error, np.argmax, "training")],
)
def test_a_metric_decides_on_the_best_epoch_and_stops(metric, best, split):
    rule = jn.stopping.no_improvement_in(2, metric="error", split=split)
    recipe = jn.Recipe(jn.sgd(0.5), stopping=rule)
    run = jn.train(NET, XOR, recipe, epochs=30, metrics={"error": metric})
    curve = run.history.metrics[rule.curve]
    assert run.best_epoch == 1 + best(curve)
    assert run.ending == "stopped"
    assert len(curve) == run.best_epoch + 2
    study = jn.sweep(NET, XOR, recipe, epochs=30, metrics={"error": metric}, log=None,
                     evaluate_on=("validation", "training"))  # fmt: skip
    assert study.ranked_by == "evaluation_error"
    assert study.best_epoch[0, 0] == run.best_epoch


def test_a_target_of_a_falling_metric_is_reached_from_above():
    rule = jn.stopping.reach(0.66, metric="loss")
    recipe = jn.Recipe(jn.adam(0.05), stopping=rule)
    run = jn.train(NET, XOR, recipe, epochs=60, metrics=METRICS)
    curve = run.history.metrics["evaluation_loss"]
    assert (curve[:-1] > 0.66).all()
    assert curve[-1] <= 0.66
    assert "evaluation loss has reached" in run.stopped


@pytest.mark.parametrize("select_by", ["loss", "cost"])
def test_select_by_ranks_and_decides_on_the_best_epoch(select_by):
    recipe = jn.Recipe(jn.sgd([0.1, 0.5, 3.0]))
    study = jn.sweep(NET, XOR, recipe, seeds=2, epochs=4, metrics=METRICS, select_by=select_by,
                     log=None)  # fmt: skip
    name = "evaluation_data_cost" if select_by == "cost" else f"evaluation_{select_by}"
    curve = -study.history.curves[name]  # lower is better
    assert study.ranked_by == name
    assert np.array_equal(study.best_epoch, 1 + curve.argmax(axis=2))
    assert np.array_equal(study.score, curve.max(axis=2))
    assert study.best_recipe == np.argmax(study.score.mean(axis=1))
    run = study.run(1, 1)
    if select_by in METRICS:
        value = METRICS[select_by](jn.predict(NET, run.best_params, XOR.valid.x), XOR.valid.y)
        np.testing.assert_allclose(abs(value), abs(curve[1, 1].max()), rtol=1e-5)


def test_successive_halving_drops_recipes_by_the_metric():
    recipe = jn.Recipe(jn.sgd([0.1, 0.5, 3.0, 0.01]))
    options = {"epochs": 4, "metrics": METRICS, "select_by": "auc", "log": None}
    study = jn.sweep(NET, XOR, recipe, successive_halving=2, **options)
    first = study.history.metrics["evaluation_auc"][:, 0, :1].max(axis=1)
    order = np.argsort(-first, kind="stable")
    assert set(np.flatnonzero(study.epochs[:, 0] > 1)) == set(order[:2])


def test_validation_is_another_word_for_evaluation():
    run = jn.train(NET, XOR, RECIPE, epochs=2, evaluate_on=("validation",))
    old = jn.train(NET, XOR, RECIPE, epochs=2, evaluate_on=("evaluation",))
    _same_bits(run.params, old.params)
    assert np.array_equal(run.history.evaluation_cost, old.history.evaluation_cost)
    assert jn.stopping.reach(1.0, split="validation") == jn.stopping.reach(1.0)


@dataclasses.dataclass
class Unhashable:
    """A metric whose class is no frozen dataclass."""

    def __call__(self, outputs, targets, weights):
        return outputs[0, 0]


def _fails(outputs, targets, weights):
    raise RuntimeError("no luck")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"metrics": {"accuracy": jn.metrics.f1}}, "an identifier other than accuracy"),
        ({"metrics": {"top-5": jn.metrics.f1}}, "an identifier"),
        ({"metrics": {"auc": jn.metrics.RocAuc}}, "the metric auc must be a function"),
        ({"metrics": {"all": lambda a, y, w: a}}, r"one number, not an array of shape \(100, 2\)"),
        ({"metrics": {"bad": _fails}}, "the metric bad cannot be computed.*no luck"),
        ({"metrics": {"bad": lambda a, y, w: np.mean(np.asarray(a))}}, "written with jax.numpy"),
        ({"metrics": {"bad": Unhashable()}}, "the metric bad has no hash, .* a frozen dataclass"),
        ({"metrics": {"one": jn.metrics.F1(label=7)}}, r"label must be in \[0, 2\)"),
        ({"evaluate_on": ("test", "training")}, "the data has no test split"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_training(options, fault):
    for call in (jn.train, jn.fit, partial(jn.sweep, log=None)):
        with pytest.raises(ValueError, match=fault):
            call(NET, XOR._replace(test=None), RECIPE, epochs=1, **options)


def test_a_metric_without_a_value_decides_nothing():
    one_class = XOR._replace(valid=XOR.valid._replace(y=np.ones_like(XOR.valid.y)))
    rule = jn.stopping.no_improvement_in(2, metric="auc")
    with pytest.raises(ValueError, match="auc cannot decide: it has no value on the validation"):
        jn.train(NET, one_class, jn.Recipe(jn.sgd(0.5), stopping=rule), metrics=METRICS)
    run = jn.train(NET, one_class, RECIPE, epochs=1, metrics=METRICS)
    assert np.isnan(run.history.metrics["evaluation_auc"]).all()
    options = {"metrics": METRICS, "select_by": "auc", "epochs": 1, "log": None}
    with pytest.raises(ValueError, match="no value on the validation split"):
        jn.sweep(NET, one_class, RECIPE, **options)
    rows = np.argsort(XOR.train.y, kind="stable")  # the first and the last are of one class
    folds = [(rows[5:], rows[:5]), (rows[::2], rows[1::2])]
    with pytest.raises(ValueError, match="no value on the test rows of fold 0"):
        jn.sweep(NET, XOR, RECIPE, resample=folds, **options)
    folds = [
        jn.resampling.Fold(rows[::3], rows[1::3], rows[2::3]),
        jn.resampling.Fold(rows[5::2], rows[6::2], rows[:5]),
    ]
    recipe = jn.Recipe(jn.sgd([0.1, 0.5]), stopping=rule)
    with pytest.raises(ValueError, match="no value on the validation rows of fold 1"):
        jn.sweep(NET, XOR, recipe, resample=folds, metrics=METRICS, epochs=1, log=None)


def test_a_metric_of_classes_is_not_for_numbers():
    x = np.linspace(-1, 1, 20)[:, None]
    net = jn.Network((1, 3, 1), cost=jn.costs.Quadratic(jn.activations.linear))
    for name in ("f1", "roc_auc", "hamming"):
        metrics = {name: jn.metrics.NAMED[name]}
        with pytest.raises(ValueError, match=f"{name} is for classes.*choose mae, rmse or r2"):
            jn.train(net, jn.datasets.arrays(x, 3 * x), RECIPE, epochs=1, metrics=metrics)


def test_training_starts_from_finite_parameters():
    first, *others = jn.init(NET, jax.random.key(0))
    params = (first._replace(w=first.w.at[0, 0].set(np.nan)), *others)
    for call in (jn.train, jn.fit, partial(jn.sweep, log=None)):
        with pytest.raises(ValueError, match=r"params\[0\].w holds a number that is not finite"):
            call(NET, XOR, RECIPE, epochs=1, params=params)


def test_an_unknown_metric_does_not_steer():
    rule = jn.stopping.no_improvement_in(2, metric="acu")
    with pytest.raises(ValueError, match=r"metric acu is neither .*; did you mean auc"):
        jn.train(NET, XOR, jn.Recipe(jn.sgd(0.5), stopping=rule), metrics=METRICS)
    with pytest.raises(ValueError, match=r"select_by acu is neither .*; did you mean auc"):
        jn.sweep(NET, XOR, RECIPE, metrics=METRICS, select_by="acu", log=None)
    with pytest.raises(ValueError, match="the test set never decides"):
        jn.stopping.reach(0.9, split="test")
    with pytest.raises(ValueError, match='add "validation" to evaluate_on'):
        jn.sweep(NET, DATA, RECIPE, evaluate_on=("test",), metrics=METRICS, select_by="auc",
                 log=None)  # fmt: skip
