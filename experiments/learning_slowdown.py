"""Why does a sigmoid neuron that is badly wrong learn slowly, and which costs cure it?

    python experiments/learning_slowdown.py            # 30 seconds on 2 cores
    python experiments/learning_slowdown.py --smoke    # seconds, for the tests

One neuron, input 1, target 0, from (w, b) = (0.6, 0.9) or, badly wrong, (2, 2); 300 steps, η = 0.15
for the quadratic cost, 0.005 where δ = a − y: compare shapes, not speeds. `jaxnet demo neuron` has
them to play with, with every start, cost and learning rate.

Source: Nielsen, chapter 3, "The cross-entropy cost function": with the quadratic cost the outputs
go from 0.82 to 0.09, and from 0.98 to 0.20 after about 150 epochs in which little changes; the
others learn fastest at the start. The last rows are on δ computed as ∂C/∂a · σ'(z), as the book
derives it: where σ'(z) underflows this is 0/0, and jaxnet's δ from the weighted input is right.
"""

from dataclasses import dataclass

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

STARTS = {(0.6, 0.9): (0.82, 0.09), (2, 2): (0.98, 0.20)}
"""The published outputs at the start and in the end, by the initial (w, b)."""
CROSS_ENTROPY = jn.costs.CrossEntropy()
SIGMOID = jn.activations.sigmoid
COSTS = {
    "quadratic": (jn.costs.Quadratic(), 0.15),
    "cross-entropy": (CROSS_ENTROPY, 0.005),
    "quadratic, linear output": (jn.costs.Quadratic(jn.activations.linear), 0.005),
}
"""The costs, each with its learning rate."""
QUADRATIC, ENTROPY, LINEAR = range(3)


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    epochs: int = 300
    """Epochs of each neuron, a step each."""


def train_neuron(
    start: tuple[float, float], cost: jn.costs.Cost, rate: float, epochs: int
) -> np.ndarray:
    """A neuron's cost, divided by its cost at the start, and its output: (2, epoch)."""
    w, b = np.array(start, np.float32)
    # At the start, and after each epoch.
    params: list[jn.Params] = [(jn.Layer(np.full((1, 1), w), np.full(1, b)),)]
    jn.train(
        jn.Network((1, 1), cost=cost),
        jn.datasets.arrays(np.ones((1, 1)), np.zeros((1, 1))),
        jn.Recipe(jn.sgd(rate)),
        epochs=epochs,
        batch_size=1,
        params=params[0],
        evaluate_on=(),
        on_epoch=lambda report: params.append(report.params),
    )
    z = jax.numpy.array([layer.w[0] + layer.b for (layer,) in params])
    costs = jax.vmap(cost.fn)(z, 0 * z)
    return np.array([costs / costs[0], cost.output.fn(z[:, 0])])


def neuron_rows(cost: np.ndarray, output: np.ndarray, epochs: int) -> list[dict]:
    """The published outputs and claims, from cost and output (start, cost, epoch)."""
    rows = []
    for outputs, (start, (first, last)) in zip(output[:, QUADRATIC], STARTS.items(), strict=True):
        name = f"quadratic from {start}: output"
        rows.append(experiment.digits_row(f"{name} at first", outputs[0], first, places=2))
        rows.append(experiment.digits_row(f"{name} in the end", outputs[-1], last, places=2))
    badly_wrong = cost[1]
    left = badly_wrong[QUADRATIC, epochs // 2]
    rows.append(
        experiment.claim_row(
            "quadratic from (2, 2): over half the cost is left half-way", left, left > 0.5
        )
    )
    steepest = 1 + np.argmin(np.diff(badly_wrong), axis=1)  # the epoch of the largest fall
    for name, k in (("cross-entropy", ENTROPY), ("linear output", LINEAR)):
        name = f"{name} from (2, 2): steepest at once, epoch"
        rows.append(experiment.claim_row(name, steepest[k], steepest[k] == 1))
    return rows


def delta_rows() -> list[dict]:
    """δ of a saturated neuron by jaxnet, and by the chain rule over the activation."""
    z = jax.numpy.array([40.0, 800.0])
    delta = CROSS_ENTROPY.delta(z, 0 * z)
    by_activation = SIGMOID.pullback(z, 1 / (1 - SIGMOID.fn(z)))
    return [
        experiment.share_row("δ at z = 40 and 800: jaxnet's is right", np.isclose(delta, 1), 1),
        experiment.share_row("that by ∂C/∂a · σ'(z) is", np.isclose(by_activation, 1), 0, 0),
    ]


def run(config: Config) -> tuple[list[dict], dict]:
    """Both starts under each cost, and δ of a saturated neuron."""
    neurons = np.array([
        [train_neuron(start, cost, rate, config.epochs) for cost, rate in COSTS.values()]
        for start in STARTS
    ])  # fmt: skip
    cost, output = neurons[:, :, 0], neurons[:, :, 1]  # each (start, cost, epoch)
    curves = {"cost, 1 at the start": cost, "output": output}
    return neuron_rows(cost, output, config.epochs) + delta_rows(), curves


def plot(curves: dict) -> Figure:
    """Cost and output by epoch; published outputs as crosses. A linear output begins above 1."""
    figure = Figure(figsize=(7, 5.2), dpi=120, layout="constrained")
    grid = figure.subplots(2, 2, sharex=True)
    for row, (name, tables) in zip(grid, curves.items(), strict=True):
        for axes, start, table in zip(row, STARTS, tables, strict=True):
            for k, cost in enumerate(COSTS):
                axes.plot(table[k], label=cost, **experiment.line_style(k))
            if name == "output":
                ends = [0, table.shape[1] - 1]
                axes.plot(ends, STARTS[start], "kx", markersize=8, label="published")
            axes.set(title=f"from w, b = {start}", xlabel="epoch", ylabel=name, ylim=(0, 1.05))
            axes.spines[["top", "right"]].set_visible(False)
    lines, labels = figure.axes[-1].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


if __name__ == "__main__":
    experiment.main(__file__, __doc__, Config(), Config(epochs=5), run, plot)
