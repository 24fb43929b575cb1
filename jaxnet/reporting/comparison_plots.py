"""Figures of a comparison, drawn from its tables and its manifest alone."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from jaxnet.comparison import Comparison, looks
from jaxnet.comparison.result_tables import ALPHA, reaches
from jaxnet.io.csv import Row
from jaxnet.reporting.score_axis import ScoreAxis
from jaxnet.reporting.style import (
    DIVERGING,
    RED,
    SEQUENTIAL,
    WIDTH,
    ink_on,
    line_style,
    literal,
    remove_frame,
    styled,
)

Drawing = tuple[Callable[[Comparison], Figure], str]
"""A function that draws a figure, and the figure's caption."""


def draw_figures(comparison: Comparison) -> dict[str, tuple[Figure, str]]:
    """All figures of a comparison by name, each with its caption."""
    drawings = figures_of(comparison)
    return {name: (draw(comparison), caption) for name, (draw, caption) in drawings.items()}


def figures_of(comparison: Comparison) -> dict[str, Drawing]:
    """How to draw each figure of a comparison, by name.

    Tier "lr" has figures of the search, tier "full" has one more than "lr", tier "random" has two
    more, tier "defaults" has none.
    """
    score_axis = ScoreAxis(comparison)
    shown, tier = score_axis.quantity, comparison.manifest["protocol"]["tier"]
    is_random = tier == "random"
    figures: dict[str, Drawing] = {
        "sensitivity": (sensitivity, f"Validation {shown} by learning rate: the mean over the "
                        "tuning seeds, and the range over them. Grey: edges of the searched range; "
                        "an optimum there may lie outside. ○: chosen. ×: some seeds diverged."),
        "curves": (curves, f"Validation {shown} by training step with the chosen hyperparameters: "
                   "mean and middle 80% of the report's seeds. "
                   + score_axis.of_diverged_text()),
        "strips": (strips, "Test scores: every seed of the report, the mean, and its 95% "
                   "intervals over seeds (thick) and over seeds and test examples (thin)."),
        "differences": (differences, "Mean difference of the test scores, row minus column, paired "
                        "by seed. Bold: different by the Wilcoxon test with Holm's correction."),
        "expected_performance": (
            expected_performance, f"Test {shown} that a study with one seed reports, by its number "
            "of trials: mean and middle 90% of simulated studies, which is no confidence band."
            + ("" if is_random else " There is one only for independent random trials (tier "
               "random): points of a grid, Sobol points and extensions are not independent.")),
        "time_to_target": (time_to_target, "Fraction of the report's seeds that have reached the "
                           "target by each epoch."),
    }  # fmt: skip
    if is_random:
        level = f"{1 - ALPHA:.0%}"
        figures["tuning_bands"] = (
            tuning_bands,
            f"Median of {_best_quantity(comparison)} of n independent random trials, "
            f"with joint {level} confidence bands for all n and all optimizers, given the tuning "
            "seeds and the data. Where a band ends, so many trials cannot bound how good the best "
            "is; dotted: how bad it is. The test score of the selected trial has no such band.",
        )
    if is_random or tier == "full":
        caption = (
            f"Validation {shown} at each searched point, mean over the tuning seeds. ○: chosen."
        )
        figures["search"] = (search, caption)
    if tier == "defaults":
        del figures["sensitivity"], figures["expected_performance"]
    return figures


class _Trials(NamedTuple):
    """The trials of one optimizer's search."""

    rows: list[Row]
    """The first run of each trial, which holds the trial's hyperparameters."""
    scores: np.ndarray
    """Validation scores, shape (trials, seeds)."""
    diverged: np.ndarray
    """Whether any seed of a trial diverged, shape (trials,)."""


def _trials(comparison: Comparison, label: str) -> _Trials:
    """The trials of an optimizer's search, in the order of their numbers."""
    trials: dict[int, list[Row]] = {}
    for row in _rows_of(comparison.runs, label):
        if row["phase"] == "tuning":
            trials.setdefault(row["trial"], []).append(row)
    runs = [trials[trial] for trial in sorted(trials)]
    scores = np.array([[row["valid_score"] for row in rows] for rows in runs])
    diverged = np.array([any(row["diverged_epoch"] for row in rows) for rows in runs])
    return _Trials(rows=[rows[0] for rows in runs], scores=scores, diverged=diverged)


@styled
def sensitivity(comparison: Comparison) -> Figure:
    """Validation error by learning rate, a panel for each optimizer."""
    score_axis = ScoreAxis(comparison)
    labels = _labels(comparison)
    figure, panels = _panels(len(labels))
    for k, (axes, label) in enumerate(zip(panels, labels, strict=True)):
        trials, search = _trials(comparison, label), comparison.manifest["searches"][label]
        rates = np.array([row["learning_rate"] for row in trials.rows])
        errors, colour = score_axis.shown(trials.scores), line_style(k)["color"]
        mean = errors.mean(axis=1)
        if search["tier"] == "lr":
            axes.fill_between(rates, errors.min(axis=1), errors.max(axis=1), color=colour,
                              alpha=0.2)  # fmt: skip
            axes.plot(rates, mean, "-", color=colour, marker="o", markersize=3)
        else:
            axes.plot(rates, mean, "o", color=colour, markersize=3)
        (low, high), place = search["learning_rate"], 10 ** search["decades_between"]
        axes.axvspan(low, low * place, color="0.85", zorder=0)
        axes.axvspan(high / place, high, color="0.85", zorder=0)
        n_diverged = trials.diverged.sum()
        height = score_axis.worst_height(errors)
        axes.plot(rates[trials.diverged], np.full(n_diverged, height), "x", color="black",
                  markersize=6)  # fmt: skip
        summary = _summary(comparison, label)
        chosen = int(np.argmin(np.abs(np.log(rates / summary["learning_rate"]))))
        axes.plot(rates[chosen], mean[chosen], "o", color=colour, markersize=10, fillstyle="none",
                  markeredgewidth=1.6)  # fmt: skip
        edge = f"  {summary['edge']}" if summary["edge"] else ""
        axes.set(title=f"{literal(label)}: η = {summary['learning_rate']:.3g}{edge}", xscale="log")
        axes.set_xlabel("learning rate η")
    score_axis.set_axis(panels, f"validation {score_axis.quantity}")
    return figure


@styled
def curves(comparison: Comparison) -> Figure:
    """Validation error by training step, under the report's seeds."""
    score_axis = ScoreAxis(comparison)
    figure, axes = _single()
    batch_size = comparison.manifest["protocol"]["batch_size"]
    steps = -(-comparison.manifest["examples"][0] // batch_size)
    for k, label in enumerate(_labels(comparison)):
        error = score_axis.shown(_score_curves(comparison, label, score_axis.of_diverged))
        at = steps * np.arange(1, error.shape[1] + 1)
        low, high = np.quantile(error, [0.1, 0.9], axis=0)
        axes.fill_between(at, low, high, color=line_style(k)["color"], alpha=0.15, linewidth=0)
        axes.plot(at, error.mean(axis=0), label=_legend(comparison, label), linewidth=1.8,
                  **line_style(k))  # fmt: skip
    axes.set(xlabel=f"step (mini-batches of {batch_size})", xlim=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.legend()
    score_axis.set_axis([axes], f"validation {score_axis.quantity}")
    return figure


@styled
def strips(comparison: Comparison) -> Figure:
    """Test scores of every seed, with the mean and its intervals."""
    score_axis = ScoreAxis(comparison)
    labels = _labels(comparison)
    figure = Figure(figsize=(WIDTH, 1.1 + 0.62 * len(labels)), layout="constrained")
    axes = figure.subplots()
    random = np.random.default_rng(0)
    for k, row in enumerate(comparison.summary):
        runs = _rows_of(comparison.runs, row["optimizer"])
        scores = [run["test_score"] for run in runs if run["phase"] == "report"]
        colour = line_style(k)["color"]
        axes.plot(scores, k + 0.22 + random.uniform(-0.08, 0.08, len(scores)), "o", color=colour,
                  alpha=0.4, markersize=4, markeredgewidth=0)  # fmt: skip
        axes.plot([row["test_score_low_examples"], row["test_score_high_examples"]], [k, k],
                  color=colour, linewidth=1)  # fmt: skip
        axes.plot([row["test_score_low"], row["test_score_high"]], [k, k], color=colour,
                  linewidth=5, solid_capstyle="butt")  # fmt: skip
        axes.plot(row["test_score"], k, "o", color="white", markeredgecolor=colour, markersize=7)
    names = [_legend(comparison, label) for label in labels]
    axes.set(yticks=range(len(labels)), yticklabels=names, ylim=(len(labels) - 0.45, -0.4),
             xlabel=f"test {comparison.manifest['score']}")  # fmt: skip
    axes.xaxis.set_major_formatter(score_axis.tick_text)
    remove_frame(axes)
    return figure


@styled
def differences(comparison: Comparison) -> Figure:
    """The matrix of mean paired differences of the test scores, row minus column."""
    score_axis = ScoreAxis(comparison)
    labels = _labels(comparison)
    n, size = len(labels), 1.15 * len(labels)
    table, bold = np.full((n, n), np.nan), np.zeros((n, n), bool)
    for row in comparison.pairwise:
        i, j = labels.index(row["a"]), labels.index(row["b"])
        table[i, j], table[j, i] = row["difference"], -row["difference"]
        bold[i, j] = bold[j, i] = not row["verdict"].startswith("indistinguishable")
    figure = Figure(figsize=(2.2 + size, 0.9 + 0.6 * size), layout="constrained")
    axes = figure.subplots()
    scale = 100 if score_axis.is_accuracy else 1
    # The colours reach as far as the intervals, so that they are strong only for narrow ones.
    ends = [abs(row[end]) for row in comparison.pairwise for end in ("low", "high")]
    finite = np.abs(table[np.isfinite(table)])
    largest = max(finite.max(initial=0.0), *np.nan_to_num(ends), 1e-9)
    image = axes.imshow(scale * table, cmap=DIVERGING, vmin=-scale * largest, vmax=scale * largest,
                        aspect="auto")  # fmt: skip
    grounds = np.asarray(image.cmap(image.norm(scale * np.where(np.isfinite(table), table, 0))))
    for i, j in np.ndindex(n, n):
        if i != j:
            text = f"{scale * table[i, j] + 0.0:+.2f}".replace("-", "−").replace("inf", "∞")
            text = "–" if np.isnan(table[i, j]) else text
            text = "0.00" if text in ("+0.00", "−0.00") else text
            axes.text(j, i, text, ha="center", va="center", color=ink_on(grounds[i, j]),
                      weight="bold" if bold[i, j] else "normal")  # fmt: skip
    names = [_legend(comparison, label) for label in labels]
    axes.set(xticks=range(n), xticklabels=names, yticks=range(n), yticklabels=names)
    if n > 4:
        axes.tick_params(axis="x", rotation=40)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    unit = "points" if score_axis.is_accuracy else comparison.manifest["score"]
    figure.colorbar(image, label=f"row − column, {unit}", shrink=0.9)
    return figure


@styled
def expected_performance(comparison: Comparison) -> Figure:
    """The test error that a study with one seed reports, by its number of trials."""
    score_axis = ScoreAxis(comparison)
    figure, axes = _single()
    for k, label in enumerate(_labels(comparison)):
        rows = _rows_of(comparison.expected_performance, label)
        trials, expected, low, high = (
            np.array([row[name] for row in rows]) for name in ("trials", "expected", "low", "high")
        )
        colour = line_style(k)["color"]
        low, high = (score_axis.shown(ends) for ends in (low, high))
        axes.fill_between(trials, low, high, color=colour, alpha=0.1, linewidth=0)
        axes.plot(trials, score_axis.shown(expected), label=_legend(comparison, label),
                  linewidth=1.8, **line_style(k))  # fmt: skip
    axes.set(xlabel="trials of a study with one seed")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    score_axis.set_axis([axes], f"test {score_axis.quantity} of the selected trial")
    return figure


def _best_quantity(comparison: Comparison) -> str:
    """What the tuning curves of random trials show: the best of what selects trials."""
    if _loss_selects(comparison):
        return "the least validation loss"
    return f"the best validation {comparison.manifest['score']}"


def _loss_selects(comparison: Comparison) -> bool:
    """Whether the validation loss selects trials, and not a metric."""
    return comparison.manifest["protocol"].get("metric") is None


@styled
def tuning_bands(comparison: Comparison) -> Figure:
    """The median of the best of n random trials, with simultaneous bands."""
    quantity = _best_quantity(comparison)
    figure, axes = _single()
    for k, label in enumerate(_labels(comparison)):
        rows = _rows_of(comparison.tuning_bands, label)
        trials, *heights = (
            np.array([row[name] for row in rows], float)
            for name in ("trials", "median", "low", "high")
        )
        median, low, high = (np.where(np.isfinite(h), h, np.nan) for h in heights)
        colour = line_style(k)["color"]
        axes.fill_between(trials, low, high, color=colour, alpha=0.15, linewidth=0)
        worst = high if _loss_selects(comparison) else low
        axes.plot(trials, worst, ":", color=colour, linewidth=1)
        axes.plot(trials, median, label=_legend(comparison, label), linewidth=1.8, **line_style(k))
    if _loss_selects(comparison) and axes.dataLim.y0 > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xscale("log", base=2)
    axes.set(xlabel="independent random trials", ylabel=f"median of {quantity}")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.legend()
    return figure


@styled
def time_to_target(comparison: Comparison) -> Figure:
    """The fraction of seeds that have reached each target, by epoch."""
    score_axis = ScoreAxis(comparison)
    targets = sorted({row["target"] for row in comparison.time_to_target})
    figure, panels = _panels(max(1, len(targets)))
    for axes, target in zip(panels, targets):
        for k, label in enumerate(_labels(comparison)):
            at_target = reaches(_score_curves(comparison, label, score_axis.of_diverged), target)
            reached = np.maximum.accumulate(at_target, axis=1)
            fraction = np.append(0.0, reached.mean(axis=0))
            axes.step(np.arange(len(fraction)), fraction, where="post", linewidth=1.8,
                      label=_legend(comparison, label), **line_style(k))  # fmt: skip
        target_text = f"{100 * target:g}%" if score_axis.is_accuracy else f"{target:g}"
        axes.set(title=f"validation {comparison.manifest['score']} {target_text}", xlabel="epoch",
                 ylim=(-0.02, 1.02), xlim=0)  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylabel("fraction of the seeds")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))  # fmt: skip
    return figure


@styled
def search(comparison: Comparison) -> Figure:
    """Validation error by learning rate and a second hyperparameter, a panel for each optimizer."""
    score_axis = ScoreAxis(comparison)
    searches = comparison.manifest["searches"]
    labels = [label for label in _labels(comparison) if searches[label].get("others")]
    figure, panels = _panels(max(1, len(labels)))
    scale, image = _colour_scale(comparison, score_axis), None
    for axes, label in zip(panels, labels):
        second, span = next(iter(searches[label]["others"].items()))
        near_one = span.startswith("OneMinus")
        coordinate = lambda number, near_one=near_one: 1 - number if near_one else number
        trials = _trials(comparison, label)
        x = [row["learning_rate"] for row in trials.rows]
        y = [coordinate(row[second]) for row in trials.rows]
        shades = score_axis.shades(trials.scores.mean(axis=1))
        image = axes.scatter(x, y, c=shades, cmap=f"{SEQUENTIAL}_r", s=46, norm=scale)
        summary = _summary(comparison, label)
        axes.plot(summary["learning_rate"], coordinate(summary[second]), "o", fillstyle="none",
                  markersize=13, color=RED, markeredgewidth=2)  # fmt: skip
        axes.set(xscale="log", yscale="log", title=literal(label), xlabel="learning rate η",
                 ylabel=f"1 − {second}" if near_one else second)  # fmt: skip
    if image is not None:
        label = "log₁₀ of the validation error"
        if score_axis.quantity == "score":
            label = f"negative validation {comparison.manifest['score']}"
        figure.colorbar(image, ax=list(panels), label=label)
    return figure


def _colour_scale(comparison: Comparison, score_axis: ScoreAxis) -> Normalize:
    """The colour scale of all panels: from the best run of all to the median one."""
    scores = [row["valid_score"] for row in comparison.runs if row["phase"] == "tuning"]
    shades = score_axis.shades(np.array(scores))
    shades = shades[np.isfinite(shades)] if np.isfinite(shades).any() else np.zeros(1)
    return Normalize(float(shades.min()), max(float(np.median(shades)), float(shades.min()) + 0.1))


@styled
def profile(rows: Sequence[Row]) -> Figure:
    """Performance profiles, from the rows of `result_tables.profile_rows`: a line per optimizer."""
    figure, axes = _single()
    end = max(2.0, 1.1 * max(row["factor"] for row in rows))
    for k, label in enumerate(dict.fromkeys(row["optimizer"] for row in rows)):
        steps = _rows_of(rows, label)
        factors, fractions = ([row[name] for row in steps] for name in ("factor", "fraction"))
        axes.step([*factors, end], [*fractions, fractions[-1]], where="post", linewidth=1.8,
                  label=literal(label), **line_style(k))  # fmt: skip
    axes.set(xscale="log", xlabel="steps, relative to the fastest optimizer", ylim=(-0.02, 1.02),
             xlim=(1, end), ylabel="fraction of tasks and targets reached")  # fmt: skip
    ticks = [tick for tick in (1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000) if tick <= end]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.legend(loc="lower right")
    return figure


def _labels(comparison: Comparison) -> list[str]:
    """The optimizers' labels."""
    return [row["optimizer"] for row in comparison.summary]


def _rows_of(rows: Sequence[Row], label: str) -> list[Row]:
    """The rows of one optimizer."""
    return [row for row in rows if row["optimizer"] == label]


def _summary(comparison: Comparison, label: str) -> Row:
    """The summary's row of one optimizer."""
    (row,) = _rows_of(comparison.summary, label)
    return row


def _legend(comparison: Comparison, label: str) -> str:
    """A label, with (EDGE) if the chosen learning rate is at an edge of the searched range."""
    text = literal(label)
    return f"{text} (EDGE)" if _summary(comparison, label)["edge"] else text


def _score_curves(comparison: Comparison, label: str, of_diverged: float) -> np.ndarray:
    """The validation scores of the report's runs, shape (seeds, epochs).

    After a divergence they are `of_diverged`.
    """
    seeds = looks.taken_seeds(comparison.manifest)
    shape = (len(seeds), comparison.manifest["protocol"]["epochs"])
    table = np.full(shape, of_diverged)
    for row in _rows_of(comparison.report_curves, label):
        table[seeds.index(row["seed"]), row["epoch"] - 1] = row["valid_score"]
    return table


def _single() -> tuple[Figure, Axes]:
    """A figure with one panel."""
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    remove_frame(axes)
    return figure, axes


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    """A figure with n panels, at most three in a row, that share the y-axis."""
    n_columns = 2 if n in (2, 4) else min(n, 3)
    n_rows = math.ceil(n / n_columns)
    size = (WIDTH * (0.7 if n == 1 else 1), (2.2 if n_columns == 3 else 2.7) * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
    for unused in panels[n:]:
        unused.remove()
    for axes in panels[:n]:
        remove_frame(axes)
    return figure, list(panels[:n])
