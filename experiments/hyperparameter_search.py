"""Does a search by hand, begun badly, find good hyper-parameters, and does a grid find better ones?

    python experiments/hyperparameter_search.py            # 1 minute on 2 cores
    python experiments/hyperparameter_search.py --smoke    # seconds, for the tests

The book's steps: [784, 30, 10] with all 50,000 training images of MNIST, then [784, 10] with the
first 1,000, by 100 validation images. The book prints accuracies for the first three or four epochs
of each, and the mean over these epochs is judged. Outputs that are all saturated, or not finite,
mean the answer 0, which is right for 10 of the 100 images. Then a grid with [784, 10]: its best
setting, by 1,000 validation images, is compared with the book's last step under new seeds; and
[784, 30, 10] with its λ/n is compared with the book's η = 0.5, λ = 5. Cross-entropy, mini-batches
of 10.

Source: Nielsen, chapter 3, "How to choose a neural network's hyper-parameters?": `STEPS`, in %.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

SETTINGS = ((10, 1000), (10, 1000), (10, 20), (100, 20), (1, 20))
"""η and λ of each step of the book; the first step is with all images."""
STEPS = ((10.30, 9.90, 10.09), (10, 10, 10), (12, 14, 25, 18), (10, 10, 10, 10), (62, 42, 43, 61))
"""The published accuracies of each step, by epoch."""
SMALL, LARGE = jn.Network((784, 10)), jn.Network((784, 30, 10))


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Seeds of each setting, from 0 on; the recipes of the grid have four, from 1000 on."""
    points: int = 11
    """Values of η in the grid, from 0.001 to 100, and of λ, from 0.001 to 1000."""
    epochs: int = 30
    """Epochs of 1,000 images; of all images a third as many."""
    examples: int = 50_000
    """All training images, the first of MNIST."""


def accuracies(
    net: jn.Network, split: jn.Split, settings, epochs: int, examples: int, seeds: range
) -> np.ndarray:
    """Accuracy on a split for each setting (η, λ), (setting, seed, epoch)."""
    rates, penalties = np.array(settings, float).T
    study = jn.sweep(
        net,
        jn.datasets.mnist()._replace(valid=split),
        jn.Recipe(jn.sgd(rates), l2=penalties),
        seeds=seeds,
        epochs=epochs,
        examples=examples,
    )
    always_0 = float(np.mean(split.y == 0))  # the accuracy of the answer 0
    return np.nan_to_num(np.asarray(study.history.evaluation_accuracy), nan=always_0)


def step_rows(steps: list[np.ndarray]) -> list[dict]:
    """The book's steps beside the published numbers, and what it concludes from them."""
    rows = []
    for k, (accuracy, (rate, penalty)) in enumerate(zip(steps, SETTINGS, strict=True)):
        name = f"{'1,000' if k else 'all'} images: η = {rate}, λ = {penalty}"
        if np.ptp(accuracy):
            published = float(np.mean(STEPS[k])) / 100
            rows.append(experiment.estimate_row(name, accuracy, published))
        else:  # no chance in it
            row = experiment.digits_row(name, accuracy[0], published=0.10, places=2)
            rows.append(row | {"unit": "%"})
    _, _, rate_10, rate_100, rate_1 = steps
    rows += [
        experiment.difference_row("η = 10 is better than 100", rate_10, rate_100, claimed=True),
        experiment.difference_row("η = 1 is better than 10", rate_1, rate_10, claimed=True),
    ]
    return rows


def comparison_rows(task: str, settings, accuracy: np.ndarray) -> list[dict]:
    """The book's setting and the grid's, from accuracies (setting, seed, epoch)."""
    rows = []
    last = accuracy[:, :, -1]
    for who, values, (rate, penalty) in zip(("book", "grid"), last, settings, strict=True):
        name = f"{task} images, {who}: η = {rate:.3g}, λ = {penalty:.3g}"
        rows.append(experiment.estimate_row(name, values))
    book, grid = last
    rows.append(experiment.difference_row(f"{task} images: grid − book", grid, book))
    return rows


def run(config: Config) -> tuple[list[dict], dict]:
    """Search the grid, take the book's steps, compare the two outcomes."""
    _, valid, test = jn.datasets.mnist()
    assert valid is not None
    assert test is not None
    valid_1000 = jn.Split(valid.x[:1000], valid.y[:1000])
    valid_100 = jn.Split(valid.x[:100], valid.y[:100])
    rates, penalties = np.logspace(-3, 2, config.points), np.logspace(-3, 3, config.points)
    grid = [(rate, penalty) for rate in rates for penalty in penalties]
    searched = accuracies(
        SMALL, valid_1000, grid, config.epochs, examples=1000, seeds=range(1000, 1004)
    )
    grid_accuracy = searched[:, :, -1].mean(axis=1)
    best = grid[np.argmax(grid_accuracy)]
    rate, penalty = best

    seeds = range(config.seeds)
    small_pair = (SETTINGS[-1], best)
    large_pair = ((0.5, 5), (rate, penalty * config.examples / 1000))
    small = accuracies(SMALL, test, small_pair, config.epochs, examples=1000, seeds=seeds)
    first_step, *large = accuracies(
        LARGE, valid, (SETTINGS[0], *large_pair), config.epochs // 3,
        examples=config.examples, seeds=seeds,
    )  # fmt: skip
    later_steps = accuracies(SMALL, valid_100, SETTINGS[1:], epochs=4, examples=1000, seeds=seeds)
    steps = [  # the mean over the epochs that the book prints, for each seed
        accuracy[:, : len(published)].mean(axis=1)
        for accuracy, published in zip([first_step, *later_steps], STEPS, strict=True)
    ]
    rows = [
        *step_rows(steps),
        *comparison_rows("test, 1,000", small_pair, small),
        *comparison_rows("all", large_pair, np.array(large)),
    ]
    return rows, {"steps": steps, "grid": grid, "accuracy": grid_accuracy, "best": best}


def plot(curves: dict) -> Figure:
    """The steps; the grid, with the steps' settings and its best."""
    figure, (left, right) = experiment.panels(5, 6, height=3.6)
    for y, (accuracy, published) in enumerate(zip(100 * curves["steps"], STEPS, strict=True)):
        left.plot(accuracy, np.full(len(accuracy), y), "o", color="#7aa6c2", alpha=0.5)
        left.plot(np.mean(published), y, "x", color="black", markersize=8)
    names = [f"η = {rate}, λ = {penalty}" for rate, penalty in SETTINGS]
    left.set_yticks(range(5), [f"all images\n{names[0]}", *names[1:]])
    left.set(
        xlim=(0, 80),
        ylim=(4.5, -0.5),
        title="• a seed, × published",
        xlabel="validation accuracy, first epochs, %",
    )
    rates, penalties = (np.unique(np.log10(column)) for column in curves["grid"].T)
    heat = 100 * curves["accuracy"].reshape(len(rates), len(penalties)).T
    mesh = right.pcolormesh(rates, penalties, heat, cmap="cividis")
    figure.colorbar(mesh, label="accuracy, %")
    step_rates, step_penalties = np.log10(SETTINGS[1:]).T
    right.plot(step_rates, step_penalties, "x", color="white", markersize=9, markeredgewidth=2)
    best_rate, best_penalty = np.log10(curves["best"])
    right.plot(best_rate, best_penalty, "o", color="black", fillstyle="none", markersize=10)
    right.set(xlabel="log₁₀ η", ylabel="log₁₀ λ", title="1,000 images: × the book's, ○ best")
    right.grid(False)
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, points=2, epochs=3, examples=300)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
