"""Settings that differ in more than numbers: their order, their networks, and what is refused."""

import itertools

import numpy as np
import pytest

import jaxnet as jn

NET, DATA, RECIPE = jn.Network((2, 3, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd(0.5))
ADAM, RELU, TANH = jn.adam(0.01), jn.activations.relu, jn.activations.tanh


def _sweep(recipe, net=NET, **options):
    options = {"epochs": 1, "log": None} | options
    return jn.sweep(net, DATA, recipe, **options)


def test_all_combinations_in_the_order_of_the_names():
    values = {
        "widths": [(4,), (8, 4)],
        "activation": [TANH],
        "optimizer": [jn.sgd(), ADAM],
        "batch_size": [20],
        "examples": [50],
        "learning_rate": [0.125, 0.25],
    }
    settings = jn.grid(RECIPE, **values)
    study = _sweep(settings)
    expected = list(itertools.product(*values.values()))
    assert len(settings) == len(expected) == len(study.settings)
    for setting, (widths, activation, optimizer, batch_size, examples, rate) in zip(
        study.settings, expected, strict=True
    ):
        assert setting.network.sizes == (2, *widths, 2)
        assert setting.network.hidden in (activation, (activation,) * len(widths))
        assert setting.recipe.optimizer.name == optimizer.name
        assert (setting.batch_size, setting.examples) == (batch_size, examples)
        assert setting.number("learning_rate") == rate
        assert setting.columns()["activation"] == "tanh"
    columns = [tuple(setting.columns().items()) for setting in study.settings]
    assert len(set(columns)) == len(expected)  # they tell all that varies


def test_a_network_is_that_of_train():
    settings = jn.grid(RECIPE, widths=[[6, 5]], activation=[TANH], optimizer=[ADAM], batch_size=[7])
    study = _sweep(settings, epochs=3, dtype="float64", evaluate_on=("validation",))
    net = jn.Network((2, 6, 5, 2), TANH)
    run = jn.train(net, DATA, jn.Recipe(ADAM), epochs=3, batch_size=7, dtype="float64")
    curve = study.history.evaluation_cost[0, 0]
    np.testing.assert_allclose(curve, run.history.evaluation_cost, rtol=0, atol=1e-9)


def test_numbers_alone_make_a_recipe_as_before():
    swept = jn.grid(RECIPE, learning_rate=[0.1, 1.0], l2=[0.0, 5.0])
    assert swept == jn.Recipe(jn.sgd([0.1, 0.1, 1.0, 1.0]), l2=[0.0, 5.0, 0.0, 5.0])
    assert jn.zipped(RECIPE, learning_rate=[0.1, 1.0], l2=5) == jn.Recipe(
        jn.sgd([0.1, 1.0]), l2=[5, 5]
    )
    assert isinstance(jn.sample(RECIPE, 4, learning_rate=(0.1, 1.0)), jn.Recipe)


def test_zipped_values_belong_together():
    settings = jn.zipped(
        RECIPE, widths=[4, 5], optimizer=[jn.sgd(), ADAM], learning_rate=[0.5, 0.25]
    )
    first, second = _sweep(settings).settings
    assert (first.network.sizes, first.recipe.optimizer.name) == ((2, 4, 2), "sgd")
    assert (second.network.sizes, second.recipe.optimizer.name) == ((2, 5, 2), "adam")
    assert [each.number("learning_rate") for each in (first, second)] == [0.5, 0.25]


def test_choices_are_sampled_evenly():
    settings = jn.sample(
        RECIPE, 64, widths=[4, 8], optimizer=[jn.sgd(), ADAM], learning_rate=(0.1, 1)
    )
    assert len(settings) == 64
    pairs = [(v.widths, v.recipe.optimizer.name) for v in settings.variants
             for _ in range(len(v.recipe))]  # fmt: skip
    assert sorted(pairs.count(pair) for pair in set(pairs)) == [16, 16, 16, 16]


def test_searches_are_added_and_combined_with_networks_and_lists():
    sum_of_both = jn.grid(RECIPE, optimizer=[jn.momentum()], decay=[0.5, 0.9]) + jn.grid(
        RECIPE, batch_size=[20]
    )
    study = _sweep(sum_of_both, net=[NET, jn.Network((2, 4, 2))], batch_size=[5, 10])
    of_a_network = [("momentum", 5)] * 2 + [("sgd", 20)] + [("momentum", 10)] * 2
    assert [(s.recipe.optimizer.name, s.batch_size) for s in study.settings] == of_a_network * 2
    whole = _sweep(jn.grid(RECIPE, net=[jn.Network((2, 9, 2))]), net=[NET, jn.Network((2, 4, 2))])
    assert [setting.network.sizes for setting in whole.settings] == [(2, 9, 2)]


def test_settings_survive_in_a_folder(tmp_path):
    settings = jn.grid(RECIPE, widths=[4, 8], schedule=[None, jn.schedules.cosine(3)])
    first = _sweep(settings, folder=tmp_path)
    again = _sweep(settings, folder=tmp_path)
    np.testing.assert_array_equal(first.score, again.score)
    assert not again.n_left_out


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: jn.grid(RECIPE, optimizer=[jn.sgd(), jn.momentum()], decay=[0.5]),
         "decay is no number of sgd; give each optimizer a search space of its own"),
        (lambda: jn.grid(RECIPE, widths=[0]), "widths must be a whole number of at least 1"),
        (lambda: jn.grid(RECIPE, width=[3]), "width is not a number of this recipe, but widths is"),
        (lambda: jn.grid(RECIPE, optimizer=[]), "optimizer needs at least one value"),
        (lambda: jn.grid(RECIPE, optimizer=[None]), "optimizer must be an Optimizer"),
        (lambda: jn.grid(RECIPE, activation=["relu"]), "activation must be an Activation"),
        (lambda: jn.zipped(RECIPE, widths=[1, 2, 3], l2=[1, 2]), "zipped needs lists of one len"),
        (lambda: jn.grid(RECIPE, widths=[3]) + RECIPE, "other must be a Settings"),
        (lambda: _sweep(jn.grid(RECIPE, widths=[[3, 4]]),
                        net=jn.Network((2, 3, 3, 3, 2), (RELU, TANH, RELU))),
         "vary activation with them"),
        (lambda: _sweep(jn.grid(RECIPE, examples=[10**6])), "examples must be"),
        (lambda: _sweep(jn.grid(RECIPE, examples=[50]), resample=jn.resampling.k_fold(2)),
         "examples does not go together with resample"),
    ],
)  # fmt: skip
def test_what_fits_nothing_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
