"""The page of comparisons on several tasks: aggregates, profiles, tests and ranks over tasks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from jaxnet.comparison import AcrossTasks, Comparison, across, conclusions, result_tables
from jaxnet.comparison.across_tables import ALL
from jaxnet.io import files
from jaxnet.io.csv import Row
from jaxnet.reporting import across_plots, comparison_plots, html_page, plots
from jaxnet.reporting.html_page import Column, Table, Top, table
from jaxnet.reporting.page_pictures import of_figure


def publish_across(
    folder: str | Path,
    comparisons: Mapping[str, Comparison],
    targets: Mapping[str, float] | None = None,
    command: str = "",
) -> AcrossTasks:
    """Evaluate comparisons on several tasks together: CSV tables, figures and report.html.

    Args:
      folder: the folder to write to, created if needed; older files are replaced. The page links to
        the report of each task, which `publish` writes into the folder's folder of the task's name.
      comparisons: the comparison of each task, by the task's name, as `jaxnet.comparison.across`
        takes them.
      targets: the target of each task; `None` (the default) takes those of the comparisons.
      command: the command that compares again, for the page; by default there is none.

    Returns:
      The tables across tasks.

    Raises:
      ValueError: the comparisons do not fit together, or a task has no target.

    >>> publish_across("comparisons/none", {})
    Traceback (most recent call last):
    ValueError: comparisons must be a dict of two comparisons or more, by task, not {}.
    """
    folder = Path(folder)
    result = across(comparisons, targets)
    result.write(folder)
    figures = {
        name: (draw(), caption) for name, (draw, caption) in figures_of(result, comparisons).items()
    }
    for name, (figure, _) in figures.items():
        if name != "profile":  # which `publish_profile` writes with its table
            files.write_atomic(folder / f"{name}.png", plots.png(figure))
    pictures = [
        of_figure(name.replace("_", " "), figure, caption)
        for name, (figure, caption) in figures.items()
    ]
    text = html_page.render(
        "across.html",
        _top(result, comparisons, command),
        conclusion=result.conclusion,
        aggregates=table("", _of_all(result.aggregates), _AGGREGATES, note=_AGGREGATES_NOTE),
        improvement=table("", _of_all(result.improvement), _IMPROVEMENT, note=_IMPROVEMENT_NOTE),
        tests=table("", result.task_tests, _TESTS, ("verdict",), _TESTS_NOTE),
        ranks=_rank_table(result),
        by_task=table("", _of_tasks(result.aggregates), _BY_TASK, ("optimizer",)),
        improvement_by_task=table(
            "", _of_tasks(result.improvement), [("task", lambda row: row["task"]), *_IMPROVEMENT],
            ("first − second",),
        ),
        reports=[
            (f"{task}/report.html", task)
            for task in comparisons
            if (folder / task / "report.html").exists()
        ],
        figures=pictures,
    )  # fmt: skip
    files.write_atomic(folder / "report.html", text.encode())
    return result


def _top(result: AcrossTasks, comparisons: Mapping[str, Comparison], command: str) -> Top:
    """The head of the page."""
    names = [row["optimizer"] for row in result.task_ranks]
    first = next(iter(comparisons.values()))
    targets = ", ".join(f"{task} {_target_text(target)}" for task, target in result.targets.items())
    facts = [
        ("Tasks", ", ".join(comparisons)),
        ("Targets", targets),
        ("Seeds", str(result.aggregates[0]["seeds"])),
        ("Versions", html_page.versions_text(first.manifest)),
    ]
    title = f"{conclusions.listed(names)} on {len(comparisons)} tasks"
    return Top(
        "Comparison of optimizers across tasks", title, facts, command, tuple(result.warnings)
    )


def figures_of(
    result: AcrossTasks, comparisons: Mapping[str, Comparison]
) -> dict[str, tuple[Callable[[], Figure], str]]:
    """How to draw each figure of several tasks, by name, and its caption.

    Args:
      result: the tables of all tasks.
      comparisons: the comparison of each task.
    """
    figures: dict[str, tuple[Callable[[], Figure], str]] = {}
    if result.score_profiles:
        figures["score_profiles"] = (
            lambda: across_plots.score_profiles(result.score_profiles),
            "Performance profiles: the fraction of all runs whose normalized score is above τ; all "
            "tasks weigh the same. Bands: simultaneous 95% bands over seeds, each of which holds "
            "its whole curve. Vertical line: the target.",
        )
    figures["critical_difference"] = (
        lambda: across_plots.critical_difference(result),
        "Critical-difference diagram: mean ranks over the tasks, best on the left. Bars join "
        "optimizers of which no two differ by the signed-rank test over tasks with Holm's "
        "correction.",
    )
    steps = result_tables.profile_rows(
        {task: comparison.time_to_target for task, comparison in comparisons.items()}
    )
    if steps:
        figures["profile"] = (
            lambda: comparison_plots.profile(steps),
            "Profiles of speed: the fraction of tasks and targets, of those that any optimizer "
            "reached, on which the median steps to it are at most this factor above those of the "
            "fastest optimizer.",
        )
    return figures


_AGGREGATES_NOTE = (
    "A normalized score is 1 − (best − test score)/(best − target): 1 for the best possible score, "
    "0 for the task's target, negative below it. IQM: the mean of all runs of all tasks without "
    "the lowest and the highest quarter. Gap: the mean shortfall below the target; runs above it "
    "count as at it. 95% intervals over seeds, by a bootstrap that draws the seeds within each "
    "task: they are about other seeds on the same tasks. Where hardly a run is below "
    "the target resamples hardly differ, and the interval of the gap is too narrow."
)
_IMPROVEMENT_NOTE = (
    "The probability that a run of the first optimizer beats a run of the second with another "
    "seed, averaged over the tasks; ties count one half. An interval without width "
    "says that all runs agree, not that the probability is known. In the reports of single tasks, "
    "P(first better) is paired by seed."
)
_TESTS_NOTE = (
    "Differences of the mean normalized scores, and the signed-rank test over the tasks with "
    "Holm's correction for all pairs. The test is about other tasks, where these are a sample."
)


def _of_all(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["task"] == ALL]


def _of_tasks(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["task"] != ALL]


_text = conclusions.score_text("normalized score")


def _target_text(target: float) -> str:
    return f"{target:g}".replace("-", "−")


def _ends(row: Row, name: str) -> str:
    return f"{_text(row[f'{name}low'])} to {_text(row[f'{name}high'])}"


_AGGREGATES: list[Column] = [
    ("optimizer", lambda row: row["optimizer"]),
    ("IQM", lambda row: _text(row["iqm"])),
    ("95% interval", lambda row: _ends(row, "iqm_")),
    ("mean", lambda row: _text(row["mean"])),
    ("gap to the target", lambda row: _text(row["gap"])),
    ("95% interval of the gap", lambda row: _ends(row, "gap_")),
]
_BY_TASK: list[Column] = [
    ("task", lambda row: row["task"]),
    ("optimizer", lambda row: row["optimizer"]),
    ("test score", lambda row: _text(row["test_score"])),
    ("target", lambda row: _target_text(row["target"])),
    *_AGGREGATES[1:],
]
_IMPROVEMENT: list[Column] = [
    ("first − second", lambda row: f"{row['a']} − {row['b']}"),
    ("P(first > second)", lambda row: f"{row['p_improvement']:.3f}"),
    ("95% interval", lambda row: _ends(row, "")),
]
_TESTS: list[Column] = [
    ("", lambda row: f"{row['a']} − {row['b']}"),
    ("difference", lambda row: _text(row["difference"])),
    ("p", lambda row: f"{row['p']:.2g}"),
    ("p, corrected", lambda row: f"{row['p_holm']:.2g}"),
    ("verdict", lambda row: row["verdict"]),
]


def _rank_table(result: AcrossTasks) -> Table:
    """Mean ranks, and those with each task left out."""
    columns: list[Column] = [("optimizer", lambda row: row["optimizer"])]
    for name in [name for name in result.task_ranks[0] if name != "optimizer"]:
        heading = name.replace("mean_rank", ALL)
        columns.append((heading, lambda row, name=name: f"{row[name]:.2f}"))
    rows = sorted(result.task_ranks, key=lambda row: row["mean_rank"])
    return table("", rows, columns, note="Mean ranks over the tasks; 1 is best.")
