"""The tables of a comparison, from the runs it has made.

A score is what is better when it is higher: the accuracy, or R² for float targets, 0 where that is
negative. A run that diverged has learnt nothing: its loss is infinite, and its score is 0.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.comparison import statistics, tuning
from jaxnet.comparison.tuning import Search
from jaxnet.io.csv import Row
from jaxnet.recipes.recipe import Recipe

ALPHA = 0.05
"""The level of the test that decides "different", and of all intervals."""
GOOD = 0.01
"""A learning rate is good if its validation score is so near to the best one's."""


TEXT = ("phase", "optimizer", "edge", "a", "b", "verdict")
"""The columns of tables that are text; all others are numbers."""


class Runs(NamedTuple):
    """What became of the runs of one contender: a row a trial, a column a seed."""

    label: str
    recipes: tuple[Recipe, ...]
    seeds: tuple[int, ...]
    valid_loss: np.ndarray
    """After the last epoch, without penalties; infinite for a run that diverged."""
    valid_score: np.ndarray
    test_loss: np.ndarray
    test_score: np.ndarray
    diverged_epoch: np.ndarray
    """From 1; 0 for a run that did not diverge."""
    diverged_step: np.ndarray
    cost_curve: np.ndarray
    """The validation cost after each epoch, with penalties: (trials, seeds, epochs)."""
    score_curve: np.ndarray


def best_trial(runs: Runs) -> int:
    """The trial with the least mean validation loss; the first one if all have diverged."""
    return int(np.argmin(runs.valid_loss.mean(axis=1)))


def run_rows(phase: str, runs: Runs) -> Iterator[Row]:
    """A row for each run."""
    for trial, seed in np.ndindex(runs.valid_loss.shape):
        yield {
            **_named(phase, runs, trial, seed),
            **_numbers(runs.recipes[trial]),
            "diverged_epoch": int(runs.diverged_epoch[trial, seed]),
            "diverged_step": int(runs.diverged_step[trial, seed]),
            "valid_loss": float(runs.valid_loss[trial, seed]),
            "valid_score": float(runs.valid_score[trial, seed]),
            "test_loss": float(runs.test_loss[trial, seed]),
            "test_score": float(runs.test_score[trial, seed]),
        }


def curve_rows(phase: str, runs: Runs) -> Iterator[Row]:
    """A row for each epoch of each run; none after a run has diverged."""
    for trial, seed, epoch in np.ndindex(runs.cost_curve.shape):
        cost = float(runs.cost_curve[trial, seed, epoch])
        if math.isfinite(cost):
            score = float(runs.score_curve[trial, seed, epoch])
            told = {"epoch": epoch + 1, "valid_cost": cost, "valid_score": score}
            yield _named(phase, runs, trial, seed) | told


def divergence_rows(tuned: Runs) -> Iterator[Row]:
    """How many seeds diverged, a row for each trial of the search."""
    for trial, recipe in enumerate(tuned.recipes):
        n = int(np.count_nonzero(tuned.diverged_epoch[trial]))
        yield {
            "optimizer": tuned.label, "trial": trial, **_numbers(recipe),
            "seeds": len(tuned.seeds), "diverged": n,
        }  # fmt: skip


def summary_row(
    search: Search, tuned: Runs, report: Runs, drawn: Sequence[np.ndarray], seed: int
) -> Row:
    """What is reported of one contender.

    Args:
      search: where it was looked for.
      tuned: its runs from the tuning seeds.
      report: its runs from the report's seeds, one trial.
      drawn: means of its test scores and losses, seeds and examples resampled.
      seed: of the resampling.
    """
    edge = search.edge(tuning.rate_of(tuned.recipes[best_trial(tuned)]))
    return {
        "optimizer": report.label,
        **_numbers(report.recipes[0]),
        "edge": {-1: "EDGE (low)", 0: "", 1: "EDGE (high)"}[edge],
        "trials": len(tuned.recipes),
        "tuning_seeds": len(tuned.seeds),
        "seeds": len(report.seeds),
        "diverged": int(np.count_nonzero(report.diverged_epoch)),
        **_described("test_score", report.test_score[0], drawn[0], seed),
        "test_score_q10": float(np.quantile(report.test_score[0], 0.1)),
        **_described("test_loss", report.test_loss[0], drawn[1], seed),
        "valid_loss": float(report.valid_loss.mean()),
        "valid_score": float(report.valid_score.mean()),
        "good_decades": good_decades(search, tuned),
        "tuning_diverged": int(np.count_nonzero(tuned.diverged_epoch)),
    }


def _described(name: str, x: np.ndarray, drawn: np.ndarray, seed: int) -> dict[str, float]:
    """Mean, SD and interquartile mean of it, with their intervals; NaN if one is not finite."""
    mean = statistics.bootstrap(x, seed=seed)
    middle = statistics.bootstrap(x, statistics.iqm, seed=seed)
    both = statistics.percentiles(drawn)
    return {
        name: float(x.mean()),
        f"{name}_sd": float(np.std(x, ddof=1)) if np.isfinite(x).all() else math.nan,
        f"{name}_low": mean.low,
        f"{name}_high": mean.high,
        f"{name}_low_examples": both.low,
        f"{name}_high_examples": both.high,
        f"{name}_iqm": float(statistics.iqm(x)),
        f"{name}_iqm_low": middle.low,
        f"{name}_iqm_high": middle.high,
    }


def good_decades(search: Search, tuned: Runs) -> float:
    """The width, in decades, of the learning rates around the best one that are good, too.

    NaN where learning rates are not on a grid.
    """
    if search.tier != "lr":
        return math.nan
    score = tuned.valid_score.mean(axis=1)
    best = int(np.argmax(score))
    if score[best] <= 0:  # all have diverged
        return math.nan
    good = score >= score[best] - GOOD
    low = best - int(np.argmin(np.append(good[best::-1], False))) + 1
    high = best + int(np.argmin(np.append(good[best:], False))) - 1
    return float((high - low) * search.step)


def pair_rows(reports: Sequence[Runs], drawn: np.ndarray, margin: float, seed: int) -> list[Row]:
    """A row for each pair of contenders: by how much the first is ahead of the second.

    Args:
      reports: the runs of each from the report's seeds, one trial.
      drawn: means of the test scores, seeds and examples resampled: (resamples, contenders).
      margin: within which two are called equivalent.
      seed: of the resampling.
    """
    rows = []
    pairs = list(itertools.combinations(range(len(reports)), 2))
    scores = [runs.test_score[0] for runs in reports]
    p = np.array([statistics.wilcoxon(scores[i] - scores[j]) for i, j in pairs])
    for (i, j), alone, adjusted in zip(pairs, p, statistics.holm(p), strict=True):
        difference = scores[i] - scores[j]
        interval = statistics.bootstrap(difference, seed=seed)
        both = statistics.percentiles(drawn[:, i] - drawn[:, j])
        sd = float(difference.std(ddof=1))
        # The test is one of ranks: a mean that one lost run has moved does not turn it round.
        ahead = statistics.signed_ranks(difference) > 0
        words = ("better" if ahead else "worse") if adjusted < ALPHA else "indistinguishable"
        inside = -margin < both.low and both.high < margin
        rows.append({
            "a": reports[i].label,
            "b": reports[j].label,
            "difference": float(difference.mean()),
            "low": interval.low,
            "high": interval.high,
            "low_examples": both.low,
            "high_examples": both.high,
            "sd": sd,
            "p_a_better": statistics.probability_of_superiority(scores[i], scores[j]),
            "p": float(alone),
            "p_holm": float(adjusted),
            "verdict": words + (", equivalent" if inside else ""),
            "detectable": statistics.detectable_difference(sd, len(difference), ALPHA / len(pairs)),
        })  # fmt: skip
    return rows


def usual_rows(tuned: Sequence[Runs], seed: int) -> Iterator[Row]:
    """How often, by its trials, a study with one seed would put the first of a pair ahead.

    Tuned, selected and reported with that one seed; the two of a pair have seeds of their own.
    """
    studies = [
        statistics.tuning_studies(runs.valid_loss, runs.test_score, seed=seed + k)
        for k, runs in enumerate(tuned)
    ]
    for i, j in itertools.combinations(range(len(tuned)), 2):
        for n, (a, b) in enumerate(zip(studies[i].T, studies[j].T), 1):
            told = {"trials": n, "p_a_better": statistics.probability_of_superiority(a, b)}
            yield {"a": tuned[i].label, "b": tuned[j].label} | told


def speed_rows(report: Runs, targets: Sequence[float], steps_per_epoch: int) -> Iterator[Row]:
    """When the runs reached each target, on validation, to the resolution of an epoch."""
    curve = report.score_curve[0]
    horizon = curve.shape[1]
    for target in targets:
        there = curve >= target  # false for NaN, after a divergence
        reached = there.any(axis=1)
        # A run that diverged is censored at the horizon: earlier, it would count as nearly there.
        times = np.where(reached, there.argmax(axis=1) + 1, horizon).astype(float)
        median, fraction = statistics.time_to(times, reached)
        yield {
            "optimizer": report.label,
            "target": target,
            "median_epochs": median,
            "median_steps": median * steps_per_epoch,
            "fraction_reached": fraction,
            "seeds": len(reached),
            "censored": int(np.count_nonzero(~reached)),
            "resolution_steps": steps_per_epoch,
        }


def expected_performance_rows(tuned: Runs, seed: int) -> Iterator[Row]:
    """What a study with one seed would report after so many trials: mean and middle 90 %."""
    studies = statistics.tuning_studies(tuned.valid_loss, tuned.test_score, seed=seed)
    for n, found in enumerate(studies.T, 1):
        low, high = statistics.percentiles(found, 0.9)
        told = {"expected": float(found.mean()), "low": low, "high": high}
        yield {"optimizer": tuned.label, "trials": n, **told}


def profile_rows(times: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Performance profiles: for each optimizer, on what part of the tasks' targets it is how near.

    That is, by a factor, the part of the targets that it reaches, in the median, in at most so many
    times the steps of the fastest of those compared. Targets that none reaches are left out.

    Args:
      times: the rows of `speed_rows` of all optimizers, by task.

    Source: Dolan, Moré, Benchmarking optimization software with performance profiles, 2002.
    """
    ratios: dict[str, list[float]] = {}
    for rows in times.values():
        for target in dict.fromkeys(row["target"] for row in rows):
            some = {row["optimizer"]: row["median_steps"] for row in rows
                    if row["target"] == target}  # fmt: skip
            best = min(some.values())
            for label, steps in some.items() if math.isfinite(best) else ():
                ratios.setdefault(label, []).append(steps / best)
    factors = sorted({1.0, *(r for some in ratios.values() for r in some if math.isfinite(r))})
    return [
        {"optimizer": label, "factor": factor, "fraction": float(np.mean(np.array(some) <= factor))}
        for label, some in ratios.items()
        for factor in factors
    ]


def _named(phase: str, runs: Runs, trial: int, seed: int) -> dict[str, Any]:
    return {"phase": phase, "optimizer": runs.label, "trial": trial, "seed": runs.seeds[seed]}


def _numbers(recipe: Recipe) -> dict[str, float]:
    """Its hyperparameters, the learning rate first."""
    hyper = recipe.optimizer.hyper
    # Through their decimal forms: 0.1, not float32's 0.10000000149011612.
    decimal = {name: float(str(np.asarray(n)[()])) for name, n in hyper.items() if n is not None}
    first = {name: decimal[name] for name in ("learning_rate",) if name in decimal}
    return first | decimal
