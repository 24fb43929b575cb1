import dataclasses
import json
import re
import signal
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import jaxnet as jn
from jaxnet.cli import console
from jaxnet.cli import main as cli
from jaxnet.core.registry import Registry
from jaxnet.training import devices
from jaxnet.training.run import EpochReport
from tests.support.command_line import with_options

SMALL = ["--data", "digits", "--sizes", "64", "12", "10", "--epochs", "3", "--l2", "0.1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(capsys, *args):
    status = cli.main(list(args))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_train_prints_and_writes_what_it_says(here, capsys):
    status, out, err = _run(capsys, "train", *SMALL, "--name", "try-1")
    assert (status, err) == (0, "")
    assert "[64, 12, 10] sigmoid, CrossEntropy()\nsgd(learning_rate=0.5), l2=0.1, batch 10" in out
    assert "digits: 1,197 training, 300 validation, 300 test examples" in out
    assert out.count("examples/s") == 2
    (folder,) = (here / "runs").iterdir()
    assert folder.name.endswith("-try-1")
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.safetensors",
        "config.json",
        "confusion.csv",
        "curves.png",
        "history.csv",
        "network.json",
        "network.safetensors",
        "report.json",
        "report.txt",
        "run.html",
    ]
    assert f"Open {folder.relative_to(here) / 'run.html'} in a browser" in out
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"]["epochs"] == 3
    assert config["versions"]["jax"] == jax.__version__
    assert config["data_sha256"] == jn.datasets.sha256(jn.datasets.digits())
    assert config["recipe"] == {"optimizer": "sgd", "learning_rate": 0.5, "l2": 0.1}

    # What is printed and written is what an independent run with the same settings gives.
    net, data = jn.Network((64, 12, 10)), jn.datasets.digits()
    run = jn.train(net, data, jn.Recipe(jn.sgd(0.5), l2=0.1), epochs=3)
    saved, params = jn.load(folder / "network.safetensors")
    assert saved == net
    assert np.array_equal(params[0].w, run.best_params[0].w)
    assert np.array_equal(jn.load(folder / "network.json")[1][0].w, params[0].w)
    rows = np.genfromtxt(folder / "history.csv", delimiter=",", names=True, dtype=None)
    assert rows["evaluation_accuracy"].astype(np.float32).tolist() == (
        run.history.evaluation_accuracy.tolist()
    )
    test = jn.evaluate(net, run.best_params, data.test, l2=0.1)
    assert config["results"]["best"]["test_accuracy"] == pytest.approx(float(test.accuracy))
    assert f"{float(test.accuracy):.2%}" in out
    report = run.report(data.test, valid=data.valid)
    assert (folder / "report.txt").read_text() == f"{report}\n"
    assert json.loads((folder / "report.json").read_text()) == report.to_dict()


def test_without_scikit_learn_there_is_no_report(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    train, _, test = jn.datasets.xor(n=40)
    np.savez(here / "xor.npz", x_train=train.x, y_train=train.y, x_test=test.x, y_test=test.y)
    options = "--data xor.npz --sizes 2 4 2 --epochs 1".split()
    status, out, err = _run(capsys, "train", *options)
    assert (status, err) == (0, "")
    assert "No report.txt: report needs scikit-learn: pip install scikit-learn.\n" in out
    assert not list(here.glob("runs/*/report*"))


def test_any_number_of_an_optimizer_can_be_set(here, capsys):
    options = "--optimizer rmsprop --hyper momentum=0.5 centered=true --learning-rate 0.01".split()
    status, out, _ = _run(capsys, "train", *SMALL, *options)
    assert status == 0
    assert "rmsprop(learning_rate=0.01, decay=0.9, eps=1e-08, momentum=0.5)" in out


def test_the_same_seed_gives_the_same_files(here, capsys):
    for _ in range(2):
        assert _run(capsys, "train", *SMALL, "--name", "same")[0] == 0
    first, two = sorted((here / "runs").iterdir())
    for name in ("network.json", "network.safetensors", "history.csv"):
        assert (first / name).read_bytes() == (two / name).read_bytes()


def test_every_option_reaches_the_run(here, capsys):
    status, out, err = _run(
        capsys,
        *[
            "train",
            "--data",
            "digits",
            "--sizes",
            "64",
            "8",
            "6",
            "10",
            "--hidden",
            "relu",
            "tanh",
            "--cost",
            "log-likelihood",
        ],
        *[
            "--temperature",
            "2",
            "--init",
            "gaussian",
            "--std",
            "0.2",
            "--optimizer",
            "adamw",
            "--learning-rate",
            "1e-3",
        ],
        *[
            "--b1",
            "0.8",
            "--weight-decay",
            "0.01",
            "--l2",
            "None",
            "--l1",
            "0.5",
            "--batch-size",
            "32",
            "--epochs",
            "1",
        ],
        *"--seed 4 --evaluate-on evaluation --runs elsewhere".split(),
    )
    assert (status, err) == (0, "")
    assert "[64, 8, 6, 10] relu tanh, LogLikelihood(temperature=2.0)\nadamw(" in out
    assert "adamw(learning_rate=0.001, b1=0.8, b2=0.999, eps=1e-08, weight_decay=0.01)" in out
    assert "l1=0.5, batch 32, seed 4" in out
    assert "training accuracy" not in out
    (folder,) = (here / "elsewhere").iterdir()
    net, _ = jn.load(folder / "network.json")
    assert net.cost == jn.costs.LogLikelihood(2.0)
    assert net.init == jn.initializers.gaussian(0.2)
    assert net.activations == (jn.activations.relu, jn.activations.tanh)


def test_every_part_of_a_recipe_has_its_option():
    options = (
        "--l1 0.1 --dropout 0.5 --input-dropout 0.2 --max-norm 3 --label-smoothing 0.1 "
        "--shift 2 --rotation 10 --scaling 0.1 --elastic 30 --schedule one-cycle --epochs 20 "
        "--schedule-hyper start=0.1 --patience 4 --reduce-on-plateau --stop-at 0.99 "
        "--decides training-accuracy "
        "--monitors dead weight_norm --monitors-every 50"
    )
    command: Any = cli._parse(["train", *options.split()])
    expected = jn.Recipe(
        jn.sgd(0.5),
        l2=5.0,
        l1=0.1,
        dropout=0.5,
        input_dropout=0.2,
        max_norm=3,
        label_smoothing=0.1,
        augmentation=jn.Augmentation(2, 10, 0.1, 30),
        schedule=jn.schedules.one_cycle(20, warmup=6, start=0.1),
        stopping=jn.stopping.reduce_on_plateau(4, target=0.99, split="training"),
    )
    assert repr(command.recipe()) == repr(expected)
    assert command._monitors() == jn.Monitors(("dead", "weight_norm"), 50)
    patient: Any = cli._parse("train --patience 3 --decides evaluation-cost".split())
    assert repr(patient.recipe().stopping) == repr(jn.stopping.no_improvement_in(3, metric="cost"))


def test_a_run_that_stops_early_says_so_and_writes_what_it_measured(here, capsys):
    args = "--monitors weight_norm learning_rate --tensorboard --stop-at 0.5 --schedule cosine"
    status, out, err = _run(capsys, "train", *with_options(SMALL, "--epochs", "40", *args.split()))
    assert (status, err) == (0, "")
    assert re.search(r"\nStopped after epoch \d+: the evaluation accuracy has reached 0\.\d+", out)
    assert re.search(r"\nTest accuracy by class, best: 0: \d+\.\d%, 1: ", out)
    (folder,) = (here / "runs").iterdir()
    names = {path.name.split(".tfevents")[0] for path in folder.iterdir()}
    assert {"monitors.csv", "monitors.png", "confusion.csv", "events.out"} <= names | {"events.out"}
    assert list(folder.glob("events.out.tfevents.*"))
    header, *rows = (folder / "monitors.csv").read_text().splitlines()
    assert header == "step,weight_norm_1,weight_norm_2,learning_rate"
    epochs = len((folder / "history.csv").read_text().splitlines()) - 1
    assert len(rows) == epochs < 40
    confusion = np.loadtxt(folder / "confusion.csv", delimiter=",")
    assert confusion.shape == (10, 10)
    config = json.loads((folder / "config.json").read_text())
    score = confusion.trace() / confusion.sum()
    assert score == pytest.approx(config["results"]["best"]["test_accuracy"], abs=1e-6)
    assert config["settings"]["horizon"] == 40
    status, _, err = _run(capsys, "train", "--resume", str(folder), "--epochs", "50")
    assert status == 2
    assert "the schedule cosine(horizon=40 epochs, end=0) ends after 40 epochs, but the run" in err


def test_a_run_out_of_time_says_how_to_go_on(here, capsys):
    status, out, err = _run(
        capsys,
        "train",
        *with_options(
            SMALL, "--epochs", "100000", "--time-budget", "1", "--checkpoint-every", "50"
        ),
    )
    assert (status, err) == (0, "")
    assert "The time budget of 1 s ran out after epoch" in out
    assert re.search(r"Go on with jaxnet train --resume runs/\S+\n$", out)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("train --dropout 1", r"dropout must be a number in \[0, 1\), not 1"),
        ("train --l2 -1", r"l2 must be a number in \[0, inf\), not -1"),
        ("train --patience 0", r"patience must be a whole number in \[1, inf\), not 0"),
        ("train --schedule cosine --horizon 10", "ends after 10 epochs, but the run has 30"),
        ("train --schedule-hyper rate=1", "--schedule-hyper and --horizon need a --schedule"),
        ("train --schedule warmup --horizon 3", "warmup has no end, and takes no --horizon"),
        ("train --schedule cosine --schedule-hyper rate=1", "takes no rate; its numbers are horiz"),
        ("train --schedule triangle", "invalid choice 'triangle' for argument '--schedule'"),
        ("train --reduce-on-plateau", "--reduce-on-plateau needs a --patience"),
        ("train --decides training-cost", "--decides needs a --patience or a --stop-at"),
        ("train --monitors-every 5", "--monitors-every needs --monitors: what"),
        (
            "train --evaluate-on training --stop-at 0.9",
            'evaluation accuracy, but evaluate_on lacks "evaluation"',
        ),
        ("train --sizes 784 10 --dropout 0.5", "dropout is for hidden units"),
        ("train --hyper eps=1 eps=2", "--hyper names eps twice; give it one number"),
        (
            "train --optimizer adam --eps 1 --hyper eps=2",
            "eps is given by --hyper and by --eps; give it once",
        ),
        (
            "train --schedule exponential --schedule-hyper rate=0.9 rate=0.8",
            "--schedule-hyper names rate twice",
        ),
        (
            "train --learning-rate fast",
            r"^jaxnet: --learning-rate must be a number such as 0\.1, not fast\. See jaxnet train",
        ),
        (
            "train --learning_rate=0,1",
            r"^jaxnet: --learning-rate must be a number such as 0\.1, not 0,1\. See jaxnet train",
        ),
        (
            "train --epochs 2.5 --data xor",
            r"^jaxnet: --epochs must be a whole number such as 3, not 2\.5\. See jaxnet train",
        ),
        (
            "train --hidden-sizes 3 x",
            r"^jaxnet: --hidden-sizes must be whole numbers such as 30 20, not x\. See jaxnet",
        ),
        ("predict runs --test 0 a.png", r"not a\.png\. Files stand before the options: jaxnet pre"),
        (
            "train --data xor --stop-at 95",
            r"^jaxnet: --stop-at must be an accuracy in \[0, 1\], such as 0\.95 for 95%, not 95; ",
        ),
        (
            "train --data xor --hidden-sizes 4 0",
            "^jaxnet: --hidden-sizes must be positive.*not 4 0",
        ),
        (
            "train --lerning-rate 1",
            "Unrecognized options: --lerning-rate, 1. Perhaps you meant --l",
        ),
        ("trian", r"trian is not a command; did you mean train\? See jaxnet --help"),
        (
            "train --optimizer adm",
            r"'adm' for argument '--optimizer'; did you mean adam, ra.* Known",
        ),
        ("train --task regresion", r"'regresion' for argument '--task'; did you mean regression\?"),
        ("compare --tasks bok", r"bok is not a known task; did you mean book"),
        ("train --data digit", r"digit does not exist\. Did you mean digits\?"),
        ("train --sizes 784,30,10", r"Separate the values by spaces: 784 30 10, not 784"),
        (
            "train --lr 0.1",
            r"Unrecognized options: --lr, 0\.1\. Perhaps you meant --learning-rate\. ",
        ),
        ("train --hyper lr=1", "sgd takes no lr, but learning_rate; its numbers are learning_rate"),
        ("predict", "there is no folder runs of which the newest network would answer; train one"),
        ("train --stop-at 96", r"not 96; or choose --decides evaluation-cost\."),
        ("train --sizes 784 1", "or take --cost quadratic --output linear for a regression"),
        ("train --data one.npz --sizes 2 2", "start at 1: subtract 1 from them, or choose --sizes"),
        ("train --output linear", "cross-entropy takes no --output, since its outputs are sigmoid"),
        ("train --temperature 2", "cross-entropy takes no --temperature; log-likelihood does"),
        ("train --std 2", "--init default takes no --std; --init gaussian does"),
        ("predict empty --test 0", "the folder empty holds no network.safetensors"),
        ("train --data nowhere", "of labels and pixels; nowhere does not exist"),
        ("train --data file", "file is not a folder, nor one of these files: train-images-idx3-"),
        ("train --cost cubic", "invalid choice 'cubic' for argument '--cost'"),
        ("train --learning-rate -1", r"learning_rate must be a number in \[0, inf\), not -1"),
        ("train --decay 0.9", "sgd takes no decay; its numbers are learning_rate"),
        ("train --optimizer momentum --decay 1", r"decay must be a number in \[0, 1\), not 1"),
        ("train --optimizer adam --hyper rho=1", "adam takes no rho; its numbers are learning_r"),
        ("train --optimizer adadelta --hyper rho", "--hyper must be NAME=NUMBER.*not 'rho'"),
        ("train --sizes 784", "sizes must be two or more"),
        ("train --sizes 784 30 5", r"labels lie in \[0, 9\].*choose --sizes that end with 10"),
        ("train --sizes 100 10", "inputs have shape .*choose --sizes that begin with 784"),
        ("train --hidden relu tanh", "hidden names 2 activations, but sizes"),
        ("train --epochs 0", "epochs must be a whole number of at least 1, not 0"),
        ("train --batch-size 50001", r"batch_size must be in \[1, 50000\]"),
        ("train --seed -3", "seed must be a whole number in"),
        ("train --data nowhere", "--data must be mnist, digits, spirals, xor, a folder"),
        ("train --data gone.npz", "cannot read gone.npz: No such file"),
        ("train --name a/b", "--name must be made of letters"),
        (
            "train --runs file/below --data digits --sizes 64 10",
            "cannot write or read .*file/below.*: Not a directory",
        ),
        ("train --temperature 0 --cost log-likelihood", "temperature must be a positive number"),
        ("predict gone.json --test 0", "cannot read gone.json: No such file"),
        ("predict gone --test 0", "the folder gone does not exist; train a network first"),
        ("predict net.json", "nothing to classify: name image files, or rows with --test"),
        ("predict net.json --test 10000", r"--test must be in \[0, 9999\], not 10000"),
        (
            "predict net.json file",
            "file is not a readable picture: its format is none of PNG, JPEG, GIF, BMP and TIFF; ",
        ),
        ("predict net.json gone.png", "cannot read gone.png: No such file"),
        ("predict net.json empty", r"the folder empty holds no picture \(.png, "),
        ("predict net.json list.csv", "list.csv is not a list of pictures: it names no picture"),
        ("predict net.json short.csv", "short.csv has rows of 9 pixels, but the network takes 784"),
        ("predict net.json list.parquet", r"list.parquet is a table, but net.json reads pixels"),
        ("predict net.json words.npy", "words.npy: the inputs are strings, such as 'a'"),
        ("predict net.json large.npy", r"large.npy must hold uint8 pixels, or floats in \[0, 1\]"),
        ("predict net.json nan.npy", "nan.npy: row 0, column 0 of the inputs is nan; give finite"),
        ("predict net.json wide.npy", "wide.npy has 49×16 pixels, but the network takes 28×28"),
        ("predict net.json --test 0 --invert", "--invert is for image files"),
        (
            "predict net.json --data digits --test 0",
            "digits has 64 inputs, but the network ",
        ),
        ("train --sizes 784 9223372036854775808 10", "fewer than 2³¹"),
        ("check --seed -1", "seed must be a whole number of at least 0, not -1"),
        ("check --init he", "Unrecognized options: --init, he"),
        ("check --sizes 3", "sizes must be two or more"),
    ],
)
def test_a_bad_value_is_one_line_and_status_2(here, capsys, args, message):
    net = jn.Network((784, 10))
    jn.save("net.json", net, jn.init(net, jax.random.key(0)))
    (here / "file").write_text("not a picture")
    Image.new("L", (5, 7)).save(here / "small.png")
    np.save(here / "words.npy", np.array(["a"]))
    np.save(here / "large.npy", np.full((28, 28), 255.0))
    np.save(here / "nan.npy", np.full((28, 28), np.nan))
    np.save(here / "wide.npy", np.zeros((16, 49)))
    (here / "empty").mkdir()
    (here / "list.csv").write_text("a.doc\n")
    (here / "list.parquet").write_bytes(b"")
    header = ",".join(["label", *(f"pixel{k}" for k in range(9))])
    (here / "short.csv").write_text(f"{header}\n{','.join('1' * 10)}\n")
    np.savez(here / "one.npz", x_train=np.random.default_rng(0).random((6, 2)), y_train=[1, 2] * 3)
    status, out, err = _run(capsys, *args.split())
    assert status == 2
    assert out == ""
    assert err.startswith("jaxnet: ")
    assert err.count("\n") == 1
    assert re.search(message, err)
    assert not list(here.glob("runs/*"))


def test_a_run_that_diverges_at_once_leaves_nothing(here, capsys):
    args = "--hidden relu --cost quadratic --output linear --learning-rate 1e6".split()
    status, _, err = _run(capsys, "train", *SMALL, *args)
    assert status == 1
    assert err.startswith("jaxnet: training diverged in epoch 1: ")
    assert err.endswith("Nothing is written.\n")
    assert err.count("\n") == 1
    assert not (here / "runs").exists()


def test_a_run_that_diverges_later_is_written_as_far_as_it_went(here, capsys, monkeypatch):
    train = jn.train

    def diverging(*args, **options):
        run = train(*args, **options | {"epochs": 2})
        return dataclasses.replace(
            run, stopped="training diverged in epoch 3: …", ending="diverged"
        )

    monkeypatch.setattr("jaxnet.cli.train.train", diverging)
    status, out, err = _run(capsys, "train", *SMALL)
    assert (status, err) == (1, "jaxnet: training diverged in epoch 3: …\n")
    assert "2 epochs; this took" in out
    (folder,) = (here / "runs").iterdir()
    assert "diverged" in json.loads((folder / "config.json").read_text())["stopped"]
    assert len((folder / "history.csv").read_text().splitlines()) == 3
    jn.load(folder / "network.json")


def test_ctrl_c_ends_the_epoch_and_writes_the_run(here):
    """A signal to a real process, in the middle of a run too long to wait for."""
    # A shell's background job is deaf to it, and so are its children, unless they listen anew.
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from jaxnet.__main__ import main; sys.exit(main())"
    )
    command = with_options([sys.executable, "-c", script, "train", *SMALL], "--epochs", "100000")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch      3/"):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    (folder,) = (here / "runs").iterdir()
    resume = f"Go on with jaxnet train --resume runs/{folder.name}"
    assert re.fullmatch(rf"jaxnet: interrupted after epoch \d+ of 100000\. {resume}\n", err)
    n_epochs = int(re.search(r"after epoch (\d+)", err)[1])
    assert f"{n_epochs} epochs; this took" in out
    assert len((folder / "history.csv").read_text().splitlines()) == n_epochs + 1


def test_a_run_goes_on_to_the_bits_of_one_that_never_stopped(here, capsys, monkeypatch):
    assert _run(capsys, "train", *with_options(SMALL, "--epochs", "5", "--name", "whole"))[0] == 0
    train = jn.train
    killed = {"epochs": 2}
    monkeypatch.setattr("jaxnet.cli.train.train", lambda *args, **kw: train(*args, **kw | killed))
    assert _run(capsys, "train", *with_options(SMALL, "--epochs", "5", "--name", "broken"))[0] == 0
    monkeypatch.undo()
    monkeypatch.chdir(here)
    whole, broken = (next((here / "runs").glob(f"*-{name}")) for name in ("whole", "broken"))
    for path in set(broken.iterdir()) - {broken / "checkpoint.safetensors", broken / "config.json"}:
        path.unlink()  # as if it had been killed before it could write them
    status, _, err = _run(capsys, "train", "--resume", str(broken), "--seed", "4")
    assert status == 2
    assert "--seed was 0 and is 4: that would be another run" in err
    status, out, err = _run(capsys, "train", "--resume", str(broken))
    assert (status, err) == (0, "")
    assert "5 epochs; this took" in out
    for name in ("network.json", "network.safetensors", "history.csv"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes()
    before = {path.name: path.read_bytes() for path in broken.iterdir()}
    status, _, err = _run(capsys, "train", "--resume", str(broken), "--epochs", "4")
    assert (status, "epochs is 4, but" in err) == (2, True)
    assert before == {path.name: path.read_bytes() for path in broken.iterdir()}
    status, out, _ = _run(capsys, "train", "--resume", str(broken), "--epochs", "6")
    assert (status, "6 epochs; this took" in out) == (0, True)
    refusal = _run(capsys, "train", "--resume", "gone")[2]
    assert "cannot resume from gone: there is no such folder; name the folder of a run" in refusal
    refusal = _run(capsys, "train", "--resume", "runs")[2]
    assert "runs is a folder of runs; name one of them to resume, such as the newest, " in refusal
    assert refusal.endswith(f", {broken.relative_to(here)}.\n")


def test_a_run_killed_before_its_first_checkpoint_begins_anew_with_its_settings(here, capsys):
    assert _run(capsys, "train", *SMALL, "--seed", "3", "--name", "run")[0] == 0
    (folder,) = (here / "runs").iterdir()
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in set(folder.iterdir()) - {folder / "config.json"}:
        path.unlink()
    status, out, err = _run(capsys, "train", "--resume", str(folder))
    assert (status, err) == (0, "")
    assert f"{folder}/ holds no checkpoint yet: the run begins anew\n" in out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    (folder / "config.json").unlink()
    status, _, err = _run(capsys, "train", "--resume", str(folder))
    assert (status, err.count("\n"), "holds nothing to resume" in err) == (2, 1, True)


def test_the_newest_run_is_found_in_its_folder(here, capsys):
    for name in ("one", "two"):
        assert _run(capsys, "train", *with_options(SMALL, "--epochs", "1", "--name", name))[0] == 0
    for path in ("runs", str(max((here / "runs").iterdir(), key=lambda p: p.stat().st_mtime))):
        status, out, _ = _run(capsys, "predict", path, "--data", "digits", "--test", "0")
        assert (status, "need not add up" in out) == (0, True)


def test_predict_says_what_the_network_says(here, capsys):
    data = jn.datasets.mnist()
    net = jn.Network((784, 10), cost=jn.costs.LogLikelihood())
    run = jn.train(net, data, jn.Recipe(jn.sgd(0.1)), epochs=1, batch_size=100, evaluate_on=())
    jn.save("net.safetensors", net, run.params)
    image = data.test.x[0].reshape(28, 28)
    Image.fromarray(image).save(here / "white.png")
    Image.fromarray(255 - image).save(here / "black.png")
    Image.fromarray(image.astype(np.uint16) * 257).save(here / "deep.png")
    white = np.full_like(image, 255)
    Image.fromarray(np.stack([white, white, white, image], axis=-1)).save(here / "alpha.png")
    np.save(here / "pixels.npy", (image / 255).astype(">f8"))
    outputs = {}
    images = (["white.png"], ["black.png", "--invert"], ["pixels.npy"], ["deep.png"], ["alpha.png"])
    for args in (["--test", "0"], *images):
        status, out, err = _run(capsys, "predict", "net.safetensors", *args)
        assert (status, err) == (0, "")
        assert "Probability of each class" in out
        name = "test 0" if args[0] == "--test" else args[0]
        row = [line for line in out.splitlines() if name in line][-1]
        outputs[args[0]] = row.split()[-11:]
    expected = np.asarray(jn.predict(net, run.params, data.test.x[0]))
    cells = [str(expected.argmax()), *(f"{100 * a:.0f}" for a in expected)]
    assert outputs == dict.fromkeys(outputs, cells)


def test_check_prints_its_table_and_fails_on_a_wrong_gradient(capsys, monkeypatch):
    status, out, _ = _run(
        capsys, *["check", "--sizes", "6", "5", "4", "--hidden", "gelu", "--cost", "quadratic"]
    )
    assert status == 0
    assert "layer 2 w (5, 4)" in out
    assert "the gradient is right" in out
    wrong = jn.activations.Elementwise("gelu", jax.numpy.tanh, jax.numpy.tanh)
    changed = Registry("activation", {**jn.activations.NAMED, "gelu": wrong})
    monkeypatch.setattr(jn.activations, "NAMED", changed)
    status, out, err = _run(capsys, *["check", "--sizes", "6", "5", "4", "--hidden", "gelu"])
    assert status == 1
    assert "layer 1 w (6, 5)" in err
    assert "layer 2" not in err


def test_a_bar_moves_on_a_terminal(capsys):
    out = Console(force_terminal=True, width=80)
    with console.progress(out, 2, 1000) as on_epoch:
        on_epoch(EpochReport(1, 2, 0.5, 0.9, 0.4, 0.92, 0.5, 1, 0.5, (), {}))
        on_epoch(EpochReport(2, 2, 0.6, 0.8, 0.3, 0.93, 0.5, 1, 1.0, (), {}))
    out = capsys.readouterr().out
    assert "epoch 2/2" in out
    assert "validation 80.00%" in out
    assert "best 90.00%" in out
    assert "2,000 examples/s" in out


def test_help_reads_like_a_manual_and_lists_every_option(capsys):
    for args in (["--help"], ["train", "--help"], ["predict", "--help"], ["check", "--help"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(args)
        assert stop.value.code == 0
        out = capsys.readouterr().out
        if args[0] == "train":
            assert all(f"--{flag}" in out for flag in ("learning-rate", "l2", "hidden", "sizes"))
        assert "usage: jaxnet" in out


def test_without_its_extras_the_command_says_what_to_install():
    script = (
        "import sys; sys.modules['tyro'] = None; from jaxnet.__main__ import main; sys.exit(main())"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr == "jaxnet: the command line needs tyro: pip install 'jaxnet-mlp[cli]'\n"


def test_python_m_jaxnet_is_the_command(here):
    command = [sys.executable, "-m", "jaxnet", "train", "--epochs", "nought"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr.count("\n") == 1


def test_predict_refuses_a_network_whose_outputs_are_nan(here, capsys):
    net = jn.Network((64, 10), jn.activations.relu)
    (layer,) = jn.init(net, jax.random.key(0))
    jn.save("net.safetensors", net, (layer._replace(b=np.nan * layer.b),))
    status, out, err = _run(capsys, "predict", "net.safetensors", "--data", "digits", "--test", "3")
    assert (status, out) == (2, "")
    assert err.startswith("jaxnet: output 0 of the network for test 3 is nan")


def test_the_table_shows_the_costs_that_choose_the_best_epoch(here, capsys, monkeypatch):
    """Those without penalties, of all three sets; sweep's best.json calls them the same."""
    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)  # JAX has begun in this process
    random = np.random.default_rng(0)
    x, y = random.random((40, 2)), random.random((40, 1))
    np.savez(here / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    regression = "--data data.npz --sizes 2 3 1 --cost quadratic --output linear --epochs 3 --l2 9"
    assert cli.main(["train", *regression.split(), "--learning-rate", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "Costs are without penalties" in out
    (report,) = here.glob("runs/*/report.txt")
    assert report.read_text().startswith("target       bias       RMSE")
    (config,) = here.glob("runs/*/config.json")
    results = json.loads(config.read_text())["results"]
    for kind, label in (("evaluation", "validation"), ("training", "training"), ("test", "test")):
        best, last = (results[name][f"{kind}_data_cost"] for name in ("best", "last"))
        assert re.search(rf"{label} cost +{best:.4f} +{last:.4f}", out)
        assert best < results["best"][f"{kind}_cost"]
    net, params = jn.load(config.parent / "network.safetensors")
    split = jn.Split(x, y)
    measured = [float(jn.evaluate(net, params, split, l2=l2).cost) for l2 in (9.0, None)]
    best = results["best"]
    assert [best["test_cost"], best["test_data_cost"]] == pytest.approx(measured)
    options = ["--vary", "learning_rate=0.1", "--seeds", "1", "--folder", "study"]
    assert cli.main(["sweep", *regression.split(), *options]) == 0
    best_of_sweep = json.loads((here / "study" / "best.json").read_text())
    assert best_of_sweep["test_data_cost"] == pytest.approx(best["test_data_cost"], rel=1e-3)
    assert best_of_sweep["test_cost"] == pytest.approx(best["test_cost"], rel=1e-3)


def test_a_page_that_cannot_be_written_costs_no_results(here, monkeypatch, capsys):
    from jaxnet.reporting import run_page

    def fail(*_, **__):
        raise ValueError("it is no picture.")

    monkeypatch.setattr(run_page, "write", fail)
    options = ["--data", "xor", "--sizes", "2", "2", "2", "--epochs", "1"]
    status, out, err = _run(capsys, "train", *options)
    assert status == 0
    assert "run.html could not be written: it is no picture" in err
    assert "validation accuracy" in out
    assert "Open " not in out
