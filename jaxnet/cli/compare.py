"""`jaxnet compare`: compare optimizers with equal tuning budgets and fresh seeds."""

import dataclasses
import re
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from jaxnet.cli import console, live_page, printed_comparison
from jaxnet.cli.data_options import n_inputs, read
from jaxnet.cli.live_status import Heading
from jaxnet.cli.options import (
    TAKE_OUTPUT,
    WHOLE_OPTION,
    ActivationName,
    CostName,
    FailedError,
    HyperOption,
    OptimizerName,
    ScheduleName,
    Training,
    check_sizes,
    cost_function,
)
from jaxnet.cli.typed_command import command_of
from jaxnet.comparison import compare, scores, tasks
from jaxnet.comparison.tasks import Task
from jaxnet.comparison.tuning import Tier
from jaxnet.core import activations
from jaxnet.core.checks import check_data
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data.tables import n_outputs
from jaxnet.io import locks
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.store import first_examples
from jaxnet.training import devices, metrics

MetricChoice = Literal[tuple(metrics.NAMED)]
WholeOption = Annotated[int | None, WHOLE_OPTION]
_RANGE = re.compile(r"(?P<label>[^.=]+)\.(?P<name>\w+)=(?P<low>[^:]+):(?P<high>[^:]+)")
QUICK: dict[str, Any] = {"trials": 9, "epochs": 2, "tuning_seeds": 2, "seeds": 8}
QUICK_EXAMPLES = 10_000


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare optimizers: equal tuning budgets, paired seeds, fresh seeds for the report.

    Shows its progress, prints the report, the pairs and the conclusion, and writes a folder
    comparisons/NAME/: report.html, with all tables and pictures, CSV files of every run, and
    manifest.json. After an interruption at any moment, run the same command again to continue.
    """

    optimizers: tuple[OptimizerName, ...] = ("sgd", "momentum", "rmsprop", "adam")  # pyright: ignore[reportInvalidTypeForm]
    """Optimizers to compare."""
    tasks: tuple[str, ...] = ("book",)
    """Tasks to compare them on: book ([784, 30, 10] on MNIST), book-100, deepobs-mlp,
    deepobs-logreg, algoperf-mnist, digits, noisy-quadratic. Several tasks make performance
    profiles, too."""
    tier: Tier = "lr"
    """Numbers to tune: lr, the learning rate on a grid; full, all usual numbers at Sobol points;
    random, the same at independent random points, for confidence bands of the tuning curves;
    defaults, none."""
    trials: WholeOption = None
    """Trials of each optimizer (21 for lr, 64 for full and random)."""
    epochs: WholeOption = None
    """Number of times that every example is visited (the task's: 30 for book)."""
    batch_size: WholeOption = None
    """Examples per mini-batch (the task's: 10 for book)."""
    tuning_seeds: WholeOption = None
    """Number of seeds to tune with (5)."""
    seeds: WholeOption = None
    """Number of fresh seeds to report with (32)."""
    targets: Annotated[tuple[float, ...], tyro.conf.arg(help_behavior_hint="")] = ()
    """Validation scores whose first epoch is reported (the task's: 0.9 0.95 for book; none for a
    --metric of which less is better, or without a worst value, such as r2)."""
    metric: Annotated[MetricChoice | None, tyro.conf.arg(help_behavior_hint="")] = None  # pyright: ignore[reportInvalidTypeForm]
    """Metric that selects on the validation set and judges on the test set (the validation loss
    selects; the accuracy or, for numbers to predict, R² judges)."""
    margin: HyperOption = None
    """Difference of test scores within which two optimizers are called equivalent (0.002; none for
    a --metric without a worst value, such as r2)."""
    until: HyperOption = None
    """Width of an interval: adds seeds, up to --seeds, in preset looks, and stops where each pair
    has a verdict or a narrower interval; 0.002 is 0.2 points of accuracy (all seeds at once)."""
    range: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="OPTIMIZER.NAME=LOW:HIGH", help_behavior_hint="")
    ] = ()
    """Range to search instead of the optimizer's default, such as adam.learning_rate=1e-4:0.1."""
    sizes: Annotated[tuple[int, ...], tyro.conf.arg(help_behavior_hint="")] = ()
    """Units per layer, input and output included (the task's; with --data as many inputs and
    outputs as that has)."""
    hidden_sizes: Annotated[tuple[int, ...], tyro.conf.arg(help_behavior_hint="")] = ()
    """Units of each hidden layer, in place of --sizes (the task's)."""
    cost: Annotated[CostName | None, tyro.conf.arg(help_behavior_hint="")] = None  # pyright: ignore[reportInvalidTypeForm]
    """Cost, which decides the outputs (the task's: cross-entropy for book); quadratic with --output
    linear is for a regression."""
    output: Annotated[ActivationName | None, tyro.conf.arg(help_behavior_hint="")] = None  # pyright: ignore[reportInvalidTypeForm]
    """Output activation under the quadratic or the absolute-error --cost (sigmoid)."""
    data: Annotated[str | None, tyro.conf.arg(metavar="NAME|PATH", help_behavior_hint="")] = None
    """Data set, as for jaxnet train (the task's)."""
    l2: HyperOption = None
    """λ of the penalty (λ/2n)Σw², in training (none)."""
    schedule: Annotated[ScheduleName | None, tyro.conf.arg(help_behavior_hint="")] = None  # pyright: ignore[reportInvalidTypeForm]
    """Factor of every learning rate along the run (none)."""
    quick: bool = False
    """A first look, within a minute: 9 trials, 2 tuning seeds, 8 seeds, 2 epochs of 10,000
    examples, and no timing of single runs."""
    seed: int = 0
    """Seed of Sobol and random points and of the bootstrap."""
    name: Annotated[str, tyro.conf.arg(help_behavior_hint="")] = ""
    """Name of the folder (the tasks and optimizers)."""
    comparisons: Path = Path("comparisons")
    """Where to write the folder."""
    wait: bool = False
    """Wait while another process writes into the folder, instead of refusing."""
    watch: live_page.WatchOption = None
    """Show progress, leaderboard and curves in a browser of this machine, at http://127.0.0.1:PORT
    (without a PORT a free one; no page)."""
    plot_only: bool = False
    """Draw pictures and page again from the folder's files, and train nothing."""

    def __call__(self, out: Console) -> None:
        """Compare, print, write."""
        live_page.check(self.watch)
        chosen = {name: tasks.named(name) for name in self.tasks}
        for names in (self.optimizers, self.tasks):
            if repeated := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"{repeated[0]} is named twice; name each once.")
        if not chosen:
            raise ValueError("--tasks needs at least one task, such as book.")
        if self.watch is not None and self.plot_only:
            raise ValueError("--plot-only trains nothing to --watch; leave one of the two out.")
        if self.plot_only and not self._folder().exists():
            raise ValueError(
                f"there is no folder {self._folder()} to draw; name one of those in "
                f"{self.comparisons} with --name, or repeat the options of the comparison."
            )
        if len(chosen) > 1 and not self.plot_only:
            self._check_tasks(chosen)
        _check_kind(self._folder(), len(chosen) > 1)
        folder, heading = self._folder(), Heading("jaxnet compare", (), ())
        with (
            locks.locked(folder, console.waiting(out, self.wait), lend=True),
            live_page.watched(self.watch, folder, heading, out) as page,
        ):
            self._run(chosen, folder, out, page)

    def _check_tasks(self, chosen: dict[str, Task]) -> None:
        """Refuse, before any training, what cannot work on a task, and what is one task twice."""
        name_of: dict[str, str] = {}
        for name, task in chosen.items():
            data = self._data(task)
            net = self._network(task, data)
            try:
                scores.chosen_score(net, check_data(net, data), self.metric)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            key = repr((self.data or name, net, self._settings(task)))
            if key in name_of:
                raise ValueError(
                    f"--data and the other options make {name_of[key]} and {name} the same "
                    "comparison, which would count twice; name one of them."
                )
            name_of[key] = name

    def _run(
        self, chosen: dict[str, Task], folder: Path, out: Console, page: live_page.LivePage
    ) -> None:
        """Compare the optimizers on each task, and draw pictures and pages."""
        # Imported here, since matplotlib's figures take 0.3 s, for which training would wait.
        from jaxnet.reporting import comparison_page

        # What is drawn again may have been made by other options than those of this call.
        command = "" if self.plot_only else command_of("compare", self)
        results = {}
        for name, task in chosen.items():
            where = folder / name if len(chosen) > 1 else folder
            if not self.plot_only:
                self._compare(name, task, where, out, page)
            results[name] = comparison_page.publish(where, command=command)
            printed_comparison.show(results[name], out)
            console.say(out, f"Written to {where}/: open {where / 'report.html'} in a browser.")
        if len(results) > 1:
            printed_comparison.show_profile(results, folder, out)
            printed_comparison.show_across(results, folder, command, out)
        page.finish([
            f"{name}: {sentence}" if len(results) > 1 else sentence
            for name, result in results.items()
            for sentence in result.conclusion
        ])  # fmt: skip

    def _compare(
        self, name: str, task: Task, folder: Path, out: Console, page: live_page.LivePage
    ) -> None:
        """Compare the optimizers on one task, and write a folder."""
        devices.use_all_cores()
        data = self._data(task)
        net = self._network(task, data)
        settings = self._settings(task)
        recipes = self._recipes(settings["epochs"])
        about = (
            f"{name}: {task.about}" if self._is_the_tasks() else f"as {name}",
            console.architecture(net),
            console.describe(self.data or name, data),
        )
        for line in about:
            console.say(out, line)
        page.heading = page.heading._replace(about=about)
        began, reports = time.perf_counter(), {}
        try:
            with console.sweeping(out) as move:

                def on_progress(stage: str, report: Any) -> None:
                    reports[stage] = report
                    move(report, stage)
                    page.report(report, stage)

                result = compare(
                    net,
                    data,
                    recipes,
                    tier=self.tier,
                    metric=self.metric,
                    targets=self.targets or self._targets(task),
                    margin=self.margin,
                    until=self.until,
                    ranges=self._ranges(),
                    timing=not self.quick,
                    seed=self.seed,
                    folder=folder,
                    on_progress=on_progress,
                    log=lambda line: console.say(out, line),
                    progress=False,
                    **settings,
                )
        except KeyboardInterrupt:
            raise FailedError(
                f"interrupted{_what_there_is(reports)}; run the same command again to continue.",
                130,
            ) from None
        seconds = time.perf_counter() - began
        printed_comparison.show_budget(
            result, len(recipes), sum(report.trained for report in reports.values()), seconds, out
        )

    def _network(self, task: Task, data: Dataset) -> Network:
        """The task's network, with the cost of --cost and the sizes of the options or the data."""
        net = task.network
        if self.cost is not None:
            net = dataclasses.replace(net, cost=cost_function(self.cost, self.output))
        elif self.output is not None:
            raise ValueError(f"--output needs a --cost: {TAKE_OUTPUT} take it.")
        check_sizes(self.sizes, self.hidden_sizes)
        sizes = self.sizes
        if not sizes and (self.hidden_sizes or self.data is not None):
            n_last = n_outputs(data) * (2 if self.cost == "gaussian-nll" else 1)
            sizes = (n_inputs(data), *(self.hidden_sizes or net.sizes[1:-1]), n_last)
        if not sizes:
            return net
        hidden = net.activations[0] if net.activations else activations.sigmoid
        return dataclasses.replace(net, sizes=sizes, hidden=hidden)

    def _data(self, task: Task) -> Dataset:
        """The task's data or that of --data; for --quick its first examples."""
        data = task.data() if self.data is None else read(self.data)
        return first_examples(data, min(QUICK_EXAMPLES, len(data.train.x))) if self.quick else data

    def _targets(self, task: Task) -> tuple[float, ...] | None:
        """The task's targets, but for a metric that is no score from 0 to 1."""
        if self.metric is None:
            return task.targets
        metric = metrics.NAMED[self.metric]
        return task.targets if metric.higher_is_better and metric.worst is not None else None

    def _settings(self, task: Task) -> dict[str, Any]:
        """The numbers of the protocol: an option comes before --quick, and that before the task."""
        names = (*QUICK, "batch_size")
        typed = {name: value for name in names if (value := getattr(self, name)) is not None}
        of_task = {"epochs": task.epochs, "batch_size": task.batch_size}
        settings = of_task | (QUICK if self.quick else {}) | typed
        if self.tier == "defaults" and "trials" not in typed:
            settings.pop("trials", None)
        return settings

    def _recipes(self, epochs: int) -> dict[str, Recipe]:
        """A recipe for each optimizer."""
        return {
            optimizer: Training(
                optimizer=optimizer, l2=self.l2, schedule=self.schedule, epochs=epochs
            ).recipe()
            for optimizer in self.optimizers
        }

    def _is_the_tasks(self) -> bool:
        return not (self.sizes or self.hidden_sizes) and self.cost is None and self.data is None

    def _folder(self) -> Path:
        stem = re.sub(r"[^\w.-]+", "-", Path(self.data or "").stem).lstrip("-.")
        subjects = self.tasks if self.data is None else (stem or "data",)
        sizes = [str(size) for size in self.sizes or self.hidden_sizes]
        outputs = (self.cost, self.output)
        choices = [choice for choice in (*outputs, self.metric) if choice is not None]
        parts = [*subjects, *sizes, *choices, *self.optimizers, *["quick"] * self.quick]
        name = self.name or "-".join(parts)
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(
                "--name must be made of letters, digits, '_', '.' and '-', the latter two not in "
                f"front, not {name!r}."
            )
        return self.comparisons / name

    def _ranges(self) -> dict[str, dict[str, tuple[float, float]]]:
        ranges: dict[str, dict[str, tuple[float, float]]] = {}
        for option in self.range:
            match = _RANGE.fullmatch(option)
            try:
                if match is None:
                    raise ValueError
                ends = float(match["low"]), float(match["high"])
            except ValueError:
                raise ValueError(
                    "--range must be OPTIMIZER.NAME=LOW:HIGH, such as adam.learning_rate=1e-4:0.1, "
                    f"not {option!r}."
                ) from None
            ranges_of_label = ranges.setdefault(match["label"], {})
            if match["name"] in ranges_of_label:
                raise ValueError(
                    f"--range names {match['label']}.{match['name']} twice; give one range."
                )
            ranges_of_label[match["name"]] = ends
        return ranges


def _what_there_is(reports: dict[str, Any]) -> str:
    """How far the last stage of an interrupted comparison is, for the middle of a sentence."""
    if not reports:
        return ""
    stage, report = list(reports.items())[-1]
    return (
        f" in {stage}: {report.done:,} of {report.lanes:,} networks are trained, "
        f"{report.trained:,} epochs in this call"
    )


def _check_kind(folder: Path, of_several: bool) -> None:
    """Refuse to mix a comparison on one task with one on several tasks in a folder."""
    is_of_one = (folder / "manifest.json").exists()
    is_of_several = any((folder / name / "manifest.json").exists() for name in tasks.NAMED)
    if is_of_one if of_several else is_of_several:
        kinds = ("one task", "several tasks")
        raise ValueError(
            f"{folder} holds a comparison on {kinds[is_of_several]}, and this is one on "
            f"{kinds[of_several]}; choose another --name."
        )
