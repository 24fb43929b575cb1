import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from jaxnet.cli import main as cli
from jaxnet.cli import sweep
from jaxnet.cli.saved_options import (
    CHANGEABLE,
    LATER_OPTIONS,
    OF_A_STUDY,
    resumed_options,
    resumed_sweep,
)
from jaxnet.cli.sweep import Sweep
from jaxnet.cli.train import OPTIONS_OF_A_CALL, Train
from jaxnet.training import checkpoints

RUN = dataclasses.asdict(
    Train(
        sizes=(2, 3, 2), hidden=("relu",), cost="cross-entropy", optimizer="adam", seed=3,
        epochs=40, batch_size=7,
        l2=None, hyper=("b1=0.5",), reduce_on_plateau=True, patience=3, data="mnist", name="x",
        evaluate_on=("evaluation",), monitors=("dead",), tensorboard=True,
    )
) | {"runs": "runs"}  # fmt: skip
SETTINGS = {name: value for name, value in RUN.items() if name not in OPTIONS_OF_A_CALL}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, SETTINGS)
    (tmp_path / checkpoints.FILE).touch()
    return tmp_path


def write(folder: Path, settings: object) -> None:
    (folder / "config.json").write_text(json.dumps({"settings": settings}))


def test_options_that_are_not_given_are_those_of_the_run(folder):
    options = resumed_options(folder, [])
    assert dataclasses.asdict(options) | {"runs": "runs"} == RUN


@pytest.mark.parametrize(
    "args",
    ["--epochs 30", "--epochs=30", "--time-budget 5", "--no-tensorboard", "--checkpoint-every 1"],
)
def test_options_that_may_differ_are_those_of_the_call_even_at_their_defaults(folder, args):
    name = args.split("=")[0].split()[0].removeprefix("--").removeprefix("no-").replace("-", "_")
    options = resumed_options(folder, args.split())
    expected = {"epochs": 30, "time_budget": 5, "tensorboard": False, "checkpoint_every": 1}[name]
    assert getattr(options, name) == expected
    assert dataclasses.replace(options, **{name: RUN[name]}) == resumed_options(folder, [])


@pytest.mark.parametrize(
    "args",
    ["--seed 0", "--seed=0", "--optimizer sgd", "--l2 5", "--l2=5.0", "--batch_size 10",
     "--hidden sigmoid", "--no-reduce-on-plateau", "--patience None", "--hyper", "--name=",
     "--data digits", "--evaluate-on evaluation training", "--monitors", "--runs elsewhere"],
)  # fmt: skip
def test_an_option_that_was_given_and_differs_is_refused_by_name(folder, args):
    """Each of these values but the last two is the option's default."""
    name = args.split("=")[0].split()[0].replace("--no-", "--").replace("_", "-")
    with pytest.raises(ValueError, match=rf"^{name} was .* and is .*: that would be another run"):
        resumed_options(folder, args.split())


def test_every_option_with_the_value_it_had_is_accepted(folder):
    for name, value in SETTINGS.items():
        values = list(map(str, value)) if isinstance(value, tuple) else [str(value)]
        flag = f"--{name.replace('_', '-')}"
        args = [flag] if value is True else [flag, *values]
        assert resumed_options(folder, args) == resumed_options(folder, []), name


def test_data_may_lie_elsewhere_if_a_checkpoint_tells_that_it_is_the_same(folder):
    write(folder, SETTINGS | {"data": "gone/d.npz"})
    with pytest.raises(ValueError, match=r"data, gone/d\.npz, does not exist; name its new place"):
        resumed_options(folder, [])
    (folder / "d.npz").touch()
    assert resumed_options(folder, ["--data", "d.npz"]).data == "d.npz"
    (folder / checkpoints.FILE).unlink()
    with pytest.raises(ValueError, match=r"--data was 'gone/d\.npz' and is 'd\.npz'"):
        resumed_options(folder, ["--data", "d.npz"])


DAMAGE = {
    "optimizer": ("sgdd", "optimizer is 'sgdd', and known are sgd, momentum, "),
    "hidden": (["relu", 1], "hidden is 1, and known are sigmoid"),
    "schedule": ("triangle", "schedule is 'triangle', and known are constant, "),
    "sizes": ("2-3-2", "sizes is '2-3-2', and must be a list"),
    "l2": ("5", "l2 is '5', and must be a number"),
    "l1": (True, "l1 is True, and must be a number"),
    "dropout": (2, "dropout must be a number in [0, 1), not 2"),
    "epochs": (2.5, "epochs is 2.5, and must be a whole number"),
    "seed": (None, "seed is None, and must be a whole number"),
    "tensorboard": (1, "tensorboard is 1, and must be true or false"),
    "runs": (None, "runs is None, and must be a string"),
    "data": ({"a": 1}, "data is {'a': 1}, and must be a string"),
    "hyper": (["b1"], "--hyper must be NAME=NUMBER"),
    "learning_rate": (10**400, "int too large to convert to float"),
    "colour": ("red", "'colour' is not an option of this version, whose options are sizes, "),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_value_is_one_line_that_names_file_key_and_value(folder, capsys, name):
    value, message = DAMAGE[name]
    write(folder, SETTINGS | {name: value})
    assert cli.main(["train", "--resume", str(folder)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(
        f"jaxnet: {folder}/config.json is not the config.json of a run: {message}"
    )
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", LATER_OPTIONS)
def test_a_file_from_before_an_option_existed_has_its_default(folder, name):
    write(folder, {key: value for key, value in SETTINGS.items() if key != name})
    assert getattr(resumed_options(folder, []), name) == getattr(Train(), name)


@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in LATER_OPTIONS])
def test_a_missing_value_is_refused(folder, name):
    write(folder, {key: value for key, value in SETTINGS.items() if key != name})
    with pytest.raises(ValueError, match=f"its settings lack {name}"):
        resumed_options(folder, [])


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", "null", '{"settings": []}', "[" * 100_000, '{"settings": 1}']
)
def test_a_file_that_is_no_config_is_refused(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config\.json is "):
        resumed_options(folder, [])


def test_options_that_may_differ_exist():
    assert set(CHANGEABLE) - set(OPTIONS_OF_A_CALL) <= set(RUN)


def test_a_run_goes_on_from_another_folder(tmp_path, monkeypatch, capsys):
    """--data is kept with its whole path."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    x, y = random.random((12, 2), np.float32), np.arange(12) % 2
    np.savez("d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    command = "train --data d.npz --sizes 2 3 2 --epochs 1 --optimizer adam --seed 3"
    assert cli.main(command.split()) == 0
    (run,) = (tmp_path / "runs").iterdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume = ["train", "--resume", str(run)]
    assert cli.main([*resume, "--seed", "0"]) == 2
    assert "--seed was 3 and is 0" in capsys.readouterr().err
    assert cli.main([*resume, "--epochs", "30"]) == 0  # 30 is the default
    assert "30 epochs; this took" in capsys.readouterr().out
    assert json.loads((run / "config.json").read_bytes())["settings"]["epochs"] == 30


@pytest.mark.parametrize("target", [None, 0.9])
def test_a_file_from_before_tables_says_target_for_stop_at(folder, target):
    older = {key: value for key, value in SETTINGS.items() if key not in ("stop_at", "target")}
    write(folder, older | {"target": target})
    options = resumed_options(folder, [])
    assert (options.stop_at, options.target) == (target, "")


def test_a_file_without_sizes_is_refused(folder, capsys):
    write(folder, SETTINGS | {"sizes": []})
    assert cli.main(["train", "--resume", str(folder)]) == 2
    assert "its settings lack the sizes or the cost of the network" in capsys.readouterr().err


# --- The options of a sweep, of which --folder names the study -----------------------------------

STUDY = Sweep(
    data="digits", hidden_sizes=(12,), optimizer="adam", vary=("learning_rate=0.01,0.1",), l2=None,
    seeds=3, epochs=20, batch_size=32, metrics=("f1",), successive_halving=3.0,
)  # fmt: skip


def as_typed(*args: str) -> list[str]:
    """A call of which the folder is that of the study."""
    return ["--folder", "study", *args]


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    sweep.write_options(tmp_path / "study", STUDY)
    return Path("study")


def test_options_of_a_study_that_are_not_typed_are_as_they_were(study):
    resumed = resumed_sweep(study, as_typed())
    assert resumed == dataclasses.replace(STUDY, folder=study)
    resumed = cli._parse(["sweep", *as_typed("--epochs", "10", "--seeds=4", "--watch")])
    changes = {"epochs": 10, "seeds": 4, "watch": (), "folder": study}  # 10 and 4 are defaults
    assert resumed == dataclasses.replace(STUDY, **changes)


def test_a_new_folder_and_one_of_another_caller_have_no_options(study, tmp_path):
    assert resumed_sweep(None, []) is None
    assert resumed_sweep(tmp_path / "new", as_typed()) is None
    (study / sweep.OPTIONS_FILE).unlink()
    assert resumed_sweep(study, as_typed()) is None


@pytest.mark.parametrize(
    "args",
    ["--data mnist", "--order sequential", "--metrics", "--select-by cost", "--evaluate-training",
     "--class-weight balanced", "--target ill", "--drop a", "--groups g", "--categories c",
     "--task regression"],
)  # fmt: skip
def test_an_option_that_contradicts_the_study_is_refused_by_name(study, capsys, args):
    assert args.split()[0].removeprefix("--").replace("-", "_") in OF_A_STUDY
    assert cli.main(["sweep", *as_typed(*args.split())]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"jaxnet: {args.split()[0]} of the study in study was ")
    assert message.endswith(
        ": that would be another study; leave it out, or name another folder.\n"
    )


def test_what_is_lost_is_judged_by_what_the_study_varies(study, capsys):
    sweep.write_options(study, dataclasses.replace(STUDY, vary=("l2=0,1",)))
    assert cli._parse(["sweep", *as_typed("--learning-rate", "0.1")]).learning_rate == 0.1
    assert cli.main(["sweep", *as_typed("--l2", "5")]) == 2
    assert "--vary names l2, so that --l2 would be lost" in capsys.readouterr().err


def test_sizes_that_are_typed_take_the_place_of_those_of_the_study(study):
    assert resumed_sweep(study, as_typed("--sizes", "64", "5", "10")).hidden_sizes == ()
    sweep.write_options(study, dataclasses.replace(STUDY, hidden_sizes=(), sizes=(64, 9, 10)))
    assert resumed_sweep(study, as_typed("--hidden-sizes", "7")).sizes == ()


def test_options_of_a_table_are_those_that_its_defaults_were(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = cli._parse(["sweep", "--data", "a.csv", "--target", "ill", "--folder", "study"])
    (tmp_path / "study").mkdir()
    sweep.write_options(tmp_path / "study", before)
    (tmp_path / "a.csv").touch()
    after = cli._parse(["sweep", "--folder", "study"])
    assert after == dataclasses.replace(before, data=str(tmp_path / "a.csv"))
    assert after.optimizer == "adamw"
    (tmp_path / "a.csv").unlink()
    with pytest.raises(ValueError, match=r"a\.csv, does not exist; name its new place"):
        resumed_sweep(Path("study"), [])


@pytest.mark.parametrize("content", ["", "[]", '{"settings": 1}', '{"settings": {"seeds": 2}}'])
def test_a_damaged_file_of_a_study_is_one_line(study, capsys, content):
    (study / sweep.OPTIONS_FILE).write_text(content)
    assert cli.main(["sweep", *as_typed()]) == 2
    message = capsys.readouterr().err
    assert message.startswith("jaxnet: study/sweep.json is ")
    assert message.count("\n") == 1
