"""Are the statistics of a comparison right, where nothing differs and where a difference is known?

    python experiments/calibration.py            # 4 minutes on 2 cores
    python experiments/calibration.py --smoke    # seconds, for the tests

A/A: SGD against SGD on scikit-learn's digits, [64, 30, 10], 32 report seeds each, disjoint and
fixed in advance, 200 times. A test at 5% should find a difference in 5% of them, and a 95%
interval of the difference should hold 0 in 95%. A/B: differences planted into the same scores
should be found as often as the stated power says. Tuning curves: of scores that are drawn from
known distributions, the joint bands of two searches should hold in 95% of 2,000 repetitions.

Looks: the same where `compare(until=…)` adds the seeds until the answer is clear, on the A/A scores
and 2,000 times on drawn accuracies on 200 examples, of which many are equal. Over all looks and
pairs false differences should be found in 5% at most, and the interval at which a report stops
should hold the truth in at least 95%, both within two standard errors.

Across tasks: intervals and bands of normal scores of 8 tasks with 8 seeds each, by the stratified
bootstrap, should hold the truth in 95% of 500 repetitions, and tests of three equals over these
tasks should find a difference in 5% at most of 2,000.

Source: the thresholds are the project's own; Henderson et al., Deep reinforcement learning that
matters, 2018, section 4, split runs of one algorithm in two in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

import jaxnet as jn
from jaxnet.reporting import experiment

PLANTED = np.array([0.0, 0.001, 0.003, 0.005, 0.0075, 0.01, 0.015])
"""Differences of accuracy; 0.003 is 0.3 points."""
SIGNIFICANCE = 0.05
MOST = 64
"""Seeds of a drawn report at most, in looks at 16, 32 and 64."""
EXAMPLES, ACCURACY = 200, 0.95
"""Test examples, and their probability of a right answer, of a drawn accuracy."""
TASKS, FEW = 8, 8
"""Tasks, and seeds of each, of scores that are drawn across tasks."""
UNTIL = 0.02
"""Width at which a drawn report stops: 2 points, which takes 32 or 64 seeds."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    repetitions: int = 200
    """A/A comparisons."""
    seeds: int = 32
    """Seeds of each of the two contestants in every comparison."""
    epochs: int = 10
    """Epochs of each run."""
    drawn: int = 2000
    """Repetitions with drawn scores: reports in looks, and pairs of searches."""
    trials: int = 64
    """Random trials of each of these searches."""


def paired_differences(config: Config) -> np.ndarray:
    """Differences of test accuracy between equal contestants, (repetition, seed)."""
    digits = jn.datasets.digits()
    study = jn.sweep(
        jn.Network((64, 30, 10)),
        digits._replace(valid=digits.test),  # the curve is the score that is reported
        jn.Recipe(jn.sgd(1.0)),
        seeds=2 * config.repetitions * config.seeds,
        epochs=config.epochs,
    )
    scores = np.asarray(study.history.evaluation_accuracy[0, :, -1], float)
    pairs = scores.reshape(config.repetitions, 2, config.seeds)
    return pairs[:, 0] - pairs[:, 1]


def stated_power(config: Config, differences: np.ndarray) -> np.ndarray:
    """The power for each planted difference, averaged over the repetitions."""
    deviations = differences.std(ddof=1, axis=1)
    return np.array([
        np.mean([jn.statistics.power(planted, sd, config.seeds) for sd in deviations])
        for planted in PLANTED
    ])  # fmt: skip


def tuning_band_rows(config: Config) -> list[dict]:
    """How often joint bands of two tuning curves hold, and put one of two equals ahead."""
    trials = np.arange(1, config.trials + 1)
    rows, error = [], 2 * np.sqrt(SIGNIFICANCE * (1 - SIGNIFICANCE) / config.drawn)
    for name, truth in (("uniform", stats.uniform()), ("skewed", stats.beta(0.3, 2.0))):
        random = np.random.default_rng(0)
        scores = truth.rvs((config.drawn, 2, config.trials), random_state=random)
        ends = np.array([
            [jn.statistics.tuning_band(of_one, 1 - SIGNIFICANCE / 2)[1:3] for of_one in pair]
            for pair in scores
        ])  # fmt: skip
        low, high = ends[:, :, 0], ends[:, :, 1]  # (repetition, search, number of trials)
        medians = truth.ppf(0.5 ** (1 / trials))
        holds = np.asarray(((low <= medians) & (medians <= high)).all(axis=(1, 2)))
        is_ahead = np.asarray((low > high[:, ::-1]).any(axis=(1, 2)))
        rows += [
            experiment.share_row(
                f"tuning curves, {name}: both bands hold", holds, 1 - SIGNIFICANCE - error
            ),
            experiment.share_row(
                f"tuning curves, {name}: an equal ahead", is_ahead, 0.0, SIGNIFICANCE + error
            ),
        ]
    return rows


def drawn_accuracies(config: Config, n_contenders: int) -> np.ndarray:
    """Accuracies of equal contenders, (report, contender, seed)."""
    random = np.random.default_rng(n_contenders)
    shape = (config.drawn, n_contenders, MOST)
    return random.binomial(EXAMPLES, ACCURACY, shape) / EXAMPLES


def last_looks(reports: np.ndarray, until: float) -> list[list[dict]]:
    """The look at which each report of shape (contender, seed) stops: a row for each pair."""
    _, n_contenders, most = reports.shape
    plan = jn.comparison.looks.preset(most, n_contenders)

    def last(scores: np.ndarray) -> list[dict]:
        scores_of = lambda place: list(scores[:, : plan[place].seeds])
        return jn.comparison.looks.last_of(
            jn.comparison.looks.take(plan, "abc"[:n_contenders], until, scores_of)
        )

    return [last(scores) for scores in reports]


def looks_rows(name: str, reports: np.ndarray, until: float) -> list[dict]:
    """How often reports of equal contenders find a difference, and how often intervals hold 0."""
    ends = last_looks(reports, until)
    error = 2 * np.sqrt(SIGNIFICANCE * (1 - SIGNIFICANCE) / len(ends))
    taken = np.mean([end[0]["seeds"] for end in ends])
    note = f", {taken:.0f} of {reports.shape[2]} seeds on average"
    is_different = [any(row["p_adjusted"] < SIGNIFICANCE for row in end) for end in ends]
    # The first pair alone, so that outcomes are independent.
    holds_zero = [end[0]["low"] <= 0 <= end[0]["high"] for end in ends]
    low = 1 - SIGNIFICANCE - error
    return [
        experiment.share_row(
            f"{name}: any declared different", is_different, 0, SIGNIFICANCE + error, note
        ),
        experiment.share_row(f"{name}: interval at the end holds 0", holds_zero, low),
    ]


def expected_in_looks(shift: float, plan: Sequence[jn.comparison.looks.Look]) -> float:
    """How often normal statistics with a mean of `shift` SDs a seed are beyond a look's limit."""
    n_effective = np.array([look.seeds for look in plan]) * jn.statistics.EFFICIENCY
    limits = stats.t.isf([look.alpha / 2 for look in plan], n_effective - 1)
    steps = np.random.default_rng(0).normal(size=(100_000, len(plan)))
    sums = np.cumsum(steps * np.sqrt(np.diff(n_effective, prepend=0)), axis=1)
    statistics = sums / np.sqrt(n_effective) + shift * np.sqrt(n_effective)
    return float((np.abs(statistics) > limits).any(axis=1).mean())


def planted_rows(config: Config) -> list[dict]:
    """How often reports in looks find planted differences, in examples."""
    accuracies, rows = drawn_accuracies(config, 2), []
    sd = np.sqrt(2 * ACCURACY * (1 - ACCURACY) / EXAMPLES)
    for planted in (1 / EXAMPLES, 2 / EXAMPLES):
        shifted = accuracies + np.array([planted, 0])[:, None]
        ends = last_looks(shifted, until=1e-9)
        expected = expected_in_looks(planted / sd, jn.comparison.looks.preset(MOST, 2))
        row = experiment.share_row(
            f"looks, {100 * planted:g} points planted, found",
            [end[0]["state"] == "better" for end in ends],
            low=expected - 0.05,
            high=expected + 0.05,
            note=f", expected {100 * expected:.0f}%, "
            f"{np.mean([end[0]['seeds'] for end in ends]):.0f} of {MOST} seeds on average",
        )
        rows.append(row)
    return rows


def across_rows(config: Config) -> list[dict]:
    """How often intervals across equal tasks hold the truth, and tests over tasks err."""
    random = np.random.default_rng(0)
    spreads = np.linspace(0.5, 2, TASKS)[:, None]  # of the normal scores of each task, around 0
    thresholds = np.linspace(-2, 2, 41)
    profile = stats.norm.sf(thresholds / spreads).mean(axis=0)
    level = jn.statistics.expanded_level(1 - SIGNIFICANCE, TASKS, FEW)
    iqm_holds, band_holds, is_different = [], [], []
    for _ in range(config.drawn // 4):
        scores = spreads * random.normal(size=(TASKS, FEW))
        iqms = jn.statistics.stratified_bootstrap(scores, jn.statistics.aggregate_iqm)
        low, high = jn.statistics.percentiles(iqms, level)
        iqm_holds.append(low <= 0 <= high)
        curve = lambda x: jn.statistics.performance_profile(x, thresholds)
        curves = jn.statistics.stratified_bootstrap(scores, curve)
        half = jn.statistics.simultaneous_half_width(curve(scores), curves, FEW)
        band_holds.append(np.abs(curve(scores) - profile).max() <= half)
    for _ in range(config.drawn):
        means = (spreads * random.normal(size=(3, TASKS, FEW))).mean(axis=2)
        pairs = ((0, 1), (0, 2), (1, 2))
        p_values = np.array([jn.statistics.wilcoxon(means[i] - means[j]) for i, j in pairs])
        is_different.append(jn.statistics.holm(p_values).min() < SIGNIFICANCE)
    errors = [2 * np.sqrt(SIGNIFICANCE * (1 - SIGNIFICANCE) / len(outcomes))
              for outcomes in (iqm_holds, is_different)]  # fmt: skip
    low, name = 1 - SIGNIFICANCE - errors[0], f"across {TASKS} tasks"
    return [
        experiment.share_row(f"{name}: interval of the IQM holds it", iqm_holds, low),
        experiment.share_row(f"{name}: band holds the profile", band_holds, low),
        experiment.share_row(
            f"{name}, 3 equal: any declared different", is_different, 0, SIGNIFICANCE + errors[1]
        ),
    ]


def run(config: Config) -> tuple[list[dict], dict]:
    """All comparisons: p-values, intervals, and the power."""
    differences = paired_differences(config)
    p_values = np.array([  # (planted difference, repetition)
        [jn.statistics.wilcoxon(difference + planted) for difference in differences]
        for planted in PLANTED
    ])  # fmt: skip
    significant = p_values < SIGNIFICANCE
    intervals = np.array([jn.statistics.bootstrap(difference) for difference in differences])
    holds_zero = (intervals[:, 0] <= 0) & (intervals[:, 1] >= 0)
    power = stated_power(config, differences)
    rows = [
        experiment.share_row("A/A: declared different", significant[0], 0.02, 0.09),
        experiment.share_row("A/A: interval holds 0", holds_zero, 0.91, 0.98),
    ]
    for planted, stated, detected in zip(PLANTED[1:], power[1:], significant[1:], strict=True):
        row = experiment.share_row(
            f"{100 * planted:g} points planted, found",
            detected,
            low=stated - 0.1,
            high=stated + 0.1,
            note=f", stated {100 * stated:.0f}%",
        )
        rows.append(row)
    rows += tuning_band_rows(config)
    against_zero = np.stack([differences, np.zeros_like(differences)], axis=1)
    rows += looks_rows("looks, A/A", against_zero, UNTIL)
    for n in (2, 3):
        rows += looks_rows(f"looks, {n} equal, drawn", drawn_accuracies(config, n), UNTIL)
    rows += planted_rows(config)
    rows += across_rows(config)
    curves = {
        "p": p_values[0],
        "intervals": intervals,
        "planted": PLANTED,
        "power": power,
        "found": significant.mean(axis=1),
    }
    return rows, curves


def plot(curves: dict) -> Figure:
    """p-values where nothing differs, the intervals, and the share of planted differences found."""
    figure, (left, middle, right) = experiment.panels(1, 1, 1, width=11, height=3.6)
    left.hist(curves["p"], bins=np.linspace(0, 1, 11).tolist(), color="#7aa6c2", edgecolor="white")
    left.axhline(len(curves["p"]) / 10, color="0.3", linewidth=1, linestyle="--")
    left.set(xlabel="p-value, A/A", ylabel="comparisons", title="Nothing differs: p is uniform")

    by_centre = np.argsort(curves["intervals"].mean(axis=1))
    low, high = 100 * curves["intervals"][by_centre].T
    misses = (low > 0) | (high < 0)
    for is_miss, colour in ((False, "#7aa6c2"), (True, "#b3402a")):
        places = np.flatnonzero(misses == is_miss)
        middle.hlines(places, low[places], high[places], color=colour, linewidth=1)
    middle.axvline(0, color="black", linewidth=0.8)
    middle.set(
        xlabel="difference, points",
        ylabel="comparisons, sorted",
        title=f"Intervals: {np.mean(~misses):.1%} hold 0",
    )

    right.plot(100 * curves["planted"], curves["power"], "-", color="#7aa6c2", label="stated power")
    right.plot(100 * curves["planted"], curves["found"], "o", color="#b3402a", label="found")
    right.set(
        xlabel="planted difference, points",
        ylabel="part of the comparisons",
        title="Something differs",
        ylim=(0, 1.03),
    )
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    smoke = Config(repetitions=4, seeds=16, epochs=1, drawn=50, trials=16)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
