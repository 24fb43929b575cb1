"""Comparisons on several tasks, made by hand: scores of runs, and what their evaluation reads."""

import numpy as np

from jaxnet.comparison import Comparison

VERSIONS = {"versions": {"jaxnet-mlp": "0.3.0"}, "device": {"kind": "cpu"}}


def comparison(scores, targets=(0.9, 0.95), **manifest) -> Comparison:
    """A comparison of which `scores` has the test scores of the report, label → one per seed."""
    n_seeds = len(next(iter(scores.values())))
    protocol = {"targets": list(targets), "report_seeds": list(range(1000, 1000 + n_seeds))}
    runs = [
        {"phase": phase, "optimizer": label, "seed": 1000 + seed, "test_score": float(score)}
        for phase in ("tuning", "report")
        for label, of_label in scores.items()
        for seed, score in enumerate(of_label if phase == "report" else [0.123])
    ]
    times = [
        {"optimizer": label, "target": 0.9, "median_steps": 100.0 * (1 + place)}
        for place, label in enumerate(scores)
    ]
    tables = {name: [] for name in Comparison._fields} | {
        "manifest": {"score": "accuracy", "protocol": protocol, **VERSIONS, **manifest},
        "summary": [{"optimizer": label} for label in scores],
        "runs": runs,
        "time_to_target": times,
        "timing": {},
    }
    return Comparison(**tables)  # pyright: ignore[reportArgumentType]


def comparisons(n_tasks: int, labels=("sgd", "momentum", "adam"), n_seeds: int = 8):
    """Comparisons of which the first optimizer is best on most tasks, and the last one worst."""
    random = np.random.default_rng(0)
    compared = {}
    for task in range(n_tasks):
        difficulty = random.uniform(0.02, 0.08)
        compared[f"task {task}"] = comparison({
            label: 1 - difficulty * (1 + 0.3 * place) * random.lognormal(0, 0.15, n_seeds)
            for place, label in enumerate(labels)
        })  # fmt: skip
    return compared
