import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxnet.core import activations, costs
from jaxnet.core.gradient_check import check_deltas

OUTPUTS = activations.NAMED
COSTS = {
    "cross-entropy": costs.CrossEntropy(),
    "log-likelihood": costs.LogLikelihood(),
    "log-likelihood(3)": costs.LogLikelihood(3.0),
    **{f"quadratic {name}": costs.Quadratic(output) for name, output in OUTPUTS.items()},
    **{f"absolute {name}": costs.AbsoluteError(output) for name, output in OUTPUTS.items()},
}


@pytest.mark.parametrize("name", COSTS)
def test_delta_is_the_derivative_of_fn(name):
    checks = check_deltas(COSTS[name])
    assert len(checks) == 8
    assert max(check.autodiff_error for check in checks) <= 1e-10
    assert max(check.numerical_error for check in checks) <= 1e-6


@pytest.mark.usefixtures("x64")
@given(
    z=hnp.arrays(np.float64, 4, elements=st.floats(-30, 30)),
    y=hnp.arrays(np.float64, 4, elements=st.floats(0, 1)),
)
def test_fn_is_its_textbook_definition_where_that_is_accurate(z, y):
    a, p = 1 / (1 + np.exp(-z)), np.exp(z) / np.exp(z).sum()
    expected = {
        "cross-entropy": -np.sum(y * np.log(a) + (1 - y) * np.log1p(-a)),
        "log-likelihood": -np.sum(y * np.log(p)),
        "quadratic sigmoid": np.sum((a - y) ** 2) / 2,
        "absolute softmax": np.sum(np.abs(p - y)),
    }
    for name, value in expected.items():
        # 1 − a has lost all but 1e-16/e⁻³⁰ ≈ 1e-3 of its digits at z = 30.
        tolerance = 5e-3 if name == "cross-entropy" else 1e-9
        got = COSTS[name].fn(jnp.asarray(z), jnp.asarray(y))
        np.testing.assert_allclose(got, value, rtol=tolerance, atol=1e-12)


@pytest.mark.parametrize("name", COSTS)
def test_cost_and_delta_are_finite_at_enormous_logits(name):
    for z in itertools.product([-1e4, 0.0, 1e4], repeat=3):
        for y in np.eye(3):
            z32, y32 = jnp.asarray(z, jnp.float32), jnp.asarray(y, jnp.float32)
            assert jnp.isfinite(COSTS[name].fn(z32, y32))
            assert jnp.all(jnp.isfinite(COSTS[name].delta(z32, y32)))


def _in(dtype, cost, z, y):
    with jax.enable_x64(True):
        z, y = jnp.asarray(z, dtype), jnp.asarray(y, dtype)
        return np.asarray(cost.fn(z, y), float), np.asarray(cost.delta(z, y), float)


@pytest.mark.parametrize("name", COSTS)
def test_float32_agrees_with_float64_up_to_logits_of_80(name):
    cost = COSTS[name]
    tiny = 2e-38  # what float32 cannot hold, it calls 0
    random = np.random.default_rng(0)
    # Scales from ordinary to saturated; the numbers are float32's own.
    zs = [random.uniform(-1, 1, 4).astype(np.float32) * scale for scale in (1, 5, 20, 80)]
    saturated = np.array(list(itertools.product([-80, 3, 80], repeat=3)), np.float32)
    cases = [(z, y) for z in zs for y in np.eye(4)]
    cases += [(z, y) for z in saturated for y in np.eye(3)]
    for z, y in cases:
        fn64, delta64 = _in(jnp.float64, cost, z, y)
        fn32, delta32 = _in(jnp.float32, cost, z, y)
        np.testing.assert_allclose(fn32, fn64, rtol=1e-5, atol=tiny)
        np.testing.assert_allclose(delta32, delta64, rtol=1e-5, atol=tiny, err_msg=f"{z} {y}")


def test_log_likelihood_of_a_class_is_minus_the_log_of_its_probability():
    z, y = jnp.log(jnp.array([0.2, 0.5, 0.3])), jnp.array([0.0, 1.0, 0.0])
    assert costs.LogLikelihood().fn(z, y).item() == pytest.approx(np.log(2), rel=1e-6)


def test_absolute_error_has_no_slope_at_its_kink():
    assert costs.AbsoluteError(activations.linear).delta(jnp.ones(2), jnp.ones(2)).tolist() == [
        0,
        0,
    ]


def test_costs_are_equal_by_value():
    assert costs.Quadratic() == costs.Quadratic(activations.sigmoid)
    assert costs.Quadratic() != costs.Quadratic(activations.softmax)
    assert hash(costs.LogLikelihood(2.0)) == hash(costs.LogLikelihood(2.0))


def test_a_log_likelihood_without_a_positive_temperature_is_refused():
    with pytest.raises(ValueError, match="temperature must be a positive number, not 0"):
        costs.LogLikelihood(0)


@pytest.mark.parametrize("name", COSTS)
def test_nan_stays_nan(name):
    """A logit of NaN makes the cost NaN, and its own error."""
    z, y = jnp.array([1.0, jnp.nan, -2.0]), jnp.array([1.0, 0.0, 0.0])
    assert jnp.isnan(COSTS[name].fn(z, y))
    assert jnp.isnan(COSTS[name].delta(z, y)[1])
