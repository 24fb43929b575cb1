"""Several comparisons of the same optimizers, one for each task, evaluated together."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.comparison import aggregates, conclusions, looks, paper, statistics
from jaxnet.comparison.across_tables import (
    ALL,
    TABLES,
    Tables,
    best_score,
    less_is_better,
    usable_targets,
)
from jaxnet.comparison.comparison_folder import Comparison
from jaxnet.comparison.result_tables import ALPHA
from jaxnet.core.arguments import brief, require_choice, require_kind
from jaxnet.core.hyperparameters import constant, count
from jaxnet.io import csv
from jaxnet.io.csv import Row

if TYPE_CHECKING:
    import pandas  # pyright: ignore[reportMissingImports]

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class AcrossTasks(NamedTuple):
    """What several tasks say together: tables, as lists of rows (dicts by column), and sentences.

    Scores are normalized (see `jaxnet.statistics.normalized`): 0 is the task's target, 1 the best
    possible score. `_low` and `_high` are the ends of 95% intervals over seeds by the stratified
    bootstrap; those of profiles are a simultaneous band.

    Attributes:
      targets: the target of each task, in the unit of its metric, which normalizes its scores.
      aggregates: a row for each task, and for all of them, and each optimizer: the mean test score,
        IQM and mean of the normalized scores, the gap to the target.
      improvement: a row for each task, and for all of them, and each pair: P(A > B) with new seeds.
      score_profiles: a row for each optimizer and normalized score: the fraction of runs above it.
      task_tests: a row for each pair: the mean difference over tasks, and its signed-rank test over
        tasks, with Holm's correction.
      task_ranks: a row for each optimizer: its mean rank over the tasks, and with each of them left
        out.
      conclusion: the results in sentences.
      warnings: what the tests and intervals cannot say, in sentences.

    >>> AcrossTasks._fields[1:4]
    ('aggregates', 'improvement', 'score_profiles')
    """

    targets: dict[str, float]
    aggregates: list[Row]
    improvement: list[Row]
    score_profiles: list[Row]
    task_tests: list[Row]
    task_ranks: list[Row]
    conclusion: list[str]
    warnings: list[str]

    def to_frame(self, table: str = "aggregates") -> "pandas.DataFrame":
        """A table as a pandas DataFrame, with all of its columns.

        Args:
          table: which one: "aggregates" (the default), "improvement", "score_profiles",
            "task_tests" or "task_ranks".

        Returns:
          A DataFrame with the rows of the attribute of that name.

        Raises:
          ImportError: pandas is not installed.
          ValueError: there is no such table.
        """
        return paper.frame(self._rows_of(table))

    def to_markdown(self, table: str = "aggregates", columns: Sequence[str] | None = None) -> str:
        """A table in Markdown, with four significant digits.

        Args:
          table: which one, as in `to_frame`.
          columns: the names of its columns, in order; `None`, the default, for all, or of
            "aggregates" for those that matter most.

        Returns:
          The table.

        Raises:
          ValueError: there is no such table or column, or the table has no rows.
        """
        return paper.markdown(*paper.printed(table, self._rows_of(table), columns))

    def to_latex(self, table: str = "aggregates", columns: Sequence[str] | None = None) -> str:
        """A table in LaTeX, with the rules of the package `booktabs`.

        Args:
          table: which one, as in `to_frame`.
          columns: the names of its columns, as in `to_markdown`.

        Returns:
          A `tabular` environment.

        Raises:
          ValueError: there is no such table or column, or the table has no rows.
        """
        return paper.latex(*paper.printed(table, self._rows_of(table), columns))

    def _rows_of(self, table: str) -> Sequence[Row]:
        require_choice("table", table, TABLES)
        return getattr(self, table)

    def write(self, folder: str | Path) -> None:
        """Write each table as a CSV file: aggregates.csv, improvement.csv, and so on.

        The same comparisons give the same bytes.

        Args:
          folder: the folder to write to, created if needed; files in it are replaced.

        Raises:
          OSError: a file cannot be written.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            csv.write_csv(Path(folder) / f"{name}.csv", getattr(self, name))

    def __repr__(self) -> str:
        return "\n".join([*self.conclusion, *(f"Warning: {text}" for text in self.warnings)])


def across(
    comparisons: Mapping[str, Comparison],
    targets: Mapping[str, float] | None = None,
    seed: int = 0,
) -> AcrossTasks:
    """Evaluate comparisons of the same optimizers on several tasks together.

    The scores of each task are normalized by its target and the best possible score, 1 (0 for a
    metric of which less is better): 1 − (best − score)/(best − target). Aggregates, probabilities
    and profiles have intervals over seeds, by a bootstrap that draws seeds within each task; all
    tasks weigh the same. Tests and ranks are over tasks, by the means of the normalized scores.

    Args:
      comparisons: the comparison of each task, by the task's name; two or more, of the same
        optimizers. Where tasks have different numbers of seeds, only as many of the first ones are
        used as all of them have.
      targets: targets of tasks, in the unit of each one's metric, fixed in advance; for the others,
        and by default (`None`) for all, it is the hardest target of the comparison.
      seed: the seed of the resampling, at least 0.

    Returns:
      The tables, and the conclusion in sentences.

    Raises:
      ValueError: there are fewer than two comparisons, they are of different optimizers, or a task
        has no target below its best possible score.

    Source: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice,
    2021; Demšar, Statistical comparisons of classifiers over multiple data sets, 2006; Benavoli,
    Corani, Mangili, Should we really use post-hoc tests based on mean-ranks?, 2016.

    >>> across({})
    Traceback (most recent call last):
    ValueError: comparisons must be a dict of two comparisons or more, by task, not {}.
    """
    labels = _labels(comparisons)
    seed = count("seed", seed, low=0, high=2**64)
    reference = _targets(comparisons, targets)
    raw = _test_scores(comparisons, labels)
    scores = np.stack(
        [
            aggregates.normalized(raw[:, k], reference[task], best_score(comparisons[task]))
            for k, task in enumerate(comparisons)
        ],
        axis=1,
    )
    tables = Tables(tuple(comparisons), labels, scores, seed)
    aggregate_rows = tables.aggregate_rows(raw, reference)
    tests, ranks = tables.test_rows(), tables.rank_rows()
    return AcrossTasks(
        targets={
            task: -target if less_is_better(comparisons[task]) else target
            for task, target in reference.items()
        },
        aggregates=aggregate_rows,
        improvement=tables.improvement_rows(),
        score_profiles=tables.profile_rows(),
        task_tests=tests,
        task_ranks=ranks,
        conclusion=_conclusion(tables, aggregate_rows, tests, ranks),
        warnings=_warnings(tables, comparisons),
    )


def _labels(comparisons: Mapping[str, Comparison]) -> tuple[str, ...]:
    """The optimizers that all comparisons have."""
    if not isinstance(comparisons, Mapping) or len(comparisons) < 2:
        raise ValueError(
            "comparisons must be a dict of two comparisons or more, by task, not "
            f"{brief(comparisons)}."
        )
    labels: tuple[str, ...] = ()
    for task, comparison in comparisons.items():
        require_kind(f"comparisons[{task!r}]", comparison, Comparison, "jaxnet.compare(…)")
        if not isinstance(task, str) or task == ALL:
            raise ValueError(
                f"a task's name must be a text other than {ALL!r}, which is their aggregate, not "
                f"{brief(task)}."
            )
        own = tuple(row["optimizer"] for row in comparison.summary)
        if labels and {*own} != {*labels}:
            raise ValueError(
                f"all comparisons must be of the same optimizers: that of {task} has "
                f"{', '.join(own)}, and not {', '.join(labels)}."
            )
        labels = labels or own
    return labels


def _targets(
    comparisons: Mapping[str, Comparison], targets: Mapping[str, float] | None
) -> dict[str, float]:
    """The target of each task, as a score: negated for a metric of which less is better."""
    if targets is not None and not isinstance(targets, Mapping):
        raise ValueError(f"targets must be a dict of numbers, by task, not {brief(targets)}.")
    if unknown := {*(targets or {})} - {*comparisons}:
        raise ValueError(
            f"targets names {min(map(str, unknown))}, which is none of the tasks: "
            f"{', '.join(comparisons)}."
        )
    stated: dict[str, float | None] = {
        task: max(usable_targets(comparison), default=None)
        for task, comparison in comparisons.items()
    }
    for task, target in (targets or {}).items():
        sign, best = (
            -1.0 if less_is_better(comparisons[task]) else 1.0,
            best_score(comparisons[task]),
        )
        score = stated[task] = sign * constant(f"targets[{task!r}]", target, low=-math.inf)
        if not score < best:
            limit = "above 0" if sign < 0 else f"below {best:g}"
            raise ValueError(
                f"targets[{task!r}] must be {limit}, the best possible score, not {target:g}."
            )
    if without := [task for task, target in stated.items() if target is None]:
        raise ValueError(
            f"{', '.join(without)} {'have' if len(without) > 1 else 'has'} no target, which would "
            f"normalize the scores; add one: targets={{{without[0]!r}: …}}."
        )
    return {task: target for task, target in stated.items() if target is not None}


def _test_scores(
    comparisons: Mapping[str, Comparison], labels: tuple[str, ...]
) -> Float[np.ndarray, "k tasks seeds"]:
    """The test scores of the report; a score that is NaN counts as −∞."""
    by_task = [
        [
            [
                row["test_score"]
                for row in comparison.runs
                if row["phase"] == "report" and row["optimizer"] == label
            ]
            for label in labels
        ]
        for comparison in comparisons.values()
    ]
    n_seeds = min(len(scores) for of_task in by_task for scores in of_task)
    table = np.array([[scores[:n_seeds] for scores in of_task] for of_task in by_task], float)
    return np.nan_to_num(table, nan=-np.inf, posinf=np.inf, neginf=-np.inf).swapaxes(0, 1)


def _conclusion(
    tables: Tables,
    aggregate_rows: list[Row],
    tests: list[Row],
    ranks: list[Row],
) -> list[str]:
    """The results in sentences: tests, the best aggregate, ranks."""
    sentences = _differences(tests)
    if not sentences:
        few = len(tables.tasks) < aggregates.tasks_needed(len(tables.labels), ALPHA)
        how = f": there are too few, {len(tables.tasks)}" if few else ""
        sentences = [f"No difference over tasks could be found{how}."]
    best = max((row for row in aggregate_rows if row["task"] == ALL), key=lambda row: row["iqm"])
    text = conclusions.score_text("normalized score")
    ends = f"{text(best['iqm_low'])} to {text(best['iqm_high'])}"
    sentences.append(
        f"{best['optimizer']} has the best interquartile mean of the normalized scores of all "
        f"tasks, of which 0 is the target and 1 the best possible: {text(best['iqm'])} (95% "
        f"interval {ends} over seeds)."
        if math.isfinite(best["iqm"])
        else "No optimizer has a finite interquartile mean: too many runs have no score."
    )
    first = _leaders(ranks, "mean_rank")
    changes = [
        f"without {task} it is {conclusions.listed(leaders)}"
        for task in tables.tasks
        if (leaders := _leaders(ranks, f"without {task}")) != first
    ]
    stable = f"; {', '.join(changes)}" if changes else ", also with any one task left out"
    return [*sentences, f"The best mean rank is that of {conclusions.listed(first)}{stable}."]


def _differences(tests: list[Row]) -> list[str]:
    """Which optimizers are better than which over the tasks: a sentence for each that is."""
    beaten: dict[str, list[tuple[str, float]]] = {}
    for row in tests:
        if row["verdict"] != "indistinguishable":
            winner, loser = ("a", "b") if row["verdict"] == "better" else ("b", "a")
            beaten.setdefault(row[winner], []).append((row[loser], row["p_holm"]))
    corrected = f", corrected for {len(tests)} pairs" if len(tests) > 1 else ""
    return [
        f"{winner} is better than {conclusions.listed([name for name, _ in losers])} over the "
        f"{tests[0]['tasks']} tasks (p {'=' if len(losers) == 1 else '≤'} "
        f"{max(p for _, p in losers):.2g}{corrected})."
        for winner, losers in beaten.items()
    ]


def _leaders(ranks: list[Row], column: str) -> list[str]:
    """The optimizers with the least mean rank."""
    least = min(row[column] for row in ranks)
    return [row["optimizer"] for row in ranks if math.isclose(row[column], least)]


def _warnings(tables: Tables, comparisons: Mapping[str, Comparison]) -> list[str]:
    """What the tests and intervals cannot say."""
    n_tasks, n_pairs = len(tables.tasks), len(tables.pairs)
    needed = aggregates.tasks_needed(len(tables.labels), ALPHA)
    warnings = []
    if n_tasks < needed:
        smallest = statistics.smallest_p_value(n_tasks)
        exponent = str(n_tasks).translate(SUPERSCRIPTS)
        corrected = f", corrected for {n_pairs} pairs {min(1.0, n_pairs * smallest):.2g}"
        warnings.append(
            f"{n_tasks} tasks can never show a difference over tasks: the smallest p-value of the "
            f"test is 2/2{exponent} = {smallest:.2g}{corrected if n_pairs > 1 else ''}, above "
            f"{ALPHA:g}; {len(tables.labels)} optimizers need at least {needed} tasks."
        )
    counts = {
        task: len(looks.taken_seeds(comparison.manifest))
        for task, comparison in comparisons.items()
    }
    if len({*counts.values()}) > 1:
        warnings.append(
            f"The tasks have different numbers of seeds; the first {tables.n_seeds} of each count."
        )
    if in_looks := [task for task, of_task in comparisons.items() if "looks" in of_task.manifest]:
        warnings.append(
            f"The seeds of {conclusions.listed(in_looks)} were added in looks, until the result "
            "was clear: the intervals here do not account for that, and differences may be "
            "overstated."
        )
    return warnings
