"""The defaults for tables, and the ensemble that they train."""

import numpy as np
import pytest
from sklearn.datasets import load_wine, make_friedman1
from sklearn.linear_model import LinearRegression

import jaxnet as jn
from jaxnet.sweeps import tabular


def _columns(x):
    return {f"x{index}": column for index, column in enumerate(x.T)}


@pytest.mark.parametrize(
    ("y", "cost", "n_out"),
    [
        (np.arange(60) % 3, jn.costs.LogLikelihood(), 3),
        (np.linspace(-1, 1, 60), jn.costs.Quadratic(jn.activations.linear), 1),
        (np.eye(2)[np.arange(60) % 2] + [[0, 1]], jn.costs.CrossEntropy(), 2),
    ],
)
def test_the_targets_decide_on_cost_and_outputs(y, cost, n_out):
    y = np.minimum(y, 1) if y.ndim == 2 else y
    data = jn.datasets.arrays(np.random.default_rng(0).normal(size=(60, 4)), y, valid=0)
    defaults = jn.tabular_defaults(data)
    assert defaults.network.cost == cost
    assert defaults.network.sizes == (4, 128, 128, n_out)


def test_numbers_that_are_not_standardized_are_doubtful():
    x = np.random.default_rng(0).normal(size=(60, 4))
    data = jn.datasets.arrays(x, 1000 + 50 * x[:, 0], valid=0)
    with pytest.warns(UserWarning, match=r"to predict are .*± .*, but the default learning rate"):
        jn.tabular_defaults(data)
    table = jn.datasets.table(_columns(x) | {"y": 1000 + 50 * x[:, 0]}, "y", valid=0)
    jn.tabular_defaults(table)  # the table standardizes them: no warning


def test_an_ensemble_learns_classes():
    x, y = load_wine(return_X_y=True)
    table = jn.datasets.table(_columns(x) | {"y": y}, "y", valid=0, test=0.3)
    ensemble = jn.tabular_ensemble(table, n_members=2)
    assert ensemble.evaluate(table.test).accuracy > 0.94  # of 53 rows; the largest class has 40%
    first, second = ensemble.predict_all(table.test.x)
    assert not np.array_equal(first, second)
    again = jn.tabular_ensemble(table, n_members=2, seed=1)  # other members
    assert not np.array_equal(again.predict_all(table.test.x)[0], first)


def test_an_ensemble_learns_what_lines_do_not_fit():
    x, y = make_friedman1(400, noise=0.5, random_state=0)
    table = jn.datasets.table(_columns(x) | {"y": y}, "y", valid=0, test=0.3)
    ensemble = jn.tabular_ensemble(table, n_members=2)
    residual = np.mean((ensemble.predict(table.test.x) - table.test.y) ** 2)
    line = LinearRegression().fit(table.train.x, table.train.y)
    assert residual < 0.5 * np.mean((line.predict(table.test.x) - table.test.y) ** 2)


def test_the_weight_decay_is_chosen_on_folds_and_groups_stay_together(monkeypatch):
    x = np.random.default_rng(0).normal(size=(80, 3))
    rows = _columns(x) | {"y": x[:, 0], "patient": np.arange(80) // 8}
    table = jn.datasets.table(rows, "y", valid=0.2, test=0.2, groups="patient")
    calls, sweep = [], tabular.sweep
    monkeypatch.setattr(
        tabular,
        "sweep",
        lambda *args, **options: calls.append((args, options)) or sweep(*args, **options),
    )
    monkeypatch.setattr(tabular, "EPOCHS", 3)
    monkeypatch.setattr(tabular, "WEIGHT_DECAYS", (0.1, 1000.0))
    jn.tabular_ensemble(table, n_members=1)
    (_, data, recipes), options = calls[0]
    assert (data.valid, data.test, len(recipes)) == (None, None, 2)
    for fold in options["resample"].folds(data.train):
        groups = np.array(table.groups)
        assert not {*groups[fold.train]} & {*groups[fold.test]}
    (_, _, chosen), _ = calls[1]
    assert float(chosen.optimizer.hyper["weight_decay"]) == pytest.approx(0.1)  # 1000 makes it 0


def test_fewer_rows_than_a_mini_batch_are_one():
    data = jn.datasets.arrays(np.eye(6), np.arange(6) % 2, valid=0)
    assert jn.tabular_defaults(data).batch_size == 6
