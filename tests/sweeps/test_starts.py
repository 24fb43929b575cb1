"""Starting weights and masks of each network of a sweep: each is the network trained alone."""

import dataclasses

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.recipes import optimizers
from tests.support.parameters import representatives

RANDOM = np.random.default_rng(0)
DATA = jn.Dataset(
    jn.Split(RANDOM.random((53, 4)), RANDOM.integers(3, size=53)),
    jn.Split(RANDOM.random((20, 4)), RANDOM.integers(3, size=20)),
)
NET = jn.Network((4, 15, 3), cost=jn.costs.LogLikelihood())
OPTIONS = {"epochs": 3, "batch_size": 6, "log": None}
RULES = ("momentum", "schedule_free_adam", "lbfgs")
LINE_SEARCHES = ("lbfgs", "newton_cg")
"""They decide by rounding: one step of a convex problem is compared."""


def _params(net, seed):
    return jn.init(net, jax.random.key(seed))


def _mask(net, seed):
    """Half of the weights of each layer."""
    random = np.random.default_rng(seed)
    pairs = zip(net.sizes, net.sizes[1:])
    return tuple(jn.Layer(random.random(pair) < 0.5, True) for pair in pairs)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", representatives(RULES, "momentum", "lbfgs"))
def test_each_network_has_its_own_weights_and_mask(name):
    """In one program with a network of another width that has none."""
    optimizer = optimizers.NAMED[name]()
    nets = [NET, dataclasses.replace(NET, sizes=(4, 14, 3))]
    options = OPTIONS
    if name in LINE_SEARCHES:
        nets = [dataclasses.replace(NET, sizes=(4, 3))] * 2
        options = OPTIONS | {"epochs": 1, "batch_size": 53}
    recipes = [jn.Recipe(optimizer, l2=0.5), jn.Recipe(optimizer, l2=0.5, init_scale=0.5)]
    params = [[_params(net, 1), _params(net, 2)] for net in nets for _ in recipes]
    trainable = [[_mask(net, 1), _mask(net, 2)] for net in nets for _ in recipes]
    params[1], trainable[2] = None, True
    study = jn.sweep(nets, DATA, recipes, seeds=2, params=params, trainable=trainable, **options)
    for row, setting in enumerate(study.settings):
        for seed in range(2):
            run = jn.train(
                setting.network, DATA, setting.recipe, seed=seed, epochs=options["epochs"],
                batch_size=options["batch_size"], evaluate_on=("validation",),
                params=None if params[row] is None else params[row][seed],
                trainable=trainable[row] if row == 2 else trainable[row][seed],
            )  # fmt: skip
            for layer, alone in zip(study.params(row, seed), run.params, strict=True):
                np.testing.assert_allclose(layer.w, alone.w, 1e-9, 1e-9)
                np.testing.assert_allclose(layer.b, alone.b, 1e-9, 1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("layer", [0, 1])
def test_a_frozen_first_layer_is_not_trained_in_the_span_and_a_whole_one_is(layer):
    net = dataclasses.replace(NET, sizes=(200, 15, 3))
    data = jn.Dataset(DATA.train._replace(x=RANDOM.random((53, 200))))
    trainable = (True, False) if layer else (False, True)
    recipe = jn.Recipe(jn.momentum([0.01, 0.02, 0.03, 0.04]))
    study = jn.sweep(net, data, recipe, trainable=trainable, epochs=2, batch_size=5, log=None)
    run = jn.train(net, data, study.settings[2].recipe, trainable=trainable, epochs=2, batch_size=5)
    for trained, alone in zip(study.params(2, 0), run.params, strict=True):
        np.testing.assert_allclose(trained.w, alone.w, 1e-9, 1e-12)
    drawn = run.initial_params[layer]
    np.testing.assert_array_equal(study.params(2, 0)[layer].w, drawn.w)


def test_a_folder_knows_weights_and_masks_apart_and_goes_on_to_the_same_bits(tmp_path):
    recipe = jn.Recipe(jn.adam(0.01), dropout=0.2)
    calls = {
        "params": [_params(NET, 1), _params(NET, 2)],
        "trainable": [_mask(NET, 1), True],
    }
    options = OPTIONS | {"seeds": 2}
    whole = jn.sweep(NET, DATA, [recipe, recipe], folder=tmp_path / "a", **calls, **options)
    first = options | {"epochs": 1}
    jn.sweep(NET, DATA, [recipe, recipe], folder=tmp_path / "b", **calls, **first)
    study = jn.sweep(NET, DATA, [recipe, recipe], folder=tmp_path / "b", **calls, **options)
    plain = jn.sweep(NET, DATA, recipe, folder=tmp_path / "b", **options)
    for row in range(2):
        expected = whole.params(row, 1)[0].w
        np.testing.assert_array_equal(study.params(row, 1)[0].w, expected)
        np.testing.assert_array_equal(study.replay(row, 1).params[0].w, expected)
    assert not np.array_equal(plain.params(0, 1)[0].w, whole.params(1, 1)[0].w)
    frozen = ~np.asarray(calls["trainable"][0][0].w)
    start = np.asarray(calls["params"][0][0].w)
    np.testing.assert_array_equal(whole.params(0, 0)[0].w[frozen], start[frozen])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"params": [_params(NET, 1)] * 3}, "a list of 3, but the sweep has 2 settings"),
        ({"trainable": [[True], [True, True]]}, "a list of 1, but there are 2 seeds"),
        ({"trainable": (True,)}, "one entry for each of the 2 layers"),
        ({"params": _params(dataclasses.replace(NET, sizes=(4, 3, 3)), 1)}, "shape"),
    ],
)
def test_what_fits_no_network_is_refused_in_a_sentence(options, message):
    recipe = jn.Recipe(jn.sgd([0.1, 0.2]))
    with pytest.raises(ValueError, match=message):
        jn.sweep(NET, DATA, recipe, seeds=2, log=None, **options)
