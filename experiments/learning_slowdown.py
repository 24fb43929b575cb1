"""Why does a sigmoid neuron that is badly wrong learn slowly, and which costs cure it?

    python experiments/learning_slowdown.py            # 30 seconds on 2 cores
    python experiments/learning_slowdown.py --smoke    # seconds, for the tests

One neuron, input 1, target 0, from (w, b) = (0.6, 0.9) or, badly wrong, (2, 2); 300 steps, η = 0.15
for the quadratic cost, 0.005 where δ = a − y: compare shapes, not speeds. An HTML page plays them.

Source: Nielsen, chapter 3, "The cross-entropy cost function": with the quadratic cost the outputs
go from 0.82 to 0.09, and from 0.98 to 0.20 after about 150 epochs in which little changes; the
others learn fastest at the start. The last rows: where δ by ∂C/∂a · σ'(z) is 0/0, ours is not.
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from matplotlib.animation import ArtistAnimation
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

STARTS = {(0.6, 0.9): (0.82, 0.09), (2, 2): (0.98, 0.20)}
ENTROPY, SIGMOID, LINEAR = jn.costs.CrossEntropy(), jn.activations.sigmoid, jn.activations.linear
COSTS = {"quadratic": (jn.costs.Quadratic(), 0.15), "cross-entropy": (ENTROPY, 0.005),
         "quadratic, linear output": (jn.costs.Quadratic(LINEAR), 0.005)}  # fmt: skip
HEAD = """<!doctype html><meta charset="utf-8"><title>The learning slowdown</title><style>
.anim-buttons button {width: auto !important} .anim-buttons button::after {content: attr(title)}
.animation img {max-width: 100%}</style>"""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    epochs: int = 300
    """Of each neuron, a step each."""


def followed(start: tuple, how: tuple, epochs: int) -> np.ndarray:
    """A neuron's cost, as a part of that at the start, and output, by epoch."""
    (w, b), (cost, eta) = np.array(start, np.float32), how
    seen: list[jn.Params] = [(jn.Layer(np.full((1, 1), w), np.full(1, b)),)]
    net, data = jn.Network((1, 1), cost=cost), jn.datasets.arrays(np.ones((1, 1)), np.zeros((1, 1)))
    jn.train(net, data, jn.Recipe(jn.sgd(eta)), epochs=epochs, batch_size=1, params=seen[0],
             evaluate_on=(), on_epoch=lambda report: seen.append(report.params))  # fmt: skip
    z = jax.numpy.array([layer.w[0] + layer.b for (layer,) in seen])
    return np.array([(c := jax.vmap(cost.fn)(z, 0 * z)) / c[0], cost.output.fn(z[:, 0])])


def run(config: Config) -> tuple[list[dict], dict]:
    """Both starts under each cost, δ of a saturated neuron, and the page."""
    found = [[followed(start, how, config.epochs) for how in COSTS.values()] for start in STARTS]
    cost, output = np.moveaxis(np.array(found), 2, 0)  # (start, cost, epoch)
    z = jax.numpy.array([40.0, 800.0])
    delta, by_a = ENTROPY.delta(z, 0 * z), SIGMOID.pullback(z, 1 / (1 - SIGMOID.fn(z)))
    rows = [
        experiment.rounded(f"quadratic from {start}: output {when}", outputs[k], published[k], 2)
        for (start, published), outputs in zip(STARTS.items(), output[:, 0], strict=True)
        for k, when in ((0, "at first"), (-1, "in the end"))
    ]
    left, steepest = cost[1, 0, config.epochs // 2], 1 + np.argmin(np.diff(cost[1]), axis=1)
    rows += [experiment.stated(*claim) for claim in (
        ("quadratic from (2, 2): over half the cost is left half-way", left, left > 0.5),
        ("cross-entropy from (2, 2): steepest at once, epoch", steepest[1], steepest[1] == 1),
        ("linear output from (2, 2): steepest at once, epoch", steepest[2], steepest[2] == 1),
    )]  # fmt: skip
    rows.append(experiment.share("δ at z = 40 and 800: jaxnet's is right", np.isclose(delta, 1), 1))
    rows.append(experiment.share("that by ∂C/∂a · σ'(z) is", np.isclose(by_a, 1), 0, 0))
    figure = plot(curves := {"cost, 1 at the start": cost, "output": output}, dpi=80)
    dots = [
        [axes.plot([k] * 3, y[:, k], "ko")[0] for axes, y in zip(figure.axes, [*cost, *output])]
        for k in range(0, config.epochs + 1, 5)
    ]
    page = ArtistAnimation(figure, dots).to_jshtml(10)  # begins with a link to icons on the net
    folder = config.results or Path("results/learning_slowdown")
    (folder / "learning_slowdown.html").write_text(HEAD + page[page.index("<script") :], "utf-8")
    return rows, curves


def plot(curves: dict, dpi: float = 120) -> Figure:
    """Cost and output by epoch; published outputs as crosses. A linear output begins above 1."""
    figure = Figure(figsize=(7, 5.2), dpi=dpi, layout="constrained")
    for (name, tables), row in zip(curves.items(), figure.subplots(2, 2, sharex=True), strict=True):
        for axes, start, table in zip(row, STARTS, tables, strict=True):
            for how, y, style in zip(COSTS, table, experiment.STYLES):
                axes.plot(y, label=how, **style)
            if name == "output":
                axes.plot([0, table.shape[1] - 1], STARTS[start], "kx", ms=8, label="published")
            axes.set(title=f"from w, b = {start}", xlabel="epoch", ylabel=name, ylim=(0, 1.05))
            axes.spines[["top", "right"]].set_visible(False)
    legend = figure.axes[-1].get_legend_handles_labels()
    figure.legend(*legend, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


if __name__ == "__main__":
    experiment.main(__file__, __doc__, Config(), Config(epochs=5), run, plot)
