"""Which recipes go on from rung to rung, against a slow simulator of the published rule."""

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.sweeps.halving import Asynchronous, Ranking, Rung, Synchronous, checked_halving

DATA, NET = jn.datasets.xor(), jn.Network((2, 4, 2))


def _ranking(scores):
    """Ranks recipes by a table of scores, (recipe, epoch)."""
    return Ranking(lambda epochs: scores[:, epochs - 1 : epochs])


class _Simulator:
    """Asynchronous halving, recipe by recipe, as the paper's `get_job` states it."""

    def __init__(self, scores, rung_epochs, factor, chunk):
        self.scores, self.rung_epochs = scores, rung_epochs
        self.factor, self.chunk = factor, chunk
        self.results = {level: {} for level in range(len(rung_epochs))}
        self.n_started = 0

    def promotable(self, level, at_least=0):
        results = self.results[level]
        n_best = max(len(results) // self.factor, at_least if results else 0)
        best = sorted(results, key=lambda recipe: results[recipe], reverse=True)[:n_best]
        return [recipe for recipe in best if recipe not in self.results[level + 1]]

    def job(self):
        top = len(self.rung_epochs) - 1
        if self.n_started < len(self.scores):
            for level in range(top - 1, -1, -1):
                if len(self.promotable(level)) >= self.chunk:
                    return level + 1, self.promotable(level)[: self.chunk]
            first = self.n_started
            self.n_started = min(first + self.chunk, len(self.scores))
            return 0, list(range(first, self.n_started))
        for level in range(top):
            if self.promotable(level, at_least=1):
                return level + 1, self.promotable(level, at_least=1)[: self.chunk]
        return None

    def run(self):
        jobs = []
        while (job := self.job()) is not None:
            level, recipes = job
            jobs.append((tuple(recipes), self.rung_epochs[level]))
            for recipe in recipes:
                self.results[level][recipe] = self.scores[recipe, self.rung_epochs[level] - 1]
        return jobs


@pytest.mark.parametrize(
    ("n", "epochs", "rung_epochs", "factor", "chunk"),
    [
        (81, 81, [1, 3, 9, 27, 81], 3, 9),
        (34, 27, [1, 3, 9, 27], 3, 4),
        (40, 16, [1, 2, 4, 8, 16], 2, 3),
        (7, 4, [1, 2, 4], 2, 1),
        (5, 100, [6, 25, 100], 4, 8),
    ],
)
def test_asynchronous_halving_promotes_as_the_simulator_does(n, epochs, rung_epochs, factor, chunk):
    for seed in range(5):
        random = np.random.default_rng(seed)
        scores = np.cumsum(random.random((n, epochs)), axis=1)
        halving = Asynchronous(factor, chunk)
        rungs = list(halving.rungs(n, epochs, _ranking(scores)))
        jobs = [(rung.recipes, rung.epochs) for rung in rungs]
        assert jobs == _Simulator(scores, rung_epochs, factor, chunk).run()
        assert sum(rung.epochs == epochs for rung in rungs) > 0
        assert not any(rung.ends_others for rung in rungs)


def test_the_best_of_each_round_go_on():
    scores = np.array([[0.1, 0.9], [0.5, 0.6], [0.3, 0.4]])
    rungs = list(Synchronous(((3, 1), (2, 2))).rungs(3, 2, _ranking(scores)))
    assert rungs == [Rung((0, 1, 2), 1), Rung((1, 2), 2)]


def test_a_factor_and_its_rounds_make_the_same_study():
    recipe = jn.Recipe(jn.sgd(np.geomspace(0.1, 10, 5)))
    options = {"seeds": 2, "epochs": 4, "log": None}
    by_factor = jn.sweep(NET, DATA, recipe, successive_halving=2, **options)
    by_object = jn.sweep(NET, DATA, recipe, successive_halving=checked_halving(2, 5, 4), **options)
    np.testing.assert_array_equal(by_factor.epochs, by_object.epochs)
    assert by_factor.epochs[:, 0].tolist().count(4) == 2
    assert (by_factor.stopped == (by_factor.epochs < 4)).all()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (((3, 5),), "successive_halving chose 5 epochs, but the sweep has 1 to 4"),
        (((3, 1), (0, 4)), r"successive_halving chose the recipes \(\), but the sweep has"),
    ],
)
def test_rungs_that_the_sweep_does_not_have_are_refused(sizes, message):
    recipe = jn.Recipe(jn.sgd([0.1, 0.2, 0.3]))
    with pytest.raises(ValueError, match=message):
        jn.sweep(NET, DATA, recipe, epochs=4, successive_halving=Synchronous(sizes), log=None)
