"""Units that only fill up a width change nothing of a network, or are not added to it."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet as jn
from jaxnet.acceleration import padding as widths
from jaxnet.acceleration.padding import can_pad, program_network
from jaxnet.core.activations import Elementwise
from jaxnet.recipes import optimizers
from jaxnet.training.epochs import EpochProgram, train_epoch_padded
from jaxnet.training.step import start

RANDOM = np.random.default_rng(0)
DATA = jn.Split(RANDOM.random((53, 4)), RANDOM.integers(3, size=53))
NET = jn.Network((4, 15, 7, 3), cost=jn.costs.LogLikelihood())
PARTS = {
    "bare": {},
    "penalties": {"l1": 0.1, "l2": 0.3, "max_norm": 1.5},
    "dropout": {"dropout": 0.4, "input_dropout": 0.1, "label_smoothing": 0.1},
}
KINDS = {
    "sgd": "bare", "momentum": "dropout", "adam": "penalties", "adagrad": "bare", "rprop": "bare",
    "lamb": "dropout", "sm3": "penalties", "schedule_free_adam": "bare", "lbfgs": "bare",
    "newton_cg": "bare",
}  # fmt: skip


def _trained(program, recipe, epochs=2, monitors=None):
    key = jax.random.key(7, impl="threefry2x32")
    state = start(NET, recipe, key)
    all_measured = []
    run = jax.jit(partial(train_epoch_padded, EpochProgram(program, 6, monitors=monitors), NET))
    for index in range(epochs):
        state, measured = run(DATA, key, np.int32(index), recipe, state)
        all_measured.append(measured)
    return state, all_measured


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", KINDS)
def test_a_network_filled_up_is_the_network(name):
    recipe = jn.Recipe(optimizers.NAMED[name](), **PARTS[KINDS[name]])
    program = program_network([NET], recipe)
    assert program.sizes == (4, 16, 7, 3)
    narrow, _ = _trained(NET, recipe)
    wide, _ = _trained(program, recipe)
    for a, b in zip(jax.tree.leaves(narrow), jax.tree.leaves(wide), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, 1e-8, 1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("dropout", [None, 0.4])
def test_what_is_measured_is_the_networks_own(dropout):
    net = dataclasses.replace(NET, hidden=jn.activations.relu)  # some units are dead
    recipe = jn.Recipe(jn.sgd(0.5), dropout=dropout)
    monitors = jn.Monitors(every=4)
    run = lambda: jn.train(
        net, jn.Dataset(DATA), recipe, epochs=2, batch_size=6, evaluate_on=(), monitors=monitors
    )
    wide = run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(widths, "SIMD_WIDTH", 1)
        narrow = run()
    for name, values in narrow.monitors.items():
        np.testing.assert_allclose(wide.monitors[name], values, 1e-9, 1e-12, err_msg=name)
    assert np.any(narrow.monitors["dead"] > 0)


def _root(z):
    return jnp.sign(z) * jnp.sqrt(jnp.abs(z))


def _root_prime(z):
    return 0.5 / jnp.sqrt(jnp.abs(z))


def _normalized(learning_rate):
    scale = lambda g: g / (jnp.sqrt(jnp.mean(g**2)) + 1e-8)
    return optax.chain(
        optax.stateless(lambda updates, _: jax.tree.map(scale, updates)),
        optax.scale_by_learning_rate(learning_rate),
    )


def test_what_would_change_the_others_is_not_filled_up():
    hidden = partial(dataclasses.replace, NET)
    plain = jn.Recipe(jn.sgd(0.1))
    assert can_pad(NET, plain)
    assert can_pad(hidden(hidden=jn.activations.LeakyRelu(0.2)), plain)
    assert not can_pad(hidden(hidden=jn.activations.softmax), plain)
    assert not can_pad(hidden(hidden=Elementwise("root", _root, _root_prime)), plain)
    assert can_pad(
        hidden(hidden=Elementwise("double", lambda z: 2 * z, lambda z: z * 0 + 2)), plain
    )
    assert not can_pad(NET, jn.Recipe(jn.rmsprop(0.1, eps=0)))
    assert not can_pad(NET, jn.Recipe(jn.adam(np.array([0.1, 0.2]), eps=np.array([1e-8, 0]))))
    own = jn.Recipe(jn.Optimizer(_normalized, {"learning_rate": 0.1}))
    assert not can_pad(NET, own)
    assert program_network([NET], own) == NET
    assert not can_pad(NET, jn.Recipe(jn.muon()))


def test_a_rule_without_epsilon_trains():
    data = jn.Dataset(jn.Split(DATA.x.astype(np.float32) + 0.1, DATA.y))
    run = jn.train(NET, data, jn.Recipe(jn.adam(0.01, eps=0)), epochs=2, evaluate_on=("training",))
    assert run.ending == "done"
    assert run.history.training_cost[1] < run.history.training_cost[0]


def test_a_sweep_keeps_apart_what_cannot_share_a_width():
    """Softmax mixes a layer's units: networks of 5 and of 7 have programs of their own."""
    nets = [jn.Network((4, n, 3), hidden=jn.activations.softmax) for n in (5, 7)]
    data = jn.Dataset(DATA._replace(x=DATA.x.astype(np.float32)))
    options = {"epochs": 2, "batch_size": 6, "evaluate_on": ("training",)}
    study = jn.sweep(nets, data, jn.Recipe(jn.sgd(1.0)), log=None, **options)
    assert [size.network.sizes for size in study.plan.sizes] == [(4, 5, 3), (4, 7, 3)]
    for row, net in enumerate(nets):
        alone = jn.train(net, data, jn.Recipe(jn.sgd(1.0)), **options)
        costs = study.history.training_cost[row, 0]
        np.testing.assert_allclose(costs, alone.history.training_cost, 1e-5)


@pytest.mark.usefixtures("x64")
def test_fit_has_a_derivative_at_any_width():
    cost = lambda rate: jn.fit(
        NET, jn.Dataset(DATA), jn.Recipe(jn.adam(rate)), epochs=1, evaluate_on=("training",)
    )[1].training_cost[-1]
    _, slope = jax.jvp(cost, (jnp.asarray(0.01),), (jnp.asarray(1.0),))
    h = 1e-6
    difference = (cost(0.01 + h) - cost(0.01 - h)) / (2 * h)
    assert float(slope) == pytest.approx(float(difference), rel=1e-4)
