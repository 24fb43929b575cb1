"""A chunk: lanes that are trained together, from their start to their end."""

from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxnet.acceleration.padding import UnitMasks, masks
from jaxnet.core.dtypes import unshared, uses_float64
from jaxnet.core.network import Network, zero_params
from jaxnet.core.types import (
    AnyArray,
    AnyLayer,
    Dataset,
    Device,
    EvaluatedSplit,
    History,
    Order,
    Params,
)
from jaxnet.io import files
from jaxnet.io.files import Origin
from jaxnet.recipes.stopping import Criterion
from jaxnet.sweeps import lanes, time_estimates
from jaxnet.sweeps.folds import LaneFold, Room, stacked_subset
from jaxnet.sweeps.lanes import LaneInputs, LaneState
from jaxnet.sweeps.layout import Layout, Slot, SlotMap, smaller_layout
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.starts import LaneStart, stacked_masks
from jaxnet.sweeps.time_estimates import EpochSize, n_evaluated
from jaxnet.training.epochs import EpochProgram
from jaxnet.training.host_loop import HostLoop
from jaxnet.training.metrics import NamedMetrics
from jaxnet.training.mini_batches import Subset
from jaxnet.training.monitors import Monitors
from jaxnet.training.step import TrainState, compiled_draw_params

OnEpoch = Callable[[int, np.ndarray, np.ndarray], bool]
"""`(epochs done, curves so far, alive) -> whether to end training`: the curves have the shape
(curves, lanes, epochs done), in the order of `History.curves`; `alive` says of each lane whether it
is still trained."""


class ChunkSpec(NamedTuple):
    """Which lanes to train together, and how long: all that a worker needs besides the data."""

    networks: tuple[Network, ...]
    """The network of each lane; they differ only in the widths of their hidden layers."""
    recipes: RecipeBatch
    """The recipe of each lane."""
    seeds: tuple[int, ...]
    """The seed of each lane."""
    program_network: Network
    """The network that the program is compiled for: every lane's network, padded to one width."""
    layouts: tuple[Layout, ...]
    """The layouts to train in, by rising epochs; the last one is used to the end."""
    batch_size: int
    """Examples per mini-batch."""
    epochs: int
    """Epochs to train in all, those of earlier calls included."""
    evaluate_on: tuple[EvaluatedSplit, ...]
    """The splits to evaluate after each epoch: "evaluation", "test", "training"."""
    repack: bool
    """Whether the lanes still alive may move to a smaller program."""
    keep_best: bool
    """Whether each lane carries the parameters of its best epoch, too."""
    metrics: NamedMetrics = ()
    """What to evaluate besides costs and accuracies."""
    monitors: Monitors | None = None
    """What to measure in some of the mini-batches; the lanes' widths are the same then."""
    criterion: Criterion | None = None
    """What decides on the best epoch; None for the stopping rule's metric, or the default."""
    order: Order = "shuffled"
    """In which order each epoch visits the examples."""
    folds: tuple[LaneFold, ...] | None = None
    """The examples of each lane; None if all lanes have the whole training split."""
    batch_sizes: tuple[int, ...] | None = None
    """The batch size of each lane, at most that of the program, if there are folds."""
    room: Room | None = None
    """How many examples the program has room for, if there are folds."""
    starts: tuple[LaneStart, ...] | None = None
    """The initial parameters of each lane, and what of them is trained; None if they are drawn and
    trained."""

    def epoch_program(self) -> EpochProgram:
        """The static choices of an epoch of one network."""
        return EpochProgram(
            net=self.program_network,
            batch_size=self.batch_size,
            evaluate_on=self.evaluate_on,
            monitors=self.monitors,
            metrics=self.metrics,
            criterion=self.criterion,
            order=self.order,
        )

    @property
    def groups(self) -> tuple[Hashable, ...]:
        """The group of each lane, by what its lanes share: seed, and fold and batch size if any."""
        if self.folds is None or self.batch_sizes is None:
            return self.seeds
        return tuple(zip(self.seeds, self.folds, self.batch_sizes, strict=True))

    def of_rows(self, rows: slice) -> "ChunkSpec":
        """The spec of some of the lanes, with the layouts of all.

        Args:
          rows: the lanes.
        """
        return self._replace(
            networks=self.networks[rows],
            recipes=self.recipes.select(rows),
            seeds=self.seeds[rows],
            folds=None if self.folds is None else self.folds[rows],
            batch_sizes=None if self.batch_sizes is None else self.batch_sizes[rows],
            starts=None if self.starts is None else self.starts[rows],
        )


class ChunkResult(NamedTuple):
    """The results of a chunk: arrays with one row per lane.

    Files name the arrays from `epochs` to `diverged_step` by these fields.
    """

    history: History
    """The curves, each (lanes, epochs), and the monitors, (lanes, epochs, measurements, layers);
    NaN after a lane's end."""
    epochs: Int[np.ndarray, " lanes"]
    """Epochs trained."""
    computed: Int[np.ndarray, " lanes"]
    """Epochs that the lane's program computed: also those in which the lane was frozen."""
    best_epoch: Int[np.ndarray, " lanes"]
    """The epoch with the highest score, from 1; 0 is the start."""
    best_score: Float[np.ndarray, " lanes"]
    """The score of that epoch."""
    stopped: Bool[np.ndarray, " lanes"]
    """Whether the stopping rule ended the lane."""
    diverged_epoch: Int[np.ndarray, " lanes"]
    """The epoch in which the lane diverged, from 1; 0 if it did not."""
    diverged_step: Int[np.ndarray, " lanes"]
    """The mini-batch of that epoch that diverged, from 1; 0 if the lane did not diverge."""
    slots: tuple[tuple[Slot, ...], ...]
    """For each lane, the slots that it was trained in, by rising epochs."""
    has_own_inputs: bool
    """Whether each lane changed the inputs in its own way: see `RecipeBatch`."""
    origins: tuple[Origin, ...]
    """The versions and kinds of device that trained the chunk, in the order of the epochs."""

    def alive(self) -> Bool[np.ndarray, " lanes"]:
        """Whether each lane would go on with more epochs: it neither stopped nor diverged."""
        return ~self.stopped & (self.diverged_epoch == 0)


class TrainedChunk(NamedTuple):
    """A chunk that was trained: what to go on from."""

    result: ChunkResult
    """The lanes' results."""
    states: TrainState
    """The lanes' last states, NumPy arrays with one row per lane."""

    @property
    def n_epochs(self) -> int:
        """Epochs that the lanes have had, where they did not end early."""
        return self.result.history.training_cost.shape[1]


class ChunkLoop(HostLoop[tuple[History, AnyArray | None]]):
    """The loop over the epochs of a chunk, with the results of its lanes so far.

    A slot is a lane's place in a compiled program. A layout says how many slots a program has and
    which lane is in which; as lanes end, the others may move to a smaller layout.

    Args:
      spec: the lanes, and how long to train them.
      data: the splits.
      device: where to train; None is JAX's default device.
      before: where an earlier call with fewer epochs ended, or None to start.
      on_epoch: called after every epoch; training ends when it returns True.

    Attributes:
      epoch_program: the static choices of an epoch.
      curves: the curves, in the order of `History.curves`, (curves, lanes, epochs).
      measured: what the monitors measured, (lanes, epochs, measurements, columns).
      epochs, computed, diverged_epoch, diverged_step: see `ChunkResult`; updated every epoch.
      alive: whether each lane is still trained, (lanes,).
      slots: for each lane, the slots that it was trained in.
      state_rows: the lanes' states, one row per lane; None until the first program has ended.
      layouts: the layouts, by the epoch from which each is used.
      layout: the layout in use.
      slot_map: which lane is in which slot of the program in use; None until there is one.
      inputs, state: the program's arguments on the device, stacked: what it reads of its lanes, and
        their states.
      train_lanes, finish_lanes: the compiled programs of an epoch, for the layout in use.
      steps_before: the mini-batches that each lane had been trained on before the last epoch.
    """

    train_lanes: Callable
    finish_lanes: Callable
    inputs: LaneInputs
    state: LaneState
    steps_before: Int[jax.Array, "groups lanes"]

    def __init__(
        self,
        spec: ChunkSpec,
        data: Dataset,
        device: Device | None,
        before: TrainedChunk | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        self.spec, self.data, self.device, self.on_epoch = spec, unshared(data), device, on_epoch
        self.epoch_program = spec.epoch_program()
        self._restore(before)
        self.done = self.curves.shape[2]
        to_come, none = (0, spec.epochs - self.done), (0, 0)
        self.curves = np.pad(self.curves, (none, none, to_come), constant_values=np.nan)
        self.measured = np.pad(self.measured, (none, to_come, none, none), constant_values=np.nan)
        self.layouts = {layout.epoch: layout for layout in spec.layouts}
        self.layout = [layout for layout in spec.layouts if layout.epoch <= self.done][-1]
        self.slot_map: SlotMap | None = None
        self.end_requested = False

    def _restore(self, before: TrainedChunk | None) -> None:
        """Take over the results and states of an earlier call with fewer epochs, or start."""
        n_lanes = len(self.spec.seeds)
        n_curves = len(History.CURVES) + len(self.epoch_program.metric_names)
        self.curves = np.full((n_curves, n_lanes, 0), np.nan)
        self.measured = np.zeros((n_lanes, 0, *self._table_shape()))
        self.epochs, self.computed = np.zeros(n_lanes, int), np.zeros(n_lanes, int)
        self.diverged_epoch, self.diverged_step = np.zeros(n_lanes, int), np.zeros(n_lanes, int)
        self.alive = np.ones(n_lanes, bool)
        self.slots: list[list[Slot]] = [[] for _ in range(n_lanes)]
        self.state_rows: TrainState | None = None
        self.earlier_origins: tuple[Origin, ...] = ()
        if before is None:
            return
        result = before.result
        self.state_rows = jax.tree.map(np.array, before.states)
        self.curves = result.history.to_array()
        if self.spec.monitors is not None:
            names = self.spec.monitors.widths(self.spec.program_network)
            tables = [result.history.monitors[name] for name in names]
            self.measured = np.concatenate(tables, axis=-1)
        self.epochs[:], self.computed[:] = result.epochs, result.computed
        self.diverged_epoch[:] = result.diverged_epoch
        self.diverged_step[:] = result.diverged_step
        self.alive = result.alive()
        self.slots = list(map(list, result.slots))
        self.earlier_origins = result.origins

    def _table_shape(self) -> tuple[int, int]:
        """The numbers of measurements of an epoch, and of their columns; 0 without monitors."""
        monitors = self.spec.monitors
        if monitors is None:
            return 0, 0
        widths = monitors.widths(self.spec.program_network)
        n_steps = -(-len(self.data.train.x) // self.spec.batch_size)
        if self.spec.room is not None:
            n_steps = self.spec.room.n_steps
        return len(monitors.rows(n_steps)), sum(widths.values())

    def enter(self, index: int) -> bool:
        """Prepare the program of epoch number `index`; False if no lane is left to train."""
        if self.end_requested or not self.alive.any():
            return False
        if self.spec.repack:
            smaller = smaller_layout(self.spec.groups, self.layout, self.alive, index)
            if smaller is not None and self._pays(smaller, index):
                self.layouts[index] = smaller
        if self.slot_map is None or index in self.layouts:
            self._pack(index)
        return True

    def _pays(self, smaller: Layout, index: int) -> bool:
        """Whether a smaller program saves more time from this epoch on than it takes to compile."""
        spec, n_lanes = self.spec, self.layout.n_lanes
        n_freed = self.layout.n_groups * n_lanes - smaller.n_groups * smaller.n_lanes
        n_train = len(self.data.train.x) if spec.room is None else spec.room.n_train
        evaluated = n_evaluated(spec.evaluate_on, self.data, n_train)
        size = EpochSize(spec.batch_size, n_train, evaluated)
        net, recipe = spec.program_network, spec.recipes.recipe
        lane_seconds = time_estimates.lane_epoch_seconds(net, recipe, size, n_lanes)
        n_epochs = spec.epochs - index
        return n_freed * n_epochs * lane_seconds > time_estimates.compile_seconds(net)

    def _pack(self, index: int) -> None:
        """Put the lanes' states into the program that trains epoch number `index`."""
        spec = self.spec
        self.unpack()
        self.layout = self.layouts.get(index, self.layout)
        if index in self.layouts:
            epoch, n_groups, n_lanes, members = self.layout
            for position, lane in enumerate(members):
                if lane >= 0:
                    self.slots[lane].append(Slot(epoch, n_groups, n_lanes, position))
        group = lanes.lane_group(spec.program_network, spec.recipes.recipe, self.layout.n_lanes)
        self.slot_map = slot_map = SlotMap(self.layout, group)
        alive = slot_map.is_occupied & self.alive[slot_map.source_lanes]
        self.inputs, alive = jax.device_put((_inputs(spec, slot_map), alive), device=self.device)
        if self.state_rows is not None:
            states = jax.device_put(slot_map.stack(self.state_rows), device=self.device)
        else:
            states = self._initial_states(slot_map)
        self.state = LaneState(states, alive)
        self._compile()

    def _initial_states(self, slot_map: SlotMap) -> TrainState:
        """The stacked states at the start: drawn on the device, unless lanes have parameters."""
        spec, group = self.spec, slot_map.lane_group
        net, keep_best = spec.program_network, spec.keep_best
        if spec.starts is not None and any(start.params is not None for start in spec.starts):
            params = jax.device_put(slot_map.stack(_initial_rows(spec)), device=self.device)
            return lanes.begin_lanes(net, keep_best, group, self.inputs, params)
        networks = list(dict.fromkeys(spec.networks))
        keys = self.inputs.keys
        drawn = tuple(lanes.draw_groups.on_device(own, keys)(keys) for own in networks)
        kinds = np.array([networks.index(own) for own in spec.networks], np.int32)
        arrays = (self.inputs, drawn, kinds[slot_map.source_lanes])
        start = lanes.LaneStarts(net, keep_best, group)
        return lanes.begin_drawn_lanes.on_device(start, *arrays)(*arrays)

    def _compile(self) -> None:
        """Compile the two programs of an epoch side by side, unless they are known."""
        number, program, x64 = np.int32(0), self.epoch_program, uses_float64()

        def compiled_finish() -> Callable:
            with jax.enable_x64(x64):  # which threads do not inherit
                arrays = (self.data, number, self.inputs, self.state, self.state.train)
                return lanes.finish_lanes.on_device(program, *arrays)

        with ThreadPoolExecutor(1) as pool:
            finish = pool.submit(compiled_finish)
            self.train_lanes = lanes.train_lanes.on_device(
                program, self.data.train, number, self.inputs, self.state.train
            )
            self.finish_lanes = finish.result()

    def advance(self, index: int) -> tuple[History, AnyArray | None]:
        """Train and evaluate epoch number `index` of all lanes.

        Returns:
          The lanes' rows of the history, each curve (groups, lanes); and what the monitors
          measured, (groups, lanes, measurements, columns).
        """
        number = np.int32(index)
        self.steps_before = self.state.train.step
        trained, measured = self.train_lanes(self.data.train, number, self.inputs, self.state.train)
        self.state, row = self.finish_lanes(self.data, number, self.inputs, self.state, trained)
        return row, measured

    def note(self, index: int, result: tuple[History, AnyArray | None]) -> bool:
        """Add epoch `index` to the lanes' results and report it to `on_epoch`; always True."""
        assert self.slot_map is not None
        lane, is_occupied = self.slot_map.occupants, self.slot_map.is_occupied
        train = self.state.train
        was_alive = self.alive[lane]
        is_alive = np.asarray(self.state.alive)[is_occupied]
        stopped = np.asarray(train.watch.stopped)[is_occupied]
        diverged = was_alive & ~is_alive & ~stopped
        self.alive[lane] = is_alive
        row, measured = result
        self.curves[:, lane, index] = [
            np.asarray(curve)[is_occupied] for curve in row.curves.values()
        ]
        if measured is not None:
            has_ended_epoch = was_alive & (is_alive | stopped)
            of_lanes = np.asarray(measured)[is_occupied][has_ended_epoch]
            self.measured[lane[has_ended_epoch], index] = of_lanes
        steps = (train.finite_steps, self.steps_before, train.step)
        n_finite, n_before, n_steps = (np.asarray(a)[is_occupied][diverged] for a in steps)
        self.diverged_epoch[lane[diverged]] = index + 1
        self.diverged_step[lane[diverged]] = np.minimum(n_finite + 1, n_steps) - n_before
        self.epochs[lane[was_alive & (is_alive | stopped)]] = index + 1
        self.computed[lane] += 1
        if self.on_epoch is not None:
            curves = self.curves[:, :, : index + 1]
            self.end_requested |= self.on_epoch(index + 1, curves, self.alive)
        return True

    def unpack(self) -> None:
        """Copy the states of the program's lanes into `state_rows`."""
        if self.slot_map is None:
            return
        stacked, group = self.state.train, self.slot_map.lane_group
        if self.state_rows is None:
            n_lanes = len(self.alive)

            def empty_rows(leaf: jax.Array) -> np.ndarray:
                of_group = jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
                of_lane = group.single_lane_struct(of_group)
                return np.zeros((n_lanes, *of_lane.shape), leaf.dtype)

            self.state_rows = jax.tree.map(empty_rows, stacked)
        self.slot_map.unstack_into(self.state_rows, stacked)

    def trained_chunk(self) -> TrainedChunk:
        """The lanes' results and last states."""
        self.unpack()
        assert self.state_rows is not None
        n_epochs = self.done if self.alive.any() else self.spec.epochs
        watch = self.state_rows.watch
        origins = (*self.earlier_origins, files.origin(self.device))
        result = ChunkResult(
            history=self._history(n_epochs),
            epochs=self.epochs,
            computed=self.computed,
            best_epoch=np.asarray(watch.best_epoch),
            best_score=np.asarray(watch.best_score),
            stopped=np.asarray(watch.stopped),
            diverged_epoch=self.diverged_epoch,
            diverged_step=self.diverged_step,
            slots=tuple(map(tuple, self.slots)),
            has_own_inputs=self.spec.recipes.has_own_inputs,
            origins=tuple(dict.fromkeys(origins)),
        )
        return TrainedChunk(result, self.state_rows)

    def _history(self, n_epochs: int) -> History:
        """The curves of these epochs, and what the monitors measured in them."""
        names, monitors = self.epoch_program.metric_names, self.spec.monitors
        history = History.from_array(self.curves[:, :, :n_epochs], names)
        if monitors is None:
            return history
        table = self.measured[:, :n_epochs]
        return history._replace(monitors=monitors.split(self.spec.program_network, table))


def train_chunk(
    spec: ChunkSpec,
    data: Dataset,
    device: Device | None = None,
    before: TrainedChunk | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrainedChunk:
    """Train the lanes of a chunk to their end.

    Args:
      spec: the lanes, and how long to train them.
      data: the splits; on the device already, where many chunks share it.
      device: where to train; None is JAX's default device.
      before: where an earlier call with fewer epochs ended, or None to start.
      on_epoch: called after every epoch; training ends when it returns True.

    Returns:
      The lanes' results and last states.
    """
    loop = ChunkLoop(spec, data, device, before, on_epoch)
    loop.drive(spec.epochs)
    return loop.trained_chunk()


def _initial_rows(spec: ChunkSpec) -> Params:
    """Initial parameters, one row per lane: its own, or drawn at its widths, and zero-padded."""
    seeds = np.asarray(spec.seeds, np.uint32)
    n_lanes = len(seeds)
    params = zero_params(spec.program_network, axes=(n_lanes,))
    starts = [None] * n_lanes if spec.starts is None else [start.params for start in spec.starts]
    for row, own_params in enumerate(starts):
        for layer, own_layer in zip(params, own_params or ()):
            _fill(layer, row, own_layer)
    for net in dict.fromkeys(spec.networks):
        pairs = zip(spec.networks, starts, strict=True)
        lanes_of_net = np.flatnonzero([lane == net and own is None for lane, own in pairs])
        different_seeds, seed_indices = np.unique(seeds[lanes_of_net], return_inverse=True)
        for seed_index, key in enumerate(lanes.run_keys(different_seeds)):
            rows = lanes_of_net[seed_indices == seed_index]
            for layer, own_layer in zip(params, compiled_draw_params(net, key), strict=True):
                _fill(layer, rows, own_layer)
    return params


def _fill(layer: AnyLayer, rows: int | np.ndarray, own_layer: AnyLayer) -> None:
    """Write a network's own layer into these rows of a stacked, wider one."""
    for array, own_array in zip(layer, own_layer, strict=True):
        array[rows, *map(slice, np.shape(own_array))] = own_array


def _inputs(spec: ChunkSpec, slot_map: SlotMap) -> LaneInputs:
    """What the program of a chunk reads of its groups and lanes, stacked."""
    return LaneInputs(
        keys=lanes.run_keys(np.asarray(spec.seeds, np.uint32)[slot_map.first_lanes]),
        recipe=spec.recipes.in_slots(slot_map.source_lanes),
        units=slot_map.stack(_unit_masks(spec)),
        trainable=slot_map.stack(stacked_masks(spec.starts, spec.program_network)),
        subset=_subset(spec, slot_map),
    )


def _subset(spec: ChunkSpec, slot_map: SlotMap) -> Subset | None:
    """The examples of each group of a program; None where all have the whole training split."""
    if spec.folds is None or spec.batch_sizes is None or spec.room is None:
        return None
    folds = [spec.folds[lane] for lane in slot_map.first_lanes]
    batch_sizes = [spec.batch_sizes[lane] for lane in slot_map.first_lanes]
    return stacked_subset(folds, batch_sizes, spec.room)


def _unit_masks(spec: ChunkSpec) -> UnitMasks | None:
    """The masks of padded units, one row per lane; None where no network is padded."""
    if all(net.sizes == spec.program_network.sizes for net in spec.networks):
        return None
    rows = zip(*(masks(net, spec.program_network) for net in spec.networks), strict=True)
    # True widths are a static choice: lanes share a program only if nothing depends on them.
    needs_widths = spec.recipes.recipe.dropout is not None or spec.monitors is not None
    net = spec.networks[0] if needs_widths else spec.program_network
    return UnitMasks(tuple(map(np.array, rows)), net.sizes[1:-1])
