import numpy as np
import pytest

import jaxnet as jn
from jaxnet.comparison import tuning


def _rates(recipes):
    return [tuning.rate_of(recipe) for recipe in recipes]


def test_the_grid_has_five_rates_a_decade_around_the_default():
    search = tuning.begin("adam", jn.Recipe(jn.adam()), "lr", 21, {})
    np.testing.assert_allclose(_rates(search.points(0)), np.geomspace(1e-5, 1e-1, 21), rtol=1e-6)


@pytest.mark.parametrize("side", [-1, 1])
def test_extended_a_grid_is_that_of_five_decades(side):
    search = tuning.begin("sgd", jn.Recipe(jn.sgd()), "lr", 21, {})
    new, more = search.extended(side, 1)
    rates = sorted(_rates(search.points(0)) + _rates(more))
    ends = (1e-3, 1e2) if side < 0 else (1e-2, 1e3)
    np.testing.assert_allclose(rates, np.geomspace(*ends, 26), rtol=1e-6)
    np.testing.assert_allclose(new.ends, ends)


def test_within_one_place_of_an_end_is_the_edge():
    search = tuning.begin("sgd", jn.Recipe(jn.sgd()), "lr", 21, {})
    edges = [search.edge(rate) for rate in _rates(search.points(0))]
    assert edges == [-1, -1] + [0] * 17 + [1, 1]
    new, _ = search.extended(1, 1)
    assert new.edge(_rates(search.points(0))[-1]) == 0


def test_the_full_search_reaches_all_usual_numbers_and_covers_what_it_says():
    search = tuning.begin("momentum", jn.Recipe(jn.momentum()), "full", 64, {})
    points = search.points(0)
    decay = np.array([point.optimizer.hyper["decay"] for point in points])
    assert len(points) == 64
    assert decay.min() >= 0
    assert 0.2 < np.mean(decay > 0.9) < 0.8  # even in the logarithm of 1 − decay
    assert np.all(np.diff(_rates(points)) >= 0)
    assert search.covers({"learning_rate": 1.0, "decay": 0.0})
    assert not search.covers({"learning_rate": 100.0, "decay": 0.0})
    assert not search.covers({"learning_rate": 1.0, "decay": 0.995})
    new, more = search.extended(1, 1)
    assert len(more) == 16
    assert min(_rates(more)) >= 10 * (1 - 1e-6)
    assert new.covers({"learning_rate": 100.0, "decay": 0.0})
    fixed = tuning.begin("momentum", jn.Recipe(jn.momentum(decay=0.0)), "lr", 21, {})
    assert fixed.covers({"learning_rate": 1.0, "decay": 0.0})


def test_random_points_are_independent_draws_of_the_same_ranges():
    full, search = (
        tuning.begin("momentum", jn.Recipe(jn.momentum()), tier, 50, {})
        for tier in ("full", "random")
    )
    assert (search.ends, search.others) == (full.ends, full.others)
    points = search.points(7)
    unit = np.random.default_rng(7).random((50, 2))
    low, high = search.ends
    order = np.argsort(unit[:, 1])
    np.testing.assert_allclose(_rates(points), low * (high / low) ** unit[order, 1], rtol=1e-6)
    decay = np.array([point.optimizer.hyper["decay"] for point in points])
    np.testing.assert_allclose(1 - decay, 0.01 * 100 ** unit[order, 0], rtol=1e-4)


def test_ranges_replace_the_searchs_own():
    ranges = {"learning_rate": (0.1, 10.0), "b1": jn.Uniform(0.5, 0.6)}
    search = tuning.begin("adam", jn.Recipe(jn.adam()), "full", 16, ranges)
    b1 = [float(point.optimizer.hyper["b1"]) for point in search.points(0)]
    assert 0.5 <= min(b1) <= max(b1) <= 0.6
    np.testing.assert_allclose(search.ends, (0.1, 10))


def test_contenders_are_constructors_names_optimizers_and_recipes():
    contenders = tuning.contenders([jn.sgd, "adam", jn.momentum(decay=0.5), jn.Recipe(jn.lion())])
    assert list(contenders) == ["sgd", "adam", "momentum", "lion"]
    assert contenders["momentum"].optimizer.hyper["decay"] == np.float32(0.5)
    assert list(tuning.contenders({"a": jn.sgd, "b": jn.sgd})) == ["a", "b"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tuning.contenders(["sgd", "adm"]),
            "adm is not a known optimizer; did you mean adam",
        ),
        (lambda: tuning.contenders([jn.sgd]), "needs two optimizers or more, not 1"),
        (lambda: tuning.contenders([jn.sgd, jn.sgd(0.1)]), "two contenders are called sgd"),
        (lambda: tuning.contenders("sgd"), "must be a list of constructors"),
        (lambda: tuning.contenders([jn.sgd, 3]), "must be an optimizer such as jaxnet.adam"),
        (lambda: tuning.contenders([jn.adam, jn.sgd([1, 2])]), "holds arrays"),
        (lambda: tuning.contenders([jn.adam, jn.Recipe(
            jn.sgd(), stopping=jn.stopping.no_improvement_in(3))]), "leave stopping out"),
        (lambda: tuning.trials_of("grid", None), '"lr", "full" or "random", not .*grid'),
        (lambda: tuning.trials_of("lr", 20), "one more than a multiple of 4; not 20"),
        (lambda: tuning.trials_of("defaults", 2), 'tier "defaults" has one trial, not 2'),
        (lambda: _begin(jn.lbfgs(), "lr"), "lbfgs has no learning rate to be tuned"),
        (lambda: _begin(jn.adam(), "lr", b1=(0.1, 0.2)), "tunes the learning rate alone, not b1"),
        (lambda: _begin(jn.adam(), "full", decay=(0.1, 0.2)), "adam takes no decay"),
        (lambda: _begin(jn.adam(), "lr", learning_rate=(1, 0.1)), "with 0 < low < high"),
        (lambda: _begin(jn.adam(), "defaults", b1=(0.1, 1)), "ranges are for what is tuned"),
        (lambda: jn.tasks.named("bok"), "bok is not a known task; did you mean book"),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def _begin(optimizer, tier, **ranges):
    return tuning.begin(optimizer.name, jn.Recipe(optimizer), tier, 21, ranges)
