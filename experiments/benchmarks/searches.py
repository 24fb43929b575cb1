"""Searches by scikit-learn's interface: 60 candidates on five folds.

    python -m benchmarks.searches CASE TYPE        # in experiments/: one contestant in this process

Both searches train the same candidates on the same folds under the same seed, on all cores.
"""

import json
import sys
import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks import tables
from benchmarks.processes import in_fresh_process

SAMPLE = 8
"""Candidates that scikit-learn trains; the seconds are scaled up to all."""


@dataclass(frozen=True)
class Task:
    """A table, and how its networks are trained."""

    table: str
    """"digits", or "mnist"."""
    batch_size: int | str
    """Examples per mini-batch; "auto" for 200."""
    examples: int
    """The examples of all folds together."""
    rates: int = 12
    """Learning rates of Adam, from 1e-4 to 1e-1, each with five α."""
    epochs: int = 50

    def shortened(self) -> "Task":
        """The task in seconds, for the tests."""
        return replace(self, rates=1, epochs=2, examples=300)

    def data(self, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """Inputs in [0, 1], and labels."""
        if self.table == "digits":
            from sklearn.datasets import load_digits

            x, y = map(np.asarray, load_digits(return_X_y=True))
            x = x / 16
        else:
            import jaxnet as jn

            split = jn.datasets.mnist().train
            x, y = np.asarray(split.x) / 255, np.asarray(split.y)
        return x[: self.examples].astype(dtype), y[: self.examples]

    def grid(self) -> dict[str, list[float]]:
        """The candidates."""
        rates = np.geomspace(1e-4, 1e-1, self.rates).tolist()
        return {"learning_rate_init": rates, "alpha": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]}

    def parameters(self) -> dict[str, Any]:
        """What all candidates have in common."""
        return {
            "hidden_layer_sizes": (32,),
            "batch_size": self.batch_size,
            "max_iter": self.epochs,
            "random_state": 0,
        }


TASKS = {
    "digits, 32": Task("digits", 32, 1797),
    "digits, 200": Task("digits", "auto", 1797),
    "mnist, 32": Task("mnist", 32, 10_000, epochs=10),
}
OURS, THEIRS = "SweepSearchCV", "GridSearchCV"


def ours(task: Task, dtype: str) -> dict[str, float]:
    """The first search of a process, and the next."""
    from jaxnet.sklearn import MLPClassifier, SweepSearchCV

    x, y = task.data(dtype)
    row = {}
    for call in ("first", "again"):
        began = time.perf_counter()
        search = SweepSearchCV(MLPClassifier(**task.parameters()), task.grid(), cv=5).fit(x, y)
        row |= {call: time.perf_counter() - began, "best": search.best_score_}
    return row


def theirs(task: Task, dtype: str) -> dict[str, float]:
    """Scikit-learn's search over some of the candidates, on two cores, after its workers' start."""
    from joblib import Parallel, delayed
    from sklearn.model_selection import GridSearchCV
    from sklearn.neural_network import MLPClassifier

    x, y = task.data(dtype)
    grid = task.grid()
    candidates = len(grid["learning_rate_init"]) * len(grid["alpha"])
    few = [
        {"learning_rate_init": [rate], "alpha": [alpha]}
        for rate, alpha in zip(
            np.array(grid["learning_rate_init"])[:: max(1, task.rates // 4)].repeat(2),
            (SAMPLE // 2) * [1e-5, 1e-3], strict=False,
        )
    ]  # fmt: skip
    Parallel(n_jobs=2)(delayed(time.sleep)(0.1) for _ in range(2))
    began = time.perf_counter()
    search = GridSearchCV(MLPClassifier(**task.parameters()), few, cv=5, n_jobs=2).fit(x, y)
    seconds = time.perf_counter() - began - search.refit_time_
    seconds = seconds * candidates / len(few) + search.refit_time_
    return {"first": seconds, "again": seconds, "best": search.best_score_}


def run(rounds: int, smoke: bool) -> list[dict]:
    """Every search in fresh processes, in turns; medians of the rounds."""
    names = ["digits, 32"] if smoke else list(TASKS)
    contestants = [
        (name, dtype, search)
        for name in names
        for dtype in ("float64", "float32")
        for search in (OURS, THEIRS)
    ]
    measured: dict[tuple, list[dict]] = {contestant: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            row = in_fresh_process("searches", *contestant, *["--smoke"] * smoke)
            measured[contestant].append(row)
    medians = {
        contestant: {key: float(np.median([row[key] for row in rows])) for key in rows[0]}
        for contestant, rows in measured.items()
    }
    return [
        {"case": f"{name}, {dtype}, {search}"}
        | row
        | {
            f"times_{call}": medians[name, dtype, THEIRS][call] / row[call]
            for call in ("first", "again")
        }
        for (name, dtype, search), row in medians.items()
    ]


COLUMNS = {"search": "case", **tables.TIMES}


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of trainings that end at their last epoch
    name, dtype, search, *flags = sys.argv[1:]
    task = TASKS[name].shortened() if flags else TASKS[name]
    print(json.dumps({OURS: ours, THEIRS: theirs}[search](task, dtype)))
