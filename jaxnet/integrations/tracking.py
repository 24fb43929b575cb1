"""Trackers: tools that keep the curves and settings of runs, and what writes to them.

A `Tool` is MLflow, Weights & Biases or TensorBoard: there is a module for each. `Tracker` writes
one training to a tool, and `jaxnet.track` each network of a study.
"""

import hashlib
import json
import math
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from jaxnet.core.arguments import reason_of
from jaxnet.core.network import Network
from jaxnet.core.types import Params
from jaxnet.data.doubtful import outer_stacklevel
from jaxnet.io import network_files
from jaxnet.io.reading import JsonObject
from jaxnet.sweeps.store import Setting
from jaxnet.training.run import Ending, EpochReport, Run
from jaxnet.training.run_callbacks import RunStart

NUMBERS = tuple(
    name for name in EpochReport._fields[2:] if name not in ("params", "monitors", "metrics")
)
"""The numbers of a report that are written, by name."""
AS_WITHOUT = "the training is as it would be without it"
Curves = Mapping[str, np.ndarray]
"""Numbers by name, one per epoch; NaN is not written."""


@runtime_checkable
class OpenRun(Protocol):
    """A run of a tool that is being written."""

    def log(self, first: int, curves: Curves) -> None:
        """Write epochs.

        Args:
          first: the number of the first epoch, from 1.
          curves: the numbers by name.
        """
        ...

    def log_weights(self, epoch: int, params: Params) -> None:
        """Write the distribution of the weights after an epoch, where the tool shows it."""
        ...

    def end(
        self,
        ending: Ending | None,
        results: Mapping[str, float | str],
        files: Sequence[Path],
    ) -> None:
        """Write the results, and close the run.

        Args:
          ending: how the training ended; `None` for an exception.
          results: numbers and words about the whole run.
          files: files to keep; they are gone after this call.
        """
        ...


@runtime_checkable
class OpenStudy(Protocol):
    """The parent run of a study, with a run inside for each network."""

    @property
    def finished(self) -> Mapping[str, int]:
        """The epochs of each network that was written to the end, by its key."""
        ...

    def network(self, key: str, name: str, parameters: JsonObject) -> OpenRun:
        """Begin the run of a network; an earlier one with this key goes.

        Args:
          key: identifies the network in the study.
          name: what people read.
          parameters: its settings.
        """
        ...

    def end(
        self,
        ending: Ending | None,
        results: Mapping[str, float | str],
        files: Sequence[Path],
    ) -> None:
        """Write the results of the study, and close its run; as `OpenRun.end`."""
        ...


@runtime_checkable
class Tool(Protocol):
    """A tool that keeps runs; it can be pickled."""

    label: str
    """What a person calls it."""

    def training(self, key: str, parameters: JsonObject, done: int) -> OpenRun:
        """Begin the run of a training.

        Args:
          key: equal for trainings with the same settings and data; empty if they cannot be named.
          parameters: the settings.
          done: the epochs that earlier calls have done: if there are any, their run goes on.
        """
        ...

    def study(self, key: str, kind: str) -> OpenStudy:
        """The parent run of a study: that of this key, or a new one.

        Args:
          key: equal for studies of the same data.
          kind: "study" or "comparison", its name if the person gave none.
        """
        ...


class Tracker:
    """The callback that `jaxnet.callbacks.mlflow`, `wandb` and `tensorboard` return.

    It follows one training after the other; in a loop of your own, an epoch that does not come
    after the one before begins another run. If the tool fails, it warns once, and the training goes
    on without it. A copy, such as a pickled one, writes runs of its own.

    Args:
      tool: the tool to write to.

    >>> import jaxnet as jn
    >>> jn.callbacks.tensorboard("runs")
    Tracker(TensorBoard)
    """

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.run: OpenRun | None = None
        self.start: RunStart | None = None
        self.last = 0
        """The last epoch of a loop of the caller's own."""
        self.has_failed = False

    def __reduce__(self) -> tuple[type["Tracker"], tuple[Tool]]:
        return Tracker, (self.tool,)

    def __repr__(self) -> str:
        return f"Tracker({self.tool.label})"

    def begin(self, start: RunStart, /) -> None:
        """Begin the run of a training in the tool.

        Args:
          start: network, recipe and settings of the run.
        """
        self.start, self.last, self.has_failed = start, 0, False
        self._write(lambda: self._open(start))

    def __call__(self, report: EpochReport, /) -> None:
        """Write an epoch.

        Args:
          report: the results of the epoch.
        """
        if self.start is None:
            self._follow_own_loop(report.epoch)
        self._write(lambda: self._log(report))

    def end(self, run: Run | None, /) -> None:
        """Write the results, and close the run.

        Args:
          run: the finished run; `None` after an exception.
        """
        try:
            if self.run is not None:
                self._write(lambda: self._close(run, None if run is None else run.ending))
        finally:  # Ctrl-C passes
            self.run = self.start = None

    def _open(self, start: RunStart) -> None:
        setting = Setting(start.network, start.recipe, start.batch_size, start.examples)
        parameters = setting.columns() | {"seed": start.seed, "epochs": start.epochs}
        key = _key_of(setting, start.seed, start.data_sha256)
        self.run = self.tool.training(key, parameters, start.done)

    def _follow_own_loop(self, epoch: int) -> None:
        """Close the run of a loop that broke off, if this epoch is of the next loop."""
        if epoch <= self.last:
            if self.run is not None:
                self._write(lambda: self._close(None, "interrupted"))
            self.has_failed = False
        self.last = epoch

    def _log(self, report: EpochReport) -> None:
        if self.run is None:  # in a loop of the caller's own
            self.run = self.tool.training("", {}, report.epoch - 1)
        self.run.log(report.epoch, curves_of(report))
        self.run.log_weights(report.epoch, report.params)
        if self.start is None and report.epoch == report.epochs:
            self._close(None, "done")

    def _close(self, run: Run | None, ending: Ending | None) -> None:
        opened, self.run = self.run, None
        assert opened is not None
        with tempfile.TemporaryDirectory() as folder:
            results, files = {}, []
            if run is not None:
                results = _results_of(run, self.start.done if self.start else 0)
                files = network_file(Path(folder), run.network, run.best_params)
                files += html_file(Path(folder, "run.html"), run)
            opened.end(ending, results, files)

    def _write(self, write: Callable[[], object]) -> None:
        """Write something, unless the tool has failed in this training."""
        if not self.has_failed and not succeeds(self.tool, write, AS_WITHOUT):
            self.has_failed, self.run = True, None


def succeeds(tool: Tool, write: Callable[[], object], consequence: str) -> bool:
    """Whether writing to a tool succeeds; if not, there is a warning in place of an error.

    Args:
      tool: the tool.
      write: writes to it.
      consequence: what a failure means, as the end of the warning.
    """
    try:
        write()
    except Exception as error:
        warnings.warn(
            f"{tool.label} failed ({type(error).__name__}: {reason_of(error)}); nothing more is "
            f"written to it, and {consequence}.",
            UserWarning,
            stacklevel=outer_stacklevel(),
        )
        return False
    return True


def curves_of(report: EpochReport) -> Curves:
    """All numbers of an epoch, by name; of monitors the means over the epoch, for each layer.

    Args:
      report: the results of the epoch.
    """
    numbers = {name: getattr(report, name) for name in NUMBERS} | report.metrics
    for name, rows in report.monitors.items():
        for layer, mean in enumerate(rows.mean(axis=0), start=1):
            numbers[f"{name}/layer_{layer}"] = mean
    return {name: np.array([number]) for name, number in numbers.items()}


def _results_of(run: Run, done: int) -> dict[str, float | str]:
    """The ending of a run, its best epoch and the numbers of that epoch."""
    curves = {name: np.asarray(curve) for name, curve in run.history.curves.items()}
    return {"ending": run.ending, **best_numbers(curves, run.best_epoch, done)}


def best_numbers(curves: Curves, best_epoch: int, done: int = 0) -> dict[str, float]:
    """The best epoch, and the value of each curve then.

    Args:
      curves: the curves by name.
      best_epoch: the best epoch, from 1; 0 is the start, of which the curves know nothing.
      done: the epochs before the first one of the curves; 0 by default.

    >>> best_numbers({"cost": np.array([0.5, 0.25])}, 2)
    {'best_epoch': 2.0, 'best_cost': 0.25}
    """
    row, numbers = best_epoch - done - 1, {"best_epoch": float(best_epoch)}
    for name, curve in curves.items():
        if 0 <= row < len(curve) and not math.isnan(curve[row]):
            numbers[f"best_{name}"] = float(curve[row])
    return numbers


def key_of(*parts: object) -> str:
    """A short name for all that identifies a run, in JSON's types.

    Args:
      *parts: what identifies it.

    >>> len(key_of("study", 3))
    16
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _key_of(setting: Setting, seed: int, data_sha256: str) -> str:
    """The key of a training; empty if a part of it cannot be named."""
    try:
        return key_of(setting.description(), seed, data_sha256)
    except ValueError:
        return ""


def network_file(folder: Path, net: Network, params: Params) -> list[Path]:
    """Write a network into a folder; there is no file if a part of it is the user's own.

    Args:
      folder: the folder.
      net: the architecture.
      params: its parameters.
    """
    path = folder / "network.safetensors"
    try:
        network_files.save(path, net, params)
    except ValueError:
        return []
    return [path]


def html_file(path: Path, value: object) -> list[Path]:
    """Write what a notebook shows of an object as a page; no file if it shows nothing.

    Args:
      path: the file to write.
      value: a run, a study or a comparison.
    """
    show = getattr(value, "_repr_html_", None)
    html = None if show is None else show()
    if html is None:
        return []
    path.write_text(f'<!doctype html><meta charset="utf-8">{html}', encoding="utf-8")
    return [path]
