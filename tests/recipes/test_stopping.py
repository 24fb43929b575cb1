import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxnet as jn
from jaxnet.core.types import History
from jaxnet.recipes import stopping

XOR = jn.datasets.xor(n=100)
NET = jn.Network((2, 4, 2))
CURVES = ("evaluation_accuracy", "evaluation_data_cost", "training_accuracy", "training_data_cost")


def _by_hand(values, patience, factor, floor, target, higher):
    """The rules in plain Python: best epoch, scale, epoch of the stop."""
    best, best_epoch, waited, scale = -math.inf, 0, 0, 1.0
    for epoch, value in enumerate(values, start=1):
        value = value if higher else -value
        if value > best:
            best, best_epoch, waited = value, epoch, 0
        else:
            waited += 1
        if patience and waited >= patience:
            if factor is None:
                return best_epoch, scale, epoch
            scale, waited = scale * factor, 0
            if scale <= floor * 1.00001:
                return best_epoch, scale, epoch
        if target is not None and value >= (target if higher else -target):
            return best_epoch, scale, epoch
    return best_epoch, scale, None


_update = jax.jit(stopping.update)


@given(
    values=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=40),
    patience=st.integers(1, 5),
    lower=st.booleans(),
    target=st.one_of(st.none(), st.sampled_from([0.25, 0.75])),
    curve=st.sampled_from(CURVES),
)
def test_the_rules_are_those_of_a_plain_loop(values, patience, lower, target, curve):
    split, metric = curve.split("_")[0], curve.split("_")[-1]
    factor, floor = (0.5, 1 / 8) if lower else (None, None)
    rule = stopping.Stopping(patience, factor, floor, target, metric, split)
    watch = stopping.watch((jn.Layer(jnp.zeros((1, 1)), jnp.zeros(1)),))
    ended = None
    for epoch, value in enumerate(values, start=1):
        row = History(*[jnp.float32(9.0)] * 6)._replace(**{curve: jnp.float32(value)})
        params = (jn.Layer(jnp.full((1, 1), float(epoch)), jnp.zeros(1)),)
        watch = _update(rule, watch, params, row, jnp.int32(epoch))
        if watch.stopped:
            ended = epoch
            break
    expected = _by_hand(values, patience, factor, floor, target, metric == "accuracy")
    assert (int(watch.best_epoch), float(watch.scale), ended) == expected
    assert watch.best[0].w.item() == expected[0]


def test_a_cost_that_is_no_number_is_no_best():
    rule = stopping.no_improvement_in(2, metric="cost")
    watch = stopping.watch((jn.Layer(jnp.zeros((1, 1)), jnp.zeros(1)),))
    for epoch, cost in enumerate([1.0, 0.5, np.nan, np.nan], start=1):
        row = History(*[jnp.float32(cost)] * 6)
        params = (jn.Layer(jnp.full((1, 1), cost), jnp.zeros(1)),)
        watch = _update(rule, watch, params, row, jnp.int32(epoch))
    assert (int(watch.best_epoch), bool(watch.stopped)) == (2, True)
    assert watch.best[0].w.item() == 0.5


def test_no_improvement_ends_the_run_and_keeps_the_best_weights():
    recipe = jn.Recipe(jn.sgd(3.0), stopping=stopping.no_improvement_in(3))
    run = jn.train(NET, XOR, recipe, epochs=200, seed=1)
    n = len(run.history.evaluation_accuracy)
    assert n < 200
    assert run.best_epoch == n - 3
    assert run.ending == "stopped"
    assert f"stopped after epoch {n}: the evaluation accuracy has had no new best for 3" in (
        run.stopped
    )
    best = jn.evaluate(NET, run.best_params, XOR.valid).accuracy
    assert best == pytest.approx(np.max(run.history.evaluation_accuracy))


def test_fit_stops_where_train_does_and_returns_the_best_weights():
    recipe = jn.Recipe(jn.sgd(3.0), stopping=stopping.no_improvement_in(3))
    run = jn.train(NET, XOR, recipe, epochs=40, seed=1)
    params, history = jax.jit(lambda data: jn.fit(NET, data, recipe, epochs=40, seed=1))(XOR)
    n = len(run.history.training_cost)
    np.testing.assert_allclose(history.training_cost[:n], run.history.training_cost, rtol=1e-4)
    assert np.isnan(history.training_cost[n:]).all()
    np.testing.assert_allclose(params[0].w, run.best_params[0].w, rtol=1e-4, atol=1e-5)


def test_halving_lowers_the_rate_to_its_floor():
    heard = []
    recipe = jn.Recipe(jn.sgd(1.0), stopping=stopping.reduce_on_plateau(2))
    run = jn.train(NET, XOR, recipe, epochs=300, on_epoch=heard.append)
    rates = [report.learning_rate for report in heard]
    assert set(rates) == {2.0**-k for k in range(7)}
    assert rates == sorted(rates, reverse=True)
    assert "the learning rate has come down to 0.0078125 of the first one" in run.stopped
    # From the second rate on, training goes on as it would have with that rate.
    assert rates.count(0.5) >= 2


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (stopping.reach(0.9), "the evaluation accuracy has reached"),
        (stopping.reach(0.4, metric="cost", split="training"), "training data cost has reached"),
    ],
)
def test_a_target_ends_the_run(rule, message):
    run = jn.train(NET, XOR, jn.Recipe(jn.adam(0.1), stopping=rule), epochs=200)
    assert message in run.stopped
    curve = getattr(run.history, rule.curve)
    sign = 1 if rule.metric == "accuracy" else -1
    assert sign * curve[-1] >= sign * float(rule.target)
    assert np.all(sign * curve[:-1] < sign * float(rule.target))


def test_a_rule_compares_costs_without_the_penalty():
    """A weight grows from 0: the penalty rises by more than the cost falls, and does not count."""
    rule = stopping.no_improvement_in(2, metric="cost")
    net = jn.Network((1, 1), cost=jn.costs.Quadratic(jn.activations.linear), init=_zeros)
    data = jn.datasets.function(lambda x: 3 * x, n=60)
    data = data._replace(valid=jn.Split(data.valid.x[:4], data.valid.y[:4]))
    run = jn.train(net, data, jn.Recipe(jn.sgd(0.05), l2=2.0, stopping=rule), epochs=12)
    data_cost = run.history.evaluation_data_cost
    assert np.argmin(run.history.evaluation_cost) < 6
    assert run.best_epoch == 1 + int(np.argmin(data_cost)) > 9
    cost = jn.evaluate(net, run.best_params, data.valid).cost
    assert float(cost) == pytest.approx(data_cost.min())


def _zeros(key, n_in, n_out):
    return jn.Layer(jnp.zeros((n_in, n_out)), jnp.zeros(n_out))


def test_a_time_budget_ends_the_run_between_epochs():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = jn.train(NET, XOR, jn.Recipe(jn.sgd(0.5)), epochs=10**6, time_budget=0.5)
    assert run.ending == "out of time"
    assert "the time budget of 0.5 s ran out after epoch" in run.stopped
    assert 0 < len(run.history.training_cost) < 10**6
