"""What all searches have in common, tested over all of them."""

import dataclasses
import signal

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.searches import _hypergradient, _population

NET, DATA = jn.Network((2, 4, 2)), jn.datasets.xor()
RECIPE = jn.Recipe(jn.momentum(0.5, 0.5), l2=0.1)
RANGES = {"learning_rate": (0.1, 10.0), "decay": jn.OneMinus(0.05, 1.0)}
SHORT = {
    "asha": {"n": 6, "epochs": 4, "factor": 2, "chunk": 2},
    "hyperband": {"epochs": 4, "factor": 2},
    "hypergradient": {"starts": 2, "steps": 3, "epochs": 2},
    "population": {"members": 4, "epochs": 3},
}
"""The arguments of a short search, by its name."""


def _search(name, **options):
    arguments = {"log": None, **SHORT[name], **options}
    return getattr(jn.searches, name)(NET, DATA, RECIPE, RANGES, **arguments)


def _assert_equal(first, second):
    """Results are equal to the bit, but for times and paths."""
    for left, right in zip(*map(_numbers, (first, second)), strict=True):
        np.testing.assert_array_equal(left, right)


def _numbers(search):
    best, recipe = search.best, search.best.setting.recipe
    return jax.tree.leaves((best.params, best.score, recipe, search.progress))


def test_every_search_is_tested():
    functions = {name for name in jn.searches.__all__ if name == name.lower()}
    assert functions == set(SHORT)


@pytest.mark.parametrize("name", sorted(SHORT))
def test_the_best_network_has_its_score_and_the_last_progress(name):
    search = _search(name)
    scores = jn.evaluate(NET, search.best.params, DATA.valid)
    expected = -scores.cost if name == "hypergradient" else scores.accuracy
    assert search.best.score == pytest.approx(float(expected), abs=1e-6)
    assert search.progress.best_score[-1] == pytest.approx(search.best.score)
    assert search.progress.networks_epochs[-1] == search.networks_epochs
    assert (np.diff(search.progress.best_score) >= 0).all()
    assert (np.diff(search.progress.networks_epochs) > 0).all()
    numbers = search.best.setting.recipe.optimizer.hyper
    assert 0.1 <= float(numbers["learning_rate"]) <= 10
    assert 0 <= float(numbers["decay"]) <= 0.95 + 1e-6


@pytest.mark.parametrize("name", sorted(SHORT))
def test_the_same_call_goes_on_in_its_folder_to_the_same_bits(name, tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    n_steps = iter(range(100))

    def killed_at_the_third(step):
        def with_end(*arguments):
            if next(n_steps) == 2:
                raise KilledError
            return step(*arguments)

        return with_end

    owner, method = {
        "population": (_population._Segments, "_train"),
        "hypergradient": (_hypergradient._Descent, "_take_step"),
    }.get(name, (jn.sweeps._sweep._RungLoop, "_train_rung"))
    with monkeypatch.context() as patched:
        patched.setattr(owner, method, killed_at_the_third(getattr(owner, method)))
        with pytest.raises(KilledError):
            _search(name, folder=tmp_path)
    with monkeypatch.context() as patched:
        n_steps = iter(range(100, 200))
        patched.setattr(owner, method, killed_at_the_third(getattr(owner, method)))
        resumed = _search(name, folder=tmp_path)
    _assert_equal(resumed, _search(name))
    _assert_equal(resumed, _search(name, folder=tmp_path))


@pytest.mark.parametrize("name", sorted(SHORT))
@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({}, "ranges must be a dictionary"),
        ({"seed": (1, 2)}, "ranges has seed, which is no hyperparameter"),
        ({"learning": (0.1, 1)}, "learning is not a number of this recipe"),
    ],
)
def test_ranges_that_are_none_are_refused(name, ranges, message):
    with pytest.raises(ValueError, match=message):
        getattr(jn.searches, name)(NET, DATA, RECIPE, ranges, **SHORT[name])


@pytest.mark.parametrize("name", ["hypergradient", "population"])
def test_another_search_is_refused_in_the_folder_of_one(name, tmp_path):
    _search(name, folder=tmp_path)
    with pytest.raises(ValueError, match="seed"):
        _search(name, folder=tmp_path, seed=1)
    fewer = {"epochs": 1} if name == "population" else {"steps": 1}
    with pytest.raises(ValueError, match="ask for as many or more"):
        _search(name, folder=tmp_path, **fewer)


@pytest.mark.parametrize("name", ["hypergradient", "population"])
def test_a_stopping_rule_is_refused(name):
    recipe = dataclasses.replace(RECIPE, stopping=jn.stopping.no_improvement_in(2))
    with pytest.raises(ValueError, match="recipe has a stopping rule"):
        getattr(jn.searches, name)(NET, DATA, recipe, RANGES, **SHORT[name])


@pytest.fixture
def _default_ctrl_c():
    """Ctrl-C as in a process of its own; a worker of pytest ignores it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("_default_ctrl_c")
@pytest.mark.parametrize("name", sorted({*SHORT} - {"asha"}))
def test_ctrl_c_ends_a_search_with_what_there_is(name, tmp_path):
    n_lines = []

    def interrupt_at_the_second(line):
        n_lines.append(line)
        if len(n_lines) == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(RuntimeWarning, match="interrupted.*make the same call again to go on"):
        search = _search(name, folder=tmp_path, log=interrupt_at_the_second)
    whole = _search(name)
    assert 0 < search.networks_epochs < whole.networks_epochs
    assert len(jax.tree.leaves(search.best.params)) == 4
    _assert_equal(_search(name, folder=tmp_path), whole)
