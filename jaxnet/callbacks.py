"""Callbacks: `train(on_epoch=…)` for people's own tools. Two of them, and a model for more.

A callback takes an `EpochReport` and returns nothing. Both write epoch e once, however often a run
is resumed: what an earlier, lost continuation wrote from e on goes.
"""

import csv as table
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxnet import storage
from jaxnet.driver import EpochReport

NUMBERS = (*EpochReport._fields[2:7], "best_epoch", "seconds")


def csv(path: str | Path) -> Callable[[EpochReport], None]:
    """A callback that keeps a CSV file with a line an epoch, replaced atomically.

    >>> import tempfile
    >>> callback = csv(Path(tempfile.mkdtemp(), "run.csv"))
    """
    path = Path(path)

    def write(report: EpochReport) -> None:
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        kept = [line for line in lines if int(line.partition(",")[0]) < report.epoch]
        text = io.StringIO()
        writer = table.writer(text, lineterminator="\n")
        writer.writerow(("epoch", *NUMBERS))
        text.writelines(f"{line}\n" for line in kept)
        writer.writerow((report.epoch, *(getattr(report, name) for name in NUMBERS)))
        storage.write_atomic(path, text.getvalue().encode())

    return write


def tensorboard(folder: str | Path) -> Callable[[EpochReport], None]:
    """A callback that writes events for TensorBoard: curves, monitors, histograms of the weights.

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
            writers.append(tensorboardX.SummaryWriter(str(folder), purge_step=report.epoch))
        for name in NUMBERS:
            writers[0].add_scalar(name.replace("_", "/", 1), getattr(report, name), report.epoch)
        for name, rows in report.monitors.items():
            for layer, number in enumerate(rows.mean(axis=0), start=1):
                writers[0].add_scalar(f"{name}/{layer}", number, report.epoch)
        for layer, (w, _) in enumerate(report.params, start=1):
            writers[0].add_histogram(f"weights/{layer}", w, report.epoch)
        writers[0].flush()

    return write
