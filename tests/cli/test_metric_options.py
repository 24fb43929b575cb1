"""--metrics, --select-by, --decides, --metric, --order and --class-weight."""

import json
import re

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.utils.class_weight import compute_class_weight

import jaxnet as jn
from jaxnet.cli import main as cli
from jaxnet.cli.options import Training
from jaxnet.io import csv
from jaxnet.training import devices

NETWORK = "--data d.npz --sizes 4 3 2 --epochs 2 --batch-size 8".split()
TRAIN = ["train", *NETWORK]
SWEEP = ["sweep", *NETWORK, "--seeds", "1", "--vary", "learning_rate=0.1,1"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """40 examples in d.npz of the working directory, a quarter of class 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)  # JAX has begun in this process
    random = np.random.default_rng(0)
    x = random.random((40, 4), np.float32)
    y = (x.sum(axis=1) > np.quantile(x.sum(axis=1), 0.75)).astype(int)
    arrays = {f"{a}_{s}": v for s in ("train", "valid", "test") for a, v in (("x", x), ("y", y))}
    np.savez("d.npz", **arrays)
    return x, y


@pytest.mark.slow
def test_train_records_metrics_and_decides_by_them(data, tmp_path, capsys):
    x, y = data
    options = "--metrics roc_auc --patience 2 --decides evaluation-f1 --order sequential".split()
    assert cli.main([*TRAIN, *options, "--class-weight", "balanced"]) == 0
    assert "test roc_auc" in capsys.readouterr().out
    (folder,) = (tmp_path / "runs").iterdir()
    rows = csv.read_csv(folder / "history.csv")
    config = json.loads((folder / "config.json").read_text())
    best = config["results"]["best"]
    assert best["evaluation_f1"] == pytest.approx(max(row["evaluation_f1"] for row in rows))
    net, params = jn.load(folder / "network.safetensors")
    outputs = np.asarray(jn.predict(net, params, x))
    by_hand = sklearn_metrics.roc_auc_score(y, outputs[:, 1])
    assert best["test_roc_auc"] == pytest.approx(by_hand, abs=1e-5)
    weighted = jn.datasets.class_weighted(jn.datasets.npz("d.npz"), "balanced")
    rule = jn.stopping.no_improvement_in(2, metric="f1")
    recipe = jn.Recipe(jn.sgd(), l2=5.0, stopping=rule)
    metrics = {"f1": jn.metrics.f1, "roc_auc": jn.metrics.roc_auc}
    run = jn.train(
        jn.Network((4, 3, 2)), weighted, recipe, epochs=2, batch_size=8, order="sequential",
        metrics=metrics,
    )  # fmt: skip
    np.testing.assert_array_equal(run.best_params[0].w, params[0].w)
    # Going on needs none of the options again, and refuses others.
    assert cli.main(["train", "--resume", str(folder), "--epochs", "3"]) == 0
    assert len(csv.read_csv(folder / "history.csv")) == 3
    assert cli.main(["train", "--resume", str(folder), "--order", "shuffled"]) == 2
    assert "--order was 'sequential' and is 'shuffled'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sign"), [("roc_auc", 1), ("mae", -1)])
def test_sweep_selects_by_a_metric(data, name, sign, capsys):
    assert cli.main([*SWEEP, "--select-by", name, "--folder", "s"]) == 0
    with open("s/best.json") as file:
        best = json.load(file)
    text = ("network", "activation", "cost", "init", "optimizer", "ending")
    rows = csv.read_csv("s/study.csv", text)
    by_recipe = {}
    for row in rows:
        by_recipe.setdefault(row["recipe"], []).append(sign * row[f"evaluation_{name}"])
    assert best["selected_by"] == f"evaluation_{name}"
    assert best["score"] == pytest.approx(max(map(max, by_recipe.values())), rel=1e-5)
    assert f"{name} {best[f'test_{name}']:.4g}" in capsys.readouterr().out


@pytest.mark.slow
def test_compare_judges_by_a_metric(data, capsys):
    args = ["compare", *NETWORK, *"--tier defaults --optimizers sgd adam --quick".split()]
    assert cli.main([*args, "--seeds", "2", "--metric", "log_loss"]) == 0
    out = capsys.readouterr().out
    assert "Test −log_loss over 2 fresh seeds" in out
    assert "d-4-3-2-log_loss-sgd-adam-quick" in out


def test_class_weights_are_scikit_learns(data):
    _, y = data
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=y)[y]
    options = Training(data="d.npz", class_weight=("balanced",))
    np.testing.assert_allclose(options.training_data().train.weight, expected, rtol=1e-6)
    options = Training(data="d.npz", class_weight=("1=5",))
    np.testing.assert_array_equal(options.training_data().train.weight, np.where(y == 1, 5, 1))


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ("--class-weight equal", "--class-weight must be balanced, or LABEL=WEIGHT"),
        ("--class-weight a=1", "--class-weight must be balanced, or LABEL=WEIGHT"),
        ("--class-weight 0=1 0=2", "--class-weight names 0 twice"),
        ("--class-weight 7=1", "class_weight names class 7, but the training labels are 0, 1"),
        ("--metrics f2", "'f2'.*--metrics.*Known are"),
        ("--metrics top_5 --cost gaussian-nll", "the metric top_5 "),
        ("--order random", "'random'.*--order"),
        ("--decides evaluation-f1", "--decides needs a --patience or a --stop-at"),
    ],
)
def test_a_wrong_value_is_one_line(data, capsys, options, pattern):
    assert cli.main([*TRAIN, *options.split()]) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(rf"jaxnet: [^\n]*{pattern}[^\n]*\n", err), err
