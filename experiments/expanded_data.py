"""What do shifts by one pixel bring [784, 100, 10]: drawn anew in the loop, or as 250,000 images?

    python experiments/expanded_data.py            # 5 minutes on 2 cores
    python experiments/expanded_data.py --smoke    # seconds, for the tests

MNIST, mini-batches of 10, η along a cosine. Every arm takes 150,000 steps: 30 epochs of 50,000
images, or 6 of the expanded 250,000. Each arm chooses its η and its λ (in units of the 50,000) on a
tuning seed, by its validation accuracy after a run of a third of the epochs. It is reported from
fresh seeds, which are paired.

Source of the question: Nielsen, chapter 3, other techniques for regularization, where expanding
the training data lifts a network of 800 hidden units (Simard et al., 2003) from 98.4% to 98.9%.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

SHIFTS, ORIGINAL, EXPANDED = "shifts in the loop", "as it is", "250,000 images"
ARMS = (SHIFTS, ORIGINAL, EXPANDED)
COPIES = 5
"""Images in the expanded data for each original one: itself, and four shifted ones."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    rates: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0)
    """η to choose from."""
    strengths: tuple[float, ...] = (0.2, 0.5, 1.0, 5.0)
    """λ to choose from."""
    seeds: int = 8
    """Seeds of the report, from 0 on."""
    epochs: int = 30
    """Epochs of 50,000 images; a multiple of 15."""
    examples: int = 50_000
    """Training images, the first of MNIST."""


def accuracies(
    config: Config, arm: str, data: jn.Dataset, rates, strengths, seeds, epochs: int
) -> np.ndarray:
    """Accuracy on data.valid, (pair of η and λ, seed, epoch)."""
    examples = config.examples
    if arm == EXPANDED:
        original = jn.Split(data.train.x[: config.examples], data.train.y[: config.examples])
        data = data._replace(train=jn.augmentation.expand(original))
        epochs = epochs // COPIES
        strengths = [COPIES * l2 for l2 in strengths]  # the penalty is λ/n
        examples = None
    recipe = jn.Recipe(
        jn.sgd(0.5),
        l2=1.0,
        schedule=jn.schedules.cosine(epochs),
        augmentation=jn.Augmentation(shift=1) if arm == SHIFTS else None,
    )
    study = jn.sweep(
        jn.Network((784, 100, 10)),
        data,
        jn.grid(recipe, learning_rate=list(rates), l2=list(strengths)),
        seeds=seeds,
        epochs=epochs,
        examples=examples,
    )
    return np.asarray(study.history.evaluation_accuracy)


def run(config: Config) -> tuple[list[dict], dict]:
    """Choose η and λ for every arm, then train it from the report's seeds."""
    data = jn.datasets.mnist()
    unseen = data._replace(valid=data.test)
    pairs = [(rate, l2) for rate in config.rates for l2 in config.strengths]
    rows, curves = [], {}
    for arm in ARMS:
        tuning = accuracies(
            config, arm, data, config.rates, config.strengths,
            seeds=[1000], epochs=config.epochs // 3,
        )  # fmt: skip
        rate, l2 = pairs[int(np.argmax(tuning[:, 0, -1]))]
        report = accuracies(
            config, arm, unseen, [rate], [l2], seeds=config.seeds, epochs=config.epochs
        )
        curves[arm] = report[0]
        row = experiment.estimate_row(f"{arm}, η = {rate:g}, λ = {l2:g}", curves[arm][:, -1])
        at_edge = rate in config.rates[::3] or l2 in config.strengths[::3]
        row["verdict"] = "EDGE of the grid" if at_edge else ""
        rows.append(row)
    for arm in (SHIFTS, EXPANDED):
        name = f"{arm} − {ORIGINAL}"
        rows.append(experiment.difference_row(name, curves[arm][:, -1], curves[ORIGINAL][:, -1]))
    return rows, curves


def plot(curves: dict) -> Figure:
    """Test accuracy by images seen: mean, and range over the seeds."""
    figure, (axes,) = experiment.panels(width=7.5, height=4)
    for style, arm in enumerate(ARMS):
        accuracy = 100 * curves[arm]
        epochs = np.arange(1, accuracy.shape[1] + 1)
        if arm == EXPANDED:
            epochs = COPIES * epochs
        experiment.band(axes, epochs, accuracy, style, arm)
    lowest = min(100 * accuracy[:, -1].min() for accuracy in curves.values())
    axes.set(xlabel="epochs of 50,000 images", ylabel="test accuracy, %", ylim=(lowest - 1, None))
    axes.legend(frameon=False, loc="lower right")
    return figure


if __name__ == "__main__":
    smoke = Config(rates=(0.5,), strengths=(1.0,), seeds=2, epochs=15, examples=200)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
