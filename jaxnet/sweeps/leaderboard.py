"""Leaderboards: the settings of a study, ranked by a metric, as a table."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from jaxnet.core.arguments import brief
from jaxnet.core.hyperparameters import count
from jaxnet.core.registry import suggestion
from jaxnet.core.types import History
from jaxnet.io.csv import Row
from jaxnet.recipes.stopping import Criterion
from jaxnet.sweeps.ranking import ranking_scores, recipe_order
from jaxnet.sweeps.store import Setting
from jaxnet.training.measured import Measured, higher_is_better


def criterion_of(
    metric: object, history: History, measured: Measured, default: Criterion
) -> Criterion:
    """What ranks settings by a metric that a person named.

    Args:
      metric: "accuracy", "cost" or the name of one of the study's metrics, all of the split that
        ranks by default; or the name of a curve of the history. None for the default.
      history: the curves of the study.
      measured: what the study measured.
      default: what ranks the networks of the study.

    Raises:
      ValueError: there is no such curve, or it was not evaluated.
    """
    if metric is None:
        return default
    curves = {
        name: curve
        for name, curve in history.curves.items()
        if np.isfinite(np.asarray(curve)).any()
    }
    split = default.curve.partition("_")[0]
    if not isinstance(metric, str):
        raise ValueError(f"metric must be the name of one, such as accuracy, not {brief(metric)}.")
    name = metric.replace("validation_", "evaluation_")
    if name not in curves:
        name = f"{split}_{'data_cost' if metric == 'cost' else metric}"
    if name not in curves:
        known = [curve.removeprefix(f"{split}_") for curve in curves]
        raise ValueError(f"metric {metric} was not evaluated; {suggestion(metric, known)}")
    if name.endswith("cost"):
        return Criterion(name, False)
    function = dict(measured.metrics).get(name.partition("_")[2])
    return Criterion(name, function is None or higher_is_better(function))


def leaderboard(
    settings: Sequence[Setting],
    history: History,
    best_epoch: Int[np.ndarray, "recipes networks"],
    diverged_epoch: Int[np.ndarray, "recipes networks"],
    criterion: Criterion,
    corrected: float | None = None,
) -> list[Row]:
    """A row for each setting, the best first.

    Args:
      settings: the settings.
      history: the curves, (recipes, networks, epochs).
      best_epoch: the best epoch of each network.
      diverged_epoch: the epoch in which each network diverged; 0 if it did not.
      criterion: what ranks.
      corrected: the best setting's mean without the bias of selection; None leaves it out.

    Returns:
      The rows that `Study.leaderboard` describes.
    """
    scores = ranking_scores(history, best_epoch, diverged_epoch, criterion)
    rows: list[Row] = []
    for recipe in recipe_order(scores).tolist():
        has_score = np.isfinite(scores[recipe])
        values = scores[recipe][has_score].astype(float)
        values = values if criterion.higher_is_better else -values
        n_values = len(values)
        epochs = best_epoch[recipe][has_score]
        rows.append(
            {
                "rank": len(rows) + 1,
                "recipe": recipe,
                criterion.curve: float(values.mean()) if n_values else float("nan"),
                **({} if corrected is None else {"corrected": float("nan") if rows else corrected}),
                "sd": float(values.std(ddof=1)) if n_values > 1 else float("nan"),
                "n": n_values,
                "n_diverged": int(np.count_nonzero(diverged_epoch[recipe])),
                "best_epoch": float(np.median(epochs)) if n_values else float("nan"),
                **settings[recipe].columns(),
            }
        )
    return rows


def selected(rows: list[Row], by: object, top: object) -> list[Row]:
    """The rows of a leaderboard that a person asked for, which keep their ranks.

    Args:
      rows: all rows, the best first.
      by: the name of a column, of each of whose values only the best row is kept; None for all.
      top: how many rows to keep, at least 1; None for all.

    Raises:
      ValueError: there is no such column, or `top` is no such number.
    """
    if by is not None:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        if by not in columns:
            raise ValueError(
                f"by must be the name of a column, not {brief(by)}; {suggestion(str(by), columns)}"
            )
        first_by_value: dict[object, Row] = {}
        for row in rows:
            first_by_value.setdefault(row.get(str(by)), row)
        rows = list(first_by_value.values())
    return rows if top is None else rows[: count("top", top, low=1)]
