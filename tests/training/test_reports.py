"""Reports of runs: scikit-learn, loops in plain NumPy, and known temperatures."""

import json
import sys

import jax
import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics

import jaxnet as jn
from jaxnet.sweeps.ensemble import Member
from jaxnet.training.calibration import fitted_temperature, reliability

RANDOM = np.random.default_rng(0)
N = 120
X = RANDOM.normal(size=(N, 4))
WEIGHT = RANDOM.gamma(2, size=N)
PARTS = {
    "softmax": ((4, 6, 3), jn.costs.LogLikelihood(temperature=2.0)),
    "sigmoid": ((4, 6, 3), jn.costs.CrossEntropy()),
    "single": ((4, 6, 1), jn.costs.CrossEntropy()),
}


def _network(sizes, cost, scale=2.0):
    net = jn.Network(sizes, cost=cost)
    params = jn.init(net, jax.random.key(1))
    return net, jax.tree.map(lambda array: scale * array, params)


def _probabilities(net, params, x):
    """The network's own probabilities, by scikit-learn's conventions."""
    outputs = np.asarray(jn.predict(net, params, x), float)
    if outputs.shape[1] == 1:
        return np.concatenate([1 - outputs, outputs], axis=1)
    return outputs / outputs.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_scores_are_those_of_scikit_learn(kind, weight):
    net, params = _network(*PARTS[kind])
    n_classes = max(2, net.sizes[-1])
    split = jn.Split(X, RANDOM.integers(n_classes, size=N), weight)
    report = jn.report(net, params, split)
    p = _probabilities(net, params, X)
    predicted = p.argmax(axis=1)
    expected = metrics.precision_recall_fscore_support(
        split.y, predicted, sample_weight=weight, labels=range(n_classes), zero_division=0.0
    )
    for own, wanted in zip(
        (report.precision, report.recall, report.f1, report.support), expected, strict=True
    ):
        np.testing.assert_allclose(own, wanted)
    accuracy = metrics.accuracy_score(split.y, predicted, sample_weight=weight)
    loss = metrics.log_loss(split.y, p, sample_weight=weight)
    np.testing.assert_allclose(report.accuracy, accuracy, rtol=1e-6)
    np.testing.assert_allclose(report.log_loss, loss, rtol=1e-5)
    np.testing.assert_allclose(report.accuracy, jn.evaluate(net, params, split).accuracy, 1e-6)
    wrong = [row for row in np.argsort(-p.max(axis=1)) if predicted[row] != split.y[row]][:10]
    assert [example.row for example in report.wrong] == wrong
    first = report.wrong[0]
    assert (first.label, first.predicted) == (split.y[wrong[0]], predicted[wrong[0]])
    np.testing.assert_allclose(first.probability, p[wrong[0]].max(), rtol=1e-5)


def test_the_calibration_error_is_that_of_a_plain_loop():
    confidence, is_right = RANDOM.uniform(0.2, 1, size=500), RANDOM.random(500) < 0.6
    weight = RANDOM.gamma(2, size=500)
    error = 0.0
    for index in range(15):
        inside = (confidence > index / 15) & (confidence <= (index + 1) / 15)
        if inside.any():
            share = weight[inside].sum() / weight.sum()
            means = [
                np.average(values[inside], weights=weight[inside])
                for values in (confidence, is_right)
            ]
            error += share * abs(means[0] - means[1])
    curve = reliability(confidence, is_right, weight)
    np.testing.assert_allclose(curve.error, error)
    assert curve.counts.sum() == 500
    assert np.isnan(curve.accuracy[0])  # nobody is as unsure as that
    edges = reliability(np.array([1 / 15, 1.0, 1e-9]), np.array([True, True, True]))
    assert (edges.counts[0], edges.counts[14]) == (2, 1)


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 3.0])
def test_a_temperature_is_found_again(true_temperature):
    logits = RANDOM.normal(scale=3.0, size=(20_000, 4))
    shares = special.softmax(logits / true_temperature, axis=1)
    labels = (shares.cumsum(axis=1) < RANDOM.random((20_000, 1))).sum(axis=1)
    fitted = fitted_temperature(lambda t: special.log_softmax(logits / t, axis=1), labels)
    np.testing.assert_allclose(fitted, true_temperature, rtol=0.05)


@pytest.mark.parametrize("kind", PARTS)
def test_scaling_calibrates_a_network_that_is_too_sure_of_itself(kind):
    net, params = _network(*PARTS[kind], scale=1.5)
    x = RANDOM.normal(size=(6000, 4))
    p = _probabilities(net, params, x)
    y = (p.cumsum(axis=1) < RANDOM.random((len(p), 1))).sum(axis=1)
    sure = (*params[:-1], jax.tree.map(lambda array: 4 * array, params[-1]))  # logits times 4
    test, valid = jn.Split(x[:3000], y[:3000]), jn.Split(x[3000:], y[3000:])
    calibration = jn.report(net, sure, test, valid=valid).calibration
    assert calibration.curve.error > 0.1
    assert calibration.scaled_curve.error < 0.04
    if kind != "sigmoid":  # whose sum was not 1
        np.testing.assert_allclose(calibration.temperature, 4, rtol=0.15)
    assert jn.report(net, sure, test).calibration.scaled_curve is None


def test_multi_label_and_soft_targets_and_outputs_that_are_no_probabilities():
    net, params = _network(*PARTS["sigmoid"])
    targets = RANDOM.integers(2, size=(N, 3))
    report = jn.report(net, params, jn.Split(X, targets), class_names=["a", "b", "c"])
    predicted = np.asarray(jn.predict(net, params, X)) > 0.5
    np.testing.assert_allclose(
        report.f1, metrics.f1_score(targets, predicted, average=None, zero_division=0.0)
    )
    np.testing.assert_allclose(report.accuracy, metrics.accuracy_score(targets, predicted))
    assert (report.calibration, report.wrong) == (None, ())
    net, params = _network(*PARTS["softmax"])
    soft = RANDOM.dirichlet(np.ones(3), size=N)
    report = jn.report(net, params, jn.Split(X, soft))
    np.testing.assert_allclose(
        report.accuracy, np.mean(jn.predict(net, params, X).argmax(axis=1) == soft.argmax(axis=1))
    )
    net, params = _network((4, 6, 3), jn.costs.Quadratic(jn.activations.linear))
    report = jn.report(net, params, jn.Split(X, RANDOM.integers(3, size=N)))
    assert np.isnan(report.log_loss)
    assert report.to_dict()["log_loss"] is None


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_residuals_are_those_of_scikit_learn(weight):
    net, params = _network((4, 6, 2), jn.costs.Quadratic(jn.activations.linear))
    y = RANDOM.normal(size=(N, 2))
    report = jn.report(net, params, jn.Split(X, y, weight))
    predicted = np.asarray(jn.predict(net, params, X), float)
    options = {"sample_weight": weight, "multioutput": "raw_values"}
    mse = metrics.mean_squared_error(y, predicted, **options)
    np.testing.assert_allclose(report.rmse, np.sqrt(mse), rtol=1e-5)
    np.testing.assert_allclose(report.mae, metrics.mean_absolute_error(y, predicted, **options))
    np.testing.assert_allclose(report.r2, metrics.r2_score(y, predicted, **options), rtol=1e-5)
    np.testing.assert_allclose(report.bias, np.average(predicted - y, axis=0, weights=weight))
    assert report.coverage == {}


def test_intervals_of_predicted_variances_hold_what_they_say():
    net, params = _network((4, 6, 2), jn.costs.GaussianNLL(), scale=1.0)
    x = RANDOM.normal(size=(4000, 4))
    mean, log_variance = np.split(np.asarray(jn.predict(net, params, x), float), 2, axis=1)
    y = mean + np.exp(log_variance / 2) * RANDOM.normal(size=mean.shape)
    report = jn.report(net, params, jn.Split(x, y))
    for level, share in report.coverage.items():
        np.testing.assert_allclose(share, [level], atol=0.03)
    assert "in 95%" in str(report)
    assert report.to_dict()["targets"][0]["coverage"]["0.95"] == report.coverage[0.95][0]
    assert np.isnan(jn.report(net, params, jn.Split(x[:1], y[:1])).r2[0])


def test_an_ensemble_states_intervals_by_its_spread():
    net = jn.Network((4, 6, 1), cost=jn.costs.Quadratic(jn.activations.linear))
    members = [Member(net, jn.init(net, jax.random.key(seed))) for seed in range(5)]
    ensemble = jn.Ensemble(tuple(members))
    y = RANDOM.normal(size=(N, 1))
    report = ensemble.report(jn.Split(X, y))
    mean, spread = ensemble.predict(X), ensemble.spread(X)
    for level, share in report.coverage.items():
        low, high = stats.norm.interval(level, mean, spread)
        np.testing.assert_allclose(share, [np.mean((low <= y) & (y <= high))])
    np.testing.assert_allclose(report.bias, np.mean(mean - y), rtol=1e-5)


def test_an_ensemble_of_classifiers_and_one_of_variances():
    net, params = _network(*PARTS["softmax"])
    ensemble = jn.Ensemble((Member(net, params), Member(net, jn.init(net, jax.random.key(2)))))
    split = jn.Split(X, RANDOM.integers(3, size=N))
    report = ensemble.report(split, valid=split)
    np.testing.assert_allclose(
        report.log_loss, metrics.log_loss(split.y, ensemble.predict(X)), 1e-5
    )
    np.testing.assert_allclose(report.accuracy, ensemble.evaluate(split).accuracy, rtol=1e-6)
    assert report.calibration.scaled_curve is not None
    net = jn.Network((4, 6, 2), cost=jn.costs.GaussianNLL())
    pair = [jn.init(net, jax.random.key(seed)) for seed in (0, 1)]
    ensemble = jn.Ensemble(tuple(Member(net, params) for params in pair))
    y = RANDOM.normal(size=(N, 1))
    outputs = ensemble.predict_all(X)
    deviation = np.sqrt(np.exp(outputs[..., 1]).mean(axis=0) + outputs[..., 0].var(axis=0))
    inside = np.abs(outputs[..., 0].mean(axis=0) - y[:, 0]) <= stats.norm.ppf(0.9) * deviation
    np.testing.assert_allclose(ensemble.report(jn.Split(X, y)).coverage[0.8], [inside.mean()])


def test_a_report_is_printed_and_written():
    net, params = _network(*PARTS["softmax"])
    split = jn.Split(X, np.arange(N) % 3)
    report = jn.report(net, params, split, valid=split, class_names=["cat", "dog", "bird"])
    text = str(report)
    lines = text.splitlines()
    assert lines[1].split() == [
        "cat", f"{report.precision[0]:.3f}", f"{report.recall[0]:.3f}", f"{report.f1[0]:.3f}", "40"
    ]  # fmt: skip
    assert f"accuracy {report.accuracy:.2%}, log loss {report.log_loss:.4f}" in text
    worst = report.wrong[0]
    names = report.class_names
    assert f"example {worst.row}: {names[worst.predicted]} with {worst.probability:.1%}" in text
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["classes"][2]["class"] == "bird"
    assert content["calibration"]["error"] == report.calibration.curve.error
    assert sum(row["count"] for row in content["calibration"]["curve"]) == N


def test_what_cannot_be_reported_is_refused(monkeypatch):
    net, params = _network(*PARTS["softmax"])
    split = jn.Split(X, np.arange(N) % 3)
    with pytest.raises(ValueError, match="class_names must be a list of 3 texts"):
        jn.report(net, params, split, class_names=["a", "b"])
    numbers = jn.Network((4, 3), cost=jn.costs.Quadratic(jn.activations.linear))
    initial, targets = jn.init(numbers, jax.random.key(0)), jn.Split(X, X[:, :3])
    with pytest.raises(ValueError, match="class_names are for classes"):
        jn.report(numbers, initial, targets, class_names=["a", "b", "c"])
    broken = jax.tree.map(lambda array: array * np.nan, params)
    with pytest.raises(ValueError, match="outputs are NaN for 120 of 120 examples"):
        jn.report(net, broken, split)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match="report needs scikit-learn"):
        jn.report(net, params, split)
