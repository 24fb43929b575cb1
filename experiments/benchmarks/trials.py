"""Optuna's trials in batches, beside one trial at a time with scikit-learn's networks.

    python -m benchmarks.trials CONTESTANT        # in experiments/: one contestant in this process

Each trial draws a learning rate and a penalty, and trains a hidden layer of 32 units on the first
1,437 digits for 50 epochs of mini-batches of 32; the other 360 score it. Optuna's TPE chooses.
"""

import json
import sys
import tempfile
import time
import warnings
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.processes import in_fresh_process

EXAMPLES, BATCH, EPOCHS, EVERY = 1437, 32, 50, 5
"""Those of the training split, and of a mini-batch; epochs of a trial, and between its values."""
TRIALS, TRIALS_AT_ONCE, SAMPLE = 256, 64, 32
"""Trials in all, and of a batch; those of scikit-learn, whose seconds are scaled up to all."""
RATES, PENALTIES = (1e-4, 1e-1), (1e-5, 1e-1)
"""The ranges of Adam's learning rate and of scikit-learn's α."""


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Inputs in [0, 1], and labels."""
    from sklearn.datasets import load_digits

    x, y = map(np.asarray, load_digits(return_X_y=True))
    return (x / 16).astype(np.float32), y


def in_batches(n_trials: int, has_database: bool) -> dict[str, float]:
    """The first call of a process, and the next, with trials in memory or in SQLite."""
    import optuna

    import jaxnet as jn
    from jaxnet.integrations import optuna as batches

    x, y = digits()
    data = jn.Dataset(jn.Split(x[:EXAMPLES], y[:EXAMPLES]), jn.Split(x[EXAMPLES:], y[EXAMPLES:]))
    net = jn.Network(
        (64, 32, 10), jn.activations.relu, jn.costs.LogLikelihood(), jn.initializers.glorot
    )
    # α is divided by a mini-batch's size, and λ by the training split's.
    penalties = tuple(alpha * EXAMPLES / BATCH for alpha in PENALTIES)
    define = batches.space(net, jn.Recipe(jn.adam()), learning_rate=RATES, l2=penalties)
    jn.use_all_cores()
    row = {}
    for call in ("first", "again"):
        with tempfile.TemporaryDirectory() as folder:
            study = optuna.create_study(
                direction="maximize",
                sampler=optuna.samplers.TPESampler(seed=0, constant_liar=True),
                pruner=optuna.pruners.NopPruner(),
                storage=f"sqlite:///{folder}/trials.db" if has_database else None,
            )
            began = time.perf_counter()
            batches.optimize(
                study, define, data, n_trials, batch=TRIALS_AT_ONCE, epochs=EPOCHS,
                batch_size=BATCH, report_every=EVERY,
            )  # fmt: skip
            row |= {call: time.perf_counter() - began, "best": study.best_value}
    return row


def one_at_a_time(n_trials: int) -> dict[str, float]:
    """Optuna with scikit-learn's networks, each trained to its end, whose trials are in memory."""
    import optuna
    from sklearn.neural_network import MLPClassifier

    x, y = digits()

    def score(trial: optuna.Trial) -> float:
        parameters: dict[str, Any] = {
            "hidden_layer_sizes": (32,),
            "batch_size": BATCH,
            "max_iter": EPOCHS,
            "n_iter_no_change": EPOCHS + 1,
            "random_state": 0,
            "learning_rate_init": trial.suggest_float("learning_rate", *RATES, log=True),
            "alpha": trial.suggest_float("alpha", *PENALTIES, log=True),
        }
        classifier = MLPClassifier(**parameters)
        return classifier.fit(x[:EXAMPLES], y[:EXAMPLES]).score(x[EXAMPLES:], y[EXAMPLES:])

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    n_trained = min(SAMPLE, n_trials)
    began = time.perf_counter()
    study.optimize(score, n_trained)
    seconds = (time.perf_counter() - began) * n_trials / n_trained
    return {"first": seconds, "again": seconds, "best": study.best_value}


MEMORY, DATABASE, THEIRS = "jaxnet, in memory", "jaxnet, in SQLite", "scikit-learn, in memory"


def run(rounds: int, smoke: bool) -> list[dict]:
    """Every contestant in fresh processes, in turns; medians of the rounds."""
    measured: dict[str, list[dict]] = {name: [] for name in (MEMORY, DATABASE, THEIRS)}
    for _ in range(rounds):
        for name, rows in measured.items():
            rows.append(in_fresh_process("trials", name, *["--smoke"] * smoke))
    medians = {
        name: {key: float(np.median([row[key] for row in rows])) for key in rows[0]}
        for name, rows in measured.items()
    }
    return [
        {"contestant": name}
        | row
        | {f"times_{call}": medians[THEIRS][call] / row[call] for call in ("first", "again")}
        for name, row in medians.items()
    ]


COLUMNS = {"trials": "contestant", **tables.TIMES}


if __name__ == "__main__":
    import optuna

    warnings.simplefilter("ignore")  # of trainings that end at their last epoch
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name, *flags = sys.argv[1:]
    n_trials = 4 if flags else TRIALS
    seconds = one_at_a_time(n_trials) if name == THEIRS else in_batches(n_trials, name == DATABASE)
    print(json.dumps(seconds))
