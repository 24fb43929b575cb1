"""Recipes made of lists and ranges: a custom optimizer stays what it is."""

import dataclasses

import numpy as np
import optax
import pytest

import jaxnet as jn
from jaxnet.comparison import tuning
from jaxnet.recipes import optimizers

NET, XOR = jn.Network((2, 4, 2)), jn.datasets.xor(n=20)
HEAVY_BALL = jn.custom(optax.sgd, learning_rate=0.5, momentum=0.9, nesterov=True)
CUSTOM = {
    "sgd with momentum": HEAVY_BALL,
    "sgd": jn.custom(optax.sgd, learning_rate=0.5),
    "adam": jn.custom(optax.adam, learning_rate=0.5, b1=0.8),
    "rmsprop": jn.custom(optax.rmsprop, learning_rate=0.5, centered=True),
    "a linear one": dataclasses.replace(HEAVY_BALL, shaped=False, linear=True),
}


def _varied(optimizer, how):
    recipe = jn.Recipe(optimizer)
    if how == "grid":
        return jn.grid(recipe, learning_rate=[0.1, 0.2]).optimizer
    return jn.sample(recipe, 2, learning_rate=(0.1, 0.2)).optimizer


@pytest.mark.parametrize("how", ["grid", "sample"])
@pytest.mark.parametrize("name", CUSTOM)
def test_a_varied_custom_optimizer_is_the_same_one_with_other_numbers(name, how):
    """Also where jaxnet has an optimizer of its name, which it was taken for."""
    varied = _varied(CUSTOM[name], how)
    rates = varied.hyper["learning_rate"]
    assert rates.shape == (2,)
    hyper = CUSTOM[name].hyper | {"learning_rate": rates}
    assert varied == dataclasses.replace(CUSTOM[name], hyper=hyper)


@pytest.mark.parametrize("how", ["grid", "sample"])
@pytest.mark.parametrize("name", sorted(set(optimizers.NAMED) - {"lbfgs"}))
def test_a_varied_optimizer_of_the_registry_is_what_its_constructor_makes(name, how):
    optimizer = optimizers.NAMED[name]()
    varied = _varied(optimizer, how)
    assert varied == optimizers.NAMED[name](varied.hyper["learning_rate"])
    with pytest.raises(ValueError, match=r"learning_rate must be a number in \[0, inf\), not -1"):
        jn.grid(jn.Recipe(optimizer), learning_rate=[0.1, -1.0])


def test_a_sweep_trains_a_custom_optimizer_as_optax_does_alone():
    swept = jn.grid(jn.Recipe(HEAVY_BALL), learning_rate=[0.1, 0.2], momentum=[0.5])
    options = {"epochs": 2, "evaluate_on": ("training",)}
    study = jn.sweep(NET, XOR, swept, log=None, **options)
    for lane, rate in enumerate((0.1, 0.2)):
        optimizer = jn.custom(optax.sgd, learning_rate=rate, momentum=0.5, nesterov=True)
        run = jn.train(NET, XOR, jn.Recipe(optimizer), **options)
        ours = study.history.training_cost[lane, 0]
        np.testing.assert_allclose(ours, run.history.training_cost, rtol=1e-5)


def test_a_comparison_tunes_a_custom_optimizer():
    recipe = tuning.contenders({"ours": jn.sgd, "heavy ball": HEAVY_BALL})["heavy ball"]
    search = tuning.begin("heavy ball", recipe, "full", 5, {})
    for point in search.points(seed=0):
        assert dataclasses.replace(point.optimizer, hyper=HEAVY_BALL.hyper) == HEAVY_BALL
    assert dict(search.others).keys() == {"momentum"}


def test_newton_is_swept_without_a_penalty_as_it_trains_alone():
    """The vmap axes of conjugate gradients' operands differ then."""
    rule = jn.newton_cg([0.5, 1.0], iterations=3)
    study = jn.sweep(NET, XOR, jn.Recipe(rule), epochs=2, seeds=2, log=None)
    for lane, rate in enumerate((0.5, 1.0)):
        alone = jn.Recipe(jn.newton_cg(rate, iterations=3))
        run = jn.train(NET, XOR, alone, epochs=2, seed=1)
        ours = study.history.evaluation_cost[lane, 1]
        np.testing.assert_allclose(ours, run.history.evaluation_cost, rtol=1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": [0.1, True]}, "learning_rate must be a number in .*, not"),
        ({"learning_rate": []}, "learning_rate must be a number or a list of numbers, not \\[\\]"),
        ({"rate": [0.1]}, "rate is not a number of this recipe; its numbers are"),
        ({}, "grid takes one or more names"),
    ],
)
def test_a_grid_of_anything_else_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        jn.grid(jn.Recipe(jn.sgd()), **values)


@pytest.mark.parametrize("vary", [jn.grid, lambda recipe, **ends: jn.sample(recipe, 2, **ends)])
def test_a_recipe_that_has_arrays_already_is_not_varied_further(vary):
    """They would be zipped with the new ones, which nobody who calls `grid` twice wants."""
    swept = jn.Recipe(jn.momentum([0.1, 0.2]), dropout=[0.1, 0.5])
    message = "hold single numbers, but learning_rate, dropout has several; give all that varies"
    with pytest.raises(ValueError, match=message):
        vary(swept, l2=[1.0, 2.0])


def test_a_varied_schedule_keeps_the_range_of_its_constructor():
    """A one-cycle schedule that starts at 0 is NaN."""
    recipe = jn.Recipe(jn.sgd(0.5), schedule=jn.schedules.one_cycle(3, warmup=1))
    with pytest.raises(ValueError, match=r"start must be a number in \[1e-06, inf\)"):
        jn.grid(recipe, start=[0.0, 0.04])
    assert jn.grid(recipe, end=[0.0, 0.1]).schedule.hyper["end"].shape == (2,)
