"""What judges a comparison: metrics of the library's and of a user's, weights, multi-label targets.

Values are those of scikit-learn on the networks that `train` gives.
"""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

import jaxnet as jn
from jaxnet.comparison import result_tables, scores, statistics, tuning
from jaxnet.comparison.protocol import Protocol
from jaxnet.core.checks import check_data
from jaxnet.reporting import comparison_page
from tests.support.json_schema import manifest_faults

NET = jn.Network((2, 6, 3))
SMALL = {"tier": "defaults", "epochs": 2, "tuning_seeds": 1, "seeds": 3, "timing": False,
         "log": None}  # fmt: skip


def _labels(n, seed):
    """Points of three classes, which overlap."""
    random = np.random.default_rng(seed)
    y = random.integers(3, size=n)
    x = random.standard_normal((n, 2)) + np.array([[0, 0], [2, 0], [0, 2]])[y]
    return jn.Split(x.astype(np.float32), y.astype(np.int32))


DATA = jn.Dataset(*(_labels(60, seed) for seed in range(3)))


HISTORY = jn.History(*(np.zeros((1, 1, 1)) for _ in range(6)))


def largest_error(outputs, targets, weights):
    """A user's own metric, which says nothing about its direction."""
    errors = jnp.abs(outputs - jax.nn.one_hot(targets, outputs.shape[1]))
    return 1 - jnp.sum(weights * errors.max(axis=1)) / jnp.sum(weights)


def _by_hand(name, outputs, y):
    one_hot = np.eye(3)[y]
    if name == "mae":
        return -sklearn_metrics.mean_absolute_error(one_hot, outputs)
    return 1 - np.abs(outputs - one_hot).max(axis=1).mean()


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "name"), [(largest_error, "largest_error"), ("mae", "−mae")])
def test_a_metric_selects_on_validation_rows_and_judges_on_test_rows(metric, name):
    contenders = {"sgd": jn.sgd, "adam": jn.adam}
    options = SMALL | ({"tier": "lr", "trials": 5, "tuning_seeds": 2} if metric == "mae" else {})
    result = jn.compare(NET, DATA, contenders, metric=metric, **options)
    assert result.manifest["score"] == name
    for summary in result.summary:
        rows = [row for row in result.runs if row["optimizer"] == summary["optimizer"]]
        by_rate = {}
        for row in rows:
            if row["phase"] == "tuning":
                by_rate.setdefault(row["learning_rate"], []).append(row["valid_score"])
        assert summary["learning_rate"] == max(by_rate, key=lambda rate: np.mean(by_rate[rate]))
        row = [row for row in rows if row["phase"] == "report"][1]
        rule = contenders[summary["optimizer"]](row["learning_rate"])
        run = jn.train(NET, DATA, jn.Recipe(rule), epochs=2, seed=row["seed"])
        for split, kind in ((DATA.valid, "valid"), (DATA.test, "test")):
            outputs = np.asarray(jn.predict(NET, run.params, split.x), float)
            assert row[f"{kind}_score"] == pytest.approx(
                _by_hand(name.removeprefix("−"), outputs, split.y), abs=2e-5
            )
        key = lambda row: (row["phase"], row["optimizer"], row["seed"])
        last = next(r for r in result.report_curves if r["epoch"] == 2 and key(r) == key(row))
        assert last["valid_score"] == pytest.approx(row["valid_score"], abs=1e-5)
    assert f"best mean test {name}: " in result.conclusion[1]
    assert result.time_to_target == []


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "f1", "rmse"])
def test_intervals_over_examples_are_those_of_reweighted_examples(metric):
    score = scores.chosen_score(NET, DATA, metric)
    params = jn.init(NET, jax.random.key(1))
    by_example, _ = score.by_example(NET, params, DATA.test)
    outputs = jn.predict(NET, params, DATA.test.x)
    function = jn.metrics.NAMED[metric]
    sign = -1 if score.name.startswith("−") else 1
    value = jax.jit(lambda weights: sign * function(outputs, jnp.asarray(DATA.test.y), weights))
    assert by_example.mean() == pytest.approx(float(value(jnp.ones(60))), abs=1e-6)
    if metric == "accuracy":
        hits = np.asarray(outputs).argmax(axis=1) == DATA.test.y
        np.testing.assert_allclose(by_example, hits, atol=1e-5)
    resampled = statistics.pigeonhole_bootstrap(by_example[None, None], seed=3)[:, 0]
    random = np.random.default_rng(4)
    draws = (np.bincount(random.integers(60, size=60), minlength=60) for _ in range(1000))
    directly = np.array([float(value(jnp.asarray(draw, jnp.float32))) for draw in draws])
    assert resampled.std() == pytest.approx(directly.std(), rel=0.15)
    assert resampled.mean() == pytest.approx(directly.mean(), abs=directly.std() / 2)


def test_weights_of_test_rows_count_in_the_score():
    """An example of weight 2 counts like two examples."""
    net = jn.Network((2, 4, 1), cost=jn.costs.Quadratic(jn.activations.linear))
    x, y = DATA.test.x, DATA.test.x[:, :1] ** 2
    weight = np.tile([2.0, 1.0, 0.0], 20).astype(np.float32)
    weighted = jn.Split(x, y, weight)
    rows = np.repeat(np.arange(60), weight.astype(int))
    repeated = weighted._replace(weight=None).take(rows)
    params = jn.init(net, jax.random.key(0))
    data = jn.Dataset(weighted, weighted, weighted)
    for metric in (None, "mae", "r2"):
        score = scores.chosen_score(net, data, metric)
        for a, b in zip(
            score.by_example(net, params, weighted), score.by_example(net, params, repeated),
            strict=True,
        ):  # fmt: skip
            assert a.mean() == pytest.approx(b.mean(), abs=1e-5)


@pytest.mark.slow
def test_multi_label_targets_are_scored_by_whole_examples():
    random = np.random.default_rng(0)
    y = [(split.x @ random.standard_normal((2, 3)) > 0).astype(int) for split in DATA]
    data = jn.Dataset(*(split._replace(y=targets) for split, targets in zip(DATA, y, strict=True)))
    contenders = {"adam": jn.adam(0.05), "smooth": jn.Recipe(jn.adam(0.05), label_smoothing=0.1)}
    result = jn.compare(NET, data, contenders, **SMALL)
    assert result.manifest["score"] == "accuracy"
    for row in (row for row in result.runs if row["phase"] == "report"):
        recipe = contenders[row["optimizer"]]
        recipe = recipe if isinstance(recipe, jn.Recipe) else jn.Recipe(recipe)
        run = jn.train(NET, data, recipe, epochs=2, seed=row["seed"])
        predicted = np.asarray(jn.predict(NET, run.params, data.test.x)) > 0.5
        expected = sklearn_metrics.accuracy_score(data.test.y, predicted)
        assert row["test_score"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_the_metric_is_part_of_what_a_folder_holds(tmp_path):
    call = lambda **options: jn.compare(
        NET, DATA, ["sgd", "adam"], **(SMALL | {"folder": tmp_path / "folder"} | options)
    )
    without = jn.compare(NET, DATA, ["sgd", "adam"], **SMALL)
    assert "metric" not in without.manifest["protocol"]
    call(metric="f1")
    with pytest.raises(ValueError, match=r"another comparison: protocol\.metric was .* and is at"):
        call()
    with pytest.raises(ValueError, match=r"another comparison: protocol\.metric\.kind was 'F1' an"):
        call(metric="recall")
    assert manifest_faults(tmp_path / "folder") == []
    manifest = json.loads((tmp_path / "folder" / "manifest.json").read_text())
    assert manifest["protocol"]["metric"] == {"kind": "F1"}


@pytest.mark.slow
def test_a_run_that_diverges_is_infinitely_bad_where_the_metric_has_no_worst_value(tmp_path):
    net = dataclasses.replace(
        NET, hidden=jn.activations.relu, cost=jn.costs.Quadratic(jn.activations.linear)
    )
    contenders = {"good": jn.sgd(0.01), "lost": jn.sgd(1e18)}
    options = SMALL | {"seeds": 8, "metric": "mae", "targets": 0.5, "folder": tmp_path / "x"}
    result = jn.compare(net, DATA, contenders, **options)
    good, lost = result.summary
    assert -1 < good["test_score"] < 0
    assert lost["test_score"] == -np.inf
    assert manifest_faults(tmp_path / "x") == []
    assert result.pairwise[0]["verdict"] == "better"
    assert "lost: 8 of 8 runs of the report diverged; each counts with a score of −∞." in (
        result.warnings
    )
    assert result.time_to_target[0]["target"] == -0.5
    comparison_page.publish(tmp_path / "x")
    assert "−mae" in (tmp_path / "x" / "report.html").read_text()


def unweighted(outputs, targets, weights):
    return jnp.mean(jnp.argmax(outputs, axis=1) == targets)


class Unweighted(jn.metrics.Metric):
    def value(self, outputs, targets, weights):
        return unweighted(outputs, targets, weights)


@dataclasses.dataclass
class WithoutHash(Unweighted):
    """A dataclass that is not frozen has no hash."""


def of_sure_rows(outputs, targets, weights):
    """The precision of rows that are sure, without a value where none is."""
    weights = weights * (outputs.max(axis=1) > 0.99)
    return jnp.sum(weights * (outputs.argmax(axis=1) == targets)) / jnp.sum(weights)


def stepwise(outputs, targets, weights):
    return float(np.asarray(outputs).sum())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "f2"}, "one of the names accuracy, .*, not 'f2'"),
        ({"metric": stepwise}, "the metric stepwise cannot be computed of outputs"),
        ({"metric": unweighted}, "unweighted does not use the examples' weights, which .* sum"),
        ({"metric": Unweighted()}, "does not use the examples' weights"),
        ({"metric": WithoutHash()}, "WithoutHash has no hash, .* frozen dataclass"),
        ({"metric": of_sure_rows}, "of the untrained network is nan on the validation split, .* 0"),
        ({"metric": lambda a, y, w: a[:, 0]}, "must return one number, not an array of shape"),
        ({"metric": "mae", "targets": ()}, "targets must be one validation score or more"),
    ],
)
def test_a_metric_that_cannot_judge_is_refused_in_a_sentence(options, message):
    with pytest.raises(ValueError, match=message) as raised:
        jn.compare(NET, DATA, ["sgd", "adam"], **(SMALL | options))
    assert "\n" not in str(raised.value)


def test_a_metric_without_a_value_on_a_split_is_refused():
    one_class = DATA._replace(test=DATA.test._replace(y=np.zeros(60, np.int32)))
    with pytest.raises(ValueError, match="the metric roc_auc is nan on the test split"):
        scores.chosen_score(NET, check_data(NET, one_class), "roc_auc")


def test_numbers_to_predict_need_the_quadratic_cost_or_a_metric():
    net = jn.Network((2, 4, 1), cost=jn.costs.Huber())
    numbers = jn.Dataset(*(split._replace(y=split.x[:, :1]) for split in DATA))
    with pytest.raises(
        ValueError, match=r'R², which needs the quadratic cost.*"r2" or metric="mae"'
    ):
        scores.chosen_score(net, numbers, None)
    assert scores.chosen_score(net, numbers, "mae").name == "−mae"


@pytest.mark.parametrize("name", list(jn.metrics.NAMED))
def test_no_metric_of_the_library_seems_to_ignore_weights(name):
    data = jn.Dataset(*(split.take(np.arange(9)) for split in DATA))
    assert scores.chosen_score(NET, data, name).metric is jn.metrics.NAMED[name]


def test_a_lambda_is_called_a_metric():
    score = scores.chosen_score(NET, DATA, lambda a, y, w: jnp.sum(w * a.max(axis=1)) / w.sum())
    assert score.name == "metric"


@pytest.mark.parametrize("metric", [None, "accuracy"])
def test_an_accuracy_of_float32_reaches_its_own_value(metric):
    """19 of 20 are 0.95, which float32 rounds down."""
    accuracy = np.full((1, 1, 1), 19 / 20, np.float32)
    history = HISTORY._replace(
        evaluation_accuracy=accuracy, metrics={f"evaluation_{scores.CURVE}": accuracy}
    )
    curve = scores.chosen_score(NET, DATA, metric).curve(history, DATA.valid)
    assert result_tables.reaches(curve, 0.95).all()
    assert not result_tables.reaches(curve, 0.9501).any()
    assert not result_tables.reaches(np.full(1, np.nan), -1.0).any()


@pytest.mark.filterwarnings("error")
def test_r_squared_of_constant_targets_is_that_of_scikit_learn():
    net = jn.Network((2, 4, 1), cost=jn.costs.Quadratic(jn.activations.linear))
    split = jn.Split(DATA.test.x, np.ones((60, 1), np.float32))
    params = jn.init(net, jax.random.key(0))
    score = scores.chosen_score(net, jn.Dataset(split, split, split), None)
    assert score.by_example(net, params, split)[0].mean() == 0
    history = HISTORY._replace(evaluation_data_cost=np.array([[[0.0, 0.5]]], np.float32))
    expected = [sklearn_metrics.r2_score([1, 1], predicted) for predicted in ([1, 1], [2, 1])]
    np.testing.assert_array_equal(score.curve(history, split)[0, 0], expected)


@pytest.mark.parametrize(
    ("metric", "margin", "targets"),
    [
        (None, 0.002, (0.9, 0.95)),
        ("f1", 0.002, (0.9, 0.95)),
        ("hamming", 0.002, ()),
        ("rmse", 0.0, ()),
        ("r2", 0.0, ()),
        (largest_error, 0.0, ()),
    ],
)
def test_thresholds_have_defaults_only_where_the_unit_of_scores_is_known(metric, margin, targets):
    score = scores.chosen_score(NET, DATA, metric)
    of = lambda targets, margin: Protocol.checked(
        "defaults", None, 1, 10, 1, 2, targets, margin, 0, score
    )
    assert (of(None, None).margin, of(None, None).targets) == (margin, targets)
    assert of(0.5, 0.1).margin == 0.1
    assert len(of(0.5, 0.1).targets) == 1


def test_there_are_no_good_learning_rates_where_the_unit_of_scores_is_unknown():
    search = tuning.begin("sgd", jn.Recipe(jn.sgd()), "lr", 5, {})
    score, zeros = np.array([[-90.0, -90.0], [-80.0, -80.0]]), np.zeros((2, 2), int)
    recipes = tuple(jn.Recipe(jn.sgd(rate)) for rate in (0.1, 1.0))
    curve = score[..., None]
    tuned = result_tables.Runs(
        "sgd", recipes, (0, 1), score, score, score, score, zeros, zeros, curve, curve, -score
    )
    resampled = [np.zeros(100), np.zeros(100)]
    row = lambda *options: result_tables.summary_row(search, tuned, tuned, resampled, 0, *options)
    assert row()["good_decades"] == 0
    assert np.isnan(row(False)["good_decades"])
