import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxnet as jn
from jaxnet.core import network


def test_predict_is_a_plain_forward_pass():
    net = jn.Network((5, 4, 3), hidden=jn.activations.tanh)
    params = jn.init(net, jax.random.key(0))
    x = np.random.default_rng(0).random((6, 5)).astype(np.float32)
    a = np.tanh(x @ np.asarray(params[0].w) + np.asarray(params[0].b)[None])
    z = a @ np.asarray(params[1].w) + np.asarray(params[1].b)[None]
    np.testing.assert_allclose(jn.logits(net, params, x), z, rtol=1e-5)
    np.testing.assert_allclose(jn.predict(net, params, x), 1 / (1 + np.exp(-z)), rtol=1e-5)
    np.testing.assert_allclose(jn.predict(net, params, x[2]), 1 / (1 + np.exp(-z[2])), rtol=1e-5)


def test_uint8_is_pixels_and_floats_are_themselves():
    net = jn.Network((2, 3))
    params = jn.init(net, jax.random.key(0))
    pixels = np.array([[0, 255], [51, 102]], np.uint8)
    scaled = np.array([[0, 1], [0.2, 0.4]], np.float32)
    np.testing.assert_allclose(
        jn.predict(net, params, pixels), jn.predict(net, params, scaled), rtol=1e-6
    )


def test_targets_are_one_hot_binary_or_as_they_are():
    assert network.targets(np.int32(2), 4, np.dtype("float32")).tolist() == [0, 0, 1, 0]
    assert network.targets(np.int32(1), 1, np.dtype("float32")).tolist() == [1]
    assert network.targets(np.array([0.5, 2.0]), 2, np.dtype("float32")).tolist() == [0.5, 2.0]


@settings(max_examples=3)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=5), st.integers(0, 2**32 - 1))
def test_init_gives_every_layer_its_shape_at_an_address_of_its_own(sizes, seed):
    net = jn.Network(tuple(sizes))
    params = jn.init(net, jax.random.key(seed))
    assert [layer.w.shape for layer in params] == list(zip(sizes, sizes[1:]))
    assert net.n_params == sum(layer.w.size + layer.b.size for layer in params)
    deeper = jn.init(jn.Network((*sizes, 3)), jax.random.key(seed))
    for layer, same in zip(params, deeper):
        assert np.array_equal(layer.w, same.w)


def test_one_activation_serves_all_layers_or_each_has_its_own():
    both = (jn.activations.relu, jn.activations.tanh)
    assert jn.Network((2, 3, 3, 1), hidden=both).activations == both
    assert jn.Network((2, 3, 3, 1)).activations == (jn.activations.sigmoid,) * 2
    assert hash(jn.Network((2, 3, 1))) == hash(jn.Network((2, 3, 1), jn.activations.sigmoid))


@pytest.mark.parametrize("sizes", [(), (3,), (3, 0), (3, -1, 2)])
def test_bad_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes must be two or more positive whole numbers"):
        jn.Network(sizes)


def test_as_many_activations_as_hidden_layers():
    with pytest.raises(ValueError, match=r"hidden names 2 activations.* 1 hidden layer;"):
        jn.Network((2, 3, 1), (jn.activations.relu,) * 2)


def test_inputs_of_another_width_are_refused():
    net = jn.Network((4, 2))
    with pytest.raises(ValueError, match=r"x has shape \(3, 5\), but the network takes \(4,\)"):
        jn.predict(net, jn.init(net, jax.random.key(0)), np.zeros((3, 5)))


def test_parameters_of_another_network_are_refused():
    params = jn.init(jn.Network((4, 3)), jax.random.key(0))
    with pytest.raises(ValueError, match=r"sizes \(4, 2\) ask for"):
        network.check_params(jn.Network((4, 2)), params)
