import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxnet as jn
from jaxnet.recipes import optimizers

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


def adadelta(w, rho=0.9, eps=1e-6):
    s = d = 0 * w
    while True:
        g, eta = yield w
        s = rho * s + (1 - rho) * g**2
        delta = np.sqrt(d + eps) / np.sqrt(s + eps) * g
        d = rho * d + (1 - rho) * delta**2
        w = w - eta * delta


def graves(w, rho=0.9, eps=1e-2, mu=0.8):
    """RMSProp, centered, with momentum."""
    s = mean = v = 0 * w
    while True:
        g, eta = yield w
        s = rho * s + (1 - rho) * g**2
        mean = rho * mean + (1 - rho) * g
        v = mu * v - eta * g / np.sqrt(s - mean**2 + eps)
        w = w + v


def amsgrad(w, b1=0.9, b2=0.999, eps=1e-8):
    m, v, top, t = 0 * w, 0 * w, 0 * w, 0
    while True:
        g, eta = yield w
        t += 1
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        top = np.maximum(top, v / (1 - b2**t))
        w = w - eta * (m / (1 - b1**t)) / (np.sqrt(top) + eps)


def nadam(w, b1=0.9, b2=0.999, eps=1e-8):
    m, v, t = 0 * w, 0 * w, 0
    while True:
        g, eta = yield w
        t += 1
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        w = w - eta * ahead / (np.sqrt(v / (1 - b2**t)) + eps)


def adamax(w, b1=0.9, b2=0.999, eps=1e-8):
    m, u, t = 0 * w, 0 * w, 0
    while True:
        g, eta = yield w
        t += 1
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, np.abs(g) + eps)
        w = w - eta / (1 - b1**t) * m / u


def lion(w, b1=0.9, b2=0.99, decay=0.0):
    m = 0 * w
    while True:
        g, eta = yield w
        w = w - eta * (np.sign(b1 * m + (1 - b1) * g) + decay * w)
        m = b2 * m + (1 - b2) * g


def lamb(w, b1=0.9, b2=0.999, eps=1e-6, decay=0.0):
    m, v, t = 0 * w, 0 * w, 0
    while True:
        g, eta = yield w
        t += 1
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        r = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps) + decay * w
        w = w - eta * np.linalg.norm(w) / np.linalg.norm(r) * r


def adabelief(w, b1=0.9, b2=0.999, eps=1e-16, eps_root=1e-16):
    m, s, t = 0 * w, 0 * w, 0
    while True:
        g, eta = yield w
        t += 1
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps_root
        w = w - eta * (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + eps)


def radam(w, b1=0.9, b2=0.999, eps=1e-8, threshold=5.0):
    m, v, t = 0 * w, 0 * w, 0
    rho_inf = 2 / (1 - b2) - 1
    while True:
        g, eta = yield w
        t += 1
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        step = m / (1 - b1**t)
        if rho >= threshold:
            r2 = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
            step = np.sqrt(r2) * step / (np.sqrt(v / (1 - b2**t)) + eps)
        w = w - eta * step


def yogi(w, b1=0.9, b2=0.999, eps=1e-3):
    m, v, t = 1e-6 + 0 * w, 1e-6 + 0 * w, 0
    while True:
        g, eta = yield w
        t += 1
        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * np.sign(v - g**2) * g**2
        w = w - eta * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)


def sm3(w, momentum=0.9, eps=1e-8):
    tops = [np.zeros(n) for n in w.shape]
    m = 0 * w
    while True:
        g, eta = yield w
        cover = tops[0] if w.ndim == 1 else np.minimum.outer(*tops)
        s = cover + g**2
        m = momentum * m + (1 - momentum) * g / np.sqrt(s + eps)
        w = w - eta * m
        tops = [s] if w.ndim == 1 else [s.max(axis=1), s.max(axis=0)]


def rprop(w, eta0=0.3, minus=0.5, plus=1.2, low=1e-6, high=50.0):
    """The variant of 2003: where the sign turns, no step is taken, and g counts as 0 next."""
    size, last = eta0 + 0 * w, 0 * w
    while True:
        g, _ = yield w
        turn = np.sign(g * last)
        grown = np.clip(size * np.where(turn > 0, plus, minus), low, high)
        size = np.where(turn == 0, size, grown)
        g = np.where(turn < 0, 0, g)
        w, last = w - size * np.sign(g), g


def schedule_free_sgd(w, b1=0.9):
    """x: average, z: plain SGD, weighted by the largest rate so far, squared."""
    x, z, total, top = w, w, 0.0, 0.0
    while True:
        g, eta = yield w
        z = z - eta * g
        top = max(top, eta)
        total += top**2
        x = x + top**2 / total * (z - x)
        w = (1 - b1) * z + b1 * x


def schedule_free_adam(w, b1=0.9, b2=0.999, eps=1e-8):
    """The same around RMSProp with its correction for bias, algorithm 1 of Defazio et al."""
    averaged = schedule_free_sgd(w, b1)
    w, v, t = next(averaged), 0 * w, 0
    while True:
        g, eta = yield w
        t += 1
        v = b2 * v + (1 - b2) * g**2
        w = averaged.send((g / (np.sqrt(v / (1 - b2**t)) + eps), eta))


def muon(w, beta=0.95, eps=1e-8):
    """For matrices; the coefficients are those of Jordan's quintic."""
    m, t = 0 * w, 0
    while True:
        g, eta = yield w
        t += 1
        m = beta * m + (1 - beta) * g
        x = beta * m / (1 - beta ** (t + 1)) + (1 - beta) * g / (1 - beta**t)
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        x = x / (np.linalg.norm(x) + eps)
        for _ in range(5):
            square = x @ x.T
            x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
        x = x.T if tall else x
        w = w - eta * np.sqrt(max(1, w.shape[1] / w.shape[0])) * x


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
    (lambda: jn.adadelta(0.3), adadelta),
    (lambda: jn.adadelta(0.3, 0.5, 1e-2), lambda w: adadelta(w, 0.5, 1e-2)),
    (lambda: jn.rmsprop(0.3, eps=1e-2, momentum=0.8, centered=True), graves),
    (lambda: jn.amsgrad(0.3), amsgrad),
    (lambda: jn.nadam(0.3), nadam),
    (lambda: jn.adamax(0.3), adamax),
    (lambda: jn.adabelief(0.3), adabelief),
    (lambda: jn.radam(0.3), radam),
    (lambda: jn.radam(0.3, b2=0.9, threshold=4.5), lambda w: radam(w, b2=0.9, threshold=4.5)),
    (lambda: jn.yogi(0.3), yogi),
    (lambda: jn.sm3(0.3), sm3),
    (lambda: jn.rprop(0.3), rprop),
    (lambda: jn.schedule_free_sgd(0.3), schedule_free_sgd),
    (lambda: jn.schedule_free_adam(0.3), schedule_free_adam),
    (
        lambda: jn.schedule_free_adam(0.3, 0.5, 0.6, 1e-2),
        lambda w: schedule_free_adam(w, 0.5, 0.6, 1e-2),
    ),
]

# Rules that treat weights and biases apart: (optimizer, for weights, for biases).
SPLIT_CASES = [
    (lambda: jn.adamw(0.3, weight_decay=0.2), lambda w: adam(w, decay=0.2), adam),
    (lambda: jn.lion(0.3, weight_decay=0.2), lambda w: lion(w, decay=0.2), lion),
    (lambda: jn.lamb(0.3, weight_decay=0.2), lambda w: lamb(w, decay=0.2), lamb),
    (lambda: jn.muon(0.3), muon, nadam),
]
EVERY_CASE = [(make, rule, rule) for make, rule in CASES] + SPLIT_CASES


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("index", range(len(EVERY_CASE)))
def test_a_rule_is_its_formula_also_when_the_rate_changes(index):
    make, for_weights, for_biases = EVERY_CASE[index]
    optimizer = make()
    random = np.random.default_rng(0)
    w, b = random.standard_normal((3, 2)), random.standard_normal(2)
    params = (jn.Layer(jnp.asarray(w), jnp.asarray(b)),)
    key = jax.random.key(0)
    state = jax.jit(lambda params: optimizer.transformation(key).init(params))(params)
    references = for_weights(w), for_biases(b)
    for reference in references:
        next(reference)

    @jax.jit
    def updated(eta, grads, state, params):
        own = dataclasses.replace(optimizer, hyper=optimizer.hyper | {"learning_rate": eta})
        updates, state = own.transformation(key).update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for step in range(20):
        eta = np.float64(0.3 if step < 10 else 0.1)
        grads = (jn.Layer(*(random.standard_normal(array.shape) for array in params[0])),)
        params, state = updated(eta, grads, state, params)
        for ours, grad, reference in zip(params[0], grads[0], references, strict=True):
            # optax keeps a few constants and powers in float32; most rules agree to 1e-12.
            np.testing.assert_allclose(ours, reference.send((grad, eta)), rtol=1e-6, atol=1e-8)


def test_schedule_free_rules_are_evaluated_at_their_average():
    optimizer = jn.schedule_free_sgd(0.3)
    params = (jn.Layer(jnp.ones((2, 2)), jnp.ones(2)),)
    transformation = optimizer.transformation(jax.random.key(0))
    state = transformation.init(params)
    zs, z = [], 1.0
    for _ in range(4):
        updates, state = transformation.update(params, state, params)
        z -= 0.3 * float(params[0].w[0, 0])
        zs.append(z)
        params = optax.apply_updates(params, updates)
    average = optimizer.evaluation_params(state, params)[0].w[0, 0]
    assert average == pytest.approx(np.mean(zs), rel=1e-5)  # equal rates weigh equally
    assert average != pytest.approx(float(params[0].w[0, 0]), rel=1e-3)


def test_noisy_sgd_draws_at_the_address_of_the_step():
    optimizer = jn.noisy_sgd(1.0, eta=0.04, gamma=0.5)
    params = (jn.Layer(jnp.zeros((200, 100)), jnp.zeros(100)),)
    state = optimizer.transformation(jax.random.key(0)).init(params)
    stds = []
    for step in range(4):
        transformation = optimizer.transformation(jax.random.key(step))
        updates, new = transformation.update(params, state, params)
        again, _ = transformation.update(params, state, params)
        assert np.array_equal(updates[0].w, again[0].w)
        stds.append(float(jnp.std(updates[0].w)))
        state = new
    np.testing.assert_allclose(stds, [np.sqrt(0.04 / t**0.5) for t in (1, 2, 3, 4)], rtol=0.02)


RATES = {
    **dict.fromkeys(["sgd", "noisy_sgd", "schedule_free_sgd"], 1.0),
    **dict.fromkeys(["momentum", "nesterov", "muon"], 0.1),
    **dict.fromkeys(["adagrad", "sm3"], 0.3),
    **dict.fromkeys(["lion", "lamb"], 0.01),
    **dict.fromkeys(["schedule_free_adam"], 0.1),
    "adadelta": 30.0,
}


@pytest.mark.parametrize("name", sorted(set(optimizers.NAMED) - {"rprop", "lbfgs"}))
def test_every_rule_learns(name):
    """Each compiles within the loop, as train would have it, and gets somewhere."""
    data = jn.datasets.xor(n=200)
    recipe = jn.Recipe(optimizers.NAMED[name](RATES.get(name, 0.03)))
    net = jn.Network((2, 8, 2))
    _, history = jax.jit(lambda recipe: jn.fit(net, data, recipe, epochs=30, seed=1))(recipe)
    assert history.evaluation_cost[-1] < 0.5 * history.evaluation_cost[0], history.evaluation_cost


def _line(learning_rate, slope, backwards):
    return optax.scale(-slope * learning_rate if backwards else learning_rate)


def test_anyones_rule_is_an_optimizer():
    optimizer = jn.custom(_line, learning_rate=0.1, slope=-2, backwards=True)
    assert optimizer.options == (("backwards", True),)
    assert repr(optimizer) == "line(learning_rate=0.1, slope=-2)"
    updates, _ = optimizer.transformation(jax.random.key(0)).update(jnp.ones(3), optax.EmptyState())
    np.testing.assert_allclose(updates, 0.2, rtol=1e-6)


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


@pytest.mark.parametrize("name", optimizers.NAMED)
def test_constructors_have_defaults_and_name_themselves(name):
    optimizer = optimizers.NAMED[name]()
    assert optimizer.name == name
    assert repr(optimizer).startswith(f"{name}(" + ("learning_rate=" if name != "lbfgs" else ""))
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(optimizer))
    assert jax.tree.structure(optimizer) == jax.tree.structure(optimizers.NAMED[name]())


def test_an_array_of_rates_is_one_optimizer_with_an_array():
    assert jn.adam(jnp.logspace(-4, -1, 16)).hyper["learning_rate"].shape == (16,)


@given(st.floats(1.0, 1e6) | st.floats(max_value=-1e-6) | st.just(float("nan")))
def test_decays_lie_below_1(value):
    for make in (jn.momentum, jn.nesterov, jn.rmsprop):
        with pytest.raises(ValueError, match=r"decay must be a number in \[0, 1\)"):
            make(0.1, decay=value)
    with pytest.raises(ValueError, match=r"b2 must be a number in \[0, 1\)"):
        jn.adam(b2=value)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("gauss_newton", [True, False])
def test_a_newton_step_without_damping_solves_least_squares(gauss_newton):
    """A linear network under the quadratic cost and L2: ridge regression, in one step."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((30, 4)), random.standard_normal((30, 2))
    net = jn.Network((4, 2), cost=jn.costs.Quadratic(jn.activations.linear))
    rule = jn.newton_cg(damping=1e-12, tolerance=0, iterations=30, gauss_newton=gauss_newton)
    data = jn.Dataset(jn.Split(x, y))
    run = jn.train(net, data, jn.Recipe(rule, l2=3.0), epochs=1, batch_size=30)
    ones = np.hstack([x, np.ones((30, 1))])
    ridge = 3.0 * np.diag([1, 1, 1, 1, 0])  # of weights, not of biases
    expected = np.linalg.solve(ones.T @ ones + ridge, ones.T @ y)
    np.testing.assert_allclose(run.params[0].w, expected[:4], rtol=1e-6)
    np.testing.assert_allclose(run.params[0].b, expected[4], rtol=1e-6)


def test_newton_learns_nothing_from_a_step_of_rate_0():
    data = jn.datasets.xor(n=60)
    recipe = jn.Recipe(jn.newton_cg(), schedule=jn.schedules.warmup(2, unit="steps"))
    net, key, n = jn.Network((2, 3, 2)), jax.random.key(0), len(data.train.x)
    state = jn.start(net, recipe, key)
    after, _ = jn.epoch(net, n, data.train, np.arange(n), key, recipe, state)
    assert after.opt_state.damping == state.opt_state.damping
    assert np.array_equal(after.params[0].w, state.params[0].w)


@pytest.mark.usefixtures("x64")
def test_newton_follows_its_damping_and_never_goes_up():
    net, data = jn.Network((2, 6, 2)), jn.datasets.xor(n=60)
    n = len(data.train.x)
    for rule in (jn.newton_cg(damping=1e-3), jn.newton_cg(damping=1e-3, gauss_newton=False)):
        recipe, key = jn.Recipe(rule), jax.random.key(1)
        state = jn.start(net, recipe, key)
        train_epoch = jax.jit(jn.epoch, static_argnames=("net", "batch_size"))
        costs, dampings = [], []
        for _ in range(40):
            costs.append(float(jn.evaluate(net, state.params, data.train).cost))
            dampings.append(float(state.opt_state.damping))
            state, _ = train_epoch(net, n, data.train, np.arange(n), key, recipe, state)
        assert np.all(np.diff(costs) <= 1e-15)
        assert costs[-1] < 0.02
        factors = np.array(dampings[1:]) / dampings[:-1]
        inside = np.array(dampings[1:]) > 1e-10  # the lowest there is
        kinds = np.isclose(factors[:, None], [[1 / 3, 1, 4]]).any(axis=1)
        assert kinds[inside].all()
        # A step that is refused leaves the cost as it was, and raises the damping.
        refused = np.diff(costs) == 0
        assert np.allclose(factors[refused], 4)


DEAD = np.random.default_rng(3).random((12, 3)) * [1, 0, 1]  # the second input is always 0
MAY_BE_0 = ("learning_rate", "eps", "eps_root", "damping", "initial_accumulator_value")


@pytest.mark.slow
@pytest.mark.parametrize("name", optimizers.NAMED)
def test_a_run_is_sound_or_its_cost_is_not_finite(name):
    """From NaN, with a dead input, with a rate of 0 and with each ε of 0."""
    data = jn.Dataset(jn.Split(DEAD, (DEAD[:, 0] > 0.5).astype(np.int32)))
    net = jn.Network((3, 4, 2), jn.activations.relu)
    start = jn.init(net, jax.random.key(0))
    start = (start[0]._replace(b=start[0].b.at[0].set(-9.0)), start[1])  # a dead unit, too
    damaged = (start[0]._replace(w=start[0].w.at[0, 1].set(jnp.nan)), start[1])
    optimizer = optimizers.NAMED[name]()
    zeros = [key for key in optimizer.hyper if key in MAY_BE_0]
    runs = [(damaged, optimizer), (start, optimizer)]
    runs += [
        (start, dataclasses.replace(optimizer, hyper=optimizer.hyper | {key: 0.0})) for key in zeros
    ]
    params, rules = jax.tree.map(lambda *arrays: jnp.stack(arrays), *runs)
    options = {"epochs": 2, "batch_size": 6, "evaluate_on": ("training",)}
    fit = lambda run: jn.fit(net, data, jn.Recipe(run[1]), params=run[0], **options)
    trained, history = jax.lax.map(fit, (params, rules))
    arrays = [np.reshape(array, (len(runs), -1)) for array in jax.tree.leaves(trained)]
    finite = np.isfinite(np.concatenate(arrays, axis=1)).all(axis=1)
    reported = ~np.isfinite(history.training_cost[:, -1])
    assert reported[0]
    assert (finite | reported).all()
    assert finite[1]


def test_shares_that_a_rule_divides_by_are_not_0():
    for make in (jn.schedule_free_sgd, jn.schedule_free_adam):
        with pytest.raises(ValueError, match=r"b1 must be a number in \[1e-06, 1\), not 0"):
            make(b1=0)
    with pytest.raises(ValueError, match=r"threshold must be a number in \[4, inf\), not 3"):
        jn.radam(threshold=3)
