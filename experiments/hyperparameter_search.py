"""Does a search by hand, begun badly, find good hyper-parameters, and does a grid find better ones?

    python experiments/hyperparameter_search.py            # 1 minute on 2 cores
    python experiments/hyperparameter_search.py --smoke    # seconds, for the tests

The book's steps: [784, 30, 10] with all 50,000 training images of MNIST, then [784, 10] with the
first 1,000, by 100 validation images. The mean over the first three or four epochs, all that it
prints, is judged. Outputs all saturated, or not finite, mean the answer 0: right for 10 of the 100.
Then a grid with [784, 10]: its best, by 1,000 validation images, meets the last step under new
seeds; and [784, 30, 10] with its λ/n meets the book's η = 0.5, λ = 5. Cross-entropy, batches of 10.

Source: Nielsen, chapter 3, "How to choose a neural network's hyper-parameters?": `STEPS`, in %.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

SETTINGS = ((10, 1000), (10, 1000), (10, 20), (100, 20), (1, 20))
STEPS = ((10.30, 9.90, 10.09), (10, 10, 10), (12, 14, 25, 18), (10, 10, 10, 10), (62, 42, 43, 61))


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Of each setting, from 0 on; of each recipe of the grid four, from 1000 on."""
    points: int = 11
    """Values of η in the grid, from 0.001 to 100, and of λ, from 0.001 to 1000."""
    epochs: int = 30
    """Epochs of 1,000 images; of all images a third as many."""
    examples: int = 50_000
    """All training images, the first of MNIST."""


def run(config: Config) -> tuple[list[dict], dict]:
    """The grid, the book's steps, and what each of them has found."""
    mnist, small, large = jn.datasets.mnist(), jn.Network((784, 10)), jn.Network((784, 30, 10))
    first = lambda n: jn.Split(*(array[:n] for array in mnist.valid or ()))

    def accuracy(net, split, settings, epochs, examples=1000, seeds=range(config.seeds)):
        eta, l2 = np.array(settings, float).T
        data, recipe = mnist._replace(valid=split), jn.Recipe(jn.sgd(eta), l2=l2)
        study = jn.sweep(net, data, recipe, seeds=seeds, epochs=epochs, examples=examples)
        return np.nan_to_num(study.history.evaluation_accuracy, nan=np.mean(split.y == 0))

    rates, penalties = np.logspace(-3, 2, config.points), np.logspace(-3, 3, config.points)
    grid = [(eta, l2) for eta in rates for l2 in penalties]
    table = accuracy(small, first(1000), grid, config.epochs, seeds=range(1000, 1004))[:, :, -1]
    eta, l2 = best = grid[np.argmax(table.mean(axis=1))]
    pairs = (SETTINGS[-1], best), ((0.5, 5), (eta, l2 * config.examples / 1000))
    few = accuracy(small, mnist.test, pairs[0], config.epochs)
    big = accuracy(large, mnist.valid, SETTINGS[:1] + pairs[1], config.epochs // 3, config.examples)
    tables = [big[0], *accuracy(small, first(100), SETTINGS[1:], 4)]
    rows, steps = [], []
    for values, (eta, l2), published in zip(tables, SETTINGS, STEPS, strict=True):
        name = f"{'1,000' if rows else 'all'} images: η = {eta}, λ = {l2}"
        steps.append(values[:, : len(published)].mean(axis=1))
        if np.ptp(steps[-1]):
            rows.append(experiment.measured(name, steps[-1], float(np.mean(published)) / 100))
        else:  # no chance in it
            rows.append(experiment.rounded(name, float(steps[-1][0]), 0.10, 2) | {"unit": "%"})
    rows.append(experiment.compared("η = 10 is better than 100", steps[2], steps[3], claimed=True))
    rows.append(experiment.compared("η = 1 is better than 10", steps[4], steps[2], claimed=True))
    for what, found, pair in zip(("test, 1,000", "all"), (few, big[1:]), pairs, strict=True):
        for who, values, (eta, l2) in zip(("book", "grid"), found[:, :, -1], pair, strict=True):
            name = f"{what} images, {who}: η = {eta:.3g}, λ = {l2:.3g}"
            rows.append(experiment.measured(name, values))
        rows.append(experiment.compared(f"{what} images: grid − book", *found[::-1, :, -1]))
    return rows, {"steps": steps, "grid": grid, "accuracy": table.mean(axis=1), "best": best}


def plot(curves: dict) -> Figure:
    """The steps; the grid, with the steps' settings and its best."""
    figure, left, right = experiment.panels(5, 6, height=3.6)
    for y, (values, published) in enumerate(zip(100 * curves["steps"], STEPS, strict=True)):
        left.plot(values, np.full(len(values), y), "o", color="#7aa6c2", alpha=0.5)
        left.plot(np.mean(published), y, "x", color="black", markersize=8)
    names = [f"η = {eta}, λ = {l2}" for eta, l2 in SETTINGS]
    left.set_yticks(range(5), [f"all images\n{names[0]}", *names[1:]])
    left.set(xlim=(0, 80), ylim=(4.5, -0.5), title="• a seed, × published",
             xlabel="validation accuracy, first epochs, %")  # fmt: skip
    eta, l2 = (np.unique(np.log10(column)) for column in curves["grid"].T)
    heat = 100 * curves["accuracy"].reshape(len(eta), len(l2)).T
    figure.colorbar(right.pcolormesh(eta, l2, heat, cmap="cividis"), label="accuracy, %")
    right.plot(*np.log10(SETTINGS[1:]).T, "x", color="white", markersize=9, markeredgewidth=2)
    right.plot(*np.log10(curves["best"]), "o", color="black", fillstyle="none", markersize=10)
    right.set(xlabel="log₁₀ η", ylabel="log₁₀ λ", title="1,000 images: × the book's, ○ best")
    right.grid(False)
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, points=2, epochs=3, examples=300)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
