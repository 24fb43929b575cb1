"""The command line: `jaxnet train`, `sweep`, `compare`, `predict`, `check`."""

import contextlib
import dataclasses
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import tyro
from rich.console import Console

import jaxnet
from jaxnet.cli.check import Check
from jaxnet.cli.compare import Compare
from jaxnet.cli.options import RENAMED_OPTIONS, FailedError
from jaxnet.cli.predict import Predict
from jaxnet.cli.sweep import Sweep
from jaxnet.cli.train import Train
from jaxnet.core.deprecation import renaming

COMMANDS = {"train": Train, "sweep": Sweep, "compare": Compare, "predict": Predict, "check": Check}


def main(args: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
      args: the command and its options; those of the process by default.

    Returns:
      The exit status: 0; 1 if the command failed, as a run that diverged does; 2 for a wrong
      call; 130 after a Ctrl-C that ended training after an epoch.
    """
    args = sys.argv[1:] if args is None else args
    if list(args) == ["--version"]:
        print(f"jaxnet {jaxnet.__version__}, jax {jax.__version__}")
        return 0
    try:
        command = _parse(_renamed(args))
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _warn
            command(Console(highlight=False))
    except (ValueError, ModuleNotFoundError) as error:
        return _complain(str(error), 2)
    except OSError as error:
        return _complain(f"cannot write or read {error.filename or 'output'}: {error.strerror}.", 2)
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).splitlines()[0]
        return _complain(f"the network does not run on this machine: {reason}.", 1)
    except FailedError as error:
        return _complain(str(error), error.status)
    return 0


def _renamed(args: Sequence[str]) -> list[str]:
    """The arguments with today's names for options that had others in version 0.2."""
    command = COMMANDS.get(args[0]) if args else None
    options = {field.name for field in dataclasses.fields(command)} if command else set()
    renamed = []
    for arg in args:
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


def _warn(message: Warning | str, *_: Any) -> None:
    """Print a warning in one line."""
    print(f"jaxnet: warning: {message}", file=sys.stderr)


def _parse(args: Sequence[str]) -> Callable[[Console], None]:
    complaint = io.StringIO()
    columns = os.environ.get("COLUMNS")
    if {"-h", "--help"}.isdisjoint(args):
        # tyro wraps its message at the terminal's width, which could break what was typed.
        os.environ["COLUMNS"] = "1000"
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.extras.subcommand_cli_from_dict(
                COMMANDS,
                prog="jaxnet",
                args=args,
                description=(
                    "Train, use and check small neural networks, with handwritten backpropagation "
                    "in JAX. `jaxnet train` alone trains the network of Nielsen's book on the "
                    "MNIST that ships with the package; `jaxnet COMMAND --help` lists a command's "
                    "options."
                ),
            )
    except SystemExit as stop:
        if stop.code == 2:
            page = f"jaxnet {args[0]}" if args and args[0] in COMMANDS else "jaxnet"
            raise ValueError(f"{_one_line(complaint.getvalue())} See {page} --help.") from None
        raise
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
        text += f" Perhaps you meant {hints[1]}."
    return " ".join(text.split())


def _complain(message: str, status: int) -> int:
    print(f"jaxnet: {message}", file=sys.stderr)
    return status
