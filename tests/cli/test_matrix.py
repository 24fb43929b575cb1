"""Every command in every situation: each cell of the tables has an expectation.

A refusal is always a status of 2 and one line on standard error that names what is wrong.
"""

import contextlib
import dataclasses
import io
import json
import os
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import data_files
import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.cli import main as cli
from jaxnet.data import file_sets
from jaxnet.training import devices
from tests.support.command_line import with_options

COMMANDS = {
    "train": "train --data data.npz --sizes 4 3 2 --epochs 1 --batch-size 4",
    "sweep": "sweep --data data.npz --sizes 4 3 2 --epochs 1 --batch-size 4 --seeds 1 "
    "--vary learning_rate=0.1,0.2 --folder study",
    "compare": "compare --data data.npz --sizes 4 3 2 --epochs 1 --batch-size 4 --tier defaults "
    "--optimizers sgd momentum --quick --seeds 2 --tuning-seeds 1 --name small",
    "predict": "predict net.json --data data.npz --test 0",
    "plot": "plot drawn --format png",
    "check": "check --sizes 4 3 2",
    "demo": "demo neuron --output page.html",
}
"""A small call of each command."""


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Iterator[None]:
    """A folder with a space in its name, a network, and data sets; it is the working directory."""
    folder = tmp_path_factory.mktemp("my data")
    random = np.random.default_rng(0)
    x = random.random((24, 4), np.float32)
    labels, targets = np.arange(24) % 2, random.random((24, 2), np.float32)
    nothing = np.zeros(24, int)
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "use_all_cores", lambda: 1)  # JAX has begun in this process
        for name, y in (("data", labels), ("regression", targets), ("one class", nothing)):
            splits = {
                f"{a}_{s}": v for s in ("train", "valid", "test") for a, v in (("x", x), ("y", y))
            }
            np.savez(f"{name}.npz", **splits)
        np.savez("no-valid.npz", x_train=x[:5], y_train=labels[:5], x_test=x, y_test=labels)
        write_letters()
        Path("drawn").mkdir()
        history = "epoch,evaluation_cost,evaluation_accuracy,training_cost,training_accuracy\n"
        Path("drawn", "history.csv").write_text(f"{history}1,0.5,0.9,0.4,0.95\n")
        net = jn.Network((4, 3, 2))
        jn.save("net.json", net, jn.init(net, jax.random.key(0)))
        for name in ("config", "study", "manifest"):
            os.mkdir(name)
        for path in ("config/config.json", "study/study.json", "manifest/manifest.json"):
            with open(path, "w") as file:
                file.write('{"settings": ')
        os.mkdir("blocked")
        os.mkdir("blocked/study.json")
        with open("broken.json", "w") as file:
            file.write('{"sizes": [4,')
        yield


def write_letters() -> None:
    """Folders of EMNIST's files, with images of 3×3 pixels: whole ones, and one that was cut."""
    letters = next(each for each in file_sets.EMNIST if each.part == "letters")
    x, y = [data_files.images(24, 3)] * 2, [np.arange(24) % 5] * 2
    contents = data_files.contents_of(letters, x, y)
    cut = contents[letters.files[1]][:-3]
    for folder, changes in (("letters", {}), ("cut", {letters.files[1]: cut})):
        os.mkdir(folder)
        data_files.write_files(Path(folder), contents | changes, ".gz")


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


def run(*args: str, encoding: str = "utf-8") -> Ended:
    """A command in this process, with streams of an encoding that are no terminals."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main(args)
        except SystemExit as stop:  # of --help
            status = int(stop.code or 0)
    for stream in (out, err):
        stream.flush()
    return Ended(status, *(s.buffer.getvalue().decode(encoding) for s in (out, err)))


def assert_refused(ended: Ended, pattern: str) -> None:
    assert ended.status == 2, ended
    assert re.fullmatch(r"jaxnet: [^\n]+\n", ended.err), ended.err
    assert re.search(pattern, ended.err), ended.err


# --- What a command's options allow, by their types -------------------------------------------


def types_in(hint: object) -> set[object]:
    """The numbers, and the names of choices, that an option of this type takes."""
    if get_origin(hint) is Literal:
        return {Literal}
    if get_origin(hint) in (Annotated, Union, types.UnionType, tuple):
        return set().union(*(types_in(part) for part in get_args(hint)))
    return {hint} & {int, float}


def options_of(kind: object) -> list[tuple[str, str]]:
    """Each command with each of its options of a kind."""
    return [
        (command, field.name)
        for command, options in cli.COMMANDS.items()
        for field in dataclasses.fields(options)
        if kind in types_in(get_type_hints(options, include_extras=True)[field.name])
    ]


def with_option(command: str, name: str, value: str) -> Ended:
    return run(*with_options(COMMANDS[command].split(), f"--{name.replace('_', '-')}={value}"))


def name_pattern(name: str) -> str:
    """An option in a message: as it is typed, or as the library calls it."""
    own = {"checkpoint_every": "every"}.get(name, name)
    return f"{own.replace('_', '[-_ ]')}|--{name.replace('_', '-')}"


@pytest.mark.parametrize(("command", "name"), options_of(Literal))
def test_an_unknown_name_of_a_choice_is_refused(here, command, name):
    assert_refused(with_option(command, name, "nonesuch"), f"'nonesuch'.*{name_pattern(name)}")


@pytest.mark.parametrize(("command", "name"), options_of(float))
def test_what_is_no_finite_number_is_refused(here, command, name):
    for value in ("nan", "-inf", "1e400", "", "fast"):
        assert_refused(with_option(command, name, value), name_pattern(name))


@pytest.mark.parametrize(("command", "name"), options_of(int))
def test_what_is_no_whole_number_or_too_large_is_refused(here, command, name):
    for value in ("0.5", "nan", "", "9" * 400, "-" + "9" * 400, "9" * 5000, "-1"):
        assert_refused(with_option(command, name, value), name_pattern(name))


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_an_option_given_twice_is_refused(here, command):
    """The first one would silently be lost."""
    args = COMMANDS[command].split()
    flag = next(arg for arg in args if arg.startswith("--"))
    again = args[args.index(flag) : args.index(flag) + 2]
    assert_refused(run(*args, *again), f"{flag} is given twice; give it once, with all its values")
    assert_refused(run(*args, "=".join(again)), f"{flag} is given twice")


def test_an_option_and_its_contrary_are_refused(here):
    args = [*COMMANDS["train"].split(), "--tensorboard", "--no-tensorboard"]
    assert_refused(run(*args), "--tensorboard and --no-tensorboard contradict each other")


# --- Every command in every other situation ----------------------------------------------------


class Cell(NamedTuple):
    """What a command does in a situation, with options that replace those of its small call."""

    options: str
    refusal: str = ""
    """The message, if it is refused."""
    shows: str = ""
    """What it prints, if it is not."""
    hides: str = r"\bnan\b"
    """What it does not print."""


class Empty(NamedTuple):
    """A cell without a meaning."""

    why: str


NO_DATA = Empty("it reads no data")
LETTERS = "--data letters --sizes 9 3 26"
CUT = Cell("--data cut", r"cut/emnist-letters-train-labels-idx1-ubyte\.gz is not an IDX file of")
REGRESSION = "--data regression.npz --cost quadratic --output linear"
CELLS = {
    "train": {
        "unknown option": Cell("--seeds 5", "command has it: jaxnet sweep --seeds 5[.] See jaxnet"),
        "unknown name": Cell("--data nonesuch", "nonesuch does not exist"),
        "missing file": Cell("--data gone.npz", "cannot read gone.npz: No such file"),
        "missing folder": Cell("--resume gone", "cannot resume from gone: there is no such folder"),
        "damaged settings": Cell("--resume config", "config/config.json is not the config.json"),
        "output is a file": Cell("--runs net.json", "net.json"),
        "no validation set": Cell("--data no-valid.npz", shows="test accuracy"),
        "regression": Cell(REGRESSION, shows="test cost", hides="accuracy"),
        "one class": Cell("--data one\\ class.npz", shows="test accuracy"),
        "published files": Cell(LETTERS, shows="test accuracy"),
        "damaged files": CUT,
    },
    "sweep": {
        "unknown option": Cell("--seed 1", "Perhaps you meant --seeds[.] See jaxnet sweep"),
        "unknown name": Cell("--vary speed=1,2", "speed is not a number of this recipe"),
        "missing file": Cell("--data gone.npz", "cannot read gone.npz: No such file"),
        "missing folder": Cell("--folder net.json/below", "net.json/below"),
        "damaged settings": Cell("--folder study", "study.json"),
        "output is a file": Cell("--folder net.json", "net.json"),
        "no validation set": Cell("--data no-valid.npz --folder a", shows="no validation set"),
        "regression": Cell(f"{REGRESSION} --folder b", shows="a cost of 0", hides="%"),
        "one class": Cell("--data one\\ class.npz --folder c", shows="Saved the network of recipe"),
        "published files": Cell(f"{LETTERS} --folder d", shows="Saved the network of recipe"),
        "damaged files": CUT,
    },
    "compare": {
        "unknown option": Cell("--optimizer sgd", "Perhaps you meant --optimizers[.] See"),
        "unknown name": Cell("--optimizers sgd adamm", "did you mean adam"),
        "missing file": Cell("--data gone.npz", "cannot read gone.npz: No such file"),
        "missing folder": Cell("--plot-only --name gone", "no folder comparisons/gone to draw"),
        "damaged settings": Cell("--comparisons . --name manifest", "manifest/manifest.json"),
        "output is a file": Cell("--comparisons net.json", "net.json"),
        "no validation set": Cell("--data no-valid.npz", "the data has no validation split"),
        "regression": Cell(f"{REGRESSION} --name a", shows="Test R²", hides="accuracy"),
        "one class": Cell("--data one\\ class.npz --name b", shows="Test accuracy"),
        "published files": Cell(f"{LETTERS} --name c", shows="Test accuracy"),
        "damaged files": CUT,
    },
    "predict": {
        "unknown option": Cell("--tset 1", "--tset"),
        "unknown name": Cell("--data nonesuch", "nonesuch does not exist"),
        "missing file": Cell("--data gone.npz", "cannot read gone.npz: No such file"),
        "missing folder": Empty("see test_predict_refuses_networks_that_cannot_be_read"),
        "damaged settings": Empty("see test_predict_refuses_networks_that_cannot_be_read"),
        "output is a file": Empty("it writes no file"),
        "no validation set": Cell("--data no-valid.npz", shows="test 0"),
        "regression": Cell("--data regression.npz", shows="test 0"),
        "one class": Cell("--data one\\ class.npz", shows="test 0"),
        "published files": Cell("--data letters", "letters has 9 inputs, but the network"),
        "damaged files": CUT,
    },
    "plot": {
        "unknown option": Cell("--knd curves", "--knd"),
        "unknown name": Cell("--kind curvs", "did you mean curves"),
        "missing file": NO_DATA,
        "missing folder": Empty("see tests/cli/test_plot.py"),
        "damaged settings": Empty("see tests/cli/test_plot.py"),
        "output is a file": Cell("--output net.json/below", "net.json/below"),
        "no validation set": NO_DATA,
        "regression": NO_DATA,
        "one class": NO_DATA,
        "published files": NO_DATA,
        "damaged files": NO_DATA,
    },
    "check": {
        "unknown option": Cell("--epochs 1", "command has it: jaxnet train --epochs 1[.] See"),
        "unknown name": Empty("see the choices above"),
        "missing file": NO_DATA,
        "missing folder": NO_DATA,
        "damaged settings": NO_DATA,
        "output is a file": Empty("it writes no file"),
        "no validation set": NO_DATA,
        "regression": Cell("--cost quadratic --output linear", shows="the gradient is right"),
        "one class": NO_DATA,
        "published files": NO_DATA,
        "damaged files": NO_DATA,
    },
    "demo": {
        "unknown option": Cell("--ouput page.html", "--ouput"),
        "unknown name": Empty("see tests/cli/test_demo.py"),
        "missing file": NO_DATA,
        "missing folder": Cell("--output gone/page.html", "its folder does not exist"),
        "damaged settings": NO_DATA,
        "output is a file": Cell("--output net.json/page.html", "its folder does not exist"),
        "no validation set": NO_DATA,
        "regression": NO_DATA,
        "one class": NO_DATA,
        "published files": NO_DATA,
        "damaged files": NO_DATA,
    },
}  # fmt: skip
SITUATIONS = tuple(CELLS["train"])


def test_the_tables_have_no_empty_cell():
    assert set(COMMANDS) == set(CELLS) == set(cli.COMMANDS)
    assert all(tuple(cells) == SITUATIONS for cells in CELLS.values())


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_in_every_situation(here, command, situation):
    cell = CELLS[command][situation]
    if isinstance(cell, Empty):
        return
    ended = run(*with_options(COMMANDS[command].split(), *shlex.split(cell.options)))
    if cell.refusal:
        assert_refused(ended, cell.refusal)
        return
    assert ended.status == 0, ended.err
    assert cell.shows in ended.out
    assert not re.search(cell.hides, ended.out)
    assert "\x1b" not in ended.out  # no terminal, no colours


@pytest.mark.parametrize(
    ("network", "pattern"),
    [("gone", "the folder gone does not exist"), ("gone.json", "cannot read gone.json: No such"),
     ("broken.json", "broken.json"), ("config", "config holds no network.safetensors")],
)  # fmt: skip
def test_predict_refuses_networks_that_cannot_be_read(here, network, pattern):
    assert_refused(run("predict", network, "--data", "data.npz", "--test", "0"), pattern)


def test_a_study_json_that_is_a_folder_is_one_line(here):
    assert_refused(
        run(*with_options(COMMANDS["sweep"].split(), "--folder", "blocked")), "study.json"
    )


# --- Encodings, terminals, spaces ----------------------------------------------------------------

OUTPUT = {"train": "--runs", "sweep": "--folder", "compare": "--comparisons"}
"""The option that names the folder to write to."""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_help_in_any_encoding(here, command, encoding):
    ended = run(*command.split(), "--help", encoding=encoding)
    assert (ended.status, ended.err) == (0, "")
    assert "usage: jaxnet" in ended.out
    assert "options" in ended.out


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_a_command_in_ascii_with_folders_that_need_quotes(here, command):
    """The command that is printed for afterwards runs as it is printed."""
    option = [f"{OUTPUT[command]}=-my [b]'s {command}"] if command in OUTPUT else []
    ended = run(*with_options(COMMANDS[command].split(), *option), encoding="ascii")
    assert (ended.status, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    for after in re.findall(r"^Next: jaxnet (.+)$", ended.out, re.MULTILINE):
        assert run(*shlex.split(after)).status == 0
    if command in ("train", "sweep"):
        assert "Next: jaxnet predict './-my [b]" in ended.out


def test_a_closed_pipe_ends_a_command_quietly(here, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe, contextlib.redirect_stdout(pipe):
        assert cli.main(COMMANDS["check"].split()) == 141
        assert cli.main(["--version"]) == 0  # what is left to print goes nowhere
    assert capsys.readouterr().err == ""


def test_a_sweep_is_written_before_its_results_are_printed(here):
    """On a full disk, such as this device, or into a closed pipe, printing fails."""

    class Full(io.TextIOWrapper):
        def write(self, text: str) -> int:
            if "diverged" in text or "range" in text:
                raise OSError(28, "No space left on device")
            return super().write(text)

    with contextlib.redirect_stdout(Full(io.BytesIO(), "utf-8")):
        assert cli.main(with_options(COMMANDS["sweep"].split(), "--folder", "full")) == 2
    assert {"study.csv", "sweep.png", "best.json", "network.json"} <= set(os.listdir("full"))


def test_a_message_with_a_line_break_is_one_line(here):
    args = with_options(COMMANDS["train"].split(), "--data", "a\nb\x1b[31m.npz")
    assert_refused(run(*args), r"a\\nb\\x1b")


def test_a_tilde_that_the_shell_left_is_the_home_folder(here, monkeypatch):
    monkeypatch.setenv("HOME", "/nowhere/home")
    args = COMMANDS["train"].split()
    assert_refused(
        run(*with_options(args, "--data=~/data.npz")), "cannot read /nowhere/home/data.npz"
    )
    assert_refused(run(*args, "--resume=~/run"), "cannot resume from /nowhere/home/run")


def test_a_platform_that_is_not_there_is_one_line(here):
    if any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("there is a GPU")
    command = [sys.executable, "-m", "jaxnet", *COMMANDS["sweep"].split()]
    environment = os.environ | {"JAX_PLATFORMS": "cuda"}
    process = subprocess.run(command, capture_output=True, text=True, env=environment)
    ended = Ended(process.returncode, process.stdout, process.stderr)
    assert_refused(ended, "JAX cannot start with JAX_PLATFORMS=cuda: .*Unset JAX_PLATFORMS, or set")


@pytest.mark.parametrize(
    ("variables", "refusal"),
    [
        ({"JAX_ENABLE_X64": "maybe"}, "JAX cannot start: .*'maybe'.*JAX_ENABLE_X64.*; unset it or"),
        ({"JAX_THREEFRY_PARTITIONABLE": "0"}, "jax_threefry_partitionable is False, so that"),
        ({"JAX_DEBUG_NANS": "1"}, "JAX_DEBUG_NANS or JAX_DEBUG_INFS is set"),
        ({"MPLBACKEND": "nonesuch", "MATPLOTLIBRC": "latex"}, ""),
    ],
)
def test_the_environment_is_refused_in_one_line_or_has_no_effect(here, variables, refusal):
    with open("latex", "w") as file:
        file.write("text.usetex: True")
    args = with_options(COMMANDS["train"].split(), "--runs", "a", "--evaluate-on", "evaluation")
    process = subprocess.run(
        [sys.executable, "-m", "jaxnet", *args],
        capture_output=True, text=True, env=os.environ | variables,
    )  # fmt: skip
    ended = Ended(process.returncode, process.stdout, process.stderr)
    if refusal:
        assert_refused(ended, refusal)
    else:
        assert (ended.status, ended.err) == (0, "")
        assert "curves.png" in ended.out


def test_closed_streams_and_a_narrow_terminal_of_an_old_encoding(here):
    """What only a process of its own shows: streams that are not there."""
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "COLUMNS": "20"}
    script = f"{shlex.quote(sys.executable)} -m jaxnet train --help"
    without_streams = subprocess.run(f"{script} >&- 2>&-", shell=True, env=environment)
    assert without_streams.returncode == 0
    narrow = subprocess.run(script, shell=True, env=environment, capture_output=True)
    assert (narrow.returncode, narrow.stderr) == (0, b"")
    assert "\\u03bb" in narrow.stdout.decode("cp1252")


def test_json_has_no_nan(here):
    """Every JSON file that the commands above have written."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    run(*with_options(COMMANDS["train"].split(), *REGRESSION.split(), "--runs", "json"))
    run(*with_options(COMMANDS["sweep"].split(), *REGRESSION.split(), "--folder", "json/study"))
    paths = [os.path.join(top, n) for top, _, names in os.walk("json") for n in names]
    paths = [path for path in paths if path.endswith(".json")]
    assert {os.path.basename(path) for path in paths} == {
        "config.json", "network.json", "report.json", "study.json", "best.json", "sweep.json"
    }  # fmt: skip
    for path in paths:
        with open(path) as file:
            json.load(file, parse_constant=refuse)
