"""The scores in a sweep's reports: those of its history, also of epochs before the call."""

import numpy as np

import jaxnet as jn

LINEAR = jn.costs.Quadratic(jn.activations.linear)
NET, DATA = jn.Network((2, 3, 2), jn.activations.relu, LINEAR), jn.datasets.xor(n=20)


def test_the_last_report_holds_the_curves_of_the_history(tmp_path):
    """After a call that went on where an earlier one had ended, in which a network diverged."""
    recipe = jn.Recipe(jn.sgd([0.01, 0.05, 1e30]))
    options = {"seeds": 2, "folder": tmp_path, "log": None}
    jn.sweep(NET, DATA, recipe, epochs=2, **options)
    reports = []
    study = jn.sweep(NET, DATA, recipe, epochs=5, on_progress=reports.append, **options)
    curves = reports[-1].curves
    assert curves.settings == study.settings
    assert curves.name == study.ranked_by == "evaluation_accuracy"
    has_diverged = study.diverged_epoch > 0
    assert has_diverged[2].all()
    history = np.where(has_diverged[..., None], np.nan, study.history.evaluation_accuracy)
    np.testing.assert_array_equal(curves.values, history)
    np.testing.assert_array_equal(curves.best(), study.score)


def test_costs_are_higher_for_worse_networks_and_their_best_is_as_a_score():
    data = jn.datasets.quadratic(n=20, n_in=3)
    reports = []
    recipe = jn.Recipe(jn.sgd([0.01, 0.1]), l2=1.0)
    net = jn.Network((3, 2, 1), cost=LINEAR)
    study = jn.sweep(net, data, recipe, epochs=2, log=None, on_progress=reports.append)
    curves = reports[-1].curves
    assert (curves.name, curves.higher_is_better) == ("evaluation_data_cost", False)
    np.testing.assert_array_equal(curves.values, study.history.evaluation_data_cost)
    np.testing.assert_allclose(curves.best(), study.score, rtol=1e-6)
