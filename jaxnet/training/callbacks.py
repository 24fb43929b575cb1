"""Callbacks for `train(on_epoch=…)`: a CSV file, TensorBoard, progress; examples for your own.

A callback takes an `EpochReport` and returns nothing. The first two write each epoch once,
however often a run is resumed: when epoch e is reported, what an earlier, lost continuation of the
run wrote about epoch e and later ones is removed.
"""

from dataclasses import dataclass
from pathlib import Path

from jaxnet.core.arguments import path_of
from jaxnet.core.types import History
from jaxnet.io import files, reading
from jaxnet.io.csv import decode, encode
from jaxnet.training.progress_callback import ProgressCallback
from jaxnet.training.run import EpochCallback, EpochReport

NUMBERS = tuple(
    name for name in EpochReport._fields[2:] if name not in ("params", "monitors", "metrics")
)
"""The numbers of a report that are written, by name."""
N_ADDED_COLUMNS = 2
"""The columns at the end, the data costs, that the files of version 0.2.0 do not have."""


def csv(path: str | Path) -> EpochCallback:
    """A callback that writes a CSV file with one line per epoch, replaced atomically.

    Args:
      path: the file; its folder is made if there is none. The columns are the epoch, the costs and
        accuracies, the learning rate, the best epoch so far, the seconds, the costs without
        penalties, and the metrics; a curve that was not evaluated is `nan`.

    Returns:
      The callback, for `train(on_epoch=…)`.

    Raises:
      ValueError: there is a file of that name which this callback did not write.

    >>> import tempfile
    >>> callback = csv(Path(tempfile.mkdtemp(), "run.csv"))
    """
    path, columns = path_of("path", path), ("epoch", *NUMBERS)
    _epoch_lines(path, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    return _CsvWriter(path.absolute(), columns)  # training may change the working directory


@dataclass(frozen=True)
class _CsvWriter:
    """The callback that `csv` returns; it can be pickled."""

    path: Path
    columns: tuple[str, ...]

    def __call__(self, report: EpochReport, /) -> None:
        """Write the line of an epoch after those of the epochs before."""
        names = (*self.columns, *report.metrics)
        lines = _epoch_lines(self.path, self.columns)
        earlier = [line for line in lines if int(line["epoch"]) < report.epoch]
        rows = [[line.get(name, "nan") for name in names] for line in earlier]
        numbers = [getattr(report, name) for name in self.columns]
        content = [names, *rows, [*numbers, *report.metrics.values()]]
        files.write_atomic(self.path, encode(content, nan="nan"))


def _epoch_lines(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The lines of a file that `csv` wrote, by the names of columns; none if there is no file."""
    if not path.exists():
        return []
    return reading.read_content(
        path,
        "a file of the CSV callback",
        lambda content: _parsed_lines(content, columns),
        "choose another name, since this callback would overwrite it",
    )


def _parsed_lines(content: bytes, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The lines in the content of a file that `csv` wrote; errors are bare reasons."""
    header, *lines = decode(content) or [[]]
    has_columns = tuple(header[: len(columns)]) == columns  # followed by those of metrics
    if not has_columns and tuple(header) != columns[:-N_ADDED_COLUMNS]:
        raise ValueError("its first line is another")
    if any(len(line) != len(header) for line in lines):
        raise ValueError("a line of it is cut off")
    parsed = [dict(zip(header, line, strict=True)) for line in lines]
    for line in parsed:
        int(line["epoch"])
    return parsed


def progress() -> EpochCallback:
    """A callback that shows the epochs on a line where a person watches, and nothing elsewhere.

    `train` shows such a line by itself. The callback is for loops of your own that make an
    `EpochReport` for each epoch, and for runs inside of another call. The line ends with the last
    epoch, or with the run.

    Returns:
      The callback, for `train(on_epoch=…)`.

    >>> import jaxnet as jn
    >>> callback = progress()
    >>> recipe = jn.Recipe(jn.sgd(0.5))
    >>> run = jn.train(jn.Network((2, 2)), jn.datasets.xor(), recipe, epochs=2, on_epoch=callback)
    """
    return ProgressCallback()


def tensorboard(folder: str | Path) -> EpochCallback:
    """A callback that writes TensorBoard events: curves, monitors, histograms of the weights.

    Monitors are written as their mean over the epoch. Everything is on disk a second after each
    epoch, and at once after the last one. To look at it: `pip install tensorboard`, then
    `tensorboard --logdir FOLDER`.

    Args:
      folder: the folder of the event files, made after the first epoch if there is none.

    Returns:
      The callback, for `train(on_epoch=…)`.

    Raises:
      ModuleNotFoundError: tensorboardX is not installed.

    >>> callback = tensorboard("runs/xor")  # nothing is written before the first epoch
    """
    try:
        import tensorboardX  # noqa: F401 (whether it is there is known before the training)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "the TensorBoard callback needs tensorboardX: pip install 'jaxnet-mlp[tensorboard]'."
        ) from None
    return _EventWriter(str(path_of("folder", folder).absolute()))


class _EventWriter:
    """The callback that `tensorboard` returns; a pickled copy of it opens a file of its own."""

    def __init__(self, folder: str) -> None:
        self.folder, self.writers = folder, []

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "writers": []}

    def __call__(self, report: EpochReport, /) -> None:
        """Write the events of an epoch."""
        import tensorboardX

        writers = self.writers
        if not writers:
            # It writes in a thread of its own, which a call of flush() would not wait for.
            writer = tensorboardX.SummaryWriter(
                self.folder, purge_step=report.epoch, max_queue=1000, flush_secs=1
            )
            writers.append(writer)
        for name in NUMBERS:
            tag = name.replace("_", "/", 1) if name in History.CURVES else name
            writers[0].add_scalar(tag, getattr(report, name), report.epoch)
        for name, number in report.metrics.items():
            writers[0].add_scalar(name.replace("_", "/", 1), number, report.epoch)
        for name, rows in report.monitors.items():
            for layer, mean in enumerate(rows.mean(axis=0), start=1):
                writers[0].add_scalar(f"{name}/layer_{layer}", mean, report.epoch)
        for number, layer in enumerate(report.params, start=1):
            writers[0].add_histogram(f"weights/{number}", layer.w, report.epoch)
        if report.epoch == report.epochs:
            writers.pop().close()  # waits for that thread
