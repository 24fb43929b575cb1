"""Callbacks: `train(on_epoch=…)` for people's own tools. Two of them, and a model for more.

A callback takes an `EpochReport` and returns nothing. Both write epoch e once, however often a run
is resumed: what an earlier, lost continuation wrote from e on goes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxnet.core.types import History
from jaxnet.io import files
from jaxnet.io.csv import decode, encode
from jaxnet.training.run import EpochReport

NUMBERS = (*EpochReport._fields[2:7], "best_epoch", "seconds")


def csv(path: str | Path) -> Callable[[EpochReport], None]:
    """A callback that keeps a CSV file with a line an epoch, replaced atomically.

    Args:
      path: the file, whose folder is made if it is not there. Its columns are the epoch, the four
        curves, the learning rate, the best epoch so far and the seconds; what was not monitored is
        `nan`.

    Raises:
      ValueError: there is a file of that name which is none of this callback's.

    >>> import tempfile
    >>> callback = csv(Path(tempfile.mkdtemp(), "run.csv"))
    """
    path, names = Path(path), ("epoch", *NUMBERS)
    _epochs(path, names)
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(report: EpochReport) -> None:
        kept = [row for epoch, row in _epochs(path, names) if epoch < report.epoch]
        now = [getattr(report, name) for name in names]
        files.write_atomic(path, encode([names, *kept, now], nan="nan"))

    return write


def _epochs(path: Path, names: tuple[str, ...]) -> list[tuple[int, list[str]]]:
    """The lines of a file that `csv` wrote, each with its epoch; none, if there is no file."""
    if not path.exists():
        return []
    try:
        header, *rows = decode(path.read_bytes())
        if tuple(header) == names:
            return [(int(row[0]), row) for row in rows]
    except ValueError:  # it is not UTF-8, not CSV, empty, or has lines without a number
        pass
    raise ValueError(f"{path} is another file, which would be lost; choose another name.")


def tensorboard(folder: str | Path) -> Callable[[EpochReport], None]:
    """A callback that writes events for TensorBoard: curves, monitors, histograms of the weights.

    Of monitors it writes an epoch's mean. All is on disk a second after an epoch, and when the last
    one is done. To look at them: `pip install tensorboard`, then
    `tensorboard --logdir FOLDER`.

    Args:
      folder: of the event files, made with the first epoch's.

    Raises:
      ModuleNotFoundError: tensorboardX is not there.
    """
    try:
        import tensorboardX
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the TensorBoard callback needs tensorboardX: pip install 'jaxnet-mlp[tensorboard]'."
        ) from None
    writers: list[Any] = []

    def write(report: EpochReport) -> None:
        if not writers:
            # A thread of its own writes: what is flushed here may not have come to it yet.
            writer = tensorboardX.SummaryWriter(
                str(folder), purge_step=report.epoch, max_queue=1000, flush_secs=1
            )
            writers.append(writer)
        for name in NUMBERS:
            tag = name.replace("_", "/") if name in History._fields else name
            writers[0].add_scalar(tag, getattr(report, name), report.epoch)
        for name, rows in report.monitors.items():
            for layer, number in enumerate(rows.mean(axis=0), start=1):
                writers[0].add_scalar(f"{name}/layer_{layer}", number, report.epoch)
        for layer, (w, _) in enumerate(report.params, start=1):
            writers[0].add_histogram(f"weights/{layer}", w, report.epoch)
        if report.epoch == report.epochs:
            writers.pop().close()  # waits for that thread

    return write
