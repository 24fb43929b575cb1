"""Do the first layers of a deep sigmoid network learn more slowly, and does depth help it at all?

    python experiments/vanishing_gradient.py            # 4 minutes on 2 cores
    python experiments/vanishing_gradient.py --smoke    # seconds, for the tests

One to four hidden layers of 30 sigmoid units, cross-entropy, weights N(0, 1/n_in), η = 0.1, λ = 5.
Accuracy: validation set, after 30 epochs of all 50,000 training images of MNIST in mini-batches of
10. Speed of learning of a layer: ‖δ‖, the norm of its mean error over the first 1,000 images, all
of them one batch, at the start and in 500 steps of gradient descent.

Source: Nielsen, chapter 5, "The vanishing gradient problem": accuracies of 96.48, 96.90, 96.57 and
96.53%; ‖δ‖ of the hidden layers at the start: 0.07 and 0.31; 0.012, 0.060 and 0.283; 0.003,
0.017, 0.070 and 0.285.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

ACCURACIES = {1: 0.9648, 2: 0.9690, 3: 0.9657, 4: 0.9653}
"""Published accuracies by number of hidden layers."""
NORMS = {2: (0.07, 0.31), 3: (0.012, 0.060, 0.283), 4: (0.003, 0.017, 0.070, 0.285)}
"""Published ‖δ‖ of each hidden layer at the start."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Seeds of each network, from 0 on."""
    epochs: int = 30
    """Epochs of each run that is evaluated."""
    examples: int = 50_000
    """Training images of these runs."""
    steps: int = 500
    """Steps in which ‖δ‖ is followed."""
    batch: int = 1000
    """Images that each of these steps sees, the first of MNIST."""


def error_norms(config: Config, net: jn.Network, steps: int) -> np.ndarray:
    """‖δ‖ of the hidden layers before each step: (seed, step, layer)."""
    train = jn.datasets.mnist().train
    data = jn.Dataset(jn.Split(train.x[: config.batch], train.y[: config.batch]))
    norms = []
    for seed in range(config.seeds):
        result = jn.train(
            net,
            data,
            jn.Recipe(jn.sgd(0.1), l2=5.0),
            seed=seed,
            epochs=steps,
            batch_size=config.batch,
            evaluate_on=(),
            monitors=jn.Monitors(("delta_norm",)),
        )
        norms.append(result.monitors["delta_norm"][:, :-1])  # without the output layer
    return np.array(norms)


def accuracy_rows(depths: list[int], accuracy: np.ndarray) -> list[dict]:
    """Accuracies (depth, seed) beside the published ones, and whether each layer more helps."""
    rows = [
        experiment.estimate_row(f"accuracy, {depth} hidden", values, ACCURACIES[depth])
        for depth, values in zip(depths, accuracy, strict=True)
    ]
    for k in range(1, len(depths)):
        name = f"accuracy, {depths[k]} hidden − {depths[k - 1]} hidden"
        rows.append(
            experiment.difference_row(name, accuracy[k], accuracy[k - 1], claimed=depths[k] == 2)
        )
    return rows


def norm_rows(depth: int, norms: np.ndarray) -> list[dict]:
    """‖δ‖ at the start (layer, seed), and whether the first layer's is the smaller one."""
    rows = []
    for k, published in enumerate(NORMS[depth]):
        name = f"‖δ‖ at the start, {depth} hidden: layer {k + 1}"
        rows.append(experiment.estimate_row(name, norms[k], published, unit="", log=True))
    name = f"{depth} hidden: ln ‖δ‖, last hidden layer − first"
    first, last = np.log(norms[0]), np.log(norms[-1])
    rows.append(experiment.difference_row(name, last, first, unit="", claimed=True))
    return rows


def run(config: Config) -> tuple[list[dict], dict]:
    """All depths under all seeds, then the errors of their layers, for the deepest step by step."""
    depths = list(ACCURACIES)[: 2 if config.smoke else 4]
    nets = [jn.Network((784, *[30] * depth, 10)) for depth in depths]
    study = jn.sweep(
        nets,
        jn.datasets.mnist(),
        jn.Recipe(jn.sgd(0.1), l2=5.0),
        seeds=config.seeds,
        epochs=config.epochs,
        examples=config.examples,
    )
    accuracy = np.asarray(study.history.evaluation_accuracy)[:, :, -1]
    rows = accuracy_rows(depths, accuracy)
    curves = {"depths": depths, "accuracy": accuracy}
    for net, depth in zip(nets, depths, strict=True):
        if depth in NORMS:
            steps = config.steps if depth == depths[-1] else 1
            norms = error_norms(config, net, steps)
            rows += norm_rows(depth, norms[:, 0].T)
            curves["norms"] = norms  # in the end those of the deepest network
    return rows, curves


def plot(curves: dict) -> Figure:
    """Accuracy by depth, ‖δ‖ by step: mean and range over the seeds; published as crosses."""
    figure, (left, right) = experiment.panels(2, 3)
    depths = curves["depths"]
    experiment.band(left, depths, 100 * curves["accuracy"].T)
    left.plot(depths, [100 * ACCURACIES[depth] for depth in depths], "kx", zorder=3)
    left.set(xlabel="hidden layers", ylabel="validation accuracy, %", xticks=depths)
    left.set_title("mean and range of the seeds")
    _, n_steps, n_layers = curves["norms"].shape
    for k, published in enumerate(NORMS[n_layers]):
        norms = curves["norms"][..., k]
        color = experiment.line_style(k)["color"]
        experiment.band(right, np.arange(n_steps), norms, k, str(k + 1))
        right.plot(0, published, "x", color=color, clip_on=False, zorder=3)
    right.set(xlabel="step", ylabel="‖δ‖", yscale="log", title=f"{n_layers} hidden layers")
    right.legend(frameon=False, title="hidden layer; × published", ncols=2)
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, epochs=1, examples=200, steps=2, batch=100)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
