"""Optuna's trials, trained in batches: their values, pruning, and what a kill leaves."""

import subprocess
import sys
import time

import numpy as np
import pytest

import jaxnet as jn

optuna = pytest.importorskip("optuna", reason="Optuna is not installed")

from jaxnet.integrations import optuna as batches  # noqa: E402

DATA = jn.datasets.xor(n=40)
NET = jn.Network((2, 4, 2), jn.activations.tanh)
OPTIONS = {"batch": 4, "epochs": 6, "batch_size": 10}


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _study(pruner=None, direction="maximize", **options):
    pruner = optuna.pruners.NopPruner() if pruner is None else pruner
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(direction=direction, pruner=pruner, sampler=sampler, **options)


def _define():
    return batches.space(
        NET, jn.Recipe(jn.adam()), learning_rate=(1e-3, 0.3), l2=[0.0, 1.0], widths=[[2], [3, 3]]
    )


def _trained_alone(define, trial):
    """The networks of a trial, by a sweep of their own."""
    net, recipe = define(trial)
    return jn.sweep(net, DATA, recipe, seeds=2, epochs=6, batch_size=10, log=None)


@pytest.mark.slow
def test_values_are_those_of_a_sweep():
    study, define = _study(), _define()
    batches.optimize(study, define, DATA, 5, seeds=2, report_every=2, **OPTIONS)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 5
    assert {tuple(define(trial)[0].sizes) for trial in study.trials} == {(2, 2, 2), (2, 3, 3, 2)}
    for trial in study.trials[:2]:
        alone = _trained_alone(define, trial)
        assert trial.value == pytest.approx(alone.score.mean(), abs=1e-6)
        best = np.maximum.accumulate(alone.history.curves[alone.ranked_by][0], axis=-1)
        steps = {
            step: value for step, value in enumerate(best.mean(axis=0), start=1) if not step % 2
        }
        assert trial.intermediate_values == pytest.approx(steps, abs=1e-6)
    batches.optimize(study, define, DATA, 5, **OPTIONS)  # it has as many
    assert len(study.trials) == 5


@pytest.mark.slow
def test_a_study_that_minimizes_gets_costs():
    study, define = _study(direction="minimize"), _define()
    batches.optimize(study, define, DATA, 2, select_by="cost", seeds=2, **OPTIONS)
    net, recipe = define(study.best_trial)
    alone = jn.sweep(
        net, DATA, recipe, seeds=2, epochs=6, batch_size=10, select_by="cost", log=None
    )
    assert study.best_value == pytest.approx(-alone.score.mean(), abs=1e-6)


@pytest.mark.slow
def test_the_pruner_ends_trials_and_changes_no_other():
    define = batches.space(NET, jn.Recipe(jn.sgd()), learning_rate=(1e-4, 3.0))
    studies = []
    for pruner in (None, optuna.pruners.SuccessiveHalvingPruner(1, reduction_factor=2)):
        studies.append(_study(pruner))
        batches.optimize(studies[-1], define, DATA, 8, report_every=1, **OPTIONS | {"batch": 8})
    whole, pruned = (study.trials for study in studies)
    states = [trial.state.name for trial in pruned]
    assert 1 <= states.count("PRUNED") < 8
    for all_epochs, trial in zip(whole, pruned, strict=True):
        assert trial.params == all_epochs.params
        n_reported = len(trial.intermediate_values)
        expected = {step: all_epochs.intermediate_values[step] for step in range(1, n_reported + 1)}
        assert trial.intermediate_values == pytest.approx(expected, abs=1e-5)
        if trial.state.name == "COMPLETE":
            assert trial.value == pytest.approx(all_epochs.value, abs=1e-5)
        else:
            assert n_reported < 6


def test_a_trial_that_diverges_fails():
    study = _study()
    linear = jn.Network((2, 4, 1), jn.activations.linear, jn.costs.Quadratic(jn.activations.linear))
    regression = jn.datasets.arrays(DATA.train.x, DATA.train.x[:, 0], valid=0.25)
    define = batches.space(linear, jn.Recipe(jn.sgd()), learning_rate=[1e30])
    batches.optimize(study, define, regression, 1, batch=1, epochs=2)
    assert study.trials[0].state.name == "FAIL"


def test_a_batch_halves_or_stays():
    assert batches._filled_up([0, 3, 5], list(range(8))) == [0, 1, 3, 5]
    assert batches._filled_up([0, 3, 4, 5, 6], list(range(8))) == list(range(8))
    assert batches._filled_up([2], [1, 2, 3]) == [2]


def test_only_trials_of_ended_calls_are_taken_over():
    study = _study()
    with batches._process_lock() as lock, batches._process_lock() as other:
        for owner in (other, other | {"path": other["path"] + ".gone"}, other | {"host": "else"}):
            study.ask().set_user_attr(batches.LOCK, owner)
        study.ask()  # of a process that is not ours
        trials = batches._batch(study, 5, 4, lock)
    assert [trial.number for trial in trials] == [1, 4]


_KILLED = """
import sys, optuna, jaxnet as jn
from jaxnet.integrations import optuna as batches
pruner = optuna.pruners.NopPruner()
study = optuna.load_study(study_name="s", storage=sys.argv[1], pruner=pruner)
net = jn.Network((2, 4, 2), jn.activations.tanh)
define = batches.space(net, jn.Recipe(jn.adam()), learning_rate=(1e-3, 0.3))
print("ready", flush=True)
batches.optimize(study, define, jn.datasets.xor(n=40), 40, batch=4, epochs=6)
"""


@pytest.fixture
def database(tmp_path):
    """A storage in a file, whose connections are closed after the test."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/trials.db")
    yield storage
    storage.remove_session()
    storage.engine.dispose()


@pytest.mark.slow
def test_kills_lose_and_double_no_trial(database):
    storage = database.url
    study = _study(storage=database, study_name="s")
    random = np.random.default_rng(0)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", _KILLED, storage], stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        n_before = len(study.get_trials())
        while len(study.get_trials()) == n_before and process.poll() is None:
            time.sleep(0.02)
        time.sleep(random.uniform(0, 0.5))
        process.kill()
        process.wait()
        process.stdout.close()
    subprocess.run([sys.executable, "-c", _KILLED, storage], check=True, capture_output=True)
    trials = study.get_trials()
    assert [trial.number for trial in trials] == list(range(40))
    assert {trial.state.name for trial in trials} == {"COMPLETE"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: batches.space(NET, jn.Recipe(jn.sgd())), "space needs a range for a hyperparamet"),
        (
            lambda: batches.space(NET, jn.Recipe(jn.sgd()), l2=0.5),
            r"l2 must be a pair \(low, high\) or a list",
        ),
        (
            lambda: batches.space(NET, jn.Recipe(jn.sgd()), batch_size=[10]),
            "trials of a batch share batch_size; give it to optimize",
        ),
        (
            lambda: batches.optimize(_study(), lambda trial: NET, DATA, 1),
            "define must return a network and a recipe, such as",
        ),
        (
            lambda: batches.optimize(
                _study(), lambda trial: (NET, jn.Recipe(jn.sgd([0.1, 0.2]))), DATA, 1
            ),
            "with arrays of 2 numbers; a trial has one",
        ),
        (lambda: batches.optimize(_study(), _define(), DATA, 0), "n_trials must be"),
        (
            lambda: batches.optimize(
                optuna.create_study(directions=["maximize", "minimize"]), _define(), DATA, 1
            ),
            "the study has 2 objectives, but networks are ranked by one score",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
