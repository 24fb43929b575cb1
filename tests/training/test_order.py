"""In which order an epoch visits the examples."""

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.training.step import compiled_draw_params

NET = jn.Network((4, 5, 3))
RANDOM = np.random.default_rng(0)
DATA = jn.Dataset(jn.Split(RANDOM.random((23, 4)), RANDOM.integers(3, size=23)))
RECIPE = jn.Recipe(jn.sgd(0.5))


@pytest.mark.usefixtures("x64")
def test_sequential_epochs_visit_the_examples_as_they_lie_in_the_data(tmp_path):
    """`train`, `fit` and a sweep against a loop here."""
    params = compiled_draw_params(NET, jax.random.key(4))
    costs, gradient = [], jax.jit(jn.gradient, static_argnums=0)
    for _ in range(2):
        for rows in np.split(np.arange(23), [10, 20]):
            grads = gradient(NET, params, DATA.train.x[rows], DATA.train.y[rows])
            params = jax.tree.map(lambda p, g: p - 0.5 * g, params, grads)
        costs.append(jn.evaluate(NET, params, DATA.train).cost)
    options = {"batch_size": 10, "order": "sequential"}
    run = jn.train(NET, DATA, RECIPE, epochs=2, seed=4, **options)
    np.testing.assert_allclose(run.params[0].w, params[0].w, rtol=1e-12)
    fitted, _ = jn.fit(NET, DATA, RECIPE, epochs=2, seed=4, **options)
    np.testing.assert_allclose(fitted[0].w, params[0].w, rtol=1e-12)
    rates = jn.Recipe(jn.sgd([0.5, 0.1]))
    study = jn.sweep(NET, DATA, rates, seeds=[4], epochs=2, folder=tmp_path, log=None, **options)
    np.testing.assert_allclose(study.history.training_cost[0, 0], costs, rtol=1e-9)
    for alone in (False, True):
        again = study.replay(0, 0, alone=alone)
        np.testing.assert_allclose(again.history.training_cost, costs, rtol=1e-9)
    with pytest.raises(ValueError, match="order was 'sequential' and is at its default"):
        jn.sweep(NET, DATA, rates, seeds=[4], epochs=2, folder=tmp_path, batch_size=10, log=None)


def test_a_run_is_not_resumed_in_another_order(tmp_path):
    jn.train(NET, DATA, RECIPE, epochs=1, order="sequential", checkpoint=tmp_path)
    with pytest.raises(ValueError, match="order was 'sequential' and is at its default"):
        jn.train(NET, DATA, RECIPE, epochs=2, resume=tmp_path)
    resumed = jn.train(NET, DATA, RECIPE, epochs=2, order="sequential", resume=tmp_path)
    whole = jn.train(NET, DATA, RECIPE, epochs=2, order="sequential")
    assert np.array_equal(resumed.params[0].w, whole.params[0].w)
