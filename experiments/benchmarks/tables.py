"""The tables that the measurements print, and the picture of the book's network."""

from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

from jaxnet.reporting import experiment

RED, BLUE, BLACK = "#b3402a", "#0072b2", "#1a1a1a"
KINDS = {RED: "a sweep of jaxnet", BLUE: "jaxnet.train", BLACK: "others"}
"""What the colours of the picture mean."""

TIMES = {
    "first call": "first",
    "again": "again",
    "times as fast": "times_first",
    "again, times": "times_again",
    "best": "best",
}
"""Columns of a table of seconds beside those of another library."""


def color(row: dict) -> str:
    """Red for jaxnet's sweeps, blue for its `train`, black for others."""
    if row["networks"] > 1 and "hand" not in row["contestant"]:
        return RED
    return BLUE if row["contestant"].startswith("jaxnet") else BLACK


def plot(results: dict) -> Figure:
    """Seconds an epoch and network of [784, 30, 10], a dot each; the part of the rate beside it."""
    rows = [row for row in results["rows"] if "[784" not in row["name"]]
    rows.sort(key=lambda row: -row["mean"])
    seconds = [row["mean"] for row in rows]
    figure, (axes,) = experiment.panels(width=7, height=0.19 * len(rows) + 0.9)
    for kind, text in KINDS.items():
        places = [place for place, row in enumerate(rows) if color(row) == kind]
        axes.plot([seconds[place] for place in places], places, "o", color=kind, label=text)
    for place, row in enumerate(rows):
        text = f"{row['mean']:.3g} s, {row['of_matrix_product_rate']:.0%}"
        axes.text(row["mean"] * 1.15, place, text, va="center", fontsize=7.5)
    axes.set_yticks(range(len(rows)), [row["contestant"] for row in rows])
    axes.set(
        xscale="log", xlim=(min(seconds) / 1.4, max(seconds) * 6), ylim=(-0.7, len(rows) - 0.3)
    )
    ticks = [
        tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5) if tick > min(seconds) / 1.4
    ]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("seconds for an epoch of one network (%: of the matrix-product rate)")
    axes.legend(loc="upper right")
    return figure


def print_table(results: dict) -> None:
    """Print the results."""
    rate = results["gflops_matrix_product"]
    title = f"A matrix product runs at {rate:.0f} GFLOP/s on {results['device']}"
    table = Table(box=box.SIMPLE, title=title, title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in ("networks", "seconds", "relative", "of the rate"):
        table.add_column(heading, justify="right")
    for row in results["rows"]:
        table.add_row(
            row["contestant"],
            f"{row['networks']}",
            f"{row['mean']:.3f}",
            "{:.2f} ({:.2f}–{:.2f})".format(row["of_first"], *row["of_first_range"]),
            f"{row['of_matrix_product_rate']:.1%}",
        )
    Console().print(table)


def print_rows(rows: list[dict], columns: dict[str, str], title: str) -> None:
    """Print rows, a column for each heading, with the entry that it names."""
    table = Table(box=box.SIMPLE, title=title, title_justify="left", padding=(0, 1, 0, 0))
    for number, heading in enumerate(columns):
        table.add_column(heading, justify="right" if number else "left", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(cell(row[entry]) for entry in columns.values()))
    Console().print(table)


def cell(value: object) -> str:
    """A value of a table: numbers with as many digits as they are read with."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
