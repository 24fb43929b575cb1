import jax
import numpy as np
import pytest
from sklearn import metrics

import jaxnet as jn


def test_the_confusion_matrix_is_scikit_learns():
    test = jn.datasets.mnist().test
    net = jn.Network((784, 10))
    params = jn.init(net, jax.random.key(0))
    got = jn.confusion(net, params, test)
    says = np.asarray(jn.predict(net, params, test.x)).argmax(axis=1)
    assert np.array_equal(got, metrics.confusion_matrix(test.y, says))
    accuracy = jn.evaluate(net, params, test).accuracy
    assert got.trace() / got.sum() == pytest.approx(float(accuracy))


def test_the_confusion_matrix_of_one_output_has_two_classes():
    data = jn.datasets.xor(n=100)
    net = jn.Network((2, 3, 1))
    params = jn.init(net, jax.random.key(0))
    says = np.asarray(jn.predict(net, params, data.train.x))[:, 0] > 0.5
    expected = metrics.confusion_matrix(data.train.y, says.astype(int), labels=[0, 1])
    assert np.array_equal(jn.confusion(net, params, data.train), expected)


def test_multi_label_targets_have_a_confusion_matrix_for_each_label():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((50, 2)), random.integers(2, size=(50, 3))
    net = jn.Network((2, 4, 3))
    params = jn.init(net, jax.random.key(0))
    predicted = np.asarray(jn.predict(net, params, x)) > 0.5
    expected = metrics.multilabel_confusion_matrix(y, predicted)
    for targets in (y, y.astype(bool), y.astype(np.float32)):
        assert np.array_equal(jn.confusion(net, params, jn.Split(x, targets)), expected)
    broken = (params[0]._replace(b=params[0].b * np.nan), params[1])
    with pytest.raises(ValueError, match="outputs are NaN for 50 of 50 examples"):
        jn.confusion(net, broken, jn.Split(x, y))


def test_float_targets_have_no_confusion_matrix():
    data = jn.datasets.function(np.sin, n=50)
    net = jn.Network((1, 1))
    with pytest.raises(ValueError, match="needs integer labels, not float targets"):
        jn.confusion(net, jn.init(net, jax.random.key(0)), data.train)


def test_metrics_of_a_split_are_scikit_learns():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((1500, 2)), random.integers(2, size=1500)  # more than a chunk
    weight = random.gamma(2, size=1500)
    net = jn.Network((2, 4, 2), cost=jn.costs.LogLikelihood())
    params = jn.init(net, jax.random.key(0))
    own = {
        "auc": jn.metrics.roc_auc, "f1": jn.metrics.f1, "loss": jn.metrics.log_loss,
        "first": lambda outputs, targets, weights: outputs[0, 1],
    }  # fmt: skip
    outputs = np.asarray(jn.predict(net, params, x))
    predicted, p = outputs.argmax(axis=1), outputs[:, 1]
    for weights in (None, weight):
        split = jn.Split(x, y, weights)
        cost, accuracy, values = jn.evaluate(net, params, split, l2=0.5, metrics=own)
        assert list(values) == sorted(own)
        expected = {
            "auc": metrics.roc_auc_score(y, p, sample_weight=weights),
            "f1": metrics.f1_score(y, predicted, sample_weight=weights, average="macro"),
            "loss": metrics.log_loss(y, p, sample_weight=weights),
            "first": p[0],
        }
        for name, value in expected.items():
            np.testing.assert_allclose(values[name], value, rtol=1e-5, err_msg=name)
        assert values["loss"].shape == ()
        right = metrics.accuracy_score(y, predicted, sample_weight=weights)
        np.testing.assert_allclose(accuracy, right, rtol=1e-5)
        alone = jn.evaluate(net, params, split, l2=0.5)
        np.testing.assert_allclose((cost, accuracy), alone, rtol=1e-5)
    assert jn.evaluate(net, params, split, metrics={}).metrics == {}
    with pytest.raises(ValueError, match=r"the metric all must return one number, not an array"):
        jn.evaluate(net, params, split, metrics={"all": lambda outputs, *rest: outputs})


def test_metrics_of_a_float64_network_are_computed_in_its_type():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((50, 2)), random.standard_normal((50, 1))
    net = jn.Network((2, 1), cost=jn.costs.Quadratic(jn.activations.linear))
    params = (jn.Layer(random.standard_normal((2, 1)), np.zeros(1)),)
    values = jn.evaluate(net, params, jn.Split(x, y), metrics={"mae": jn.metrics.mae}).metrics
    assert isinstance(values["mae"], np.ndarray)
    expected = metrics.mean_absolute_error(y, x @ params[0].w)
    np.testing.assert_allclose(values["mae"], expected, rtol=1e-13)


@pytest.mark.parametrize("sizes", [(2, 3, 2), (2, 3, 1)])
def test_a_network_of_nan_classifies_nothing(sizes):
    net = jn.Network(sizes, jn.activations.relu)
    params = jn.init(net, jax.random.key(0))
    params = (params[0]._replace(b=params[0].b.at[0].set(np.nan)), params[1])
    test = jn.Split(np.random.default_rng(0).random((5, 2)), np.array([0, 1, 0, 1, 0]))
    assert jn.evaluate(net, params, test).accuracy == 0
    assert np.isnan(jn.evaluate(net, params, test).cost)
    with pytest.raises(ValueError, match="outputs are NaN for 5 of 5 examples"):
        jn.confusion(net, params, test)


def test_a_confusion_matrix_of_a_regression_with_whole_targets_is_refused():
    net = jn.Network((1, 1), cost=jn.costs.Quadratic(jn.activations.linear))
    params = jn.init(net, jax.random.key(0))
    x = np.arange(4.0)[:, None]
    for y in (3 * x, np.array([0, 3, 6, 9])):
        with pytest.raises(ValueError, match=r"integer labels, not float targets, of which row 0"):
            jn.confusion(net, params, jn.Split(x, y))
