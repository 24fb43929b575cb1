"""Population-based training, against a loop over single networks."""

from functools import partial

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.searches._population import copy_lanes, exploit, explore
from jaxnet.searches.ranges import scales_of
from jaxnet.sweeps.lanes import LaneGroup
from jaxnet.training.randomness import address, shuffle

NET, DATA = jn.Network((2, 5, 2)), jn.datasets.xor(n=60)
RECIPE = jn.Recipe(jn.momentum(0.5, 0.5))
RANGES = {"learning_rate": (0.1, 10.0), "decay": jn.OneMinus(0.05, 1.0)}


def _slow_population(members, epochs, every, n_replaced, seed):
    """The scores, parents and numbers of a population, network by network."""
    swept = jn.sample(RECIPE, members, seed=seed, **RANGES)
    rates, decays = (np.array(swept.optimizer.hyper[name]) for name in ("learning_rate", "decay"))
    key, n = jax.random.key(seed, impl="threefry2x32"), len(DATA.train.x)
    train = jax.jit(partial(jn.epoch, NET, 10))
    states = [
        jn.start(NET, RECIPE, jax.random.key(seed + member, impl="threefry2x32"))
        for member in range(members)
    ]
    all_scores, all_parents, all_rates = [], [], []
    for segment in range(epochs // every):
        parents = np.arange(members)
        if segment:
            random = np.random.default_rng([seed, segment])
            parents = exploit(np.array(all_scores[-1]), n_replaced, random)
            numbers = {"decay": decays, "learning_rate": rates}
            numbers = explore(numbers, parents, scales_of(RANGES), random)
            decays, rates = numbers["decay"], numbers["learning_rate"]
            states = [states[parent] for parent in parents]
        for epoch in range(segment * every, (segment + 1) * every):
            order = shuffle(address(key, "order", epoch), n)
            recipes = [jn.Recipe(jn.momentum(*pair)) for pair in zip(rates, decays, strict=True)]
            states = [
                train(DATA.train, order, key, recipe, state)[0]
                for recipe, state in zip(recipes, states, strict=True)
            ]
        scores = [float(jn.evaluate(NET, state.params, DATA.valid).accuracy) for state in states]
        all_scores.append(scores)
        all_parents.append(parents)
        all_rates.append(rates)
    return np.array(all_scores), np.array(all_parents), np.array(all_rates)


@pytest.mark.usefixtures("x64")
def test_a_population_is_that_of_a_loop_over_networks():
    search = jn.searches.population(
        NET, DATA, RECIPE, RANGES, members=5, epochs=6, every=2, fraction=0.4, seed=3, log=None
    )
    scores, parents, rates = _slow_population(5, 6, 2, 2, 3)
    np.testing.assert_allclose(search.scores, scores)
    np.testing.assert_array_equal(search.parents, parents)
    np.testing.assert_allclose(search.numbers["learning_rate"], rates, rtol=1e-12)
    assert (search.parents[1:] != np.arange(5)).sum() == 4


def test_a_copied_lane_has_the_bits_of_its_source():
    random = np.random.default_rng(0)
    group = LaneGroup(3, (4, 5))
    state = {
        "first layer": random.normal(size=(1, 4, 3, 5)).astype(np.float32),  # lanes on axis 2
        "second layer": random.normal(size=(1, 3, 5, 2)).astype(np.float32),
        "biases": random.normal(size=(1, 3, 5)).astype(np.float32),
        "count": random.integers(9, size=(1, 3)).astype(np.int32),
    }
    copied = copy_lanes(group, state, np.array([2, 1, 2]))
    for name, array in state.items():
        axis = 2 if name == "first layer" else 1
        for lane, source in enumerate([2, 1, 2]):
            np.testing.assert_array_equal(
                np.take(np.asarray(copied[name]), lane, axis), np.take(array, source, axis)
            )


def test_the_worst_copy_the_best():
    scores = np.array([0.3, 0.9, 0.1, 0.8, -np.inf, 0.5, -np.inf, 0.7, 0.6, 0.4])
    seen = set()
    for seed in range(20):
        parents = exploit(scores, 2, np.random.default_rng(seed))
        unchanged = [member for member in range(10) if member not in (4, 6)]
        assert parents[unchanged].tolist() == unchanged
        seen |= set(parents[[4, 6]].tolist())
    assert seen == {1, 3}


def test_all_that_diverged_are_replaced_unless_all_did():
    scores = np.array([-np.inf, -np.inf, 0.5, -np.inf])
    assert exploit(scores, 1, np.random.default_rng(0)).tolist() == [2, 2, 2, 2]
    all_diverged = np.full(4, -np.inf)
    assert exploit(all_diverged, 1, np.random.default_rng(0)).tolist() == [0, 1, 2, 3]


def test_numbers_of_copies_are_varied_and_stay_in_range():
    scales = scales_of({"learning_rate": (0.1, 1.0), "decay": jn.OneMinus(0.05, 1.0)})
    numbers = {"learning_rate": np.array([0.5, 0.9, 0.2]), "decay": np.array([0.9, 0.5, 0.0])}
    varied = explore(numbers, np.array([0, 0, 1]), scales, np.random.default_rng(1))
    for name, rows in varied.items():
        assert rows[0] == numbers[name][0]
    assert round(varied["learning_rate"][1] / 0.5, 9) in (0.8, 1.2)
    assert round((1 - varied["decay"][1]) / 0.1, 9) in (0.8, 1.2)
    assert varied["learning_rate"][2] in (pytest.approx(0.72), pytest.approx(1.0))


def test_the_schedule_follows_the_ancestors():
    search = jn.searches.population(
        NET, DATA, RECIPE, RANGES, members=6, epochs=5, fraction=0.5, log=None
    )
    rates, member = [], search.best_member
    for segment in range(search.best_segment, -1, -1):
        rates.insert(0, search.numbers["learning_rate"][segment, member])
        member = search.parents[segment, member]
    np.testing.assert_array_equal(search.best_schedule["learning_rate"], rates)


def test_segments_have_whole_epochs():
    with pytest.raises(ValueError, match="epochs must be a multiple of every, 2, not 3"):
        jn.searches.population(NET, DATA, RECIPE, RANGES, epochs=3, every=2)
    with pytest.raises(ValueError, match=r"fraction must be in \(0, 0.5\], not 0.6"):
        jn.searches.population(NET, DATA, RECIPE, RANGES, fraction=0.6)
