"""Figures of comparisons on several tasks: score profiles, and the critical-difference diagram."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxnet.comparison import AcrossTasks, statistics
from jaxnet.io.csv import Row
from jaxnet.reporting.style import BLACK, GREY, WIDTH, line_style, literal, remove_frame, styled


@styled
def score_profiles(rows: Sequence[Row]) -> Figure:
    """The fraction of runs above each normalized score, with simultaneous 95% bands.

    Args:
      rows: the rows of `AcrossTasks.score_profiles`.

    Returns:
      The figure, a line for each optimizer.
    """
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    remove_frame(axes)
    for k, label in enumerate(dict.fromkeys(row["optimizer"] for row in rows)):
        scores, fractions, low, high = (
            np.array([row[name] for row in rows if row["optimizer"] == label])
            for name in ("score", "fraction", "low", "high")
        )
        style = line_style(k)
        axes.fill_between(scores, low, high, step="post", color=style["color"], alpha=0.12,
                          linewidth=0)  # fmt: skip
        axes.step(scores, fractions, where="post", label=literal(label), linewidth=1.8, **style)
    ends = [row["score"] for row in rows]
    if min(ends) < 0 < max(ends):
        axes.axvline(0, color=GREY, linewidth=1)
    axes.set(xlabel="normalized score τ (0: the task's target, 1: the best possible)",
             ylabel="fraction of runs above τ", ylim=(-0.02, 1.02))  # fmt: skip
    axes.legend(loc="lower left")
    return figure


@styled
def critical_difference(result: AcrossTasks) -> Figure:
    """Mean ranks over tasks; bars join optimizers of which no two differ by the test over tasks.

    Args:
      result: the tables of several tasks.

    Returns:
      The figure: the best rank on the left.
    """
    labels = [row["optimizer"] for row in result.task_ranks]
    ranks = np.array([row["mean_rank"] for row in result.task_ranks])
    n = len(labels)
    differ = np.zeros((n, n), bool)
    for row in result.task_tests:
        i, j = labels.index(row["a"]), labels.index(row["b"])
        differ[i, j] = differ[j, i] = row["verdict"] != "indistinguishable"
    bars = statistics.groups(ranks, differ)
    order, n_left = np.argsort(ranks, kind="stable"), (n + 1) // 2
    depth = 0.5 + 0.35 * len(bars)  # of the first label below the axis
    height = depth + 0.7 * n_left
    figure = Figure(figsize=(WIDTH, 0.7 + 0.33 * height), layout="constrained")
    axes = figure.subplots()
    reach = 0.06 * (n - 1)  # of the lines beyond the axis, towards the labels
    for place, k in enumerate(order):
        is_left = place < n_left
        y = -depth - 0.7 * (place if is_left else n - 1 - place)
        end = 1 - reach if is_left else n + reach
        rank = float(ranks[k])
        axes.plot([rank, rank, end], [0, y, y], color=BLACK, linewidth=0.9)
        text = f"{literal(labels[k])}  {rank:.2f}"
        axes.text(end, y, f"{text} " if is_left else f" {text}", va="center",
                  ha="right" if is_left else "left")  # fmt: skip
    for place, bar in enumerate(bars):
        y = -0.4 - 0.35 * place
        low, high = float(ranks[list(bar)].min()), float(ranks[list(bar)].max())
        axes.plot([low - reach / 4, high + reach / 4], [y, y], color=line_style(1)["color"],
                  linewidth=4, solid_capstyle="butt")  # fmt: skip
    margin = 0.62 * (n - 1)
    axes.set(xlim=(1 - margin, n + margin), ylim=(-height, 0.05), yticks=[],
             xticks=range(1, n + 1), xlabel="mean rank over the tasks")  # fmt: skip
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.spines["top"].set_bounds(1, n)
    return figure
