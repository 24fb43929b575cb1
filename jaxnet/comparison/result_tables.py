"""The tables of a comparison, computed from its runs.

A score is higher for a better network: see `scores`. A run that diverged has an infinite loss and
the worst possible score, which is 0 for accuracies and R².
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxnet.comparison import statistics, tuning
from jaxnet.comparison.resampling import quantile
from jaxnet.comparison.tuning import Search
from jaxnet.io.csv import Row
from jaxnet.recipes.recipe import Recipe

ALPHA = 0.05
"""The level of the test that calls two optimizers different; the intervals have level 1 − ALPHA."""
GOOD = 0.01
"""A learning rate is good if its mean validation score is within this distance of the best one."""
UNDECIDED = "undecided: all runs diverged"
"""The verdict on a pair of contenders of which no run has a score."""
TEXT = ("phase", "task", "optimizer", "edge", "a", "b", "verdict", "state")
"""The columns that hold text; all others hold numbers."""


class Runs(NamedTuple):
    """All runs of one contender in one phase; arrays have shape (trials, seeds)."""

    label: str
    """The contender's name."""
    recipes: tuple[Recipe, ...]
    """The recipe of each trial, sorted by learning rate."""
    seeds: tuple[int, ...]
    """The seeds under which each trial was trained."""
    valid_loss: np.ndarray
    """Validation loss after the last epoch, without penalties; infinite for a diverged run."""
    valid_score: np.ndarray
    """Validation score after the last epoch; the worst one for a diverged run."""
    test_loss: np.ndarray
    """Test loss after the last epoch, without penalties; infinite for a diverged run."""
    test_score: np.ndarray
    """Test score after the last epoch; the worst one for a diverged run."""
    diverged_epoch: np.ndarray
    """The epoch, from 1, in which a run diverged; 0 if it did not."""
    diverged_step: np.ndarray
    """The mini-batch of that epoch, from 1, at which it diverged; 0 if it did not."""
    cost_curve: np.ndarray
    """Validation cost after each epoch, with penalties, shape (trials, seeds, epochs)."""
    score_curve: np.ndarray
    """Validation score after each epoch, shape (trials, seeds, epochs)."""
    selection_loss: np.ndarray
    """What selects trials: the validation loss or, with a metric, the negative validation score;
    infinite for a diverged run."""


def best_trial(runs: Runs) -> int:
    """The index of the trial with the least mean selection loss; 0 if all trials diverged."""
    return int(np.argmin(runs.selection_loss.mean(axis=1)))


def run_rows(phase: str, runs: Runs) -> Iterator[Row]:
    """A row for each run: its hyperparameters, losses and scores."""
    for trial, seed in np.ndindex(runs.valid_loss.shape):
        yield {
            **_run_key(phase, runs, trial, seed),
            **_hyperparameters(runs.recipes[trial]),
            "diverged_epoch": int(runs.diverged_epoch[trial, seed]),
            "diverged_step": int(runs.diverged_step[trial, seed]),
            "valid_loss": float(runs.valid_loss[trial, seed]),
            "valid_score": float(runs.valid_score[trial, seed]),
            "test_loss": float(runs.test_loss[trial, seed]),
            "test_score": float(runs.test_score[trial, seed]),
        }


def curve_rows(phase: str, runs: Runs) -> Iterator[Row]:
    """A row for each epoch of each run, up to its divergence."""
    for trial, seed, epoch in np.ndindex(runs.cost_curve.shape):
        cost = float(runs.cost_curve[trial, seed, epoch])
        if math.isfinite(cost):
            score = float(runs.score_curve[trial, seed, epoch])
            yield {
                **_run_key(phase, runs, trial, seed),
                "epoch": epoch + 1,
                "valid_cost": cost,
                "valid_score": score,
            }


def divergence_rows(tuned: Runs) -> Iterator[Row]:
    """A row for each trial of a search: how many of its seeds diverged."""
    for trial, recipe in enumerate(tuned.recipes):
        yield {
            "optimizer": tuned.label,
            "trial": trial,
            **_hyperparameters(recipe),
            "seeds": len(tuned.seeds),
            "diverged": int(np.count_nonzero(tuned.diverged_epoch[trial])),
        }


def summary_row(
    search: Search,
    tuned: Runs,
    report: Runs,
    resampled: Sequence[np.ndarray],
    seed: int,
    is_bounded: bool = True,
    alpha: float = ALPHA,
) -> Row:
    """The row of one contender in the summary: chosen numbers, test scores, robustness.

    Args:
      search: the contender's search.
      tuned: its runs under the tuning seeds.
      report: its runs under the report's seeds, one trial.
      resampled: its mean test scores and its mean test losses with seeds and examples resampled:
        two arrays of shape (resamples,).
      seed: the seed of the resampling.
      is_bounded: whether there is a worst score; without one `GOOD` has no meaning.
      alpha: the intervals have the level 1 − alpha.

    Returns:
      The row.
    """
    edge = search.edge(tuning.rate_of(tuned.recipes[best_trial(tuned)]))
    return {
        "optimizer": report.label,
        **_hyperparameters(report.recipes[0]),
        "edge": {-1: "EDGE (low)", 0: "", 1: "EDGE (high)"}[edge],
        "trials": len(tuned.recipes),
        "tuning_seeds": len(tuned.seeds),
        "seeds": len(report.seeds),
        "diverged": int(np.count_nonzero(report.diverged_epoch)),
        **_mean_columns("test_score", report.test_score[0], resampled[0], seed, alpha),
        "test_score_q10": quantile(report.test_score[0], 0.1),
        **_mean_columns("test_loss", report.test_loss[0], resampled[1], seed, alpha),
        "valid_loss": float(report.valid_loss.mean()),
        "valid_score": float(report.valid_score.mean()),
        "good_decades": good_decades(search, tuned) if is_bounded else math.nan,
        "tuning_diverged": int(np.count_nonzero(tuned.diverged_epoch)),
    }


def _mean_columns(
    name: str, values: np.ndarray, resampled_means: np.ndarray, seed: int, alpha: float
) -> dict[str, float]:
    """Mean, SD and IQM of values over seeds, with intervals; these are NaN if a value is infinite.

    Args:
      name: the name of the mean's column, with which all other names begin.
      values: one per seed, shape (seeds,).
      resampled_means: means with seeds and examples resampled, shape (resamples,).
      seed: the seed of the bootstrap over seeds.
      alpha: the intervals have the level 1 − alpha.
    """
    over_seeds = statistics.bootstrap(values, level=1 - alpha, seed=seed)
    iqm_over_seeds = statistics.bootstrap(values, statistics.iqm, 1 - alpha, seed)
    over_seeds_and_examples = statistics.percentiles(resampled_means, 1 - alpha)
    return {
        name: float(values.mean()),
        f"{name}_sd": float(np.std(values, ddof=1)) if np.isfinite(values).all() else math.nan,
        f"{name}_low": over_seeds.low,
        f"{name}_high": over_seeds.high,
        f"{name}_low_examples": over_seeds_and_examples.low,
        f"{name}_high_examples": over_seeds_and_examples.high,
        f"{name}_iqm": float(statistics.iqm(values)),
        f"{name}_iqm_low": iqm_over_seeds.low,
        f"{name}_iqm_high": iqm_over_seeds.high,
    }


def good_decades(search: Search, tuned: Runs) -> float:
    """The width, in decades, of the range of good learning rates around the best one.

    Good is a mean validation score within `GOOD` of the best one.

    Args:
      search: the search, whose learning rates must be on a grid.
      tuned: its runs under the tuning seeds.

    Returns:
      The width; 0 if only the best rate is good, NaN without a grid or if all runs diverged.
    """
    if search.tier != "lr":
        return math.nan
    if (tuned.diverged_epoch > 0).all():
        return math.nan
    mean_scores = tuned.valid_score.mean(axis=1)
    best = int(np.argmax(mean_scores))
    is_good = mean_scores >= mean_scores[best] - GOOD
    first = last = best
    while first > 0 and is_good[first - 1]:
        first -= 1
    while last + 1 < len(is_good) and is_good[last + 1]:
        last += 1
    return float((last - first) * search.step)


def pair_rows(
    reports: Sequence[Runs],
    resampled: np.ndarray,
    margin: float,
    seed: int,
    looks: Sequence[Row] = (),
) -> list[Row]:
    """A row for each pair of contenders (a, b): the difference of their test scores, and its test.

    Args:
      reports: the runs of each contender under the report's seeds, one trial.
      resampled: mean test scores with seeds and examples resampled, shape (resamples, contenders).
      margin: the difference below which two contenders are called equivalent; none are at 0, nor
        where the seeds are too few to show any difference.
      seed: the seed of the bootstrap over seeds.
      looks: of a report that was taken in looks, the rows of the last one: its tests and intervals
        take the place of those of a report with a fixed number of seeds. See `looks`.

    Returns:
      The rows.
    """
    rows = []
    alpha = looks[0]["alpha"] if looks else ALPHA
    pairs = list(itertools.combinations(range(len(reports)), 2))
    scores = [runs.test_score[0] for runs in reports]
    all_diverged = [bool((runs.diverged_epoch > 0).all()) for runs in reports]
    can_differ = smallest_p_holm(len(scores[0]), len(pairs)) <= ALPHA
    differences = [paired_differences(scores[i], scores[j]) for i, j in pairs]
    tests = [_look_test(row) for row in looks] if looks else _fixed_tests(differences, seed)
    for (i, j), difference, test in zip(pairs, differences, tests, strict=True):
        over_both = statistics.percentiles(resampled[:, i] - resampled[:, j], 1 - alpha)
        sd = float(difference.std(ddof=1)) if np.isfinite(difference).all() else math.nan
        verdict = "indistinguishable"
        if test.p_holm < ALPHA:
            verdict = "better" if test.a_is_ahead else "worse"
        if can_differ and -margin < over_both.low and over_both.high < margin:
            verdict += ", equivalent"
        if all_diverged[i] and all_diverged[j]:
            verdict = UNDECIDED
        rows.append({
            "a": reports[i].label,
            "b": reports[j].label,
            "difference": mean_of(difference),
            "low": test.interval.low,
            "high": test.interval.high,
            "low_examples": over_both.low,
            "high_examples": over_both.high,
            "sd": sd,
            "p_a_better": statistics.probability_of_superiority(scores[i], scores[j]),
            "p": test.p,
            "p_holm": test.p_holm,
            "verdict": verdict,
            "detectable": statistics.detectable_difference(sd, len(difference), alpha / len(pairs)),
        })  # fmt: skip
    return rows


def smallest_p_holm(n_seeds: int, n_pairs: int) -> float:
    """The smallest p-value that the test of a pair can give, corrected for the number of pairs.

    Args:
      n_seeds: the seeds of the report.
      n_pairs: the pairs of contenders.
    """
    return min(1.0, statistics.smallest_p_value(n_seeds) * n_pairs)


class _Test(NamedTuple):
    """What the seeds say about a pair."""

    p: float
    """The p-value of the signed-rank test."""
    p_holm: float
    """The p-value corrected for the number of pairs, and of looks; `ALPHA` is its limit."""
    a_is_ahead: bool
    """The direction of the test, which compares ranks: one failed run can turn the mean."""
    interval: statistics.Interval
    """The interval of the mean difference over seeds."""


def _fixed_tests(differences: Sequence[np.ndarray], seed: int) -> list[_Test]:
    """The test of each pair, of a number of seeds that was fixed in advance."""
    p_values = np.array([statistics.wilcoxon(difference) for difference in differences])
    return [
        _Test(
            float(p),
            float(p_holm),
            statistics.signed_ranks(difference) > 0,
            statistics.bootstrap(difference, seed=seed),
        )
        for difference, p, p_holm in zip(
            differences, p_values, statistics.holm(p_values), strict=True
        )
    ]


def _look_test(row: Row) -> _Test:
    """The test of a pair at the last look, and its interval."""
    interval = statistics.Interval(row["low"], row["high"])
    return _Test(row["p"], row["p_adjusted"], row["state"] == "better", interval)


def paired_differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The differences a − b, 0 where both are the same infinity."""
    same = a == b
    return np.where(same, 0.0, np.where(same, 0.0, a) - np.where(same, 0.0, b))


def mean_of(differences: np.ndarray) -> float:
    """The mean; NaN, without a warning, of infinities of both signs."""
    with np.errstate(invalid="ignore"):
        return float(differences.mean())


def single_seed_rows(tuned: Sequence[Runs], seed: int) -> Iterator[Row]:
    """Simulate comparisons with a single seed: how often they rank one contender above another.

    There is a row for each pair of contenders, a and b, and number of trials. A simulated
    comparison tunes and scores each contender under one of the tuning seeds, drawn for each
    contender independently.

    Args:
      tuned: the runs of each contender under the tuning seeds.
      seed: the seed of the simulation.

    Yields:
      The rows.
    """
    studies = [
        statistics.tuning_studies(runs.selection_loss, runs.test_score, seed=seed + k)
        for k, runs in enumerate(tuned)
    ]
    for i, j in itertools.combinations(range(len(tuned)), 2):
        for n, (a, b) in enumerate(zip(studies[i].T, studies[j].T), 1):
            yield {
                "a": tuned[i].label,
                "b": tuned[j].label,
                "trials": n,
                "p_a_better": statistics.probability_of_superiority(a, b),
            }


def speed_rows(report: Runs, targets: Sequence[float], steps_per_epoch: int) -> Iterator[Row]:
    """A row for each target: the median time in which runs reach this validation score.

    Args:
      report: the runs of one contender under the report's seeds, one trial.
      targets: validation scores.
      steps_per_epoch: mini-batches per epoch; times are whole epochs.

    Yields:
      The rows.
    """
    scores = report.score_curve[0]
    n_epochs = scores.shape[1]
    for target in targets:
        at_target = reaches(scores, target)
        reached = np.asarray(at_target.any(axis=1))
        first_epochs = at_target.argmax(axis=1) + 1
        # A run that diverged is censored at the horizon: earlier, it would count as nearly there.
        times = np.where(reached, first_epochs, n_epochs).astype(float)
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


def reaches(scores: np.ndarray, target: float) -> np.ndarray:
    """Whether scores are at least the target; false for NaN, after a divergence.

    Curves are recorded in float32, in which 0.95 is 0.949999988. So is the target, to be reached.
    """
    return np.asarray(scores.astype(np.float32) >= np.float32(target))


def expected_performance_rows(tuned: Runs, seed: int) -> Iterator[Row]:
    """The test score that single-seed studies report: mean and middle 90% by number of trials."""
    studies = statistics.tuning_studies(tuned.selection_loss, tuned.test_score, seed=seed)
    for n, scores in enumerate(studies.T, 1):
        low, high = statistics.percentiles(scores, 0.9)
        yield {
            "optimizer": tuned.label,
            "trials": n,
            "expected": float(scores.mean()),
            "low": low,
            "high": high,
        }


def profile_rows(times: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Performance profiles: how often each optimizer is within a factor of the fastest one.

    For an optimizer and a factor τ, the profile is the fraction of problems (a task and a target)
    on which the optimizer's median steps are at most τ times those of the fastest optimizer.
    Problems that no optimizer solves are left out.

    Args:
      times: the rows of `speed_rows` of all optimizers, by task.

    Returns:
      A row for each optimizer and each factor at which a profile may step.

    Source: Dolan, Moré, Benchmarking optimization software with performance profiles, 2002.
    """
    ratios: dict[str, list[float]] = {}
    for rows in times.values():
        for target in dict.fromkeys(row["target"] for row in rows):
            steps = {row["optimizer"]: row["median_steps"] for row in rows
                     if row["target"] == target}  # fmt: skip
            fastest = min(steps.values())
            if not math.isfinite(fastest):
                continue
            for label, median in steps.items():
                ratios.setdefault(label, []).append(median / fastest)
    finite_ratios = {ratio for row in ratios.values() for ratio in row if math.isfinite(ratio)}
    factors = sorted({1.0, *finite_ratios})
    return [
        {"optimizer": label, "factor": factor, "fraction": float(np.mean(np.array(row) <= factor))}
        for label, row in ratios.items()
        for factor in factors
    ]


def _run_key(phase: str, runs: Runs, trial: int, seed: int) -> dict[str, str | int]:
    """The columns that name a run; `seed` is its index."""
    return {"phase": phase, "optimizer": runs.label, "trial": trial, "seed": runs.seeds[seed]}


def _hyperparameters(recipe: Recipe) -> dict[str, float]:
    """The optimizer's hyperparameters, the learning rate first."""
    hyper = recipe.optimizer.hyper
    # Through their decimal forms: 0.1, not float32's 0.10000000149011612.
    decimal = {name: float(str(np.asarray(n)[()])) for name, n in hyper.items() if n is not None}
    first = {name: decimal[name] for name in ("learning_rate",) if name in decimal}
    return first | decimal
