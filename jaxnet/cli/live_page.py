"""`--watch`: a page that shows how far a command is, at an address of this machine alone.

The command writes a small status file into its folder; a process beside it (`live_server`) answers
a browser with the page and with that file. So a browser costs the training next to nothing, and
nothing that goes wrong there can harm it: it is said in a warning, once.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from jaxnet.cli import console, live_server, live_status
from jaxnet.cli.live_status import Heading
from jaxnet.cli.options import FailedError
from jaxnet.io import files
from jaxnet.io.reading import JsonObject
from jaxnet.sweeps.executors import SweepReport

PAGE = Path(__file__).parents[1] / "reporting" / "templates" / "watch.html"
STATUS = ".watch.json"
"""The status file in the folder of the command, which is removed at the end."""
EVERY_SECONDS = 1.0
"""The status is written no more often."""
MOST_OF_TIME = 0.01
"""The share of the time that may be spent on it."""
START_SECONDS = 20.0
"""The server has to begin within these."""
END_SECONDS = 5.0
"""The server has to end within these, and is killed then."""

Watch = tuple[int, ...] | None
"""The value of --watch: none, () for a free port, or a port."""
WatchOption = Annotated[Watch, tyro.conf.arg(metavar="[PORT]", help_behavior_hint="")]


class LivePage:
    """Writes the status of a command for its page; without a server it does nothing.

    Args:
      heading: what the page is about.
    """

    def __init__(self, heading: Heading) -> None:
        self.heading = heading
        self.last: JsonObject = live_status.before_training(heading)
        self.server: subprocess.Popen[str] | None = None
        self.path = Path()
        self.next_time = 0.0
        self.latest: tuple[SweepReport, str] | None = None

    def report(self, report: SweepReport, stage: str = "") -> None:
        """Show the progress, unless that has just been done.

        Args:
          report: the progress.
          stage: the name of the stage of a comparison; empty for a sweep.
        """
        began, self.latest = time.perf_counter(), (report, stage)
        if self.server is None or (began < self.next_time and not report.interrupted):
            return
        try:
            if self.server.poll() is not None:
                raise OSError(f"its server has ended with status {self.server.returncode}")
            self._write(live_status.of_report(self.heading, report, stage))
        except Exception as error:  # whatever it is, the training goes on
            self.give_up(error)
        now = time.perf_counter()
        self.next_time = began + max(EVERY_SECONDS, (now - began) / MOST_OF_TIME)

    def finish(self, result: Sequence[str], state: str = "finished") -> None:
        """Show how the command has ended.

        Args:
          result: what it came to, in sentences.
          state: one of `live_status.STATES`.
        """
        if self.server is None or self.last["is_over"]:
            return
        try:
            if self.latest is not None:
                self.last = live_status.of_report(self.heading, *self.latest)
            self._write(live_status.at_the_end(self.last, state, result))
        except Exception as error:
            self.give_up(error)

    def begin(self, port: int, folder: Path) -> str:
        """Start the server.

        Args:
          port: where it answers; 0 for a free port.
          folder: where the status file is written.

        Returns:
          The address of the page.

        Raises:
          OSError: it does not start.
        """
        self.path = folder.absolute() / STATUS
        self.server = _started(port, self.path)
        self._write(self.last)
        line = _first_line(self.server)
        if not line.isdigit():
            raise OSError(line or "its server does not start")
        return f"http://{live_server.HOST}:{line}/"

    def give_up(self, error: Exception, has_begun: bool = True) -> None:
        """Go on without the page, after a warning.

        Args:
          error: the reason.
          has_begun: whether there has been a page.
        """
        self.end()
        reason = getattr(error, "strerror", None) or error
        any_more = " any more" if has_begun else ""
        warnings.warn(
            f"there is no live page{any_more}: {reason}; the command goes on without it.",
            UserWarning,
            stacklevel=2,
        )

    def end(self) -> None:
        """End the server, and remove the status file."""
        server, self.server = self.server, None
        if server is None:
            return
        assert server.stdin is not None
        assert server.stdout is not None
        for pipe in (server.stdin, server.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            server.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _write(self, status: JsonObject) -> None:
        """Replace the status file."""
        self.last = status
        try:
            files.write_atomic(self.path, json.dumps(status, allow_nan=False).encode())
        except PermissionError:
            if os.name != "nt":  # where a file that is being read cannot be replaced
                raise


@contextlib.contextmanager
def watched(watch: Watch, folder: Path, heading: Heading, out: Console) -> Iterator[LivePage]:
    """A context with the live page of --watch, whose address is printed; it ends with the context.

    Args:
      watch: the value of the option.
      folder: the folder of the command.
      heading: what the page is about.
      out: where the address is printed.
    """
    page = LivePage(heading)
    if watch is None:
        yield page
        return
    try:
        address = page.begin(next(iter(watch), 0), folder)
        console.say_command(out, "Watch it in a browser of this machine", address)
    except OSError as error:
        page.give_up(error, has_begun=False)
    try:
        yield page
    except BaseException as error:
        is_interruption = isinstance(error, FailedError) and error.status == 130
        state = "interrupted" if is_interruption else "failed"
        page.finish([str(error) or type(error).__name__], state)
        raise
    finally:
        page.end()


def check(watch: Watch) -> None:
    """Raise a ValueError unless --watch names a port, or none; a command begins with it.

    Args:
      watch: the value of the option.
    """
    if watch and (len(watch) > 1 or not all(1 <= port <= 65535 for port in watch)):
        raise ValueError(
            "--watch takes one port in [1, 65535], or none for a free one, not "
            f"{' '.join(map(str, watch))}."
        )


def _started(port: int, status: Path) -> subprocess.Popen[str]:
    """The server's process, which ends when its standard input is closed."""
    # Isolated, so that no module of the working directory is taken for one of Python's; in a group
    # of its own, so that Ctrl-C does not end it before the command has, but in the same session,
    # within which alone Linux may heed its priority.
    return subprocess.Popen(
        [sys.executable, "-I", live_server.__file__, str(PAGE), str(status), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        process_group=0 if os.name == "posix" else None,
    )


def _first_line(server: subprocess.Popen[str]) -> str:
    """The first line that the server prints; "" if it prints none in time."""
    assert server.stdout is not None
    stdout, lines = server.stdout, []
    reader = threading.Thread(target=lambda: lines.append(stdout.readline()), daemon=True)
    reader.start()
    reader.join(START_SECONDS)
    return lines[0].strip() if lines else ""
