"""Folders that one writer has to itself: locked ones, and new ones that nobody else was given.

Two trainings in one folder would do all work twice, and the last file written would win. So whoever
writes into the folder of a run, a study or a comparison locks it first. The lock is the system's
(`flock`, by the package filelock), on the hidden file `.lock`: it ends with its process, however
that dies. Beside it, `.lock.json` says who holds the folder. Readers need no lock, because every
file is replaced atomically.
"""

import contextlib
import json
import os
import shlex
import socket
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from jaxnet.io import files, reading

LOCK = ".lock"
"""The file in a locked folder that the system's lock is on."""
HOLDER = ".lock.json"
"""The file in a locked folder that describes the holder of the lock."""
POLL_SECONDS = 0.2
"""Seconds between two attempts to lock a folder that is waited for."""

_lent: ContextVar[frozenset[Path]] = ContextVar("lent", default=frozenset())
"""The folders that this thread has locked, and that the next call in it may use as its own."""


class Holder(NamedTuple):
    """Who holds a folder."""

    pid: int
    """The number of its process."""
    host: str
    """The machine on which it runs."""
    since: str
    """When it locked the folder, in local time."""
    command: str
    """The command line of the process, shortened."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since} ({self.command})"


@contextlib.contextmanager
def locked(
    folder: str | Path, on_wait: Callable[[str], None] | None = None, lend: bool = False
) -> Iterator[Path]:
    """A context in which nobody else locks a folder: no other process, thread or nested call.

    What killed writers have left in the folder, half-written files and their lock, is removed.

    Args:
      folder: the folder; made if it does not exist, and then removed at the end if it is empty.
      on_wait: called with a sentence if somebody else holds the folder, which is then waited for.
        `None` refuses.
      lend: whether a call within the context, in the same thread, may lock the folder, too; one
        such call at a time. A command holds the folder of the run that it starts and lends it.

    Yields:
      The path of the folder.

    Raises:
      ValueError: somebody else holds the folder; the message says who.
      OSError: the folder cannot be written.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with locked(folder), locked(folder):
    ...     pass
    Traceback (most recent call last):
    ValueError: ... is in use by process ...
    >>> os.listdir(folder)
    []
    """
    folder = Path(folder)
    path = folder.resolve()
    lent = _lent.get()
    with contextlib.ExitStack() as stack:
        if path not in lent:
            stack.enter_context(_made(folder))
            stack.enter_context(_acquired(folder, on_wait))
        reset = _lent.set(lent | {path} if lend else lent - {path})
        try:
            yield folder
        finally:
            _lent.reset(reset)


@contextlib.contextmanager
def new_folder(stem: Path) -> Iterator[Path]:
    """A context with a new folder, locked and lent, also if several processes ask for it at once.

    Args:
      stem: its path; if it is taken, `-2`, `-3` and so on are tried behind its name.

    Yields:
      The path of the folder, which is removed at the end if it is empty then.

    Raises:
      OSError: it cannot be made.

    >>> import tempfile
    >>> stem = Path(tempfile.mkdtemp(), "run")
    >>> with new_folder(stem) as first, new_folder(stem) as second, new_folder(stem) as third:
    ...     first.name, second.name, third.name
    ('run', 'run-2', 'run-3')
    """
    with _made(stem.parent):
        folder, count = stem, 1
        while not _is_made(folder):
            count += 1
            folder = stem.with_name(f"{stem.name}-{count}")
        try:
            with locked(folder, lend=True):
                yield folder
        finally:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


def _is_made(folder: Path) -> bool:
    """Make a folder, unless its name is taken."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; those that are new and empty at the end are removed."""
    folder = folder.absolute()  # the working directory may be another one at the end
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it is not empty
            for path in missing:
                path.rmdir()


@contextlib.contextmanager
def _acquired(folder: Path, on_wait: Callable[[str], None] | None) -> Iterator[None]:
    """The system's lock on a folder, with the description of this process beside it."""
    lock = FileLock(folder.absolute() / LOCK)
    _acquire(lock, folder, on_wait)
    folder = folder.absolute()  # the working directory may be another one at the end
    try:
        files.remove_stale(folder)
        files.write_atomic(folder / HOLDER, json.dumps(_this_process()._asdict()).encode())
        yield
    finally:
        try:
            (folder / HOLDER).unlink(missing_ok=True)
            # Before the release, so that nobody else's file is removed: filelock notices a lock on
            # a file that is gone. Windows removes no open file; there filelock does, afterwards.
            with contextlib.suppress(PermissionError):
                (folder / LOCK).unlink(missing_ok=True)
        finally:
            lock.release()


def _acquire(lock: FileLock, folder: Path, on_wait: Callable[[str], None] | None) -> None:
    """Acquire the lock on a folder, or refuse."""
    timeout = 0
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            if folder.exists() and not folder.is_dir():
                raise
            continue  # the holder has removed it between two looks
        try:
            lock.acquire(timeout=timeout, poll_interval=POLL_SECONDS)
            return
        except FileNotFoundError:
            continue  # the holder has just removed the folder, which was empty
        except Timeout:
            in_use = f"{folder} is in use by {_holder(folder)}"
            if on_wait is None:
                raise ValueError(
                    f"{in_use}; wait until that has ended (on the command line: --wait), or choose "
                    "another folder."
                ) from None
            on_wait(f"{in_use}: waiting until that has ended.")
            timeout = -1


def _this_process() -> Holder:
    """This process as the holder of a folder."""
    return Holder(
        pid=os.getpid(),
        host=socket.gethostname(),
        since=time.strftime("%Y-%m-%d %H:%M:%S"),
        command=textwrap.shorten(shlex.join(sys.orig_argv), 100, placeholder=" …"),
    )


def _holder(folder: Path) -> str:
    """Who holds a folder, for a message."""
    try:
        entries = reading.read_json(folder / HOLDER, "the description of a folder's holder")
        return str(Holder(**entries))
    except (ValueError, TypeError):
        return "another process"  # which is just beginning or ending
