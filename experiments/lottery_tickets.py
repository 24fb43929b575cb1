"""Does a pruned network train as well as the whole one, if it starts from the same weights?

    python experiments/lottery_tickets.py            # 3 minutes on 2 cores
    python experiments/lottery_tickets.py --smoke    # seconds, for the tests

[784, 30, 10], relu, log-likelihood, Adam, η = 0.001, mini-batches of 60, ten epochs of MNIST. The
weights of smallest magnitude after training are removed, once, in each layer; in the output layer
half as large a part. The rest is trained again: from its first weights (a ticket), or from newly
drawn ones; and so is a network of the first weights with as many removed at random. Accuracy on the
validation set after the last epoch.

Source: Frankle and Carbin, The lottery ticket hypothesis, 2019, sections 1 and 2 and figure 1: a
ticket learns at least as well as the whole network, up to a high sparsity, and better than the same
mask with new weights. They prune [784, 300, 100, 10], in many rounds; this is their one-shot form,
at a tenth of the size.
"""

from dataclasses import dataclass

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

NET = jn.Network((784, 30, 10), jn.activations.relu, jn.costs.LogLikelihood(), jn.initializers.he)
KINDS = ("ticket", "new weights", "random mask")


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    sparsities: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95, 0.98)
    """Fractions of the weights that are removed."""
    epochs: int = 10
    """Epochs of each training."""
    examples: int = 50_000
    """Training images, from the first on."""
    seeds: int = 16
    """Seeds, from 0 on."""


def train(config: Config, params: list, trainable: list) -> jn.Study:
    """One sweep: a setting for each entry, with weights and masks for each seed."""
    mnist = jn.datasets.mnist()
    data = mnist._replace(train=mnist.train.take(slice(config.examples)))
    recipes = [jn.Recipe(jn.adam(0.001))] * len(params)
    return jn.sweep(
        NET, data, recipes, seeds=config.seeds, epochs=config.epochs, batch_size=60,
        params=params, trainable=trainable,
    )  # fmt: skip


def pruned(params: tuple, sparsity: float) -> tuple:
    """The mask without the smallest weights: a part of them, in the output layer half as large."""
    *hidden, _ = jn.pruning.magnitude(params, sparsity)
    *_, output = jn.pruning.magnitude(params, sparsity / 2)
    return (*hidden, output)


def shuffled(mask: tuple, seed: int) -> tuple:
    """A mask that removes as many weights of each layer, at random."""
    random = np.random.default_rng(seed)
    return tuple(layer._replace(w=random.permuted(layer.w)) for layer in mask)


def run(config: Config) -> tuple[list[dict], dict]:
    """The whole networks first, then all pruned ones in one sweep."""
    seeds = range(config.seeds)
    first = [jn.init(NET, jax.random.key(seed)) for seed in seeds]
    new = [jn.init(NET, jax.random.key(config.seeds + seed)) for seed in seeds]
    whole = train(config, [first], [True])
    params, trainable = [], []
    for sparsity in config.sparsities:
        masks = [pruned(whole.params(0, seed), sparsity) for seed in seeds]
        at_random = [shuffled(mask, seed) for seed, mask in enumerate(masks)]
        for weights, kept in ((first, masks), (new, masks), (first, at_random)):
            params.append(list(map(jn.pruning.apply, weights, kept)))
            trainable.append(kept)
    accuracy = train(config, params, trainable).history.evaluation_accuracy[:, :, -1]
    accuracy = accuracy.reshape(len(config.sparsities), len(KINDS), config.seeds)
    dense = whole.history.evaluation_accuracy[0, :, -1]
    rows = [experiment.estimate_row("the whole network", dense)]
    for sparsity, (ticket, *others) in zip(config.sparsities, accuracy, strict=True):
        name = f"{sparsity:.0%} removed: ticket"
        rows.append(experiment.estimate_row(name, ticket))
        rows.append(experiment.difference_row(f"{name} − the whole network", ticket, dense))
        for kind, other in zip(KINDS[1:], others, strict=True):
            better = f"{name} better than {kind}"
            rows.append(experiment.difference_row(better, ticket, other, claimed=True))
    return rows, {"sparsities": config.sparsities, "accuracy": accuracy, "dense": dense}


def plot(curves: dict) -> Figure:
    """By the part of weights that is left: accuracies, and by how much tickets are better."""
    figure, (left, right) = experiment.panels(1, 1)
    remaining = 100 * (1 - np.asarray(curves["sparsities"]))
    accuracy = 100 * np.asarray(curves["accuracy"])
    for index, kind in enumerate(KINDS):
        experiment.band(left, remaining, accuracy[:, index].T, index, kind)
        if index > 0:
            gain = accuracy[:, 0] - accuracy[:, index]
            experiment.band(right, remaining, gain.T, index, f"than {kind}")
    left.axhline(100 * curves["dense"].mean(), color="black", linestyle=":", label="whole network")
    right.axhline(0, color="black", linewidth=0.8)
    left.set_ylabel("validation accuracy, %")
    right.set_ylabel("tickets are better, points")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="weights of the hidden layer left, %")
        axes.set_xticks(remaining, [f"{value:g}" for value in remaining])
        axes.minorticks_off()
        axes.invert_xaxis()
        axes.legend(frameon=False, loc="lower left")
    return figure


if __name__ == "__main__":
    smoke = Config(sparsities=(0.5, 0.9), epochs=1, examples=600, seeds=2)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
