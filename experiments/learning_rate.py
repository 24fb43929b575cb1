"""Does the learning rate alone decide where the training cost of [784, 30, 10] ends?

    python experiments/learning_rate.py            # 3 minutes on 2 cores
    python experiments/learning_rate.py --smoke    # seconds, for the tests

η = 0.025, 0.25 and 2.5 for 30 epochs of all 50,000 training images of MNIST, in mini-batches of 10;
cross-entropy, λ = 5, weights N(0, 1/n_in).

Source: Nielsen, chapter 3, "How to choose a neural network's hyper-parameters?", the figure
of three training costs: they end at 0.339, 0.339 and 0.861.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

PUBLISHED = {0.025: 0.339, 0.25: 0.339, 2.5: 0.861}
"""The training cost after the last epoch, by η."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Seeds of each learning rate, from 0 on."""
    epochs: int = 30
    """Epochs of each run."""
    examples: int = 50_000
    """Training images, the first of MNIST."""


def run(config: Config) -> tuple[list[dict], dict]:
    """All three learning rates under all seeds, in one sweep."""
    study = jn.sweep(
        jn.Network((784, 30, 10)),
        jn.datasets.mnist(),
        jn.Recipe(jn.sgd(list(PUBLISHED)), l2=5.0),
        seeds=config.seeds,
        epochs=config.epochs,
        examples=config.examples,
        evaluate_on=("training",),
    )
    cost = study.history.training_cost
    last = dict(zip(PUBLISHED, cost[:, :, -1], strict=True))
    rows = [
        experiment.estimate_row(f"cost at η = {rate:g}", last[rate], published, unit="", log=True)
        for rate, published in PUBLISHED.items()
    ]
    name = "at η = 2.5 it is higher than at 0.25"
    rows.append(experiment.difference_row(name, last[2.5], last[0.25], unit="", claimed=True))
    return rows, {"cost": cost}


def plot(curves: dict) -> Figure:
    """Training cost by epoch: mean, and range over the seeds; published ends as crosses."""
    figure, (axes,) = experiment.panels(width=7, height=4)
    epochs = np.arange(1, curves["cost"].shape[2] + 1)
    for k, (rate, published) in enumerate(PUBLISHED.items()):
        experiment.band(axes, epochs, curves["cost"][k], k, f"η = {rate:g}")
        color = experiment.line_style(k)["color"]
        axes.plot(epochs[-1] + 0.6, published, "x", color=color, markersize=8, clip_on=False)
    axes.set(xlabel="epoch", ylabel="training cost", yscale="log", xlim=(0, epochs[-1] + 1))
    axes.set_yticks([0.2, 0.3, 0.5, 1, 2], ["0.2", "0.3", "0.5", "1", "2"])
    axes.minorticks_off()
    axes.legend(frameon=False, title="× published")
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, epochs=2, examples=500)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
