"""What the scripts of `experiments/` share: rows with verdicts, panels, a command line, a folder.

A script has `run(config) -> (rows, curves)`, `plot(curves) -> figure` and a call of `main`; this is
the rest. It needs the extra `experiments`.
"""

import dataclasses
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table
from scipy import stats

from jaxnet.io import files
from jaxnet.io.csv import Row
from jaxnet.reporting import plots
from jaxnet.training import devices

LEAST_SEEDS = 16
"""A published number is judged from so many seeds or more."""
Curves = dict[str, Any]
"""Arrays by name."""
STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#b3402a", "linestyle": "-", "linewidth": 2.0},
    {"color": "#7aa6c2", "linestyle": "--", "linewidth": 1.8},
    {"color": "#1a1a1a", "linestyle": "-.", "linewidth": 1.4},
    {"color": "#4f6d3a", "linestyle": ":", "linewidth": 2.0},
    {"color": "#d9a08c", "linestyle": (0, (6, 1, 1, 1, 1, 1)), "linewidth": 1.8},
)
"""Lines that differ in hue, lightness and dashes: readable in grey and by the colour-blind."""


@dataclasses.dataclass(frozen=True)
class Config:
    """What every script can be told; its own settings come in a class that inherits this one."""

    smoke: bool = False
    """The same code on very little, in seconds: does it run?"""
    plot_only: bool = False
    """Draw the picture anew from the results that are there."""
    results: Path | None = None
    """Where to write results.json, curves.npz and the picture (results/NAME, and of a smoke test
    results/smoke/NAME)."""


def as_row(
    name: str,
    published: float | None,
    numbers: tuple[Any, ...],
    n: int,
    verdict: str,
    unit: str,
    why: str = "",
) -> Row:
    """A row as all scripts write it; the others here decide on its verdict.

    Args:
      name: what was measured.
      published: what a source says.
      numbers: mean, low, high and SD; what is not finite is left out, since JSON cannot hold it.
      n: of how many.
      verdict: in words.
      unit: "%", or nothing.
      why: the reason if it differs or is undecided.

    >>> as_row("seconds", None, (1.5, 1.4, 1.6, np.nan), 3, "fast", "")["sd"] is None
    True
    """
    mean, low, high, sd = (float(x) if np.isfinite(x) else None for x in numbers)
    return {
        "name": name, "published": published, "mean": mean, "low": low, "high": high,
        "sd": sd, "n_seeds": n, "verdict": verdict, "unit": unit, "log": False,
        "why": why if verdict in ("differs", "undecided") else "", "claimed": False,
    }  # fmt: skip


def measured(
    name: str,
    values: Any,
    published: float | None = None,
    unit: str = "%",
    log: bool = False,
    why: str = "",
) -> Row:
    """A row: the mean over seeds, and whether a published number is one more run of the same kind.

    It is *reproduced* within mean ± t·s·√(1 + 1/n), the 95 % prediction interval for one more run.
    Without one, the interval is that of the mean, mean ± t·s/√n.

    Args:
      name: what was measured.
      values: a number for each seed; of "%" the fraction.
      published: what the source says, in the same unit.
      unit: "%", or nothing.
      log: whether to judge the logarithm, as of norms and costs: then the mean is the geometric
        one, and the SD a factor.
      why: the reason if it *differs*, which is told only then.

    >>> row = measured("accuracy", np.linspace(0.95, 0.96, 16), published=0.957)
    >>> row["verdict"], round(row["low"], 3), row["n_seeds"]
    ('reproduced', 0.948, 16)
    """
    values = np.asarray(values, float)
    n = len(values)
    if n < 2 or not np.isfinite(values).all():
        only = values[0] if n == 1 else np.nan
        verdict = "diverged" if n > 1 else "too few seeds"
        return as_row(name, published, (only, np.nan, np.nan, np.nan), n, verdict, unit)
    judged = np.log(values) if log else values
    sd = judged.std(ddof=1)
    wide = np.sqrt(1 / n) if published is None else np.sqrt(1 + 1 / n)
    half = stats.t.ppf(0.975, n - 1) * sd * wide
    ends = judged.mean() - half, judged.mean() + half
    mean, low, high = np.exp([judged.mean(), *ends]) if log else (judged.mean(), *ends)
    verdict = ""
    if published is not None:
        verdict = "reproduced" if low <= published <= high else "differs"
        verdict = verdict if n >= LEAST_SEEDS else "too few seeds"
    numbers = mean, low, high, np.exp(sd) if log else sd
    return as_row(name, published, numbers, n, verdict, unit, why) | {"log": log}


def compared(
    name: str, a: Any, b: Any, unit: str = "%", claimed: bool = False, why: str = ""
) -> Row:
    """A row for whether a is more than b: the paired difference, with its 95 % t-interval.

    Args:
      name: the question.
      a: a number for each seed.
      b: the other's, from the same seeds.
      unit: "%", or nothing.
      claimed: whether a source says so: then it is *reproduced* or *differs*.
      why: the reason if it is not reproduced.

    >>> compared("a − b", [0.97, 0.96, 0.98], [0.95, 0.95, 0.96])["verdict"]
    'more'
    """
    row = measured(name, np.asarray(a, float) - np.asarray(b, float), unit=unit, why=why)
    if row["low"] is None:
        return row | {"claimed": claimed}
    more, less = ("reproduced", "differs") if claimed else ("more", "less")
    decided = more if row["low"] > 0 else less if row["high"] < 0 else "undecided"
    if claimed and row["n_seeds"] < LEAST_SEEDS:
        decided = "too few seeds"
    told = why if decided in ("differs", "undecided") else ""
    return row | {"verdict": decided, "why": told, "claimed": claimed}


def rounded(name: str, value: Any, published: float, places: int, why: str = "") -> Row:
    """A row for a number without chance in it: *reproduced* if it rounds to the published one.

    Args:
      name: what was calculated.
      value: what it is.
      published: what the source says.
      places: decimal places of what the source says.
      why: the reason if it *differs*.

    >>> rounded("half of an eighth", 0.0625, 0.06, places=2)["verdict"]
    'reproduced'
    """
    verdict = "reproduced" if abs(value - published) <= 0.5 / 10**places else "differs"
    return as_row(name, published, (value, value, value, np.nan), 1, verdict, "", why)


def stated(name: str, value: Any, true: Any, why: str = "") -> Row:
    """A row for a claim of a source on what has no chance in it.

    Args:
      name: the claim.
      value: the number that decides it.
      true: whether it is so.
      why: the reason if it is not.

    >>> stated("the largest fall is the first, epoch", 1, 1 == 1)["verdict"]
    'reproduced'
    """
    verdict = "reproduced" if true else "differs"
    row = as_row(name, None, (value, value, value, np.nan), 1, verdict, "", why)
    return row | {"claimed": True}


def bounded(name: str, values: Any, bound: float) -> Row:
    """A row for errors that must not exceed a bound: their mean, and the least and the largest.

    >>> bounded("distance", [1e-12, 3e-12], 1e-10)["verdict"]
    'all within 1e-10'
    """
    values = np.asarray(values, float)
    verdict = f"{'all within' if values.max() <= bound else 'BEYOND'} {bound:.0e}"
    return as_row(name, None, (values.mean(), values.min(), values.max(), np.nan), len(values),
                verdict, "")  # fmt: skip


def share(
    name: str, found: Any, low: float | None = None, high: float = 1.0, note: str = ""
) -> Row:
    """A row for how often something was found: if a `low` is given, right in [low, high].

    The interval is Clopper and Pearson's.

    >>> share("heads", np.arange(100) % 2 == 0, 0.4, 0.6)["verdict"]
    'right'
    """
    found = np.asarray(found, bool)
    ends = stats.binomtest(int(found.sum()), len(found)).proportion_ci(0.95)
    verdict = "" if low is None else "right" if low <= found.mean() <= high else "WRONG"
    numbers = (found.mean(), ends.low, ends.high, np.nan)
    return as_row(name, None, numbers, len(found), verdict + note, "%")


def panels(*sizes: float, width: float = 9, height: float = 3.8, **options: Any) -> tuple:
    """A figure and its axes, side by side, in the house's style.

    Args:
      sizes: their relative widths; none makes one panel.
      width: of the figure, in inches.
      height: likewise.
      options: for `Figure.subplots`.

    >>> figure, left, right = panels(3, 2, sharey=True)
    """
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    sizes = sizes or (1,)
    found = figure.subplots(1, len(sizes), width_ratios=sizes, squeeze=False, **options).ravel()
    for axes in found:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
    return (figure, *found)


def band(axes: Any, x: Any, table: Any, style: int = 0, label: str | None = None) -> None:
    """A line for the mean over seeds, and a band from the lowest to the highest.

    Args:
      axes: where to draw.
      x: the points.
      table: a row a seed, a column a point.
      style: which of `STYLES`.
      label: for the legend.

    >>> band(panels()[1], [1, 2, 3], np.ones((16, 3)), label="ones")
    """
    line, table = STYLES[style], np.asarray(table)
    axes.fill_between(
        x, table.min(axis=0), table.max(axis=0), color=line["color"], alpha=0.2, linewidth=0
    )
    axes.plot(x, table.mean(axis=0), label=label, **line)


def main(
    file: str,
    doc: str | None,
    config: Any,
    smoke: Any,
    run: Callable[[Any], tuple[list[Row], Curves]],
    plot: Callable[[Curves], Figure],
) -> None:
    """The command line of a script: run, print, write, draw.

    Args:
      file: the script's `__file__`, which names its results.
      doc: its docstring.
      config: its settings, a `Config`.
      smoke: the settings for `--smoke`.
      run: makes the rows, and the arrays behind the picture.
      plot: draws these.
    """
    name = Path(file).stem
    program = f"python experiments/{name}.py"
    given: Any = tyro.cli(type(config), prog=program, default=config, description=doc)
    folder = given.results or Path("results") / ("smoke" if given.smoke else "") / name
    changed = [key for key, value in vars(config).items() if vars(given)[key] != value]
    changed = sorted({*changed} - {"smoke", "plot_only", "results"})
    try:
        _check(config, given)
        if given.smoke:
            given = dataclasses.replace(smoke, smoke=True, plot_only=given.plot_only)
        given = dataclasses.replace(given, results=folder)
        if not given.plot_only:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder, given, changed, run)
        elif not (folder / "results.json").exists():
            raise ValueError(f"{folder} holds no results to draw; run without --plot-only first.")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    rows = json.loads((folder / "results.json").read_text(encoding="utf-8"))["rows"]
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = 120  # a file or a pipe has room
    out.print(_table(rows))
    for row in rows:
        if row["why"]:
            out.print(f"{row['name']}: {row['why']}", soft_wrap=True)
    content = plots.png(plot(dict(np.load(folder / "curves.npz"))))
    files.write_atomic(folder / f"{name}.png", content)
    note = "; a smoke test: the numbers mean nothing" if given.smoke else ""
    print(f"Written to {folder}/{note}")


def _check(config: Any, given: Any) -> None:
    """What takes several values has one, and names are among those that the script knows."""
    for key, known in vars(config).items():
        if not isinstance(known, tuple):
            continue
        if not vars(given)[key]:
            raise ValueError(f"--{key} takes at least one value.")
        for value in vars(given)[key]:
            if isinstance(value, str) and value not in known:
                raise ValueError(f"--{key} takes some of {', '.join(known)}, not {value!r}.")


def _write(folder: Path, given: Any, changed: list[str], run: Callable[[Any], Any]) -> None:
    """Run, and write the curves and then the numbers: what is there is always whole."""
    devices.use_all_cores()
    began = time.perf_counter()
    rows, curves = run(given)
    settings = dataclasses.asdict(given) | {"results": None}
    told = {"config": settings, "changed": changed, **files.environment(), "rows": rows}
    told["seconds"] = round(time.perf_counter() - began, 1)
    archive = io.BytesIO()
    np.savez(archive, **curves)
    files.write_atomic(folder / "curves.npz", archive.getvalue())
    text = json.dumps(told, indent=2, ensure_ascii=False, default=str, allow_nan=False) + "\n"
    files.write_atomic(folder / "results.json", text.encode())


def cells(row: Row) -> dict[str, str]:
    """What the table shows of a row: a text under every heading.

    >>> cells(measured("a", [0.5, 0.5], unit="%"))["mean ± SD"]
    '50.00 ± 0.00'
    >>> cells(rounded("weights", 13002, 13002, places=0))["published"]
    '13,002'
    """
    percent, sign = row["unit"] == "%", "×/÷" if row["log"] else "±"

    def text(x: float | None) -> str:
        if x is None:
            return ""
        if percent:
            return f"{100 * x:.2f}"
        return f"{x:,.0f}" if 1000 <= abs(x) < 1e6 else f"{x:.3g}"

    return {
        "": row["name"] + (", %" if percent else ""),
        "published": text(row["published"]),
        "mean ± SD": text(row["mean"])
        + ("" if row["sd"] is None else f" {sign} {text(row['sd'])}"),
        "95 % interval": "" if row["low"] is None else f"{text(row['low'])} … {text(row['high'])}",
        "n": str(row["n_seeds"]),
        "verdict": row["verdict"],
    }


def headings(rows: list[Row]) -> list[str]:
    """The columns of a table of rows; that of published numbers only where there are any."""
    published = any(row["published"] is not None for row in rows)
    return [name for name in cells(rows[0]) if published or name != "published"]


def _table(rows: list[Row]) -> Table:
    table = Table(box=box.SIMPLE)
    for heading in headings(rows):
        side = "left" if heading in ("", "verdict") else "right"
        table.add_column(heading, justify=side, no_wrap=heading not in ("", "verdict"))
    for row in rows:
        table.add_row(*(cells(row)[heading] for heading in headings(rows)))
    return table
