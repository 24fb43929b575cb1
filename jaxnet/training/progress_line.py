"""A line that shows how far a call is, where a person watches: on a terminal, or in a notebook.

`train`, `sweep` and `compare` show one by `shown_line`. What it shows are numbers that the host has
already, so that no device is waited for.
"""

import contextlib
import html
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console

Line = Callable[[float, float | None, str], None]
"""Shows how much is done, of how much (`None` if that is not known yet), and words about it."""

BAR_WIDTH = 10
"""The characters of the bar on a terminal."""
REDRAW_SECONDS = 0.2
"""A notebook's line is not drawn anew more often."""
_call = threading.local()
"""Its attribute `is_shown` says whether a call of this thread has a line, or is to have none."""


def is_watched() -> bool:
    """Whether a person watches this call: in a notebook, or on a terminal that stderr goes to.

    Nobody does in a worker's process or thread, such as joblib's.
    """
    is_main_process = multiprocessing.current_process().name == "MainProcess"
    if not is_main_process or threading.current_thread() is not threading.main_thread():
        return False
    return _is_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def _is_notebook() -> bool:
    """Whether this is a notebook's kernel, which has imported IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


@contextlib.contextmanager
def shown_line(is_wanted: bool) -> Iterator[Line | None]:
    """Yield a line for a call to show how far it is, if a person watches and it is the outer call.

    Args:
      is_wanted: whether the caller wants it; if not, calls inside of this one show none either.
    """
    if getattr(_call, "is_shown", False):
        yield None
        return
    _call.is_shown = True
    try:
        with open_line() if is_wanted else contextlib.nullcontext() as line:
            yield line
    finally:
        _call.is_shown = False


@contextlib.contextmanager
def open_line() -> Iterator[Line | None]:
    """Yield a line where a person watches; `None` elsewhere, and on a terminal without rich."""
    if not is_watched():
        yield None
    elif _is_notebook():
        yield _NotebookLine()
    else:
        try:
            from rich.console import Console
        except ImportError:  # of the extra `cli`
            yield None
            return
        with terminal_line(Console(stderr=True)) as line:
            yield line


@contextlib.contextmanager
def terminal_line(console: "Console") -> Iterator[Line]:
    """Yield a line on a terminal: a bar and words, as many as there is room for.

    Args:
      console: where it is drawn.
    """
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(bar_width=BAR_WIDTH), TextColumn("{task.description}", markup=False))
    # What is printed goes above the line, but if stdout is a file it goes there.
    with Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("compiling …", total=None)

        def show(done: float, total: float | None, words: str) -> None:
            room = console.width - BAR_WIDTH - 1
            bar.update(task, completed=done, total=total, description=fitted(words, room))

        yield show


def fitted(words: str, width: int) -> str:
    """The first of the parts of a line, which two blanks divide, that fit into a width.

    Args:
      words: the parts, those that matter most first.
      width: the most characters.

    >>> fitted("3 of 8 networks  best 96.40%  12 s left", 30)
    '3 of 8 networks  best 96.40%'
    """
    while len(words) > width and "  " in words:
        words = words.rpartition("  ")[0]
    return words


def duration(seconds: float) -> str:
    """A time in words.

    Args:
      seconds: the time; NaN is empty.

    >>> duration(12.3), duration(600), duration(9000)
    ('12 s', '10 min', '2.5 h')
    """
    if np.isnan(seconds):
        return ""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class _NotebookLine:
    """A line in the output of a notebook's cell, which stays there."""

    def __init__(self) -> None:
        from IPython.display import display  # pyright: ignore[reportMissingImports]

        self.last_time = 0.0
        self.handle = display(self._drawn(0, None, "compiling …"), display_id=True)

    def __call__(self, done: float, total: float | None, words: str, /) -> None:
        """Draw the line anew, unless that has just been done."""
        now = time.perf_counter()
        if now - self.last_time > REDRAW_SECONDS or done == total:
            self.last_time = now
            if self.handle is not None:  # a notebook's display has one
                self.handle.update(self._drawn(done, total, words))

    def _drawn(self, done: float, total: float | None, words: str) -> object:
        """The line as an object that a notebook shows."""
        from IPython.display import HTML  # pyright: ignore[reportMissingImports]

        state = "" if total is None else f' value="{done:g}" max="{total:g}"'
        style = "width: 8em; vertical-align: middle; margin-right: .6em"
        return HTML(f'<progress style="{style}"{state}></progress>{html.escape(words)}')


class EpochLine:
    """Shows the epochs of a run on a line: the score, the best one so far, and the speed.

    Args:
      line: the line.
      n_examples: the training examples of an epoch; 0 where they are not known.
    """

    def __init__(self, line: Line, n_examples: int) -> None:
        self.line, self.n_examples = line, n_examples
        self.last_seconds = self.first_seconds = 0.0
        self.first_epoch = 0
        self.best_score, self.best_words = -np.inf, ""

    def show(self, epoch: int, epochs: int, scores: Mapping[str, float], seconds: float) -> None:
        """Show the results of an epoch.

        Args:
          epoch: its number, from 1.
          epochs: the number of epochs of the run.
          scores: the curves of `History` at this epoch, by name.
          seconds: the time since the run began.
        """
        score, words = score_and_words(scores)
        if score > self.best_score and words:
            self.best_score, self.best_words = score, f"best {words.partition(' ')[2]}"
        speed = self.speed(seconds)
        place = f"epoch {epoch:{len(str(epochs))}d}/{epochs}"
        # Without the first epoch, which compiles.
        left = ""
        if self.first_epoch and epoch < epochs:
            per_epoch = (seconds - self.first_seconds) / (epoch - self.first_epoch)
            left = f"{duration((epochs - epoch) * per_epoch)} left"
        elif not self.first_epoch:
            self.first_epoch, self.first_seconds = epoch, seconds
        parts = (place, words, self.best_words, left, speed)
        self.line(epoch, epochs, "  ".join(filter(None, parts)))

    def speed(self, seconds: float) -> str:
        """The examples per second of an epoch; of the first one the seconds instead.

        Args:
          seconds: the time since the run began.
        """
        elapsed, is_first = seconds - self.last_seconds, not self.last_seconds
        self.last_seconds = seconds
        if is_first or not elapsed or not self.n_examples:
            return f"{elapsed:.1f} s with compilation" if is_first else ""
        return f"{self.n_examples / elapsed:,.0f} examples/s"


def score_and_words(scores: Mapping[str, float]) -> tuple[float, str]:
    """The score of an epoch that is shown, and what it is.

    Args:
      scores: the curves of `History` at this epoch, by name.

    Returns:
      The accuracy or, without labels, the negative cost without penalties, of the validation split
      or, where it is not evaluated, of the training split, with its words; NaN and none without
      either.

    >>> nan = float("nan")
    >>> score_and_words({"evaluation_accuracy": nan, "evaluation_data_cost": 0.25})
    (-0.25, 'validation 0.25')
    """
    for split, name in (("evaluation", "validation"), ("training", "training")):
        accuracy = scores.get(f"{split}_accuracy", np.nan)
        cost = scores.get(f"{split}_data_cost", np.nan)
        if np.isfinite(accuracy):
            return float(accuracy), f"{name} {accuracy:.2%}"
        if np.isfinite(cost):
            return -float(cost), f"{name} {cost:.4g}"
    return float("nan"), ""
