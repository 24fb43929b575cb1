"""Which recipe is good on most tables?

    python experiments/tabular_search.py            # 10 minutes on 2 cores
    python experiments/tabular_search.py --smoke    # seconds, for the tests

Ten tables that scikit-learn ships or makes: the half of the suite that `experiments/tabular.py`
does not judge by. For each, one sweep trains networks with two hidden layers of 128 units, AdamW
and a cosine schedule on two thirds of the rows: all combinations of activation, learning rate,
weight decay and dropout, three seeds each. The mean outputs of the seeds are scored on the other
rows, by accuracy or R², as shares of the best score on that table. `jn.tabular_defaults` has
the second best setting: the best, with twice its learning rate, is not better by more than the
interval, and larger tables are safer with the smaller one.
"""

from dataclasses import dataclass

import numpy as np
from benchmarks.tabular_suite import TabularSet, as_table, half
from matplotlib.figure import Figure
from sklearn.metrics import accuracy_score, r2_score

import jaxnet as jn
from jaxnet.reporting import experiment

SETS = tuple(table.name for table in half("tune"))
SHOWN = 10
"""Settings in the table of results, the best first."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    sets: tuple[str, ...] = SETS
    """Tables to tune on."""
    activations: tuple[str, ...] = ("silu", "relu", "tanh")
    """Activations of the hidden layers."""
    learning_rates: tuple[float, ...] = (0.003, 0.01, 0.02)
    """Learning rates."""
    weight_decays: tuple[float, ...] = (0.01, 0.1, 0.3, 1.0, 3.0)
    """Decoupled weight decays."""
    dropouts: tuple[float, ...] = (0.0, 0.15)
    """Probabilities of dropping a hidden unit."""
    width: int = 128
    """Units of each hidden layer."""
    seeds: int = 3
    """Networks of each setting, which predict together."""
    epochs: int = 40
    """Epochs of each network."""


def sweep_scores(config: Config, table: TabularSet) -> tuple[list[str], np.ndarray]:
    """The names of all settings, and the score of each on the rows that did not train it."""
    train, (x, y) = table.split(seed=0)
    data = as_table(table.is_classification, train)
    defaults = jn.tabular_defaults(data)
    assert data.encoding is not None
    recipe = jn.Recipe(jn.adamw(), schedule=jn.schedules.warmup_cosine(config.epochs))
    settings = jn.grid(
        recipe,
        widths=[[config.width] * 2],
        activation=[jn.activations.NAMED[name] for name in config.activations],
        learning_rate=config.learning_rates,
        weight_decay=config.weight_decays,
        dropout=config.dropouts,
    )
    study = jn.sweep(
        defaults.network, data, settings, seeds=config.seeds, epochs=config.epochs,
        batch_size=defaults.batch_size, evaluate_on=(), log=None,
    )  # fmt: skip
    columns = {f"x{index}": column for index, column in enumerate(x.T)}
    means = study.predict(data.encoding.inputs(columns)).mean(axis=1)
    answers = [data.encoding.decode(outputs)["y"].astype(float) for outputs in means]
    score = accuracy_score if table.is_classification else r2_score
    return [name_of(study, place) for place in range(len(answers))], np.array(
        [score(y, answer) for answer in answers]
    )


def name_of(study: jn.Study, place: int) -> str:
    """A setting of a study in words."""
    setting = study.settings[place]
    activation = jn.activations.NAMED.name_of(setting.network.activations[0])
    rate, decay = setting.number("learning_rate"), setting.number("weight_decay")
    return f"{activation}, rate {rate:g}, decay {decay:g}, dropout {setting.number('dropout'):g}"


def run(config: Config) -> tuple[list[dict], dict]:
    """The share of the best score that each setting reaches, over all tables."""
    shares, names = [], []
    for table in half("tune"):
        if table.name in config.sets:
            names, scores = sweep_scores(config, table)
            scores = np.maximum(scores, 1e-3)  # R² may be below that of the mean
            shares.append(scores / scores.max())
    table_shares = np.array(shares)
    order = np.argsort(-table_shares.mean(axis=0))
    rows = [
        experiment.estimate_row(names[place], table_shares[:, place]) for place in order[:SHOWN]
    ]
    return rows, {"names": np.array(names), "shares": table_shares}


def plot(curves: dict) -> Figure:
    """The mean share of the best score by weight decay, a panel for each activation."""
    names, shares = [str(name) for name in curves["names"]], curves["shares"].mean(axis=0)
    activations = list(dict.fromkeys(name.partition(",")[0] for name in names))
    figure, panels = experiment.panels(*(1 for _ in activations), width=10, sharey=True)
    for axes, activation in zip(panels, activations, strict=True):
        lines: dict[str, list[tuple[float, float]]] = {}
        for name, share in zip(names, shares, strict=True):
            own, rate, decay, dropout = name.split(", ")
            if own == activation and dropout == "dropout 0":
                lines.setdefault(rate, []).append((float(decay.split()[1]), 100 * share))
        for style, (rate, points) in enumerate(lines.items()):
            axes.plot(*zip(*points), "o", label=f"learning {rate}", **experiment.line_style(style))
        axes.set(xscale="log", xlabel="weight decay", title=activation, ylim=(80, 101))
    panels[0].set_ylabel("mean share of the best score, %")
    panels[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    smoke = Config(
        sets=("wine", "diabetes"), activations=("silu", "tanh"), learning_rates=(0.01,),
        weight_decays=(0.1, 1.0), dropouts=(0.0,), width=4, seeds=1, epochs=2,
    )  # fmt: skip
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
