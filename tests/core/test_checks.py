"""Targets that a cost is not made for are refused, by every function that takes data."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.core import activations, costs
from jaxnet.core.checks import check_target_bounds

COSTS = {
    **{name: make() for name, make in costs.NAMED.items()},
    **{f"quadratic {name}": costs.Quadratic(f) for name, f in activations.NAMED.items()},
    **{f"absolute {name}": costs.AbsoluteError(f) for name, f in activations.NAMED.items()},
    "quadratic, other slopes": costs.Quadratic(activations.LeakyRelu(-0.5)),
    "quadratic, other alpha": costs.Quadratic(activations.Elu(-2.0)),
}
GRID = np.concatenate([np.linspace(-40, 40, 8001), [-1e5, 1e5]])


@pytest.mark.parametrize("name", COSTS)
def test_targets_may_be_what_the_outputs_can_be(name):
    """By the values that the output activation takes for logits of up to 1e5."""
    cost = COSTS[name]
    outputs = np.asarray(jax.vmap(cost.output.fn)(np.stack([GRID, 0 * GRID, -GRID], axis=1)))
    check_target_bounds(cost, "training", outputs)
    for beyond in (outputs.min() - 0.1, outputs.max() + 0.1):
        ys = outputs[:4].copy()
        ys[2, 1] = beyond
        if abs(beyond) > 100:  # there is no limit
            check_target_bounds(cost, "training", ys)
            continue
        with pytest.raises(ValueError, match=r"row 2, column 1 is .* takes targets in .* scale"):
            check_target_bounds(cost, "training", ys)


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_targets_are_finite(name, value):
    ys = np.full((3, 2), 0.5)
    ys[1, 0] = value
    with pytest.raises(ValueError, match=r"the test target in row 1, column 0 is (nan|inf), but"):
        check_target_bounds(COSTS[name], "test", ys)


@pytest.mark.parametrize("cost", [costs.LogLikelihood(2.0), costs.Quadratic(activations.softmax)])
def test_targets_of_a_softmax_add_up_to_1(cost):
    check_target_bounds(cost, "training", np.array([[0.333, 0.333, 0.3339]]))
    with pytest.raises(ValueError, match=r"in row 1 add up to 1.5, but .* divide each row"):
        check_target_bounds(cost, "training", np.array([[1.0, 0.0], [0.75, 0.75]]))


@dataclass(frozen=True)
class Anything(costs.Cost):
    output: activations.Activation = activations.sigmoid

    def fn(self, z, y):
        return jnp.sum(y * z)

    def delta(self, z, y):
        return y


def test_a_cost_that_names_no_bounds_takes_any_target():
    check_target_bounds(Anything(), "training", np.array([[-200.0, 300.0]]))


X = np.random.default_rng(0).random((10, 2))
FAR = np.linspace(-200, 300, 10)[:, None]
NEAR = jn.Split(X, FAR / 1000 + 0.5)
NET, RECIPE = jn.Network((2, 3, 1)), jn.Recipe(jn.sgd(0.1))
PARAMS = jn.init(NET, jax.random.key(0))
DOORS = {
    "train": lambda split: jn.train(NET, jn.Dataset(split), RECIPE, epochs=1),
    "train, validation": lambda split: jn.train(NET, jn.Dataset(NEAR, split), RECIPE, epochs=1),
    "train, test": lambda split: jn.train(NET, jn.Dataset(NEAR, None, split), RECIPE, epochs=1),
    "fit": lambda split: jn.fit(NET, jn.Dataset(split), RECIPE, epochs=1),
    "sweep": lambda split: jn.sweep(NET, jn.Dataset(split), [RECIPE] * 2, epochs=1, log=None),
    "evaluate": lambda split: jn.evaluate(NET, PARAMS, split),
    "check_gradients": lambda split: jn.check_gradients(NET, PARAMS, split.x, split.y),
}


@pytest.mark.parametrize("name", DOORS)
def test_every_door_refuses_targets_out_of_bounds(name):
    match = r"target in row 0, column 0 is -200, but CrossEntropy\(\) takes targets in \[0, 1\]; .*"
    with pytest.raises(ValueError, match=match + r"Quadratic\(jaxnet\.activations\.linear\)"):
        DOORS[name](jn.Split(X, FAR))
