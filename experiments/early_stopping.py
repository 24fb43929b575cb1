"""What do early stopping, and a learning rate that halves itself, save and cost?

    python experiments/early_stopping.py            # 3 minutes on 2 cores
    python experiments/early_stopping.py --smoke    # seconds, for the tests

[784, 30, 10], the first 10,000 training images of MNIST, mini-batches of 10, cross-entropy, η = 0.5
and λ = 1, which is the λ/n of λ = 5 with all 50,000. Three rules: train for 60 epochs; stop after
10 epochs without a new best; or halve η instead, and stop at 1/128 of it. The score is the test
accuracy of the parameters of the epoch with the best validation accuracy. Under each seed all rules
begin alike.

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
FIXED, STOPPING, HALVING = range(3)


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Seeds of each rule, from 0 on."""
    fixed: int = 60
    """Epochs without a rule."""
    most: int = 300
    """Epochs with a rule, at most."""
    patience: int = 10
    """Epochs without a new best until a rule acts."""
    examples: int = 10_000
    """Training images, the first of MNIST."""


def train_all(config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train under all rules and seeds, one by one: a sweep keeps no parameters of best epochs.

    Returns validation accuracy (rule, seed, epoch), NaN after a run's end; test accuracy of the
    best epoch and of the last one, each (rule, seed).
    """
    net, mnist = jn.Network((784, 30, 10)), jn.datasets.mnist()
    subset = jn.Split(mnist.train.x[: config.examples], mnist.train.y[: config.examples])
    data = jax.device_put(mnist._replace(train=subset))
    stopping_rules = (
        None,
        jn.stopping.no_improvement_in(config.patience),
        jn.stopping.reduce_on_plateau(config.patience),
    )
    valid = np.full((len(RULES), config.seeds, config.most), np.nan)
    best_test = np.zeros((len(RULES), config.seeds))
    last_test = np.zeros((len(RULES), config.seeds))
    for rule, stopping in enumerate(stopping_rules):
        recipe = jn.Recipe(jn.sgd(0.5), l2=config.examples / 10_000, stopping=stopping)
        epochs = config.most if stopping else config.fixed
        for seed in range(config.seeds):
            result = jn.train(
                net, data, recipe, epochs=epochs, seed=seed, evaluate_on=("evaluation",)
            )
            accuracy = result.history.evaluation_accuracy
            valid[rule, seed, : len(accuracy)] = accuracy
            best_test[rule, seed] = jn.evaluate(net, result.best_params, data.test).accuracy
            last_test[rule, seed] = jn.evaluate(net, result.params, data.test).accuracy
    return valid, best_test, last_test


def run(config: Config) -> tuple[list[dict], dict]:
    """Train under all rules, compare them seed by seed."""
    valid, test, last_test = train_all(config)
    epochs = np.isfinite(valid).sum(axis=2)
    best_valid = np.nanmax(valid[..., : config.fixed], axis=2)
    rows = [experiment.estimate_row(f"{rule}: test", test[k]) for k, rule in enumerate(RULES)]
    for rule in (STOPPING, HALVING):
        rows.append(experiment.estimate_row(f"{RULES[rule]}: epochs", epochs[rule], unit=""))
    rows += [
        experiment.difference_row(
            "fixed: best epoch − last epoch, test", test[FIXED], last_test[FIXED]
        ),
        experiment.difference_row(
            "no improvement in 10 − fixed, test", test[STOPPING], test[FIXED]
        ),
        experiment.difference_row("halving − fixed, test", test[HALVING], test[FIXED]),
        experiment.difference_row(
            "halving − fixed, validation, best of 60 epochs each",
            best_valid[HALVING],
            best_valid[FIXED],
            claimed=True,
        ),
        experiment.difference_row(
            "epochs: fixed − no improvement in 10", epochs[FIXED], epochs[STOPPING], unit=""
        ),
        experiment.difference_row(
            "epochs: halving − fixed", epochs[HALVING], epochs[FIXED], unit=""
        ),
    ]
    return rows, {"valid": valid, "test": test, "epochs": epochs}


def plot(curves: dict) -> Figure:
    """The best validation accuracy so far, with each seed's end; the epochs that it took."""
    figure, (left, right) = experiment.panels(3, 2)
    for k, rule in enumerate(RULES):
        n_epochs = curves["epochs"][k]  # of each seed
        best = np.fmax.accumulate(100 * curves["valid"][k], axis=1)[:, : n_epochs.max()]
        color = experiment.line_style(k)["color"]
        if k != STOPPING:  # its line is a part of the fixed runs' line
            experiment.band(left, np.arange(1, best.shape[1] + 1), best, k, rule)
        if k != FIXED:
            left.plot(n_epochs, best[:, -1], "o", color=color, label=f"{rule}: a seed's end")
        right.barh(k, n_epochs.mean(), color=color, alpha=0.4)
        right.plot(n_epochs, np.full(len(best), k), "o", color=color, markersize=4)
    top = 100 * np.nanmax(curves["valid"])
    left.set(xlabel="epoch", ylabel="best validation accuracy so far, %", ylim=(top - 4, top + 0.2))
    left.legend(frameon=False, loc="lower right")
    right.set(xlabel="epochs: a dot a seed, bars their means", ylim=(2.6, -0.6))
    right.set_yticks(range(3), [rule.replace(" in", "\nin") for rule in RULES])
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, fixed=4, most=6, patience=1, examples=300)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
