"""Training of networks whose activations have a parameter of their own."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet as jn
from jaxnet.acceleration.padding import program_network
from jaxnet.core.activations import PRelu, Snake
from jaxnet.recipes import optimizers
from jaxnet.recipes.trainable import trainable_masks
from jaxnet.training.epochs import EpochProgram, train_epoch_padded
from jaxnet.training.step import start
from tests.support.parameters import representatives

RANDOM = np.random.default_rng(0)
SPLIT = jn.Split(RANDOM.standard_normal((24, 3)), RANDOM.integers(2, size=24))
DATA = jn.Dataset(SPLIT)
NET = jn.Network((3, 15, 7, 2), (PRelu(), Snake()), jn.costs.LogLikelihood())
TRAIN = {"epochs": 3, "batch_size": 6, "evaluate_on": ("training",)}


def _by_numpy(params, xs, ys, rate, decay, n_epochs, batch_size):
    """Gradient descent with an L2 penalty on the weights of one hidden layer with PReLU."""
    (w1, b1, slope), (w2, b2) = [[np.array(array) for array in layer] for layer in params]
    for start_row in list(range(0, len(xs), batch_size)) * n_epochs:
        x, y = xs[start_row : start_row + batch_size], ys[start_row : start_row + batch_size]
        z = x @ w1 + b1
        a = np.maximum(z, 0) + slope * np.minimum(z, 0)
        logits = a @ w2 + b2
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = exponentials / exponentials.sum(axis=1, keepdims=True) - np.eye(2)[y]
        back = error @ w2.T
        hidden_error = back * np.where(z > 0, 1, slope)
        n = len(x)
        w2, b2 = w2 - rate * (a.T @ error / n + decay * w2), b2 - rate * error.mean(axis=0)
        w1 = w1 - rate * (x.T @ hidden_error / n + decay * w1)
        b1 = b1 - rate * hidden_error.mean(axis=0)
        slope = slope - rate * np.sum(back * np.minimum(z, 0)) / n
    return [w1, b1, slope, w2, b2]


@pytest.mark.usefixtures("x64")
def test_prelu_trains_as_in_a_loop_of_numpy():
    net = jn.Network((3, 8, 2), jn.activations.prelu, jn.costs.LogLikelihood())
    params = jn.init(net, jax.random.key(1))
    recipe = jn.Recipe(jn.sgd(0.3), l2=0.5)
    run = jn.train(net, DATA, recipe, params=params, order="sequential", **TRAIN)
    expected = _by_numpy(params, SPLIT.x, SPLIT.y, 0.3, 0.5 / 24, 3, 6)
    for got, wanted in zip(jax.tree.leaves(run.params), expected, strict=True):
        np.testing.assert_allclose(got, wanted, 1e-11, 1e-13)
    assert abs(run.params[0].activation - 0.25) > 0.01


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "name",
    representatives(optimizers.NAMED, "sgd", "adam", "sm3", "schedule_free_adam", "muon", "lbfgs"),
)
def test_every_optimizer_trains_a_parameter_and_leaves_a_frozen_one_alone(name):
    """The one of the first layer is trained, that of the second is frozen; padded is narrow."""
    recipe = jn.Recipe(optimizers.NAMED[name](), l2=0.1)
    masks = trainable_masks(NET, (True, jn.ParametricLayer(True, True, False), True))
    key = jax.random.key(7, impl="threefry2x32")
    before = start(NET, recipe, key, trainable=masks)

    def trained(program):
        run = jax.jit(partial(train_epoch_padded, EpochProgram(program, 12), NET))
        return run(SPLIT, key, np.int32(0), recipe, before, masks)[0].params

    params, drawn = trained(NET), before.params
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    assert params[0].activation != drawn[0].activation
    assert np.array_equal(params[1].activation, drawn[1].activation)
    program = program_network([NET], recipe)
    if program != NET and name in ("sgd", "adam", "sm3", "lamb"):
        for narrow, wide in zip(*map(jax.tree.leaves, (params, trained(program))), strict=True):
            np.testing.assert_allclose(narrow, wide, 1e-8, 1e-10)


@pytest.mark.usefixtures("x64")
def test_the_parameter_neither_decays_nor_is_penalized_nor_scaled():
    """Where it has no gradient, it stays as it is: all inputs of the rectifier are positive."""
    net = jn.Network((3, 4, 2), PRelu(0.3), jn.costs.LogLikelihood())
    drawn = jn.init(net, jax.random.key(0))
    params = (drawn[0]._replace(w=jnp.abs(drawn[0].w), b=1 + drawn[0].b ** 2), drawn[1])
    data = jn.Dataset(SPLIT._replace(x=np.abs(SPLIT.x)))
    parts = {"l1": 0.1, "l2": 0.5, "init_scale": 1.5, "max_norm": 2.0}
    for optimizer in (jn.adamw(0.01, weight_decay=0.5), jn.lion(0.001, weight_decay=0.5)):
        run = jn.train(net, data, jn.Recipe(optimizer, **parts), params=params, **TRAIN)
        assert np.all(data.train.x @ run.params[0].w > 0)
        assert np.all(np.asarray(run.params[0].b) > 0)
        assert run.params[0].activation == run.initial_params[0].activation == 0.3
        np.testing.assert_allclose(run.initial_params[0].b, 1.5 * params[0].b, 1e-12)


def test_a_run_is_resumed_and_goes_on_to_the_same_bits(tmp_path):
    recipe = jn.Recipe(jn.adam(0.05), dropout=0.2)
    whole = jn.train(NET, DATA, recipe, **TRAIN)
    jn.train(NET, DATA, recipe, checkpoint=tmp_path, **TRAIN | {"epochs": 2})
    resumed = jn.train(NET, DATA, recipe, resume=tmp_path, **TRAIN)
    first = jn.train(NET, DATA, recipe, **TRAIN | {"epochs": 2})
    second = jn.train(NET, DATA, recipe, state=first.state, **TRAIN | {"epochs": 1})
    for run in (resumed, second):
        jax.tree.map(np.testing.assert_array_equal, run.params, whole.params)
    assert whole.params[1].activation != whole.initial_params[1].activation
    other = replace(NET, hidden=(PRelu(0.2), Snake()))
    with pytest.raises(ValueError, match="another run"):
        jn.train(other, DATA, recipe, resume=tmp_path, **TRAIN)


def test_fit_and_a_pruned_network_train_the_parameter_too():
    params, _ = jn.fit(NET, DATA, jn.Recipe(jn.sgd(0.1)), epochs=2, batch_size=6)
    run = jn.train(NET, DATA, jn.Recipe(jn.sgd(0.1)), **TRAIN | {"epochs": 2})
    np.testing.assert_allclose(params[0].activation, run.params[0].activation, 1e-5)
    mask = jn.pruning.magnitude(run.params, 0.5)
    assert [type(layer) for layer in mask] == [type(layer) for layer in run.params]
    pruned = jn.pruning.apply(run.params, mask)
    assert pruned[0].activation == run.params[0].activation
    ticket = jn.train(NET, DATA, jn.Recipe(jn.sgd(0.1)), params=pruned, trainable=mask, **TRAIN)
    assert not np.any(np.asarray(ticket.params[0].w)[~mask[0].w])
    assert ticket.params[0].activation != pruned[0].activation


def test_monitors_see_the_slope_that_a_layer_has():
    params = jn.init(NET, jax.random.key(0))
    dead = []
    for slope in (0.0, 0.5):
        run = jn.train(
            NET, DATA, jn.Recipe(jn.sgd(0.1)), monitors=jn.Monitors(), trainable=False,
            params=(params[0]._replace(activation=jnp.float32(slope)), *params[1:]), **TRAIN,
        )  # fmt: skip
        dead.append(run.monitors["saturated"][0, 0])
    assert dead[0] > 0.2
    assert dead[1] == 0


def test_a_parameter_that_is_not_a_number_ends_a_run():
    """Also where weights and biases stay finite."""

    def update(grads, state, params=None):
        first, *others = jax.tree.map(jnp.zeros_like, grads)
        return (first._replace(activation=jnp.full_like(first.activation, jnp.nan)), *others), state

    def damaging(learning_rate):
        return optax.GradientTransformation(lambda params: (), update)

    recipe = jn.Recipe(jn.custom(damaging, learning_rate=0.1))
    with pytest.warns(RuntimeWarning, match="diverged in epoch 1"):
        run = jn.train(NET, jn.Dataset(SPLIT), recipe, **TRAIN)
    assert run.ending == "diverged"


@pytest.mark.parametrize(
    ("trainable", "message"),
    [
        (
            (jn.Layer(True, True), True, True),
            r"trainable\[0\] must be a jaxnet.ParametricLayer\(w,",
        ),
        (
            (True, True, jn.ParametricLayer(True, True, True)),
            r"trainable\[2\] must be a jaxnet.Layer",
        ),
        (
            (jn.ParametricLayer(True, True, np.ones(2)), True, True),
            r"trainable\[0\].activation has shape \(2,\), but the parameters have \(\)",
        ),
    ],
)
def test_masks_of_another_form_are_refused(trainable, message):
    with pytest.raises(ValueError, match=message):
        jn.train(NET, DATA, jn.Recipe(jn.sgd(0.1)), trainable=trainable, **TRAIN)
