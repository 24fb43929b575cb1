"""Command lines for tests, whose options may each be given once."""

from collections.abc import Sequence


def with_options(args: Sequence[str], *options: str) -> list[str]:
    """A command line with more options, which replace those of the same name.

    Args:
      args: the command, its arguments and options.
      options: options with their values, as "--seeds", "3" or "--seeds=3".
    """
    given = {_flag(option) for option in options if option.startswith("--")}
    kept, is_replaced = [], False
    for arg in args:
        if arg.startswith("--"):
            is_replaced = _flag(arg) in given
        if not is_replaced:
            kept.append(arg)
    return [*kept, *options]


def _flag(option: str) -> str:
    """The name of an option."""
    return option.partition("=")[0]
