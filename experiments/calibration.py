"""Are the statistics of a comparison right, where nothing differs and where a difference is known?

    python experiments/calibration.py            # 2 minutes on 2 cores
    python experiments/calibration.py --smoke    # seconds, for the tests

A/A: SGD against SGD on scikit-learn's digits, [64, 30, 10], 32 report seeds each, disjoint and
fixed in advance, 200 times. A test at 5% should find a difference in 5% of them, and a 95%
interval of the difference should hold 0 in 95%. A/B: differences planted into the same scores
should be found as often as the stated power says. Tuning curves: of scores that are drawn from
known distributions, the joint bands of two searches should hold in 95% of 2,000 repetitions.

Source: the thresholds are the project's own; Henderson et al., Deep reinforcement learning that
matters, 2018, section 4, split runs of one algorithm in two in the same way.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

import jaxnet as jn
from jaxnet.reporting import experiment

PLANTED = np.array([0.0, 0.001, 0.003, 0.005, 0.0075, 0.01, 0.015])
"""Differences of accuracy; 0.003 is 0.3 points."""
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    repetitions: int = 200
    """A/A comparisons."""
    seeds: int = 32
    """Seeds of each of the two contestants in every comparison."""
    epochs: int = 10
    """Epochs of each run."""
    bands: int = 2000
    """Pairs of searches with drawn scores, for the bands of tuning curves."""
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
    rows, error = [], 2 * np.sqrt(SIGNIFICANCE * (1 - SIGNIFICANCE) / config.bands)
    for name, truth in (("uniform", stats.uniform()), ("skewed", stats.beta(0.3, 2.0))):
        random = np.random.default_rng(0)
        scores = truth.rvs((config.bands, 2, config.trials), random_state=random)
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
    smoke = Config(repetitions=4, seeds=8, epochs=1, bands=100, trials=16)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
