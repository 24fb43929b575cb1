"""Asynchronous halving: the study holds what the chunks say."""

import numpy as np

import jaxnet as jn

DATA, NET = jn.datasets.xor(), jn.Network((2, 4, 2))


def test_recipes_have_the_epochs_of_their_last_chunk():
    search = jn.searches.asha(
        NET, DATA, jn.Recipe(jn.sgd()), {"learning_rate": (0.1, 10.0)},
        n=8, epochs=4, factor=2, chunk=2, seeds=2, log=None,
    )  # fmt: skip
    epochs = np.zeros(8, int)
    for recipes, until in search.chunks:
        assert len(recipes) <= 2
        assert (epochs[list(recipes)] < until).all()
        epochs[list(recipes)] = until
    np.testing.assert_array_equal(search.study.epochs, np.stack([epochs, epochs], axis=1))
    np.testing.assert_array_equal(search.study.stopped[:, 0], epochs < 4)
    assert any(until == 2 for _, until in search.chunks[:3])  # before all have started


def test_a_network_that_went_on_is_the_one_of_a_plain_sweep():
    with np.errstate(all="ignore"):
        recipe, ranges = jn.Recipe(jn.adam()), {"learning_rate": (0.01, 1.0)}
        search = jn.searches.asha(
            NET, DATA, recipe, ranges, n=4, epochs=4, factor=2, chunk=1, log=None
        )
    plain = jn.sweep(NET, DATA, jn.sample(recipe, 4, **ranges), epochs=4, log=None)
    for place in np.flatnonzero(search.study.epochs[:, 0] == 4):
        np.testing.assert_allclose(
            search.study.history.evaluation_cost[place],
            plain.history.evaluation_cost[place],
            rtol=1e-4,
        )
