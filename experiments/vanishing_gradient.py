"""Do the first layers of a deep sigmoid network learn more slowly, and does depth help it at all?

    python experiments/vanishing_gradient.py            # 4 minutes on 2 cores
    python experiments/vanishing_gradient.py --smoke    # seconds, for the tests

One to four hidden layers of 30 sigmoid units, cross-entropy, weights N(0, 1/n_in), η = 0.1, λ = 5.
Accuracy: validation set, after 30 epochs of all 50,000 training images of MNIST in mini-batches of
10. Speed of learning of a layer: ‖δ‖, the norm of its mean error over the first 1,000 images, all
of them one batch, at the start and in 500 steps of gradient descent.

Source: Nielsen, chapter 5, "The vanishing gradient problem": accuracies of 96.48, 96.90, 96.57 and
96.53 %; ‖δ‖ of the hidden layers at the start: 0.07 and 0.31; 0.012, 0.060 and 0.283; 0.003,
0.017, 0.070 and 0.285.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

ACCURACIES = {1: 0.9648, 2: 0.9690, 3: 0.9657, 4: 0.9653}
NORMS = {2: (0.07, 0.31), 3: (0.012, 0.060, 0.283), 4: (0.003, 0.017, 0.070, 0.285)}


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Of each network, from 0 on."""
    epochs: int = 30
    """Epochs of each run that is evaluated."""
    examples: int = 50_000
    """Training images of these runs."""
    steps: int = 500
    """Steps in which ‖δ‖ is followed."""
    batch: int = 1000
    """Images that each of these steps sees, the first of MNIST."""


def norms(config: Config, net: jn.Network, steps: int) -> np.ndarray:
    """‖δ‖ of the hidden layers before each step: (seed, step, layer)."""
    data = jn.Dataset(jn.Split(*(array[: config.batch] for array in jn.datasets.mnist().train)))
    recipe, monitors = jn.Recipe(jn.sgd(0.1), l2=5.0), jn.Monitors(("delta_norm",))
    options = {"epochs": steps, "batch_size": config.batch, "evaluate_on": (), "monitors": monitors}
    runs = [jn.train(net, data, recipe, seed=k, **options) for k in range(config.seeds)]
    return np.array([run.monitors["delta_norm"][:, :-1] for run in runs])


def run(config: Config) -> tuple[list[dict], dict]:
    """All depths under all seeds, then the errors of their layers, for the deepest step by step."""
    depths = list(ACCURACIES)[: 2 if config.smoke else 4]
    nets = [jn.Network((784, *[30] * depth, 10)) for depth in depths]
    study = jn.sweep(
        nets, jn.datasets.mnist(), jn.Recipe(jn.sgd(0.1), l2=5.0),
        seeds=config.seeds, epochs=config.epochs, examples=config.examples,
    )  # fmt: skip
    curves = {"depths": depths, "accuracy": study.history.evaluation_accuracy[:, :, -1]}
    rows = [
        experiment.measured(f"accuracy, {depth} hidden", values, ACCURACIES[depth])
        for depth, values in zip(depths, curves["accuracy"], strict=True)
    ]
    for (few, less), (many, more) in pairwise(zip(depths, curves["accuracy"])):
        name = f"accuracy, {many} hidden − {few} hidden"
        rows.append(experiment.compared(name, more, less, claimed=many == 2))
    for net, depth in zip(nets, depths, strict=True):
        if depth in NORMS:
            curves["norms"] = norms(config, net, config.steps if net == nets[-1] else 1)
            start = curves["norms"][:, 0].T
            for layer, (values, published) in enumerate(zip(start, NORMS[depth], strict=True), 1):
                name = f"‖δ‖ at the start, {depth} hidden: layer {layer}"
                rows.append(experiment.measured(name, values, published, "", log=True))
            name = f"{depth} hidden: ln ‖δ‖, last hidden layer − first"
            rows.append(experiment.compared(name, *np.log(start[[-1, 0]]), unit="", claimed=True))
    return rows, curves


def plot(curves: dict) -> Figure:
    """Accuracy by depth, ‖δ‖ by step: mean and range over the seeds; published as crosses."""
    figure, left, right = experiment.panels(2, 3)
    depths, (_, n_steps, n_layers) = curves["depths"], curves["norms"].shape
    experiment.band(left, depths, 100 * curves["accuracy"].T)
    left.plot(depths, [100 * ACCURACIES[k] for k in depths], "kx", zorder=3)
    left.set(xlabel="hidden layers", ylabel="validation accuracy, %", xticks=depths)
    left.set_title("mean and range of the seeds")
    for layer, published in enumerate(NORMS[n_layers]):
        experiment.band(
            right, np.arange(n_steps), curves["norms"][..., layer], layer, str(layer + 1)
        )
        right.plot(
            0, published, "x", color=experiment.STYLES[layer]["color"], clip_on=False, zorder=3
        )
    right.set(xlabel="step", ylabel="‖δ‖", yscale="log", title=f"{n_layers} hidden layers")
    right.legend(frameon=False, title="hidden layer; × published", ncols=2)
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, epochs=1, examples=200, steps=2, batch=100)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
