"""Is it better to tune one optimizer, or to try several with their default hyperparameters?

    python experiments/tuning_or_trying.py            # 6 minutes on 2 cores
    python experiments/tuning_or_trying.py --smoke    # seconds, for the tests

Five optimizers on four tasks: scikit-learn's digits, breast cancer and diabetes, and a noisy
quadratic. Each is tried with its defaults, with 21 learning rates, and with 64 Sobol points of all
its numbers; 5 seeds select by the validation loss, and 32 others report the test score: the
accuracy, or R². Of the defaults, the optimizer with the least validation loss is chosen.

Two published findings are tested. Schmidt et al.: trying several optimizers with their defaults is
about as good as tuning one of them. Choi et al.: an optimizer that includes another one as a
special case, as momentum and Nesterov's include SGD, is never worse when both are tuned enough.

Source: Schmidt, Schneider and Hennig, Descending through a crowded valley, 2021, section 3; Choi et
al., On empirical comparisons of optimizers for deep learning, 2019, section 4.
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

TIERS = ("defaults", "lr", "full")
ALONE = "adam"
"""The optimizer that is tuned where only one is."""
SPECIAL, INCLUDING = "sgd", ("momentum", "nesterov")
"""An optimizer, and those that equal it at a decay of 0."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 32
    """Seeds of the report."""
    tuning_seeds: int = 5
    """Seeds that select."""
    epochs: int = 20
    """Epochs of each run."""
    optimizers: tuple[str, ...] = ("sgd", "momentum", "nesterov", "rmsprop", "adam")
    """The optimizers, with adam and sgd among them."""


class Task(NamedTuple):
    """A network and its data."""

    net: jn.Network
    data: jn.Dataset


def tasks() -> dict[str, Task]:
    """The tasks by name."""
    from sklearn.datasets import load_breast_cancer, load_diabetes

    classes, numbers = jn.costs.LogLikelihood(), jn.costs.Quadratic(jn.activations.linear)
    relu, quadratic = jn.activations.relu, jn.tasks.NAMED["noisy-quadratic"]
    return {
        "digits": Task(jn.Network((64, 30, 10)), jn.datasets.digits()),
        "breast cancer": Task(
            jn.Network((30, 16, 2), relu, classes), standardized(load_breast_cancer())
        ),
        "diabetes": Task(jn.Network((10, 16, 1), relu, numbers), standardized(load_diabetes())),
        "noisy quadratic": Task(quadratic.network, quadratic.data()),
    }


def standardized(table) -> jn.Dataset:
    """A table of scikit-learn's, with the mean 0 and the standard deviation 1 in each column."""
    random = np.random.default_rng(0)
    order = random.permutation(len(table.data))
    x, y = table.data[order], table.target[order]
    n_train, n_valid = int(0.5 * len(x)), int(0.25 * len(x))
    x = (x - x[:n_train].mean(axis=0)) / x[:n_train].std(axis=0)
    if y.dtype == float:
        y = ((y - y[:n_train].mean()) / y[:n_train].std())[:, None]
    parts = (slice(n_train), slice(n_train, n_train + n_valid), slice(n_train + n_valid, None))
    train, valid, test = ((x[part], y[part]) for part in parts)
    return jn.datasets.arrays(*train, valid=valid, test=test)


class SelectedScores(NamedTuple):
    """What the optimizers reach on a task in one tier."""

    test: np.ndarray
    """Test scores of the selected recipes, (optimizer, seed)."""
    valid_loss: np.ndarray
    """The mean validation loss of each selected recipe under the tuning seeds."""


def compare(config: Config, task: Task, tier) -> SelectedScores:
    """Select each optimizer's recipe, and test it."""
    smallest = {"lr": 5, "full": 5} if config.smoke else {}
    comparison = jn.compare(
        task.net, task.data, config.optimizers, tier=tier, trials=smallest.get(tier),
        epochs=config.epochs, tuning_seeds=config.tuning_seeds, seeds=config.seeds, timing=False,
        log=None,
    )  # fmt: skip
    test = [
        [row["test_score"] for row in comparison.runs
         if row["phase"] == "report" and row["optimizer"] == name]
        for name in config.optimizers
    ]  # fmt: skip
    least = []
    for name in config.optimizers:
        losses: dict[int, list[float]] = {}
        for row in comparison.runs:
            if row["phase"] == "tuning" and row["optimizer"] == name:
                losses.setdefault(row["trial"], []).append(row["valid_loss"])
        least.append(min(float(np.mean(of_trial)) for of_trial in losses.values()))
    return SelectedScores(np.array(test, float), np.array(least))


def mean_row(name: str, differences: np.ndarray) -> dict:
    """A row for the mean of (task, seed), with an interval over the seeds of each task."""
    means = jn.statistics.stratified_bootstrap(differences, lambda x: x.mean(axis=(-2, -1)))
    level = jn.statistics.expanded_level(0.95, *differences.shape)
    interval = jn.statistics.percentiles(means, level)
    summary = experiment.Summary(float(differences.mean()), *interval)
    verdict = "more" if summary.low > 0 else "less" if summary.high < 0 else "undecided"
    return experiment.make_row(name, summary, differences.size, verdict, unit="%")


def run(config: Config) -> tuple[list[dict], dict]:
    """All comparisons, and what is ahead of what."""
    all_tasks = tasks()
    names = ["noisy quadratic"] if config.smoke else all_tasks
    selected = {
        name: {tier: compare(config, all_tasks[name], tier) for tier in TIERS} for name in names
    }
    alone = config.optimizers.index(ALONE)
    tried = {
        name: of_task["defaults"].test[int(of_task["defaults"].valid_loss.argmin())]
        for name, of_task in selected.items()
    }
    rows, pairs = [], []
    for tier, budget in (("lr", "21 learning rates"), ("full", "64 trials of all numbers")):
        differences = {name: tried[name] - selected[name][tier].test[alone] for name in tried}
        rows += [
            experiment.difference_row(f"{name}: best default − {ALONE} with {budget}", row, 0 * row)
            for name, row in differences.items()
        ]
        every = np.stack(list(differences.values()))
        rows.append(mean_row(f"mean of the tasks: best default − {ALONE} with {budget}", every))
    for k, optimizer in enumerate(config.optimizers):
        gains = [of_task["lr"].test[k] - of_task["defaults"].test[k]
                 for of_task in selected.values()]  # fmt: skip
        rows.append(mean_row(f"{optimizer}: what 21 learning rates bring", np.stack(gains)))
    including = [name for name in config.optimizers if name in INCLUDING]
    for general, name in itertools.product(including, selected):
        places = [config.optimizers.index(label) for label in (general, SPECIAL)]
        pair = selected[name]["full"].test[places]
        row = experiment.difference_row(f"{name}: {general} − {SPECIAL}, 64 trials each", *pair)
        pairs.append(pair[0] - pair[1])
        rows.append(row)
    p_values = jn.statistics.holm(np.array([jn.statistics.wilcoxon(pair) for pair in pairs]))
    n_lost = sum(
        p < 0.05 and jn.statistics.signed_ranks(pair) < 0 for p, pair in zip(p_values, pairs)
    )
    rows.append(
        experiment.claim_row(
            f"of {len(pairs)} such pairs, those in which {SPECIAL} is ahead, by Holm's correction",
            n_lost, not n_lost,
            why="the recipe that validation selects is not the best one on the test examples",
        )
    )  # fmt: skip
    curves = {
        f"{name}, {tier}": scores.test.mean(axis=1)
        for name, of_task in selected.items()
        for tier, scores in of_task.items()
    }
    curves |= {f"{name}, tried": scores.mean() for name, scores in tried.items()}
    curves["optimizers"] = np.array(config.optimizers)
    return rows, curves


def plot(curves: dict) -> Figure:
    """The mean test score of each optimizer by tier, a panel for each task."""
    names = list(dict.fromkeys(key.rpartition(", ")[0] for key in curves if ", " in key))
    figure, panels = experiment.panels(*[1] * len(names), width=11, height=3.4)
    texts = ("defaults", "21 learning\nrates", "64 trials\nof all")
    for axes, name in zip(panels, names, strict=True):
        for k, optimizer in enumerate(curves["optimizers"].tolist()):
            scores = [curves[f"{name}, {tier}"][k] for tier in TIERS]
            axes.plot(texts, scores, label=optimizer, **experiment.line_style(k))
        axes.axhline(float(curves[f"{name}, tried"]), color="0.35", linestyle=":", linewidth=1.2)
        axes.set(title=name, xlim=(-0.25, 2.25))
        axes.tick_params(axis="x", labelsize=8)
    panels[0].set(ylabel="test score (accuracy or R²)")
    panels[0].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=8, tuning_seeds=1, epochs=1, optimizers=("sgd", "momentum", "adam"))
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
