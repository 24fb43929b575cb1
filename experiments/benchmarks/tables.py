"""The tables that the measurements print, and the picture of the book's network."""

from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

RED, BLUE, GREY = "#b3402a", "#7aa6c2", "#9a9a9a"


def color(row: dict) -> str:
    """Red for jaxnet's sweeps, blue for its `train`, grey for others."""
    if row["networks"] > 1 and "hand" not in row["contestant"]:
        return RED
    return BLUE if row["contestant"].startswith("jaxnet") else GREY


def plot(results: dict) -> Figure:
    """Seconds an epoch and network of [784, 30, 10]; the part of the rate beside them."""
    rows = [row for row in results["rows"] if "[784" not in row["name"]]
    rows.sort(key=lambda row: -row["mean"])
    names = [row["contestant"] for row in rows]
    seconds = [row["mean"] for row in rows]
    figure = Figure(figsize=(8, 0.27 * len(names) + 1.1), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, seconds, color=[color(row) for row in rows])
    axes.set_xscale("log")
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xlim(min(seconds) / 2, max(seconds) * 4)
    for place, row in enumerate(rows):
        text = f"{row['mean']:.3g} s, {row['of_matrix_product_rate']:.0%}"
        axes.text(row["mean"] * 1.1, place, text, va="center", fontsize=8)
    axes.set_xlabel("seconds an epoch of 50,000 examples and network; part of a product's rate")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", labelsize=8)
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
