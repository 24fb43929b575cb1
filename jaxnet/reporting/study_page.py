"""The page of a study: leaderboard, sensitivity, parallel coordinates, heat maps, curves."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from jaxnet.io import files
from jaxnet.io.csv import Row
from jaxnet.reporting import html_page, plots, study_plots
from jaxnet.reporting.axis_names import in_words, score_in_words
from jaxnet.reporting.html_page import Column, Table, Top, table
from jaxnet.reporting.page_pictures import Picture, of_figure
from jaxnet.reporting.style import WIDTH, line_style, remove_frame, styled
from jaxnet.sweeps.ranking import recipe_order
from jaxnet.sweeps.study import Study

FILES = {
    "network.safetensors": "the network of the best recipe's median seed",
    "network.json": "the same, in the format of the book's network2",
    "best.json": "which network that is, and its scores",
    "study.csv": "a row for each epoch of each network",
    "sweep.png": "the sensitivity as a picture",
    "study.json": "what the study is of",
}
"""What a study's folder may hold, in the order of the page."""
MOST_ROWS = 500
"""Recipes of the leaderboard: of more the best ones."""
MOST_NUMBERS = 6
"""Numbers whose sensitivity is drawn."""
N_CURVES = 5
"""Recipes whose curves are drawn."""


def write(
    path: str | Path,
    study: Study,
    *,
    data_text: str = "",
    command: str = "",
    conclusion: Sequence[str] = (),
) -> None:
    """Write the page of a study: an HTML file that opens offline.

    It shows the recipes, the best first, the score by each number that was varied and by two of
    them, and the curves of the best recipes. It names the files of a study that lie beside it.

    Args:
      path: the file; one that exists is replaced.
      study: the study.
      data_text: which data it is about, in words; by default nothing is said of it.
      command: the command that trains it again; by default there is none.
      conclusion: sentences for the top of the page; by default there are none.

    Raises:
      OSError: the file cannot be written.

    >>> import tempfile
    >>> import jaxnet as jn
    >>> recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
    >>> study = jn.sweep(
    ...     jn.Network((2, 3, 2)), jn.datasets.xor(n=20), recipe, epochs=1, log=None
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/study.html", study)
    ...     "<h2>Leaderboard</h2>" in Path(folder, "study.html").read_text()
    True
    """
    path = Path(path)
    n_networks, n_recipes = study.epochs.size, len(study.settings)
    recipes = f"{n_recipes:,} recipe" + "s" * (n_recipes > 1)
    facts = [
        ("Data", data_text),
        ("Networks", f"{n_networks:,} of {recipes}, {int(study.epochs.sum()):,} epochs "
                     f"in all, in {study.seconds:.1f} s"),
        ("Trained by", "; ".join(map(str, study.origins))),
        ("Written", html_page.date_text()),
    ]  # fmt: skip
    net = study.settings[study.best_recipe].network
    title = f"{recipes} for {'-'.join(map(str, net.sizes))}"
    top = Top("Study", title, facts, command, _warnings(study))
    content = {
        "conclusion": list(conclusion),
        "leaderboard": _leaderboard(study),
        "importance": _importance(study),
        "sensitivity": _sensitivity(study),
        "parallel": _parallel(study),
        "heat_maps": _heat_maps(study),
        "curves": _curves(study),
        "files": [(name, text) for name, text in FILES.items() if (path.parent / name).exists()],
    }
    files.write_atomic(path, html_page.render("study.html", top, **content).encode())


def _warnings(study: Study) -> tuple[str, ...]:
    """What makes the results doubtful."""
    sentences = []
    if study.interruption is not None:
        sentences.append(f"Interrupted: {study.interruption}.")
    n_diverged = int(np.count_nonzero(study.diverged_epoch))
    if n_diverged:
        sentences.append(f"{n_diverged:,} of {study.epochs.size:,} networks diverged.")
    if len(study.origins) > 1:
        texts = "; ".join(map(str, study.origins))
        sentences.append(f"Networks were trained by different versions or devices: {texts}.")
    return tuple(sentences)


def _leaderboard(study: Study) -> Table:
    """The recipes, the best first."""
    board = study.leaderboard()
    score, is_accuracy = study.ranked_by, study.ranked_by.endswith("_accuracy")

    def number(x: float) -> str:
        if not math.isfinite(x):
            return "–"
        return f"{x:.2%}" if is_accuracy else f"{x:.4g}"

    def mean_and_sd(row: Row) -> str:
        return number(row[score]) + (f" ± {number(row['sd'])}" if math.isfinite(row["sd"]) else "")

    names = study_plots.varied(study)
    texts = [name for name in names if any(isinstance(row.get(name), str) for row in board)]
    headings = {name: in_words(name.rpartition(".")[2]) for name in names}
    columns: list[Column] = [
        ("rank", lambda row: str(row["rank"])),
        ("recipe", lambda row: str(row["recipe"])),
        (f"{score_in_words(study)}, mean ± SD", mean_and_sd),
        *((headings[name], lambda row, name=name: _cell(row.get(name))) for name in names),
        ("networks", lambda row: str(row["n"])),
        ("best epoch, median", lambda row: _cell(row["best_epoch"])),
    ]
    if study.diverged_epoch.any():
        columns.insert(-1, ("diverged", lambda row: str(row["n_diverged"])))
    note = ""
    if len(board) > MOST_ROWS:
        note = f"The best {MOST_ROWS} of {len(board):,} recipes; study.csv has all of them."
    shown = table("", board[:MOST_ROWS], columns, [headings[name] for name in texts], note)
    (first, _), *rest = shown.headings
    return shown._replace(headings=[(first, False), *rest])


def _cell(value: object) -> str:
    """A part of a recipe as text."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _sensitivity(study: Study) -> list[Picture]:
    """The scores by each number that was varied."""
    names = study_plots.varied_numbers(study)[:MOST_NUMBERS]
    return [of_figure(f"scores by {in_words(name)}", plots.sweep(study, [name])) for name in names]


def _importance(study: Study) -> Picture | None:
    """What the differences between recipes are due to, where several things were varied."""
    if not 2 <= len(study_plots.varied(study)) <= MOST_NUMBERS or len(study.settings) > MOST_ROWS:
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            rows = study.importance()
        except (ValueError, ImportError):  # no network has a score; scikit-learn is missing
            return None
    if not rows[0]["share"]:
        return None
    doubts = [f"Doubtful: {doubt.message}" for doubt in caught]
    caption = " ".join([
        "How much of the variance between recipes is due to each number alone, and to pairs beyond "
        "their numbers. Lines: 95% of 100 resampled trees.", *doubts,
    ])  # fmt: skip
    return of_figure("shares of the variance", study_plots.importance(rows), caption)


def _parallel(study: Study) -> Picture | None:
    """All recipes as lines, where several things were varied."""
    if len(study_plots.varied(study)) < 2 or not np.isfinite(study_plots.mean_scores(study)).any():
        return None
    n = int(np.isfinite(study_plots.mean_scores(study)).sum())
    which = "Each line is a recipe"
    if n > study_plots.MOST_LINES:
        which = f"Each line is one of the best {study_plots.MOST_LINES} of {n:,} recipes"
    caption = f"{which}, which ends at its mean score. Red: the best one. Blue: the best tenth."
    return of_figure("parallel coordinates", study_plots.parallel(study), caption)


def _heat_maps(study: Study) -> list[Picture]:
    """The scores by two numbers."""
    if not np.isfinite(study_plots.mean_scores(study)).any():
        return []
    pictures = []
    for first, second in study_plots.pairs(study):
        name = f"{score_in_words(study)} by {in_words(first)} and {in_words(second)}"
        caption = "The mean over the seeds; the best of the recipes with these two values."
        pictures.append(of_figure(name, study_plots.heat_map(study, first, second), caption))
    return pictures


def _curves(study: Study) -> Picture | None:
    """The curves of the best recipes; None for a single epoch."""
    n_recipes = len(study.settings)
    curve = np.asarray(study.history.curves[study.ranked_by], float)
    curve = curve.reshape(n_recipes, -1, curve.shape[-1])
    if curve.shape[-1] < 2 or not np.isfinite(curve).any():
        return None
    best = recipe_order(study.score.reshape(n_recipes, -1))[:N_CURVES].tolist()
    figure = _draw_curves(study, {recipe: curve[recipe] for recipe in best})
    caption = f"The best {len(best)} recipes: the mean over the networks that have this epoch."
    if len(best) == 1:
        caption = "The mean over the networks that have this epoch."
    return of_figure(f"{score_in_words(study)} by epoch", figure, caption)


@styled
def _draw_curves(study: Study, curves: dict[int, np.ndarray]) -> Figure:
    """Draw the mean of (networks, epochs) for each recipe."""
    figure = Figure(figsize=(WIDTH * 0.8, 3.2), layout="constrained")
    axes = figure.subplots()
    for rank, (recipe, curve) in enumerate(curves.items()):
        counts = np.isfinite(curve).sum(axis=0)
        means = np.where(counts, np.nansum(curve, axis=0) / np.maximum(counts, 1), np.nan)
        axes.plot(np.arange(1, len(means) + 1), means, label=f"recipe {recipe}",
                  linewidth=2.2 if not rank else 1.4, **line_style(rank))  # fmt: skip
    axes.set(xlabel="epoch", ylabel=score_in_words(study))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if study.ranked_by.endswith("_accuracy"):
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    remove_frame(axes)
    axes.legend()
    return figure
