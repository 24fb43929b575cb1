"""Lanes with different numbers of examples share a program, and end their epochs early."""

import jax
import numpy as np
import pytest

import jaxnet as jn

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(160, 5)), RANDOM.integers(0, 3, 160)
DATA = jn.Dataset(jn.Split(X[:103], Y[:103]), jn.Split(X[103:], Y[103:]))
NETS = [jn.Network((5, width, 3), cost=jn.costs.LogLikelihood()) for width in (3, 7)]
OPTIONS = {"epochs": 4, "batch_size": 8, "evaluate_on": ("validation", "training")}
CURVES = ("training_cost", "evaluation_cost", "training_accuracy")


@pytest.mark.parametrize(
    "weight", [pytest.param(None, marks=pytest.mark.exhaustive), RANDOM.uniform(0.5, 2, 103)]
)
def test_lanes_of_all_numbers_of_examples_are_the_networks_alone(weight):
    """2, 3 and 13 mini-batches an epoch, the last of which has 1, 4 or 7 examples; n of λ/n."""
    data = DATA._replace(train=DATA.train._replace(weight=weight))
    recipe = jn.Recipe(jn.adam(np.array([0.01, 0.1])), l2=1.0)
    options = OPTIONS | {"dtype": "float64"}
    study = jn.sweep(NETS, data, recipe, seeds=2, examples=[9, 20, 103], log=None, **options)
    assert len(study.plan.sizes) == 1
    assert study.plan.sizes[0].chunks == 3
    for index, setting in enumerate(study.settings):
        part = data._replace(train=data.train.take(slice(setting.examples)))
        for seed in range(2):
            run = jn.train(setting.network, part, setting.recipe, seed=seed, **options)
            own = jax.tree.leaves(study.params(index, seed))
            for array, expected in zip(own, jax.tree.leaves(run.params), strict=True):
                np.testing.assert_allclose(array, expected, rtol=0, atol=1e-9)
            for name in CURVES:
                curve = getattr(study.history, name)[index, seed]
                np.testing.assert_allclose(curve, getattr(run.history, name), atol=1e-9)


def test_a_lane_that_ends_its_epochs_early_is_replayed_to_the_same_bits():
    recipe = jn.Recipe(jn.momentum(np.array([0.1, 0.5])))
    study = jn.sweep(NETS[0], DATA, recipe, examples=[9, 20, 103], log=None, **OPTIONS)
    for index in (0, 3, 5):
        again = jax.tree.leaves(study.replay(index, 0).params)
        for array, expected in zip(again, jax.tree.leaves(study.params(index, 0)), strict=True):
            assert np.array_equal(array, expected)


def test_a_schedule_in_epochs_and_monitors_keep_programs_of_their_own():
    recipe = jn.Recipe(jn.sgd(0.1), schedule=jn.schedules.cosine(4))
    study = jn.sweep(NETS[0], DATA, recipe, examples=[20, 103], log=None, **OPTIONS)
    assert [size.examples for size in study.plan.sizes] == [20, 103]
