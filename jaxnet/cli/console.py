"""Output of the command line: headlines, progress bars, tables."""

import contextlib
import shlex
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from jaxnet.cli.data_options import examples_text
from jaxnet.core.arguments import reason_of
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data.encoding import Category, Number
from jaxnet.data.tables import encoding_of
from jaxnet.io import table_files
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.executors import SweepReport
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


def prediction_command(folder: Path, data: str) -> str:
    """The command that tries the network in a folder on the test set, or on rows of a new table."""
    if Path(data).suffix.lower() in table_files.SUFFIXES:
        return f"jaxnet predict {quoted(folder)} NEW.csv --output answers.csv"
    option = "" if data == "mnist" else f" --data {quoted(data)}"
    return f"jaxnet predict {quoted(folder)}{option} --test 0 1 2 3"


def say_command(console: Console, about: str, command: str) -> None:
    """Print a command that may come next, after what it is, on one line, so that it can be copied.

    Args:
      console: where to print.
      about: what the command is: "Next".
      command: the command, quoted for the shell.
    """
    console.print(f"{about}: {command}", soft_wrap=True)


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction in percent, in the one style of the command line.

    >>> percent(0.9642), percent(0.5, 0)
    ('96.42%', '50%')
    """
    return f"{fraction:.{digits}%}"


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
    """The data set's sizes, which rows validate, and the device, in one line."""
    device = jax.devices()[0]
    return f"{examples_text(name, data)}; {device.device_kind}, jax {jax.__version__}"


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
            if (
                report.total
                and not report.evaluating
                and (now - last_time[0] > 10 or report.done == report.lanes)
            ):
                last_time[0] = now
                text = ", ".join(words_of(report))
                text = f"{stage}: {text}" if stage else text
                if text != last_text[0]:
                    say(console, text)
                last_text[0] = text

        yield print_line
        return
    with terminal_line(console) as line:
        yield lambda report, stage="": show_report(line, report, stage)


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
        text = percent if metric == "accuracy" else "{:.4f}".format
        table.add_row(
            f"{names[kind]} {metric.removeprefix('data_')}",
            text(best[key]),
            text(last[key]),
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
        f"{names[label] if names else label}: {percent(confusion[label, label] / counts[label], 1)}"
        for label in np.flatnonzero(counts).tolist()
    ]
    return ", ".join(each)


@contextlib.contextmanager
def as_warning(path: Path) -> Iterator[None]:
    """A context in which an error costs a page, and not the results of a training.

    Args:
      path: what is written in the context.

    Yields:
      Nothing.
    """
    try:
        yield
    except Exception as error:
        warnings.warn(f"{path} could not be written: {reason_of(error)}", stacklevel=3)
