"""`train(state=…)`, `epochs=0`, and callbacks that end a run."""

import functools

import jax
import numpy as np
import pytest

import jaxnet as jn

XOR = jn.datasets.xor(n=60)
NET = jn.Network((2, 6, 2))
RECIPE = jn.Recipe(
    jn.adam(0.03), l2=0.1, dropout=0.2, init_scale=0.5, schedule=jn.schedules.exponential(0.9)
)
train = functools.partial(jn.train, NET, XOR)


def _assert_same_bits(tree, expected):
    jax.tree.map(np.testing.assert_array_equal, tree, expected)


@pytest.mark.parametrize("stopping", [None, jn.stopping.reduce_on_plateau(1)])
def test_a_run_that_goes_on_has_the_bits_of_one_longer_run(stopping):
    recipe = jn.Recipe(jn.adam(0.03), l2=0.1, dropout=0.2, init_scale=0.5, stopping=stopping)
    options = {"monitors": jn.Monitors(("gradient_norm",)), "seed": 3}
    whole = train(recipe, epochs=5, **options)
    first = train(recipe, epochs=2, **options)
    reports = []
    second = train(recipe, epochs=3, state=first.state, on_epoch=reports.append, **options)
    _assert_same_bits(second.params, whole.params)
    _assert_same_bits(second.state.train, whole.state.train)
    for name, curve in whole.history.curves.items():
        parts = [run.history.curves[name] for run in (first, second)]
        np.testing.assert_array_equal(np.concatenate(parts), curve)
    steps = np.concatenate([first.monitors["step"], second.monitors["step"]])
    np.testing.assert_array_equal(steps, whole.monitors["step"])
    assert [report.epoch for report in reports] == [3, 4, 5]
    assert (second.best_epoch, second.epochs) == (whole.best_epoch, 5)
    _assert_same_bits(second.initial_params, first.params)


def test_another_recipe_begins_a_phase_of_its_own():
    first = train(RECIPE, epochs=2)
    other = jn.Recipe(jn.sgd(0.1), dropout=0.2, init_scale=0.5, schedule=jn.schedules.cosine(2))
    second = train(other, epochs=2, state=first.state)
    assert (second.state.phase, second.state.epochs, second.state.train.step) == (1, 2, 12)
    _assert_same_bits(second.initial_params, first.params)
    # The same parameters in a run of their own: the order of examples and dropout are others.
    alone = train(jn.Recipe(jn.sgd(0.1), dropout=0.2), epochs=1, params=first.params)
    third = train(jn.Recipe(jn.sgd(0.1), dropout=0.2), epochs=1, state=first.state)
    assert not np.array_equal(alone.params[0].w, third.params[0].w)
    with pytest.raises(ValueError, match="seed is 1, but the state is of a run with seed 0"):
        train(RECIPE, epochs=1, seed=1, state=first.state)
    with pytest.raises(ValueError, match="leave params out"):
        train(RECIPE, epochs=1, params=first.params, state=first.state)


def test_a_schedule_has_to_last_for_all_calls_of_a_phase():
    recipe = jn.Recipe(jn.sgd(0.1), schedule=jn.schedules.cosine(3))
    first = train(recipe, epochs=2)
    train(recipe, epochs=1, state=first.state)
    with pytest.raises(ValueError, match="ends after 3 epochs, but the run has 4"):
        train(recipe, epochs=2, state=first.state)


def test_what_was_frozen_is_trained_in_the_next_phase():
    first = train(RECIPE, epochs=1, trainable=(False, True))
    _assert_same_bits(first.params[0], first.initial_params[0])
    second = train(RECIPE, epochs=1, state=first.state)
    assert second.state.phase == 1
    assert not np.array_equal(second.params[0].w, first.params[0].w)
    again = train(RECIPE, epochs=1, trainable=(False, True), state=first.state)
    assert (again.state.phase, again.state.epochs) == (0, 2)


def test_a_run_that_goes_on_is_resumed_with_the_same_state(tmp_path):
    first, other = train(RECIPE, epochs=1), train(RECIPE, epochs=2)
    whole = train(RECIPE, epochs=4)
    train(RECIPE, epochs=2, state=first.state, checkpoint=tmp_path)
    resumed = train(RECIPE, epochs=3, state=first.state, resume=tmp_path)
    _assert_same_bits(resumed.params, whole.params)
    for state in (None, other.state):
        with pytest.raises(ValueError, match="begins after"):
            train(RECIPE, epochs=3, state=state, resume=tmp_path)


def test_no_epochs_evaluate():
    reports = []
    run = train(RECIPE, epochs=0, on_epoch=reports.append)
    _assert_same_bits(run.params, run.initial_params)
    assert (len(run.history.training_cost), run.best_epoch, run.ending) == (1, 0, "done")
    assert not reports
    scores = jn.evaluate(NET, run.params, XOR.valid)
    np.testing.assert_allclose(run.history.evaluation_data_cost, [scores.cost], rtol=1e-6)
    _assert_same_bits(
        train(RECIPE, epochs=2, state=run.state).params, train(RECIPE, epochs=2).params
    )
    with pytest.raises(ValueError, match="nothing to write a checkpoint of"):
        train(RECIPE, epochs=0, checkpoint="unused")


def test_a_callback_of_a_list_ends_the_run():
    epochs = []

    def early(report):
        return "stop" if report.epoch == 2 else None

    run = train(RECIPE, epochs=5, on_epoch=[early, lambda report: epochs.append(report.epoch)])
    assert epochs == [1, 2]
    assert run.ending == "stopped"
    assert run.stopped == 'stopped after epoch 2 of 5: early returned "stop".'
