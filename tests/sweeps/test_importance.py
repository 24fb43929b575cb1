"""Importance, against sums over all combinations, textbook variances and a table's ANOVA."""

import itertools
import warnings

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.sweeps import importance

sklearn_tree = pytest.importorskip("sklearn.tree")
NET, XOR = jn.Network((2, 4, 2)), jn.datasets.xor()


def study_of(recipe, seeds=1, epochs=1):
    return jn.sweep(NET, XOR, recipe, seeds=seeds, epochs=epochs, log=None)


def shares(rows):
    return {row["effect"]: row["share"] for row in rows}


def anova(table):
    """Shares of the variance of a table with two axes: of the rows, the columns, and the rest."""
    table = table - table.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    rest = table - rows[:, None] - columns
    return np.array([np.mean(part**2) for part in (rows, columns, rest)]) / np.mean(table**2)


def test_on_a_grid_it_is_the_analysis_of_variance_of_the_table():
    study = study_of(jn.grid(jn.Recipe(jn.sgd()), learning_rate=[0.1, 1.0, 9.0], l2=[0.0, 30.0]))
    curve = np.asarray(study.history.evaluation_data_cost[:, 0, -1], float)
    expected = anova(curve.reshape(3, 2))
    result = shares(study.importance("cost"))
    names = ("learning_rate", "l2", "learning_rate × l2")
    np.testing.assert_allclose([result[name] for name in names], expected, 1e-6)
    assert sum(result.values()) == pytest.approx(1)


def test_a_trees_shares_are_those_of_all_combinations():
    random = np.random.default_rng(0)
    x = np.stack([random.integers(n, size=60) for n in (4, 3, 5)], axis=1)
    y = x[:, 0] * x[:, 1] + random.normal(size=60)
    tree = sklearn_tree.DecisionTreeRegressor(random_state=0).fit(x, y)
    factors = [importance.Factor(str(j), x[:, j], np.bincount(x[:, j]) / len(x)) for j in range(3)]
    grid = np.array(list(itertools.product(range(4), range(3), range(5))))
    table = tree.predict(grid).reshape(4, 3, 5)
    weights = [factor.share for factor in factors]
    total = np.einsum("abc,a,b,c->", table, *weights)
    table = table - total
    variance = np.einsum("abc,a,b,c->", table**2, *weights)
    alone = [
        np.einsum("abc,b,c->a", table, weights[1], weights[2]),
        np.einsum("abc,a,c->b", table, weights[0], weights[2]),
        np.einsum("abc,a,b->c", table, weights[0], weights[1]),
    ]
    expected = [weight @ marginal**2 for weight, marginal in zip(weights, alone, strict=True)]
    for i, j, subscripts in ((0, 1, "abc,c->ab"), (0, 2, "abc,b->ac"), (1, 2, "abc,a->bc")):
        (other,) = {0, 1, 2} - {i, j}
        both = np.einsum(subscripts, table, weights[other])
        expected.append(weights[i] @ both**2 @ weights[j] - expected[i] - expected[j])
    expected.append(variance - sum(expected))
    np.testing.assert_allclose(
        importance._shares(tree, factors), np.array(expected) / variance, 1e-9, 1e-12
    )


def test_shares_of_a_known_function_are_near_its_variances():
    # f = 2a + b + 3(a − ½)(c − ½) for uniform a, b, c: the variances are 4/12, 1/12 and 9/144.
    points = np.random.default_rng(1).random((256, 3))
    a, b, c = points.T
    scores = 2 * a + b + 3 * (a - 0.5) * (c - 0.5)
    tables = [dict(zip("abc", map(float, point), strict=True)) for point in points]
    factors = importance.factors(tables, scores)
    mean = importance._shares_and_draws(factors, scores[:, None], 0)[0]
    expected = dict.fromkeys(("a", "b", "c", "ab", "ac", "bc", "abc"), 0.0)
    expected |= {"a": 48 / 69, "b": 12 / 69, "ac": 9 / 69}
    np.testing.assert_allclose(mean, list(expected.values()), atol=0.06)


def test_words_missing_numbers_and_equal_columns_are_factors_of_their_own():
    tables = [
        {"net": net, "sizes": f"2-{net}", "b1": b1, "decay": b1, "cost": "same"}
        for net, b1 in (("x", None), ("y", 0.9), ("z", 0.5), ("y", None))
    ]
    net, b1 = importance.factors(tables, np.array([0.3, 0.9, 0.1, 0.7]))
    assert (net.name, b1.name) == ("net", "b1, decay")  # sizes divide the settings as net does
    assert net.codes.tolist() == [1, 2, 0, 2]  # by mean score: z, x, y
    assert b1.codes.tolist() == [0, 2, 1, 0]
    np.testing.assert_allclose(b1.share, [0.5, 0.25, 0.25])


def test_many_values_of_a_number_are_groups_of_equal_size():
    tables = [{"eta": float(k)} for k in range(320)]
    (eta,) = importance.factors(tables, np.zeros(320))
    assert len(eta.share) == importance.MOST_GROUPS
    assert eta.share.min() > 0.02
    assert (np.diff(eta.codes) >= 0).all()


def test_a_diverged_network_has_the_worst_score_of_the_others():
    recipe = jn.grid(jn.Recipe(jn.sgd()), learning_rate=[0.1, 1.0, 1e38], l2=[0.0, 0.1])
    study = study_of(recipe)
    assert study.diverged_epoch[4:].all()
    costs = np.asarray(study.history.evaluation_data_cost[:4, 0, -1], float)
    table = np.array([*costs, costs.max(), costs.max()]).reshape(3, 2)
    result = shares(study.importance("cost"))
    assert result["learning_rate"] == pytest.approx(anova(table)[0], 1e-6)


def test_draws_depend_on_the_seed_alone():
    recipe = jn.grid(jn.Recipe(jn.sgd()), learning_rate=[0.001, 0.1, 1.0], l2=[0.0, 300.0])
    study = study_of(recipe, seeds=3, epochs=5)
    first = study.importance("cost", seed=1)
    assert first == study.importance("cost", seed=1)
    assert first != study.importance("cost", seed=2)
    assert sum(row["share"] for row in first) == pytest.approx(1)
    # The shares are those of the table of all means.
    curve = np.asarray(study.history.evaluation_data_cost, float)
    best = np.asarray(study.best_epoch) - 1
    means = np.take_along_axis(curve, best[..., None], axis=2)[..., 0].mean(axis=1)
    assert shares(first)["l2"] == pytest.approx(anova(means.reshape(3, 2))[1], 1e-6)


def test_what_can_explain_nothing_is_refused_and_what_is_doubtful_is_said():
    with pytest.raises(ValueError, match="do not differ, so that nothing can explain"):
        study_of(jn.Recipe(jn.sgd(1.0)), seeds=2).importance()
    with pytest.raises(ValueError, match="no network of the study has a score"):
        study_of(jn.Recipe(jn.sgd([1e38, 2e38]))).importance()
    few = study_of(jn.sample(jn.Recipe(jn.sgd()), 4, learning_rate=(0.1, 1.0), l2=(0.1, 1.0)))
    with pytest.warns(
        UserWarning, match="there are 4 settings, fewer than 10; train more settings"
    ):
        few.importance()
    points = np.random.default_rng(0).random((40, 2))
    codes = np.argsort(np.argsort(points, axis=0), axis=0)
    with pytest.warns(
        UserWarning, match=r"of the 40 settings with an R² of -?\d\.\d\d, below 0\.5"
    ):
        importance._warn_if_unpredictable(codes, np.random.default_rng(1).random(40), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importance._warn_if_unpredictable(codes, points[:, 0], 0)


def test_a_number_that_only_one_optimizer_has_is_no_factor_of_its_own():
    # For random pairs of optimizer and rate b1 would take half of the optimizer's share.
    tables = [
        {"optimizer": name, "learning_rate": rate} | ({"b1": 0.9} if name == "adam" else {})
        for name in ("adam", "sgd", "momentum") for rate in np.geomspace(0.001, 1, 10).tolist()
    ]  # fmt: skip
    scores = np.repeat([0.2, 0.8, 0.5], 10) + np.tile(np.linspace(0, 0.1, 10), 3)
    factors = importance.factors(tables, scores)
    assert [factor.name for factor in factors] == ["optimizer", "learning_rate"]
    mean = importance._shares_and_draws(factors, scores[:, None], 0)[0]
    np.testing.assert_allclose(mean, anova(scores.reshape(3, 10)), 1e-6, 1e-9)


def test_cells_that_are_missing_are_no_grid():
    # 16 of the 16 cells of a 4 × 4 table in number, but some of them twice.
    cells = [(a, b) for a in range(4) for b in range(4)]
    cells[5:8] = cells[0:3]
    tables = [dict(zip("ab", map(float, cell), strict=True)) for cell in cells]
    scores = np.random.default_rng(0).random((16, 1))
    with pytest.warns(UserWarning, match="left-out ones of the 16 settings"):
        _, draws = importance._shares_and_draws(importance.factors(tables, scores[:, 0]), scores, 0)
    assert draws.std(axis=0).max() > 0


def test_noise_is_said_to_be_noise():
    tables = [{"a": float(a), "b": float(b)} for a in range(5) for b in range(5)]
    noise = np.random.default_rng(0).normal(size=(25, 3))
    factors = importance.factors(tables, noise.mean(axis=1))
    with pytest.warns(UserWarning, match="half of the differences.*; train more seeds"):
        importance._shares_and_draws(factors, noise, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importance._shares_and_draws(factors, noise + np.arange(25)[:, None], 0)


def test_seeds_that_have_not_begun_are_left_out():
    settings = study_of(jn.grid(jn.Recipe(jn.sgd()), learning_rate=[0.1, 1.0], l2=[0.0, 3.0]))
    scores = np.full((4, 3), -np.inf)
    scores[:, 1] = 0.1, 0.2, 0.3, 0.5
    result = importance.importance(settings.settings, scores, np.zeros((4, 3), bool), 0)
    np.testing.assert_allclose(
        [shares(result)[name] for name in ("learning_rate", "l2")],
        anova(scores[:, 1].reshape(2, 2))[:2], 1e-6,
    )  # fmt: skip
