"""Activations with parameters in sweeps: each network has its own, learned or frozen."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.acceleration import first_layer
from jaxnet.core.activations import PRelu, Snake

RANDOM = np.random.default_rng(0)
DATA = jn.Dataset(
    jn.Split(RANDOM.standard_normal((53, 4)), RANDOM.integers(3, size=53)),
    jn.Split(RANDOM.standard_normal((20, 4)), RANDOM.integers(3, size=20)),
)
NET = jn.Network((4, 15, 6, 3), (PRelu(), Snake()), jn.costs.LogLikelihood())
FROZEN = (jn.ParametricLayer(True, True, False), True, True)
OPTIONS = {"epochs": 2, "batch_size": 6}


def _starting_at(net, slope, seed=1):
    first, *others = jn.init(net, jax.random.key(seed))
    return first._replace(activation=jnp.asarray(slope, first.w.dtype)), *others


def _assert_same(params, expected):
    for ours, theirs in zip(*map(jax.tree.leaves, (params, expected)), strict=True):
        np.testing.assert_allclose(ours, theirs, 1e-9, 1e-11)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("optimizer", [jn.momentum(0.05), jn.sm3(0.1)])
def test_each_network_has_a_slope_of_its_own_learned_or_frozen(optimizer):
    """In one program with a network of another width that draws its start."""
    nets = [NET, NET, NET, dataclasses.replace(NET, sizes=(4, 14, 5, 3))]
    params = [_starting_at(NET, slope) for slope in (0.0, 0.1, 0.4)] + [None]
    trainable = [FROZEN, True, FROZEN, True]
    study = jn.sweep(
        nets, DATA, jn.Recipe(optimizer, l2=0.1), params=params, trainable=trainable, log=None,
        **OPTIONS,
    )  # fmt: skip
    assert len(study.plan.sizes) == 1
    for row, net in enumerate(nets):
        run = jn.train(
            net, DATA, jn.Recipe(optimizer, l2=0.1), params=params[row], trainable=trainable[row],
            **OPTIONS,
        )  # fmt: skip
        _assert_same(study.params(row, 0), run.params)
    slopes = [float(study.params(row, 0)[0].activation) for row in range(4)]
    assert (slopes[0], slopes[2]) == (0.0, 0.4)
    assert abs(slopes[1] - 0.1) > 1e-4
    assert abs(slopes[3] - 0.25) > 1e-4


@pytest.mark.usefixtures("x64")
def test_a_first_layer_with_a_parameter_is_trained_in_the_span_of_its_inputs():
    net = dataclasses.replace(NET, sizes=(200, 15, 6, 3))
    data = jn.Dataset(DATA.train._replace(x=0.2 * RANDOM.standard_normal((53, 200))))
    recipe = jn.Recipe(jn.momentum([0.01, 0.02, 0.03, 0.04]), l2=0.1)
    assert first_layer.span_steps(net, recipe, 5, lanes=4) > 0
    options = {"epochs": 2, "batch_size": 5, "params": _starting_at(net, 0.25)}
    study = jn.sweep(net, data, recipe, log=None, **options)
    for row in (0, 3):
        run = jn.train(net, data, study.settings[row].recipe, **options)
        _assert_same(study.params(row, 0), run.params)
        assert abs(run.params[0].activation - 0.25) > 1e-4


def test_a_folder_knows_starts_apart_and_goes_on_to_the_same_bits(tmp_path):
    starts = [_starting_at(NET, slope) for slope in (0.1, 0.2)]
    recipes = [jn.Recipe(jn.adam(0.01))] * 2
    sweep = lambda folder, epochs, params: jn.sweep(
        NET, DATA, recipes, params=params, folder=tmp_path / folder, epochs=epochs, log=None
    )
    whole = sweep("a", 2, starts)
    sweep("b", 1, starts)
    study = sweep("b", 2, starts)
    for row in range(2):
        jax.tree.map(np.testing.assert_array_equal, study.params(row, 0), whole.params(row, 0))
    slopes = [study.params(row, 0)[0].activation for row in range(2)]
    assert abs(slopes[0] - slopes[1]) > 0.01
