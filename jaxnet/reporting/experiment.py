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
from typing import NamedTuple, SupportsFloat, TypedDict, TypeVar

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from rich import box
from rich.console import Console
from rich.table import Table
from scipy import stats

from jaxnet.core.types import AnyArray
from jaxnet.io import files
from jaxnet.io.csv import Row
from jaxnet.reporting import plots
from jaxnet.training import devices

LEAST_SEEDS = 16
"""Seeds that a verdict on a published number or a claim needs at least."""
Values = AnyArray | Sequence[float]
"""Numbers, one for each seed."""
Curves = dict[str, np.ndarray]
"""Arrays by name, as `curves.npz` holds them."""


class LineStyle(TypedDict):
    """How matplotlib draws a line."""

    color: str
    """In hexadecimal, "#rrggbb"."""
    linestyle: str | tuple[int, tuple[int, ...]]
    """matplotlib's short form, or (offset, lengths of dashes and gaps in points)."""
    linewidth: float
    """In points."""


STYLES: tuple[LineStyle, ...] = (
    {"color": "#b3402a", "linestyle": "-", "linewidth": 2.0},
    {"color": "#7aa6c2", "linestyle": "--", "linewidth": 1.8},
    {"color": "#1a1a1a", "linestyle": "-.", "linewidth": 1.4},
    {"color": "#4f6d3a", "linestyle": ":", "linewidth": 2.0},
    {"color": "#d9a08c", "linestyle": (0, (6, 1, 1, 1, 1, 1)), "linewidth": 1.8},
)
"""Lines that differ in hue, lightness and dashes: readable in grey and by the colour-blind."""


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


class Summary(NamedTuple):
    """The numbers of a row. A number that is not known is NaN."""

    mean: float
    """The mean, or the only value."""
    low: float
    """The lower end of the interval."""
    high: float
    """The upper end of the interval."""
    sd: float = np.nan
    """The standard deviation over the seeds."""


def make_row(
    name: str,
    summary: Summary,
    n_seeds: int,
    verdict: str,
    *,
    published: float | None = None,
    unit: str = "",
    why: str = "",
) -> Row:
    """A row of a table of results, with the verdict that the caller has reached.

    The other constructors decide on the verdict themselves, and make their rows with this one.

    Args:
      name: the quantity that was measured.
      summary: its mean, interval and standard deviation. A number that is not finite becomes None,
        because JSON has no NaN.
      n_seeds: how many values were summarized.
      verdict: the conclusion, in words.
      published: the number that a source states, in the unit of the mean; None if there is none.
      unit: "%" if the numbers are fractions to be shown as percentages, or "".
      why: the reason for a verdict of "differs" or "undecided"; dropped with any other verdict.

    Returns:
      The row, whose entries are JSON's types.

    >>> make_row("seconds", Summary(1.5, 1.4, 1.6), 3, "fast")["sd"] is None
    True
    """
    numbers = {
        key: float(number) if np.isfinite(number) else None
        for key, number in summary._asdict().items()
    }
    return {
        "name": name,
        "published": published,
        **numbers,
        "n_seeds": n_seeds,
        "verdict": verdict,
        "unit": unit,
        "log": False,
        "why": why if verdict in ("differs", "undecided") else "",
        "claimed": False,
    }


def estimate_row(
    name: str,
    values: Values,
    published: float | None = None,
    unit: str = "%",
    log: bool = False,
    why: str = "",
) -> Row:
    """A row with the mean over seeds, and a verdict on a published number if there is one.

    A published number is *reproduced* within mean ± t·s·√(1 + 1/n), the 95 % prediction interval
    for one more run. Without a published number the interval is that of the mean, mean ± t·s/√n,
    and the verdict is empty. With fewer than `LEAST_SEEDS` values the verdict is "too few seeds";
    with a value that is not finite it is "diverged".

    Args:
      name: the quantity that was measured.
      values: a number for each seed; a fraction where the unit is "%".
      published: the number that a source states, in the unit of the values.
      unit: "%" or "".
      log: judge the logarithms of the values, as is right for norms and costs. The mean is then the
        geometric one, and the standard deviation a factor.
      why: the reason if the verdict is "differs"; dropped otherwise.

    Returns:
      The row.

    >>> row = estimate_row("accuracy", np.linspace(0.95, 0.96, 16), published=0.957)
    >>> row["verdict"], round(row["low"], 3), row["n_seeds"]
    ('reproduced', 0.948, 16)
    """
    values = np.asarray(values, float)
    n = len(values)
    if n < 2:
        summary = Summary(values[0] if n else np.nan, np.nan, np.nan)
        return make_row(name, summary, n, "too few seeds", published=published, unit=unit)
    if not np.isfinite(values).all():
        summary = Summary(np.nan, np.nan, np.nan)
        return make_row(name, summary, n, "diverged", published=published, unit=unit)
    judged = np.log(values) if log else values
    mean, sd = judged.mean(), judged.std(ddof=1)
    factor = np.sqrt(1 / n) if published is None else np.sqrt(1 + 1 / n)
    half_width = stats.t.ppf(0.975, n - 1) * sd * factor
    summary = Summary(mean, mean - half_width, mean + half_width, sd)
    if log:
        summary = Summary(*np.exp(summary))
    if published is None:
        verdict = ""
    elif n < LEAST_SEEDS:
        verdict = "too few seeds"
    else:
        verdict = "reproduced" if summary.low <= published <= summary.high else "differs"
    row = make_row(name, summary, n, verdict, published=published, unit=unit, why=why)
    return row | {"log": log}


def difference_row(
    name: str, a: Values, b: Values, unit: str = "%", claimed: bool = False, why: str = ""
) -> Row:
    """A row for whether a is more than b: the mean paired difference a − b, with its t-interval.

    The verdict is "more" or "less" if the 95 % interval excludes 0, and "undecided" otherwise. If a
    source claims that a is more, it is "reproduced" in place of "more" and "differs" in place of
    "less", and "too few seeds" with fewer than `LEAST_SEEDS` pairs.

    Args:
      name: the question.
      a: a number for each seed.
      b: a number for each of the same seeds, in the same order.
      unit: "%" or "".
      claimed: whether a source claims that a is more.
      why: the reason if the verdict is "differs" or "undecided"; dropped otherwise.

    Returns:
      The row.

    >>> difference_row("a − b", [0.97, 0.96, 0.98], [0.95, 0.95, 0.96])["verdict"]
    'more'
    """
    row = estimate_row(name, np.asarray(a, float) - np.asarray(b, float), unit=unit)
    row["claimed"] = claimed
    if row["low"] is None:
        return row
    if claimed and row["n_seeds"] < LEAST_SEEDS:
        verdict = "too few seeds"
    elif row["low"] > 0:
        verdict = "reproduced" if claimed else "more"
    elif row["high"] < 0:
        verdict = "differs" if claimed else "less"
    else:
        verdict = "undecided"
    row["verdict"] = verdict
    row["why"] = why if verdict in ("differs", "undecided") else ""
    return row


def digits_row(
    name: str, value: SupportsFloat, published: float, places: int, why: str = ""
) -> Row:
    """A row for a number without chance in it: *reproduced* if it rounds to the published one.

    Args:
      name: the quantity that was calculated.
      value: the number.
      published: the number that a source states.
      places: decimal places of the published number; negative before the decimal point.
      why: the reason if the verdict is "differs"; dropped otherwise.

    Returns:
      The row.

    >>> digits_row("half of an eighth", 0.0625, 0.06, places=2)["verdict"]
    'reproduced'
    """
    number = float(value)
    verdict = "reproduced" if abs(number - published) <= 0.5 / 10**places else "differs"
    summary = Summary(number, number, number)
    return make_row(name, summary, 1, verdict, published=published, why=why)


def claim_row(name: str, value: SupportsFloat, holds: bool | np.bool, why: str = "") -> Row:
    """A row for a published claim that involves no randomness: *reproduced* if it holds.

    Args:
      name: the claim.
      value: the number that decides it.
      holds: whether the claim is true.
      why: the reason if it is not.

    Returns:
      The row.

    >>> claim_row("epoch of the largest fall", 1, holds=True)["verdict"]
    'reproduced'
    """
    verdict = "reproduced" if holds else "differs"
    summary = Summary(float(value), float(value), float(value))
    return make_row(name, summary, 1, verdict, why=why) | {"claimed": True}


def bound_row(name: str, values: Values, bound: float) -> Row:
    """A row for errors that must not exceed a bound: their mean, the smallest and the largest.

    Args:
      name: the error that was measured.
      values: all errors.
      bound: the largest error that is allowed.

    Returns:
      The row; its verdict is "all within …" or "BEYOND …".

    >>> bound_row("distance", [1e-12, 3e-12], 1e-10)["verdict"]
    'all within 1e-10'
    """
    values = np.asarray(values, float)
    verdict = f"{'all within' if values.max() <= bound else 'BEYOND'} {bound:.0e}"
    summary = Summary(values.mean(), values.min(), values.max())
    return make_row(name, summary, len(values), verdict)


def share_row(
    name: str,
    outcomes: AnyArray | Sequence[bool],
    low: float | None = None,
    high: float = 1.0,
    note: str = "",
) -> Row:
    """A row for how often something happened, with Clopper and Pearson's 95 % interval.

    Args:
      name: the event.
      outcomes: for each trial, whether it happened.
      low: the smallest share that is right, from 0 to 1; None leaves the share unjudged.
      high: the largest share that is right.
      note: a text after the verdict.

    Returns:
      The row; its verdict is "right" or "WRONG", or empty without `low`, and then the note.

    >>> share_row("heads", np.arange(100) % 2 == 0, 0.4, 0.6)["verdict"]
    'right'
    """
    happened = np.asarray(outcomes, bool)
    share = happened.mean()
    interval = stats.binomtest(int(happened.sum()), len(happened)).proportion_ci(0.95)
    verdict = ""
    if low is not None:
        verdict = "right" if low <= share <= high else "WRONG"
    summary = Summary(share, interval.low, interval.high)
    return make_row(name, summary, len(happened), verdict + note, unit="%")


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
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    ratios = widths or (1,)
    grid = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False, sharey=sharey)
    row = list(grid[0])
    for axes in row:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
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
      style: the line's index in `STYLES`.
      label: the line's name in the legend; None for no entry.

    >>> figure, (axes,) = panels()
    >>> band(axes, [1, 2, 3], np.ones((16, 3)), label="ones")
    """
    line, table = STYLES[style], np.asarray(table)
    lowest, highest = table.min(axis=0), table.max(axis=0)
    axes.fill_between(x, lowest, highest, color=line["color"], alpha=0.2, linewidth=0)
    axes.plot(x, table.mean(axis=0), label=label, **line)


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
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    rows = json.loads((folder / "results.json").read_text(encoding="utf-8"))["rows"]
    _print_table(rows)
    picture = plots.png(plot(dict(np.load(folder / "curves.npz"))))
    files.write_atomic(folder / f"{name}.png", picture)
    note = "; a smoke test: the numbers mean nothing" if settings.smoke else ""
    print(f"Written to {folder}/{note}")


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


def cells(row: Row) -> dict[str, str]:
    """The texts that a table shows of a row, by heading.

    Args:
      row: the row.

    Returns:
      The headings, from left to right, and the text under each.

    >>> cells(estimate_row("a", [0.5, 0.5], unit="%"))["mean ± SD"]
    '50.00 ± 0.00'
    >>> cells(digits_row("weights", 13002, 13002, places=0))["published"]
    '13,002'
    """
    is_percentage = row["unit"] == "%"

    def text(x: float | None) -> str:
        if x is None:
            return ""
        if is_percentage:
            return f"{100 * x:.2f}"
        return f"{x:,.0f}" if 1000 <= abs(x) < 1e6 else f"{x:.3g}"

    mean, interval = text(row["mean"]), ""
    if row["sd"] is not None:
        mean += f" {'×/÷' if row['log'] else '±'} {text(row['sd'])}"
    if row["low"] is not None:
        interval = f"{text(row['low'])} … {text(row['high'])}"
    return {
        "": row["name"] + (", %" if is_percentage else ""),
        "published": text(row["published"]),
        "mean ± SD": mean,
        "95 % interval": interval,
        "n": str(row["n_seeds"]),
        "verdict": row["verdict"],
    }


def headings(rows: Sequence[Row]) -> list[str]:
    """The headings of a table of rows; "published" only if a row has a published number.

    Args:
      rows: at least one row.

    Returns:
      The headings from left to right, which are keys of `cells`.

    >>> headings([bound_row("distance", [1e-12], 1e-10)])
    ['', 'mean ± SD', '95 % interval', 'n', 'verdict']
    """
    any_published = any(row["published"] is not None for row in rows)
    return [name for name in cells(rows[0]) if any_published or name != "published"]


def _print_table(rows: list[Row]) -> None:
    """Print the rows as a table, and below it the reasons for their verdicts."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = 120  # a file or a pipe has room
    table = Table(box=box.SIMPLE)
    columns = headings(rows)
    for heading in columns:
        is_text = heading in ("", "verdict")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=not is_text)
    for row in rows:
        texts = cells(row)
        table.add_row(*(texts[heading] for heading in columns))
    out.print(table)
    for row in rows:
        if row["why"]:
            out.print(f"{row['name']}: {row['why']}", soft_wrap=True)
