"""The command that a person would type for given options, for pages that say how they were made."""

import dataclasses
import shlex
from typing import Any

OF_A_CALL = ("folder", "resume", "wait", "watch", "plot_only")
"""Options that are about one call and not about what it makes."""


def command_of(name: str, options: Any) -> str:
    """The command with all options that differ from their defaults, quoted for the shell.

    Args:
      name: the command, such as "train".
      options: its options, a dataclass.

    Returns:
      One line, which the command line parses to the same options; hidden sizes stand for all.

    >>> from jaxnet.cli.sweep import Sweep
    >>> command_of("sweep", Sweep(data="my data.csv", seeds=2, l2=None))
    "jaxnet sweep --l2 None --data 'my data.csv' --seeds 2"
    """
    words = ["jaxnet", name]
    # Of --sizes and --hidden-sizes a command takes one; the data tell the other sizes.
    left_out = {*OF_A_CALL, "sizes"} if options.hidden_sizes else {*OF_A_CALL}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value == field.default or field.name in left_out:
            continue
        flag = f"--{field.name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, tuple):
            words += [flag, *map(str, value)]
        else:
            words += [flag, str(value)]
    return shlex.join(words)
