"""Tables of results that fit into the terminal: columns are left out before a number is wrapped."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from jaxnet.cli import console
from jaxnet.cli.streams import ANY_WIDTH
from jaxnet.comparison import Comparison, conclusions, looks
from jaxnet.core.gradient_check import Check
from jaxnet.core.network import Network
from jaxnet.sweeps.ranking import recipe_order
from jaxnet.sweeps.study import Study


class Column(NamedTuple):
    """A column of a table that has to fit into the terminal."""

    heading: str
    """Its heading, in one or more lines."""
    cells: list[str]
    """A text for each row."""
    rank: int = 0
    """0 for a column that is always shown; others are left out, the highest first, for width."""
    justify: Literal["left", "right"] = "right"
    """The side on which the texts are aligned."""


def fitted(out: Console, columns: Sequence[Column], title: str | None = None) -> Table:
    """A table of the columns that fit into the terminal, without cut words or wrapped numbers.

    Args:
      out: where it is printed.
      columns: the columns; those that are too many are left out by their ranks.
      title: what the table shows; `None` for none.
    """
    shown = list(columns)
    while True:
        table = Table(box=box.SIMPLE, title=title, title_justify="left")
        for column in shown:
            table.add_column(column.heading, justify=column.justify, no_wrap=True)
        for cells in zip(*(column.cells for column in shown), strict=True):
            table.add_row(*cells)
        width = Measurement.get(out, out.options.update(width=ANY_WIDTH), table).maximum
        rank = max(column.rank for column in shown)
        if width <= out.width or rank == 0:
            return table
        shown = [column for column in shown if column.rank < rank]


def recipes_table(out: Console, study: Study, names: Sequence[str], n: int) -> Table:
    """The best n recipes of a study by their mean score over seeds, with the named numbers."""
    n_recipes = len(study.settings)
    order = recipe_order(study.score)[:n].tolist()
    curve = study.ranked_by
    split = "training" if curve.startswith("training") else "validation"
    title = f"The best {len(order)} of {n_recipes} recipes, by {split} over the seeds"
    sign = 1 if study.higher_is_better else -1
    scores = [finite_scores(study, recipe) for recipe in order]
    # Of a score that is minus a cost, the larger one is the lower end.
    ends = [
        sorted((sign * score.min(), sign * score.max())) if score.size else [] for score in scores
    ]
    text = number_of(curve)
    is_accuracy = curve.endswith("_accuracy")
    unit = " (%)" if is_accuracy else ""
    bare = (lambda number: text(number).rstrip("%")) if is_accuracy else text
    diverged = [np.count_nonzero(study.diverged_epoch[recipe]) for recipe in order]
    epochs = [int(study.epochs[recipe].max()) for recipe in order]
    columns = [
        Column("recipe", [str(recipe) for recipe in order]),
        *(
            Column(
                name.replace("_", "\n"),
                [f"{study.settings[recipe].number(name):.4g}" for recipe in order],
                rank=2 + place if place else 0,
            )
            for place, name in enumerate(names)
        ),
        Column(
            f"{'mean ± SD' if len(study.seeds) > 1 else 'score'}{unit}",
            [mean_and_sd(sign * score, bare) for score in scores],
        ),
        Column(f"range{unit}", ["–".join(map(bare, pair)) or "–" for pair in ends], rank=50),
        Column("diverged", list(map(str, diverged)), rank=0 if any(diverged) else 100),
        Column("epochs", list(map(str, epochs)), rank=40 if len({*epochs}) > 1 else 99),
    ]
    return fitted(out, columns, title if len(order) < n_recipes else None)


def finite_scores(study: Study, recipe: int) -> np.ndarray:
    """The scores of a recipe's networks, without those that diverged.

    Args:
      study: the study.
      recipe: the place of the recipe.
    """
    scores = study.score[recipe]
    return scores[np.isfinite(scores)].astype(float)


def number_of(curve: str) -> Callable[[float], str]:
    """How the numbers of a curve are written: accuracies in percent."""
    return console.percent if curve.endswith("_accuracy") else "{:.4g}".format


def mean_and_sd(scores: np.ndarray, text: Callable[[float], str]) -> str:
    """The mean over the seeds of a recipe, and the standard deviation where there are several.

    Args:
      scores: the finite scores, of any float type.
      text: how a score is written.
    """
    scores = scores.astype(float)  # in float32 the squares of large costs overflow
    if not scores.size:
        return "–"
    if scores.size == 1:
        return text(scores.mean())
    return f"{text(scores.mean())} ± {text(scores.std(ddof=1))}"


def report_table(out: Console, comparison: Comparison) -> Table:
    """The test scores of each optimizer of a comparison, the best first."""
    accuracy = comparison.manifest["score"] == "accuracy"
    score = conclusions.score_text(comparison.manifest["score"])
    seeds = len(looks.taken_seeds(comparison.manifest))
    unit = " (%)" if accuracy else ""
    title = f"Test {comparison.manifest['score']}{unit} over {seeds} fresh seeds"
    target = max((row["target"] for row in comparison.time_to_target), default=None)
    reached = {
        row["optimizer"]: row for row in comparison.time_to_target if row["target"] == target
    }
    rows = sorted(comparison.summary, key=lambda row: -row["test_score"])
    diverged = [row["diverged"] for row in rows]
    columns = [
        Column("optimizer", [row["optimizer"] for row in rows], justify="left"),
        Column(
            "learning\nrate",
            [
                f"{row.get('learning_rate', np.nan):.3g}{' EDGE' if row['edge'] else ''}"
                for row in rows
            ],
            rank=2,
        ),
        Column(
            "mean ± SD",
            [f"{score(row['test_score'])} ± {score(row['test_score_sd'])}" for row in rows],
        ),
        Column(
            "95% interval",
            [f"{score(row['test_score_low'])}–{score(row['test_score_high'])}" for row in rows],
        ),
        Column("diverged", list(map(str, diverged)), rank=1 if any(diverged) else 4),
    ]
    if target is not None:
        medians = [reached[row["optimizer"]]["median_epochs"] for row in rows]
        cells = [f"{median:g}" if np.isfinite(median) else "–" for median in medians]
        columns.append(Column(f"valid.\nto {target:g}", cells, rank=3))
    return fitted(out, columns, title)


def pairs_table(out: Console, comparison: Comparison) -> Table:
    """The difference of each pair of a comparison, what it was tested by, and the verdict."""
    pairs, score = comparison.pairwise, conclusions.score_text(comparison.manifest["score"])
    interval = lambda row, ends: " to ".join(score(row[end]) for end in ends)
    points = " (points)" if comparison.manifest["score"] == "accuracy" else ""
    n_looks = len(comparison.manifest.get("looks", {}).get("seeds", ()))
    correction = conclusions.correction(len(pairs), n_looks).replace(" ", "\n", 1)
    corrected = f", {correction}" if correction else ""
    columns = [
        Column("pair", [f"{row['a']} − {row['b']}" for row in pairs], justify="left"),
        Column("difference", [score(row["difference"]) for row in pairs]),
        Column(
            "95% interval\nover seeds", [interval(row, ("low", "high")) for row in pairs], rank=1
        ),
        Column(
            "over seeds\nand examples",
            [interval(row, ("low_examples", "high_examples")) for row in pairs],
            rank=2,
        ),
        Column(
            f"p{corrected}",
            [f"{row['p_holm']:.2g}" if row["p_holm"] >= 1e-4 else "< 0.0001" for row in pairs],
        ),
        Column("the first is", [row["verdict"] for row in pairs], justify="left"),
    ]
    title = f"Differences of the test {comparison.manifest['score']}{points}"
    return fitted(out, columns, title)


def checks_table(out: Console, net: Network, checks: Sequence[Check]) -> Table:
    """The errors of a gradient check, a row for each layer's weights and biases."""
    columns = [
        Column("gradient of", [check.name for check in checks], justify="left"),
        Column("norm", [f"{check.norm:.3g}" for check in checks], rank=1),
        Column("from\nautodiff", [f"{check.autodiff_error:.1e}" for check in checks]),
        Column("from finite\ndifferences", [f"{check.numerical_error:.1e}" for check in checks]),
    ]
    return fitted(out, columns, f"Backpropagation in {console.architecture(net)}")
