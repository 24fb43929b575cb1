"""Lanes: many networks in one program, each as if it were trained alone.

A program trains a rectangle of lanes: groups of one seed each, with as many lanes to a group. The
lanes of a group share the mini-batches, so layer 1 of N networks is one matrix product,
(batch, n_in) times (n_in, N·n_out), if the lane axis of the first layer's weights, and of the
optimizer's state that mirrors them, stands next to the outputs: axis 1. It is the same `epoch`
under `vmap`, with that axis for those leaves and axis 0 for all others.

Hidden widths are filled up with units that are masked out, so that networks of different widths
can share a program: see `widths`.

A lane that diverges is frozen: it keeps what it had an epoch before. Lanes never touch each other,
but bits depend on the size of the program (on how a matrix product is cut up): equal bits are
promised only within one size. So every size that a lane was trained in is recorded (`Packing`).
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxnet.acceleration.padding import Units, masks
from jaxnet.acceleration.xla_options import ONE_THREAD, STEPS
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, KeyArray, Layer, Params, Split
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.epochs import closed, trained
from jaxnet.training.parallelism import Over, alone
from jaxnet.training.step import TrainState, compiled_drawn, start


class Packing(NamedTuple):
    """From this epoch on, counted from 0, lanes are trained in a program of this size."""

    epoch: int
    groups: int
    lanes: int
    """Per group."""
    members: tuple[int, ...]
    """Which of the chunk's lanes fill the groups × lanes places; −1 where it is empty."""


class Place(NamedTuple):
    """Where one lane was trained from this epoch on: what its bits depend on."""

    epoch: int
    groups: int
    lanes: int
    place: int

    def alone(self) -> Packing:
        """The same program, empty but for a lane 0 in this place."""
        members = [-1] * (self.groups * self.lanes)
        members[self.place] = 0
        return Packing(self.epoch, self.groups, self.lanes, tuple(members))


class Work(NamedTuple):
    """Lanes to train together, and how far: all that a worker needs but for the data."""

    networks: tuple[Network, ...]
    """Each lane's; they differ only in the widths of their hidden layers."""
    recipe: Recipe
    """Its leaves are scalars, or arrays with a number for each lane."""
    seeds: tuple[int, ...]
    """Each lane's."""
    program: Network
    """The network of the program: as wide as the widest, filled up."""
    packings: tuple[Packing, ...]
    """The sizes of program to train them in: the last one goes on."""
    batch_size: int
    epochs: int
    monitor: tuple[str, ...]
    repack: bool
    """Whether those that are left may go on in a smaller program."""
    keep_best: bool
    """Whether each lane carries the parameters of its best epoch, too."""


class Outcome(NamedTuple):
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
    places: tuple[tuple[Place, ...], ...]
    """All that each lane was trained in, one after the other."""
    swept: bool
    """Whether lanes had inputs of their own: see `shared`."""

    def alive(self) -> np.ndarray:
        """Whether each lane would go on."""
        return ~self.stopped & (self.diverged_epoch == 0)


@dataclass(frozen=True)
class Lanes(Over):
    """The `over` of `epoch`: makes of a function of one network that of a group of lanes.

    Stacked leaves with the first layer's shape, (n_in, lanes, n_out), have their lane axis at 1;
    numbers that all lanes share have none, all others have it at 0.
    """

    first: tuple[int, ...] | None = None
    """n_in and n_out of the first layer, if its lane axis is to stand next to the outputs."""

    def axis(self, leaf: Any) -> int | None:
        """Where a stacked leaf has its lanes."""
        if not np.ndim(leaf):
            return None
        shape = np.shape(leaf)
        return int(len(shape) == 3 and shape[1] == self.lanes and self.tall(shape[::2]))

    def tall(self, shape: tuple[int, ...]) -> bool:
        """Whether a leaf of one lane, of this shape, has its lanes at axis 1 when stacked."""
        return shape == self.first

    def one(self, leaf: Any) -> Any:
        """What a single lane has of a stacked leaf."""
        axis = self.axis(leaf)
        shape = np.shape(leaf)
        kept = shape if axis is None else shape[:axis] + shape[axis + 1 :]
        return jax.ShapeDtypeStruct(kept, leaf.dtype)

    def bare(self, tree: Any) -> Any:
        """A group of a single lane without its lane axis, over which XLA would stumble."""
        bare = lambda leaf: leaf if self.axis(leaf) is None else jnp.squeeze(leaf, self.axis(leaf))
        return tree if self.lanes > 1 else jax.tree.map(bare, tree)

    def dressed(self, tree: Any) -> Any:
        """The inverse of `bare`."""
        dressed = lambda leaf: jnp.expand_dims(leaf, int(self.tall(leaf.shape)))
        return tree if self.lanes > 1 else jax.tree.map(dressed, tree)

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """The function of all lanes: f's first argument is stacked, the others are shared."""

        def many(tree: Any, *shared: Any) -> Any:
            given = jax.eval_shape(f, jax.tree.map(self.one, tree), *shared)
            out = jax.tree.map(lambda leaf: int(self.tall(leaf.shape)), given)
            axes = (jax.tree.map(self.axis, tree), *[None] * len(shared))
            return jax.vmap(f, axes, out, axis_size=self.lanes)(tree, *shared)

        return many


class LaneState(NamedTuple):
    """What the lanes of a program carry from epoch to epoch."""

    train: TrainState
    alive: Array
    """(groups, lanes): neither diverged, nor stopped, nor an empty place."""


def _lanes_of(net: Network, recipe: Recipe, lanes: int) -> Lanes:
    # JAX's conjugate gradients take no arrays whose lanes have different axes.
    return Lanes(lanes, None if recipe.optimizer.curvature else net.sizes[:2])


def _begin(
    net: Network, keep_best: bool, over: Lanes, keys: Any, recipe: Recipe, params: Params
) -> TrainState:
    """The states before the first mini-batch, from initial parameters of lanes, axes as stored."""

    def group(key: Any, recipe: Recipe, params: Params) -> TrainState:
        begun = lambda one: start(net, one[0], key, one[1], keep_best)
        return over(begun)((recipe, params))

    axes = (0, _swept(recipe), 0)
    return jax.vmap(group, axes)(keys, recipe, params)


def _trained(
    net: Network,
    batch_size: int,
    data: Split,
    keys: Any,
    index: Any,
    recipe: Recipe,
    units: Units | None,
    state: TrainState,
) -> TrainState:
    """The states of all lanes when epoch number `index`, from 0, has trained them."""

    def group(key: Any, recipe: Recipe, units: Units | None, state: TrainState) -> Any:
        lanes = _lanes_of(net, recipe, state.step.shape[-1])
        over = lanes if lanes.lanes > 1 else alone
        recipe, units, state = lanes.bare((recipe, units, state))
        after, _ = trained(net, batch_size, None, data, key, index, recipe, state, units, over)
        return lanes.dressed(after)

    return jax.vmap(group, (0, _swept(recipe), 0, 0))(keys, recipe, units, state)


def _closed(
    net: Network,
    batch_size: int,
    monitor: tuple[str, ...],
    data: Dataset,
    index: Any,
    recipe: Recipe,
    units: Units | None,
    state: LaneState,
    after: TrainState,
) -> tuple[LaneState, History]:
    """What all lanes are after an epoch; those that are dead, or die now, stay as they were."""

    def group(recipe: Recipe, units: Units | None, state: LaneState, after: TrainState) -> Any:
        lanes = _lanes_of(net, recipe, state.alive.shape[-1])
        over = lanes if lanes.lanes > 1 else alone
        recipe, units, state, after = lanes.bare((recipe, units, state, after))
        done = closed(net, batch_size, monitor, data, index, recipe, after, units, over)

        def frozen(one: tuple[Any, Any, TrainState, TrainState, History]) -> Any:
            alive, finite, new, old, row = one
            sound = jnp.where(alive, new.sound, old.sound)
            kept = jax.tree.map(lambda n, o: jnp.where(alive & finite, n, o), new, old)
            # The step is the same for all: it addresses what they share.
            kept = kept._replace(step=new.step, sound=sound)
            row = jax.tree.map(lambda x: jnp.where(alive & finite, x, jnp.nan), row)
            return LaneState(kept, alive & finite & ~kept.watch.stopped), row

        found = (state.alive, done.finite, done.state, state.train, done.row)
        return lanes.dressed(over(frozen)(found))

    return jax.vmap(group, (_swept(recipe), 0, 0, 0))(recipe, units, state, after)


def shared(recipe: Recipe) -> Recipe:
    """A stacked recipe, with one number where all lanes have the same that changes the inputs.

    Only so they share the mini-batch that is augmented, or whose inputs are dropped.
    """

    def one(number: Any) -> Any:
        return number[0] if np.all(number == number[0]) else number

    parts = {name: getattr(recipe, name) for name in ("augmentation", "input_dropout")}
    parts = {name: jax.tree.map(one, part) for name, part in parts.items() if part is not None}
    return dataclasses.replace(recipe, **parts)


def _swept(recipe: Recipe) -> Recipe:
    """The axes of a recipe's numbers: 0, or none where all lanes share one."""
    return jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, recipe)


_compiled_begin = jax.jit(_begin, static_argnames=("net", "keep_best", "over"))
_compiled_trained = jax.jit(
    _trained, static_argnames=("net", "batch_size"), compiler_options=STEPS | ONE_THREAD
)
_compiled_closed = jax.jit(
    _closed, static_argnames=("net", "batch_size", "monitor"), compiler_options=ONE_THREAD
)


def _key(seed: Any) -> KeyArray:
    return jax.random.key(seed, impl="threefry2x32")


_keys = jax.jit(jax.vmap(_key))


def _initial(work: Work) -> Params:
    """Initial parameters, a row a lane, drawn at each network's true widths and filled up."""
    sizes, seeds = work.program.sizes, np.asarray(work.seeds, np.uint32)
    zeros = lambda *shape: np.zeros((len(seeds), *shape), jax.dtypes.canonicalize_dtype(float))
    rows = tuple(Layer(zeros(n_in, n_out), zeros(n_out)) for n_in, n_out in zip(sizes, sizes[1:]))
    for given in dict.fromkeys(work.networks):
        mine = np.array([net == given for net in work.networks])
        which, inverse = np.unique(seeds[mine], return_inverse=True)
        for place, key in enumerate(_keys(which)):
            these = np.flatnonzero(mine)[inverse == place]
            for row, drawn in zip(rows, compiled_drawn(given, key), strict=True):
                n_in, n_out = drawn.w.shape
                row.w[these, :n_in, :n_out] = drawn.w
                row.b[these, :n_out] = drawn.b
    return rows


class _Places:
    """The places of a program, and who is in them: between rows, one a lane, and stacked arrays."""

    def __init__(self, work: Work, packing: Packing) -> None:
        members = np.array(packing.members).reshape(packing.groups, packing.lanes)
        first = members[members >= 0][0]
        heads = np.array([next((m for m in group if m >= 0), first) for group in members])
        self.held = members >= 0
        self.members = members[self.held]
        self.lanes = np.where(self.held, members, heads[:, None])
        """Who is in each place; an empty one holds a copy of its group's first lane."""
        self.over = _lanes_of(work.program, work.recipe, packing.lanes)
        self.keys = _keys(np.asarray(work.seeds, np.uint32)[heads])

    def stacked(self, rows: Any) -> Any:
        """The arrays of a program, from rows."""

        def stack(row: Any) -> np.ndarray:
            placed = np.asarray(row)[self.lanes]
            return np.moveaxis(placed, 1, 2) if self.over.tall(row.shape[1:]) else placed

        return jax.tree.map(stack, rows)

    def numbers(self, recipe: Recipe) -> Recipe:
        """A recipe's numbers, those that differ from lane to lane in their places."""
        return jax.tree.map(lambda leaf: leaf[self.lanes] if np.ndim(leaf) else leaf, recipe)

    def unstack(self, tree: Any, rows: Any) -> None:
        """Write what a program's arrays hold into the rows of those in it."""

        def write(leaf: Any, row: np.ndarray) -> None:
            array = np.asarray(leaf)
            axis = 1 + (self.over.axis(array[0]) or 0)
            row[self.members] = np.moveaxis(array, axis, 1)[self.held]

        jax.tree.map(write, tree, rows)


def _units(work: Work) -> Units | None:
    """Which units each lane has, a row a lane; `None` where all have all."""
    if all(net.sizes == work.program.sizes for net in work.networks):
        return None
    rows = zip(*(masks(net, work.program) for net in work.networks), strict=True)
    return Units(tuple(map(np.array, rows)), work.networks[0].sizes[1:-1])


def _smaller(work: Work, packing: Packing, alive: np.ndarray, epoch: int) -> Packing | None:
    """A program of at most half the size that holds all lanes still alive: powers of two."""
    left = np.flatnonzero(alive)
    seeds = np.asarray(work.seeds)[left]
    groups = [left[seeds == seed] for seed in dict.fromkeys(seeds)]
    n_groups = 1 << (len(groups) - 1).bit_length()
    lanes = 1 << (max(map(len, groups)) - 1).bit_length()
    if 2 * n_groups * lanes > packing.groups * packing.lanes:
        return None
    members = np.full((n_groups, lanes), -1)
    for place, group in zip(members, groups):
        place[: len(group)] = group
    return Packing(epoch, n_groups, lanes, tuple(members.ravel().tolist()))


class _Log:
    """What is known of a chunk's lanes, a row a lane, and their states between programs."""

    def __init__(self, work: Work, before: tuple[Outcome, TrainState] | None) -> None:
        n_lanes, self.rows = len(work.seeds), None
        nothing = np.zeros(n_lanes, int)
        history, places = np.full((4, n_lanes, 0), np.nan), [()] * n_lanes
        self.epochs, self.computed = nothing.copy(), nothing.copy()
        self.diverged_epoch, self.diverged_step = nothing.copy(), nothing.copy()
        self.alive = np.ones(n_lanes, bool)
        if before is not None:
            outcome, rows = before
            history = np.array(outcome.history)
            self.rows = jax.tree.map(np.array, rows)
            self.epochs[:] = outcome.epochs
            self.computed[:] = outcome.computed
            self.diverged_epoch[:] = outcome.diverged_epoch
            self.diverged_step[:] = outcome.diverged_step
            self.alive = outcome.alive()
            places = outcome.places
        self.places = list(map(list, places))
        changes = (work.recipe.augmentation, work.recipe.input_dropout)
        self.swept = any(np.ndim(number) for number in jax.tree.leaves(changes))
        self.begun = history.shape[2]
        more = ((0, 0), (0, 0), (0, work.epochs - self.begun))
        self.history = np.pad(history, more, constant_values=np.nan)

    def keep(self, places: _Places, train: TrainState) -> None:
        """Write the states of a program's lanes into the rows."""
        if self.rows is None:
            n = len(self.alive)
            group = lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
            empty = lambda leaf: np.zeros((n, *places.over.one(group(leaf)).shape), leaf.dtype)
            self.rows = jax.tree.map(empty, train)
        places.unstack(train, self.rows)

    def note(
        self, epoch: int, n_steps: int, places: _Places, state: LaneState, row: History
    ) -> None:
        """Write down what an epoch came to."""
        here, held = places.members, places.held
        was, stopped = self.alive[here], np.asarray(state.train.watch.stopped)[held]
        self.history[:, here, epoch] = np.array([np.asarray(curve)[held] for curve in row])
        self.alive[here] = now = np.asarray(state.alive)[held]
        lost = here[was & ~now & ~stopped]
        sound = np.asarray(state.train.sound)[held][was & ~now & ~stopped]
        self.diverged_epoch[lost] = epoch + 1
        self.diverged_step[lost] = np.minimum(sound - epoch * n_steps + 1, n_steps)
        self.epochs[here[was & (now | stopped)]] = epoch + 1
        self.computed[here] += 1

    def enter(self, packing: Packing) -> None:
        """Write down where lanes are trained from now on."""
        epoch, groups, lanes, members = packing
        for place, lane in enumerate(members):
            if lane >= 0:
                self.places[lane].append(Place(epoch, groups, lanes, place))

    def outcome(self, done: int) -> Outcome:
        """All that a study keeps of the lanes, but for their states."""
        assert self.rows is not None
        watch = self.rows.watch
        return Outcome(
            History(*self.history[:, :, :done]),
            self.epochs,
            self.computed,
            watch.best_epoch,
            watch.best_score,
            watch.stopped,
            self.diverged_epoch,
            self.diverged_step,
            tuple(map(tuple, self.places)),
            self.swept,
        )


def train_chunk(
    work: Work,
    data: Dataset,
    device: Any = None,
    before: tuple[Outcome, TrainState] | None = None,
    on_epoch: Callable[[int, np.ndarray, np.ndarray], bool] | None = None,
) -> tuple[Outcome, TrainState]:
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
    log = _Log(work, before)
    n_steps = -(-len(data.train.x) // work.batch_size)
    put = partial(jax.device_put, device=device)
    entered = {packing.epoch: packing for packing in work.packings}
    current = next(packing for packing in reversed(work.packings) if packing.epoch <= log.begun)
    places: Any = None
    state = numbers = units = places
    done = log.begun
    for epoch in range(log.begun, work.epochs):
        if not log.alive.any():
            break
        if work.repack and (new := _smaller(work, current, log.alive, epoch)):
            entered[epoch] = new
        if places is None or epoch in entered:
            if places is not None:
                log.keep(places, state.train)
            current = entered.get(epoch, current)
            if epoch in entered:
                log.enter(current)
            places = _Places(work, current)
            numbers, units = put((places.numbers(work.recipe), places.stacked(_units(work))))
            state = _entered(work, places, log, numbers, put)
        net, size, index = work.program, work.batch_size, np.int32(epoch)
        after = _compiled_trained(
            net, size, data.train, places.keys, index, numbers, units, state.train
        )
        state, row = _compiled_closed(
            net, size, work.monitor, data, index, numbers, units, state, after
        )
        del after  # else it would stay until the next epoch has trained
        log.note(epoch, n_steps, places, state, row)
        done = epoch + 1
        if on_epoch is not None and on_epoch(done, log.history[:, :, :done], log.alive):
            break
    if places is not None:
        log.keep(places, state.train)
    return log.outcome(done if log.alive.any() else work.epochs), log.rows  # pyright: ignore[reportReturnType]


def _entered(
    work: Work, places: _Places, log: _Log, numbers: Recipe, put: Callable[[Any], Any]
) -> LaneState:
    """The states with which a program begins, or goes on."""
    alive = put(places.held & log.alive[places.lanes])
    if log.rows is not None:
        return LaneState(put(places.stacked(log.rows)), alive)
    params, keys = put((places.stacked(_initial(work)), places.keys))
    begun = _compiled_begin(work.program, work.keep_best, places.over, keys, numbers, params)
    return LaneState(begun, alive)
