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


def test_float_targets_have_no_confusion_matrix():
    data = jn.datasets.function(np.sin, n=50)
    net = jn.Network((1, 1))
    with pytest.raises(ValueError, match="needs integer labels, not float targets"):
        jn.confusion(net, jn.init(net, jax.random.key(0)), data.train)
