"""`jaxnet train`: train a network, test it, write a folder."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import tyro
from jax.typing import ArrayLike
from rich.console import Console

from jaxnet.cli import console
from jaxnet.cli.options import (
    RENAMED_OPTIONS,
    WHOLE_OPTION,
    FailedError,
    HyperOption,
    MonitorName,
    Training,
    numbers,
    read,
)
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data import datasets
from jaxnet.io import csv, files, network_files, reading
from jaxnet.io.reading import JsonObject
from jaxnet.recipes import schedules
from jaxnet.recipes.recipe import Recipe
from jaxnet.reporting import plots
from jaxnet.training import callbacks, checkpoints, checks, evaluation, train
from jaxnet.training.monitors import Monitors
from jaxnet.training.run import EpochReport, Run


@dataclasses.dataclass(frozen=True)
class Train(Training):
    """Train a network and test it; by default the book's network on MNIST.

    Prints its progress and a table, and writes a folder runs/TIME-NAME/: the network of the best
    validation epoch (network.json, which network2 reads, and network.safetensors), history.csv,
    config.json, curves.png, and confusion.csv, of the test set.
    """

    time_budget: HyperOption = None
    """Seconds, compilation included, after which no further epoch begins; a resumed run has them
    anew (none)."""
    seed: int = 0
    """Seed of the initial weights and the mini-batches: the same seed gives the same bits."""
    evaluate_on: tuple[Literal["evaluation", "training"], ...] = ("evaluation", "training")
    """Sets to evaluate after each epoch: the validation set, the training set."""
    monitors: Annotated[
        tuple[MonitorName, ...], tyro.conf.arg(help_behavior_hint="")  # pyright: ignore[reportInvalidTypeForm]
    ] = ()
    """Quantities to measure inside the network, in single mini-batches, for monitors.csv and
    monitors.png (none): norms of gradient, mean error (delta) and weights, the size of an update
    relative to its weights, fractions of saturated activations and of dead units, the learning
    rate."""
    monitors_every: Annotated[int | None, WHOLE_OPTION] = None
    """Mini-batches between measurements (the last one of each epoch is measured)."""
    checkpoint_every: int = 1
    """Epochs between checkpoints."""
    tensorboard: bool = False
    """Write events for TensorBoard into the run's folder."""
    runs: Path = Path("runs")
    """Where to write the run's folder."""
    name: Annotated[str, tyro.conf.arg(help_behavior_hint="")] = ""
    """The run's name in its folder's (its sizes)."""
    resume: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Folder of a run to continue, to the same bits as a run that never stopped. Of the other
    options only --epochs, --time-budget, --checkpoint-every and --tensorboard may differ."""

    def __call__(self, out: Console) -> None:
        """Train, test, write."""
        if self.resume is None:
            # A schedule keeps its end when the run is resumed for more epochs.
            name, horizon = self.schedule, self.horizon
            if name and horizon is None and "horizon" in numbers(schedules.NAMED, name):
                horizon = float(self.epochs)
            dataclasses.replace(self, horizon=horizon)._run(out, None)
        else:
            self._resumed()._run(out, self.resume)

    def _run(self, out: Console, before: Path | None) -> None:
        net = self.full_network()
        recipe, data = self.recipe(), read(self.data)
        counts = (self.epochs, self.batch_size, self.seed)
        checks.checked(net, data, recipe, *counts, None, self.evaluate_on)
        checks.check_monitors(self._monitors(), net, -(-len(data.train.x) // self.batch_size))
        with self._folder(before) as folder:
            console.say(out, console.architecture(net))
            console.say(out, console.headline(recipe, self.batch_size, self.seed))
            console.say(out, console.describe(self.data, data))
            console.say(out, f"{'Resumed from' if before else 'To be written to'} {folder}/")
            out.print()
            if before is None:  # a resumed run has its own, which a refusal must not touch
                _write_config(folder, self, recipe, data)
            began = time.perf_counter()
            run = self._train(net, recipe, data, out, folder, before)
            seconds = time.perf_counter() - began
            n_epochs = len(run.history.training_cost)
            if not n_epochs:
                raise FailedError(f"{run.stopped} Nothing is written.")
            results = _test(run, data)
            confusion = _confusion(run, data)
            _write_config(folder, self, recipe, data, results, run.stopped)
            _write(folder, run, confusion)
        out.print(console.results_table(results))
        if confusion is not None:
            console.say(out, f"Test accuracy by class, best: {console.classes(confusion)}")
            out.print()
        plural = "s" if n_epochs > 1 else ""
        if run.ending in ("stopped", "out of time"):
            console.say(out, f"{str(run.stopped).capitalize()}")
        console.say(out, f"{n_epochs} epoch{plural}; this took {seconds:.1f} s.")
        console.say(out, f"Written to {folder}/: {', '.join(sorted(os.listdir(folder)))}")
        option = "" if self.data == "mnist" else f" --data {self.data}"
        if data.test is not None:
            console.say(out, f"Next: jaxnet predict {folder}{option} --test 0 1 2 3")
        further = f"Go on with jaxnet train --resume {folder}"
        if run.ending == "interrupted":
            raise FailedError(f"{run.stopped} {further}", 130)
        if run.ending == "diverged":
            raise FailedError(str(run.stopped))
        if run.ending == "out of time":
            console.say(out, further)

    def _resumed(self) -> "Train":
        """The options saved with the run; those that may change are taken from this command."""
        path = Path(str(self.resume)) / "config.json"
        before = reading.read_content(path, "the config.json of a run", _saved_options)
        default = Train()
        given = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(Train)
            if field.name != "resume" and getattr(self, field.name) != getattr(default, field.name)
        }
        epochs = given.pop("epochs", before.epochs)
        # None of these changes what is learnt.
        names = ("time_budget", "tensorboard", "checkpoint_every")
        changeable = {name: given.pop(name, getattr(before, name)) for name in names}
        for name, value in given.items():
            if value != getattr(before, name):
                raise ValueError(
                    f"--{name.replace('_', '-')} was {getattr(before, name)!r} and is {value!r}: "
                    "that would be another run; a resumed one may have more --epochs, another "
                    "--time-budget or --checkpoint-every, and --tensorboard."
                )
        return dataclasses.replace(before, epochs=epochs, **changeable)

    def _monitors(self) -> Monitors | None:
        if self.monitors_every is not None and not self.monitors:
            raise ValueError("--monitors-every needs --monitors: what is to be measured?")
        return Monitors(self.monitors, self.monitors_every) if self.monitors else None

    @contextlib.contextmanager
    def _folder(self, before: Path | None) -> Iterator[Path]:
        """The run's folder: the resumed one, or a new one that is removed if nothing is trained."""
        if before is not None:
            yield before
            return
        name = self.name or "-".join(map(str, self.sizes))
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(
                f"--name must be made of letters, digits, '.', '-', '_', not {name!r}."
            )
        stem = folder = self.runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
        self.runs.mkdir(parents=True, exist_ok=True)
        count = 1
        while folder.exists():
            count += 1
            folder = stem.with_name(f"{stem.name}-{count}")
        folder.mkdir()
        try:
            yield folder
        finally:
            if not (folder / checkpoints.FILE).exists():
                shutil.rmtree(folder)

    def _train(
        self,
        net: Network,
        recipe: Recipe,
        data: Dataset,
        out: Console,
        folder: Path,
        before: Path | None,
    ) -> Run:
        events = callbacks.tensorboard(folder) if self.tensorboard else None
        with (
            console.progress(out, self.epochs, len(data.train.x)) as move,
            warnings.catch_warnings(),
        ):

            def on_epoch(report: EpochReport) -> None:
                move(report)
                if events is not None:
                    events(report)

            # `train` warns when it diverges; that is printed after the results.
            warnings.simplefilter("ignore", RuntimeWarning)
            return train(
                net,
                data,
                recipe,
                epochs=self.epochs,
                batch_size=self.batch_size,
                seed=self.seed,
                evaluate_on=self.evaluate_on,
                monitors=self._monitors(),
                on_epoch=on_epoch,
                checkpoint=folder,
                every=self.checkpoint_every,
                resume=before,
                time_budget=self.time_budget,
            )


def _saved_options(content: bytes) -> Train:
    """The options in the content of a run's config.json; errors are bare reasons."""
    config = reading.json_object(content)
    reading.check_types(config, {"settings": dict})
    settings = {RENAMED_OPTIONS.get(name, name): v for name, v in config["settings"].items()}
    types = get_type_hints(Train)
    for name, value in settings.items():
        if name not in types:
            raise ValueError(f"its setting {name!r} is not an option of jaxnet train")
        if not _is_value(value, types[name]):
            raise ValueError(f"its setting {name!r} is {value!r:.80}, which no run can have")
    settings |= {name: tuple(v) for name, v in settings.items() if isinstance(v, list)}
    options = Train(**settings | {"runs": Path(settings.get("runs", "runs"))})
    options.full_network()  # what it refuses is the file's, not this command's
    options.recipe()
    return options


def _is_value(value: object, kind: Any) -> bool:
    """Whether a value of JSON's types is one of an option's type."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin is tuple:
        return isinstance(value, list) and all(_is_value(part, parts[0]) for part in value)
    if origin in (Union, UnionType):
        return any(_is_value(value, part) for part in parts)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if isinstance(value, int):
        return kind in (int, float) and abs(value) < 2**63
    return isinstance(value, str if kind is Path else kind)


def _test(run: Run, data: Dataset) -> dict[str, dict[str, float]]:
    """The scores of the best and of the last network: the one use of the test set."""
    results = {}
    for name, epoch, params in (
        ("best", run.best_epoch, run.best_params),
        ("last", len(run.history.training_cost), run.params),
    ):
        row: dict[str, float] = {"epoch": epoch}
        for kind in ("evaluation", "training"):
            for metric in ("accuracy", "cost"):
                curve = getattr(run.history, f"{kind}_{metric}")
                row[f"{kind}_{metric}"] = _decimal(curve[epoch - 1]) if epoch else float("nan")
        if data.test is not None:
            recipe = run.recipe
            scores = evaluation.evaluate(run.network, params, data.test, recipe.l1, recipe.l2)
            row |= {"test_accuracy": _decimal(scores.accuracy), "test_cost": _decimal(scores.cost)}
        results[name] = row
    return results


def _decimal(number: ArrayLike) -> float:
    """The shortest decimal of a float32: 0.9634, not 0.9634000062942505."""
    return float(str(np.asarray(number)))


def _write_config(
    folder: Path,
    options: Train,
    recipe: Recipe,
    data: Dataset,
    results: JsonObject | None = None,
    stopped: str | None = None,
) -> None:
    """Write config.json: before the run, so that it can be resumed, and with results after it."""
    parts = {name: getattr(recipe, name) for name in recipe.parts()} | recipe.optimizer.hyper
    numbers = {name: _decimal(part) for name, part in parts.items() if hasattr(part, "dtype")}
    settings = dataclasses.asdict(options) | {"runs": str(options.runs)}
    settings.pop("resume")
    config = {
        "settings": settings,
        "recipe": recipe.parts() | {"optimizer": recipe.optimizer.name} | numbers,
        "stopped": stopped,
        "results": results,
        **files.environment(),
        "data_sha256": datasets.sha256(data),
    }
    text = json.dumps(_without_nan(config), indent=2) + "\n"
    files.write_atomic(folder / "config.json", text.encode())


def _confusion(run: Run, data: Dataset) -> np.ndarray | None:
    """The best network's confusion matrix on the test set; `None` without labels."""
    if data.test is None or not np.issubdtype(data.test.y.dtype, np.integer):
        return None
    return evaluation.confusion(run.network, run.best_params, data.test)


def _write(folder: Path, run: Run, confusion: np.ndarray | None) -> None:
    """Write the best network in both formats, the curves, the measurements and the pictures."""
    network_files.save(folder / "network.json", run.network, run.best_params)
    network_files.save(folder / "network.safetensors", run.network, run.best_params)
    files.write_atomic(folder / "history.csv", csv.history_csv(run.history))
    if confusion is not None:
        files.write_atomic(folder / "confusion.csv", csv.encode(confusion))
    if run.monitors:
        files.write_atomic(folder / "monitors.csv", csv.monitors_csv(run.monitors))
        picture = plots.png(plots.monitors(run.monitors))
        files.write_atomic(folder / "monitors.png", picture)
    title = console.headline(run.recipe, run.batch_size, run.seed)
    title = f"{console.architecture(run.network)}, {title}"
    figure = plots.curves(run.history, run.best_epoch, title)
    files.write_atomic(folder / "curves.png", plots.png(figure))


def _without_nan(value: object) -> object:
    """The value with None for each NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
