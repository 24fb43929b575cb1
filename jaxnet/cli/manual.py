"""The help pages: options in named groups, those that matter first, and examples at the end.

The parser, tyro, makes a group of each nested class. A command's own class is flat, so that its
options are attributes of the command; for the parser they are divided into one class a group.
"""

import contextlib
import dataclasses
import functools
import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import docstring_parser
import tyro

from jaxnet.cli.data_options import DATA_SETS


class Group(NamedTuple):
    """A group of options on a help page."""

    name: str
    """Its heading, without the word "options"."""
    about: str
    """What its options are about, in a sentence; "" where the heading says it."""
    options: tuple[str, ...]
    """The names of its options, in the order of the page."""


MAIN: dict[str, tuple[str, ...]] = {
    "train": ("data", "hidden_sizes", "optimizer", "learning_rate", "epochs"),
    "sweep": ("data", "vary", "seeds", "hidden_sizes", "epochs"),
    "compare": ("optimizers", "tasks", "data", "seeds", "quick"),
    "check": ("sizes", "hidden", "cost", "seed"),
}
"""The options of each command that matter first; a command that is not named has no groups."""

GROUPS = (
    Group(
        "network",
        "The layers, their activations and first weights, and the cost.",
        (
            "sizes", "hidden_sizes", "hidden", "cost", "cost_hyper", "output", "temperature",
            "init", "std", "precision",
        ),
    ),
    Group(
        "optimizer",
        "The update rule, its numbers and its schedule.",
        (
            "optimizer", "learning_rate", "decay", "b1", "b2", "eps", "weight_decay", "hyper",
            "schedule", "schedule_hyper", "horizon",
        ),
    ),
    Group(
        "regularization",
        "What keeps a network from learning its training examples by heart.",
        (
            "l2", "l1", "dropout", "input_dropout", "max_norm", "label_smoothing", "shift",
            "rotation", "scaling", "elastic",
        ),
    ),
    Group(
        "training",
        "How long networks are trained, and what is evaluated.",
        (
            "tier", "trials", "epochs", "batch_size", "order", "tuning_seeds", "seeds", "seed",
            "patience", "reduce_on_plateau", "stop_at", "decides", "time_budget", "metric",
            "metrics", "targets", "margin", "until", "range", "sample", "successive_halving",
            "select_by", "evaluate_on", "evaluate_training", "monitors", "monitors_every", "folds",
            "tune_plan",
        ),
    ),
    Group(
        "data",
        "What the networks learn from.",
        ("data", "target", "task", "drop", "categories", "groups", "class_weight"),
    ),
    Group(
        "output",
        "The folder that is written, and what is shown.",
        (
            "folder", "runs", "name", "comparisons", "resume", "checkpoint_every", "tensorboard",
            "wait", "watch", "plot_only",
        ),
    ),
)  # fmt: skip
"""The other groups, in the order of a page. A command shows what it has of them."""

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("the book's network on MNIST", "jaxnet train"),
        ("ten learning rates at once", "jaxnet sweep"),
        ("what the newest run says", "jaxnet predict runs --test 0 1 2"),
        ("all options of a command", "jaxnet train --help"),
        ("the versions", "jaxnet --version"),
        ("completion by the Tab key", "jaxnet --tyro-print-completion bash"),
    ),
    "train": (
        ("the book's network on MNIST", "jaxnet train"),
        ("two hidden layers, Adam", "jaxnet train --hidden-sizes 64 32 --optimizer adam"),
        ("a table, of which a column is predicted", "jaxnet train --data my.csv --target ill"),
        ("go on for 50 epochs in all", "jaxnet train --resume runs/TIME-NAME --epochs 50"),
    ),
    "sweep": (
        ("ten learning rates, four seeds", "jaxnet sweep"),
        ("all pairs", "jaxnet sweep --vary learning_rate=0.1:1:5 l2=0,1,5"),
        ("the best third goes on", "jaxnet sweep --successive-halving 3"),
        ("go on after an interruption", "jaxnet sweep --folder studies/TIME-NAME"),
        ("progress and curves in a browser", "jaxnet sweep --watch"),
    ),
    "compare": (
        ("a first look, within a minute", "jaxnet compare --quick"),
        ("two optimizers", "jaxnet compare --optimizers sgd adam"),
        ("no more seeds than needed", "jaxnet compare --seeds 64 --until 0.002"),
        ("on your own images", "jaxnet compare --data my.npz --hidden-sizes 30"),
        ("draw the pictures again", "jaxnet compare --plot-only"),
    ),
    "predict": (
        ("rows of the test set", "jaxnet predict runs --test 0 1 2"),
        ("your own pictures", "jaxnet predict runs digit.png photos/"),
        ("a new table", "jaxnet predict runs new.csv --output answers.csv"),
    ),
    "plot": (
        ("all pictures of the newest run, as SVG", "jaxnet plot runs"),
        ("one of them, for print", "jaxnet plot runs --kind curves --format pdf"),
    ),
    "check": (
        ("the book's network", "jaxnet check"),
        ("deeper, with softmax", "jaxnet check --sizes 9 8 7 5 --cost log-likelihood"),
    ),
    "demo": (
        ("the names of all pages", "jaxnet demo"),
        ("open one in the browser", "jaxnet demo neuron"),
        ("digits, read by the newest run", "jaxnet demo digits runs"),
        ("write it elsewhere", "jaxnet demo neuron --output pages/neuron.html"),
    ),
}
"""What each page ends with: what a command does, and the command; by "" those of the overview."""


def groups_of(name: str, command: type) -> list[Group]:
    """The groups of a command's page, without empty ones, and without the options of no group.

    Args:
      name: the command.
      command: its class.
    """
    if name not in MAIN:
        return []
    names = {field.name for field in dataclasses.fields(command)} - {*MAIN[name]}
    groups = [
        group._replace(options=tuple(option for option in group.options if option in names))
        for group in GROUPS
    ]
    return [group for group in groups if group.options]


def in_groups(name: str, command: type) -> type:
    """The class that the parser fills: a command's own, or one with a class for each group.

    Args:
      name: the command.
      command: its class.
    """
    if name not in MAIN:
        return command
    hints = get_type_hints(command, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(command)}
    texts = _texts(command)
    copied = {
        option: (
            option,
            _described(hints[option], texts[option]),
            dataclasses.field(default=field.default),
        )
        for option, field in fields.items()
    }
    nested, rest = [], [*MAIN[name], *fields]
    for group in groups_of(name, command):
        kind = dataclasses.make_dataclass(
            group.name, [copied[option] for option in group.options], frozen=True
        )
        heading = tyro.conf.arg(name=group.name, help=group.about)
        nested.append((f"group_{group.name}", Annotated[kind, tyro.conf.OmitArgPrefixes, heading]))
        rest = [option for option in rest if option not in group.options]
    page = dataclasses.make_dataclass(
        command.__name__,
        [*nested, *(copied[option] for option in dict.fromkeys(rest))],
        frozen=True,
    )
    page.__doc__ = command.__doc__
    return page


def flat(command: type, parsed: Any) -> Any:
    """The command of what the parser has filled.

    Args:
      command: the class of the command.
      parsed: an object of `in_groups(name, command)`.
    """
    if isinstance(parsed, command):
        return parsed
    values = {field.name: getattr(parsed, field.name) for field in dataclasses.fields(parsed)}
    options: dict[str, Any] = {}
    for name, value in values.items():
        options |= vars(value) if dataclasses.is_dataclass(value) else {name: value}
    return command(**options)


@functools.cache
def _texts(command: type) -> dict[str, str]:
    """What each option of a command is, in one paragraph.

    The parser would read it from the source as well, but keeps the ends of the source's lines.
    """
    texts: dict[str, str] = {}
    for part in reversed(command.__mro__[:-1]):
        for option in docstring_parser.parse_from_object(part).params:
            texts[option.arg_name] = " ".join((option.description or "").split())
    return texts


def _described(hint: Any, text: str) -> Any:
    """An option's type with its text, and with its choices once and in their order."""
    inner, *configs = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    config: dict[str, str] = {"help": text}
    if names := choices_of(inner):
        config["metavar"] = f"{{{','.join(names)}}}"
    if get_origin(inner) is tuple:
        kinds = {int: "INT", float: "FLOAT", str: "NAME"}
        config["metavar"] = f"{config.get('metavar') or kinds[get_args(inner)[0]]} ..."
    if inner is bool:
        config["help_behavior_hint"] = ""
    return Annotated[(inner, tyro.conf.arg(**config), *configs)]  # pyright: ignore


def choices_of(hint: Any) -> tuple[str, ...]:
    """The choices of an option's type, in the order in which they were registered; () for others.

    >>> choices_of(tuple[Literal["b", "a"], ...]), choices_of(Literal["x"] | None), choices_of(int)
    (('b', 'a'), ('x',), ())
    """
    if get_origin(hint) is Literal:
        return tuple(map(str, get_args(hint)))
    return tuple(name for part in get_args(hint) for name in choices_of(part))


def overview(commands: Mapping[str, type]) -> Any:
    """What the parser fills where no command is named: the page of all commands.

    Args:
      commands: the classes of the commands by name.
    """
    choices = tuple(
        Annotated[
            Any,
            tyro.conf.subcommand(
                name=name,
                constructor=in_groups(name, command),
                description=(command.__doc__ or "").partition("\n")[0],
            ),
        ]
        for name, command in commands.items()
    )
    return Union[choices]  # noqa: UP007 (of a tuple)


def show(parse: Callable[[], object], command: str) -> None:
    """Print a help page, with examples at its end, no line wider than the terminal.

    Args:
      parse: the parser, which is asked for help.
      command: the name of the command; "" for the overview.
    """
    page = io.StringIO()  # a stream without encoding and colours, for which nothing is in boxes
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(page):
        parse()
    width = shutil.get_terminal_size().columns
    wrapped = [part for line in page.getvalue().splitlines() for part in _wrapped(line, width)]
    rule = " " + "-" * (width - 2)
    if not command:
        place = next(k for k, line in enumerate(wrapped) if line.lstrip().startswith("-h, --help"))
        wrapped[place + 1 : place + 1] = _parser_options(width)
    text = "\n".join([*wrapped, " examples", rule, *_examples(command, width)])
    # Below a text that fills its line, the parser leaves one for the default that is not shown.
    text = re.sub(r"\n\n(?=  -)", "\n", text)
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        text = re.sub(r"^ (\w.*)$(?=\n -)", "\033[1m \\1\033[0m", text, flags=re.MULTILINE)
    print(text)


def print_completion(parse: Callable[[], object]) -> None:
    """Print the script of the completion by the Tab key, which offers data sets besides files.

    Args:
      parse: the parser, which is asked for the script.
    """
    script = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(script):
        parse()
    # The parser's own script completes a path, or choices, and no option that may be both.
    text = re.sub(
        r"('flags': \['--data'\][^{}]*?'type': 'path')",
        lambda spec: f"{spec[1]}, 'names': {list(DATA_SETS)!r}",
        script.getvalue(),
    )
    names = "[name for name in opt.get('names', []) if name.startswith(current_word)]"
    text = re.sub(r'return (\[\\?"__TYRO_COMPLETE_FILES__\\?"\])', rf"return {names} or \1", text)
    print(text, end="")


def _wrapped(line: str, width: int) -> list[str]:
    """A line in lines of this width; tyro wraps neither the usage nor the description."""
    line = line.rstrip()
    if len(line) <= width:
        return [line]
    return textwrap.wrap(line, width, break_on_hyphens=False)


def _parser_options(width: int) -> list[str]:
    """The options of the program itself that the parser leaves out of its overview."""
    options = {
        "-V, --version": "print the versions of jaxnet and JAX",
        "--tyro-print-completion {bash,zsh,fish,tcsh}": "print a script that completes commands, "
        "options and names by the Tab key",
    }
    lines = []
    for flags, about in options.items():
        wrapped = textwrap.wrap(about, width - 6)
        lines += [f"  {flags}", *(f"      {line}" for line in wrapped)]
    return lines


def _examples(command: str, width: int) -> list[str]:
    """The examples of a page: each command beside what it does, or above it if that is wider."""
    examples = EXAMPLES[command]
    widest = max(len(typed) for _, typed in examples)
    lines = []
    for about, typed in examples:
        line = f"  {typed:{widest}}  {about}"
        lines += [line] if len(line) <= width else [f"  {typed}", f"      {about}"]
    return lines
