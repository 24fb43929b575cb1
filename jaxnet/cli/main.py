"""The command line: `jaxnet train`, `sweep`, `compare`, `predict`, `plot`, `check`, `demo`."""

import contextlib
import dataclasses
import functools
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import matplotlib
import tyro

import jaxnet
from jaxnet.cli import manual, streams, wording
from jaxnet.cli.check import Check
from jaxnet.cli.compare import Compare
from jaxnet.cli.demo import Demo
from jaxnet.cli.options import RENAMED_OPTIONS, FailedError, Training
from jaxnet.cli.plot import Plot
from jaxnet.cli.predict import Predict
from jaxnet.cli.saved_options import resumed_options, resumed_sweep
from jaxnet.cli.sweep import Sweep
from jaxnet.cli.train import Train
from jaxnet.core.deprecation import renaming
from jaxnet.data import table_cells

Command = Train | Sweep | Compare | Predict | Plot | Check | Demo
COMMANDS: dict[str, type[Command]] = {
    "train": Train,
    "sweep": Sweep,
    "compare": Compare,
    "predict": Predict,
    "plot": Plot,
    "check": Check,
    "demo": Demo,
}


def main(args: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
      args: the command and its options; those of the process by default.

    Returns:
      The exit status: 0; 1 if the command failed, as a run that diverged does; 2 for a wrong
      call, or without the device that `JAX_PLATFORMS` names; 130 after a Ctrl-C that ended
      training after an epoch; 141 if nobody reads the output any more.
    """
    args = sys.argv[1:] if args is None else args
    streams.escape_what_cannot_be_encoded()
    try:
        _run(args)
    except BrokenPipeError:
        return streams.end_quietly()
    except (ValueError, ModuleNotFoundError) as error:
        return _complain(wording.in_options(str(error)), 2)
    except OSError as error:
        reason = error.strerror or error
        return _complain(f"cannot write or read {error.filename or 'output'}: {reason}.", 2)
    except FailedError as error:
        return _complain(str(error), error.status)
    except FloatingPointError:
        return _complain(
            "JAX_DEBUG_NANS or JAX_DEBUG_INFS is set, and ends the command at the first NaN, which "
            "is also what stands for a score that is not evaluated; unset it.",
            2,
        )
    except MemoryError as error:
        return _complain(f"the memory of this machine is too small: {error}.", 1)
    except (RuntimeError, AssertionError) as error:
        if (fault := _start_fault()) is not None:
            return _complain(fault, 2)
        if not isinstance(error, jax.errors.JaxRuntimeError):
            raise
        reason = str(error).splitlines()[0]
        return _complain(f"the network does not run on this machine: {reason}.", 1)
    return 0


def _run(args: Sequence[str]) -> None:
    """Run the command that the arguments name, and write all that it prints."""
    try:
        if list(args) in (["--version"], ["-V"]):
            print(f"jaxnet {jaxnet.__version__}, jax {jax.__version__}")
            return
        args = _renamed(args)
        _check_given_once(args)
        with warnings.catch_warnings(), matplotlib.rc_context():
            warnings.simplefilter("always", UserWarning)
            # Where JAX cannot use its cache it compiles, which is no news to anybody.
            warnings.filterwarnings("ignore", ".*persistent compilation cache", UserWarning)
            warnings.showwarning = _warn
            matplotlib.rcdefaults()  # not what a matplotlibrc asks for, such as LaTeX
            command = _parse(args)
            command(streams.Terminal())
    finally:
        sys.stdout.flush()


def _start_fault() -> str | None:
    """Why JAX cannot start, as a sentence with the remedy; None if it has started, or can."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # asserted where CUDA finds no GPU
        # JAX's own remedy, in brackets, is left out.
        reason = str(error).partition(" (")[0].rstrip(".") or "it finds no such device here"
        platforms = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        if not platforms:
            return f"JAX cannot start: {reason}."
        return (
            f"JAX cannot start with JAX_PLATFORMS={platforms}: {reason}. Unset JAX_PLATFORMS, or "
            "set it to cpu."
        )
    return None


def _renamed(args: Sequence[str]) -> list[str]:
    """The arguments with today's names for options that had others in version 0.2."""
    command = COMMANDS.get(args[0]) if args else None
    options = {field.name for field in dataclasses.fields(command)} if command else set()
    renamed = []
    for arg in _with_stop_at(args) if "stop_at" in options else args:
        flag, equals, value = arg.partition("=")
        old = flag.removeprefix("--").replace("-", "_")
        no = "no_" if old.startswith("no_") else ""
        old = old.removeprefix(no)
        new = RENAMED_OPTIONS.get(old, old)
        if flag.startswith("--") and new in options and old not in options:
            new_flag = f"--{no}{new}".replace("_", "-")
            _warn(renaming(flag, new_flag))
            arg = f"{new_flag}{equals}{value}"
        renamed.append(arg)
    return renamed


def _with_stop_at(args: Sequence[str]) -> list[str]:
    """The arguments with --stop-at for a --target that is a number, as it was called before."""
    renamed = list(args)
    for index, arg in enumerate(args):
        flag, equals, value = arg.partition("=")
        value = value if equals else "".join(args[index + 1 : index + 2])
        if flag == "--target" and table_cells.number_of(value) is not None:
            _warn(renaming("--target NUMBER", "--stop-at NUMBER"))
            renamed[index] = f"--stop-at{equals}{arg.partition('=')[2]}"
    return renamed


def _check_given_once(args: Sequence[str]) -> None:
    """Refuse an option given twice, of which the first would silently be lost."""
    flags = _typed_flags(args)
    names = [f"--{flag.removeprefix('--').removeprefix('no-')}" for flag in flags]
    for flag, name in zip(flags, names):
        if names.count(name) > 1:
            raise ValueError(
                f"{flag} is given twice; give it once, with all its values."
                if flags.count(flag) > 1
                else f"{name} and --no-{name[2:]} contradict each other; leave one of them out."
            )


def _typed_flags(args: Sequence[str]) -> list[str]:
    """The options among the arguments, without their values: "--batch-size"."""
    return [arg.partition("=")[0].replace("_", "-") for arg in args if re.match("--[a-z]", arg)]


def _warn(message: Warning | str, *_: Any) -> None:
    """Print a warning in one line."""
    streams.print_error(f"warning: {wording.in_options(str(message))}")


def _parse(args: Sequence[str]) -> Command:
    """The command that the arguments name, with its options."""
    command = _expanded(_parse_once(args))
    for field in dataclasses.fields(command):
        _check_whole_numbers(field.name, getattr(command, field.name))
    if isinstance(command, Sweep):
        resumed = resumed_sweep(command.folder, args[1:])
        (resumed or command).check_not_given(_typed_flags(args))
        if resumed is not None:
            return _expanded(resumed)
    if isinstance(command, Train) and command.resume is not None:
        return _expanded(resumed_options(command.resume, args[1:]))
    if isinstance(command, Training):
        return command.with_table_defaults(_typed_flags(args))
    return command


def _expanded(command: Command) -> Command:
    """The command with a home folder for each "~" that the shell has left in a path."""
    paths = {
        field.name: type(value)(os.path.expanduser(value))
        for field in dataclasses.fields(command)
        if isinstance(value := getattr(command, field.name), Path)
        or (field.name == "data" and value is not None)
    }
    return dataclasses.replace(command, **paths)


def _check_whole_numbers(name: str, value: object) -> None:
    """Check that whole numbers fit into the 64 bits that they may be computed with."""
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int) and abs(number) >= 2**64:
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{flag} must be below 2⁶⁴, not a number of {len(str(number))} digits."
            )


def _parse_once(args: Sequence[str]) -> Command:
    """The command that the arguments name; help pages and completions end in a `SystemExit`."""
    name = args[0] if args else "--help"
    if not name.startswith("-") and name not in COMMANDS:
        raise ValueError(wording.unknown_command(name, tuple(COMMANDS)))
    command = COMMANDS.get(name)
    parse = functools.partial(_parsed_overview, list(args) or [name])
    if command is not None:
        parse = functools.partial(
            tyro.cli, manual.in_groups(name, command), prog=f"jaxnet {name}", args=args[1:]
        )
    if not {"-h", "--help"}.isdisjoint(args) or not args:
        manual.show(parse, name if command is not None else "")
        raise SystemExit(0)
    if "--tyro-print-completion" in args[:1]:
        manual.print_completion(lambda: _without_boxes(parse, args, command))
        raise SystemExit(0)
    parsed = _without_boxes(parse, args, command)
    return manual.flat(command, parsed) if command is not None else parsed


def _parsed_overview(args: Sequence[str]) -> Command:
    """What the parser makes of arguments that begin with no command: help, or a completion."""
    return tyro.cli(
        manual.overview(COMMANDS),
        prog="jaxnet",
        args=args,
        description=(
            "Train, use and check small neural networks, with handwritten backpropagation in JAX."
        ),
    )


def _without_boxes(
    parse: Callable[[], Any], args: Sequence[str], command: type[Command] | None
) -> Any:
    """What the parser returns; its complaint, of several lines in a box, as one of one line."""
    complaint = io.StringIO()
    columns = os.environ.get("COLUMNS")
    # tyro wraps its message at the terminal's width, which could break what was typed.
    os.environ["COLUMNS"] = "1000"
    try:
        with contextlib.redirect_stderr(complaint):
            return parse()
    except SystemExit as stop:
        if stop.code != 2:
            raise
        page = "jaxnet" if command is None else f"jaxnet {args[0]}"
        message = wording.choice_complaint(_one_line(complaint.getvalue()), command)
        message = wording.number_complaint(message, args, command)
        if (hint := wording.hint(message, args, command)) is not None:
            message = hint if message.startswith("Missing") else f"{message} {hint}"
        if (other := wording.other_command(message, args, command, COMMANDS)) is not None:
            message = f"{message} {other}"
        raise ValueError(f"{message} See {page} --help.") from None
    finally:
        os.environ.pop("COLUMNS", None)
        if columns is not None:
            os.environ["COLUMNS"] = columns


def _one_line(boxed: str) -> str:
    """The first paragraph of tyro's boxed message, and its suggestion if there is one."""
    lines = [line.strip(" │") for line in boxed.splitlines()]
    # Below the title: the upper edge of the box, or a rule of dashes where there are no boxes.
    lines = lines[1:-1] if boxed.startswith("╭") else lines[2:-1]
    end = next((i for i, line in enumerate(lines) if not line.strip("─-")), len(lines))
    text = " ".join(lines[:end]).rstrip(".") + "."
    hints = lines[end + 1 : end + 3]
    if hints[0].startswith("Available"):
        text += f" {hints[0]}."
    elif hints[0].startswith("Perhaps you meant"):
        text += f" Perhaps you meant {hints[1].partition(' ')[0]}."
    # Of an option that another command has, tyro says which one has been asked.
    text = re.sub(r" \(applied to jaxnet \w+\)", "", text)
    return " ".join(text.split())


def _complain(message: str, status: int) -> int:
    streams.print_error(message)
    return status
