"""Studies: what a sweep has found, lane by lane."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.acceleration.padding import unpad_params
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, Params
from jaxnet.io import csv, parquet
from jaxnet.io.files import Origin
from jaxnet.sweeps.chunk import ChunkSpec, train_chunk
from jaxnet.sweeps.planning import Plan
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.store import (
    Folder,
    Record,
    Setting,
    first_examples,
    lane_params,
    ranked,
    state_like,
)
from jaxnet.training import train
from jaxnet.training.run import Ending, Run

AXES = ("recipe", "seed", "epoch")
CURVES = History._fields


@dataclass(frozen=True)
class Source:
    """What a study was made from: enough to train any of its lanes again."""

    data: Dataset
    evaluate_on: tuple[str, ...]
    records: tuple[Record, ...]
    where: dict[tuple[int, int], tuple[int, int]]
    """Each lane's record, and its row there."""
    folder: Folder | None
    params: dict[tuple[int, int], Params]
    """Those of the best lanes, where there is no folder."""


class Study(NamedTuple):
    """What a sweep has found: arrays with the named axes (recipe, seed, epoch).

    Every array has the axes that its name stands for, in this order: the curves of `history` all
    three, what is one number a lane, the first two. A curve is NaN after a lane's end.
    """

    settings: tuple[Setting, ...]
    """Along the axis recipe."""
    seeds: np.ndarray
    """Along the axis seed."""
    history: History
    """The four curves, each (recipe, seed, epoch)."""
    epochs: np.ndarray
    """Epochs trained."""
    best_epoch: np.ndarray
    stopped: np.ndarray
    """Whether the stopping rule, or halving, ended it."""
    diverged_epoch: np.ndarray
    """The epoch in which a lane diverged, from 1; 0 if it did not."""
    diverged_step: np.ndarray
    """The mini-batch of that epoch, from 1, that left a number that is not finite."""
    plan: Plan
    seconds: float
    """Of this call."""
    saved: float
    """The part of the work that was not done because lanes had stopped or diverged."""
    source: Source

    axes = AXES

    @property
    def score(self) -> np.ndarray:
        """What ranks lanes, (recipe, seed): the last evaluation accuracy, or minus the cost.

        A lane that diverged has −∞. Without an evaluation it is the training curves that count.
        """
        return ranked(self.history, self.epochs, self.diverged_epoch)

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Where its lanes were trained: versions of jaxnet and jax, and the kind of device.

        Bits depend on these: where there are several, the study mixes results that may differ in
        the last places.
        """
        records = (self.source.records[index] for index, _ in self.source.where.values())
        return tuple(dict.fromkeys(o for record in records for o in record.result.origins))

    @property
    def best_lane(self) -> tuple[int, int]:
        """Recipe and seed, as places on the axes, of the lane that ranks first."""
        recipe, seed = np.unravel_index(np.argmax(self.score), self.score.shape)
        return int(recipe), int(seed)

    @property
    def best_recipe(self) -> int:
        """The recipe whose mean over seeds ranks first."""
        return int(np.argmax(self.score.mean(axis=1)))

    def run(self, recipe: int, seed: int) -> Run:
        """A lane as the `Run` that `train` would have returned, by places on the axes.

        Its parameters come from the folder, or from memory if it is among the best; any other
        lane, and any whose best epoch was not its last, is trained again: see `replay`.
        """
        lane = self._lane(recipe, seed)
        params = self._kept(*lane)
        if params is None or self.best_epoch[lane] != self.epochs[lane]:
            return self.replay(*lane)
        return self._as_run(lane, params, params)

    def params(self, recipe: int, seed: int) -> Params:
        """A lane's last parameters, by places on the axes: trained again if they are not kept."""
        lane = self._lane(recipe, seed)
        kept = self._kept(*lane)
        return self.replay(*lane).params if kept is None else kept

    def replay(self, recipe: int, seed: int, alone: bool = False) -> Run:
        """Train a lane again, by places on the axes.

        Args:
          recipe: its place on the first axis.
          seed: its place on the second axis.
          alone: whether to train it with `train`, as a network of its own, and not in programs of
            the sizes that it was in, to the same bits.
        """
        lane = self._lane(recipe, seed)
        setting, number = self.settings[lane[0]], int(self.seeds[lane[1]])
        data = first_examples(self.source.data, setting.examples)
        if alone:
            return train(
                setting.network,
                data,
                setting.recipe,
                epochs=max(1, int(self.epochs[lane])),
                batch_size=setting.batch_size,
                seed=number,
                evaluate_on=self.source.evaluate_on,
            )
        number_of_record, row = self.source.where[lane]
        chunk = self.source.records[number_of_record]
        layouts = tuple(place.alone() for place in chunk.result.places[row])
        net = setting.network
        recipes = RecipeBatch.stacked([setting.recipe])
        recipes = recipes if chunk.result.swept else recipes.sharing_inputs()
        program = Network(chunk.program, net.hidden, net.cost, net.init, net.precision)
        spec = ChunkSpec(
            (net,), recipes, (number,), program, layouts, setting.batch_size,
            max(1, int(self.epochs[lane])), self.source.evaluate_on, repack=False, keep_best=True,
        )  # fmt: skip
        _, states = train_chunk(spec, data)
        best = states.watch.best
        last = setting.recipe.optimizer.evaluation_params(
            *jax.tree.map(lambda leaf: leaf[0], (states.opt_state, states.params))
        )
        kept = jax.tree.map(lambda leaf: leaf[0], best)
        return self._as_run(lane, unpad_params(net, last), unpad_params(net, kept))

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for each epoch that was trained: setting, seed, how it ended, the four curves."""
        for lane in np.ndindex(self.epochs.shape):
            told = {"recipe": lane[0], **self.settings[lane[0]].columns()}
            told |= {"seed": int(self.seeds[lane[1]]), "ending": self.ending(*lane)}
            for epoch in range(self.epochs[lane]):
                curves = {
                    name: float(curve[*lane, epoch]) for name, curve in zip(CURVES, self.history)
                }
                yield told | {"epoch": epoch + 1} | curves

    def ending(self, recipe: int, seed: int) -> Ending:
        """How a lane ended, in a word."""
        if self.diverged_epoch[recipe, seed]:
            return "diverged"
        if self.stopped[recipe, seed]:
            return "stopped"
        asked = self.history.training_cost.shape[-1]
        return "done" if self.epochs[recipe, seed] == asked else "interrupted"

    def to_csv(self, path: str | Path) -> None:
        """Write `rows` as CSV, atomically; what was not monitored stays empty."""
        csv.write_csv(path, self.rows())

    def to_frame(self) -> Any:
        """`rows` as a pandas frame.

        Raises:
          ImportError: pandas is not installed.
        """
        try:
            import pandas  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError("a frame needs pandas: pip install 'jaxnet-mlp[tables]'.") from None
        return pandas.DataFrame(list(self.rows()))

    def to_parquet(self, path: str | Path) -> None:
        """Write `rows` as Parquet, atomically.

        Raises:
          ImportError: pyarrow is not installed.
        """
        parquet.write_parquet(path, self.rows())

    def __repr__(self) -> str:
        recipe, seed = self.best_lane
        n, origins = self.epochs.size, self.origins
        return (
            f"Study({len(self.settings)} recipes × {len(self.seeds)} seeds × "
            f"{self.epochs.max(initial=0)} epochs; "
            f"best lane: recipe {recipe}, seed {self.seeds[seed]}, {self.score[recipe, seed]:.4g}; "
            f"{np.count_nonzero(self.diverged_epoch)} of {n} diverged"
            + (f"; mixed: {'; '.join(map(str, origins))})" if len(origins) > 1 else ")")
        )

    def _lane(self, recipe: int, seed: int) -> tuple[int, int]:
        """The places on the axes, from 0."""
        try:
            lane = range(len(self.settings))[recipe], range(len(self.seeds))[seed]
            if lane in self.source.where:
                return lane
            raise ValueError(
                f"lane {lane} was not begun: the sweep was interrupted; with a folder, the same "
                "call goes on."
            )
        except IndexError:
            raise ValueError(
                f"there is no lane ({recipe}, {seed}): the study has {len(self.settings)} recipes "
                f"and {len(self.seeds)} seeds, counted from 0."
            ) from None

    def _kept(self, *lane: int) -> Params | None:
        """A lane's last parameters, if they are kept."""
        if self.source.folder is None:
            return self.source.params.get((lane[0], lane[1]))
        record, row = self.source.where[lane[0], lane[1]]
        setting = self.settings[lane[0]]
        chunk = self.source.records[record]
        like = state_like(chunk.program, setting)
        try:
            return lane_params(setting, self.source.folder.states(chunk, like), row)
        except LookupError:  # a later call has trained it for longer
            return None

    def _as_run(self, lane: tuple[int, int], params: Params, best: Params) -> Run:
        setting, n = self.settings[lane[0]], int(self.epochs[lane])
        ending = self.ending(*lane)
        stopped = None
        if ending == "diverged":
            stopped = (
                f"training diverged in epoch {self.diverged_epoch[lane]}, at mini-batch "
                f"{self.diverged_step[lane]} of it."
            )
        elif ending == "stopped":
            stopped = f"stopped after epoch {n}."
        return Run(
            setting.network,
            setting.recipe,
            self.history.training_cost.shape[-1],
            setting.batch_size,
            int(self.seeds[lane[1]]),
            params,
            History(*(curve[*lane, :n] for curve in self.history)),
            int(self.best_epoch[lane]),
            best,
            {},
            ending,
            stopped,
        )
