"""Which optimizer is better on the book's network, each at its own learning rate?

    python experiments/optimizers.py            # 4 minutes on 2 cores
    python experiments/optimizers.py --smoke    # seconds, for the tests

[784, 30, 10], cross-entropy, the first 10,000 training images of MNIST, mini-batches of 10, 10
epochs, no regularization, by the protocol of `jaxnet.compare`: for each optimizer 21 learning rates
under 3 seeds, its other numbers at their defaults; the one of least validation loss goes to the
test set, under 32 fresh seeds that all optimizers share. The verdict is that of a signed-rank test,
corrected by Holm's method for all pairs. Second-order methods are left to second_order.py: the
curvature of ten images is mostly noise, and a step by it costs as much as many gradients.

Source of the question: Nielsen, chapter 3, variations on stochastic gradient descent; he reports no
numbers for them.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

OPTIMIZERS = {
    "momentum": jn.momentum,
    "Nesterov": jn.nesterov,
    "Adagrad": jn.adagrad,
    "RMSProp": jn.rmsprop,
    "Adam": jn.adam,
    "AdamW": jn.adamw,
    "SGD": jn.sgd,
}
LOOKS = {
    "SGD": (experiment.line_style(0), ""),
    "momentum": (experiment.line_style(1), ""),
    "Nesterov": (experiment.line_style(1), "o"),
    "Adagrad": (experiment.line_style(2), ""),
    "RMSProp": (experiment.line_style(3), ""),
    "Adam": (experiment.line_style(4), ""),
    "AdamW": (experiment.line_style(4), "o"),
}
"""Line and marker of each optimizer; variants of a rule share a line."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    """Names of the optimizers."""
    trials: int = 21
    """Learning rates of each optimizer, over four decades."""
    tuning_seeds: int = 3
    """Seeds for choosing among them, from 0 on."""
    seeds: int = 32
    """Seeds of the report, from 1000 on."""
    epochs: int = 10
    """Epochs of each run."""
    examples: int = 10_000
    """Training images, the first of MNIST."""


def run(config: Config) -> tuple[list[dict], dict]:
    """Compare the optimizers, and collect the rows and the curves from the comparison's tables."""
    mnist = jn.datasets.mnist()
    subset = jn.Split(mnist.train.x[: config.examples], mnist.train.y[: config.examples])
    chosen = {name: make for name, make in OPTIMIZERS.items() if name in config.optimizers}
    comparison = jn.compare(
        jn.Network((784, 30, 10)),
        mnist._replace(train=subset),
        chosen,
        seeds=config.seeds,
        epochs=config.epochs,
        trials=config.trials,
        tuning_seeds=config.tuning_seeds,
        timing=False,
    )
    print(comparison)
    rows, curves = [], {}
    for summary in comparison.summary:
        name = summary["optimizer"]
        runs = [run for run in comparison.runs if run["optimizer"] == name]
        test = [run["test_score"] for run in runs if run["phase"] == "report"]
        losses = [
            (run["learning_rate"], run["valid_loss"]) for run in runs if run["phase"] == "tuning"
        ]
        curves[name] = test
        curves[f"{name}, tuning"] = np.reshape(losses, (-1, config.tuning_seeds, 2)).mean(axis=1)
        row = experiment.estimate_row(f"{name}, η = {summary['learning_rate']:.2g}", test)
        row["verdict"] = summary["edge"]
        rows.append(row)
    for pair in comparison.pairwise:
        if pair["b"] == "SGD":
            name = pair["a"]
            row = experiment.difference_row(f"{name} − SGD", curves[name], curves["SGD"])
            row["verdict"] = f"{pair['verdict']}, p = {pair['p_holm']:.1g}"
            rows.append(row)
    return rows, curves


def plot(curves: dict) -> Figure:
    """Test accuracy, seed by seed, its mean and interval; validation loss by learning rate."""
    figure, (left, right) = experiment.panels(2, 3, width=10, height=4.2)
    names = [name for name in LOOKS if name in curves]
    random = np.random.default_rng(0)
    for k, name in enumerate(names):
        line, marker = LOOKS[name]
        color, test = line["color"], 100 * curves[name]
        heights = k + random.uniform(0.15, 0.4, len(test))
        left.plot(test, heights, ".", alpha=0.5, color=color)
        row = experiment.estimate_row(name, test)
        half_width = row["high"] - row["mean"]
        left.errorbar(row["mean"], k, xerr=half_width, fmt="o", capsize=4, color=color)
        rates, losses = curves[f"{name}, tuning"].T
        right.plot(rates, losses, label=name, marker=marker, markersize=3, **line)
    left.set(yticks=range(len(names)), yticklabels=names, xlabel="test accuracy, %")
    left.invert_yaxis()
    right.set(xscale="log", yscale="log", xlabel="learning rate η", ylabel="validation loss")
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    smoke = Config(
        optimizers=("momentum", "SGD"), trials=5, tuning_seeds=1, seeds=2, epochs=1, examples=100
    )
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
