"""The standard streams: they may be closed, full, piped, or of an encoding without λ."""

import contextlib
import errno
import io
import os
import sys
from typing import Any

from rich.console import Console

ANY_WIDTH = 10_000
"""A width that is enough for each table."""


class Terminal(Console):
    """Standard output, which prints text as it is: a path may hold what rich takes for markup.

    In a file or a pipe no line ends with blanks, with which rich fills up a table's lines, and
    tables are as wide as they are unless COLUMNS says how wide they may be.
    """

    def __init__(self) -> None:
        super().__init__(highlight=False, markup=False, emoji=False)
        if not self.is_terminal and not os.environ.get("COLUMNS"):
            self.width = ANY_WIDTH

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, without blanks at the ends of lines that a program may read.

        Args:
          objects: what to print.
          options: rich's own.
        """
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as captured:
            super().print(*objects, **options)
        lines = captured.get().split("\n")
        super().print("\n".join(line.rstrip() for line in lines), end="", soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Raise as `print` does, where rich would end the process with a status of its own."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def escape_what_cannot_be_encoded() -> None:
    """Make standard streams take all text: as escapes in ASCII, or nowhere if they are closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_error(message: str) -> None:
    """Print a message in one line, if there is still someone to read it."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    with contextlib.suppress(OSError):
        print(f"jaxnet: {line}", file=sys.stderr)


def end_quietly() -> int:
    """Let what is not printed yet go nowhere, since nobody reads it.

    Returns:
      The exit status of a program that wrote to a closed pipe.
    """
    with contextlib.suppress(OSError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())  # Python writes the rest when it ends
        os.close(devnull)
    return 128 + 13  # as if SIGPIPE had ended it
