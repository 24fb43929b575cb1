"""A chunk: lanes that are trained together, from their start to their end."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.acceleration.padding import UnitMasks, masks
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, Layer, Params
from jaxnet.io import files
from jaxnet.io.files import Origin
from jaxnet.sweeps import lanes
from jaxnet.sweeps.lanes import LaneState
from jaxnet.sweeps.layout import Layout, Slot, SlotMap, smaller
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.training.epochs import EpochProgram
from jaxnet.training.host_loop import HostLoop
from jaxnet.training.step import TrainState, compiled_draw_params


class ChunkSpec(NamedTuple):
    """Lanes to train together, and how far: all that a worker needs but for the data."""

    networks: tuple[Network, ...]
    """Each lane's; they differ only in the widths of their hidden layers."""
    recipes: RecipeBatch
    """Each lane's."""
    seeds: tuple[int, ...]
    """Each lane's."""
    program: Network
    """The network of the program: as wide as the widest, filled up."""
    layouts: tuple[Layout, ...]
    """The sizes of program to train them in: the last one goes on."""
    batch_size: int
    epochs: int
    evaluate_on: tuple[str, ...]
    repack: bool
    """Whether those that are left may go on in a smaller program."""
    keep_best: bool
    """Whether each lane carries the parameters of its best epoch, too."""


class ChunkResult(NamedTuple):
    """What became of the lanes of a chunk: arrays with a row a lane."""

    history: History
    """Each (lanes, epochs), NaN after a lane's end."""
    epochs: np.ndarray
    """Epochs trained."""
    computed: np.ndarray
    """Those, and the ones in which it was frozen, but its program went on."""
    best_epoch: np.ndarray
    best_score: np.ndarray
    stopped: np.ndarray
    """Whether the stopping rule ended it."""
    diverged_epoch: np.ndarray
    """From 1; 0 if it did not diverge."""
    diverged_step: np.ndarray
    """The mini-batch of that epoch, from 1."""
    places: tuple[tuple[Slot, ...], ...]
    """All that each lane was trained in, one after the other."""
    swept: bool
    """Whether lanes had inputs of their own: see `RecipeBatch`."""

    origins: tuple[Origin, ...]
    """Where they were trained, one after the other: versions and kinds of device."""

    def alive(self) -> np.ndarray:
        """Whether each lane would go on."""
        return ~self.stopped & (self.diverged_epoch == 0)


class ChunkLoop(HostLoop):
    """The epochs of a chunk, and what is known of its lanes: arrays with a row a lane."""

    def __init__(
        self,
        spec: ChunkSpec,
        data: Dataset,
        device: Any,
        before: tuple[ChunkResult, TrainState] | None,
        on_epoch: Callable[[int, np.ndarray, np.ndarray], bool] | None,
    ) -> None:
        self.spec, self.data, self.on_epoch = spec, data, on_epoch
        self.device, self.origins = device, () if before is None else before[0].origins
        self.n_steps = -(-len(data.train.x) // spec.batch_size)
        self.program = EpochProgram(spec.program, spec.batch_size, spec.evaluate_on)
        self.put = partial(jax.device_put, device=device)
        self._recall(before)
        self.done = self.history.shape[2]
        more = ((0, 0), (0, 0), (0, spec.epochs - self.done))
        self.history = np.pad(self.history, more, constant_values=np.nan)
        self.layouts = {layout.epoch: layout for layout in spec.layouts}
        known = [layout for layout in spec.layouts if layout.epoch <= self.done]
        self.layout = known[-1]
        self.places: Any = None
        self.ended = False
        self.state: Any = None

    def _recall(self, before: tuple[ChunkResult, TrainState] | None) -> None:
        """Take up what an earlier call with fewer epochs found."""
        n_lanes = len(self.spec.seeds)
        zeros = np.zeros(n_lanes, int)
        self.rows: Any = None
        self.history = np.full((4, n_lanes, 0), np.nan)
        self.epochs, self.computed = zeros.copy(), zeros.copy()
        self.diverged_epoch, self.diverged_step = zeros.copy(), zeros.copy()
        self.alive = np.ones(n_lanes, bool)
        self.trained_in: list[list[Slot]] = [[] for _ in range(n_lanes)]
        if before is None:
            return
        result, rows = before
        self.rows = jax.tree.map(np.array, rows)
        self.history = np.array(result.history)
        self.epochs[:], self.computed[:] = result.epochs, result.computed
        self.diverged_epoch[:] = result.diverged_epoch
        self.diverged_step[:] = result.diverged_step
        self.alive = result.alive()
        self.trained_in = list(map(list, result.places))

    def enter(self, index: int) -> bool:
        """Pack the lanes that are left into a program, if it is another one from here on."""
        if self.ended or not self.alive.any():
            return False
        if self.spec.repack and (
            layout := smaller(self.spec.seeds, self.layout, self.alive, index)
        ):
            self.layouts[index] = layout
        if self.places is None or index in self.layouts:
            self._pack(index)
        return True

    def _pack(self, index: int) -> None:
        """Begin, or go on, in the program of this epoch."""
        spec = self.spec
        self.keep()
        self.layout = self.layouts.get(index, self.layout)
        if index in self.layouts:
            epoch, groups, n_lanes, members = self.layout
            for place, lane in enumerate(members):
                if lane >= 0:
                    self.trained_in[lane].append(Slot(epoch, groups, n_lanes, place))
        parallelism = lanes.lanes_of(spec.program, spec.recipes.recipe, self.layout.lanes)
        self.places = places = SlotMap(self.layout, parallelism)
        self.keys = lanes.keys_of(np.asarray(spec.seeds, np.uint32)[places.heads])
        self.recipe, self.units = self.put(
            (spec.recipes.placed(places.lanes), places.stacked(_units(spec)))
        )
        alive = self.put(places.held & self.alive[places.lanes])
        if self.rows is not None:
            self.state = LaneState(self.put(places.stacked(self.rows)), alive)
            return
        params, keys = self.put((places.stacked(_initial(spec)), self.keys))
        begun = lanes.begin_lanes(
            spec.program, spec.keep_best, parallelism, keys, self.recipe, params
        )
        self.state = LaneState(begun, alive)

    def advance(self, index: int) -> History:
        """Train and evaluate all lanes; returns their rows of the history."""
        number = np.int32(index)
        after = lanes.train_lanes(
            self.program, self.data.train, self.keys, number, self.recipe, self.units,
            self.state.train,
        )  # fmt: skip
        self.state, row = lanes.finish_lanes(
            self.program, self.data, number, self.recipe, self.units, self.state, after
        )
        return row

    def note(self, index: int, result: History) -> bool:
        """Write down what the epoch came to."""
        lane, held, train = self.places.members, self.places.held, self.state.train
        was, stopped = self.alive[lane], np.asarray(train.watch.stopped)[held]
        self.history[:, lane, index] = np.array([np.asarray(curve)[held] for curve in result])
        self.alive[lane] = now = np.asarray(self.state.alive)[held]
        lost = was & ~now & ~stopped
        step = np.asarray(train.finite_steps)[held][lost] - index * self.n_steps + 1
        self.diverged_epoch[lane[lost]] = index + 1
        self.diverged_step[lane[lost]] = np.minimum(step, self.n_steps)
        self.epochs[lane[was & (now | stopped)]] = index + 1
        self.computed[lane] += 1
        if self.on_epoch is not None and self.on_epoch(
            index + 1, self.history[:, :, : index + 1], self.alive
        ):
            self.ended = True
        return True

    def keep(self) -> None:
        """Write the states of the program's lanes into the rows."""
        if self.places is None:
            return
        train, parallelism = self.state.train, self.places.parallelism
        if self.rows is None:
            n = len(self.alive)
            group = lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
            empty = lambda leaf: np.zeros((n, *parallelism.one(group(leaf)).shape), leaf.dtype)
            self.rows = jax.tree.map(empty, train)
        self.places.unstack(train, self.rows)

    def result(self) -> ChunkResult:
        """All that a study keeps of the lanes, but for their states."""
        done = self.done if self.alive.any() else self.spec.epochs
        watch = self.rows.watch
        return ChunkResult(
            History(*self.history[:, :, :done]),
            self.epochs,
            self.computed,
            watch.best_epoch,
            watch.best_score,
            watch.stopped,
            self.diverged_epoch,
            self.diverged_step,
            tuple(map(tuple, self.trained_in)),
            self.spec.recipes.has_own_inputs,
            tuple(dict.fromkeys((*self.origins, files.origin(self.device)))),
        )


def train_chunk(
    spec: ChunkSpec,
    data: Dataset,
    device: Any = None,
    before: tuple[ChunkResult, TrainState] | None = None,
    on_epoch: Callable[[int, np.ndarray, np.ndarray], bool] | None = None,
) -> tuple[ChunkResult, TrainState]:
    """Train the lanes of a chunk to their end.

    Args:
      work: which lanes, and how far.
      data: the splits; on the device already, where many chunks share it.
      device: where to train.
      before: where an earlier call with fewer epochs ended.
      on_epoch: called after every epoch with the number of epochs done, the curves so far,
        (4, lanes, epochs), and whether each lane is alive; training ends where it says True.

    Returns:
      What became of them, and their last states, a row a lane.
    """
    loop = ChunkLoop(spec, data, device, before, on_epoch)
    loop.drive(spec.epochs)
    loop.keep()
    return loop.result(), loop.rows


def _initial(spec: ChunkSpec) -> Params:
    """Initial parameters, a row a lane, drawn at each network's true widths and filled up."""
    sizes, seeds = spec.program.sizes, np.asarray(spec.seeds, np.uint32)
    zeros = lambda *shape: np.zeros((len(seeds), *shape), jax.dtypes.canonicalize_dtype(float))
    rows = tuple(Layer(zeros(n_in, n_out), zeros(n_out)) for n_in, n_out in zip(sizes, sizes[1:]))
    for given in dict.fromkeys(spec.networks):
        mine = np.array([net == given for net in spec.networks])
        which, inverse = np.unique(seeds[mine], return_inverse=True)
        for place, key in enumerate(lanes.keys_of(which)):
            these = np.flatnonzero(mine)[inverse == place]
            for row, drawn in zip(rows, compiled_draw_params(given, key), strict=True):
                n_in, n_out = drawn.w.shape
                row.w[these, :n_in, :n_out] = drawn.w
                row.b[these, :n_out] = drawn.b
    return rows


def _units(spec: ChunkSpec) -> UnitMasks | None:
    """Which units each lane has, a row a lane; `None` where all have all."""
    if all(net.sizes == spec.program.sizes for net in spec.networks):
        return None
    rows = zip(*(masks(net, spec.program) for net in spec.networks), strict=True)
    return UnitMasks(tuple(map(np.array, rows)), spec.networks[0].sizes[1:-1])
