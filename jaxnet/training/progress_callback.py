"""The line of a run: that of `train`, or that of the callback `jaxnet.callbacks.progress`."""

import contextlib
from collections.abc import Iterator, Sequence

from jaxnet.training.progress_line import EpochLine, open_line, shown_line
from jaxnet.training.run import EpochCallback, EpochReport


class ProgressCallback:
    """The callback that `jaxnet.callbacks.progress` returns."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self.line: EpochLine | None = None

    def __reduce__(self) -> tuple[type["ProgressCallback"], tuple[()]]:
        return ProgressCallback, ()

    def __call__(self, report: EpochReport, /) -> None:
        """Show the results of an epoch."""
        if self.line is None:
            line = self.stack.enter_context(open_line())
            self.line = None if line is None else EpochLine(line, n_examples=0)
        if self.line is not None:
            self.line.show(report.epoch, report.epochs, report._asdict(), report.seconds)
        if report.epoch == report.epochs:
            self.close()

    def close(self) -> None:
        """End the line."""
        self.stack.close()
        self.line = None


@contextlib.contextmanager
def run_line(
    is_wanted: bool, callbacks: Sequence[EpochCallback], n_examples: int
) -> Iterator[EpochLine | None]:
    """Yield the line of a run; `None` where nobody watches, or where a callback shows the epochs.

    Args:
      is_wanted: whether the caller of `train` wants a line.
      callbacks: the callbacks of the run; the lines of those that show progress end with it.
      n_examples: the training examples of an epoch.
    """
    own = [callback for callback in callbacks if isinstance(callback, ProgressCallback)]
    try:
        with shown_line(is_wanted and not own) as line:
            yield None if line is None else EpochLine(line, n_examples)
    finally:
        for callback in own:
            callback.close()
