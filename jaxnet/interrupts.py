"""Ctrl-C: during training it ends the run after the epoch; else, on the command line, the process.

Python runs a signal's handler only when its main thread is back from compiled code, and an
exception that is raised while modules are imported may be lost. The command line therefore leaves
Ctrl-C to a thread. This module imports nothing but the standard library, so that the thread is
there before JAX is imported.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType

_requests: list[list[int]] = []
"""The list that `interruptible` has yielded, while its block runs."""


@contextlib.contextmanager
def interruptible() -> Iterator[list[int]]:
    """Let Ctrl-C end training after the current epoch; a second Ctrl-C interrupts at once.

    A block inside another one shares its list. Outside the main thread, or where somebody else
    handles Ctrl-C already, nothing is changed.

    Yields:
      A list that is empty until Ctrl-C is pressed, and then holds the signal's number.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    if _requests:
        yield _requests[-1]
        return
    handler = signal.getsignal(signal.SIGINT)
    if handler not in (signal.default_int_handler, _leave_to_thread):
        yield []
        return
    requests: list[int] = []
    _requests.append(requests)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, _request_end)
    try:
        yield requests
    finally:
        signal.signal(signal.SIGINT, handler)
        _requests.remove(requests)


def end_process_on_interrupt() -> None:
    """Let Ctrl-C end this process at once, with one line and status 130, outside `interruptible`.

    Nothing is cleaned up: every file is written atomically, and XLA's threads, which may be at
    work, do not survive an orderly end of the interpreter. Where Ctrl-C is ignored, as in a job
    that a script has put into the background, it stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.signal(signal.SIGINT, _leave_to_thread)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    # The thread holds both ends: were the sender collected, its number could be another file's.
    threading.Thread(target=_watch, args=(receiver, sender), daemon=True).start()


def _watch(receiver: socket.socket, sender: socket.socket) -> None:
    """Pass the first Ctrl-C in an interruptible block on to it; any other one ends the process."""
    while signals := receiver.recv(1):
        if signals[0] != signal.SIGINT:
            continue
        if not _requests or _requests[-1]:
            _end_process()
        _requests[-1].append(signal.SIGINT)


def _end_process() -> None:
    """End the process by one line on the standard error stream and status 130."""
    if os.isatty(1):
        os.write(1, b"\x1b[?25h\n")  # progress bars hide the cursor
    os.write(2, b"jaxnet: interrupted at once; what was saved before is unharmed.\n")
    os._exit(130)


def _request_end(number: int, frame: FrameType | None) -> None:
    """Handle Ctrl-C in an interruptible block, outside the command line."""
    if _requests[-1]:
        signal.default_int_handler(number, frame)
    _requests[-1].append(number)


def _leave_to_thread(number: int, frame: FrameType | None) -> None:
    """Do nothing: the signal's number has been sent to the thread."""
