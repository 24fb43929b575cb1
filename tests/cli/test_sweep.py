import contextlib
import csv
import json
import re
import subprocess
import sys

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.cli import console
from jaxnet.cli import main as cli
from jaxnet.sweeps import _sweep, chunk_sizes, executors
from jaxnet.training import devices
from tests.support.command_line import with_options

SMALL = ["sweep", "--data", "digits", "--sizes", "64", "12", "10", "--epochs", "2", "--seeds", "2"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)  # JAX has begun in this process
    return tmp_path


def test_a_sweep_prints_the_best_recipes_writes_them_and_goes_on(here, capsys):
    vary = ["--vary", "learning_rate=0.1:1:2", "l2=0,1", "--folder", "found"]
    command = [sys.executable, "-m", "jaxnet", *SMALL, *vary]
    out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=here).stdout
    assert "8 networks × 2 epochs: " in out
    assert "4 networks [64, 12, 10]" in " ".join(out.split())  # the line is wrapped
    assert "Next: jaxnet predict found --data digits --test 0 1 2 3" in out
    with open(here / "found" / "study.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 2 * 2
    assert {row["learning_rate"] for row in rows} == {"0.10000000149011612", "1.0"}
    assert "open found/study.html in a browser" in out
    assert "Choose recipe" in (here / "found" / "study.html").read_text()
    assert (here / "found" / "sweep.png").read_bytes().startswith(b"\x89PNG")
    best = json.loads((here / "found" / "best.json").read_text())
    assert best["test_accuracy"] > 0.5
    _check_best(rows, best, out)
    net, params = jn.load(here / "found" / "network.safetensors")
    accuracy = jn.evaluate(net, params, jn.datasets.digits().valid).accuracy
    assert float(accuracy) == pytest.approx(best["score"], abs=1e-3)  # another program's rounding

    assert cli.main([*SMALL, *vary]) == 0
    assert "nothing is missing" in capsys.readouterr().out
    assert cli.main(["predict", "found", "--data", "digits", "--test", "0"]) == 0
    assert "Output of each class" in capsys.readouterr().out


def _check_best(rows, best, out):
    """The recipe with the highest mean of its seeds' best accuracies; the lower of two seeds."""
    scores = {}
    for row in rows:
        lane = int(row["recipe"]), int(row["seed"])
        scores[lane] = max(scores.get(lane, 0.0), float(row["evaluation_accuracy"]))
    recipe = max(range(4), key=lambda recipe: scores[recipe, 0] + scores[recipe, 1])
    seed = min((0, 1), key=lambda seed: scores[recipe, seed])
    assert (best["recipe"], best["seed"], best["seeds"]) == (recipe, seed, 2)
    assert best["score"] == pytest.approx(scores[recipe, seed])
    first = next(row for row in rows if int(row["recipe"]) == recipe)
    rate, l2 = float(first["learning_rate"]), float(first["l2"])
    assert (best["learning_rate"], best["l2"]) == pytest.approx((rate, l2))
    sentence = (
        f"Saved the network of recipe {recipe} (learning_rate {rate:.4g}, "
        f"l2 {l2:.4g}): seed {seed}, the median of 2 seeds, after its best epoch, {best['epoch']}. "
        "On the test set, which had no part in the choice, it has an accuracy of "
        f"{best['test_accuracy']:.2%}."
    )
    assert sentence in out


def test_a_sample_with_halving(here, capsys):
    options = [
        "--vary",
        "learning_rate=0.01:1",
        "init_scale=0.5:2",
        "--sample",
        "4",
        "--successive-halving",
        "2",
    ]
    assert cli.main(with_options(SMALL, *options)) == 0
    out = capsys.readouterr().out
    assert "25% saved by stopping early" in out  # two of four recipes after one of two epochs


def test_ctrl_c_ends_with_its_own_status_and_says_how_to_go_on(here, capsys, monkeypatch):
    monkeypatch.setattr(_sweep, "interruptible", lambda: contextlib.nullcontext([2]))
    assert cli.main([*SMALL, "--vary", "learning_rate=0.1,1", "--folder", "found"]) == 130
    captured = capsys.readouterr()
    assert captured.err == (
        "jaxnet: interrupted: none of 4 networks has had an epoch; jaxnet sweep --folder found "
        "goes on.\n"
    )
    assert "4 networks, " not in captured.out
    monkeypatch.undo()
    monkeypatch.chdir(here)
    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)
    assert cli.main(["sweep", "--folder", "found"]) == 0
    assert "4 networks, 8 epochs in all" in capsys.readouterr().out
    assert (here / "found" / "best.json").exists()


def test_ctrl_c_in_the_middle_says_what_there_is_and_best_json_names_its_seeds(
    here, capsys, monkeypatch
):
    monkeypatch.setattr(executors, "REPORT_SECONDS", 0.001)
    monkeypatch.setattr(chunk_sizes, "most_lanes", lambda *_: 2)  # a seed's two recipes
    print_lines = console.sweeping

    @contextlib.contextmanager
    def press_ctrl_c(out):
        with print_lines(out) as move:

            def on_progress(report):
                move(report)
                if report.trained:
                    raise KeyboardInterrupt

            yield on_progress

    monkeypatch.setattr(console, "sweeping", press_ctrl_c)
    options = ["--vary", "learning_rate=0.1,1", "--epochs", "4000", "--folder", "found"]
    assert cli.main(with_options(SMALL, *options)) == 130
    captured = capsys.readouterr()
    pattern = (
        r"interrupted: 2 of 4 networks have begun \(1 of 2 seeds\), with .*\d of 4,000 epochs; "
    )
    assert re.search(pattern, captured.err)
    assert "warning" not in captured.err
    assert "done 4 of 4" not in captured.out
    best = json.loads((here / "found" / "best.json").read_text())
    assert (best["seed"], best["seeds"]) == (0, 1)
    assert best["interrupted"].startswith("2 of 4 networks have begun")
    assert "the median of" not in captured.out


def test_a_second_sweep_in_a_folder_says_what_else_the_folder_holds(here, capsys):
    options = ["--vary", "learning_rate=0.1,1", "--folder", "found"]
    assert cli.main([*SMALL, *options]) == 0
    assert "also holds" not in capsys.readouterr().out
    assert cli.main([*SMALL, *options, "--hidden", "tanh"]) == 0
    assert (
        "The folder also holds 4 networks of earlier calls with other settings or seeds: "
        "study.csv, study.html, sweep.png, best.json and the network are of this call."
    ) in capsys.readouterr().out
    with open(here / "found" / "study.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * 2 * 2


def test_a_sweep_of_which_nothing_is_left_fails(here, capsys):
    options = ["--vary", "learning_rate=1e38", "--hidden", "relu", "--cost", "quadratic"]
    assert cli.main([*SMALL, *options, "--output", "linear"]) == 1
    assert "all networks diverged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vary", "learning_rate=a"], "--vary must be NAME=A,B,C or NAME=LOW:HIGH:COUNT"),
        (["--vary", "learning_rate=-1:1:3"], "--vary must be NAME=A,B,C or NAME=LOW:HIGH:COUNT"),
        (["--vary", "learning_rate=1,2", "--sample", "4"], "--vary must be NAME=LOW:HIGH with"),
        (["--vary", "lr=1,2"], "lr is not a number of this recipe, but learning_rate is; its"),
        (["--vary", "speed=1,2"], "speed is not a number of this recipe"),
        (["--vary", "decay=0.5"], "decay is not a number of this recipe"),
        (["--vary"], "a sweep needs something to --vary"),
        (
            ["--vary", "learning_rate=1,2", "--learning-rate", "3"],
            "--vary names learning_rate, so that --learning-rate would be lost; leave it out",
        ),
        (
            ["--optimizer", "adagrad", "--hyper", "eps=1", "--vary", "eps=1,2"],
            "so that eps in --hyper would be lost",
        ),
        (  # at its default, too
            ["--vary", "l2=0,1", "--l2", "5"],
            "--vary names l2, so that --l2 would be lost; leave it out",
        ),
        (["--vary", "l2=0,1", "l2=2"], "--vary names l2 twice; give all its values at once"),
        (
            ["--successive-halving", "1.5"],
            "--successive-halving must be a whole number of at least 2",
        ),
        (["--seeds", "0"], "seeds must be a whole number of at least 1"),
        (["--patience", "3", "--decides", "training-accuracy"], 'evaluate_on lacks "training"'),
    ],
)
def test_a_bad_call_is_one_line(here, capsys, options, message):
    assert cli.main(with_options(SMALL, *options)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (here / "studies").exists()


def test_regression_without_a_validation_set(here, capsys):
    """The training set ranks the recipes; an accuracy that does not exist is no NaN in JSON."""
    random = np.random.default_rng(0)
    x, y = random.random((5, 2)), random.random((5, 1))  # of 5 examples none is held out
    np.savez(here / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    command = "sweep --data data.npz --sizes 2 3 1 --cost quadratic --output linear --epochs 2"
    options = "--batch-size 2 --seeds 2 --vary learning_rate=0.01,0.1 --folder study"
    assert cli.main(f"{command} {options}".split()) == 0
    out = capsys.readouterr().out
    assert "There is no validation set: the training set ranks the recipes." in out
    assert "On the test set, which had no part in the choice, it has a cost of 0." in out
    best = json.loads((here / "study" / "best.json").read_text())
    assert best["test_accuracy"] is None
    assert 0 < best["test_data_cost"] < best["test_cost"] < 1
    printed = re.search(r"it has a cost of (0\.\d+)", out)
    assert printed
    assert float(printed[1]) == pytest.approx(best["test_data_cost"], rel=1e-3)


def test_a_folder_of_runs_is_not_taken_over(here, capsys):
    (here / "runs" / "first").mkdir(parents=True)
    assert cli.main([*SMALL, "--vary", "learning_rate=0.1,1", "--folder", "runs"]) == 2
    assert capsys.readouterr().err == (
        "jaxnet: --folder runs holds first and no study; name a new folder, such as runs/study, or "
        "that of an earlier sweep.\n"
    )
    assert [path.name for path in (here / "runs").iterdir()] == ["first"]
