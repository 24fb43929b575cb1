"""Output of the command line: headlines, progress bars, tables."""

import contextlib
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from jaxnet.comparison import Comparison, conclusions
from jaxnet.core.gradient_check import Check
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data.encoding import Category, Number
from jaxnet.data.tables import encoding_of
from jaxnet.io import table_files
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.executors import SweepReport
from jaxnet.sweeps.ranking import recipe_order
from jaxnet.sweeps.study import Study
from jaxnet.sweeps.sweep_line import show_report, words_of
from jaxnet.training.progress_line import EpochLine, score_and_words, terminal_line
from jaxnet.training.run import EpochReport


def say(console: Console, text: str) -> None:
    """Print a line: wrapped between words on a terminal, whole in a file or a pipe."""
    console.print(text, soft_wrap=not console.is_terminal)


def waiting(console: Console, wait: bool) -> Callable[[str], None] | None:
    """What `locks.locked` calls before it waits, as --wait asks for; None to refuse instead."""
    return (lambda sentence: say(console, sentence)) if wait else None


def quoted(path: str | Path) -> str:
    """A path as one word of a shell's command, which does not look like an option.

    >>> quoted("my runs/1"), quoted("-runs/1")
    ("'my runs/1'", './-runs/1')
    """
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def next_command(folder: Path, data: str) -> str:
    """The command that tries the network in a folder on the test set, or on rows of a new table."""
    if Path(data).suffix.lower() in table_files.SUFFIXES:
        return f"Next: jaxnet predict {quoted(folder)} NEW.csv --output answers.csv"
    option = "" if data == "mnist" else f" --data {quoted(data)}"
    return f"Next: jaxnet predict {quoted(folder)}{option} --test 0 1 2 3"


def architecture(net: Network) -> str:
    """A network in a few words, such as "[784, 30, 10] sigmoid, CrossEntropy()"."""
    hidden = " ".join(dict.fromkeys(str(f) for f in net.activations))
    kinds = f" {hidden}," if hidden else ""
    return f"[{', '.join(map(str, net.sizes))}]{kinds} {net.cost!r}"


def headline(recipe: Recipe, batch_size: int, seed: int) -> str:
    """The recipe, batch size and seed of a run, in one line."""
    self_explanatory = ("augmentation", "schedule", "optimizer", "stopping")
    parts = [
        part if name in self_explanatory else f"{name}={part}"
        for name, part in recipe.parts().items()
    ]
    return ", ".join([*parts, f"batch {batch_size}", f"seed {seed}"])


def describe(name: str, data: Dataset) -> str:
    """The data set's sizes and the device, in one line."""
    counts = [
        f"{len(split.x):,} {kind}"
        for kind, split in zip(("training", "validation", "test"), data, strict=True)
        if split is not None
    ]
    device = jax.devices()[0]
    return f"{name}: {', '.join(counts)} examples; {device.device_kind}, jax {jax.__version__}"


@contextlib.contextmanager
def progress(
    console: Console, epochs: int, n_examples: int
) -> Iterator[Callable[[EpochReport], None]]:
    """Yield an `on_epoch` that moves a bar on a terminal, and prints a line per epoch elsewhere."""
    if not console.is_terminal:
        speed_of = EpochLine(lambda *_: None, n_examples).speed

        def print_line(report: EpochReport) -> None:
            words, speed = score_and_words(report._asdict())[1], speed_of(report.seconds)
            epoch = f"epoch {report.epoch:{len(str(epochs))}d}/{epochs}"
            say(console, f"{epoch}: {', '.join(filter(None, (words, speed)))}")

        yield print_line
        return
    with terminal_line(console) as line:
        epoch_line = EpochLine(line, n_examples)

        def move_bar(report: EpochReport) -> None:
            epoch_line.show(report.epoch, epochs, report._asdict(), report.seconds)

        yield move_bar


@contextlib.contextmanager
def sweeping(console: Console) -> Iterator[Callable[..., None]]:
    """Yield an `on_progress` that moves a bar on a terminal, and prints lines elsewhere.

    It takes the report and, where a comparison has several stages, the name of the stage.
    """
    if not console.is_terminal:
        last_time, last_text = [time.perf_counter()], [""]

        def print_line(report: SweepReport, stage: str = "") -> None:
            now = time.perf_counter()
            if report.total and (now - last_time[0] > 10 or report.done == report.lanes):
                last_time[0] = now
                cells = words_of(report).items()
                text = ", ".join(f"{name} {cell}" for name, cell in cells)
                text = f"{stage}: {text}" if stage else text
                if text != last_text[0]:
                    say(console, text)
                last_text[0] = text

        yield print_line
        return
    with terminal_line(console) as line:
        yield lambda report, stage="": show_report(line, report, stage)


def recipes_table(study: Study, names: Sequence[str], n: int) -> Table:
    """The best n recipes of a study by their mean score over seeds, with the named numbers."""
    n_recipes = len(study.settings)
    order = recipe_order(study.score)[:n]
    curve = study.ranked_by
    split = "training" if curve.startswith("training") else "validation"
    title = f"The best {len(order)} of {n_recipes} recipes, by {split} over the seeds"
    table = Table(box=box.SIMPLE, title=title if len(order) < n_recipes else None)
    accuracy, sign = curve.endswith("_accuracy"), 1 if study.higher_is_better else -1
    unit = " (%)" if accuracy else ""
    for heading in ("recipe", *names, f"mean ± SD{unit}", f"range{unit}", "diverged", "epochs"):
        table.add_column(heading.replace("_", " "), justify="right", no_wrap="(" in heading)
    text = (lambda x: f"{100 * x:.2f}") if accuracy else (lambda x: f"{sign * x:.4g}")
    for recipe in order:
        setting, score = study.settings[recipe], study.score[recipe]
        finite = score[np.isfinite(score)]
        numbers = [f"{setting.number(name):.4g}" for name in names]
        cells = ["–", "–"]
        if finite.size:
            sd = finite.std(ddof=1) if finite.size > 1 else 0.0
            spread = text(sd) if accuracy else f"{sd:.2g}"
            # Of a score that is minus a cost, the larger one is the lower end.
            ends = sorted((finite.min(), finite.max()), reverse=sign < 0)
            cells = [f"{text(finite.mean())} ± {spread}", f"{text(ends[0])}–{text(ends[1])}"]
        diverged = str(np.count_nonzero(study.diverged_epoch[recipe]))
        table.add_row(str(recipe), *numbers, *cells, diverged, str(study.epochs[recipe].max()))
    return table


def report_table(comparison: Comparison) -> Table:
    """The test scores of each optimizer of a comparison, the best first."""
    accuracy = comparison.manifest["score"] == "accuracy"
    score = conclusions.score_text(comparison.manifest["score"])
    seeds = len(comparison.manifest["protocol"]["report_seeds"])
    unit = " (%)" if accuracy else ""
    title = f"Test {comparison.manifest['score']}{unit} over {seeds} fresh seeds"
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    target = max((row["target"] for row in comparison.time_to_target), default=None)
    reached = {
        row["optimizer"]: row for row in comparison.time_to_target if row["target"] == target
    }
    headings = ["optimizer", "learning rate", "mean ± SD", "95 % interval", "diverged"]
    if target is not None:
        headings.append(f"valid. to {target:g}")
    for heading in headings:
        justify = "left" if heading == "optimizer" else "right"
        no_wrap = heading in ("mean ± SD", "95 % interval")
        table.add_column(heading, justify=justify, no_wrap=no_wrap)
    for row in sorted(comparison.summary, key=lambda row: -row["test_score"]):
        median = reached[row["optimizer"]]["median_epochs"] if reached else np.nan
        edge = " EDGE" if row["edge"] else ""
        table.add_row(
            row["optimizer"],
            f"{row.get('learning_rate', np.nan):.3g}{edge}",
            f"{score(row['test_score'])} ± {score(row['test_score_sd'])}",
            f"{score(row['test_score_low'])}–{score(row['test_score_high'])}",
            f"{row['diverged']}",
            *([] if target is None else [f"{median:g}" if np.isfinite(median) else "–"]),
        )
    return table


def results_table(results: dict[str, dict[str, float]]) -> Table:
    """The accuracies, costs without penalties and metrics of the best and of the last network."""
    best, last = results["best"], results["last"]
    table = Table(box=box.SIMPLE)
    table.add_column("")
    table.add_column(f"best (epoch {best['epoch']})", justify="right")
    table.add_column(f"last (epoch {last['epoch']})", justify="right")
    names = {"evaluation": "validation", "training": "training", "test": "test"}
    for key in best:
        kind, _, metric = key.partition("_")
        if metric in ("", "cost") or not np.isfinite(best[key] + last[key]):
            continue
        template = "{:.2%}" if metric == "accuracy" else "{:.4f}"
        table.add_row(
            f"{names[kind]} {metric.removeprefix('data_')}",
            template.format(best[key]),
            template.format(last[key]),
            style="bold" if key == "test_accuracy" else "",
        )
    return table


def class_names(data: Dataset) -> list[str] | None:
    """The names of the classes, in the order of the labels; None where labels are all there is."""
    encoding = encoding_of(data)
    if encoding is None or not encoding.target.classes:
        return None
    return list(map(str, encoding.target.classes))


def columns(data: Dataset) -> list[str]:
    """What the columns of a table were taken for, in lines; none for other data."""
    encoding = encoding_of(data)
    if encoding is None or encoding.columns is None:
        return []
    gaps = lambda column: " (with gaps)" if column.has_missing else ""
    numbers = [
        f"{column.name}{gaps(column)}" for column in encoding.columns if isinstance(column, Number)
    ]
    categories = [
        f"{column.name}{gaps(column)}: {', '.join(column.values)}{', others' * bool(column.rare)}"
        for column in encoding.columns
        if isinstance(column, Category)
    ]
    target, names = encoding.target, class_names(data)
    kind = "a number" if names is None else " or ".join(names)
    return [
        f"Numbers: {', '.join(numbers) or 'none'}",
        *(f"Categories: {'; '.join(categories)}" for _ in categories[:1]),
        f"To predict: {target.name}, {kind}",
    ]


def cross_validation(study: Study) -> str:
    """The mean of each score over the folds of a study with one setting, in one line."""
    means = []
    for name, curve in study.history.metrics.items():
        last = np.maximum(study.best_epoch, 1)[..., None] - 1
        scores = np.take_along_axis(np.asarray(curve), last, axis=-1)
        label = name.removeprefix("test_").replace("data_cost", "cost without penalty")
        if not name.startswith("test_") or name == "test_cost":
            continue
        n_without = np.count_nonzero(~np.isfinite(scores))
        if n_without == scores.size and name == "test_accuracy":  # numbers have none
            continue
        if n_without:
            means.append(f"{label} without a value in {n_without} of them")
        else:
            means.append(f"{label} {scores.mean():.4f} ± {scores.std(ddof=1):.4f}")
    n_folds = study.best_epoch.size
    return f"Cross-validation, mean ± SD of {n_folds} folds: {', '.join(means)}"


def classes(confusion: np.ndarray, names: Sequence[str] | None) -> str:
    """The accuracy of each class, in one line."""
    counts = confusion.sum(axis=1)
    each = [
        f"{names[label] if names else label}: {confusion[label, label] / counts[label]:.1%}"
        for label in np.flatnonzero(counts).tolist()
    ]
    return ", ".join(each)


def checks_table(net: Network, checks: list[Check]) -> Table:
    """The errors of a gradient check, a row for each layer's weights and biases."""
    title = f"Backpropagation in {architecture(net)}"
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    for heading in ("gradient of", "norm", "from autodiff", "from finite differences"):
        table.add_column(heading, justify="left" if heading == "gradient of" else "right")
    for check in checks:
        errors = (f"{check.autodiff_error:.1e}", f"{check.numerical_error:.1e}")
        table.add_row(check.name, f"{check.norm:.3g}", *errors)
    return table
