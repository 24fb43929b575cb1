"""Studies: all results of a sweep, network by network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxnet.core.dtypes import FloatType, computing_in
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, Order, Params
from jaxnet.io import csv, parquet
from jaxnet.io.csv import Row
from jaxnet.io.files import Origin
from jaxnet.recipes.stopping import Criterion
from jaxnet.sweeps.chunk import ChunkSpec, train_chunk
from jaxnet.sweeps.folds import LaneFold, room_for
from jaxnet.sweeps.planning import Plan
from jaxnet.sweeps.ranking import ranking_curve, ranking_scores, recipe_order, seeds_from_median
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.starts import LaneStart
from jaxnet.sweeps.store import (
    Folder,
    Lane,
    LaneParams,
    Record,
    Setting,
    first_examples,
    lane_params,
    state_like,
)
from jaxnet.training import train
from jaxnet.training.measured import Measured
from jaxnet.training.run import Ending, Run

if TYPE_CHECKING:
    import pandas  # pyright: ignore[reportMissingImports]

AXES = ("recipe", "seed", "epoch")


@dataclass(frozen=True)
class Source:
    """The origin of a study's results: enough to train any of its networks again."""

    data: Dataset
    """The training and validation splits."""
    measured: Measured
    """What was measured after each epoch and during it, and what ranks the networks."""
    order: Order
    """In which order each epoch visited the examples."""
    records: tuple[Record, ...]
    """The trained chunks."""
    row_by_lane: dict[Lane, tuple[int, int]]
    """For each lane that has started, its record (an index of `records`) and its row there."""
    folder: Folder | None
    """Keeps the chunks' last states, if there is a folder."""
    params: dict[Lane, LaneParams]
    """Without a folder, the parameters of lanes of the best recipes."""
    folds: tuple[LaneFold, ...] | None
    """The fold of each group: those of the first seed first; None without folds."""
    starts: Sequence[Sequence[LaneStart]] | None
    """For each setting and seed where it starts; None where all parameters are drawn."""
    dtype: FloatType | None
    """The type to train the networks in again; None for JAX's default."""


class Study(NamedTuple):
    """All results of a sweep: arrays with the named axes (recipe, seed, epoch).

    With `sweep(resample=…)` there is an axis fold after that of the seeds.

    A place on the axis recipe is a setting: a recipe with its network, batch size and number of
    examples. The curves of `history` have all three axes and are NaN after a network's end; all
    other arrays have one number per network, and the axes (recipe, seed).

    Attributes:
      settings: along the axis recipe: network, recipe, batch size and number of examples.
      seeds: the seeds along the axis seed.
      history: the curves and metrics, each (recipe, seed, epoch), and the monitors, each (recipe,
        seed, epoch, measurements, layers); NaN where not evaluated.
      epochs: epochs trained.
      best_epoch: the best epoch by the stopping rule's metric, from 1; 0 is the start. Without a
        rule it is the one with the highest evaluation accuracy or, without accuracies, the lowest
        evaluation cost without penalties; the last one if no validation split was evaluated.
      stopped: whether the stopping rule, or successive halving, ended the network's training.
      diverged_epoch: the epoch in which the network diverged, from 1; 0 if it did not.
      diverged_step: the mini-batch of that epoch, from 1, after which a parameter was not finite;
        or 0.
      plan: how the sweep was divided into programs, with its predicted memory and time.
      seconds: seconds that the call of `sweep` took.
      saved: the fraction of all epochs, in [0, 1], not computed because networks stopped or
        diverged.
      source: the data and trained chunks, from which any network can be trained again.

    >>> import jaxnet as jn
    >>> recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
    >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), recipe,
    ...                  seeds=3, epochs=2, log=None)
    >>> study.score.shape, study.history.evaluation_cost.shape
    ((2, 3), (2, 3, 2))
    >>> study.settings[1].number("learning_rate"), study.ending(1, 2)
    (1.0, 'done')
    >>> recipe, seed = study.best_lane
    >>> study.run(recipe, seed).params[0].w.shape
    (2, 4)
    """

    settings: tuple[Setting, ...]
    seeds: Int[np.ndarray, " seeds"]
    history: History
    epochs: Int[np.ndarray, "recipes seeds *folds"]
    best_epoch: Int[np.ndarray, "recipes seeds *folds"]
    stopped: Bool[np.ndarray, "recipes seeds *folds"]
    diverged_epoch: Int[np.ndarray, "recipes seeds *folds"]
    diverged_step: Int[np.ndarray, "recipes seeds *folds"]
    plan: Plan
    seconds: float
    saved: float
    source: Source

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes of the curves: recipe, seed, fold if there are folds, and epoch."""
        return AXES if self.source.folds is None else (*AXES[:-1], "fold", AXES[-1])

    @property
    def n_folds(self) -> int:
        """The number of folds of each seed; 1 without folds."""
        return 1 if self.source.folds is None else len(self.source.folds) // len(self.seeds)

    @property
    def interruption(self) -> str | None:
        """What Ctrl-C has left of the study, in words; `None` if nothing is missing.

        >>> import jaxnet as jn
        >>> recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
        >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), recipe,
        ...                  seeds=3, epochs=2, log=None)
        >>> print(study._replace(epochs=np.array([[2, 1, 0], [2, 0, 0]])).interruption)
        3 of 6 networks have begun (2 of 3 seeds), with 1 to 2 of 2 epochs
        """
        n_epochs = self.history.training_cost.shape[-1]
        has_ended = self.stopped | (self.diverged_epoch > 0) | (self.epochs == n_epochs)
        if has_ended.all():
            return None
        has_begun = (self.epochs > 0) | (self.diverged_epoch > 0)
        n_begun, n_seeds = int(has_begun.sum()), self.seeds_begun(slice(None))
        if not n_begun:
            return f"none of {has_begun.size:,} networks has had an epoch"
        fewest, most = int(self.epochs[has_begun].min()), int(self.epochs.max())
        seeds = f" ({n_seeds:,} of {len(self.seeds):,} seeds)" if n_seeds < len(self.seeds) else ""
        epochs = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
        return (
            f"{n_begun:,} of {has_begun.size:,} networks have begun{seeds}, with {epochs} of "
            f"{n_epochs:,} epochs"
        )

    def seeds_begun(self, recipe: int | slice) -> int:
        """The number of seeds under which a network has begun: all, unless Ctrl-C ended the sweep.

        Args:
          recipe: the place on the axis recipe, from 0; a slice for several.

        Returns:
          The number of seeds.
        """
        has_begun = (self.epochs > 0) | (self.diverged_epoch > 0)
        recipes = has_begun[recipe].reshape(-1, len(self.seeds), self.n_folds)
        return int(recipes.any(axis=(0, 2)).sum())

    @property
    def n_left_out(self) -> int:
        """The number of networks of other calls, with other settings or seeds, in the folder.

        A folder keeps the networks of all calls with the same data; a study has those of its own.
        """
        records, rows = self.source.records, self.source.row_by_lane.values()
        kept = {run for record in records for run in record.lanes}
        return len(kept - {records[index].lanes[row] for index, row in rows})

    @property
    def score(self) -> Float[np.ndarray, "recipes seeds *folds"]:
        """The score that ranks the networks, (recipe, seed) or (recipe, seed, fold).

        It is that of the best epoch, whose parameters are `Run.best_params`: the curve
        `ranked_by`, with a minus sign if lower is better. A network that diverged has −∞.
        """
        return ranking_scores(self.history, self.best_epoch, self.diverged_epoch, self._rank_by)

    @property
    def ranked_by(self) -> str:
        """The name of the curve that ranks the networks, in `History.curves`.

        It is that of `sweep(select_by=…)`. By default it is the evaluation accuracy or, where there
        are no accuracies, the evaluation cost without penalties; if no validation split was
        evaluated, the training curves count in the same way. In a study with folds it is that of
        the test rows, which had no part in the training.
        """
        return ranking_curve(self.history, self._rank_by)

    @property
    def higher_is_better(self) -> bool:
        """Whether more of `ranked_by` is better; if not, `score` is the curve's negative."""
        criterion = self._rank_by
        if criterion is None:
            return not self.ranked_by.endswith("cost")
        return criterion.higher_is_better

    @property
    def _rank_by(self) -> Criterion | None:
        """What ranks the networks; None for the default of a study without folds."""
        measured = self.source.measured
        if self.source.folds is None:
            return measured.rank_by
        accuracy = np.asarray(self.history.metrics["test_accuracy"])
        return measured.test_criterion("accuracy" if np.isfinite(accuracy).any() else "cost")

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The versions of jaxnet and JAX, and the kinds of device, that trained the networks.

        Bits depend on these: if there are several, the results may differ in the last places.
        """
        records = (self.source.records[index] for index, _ in self.source.row_by_lane.values())
        origins = (origin for record in records for origin in record.result.origins)
        return tuple(dict.fromkeys(origins))

    @property
    def best_lane(self) -> tuple[int, ...]:
        """The typical network of the best recipe: its places on recipe, seed and any fold, from 0.

        It is the network of `best_recipe` with the median score over the seeds; of an even number
        of seeds, the lower of the two in the middle. The highest score of all would be that of a
        lucky seed. Seeds that diverged do not count, if there are others.
        """
        recipe = self.best_recipe
        scores = self.score[recipe]
        median = int(seeds_from_median(scores.ravel())[0])
        return recipe, *map(int, np.unravel_index(median, scores.shape))

    @property
    def best_recipe(self) -> int:
        """The place on the axis recipe, from 0, with the highest mean score over the seeds.

        The mean of a recipe with a diverged seed is −∞. If all recipes have one, those with the
        fewest count, and of these the mean over the other seeds.
        """
        return int(recipe_order(self.score.reshape(len(self.settings), -1))[0])

    def run(self, recipe: int, seed: int, fold: int | None = None) -> Run:
        """A network as the `Run` that `train` would have returned.

        Its parameters come from the folder or, without one, from memory, which holds those of the
        best recipes. Any other network is trained again: see `replay`.

        Args:
          recipe: the network's place on the axis recipe, from 0; negative counts from the end.
          seed: its place on the axis seed (not the seed itself), likewise.
          fold: its place on the axis fold, likewise; `None`, the default, in a study without folds.

        Returns:
          The finished run.

        Raises:
          ValueError: the study has no such network, or the sweep was interrupted before it.
        """
        lane = self._lane(recipe, seed, fold)
        params = self._kept_params(lane)
        if params is None or params.best is None:
            return self.replay(recipe, seed, fold)
        return self._as_run(lane, params.last, params.best)

    def params(self, recipe: int, seed: int, fold: int | None = None) -> Params:
        """A network's parameters after its last epoch; it is trained again if they are not kept.

        Args:
          recipe: the network's place on the axis recipe, from 0; negative counts from the end.
          seed: its place on the axis seed (not the seed itself), likewise.
          fold: its place on the axis fold, likewise; `None`, the default, in a study without folds.

        Returns:
          The parameters, as `predict` and `save` take them.

        Raises:
          ValueError: the study has no such network, or the sweep was interrupted before it.
        """
        lane = self._lane(recipe, seed, fold)
        params = self._kept_params(lane)
        return self.replay(recipe, seed, fold).params if params is None else params.last

    def replay(self, recipe: int, seed: int, fold: int | None = None, alone: bool = False) -> Run:
        """Train a network again.

        Args:
          recipe: the network's place on the axis recipe, from 0; negative counts from the end.
          seed: its place on the axis seed (not the seed itself), likewise.
          fold: its place on the axis fold, likewise; `None`, the default, in a study without folds.
          alone: False trains it in programs of the sizes that the sweep used, to the same bits;
            True trains it by `train`, whose results may differ in the last places.

        Returns:
          The finished run.

        Raises:
          ValueError: the study has no such network, or the sweep was interrupted before it.
        """
        lane = self._lane(recipe, seed, fold)
        setting = self.settings[lane[0]]
        data = first_examples(self.source.data, setting.examples)
        measured, start = self.source.measured, self._start(lane)
        if alone:
            return train(
                setting.network,
                data if self.source.folds is None else self.source.folds[lane[1]].of(data),
                setting.recipe,
                epochs=max(1, int(self.epochs[self._places(lane)])),
                batch_size=setting.batch_size,
                seed=self._seed(lane),
                evaluate_on=measured.evaluate_on,
                metrics=dict(measured.metrics),
                monitors=measured.monitors,
                order=self.source.order,
                params=None if start is None else start.params,
                trainable=None if start is None else start.trainable,
                dtype=self.source.dtype,
            )
        masks = None if start is None else start.masks
        with computing_in(self.source.dtype):
            states = train_chunk(self._replay_spec(lane), data).states
            params = lane_params(setting, masks, states, 0, best_is_last=False)
        assert params.best is not None  # the spec keeps it
        return self._as_run(lane, params.last, params.best)

    def rows(self) -> Iterator[Row]:
        """The study as a table: a row for each epoch of each network.

        Returns:
          Dictionaries with the place on the axis recipe, the setting's numbers, the seed, how the
          network ended, the epoch (from 1) and the curves.

        >>> import jaxnet as jn
        >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd(0.1)),
        ...                  epochs=2, log=None)
        >>> [(row["learning_rate"], row["seed"], row["epoch"]) for row in study.rows()]
        [(0.10000000149011612, 0, 1), (0.10000000149011612, 0, 2)]
        """
        for places in np.ndindex(self.epochs.shape):
            recipe, seed, *fold = places
            lane_columns = {
                "recipe": recipe,
                **self.settings[recipe].columns(),
                "seed": int(self.seeds[seed]),
                **({"fold": fold[0]} if fold else {}),
                "ending": self.ending(*places),
            }
            for epoch in range(self.epochs[places]):
                curves = {
                    name: float(curve[*places, epoch])
                    for name, curve in self.history.curves.items()
                }
                yield lane_columns | {"epoch": epoch + 1} | curves

    def ending(self, recipe: int, seed: int, fold: int | None = None) -> Ending:
        """How a network's training ended, in a word.

        Args:
          recipe: the network's place on the axis recipe, from 0.
          seed: its place on the axis seed (not the seed itself), from 0.
          fold: its place on the axis fold, from 0; `None`, the default, in a study without folds.

        Returns:
          "done" after all epochs, "stopped" by the stopping rule or successive halving, "diverged",
          or "interrupted" by Ctrl-C.

        Raises:
          ValueError: the study has no such network.
        """
        places = self._places(self._lane_at(recipe, seed, fold))
        if self.diverged_epoch[places]:
            return "diverged"
        if self.stopped[places]:
            return "stopped"
        n_epochs_asked_for = self.history.training_cost.shape[-1]
        return "done" if self.epochs[places] == n_epochs_asked_for else "interrupted"

    def to_csv(self, path: str | Path) -> None:
        """Write `rows` as a CSV file, atomically; a curve that was not evaluated stays empty.

        Args:
          path: the file; one that exists is replaced.

        Raises:
          OSError: the file cannot be written.
        """
        csv.write_csv(path, self.rows())

    def to_frame(self) -> "pandas.DataFrame":
        """`rows` as a pandas DataFrame.

        Returns:
          A DataFrame with one row per epoch of each network.

        Raises:
          ImportError: pandas is not installed.
        """
        try:
            import pandas  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError("to_frame needs pandas: pip install 'jaxnet-mlp[tables]'.") from None
        return pandas.DataFrame(list(self.rows()))

    def to_parquet(self, path: str | Path) -> None:
        """Write `rows` as a Parquet file, atomically.

        Args:
          path: the file; one that exists is replaced.

        Raises:
          ImportError: pyarrow is not installed.
          OSError: the file cannot be written.
        """
        parquet.write_parquet(path, self.rows())

    def __repr__(self) -> str:
        lane = recipe, seed, *_ = self.best_lane
        n_diverged, origins = np.count_nonzero(self.diverged_epoch), self.origins
        return (
            f"Study({len(self.settings)} recipes × {len(self.seeds)} seeds × "
            f"{self.epochs.max(initial=0)} epochs; best recipe: {recipe}, whose median seed, "
            f"{self.seeds[seed]}, has {self.score[lane]:.4g}; "
            f"{n_diverged} of {self.epochs.size} networks diverged"
            + (f"; interrupted: {self.interruption}" if self.interruption else "")
            + (f"; mixed: {'; '.join(map(str, origins))})" if len(origins) > 1 else ")")
        )

    def _lane(self, recipe: int, seed: int, fold: int | None) -> Lane:
        """The lane at these places on the axes, checked to have been started."""
        lane = self._lane_at(recipe, seed, fold)
        if lane not in self.source.row_by_lane:
            raise ValueError(
                f"network {self._places(lane)} was not started, because the sweep was interrupted; "
                "if sweep was given a folder, make the same call again to continue."
            )
        return lane

    def _lane_at(self, recipe: int, seed: int, fold: int | None) -> Lane:
        """The lane at these places on the axes, checked; negative places count from the end."""
        if fold is None and self.source.folds is not None:
            raise ValueError(
                f"the study has {self.n_folds} folds; name the place of one of them, from 0."
            )
        try:
            place = range(len(self.seeds))[seed] * self.n_folds + range(self.n_folds)[fold or 0]
            return range(len(self.settings))[recipe], place
        except (IndexError, TypeError):
            folds = "" if self.source.folds is None else f", {self.n_folds} folds"
            places = (recipe, seed) if fold is None else (recipe, seed, fold)
            raise ValueError(
                f"there is no network {places}: the study has {len(self.settings)} recipes and "
                f"{len(self.seeds)} seeds{folds}, counted from 0."
            ) from None

    def _places(self, lane: Lane) -> tuple[int, ...]:
        """The places of a lane on the axes recipe, seed and fold."""
        if self.source.folds is None:
            return lane
        recipe, group = lane
        return recipe, *divmod(group, self.n_folds)

    def _start(self, lane: Lane) -> LaneStart | None:
        """Where a lane starts; None if its parameters are drawn and trained."""
        starts = self.source.starts
        return None if starts is None else starts[lane[0]][self._places(lane)[1]]

    def _seed(self, lane: Lane) -> int:
        """The seed of a lane."""
        return int(self.seeds[self._places(lane)[1]])

    def _kept_params(self, lane: Lane) -> LaneParams | None:
        """A lane's parameters, from memory or the folder, or None if they are not kept."""
        if self.source.folder is None:
            return self.source.params.get(lane)
        index, row = self.source.row_by_lane[lane]
        setting, record = self.settings[lane[0]], self.source.records[index]
        like = state_like(record.program_sizes, setting)
        try:
            states = self.source.folder.states(record, like)
        except LookupError:  # a later call has trained it for longer
            return None
        places = self._places(lane)
        best_is_last = bool(self.best_epoch[places] == self.epochs[places])
        start = self._start(lane)
        masks = None if start is None else start.masks
        with computing_in(self.source.dtype):
            return lane_params(setting, masks, states, row, best_is_last)

    def _replay_spec(self, lane: Lane) -> ChunkSpec:
        """The spec that trains this lane alone, in the slots that it had in the sweep."""
        setting, measured = self.settings[lane[0]], self.source.measured
        net, folds, start = setting.network, self.source.folds, self._start(lane)
        index, row = self.source.row_by_lane[lane]
        record = self.source.records[index]
        fold = room = None
        if folds is not None:
            fold = folds[lane[1]]
            schedule, monitors = setting.recipe.schedule, measured.monitors
            room = room_for(folds, fold, setting.batch_size, schedule, monitors)
        recipes = RecipeBatch.stacked([setting.recipe])
        if not record.result.has_own_inputs:
            recipes = recipes.with_shared_inputs()
        return ChunkSpec(
            networks=(net,),
            recipes=recipes,
            seeds=(self._seed(lane),),
            program_network=Network(
                record.program_sizes, net.hidden, net.cost, net.init, net.precision
            ),
            layouts=tuple(slot.single_lane_layout() for slot in record.result.slots[row]),
            batch_size=setting.batch_size,
            epochs=max(1, int(self.epochs[self._places(lane)])),
            evaluate_on=measured.evaluate_on,
            repack=False,
            keep_best=True,
            metrics=measured.metrics,
            monitors=measured.monitors,
            criterion=measured.best_by(setting.recipe.stopping),
            order=self.source.order,
            folds=None if fold is None else (fold,),
            batch_sizes=None if fold is None else (setting.batch_size,),
            room=room,
            starts=None if start is None else (start,),
        )

    def _as_run(self, lane: Lane, params: Params, best_params: Params) -> Run:
        """A lane's results as a `Run`."""
        setting, places = self.settings[lane[0]], self._places(lane)
        n_epochs, ending = int(self.epochs[places]), self.ending(*places)
        monitors = self.source.measured.monitors
        history = jax.tree.map(lambda curve: curve[places][:n_epochs], self.history)
        n_steps = -(-setting.examples // setting.batch_size)
        stopped = None
        if ending == "diverged":
            stopped = (
                f"training diverged in epoch {self.diverged_epoch[places]}, at mini-batch "
                f"{self.diverged_step[places]} of it."
            )
        elif ending == "stopped":
            stopped = f"stopped after epoch {n_epochs}."
        return Run(
            network=setting.network,
            recipe=setting.recipe,
            epochs=self.history.training_cost.shape[-1],
            batch_size=setting.batch_size,
            seed=self._seed(lane),
            params=params,
            history=history,
            best_epoch=int(self.best_epoch[places]),
            best_params=best_params,
            monitors=(
                {} if monitors is None else monitors.by_measurement(history.monitors, n_steps)
            ),
            ending=ending,
            stopped=stopped,
        )
