"""Ctrl-C during training: the first one ends the run after the epoch, the second one at once."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interruptible() -> Iterator[list[int]]:
    """Let Ctrl-C end training after the current epoch; a second Ctrl-C interrupts at once.

    Outside the main thread, or where somebody else handles Ctrl-C already, nothing is changed.

    Yields:
      A list that is empty until Ctrl-C is pressed, and then holds the signal's number.
    """
    requests: list[int] = []

    def request_end(number: int, frame: FrameType | None) -> None:
        if requests:
            signal.default_int_handler(number, frame)
        requests.append(number)

    is_main_thread = threading.current_thread() is threading.main_thread()
    if not is_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield requests
        return
    signal.signal(signal.SIGINT, request_end)
    try:
        yield requests
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
