"""Integers are labels, multi-label targets or numbers: the matrix and the cost decide."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.core import costs
from jaxnet.core.checks import check_data, check_split
from jaxnet.core.conversion import target_array

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3)).astype(np.float32)
COUNTS = RANDOM.poisson(3, size=40)
MULTI_LABEL = RANDOM.random((40, 4)) < 0.4
LINEAR = jn.activations.linear


def _run(cost, n_out, data):
    net = jn.Network((3, 4, n_out), jn.activations.tanh, cost)
    run = jn.train(net, data, jn.Recipe(jn.adam(0.05)), epochs=2)
    return jax.tree.leaves(run.params)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
@pytest.mark.parametrize("cost", [costs.CrossEntropy(), costs.Quadratic(LINEAR)])
def test_a_matrix_that_is_not_one_hot_trains_as_its_floats(cost, dtype):
    matrix = MULTI_LABEL.astype(dtype)
    expected = _run(cost, 4, jn.Dataset(jn.Split(X, MULTI_LABEL.astype(np.float32))))
    for y in (matrix, matrix.tolist(), jnp.asarray(matrix)):
        for data in (jn.Dataset(jn.Split(X, y)), jn.datasets.arrays(X, y)):
            assert all(map(np.array_equal, _run(cost, 4, data), expected))


def test_a_one_hot_matrix_is_labels():
    labels = RANDOM.integers(4, size=40)
    split = check_split(jn.Network((3, 4)), "example", jn.Split(X, np.eye(4, dtype=int)[labels]))
    np.testing.assert_array_equal(split.y, labels)
    assert split.y.dtype.kind == "i"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cost", "n_out", "y"),
    [
        (costs.Poisson(), 1, COUNTS),
        (costs.Poisson(), 1, COUNTS > 3),
        (costs.Poisson(), 2, np.eye(2, dtype=int)[COUNTS % 2]),
        (costs.GaussianNLL(), 2, COUNTS - 5),
        (costs.GaussianNLL(), 4, np.stack([COUNTS, COUNTS], axis=1)),
        (costs.Quadratic(LINEAR), 1, COUNTS),
        (costs.Quadratic(LINEAR), 1, COUNTS - 5),
        (costs.AbsoluteError(jn.activations.relu), 1, COUNTS[:, None]),
        (costs.Huber(), 1, COUNTS - 5),
    ],
)
def test_integers_are_numbers_where_the_cost_says_so(cost, n_out, y):
    n_targets = jn.Network((3, n_out), cost=cost).n_targets
    floats = y.astype(np.float32).reshape(40, n_targets)
    expected = _run(cost, n_out, jn.Dataset(jn.Split(X, floats)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = _run(cost, n_out, jn.Dataset(jn.Split(X, y)))
    assert all(map(np.array_equal, got, expected))


def test_data_sets_of_integers_are_numbers_too():
    expected = _run(costs.Huber(), 1, jn.Dataset(jn.Split(X, np.float32(COUNTS - 5)[:, None])))
    got = _run(costs.Huber(), 1, jn.datasets.arrays(X, COUNTS - 5))
    assert all(map(np.array_equal, got, expected))


def test_all_splits_are_numbers_if_one_is():
    """The validation targets alone would be two classes."""
    net = jn.Network((3, 1), cost=costs.Quadratic(LINEAR))
    data = check_data(net, jn.Dataset(jn.Split(X, COUNTS), jn.Split(X, COUNTS % 2)))
    assert [split.y.dtype.kind for split in (data.train, data.valid)] == ["f", "f"]
    two_classes = check_split(net, "example", jn.Split(X, COUNTS % 2))
    assert two_classes.y.dtype.kind == "i"


@pytest.mark.parametrize(
    ("cost", "n_out", "y", "message"),
    [
        (costs.Poisson(), 1, COUNTS - 9, r"is -\d, but Poisson\(\) takes targets in \[0, inf\]"),
        (costs.Poisson(), 3, COUNTS, r"shape \(40, 1\), but .* 3 outputs need \(40, 3\)"),
        (costs.GaussianNLL(), 4, COUNTS, r"4 outputs need \(40, 2\); choose sizes that end with 2"),
        (costs.CrossEntropy(), 1, COUNTS, r"or take Quadratic\(.*linear\) for a regression"),
        (costs.Quadratic(), 1, COUNTS, "can tell 0 to 1 apart"),
        (costs.LogLikelihood(), 4, MULTI_LABEL, r"add up to \d, but .* use CrossEntropy"),
        (costs.CrossEntropy(), 4, 2 * MULTI_LABEL, r"is 2, but CrossEntropy\(\) takes targets in"),
    ],
)
def test_other_integers_are_refused_in_a_sentence(cost, n_out, y, message):
    net = jn.Network((3, n_out), cost=cost)
    with pytest.raises(ValueError, match=message) as caught:
        check_split(net, "example", jn.Split(X, y))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_traced_matrix_of_integers_is_refused():
    with pytest.raises(ValueError, match="traced, so that one-hot rows are not told"):
        jax.jit(lambda y: target_array(y, "example"))(jnp.asarray(MULTI_LABEL))


def test_a_few_rows_that_are_not_one_hot_are_doubtful():
    x = RANDOM.random((300, 3))
    matrix = np.eye(4, dtype=int)[RANDOM.integers(4, size=300)]
    matrix[7] = [1, 0, 1, 0]
    with pytest.warns(UserWarning, match="1 of 300 rows .* such as row 7, .* multi-label"):
        jn.datasets.arrays(x, matrix)
    matrix[: len(matrix) // 2] = [1, 0, 1, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jn.datasets.arrays(x.copy(), matrix)


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@pytest.mark.parametrize("name", ["focal", "huber", "poisson", "gaussian-nll"])
def test_costs_are_saved_with_their_constants(name, suffix, tmp_path):
    constants = {"focal": (0.5,), "huber": (jn.activations.tanh, 0.3)}.get(name, ())
    net = jn.Network((3, 4, 2), cost=costs.NAMED[name](*constants))
    params = jn.init(net, jax.random.key(0))
    jn.save(tmp_path / f"net.{suffix}", net, params)
    loaded, loaded_params = jn.load(tmp_path / f"net.{suffix}")
    assert loaded == net
    assert all(map(np.array_equal, jax.tree.leaves(params), jax.tree.leaves(loaded_params)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["focal", "huber", "poisson", "gaussian-nll"])
def test_a_network_of_a_sweep_is_the_one_trained_alone(name):
    cost = costs.NAMED[name]()
    net = jn.Network((3, 4, 4), jn.activations.tanh, cost)
    y = RANDOM.dirichlet(np.ones(net.n_targets), size=40)
    data, recipes = jn.Dataset(jn.Split(X, y)), [jn.Recipe(jn.adam(rate)) for rate in (0.01, 0.1)]
    study = jn.sweep(net, data, recipes, seeds=1, epochs=2, log=None)
    run = jn.train(net, data, recipes[1], epochs=2, seed=0)
    for lane, alone in zip(
        jax.tree.leaves(study.params(1, 0)), jax.tree.leaves(run.params), strict=True
    ):
        np.testing.assert_allclose(lane, alone, rtol=1e-4, atol=1e-6)
