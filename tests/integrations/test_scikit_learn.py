"""Estimators of scikit-learn and networks of jaxnet predict the same, in both directions."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor

import jaxnet as jn
from jaxnet.core.types import Layer

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(30, 3))
LABELS = {
    "two classes": np.arange(30) % 2,
    "three classes": np.array(["a", "b", "c"])[np.arange(30) % 3],
    "labels": RANDOM.integers(0, 2, (30, 4)),
}
NUMBERS = {"a number": X.sum(axis=1), "two numbers": X[:, :2]}


@pytest.fixture(autouse=True)
def _unconverged():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Stochastic Optimizer")
        yield


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("kind", [*LABELS, *NUMBERS])
def test_a_fitted_estimator_comes_back_from_jaxnet(kind, activation):
    estimator, y = MLPRegressor if kind in NUMBERS else MLPClassifier, (LABELS | NUMBERS)[kind]
    mlp = estimator(
        hidden_layer_sizes=(5, 4), activation=activation, max_iter=2, random_state=0
    ).fit(X, y)
    net, params = jn.from_sklearn(mlp)
    outputs = np.asarray(jn.predict(net, params, X))
    expected = mlp.predict(X) if kind in NUMBERS else mlp.predict_proba(X)
    ours = outputs[:, 0] if kind == "a number" else outputs
    if kind == "two classes":
        ours = np.hstack([1 - outputs, outputs])
    np.testing.assert_allclose(ours, expected, rtol=1e-9)
    again = jn.to_sklearn(net, params)
    if kind in NUMBERS:
        np.testing.assert_allclose(again.predict(X), expected, rtol=1e-9)
    else:
        np.testing.assert_allclose(again.predict_proba(X), expected, rtol=1e-9)
        is_named = kind == "three classes"
        named = mlp.classes_[again.predict(X)] if is_named else again.predict(X)
        np.testing.assert_array_equal(named, mlp.predict(X))
    params[0].w[:] = 0  # a copy: the estimator keeps its own
    assert np.abs(mlp.coefs_[0]).min() > 0


@pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 7), reason="no Poisson loss"
)
def test_rates_go_both_ways():
    mlp = MLPRegressor(hidden_layer_sizes=(4,), loss="poisson", max_iter=2, random_state=0).fit(
        X, X[:, 0] ** 2
    )
    net, params = jn.from_sklearn(mlp)
    assert net.cost == jn.costs.Poisson()
    np.testing.assert_allclose(jn.predict(net, params, X)[:, 0], mlp.predict(X), rtol=1e-9)
    np.testing.assert_allclose(jn.to_sklearn(net, params).predict(X), mlp.predict(X), rtol=1e-9)


@pytest.mark.parametrize("sizes", [(3, 2), (3, 5, 2), (3, 5, 4)])
def test_a_softmax_of_two_outputs_is_a_binary_classifier(sizes):
    net = jn.Network(sizes, jn.activations.tanh, jn.costs.LogLikelihood(2.0))
    params = tuple(Layer(RANDOM.normal(size=pair), RANDOM.normal(size=pair[1]))
                   for pair in zip(sizes, sizes[1:], strict=False))  # fmt: skip
    mlp, outputs = jn.to_sklearn(net, params), np.asarray(jn.predict(net, params, X))
    np.testing.assert_allclose(mlp.predict_proba(X), outputs, rtol=1e-9)
    np.testing.assert_array_equal(mlp.predict(X), outputs.argmax(axis=1))


def test_an_estimator_goes_on_from_the_parameters():
    net = jn.Network((3, 5, 3), jn.activations.relu, jn.costs.LogLikelihood())
    params = tuple(Layer(RANDOM.normal(size=pair).astype(np.float32), np.zeros(pair[1], np.float32))
                   for pair in ((3, 5), (5, 3)))  # fmt: skip
    mlp = jn.to_sklearn(net, params)
    assert mlp.coefs_[0].dtype == np.float32
    mlp.partial_fit(X.astype(np.float32), np.arange(30) % 3)
    moved = np.abs(mlp.coefs_[0] - params[0].w).max()
    assert 0 < moved < 0.01  # two steps of Adam


@pytest.mark.parametrize(
    "net",
    [
        jn.Network((3, 5, 4, 2), (jn.activations.relu, jn.activations.tanh)),
        jn.Network((3, 5, 2), jn.activations.gelu),
        jn.Network((3, 5, 2), jn.activations.softmax),
        jn.Network((3, 5, 2), cost=jn.costs.Quadratic(jn.activations.relu)),
    ],
    ids=["two activations", "gelu", "hidden softmax", "relu outputs"],
)
def test_what_scikit_learn_lacks_is_refused_in_a_sentence(net):
    params = tuple(Layer(np.zeros(pair), np.zeros(pair[1]))
                   for pair in zip(net.sizes, net.sizes[1:], strict=False))  # fmt: skip
    with pytest.raises(ValueError, match=r"^net has the activation.*\.$"):
        jn.to_sklearn(net, params)


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(ValueError, match=r"^mlp is not fitted, MLPClassifier\(\); call its"):
        jn.from_sklearn(MLPClassifier())
