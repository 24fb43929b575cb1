"""Help pages: golden files at three widths, the groups of options, examples, completion.

`RENEW_GOLDEN=1 pytest tests/cli -k golden` writes the files anew.
"""

import dataclasses
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import tyro

from jaxnet.cli import main as cli
from jaxnet.cli import manual
from tests.support.golden import assert_golden

WIDTHS = (60, 80, 120)


@pytest.fixture
def page(capsys, monkeypatch):
    """A function that returns the page that a call prints at a width."""

    def shown(args, width=80):
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as stop:
            cli.main(args)
        assert not stop.value.code
        return capsys.readouterr().out

    return shown


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_help_fits_the_terminal_and_is_the_golden_page(page, command):
    for width in WIDTHS:
        text = page([*command.split(), "--help"], width)
        assert max(map(len, text.splitlines())) <= width
        assert not re.search(r"[ \t]$", text, re.MULTILINE)
        assert text.count("\n examples\n") == 1
        # The words around the pages are the parser's.
        if tyro.__version__ == "1.0.17":
            assert_golden(f"help-{command or 'overview'}-{width}", text)


def test_jaxnet_alone_shows_the_overview(page):
    overview = page([])
    assert overview == page(["--help"]) == page(["-h"])
    for name, command in cli.COMMANDS.items():
        assert f"{name} " in overview
        assert (command.__doc__ or "").split()[0] in overview


@pytest.mark.parametrize("command", manual.MAIN)
def test_every_option_is_in_one_group_and_the_main_ones_come_first(page, command):
    """An option that is not in a group would stand among the main ones."""
    text = page([command, "--help"])
    groups = dict(re.findall(r"^ ([a-z]*) ?options\n(.*?)(?=^ \w)", text, re.S | re.M))
    listed = [
        flag.replace("-", "_")
        for body in groups.values()
        for flag in re.findall(r"^  --([a-z][a-z0-9-]*)", body, re.M)
    ]
    fields = [field.name for field in dataclasses.fields(cli.COMMANDS[command])]
    assert sorted(listed) == sorted(fields)
    assert tuple(listed[: len(manual.MAIN[command])]) == manual.MAIN[command]
    assert tuple(re.findall(r"^  --([a-z][a-z0-9-]*)", groups[""], re.M)) == tuple(
        name.replace("_", "-") for name in manual.MAIN[command]
    )


def test_no_option_is_in_two_groups_and_none_is_of_no_command():
    grouped = [option for group in manual.GROUPS for option in group.options]
    assert len(grouped) == len(set(grouped))
    known = {
        field.name for command in cli.COMMANDS.values() for field in dataclasses.fields(command)
    }
    assert set(grouped) <= known


@pytest.mark.parametrize(
    ("command", "typed"),
    [(name, typed) for name, examples in manual.EXAMPLES.items() for _, typed in examples],
)
def test_every_example_can_be_typed(command, typed, monkeypatch, capsys):
    """A run to resume does not exist here; the parser alone is asked, which refuses options."""
    program, *args = shlex.split(typed)
    assert program == "jaxnet"
    assert not command or args[0] == command
    if args[0] in cli.COMMANDS and "--help" not in args:
        parsed = cli._parse_once(args)
        assert isinstance(parsed, cli.COMMANDS[args[0]])


def page_commands():
    """The commands in the shell blocks of the page about the command line."""
    page = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text(encoding="utf-8")
    lines = "".join(re.findall(r"```sh\n(.*?)```", page, re.S)).splitlines()
    return [line for line in lines if line.startswith("jaxnet ") and ">" not in line]


@pytest.mark.parametrize("typed", page_commands())
def test_every_command_of_the_page_can_be_typed(typed):
    _, command, *options = shlex.split(typed, comments=True)
    assert isinstance(cli._parse_once([command, *options]), cli.COMMANDS[command])


def test_choices_stand_in_the_order_of_their_registry(page):
    """For a choice that may be left out, the parser's own order differs from process to process."""
    from jaxnet.recipes import schedules

    text = re.sub(r"\s", "", page(["train", "--help"], 120))
    assert f"--schedule{{{','.join(schedules.NAMED)}}}" in text
    assert "None" not in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_commands_options_and_choices(page, shell):
    script = page(["--tyro-print-completion", shell])
    for word in ("sweep", "learning-rate", "cross-"):
        assert word in script
    if shell == "bash":
        checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("compare --optimizers sgd ada", {"adagrad", "adam", "adamw", "adadelta"}),
        ("train --data di", {"digits"}),
        ("predict net.json --data xo", {"xor"}),
        ("sweep --data my", {"my.npz"}),
        ("compare --wat", {"--watch"}),
    ],
)
def test_bash_completes_names_and_files(page, tmp_path, typed, offered):
    """By the shell itself; the last word is completed."""
    (tmp_path / "my.npz").touch()
    (tmp_path / "script").write_text(page(["--tyro-print-completion", "bash"]))
    words = " ".join(["jaxnet", *typed.split()])
    asking = (
        f"source ./script; COMP_WORDS=({words}); COMP_CWORD={len(typed.split())}; "
        r"$(complete -p jaxnet | sed 's/.*-F \([^ ]*\) .*/\1/'); "
        r"printf '%s\n' ${COMPREPLY[@]}"
    )
    shell = subprocess.run(["bash", "-c", asking], cwd=tmp_path, capture_output=True, text=True)
    assert shell.stderr == ""
    assert offered <= set(shell.stdout.split())


def test_headings_are_bold_on_a_terminal_unless_colours_are_unwanted(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    pages = []
    for no_color in ("", "1"):
        monkeypatch.setenv("NO_COLOR", no_color)
        with pytest.raises(SystemExit):
            cli.main(["check", "--help"])
        pages.append(capsys.readouterr().out)
    assert "\x1b[1m network options\x1b[0m\n" in pages[0]
    assert "\x1b[" not in pages[1]
