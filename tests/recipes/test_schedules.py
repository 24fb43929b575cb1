import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet as jn
from jaxnet.recipes import schedules

T = np.arange(121)
COSINE = lambda part: (1 + np.cos(np.pi * np.minimum(part, 1))) / 2


def _factors(schedule, steps_per_epoch=4):
    factor_at = jax.jit(lambda schedule, t: schedule.factor(t, steps_per_epoch))
    return jax.vmap(lambda t: factor_at(schedule, t))(jnp.asarray(T))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda: schedules.constant(0.5), np.full(121, 0.5)),
        (lambda: schedules.exponential(0.9), 0.9 ** (T / 4)),
        (lambda: schedules.exponential(0.9, every=8, unit="steps"), 0.9 ** (T / 8)),
        (lambda: schedules.staircase(0.5, every=10), 0.5 ** (T // 40)),
        (lambda: schedules.cosine(30), COSINE(T / 120)),
        (lambda: schedules.cosine(100, end=0.1, unit="steps"), 0.1 + 0.9 * COSINE(T / 100)),
        (lambda: schedules.warmup(2), np.minimum(T / 8, 1)),
        (lambda: schedules.warmup_cosine(30, 5), np.where(T < 20, T / 20, COSINE((T - 20) / 100))),
    ],
)
def test_every_schedule_is_its_formula_in_numpy(schedule, expected):
    np.testing.assert_allclose(_factors(schedule()), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.usefixtures("x64")
def test_one_cycle_is_optaxs():
    ours = _factors(schedules.one_cycle(30, warmup=9, start=0.1, end=0.001))
    optaxs = optax.cosine_onecycle_schedule(120, 1.0, 0.3, div_factor=10, final_div_factor=100)
    np.testing.assert_allclose(ours, [optaxs(t) for t in T], rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_any_optax_schedule_is_one_and_its_numbers_are_leaves():
    rule = optax.polynomial_schedule
    ours = schedules.custom(rule, {"transition_steps": 10}, init_value=1, end_value=0.1, power=2)
    optaxs = rule(1.0, 0.1, 2, transition_steps=40)
    np.testing.assert_allclose(_factors(ours), [optaxs(t) for t in T], rtol=1e-12)
    assert len(jax.tree.leaves(ours)) == 3


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("unit", ["epochs", "steps"])
def test_the_learning_rate_of_every_step_is_rate_times_schedule(unit):
    """Momentum by hand, five mini-batches to the epoch, with the book's v' = μv − η_t g."""
    data = jn.datasets.xor(n=50)
    net, n_steps = jn.Network((2, 2)), 5
    schedule = schedules.exponential(0.7, every=2, unit=unit)
    recipe = jn.Recipe(jn.momentum(0.5, 0.9), schedule=schedule)
    key, n = jax.random.key(0), len(data.train.x)
    state = jn.start(net, recipe, key)
    (w, b), v = (np.asarray(leaf) for leaf in state.params[0]), 0.0
    order = np.arange(n)
    state, measurements = jn.epoch(
        net, n // n_steps, data.train, order, key, recipe, state, jn.Monitors(every=1)
    )
    rates = 0.5 * 0.7 ** (np.arange(n_steps) / (2 * n_steps if unit == "epochs" else 2))
    for t, rate in enumerate(rates):
        rows = order[t * (n // n_steps) : (t + 1) * (n // n_steps)]
        x, y = np.asarray(data.train.x)[rows], np.eye(2)[np.asarray(data.train.y)[rows]]
        delta = 1 / (1 + np.exp(-(x @ w + b))) - y
        g = np.vstack([x.T @ delta, delta.sum(0)]) / len(x)
        v = 0.9 * v - rate * g
        w, b = w + v[:-1], b + v[-1]
    np.testing.assert_allclose(state.params[0].w, w, rtol=1e-9)
    np.testing.assert_allclose(jn.Monitors().split(net, measurements)["learning_rate"][:, 0], rates)


def test_a_rule_without_a_rate_that_may_change_takes_no_schedule():
    for optimizer in (jn.lbfgs(), jn.rprop()):
        with pytest.raises(ValueError, match="no learning rate that may change during a run"):
            jn.Recipe(optimizer, schedule=schedules.cosine(3))
        with pytest.raises(ValueError, match="no learning rate that may change during a run"):
            jn.Recipe(optimizer, stopping=jn.stopping.reduce_on_plateau(3))


def test_a_schedule_that_ends_before_the_run_is_refused():
    data, net = jn.datasets.xor(n=50), jn.Network((2, 2))
    recipe = jn.Recipe(jn.sgd(0.5), schedule=schedules.cosine(3))
    assert jn.train(net, data, recipe, epochs=3).ending == "done"
    with pytest.raises(ValueError, match="ends after 3 epochs, but the run has 4; a new run may"):
        jn.train(net, data, recipe, epochs=4)
