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
