import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.training.monitors import NAMES

XOR = jn.datasets.xor(n=100)  # ten mini-batches to the epoch


@pytest.mark.usefixtures("x64")
def test_every_number_is_what_numpy_finds_in_one_step():
    net = jn.Network((2, 5, 4, 2), (jn.activations.sigmoid, jn.activations.relu))
    recipe, key = jn.Recipe(jn.momentum(0.3, 0.9), l2=2.0), jax.random.key(0)
    state = jn.start(
        net, recipe, key, tuple(jn.Layer(6 * layer.w, layer.b) for layer in jn.init(net, key))
    )
    x, y = np.asarray(XOR.train.x)[:7], np.eye(2)[np.asarray(XOR.train.y)[:7]]
    batch = jn.Split(XOR.train.x[:7], XOR.train.y[:7])
    monitors = jn.Monitors()
    after, measurements = jn.epoch(net, 7, batch, np.arange(7), key, recipe, state, monitors)
    (w1, b1), (w2, b2), (w3, b3) = (map(np.asarray, layer) for layer in state.params)
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    z1 = x @ w1 + b1
    z2 = sigmoid(z1) @ w2 + b2
    a1, a2 = sigmoid(z1), np.maximum(z2, 0)
    slope1, slope2 = a1 * (1 - a1), (z2 > 0).astype(float)
    d3 = sigmoid(a2 @ w3 + b3) - y
    d2 = d3 @ w3.T * slope2
    d1 = d2 @ w2.T * slope1
    norm = np.linalg.norm
    pairs = [(x, d1), (a1, d2), (a2, d3)]
    steps = [new.w - old.w for new, old in zip(after.params, state.params)]
    slopes = (slope1, slope2)
    expected = {
        "gradient_norm": [norm(a.T @ d / 7) for a, d in pairs],
        "delta_norm": [norm(d.mean(0)) for _, d in pairs],
        "weight_norm": [norm(w) for w in (w1, w2, w3)],
        "update_ratio": [norm(dw) / norm(w) for dw, w in zip(steps, (w1, w2, w3))],
        "saturated": [np.mean(s < 0.01) for s in slopes],
        "dead": [np.mean(np.all(s < 0.01, axis=0)) for s in slopes],
        "learning_rate": [0.3],
    }
    assert 0 < expected["saturated"][0] < 1
    assert expected["dead"][1] > 0
    got = monitors.split(net, measurements)
    assert tuple(got) == NAMES
    for name, numbers in expected.items():
        np.testing.assert_allclose(got[name], [numbers], rtol=1e-9, err_msg=name)


def test_the_cost_of_a_mini_batch_is_that_before_its_step():
    """Against `evaluate` and the penalties' definition; the weights of examples count."""
    net, key, rows = jn.Network((2, 3, 2)), jax.random.key(0), np.arange(8)
    recipe = jn.Recipe(jn.sgd(0.5), l1=0.3, l2=2.0, normalization="batch")
    weight = np.array([1.0, 2, 0.5, 3, 1, 1, 4, 0.1], np.float32)
    split = jn.Split(XOR.train.x[:8], XOR.train.y[:8], weight)
    state = jn.start(net, recipe, key)
    monitors = jn.Monitors(("cost",), every=1)
    _, table = jn.epoch(net, 5, split, rows, key, recipe, state, monitors)
    assert monitors.split(net, table)["cost"].shape == (2, 2)
    for index, batch in enumerate((slice(0, 5), slice(5, 8))):
        scores = jn.evaluate(net, state.params, split.take(batch))
        sizes = [np.asarray(layer.w) for layer in state.params]
        penalties = sum(0.3 * np.abs(w).sum() + (w**2).sum() for w in sizes)
        expected = [scores.cost, penalties / weight[batch].sum()]
        np.testing.assert_allclose(table[index], expected, rtol=1e-5)
        first = jn.Split(split.x[batch], split.y[batch], weight[batch])
        state, _ = jn.epoch(net, 5 - 2 * index, first, rows[: 5 - 2 * index], key, recipe, state)
    assert "cost" not in jn.Monitors().names


@pytest.mark.parametrize(("every", "steps"), [(None, [10, 20]), (4, [4, 8, 14, 18])])
def test_a_run_is_measured_every_so_many_mini_batches_and_stays_as_it_is(every, steps):
    net = jn.Network((2, 4, 2))
    recipe = jn.Recipe(jn.adam(0.05), dropout=0.2)
    monitors = jn.Monitors(("weight_norm", "learning_rate"), every)
    heard = []
    options = {"epochs": 2, "evaluate_on": ("training",)}
    run = jn.train(net, XOR, recipe, monitors=monitors, on_epoch=heard.append, **options)
    plain = jn.train(net, XOR, recipe, **options)
    assert run.monitors["step"].tolist() == steps
    assert run.monitors["weight_norm"].shape == (len(steps), 2)
    np.testing.assert_allclose(run.monitors["learning_rate"], 0.05, rtol=1e-6)
    np.testing.assert_allclose(run.params[0].w, plain.params[0].w, rtol=1e-5, atol=1e-6)
    reported = np.concatenate([report.monitors["weight_norm"] for report in heard])
    assert np.array_equal(reported, run.monitors["weight_norm"])


def test_examples_that_fill_a_mini_batch_up_are_not_measured():
    """Nine examples in batches of four: the last one holds one example, and three repeats."""
    net, key = jn.Network((2, 30, 2)), jax.random.key(0)
    recipe = jn.Recipe(jn.sgd(0.0))
    params = tuple(layer._replace(w=60 * layer.w) for layer in jn.init(net, key))
    data = jn.Split(jnp.asarray(XOR.train.x[:9]), jnp.asarray(XOR.train.y[:9]))
    monitors = jn.Monitors(("saturated", "dead"))
    state = jn.start(net, recipe, key, params)
    _, last = jn.epoch(net, 4, data, np.arange(9), key, recipe, state, monitors)
    alone = jn.Split(data.x[8:], data.y[8:])
    _, single = jn.epoch(net, 1, alone, np.arange(1), key, recipe, state, monitors)
    assert np.array_equal(last, single)
    assert 0 < single[0, 0] < 1


def test_a_network_without_hidden_layers_has_nothing_to_saturate():
    run = jn.train(
        jn.Network((2, 2)), XOR, jn.Recipe(jn.sgd(0.1)), epochs=1, monitors=jn.Monitors()
    )
    assert run.monitors["saturated"].shape == (1, 0)
