"""Callbacks for `train(on_epoch=…)`: a CSV file, progress, and trackers; examples for your own.

A callback takes an `EpochReport` and returns nothing. `csv` and the trackers write each epoch once,
however often a run is resumed. The trackers `mlflow`, `wandb` and `tensorboard` are also for
`jaxnet.track`, which writes a run for each network of a study.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from jaxnet.core.arguments import brief, path_of, require_choice
from jaxnet.integrations.mlflow_runs import MlflowTool
from jaxnet.integrations.tensorboard_events import TensorboardTool
from jaxnet.integrations.tracking import NUMBERS, Tracker
from jaxnet.integrations.wandb_runs import Mode, WandbTool
from jaxnet.io import files, reading
from jaxnet.io.csv import decode, encode
from jaxnet.training.progress_callback import ProgressCallback
from jaxnet.training.run import EpochCallback, EpochReport

N_ADDED_COLUMNS = 2
"""The columns at the end, the data costs, that the files of version 0.2.0 do not have."""


def csv(path: str | Path) -> EpochCallback:
    """A callback that writes a CSV file with one line per epoch, replaced atomically.

    When epoch e is reported, what an earlier, lost continuation of the run wrote about epoch e and
    later ones is removed.

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


def tensorboard(folder: str | Path) -> Tracker:
    """A tracker that writes TensorBoard events: curves, monitors, histograms, settings.

    Monitors are written as their mean over the epoch, weights as histograms. Everything is on disk
    a second after each epoch, and at once after the last one; then the settings of the run follow,
    for TensorBoard's page "HParams". If an epoch is written again, because a run was resumed, the
    older events of this and later epochs do not show. To look at it: `pip install tensorboard`,
    then `tensorboard --logdir FOLDER`. If writing fails, there is one warning, and training goes
    on.

    Args:
      folder: the folder of the event files, made after the first epoch if there is none. In
        `jaxnet.track` it has a folder for each network.

    Returns:
      The callback, for `train(on_epoch=…)` and `jaxnet.track`.

    Raises:
      ModuleNotFoundError: tensorboardX is not installed.

    >>> callback = tensorboard("runs/xor")  # nothing is written before the first epoch
    """
    _require("tensorboardX", "the TensorBoard callback", "tensorboard")
    return Tracker(TensorboardTool(path_of("folder", folder).absolute()))


def mlflow(uri: str | None = None, experiment: str = "jaxnet", name: str | None = None) -> Tracker:
    """A tracker that writes a run of MLflow: settings, curves, results, the network's file.

    The settings are its parameters, and the curves its metrics, by their names in
    `History.curves`; monitors are written as their mean over the epoch. Epochs are sent once a
    second, together. At the end follow the best epoch, the curves' values then, a page with tables
    and curves, and the network of the best epoch as a file of `jaxnet.save`, if all its parts are
    the library's own. The run that a resumed training began goes on. If MLflow fails, there is one
    warning, and training goes on without it.

    Args:
      uri: the address of MLflow's server or store, such as "sqlite:///mlflow.db"; `None`, the
        default, for the one that MLflow is set to. Unless you say otherwise this is that file in
        the working directory, or, with older versions or where there is one, the folder `mlruns`.
      experiment: the experiment that the runs are in, "jaxnet" by default; it is made if there is
        none.
      name: the name of the runs, in `jaxnet.track` that of the parent run; `None`, the default, for
        one that MLflow makes up, and for "study" or "comparison" in `jaxnet.track`.

    Returns:
      The callback, for `train(on_epoch=…)` and `jaxnet.track`.

    Raises:
      ValueError: an argument is no text, or an empty one.
      ModuleNotFoundError: MLflow is not installed.

    >>> callback = mlflow("sqlite:///mlflow.db", name="xor")  # doctest: +SKIP
    """
    for argument, text in (("uri", uri), ("experiment", experiment), ("name", name)):
        _check_text(argument, text, may_be_none=argument != "experiment")
    _require("mlflow", "the MLflow callback", "mlflow")
    return Tracker(MlflowTool(uri, experiment, name))


def wandb(
    folder: str | Path = ".",
    project: str = "jaxnet",
    name: str | None = None,
    mode: Mode = "offline",
) -> Tracker:
    """A tracker that writes a run of Weights & Biases: settings, curves, results, network.

    It writes what `mlflow` writes. `jaxnet.track` makes a group of runs. If W&B fails, there is one
    warning, and training goes on without it.

    Args:
      folder: the folder that holds W&B's folder `wandb`; by default the working directory. Its
        files say which runs are finished, so that `jaxnet.track` writes none twice.
      project: the project that the runs belong to, "jaxnet" by default.
      name: the name of the runs, in `jaxnet.track` that of the group; `None`, the default, for one
        that W&B makes up, and for "study" or "comparison" in `jaxnet.track`.
      mode: "offline" (the default) only writes files, which the command `wandb sync` sends later;
        "online" sends all at once, and needs an account.

    Returns:
      The callback, for `train(on_epoch=…)` and `jaxnet.track`.

    Raises:
      ValueError: an argument is none of these.
      ModuleNotFoundError: W&B is not installed.

    >>> callback = wandb("runs", name="xor")  # doctest: +SKIP
    """
    for argument, text in (("project", project), ("name", name)):
        _check_text(argument, text, may_be_none=argument == "name")
    require_choice("mode", mode, ("offline", "online"))
    path = path_of("folder", folder).absolute()
    _require("wandb", "the W&B callback", "wandb")
    return Tracker(WandbTool(path, project, name, mode))


def _check_text(name: str, value: object, may_be_none: bool) -> None:
    """Refuse what is no text, or an empty one."""
    if (value is None and may_be_none) or (isinstance(value, str) and value.strip()):
        return
    kind = "a text or None" if may_be_none else "a text"
    raise ValueError(f"{name} must be {kind}, not {brief(value)}; give a name.")


def _require(module: str, what: str, extra: str) -> None:
    """Raise an error that says what to install, if a module is missing."""
    if importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError(f"{what} needs {module}: pip install 'jaxnet-mlp[{extra}]'.")
