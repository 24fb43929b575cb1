"""`jaxnet sweep`: train many networks at once."""

import contextlib
import dataclasses
import json
import math
import re
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console

from jaxnet.cli import console, final_words, fitted_tables, live_page, live_status
from jaxnet.cli.data_options import absolute, examples_text
from jaxnet.cli.options import FailedError, HyperOption, RankName, Training
from jaxnet.cli.train import scores_on_test_set
from jaxnet.cli.typed_command import command_of
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, EvaluatedSplit
from jaxnet.data.tables import encoding_of
from jaxnet.io import files, locks, network_files
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.stopping import METRICS
from jaxnet.sweeps import search_space, sweep
from jaxnet.sweeps.executors import SweepReport
from jaxnet.sweeps.settings import CHOICES
from jaxnet.sweeps.study import Study
from jaxnet.training import devices, metrics
from jaxnet.training.metrics import MetricFunction

_RANGE = re.compile(r"(?P<low>[^:]+):(?P<high>[^:]+)(?::(?P<n>\d+))?")
OPTIONS_FILE = "sweep.json"
"""The file in the folder of a study that keeps the options of its last call."""
OPTIONS_OF_A_CALL = ("folder", "wait", "watch", "tune_plan")
"""The options of a call and not of the study: the file does not keep them."""
TABLE_VARY = ("learning_rate=0.001:0.1:5",)
"""What a sweep varies for a table, if nothing else is typed."""
SHOWN = 10
"""Recipes in the table of results."""


@dataclasses.dataclass(frozen=True)
class Sweep(Training):
    """Train many networks at once, on every core, and rank their recipes: see --vary.

    Shows its progress, prints the best recipes, and writes a folder studies/TIME-NAME/: study.csv,
    a row for each epoch of each network, sweep.png, a network, the best recipe's under its median
    seed, after its best epoch, and study.html, a page of all results. With the --folder of an
    earlier sweep it goes on with the options of that one; more --seeds, --epochs or values train
    only what is missing.
    """

    epochs: int = 10
    """Number of times that every example is visited (for a table 40)."""
    vary: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUES")] = (
        "learning_rate=0.01:10:10",
    )
    """Numbers that differ from recipe to recipe, in all combinations: a number of the optimizer,
    l1, l2, dropout, init_scale, …, as a list l2=0,1,5 or a range low:high:count, spaced evenly in
    the logarithm."""
    sample: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Number of Sobol points, spread evenly over the ranges --vary NAME=LOW:HIGH, instead of all
    combinations (none)."""
    seeds: int = 4
    """Number of seeds, from 0. Under one seed all recipes have the same initial weights and
    mini-batches."""
    successive_halving: HyperOption = None
    """Successive halving: at 1/K², 1/K, … of the epochs only the best 1/K of the recipes go on; 3
    is usual (all go on)."""
    select_by: Annotated[RankName | None, tyro.conf.arg(help_behavior_hint="")] = None  # pyright: ignore[reportInvalidTypeForm]
    """What ranks the networks: accuracy, cost or a metric (the metric that --decides names, or else
    the accuracy)."""
    evaluate_training: bool = False
    """Evaluate the training set, too, after each epoch, which takes half as long again."""
    tune_plan: bool = False
    """Time how many networks make the fastest program, instead of calculating it."""
    folder: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Where to keep the study (studies/TIME-NAME). With that of an earlier sweep it goes on, with
    all options that are not typed as they were."""
    wait: bool = False
    """Wait while another process writes into --folder, instead of refusing."""
    watch: live_page.WatchOption = None
    """Show progress, leaderboard and curves in a browser of this machine, at http://127.0.0.1:PORT
    (without a PORT a free one; no page)."""

    def with_table_defaults(self, flags: Collection[str]) -> "Sweep":
        """The options with the defaults for tables; learning rates are then about AdamW's.

        Args:
          flags: the options that were typed, such as "--l2", which keep their values.
        """
        changed = super().with_table_defaults(flags)
        if not self.target or {"--vary", "--optimizer"} & {*flags}:
            return changed
        return dataclasses.replace(changed, vary=TABLE_VARY)

    def __call__(self, out: Console) -> None:
        """Train, compare, write."""
        live_page.check(self.watch)
        devices.use_all_cores()
        data = self.training_data()
        self.for_data(data)._run(data, self, out)

    def _run(self, data: Dataset, asked: "Sweep", out: Console) -> None:
        """Train, compare, write; `asked` are the options without those that the data decided."""
        net = self.full_network()
        recipe = self._varied(self.recipe())
        names = [option.partition("=")[0] for option in self.vary]
        factor = self.successive_halving
        if factor is not None and not (factor >= 2 and float(factor).is_integer()):
            raise ValueError(
                f"--successive-halving must be a whole number of at least 2, not {factor:g}."
            )
        about = [
            f"{console.architecture(net)}, batch {self.batch_size}; {self.recipe()}",
            console.describe(self.data, data),
            *console.columns(data),
        ]
        if data.valid is None:
            about.append("There is no validation set: the training set ranks the recipes.")
        for line in about:
            console.say(out, line)
        heading = live_status.Heading("jaxnet sweep", tuple(about), tuple(names))
        with (
            self._locked_folder(out) as folder,
            live_page.watched(self.watch, folder, heading, out) as page,
        ):
            console.say(out, f"To be written to {folder}/")

            def log(line: str) -> None:
                write_options(folder, asked)  # the folder has taken the study by now
                console.say(out, line)

            study = self._sweep(net, data, recipe, folder, out, page, log)
            # Before anything is printed, since it may fail.
            conclusion = final_words.choice(study, names)
            if np.isfinite(study.score[study.best_lane]):
                chosen = self.chosen_metrics()
                conclusion.append(_write_network(study, names, data, folder, chosen))
            lines = [*conclusion, *_write(study, names, folder)]
            self._write_page(folder, study, data, conclusion)
            out.print(fitted_tables.recipes_table(out, study, names, SHOWN))
            for line in lines:
                console.say(out, line)
            if data.test is not None and np.isfinite(study.score).any():
                console.say_command(out, "Next", console.prediction_command(folder, self.data))
            if (failure := _failure(study, folder)) is not None:
                raise failure
            if (comparison := self._comparison_command(data)) is not None:
                console.say_command(out, "Compare optimizers on it", comparison)
            page.finish(lines)

    def _write_page(self, folder: Path, study: Study, data: Dataset, conclusion: list[str]) -> None:
        """Write study.html, which shows all of it."""
        # Imported here, since matplotlib's figures take 0.3 s, for which training would wait.
        from jaxnet.reporting import study_page

        with console.as_warning(folder / "study.html"):
            study_page.write(
                folder / "study.html", study, data_text=examples_text(self.data, data),
                command=command_of("sweep", self), conclusion=conclusion,
            )  # fmt: skip

    def _comparison_command(self, data: Dataset) -> str | None:
        """The command that compares optimizers on this network and data; None if it cannot."""
        if self.target or data.valid is None or data.test is None or self.cost_hyper:
            return None
        options = [] if self.data == "mnist" else ["--data", console.quoted(self.data)]
        options += ["--sizes", *map(str, self.sizes)]
        options += [] if self.cost in (None, "cross-entropy") else ["--cost", self.cost]
        options += [] if self.output is None else ["--output", self.output]
        return " ".join(["jaxnet compare --quick", *options])

    def _locked_folder(self, out: Console) -> contextlib.AbstractContextManager[Path]:
        """A context with the study's folder, locked; a new one is removed if it stays empty."""
        if self.folder is not None:
            _check_is_of_a_study(self.folder)
            return locks.locked(self.folder, console.waiting(out, self.wait), lend=True)
        name = "-".join(map(str, self.sizes))
        return locks.new_folder(Path("studies") / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}")

    def _sweep(
        self,
        net: Network,
        data: Dataset,
        recipe: Recipe,
        folder: Path,
        out: Console,
        page: live_page.LivePage,
        log: Callable[[str], None],
    ) -> Study:
        """Train all networks, with a display of the progress."""
        factor = self.successive_halving
        with console.sweeping(out) as move, warnings.catch_warnings():
            # `sweep` warns when it is interrupted; that is printed after the results.
            warnings.simplefilter("ignore", RuntimeWarning)

            def on_progress(report: SweepReport) -> None:
                move(report)
                page.report(report)

            return sweep(
                net,
                data,
                recipe,
                seeds=self.seeds,
                epochs=self.epochs,
                batch_size=self.batch_size,
                evaluate_on=self._evaluated(data),
                metrics=self.chosen_metrics(),
                select_by=self.select_by,
                order=self.order,
                folder=folder,
                successive_halving=None if factor is None else int(factor),
                tune_plan=self.tune_plan,
                on_progress=on_progress,
                log=log,
                progress=False,
            )

    def chosen_metrics(self) -> dict[str, MetricFunction]:
        """The metrics of --metrics by name, and those that --decides and --select-by name."""
        chosen = super().chosen_metrics()
        if self.select_by is not None and self.select_by not in METRICS:
            chosen[self.select_by] = metrics.NAMED[self.select_by]
        return chosen

    def _evaluated(self, data: Dataset) -> tuple[EvaluatedSplit, ...]:
        """The splits to evaluate: the training split, too, where it is asked for or alone."""
        if data.valid is None:
            return ("training",)
        return ("evaluation", "training") if self.evaluate_training else ("evaluation",)

    def check_not_given(self, flags: Collection[str]) -> None:
        """Refuse a number for an option that is varied: it would be lost.

        Args:
          flags: the options that were typed, such as "--l2"; what has its default value, too.
        """
        for name in (option.partition("=")[0] for option in self.vary):
            if name in (*CHOICES, "sizes", "hidden_sizes"):
                of_widths = name in ("sizes", "hidden_sizes")
                raise ValueError(
                    "--vary takes numbers of the recipe; "
                    f"jaxnet.grid varies {'widths' if of_widths else name}, in Python."
                )
            lost = [flag for flag in flags if flag == f"--{name.replace('_', '-')}"]
            options = (("--hyper", self.hyper), ("--schedule-hyper", self.schedule_hyper))
            for option, items in options:
                if any(item.partition("=")[0] == name for item in items):
                    lost.append(f"{name} in {option}")
            if lost:
                raise ValueError(
                    f"--vary names {name}, so that {lost[0]} would be lost; leave it out."
                )

    def _varied(self, recipe: Recipe) -> Recipe:
        """The recipe with arrays for the numbers of --vary."""
        columns: dict[str, Any] = {}
        for option in self.vary:
            name, _, values = option.partition("=")
            if name in columns:
                raise ValueError(f"--vary names {name} twice; give all its values at once.")
            match = _RANGE.fullmatch(values)
            try:
                if match and self.sample is not None and match["n"] is None:
                    columns[name] = (float(match["low"]), float(match["high"]))
                elif match and self.sample is None and match["n"]:
                    ends = float(match["low"]), float(match["high"])
                    if not 0 < ends[0] < ends[1]:
                        raise ValueError
                    columns[name] = np.geomspace(*ends, int(match["n"]))
                elif self.sample is None:
                    columns[name] = [float(value) for value in values.split(",")]
                else:
                    raise ValueError
            except ValueError:
                forms = (
                    "NAME=LOW:HIGH with --sample, such as learning_rate=0.01:10"
                    if self.sample is not None
                    else "NAME=A,B,C or NAME=LOW:HIGH:COUNT above 0, such as l2=0,1,5"
                )
                raise ValueError(f"--vary must be {forms}, not {option!r}.") from None
        if not columns:
            raise ValueError("a sweep needs something to --vary, such as learning_rate=0.1,1.")
        if self.sample is not None:
            return search_space.sample(recipe, self.sample, **columns)  # pyright: ignore
        return search_space.grid(recipe, **columns)  # pyright: ignore


def _failure(study: Study, folder: Path) -> FailedError | None:
    """Why a sweep has failed, or was interrupted; None if it is complete and ranked."""
    if study.interruption is not None:
        return FailedError(
            f"interrupted: {study.interruption}; jaxnet sweep --folder {console.quoted(folder)} "
            "goes on.",
            130,
        )
    if np.isfinite(study.score).any():
        return None
    if np.all(study.diverged_epoch > 0):
        return FailedError("all networks diverged; try smaller learning rates.")
    return FailedError(
        f"no network has a value of {study.ranked_by}, which ranks them; choose another metric."
    )


def _check_is_of_a_study(folder: Path) -> None:
    """Raise a ValueError for a folder of other things, such as runs, which a study would mix up."""
    if not folder.is_dir() or (folder / "study.json").exists():
        return
    # What a killed sweep has left, a lock or a file half-written, has names that begin with a dot.
    others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if others:
        raise ValueError(
            f"--folder {folder} holds {others[0]} and no study; name a new folder, such as "
            f"{folder / 'study'}, or that of an earlier sweep."
        )


def write_options(folder: Path, options: Sweep) -> None:
    """Write the options of a sweep, with which a call with its folder alone goes on.

    Args:
      folder: the folder of the study.
      options: those of its last call.
    """
    settings = {
        name: value
        for name, value in dataclasses.asdict(options).items()
        if name not in OPTIONS_OF_A_CALL
    }
    settings["data"] = absolute(options.data)  # so that it goes on from anywhere
    text = json.dumps({"settings": settings}, indent=2, allow_nan=False) + "\n"
    files.write_atomic(folder / OPTIONS_FILE, text.encode())


def _write(study: Study, names: list[str], folder: Path) -> list[str]:
    """Write the study's table and picture.

    Returns:
      What was written, in lines to print.
    """
    # Imported here, since matplotlib's figures take 0.3 s, for which training would wait.
    from jaxnet.reporting import plots

    lines = []
    study.to_csv(folder / "study.csv")
    files.write_atomic(folder / "sweep.png", plots.png(plots.sweep(study, names)))
    n_epochs = int(study.epochs.sum())
    networks = "" if study.interruption else f"{study.epochs.size:,} networks, "
    saved = (
        f"; {console.percent(study.saved, 0)} saved by stopping early" if study.saved > 0 else ""
    )
    lines.append(
        f"{networks}{n_epochs:,} epochs in all, in {study.seconds:.1f} s{saved}. "
        f"Written to {folder}/: open {folder / 'study.html'} in a browser."
    )
    if study.n_left_out:
        lines.append(
            f"The folder also holds {study.n_left_out:,} networks of earlier calls with other "
            "settings or seeds: study.csv, study.html, sweep.png, best.json and the network are of "
            "this call."
        )
    return lines


def _write_network(
    study: Study,
    names: list[str],
    data: Dataset,
    folder: Path,
    chosen_metrics: Mapping[str, MetricFunction],
) -> str:
    """Write the median network of the best recipe at its best epoch, and say which that is."""
    lane = recipe, _ = study.best_lane
    run = study.run(*lane)
    encoding = encoding_of(data)
    for file_name in ("network.safetensors", "network.json"):
        network_files.save(folder / file_name, run.network, run.best_params, encoding=encoding)
    numbers = {name: study.settings[recipe].number(name) for name in names}
    n_seeds = study.seeds_begun(recipe)
    best = {
        "recipe": recipe,
        **numbers,
        "seed": run.seed,
        "seeds": n_seeds,
        "epoch": run.best_epoch,
        "selected_by": study.ranked_by,
        "score": float(study.score[lane]),
    }
    in_words = ", ".join(f"{name} {number:.4g}" for name, number in numbers.items())
    which = f"seed {run.seed}"
    if n_seeds > 1:
        which += f", the median of {n_seeds} seeds"
    sentence = (
        f"Saved the network of recipe {recipe} ({in_words}): {which}, after its best "
        f"epoch, {run.best_epoch}."
    )
    if data.test is not None:
        scores = scores_on_test_set(run, run.best_params, data.test, chosen_metrics)
        accuracy, cost = scores["test_accuracy"], scores["test_data_cost"]
        has_accuracy = math.isfinite(accuracy)  # targets of a regression have none
        score = (
            f"an accuracy of {console.percent(accuracy)}"
            if has_accuracy
            else f"a cost of {cost:.4g}"
        )
        for name in chosen_metrics:
            score += f", {name} {scores[f'test_{name}']:.4g}"
        sentence += f" On the test set, which had no part in the choice, it has {score}."
        best |= {name: score if math.isfinite(score) else None for name, score in scores.items()}
    if study.interruption is not None:
        best["interrupted"] = study.interruption
    text = json.dumps(best, allow_nan=False) + "\n"
    files.write_atomic(folder / "best.json", text.encode())
    return sentence
