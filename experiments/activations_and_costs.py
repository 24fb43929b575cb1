"""Which hidden activation and which cost learn 5,000 images best, each pair at its own η?

    python experiments/activations_and_costs.py            # 4 minutes on 2 cores
    python experiments/activations_and_costs.py --smoke    # seconds, for the tests

[784, 30, 10], the first 5,000 training images of MNIST, mini-batches of 10, 12 epochs, weights
N(0, 1/n_in), no regularization. Sigmoid outputs under the quadratic cost, the absolute error and
the cross-entropy, softmax outputs under the log-likelihood. Each of the 16 pairs gets the learning
rate with the best mean validation accuracy after the last epoch; then it is trained from fresh
seeds and evaluated on the test set. Under the absolute error all outputs go to 0, the median of a
target: no learning rate of the grid helps.

Source of the question: Nielsen, chapter 3, which has no numbers for it at this size.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

HIDDEN = {
    "sigmoid": jn.activations.sigmoid,
    "tanh": jn.activations.tanh,
    "relu": jn.activations.relu,
    "softplus": jn.activations.softplus,
}
COSTS = {
    "quadratic": jn.costs.Quadratic(),
    "absolute error": jn.costs.AbsoluteError(),
    "cross-entropy": jn.costs.CrossEntropy(),
    "log-likelihood": jn.costs.LogLikelihood(),
}


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    rates: tuple[float, ...] = (0.01, 0.025, 0.06, 0.15, 0.4, 1.0, 2.5, 6.0)
    """Learning rates to choose from."""
    tuning_seeds: int = 2
    """Seeds for choosing the learning rate, from 1000 on."""
    seeds: int = 16
    """Seeds for the report, from 0 on."""
    epochs: int = 12
    """Epochs of each run."""
    examples: int = 5000
    """Training images, the first of MNIST."""


def accuracies(config: Config, net: jn.Network, data: jn.Dataset, rates, seeds) -> np.ndarray:
    """The accuracy on data.valid after each epoch, (rate, seed, epoch)."""
    study = jn.sweep(
        net,
        data,
        jn.Recipe(jn.sgd(list(rates))),
        seeds=seeds,
        epochs=config.epochs,
        examples=config.examples,
        log=None,
    )
    return np.asarray(study.history.evaluation_accuracy)


def run(config: Config) -> tuple[list[dict], dict]:
    """Tune every pair of cost and activation, then train it from fresh seeds."""
    mnist = jn.datasets.mnist()
    unseen = mnist._replace(valid=mnist.test)
    tuning_seeds = range(1000, 1000 + config.tuning_seeds)
    step = 2 if config.smoke else 1
    activations, costs = list(HIDDEN)[::step], list(COSTS)[::step]
    rows, curves = [], {}
    best_valid = {}  # the best mean validation accuracy of the tuning
    last = {}  # the test accuracies after the last epoch, one for each seed
    for cost in costs:
        for hidden in activations:
            net = jn.Network((784, 30, 10), HIDDEN[hidden], COSTS[cost])
            tuning = accuracies(config, net, mnist, config.rates, tuning_seeds)[:, :, -1]
            means = np.mean(tuning, axis=1)
            best = int(np.nanargmax(means))  # NaN where a run diverged
            rate = config.rates[best]
            best_valid[hidden, cost] = means[best]
            test = accuracies(config, net, unseen, [rate], config.seeds)[0]
            curves[f"{hidden}, {cost}"] = test
            last[hidden, cost] = test[:, -1]
            row = experiment.estimate_row(f"{cost}, {hidden}, η = {rate:g}", test[:, -1])
            if best in (0, len(config.rates) - 1):
                row["verdict"] = "EDGE of the grid"
            rows.append(row)
    for hidden in activations:
        best_cost = max(costs[1:], key=lambda cost: best_valid[hidden, cost])
        rows.append(
            experiment.difference_row(
                f"{hidden}: {best_cost} − quadratic",
                last[hidden, best_cost],
                last[hidden, "quadratic"],
            )
        )
    for hidden in activations[1:]:
        rows.append(
            experiment.difference_row(
                f"cross-entropy: {hidden} − sigmoid",
                last[hidden, "cross-entropy"],
                last["sigmoid", "cross-entropy"],
            )
        )
    return rows, curves


def plot(curves: dict) -> Figure:
    """Test error by epoch, a panel for each cost: mean, and range over the seeds."""
    figure, panels = experiment.panels(1, 1, 1, 1, width=12, sharey=True)
    for cost, axes in zip(COSTS, panels, strict=True):
        for style, hidden in enumerate(HIDDEN):
            accuracy = curves.get(f"{hidden}, {cost}")
            if accuracy is not None:
                epochs = np.arange(1, accuracy.shape[1] + 1)
                experiment.band(axes, epochs, 100 - 100 * accuracy, style, hidden)
        axes.set(title=cost, xlabel="epoch", xticks=(1, 4, 8, 12))
    first = panels[0]
    first.set(yscale="log", ylabel="test error, %")
    first.set_yticks([7, 10, 20, 50, 90], ["7", "10", "20", "50", "90"])
    first.minorticks_off()
    first.legend(frameon=False, title="hidden units", loc="upper right")
    return figure


if __name__ == "__main__":
    smoke = Config(rates=(0.4,), tuning_seeds=2, seeds=2, epochs=1, examples=100)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
