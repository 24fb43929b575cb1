"""Leaderboards, against pandas on the table of all epochs."""

import numpy as np
import pytest

import jaxnet as jn

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4))
LABELS = (X[:, 0] + RANDOM.normal(size=60) > 0).astype(int) + (X[:, 1] > 1)
DATA = jn.Dataset(jn.Split(X[:40], LABELS[:40]), jn.Split(X[40:], LABELS[40:]))
NETS = [jn.Network((4, width, 3), cost=jn.costs.LogLikelihood()) for width in (3, 6)]
RECIPES = [
    jn.Recipe(jn.sgd([0.01, 0.3, 0.3]), l2=[0.0, 0.0, 1e6]),  # the last one diverges
    jn.Recipe(
        jn.adam([0.01, 0.1]), schedule=jn.schedules.cosine(4),
        stopping=jn.stopping.no_improvement_in(3), augmentation=jn.augmentation.input_noise(0.1),
    ),
]  # fmt: skip
METRICS = {"loss": jn.metrics.log_loss, "f1": jn.metrics.f1}


@pytest.fixture(scope="module")
def study():
    return jn.sweep(
        NETS, DATA, RECIPES, seeds=3, epochs=4, batch_size=8, metrics=METRICS, log=None,
        evaluate_on=("validation", "training"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "curve", "rises"),
    [
        (None, "evaluation_accuracy", True),
        ("accuracy", "evaluation_accuracy", True),
        ("cost", "evaluation_data_cost", False),
        ("loss", "evaluation_loss", False),
        ("validation_f1", "evaluation_f1", True),
        ("training_cost", "training_cost", False),
        ("training_loss", "training_loss", False),
    ],
)
def test_settings_are_ranked_by_the_mean_at_the_best_epochs(study, metric, curve, rises):
    board = study.leaderboard(metric)
    table = study.to_frame()
    at_best = table[table.epoch == table.best_epoch]
    for recipe, group in at_best[at_best.ending != "diverged"].groupby("recipe"):
        (row,) = [row for row in board if row["recipe"] == recipe]
        assert (row["n"], row["n_diverged"]) == (len(group), 3 - len(group))
        np.testing.assert_allclose(row[curve], group[curve].mean(), 1e-6)
        np.testing.assert_allclose(row["sd"], group[curve].std(), 1e-4, 1e-9)
        assert row["best_epoch"] == group.best_epoch.median()
        assert row["optimizer"] == study.settings[recipe].recipe.optimizer.name
    values = [row[curve] for row in board if row["n"] == 3]
    assert values == sorted(values, reverse=rises)
    assert [row["rank"] for row in board] == list(range(1, 11))
    diverged = [row["recipe"] for row in board if row["n_diverged"]]
    assert diverged == [row["recipe"] for row in board[-2:]]
    assert sorted(diverged) == [2, 7]
    if metric is None:
        assert board[0]["recipe"] == study.best_recipe


def test_the_best_setting_of_each_value_of_a_column(study):
    board = study.leaderboard()
    best = study.leaderboard(by="optimizer")
    assert {row["optimizer"] for row in best} == {"sgd", "adam"}
    for row in best:
        assert row == next(each for each in board if each["optimizer"] == row["optimizer"])
    assert [row["network"] for row in study.leaderboard(by="network", top=1)] == [
        board[0]["network"]
    ]
    assert study.leaderboard(top=4) == board[:4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "f2"}, "metric f2 was not evaluated; did you mean f1"),
        ({"metric": "test_f1"}, "metric test_f1 was not evaluated"),
        ({"by": "optimiser"}, "by must be the name of a column.*did you mean optimizer"),
        ({"top": 0}, "top must be a whole number of at least 1"),
    ],
)
def test_what_there_is_not_is_refused(study, options, message):
    with pytest.raises(ValueError, match=message):
        study.leaderboard(**options)


def test_every_part_of_a_setting_has_a_column(study):
    columns = study.settings[3].columns()
    wanted = {
        "network": "4-3-3", "activation": "sigmoid", "batch_size": 8, "examples": 40,
        "optimizer": "adam", "schedule": "cosine", "schedule.horizon": 4.0,
        "stopping": "evaluation_accuracy", "stopping.patience": 3.0,
        "augmentation": "input_noise(sd=0.1)",
    }  # fmt: skip
    assert wanted.items() <= columns.items()
    assert "LogLikelihood" in columns["cost"]
    assert study.settings[3].number("horizon") == 4.0
    with pytest.raises(ValueError, match="is no number of this setting"):
        study.settings[3].number("activation")
