"""The results of a run so far, and the checkpoints that keep them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxnet.core.types import Dataset, History
from jaxnet.io.files import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.regularization import penalty
from jaxnet.training import checkpoints
from jaxnet.training.epochs import EpochProgram
from jaxnet.training.step import TrainState


class RunLog(NamedTuple):
    """The results of the epochs so far."""

    rows: list[np.ndarray]
    """The row of the history of each epoch, a number for each of its curves."""
    measured: list[np.ndarray]
    """The measurements of each epoch, (measurements, columns); (0,) without monitors."""


@dataclass
class CheckpointWriter:
    """Writes the checkpoints of a run."""

    folder: Path
    """Absolute, since a callback may change the working directory."""
    settings: JsonObject
    every: int
    """Epochs from one checkpoint to the next."""
    n_written: int
    """Epochs done when the last checkpoint was written."""

    def write(self, state: TrainState, log: RunLog) -> None:
        """Write a checkpoint, if any epoch has been done since the last one."""
        if self.n_written < len(log.rows):
            arrays = {"history": np.array(log.rows), "measured": np.array(log.measured)}
            checkpoints.save(self.folder, {"state": state, **arrays}, self.settings)
            self.n_written = len(log.rows)


def history_of(log: RunLog, metric_names: Sequence[str], dtype: np.dtype) -> History:
    """The curves of the epochs so far."""
    n_curves = len(History.CURVES) + len(metric_names)
    return History.from_array(np.array(log.rows, dtype).reshape(-1, n_curves).T, metric_names)


def read_checkpoint(
    folder: str | Path,
    state: TrainState,
    settings: Sequence[JsonObject],
    program: EpochProgram,
    epochs: int,
) -> tuple[TrainState, RunLog]:
    """The state and the log in the checkpoint of a run, if it has had no more epochs."""
    like = {"state": state, "history": None, "measured": None}
    saved = checkpoints.load(folder, like, *settings)
    curves = np.asarray(saved["history"]).T
    rows = History.from_array(curves, program.metric_names).to_array().T
    log = RunLog(list(rows), list(np.asarray(saved["measured"])))
    if len(log.rows) > epochs:
        raise ValueError(
            f"epochs is {epochs}, but the run in {folder} has had {len(log.rows)} already; give at "
            "least as many."
        )
    return saved["state"], log


def with_unpenalized_best_score(
    state: TrainState, log: RunLog, data: Dataset, recipe: Recipe, program: EpochProgram
) -> TrainState:
    """The state of a resumed run, with a best score that is comparable with those to come.

    Until version 0.3 the best epoch of a run without accuracies and without a rule was that of the
    lowest cost with penalties. Of that epoch the parameters are known, hence its penalty.
    """
    history = history_of(log, program.metric_names, np.dtype(float))
    has_data_cost = np.isfinite(history.evaluation_data_cost)
    is_older = np.isfinite(history.evaluation_cost) & ~has_data_cost
    ranks_by_cost = recipe.stopping is None and np.isnan(history.evaluation_accuracy).all()
    if data.valid is None or not ranks_by_cost or not is_older.any() or has_data_cost.any():
        return state
    watch = state.watch
    penalty_of_best = penalty(watch.best, len(data.valid.x), recipe.l1, recipe.l2)
    return state._replace(watch=watch._replace(best_score=watch.best_score + penalty_of_best))
