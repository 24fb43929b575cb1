import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.recipes.regularization import (
    add_penalty_gradient,
    apply_max_norm,
    dropout_mask,
    keep_mask,
    penalty,
    smooth_labels,
)
from jaxnet.training.step import Context, StepExamples, mini_batch


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("l1", "l2"), [(None, None), (3.0, None), (None, 2.0), (3.0, 2.0)])
def test_penalty_and_its_gradient(l1, l2):
    params = jn.init(jn.Network((5, 4, 3)), jax.random.key(0))
    l1, l2 = (None if number is None else jnp.asarray(number) for number in (l1, l2))
    weights = np.concatenate([np.ravel(layer.w) for layer in params])
    expected = (l1 or 0) / 7 * np.abs(weights).sum() + (l2 or 0) / 14 * (weights**2).sum()
    assert penalty(params, 7, l1, l2).item() == pytest.approx(float(expected), rel=1e-12)
    zeros = jax.tree.map(jnp.zeros_like, params)
    got = add_penalty_gradient(zeros, params, 7, l1, l2)
    autodiff = jax.grad(lambda p: penalty(p, 7, l1, l2))(params)
    for layer, wanted in zip(got, autodiff, strict=True):
        np.testing.assert_allclose(layer.w, wanted.w, rtol=1e-12)
        assert not layer.b.any()


def test_a_weight_of_0_stays_where_it_is():
    layer = jn.Layer(jnp.zeros((1, 1)), jnp.ones(1))
    got = add_penalty_gradient((layer,), (layer,), 1, l1=jnp.asarray(5.0))
    assert got[0].w.item() == 0


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_keeps_its_share_of_units_each_on_its_own(rate):
    keep = np.asarray(keep_mask(jax.random.key(0), (201, 301), jnp.float32(rate)))
    n = keep.size
    spread = 5 * np.sqrt(rate * (1 - rate) / n)
    assert keep.mean() == pytest.approx(1 - rate, abs=spread + 1e-5)
    # Neighbours share the bits of a draw, and must not know of each other.
    pairs = np.mean(keep.ravel()[:-1:2] & keep.ravel()[1::2])
    assert pairs == pytest.approx((1 - rate) ** 2, abs=5 / np.sqrt(n))
    mask = np.asarray(dropout_mask(jnp.asarray(keep), jnp.float32(rate)))
    assert mask.mean() == pytest.approx(1, abs=spread / (1 - rate) + 1e-4)


def test_dropout_masks_are_addressed_by_step_layer_and_example():
    net = jn.Network((6, 50, 50, 3))
    data = jn.Split(jnp.ones((20, 6)), jnp.zeros(20, int))
    recipe = jn.Recipe(jn.sgd(0.1), dropout=0.5, input_dropout=0.5)
    key, weights = jax.random.key(0), jnp.full(20, 1 / 20)
    draw = lambda key, step: mini_batch(
        Context(net, 20, 1, key), recipe, None,
        StepExamples(jnp.int32(step), data.x, data.y, weights),
    )  # fmt: skip
    batch, again, later, other = (
        draw(key, 0), draw(key, 0), draw(key, 1), draw(jax.random.key(1), 0)
    )  # fmt: skip
    first, second = batch.hidden_keep
    assert np.array_equal(first, again.hidden_keep[0])
    for another in (second, later.hidden_keep[0], other.hidden_keep[0], np.roll(first, 1, axis=0)):
        assert np.mean(np.asarray(first) != np.asarray(another)) == pytest.approx(0.5, abs=0.08)
    assert batch.input_keep.shape == (20, 6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("parts", [{"dropout": 0.3}, {"input_dropout": 0.4, "dropout": 0.5}])
def test_a_step_with_dropout_is_autodiff_of_the_masked_network(parts):
    """Six examples, mini-batches of four: the last one is filled up, and half is dropped."""
    random = np.random.default_rng(0)
    net = jn.Network((5, 6, 7, 3), (jn.activations.tanh, jn.activations.sigmoid))
    data = jn.Split(random.random((6, 5)), random.integers(3, size=6).astype(np.int32))
    recipe, key = jn.Recipe(jn.sgd(0.5), l2=0.2, **parts), jax.random.key(2)
    state = jn.start(net, recipe, key)
    trained, _ = jn.epoch(net, 4, data, np.arange(6), key, recipe, state)
    params = state.params
    for step, rows in enumerate([[0, 1, 2, 3], [4, 5]]):
        visited = np.array([*rows, 0, 0][:4])
        batch = mini_batch(
            Context(net, 6, 2, key), recipe, None,
            StepExamples(
                jnp.int32(step), data.x[visited], data.y[visited], jnp.full(4, 1 / len(rows))
            ),
        )  # fmt: skip

        def cost(params, rows=rows, batch=batch):
            total = 0.1 / 6 * sum(jnp.sum(layer.w**2) for layer in params)
            for index, row in enumerate(rows):
                a = jnp.asarray(data.x[row])
                if batch.input_keep is not None:
                    a = a * batch.input_keep[index] / 0.6
                masks = [
                    keep_mask[index] / (1 - parts["dropout"]) for keep_mask in batch.hidden_keep
                ]
                for layer, f, mask in zip(params, net.activations, masks):
                    a = f.fn(a @ layer.w + layer.b) * mask
                z = a @ params[-1].w + params[-1].b
                y = jnp.eye(3)[data.y[row]]
                a = 1 / (1 + jnp.exp(-z))
                total -= jnp.sum(y * jnp.log(a) + (1 - y) * jnp.log(1 - a)) / len(rows)
            return total

        grads = jax.grad(cost)(params)
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, grads)
    for got, wanted in zip(jax.tree.leaves(trained.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


def test_dropout_is_off_where_a_network_is_evaluated():
    data = jn.datasets.xor(n=60)
    net = jn.Network((2, 8, 2))
    run = jn.train(net, data, jn.Recipe(jn.sgd(0.0), dropout=0.5), epochs=1)
    scores = jn.evaluate(net, jn.start(net, run.recipe, jax.random.key(0)).params, data.train)
    assert run.history.training_cost[0] == pytest.approx(float(scores.cost), rel=1e-6)


@pytest.mark.usefixtures("x64")
def test_max_norm_bounds_what_comes_into_a_hidden_unit():
    params = jn.init(jn.Network((5, 4, 3)), jax.random.key(0))
    norms = np.linalg.norm(params[0].w, axis=0)
    bound = float(np.median(norms))
    got = apply_max_norm(params, bound)
    for unit, norm in enumerate(norms):
        expected = params[0].w[:, unit] * min(1, bound / norm)
        np.testing.assert_allclose(got[0].w[:, unit], expected, rtol=1e-12)
    assert got[1] is params[1]
    zero = (jn.Layer(jnp.zeros((2, 2)), jnp.zeros(2)), params[1])
    assert not apply_max_norm(zero, bound)[0].w.any()
    run = jn.train(
        jn.Network((2, 8, 2)), jn.datasets.xor(n=60), jn.Recipe(jn.sgd(3.0), max_norm=0.5), epochs=3
    )
    assert np.linalg.norm(run.params[0].w, axis=0).max() == pytest.approx(0.5, rel=1e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cost", [jn.costs.CrossEntropy(), jn.costs.LogLikelihood()])
def test_label_smoothing_trains_on_other_targets_and_monitors_the_true_ones(cost):
    data = jn.datasets.xor(n=60)
    net = jn.Network((2, 2), cost=cost)
    recipe = jn.Recipe(jn.sgd(0.7), label_smoothing=0.3)
    key = jax.random.key(0)
    state = jn.start(net, recipe, key)
    n = len(data.train.x)
    trained, _ = jn.epoch(net, n, data.train, np.arange(n), key, recipe, state)
    y = 0.7 * np.eye(2)[data.train.y] + 0.15  # ε/2, and ε/K with two classes
    z = np.asarray(data.train.x) @ np.asarray(state.params[0].w) + np.asarray(state.params[0].b)
    softmax = isinstance(cost, jn.costs.LogLikelihood)
    a = np.exp(z) / np.exp(z).sum(1, keepdims=True) if softmax else 1 / (1 + np.exp(-z))
    expected = state.params[0].b - 0.7 * np.mean(a - y, axis=0)
    np.testing.assert_allclose(trained.params[0].b, expected, rtol=1e-9)
    run = jn.train(net, data, recipe, epochs=1, batch_size=n)
    plain = jn.evaluate(net, run.params, data.train)
    assert run.history.training_cost[-1] == pytest.approx(float(plain.cost), rel=1e-9)


@pytest.mark.usefixtures("x64")
def test_multi_label_targets_are_smoothed_towards_one_half():
    random = np.random.default_rng(0)
    train = jn.Split(random.standard_normal((8, 2)), random.integers(2, size=(8, 3)))
    net = jn.Network((2, 3))
    recipe = jn.Recipe(jn.sgd(0.7), label_smoothing=0.3)
    run = jn.train(net, jn.Dataset(train), recipe, epochs=1, batch_size=8)
    (start,) = run.initial_params
    a = 1 / (1 + np.exp(-(train.x @ np.asarray(start.w) + np.asarray(start.b))))
    gradient = np.mean(a - (0.7 * train.y + 0.15), axis=0)
    np.testing.assert_allclose(run.params[0].b, start.b - 0.7 * gradient, rtol=1e-9)


def test_smoothing_spreads_over_as_many_outcomes_as_there_are():
    ys = jnp.eye(5)[:1]
    assert smooth_labels(jn.costs.LogLikelihood(), ys, 0.5).sum() == pytest.approx(1)
    got = smooth_labels(jn.costs.LogLikelihood(), ys, 0.5)[0]
    np.testing.assert_allclose(got, [0.6, 0.1, 0.1, 0.1, 0.1])
    got = smooth_labels(jn.costs.Quadratic(), ys, 0.5)[0]
    np.testing.assert_allclose(got, [0.75, 0.25, 0.25, 0.25, 0.25])
