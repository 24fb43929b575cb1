"""Does a comparison say what is so? Where nothing differs, where something was planted.

    python experiments/calibration.py            # 2 minutes on 2 cores
    python experiments/calibration.py --smoke    # seconds, for the tests

A/A: SGD against SGD on scikit-learn's digits, [64, 30, 10], 32 report seeds each, disjoint and
fixed in advance, 200 times. A test at 5 % should find a difference in 5 % of them, and a 95 %
interval of the difference should hold 0 in 95 %. A/B: differences planted into the same scores
should be found as often as the stated power says.

Source: the thresholds are the project's own; Henderson et al., Deep reinforcement learning that
matters, 2018, section 4, split runs of one algorithm in two in the same way.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    repetitions: int = 200
    """A/A comparisons."""
    seeds: int = 32
    """Of each of the two in every comparison."""
    epochs: int = 10
    """Of every run."""


PLANTED = np.array([0.0, 0.001, 0.003, 0.005, 0.0075, 0.01, 0.015])
"""Differences of accuracy; 0.003 are 0.3 points."""


def run(config: Config) -> tuple[list[dict], dict]:
    """All comparisons, as rows."""
    net, digits = jn.Network((64, 30, 10)), jn.datasets.digits()
    on_test = digits._replace(valid=digits.test)  # the curve is the score that is reported
    n = 2 * config.repetitions * config.seeds
    study = jn.sweep(net, on_test, jn.Recipe(jn.sgd(1.0)), seeds=n, epochs=config.epochs)
    score = np.asarray(study.history.evaluation_accuracy[0, :, -1], float)
    pairs = score.reshape(config.repetitions, 2, config.seeds)
    differences = pairs[:, 0] - pairs[:, 1]
    p = np.array(
        [[jn.statistics.wilcoxon(d + planted) for d in differences] for planted in PLANTED]
    )
    intervals = np.array([jn.statistics.bootstrap(d) for d in differences])
    holds = (intervals[:, 0] <= 0) & (intervals[:, 1] >= 0)
    sd = differences.std(ddof=1, axis=1)
    power = np.array([
        np.mean([jn.statistics.power(planted, s, config.seeds) for s in sd]) for planted in PLANTED
    ])  # fmt: skip
    rows = [
        experiment.share("A/A: declared different", p[0] < 0.05, 0.02, 0.09),
        experiment.share("A/A: interval holds 0", holds, 0.91, 0.98),
    ]
    for planted, stated, found in zip(PLANTED[1:], power[1:], p[1:], strict=True):
        name, note = f"{100 * planted:g} points planted, found", f", stated {100 * stated:.0f} %"
        rows.append(experiment.share(name, found < 0.05, stated - 0.1, stated + 0.1, note))
    curves = {"p": p[0], "intervals": intervals, "planted": PLANTED, "power": power,
              "found": (p < 0.05).mean(axis=1)}  # fmt: skip
    return rows, curves


def plot(curves: dict) -> Figure:
    """p-values where nothing differs, the intervals, and what was found of what was planted."""
    figure, left, middle, right = experiment.panels(1, 1, 1, width=11, height=3.6)
    left.hist(curves["p"], bins=np.linspace(0, 1, 11), color="#7aa6c2", edgecolor="white")
    left.axhline(len(curves["p"]) / 10, color="0.3", linewidth=1, linestyle="--")
    left.set(xlabel="p-value, A/A", ylabel="comparisons", title="Nothing differs: p is uniform")
    low, high = 100 * curves["intervals"][np.argsort(curves["intervals"].mean(axis=1))].T
    misses = (low > 0) | (high < 0)
    for miss, colour in ((False, "#7aa6c2"), (True, "#b3402a")):
        rows = np.flatnonzero(misses == miss)
        middle.hlines(rows, low[rows], high[rows], color=colour, linewidth=1)
    middle.axvline(0, color="black", linewidth=0.8)
    middle.set(xlabel="difference, points", ylabel="comparisons, sorted",
               title=f"Intervals: {np.mean(~misses):.1%} hold 0")  # fmt: skip
    right.plot(100 * curves["planted"], curves["power"], "-", color="#7aa6c2", label="stated power")
    right.plot(100 * curves["planted"], curves["found"], "o", color="#b3402a", label="found")
    right.set(xlabel="planted difference, points", ylabel="part of the comparisons",
              title="Something differs", ylim=(0, 1.03))  # fmt: skip
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    smoke = Config(repetitions=4, seeds=8, epochs=1)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
