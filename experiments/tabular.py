"""How good is the default ensemble for tables beside what people use, at equal seconds?

    python experiments/tabular.py            # 7 minutes on 2 cores
    python experiments/tabular.py --smoke    # seconds, for the tests

Nine tables that scikit-learn ships or makes: two thirds of the rows train and one third tests,
three times. `jn.tabular_ensemble` chooses a weight decay and trains eight networks; the seconds
that it takes, compiling included, are what every tuned rival may search for. A search draws
settings at random, scores each on a fifth of the training rows, and fits the best to all of them;
that last fit is not counted, nor is starting scikit-learn's worker processes. The candidate that is
being fitted when the seconds are over still counts. pytabkit's RealMLP, a network with tuned
defaults of its own, takes part where it is installed, with all the seconds that it wants.

The score is the accuracy, or R² for numbers. It is normalized for each table: 0 is what answering
the largest class or the mean gets, 1 the best mean score of any contestant. Wins and losses, as in
9 : 0, and ranks are of mean scores. `experiments/tabular_search.py` chose the defaults on other
tables. These nine have been looked at once before: with a fixed weight decay of 1 the mean rank was
2.6 beside 2.4 of the tuned MLP, because of three tables of numbers with little noise. That the
decay is chosen by folds was then tried on the other tables, where it is never worse.

Source of RealMLP: Holzmüller et al., Better by default, 2024.
"""

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from benchmarks.tabular_suite import Arrays, TabularSet, as_table, half
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jaxnet as jn
from jaxnet.reporting import experiment

OURS, TUNED_MLP, TUNED_BOOSTING = "jaxnet", "MLP tuned", "boosting tuned"
SETS = tuple(table.name for table in half("judge"))


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    sets: tuple[str, ...] = SETS
    """Tables to judge by."""
    repetitions: int = 3
    """Divisions of each table into training and test rows."""
    members: int = 8
    """Networks of our ensemble."""
    rows: int = 10_000
    """The most rows of a table."""
    most_seconds: float = 600.0
    """The most seconds of a search, if our ensemble takes longer."""


Fitted = Callable[[np.ndarray], np.ndarray]
"""A fitted model: labels or numbers from inputs."""


def ours(table: TabularSet, rows: Arrays, members: int) -> Fitted:
    """Our ensemble, by its defaults."""
    encoded = as_table(table.is_classification, rows)
    ensemble, encoding = jn.tabular_ensemble(encoded, n_members=members), encoded.encoding
    assert encoding is not None

    def predict(x: np.ndarray) -> np.ndarray:
        columns = {f"x{index}": column for index, column in enumerate(x.T)}
        return encoding.decode(ensemble.predict(encoding.inputs(columns)))["y"].astype(float)

    return predict


def mlp(table: TabularSet, draw: np.random.Generator | None) -> BaseEstimator:
    """scikit-learn's network on standardized numbers, with its defaults or with drawn settings."""
    settings: dict[str, Any] = {}
    if draw is not None:
        width, depth = int(draw.choice([32, 64, 128, 256])), int(draw.integers(1, 4))
        settings = {
            "hidden_layer_sizes": (width,) * depth,
            "learning_rate_init": 10 ** draw.uniform(-3.5, -1.5),
            "alpha": 10 ** draw.uniform(-5, 1),
            "batch_size": int(draw.choice([32, 64, 128])),
            "activation": str(draw.choice(["relu", "tanh"])),
            "max_iter": int(draw.choice([50, 100, 200])),
            "early_stopping": bool(draw.integers(2)),
        }
    if table.is_classification:
        return make_pipeline(StandardScaler(), MLPClassifier(random_state=0, **settings))
    network = make_pipeline(StandardScaler(), MLPRegressor(random_state=0, **settings))
    return TransformedTargetRegressor(network, transformer=StandardScaler())


def boosting(table: TabularSet, draw: np.random.Generator | None) -> BaseEstimator:
    """scikit-learn's boosted trees, with their defaults or with drawn settings."""
    settings: dict[str, Any] = {}
    if draw is not None:
        settings = {
            "learning_rate": 10 ** draw.uniform(-2, -0.3),
            "max_iter": int(draw.choice([50, 100, 200, 400])),
            "max_leaf_nodes": int(draw.choice([4, 8, 16, 31, 63])),
            "min_samples_leaf": int(draw.choice([2, 5, 10, 20, 50])),
            "l2_regularization": 10 ** draw.uniform(-4, 1.5),
            "max_features": float(draw.choice([0.3, 0.6, 1.0])),
        }
    kind = HistGradientBoostingClassifier if table.is_classification else (
        HistGradientBoostingRegressor
    )  # fmt: skip
    return kind(random_state=0, **settings)


Model = Callable[[TabularSet, np.random.Generator | None], BaseEstimator]


def validated(model: Model, table: TabularSet, rows: Arrays, seed: int) -> float:
    """The score, on a fifth of the rows, of the settings that a seed draws."""
    labels = rows[1] if table.is_classification else None
    parts = train_test_split(*rows, test_size=0.2, random_state=0, stratify=labels)
    x, x_valid, y, y_valid = map(np.asarray, parts)
    return score(table, _fit(model(table, _draw(seed)), x, y), (x_valid, y_valid))


def tuned(
    model: Model, n_jobs: int, table: TabularSet, rows: Arrays, seconds: float
) -> tuple[Fitted, int]:
    """The model with the best of the settings drawn in these seconds, and their number."""
    workers = Parallel(n_jobs=n_jobs)
    workers(delayed(time.sleep)(0.1) for _ in range(n_jobs))
    end = time.perf_counter() + seconds
    scores: list[float] = []
    while not scores or time.perf_counter() < end:
        seeds = range(len(scores), len(scores) + n_jobs)
        scores += list(workers(delayed(validated)(model, table, rows, seed) for seed in seeds))  # pyright: ignore
    best = int(np.argmax(scores))
    return _fit(model(table, _draw(best)), *rows), len(scores)


def _draw(seed: int) -> np.random.Generator | None:
    """What draws the settings of a candidate; None for the first, which is the default."""
    return np.random.default_rng(seed) if seed else None


def _fit(model: Any, x: np.ndarray, y: np.ndarray) -> Fitted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of few iterations, of large mini-batches
        return model.fit(x, y).predict


def score(table: TabularSet, fitted: Fitted, rows: Arrays) -> float:
    """The accuracy, or R²."""
    x, y = rows
    return float((accuracy_score if table.is_classification else r2_score)(y, fitted(x)))


def trivial_score(table: TabularSet, train: Arrays, test: Arrays) -> float:
    """The score of the largest class, or of the mean."""
    y = train[1]
    answer = stats.mode(y).mode if table.is_classification else y.mean()
    return score(table, lambda x: np.full(len(x), answer), test)


def real_mlp(table: TabularSet, rows: Arrays) -> Fitted:
    """pytabkit's RealMLP with its tuned defaults, an ensemble of as many networks by folds."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor  # pyright: ignore

    kind = RealMLP_TD_Classifier if table.is_classification else RealMLP_TD_Regressor
    return _fit(kind(device="cpu", random_state=0, n_cv=1, verbosity=0), *rows)


def contest(config: Config, table: TabularSet, seed: int) -> Iterator[tuple[str, float, float]]:
    """The name, the score and the seconds of each contestant on one division of a table."""
    train, test = table.split(seed, config.rows)
    yield "trivial", trivial_score(table, train, test), 0.0
    fits: dict[str, Callable[[], Fitted]] = {
        OURS: lambda: ours(table, train, config.members),
        "MLP default": lambda: _fit(mlp(table, None), *train),
        "boosting default": lambda: _fit(boosting(table, None), *train),
        TUNED_MLP: lambda: tuned(mlp, 2, table, train, budget)[0],
        TUNED_BOOSTING: lambda: tuned(boosting, 1, table, train, budget)[0],
    }
    if importlib.util.find_spec("pytabkit") is not None:
        fits["RealMLP default"] = lambda: real_mlp(table, train)
    budget = 0.0
    for name, fit in fits.items():
        began = time.perf_counter()
        fitted = fit()
        seconds = time.perf_counter() - began
        budget = min(seconds, config.most_seconds) if name == OURS else budget
        yield name, score(table, fitted, test), seconds


def run(config: Config) -> tuple[list[dict], dict]:
    """All contestants on all tables."""
    tables = [table for table in half("judge") if table.name in config.sets]
    scores: dict[str, np.ndarray] = {}
    seconds: dict[str, list[float]] = {}
    for row, table in enumerate(tables):
        for seed in range(config.repetitions):
            for name, value, taken in contest(config, table, seed):
                shape = (len(tables), config.repetitions)
                scores.setdefault(name, np.zeros(shape))[row, seed] = value
                seconds.setdefault(name, []).append(taken)
        listed = ", ".join(f"{name} {values[row].mean():.3f}" for name, values in scores.items())
        print(f"{table.name}: {listed}", flush=True)
    curves = {f"scores: {name}": values for name, values in scores.items()}
    curves["sets"] = np.array([table.name for table in tables])
    rows = result_rows(scores)
    rows += [
        experiment.estimate_row(f"seconds: {name}", taken, unit="")
        for name, taken in seconds.items() if name != "trivial"
    ]  # fmt: skip
    return rows, curves


def normalized(scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The mean score on each table, 0 for the trivial answer and 1 for the best contestant."""
    means = {name: values.mean(axis=1) for name, values in scores.items()}
    low = means.pop("trivial")
    best = np.max([*means.values()], axis=0)
    return {name: (values - low) / (best - low) for name, values in means.items()}


def result_rows(scores: dict[str, np.ndarray]) -> list[dict]:
    """Ranks, normalized scores, and what the default wins and loses."""
    shares = normalized(scores)
    table = np.array([*shares.values()])
    ranks = stats.rankdata(-table.round(6), axis=0)
    rows = []
    for place, name in enumerate(shares):
        rows.append(experiment.estimate_row(f"rank: {name}", ranks[place], unit=""))
    for name, values in shares.items():
        rows.append(experiment.estimate_row(f"normalized score: {name}", values, unit=""))
    ours = shares[OURS]
    for name, values in shares.items():
        if name == OURS:
            continue
        difference = ours - values
        wins, losses = np.count_nonzero(difference > 0), np.count_nonzero(difference < 0)
        median = f"median {np.median(difference):+.3f}"
        title = f"{OURS} − {name}, {wins} : {losses}, {median}"
        rows.append(experiment.difference_row(title, ours, values, unit=""))
    return rows


def plot(curves: dict) -> Figure:
    """The normalized score of each contestant on each table."""
    prefix = "scores: "
    scores = {n.removeprefix(prefix): v for n, v in curves.items() if n.startswith(prefix)}
    shares = normalized(scores)
    names = list(map(str, curves["sets"]))
    figure, (axes,) = experiment.panels(1, width=9, height=0.7 + 0.45 * len(names))
    markers = "osD^vP"
    for place, (name, values) in enumerate(shares.items()):
        style = experiment.line_style(place)
        axes.plot(
            np.maximum(values, 0), np.arange(len(names)) + 0.1 * (place - 2), markers[place],
            color=style["color"], markersize=9 if name == OURS else 6, label=name,
            zorder=3 if name == OURS else 2,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    lowest = max(0.0, min(values.min() for values in shares.values()))
    axes.set(xlabel="normalized score: 0 trivial, 1 best", xlim=(lowest - 0.02, 1.01))
    figure.legend(loc="outside right center", frameon=False)
    return figure


if __name__ == "__main__":
    smoke = Config(
        sets=("breast cancer", "friedman 1"), repetitions=1, members=2, rows=90, most_seconds=0.1
    )
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
