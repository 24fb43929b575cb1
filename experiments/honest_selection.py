"""What does the best of many validation scores come to on new data?

    python experiments/honest_selection.py            # 2 minutes on 2 cores
    python experiments/honest_selection.py --smoke    # seconds, for the tests

80 examples of 10 inputs and two classes, either pure noise (labels that do not depend on the
inputs: every network is right in half of new examples) or with a weak signal. 48 settings of small
networks are ranked by 5 stratified folds, and by a validation split of 80 further examples. Each
estimate of the winner's accuracy is compared with its networks' accuracy on 4,000 new examples: the
difference is the estimate's optimism, over repetitions with other data.

Source: Varma and Simon, Bias in error estimation when using cross-validation for model selection,
2006: on data without a signal the lowest cross-validation error is far too low, and that of nested
cross-validation is not.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

SCENARIOS = {"noise": 0.0, "signal": 0.35}
"""Half of the distance between the means of the two classes, in standard deviations."""
ESTIMATES = ("best of folds", "corrected", "nested", "best of a split", "bootstrap", "best epochs")
"""The estimates, in the order of the picture."""
CLAIM = "best of folds"
"""The estimate that the source calls too good."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    """Kinds of data sets."""
    repetitions: int = 24
    """Data sets of each kind."""
    examples: int = 80
    """Training examples, and as many validation examples."""
    rates: int = 12
    """Learning rates from 0.001 to 0.3."""
    epochs: int = 10
    """Epochs of each network."""


def draw(random: np.random.Generator, n: int, distance: float) -> jn.Split:
    """Examples of two classes, whose means differ in the first of ten inputs."""
    y = random.permutation(np.arange(n) % 2)
    x = random.standard_normal((n, 10))
    x[:, 0] += distance * (2 * y - 1)
    return jn.Split(x, y)


def settings(config: Config, recipe: jn.Recipe) -> jn.Recipe | jn.Settings:
    """The settings to choose from."""
    return jn.grid(
        recipe,
        widths=[[2], [4], [8], [32]],
        learning_rate=np.geomspace(0.001, 0.3, config.rates),
    )


def optimism(config: Config, seed: int, distance: float) -> dict[str, float]:
    """By how much each estimate exceeds the accuracy on new data, for one data set."""
    random = np.random.default_rng(seed)
    train, valid, new = (
        draw(random, n, distance) for n in (config.examples, config.examples, 4000)
    )
    net = jn.Network((10, 8, 2), jn.activations.tanh, cost=jn.costs.LogLikelihood())
    recipes = settings(config, jn.Recipe(jn.adam(0.01)))
    folds = jn.cross_validate(
        net, jn.Dataset(train), recipes, jn.resampling.k_fold(5, stratify=True, seed=seed),
        nested=jn.resampling.k_fold(4, stratify=True, seed=seed), epochs=config.epochs,
    )  # fmt: skip
    accuracies = folds.study.evaluate(new).accuracy
    truth = accuracies[folds.study.best_recipe].mean()
    selected = accuracies[folds.selected, :, np.arange(5)].mean()
    last = jn.stopping.no_improvement_in(config.epochs, metric="cost", split="training")
    estimates = {
        "best of folds": folds.best - truth,
        "corrected": folds.study.corrected_score().corrected - truth,
        "nested": folds.mean - selected,
    }
    for name, rule in (("bootstrap", last), ("best epochs", None)):
        recipes = settings(config, jn.Recipe(jn.adam(0.01), stopping=rule))
        study = jn.sweep(
            net, jn.Dataset(train, valid), recipes, epochs=config.epochs,
            evaluate_on=("validation", "training"), log=None,
        )  # fmt: skip
        score = study.corrected_score()
        truth = study.evaluate(new).accuracy[score.recipe].mean()
        estimates[name] = score.corrected - truth
        if rule is not None:
            estimates["best of a split"] = score.best - truth
    return estimates


def run(config: Config) -> tuple[list[dict], dict]:
    """The optimism of all estimates, on noise and with a signal."""
    rows, curves = [], {}
    for scenario in config.scenarios:
        values = defaultdict(list)
        for seed in range(config.repetitions):
            for name, value in optimism(config, seed, SCENARIOS[scenario]).items():
                values[name].append(value)
        for name in ESTIMATES:
            differences = np.array(values[name])
            claimed = name == CLAIM and scenario == "noise"
            row = experiment.difference_row(
                f"{scenario}: {name} − truth", differences, np.zeros_like(differences),
                claimed=claimed,
            )  # fmt: skip
            if not claimed:
                verdicts = {"more": "too good", "less": "too low", "undecided": "no bias seen"}
                row["verdict"] = verdicts.get(row["verdict"], row["verdict"])
            rows.append(row)
            curves[f"{scenario}: {name}"] = differences
    return rows, curves


def plot(curves: dict) -> Figure:
    """The optimism of each estimate: one point per data set, and the mean with its interval."""
    scenarios = list(dict.fromkeys(name.partition(":")[0] for name in curves))
    figure, axes = experiment.panels(*(1 for _ in scenarios), width=10, height=3.8, sharey=True)
    for panel, scenario in zip(axes, scenarios, strict=True):
        panel.axvline(0, color="0.3", linewidth=0.8)
        for place, name in enumerate(ESTIMATES[::-1]):
            points = 100 * curves[f"{scenario}: {name}"]
            offsets = np.linspace(-0.25, 0.25, len(points))
            panel.plot(points, place + offsets, "o", color="#7aa6c2", markersize=3)
            row = experiment.estimate_row(name, points, unit="")
            panel.plot([row["low"], row["high"]], [place, place], color="#b3402a", linewidth=2)
            panel.plot(row["mean"], place, "o", color="#b3402a")
        panel.set(
            xlabel="estimate − accuracy on new data, points",
            title={"noise": "Pure noise", "signal": "Weak signal"}[scenario],
        )
    axes[0].set_yticks(range(len(ESTIMATES)), ESTIMATES[::-1])
    return figure


if __name__ == "__main__":
    smoke = Config(repetitions=2, examples=40, rates=2, epochs=1)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
