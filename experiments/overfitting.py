"""How does [784, 30, 10] overfit 1,000 training images, and how much less 50,000?

    python experiments/overfitting.py            # 2 minutes on 2 cores
    python experiments/overfitting.py --smoke    # seconds, for the tests

Cross-entropy, η = 0.5, mini-batches of 10, weights N(0, 1), no regularization: the first 1,000
training images of MNIST for 400 epochs, all 50,000 for 30; evaluated on the test set.

Source: Nielsen, chapter 3, "Overfitting and regularization". With 1,000 images test accuracy peaks
at 82.27% and stalls from about epoch 280 on, training accuracy reaches 100%, and test cost is
lowest near epoch 15. With 50,000 test accuracy peaks at 95.33%, training accuracy at 97.86%.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

PUBLISHED = {"few": (0.8227, 1.0), "all": (0.9533, 0.9786)}
"""The peaks of test and training accuracy, for each set of training images."""
LOWEST = 15
"""The published epoch of the lowest test cost with few images."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Seeds of each training set, from 0 on."""
    few: int = 1_000
    """Training images of the small set, the first of MNIST."""
    few_epochs: int = 400
    """Epochs with the small set."""
    examples: int = 50_000
    """Training images of the large set."""
    epochs: int = 30
    """Epochs with the large set."""


def train(config: Config, examples: int, epochs: int) -> jn.History:
    """Costs and accuracies on the test set and the training set, each (seed, epoch)."""
    mnist = jn.datasets.mnist()
    study = jn.sweep(
        jn.Network((784, 30, 10), init=jn.initializers.large),
        mnist._replace(valid=mnist.test),
        jn.Recipe(jn.sgd(0.5)),
        seeds=config.seeds,
        epochs=epochs,
        examples=examples,
        evaluate_on=("evaluation", "training"),
    )
    return jn.History.from_array(study.history.to_array()[:, 0])


def cost_rows(history: jn.History) -> list[dict]:
    """When the test cost is lowest, and what happens from then on."""
    test_cost = np.asarray(history.evaluation_cost)
    training_cost = np.asarray(history.training_cost)
    lowest_cost = test_cost.argmin(axis=1)
    highest_accuracy = np.asarray(history.evaluation_accuracy).argmax(axis=1)
    published = min(LOWEST, test_cost.shape[1]) - 1  # the index of the published epoch
    return [
        experiment.estimate_row(
            "epoch of lowest test cost", lowest_cost + 1, LOWEST, unit="", log=True
        ),
        experiment.difference_row(
            f"test cost rises after epoch {LOWEST}",
            test_cost[:, -1], test_cost[:, published], unit="", claimed=True,
        ),
        experiment.difference_row(
            f"training cost falls after epoch {LOWEST}",
            training_cost[:, published], training_cost[:, -1], unit="", claimed=True,
        ),
        experiment.difference_row(
            "test accuracy peaks later, epochs",
            highest_accuracy, lowest_cost, unit="", claimed=True,
        ),
    ]  # fmt: skip


def run(config: Config) -> tuple[list[dict], dict]:
    """Train with both sets under all seeds; the rows on costs are of the small set."""
    sizes = {"few": (config.few, config.few_epochs), "all": (config.examples, config.epochs)}
    rows, histories, gaps = [], {}, {}
    for name, (examples, epochs) in sizes.items():
        histories[name] = history = train(config, examples, epochs)
        test = np.asarray(history.evaluation_accuracy)
        training = np.asarray(history.training_accuracy)
        test_peak, training_peak = PUBLISHED[name]
        name_of_set = f"{examples:,} images"
        rows += [
            experiment.estimate_row(f"{name_of_set}: test, peak", test.max(axis=1), test_peak),
            experiment.estimate_row(
                f"{name_of_set}: training, peak", training.max(axis=1), training_peak
            ),
        ]
        gaps[name] = training[:, -1] - test[:, -1]
    rows.append(
        experiment.difference_row(
            "more images narrow the gap, end", gaps["few"], gaps["all"], claimed=True
        )
    )
    rows += cost_rows(histories["few"])
    return rows, {name: history.to_array() for name, history in histories.items()}


def plot(curves: dict) -> Figure:
    """Accuracies of both sets, costs of the small one: mean and range over the seeds."""
    figure, (left, middle, right) = experiment.panels(1, 1, 1, width=12, height=4)
    few, every = jn.History.from_array(curves["few"]), jn.History.from_array(curves["all"])
    panels = (
        (left, "1,000 images", 100 * few.evaluation_accuracy, 100 * few.training_accuracy),
        (middle, "50,000 images", 100 * every.evaluation_accuracy, 100 * every.training_accuracy),
        (right, "1,000 images", few.evaluation_cost, few.training_cost),
    )
    for axes, title, test, training in panels:
        epochs = np.arange(1, test.shape[1] + 1)
        experiment.band(axes, epochs, training, 1, "training")
        experiment.band(axes, epochs, test, 0, "test")
        axes.set(xlabel="epoch", title=title)
    for axes, name in ((left, "few"), (middle, "all")):
        last = curves[name].shape[2]
        published = 100 * np.array(PUBLISHED[name])
        axes.plot([last, last], published, "kx", zorder=3, clip_on=False)
        axes.set(ylabel="accuracy, %", ylim=(60, 100.6))
    middle.legend(frameon=False, loc="lower right", title="× published")
    line = right.axvline(LOWEST, color="black", linestyle=":", linewidth=1, ymin=0.12)
    right.set(ylabel="cost", xscale="log", yscale="log")
    right.set_xticks([1, 10, 100], ["1", "10", "100"])
    right.set_yticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    right.legend([line], ["published: test cost lowest"], frameon=False, loc="lower left")
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, few=200, few_epochs=2, examples=200, epochs=2)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
