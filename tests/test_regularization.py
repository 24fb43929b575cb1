import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.regularization import add_penalty_gradient, penalty


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
