"""Files of version 0.2.0 are read, and go on to the numbers that it would have had, or are refused.

`tests/data/version_0_2_0/make.py` wrote them, under that version.
"""

import dataclasses
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.cli import main as cli

HERE = Path(__file__).parent / "data" / "version_0_2_0"
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
NET = jn.Network((2, 4, 2))
MONITORS = jn.Monitors(("delta_norm", "update_ratio"), every=2)
RECIPES = {
    "run": jn.Recipe(
        jn.adam(0.1),
        l2=0.1,
        dropout=0.1,
        schedule=jn.schedules.cosine(4),
        stopping=jn.stopping.no_improvement_in(3),
    ),
    "run_plain": jn.Recipe(jn.sgd(1.0)),
    "run_plateau": jn.Recipe(
        jn.momentum(0.5, decay=0.8),
        l1=0.01,
        label_smoothing=0.05,
        schedule=jn.schedules.staircase(0.5, every=2),
        stopping=jn.stopping.reduce_on_plateau(1),
        init_scale=1.5,
    ),
}
SWEPT = jn.Recipe(jn.momentum(np.array([0.5, 1.0]), decay=0.5), l2=0.1)
SWEEP: dict[str, Any] = {"seeds": 2, "batch_size": 10, "log": None}


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A copy of what 0.2.0 wrote, as the working folder."""
    shutil.copytree(HERE, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old"


@pytest.fixture(scope="module")
def data():
    return jn.datasets.npz(HERE / "xor.npz")


def _near(ours, expected):
    expected = np.array(expected, dtype=float)  # None stands for NaN
    np.testing.assert_allclose(np.asarray(ours, float), expected, EXPECTED["rtol"], 1e-6)


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_goes_on(old, data, name):
    monitors = MONITORS if name == "run_plateau" else None
    settings: dict[str, Any] = {"epochs": 4, "seed": 3, "monitors": monitors}
    with pytest.warns(UserWarning, match="was written by jaxnet 0.2.0, and the run goes on with"):
        run = jn.train(NET, data, RECIPES[name], resume=name, **settings)
    expected = EXPECTED[name]["uninterrupted"]
    for curve, values in expected["history"].items():
        _near(getattr(run.history, curve), values)
    # Version 0.2.0 did not keep costs without penalties: the first two epochs have none.
    assert np.isfinite(run.history.evaluation_data_cost).tolist() == [False, False, True, True]
    for layer, values in zip(run.params, expected["params"], strict=True):
        _near(layer.w, values["w"])
        _near(layer.b, values["b"])
    for monitor, values in expected["monitors"].items():
        _near(run.monitors[monitor], values)
    assert run.best_epoch == expected["best_epoch"]
    # What it wrote is of this version: it goes on without a word.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = jn.train(NET, data, RECIPES[name], resume=name, **settings)
    assert all(map(np.array_equal, jax.tree.leaves(run.params), jax.tree.leaves(again.params)))


def test_another_run_is_refused_in_the_words_of_0_2(old, data):
    with pytest.raises(ValueError, match=r"recipe\.optimizer\.hyper.* was 1\.0 and is 2\.0"):
        jn.train(NET, data, jn.Recipe(jn.sgd(2.0)), epochs=4, seed=3, resume="run_plain")


@pytest.mark.parametrize("folder", ["run_monitored", "run_plateau"])
def test_a_rule_that_compared_costs_with_penalties_is_another_one(old, data, folder):
    rule = jn.stopping.reduce_on_plateau(1, metric="cost")
    recipe = dataclasses.replace(RECIPES["run_plateau"], stopping=rule)
    was = {"run_monitored": "evaluation_cost", "run_plateau": "evaluation_accuracy"}[folder]
    with pytest.raises(ValueError, match=f"stopping was '{was}' and is 'evaluation_data_cost'"):
        jn.train(NET, data, recipe, epochs=4, seed=3, monitors=MONITORS, resume=folder)


@pytest.mark.parametrize("name", EXPECTED["networks"])
def test_networks_are_read(name):
    expected = EXPECTED["networks"][name]
    for file in expected["files"]:
        net, params = jn.load(HERE / file)
        assert repr(net) == expected["network"]
        assert net.precision == expected["precision"]
        _near(jn.predict(net, params, np.array(expected["x"], np.float32)), expected["predicted"])


def test_a_study_is_read_and_grows(old, data):
    plans: list[str] = []
    study = jn.sweep(NET, data, SWEPT, epochs=2, folder="study", **SWEEP | {"log": plans.append})
    assert "nothing is missing" in plans[0]
    expected = EXPECTED["study"]["two_epochs"]
    for curve, values in expected["history"].items():
        _near(getattr(study.history, curve), values)
    for lane, params in expected["params"].items():
        for layer, values in zip(study.params(*map(int, lane.split(","))), params, strict=True):
            _near(layer.w, values["w"])
    files = set(Path("study/chunks").iterdir())
    with pytest.warns(UserWarning, match="mixes networks that were trained by jaxnet 0.2.0; by"):
        study = jn.sweep(NET, data, SWEPT, epochs=3, folder="study", **SWEEP)
    assert study.origins[0].jaxnet == "0.2.0"
    assert "mixed: jaxnet 0.2.0; jaxnet" in repr(study)
    for curve, values in EXPECTED["study"]["three_epochs"]["history"].items():
        _near(getattr(study.history, curve), values)
    renewed = set(Path("study/chunks").iterdir())  # each chunk once, under its name of today
    assert len(renewed) == len(files)
    assert not renewed & files


def test_a_comparison_is_read_and_not_gone_on_with(old, data):
    comparison = jn.comparison.read("comparison")
    assert comparison.conclusion == EXPECTED["comparison"]["conclusion"]
    with pytest.warns(DeprecationWarning, match="now called Comparison.expected_performance"):
        assert comparison.luck == comparison.expected_performance
    rows = dict(EXPECTED["comparison"]["rows"])
    curves = [*comparison.tuning_curves, *comparison.report_curves]
    assert len(curves) == rows.pop("curves")
    for name, n in rows.items():
        name = "expected_performance" if name == "luck" else name
        assert len(getattr(comparison, name)) == n
    options: dict[str, Any] = {"epochs": 2, "seeds": 8, "tuning_seeds": 1, "timing": False}
    with pytest.raises(ValueError, match=r"of jaxnet 0\.2\.0, which only that version can"):
        jn.compare(
            NET, data, [jn.sgd, jn.adam], tier="defaults", folder="comparison", log=None, **options
        )


def test_a_run_of_the_command_line_goes_on(old, capsys):
    assert cli.main(["train", "--resume", "cli_run", "--epochs", "4"]) == 0
    complaint = capsys.readouterr().err
    assert complaint.startswith("jaxnet: warning: cli_run/checkpoint.safetensors was written by")
    assert complaint.count("\n") == 1
    ours, theirs = (
        [[float(cell or "nan") for cell in line.split(",")[:5]] for line in text.splitlines()[1:]]
        for text in (
            Path("cli_run/history.csv").read_text(encoding="utf-8"),
            EXPECTED["cli_run"]["four_epochs"]["history_csv"],
        )
    )
    _near(ours, theirs)
