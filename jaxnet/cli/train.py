"""`jaxnet train`: train a network, test it, write a folder."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from jax.typing import ArrayLike
from rich.console import Console

from jaxnet.cli import console, run_files
from jaxnet.cli.data_options import absolute, examples_text
from jaxnet.cli.options import (
    WHOLE_OPTION,
    FailedError,
    HyperOption,
    MonitorName,
    Training,
    numbers,
)
from jaxnet.cli.typed_command import command_of
from jaxnet.core.checks import check_data
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, Params, Split
from jaxnet.data import datasets, resampling
from jaxnet.data.encoding import Encoding
from jaxnet.data.tables import encoding_of
from jaxnet.integrations import callbacks
from jaxnet.io import files, locks, reading
from jaxnet.io.reading import JsonObject
from jaxnet.recipes import schedules
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps import cross_validate
from jaxnet.training import checkpoints, checks, evaluation, train
from jaxnet.training.measured import measured
from jaxnet.training.metrics import MetricFunction
from jaxnet.training.monitors import Monitors
from jaxnet.training.run import Run

OPTIONS_OF_A_CALL = ("resume", "wait")
"""The options of a call and not of the run: config.json does not keep them."""


@dataclasses.dataclass(frozen=True)
class Train(Training):
    """Train a network and test it; by default the book's network on MNIST.

    Prints its progress and a table, and writes a folder runs/TIME-NAME/: the network of the best
    validation epoch (network.json, which network2 reads, and network.safetensors), history.csv,
    config.json, curves.png, of the test set confusion.csv, report.txt and report.json, and a page
    that shows it all, run.html.
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
    folds: Annotated[int | None, WHOLE_OPTION] = None
    """Cross-validate first: train as many networks, each scored on a part of the training examples
    that it has not seen (no cross-validation)."""
    checkpoint_every: int = 1
    """Epochs between checkpoints."""
    tensorboard: bool = False
    """Write events for TensorBoard into the run's folder."""
    runs: Path = Path("runs")
    """Where to write the run's folder."""
    name: Annotated[str, tyro.conf.arg(help_behavior_hint="")] = ""
    """The run's name in its folder's (its sizes)."""
    resume: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Folder of a run to continue, to the same bits as a run that never stopped; one that was
    killed before its first checkpoint begins anew. Of the other options only --epochs,
    --time-budget, --checkpoint-every and --tensorboard may differ, and --data, where the data was
    moved."""
    wait: bool = False
    """Wait while another process writes into the folder to --resume, instead of refusing."""

    def __call__(self, out: Console) -> None:
        """Train, test, write."""
        if self.resume is None:
            # A schedule keeps its end when the run is resumed for more epochs.
            name, horizon = self.schedule, self.horizon
            if name and horizon is None and "horizon" in numbers(schedules.NAMED, name):
                horizon = float(self.epochs)
            data = self.training_data()
            dataclasses.replace(self.for_data(data), horizon=horizon)._run(data, out, None)
        else:
            on_wait = console.waiting(out, self.wait)
            with locks.locked(self.resume, on_wait, lend=True):
                self._run(self.training_data(), out, self.resume)

    def _run(self, data: Dataset, out: Console, before: Path | None) -> None:
        net = self.full_network()
        recipe, data = self.recipe(), check_data(net, data)
        counts = (self.epochs, self.batch_size, self.seed)
        choices = measured(self.evaluate_on, self.chosen_metrics())
        checks.checked(net, data, recipe, *counts, None, choices)
        checks.check_monitors(self._monitors(), net, -(-len(data.train.x) // self.batch_size))
        if before is not None:
            _check_same_table(before, self.data, data)
        with self._folder(before) as folder:
            console.say(out, console.architecture(net))
            console.say(out, console.headline(recipe, self.batch_size, self.seed))
            console.say(out, console.describe(self.data, data))
            for line in console.columns(data):
                console.say(out, line)
            console.say(out, _beginning(folder, before))
            if self.folds is not None and before is None:
                console.say(out, self._cross_validated(net, recipe, data))
            out.print()
            if before is None:  # a resumed run has its own, which a refusal must not touch
                _write_config(folder, self, recipe, data)
            began = time.perf_counter()
            run = self._train(net, recipe, data, out, folder, before)
            seconds = time.perf_counter() - began
            n_epochs = len(run.history.training_cost)
            if not n_epochs:
                raise FailedError(f"{run.stopped} Nothing is written.")
            results = _test(run, data, self.chosen_metrics())
            confusion = run_files.confusion_of(run, data)
            _write_config(folder, self, recipe, data, results, run.stopped)
            run_files.write(folder, run, confusion, data)
            report = run_files.report_of(out, run, data, results)
            in_unit = "" if report is None else run_files.write_report(folder, report, data)
            self._write_page(folder, run, data, report)
        out.print(console.results_table(results))
        if recipe.l1 is not None or recipe.l2 is not None:
            console.say(out, "Costs are without penalties; history.csv has those with them, too.")
        if in_unit:
            console.say(out, in_unit)
        if confusion is not None:
            names = console.class_names(data)
            console.say(out, f"Test accuracy by class, best: {console.classes(confusion, names)}")
            out.print()
        plural = "s" if n_epochs > 1 else ""
        if run.ending in ("stopped", "out of time"):
            console.say(out, f"{str(run.stopped).capitalize()}")
        console.say(out, f"{n_epochs} epoch{plural}; this took {seconds:.1f} s.")
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
        console.say(out, f"Written to {folder}/: {', '.join(names)}")
        if (page := folder / "run.html").exists():
            console.say(out, f"Open {page} in a browser: curves, errors and weights.")
        if data.test is not None:
            console.say_command(out, "Next", console.prediction_command(folder, self.data))
        further = f"Go on with jaxnet train --resume {console.quoted(folder)}"
        if run.ending == "interrupted":
            raise FailedError(f"{run.stopped} {further}", 130)
        if run.ending == "diverged":
            raise FailedError(str(run.stopped))
        if run.ending == "out of time":
            console.say(out, further)

    def _write_page(
        self, folder: Path, run: Run, data: Dataset, report: run_files.Report | None
    ) -> None:
        """Write run.html, which shows all of it."""
        # Imported here, since matplotlib's figures take 0.3 s, for which training would wait.
        from jaxnet.reporting import run_page

        with console.as_warning(folder / "run.html"):
            run_page.write(
                folder / "run.html", run, data, data_text=examples_text(self.data, data),
                command=command_of("train", self), report=report,
            )  # fmt: skip

    def _cross_validated(self, net: Network, recipe: Recipe, data: Dataset) -> str:
        """The scores of networks that are trained on each fold of the training examples."""
        assert self.folds is not None
        groups = data.groups if isinstance(data, datasets.Table) else None
        is_stratified = groups is None and np.asarray(data.train.y).dtype.kind in "iu"
        resample = resampling.k_fold(self.folds, stratify=is_stratified, groups=groups)
        result = cross_validate(
            net, data, recipe, resample, epochs=self.epochs, batch_size=self.batch_size,
            metrics=self.chosen_metrics(),
        )  # fmt: skip
        return console.cross_validation(result.study)

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
        with locks.new_folder(self.runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}") as folder:
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
        events = [callbacks.tensorboard(folder)] if self.tensorboard else []
        with (
            console.progress(out, self.epochs, len(data.train.x)) as move,
            warnings.catch_warnings(),
        ):
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
                metrics=self.chosen_metrics(),
                order=self.order,
                monitors=self._monitors(),
                on_epoch=[move, *events],
                checkpoint=folder,
                every=self.checkpoint_every,
                resume=before if _has_checkpoint(before) else None,
                time_budget=self.time_budget,
                progress=False,
            )


def _check_same_table(folder: Path, path: str, data: Dataset) -> None:
    """Refuse a table whose columns are encoded in another way than those of the run."""
    config = reading.read_json(folder / "config.json", "the config.json of a run")
    encoding, before = encoding_of(data), config.get("encoding")
    if encoding is not None and before is not None and Encoding.from_json(before) != encoding:
        raise ValueError(
            f"{path} has other columns, values or classes than the table of the run; resume with "
            "that table, or start a new run."
        )


def _has_checkpoint(before: Path | None) -> bool:
    """Whether a run's folder has a checkpoint: it has none if it was killed before the first."""
    return before is not None and (before / checkpoints.FILE).exists()


def _beginning(folder: Path, before: Path | None) -> str:
    """Where the run is written to, and whether it was begun before."""
    if before is None:
        return f"To be written to {folder}/"
    if _has_checkpoint(before):
        return f"Resumed from {folder}/"
    return f"{folder}/ holds no checkpoint yet: the run begins anew"


def _test(
    run: Run, data: Dataset, metrics: Mapping[str, MetricFunction]
) -> dict[str, dict[str, float]]:
    """The scores of the best and of the last network: the one use of the test set."""
    results = {}
    for name, epoch, params in (
        ("best", run.best_epoch, run.best_params),
        ("last", len(run.history.training_cost), run.params),
    ):
        row: dict[str, float] = {"epoch": epoch}
        for kind in ("evaluation", "training"):
            for metric in ("accuracy", "cost", "data_cost"):
                curve = getattr(run.history, f"{kind}_{metric}")
                row[f"{kind}_{metric}"] = _decimal(curve[epoch - 1]) if epoch else float("nan")
        for metric, curve in run.history.metrics.items():
            row[metric] = _decimal(curve[epoch - 1]) if epoch else float("nan")
        if data.test is not None:
            row |= scores_on_test_set(run, params, data.test, metrics)
        results[name] = row
    return results


def scores_on_test_set(
    run: Run, params: Params, split: Split, metrics: Mapping[str, MetricFunction]
) -> dict[str, float]:
    """The test accuracy of a run's network, its cost with and without penalties, and metrics."""
    recipe, net = run.recipe, run.network
    cost, _ = evaluation.evaluate(net, params, split, recipe.l1, recipe.l2)
    data_cost, accuracy, values = evaluation.evaluate(net, params, split, metrics=metrics)
    numbers = {"accuracy": accuracy, "cost": cost, "data_cost": data_cost, **values}
    return {f"test_{name}": _decimal(number) for name, number in numbers.items()}


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
    settings["data"] = absolute(options.data)  # so that the run can be resumed from anywhere
    settings = {name: value for name, value in settings.items() if name not in OPTIONS_OF_A_CALL}
    config = {
        "settings": settings,
        "recipe": recipe.parts() | {"optimizer": recipe.optimizer.name} | numbers,
        "stopped": stopped,
        "results": results,
        **files.environment(),
        "data_sha256": datasets.sha256(data),
    }
    encoding = encoding_of(data)
    if encoding is not None:
        config["encoding"] = encoding.to_json()
    text = json.dumps(_without_nan(config), indent=2, allow_nan=False) + "\n"
    files.write_atomic(folder / "config.json", text.encode())


def _without_nan(value: object) -> object:
    """The value with None for each NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
