"""Messages of the library in the words of the command line, and hints about wrong options."""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import get_args, get_origin, get_type_hints

from jaxnet.cli import manual
from jaxnet.core.arguments import likeliest
from jaxnet.core.registry import suggestion

OPTIONS_FOR_PYTHON = (
    ("Quadratic(jaxnet.activations.linear)", "--cost quadratic --output linear"),
    ("CrossEntropy()", "--cost cross-entropy"),
    ('metric="cost"', "--decides evaluation-cost"),
    ("choose sizes that", "choose --sizes that"),
    ("sizes must be two or more", "--sizes must be two or more"),
    ("such as (784, 30, 10), not", "such as 784 30 10, not"),
    ("n_folds must", "--folds must"),
    ("target must be a number", "--stop-at must be a number"),
    ("pass y - 1", "subtract 1 from them"),
    (
        "give the images' size as shape=(height, width)",
        "leave out --shift, --rotation, --scaling and --elastic",
    ),
    ("begin the run with checkpoint= in place of resume=", "begin the run without --resume"),
)
"""What messages of the library tell a caller in Python, and what the command line says instead."""


def in_options(message: str) -> str:
    """A message of the library with options in place of Python.

    >>> in_options('the targets are numbers to predict; use metric="cost".')
    'the targets are numbers to predict; use --decides evaluation-cost.'
    """
    for python, options in OPTIONS_FOR_PYTHON:
        message = message.replace(python, options)
    message = re.sub(r"not \((\d[\d, ]*)\)\.$", lambda sizes: _typed_sizes(sizes[1]), message)
    message = re.sub(r"drop=\['([^']*)'\]", r"--drop \1", message)
    return re.sub(r"^(drop|groups|categories|target) names", r"--\1 names", message)


def _typed_sizes(sizes: str) -> str:
    """The end of a message about a tuple of sizes, as they are typed."""
    return f"not {' '.join(sizes.replace(',', ' ').split())}."


def unknown_command(name: str, commands: Sequence[str]) -> str:
    """The complaint about a command that there is not.

    Args:
      name: what was typed in its place.
      commands: all commands.

    >>> unknown_command("trian", ["train", "sweep"])
    'trian is not a command; did you mean train? See jaxnet --help.'
    """
    return f"{name} is not a command; {suggestion(name, commands)} See jaxnet --help."


def choice_complaint(complaint: str, command: type | None) -> str:
    """The parser's complaint about a name that is no choice, with similar names and all choices.

    Args:
      complaint: what the parser says; what it says about other faults is returned as it is.
      command: the class of the command; `None` if the arguments name none.
    """
    unknown = re.match(r"invalid choice '(.*)' for argument '--([\w-]+)'\.", complaint)
    if unknown is None or command is None:
        return complaint
    hint = get_type_hints(command)[unknown[2].replace("-", "_")]
    known = manual.choices_of(hint)
    meant = suggestion(unknown[1], known)
    listed = "" if meant.startswith("known") else f" Known are {', '.join(known)}."
    return f"{unknown[0].rstrip('.')}; {meant}{listed}"


def number_complaint(complaint: str, args: Sequence[str], command: type | None) -> str:
    """The parser's complaint about what is no number, without the parser's own words.

    Args:
      complaint: what the parser says; what it says about other faults is returned as it is.
      args: the arguments.
      command: the class of the command; `None` if the arguments name none.
    """
    faulty = re.match(r"Error parsing --([\w-]+):", complaint)
    if faulty is None or command is None:
        return complaint
    hint = get_type_hints(command).get(faulty[1].replace("-", "_"))
    parts = (hint, *get_args(hint))  # those of a type, and of a list of numbers or None
    parts = (*parts, *(inner for part in parts for inner in get_args(part)))
    number = next((kind for kind in (int, float) if kind in parts), None)
    typed = _typed_values(f"--{faulty[1]}", args)
    wrong = next((value for value in typed if number and not _is_number(value, number)), None)
    if number is None or wrong is None:
        return complaint
    if get_origin(hint) is tuple:
        wanted = "whole numbers such as 30 20" if number is int else "numbers such as 0.1 0.5"
    else:
        wanted = "a whole number such as 3" if number is int else "a number such as 0.1"
    return f"--{faulty[1]} must be {wanted}, not {wrong}."


def _typed_values(flag: str, args: Sequence[str]) -> list[str]:
    """The values of an option among the arguments."""
    for index, arg in enumerate(args):
        name, equals, value = arg.partition("=")
        if name.replace("_", "-") == flag:
            rest = itertools.takewhile(lambda arg: not arg.startswith("--"), args[index + 1 :])
            return [value] * bool(equals) + list(rest)
    return []


def _is_number(text: str, kind: type[int] | type[float]) -> bool:
    """Whether a text is a number of a kind."""
    try:
        kind(text)
    except ValueError:
        return False
    return True


def other_command(
    complaint: str, args: Sequence[str], command: type | None, commands: Mapping[str, type]
) -> str | None:
    """The call of another command that has an option which this one has not.

    Args:
      complaint: what the parser says.
      args: the arguments.
      command: the class of the command that they name; `None` if they name none.
      commands: the classes of all commands by name.

    Returns:
      A sentence; `None` if no command has it.
    """
    unknown = re.match(r"Unrecognized options: --([\w-]+)", complaint)
    if unknown is None or command is None:
        return None
    name = unknown[1].replace("-", "_")
    names = {each: [f.name for f in dataclasses.fields(each)] for each in commands.values()}
    if f"{name}s" in names[command]:  # --seed of a command that takes several --seeds
        return None
    for other, options in commands.items():
        if name in names[options]:
            typed = " ".join([f"--{unknown[1]}", *_typed_values(f"--{unknown[1]}", args)])
            return f"Another command has it: jaxnet {other} {typed}."
    return None


def hint(complaint: str, args: Sequence[str], command: type | None) -> str | None:
    """What to write in place of arguments that cannot be parsed, if it is clear what was meant.

    Args:
      complaint: what the parser says.
      args: the arguments.
      command: the class of the command that they name; `None` if they name none.

    Returns:
      A sentence; `None` if nothing is clear.

    >>> hint("Unrecognized options: --lr, 0.1.", ["train", "--lr", "0.1"], None) is None
    True
    """
    listed = next((arg for arg in args if re.fullmatch(r"(?:[\w.+-]+,)+[\w.+-]+", arg)), None)
    if re.match(r"Error parsing|--[\w-]+ must be (whole )?numbers", complaint) and listed:
        return f"Separate the values by spaces: {listed.replace(',', ' ')}, not {listed}."
    late = re.match(r"(?:Unrecognized options: (?!-)|--test must be .*, not )(.*)\.$", complaint)
    if late is not None and list(args[:1]) == ["predict"]:
        return f"Files stand before the options: jaxnet predict NETWORK {late[1]} --test 0 1."
    unknown = re.match(r"Unrecognized options: --([\w-]+)", complaint)
    if unknown is None or command is None or "Perhaps you meant" in complaint:
        return None
    options = [field.name for field in dataclasses.fields(command)]
    option = likeliest(unknown[1].replace("-", "_"), options)
    return None if option is None else f"Perhaps you meant --{option.replace('_', '-')}."
