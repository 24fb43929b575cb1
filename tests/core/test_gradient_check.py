from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.cli import check
from jaxnet.core import gradient_check


@dataclass(frozen=True)
class LogCosh(jn.costs.Cost):
    """A user's own cost: Σ ln cosh(z − y), linear outputs; `slope` 1 is right."""

    slope: float = 1.0
    output: jn.activations.Activation = jn.activations.linear

    def fn(self, z, y):
        return jnp.sum(jnp.logaddexp(z - y, y - z) - jnp.log(2))

    def delta(self, z, y):
        return self.slope * jnp.tanh(z - y)


def test_a_users_right_cost_passes():
    assert all(check.passed for check in jn.check_deltas(LogCosh()))
    assert all(check.passed for check in jn.check_gradients(jn.Network((3, 4, 2), cost=LogCosh())))


def test_a_users_wrong_cost_is_refused_with_a_table():
    with pytest.raises(jn.GradientError, match=r"LogCosh.*wrong in 8 of 8") as caught:
        jn.check_deltas(LogCosh(slope=1.0001))
    assert "example 7" in str(caught.value)
    assert len(caught.value.checks) == 8


def test_a_wrong_activation_names_the_layers_below_it():
    wrong = jn.activations.Elementwise("wrong", jnp.tanh, lambda z: 1 - jnp.tanh(z))
    net = jn.Network((3, 4, 5, 2), (jn.activations.sigmoid, wrong))
    with pytest.raises(jn.GradientError) as caught:
        jn.check_gradients(net)
    message = str(caught.value)
    assert "layer 1 w" in message
    assert "layer 2 b" in message
    assert "layer 3" not in message  # its gradient does not pass through the activation
    assert "wrong in 4 of 6 places" in message


def test_a_nan_does_not_pass():
    assert not gradient_check.Check("x", 1.0, float("nan"), 0.0).passed
    assert not gradient_check.Check("x", 1.0, 0.0, float("nan")).passed


def test_a_gradient_that_vanishes_alone_does_not_pass():
    check = gradient_check._check("x", np.zeros(3), 1e-12 * np.ones(3), np.zeros(3))
    assert check.autodiff_error == pytest.approx(1)
    assert gradient_check._check("x", np.zeros(3), np.zeros(3), np.zeros(3)).passed


def test_numerical_gradient_of_a_tree_in_chunks(monkeypatch):
    monkeypatch.setattr(gradient_check, "CHUNK_BYTES", 8 * 7 * 2 * 2)  # two copies at a time
    params = {"a": np.arange(3.0), "b": (np.ones((2, 2)),)}
    grads = jn.numerical_gradient(lambda p: jnp.sum(p["a"] ** 3) + jnp.prod(p["b"][0]), params)
    np.testing.assert_allclose(grads["a"], 3 * np.arange(3.0) ** 2, atol=1e-9)
    np.testing.assert_allclose(grads["b"][0], np.ones((2, 2)), atol=1e-9)
    assert grads["a"].dtype == np.float64
    assert jnp.zeros(()).dtype == jnp.float32  # JAX's own setting is as it was


def test_the_books_network_passes_and_prints_a_table():
    checks = jn.check_gradients(jn.Network((784, 30, 10)))
    assert [check.name for check in checks] == [
        "layer 1 w (784, 30)",
        "layer 1 b (30,)",
        "layer 2 w (30, 10)",
        "layer 2 b (10,)",
    ]
    assert "layer 2 b (10,)" in gradient_check.table(checks)


def test_some_entries_stand_for_all_in_a_large_network():
    net = jn.Network((30, 20, 5))
    every = jn.check_gradients(net)
    few = jn.check_gradients(net, n_differences=7)
    for whole, sampled in zip(every, few, strict=True):
        assert (sampled.name, sampled.norm) == (whole.name, whole.norm)
        assert sampled.autodiff_error == whole.autodiff_error
        assert sampled.passed
    wrong = jn.activations.Elementwise("wrong", jnp.tanh, lambda z: 1 - 0.99 * jnp.tanh(z) ** 2)
    with pytest.raises(jn.GradientError) as caught:
        jn.check_gradients(jn.Network((30, 20, 5), wrong), n_differences=7)
    layer_1 = caught.value.checks[0]
    assert layer_1.numerical_error > 1e-6
    with pytest.raises(ValueError, match="n_differences must be a whole number of at least 1"):
        jn.check_gradients(net, n_differences=0)


def test_the_command_bounds_the_work_of_finite_differences():
    assert check._affordable_differences(jn.Network((784, 30, 10))) is None
    large = jn.Network((784, 1000, 500, 100, 10))
    n = check._affordable_differences(large)
    assert 8 * n * large.n_params <= check.ALL_UP_TO**2
    assert check._affordable_differences(jn.Network((10_000, 10_000, 10))) == 20
