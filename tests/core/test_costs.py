import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import jaxnet as jn
from jaxnet.core import activations, costs
from jaxnet.core.backpropagation import gauss_newton_product
from jaxnet.core.gradient_check import check_deltas

OUTPUTS = activations.NAMED
COSTS = {
    "cross-entropy": costs.CrossEntropy(),
    "log-likelihood": costs.LogLikelihood(),
    "log-likelihood(3)": costs.LogLikelihood(3.0),
    **{f"quadratic {name}": costs.Quadratic(output) for name, output in OUTPUTS.items()},
    **{f"absolute {name}": costs.AbsoluteError(output) for name, output in OUTPUTS.items()},
    "huber softmax": costs.Huber(activations.softmax, 0.3),
    **{f"focal({gamma})": costs.Focal(gamma) for gamma in (0.0, 0.5, 1.0)},
    **{name: constructor() for name, constructor in costs.NAMED.items()},
}
DISTINCT = [name for name in COSTS if name == "absolute softmax" or "absolute " not in name]
"""All but the absolute errors of other outputs, which have the pullbacks of the squared ones."""


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


@pytest.mark.parametrize("name", DISTINCT)
def test_cost_and_delta_are_finite_at_enormous_logits(name):
    fn32, delta32 = _in(jnp.float32, COSTS[name], *_grid(COSTS[name], [-1e4, 0, 1e4]))
    assert np.isfinite(fn32).all()
    assert np.isfinite(delta32).all()


def _grid(cost, logits):
    """All combinations of logits for four outputs, with each one-hot target."""
    zs = np.array(list(itertools.product(logits, repeat=4)), np.float32)
    ys = np.eye(4)[:, : cost.n_targets(4)]
    return np.repeat(zs, len(ys), axis=0), np.tile(ys, (len(zs), 1))


def _in(dtype, cost, zs, ys):
    with jax.enable_x64(True):
        arrays = jnp.asarray(zs, dtype), jnp.asarray(ys, dtype)
        values = (jax.jit(jax.vmap(function))(*arrays) for function in (cost.fn, cost.delta))
        return tuple(np.asarray(value, float) for value in values)


@pytest.mark.parametrize("name", DISTINCT)
def test_float32_agrees_with_float64_up_to_logits_of_80(name):
    cost = COSTS[name]
    tiny = 2e-38  # what float32 cannot hold, it calls 0
    random = np.random.default_rng(0)
    # Scales from ordinary to saturated; the numbers are float32's own.
    zs = [random.uniform(-1, 1, 4).astype(np.float32) * scale for scale in (1, 5, 20, 80)]
    saturated, ys_of_saturated = _grid(cost, [-80, 3, 80])
    ys = np.eye(4)[:, : cost.n_targets(4)]
    zs = np.concatenate([np.repeat(zs, 4, axis=0), saturated])
    ys = np.concatenate([np.tile(ys, (4, 1)), ys_of_saturated])
    fn64, delta64 = _in(jnp.float64, cost, zs, ys)
    fn32, delta32 = _in(jnp.float32, cost, zs, ys)
    # Log-variances of either sign are summed, so that digits cancel.
    atol = 1e-6 if name == "gaussian-nll" else tiny
    np.testing.assert_allclose(fn32, fn64, rtol=1e-5, atol=atol)
    np.testing.assert_allclose(delta32, delta64, rtol=1e-5, atol=tiny)


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
    cost, z = COSTS[name], jnp.array([1.0, jnp.nan, -2.0, 0.5])
    y = jnp.array([1.0, 0.0, 0.0, 0.0])[: cost.n_targets(4)]
    assert jnp.isnan(cost.fn(z, y))
    assert jnp.isnan(cost.delta(z, y)[1])


RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(50, 4)) * 3
COUNTS = RANDOM.poisson(3.0, size=(50, 4)).astype(float)


def _fn(cost, zs, ys):
    with jax.enable_x64(True):
        return np.asarray(jax.vmap(cost.fn)(jnp.asarray(zs), jnp.asarray(ys)))


def test_poisson_is_the_likelihood_of_scipy_without_the_factorial():
    likelihood = scipy.stats.poisson.logpmf(COUNTS, np.exp(LOGITS)).sum(axis=1)
    factorials = scipy.special.gammaln(COUNTS + 1).sum(axis=1)
    np.testing.assert_allclose(
        _fn(costs.Poisson(), LOGITS, COUNTS), -likelihood - factorials, rtol=1e-12
    )


def test_gaussian_nll_is_the_density_of_scipy_without_its_constant():
    mean, log_variance = np.split(LOGITS, 2, axis=1)
    targets = COUNTS[:, :2]
    density = scipy.stats.norm.logpdf(targets, mean, np.exp(log_variance / 2))
    expected = -(density + np.log(2 * np.pi) / 2).sum(axis=1)
    np.testing.assert_allclose(_fn(costs.GaussianNLL(), LOGITS, targets), expected, rtol=1e-12)


@pytest.mark.parametrize("threshold", [0.1, 1.0, 3.0])
def test_huber_is_scipys(threshold):
    expected = scipy.special.huber(threshold, LOGITS - COUNTS).sum(axis=1)
    cost = costs.Huber(threshold=threshold)
    np.testing.assert_allclose(_fn(cost, LOGITS, COUNTS), expected, rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_is_the_papers_for_the_probability_of_the_class(gamma):
    labels = RANDOM.integers(4, size=50)
    p = scipy.special.softmax(LOGITS, axis=1)[np.arange(50), labels]
    expected = -((1 - p) ** gamma) * np.log(p)
    cost = costs.Focal(gamma)
    np.testing.assert_allclose(_fn(cost, LOGITS, np.eye(4)[labels]), expected, rtol=1e-9)


def test_focal_of_two_outputs_is_the_binary_one_of_a_sigmoid():
    y = RANDOM.integers(2, size=50)
    p = scipy.special.expit(LOGITS[:, 1] - LOGITS[:, 0])
    p_of_class = np.where(y == 1, p, 1 - p)
    expected = -((1 - p_of_class) ** 2) * np.log(p_of_class)
    got = _fn(costs.Focal(), LOGITS[:, :2], np.eye(2)[y])
    np.testing.assert_allclose(got, expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["focal", "huber", "poisson", "gaussian-nll"])
def test_the_derivative_of_delta_is_the_second_derivative_of_fn(name):
    """`gauss_newton_product` and `hessian_product` differentiate `delta`."""
    cost = COSTS[name]
    with jax.enable_x64(True):
        zs, ys = jnp.asarray(LOGITS[:5]), jnp.asarray(COUNTS[:5, : cost.n_targets(4)] / 10)
        of_delta = jax.jit(jax.vmap(jax.jacfwd(cost.delta)))(zs, ys)
        of_fn = jax.jit(jax.vmap(jax.hessian(cost.fn)))(zs, ys)
        np.testing.assert_allclose(of_delta, of_fn, atol=1e-10)
        np.testing.assert_allclose(of_delta, np.swapaxes(of_delta, 1, 2), atol=1e-10)


def test_exponential_costs_go_on_along_their_tangent():
    """So that the cost of rates that float32 cannot hold still falls towards the target."""
    poisson = costs.Poisson()
    fn, delta = _in(jnp.float32, poisson, [[39.0], [40.0], [50.0], [1e4]], [[2.0]] * 4)
    assert (np.diff(fn) > 0).all()
    np.testing.assert_allclose(delta[2:], np.exp(40.0), rtol=1e-5)
    log_variances = np.array([[0.5, -39.0], [0.5, -41.0], [0.5, -1e4]])
    fn, delta = _in(jnp.float32, costs.GaussianNLL(), log_variances, [[0.0]] * 3)
    assert (np.diff(fn) > 0).all()
    assert (delta[:, 1] < 0).all()  # down the slope the log-variance grows


def test_a_network_has_two_outputs_for_each_target_of_gaussian_nll():
    net = jn.Network((3, 4, 6), cost=costs.GaussianNLL())
    assert (net.sizes[-1], net.n_targets) == (6, 3)
    with pytest.raises(ValueError, match="number of outputs must be even, not 3; choose sizes"):
        jn.Network((3, 4, 3), cost=costs.GaussianNLL())


@pytest.mark.parametrize("name", ["focal", "huber", "poisson", "gaussian-nll"])
def test_second_order_products_and_gradients_of_networks(name):
    net = jn.Network((3, 4, 2), jn.activations.tanh, COSTS[name])
    jn.check_gradients(net)
    params = jn.init(net, jax.random.key(0))
    along = jax.tree.map(jnp.ones_like, params)
    xs, ys = jnp.asarray(LOGITS[:5, :3]), jnp.full((5, net.n_targets), 0.5)
    products = jax.jit(gauss_newton_product, static_argnums=0)(net, params, along, xs, ys)
    assert all(jnp.isfinite(array).all() for array in jax.tree.leaves(products))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: costs.Huber(threshold=0), "threshold must be a positive number, not 0"),
        (lambda: costs.Huber(threshold=-1), "threshold must"),
        (lambda: costs.Focal(-0.1), "Focal: gamma must"),
        (lambda: jn.Network((2, 1), cost=costs.Focal()), "single output is always 1"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
