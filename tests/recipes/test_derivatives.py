"""The derivative of a whole run is the quotient of differences, forward and backward."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import jaxnet as jn
from jaxnet.recipes import optimizers
from jaxnet.recipes.derivatives import with_finite_slopes
from tests.support.parameters import representatives

RANDOM = np.random.default_rng(0)
X = RANDOM.random((20, 4)) * [1, 0, 1, 1]  # the second input is always 0
Y = (X[:, 0] + X[:, 2] > 1).astype(np.int32)
DATA = jn.Dataset(jn.Split(X[:12], Y[:12]), jn.Split(X[12:], Y[12:]))
NET = jn.Network((4, 5, 2), jn.activations.relu)


def _start():
    """Weights of a network in which two units never fire, one of them without any weights."""
    first, last = jax.tree.map(
        lambda array: np.random.default_rng(array.size).normal(0, 0.7, array.shape),
        jn.init(NET, jax.random.key(0)),
    )
    first.w[:, 1] = 0
    first.b[:2] = -9.0
    return jn.Layer(first.w, first.b), last


def cost_of_fit(recipe):
    """The validation cost of a run of `fit`."""
    options = {"epochs": 2, "batch_size": 4, "params": _start(), "evaluate_on": ("evaluation",)}
    return jn.fit(NET, DATA, recipe, **options)[1].evaluation_cost[-1]


WEIGHTS = (jn.Layer(np.array([[0.5, -0.3], [0.2, 0.7]]), np.array([0.4, 0.1])),)
CURVATURES = (jn.Layer(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([1.5, 0.0])),)


def cost_of_steps(recipe):
    """½Σaw² after four steps of the optimizer; a, the curvature, is 0 for most parameters."""
    key, rule = jax.random.key(0), recipe.optimizer

    def step(carry, index):
        params, state = carry
        transformation = rule.transformation(jax.random.fold_in(key, index))
        grads = jax.tree.map(jnp.multiply, CURVATURES, params)
        updates, state = transformation.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), None

    params = jax.tree.map(jnp.asarray, WEIGHTS)
    start = params, rule.transformation(key).init(params)
    (params, state), _ = jax.lax.scan(step, start, jnp.arange(4))
    params = rule.evaluation_params(state, params)
    costs = jax.tree.map(lambda a, w: jnp.sum(a * w**2) / 2, CURVATURES, params)
    return sum(jax.tree.leaves(costs))


def assert_differentiable(cost_of, recipe, relative_step=1e-5):
    """All three derivatives, with respect to each number of the recipe, are the same."""
    numbers, unravel = ravel_pytree(jax.tree.map(jnp.asarray, recipe))
    cost = lambda numbers: cost_of(unravel(numbers))
    numbers = np.asarray(numbers)
    eye, steps = np.eye(len(numbers)), relative_step * np.where(numbers == 0, 1, np.abs(numbers))
    points = np.concatenate([numbers + eye * steps, numbers - eye * steps, [numbers] * len(eye)])
    along = np.concatenate([eye, eye, eye])
    values, slopes = jax.jit(jax.vmap(lambda at, v: jax.jvp(cost, (at,), (v,))))(points, along)
    above, below, _ = np.split(values, 3)
    differences = (above - below) / (2 * steps)
    forward, backward = np.split(slopes, 3)[2], jax.jit(jax.grad(cost))(numbers)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(recipe)]
    known = numbers != 0  # a number of 0 is at the end of its range
    assert np.abs(differences[known]).max() > 0, names
    scale = 1e-9 * np.nanmax(np.abs(values)) / steps  # what rounding makes of a difference of 0
    for slope in (forward, backward):
        assert np.isfinite(slope).all(), (names, slope)
        wrong = np.abs(slope - differences) > 1e-3 * np.abs(differences) + scale
        assert not wrong[known].any(), (names, slope, differences)


# A rate with which each rule moves in a few steps, and ε of a size at which it can be varied.
ARGUMENTS = {
    "adadelta": {"learning_rate": 30.0},
    "adagrad": {"learning_rate": 0.3},
    "adabelief": {"learning_rate": 0.03, "eps": 1e-8, "eps_root": 1e-8},
    "radam": {"learning_rate": 0.03, "b2": 0.9},
}


def _clipped(learning_rate, most):
    return optax.chain(optax.clip_by_global_norm(most), optax.adam(learning_rate))


NAMES = sorted(set(optimizers.NAMED) - {"lbfgs", "newton_cg"})


RULES = {
    **{name: {"learning_rate": 0.03} | ARGUMENTS.get(name, {}) for name in NAMES},
    "rmsprop, with momentum": {"learning_rate": 0.03, "momentum": 0.5, "centered": True},
    "adagrad, from 0": {"learning_rate": 0.03, "initial_accumulator_value": 0, "eps": 0},
}
REPRESENTATIVES = (
    "momentum", "adam", "schedule_free_adam", "muon", "rmsprop, with momentum", "adagrad, from 0",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", representatives(RULES, *REPRESENTATIVES))
def test_steps_have_a_derivative_by_every_number_of_their_optimizer(name):
    constructor = optimizers.NAMED[name.partition(",")[0]]
    assert_differentiable(cost_of_steps, jn.Recipe(constructor(**RULES[name])))


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_steps_have_a_derivative_by_the_numbers_of_anyones_rule():
    recipe = jn.Recipe(jn.custom(_clipped, learning_rate=0.1, most=0.05))
    assert_differentiable(cost_of_steps, recipe)


RECIPES = {
    "penalties, max-norm, noise, plateau": jn.Recipe(
        jn.adam(0.03), l1=0.1, l2=0.3, init_scale=0.9, max_norm=0.9, label_smoothing=0.1,
        dropout=0.2001, input_dropout=0.1001, schedule=jn.schedules.warmup_cosine(3, 1),
        stopping=jn.stopping.reduce_on_plateau(1, metric="accuracy"),
    ),
    "augmentation, staircase": jn.Recipe(
        jn.lamb(0.1), schedule=jn.schedules.staircase(1, 0.5),
        augmentation=jn.Augmentation(rotation=20, scaling=0.2, shape=(2, 2)),
    ),
    "warm-up from 0": jn.Recipe(
        jn.schedule_free_adam(0.1), schedule=jn.schedules.warmup(1, unit="epochs")
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "name", representatives(RECIPES, "penalties, max-norm, noise, plateau", "warm-up from 0")
)
def test_fit_has_a_derivative_by_every_number_of_its_recipe(name):
    assert_differentiable(cost_of_fit, RECIPES[name])


@pytest.mark.parametrize("name", ["lbfgs", "newton_cg"])
def test_a_rule_without_a_derivative_is_refused_by_name(name):
    cost = jax.jit(lambda l2: cost_of_fit(jn.Recipe(optimizers.NAMED[name](), l2=l2)))
    with pytest.raises(ValueError, match=f"a run with {name} has no derivative; differentiate"):
        jax.grad(cost)(0.1)
    with pytest.raises(ValueError, match=f"a run with {name} has no derivative"):
        jax.jvp(cost, (0.1,), (1.0,))


@pytest.mark.parametrize("fn", [jnp.sqrt, jax.lax.rsqrt, lambda v: 1 / v])
def test_values_stay_and_slopes_at_0_are_0(fn):
    v = jnp.array([4.0, 0.0, jnp.nan, 0.25, 1e-42, -1.0])
    smooth = with_finite_slopes(fn)
    np.testing.assert_array_equal(smooth(v), fn(v))
    slopes = jax.vmap(jax.grad(smooth))(v)
    expected = np.where(v == 0, 0, jax.vmap(jax.grad(fn))(v))
    np.testing.assert_allclose(slopes[:4], expected[:4], rtol=1e-6)
    for through in (jax.jit(fn), lambda v: jax.lax.cond(v > -9, fn, fn, v)):
        assert jax.grad(with_finite_slopes(through))(0.0) == 0
        assert jnp.isnan(jax.grad(with_finite_slopes(through))(jnp.nan))


def test_divisions_of_whole_numbers_stay():
    assert with_finite_slopes(lambda n: n // 2 + jax.lax.div(n, 3))(7) == 5
