"""The first layer in a span is the one that is trained step by step."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.acceleration import first_layer

RANDOM = np.random.default_rng(0)
N_STEPS, BATCH, N_IN, N_OUT = 4, 3, 50, 5


@pytest.mark.usefixtures("x64")
def test_momentum_in_a_span_is_a_numpy_loop_over_whole_matrices():
    """v ← μv − η(XᵀΔ + λw), w ← w + v, with errors that depend on the weights so far."""
    rate, decay, penalty = 0.3, 0.8, 0.1
    xs = RANDOM.normal(size=(N_STEPS, BATCH, N_IN))
    w, v = RANDOM.normal(size=(2, N_IN, N_OUT))
    rows, matrices = jnp.asarray(xs.reshape(-1, N_IN)), [jnp.asarray(w), jnp.asarray(v)]
    (cw, cv), span = first_layer.matrices_to_coefficients(matrices, rows, N_STEPS, "highest")
    gram = (rows @ rows.T).reshape(N_STEPS, BATCH, -1)
    loop_w, loop_v = w, v
    for step, x in enumerate(xs):
        place = jnp.array(step)
        seen = first_layer.weighted_inputs(cw, span, place, gram[step], "highest")
        np.testing.assert_allclose(seen, x @ loop_w, 1e-12, 1e-12)
        delta = np.tanh(x @ loop_w) / BATCH
        loop_v = decay * loop_v - rate * (x.T @ delta + penalty * loop_w)
        loop_w = loop_w + loop_v
        span = span.with_errors(place, jnp.asarray(delta))
        cv = decay * cv - rate * (jax.nn.one_hot(step, N_STEPS + 2) + penalty * cw)
        cw = cw + cv
    last = first_layer.coefficients_to_matrices([cw, cv], matrices, rows, span.errors, "highest")
    np.testing.assert_allclose(last[0], loop_w, 1e-12, 1e-12)
    np.testing.assert_allclose(last[1], loop_v, 1e-12, 1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("rule", [jn.sgd, jn.momentum, jn.nesterov])
@pytest.mark.parametrize("pixels", [False, True])
def test_lanes_in_a_span_are_the_networks_trained_alone(rule, pixels):
    """23 mini-batches, in blocks of 4 and a rest of 3, the last one of a single example."""
    net = jn.Network((64, 15, 3))
    xs = RANDOM.integers(256, size=(45, 64))
    xs = xs.astype(np.uint8) if pixels else xs / 255
    data = jn.Dataset(jn.Split(xs, RANDOM.integers(3, size=45)), None)
    recipe = jn.Recipe(
        rule(np.array([0.1, 0.3, 0.5, 0.9])),
        l2=np.array([0.0, 0.1, 1.0, 9.0]),
        dropout=0.3 if pixels else None,
        schedule=jn.schedules.cosine(4),
    )
    assert first_layer.span_steps(net, recipe, 2, 4) == 4
    options = {"epochs": 4, "batch_size": 2, "evaluate_on": ("training",)}
    study = jn.sweep(net, data, recipe, seeds=[5], log=None, **options)
    assert study.plan.sizes[0].lanes == 4
    assert study.plan.sizes[0].network.sizes == (64, 16, 3)
    assert "4 networks [64, 15, 3]" in str(study.plan)
    for row in range(4):
        single = jax.tree.map(lambda leaf, row=row: leaf[row] if np.ndim(leaf) else leaf, recipe)
        run = jn.train(net, data, single, seed=5, **options)
        for layer, alone in zip(study.run(row, 0).params, run.params, strict=True):
            np.testing.assert_allclose(layer.w, alone.w, 1e-9, 1e-12)
            np.testing.assert_allclose(layer.b, alone.b, 1e-9, 1e-12)


def test_what_is_not_linear_or_not_shared_is_in_no_span():
    net, sgd = jn.Network((784, 30, 10)), jn.Recipe(jn.sgd())
    assert first_layer.span_steps(net, sgd, 10, 4) == 9
    assert first_layer.span_steps(net, sgd, 10, 3) == 0
    assert first_layer.span_steps(net, sgd, 128, 4) == 0
    for other in ({"l1": 1.0}, {"max_norm": 1.0}, {"input_dropout": 0.1}):
        assert first_layer.span_steps(net, dataclasses.replace(sgd, **other), 10, 4) == 0
    assert first_layer.span_steps(net, jn.Recipe(jn.adam()), 10, 4) == 0
