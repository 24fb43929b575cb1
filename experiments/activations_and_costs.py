"""Which hidden activation and which cost learn 5,000 images best, each pair at its own η?

    python experiments/activations_and_costs.py            # 4 minutes on 2 cores
    python experiments/activations_and_costs.py --smoke    # seconds, for the tests

[784, 30, 10], the first 5,000 training images of MNIST, mini-batches of 10, 12 epochs, weights
N(0, 1/n_in), no regularization. Sigmoid outputs under the quadratic cost, the absolute error and
the cross-entropy, softmax outputs under the log-likelihood. Each of the 16 pairs gets the learning
rate with the best mean validation accuracy after the last epoch; fresh seeds go to the test set.
Under the absolute error all outputs go to 0, the median of a target: no rate of the grid helps.

Source of the question: Nielsen, chapter 3, which has no numbers for it at this size.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

HIDDEN = {"sigmoid": jn.activations.sigmoid, "tanh": jn.activations.tanh,
          "relu": jn.activations.relu, "softplus": jn.activations.softplus}  # fmt: skip
COSTS = {"quadratic": jn.costs.Quadratic(), "absolute error": jn.costs.AbsoluteError(),
         "cross-entropy": jn.costs.CrossEntropy(),
         "log-likelihood": jn.costs.LogLikelihood()}  # fmt: skip


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


def accuracy(config: Config, net: jn.Network, data: jn.Dataset, rates, seeds):
    """The accuracy after each epoch, (rate, seed, epoch)."""
    recipe, options = jn.Recipe(jn.sgd(list(rates))), {"epochs": config.epochs, "log": None}
    study = jn.sweep(net, data, recipe, seeds=seeds, examples=config.examples, **options)
    return study.history.evaluation_accuracy


def run(config: Config) -> tuple[list[dict], dict]:
    """Tune every pair, then train it from fresh seeds."""
    mnist, seeds = jn.datasets.mnist(), range(1000, 1000 + config.tuning_seeds)
    on_test, rows, curves, tuned = mnist._replace(valid=mnist.test), [], {}, {}
    last = lambda hidden, cost: curves[f"{hidden}, {cost}"][:, -1]
    activations = list(HIDDEN)[:: 2 if config.smoke else 1]
    costs = list(COSTS)[:: 2 if config.smoke else 1]
    for cost in costs:
        for hidden in activations:
            net = jn.Network((784, 30, 10), HIDDEN[hidden], COSTS[cost])
            table = np.mean(accuracy(config, net, mnist, config.rates, seeds)[:, :, -1], axis=1)
            best = int(np.nanargmax(table))  # NaN where a run diverged
            tuned[hidden, cost], rate = table[best], config.rates[best]
            curves[f"{hidden}, {cost}"] = accuracy(config, net, on_test, [rate], config.seeds)[0]
            rows.append(experiment.measured(f"{cost}, {hidden}, η = {rate:g}", last(hidden, cost)))
            if best in (0, len(config.rates) - 1):
                rows[-1]["verdict"] = "EDGE of the grid"
    for hidden in activations:
        best = max(costs[1:], key=lambda cost: tuned[hidden, cost])
        pair = last(hidden, best), last(hidden, "quadratic")
        rows.append(experiment.compared(f"{hidden}: {best} − quadratic", *pair))
    for hidden in activations[1:]:
        pair = last(hidden, "cross-entropy"), last("sigmoid", "cross-entropy")
        rows.append(experiment.compared(f"cross-entropy: {hidden} − sigmoid", *pair))
    return rows, curves


def plot(curves: dict) -> Figure:
    """Test error by epoch, a panel a cost: mean, and range over the seeds."""
    figure, *four = experiment.panels(1, 1, 1, 1, width=12, sharey=True)
    for cost, axes in zip(COSTS, four, strict=True):
        for k, hidden in enumerate(HIDDEN):
            if (table := curves.get(f"{hidden}, {cost}")) is not None:
                experiment.band(
                    axes, np.arange(1, table.shape[1] + 1), 100 - 100 * table, k, hidden
                )
        axes.set(title=cost, xlabel="epoch", xticks=(1, 4, 8, 12))
    four[0].set(yscale="log", ylabel="test error, %")
    four[0].set_yticks([7, 10, 20, 50, 90], ["7", "10", "20", "50", "90"])
    four[0].minorticks_off()
    four[0].legend(frameon=False, title="hidden units", loc="upper right")
    return figure


if __name__ == "__main__":
    smoke = Config(rates=(0.4,), tuning_seeds=2, seeds=2, epochs=1, examples=100)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
