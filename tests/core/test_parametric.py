"""Activations with a parameter of their own: both derivatives, and the network's gradient."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxnet as jn
from jaxnet.core.activations import NAMED, AtParameter, Parametric, PRelu, Snake
from jaxnet.core.backpropagation import gauss_newton_product, gradient_from, hessian_product
from jaxnet.core.network import forward, forward_from, hidden_functions, targets


@dataclass(frozen=True)
class Swish(Parametric):
    """A user's own one: z·σ(pz)."""

    initial: float = 1.0

    def f(self, z, p):
        return z * jax.nn.sigmoid(p * z)

    def prime(self, z, p):
        s = jax.nn.sigmoid(p * z)
        return s + p * z * s * (1 - s)

    def parameter_prime(self, z, p):
        s = jax.nn.sigmoid(p * z)
        return z**2 * s * (1 - s)


ALL = {name: part for name, part in NAMED.items() if isinstance(part, Parametric)}
ALL["own"] = Swish()
PARAMETERS = [-0.7, 0.0, 1e-9, 0.05, 0.25, 1.0, 3.0]
POINTS = np.array([-20.0, -2.0, -0.11, -1e-3, -1e-12, 0.0, 1e-12, 1e-3, 0.09, 0.6, 2.0, 20.0])
DEEP = jn.Network((6, 5, 7, 4), (NAMED["prelu"], NAMED["snake"]), jn.costs.LogLikelihood())


def _example(net=DEEP):
    """Parameters that differ from their start, three examples and their labels."""
    random = np.random.default_rng(0)
    params = jn.init(net, jax.random.key(0))
    params = jax.tree.map(lambda array: array + 0.1 * random.standard_normal(array.shape), params)
    return params, random.standard_normal((3, 6)), random.integers(4, size=3)


def test_prelu_and_snake_have_a_parameter():
    assert ALL.keys() == {"prelu", "snake", "own"}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ALL)
def test_both_pullbacks_are_autodiffs(name):
    """At the kink of a rectifier, too, where autodiff takes the side of z ≤ 0 as well."""
    z, g = jnp.asarray(POINTS), jnp.asarray(np.random.default_rng(1).standard_normal(len(POINTS)))
    activation = ALL[name]

    @jax.jit
    @jax.vmap
    def handwritten(p):
        bound = activation.at(p)
        return (
            bound.pullback(z, g),
            bound.parameter_pullback(z, g),
            activation.parameter_prime(z, p),
        )

    @jax.jit
    @jax.vmap
    def autodiff(p):
        of_unit = jax.grad(lambda p, z: activation.f(z[None], p)[0])
        return *jax.vjp(activation.f, z, p)[1](g), jax.vmap(of_unit, (None, 0))(p, z)

    ps = jnp.asarray(PARAMETERS)
    for ours, expected, tiny in zip(handwritten(ps), autodiff(ps), (1e-14, 1e-14, 1e-30)):
        np.testing.assert_allclose(ours, expected, 1e-10, tiny)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("p", [-0.7, 0.25, 3.0])
@pytest.mark.parametrize("name", ALL)
def test_the_derivative_by_the_parameter_is_a_quotient_of_differences(name, p):
    z, step = jnp.asarray(POINTS), 1e-6
    expected = (ALL[name].f(z, p + step) - ALL[name].f(z, p - step)) / (2 * step)
    np.testing.assert_allclose(ALL[name].parameter_prime(z, p), expected, 1e-6, 1e-8)


@pytest.mark.parametrize("p", [0.0, 1e-30, 1e-3, 1.0])
@pytest.mark.parametrize("size", [80.0, 1e4])
@pytest.mark.parametrize("name", ALL)
def test_everything_is_finite_far_out_and_nan_stays_nan(name, size, p):
    z, p = jnp.array([-size, size, 0.0, 1e-30, jnp.nan]), jnp.float32(p)
    for part in (ALL[name].f, ALL[name].prime, ALL[name].parameter_prime):
        values = part(z, p)
        assert values.dtype == jnp.float32
        assert jnp.isfinite(values[:4]).all()
        assert jnp.isnan(values[4])


@pytest.mark.parametrize("p", [1e-3, 1e-5, 1e-20, 0.0])
def test_snake_keeps_its_digits_where_its_parameter_is_small(p):
    """In float32, against z + pz² − p³z⁴/3 and its derivatives in float64."""
    z = np.linspace(-3, 3, 13)
    bound = Snake().at(jnp.float32(p))
    z32, ones = jnp.asarray(z, jnp.float32), jnp.ones(13)
    np.testing.assert_allclose(bound.fn(z32), z + p * z**2 - p**3 * z**4 / 3, 3e-7)
    np.testing.assert_allclose(bound.pullback(z32, ones), 1 + np.sin(2 * p * z), 3e-7)
    np.testing.assert_allclose(
        Snake().parameter_prime(z32, jnp.float32(p)), z**2 - p**2 * z**4, 1e-6
    )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("weights", [None, np.array([0.5, 0.0, 0.2])])
def test_the_gradient_of_a_network_is_autodiffs_and_of_differences(weights):
    params, xs, ys = _example()
    masks = [np.array([0.0, 2.0, 2.0, 0.0, 2.0]), np.random.default_rng(1).random((3, 7))]
    counts = np.full(3, 1 / 3) if weights is None else weights

    def cost(params):
        total = 0.0
        for index in range(3):
            own = [masks[0], masks[1][index]]
            z = forward(DEEP, params, jnp.asarray(xs[index]), own)[1][-1]
            total += counts[index] * DEEP.cost.fn(z, targets(ys[index], 4, z.dtype))
        return total

    handwritten = jax.jit(lambda params: jn.gradient(DEEP, params, xs, ys, masks, weights))(params)
    expected = jax.jit(jax.grad(cost))(params)
    assert [type(layer) for layer in handwritten] == [jn.ParametricLayer] * 2 + [jn.Layer]
    assert all(handwritten[index].activation != 0 for index in (0, 1))
    for got, wanted in zip(*map(jax.tree.leaves, (handwritten, expected)), strict=True):
        np.testing.assert_allclose(got, wanted, 1e-10, 1e-14)
    theta, unravel = ravel_pytree(params)
    shifts = 1e-5 * jnp.eye(theta.size)
    along = jax.jit(jax.vmap(lambda shift: cost(unravel(theta + shift))))
    numerical = (along(shifts) - along(-shifts)) / 2e-5
    np.testing.assert_allclose(ravel_pytree(handwritten)[0], numerical, 1e-5, 1e-8)


@pytest.mark.usefixtures("x64")
def test_the_gradient_of_an_example_is_that_of_a_mini_batch_of_it():
    params, xs, ys = _example()
    single = jax.jit(lambda params: jn.backprop(DEEP, params, xs[0], ys[0]))(params)
    batch = jax.jit(lambda params: jn.gradient(DEEP, params, xs[:1], ys[:1]))(params)
    for got, wanted in zip(*map(jax.tree.leaves, (single, batch)), strict=True):
        np.testing.assert_allclose(got, wanted, 1e-12, 1e-15)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("weights", [None, np.array([0.5, 0.3, 0.2])])
def test_the_gradient_from_the_first_weighted_inputs_on_has_the_first_parameters(weights):
    params, xs, ys = _example()
    counts = np.full(3, 1 / 3) if weights is None else weights
    z1s = jnp.asarray(xs @ params[0].w + params[0].b[None])

    def cost(p):
        changed = (params[0]._replace(activation=p), *params[1:])
        zs = [forward_from(DEEP, changed, z1)[1][-1] for z1 in z1s]
        return sum(n * DEEP.cost.fn(z, targets(y, 4, z.dtype)) for n, z, y in zip(counts, zs, ys))

    from_z1s = jax.jit(lambda params: gradient_from(DEEP, params, z1s, ys, weights=weights))
    errors, own, later = from_z1s(params)
    np.testing.assert_allclose(own, jax.jit(jax.grad(cost))(params[0].activation), 1e-10)
    whole = jax.jit(lambda params: jn.gradient(DEEP, params, xs, ys, weights=weights))(params)
    np.testing.assert_allclose(xs.T @ errors, whole[0].w, 1e-10, 1e-14)
    np.testing.assert_allclose(later[0].activation, whole[1].activation, 1e-10)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_products_with_curvature_are_those_of_the_matrices():
    net = jn.Network((6, 3, 4), NAMED["snake"], jn.costs.LogLikelihood())
    params, xs, ys = _example(net)
    theta, unravel = ravel_pytree(params)
    v = np.random.default_rng(4).standard_normal(theta.size)

    def logits(theta, x):
        return forward(net, unravel(theta), jnp.asarray(x))[1][-1]

    def cost(theta):
        zs = [logits(theta, x) for x in xs]
        return sum(net.cost.fn(z, targets(y, 4, z.dtype)) for z, y in zip(zs, ys)) / 3

    products = jax.jit(lambda product: product(net, params, unravel(v), xs, ys), static_argnums=0)
    got = ravel_pytree(products(hessian_product))[0]
    np.testing.assert_allclose(got, jax.jit(jax.hessian(cost))(theta) @ v, 1e-9, 1e-12)
    expected = 0
    jacobian_at = jax.jit(jax.jacobian(logits))
    for x, y in zip(xs, ys):
        jacobian = jacobian_at(theta, x)
        curvature = jax.hessian(net.cost.fn)(logits(theta, x), targets(y, 4, theta.dtype))
        expected += jacobian.T @ curvature @ jacobian @ v / 3
    got = ravel_pytree(products(gauss_newton_product))[0]
    np.testing.assert_allclose(got, expected, 1e-9, 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_the_check_of_gradients_has_a_row_for_each_parameter(name):
    rows = [check.name for check in jn.check_gradients(jn.Network((4, 3, 5, 2), ALL[name]))]
    assert rows == [
        "layer 1 w (4, 3)", "layer 1 b (3,)", "layer 1 activation ()",
        "layer 2 w (3, 5)", "layer 2 b (5,)", "layer 2 activation ()",
        "layer 3 w (5, 2)", "layer 3 b (2,)",
    ]  # fmt: skip


@dataclass(frozen=True)
class Wrong(PRelu):
    """The derivative by the parameter is twice what it should be."""

    def parameter_prime(self, z, p):
        return 2 * super().parameter_prime(z, p)


@pytest.mark.slow
def test_the_check_of_gradients_finds_a_wrong_derivative_by_the_parameter():
    with pytest.raises(jn.GradientError) as caught:
        jn.check_gradients(jn.Network((4, 3, 2), Wrong()))
    wrong = [check.name for check in caught.value.checks if not check.passed]
    assert wrong == ["layer 1 activation ()"]


def test_a_network_starts_with_the_initial_parameters_and_counts_them():
    net = jn.Network((6, 5, 7, 4), (PRelu(0.1), jn.activations.relu))
    plain = replace(net, hidden=jn.activations.relu)
    first, second, last = jn.init(net, jax.random.key(0))
    assert isinstance(first, jn.ParametricLayer)
    assert first.activation == np.float32(0.1)
    assert type(second) is type(last) is jn.Layer
    assert net.n_params == plain.n_params + 1
    for ours, theirs in zip((first, second, last), jn.init(plain, jax.random.key(0)), strict=True):
        np.testing.assert_array_equal(ours.w, theirs.w)  # no draw depends on it


def test_a_layers_own_parameter_is_the_one_that_counts():
    net = jn.Network((2, 3, 2), PRelu())
    params = jn.init(net, jax.random.key(0))
    as_relu = (params[0]._replace(activation=0.0), params[1])
    relu = replace(net, hidden=jn.activations.relu)
    x = np.random.default_rng(0).standard_normal((5, 2))
    expected = jn.predict(relu, (jn.Layer(*params[0][:2]), params[1]), x)
    np.testing.assert_allclose(jn.predict(net, as_relu, x), expected, 1e-6)
    assert np.any(jn.predict(net, params, x) != expected)
    assert isinstance(hidden_functions(net, params)[0], AtParameter)
    assert hidden_functions(relu, params) == [jn.activations.relu]


def test_parameters_of_another_form_are_refused():
    net = jn.Network((2, 3, 2), PRelu())
    plain = jn.init(replace(net, hidden=jn.activations.relu), jax.random.key(0))
    with pytest.raises(ValueError, match=r"hidden PRelu\(initial=0.25\) ask for .*\(\)\)"):
        jn.predict(net, plain, [0.0, 1.0])
    params = jn.init(net, jax.random.key(0))
    with pytest.raises(ValueError, match=r"sizes \(2, 3, 2\) ask for"):
        jn.predict(replace(net, hidden=jn.activations.relu), params, [0.0, 1.0])
    with pytest.raises(ValueError, match="must be a tuple of jaxnet"):
        jn.predict(net, (params[0]._replace(activation="0.1"), params[1]), [0.0, 1.0])
    for wrong in (np.nan, np.inf):
        with pytest.raises(ValueError, match="PRelu: initial must be "):
            PRelu(wrong)


def test_padding_needs_finite_derivatives_at_0():
    @dataclass(frozen=True)
    class Root(Swish):
        def parameter_prime(self, z, p):
            return 1 / z

    assert all(activation.apart for activation in ALL.values())
    assert not Root().apart
