"""TensorBoard's events: a folder for each run, with curves, histograms and settings."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxnet.core.types import Params
from jaxnet.integrations.tracking import Curves, key_of
from jaxnet.io.reading import JsonObject
from jaxnet.training.run import Ending

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

FINISHED = "finished"
"""The suffix of an empty file in a network's folder, made last: its name is the network's key in
this folder of studies, and the number of epochs."""


@dataclass(frozen=True)
class TensorboardTool:
    """A folder of TensorBoard's event files."""

    folder: Path
    """The folder, absolute."""
    label = "TensorBoard"

    def training(self, key: str, parameters: JsonObject, done: int) -> "EventRun":
        """Begin the run of a training; see `Tool`."""
        del key, done
        return EventRun(self.folder, parameters)

    def study(self, key: str, kind: str) -> "EventStudy":
        """The parent run of a study; see `Tool`."""
        del kind
        return EventStudy(self.folder, key)


class EventRun:
    """The event file of a run, which is made with its first epoch."""

    def __init__(self, folder: Path, parameters: JsonObject, key: str | None = None) -> None:
        self.folder, self.parameters, self.key = folder, parameters, key
        self.opened: SummaryWriter | None = None
        self.last = 0

    def _writer(self, first: int) -> "SummaryWriter":
        from tensorboardX import SummaryWriter

        if self.opened is None:
            # It writes in a thread of its own, which a call of flush() would not wait for.
            self.opened = SummaryWriter(
                str(self.folder), purge_step=first, max_queue=1000, flush_secs=1
            )
        return self.opened

    def log(self, first: int, curves: Curves) -> None:
        """Write epochs; see `OpenRun`."""
        writer = self._writer(first)
        for name, curve in curves.items():
            for epoch, number in enumerate(curve, start=first):
                if not np.isnan(number):
                    writer.add_scalar(_tag(name), float(number), epoch)
                    self.last = max(self.last, epoch)

    def log_weights(self, epoch: int, params: Params) -> None:
        """Write histograms of the weights; see `OpenRun`."""
        for number, layer in enumerate(params, start=1):
            self._writer(epoch).add_histogram(f"weights/{number}", np.asarray(layer.w), epoch)

    def end(
        self,
        ending: Ending | None,
        results: Mapping[str, float | str],
        files: Sequence[Path],
    ) -> None:
        """Write settings and results, and close the file; see `OpenRun`. It keeps no files."""
        from tensorboardX.summary import hparams

        del files
        writer = self._writer(self.last + 1)
        numbers = {name: x for name, x in results.items() if not isinstance(x, str)}
        words = {name: x for name, x in results.items() if isinstance(x, str)}
        if self.parameters:
            assert writer.file_writer is not None
            for summary in hparams(self.parameters | words, numbers):
                writer.file_writer.add_summary(summary)
        for name, number in numbers.items():
            writer.add_scalar(name, number, self.last)
        writer.close()  # waits for that thread
        if self.key is not None and ending is not None:
            (self.folder / f"{self.key}-{self.last}.{FINISHED}").touch()


class EventStudy:
    """A folder of studies, with a folder inside for each network of each."""

    def __init__(self, folder: Path, study_key: str) -> None:
        self.folder, self.study_key = folder, study_key
        self.finished: dict[str, int] = {}
        for path in folder.glob(f"*/{study_key}-*.{FINISHED}"):
            _, key, epochs = path.stem.split("-")
            self.finished[key] = int(epochs)

    def network(self, key: str, name: str, parameters: JsonObject) -> EventRun:
        """Begin the run of a network; see `OpenStudy`."""
        ending = key_of(self.study_key, key)[:8]  # equal settings with other data are another run
        for earlier in self.folder.glob(f"*-{ending}"):
            shutil.rmtree(earlier)
        return EventRun(self.folder / f"{name}-{ending}", parameters, f"{self.study_key}-{key}")

    def end(
        self,
        ending: Ending | None,
        results: Mapping[str, float | str],
        files: Sequence[Path],
    ) -> None:
        """TensorBoard has no run of runs; see `OpenStudy`."""


def _tag(name: str) -> str:
    """The tag of a curve: the curves of a split stand together."""
    split, _, rest = name.partition("_")
    return f"{split}/{rest}" if split in ("evaluation", "training", "test") else name
