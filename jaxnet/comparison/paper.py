"""A comparison's tables and its protocol as a paper prints them."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jaxnet.comparison.conclusions import listed
from jaxnet.comparison.looks import taken_seeds
from jaxnet.comparison.result_tables import ALPHA, TEXT
from jaxnet.core.arguments import require_choice
from jaxnet.io.csv import Row
from jaxnet.io.reading import JsonObject

if TYPE_CHECKING:
    import pandas  # pyright: ignore[reportMissingImports]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "summary": (
        "optimizer", "learning_rate", "test_score", "test_score_sd", "test_score_low",
        "test_score_high",
    ),
    "pairwise": ("a", "b", "difference", "low", "high", "p_holm", "verdict"),
    "aggregates": ("task", "optimizer", "iqm", "iqm_low", "iqm_high", "gap", "gap_low", "gap_high"),
}  # fmt: skip
"""The columns that a printed table has, of those tables that are too wide for a page."""
ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "\N{MINUS SIGN}": "$-$",
}  # fmt: skip
"""What LaTeX writes for characters that mean something else to it."""


def frame(rows: Sequence[Row]) -> "pandas.DataFrame":
    """A table as a pandas DataFrame.

    Args:
      rows: its rows.

    Raises:
      ImportError: pandas is not installed.
    """
    try:
        import pandas  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError("to_frame needs pandas: pip install 'jaxnet-mlp[tables]'.") from None
    return pandas.DataFrame(rows)


def printed(
    table: str, rows: Sequence[Row], columns: Sequence[str] | None
) -> tuple[Sequence[Row], Sequence[str]]:
    """The rows of a table, and the names of the columns to print.

    Args:
      table: its name.
      rows: its rows.
      columns: the names of its columns, in order; `None` for all, or those of `COLUMNS`.

    Raises:
      ValueError: there is no such column, or there are no rows.
    """
    if not rows:
        raise ValueError(f"the table {table} of this comparison has no rows; choose another.")
    known = tuple(dict.fromkeys(name for row in rows for name in row))
    if columns is None:
        columns = [name for name in COLUMNS.get(table, known) if name in known]
    for name in columns:
        require_choice("columns", name, known)
    return rows, columns


def markdown(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """A table in Markdown.

    Args:
      rows: its rows.
      columns: their names, in order.

    Returns:
      Its lines: the headings, the alignment, and a line for each row.

    >>> print(markdown([{"optimizer": "sgd", "test_score": 0.95804}], ["optimizer", "test_score"]))
    | optimizer | test score |
    |---|---:|
    | sgd | 0.958 |
    """
    escaped = lambda text: " ".join(text.replace("|", r"\|").split())  # a cell is one line
    lines = [
        [escaped(_heading(name)) for name in columns],
        *([escaped(_text(row.get(name), "–")) for name in columns] for row in rows),
    ]
    head, *body = (f"| {' | '.join(cells)} |" for cells in lines)
    alignment = "|".join("---" if name in TEXT else "---:" for name in columns)
    return "\n".join([head, f"|{alignment}|", *body])


def latex(rows: Sequence[Row], columns: Sequence[str]) -> str:
    r"""A table in LaTeX, with the rules of the package `booktabs`.

    Args:
      rows: its rows.
      columns: their names, in order.

    Returns:
      A `tabular` environment.

    >>> print(latex([{"optimizer": "sgd", "test_score": 0.958}], ["optimizer", "test_score"]))
    \begin{tabular}{lr}
    \toprule
    optimizer & test score \\
    \midrule
    sgd & 0.958 \\
    \bottomrule
    \end{tabular}
    """
    line = lambda texts: " & ".join(map(_in_latex, texts)) + r" \\"
    alignment = "".join("l" if name in TEXT else "r" for name in columns)
    return "\n".join([
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        line(_heading(name) for name in columns),
        r"\midrule",
        *(line(_text(row.get(name), "--") for name in columns) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ])  # fmt: skip


def methods(manifest: JsonObject, summary: Sequence[Row]) -> str:
    """The protocol of a comparison as a paragraph for a paper, with its own numbers.

    Args:
      manifest: the comparison's manifest.
      summary: its row for each optimizer.

    Returns:
      A paragraph.
    """
    protocol, versions = manifest["protocol"], manifest["versions"]
    labels = list(manifest["contenders"])
    n_train, n_valid, n_test = manifest["examples"]
    n_pairs = len(labels) * (len(labels) - 1) // 2
    seeds = taken_seeds(manifest)
    n_diverged = sum(row["diverged"] for row in summary)
    pairs = f", with Holm's correction for {n_pairs} pairs" if n_pairs > 1 else ""
    sentences = [
        f"We compared {len(labels)} optimizers ({', '.join(labels)}) on {manifest['network']}, "
        f"with {n_train:,} training, {n_valid:,} validation and {n_test:,} test examples, trained "
        f"for {_counted(protocol['epochs'], 'epoch')} in mini-batches of {protocol['batch_size']}.",
        *_tuning(protocol, summary),
        f"The selected recipes were trained under {len(seeds)} other seeds ({seeds[0]} to "
        f"{seeds[-1]}); under each of them all optimizers have the same initial weights and "
        f"mini-batches. The score is the test {manifest['score']} after the last epoch.",
        *(_in_looks(manifest, pairs) if "looks" in manifest else [_fixed(pairs)]),
        *_equivalent(manifest),
        f"Of the {len(labels) * len(seeds)} runs of the report {n_diverged or 'none'} diverged"
        + ("; each counts with the worst score." if n_diverged else "."),
        f"In all, {manifest['networks']:,} networks were trained for "
        f"{manifest['network_epochs']:,} epochs, with jaxnet {versions['jaxnet-mlp']} and JAX "
        f"{versions['jax']} on {manifest['device']['kind']} ({manifest['dtype']}).",
    ]
    return " ".join(sentences) + "\n"


def _fixed(pairs: str) -> str:
    """The test and the intervals of a number of seeds that was fixed in advance."""
    return (
        f"Two optimizers are called different if a two-sided Wilcoxon signed-rank test over these "
        f"seeds rejects at {ALPHA:.0%}{pairs}. Intervals have a level of {1 - ALPHA:.0%}: those "
        "over seeds by the BCa bootstrap, those over seeds and test examples by the pigeonhole "
        "bootstrap."
    )


def _in_looks(manifest: JsonObject, pairs: str) -> list[str]:
    """The looks, their tests and their intervals."""
    looks, until = manifest["looks"], manifest["protocol"]["until"]
    sizes = listed([str(size) for size in looks["seeds"]])
    alphas = listed([f"{part:.2%}" for part in looks["alphas"]])
    return [
        f"The seeds were added in looks that were fixed before the training, at {sizes} seeds, "
        "until each pair had a verdict, or an interval of its difference over seeds narrower than "
        f"{until:g}; after {looks['taken']} seeds the report stopped.",
        f"The error of {ALPHA:.0%} is spent over the looks in proportion to the seeds that they "
        f"add ({alphas}). Two optimizers are called different if at one look the exact two-sided "
        f"signed-rank test over all seeds so far rejects at the look's part{pairs}; p-values are "
        "adjusted for it.",
        f"Intervals have at each look a level of 1 minus its part, and so over all looks one of at "
        f"least {1 - ALPHA:.0%}: those of differences over seeds by Student's t, those of scores "
        "over seeds by the BCa bootstrap, those over seeds and test examples by the pigeonhole "
        "bootstrap.",
    ]


def _equivalent(manifest: JsonObject) -> list[str]:
    """When two optimizers are called equivalent; nothing where none are."""
    margin = manifest["protocol"]["margin"]
    if not margin:
        return []
    return [
        "Two are called equivalent if the interval of their difference over seeds and test "
        f"examples lies within ±{margin:g}."
    ]


def _tuning(protocol: JsonObject, summary: Sequence[Row]) -> list[str]:
    """How the hyperparameters were found."""
    if protocol["tier"] == "defaults":
        return ["Each was used with its default hyperparameters; nothing was tuned."]
    n_seeds, n_first, n_last = (
        len(protocol["tuning_seeds"]), protocol["trials"], summary[0]["trials"]
    )  # fmt: skip
    what = "The learning rate" if protocol["tier"] == "lr" else "All usual hyperparameters"
    points = {
        "lr": "values of a logarithmic grid", "full": "Sobol points",
        "random": "independent random points",
    }[protocol["tier"]]  # fmt: skip
    by = "validation loss" if protocol.get("metric") is None else "validation score"
    extended = (
        f" The best learning rate of at least one was at an edge, so that all searches were "
        f"extended there, to {n_last} trials each." if n_last > n_first else ""
    )  # fmt: skip
    return [
        f"{what} of each optimizer had {n_first} trials, {points}, under "
        f"{_counted(n_seeds, 'seed')}.{extended} The recipe with the best mean {by} after the last "
        "epoch was selected; the test examples took no part in it.",
        *_bands(protocol, by, len(summary)),
    ]


def _bands(protocol: JsonObject, by: str, n_contenders: int) -> list[str]:
    """Which bands the tuning curves have; nothing where trials are not independent."""
    if protocol["tier"] != "random":
        return []
    return [
        f"The median of the best mean {by} of n trials has a simultaneous confidence band over all "
        "n, from exact equal-tailed bands of the distribution function of one trial (Lourie et "
        f"al., 2023), which hold for all {n_contenders} optimizers together at {1 - ALPHA:.0%} by "
        "Bonferroni's correction, given the tuning seeds and the data."
    ]


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _text(value: object, missing: str) -> str:
    """A cell: four significant digits, or a dash for what has no value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return missing
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _in_latex(text: str) -> str:
    text = text if not re.fullmatch(r"-[\d.]+(e[+-]\d+)?", text) else f"\N{MINUS SIGN}{text[1:]}"
    return "".join(ESCAPES.get(character, character) for character in text)
