"""Is a comparison right where the answer is known: two equal rules, and one that is surely worse?

    python experiments/known_answers.py            # 20 seconds on 2 cores
    python experiments/known_answers.py --smoke    # seconds, for the tests

Scikit-learn's digits, [64, 30, 10], 10 epochs, 32 report seeds. Momentum without momentum is SGD:
every difference must be exactly 0. Adam at a thousandth of its learning rate must be found worse.

Source: the two answers follow from the update rules.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

CONTESTANTS = {
    "SGD": jn.sgd(1.0),
    "momentum, decay 0": jn.momentum(1.0, decay=0.0),
    "Adam": jn.adam(0.01),
    "Adam, η/1,000": jn.adam(1e-5),
}
KNOWN = {
    ("SGD", "momentum, decay 0"): "indistinguishable, equivalent",
    ("Adam", "Adam, η/1,000"): "better",
}
"""The right verdict for each pair."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 32
    """Seeds of the report."""
    epochs: int = 10
    """Epochs of each run."""
    answers: int = 2
    """How many of the two pairs to compare."""


def run(config: Config) -> tuple[list[dict], dict]:
    """One comparison of all contestants, with nothing tuned."""
    pairs = list(KNOWN)[: config.answers]
    contestants = {name: CONTESTANTS[name] for pair in pairs for name in pair}
    comparison = jn.compare(
        jn.Network((64, 30, 10)), jn.datasets.digits(), contestants, tier="defaults",
        tuning_seeds=1, epochs=config.epochs, seeds=config.seeds, timing=False, log=None,
    )  # fmt: skip
    scores = {name: [] for name in contestants}
    for row in comparison.runs:
        if row["phase"] == "report":
            scores[row["optimizer"]].append(row["test_score"])
    verdicts = {(row["a"], row["b"]): row["verdict"] for row in comparison.pairwise}
    rows = []
    for a, b in pairs:
        row = experiment.difference_row(f"{a} − {b}", scores[a], scores[b])
        verdict = verdicts[a, b]
        row["verdict"] = "right" if verdict == KNOWN[a, b] else f"WRONG: {verdict}"
        rows.append(row)
    return rows, {"names": list(scores), "scores": list(scores.values())}


def plot(curves: dict) -> Figure:
    """Test accuracy of every seed."""
    figure, (axes,) = experiment.panels(width=7, height=2.8)
    for place, scores in enumerate(100 * curves["scores"]):
        heights = place + np.linspace(-0.25, 0.25, len(scores))
        axes.plot(scores, heights, "o", color="#7aa6c2", markersize=3)
        axes.plot(scores.mean(), place, "|", color="#b3402a", markersize=22, markeredgewidth=2)
    axes.set(
        yticks=range(len(curves["names"])),
        yticklabels=curves["names"],
        xlabel="test accuracy, %; each seed, and the mean",
    )
    axes.invert_yaxis()
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=10, epochs=1, answers=1)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
