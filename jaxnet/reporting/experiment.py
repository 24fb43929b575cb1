"""What the scripts of `experiments/` share: rows of results, figures and a command line.

A script defines `run(config) -> (rows, curves)` and `plot(curves) -> figure`, and calls `main` with
them. This module needs the extra `experiments`.
"""

import dataclasses
import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from rich import box
from rich.console import Console
from rich.table import Table

from jaxnet.core.types import AnyArray
from jaxnet.io import files, numpy_files, reading
from jaxnet.io.csv import Row
from jaxnet.io.reading import JsonObject
from jaxnet.reporting import page_pictures, plots
from jaxnet.reporting.experiment_rows import (
    LEAST_SEEDS,
    Summary,
    Values,
    bound_row,
    cells,
    check_row,
    claim_row,
    difference_row,
    digits_row,
    estimate_row,
    headings,
    make_row,
    share_row,
)
from jaxnet.reporting.style import LineStyle, line_style, remove_frame, styled
from jaxnet.training import devices

__all__ = [
    "LEAST_SEEDS",
    "Config",
    "Curves",
    "LineStyle",
    "Summary",
    "Values",
    "band",
    "bound_row",
    "cells",
    "claim_row",
    "difference_row",
    "digits_row",
    "estimate_row",
    "headings",
    "line_style",
    "main",
    "make_row",
    "panels",
    "picture",
    "share_row",
]

Curves = dict[str, np.ndarray]
"""Arrays by name, as `curves.npz` holds them."""


SMOKE_BANNER = (
    "A smoke test: it shows that the script runs. Its numbers mean nothing, and are not judged."
)
"""What stands above the results of `--smoke`."""


@dataclasses.dataclass(frozen=True)
class Config:
    """The options of every script. A script's own settings are the fields of a subclass."""

    smoke: bool = False
    """Run the same code on very little data, in seconds, to see whether it works."""
    plot_only: bool = False
    """Draw the picture again from the results of an earlier run."""
    results: Path | None = None
    """Where to write results.json, curves.npz and the picture (results/NAME, and of a smoke test
    results/smoke/NAME)."""


ConfigT = TypeVar("ConfigT", bound=Config)
Content = TypeVar("Content")


def panels(
    *widths: float, width: float = 9, height: float = 3.8, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side, all in one style.

    Args:
      *widths: the panels' widths relative to each other; none makes one panel.
      width: of the figure, in inches.
      height: of the figure, in inches.
      sharey: whether all panels have one vertical scale.

    Returns:
      The figure, and the axes of each panel from left to right.

    >>> figure, (left, right) = panels(3, 2, sharey=True)
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    ratios = widths or (1,)
    grid = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False, sharey=sharey)
    row = list(grid[0])
    for axes in row:
        remove_frame(axes)
    return figure, row


def band(
    axes: Axes,
    x: Values,
    table: AnyArray | Sequence[AnyArray],
    style: int = 0,
    label: str | None = None,
) -> None:
    """Draw the mean over seeds as a line, and the range over seeds as a band.

    Args:
      axes: where to draw.
      x: the points' positions, shape (n_points,).
      table: the values, shape (n_seeds, n_points).
      style: the place of the line's style, from 0: see `line_style`.
      label: the line's name in the legend; None for no entry.

    >>> figure, (axes,) = panels()
    >>> band(axes, [1, 2, 3], np.ones((16, 3)), label="ones")
    """
    line, table = line_style(style), np.asarray(table)
    lowest, highest = table.min(axis=0), table.max(axis=0)
    axes.fill_between(x, lowest, highest, color=line["color"], alpha=0.2, linewidth=0)
    axes.plot(x, table.mean(axis=0), label=label, **line)


def picture(plot: Callable[[Content], Figure], content: Content) -> bytes:
    """A figure in the one style of all pictures, as a PNG file.

    Args:
      plot: draws the figure.
      content: what it draws.

    Returns:
      The bytes of the file.

    >>> picture(lambda width: panels(width=width)[0], 4)[1:4]
    b'PNG'
    """
    return plots.png(styled(plot)(content))


def main(
    file: str,
    doc: str | None,
    config: ConfigT,
    smoke: ConfigT,
    run: Callable[[ConfigT], tuple[list[Row], Mapping[str, ArrayLike]]],
    plot: Callable[[Curves], Figure],
) -> None:
    """Run a script's command line: run the experiment, print its table, write files, draw.

    Args:
      file: the script's `__file__`; the name of its results comes from it.
      doc: the script's docstring, which --help shows.
      config: the script's default settings.
      smoke: the settings for --smoke.
      run: runs the experiment; returns the rows and the arrays behind the picture.
      plot: draws the picture of these arrays.

    Raises:
      SystemExit: with status 2 after a line on the standard error, if a setting is refused, if
        `run` raises a ValueError or an OSError, or if --plot-only finds no results.
    """
    name = Path(file).stem
    program = f"python experiments/{name}.py"
    settings = tyro.cli(type(config), prog=program, default=config, description=doc)
    folder = settings.results or Path("results") / ("smoke" if settings.smoke else "") / name
    changed = _changed(config, settings)
    try:
        _check(config, settings)
        if settings.smoke:
            settings = dataclasses.replace(smoke, smoke=True, plot_only=settings.plot_only)
        settings = dataclasses.replace(settings, results=folder)
        if not settings.plot_only:
            folder.mkdir(parents=True, exist_ok=True)
            _run_and_save(folder, settings, changed, run)
        elif not (folder / "results.json").exists():
            raise ValueError(f"{folder} holds no results to draw; run without --plot-only first.")
        rows = read_results(folder / "results.json")["rows"]
        curves = numpy_files.read_npz(folder / "curves.npz")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if settings.smoke:
        print(f"{SMOKE_BANNER}\n")
    _print_table(rows, settings.smoke)
    figure = styled(plot)(curves)
    files.write_atomic(folder / f"{name}.png", plots.png(figure))
    files.write_atomic(folder / f"{name}.svg", page_pictures.svg(figure))
    print(f"Written to {folder}/")


def read_results(path: Path) -> JsonObject:
    """The results of an experiment: its settings, its rows, and where and how long it ran.

    Args:
      path: the results.json that `main` wrote.

    Returns:
      The content of the file.

    Raises:
      ValueError: the file cannot be read, or an entry of it is not what `main` writes.
    """
    remedy = "run the experiment again"
    return reading.read_content(path, "the results of an experiment", _results, remedy)


def _results(content: bytes) -> JsonObject:
    """The results in the content of a results.json; errors are bare reasons."""
    results = reading.json_object(content)
    reading.check_types(
        results, {"config": dict, "changed": list, "rows": list, "seconds": (int, float)}
    )
    reading.check_types(results["config"], {"smoke": bool})
    if not all(isinstance(name, str) for name in results["changed"]):
        raise ValueError("its entry 'changed' holds other things than names")
    for row in results["rows"]:
        check_row(row)
    return results


def _changed(config: Config, settings: Config) -> list[str]:
    """The names of the settings that differ from the script's own."""
    names = set(vars(config)) - {"smoke", "plot_only", "results"}
    return sorted(name for name in names if vars(config)[name] != vars(settings)[name])


def _check(config: Config, settings: Config) -> None:
    """Refuse an option with an empty list of values, or with a value that the script lacks."""
    for name, choices in vars(config).items():
        if not isinstance(choices, tuple):
            continue
        if not vars(settings)[name]:
            raise ValueError(f"--{name} takes at least one value.")
        for value in vars(settings)[name]:
            if isinstance(value, str) and value not in choices:
                raise ValueError(f"--{name} takes some of {', '.join(choices)}, not {value!r}.")


def _run_and_save(
    folder: Path,
    settings: ConfigT,
    changed: list[str],
    run: Callable[[ConfigT], tuple[list[Row], Mapping[str, ArrayLike]]],
) -> None:
    """Run, then write the curves and the numbers, each file atomically."""
    devices.use_all_cores()
    began = time.perf_counter()
    rows, curves = run(settings)
    results = {
        "config": dataclasses.asdict(settings) | {"results": None},
        "changed": changed,
        **files.environment(),
        "rows": rows,
        "seconds": round(time.perf_counter() - began, 1),
    }
    archive = io.BytesIO()
    np.savez(archive, **curves)  # pyright: ignore[reportArgumentType]  # none is allow_pickle
    files.write_atomic(folder / "curves.npz", archive.getvalue())
    text = json.dumps(results, indent=2, ensure_ascii=False, default=str, allow_nan=False) + "\n"
    files.write_atomic(folder / "results.json", text.encode())


def _print_table(rows: list[Row], is_smoke: bool) -> None:
    """Print the rows as a table, and below it the reasons for their verdicts, if there are any."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = 120  # a file or a pipe has room
    table = Table(box=box.SIMPLE)
    columns = headings(rows, is_smoke)
    for heading in columns:
        is_text = heading in ("", "verdict")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=not is_text)
    for row in rows:
        texts = cells(row)
        table.add_row(*(texts[heading] for heading in columns))
    out.print(table)
    for row in [] if is_smoke else rows:
        if row["why"]:
            out.print(f"{row['name']}: {row['why']}", soft_wrap=True)
