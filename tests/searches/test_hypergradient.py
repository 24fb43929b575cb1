"""Hypergradients, against differences of whole trainings."""

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.searches._hypergradient import Training, costs_and_slopes
from jaxnet.searches.ranges import Scale, scales_of

NET, DATA = jn.Network((2, 5, 2)), jn.datasets.xor(n=60)
RANGES = {
    "learning_rate": (0.01, 1.0),
    "decay": jn.OneMinus(0.05, 1.0),
    "l2": jn.Uniform(0.0, 5.0),
}
RECIPE = jn.Recipe(jn.momentum(0.5, 0.5), l2=0.1)


@jax.jit
@jax.vmap
def _costs_at(position):
    """The validation costs of networks that are trained with the numbers at these positions."""
    u, v, w = position
    recipe = jn.Recipe(jn.momentum(0.01 * 100**u, 1 - 0.05 * 20**v), l2=5 * w)
    params, _ = jn.fit(NET, DATA, recipe, epochs=2, batch_size=10, seed=1, evaluate_on=())
    return jn.evaluate(NET, params, DATA.valid).cost


@pytest.mark.usefixtures("x64")
def test_slopes_are_those_of_central_differences():
    positions = np.array([[0.3, 0.4, 0.6], [0.6, 0.8, 0.1]])
    training = Training(NET, 2, 10, tuple(scales_of(RANGES).items()))
    swept = jn.sample(RECIPE, 2, **RANGES)
    costs, slopes, _ = costs_and_slopes(training, swept, np.array(1, np.uint32), DATA, positions)
    shifts = 1e-5 * np.stack([np.eye(3), -np.eye(3)])
    shifted = _costs_at((positions[:, None, None] + shifts).reshape(-1, 3)).reshape(2, 2, 3)
    np.testing.assert_allclose(costs, _costs_at(positions), rtol=1e-9)
    np.testing.assert_allclose(slopes, (shifted[:, 0] - shifted[:, 1]) / 2e-5, rtol=1e-5)


def test_the_descent_lowers_the_cost_and_keeps_each_starts_best():
    search = jn.searches.hypergradient(
        NET, DATA, RECIPE, RANGES, starts=3, steps=6, epochs=3, log=None
    )
    assert (search.costs.min(axis=0) < search.costs[0]).all()
    assert search.networks_epochs == 3 * 6 * 3 * 4
    best_steps = search.costs.argmin(axis=0)
    for start, step in enumerate(best_steps):
        for name, column in (("learning_rate", search.recipe.optimizer.hyper["learning_rate"]),
                             ("l2", search.recipe.l2)):  # fmt: skip
            assert column[start] == search.numbers[name][step, start]
    assert search.best.score == -search.costs.min()


@pytest.mark.parametrize("kind", [jn.Uniform, jn.LogUniform, jn.OneMinus])
def test_positions_are_the_inverse_of_numbers(kind):
    scale, positions = Scale(kind, 0.02, 0.9), np.linspace(0, 1, 7)
    np.testing.assert_allclose(scale.position(scale.at(positions)), positions, atol=1e-12)
    ends = sorted(1 - end if kind is jn.OneMinus else end for end in (0.02, 0.9))
    np.testing.assert_allclose(sorted(scale.at(np.array([0.0, 1.0]))), ends)
