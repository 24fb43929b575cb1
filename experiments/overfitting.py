"""How does [784, 30, 10] overfit 1,000 training images, and how much less 50,000?

    python experiments/overfitting.py            # 2 minutes on 2 cores
    python experiments/overfitting.py --smoke    # seconds, for the tests

Cross-entropy, η = 0.5, mini-batches of 10, weights N(0, 1), no regularization: the first 1,000
training images of MNIST for 400 epochs, all 50,000 for 30; evaluated on the test set.

Source: Nielsen, chapter 3, "Overfitting and regularization". With 1,000 images test accuracy peaks
at 82.27 % and stalls from about epoch 280 on, training accuracy reaches 100 %, and test cost is
lowest near epoch 15. With 50,000 test accuracy peaks at 95.33 %, training accuracy at 97.86 %.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

PUBLISHED, LOWEST = {"few": (0.8227, 1.0), "all": (0.9533, 0.9786)}, 15


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Of each training set, from 0 on."""
    few: int = 1_000
    """Training images of the small set, the first of MNIST."""
    few_epochs: int = 400
    """Epochs with the small set."""
    examples: int = 50_000
    """Training images of the large set."""
    epochs: int = 30
    """Epochs with the large set."""


def run(config: Config) -> tuple[list[dict], dict]:
    """Both sets under all seeds; the rows on costs are of the small one."""
    mnist = jn.datasets.mnist()
    curves, rows, gaps = {}, [], []
    sizes = (config.few, config.few_epochs), (config.examples, config.epochs)
    for (name, published), (examples, epochs) in zip(PUBLISHED.items(), sizes, strict=True):
        study = jn.sweep(
            jn.Network((784, 30, 10), init=jn.initializers.large),
            mnist._replace(valid=mnist.test),
            jn.Recipe(jn.sgd(0.5)),
            seeds=config.seeds,
            epochs=epochs,
            examples=examples,
            evaluate_on=("evaluation", "training"),
        )
        curves[name] = np.array(study.history)[:, 0]
        _, test, _, training = curves[name]
        for what, table, value in zip(("test", "training"), (test, training), published):
            told = f"{examples:,} images: {what}, peak"
            rows.append(experiment.measured(told, table.max(axis=1), value))
        gaps.append(training[:, -1] - test[:, -1])
    rows.append(experiment.compared("more images narrow the gap, end", *gaps, claimed=True))
    test, accuracy, training, _ = curves["few"]
    low, best, there = test.argmin(axis=1), accuracy.argmax(axis=1), min(LOWEST, test.shape[1]) - 1
    rows.append(experiment.measured("epoch of lowest test cost", low + 1, LOWEST, "", log=True))
    for name, more, less in (
        (f"test cost rises after epoch {LOWEST}", test[:, -1], test[:, there]),
        (f"training cost falls after epoch {LOWEST}", training[:, there], training[:, -1]),
        ("test accuracy peaks later, epochs", best, low),
    ):
        rows.append(experiment.compared(name, more, less, "", claimed=True))
    return rows, curves


def plot(curves: dict) -> Figure:
    """Accuracies of both sets, costs of the small one: mean and range over the seeds."""
    figure, left, middle, right = experiment.panels(1, 1, 1, width=12, height=4)
    for name, first, axes in (("few", 1, left), ("all", 1, middle), ("few", 0, right)):
        test, training = curves[name][first], curves[name][first + 2]
        scale, epochs = 100 if first else 1, np.arange(1, test.shape[1] + 1)
        experiment.band(axes, epochs, scale * training, 1, "training")
        experiment.band(axes, epochs, scale * test, 0, "test")
        axes.set(xlabel="epoch", title="1,000 images" if name == "few" else "50,000 images")
        if first:
            published = 100 * np.array(PUBLISHED[name])
            axes.plot(epochs[[-1, -1]], published, "kx", zorder=3, clip_on=False)
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
