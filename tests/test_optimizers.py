import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxnet as jn
from jaxnet import optimizers

# Each rule in NumPy, from its paper (named in the docstrings): a generator that is sent gradients
# and learning rates, and yields parameters.


def sgd(w):
    while True:
        g, eta = yield w
        w = w - eta * g


def momentum(w, mu=0.9):
    v = 0 * w
    while True:
        g, eta = yield w
        v = mu * v - eta * g
        w = w + v


def nesterov(w, mu=0.9):
    v = 0 * w
    while True:
        g, eta = yield w
        v = mu * v - eta * g
        w = w + mu * v - eta * g


def adagrad(w, start=0.1, eps=1e-7):
    s = start + 0 * w
    while True:
        g, eta = yield w
        s = s + g**2
        w = w - eta * g / np.sqrt(s + eps)


def rmsprop(w, rho=0.9, eps=1e-8):
    s = 0 * w
    while True:
        g, eta = yield w
        s = rho * s + (1 - rho) * g**2
        w = w - eta * g / np.sqrt(s + eps)


def adam(w, b1=0.9, b2=0.999, eps=1e-8, decay=0.0):
    m, v, t = 0 * w, 0 * w, 0
    while True:
        g, eta = yield w
        t += 1
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        step = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        w = w - eta * (step + decay * w)


CASES = [
    (lambda: jn.sgd(0.3), sgd),
    (lambda: jn.momentum(0.3), momentum),
    (lambda: jn.momentum(0.3, decay=0.5), lambda w: momentum(w, 0.5)),
    (lambda: jn.nesterov(0.3), nesterov),
    (lambda: jn.adagrad(0.3), adagrad),
    (lambda: jn.adagrad(0.3, 1.0, 1e-3), lambda w: adagrad(w, 1.0, 1e-3)),
    (lambda: jn.rmsprop(0.3), rmsprop),
    (lambda: jn.rmsprop(0.3, 0.5, 1e-2), lambda w: rmsprop(w, 0.5, 1e-2)),
    (lambda: jn.adam(0.3), adam),
    (lambda: jn.adam(0.3, 0.5, 0.6, 1e-2), lambda w: adam(w, 0.5, 0.6, 1e-2)),
    (lambda: jn.adamw(0.3, weight_decay=0.2), lambda w: adam(w, decay=0.2)),
]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("index", range(len(CASES)))
def test_a_rule_is_its_formula_also_when_the_rate_changes(index):
    make, reference = CASES[index]
    optimizer = make()
    random = np.random.default_rng(0)
    w, b = random.standard_normal((3, 2)), random.standard_normal(2)
    params = (jn.Layer(jnp.asarray(w), jnp.asarray(b)),)
    key = jax.random.key(0)
    state = optimizer.transformation(key).init(params)
    expected_w = reference(w)
    expected_b = reference(b) if optimizer.name != "adamw" else adam(b)  # biases do not decay
    next(expected_w)
    next(expected_b)
    for step in range(20):
        hyper = optimizer.hyper | {"learning_rate": np.float64(0.3 if step < 10 else 0.1)}
        optimizer = jn.Optimizer(optimizer.rule, hyper)
        grads = (jn.Layer(*(random.standard_normal(array.shape) for array in params[0])),)
        updates, state = optimizer.transformation(key).update(grads, state, params)
        params = optax.apply_updates(params, updates)
        eta = hyper["learning_rate"]
        np.testing.assert_allclose(
            params[0].w, expected_w.send((np.asarray(grads[0].w), eta)), rtol=1e-9
        )
        np.testing.assert_allclose(
            params[0].b, expected_b.send((np.asarray(grads[0].b), eta)), rtol=1e-9
        )


def test_optaxs_own_momentum_departs_where_the_rate_changes():
    """Why `momentum` is not `optax.sgd(momentum=…)`: the book's v keeps the rates of its past."""

    def run(rule):
        w = jnp.ones(())
        state = rule(0.3).init(w)
        for step in range(3):
            updates, state = rule(0.3 if step < 1 else 0.1).update(jnp.ones(()), state, w)
            w = optax.apply_updates(w, updates)
        return w.item()

    book = run(lambda rate: jn.momentum(rate).transformation(jax.random.key(0)))
    # v: −0.3; −0.27−0.1; −0.333−0.1
    assert book == pytest.approx(1 - 0.3 - 0.37 - 0.433)
    assert run(lambda rate: optax.sgd(rate, momentum=0.9)) != pytest.approx(book)


def _noisy(learning_rate, key):
    return optax.stateless(
        lambda g, _: jax.tree.map(lambda a: -learning_rate * jax.random.normal(key, a.shape), g)
    )


def test_a_stochastic_rule_gets_the_key_of_the_step():
    optimizer = jn.Optimizer(_noisy, {"learning_rate": np.float32(1)}, stochastic=True)
    params = (jn.Layer(jnp.zeros((2, 2)), jnp.zeros(2)),)

    def step(seed):
        transformation = optimizer.transformation(jax.random.key(seed))
        return transformation.update(params, transformation.init(params), params)[0][0].w

    assert np.array_equal(step(1), step(1))
    assert not np.array_equal(step(1), step(2))


@pytest.mark.parametrize("name", optimizers.NAMED)
def test_constructors_have_defaults_and_name_themselves(name):
    optimizer = optimizers.NAMED[name]()
    assert optimizer.name == name
    assert repr(optimizer).startswith(f"{name}(learning_rate=")
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(optimizer))
    same, other = jax.tree.structure(optimizer), jax.tree.structure(optimizers.NAMED[name](0.123))
    assert same == other


def test_an_array_of_rates_is_one_optimizer_with_an_array():
    assert jn.adam(jnp.logspace(-4, -1, 16)).hyper["learning_rate"].shape == (16,)


@given(st.floats(1.0, 1e6) | st.floats(max_value=-1e-6) | st.just(float("nan")))
def test_decays_lie_below_1(value):
    for make in (jn.momentum, jn.nesterov, jn.rmsprop):
        with pytest.raises(ValueError, match=r"decay must be a number in \[0, 1\)"):
            make(0.1, decay=value)
    with pytest.raises(ValueError, match=r"b2 must be a number in \[0, 1\)"):
        jn.adam(b2=value)
