"""Labels, multi-label targets and probabilities have an accuracy; numbers to predict have none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import accuracy_score

import jaxnet as jn
from jaxnet.core import costs
from jaxnet.core.accuracy import have_accuracy

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4)).astype(np.float32)
PROBABILITIES = RANDOM.dirichlet(np.ones(3), size=60).astype(np.float32)
MULTI_LABEL = RANDOM.random((60, 3)) < 0.4
LABELS = RANDOM.integers(3, size=60)
LINEAR = jn.activations.linear


def _net(cost, n_out=3):
    net = jn.Network((4, 5, n_out), jn.activations.tanh, cost)
    return net, jn.init(net, jax.random.key(0))


def _accuracy(cost, y, n_out=3):
    """The accuracy on a split, which the mean over its examples has to agree with."""
    net, params = _net(cost, n_out)
    split = jn.Split(X, y)
    accuracy = jn.evaluate(net, params, split).accuracy.item()
    hits = jn.training.evaluation.by_example(net, params, split)[1]
    np.testing.assert_allclose(accuracy, hits.mean(), rtol=1e-6)
    return accuracy, np.asarray(jn.predict(net, params, X))


@pytest.mark.parametrize("cost", [costs.CrossEntropy(), costs.Quadratic()])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.float64])
def test_multi_label_targets_have_the_subset_accuracy_of_scikit_learn(cost, dtype):
    accuracy, outputs = _accuracy(cost, MULTI_LABEL.astype(dtype))
    assert 0 < accuracy < 1
    assert accuracy == pytest.approx(accuracy_score(MULTI_LABEL, outputs > 0.5))


@pytest.mark.parametrize("cost", [costs.LogLikelihood(), costs.Focal(), costs.CrossEntropy()])
def test_probabilities_have_the_accuracy_of_their_most_probable_class(cost):
    accuracy, outputs = _accuracy(cost, PROBABILITIES)
    assert accuracy == pytest.approx(np.mean(outputs.argmax(1) == PROBABILITIES.argmax(1)))


def test_one_hot_floats_of_a_softmax_have_the_accuracy_of_labels():
    cost = costs.LogLikelihood()
    labels, one_hot = (_accuracy(cost, y)[0] for y in (LABELS, np.eye(3)[LABELS]))
    assert labels == one_hot


def test_any_of_the_most_probable_classes_is_right():
    half = np.tile(np.float32([0.5, 0.5, 0.0]), (60, 1))
    accuracy, outputs = _accuracy(costs.LogLikelihood(), half)
    assert accuracy == pytest.approx(np.mean(outputs.argmax(1) < 2))


def test_zeros_and_ones_of_one_sigmoid_output_are_classes():
    y = MULTI_LABEL[:, 0].astype(float)
    accuracy, outputs = _accuracy(costs.CrossEntropy(), y, n_out=1)
    assert accuracy == pytest.approx(np.mean((outputs[:, 0] > 0.5) == y))


NUMBERS = {
    "fractions": (costs.CrossEntropy(), RANDOM.random((60, 3))),
    "one fraction": (costs.CrossEntropy(), RANDOM.random((60, 1))),
    "a fraction among classes": (
        costs.CrossEntropy(),
        np.vstack([MULTI_LABEL[:-1], [[0.3, 0.3, 0.3]]]),
    ),
    "numbers": (costs.Quadratic(LINEAR), RANDOM.normal(size=(60, 3))),
    "one-hot numbers": (costs.Quadratic(LINEAR), np.eye(3)[LABELS]),
    "huber": (costs.Huber(), RANDOM.normal(size=(60, 2))),
    "counts": (costs.Poisson(), RANDOM.poisson(1, size=(60, 2))),
    "zeros and ones that are counts": (costs.Poisson(), MULTI_LABEL[:, 0]),
    "means and variances": (costs.GaussianNLL(), RANDOM.normal(size=(60, 2))),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_to_predict_have_no_accuracy(name):
    cost, y = NUMBERS[name]
    n_targets = np.atleast_2d(y.T).shape[0]
    n_out = 2 * n_targets if cost == costs.GaussianNLL() else n_targets
    assert np.isnan(_accuracy(cost, y, n_out)[0])
    assert not have_accuracy(cost, np.asarray(y, float).reshape(60, -1))


def test_an_output_of_nan_is_wrong():
    for cost, y in ((costs.CrossEntropy(), MULTI_LABEL), (costs.LogLikelihood(), PROBABILITIES)):
        net, params = _net(cost)
        params = (*params[:-1], params[-1]._replace(b=jnp.array([jnp.nan, 0.0, 0.0])))
        assert jn.evaluate(net, params, jn.Split(X, y)).accuracy == 0


def test_a_rule_may_stop_on_the_accuracy_of_multi_label_targets():
    net, _ = _net(costs.CrossEntropy())
    recipe = jn.Recipe(jn.adam(0.01), stopping=jn.stopping.no_improvement_in(2))
    split = jn.Split(X, MULTI_LABEL)
    run = jn.train(net, jn.Dataset(split, split), recipe, epochs=3)
    assert np.isfinite(run.history.evaluation_accuracy).all()
    numbers = jn.Split(X, RANDOM.random((60, 3)))
    with pytest.raises(ValueError, match='numbers to predict; use metric="cost"'):
        jn.train(net, jn.Dataset(numbers, numbers), recipe, epochs=1)
