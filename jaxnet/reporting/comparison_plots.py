"""Pictures of a comparison, drawn from its tables alone."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from jaxnet.comparison import Comparison
from jaxnet.io.csv import Row

# Okabe and Ito's colours, with a line style each: readable in grey and by the colour-blind.
COLOURS = ("#b3402a", "#0072b2", "#1a1a1a", "#c98a00", "#009e73", "#a8508c", "#56b4e9", "#7f7f7f")
DASHES: tuple[Any, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1)),
    (0, (3, 1, 1, 1)),
    (0, (1, 1)),
    (0, (7, 2)),
)


def drawn(found: Comparison) -> dict[str, tuple[Figure, str]]:
    """All pictures of a comparison by name, each with what it shows.

    Args:
      found: the comparison.
    """
    pictures = {
        "sensitivity": (sensitivity, "Validation error by learning rate: the mean over tuning "
                        "seeds, from the best to the worst of them. Grey: where an optimum would "
                        "be at the edge. ○: chosen. ×: some seeds diverged."),
        "curves": (curves, "Validation error by step, tuned: mean and middle 80 % of the report's "
                   "seeds; a run that diverged has an error of 100 %."),
        "strips": (strips, "The report: every seed, the mean, its 95 % interval over seeds (thick) "
                   "and over seeds and test examples (thin)."),
        "differences": (differences, "By how much the row is ahead of the column, paired by seed. "
                        "Bold: different by the Wilcoxon test, with Holm's correction."),
        "expected_performance": (
            expected_performance, "What a study with one seed can expect to report after so many "
            "trials; middle 90 %."),
        "time_to_target": (time_to_target, "The part of the report's seeds that has reached each "
                           "target, to the resolution of an epoch."),
    }  # fmt: skip
    if any(search["tier"] == "full" for search in found.manifest["searches"].values()):
        said = "Validation error over the searched box, mean over tuning seeds; ○: chosen."
        pictures["search"] = (search, said)
    if found.manifest["protocol"]["tier"] == "defaults":
        del pictures["sensitivity"], pictures["expected_performance"]
    return {name: (draw(found), said) for name, (draw, said) in pictures.items()}


def sensitivity(found: Comparison) -> Figure:
    """Validation error by learning rate, a panel for each optimizer."""
    labels = _labels(found)
    figure, panels = _panels(len(labels))
    for k, (axes, label) in enumerate(zip(panels, labels, strict=True)):
        runs = [row for row in _of(found.runs, label) if row["phase"] == "tuning"]
        trials = sorted({row["trial"] for row in runs})
        score, rates, lost = [], [], []
        for trial in trials:
            some = [row for row in runs if row["trial"] == trial]
            rates.append(some[0]["learning_rate"])
            score.append([row["valid_score"] for row in some])
            lost.append(any(row["diverged_epoch"] for row in some))
        error, lost = _error(np.array(score)), np.array(lost)
        rates, colour = np.array(rates), _style(k)["color"]
        mean = error.mean(axis=1)
        if found.manifest["searches"][label]["tier"] == "lr":
            axes.fill_between(rates, error.min(axis=1), error.max(axis=1), color=colour, alpha=0.2)
            axes.plot(rates, mean, "-", color=colour, marker="o", markersize=3)
        else:
            axes.plot(rates, mean, "o", color=colour, markersize=3)
        low, high = found.manifest["searches"][label]["learning_rate"]
        place = 10 ** found.manifest["searches"][label]["decades_between"]
        for ends in ((low, low * place), (high / place, high)):
            axes.axvspan(*ends, color="0.85", zorder=0)
        axes.plot(rates[lost], np.ones(lost.sum()), "x", color="black", markersize=6)
        (summary,) = _of(found.summary, label)
        chosen = int(np.argmin(np.abs(np.log(rates / summary["learning_rate"]))))
        axes.plot(rates[chosen], mean[chosen], "o", color=colour, markersize=10, fillstyle="none",
                  markeredgewidth=1.6)  # fmt: skip
        edge = f"  {summary['edge']}" if summary["edge"] else ""
        axes.set(title=f"{label}: η = {summary['learning_rate']:.3g}{edge}", xscale="log")
        axes.set_xlabel("learning rate η")  # fmt: skip
    _error_axis(found, panels, "validation error")
    return figure


def curves(found: Comparison) -> Figure:
    """Validation error by step, of the report's seeds."""
    figure, axes = _single()
    steps = found.time_to_target[0]["resolution_steps"]
    for k, label in enumerate(_labels(found)):
        error = _error(_by_epoch(found, label))
        at = steps * np.arange(1, error.shape[1] + 1)
        low, high = np.quantile(error, [0.1, 0.9], axis=0)
        axes.fill_between(at, low, high, color=_style(k)["color"], alpha=0.15, linewidth=0)
        axes.plot(at, error.mean(axis=0), label=_shown(found, label), linewidth=1.8, **_style(k))
    axes.set(xlabel=f"step (mini-batches of {found.manifest['protocol']['batch_size']})", xlim=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.legend(frameon=False)
    _error_axis(found, [axes], "validation error")
    return figure


def strips(found: Comparison) -> Figure:
    """Test scores, seed by seed, with the mean and its intervals."""
    labels = _labels(found)
    figure = Figure(figsize=(7.5, 1.1 + 0.62 * len(labels)), dpi=120, layout="constrained")
    axes = figure.subplots()
    random = np.random.default_rng(0)
    for k, row in enumerate(found.summary):
        score = [r["test_score"] for r in _of(found.runs, row["optimizer"]) if _report(r)]
        colour = _style(k)["color"]
        axes.plot(score, k + 0.22 + random.uniform(-0.08, 0.08, len(score)), "o", color=colour,
                  alpha=0.4, markersize=4, markeredgewidth=0)  # fmt: skip
        axes.plot([row["test_score_low_examples"], row["test_score_high_examples"]], [k, k],
                  color=colour, linewidth=1)  # fmt: skip
        axes.plot([row["test_score_low"], row["test_score_high"]], [k, k], color=colour,
                  linewidth=5, solid_capstyle="butt")  # fmt: skip
        axes.plot(row["test_score"], k, "o", color="white", markeredgecolor=colour, markersize=7)
    names = [_shown(found, label) for label in labels]
    axes.set(yticks=range(len(labels)), yticklabels=names, xlabel=f"test {_score(found)}",
             ylim=(len(labels) - 0.45, -0.4))  # fmt: skip
    axes.xaxis.set_major_formatter(_percent(found))
    _plain(axes)
    return figure


def differences(found: Comparison) -> Figure:
    """The matrix of paired differences."""
    labels = _labels(found)
    n, size = len(labels), 1.15 * len(labels)
    table, bold = np.full((n, n), np.nan), np.zeros((n, n), bool)
    for row in found.pairwise:
        i, j = labels.index(row["a"]), labels.index(row["b"])
        table[i, j], table[j, i] = row["difference"], -row["difference"]
        bold[i, j] = bold[j, i] = not row["verdict"].startswith("indistinguishable")
    figure = Figure(figsize=(2.2 + size, 0.9 + 0.6 * size), dpi=120, layout="constrained")
    axes = figure.subplots()
    scale = 100 if _is_accuracy(found) else 1
    # As wide as the intervals reach, so that colours are strong only where these are narrow.
    ends = [abs(row[end]) for row in found.pairwise for end in ("low", "high")]
    most = max(float(np.nanmax(np.abs(table))), *np.nan_to_num(ends), 1e-9)
    shown = axes.imshow(scale * table, cmap="PuOr", vmin=-scale * most, vmax=scale * most,
                        aspect="auto")  # fmt: skip
    for i, j in np.ndindex(n, n):
        if i != j:
            value = f"{scale * table[i, j] + 0.0:+.2f}".replace("-", "−")
            value = "0.00" if value in ("+0.00", "−0.00") else value
            axes.text(j, i, value, ha="center", va="center", color=_ink(float(table[i, j]) / most),
                      weight="bold" if bold[i, j] else "normal")  # fmt: skip
    names = [_shown(found, label) for label in labels]
    axes.set(xticks=range(n), xticklabels=names, yticks=range(n), yticklabels=names)
    if n > 4:
        axes.tick_params(axis="x", rotation=40)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    unit = "points" if _is_accuracy(found) else "R²"
    figure.colorbar(shown, label=f"row − column, {unit}", shrink=0.9)
    return figure


def expected_performance(found: Comparison) -> Figure:
    """The score to expect of a study with one seed, by its number of trials."""
    figure, axes = _single()
    for k, label in enumerate(_labels(found)):
        rows = _of(found.expected_performance, label)
        at, expected, low, high = (
            np.array([row[name] for row in rows]) for name in ("trials", "expected", "low", "high")
        )
        colour = _style(k)["color"]
        axes.fill_between(at, _error(low), _error(high), color=colour, alpha=0.1, linewidth=0)
        axes.plot(at, _error(expected), label=_shown(found, label), linewidth=1.8, **_style(k))
    axes.set(xlabel="trials of a study with one seed")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    _error_axis(found, [axes], "test error of what it selects")
    return figure


def time_to_target(found: Comparison) -> Figure:
    """The fraction of seeds that reached each target, by epoch."""
    targets = sorted({row["target"] for row in found.time_to_target})
    figure, panels = _panels(max(1, len(targets)))
    for axes, target in zip(panels, targets):
        for k, label in enumerate(_labels(found)):
            there = np.maximum.accumulate(_by_epoch(found, label) >= target, axis=1)
            fraction = np.append(0.0, there.mean(axis=0))
            axes.step(np.arange(len(fraction)), fraction, where="post", label=_shown(found, label),
                      linewidth=1.8, **_style(k))  # fmt: skip
        named = f"{100 * target:g} %" if _is_accuracy(found) else f"{target:g}"
        axes.set(title=f"validation {_score(found)} {named}", xlabel="epoch", ylim=(-0.02, 1.02),
                 xlim=0)  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylabel("part of the seeds")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)),
                  frameon=False)  # fmt: skip
    return figure


def search(found: Comparison) -> Figure:
    """Validation error over learning rate and a second hyperparameter, a panel each."""
    labels = [label for label in _labels(found) if found.manifest["searches"][label].get("others")]
    figure, panels = _panels(max(1, len(labels)))
    scale, shown = _scale(found), None
    for axes, label in zip(panels, labels):
        others = found.manifest["searches"][label]["others"]
        second = next(iter(others))
        near_one = others[second].startswith("OneMinus")
        points: dict[int, list[Row]] = {}
        for row in _of(found.runs, label):
            if row["phase"] == "tuning":
                points.setdefault(row["trial"], []).append(row)
        x = [rows[0]["learning_rate"] for rows in points.values()]
        value = lambda number, near=near_one: 1 - number if near else number
        y = [value(rows[0][second]) for rows in points.values()]
        error = _error(np.array([np.mean([r["valid_score"] for r in rows])
                                 for rows in points.values()]))  # fmt: skip
        shown = axes.scatter(x, y, c=np.log10(error), cmap="viridis_r", s=46, norm=scale)
        (summary,) = _of(found.summary, label)
        axes.plot(summary["learning_rate"], value(summary[second]), "o", fillstyle="none",
                  markersize=13, color="#b3402a", markeredgewidth=2)  # fmt: skip
        axes.set(xscale="log", yscale="log", title=label, xlabel="learning rate η",
                 ylabel=f"1 − {second}" if near_one else second)  # fmt: skip
    if shown is not None:
        figure.colorbar(shown, ax=list(panels), label="log₁₀ of the validation error")
    return figure


def _scale(found: Comparison) -> Normalize:
    """One for all panels: from the least error of a run to the median one."""
    score = [row["valid_score"] for row in found.runs if row["phase"] == "tuning"]
    error = np.log10(_error(np.array(score)))
    return Normalize(float(error.min()), max(float(np.median(error)), float(error.min()) + 0.1))


def profile(rows: Sequence[Row]) -> Figure:
    """Performance profiles: of `result_tables.profile_rows`, a line for each optimizer."""
    figure, axes = _single()
    for k, label in enumerate(dict.fromkeys(row["optimizer"] for row in rows)):
        some = _of(rows, label)
        axes.step([row["factor"] for row in some], [row["fraction"] for row in some], where="post",
                  label=label, linewidth=1.8, **_style(k))  # fmt: skip
    axes.set(xscale="log", xlabel="within this factor of the fastest", ylim=(-0.02, 1.02),
             ylabel="part of the tasks and targets")  # fmt: skip
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.legend(frameon=False, loc="lower right")
    return figure


def _labels(found: Comparison) -> list[str]:
    return [row["optimizer"] for row in found.summary]


def _shown(found: Comparison, label: str) -> str:
    """A label, marked where its optimum is at the edge of what was searched."""
    (summary,) = _of(found.summary, label)
    return f"{label} (EDGE)" if summary["edge"] else label


def _of(rows: Sequence[Row], label: str) -> list[Row]:
    return [row for row in rows if row["optimizer"] == label]


def _report(row: Row) -> bool:
    return row["phase"] == "report"


def _by_epoch(found: Comparison, label: str) -> np.ndarray:
    """The validation scores of the report's runs: (seed, epoch), 0 after a divergence."""
    seeds = found.manifest["protocol"]["report_seeds"]
    table = np.zeros((len(seeds), found.manifest["protocol"]["epochs"]))
    for row in _of(found.curves, label):
        if _report(row):
            table[seeds.index(row["seed"]), row["epoch"] - 1] = row["valid_score"]
    return table


def _score(found: Comparison) -> str:
    return str(found.manifest["score"])


def _is_accuracy(found: Comparison) -> bool:
    return _score(found) == "accuracy"


def _error(score: np.ndarray) -> np.ndarray:
    """1 − score, kept inside of what a logarithmic axis can show."""
    return np.clip(1 - score, 1e-5, 1.0)


def _percent(found: Comparison) -> Callable[[float, Any], str]:
    if not _is_accuracy(found):
        return lambda x, _: f"{x:.4g}"
    return lambda x, _: f"{100 * x:.4g} %"


def _error_axis(found: Comparison, panels: Sequence[Axes], name: str) -> None:
    """A logarithmic axis of errors, which fits what was drawn."""
    name = name if _is_accuracy(found) else f"{name}, 1 − R²"
    low = min(axes.dataLim.y0 for axes in panels)
    high = max(axes.dataLim.y1 for axes in panels)
    panels[0].set_ylabel(name)
    for axes in panels:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.15, high * 1.15)
        axes.set_yticks(_ticks(low / 1.15, high * 1.15))
        axes.yaxis.set_major_formatter(_percent(found))
        axes.yaxis.set_minor_formatter(NullFormatter())
        _plain(axes)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, a handful of them."""
    for digits in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.5, 2, 3, 5, 7),
        (1, 1.2, 1.5, 2, 2.5, *range(3, 10)),
    ):
        ticks = [m * 10.0**e for e in range(-5, 1) for m in digits if low <= m * 10.0**e <= high]
        if len(ticks) >= 4:
            break
    return ticks


def _style(k: int) -> dict[str, Any]:
    n = len(COLOURS)  # beyond so many, the same colours with other dashes
    return {"color": COLOURS[k % n], "linestyle": DASHES[(k + k // n) % n]}


def _ink(part: float) -> str:
    return "white" if abs(part) > 0.6 else "black"


def _single() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.5, 4.0), dpi=120, layout="constrained")
    axes = figure.subplots()
    _plain(axes)
    return figure, axes


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    columns = 2 if n in (2, 4) else min(n, 3)  # no more, for narrow screens
    rows = math.ceil(n / columns)
    figure = Figure(figsize=(max(5.0, 3.4 * columns), 2.7 * rows), dpi=120, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for panel in panels[n:]:
        panel.remove()
    for panel in panels[:n]:
        _plain(panel)
    return figure, list(panels[:n])


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
