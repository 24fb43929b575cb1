"""The tables of several tasks, computed from normalized scores."""

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.comparison import aggregates, statistics
from jaxnet.comparison.comparison_folder import Comparison
from jaxnet.comparison.resampling import Interval, percentiles
from jaxnet.comparison.result_tables import ALPHA, paired_differences
from jaxnet.io.csv import Row

ALL = "all tasks"
"""What tables call the aggregate over the tasks."""
TABLES = ("aggregates", "improvement", "score_profiles", "task_tests", "task_ranks")
"""The tables across tasks: fields of `AcrossTasks`, and the names of its CSV files."""
N_THRESHOLDS = 101
"""Scores at which profiles are evaluated."""


def less_is_better(comparison: Comparison) -> bool:
    """Whether scores are a negated metric; older manifests say so by a minus sign alone.

    Args:
      comparison: the comparison of a task.
    """
    manifest = comparison.manifest
    return not manifest.get("higher_is_better", not manifest["score"].startswith("−"))


def best_score(comparison: Comparison) -> float:
    """The best possible score: 1, or 0 for a metric of which less is better.

    Args:
      comparison: the comparison of a task.
    """
    return 0.0 if less_is_better(comparison) else 1.0


def usable_targets(comparison: Comparison) -> list[float]:
    """The targets of a comparison that can normalize its scores: those below the best score.

    Args:
      comparison: the comparison of a task.
    """
    targets = comparison.manifest["protocol"]["targets"]
    return [target for target in targets if target < best_score(comparison)]


class Tables(NamedTuple):
    """The normalized scores, and the tables that are computed from them."""

    tasks: tuple[str, ...]
    labels: tuple[str, ...]
    scores: Float[np.ndarray, "k tasks seeds"]
    seed: int

    @property
    def n_seeds(self) -> int:
        """The number of seeds of each task."""
        return self.scores.shape[-1]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs of optimizers."""
        return list(itertools.combinations(range(len(self.labels)), 2))

    def parts(self) -> list[tuple[str, Float[np.ndarray, "k tasks seeds"]]]:
        """The scores of each task, and those of all."""
        single = [(task, self.scores[:, [k]]) for k, task in enumerate(self.tasks)]
        return [*single, (ALL, self.scores)]

    def interval(self, draws: Float[np.ndarray, " n"], n_tasks: int) -> Interval:
        """The 95% interval of a statistic of so many tasks, from its draws."""
        return percentiles(draws, aggregates.expanded_level(1 - ALPHA, n_tasks, self.n_seeds))

    def aggregate_rows(
        self, raw: Float[np.ndarray, "k tasks seeds"], targets: Mapping[str, float]
    ) -> list[Row]:
        """IQM and gap of each optimizer, for each task and for all."""
        rows = []
        for place, (task, scores) in enumerate(self.parts()):
            iqms = aggregates.stratified_bootstrap(scores, aggregates.aggregate_iqm, self.seed)
            gaps = aggregates.stratified_bootstrap(scores, _gap, self.seed)
            iqm, gap = aggregates.aggregate_iqm(scores), _gap(scores)
            for k, label in enumerate(self.labels):
                of_iqm, of_gap = (
                    self.interval(draws[:, k], scores.shape[1]) for draws in (iqms, gaps)
                )
                is_all = task == ALL  # whose scores before normalization have no common unit
                rows.append({
                    "task": task,
                    "optimizer": label,
                    "seeds": self.n_seeds,
                    "target": math.nan if is_all else targets[task],
                    "test_score": math.nan if is_all else float(raw[k, place].mean()),
                    "mean": float(scores[k].mean()),
                    "iqm": float(iqm[k]), "iqm_low": of_iqm.low, "iqm_high": of_iqm.high,
                    "gap": float(gap[k]), "gap_low": of_gap.low, "gap_high": of_gap.high,
                })  # fmt: skip
        return rows

    def improvement_rows(self) -> list[Row]:
        """P(A > B) of each pair, for each task and for all."""
        rows = []
        for task, scores in self.parts():
            value = self._improvement(scores)
            draws = aggregates.stratified_bootstrap(scores, self._improvement, self.seed)
            for k, (i, j) in enumerate(self.pairs):
                interval = self.interval(draws[:, k], scores.shape[1])
                rows.append({
                    "task": task,
                    "a": self.labels[i],
                    "b": self.labels[j],
                    "p_improvement": float(value[k]),
                    "low": interval.low,
                    "high": interval.high,
                })  # fmt: skip
        return rows

    def _improvement(
        self, scores: Float[np.ndarray, "... k tasks seeds"]
    ) -> Float[np.ndarray, "... pairs"]:
        rounded = np.round(scores, 12)  # equal scores are ties, whatever their last bits
        return np.stack(
            [
                aggregates.probability_of_improvement(rounded[..., i, :, :], rounded[..., j, :, :])
                for i, j in self.pairs
            ],
            axis=-1,
        )

    def profile_rows(self) -> list[Row]:
        """The profile of each optimizer, with its band."""
        finite = self.scores[np.isfinite(self.scores)]
        if not finite.size:
            return []
        # Few runs that failed would stretch the scale: they are the fraction that is never reached.
        low = float(np.quantile(finite, 0.05, method="lower"))
        thresholds = np.linspace(low, float(finite.max()), N_THRESHOLDS)
        profile = lambda scores: aggregates.performance_profile(scores, thresholds)
        values = profile(self.scores)
        draws = aggregates.stratified_bootstrap(self.scores, profile, self.seed)
        rows = []
        for k, label in enumerate(self.labels):
            width = aggregates.simultaneous_half_width(
                values[k], draws[:, k], self.n_seeds, 1 - ALPHA
            )
            rows += [
                {
                    "optimizer": label,
                    "score": tau,
                    "fraction": fraction,
                    "low": max(fraction - width, 0.0),
                    "high": min(fraction + width, 1.0),
                }
                for tau, fraction in zip(thresholds.tolist(), values[k].tolist(), strict=True)
            ]
        return rows

    def task_means(self) -> Float[np.ndarray, "k tasks"]:
        """The mean normalized score of each optimizer on each task."""
        return self.scores.mean(axis=-1)

    def test_rows(self) -> list[Row]:
        """The signed-rank test over tasks of each pair."""
        means = self.task_means()
        differences = [paired_differences(means[i], means[j]) for i, j in self.pairs]
        p_values = np.array([statistics.wilcoxon(difference) for difference in differences])
        rows = []
        for (i, j), difference, p, p_holm in zip(
            self.pairs, differences, p_values, statistics.holm(p_values), strict=True
        ):
            is_ahead = statistics.signed_ranks(difference) > 0
            with np.errstate(invalid="ignore"):  # the mean of infinities of both signs is NaN
                mean = float(difference.mean())
            rows.append({
                "a": self.labels[i],
                "b": self.labels[j],
                "tasks": len(self.tasks),
                "difference": mean,
                "p": float(p),
                "p_holm": float(p_holm),
                "verdict": "indistinguishable" if p_holm >= ALPHA
                           else "better" if is_ahead else "worse",
            })  # fmt: skip
        return rows

    def rank_rows(self) -> list[Row]:
        """The mean ranks, and those with each task left out."""
        means = self.task_means()
        columns = {"mean_rank": aggregates.mean_ranks(means)} | {
            f"without {task}": aggregates.mean_ranks(np.delete(means, k, axis=1))
            for k, task in enumerate(self.tasks)
        }
        return [
            {"optimizer": label} | {name: float(ranks[k]) for name, ranks in columns.items()}
            for k, label in enumerate(self.labels)
        ]


def _gap(scores: np.ndarray) -> np.ndarray:
    """The gap to the target, which is 0 on the scale of normalized scores."""
    return aggregates.optimality_gap(scores, 0.0)
