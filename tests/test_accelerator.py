"""On an accelerator, training gives what it gives on a CPU."""

import jax
import numpy as np
import pytest

import jaxnet as jn

NO_ACCELERATOR = jax.default_backend() == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(NO_ACCELERATOR, reason="needs an accelerator, and JAX sees a CPU alone")
@pytest.mark.parametrize("optimizer", [jn.sgd(0.5), jn.momentum(0.1), jn.adam(0.01)], ids=repr)
def test_an_accelerator_trains_as_a_cpu_does(optimizer):
    net, data, recipe = jn.Network((2, 30, 2)), jn.datasets.xor(), jn.Recipe(optimizer, l2=0.1)
    run = jn.train(net, data, recipe, epochs=3)
    with jax.default_device(jax.devices("cpu")[0]):
        on_cpu = jn.train(net, data, recipe, epochs=3)
    for curve, expected in zip(run.history, on_cpu.history, strict=True):
        np.testing.assert_allclose(curve, expected, rtol=1e-3)
