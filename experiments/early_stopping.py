"""What do early stopping, and a learning rate that halves itself, save and cost?

    python experiments/early_stopping.py            # 3 minutes on 2 cores
    python experiments/early_stopping.py --smoke    # seconds, for the tests

[784, 30, 10], the first 10,000 training images of MNIST, mini-batches of 10, cross-entropy, η = 0.5
and λ = 1: the λ/n of λ = 5 with all 50,000. Three rules: 60 epochs; to stop after 10 epochs without
a new best; to halve η instead, and stop at 1/128 of it. What counts is the test accuracy of the
parameters of the epoch with the best validation accuracy. Seed by seed all rules begin alike.

Source of the question: Nielsen, chapter 3, "How to choose a neural network's hyper-parameters?",
early stopping and learning rate schedule. It has no number; that a learning rate which falls can
bring more than a constant one is claimed there.
"""

from dataclasses import dataclass

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

RULES = ("fixed", "no improvement in 10", "halving")


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Of each rule, from 0 on."""
    fixed: int = 60
    """Epochs without a rule."""
    most: int = 300
    """Epochs with a rule, at most."""
    patience: int = 10
    """Epochs without a new best until a rule acts."""
    examples: int = 10_000
    """Training images, the first of MNIST."""


def run(config: Config) -> tuple[list[dict], dict]:
    """All rules under all seeds, run by run: a sweep would not keep the best epochs' parameters."""
    net, mnist = jn.Network((784, 30, 10)), jn.datasets.mnist()
    few = jn.Split(*(array[: config.examples] for array in mnist.train))
    data = jax.device_put(mnist._replace(train=few))
    n = config.patience
    stops = (None, jn.stopping.no_improvement_in(n), jn.stopping.reduce_on_plateau(n))
    valid = np.full((len(RULES), config.seeds, config.most), np.nan)
    test, last = np.zeros((2, len(RULES), config.seeds))
    for k, stopping in enumerate(stops):
        recipe = jn.Recipe(jn.sgd(0.5), l2=config.examples / 10_000, stopping=stopping)
        epochs = config.most if stopping else config.fixed
        for seed in range(config.seeds):
            one = jn.train(net, data, recipe, epochs=epochs, seed=seed, evaluate_on=("evaluation",))
            accuracy = one.history.evaluation_accuracy
            valid[k, seed, : len(accuracy)] = accuracy
            test[k, seed] = jn.evaluate(net, one.best_params, data.test).accuracy
            last[k, seed] = jn.evaluate(net, one.params, data.test).accuracy
    epochs, best = np.isfinite(valid).sum(axis=2), np.nanmax(valid[..., : config.fixed], axis=2)
    rows = [experiment.measured(f"{rule}: test", test[k]) for k, rule in enumerate(RULES)]
    rows += [experiment.measured(f"{RULES[k]}: epochs", epochs[k], unit="") for k in (1, 2)]
    for name, a, b, claimed in (
        ("fixed: best epoch − last epoch, test", test[0], last[0], False),
        ("no improvement in 10 − fixed, test", test[1], test[0], False),
        ("halving − fixed, test", test[2], test[0], False),
        ("halving − fixed, validation, best of 60 epochs each", best[2], best[0], True),
    ):
        rows.append(experiment.compared(name, a, b, claimed=claimed))
    rows.append(
        experiment.compared("epochs: fixed − no improvement in 10", epochs[0], epochs[1], "")
    )
    rows.append(experiment.compared("epochs: halving − fixed", epochs[2], epochs[0], ""))
    return rows, {"valid": valid, "test": test, "epochs": epochs}


def plot(curves: dict) -> Figure:
    """The best validation accuracy so far, with each seed's end; the epochs that it took."""
    figure, left, right = experiment.panels(3, 2)
    ends = curves["epochs"]
    for k, (rule, table) in enumerate(zip(RULES, 100 * curves["valid"], strict=True)):
        best = np.fmax.accumulate(table, axis=1)[:, : ends[k].max()]
        color = experiment.STYLES[k]["color"]
        if k != 1:  # the rule stops on the way of the fixed runs
            experiment.band(left, np.arange(1, best.shape[1] + 1), best, k, rule)
        if k:
            left.plot(ends[k], best[:, -1], "o", color=color, label=f"{rule}: a seed's end")
        right.barh(k, ends[k].mean(), color=color, alpha=0.4)
        right.plot(ends[k], np.full(len(best), k), "o", color=color, markersize=4)
    top = 100 * np.nanmax(curves["valid"])
    left.set(xlabel="epoch", ylabel="best validation accuracy so far, %", ylim=(top - 4, top + 0.2))
    left.legend(frameon=False, loc="lower right")
    right.set(xlabel="epochs: a dot a seed, bars their means", ylim=(2.6, -0.6))
    right.set_yticks(range(3), [rule.replace(" in", "\nin") for rule in RULES])
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, fixed=4, most=6, patience=1, examples=300)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
