import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from network2 import Network2

import jaxnet as jn
from jaxnet.core.backpropagation import (
    gauss_newton_product,
    gradient_from,
    hessian_product,
)
from jaxnet.core.network import forward, forward_from, targets

COSTS = [
    jn.costs.CrossEntropy(),
    jn.costs.LogLikelihood(),
    jn.costs.LogLikelihood(2.0),
    *(jn.costs.Quadratic(jn.activations.NAMED[name]) for name in ("sigmoid", "softmax", "linear")),
    *(jn.costs.AbsoluteError(jn.activations.NAMED[name]) for name in ("sigmoid", "softmax")),
]
SIZES = {1: (6, 4), 2: (6, 5, 4), 3: (6, 5, 7, 4), 4: (6, 5, 7, 3, 4)}


def _example(net, seed=0):
    random = np.random.default_rng(seed)
    params = jn.init(net, jax.random.key(seed))
    return params, random.standard_normal((3, net.sizes[0])), random.integers(4, size=3)


def _differences(f, params, step=1e-5):
    """Central differences of f, all parameters at once."""
    theta, unravel = ravel_pytree(params)
    shifts = step * jnp.eye(theta.size)
    along = jax.vmap(lambda shift: f(unravel(theta + shift)))
    return (along(shifts) - along(-shifts)) / (2 * step)


def _some_networks():
    """Each activation in two hidden layers, each cost, each depth; costs take turns."""
    for index, (name, hidden) in enumerate(jn.activations.NAMED.items()):
        yield pytest.param(SIZES[3], hidden, [COSTS[index % len(COSTS)]], id=name)
    for depth, sizes in SIZES.items():
        costs = COSTS if depth == 2 else [COSTS[0], COSTS[4]]
        yield pytest.param(sizes, jn.activations.tanh, costs, id=f"depth {depth}")


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("sizes", "hidden", "costs"), [*_some_networks()])
def test_gradient_against_autodiff_and_differences(sizes, hidden, costs):
    # experiments/gradients.py has the whole product of activations, costs and depths.
    for cost in costs:
        net = jn.Network(sizes, hidden, cost)
        params, xs, labels = _example(net)
        ys = np.eye(4)[labels]

        def f(params, net=net, xs=xs, ys=ys):
            return jnp.mean(jax.vmap(net.cost.fn)(jn.logits(net, params, xs), jnp.asarray(ys)))

        handwritten = ravel_pytree(jn.gradient(net, params, xs, labels))[0]
        autodiff = ravel_pytree(jax.grad(f)(params))[0]
        norm = np.linalg.norm(handwritten)
        assert norm > 1e-3
        assert np.linalg.norm(handwritten - autodiff) <= 1e-10 * norm, cost
        assert np.linalg.norm(handwritten - _differences(f, params)) <= 1e-6 * norm, cost


@pytest.mark.usefixtures("x64")
def test_backprop_is_network2s():
    net = jn.Network((6, 5, 7, 4))
    params, xs, ys = _example(net)
    reference = Network2([layer.w.T for layer in params], [layer.b[:, None] for layer in params])
    ours = jn.backprop(net, params, xs[0], ys[0])
    theirs = reference.backprop(xs[0][:, None], np.eye(4)[ys[0]][:, None])
    for layer, (grad_w, grad_b) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(layer.w, grad_w.T, rtol=1e-12)
        np.testing.assert_allclose(layer.b, grad_b[:, 0], rtol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", ["labels", "targets"])
def test_a_mini_batchs_gradient_is_the_weighted_mean_of_its_examples(kind):
    net = jn.Network((6, 5, 4), jn.activations.gelu)
    params, xs, ys = _example(net)
    ys = ys if kind == "labels" else np.eye(4)[ys] * 0.7
    ones = [jn.backprop(net, params, x, y) for x, y in zip(xs, jnp.asarray(ys))]
    for weights in (None, jnp.array([0.5, 0.0, 0.5])):
        w = [1 / 3] * 3 if weights is None else weights
        expected = jax.tree.map(lambda *grads, w=w: sum(a * g for a, g in zip(w, grads)), *ones)
        got = jn.gradient(net, params, xs, ys, weights=weights)
        for layer, wanted in zip(got, expected, strict=True):
            np.testing.assert_allclose(layer.w, wanted.w, rtol=1e-10, atol=1e-14)
            np.testing.assert_allclose(layer.b, wanted.b, rtol=1e-10, atol=1e-14)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("shared", [True, False])
def test_masked_gradient_is_autodiff_of_the_masked_network(shared):
    net = jn.Network((6, 5, 7, 4), (jn.activations.tanh, jn.activations.softmax))
    params, xs, ys = _example(net)
    random = np.random.default_rng(1)
    masks = [2.0 * random.integers(2, size=(5,) if shared else (3, 5)), random.random((3, 7))]

    def cost(params):
        total = 0.0
        for index, (x, y) in enumerate(zip(jnp.asarray(xs), ys, strict=True)):
            mine = [mask if mask.ndim == 1 else mask[index] for mask in masks]
            z = forward(net, params, x, mine)[1][-1]
            total += net.cost.fn(z, targets(y, 4, z.dtype)) / 3
        return total

    expected = jax.grad(cost)(params)
    got = jn.gradient(net, params, xs, ys, masks)
    for layer, wanted in zip(got, expected, strict=True):
        np.testing.assert_allclose(layer.w, wanted.w, rtol=1e-10, atol=1e-15)
        np.testing.assert_allclose(layer.b, wanted.b, rtol=1e-10, atol=1e-15)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("weights", [None, np.array([0.5, 0.3, 0.2])])
def test_the_gradient_from_the_first_weighted_inputs_on_is_autodiff(weights):
    """Its errors are ∂C/∂z¹ of each example; with the inputs they make up the first gradient."""
    net = jn.Network((6, 5, 7, 4), (jn.activations.tanh, jn.activations.softmax))
    params, xs, ys = _example(net)
    masks = [np.array([0.0, 2.0, 2.0, 0.0, 2.0]), np.random.default_rng(1).random((3, 7))]
    counts = np.full(3, 1 / 3) if weights is None else weights
    z1s = jnp.asarray(xs @ params[0].w + params[0].b[None])

    def cost(z1s, later):
        total = 0.0
        for index, (z1, y) in enumerate(zip(z1s, ys, strict=True)):
            own = [mask if mask.ndim == 1 else mask[index] for mask in masks]
            z = forward_from(net, (params[0], *later), z1, own)[1][-1]
            total += counts[index] * net.cost.fn(z, targets(y, 4, z.dtype))
        return total

    errors, _, later = gradient_from(net, params, z1s, ys, masks, weights)
    expected_errors, expected_later = jax.grad(cost, (0, 1))(z1s, params[1:])
    np.testing.assert_allclose(errors, expected_errors, rtol=1e-10, atol=1e-15)
    for layer, expected in zip(later, expected_later, strict=True):
        np.testing.assert_allclose(layer.w, expected.w, rtol=1e-10, atol=1e-15)
        np.testing.assert_allclose(layer.b, expected.b, rtol=1e-10, atol=1e-15)
    first = jn.gradient(net, params, xs, ys, masks, weights)[0]
    np.testing.assert_allclose(xs.T @ errors, first.w, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(errors.sum(axis=0), first.b, rtol=1e-10, atol=1e-15)


@pytest.mark.usefixtures("x64")
def test_a_network_padded_with_masked_units_is_the_narrow_one():
    narrow, wide = jn.Network((6, 5, 4)), jn.Network((6, 8, 4))
    params, xs, ys = _example(narrow)
    padded = (
        jn.Layer(jnp.pad(params[0].w, ((0, 0), (0, 3))), jnp.pad(params[0].b, (0, 3))),
        jn.Layer(jnp.pad(params[1].w, ((0, 3), (0, 0))), params[1].b),
    )
    mask = (np.arange(8) < 5).astype(float)
    got = jn.gradient(wide, padded, xs, ys, [mask])
    expected = jn.gradient(narrow, params, xs, ys)
    np.testing.assert_allclose(got[0].w[:, :5], expected[0].w, rtol=1e-12)
    np.testing.assert_allclose(got[1].w[:5], expected[1].w, rtol=1e-12)
    assert not got[0].w[:, 5:].any()
    assert not got[1].w[5:].any()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cost", [COSTS[0], COSTS[2], COSTS[4]])
def test_products_with_curvature_are_those_of_the_matrices(cost):
    """The Hessian by jax.hessian; Gauss–Newton as Σ JᵀHJ from whole Jacobians."""
    net = jn.Network((6, 5, 4), jn.activations.tanh, cost)
    params, xs, labels = _example(net)
    ys, weights = np.eye(4)[labels], np.array([0.5, 0.3, 0.2])
    masks = [np.random.default_rng(3).random((3, 5))]
    theta, unravel = ravel_pytree(params)
    v = np.random.default_rng(4).standard_normal(theta.size)

    def logits(theta, index):
        return forward(net, unravel(theta), jnp.asarray(xs[index]), [masks[0][index]])[1][-1]

    def total(theta):
        each = [net.cost.fn(logits(theta, i), jnp.asarray(ys[i])) for i in range(3)]
        return jnp.dot(weights, jnp.stack(each))

    given = (net, params, unravel(v), xs, labels, masks, weights)

    @jax.jit
    def matrix_of_gauss_newton(theta):
        matrix = 0
        for index, weight in enumerate(weights):
            jacobian = jax.jacobian(logits)(theta, index)
            curvature = jax.hessian(net.cost.fn)(logits(theta, index), jnp.asarray(ys[index]))
            matrix += weight * jacobian.T @ curvature @ jacobian
        return matrix

    got = ravel_pytree(jax.jit(hessian_product, static_argnums=0)(*given))[0]
    expected = jax.jit(jax.hessian(total))(theta) @ v
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    got = ravel_pytree(jax.jit(gauss_newton_product, static_argnums=0)(*given))[0]
    expected = matrix_of_gauss_newton(theta) @ v
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_everything_is_differentiable_forwards():
    net = jn.Network((6, 5, 4), jn.activations.relu, jn.costs.LogLikelihood())
    params, xs, ys = _example(net)
    along = jax.tree.map(jnp.ones_like, params)
    _, product = jax.jvp(lambda p: jn.gradient(net, p, xs, ys), (params,), (along,))
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(product))
    assert any(leaf.any() for leaf in jax.tree.leaves(product))


def test_no_outer_product_of_an_example_is_ever_stored():
    net = jn.Network((784, 30, 10))
    params = jn.init(net, jax.random.key(0))
    run = jax.jit(jn.gradient, static_argnums=0)
    lowered = run.lower(net, params, jnp.zeros((8, 784)), jnp.zeros(8, int)).compile().as_text()
    assert "f32[8,784]" in lowered
    for shape in itertools.permutations((8, 784, 30)):
        assert f"f32[{','.join(map(str, shape))}]" not in lowered


@pytest.mark.parametrize(
    ("xs", "ys", "message"),
    [
        (np.ones((3, 2)), np.array([0, 1, 9]), r"labels lie in \[0, 9\], but the network's 2"),
        (np.ones((3, 2)), np.array([0, -1, 1]), "number the classes from 0"),
        (np.ones((3, 5)), np.zeros(3, int), r"inputs have shape \(3, 5\)"),
        (np.ones((3, 2)), np.ones((3, 4)), r"targets have shape \(3, 4\)"),
        (np.ones((0, 2)), np.zeros(0, int), "at least one"),
    ],
)
def test_a_gradient_of_what_does_not_fit_the_network_is_refused(xs, ys, message):
    """As by `evaluate`; label 9 of two outputs had the gradient of no label at all."""
    net = jn.Network((2, 3, 2), cost=jn.costs.LogLikelihood())
    params = jn.init(net, jax.random.key(0))
    with pytest.raises(ValueError, match=message):
        jn.gradient(net, params, xs, ys)
    if len(xs):
        with pytest.raises(ValueError, match="the given"):
            jn.backprop(net, params, xs[1], ys[1] if ys.ndim > 1 else ys[ys.argmax()] + 1)


def test_the_check_of_a_gradient_is_not_in_the_compiled_program():
    net, (xs, ys, _) = jn.Network((2, 3, 2)), jn.datasets.xor(n=8).train
    params = jn.init(net, jax.random.key(0))
    compiled = jax.jit(lambda xs, ys: jn.gradient(net, params, xs, ys))
    outside, inside = jn.gradient(net, params, xs, ys), compiled(xs, ys)
    np.testing.assert_allclose(outside[0].w, inside[0].w, rtol=1e-5, atol=1e-7)
    compiled(xs, jnp.asarray(ys) + 9)  # only shapes are known
