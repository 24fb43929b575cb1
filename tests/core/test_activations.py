import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxnet.core import activations
from jaxnet.core.gradient_check import numerical_gradient
from jaxnet.core.network import Network, init, predict

ALL = {
    **activations.NAMED,
    "leaky_relu(0.3)": activations.LeakyRelu(0.3),
    "elu(0.5)": activations.Elu(0.5),
    "softmax(2.5)": activations.Softmax(2.5),
}

# Written with SciPy and NumPy alone, from the definitions.
REFERENCES = {
    "sigmoid": scipy.special.expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "leaky_relu(0.3)": lambda z: np.where(z > 0, z, 0.3 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "elu(0.5)": lambda z: np.where(z > 0, z, 0.5 * np.expm1(np.minimum(z, 0))),
    "softplus": lambda z: np.logaddexp(z, 0),
    "exponential": lambda z: np.exp(np.minimum(z, 40)),
    "gelu": lambda z: z * scipy.special.ndtr(z),
    "silu": lambda z: z * scipy.special.expit(z),
    "linear": lambda z: z,
    "softmax": scipy.special.softmax,
    "prelu": lambda z: np.where(z > 0, z, 0.25 * z),
    "snake": lambda z: z + np.sin(z) ** 2,
    "softmax(2.5)": lambda z: scipy.special.softmax(z / 2.5),
}

# Away from 0, where the rectifiers have their kink.
logits = hnp.arrays(
    np.float64, 5, elements=st.floats(0.01, 20) | st.floats(-20, -0.01), unique=True
)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ALL)
@given(z=logits)
def test_fn_is_its_definition(name, z):
    np.testing.assert_allclose(ALL[name].fn(jnp.asarray(z)), REFERENCES[name](z), rtol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ALL)
@given(z=logits)
def test_pullback_is_autodiffs(name, z):
    g = jnp.array([1.0, -2.0, 0.5, 3.0, 0.0])
    pulled = ALL[name].pullback(jnp.asarray(z), g)
    expected = jax.vjp(ALL[name].fn, jnp.asarray(z))[1](g)[0]
    np.testing.assert_allclose(pulled, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ALL)
def test_pullback_is_a_quotient_of_differences(name):
    z, g = np.array([-3.0, -0.4, 0.2, 1.0, 5.0]), np.array([1.0, -2.0, 0.5, 3.0, 1.0])
    pulled = ALL[name].pullback(jnp.asarray(z), jnp.asarray(g))
    numerical = numerical_gradient(lambda z: jnp.dot(jnp.asarray(g), ALL[name].fn(z)), z)
    np.testing.assert_allclose(pulled, numerical, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [80.0, 1e4])
def test_everything_is_finite_far_out(name, size):
    z, y = jnp.array([-size, size, 0.5 * size]), jnp.array([0.0, 1.0, 0.0])
    activation = ALL[name]
    for value in (
        activation.fn(z),
        activation.pullback(z, jnp.ones(3)),
        activation.residual(z, y),
        jax.vjp(activation.fn, z)[1](jnp.ones(3))[0],
    ):
        assert jnp.all(jnp.isfinite(value))


@pytest.mark.parametrize("activation", [activations.sigmoid, activations.tanh, activations.softmax])
def test_the_residual_keeps_its_digits_where_the_activation_rounds_to_1(activation):
    z = np.array([30.0, 0.0, -3.0])
    y = np.array([1.0, 0.0, 0.0])
    if activation is activations.softmax:
        true = [-(np.exp(-30) + np.exp(-33)), np.exp(-30), np.exp(-33)]
    elif activation is activations.sigmoid:
        true = [-np.exp(-30.0), 0.5, scipy.special.expit(-3.0)]
    else:
        true = [-2 * np.exp(-60.0), 0.0, np.tanh(-3.0)]
    residual = activation.residual(jnp.asarray(z, jnp.float32), jnp.asarray(y, jnp.float32))
    np.testing.assert_allclose(residual, true, rtol=1e-5)


def test_equal_logits_have_a_right_derivative():
    z = jnp.zeros(4)
    autodiff = jax.jacobian(activations.softmax.log_fn)(z)
    np.testing.assert_allclose(autodiff, np.eye(4) - 0.25, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match=r"temperature must be a (positive )?number"):
        activations.Softmax(temperature)


def test_activations_are_equal_by_value():
    assert activations.Softmax(2.0) == activations.Softmax(2.0) != activations.softmax
    assert hash(activations.LeakyRelu(0.1)) == hash(activations.LeakyRelu(0.1))


@pytest.mark.parametrize("name", ALL)
def test_nan_stays_nan(name):
    """In one place of three: forward, in the residual, in the network's output, and backward."""
    activation = ALL[name]
    z, ones = jnp.array([1.0, jnp.nan, -2.0]), jnp.ones(3)
    assert jnp.isnan(activation.fn(z)[1])
    assert jnp.isnan(activation.residual(z, 0 * ones)[1])
    if name != "linear":  # whose derivative is 1 everywhere
        assert jnp.isnan(activation.pullback(z, ones)[1])
    assert jnp.isnan(activation.pullback(0 * ones, z)[1])
    net = Network((3, 3, 1), activation)
    params = init(net, jax.random.key(0))
    damaged = (params[0]._replace(b=z), params[1])
    assert jnp.isnan(predict(net, damaged, jnp.ones(3))).all()
