"""Figures of a comparison, drawn from its tables and its manifest alone."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypedDict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from jaxnet.comparison import Comparison
from jaxnet.comparison.result_tables import reaches
from jaxnet.io.csv import Row

Dashes = str | tuple[int, tuple[int, ...]]
"""A line style of matplotlib: a name, or an offset and the lengths of dashes and gaps."""
# Okabe and Ito's colours, with a line style each: readable in grey and by the colour-blind.
COLOURS = ("#b3402a", "#0072b2", "#1a1a1a", "#c98a00", "#009e73", "#a8508c", "#56b4e9", "#7f7f7f")
DASHES: tuple[Dashes, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1)),
    (0, (3, 1, 1, 1)),
    (0, (1, 1)),
    (0, (7, 2)),
)


class LineStyle(TypedDict):
    """Keyword arguments of `Axes.plot` that tell optimizers apart."""

    color: str
    linestyle: Dashes


def draw_figures(comparison: Comparison) -> dict[str, tuple[Figure, str]]:
    """All figures of a comparison by name, each with its caption.

    Tier "lr" has figures of the search, tier "full" has one more than "lr", tier "defaults" has
    none.
    """
    shown = _shown(comparison)
    figures: dict[str, tuple[Callable[[Comparison], Figure], str]] = {
        "sensitivity": (sensitivity, f"Validation {shown} by learning rate: the mean over the "
                        "tuning seeds, and the range over them. Grey: edges of the searched range; "
                        "an optimum there may lie outside. ○: chosen. ×: some seeds diverged."),
        "curves": (curves, f"Validation {shown} by training step with the chosen hyperparameters: "
                   "mean and middle 80 % of the report's seeds. " + _of_diverged_text(comparison)),
        "strips": (strips, "Test scores: every seed of the report, the mean, and its 95 % "
                   "intervals over seeds (thick) and over seeds and test examples (thin)."),
        "differences": (differences, "Mean difference of the test scores, row minus column, paired "
                        "by seed. Bold: different by the Wilcoxon test with Holm's correction."),
        "expected_performance": (
            expected_performance, f"Test {shown} that a study with one seed reports, by its number "
            "of trials: mean and middle 90 %."),
        "time_to_target": (time_to_target, "Fraction of the report's seeds that have reached the "
                           "target by each epoch."),
    }  # fmt: skip
    if any(search["tier"] == "full" for search in comparison.manifest["searches"].values()):
        caption = (
            f"Validation {shown} at each searched point, mean over the tuning seeds. ○: chosen."
        )
        figures["search"] = (search, caption)
    if comparison.manifest["protocol"]["tier"] == "defaults":
        del figures["sensitivity"], figures["expected_performance"]
    return {name: (draw(comparison), caption) for name, (draw, caption) in figures.items()}


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


def sensitivity(comparison: Comparison) -> Figure:
    """Validation error by learning rate, a panel for each optimizer."""
    labels = _labels(comparison)
    figure, panels = _panels(len(labels))
    for k, (axes, label) in enumerate(zip(panels, labels, strict=True)):
        trials, search = _trials(comparison, label), comparison.manifest["searches"][label]
        rates = np.array([row["learning_rate"] for row in trials.rows])
        errors, colour = _error(comparison, trials.scores), _style(k)["color"]
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
        height = _worst_height(comparison, errors)
        axes.plot(rates[trials.diverged], np.full(n_diverged, height), "x", color="black",
                  markersize=6)  # fmt: skip
        summary = _summary(comparison, label)
        chosen = int(np.argmin(np.abs(np.log(rates / summary["learning_rate"]))))
        axes.plot(rates[chosen], mean[chosen], "o", color=colour, markersize=10, fillstyle="none",
                  markeredgewidth=1.6)  # fmt: skip
        edge = f"  {summary['edge']}" if summary["edge"] else ""
        axes.set(title=f"{_literal(label)}: η = {summary['learning_rate']:.3g}{edge}", xscale="log")
        axes.set_xlabel("learning rate η")
    _set_error_axis(comparison, panels, f"validation {_shown(comparison)}")
    return figure


def curves(comparison: Comparison) -> Figure:
    """Validation error by training step, under the report's seeds."""
    figure, axes = _single()
    batch_size = comparison.manifest["protocol"]["batch_size"]
    steps = -(-comparison.manifest["examples"][0] // batch_size)
    for k, label in enumerate(_labels(comparison)):
        error = _error(comparison, _score_curves(comparison, label))
        at = steps * np.arange(1, error.shape[1] + 1)
        low, high = np.quantile(error, [0.1, 0.9], axis=0)
        axes.fill_between(at, low, high, color=_style(k)["color"], alpha=0.15, linewidth=0)
        axes.plot(at, error.mean(axis=0), label=_legend(comparison, label), linewidth=1.8,
                  **_style(k))  # fmt: skip
    axes.set(xlabel=f"step (mini-batches of {batch_size})", xlim=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.legend(frameon=False)
    _set_error_axis(comparison, [axes], f"validation {_shown(comparison)}")
    return figure


def strips(comparison: Comparison) -> Figure:
    """Test scores of every seed, with the mean and its intervals."""
    labels = _labels(comparison)
    figure = Figure(figsize=(7.5, 1.1 + 0.62 * len(labels)), dpi=120, layout="constrained")
    axes = figure.subplots()
    random = np.random.default_rng(0)
    for k, row in enumerate(comparison.summary):
        runs = _rows_of(comparison.runs, row["optimizer"])
        scores = [run["test_score"] for run in runs if run["phase"] == "report"]
        colour = _style(k)["color"]
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
    axes.xaxis.set_major_formatter(_score_formatter(comparison))
    _remove_frame(axes)
    return figure


def differences(comparison: Comparison) -> Figure:
    """The matrix of mean paired differences of the test scores, row minus column."""
    labels = _labels(comparison)
    n, size = len(labels), 1.15 * len(labels)
    table, bold = np.full((n, n), np.nan), np.zeros((n, n), bool)
    for row in comparison.pairwise:
        i, j = labels.index(row["a"]), labels.index(row["b"])
        table[i, j], table[j, i] = row["difference"], -row["difference"]
        bold[i, j] = bold[j, i] = not row["verdict"].startswith("indistinguishable")
    figure = Figure(figsize=(2.2 + size, 0.9 + 0.6 * size), dpi=120, layout="constrained")
    axes = figure.subplots()
    scale = 100 if _is_accuracy(comparison) else 1
    # The colours reach as far as the intervals, so that they are strong only for narrow ones.
    ends = [abs(row[end]) for row in comparison.pairwise for end in ("low", "high")]
    finite = np.abs(table[np.isfinite(table)])
    largest = max(finite.max(initial=0.0), *np.nan_to_num(ends), 1e-9)
    image = axes.imshow(scale * table, cmap="PuOr", vmin=-scale * largest, vmax=scale * largest,
                        aspect="auto")  # fmt: skip
    for i, j in np.ndindex(n, n):
        if i != j:
            text = f"{scale * table[i, j] + 0.0:+.2f}".replace("-", "−").replace("inf", "∞")
            text = "–" if np.isnan(table[i, j]) else text
            text = "0.00" if text in ("+0.00", "−0.00") else text
            is_dark = abs(float(table[i, j]) / largest) > 0.6
            axes.text(j, i, text, ha="center", va="center", color="white" if is_dark else "black",
                      weight="bold" if bold[i, j] else "normal")  # fmt: skip
    names = [_legend(comparison, label) for label in labels]
    axes.set(xticks=range(n), xticklabels=names, yticks=range(n), yticklabels=names)
    if n > 4:
        axes.tick_params(axis="x", rotation=40)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    unit = "points" if _is_accuracy(comparison) else comparison.manifest["score"]
    figure.colorbar(image, label=f"row − column, {unit}", shrink=0.9)
    return figure


def expected_performance(comparison: Comparison) -> Figure:
    """The test error that a study with one seed reports, by its number of trials."""
    figure, axes = _single()
    for k, label in enumerate(_labels(comparison)):
        rows = _rows_of(comparison.expected_performance, label)
        trials, expected, low, high = (
            np.array([row[name] for row in rows]) for name in ("trials", "expected", "low", "high")
        )
        colour = _style(k)["color"]
        low_error, high_error = _error(comparison, low), _error(comparison, high)
        axes.fill_between(trials, low_error, high_error, color=colour, alpha=0.1, linewidth=0)
        axes.plot(trials, _error(comparison, expected), label=_legend(comparison, label),
                  linewidth=1.8, **_style(k))  # fmt: skip
    axes.set(xlabel="trials of a study with one seed")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    _set_error_axis(comparison, [axes], f"test {_shown(comparison)} of the selected trial")
    return figure


def time_to_target(comparison: Comparison) -> Figure:
    """The fraction of seeds that have reached each target, by epoch."""
    targets = sorted({row["target"] for row in comparison.time_to_target})
    figure, panels = _panels(max(1, len(targets)))
    for axes, target in zip(panels, targets):
        for k, label in enumerate(_labels(comparison)):
            at_target = reaches(_score_curves(comparison, label), target)
            reached = np.maximum.accumulate(at_target, axis=1)
            fraction = np.append(0.0, reached.mean(axis=0))
            axes.step(np.arange(len(fraction)), fraction, where="post", linewidth=1.8,
                      label=_legend(comparison, label), **_style(k))  # fmt: skip
        target_text = f"{100 * target:g} %" if _is_accuracy(comparison) else f"{target:g}"
        axes.set(title=f"validation {comparison.manifest['score']} {target_text}", xlabel="epoch",
                 ylim=(-0.02, 1.02), xlim=0)  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylabel("fraction of the seeds")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)),
                  frameon=False)  # fmt: skip
    return figure


def search(comparison: Comparison) -> Figure:
    """Validation error by learning rate and a second hyperparameter, a panel for each optimizer."""
    searches = comparison.manifest["searches"]
    labels = [label for label in _labels(comparison) if searches[label].get("others")]
    figure, panels = _panels(max(1, len(labels)))
    scale, image = _colour_scale(comparison), None
    for axes, label in zip(panels, labels):
        second, span = next(iter(searches[label]["others"].items()))
        near_one = span.startswith("OneMinus")
        coordinate = lambda number, near_one=near_one: 1 - number if near_one else number
        trials = _trials(comparison, label)
        x = [row["learning_rate"] for row in trials.rows]
        y = [coordinate(row[second]) for row in trials.rows]
        shades = _shades(comparison, trials.scores.mean(axis=1))
        image = axes.scatter(x, y, c=shades, cmap="viridis_r", s=46, norm=scale)
        summary = _summary(comparison, label)
        axes.plot(summary["learning_rate"], coordinate(summary[second]), "o", fillstyle="none",
                  markersize=13, color="#b3402a", markeredgewidth=2)  # fmt: skip
        axes.set(xscale="log", yscale="log", title=_literal(label), xlabel="learning rate η",
                 ylabel=f"1 − {second}" if near_one else second)  # fmt: skip
    if image is not None:
        label = "log₁₀ of the validation error"
        if _shown(comparison) == "score":
            label = f"negative validation {comparison.manifest['score']}"
        figure.colorbar(image, ax=list(panels), label=label)
    return figure


def _colour_scale(comparison: Comparison) -> Normalize:
    """The colour scale of all panels: from the best run of all to the median one."""
    scores = [row["valid_score"] for row in comparison.runs if row["phase"] == "tuning"]
    shades = _shades(comparison, np.array(scores))
    shades = shades[np.isfinite(shades)] if np.isfinite(shades).any() else np.zeros(1)
    return Normalize(float(shades.min()), max(float(np.median(shades)), float(shades.min()) + 0.1))


def _shades(comparison: Comparison, scores: np.ndarray) -> np.ndarray:
    """What colours stand for, less for a better score: log₁₀ of errors, or negative scores."""
    shown = _error(comparison, scores)
    return np.log10(shown) if _shown(comparison) == "error" else -shown


def profile(rows: Sequence[Row]) -> Figure:
    """Performance profiles, from the rows of `result_tables.profile_rows`: a line per optimizer."""
    figure, axes = _single()
    for k, label in enumerate(dict.fromkeys(row["optimizer"] for row in rows)):
        steps = _rows_of(rows, label)
        factors, fractions = ([row[name] for row in steps] for name in ("factor", "fraction"))
        axes.step(factors, fractions, where="post", label=_literal(label), linewidth=1.8,
                  **_style(k))  # fmt: skip
    axes.set(xscale="log", xlabel="steps, relative to the fastest optimizer", ylim=(-0.02, 1.02),
             ylabel="fraction of tasks and targets")  # fmt: skip
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.legend(frameon=False, loc="lower right")
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
    text = _literal(label)
    return f"{text} (EDGE)" if _summary(comparison, label)["edge"] else text


def _literal(label: str) -> str:
    """A label that matplotlib shows as it is.

    Between two "$" it would read a formula, and it leaves labels that begin with "_" out of
    legends; nobody sees the space of no width in front of them.
    """
    text = label.replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text


def _score_curves(comparison: Comparison, label: str) -> np.ndarray:
    """The validation scores of the report's runs, shape (seeds, epochs).

    After a divergence they are the score of a run that diverged.
    """
    seeds = comparison.manifest["protocol"]["report_seeds"]
    shape = (len(seeds), comparison.manifest["protocol"]["epochs"])
    table = np.full(shape, _of_diverged(comparison))
    for row in _rows_of(comparison.curves, label):
        if row["phase"] == "report":
            table[seeds.index(row["seed"]), row["epoch"] - 1] = row["valid_score"]
    return table


def _is_accuracy(comparison: Comparison) -> bool:
    """Whether the score is the accuracy, not R² or a metric."""
    return comparison.manifest["score"] == "accuracy"


def _is_negated(comparison: Comparison) -> bool:
    """Whether the score is the negative of a metric of which less is better."""
    manifest = comparison.manifest
    # Manifests that do not say so were written where a minus sign did.
    return not manifest.get("higher_is_better", not manifest["score"].startswith("−"))


def _of_diverged(comparison: Comparison) -> float:
    """The score of a run that diverged."""
    manifest = comparison.manifest
    if "score_of_diverged" not in manifest:
        is_older = _is_negated(comparison) and "higher_is_better" not in manifest
        return -math.inf if is_older else 0.0
    score = manifest["score_of_diverged"]
    return -math.inf if score is None else score


def _of_diverged_text(comparison: Comparison) -> str:
    """What a run that diverged counts as in the curves, in a sentence."""
    score = _of_diverged(comparison)
    if math.isinf(score):
        return "There is no mean from where a run has diverged."
    if _is_accuracy(comparison):
        return "A diverged run has an error of 100 %."
    return f"A diverged run has the {_shown(comparison)} {_error(comparison, np.array(score)):g}."


def _shown(comparison: Comparison) -> Literal["error", "score"]:
    """Whether figures show errors, on a logarithmic axis, or scores, on a linear one.

    An error is 1 − score for scores in [0, 1], and a metric of which less is better if it is
    nowhere negative.
    """
    rows = [*comparison.runs, *comparison.curves]
    scores = np.array([
        row[name] for row in rows for name in ("valid_score", "test_score") if name in row
    ])  # fmt: skip
    scores = scores[np.isfinite(scores)]
    errors = -scores if _is_negated(comparison) else 1 - scores
    largest = math.inf if _is_negated(comparison) else 1.0
    tolerance = 1e-5
    return "error" if np.all((errors > -tolerance) & (errors < largest + tolerance)) else "score"


def _error(comparison: Comparison, score: np.ndarray) -> np.ndarray:
    """The errors or scores that figures show (see `_shown`); NaN where a score is infinite.

    A logarithmic axis has no 0: smaller errors are 1e-5.
    """
    score = np.where(np.isfinite(score), score, np.nan)
    if _shown(comparison) == "score":
        return score
    return np.maximum(-score if _is_negated(comparison) else 1 - score, 1e-5)


def _worst_height(comparison: Comparison, errors: np.ndarray) -> float:
    """Where runs that diverged are marked: at 1, or at the worst of what a panel shows."""
    finite = errors[np.isfinite(errors)]
    if _shown(comparison) == "score":
        return float(finite.min()) if finite.size else 0.0
    return float(finite.max(initial=0.0)) if _is_negated(comparison) else 1.0


def _score_formatter(comparison: Comparison) -> Callable[[float, object], str]:
    """A formatter of ticks, for scores or errors: percent if they are accuracies."""
    if not _is_accuracy(comparison):
        return lambda x, _: f"{x:.4g}"
    return lambda x, _: f"{100 * x:.4g} %"


def _set_error_axis(comparison: Comparison, panels: Sequence[Axes], name: str) -> None:
    """Label the y-axis of all panels; for errors, make it logarithmic over what they show."""
    if _shown(comparison) == "score":
        panels[0].set_ylabel(f"{name}, {comparison.manifest['score']}")
        for axes in panels:
            axes.yaxis.set_major_formatter(_score_formatter(comparison))
        return
    if not _is_accuracy(comparison):
        score = comparison.manifest["score"]
        name = f"{name}, {score[1:] if _is_negated(comparison) else f'1 − {score}'}"
    ends = np.array([(axes.dataLim.y0, axes.dataLim.y1) for axes in panels])
    low, high = (ends.min(), ends.max()) if np.isfinite(ends).all() else (0.1, 1.0)
    panels[0].set_ylabel(name)
    for axes in panels:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.15, high * 1.15)
        axes.set_yticks(_ticks(low / 1.15, high * 1.15))
        axes.yaxis.set_major_formatter(_score_formatter(comparison))
        axes.yaxis.set_minor_formatter(NullFormatter())
        _remove_frame(axes)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between low and high: the coarsest set with at least four of them."""
    ticks = []
    for digits in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.5, 2, 3, 5, 7),
        (1, 1.2, 1.5, 2, 2.5, *range(3, 10)),
    ):
        ticks = [m * 10.0**e for e in range(-5, 9) for m in digits if low <= m * 10.0**e <= high]
        if len(ticks) >= 4:
            break
    return ticks


def _style(k: int) -> LineStyle:
    """The line style of the k-th optimizer, from 0; 64 of them are different."""
    n = len(COLOURS)  # from the n-th optimizer on, the same colours have other dashes
    return {"color": COLOURS[k % n], "linestyle": DASHES[(k + k // n) % n]}


def _single() -> tuple[Figure, Axes]:
    """A figure with one panel."""
    figure = Figure(figsize=(7.5, 4.0), dpi=120, layout="constrained")
    axes = figure.subplots()
    _remove_frame(axes)
    return figure, axes


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    """A figure with n panels, at most three in a row, that share the y-axis."""
    n_columns = 2 if n in (2, 4) else min(n, 3)
    n_rows = math.ceil(n / n_columns)
    size = (max(5.0, 3.4 * n_columns), 2.7 * n_rows)
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
    for unused in panels[n:]:
        unused.remove()
    for axes in panels[:n]:
        _remove_frame(axes)
    return figure, list(panels[:n])


def _remove_frame(axes: Axes) -> None:
    """Remove the frame's upper and right line, and draw a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
