"""Pictures of a study's settings together: parallel coordinates, and scores by two numbers."""

import itertools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from jaxnet.io.csv import Row
from jaxnet.reporting.axis_names import in_words, score_in_words
from jaxnet.reporting.style import (
    BLUE,
    LIGHT_BLUE,
    MOST_DOTS,
    RED,
    SEQUENTIAL,
    WIDTH,
    ink_on,
    remove_frame,
    styled,
)
from jaxnet.sweeps.importance import REST
from jaxnet.sweeps.ranking import recipe_order
from jaxnet.sweeps.study import Study

MOST_LINES = 500
"""Recipes that are drawn as lines: of more the best ones."""
MOST_AXES = 7
"""Axes of parallel coordinates besides the score's."""
MOST_VALUES = 24
"""Different values of a number up to which scores are drawn in cells."""
MOST_RANKS = 8
"""Different values of a number up to which lines stand at their ranks, and each has its text."""
MOST_EFFECTS = 8
"""Effects whose shares are drawn."""
MOST_TEXTS = 64
"""Cells up to which each has its score as a text."""


def varied(study: Study) -> list[str]:
    """The names of all that differs between the settings of a study, numbers or not.

    Args:
      study: the study.

    Returns:
      Names of `Setting.columns`.
    """
    tables = [setting.columns() for setting in study.settings]
    names = dict.fromkeys(name for table in tables for name in table)
    return [name for name in names if len({table.get(name) for table in tables}) > 1]


def varied_numbers(study: Study) -> list[str]:
    """The names of the numbers in which the settings of a study differ.

    Args:
      study: the study.

    Returns:
      The last parts of their names, such as "learning_rate"; that one alone if nothing differs.
    """
    tables = [setting.columns() for setting in study.settings]
    are_numbers = {
        name for name in tables[0] if all(not isinstance(t.get(name, ""), str) for t in tables)
    }
    names = [name.rpartition(".")[2] for name in varied(study) if name in are_numbers]
    return names or ["learning_rate"]


def mean_scores(study: Study) -> Float[np.ndarray, " recipes"]:
    """The mean of what ranks the networks over each setting's; NaN where one diverged.

    Args:
      study: the study.
    """
    means = study.score.reshape(len(study.settings), -1).mean(axis=1).astype(float)
    sign = 1 if study.higher_is_better else -1
    return np.where(np.isfinite(means), sign * means, np.nan)


@styled
def parallel(study: Study) -> Figure:
    """Draw each setting as a line over what was varied, to its mean score.

    The best setting is red, the best tenth blue. Settings with a diverged network are left out.

    Args:
      study: the study.

    Returns:
      The figure.

    >>> import jaxnet as jn
    >>> recipe = jn.grid(jn.Recipe(jn.sgd()), learning_rate=[0.1, 1.0], l2=[0.0, 1.0])
    >>> study = jn.sweep(
    ...     jn.Network((2, 3, 2)), jn.datasets.xor(n=20), recipe, epochs=1, log=None
    ... )
    >>> len(parallel(study).axes)
    1
    """
    names, means = varied(study)[:MOST_AXES], mean_scores(study)
    tables = [setting.columns() for setting in study.settings]
    order = [k for k in recipe_order(study.score.reshape(len(means), -1)).tolist()
             if np.isfinite(means[k])][:MOST_LINES]  # fmt: skip
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    columns = [_Scale([table.get(name) for table in tables], _short_number) for name in names]
    columns.append(_Scale([means[k] if k in order else None for k in range(len(means))],
                          _score_text(study), is_score=True))  # fmt: skip
    heights = np.array([column.heights for column in columns])
    n_top = max(1, len(order) // 10)
    for rank in reversed(range(len(order))):
        color, width, alpha = LIGHT_BLUE, 0.8, 0.35
        if rank < n_top:
            color, width, alpha = BLUE, 1.2, 0.8
        if not rank:
            color, width, alpha = RED, 2.4, 1.0
        axes.plot(heights[:, order[rank]], color=color, linewidth=width, alpha=alpha)
    for place, column in enumerate(columns):
        axes.axvline(place, color="black", linewidth=0.8)
        for height, text in column.ticks:
            paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6}
            axes.annotate(text, (place, height), (4, 0), textcoords="offset points", fontsize=7.5,
                          va="center", bbox=paper)  # fmt: skip
    texts = [in_words(name.rpartition(".")[2]).replace(" ", "\n", 1) for name in names]
    axes.set(xticks=range(len(columns)), yticks=[], ylim=(-0.05, 1.05),
             xticklabels=[*texts, score_in_words(study).replace(" ", "\n", 1)],
             xlim=(-0.1, len(columns) - 0.7))  # fmt: skip
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


@styled
def importance(rows: Sequence[Row]) -> Figure:
    """Draw the shares of effects as bars, the largest first, with the range of their draws.

    Args:
      rows: the rows of `Study.importance`; of more than `MOST_EFFECTS` the first ones.

    Returns:
      The figure.

    >>> row = {"effect": "learning_rate", "share": 0.8, "low": 0.7, "high": 0.9}
    >>> len(importance([row]).axes)
    1
    """
    rows = rows[:MOST_EFFECTS]
    names = [re.sub(r"[\w.]+", _effect_in_words, row["effect"]) if row["effect"] != REST
             else row["effect"] for row in rows]  # fmt: skip
    shares, low, high = (np.array([row[name] for row in rows]) for name in ("share", "low", "high"))
    figure = Figure(figsize=(WIDTH * 0.56, 0.7 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, shares, color=BLUE, height=0.6)
    axes.errorbar(shares, names, xerr=[shares - low, high - shares], fmt="none", ecolor="black",
                  elinewidth=1.2, capsize=2.5)  # fmt: skip
    for place, (share, end) in enumerate(zip(shares, high, strict=True)):
        axes.annotate(f"{share:.0%}" if share >= 0.005 else "< 0.5%", (end, place), (5, 0),
                      textcoords="offset points", va="center", fontsize=8)  # fmt: skip
    axes.set(xlabel="share of the differences between recipes", xlim=(0, 1.15))
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1))
    axes.tick_params(axis="y", length=0)
    remove_frame(axes)
    return figure


def _effect_in_words(name: re.Match[str]) -> str:
    return in_words(name[0].rpartition(".")[2])


class _Scale:
    """Where the values of a column stand on its axis, from 0 to 1, and a few of them as texts."""

    def __init__(
        self, values: Sequence[Any], text: Callable[[float], str], is_score: bool = False
    ) -> None:
        known = [value for value in values if value is not None]
        if any(isinstance(value, str) for value in known):
            names = sorted({str(value) for value in values})
            places = {name: (k + 0.5) / len(names) for k, name in enumerate(names)}
            self.heights = [places[str(value)] for value in values]
            self.ticks = [(height, name[:18]) for name, height in places.items()]
            return
        numbers = np.array([math.nan if value is None else value for value in values], float)
        finite = np.unique(numbers[np.isfinite(numbers)])
        # Values of a grid are evenly spaced, whatever they are.
        if len(finite) < 2 or (len(finite) <= MOST_RANKS and not is_score):
            n = max(1, len(finite) - 1)
            place_of = {number: k / n for k, number in enumerate(finite.tolist())}
            self.heights = [place_of.get(number, math.nan) for number in numbers.tolist()]
            self.ticks = [(place, text(number)) for number, place in place_of.items()]
            return
        is_log = bool(finite[0] > 0 and finite[-1] >= 10 * finite[0]) and not is_score
        scale = np.log if is_log else np.asarray
        low, high = (float(scale(end)) for end in (finite[0], finite[-1]))
        self.heights = ((scale(numbers) - low) / (high - low)).tolist()
        self.ticks = [
            ((float(scale(number)) - low) / (high - low), text(number))
            for number in _spread(finite, is_log).tolist()
        ]


def _spread(numbers: Float[np.ndarray, " n"], is_log: bool) -> Float[np.ndarray, " 5"]:
    """Five numbers from the smallest to the largest."""
    space = np.geomspace if is_log else np.linspace
    return space(numbers[0], numbers[-1], 5)


def pairs(study: Study) -> list[tuple[str, str]]:
    """The pairs of varied numbers by which scores are drawn: those of the first three numbers.

    Args:
      study: the study.
    """
    names = [name for name in varied_numbers(study) if name in _names_of_all(study)]
    return list(itertools.combinations(names[:3], 2))


def _names_of_all(study: Study) -> set[str]:
    """The numbers that differ between settings, by the last parts of their names."""
    return {name.rpartition(".")[2] for name in varied(study)}


@styled
def heat_map(study: Study, first: str, second: str) -> Figure:
    """Draw the best mean score for each two values of two numbers, or of each setting as a dot.

    Args:
      study: the study.
      first: the number on the horizontal axis: a name that `Setting.number` knows.
      second: the number on the vertical axis.

    Returns:
      The figure: with cells where both numbers have few values, and else with dots.

    >>> import jaxnet as jn
    >>> recipe = jn.grid(jn.Recipe(jn.sgd()), learning_rate=[0.1, 1.0], l2=[0.0, 1.0])
    >>> study = jn.sweep(
    ...     jn.Network((2, 3, 2)), jn.datasets.xor(n=20), recipe, epochs=1, log=None
    ... )
    >>> len(heat_map(study, "learning_rate", "l2").axes)  # the second is the scale
    2
    """
    x, y = (np.array([setting.number(name) for setting in study.settings])
            for name in (first, second))  # fmt: skip
    means = mean_scores(study)
    figure = Figure(figsize=(WIDTH * 0.56, 3.3), layout="constrained")
    axes = figure.subplots()
    sign = 1 if study.higher_is_better else -1
    cmap = SEQUENTIAL if study.higher_is_better else f"{SEQUENTIAL}_r"
    if max(len(np.unique(x)), len(np.unique(y))) <= MOST_VALUES:
        colours = _draw_cells(axes, (x, y), sign * means, sign, cmap, _score_text(study))
    else:
        colours = axes.scatter(x, y, c=means, cmap=cmap, s=26, rasterized=len(x) > MOST_DOTS)
        axes.plot(x[study.best_recipe], y[study.best_recipe], "o", color=RED, markersize=11,
                  fillstyle="none", markeredgewidth=2)  # fmt: skip
        for values, set_scale in ((x, axes.set_xscale), (y, axes.set_yscale)):
            if values.min() > 0 and values.max() >= 10 * values.min():
                set_scale("log")
        remove_frame(axes)
    axes.set(xlabel=in_words(first), ylabel=in_words(second))
    bar = figure.colorbar(colours, label=score_in_words(study))
    if study.ranked_by.endswith("_accuracy"):
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def _draw_cells(
    axes: Axes,
    points: tuple[np.ndarray, np.ndarray],
    scores: Float[np.ndarray, " recipes"],
    sign: int,
    cmap: str,
    text: Callable[[float], str],
) -> Any:
    """Draw the best score of each two values as a cell, with its number where there is room."""
    (xs, columns), (ys, rows) = (np.unique(values, return_inverse=True) for values in points)
    table = np.full((len(ys), len(xs)), np.nan)
    for row, column, score in zip(rows, columns, scores, strict=True):
        table[row, column] = np.fmax(table[row, column], score)
    edges = np.arange(len(xs) + 1) - 0.5, np.arange(len(ys) + 1) - 0.5
    finite = table[np.isfinite(table)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    shown = sign * table
    ends = sorted((sign * low, sign * high))
    colours = axes.pcolormesh(*edges, shown, cmap=cmap, vmin=ends[0], vmax=ends[1],
                              edgecolor="face", linewidth=0.3)  # fmt: skip
    if table.size <= MOST_TEXTS:
        shade = colormaps[cmap]
        for row, column in np.ndindex(*table.shape):
            number = float(shown[row, column])
            if np.isfinite(number):
                share = (number - ends[0]) / ((ends[1] - ends[0]) or 1.0)
                axes.text(column, row, text(number).rstrip("%"), ha="center", va="center",
                          fontsize=7 if len(xs) > 5 else 8,
                          color=ink_on(shade(float(share))))  # fmt: skip
    best = np.unravel_index(np.nanargmax(table), table.shape) if finite.size else None
    if best is not None:
        axes.add_patch(_frame(int(best[1]), int(best[0])))
    axes.set(xticks=range(len(xs)), xticklabels=[_short_number(x) for x in xs],
             yticks=range(len(ys)), yticklabels=[_short_number(y) for y in ys])  # fmt: skip
    if len(xs) > 5:
        axes.tick_params(axis="x", rotation=45)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return colours


def _frame(column: int, row: int) -> Rectangle:
    """The frame around the best cell."""
    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=RED, linewidth=2)


def _score_text(study: Study) -> Callable[[float], str]:
    """How a score is written in a picture."""
    return "{:.1%}".format if study.ranked_by.endswith("_accuracy") else "{:.3g}".format


def _short_number(number: float) -> str:
    """A number of a recipe with three digits."""
    return f"{number:.3g}"
