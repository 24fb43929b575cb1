"""Lanes: many networks in one program, each as if it were trained alone.

A program trains a rectangle of lanes: groups of one seed each, all with the same number of lanes.
The lanes of a group share the mini-batches, so layer 1 of N networks is one matrix product,
(batch, n_in) times (n_in, N·n_out), if the lane axis of the first layer's weights, and of the
optimizer's state that mirrors them, stands next to the outputs: axis 1. The program is the same
`epoch` under `vmap`, with that axis for those leaves and axis 0 for all others.

Hidden widths are padded with masked units, so that networks of different widths can share a
program: see `jaxnet.acceleration.padding`.

A lane that diverges is frozen: it keeps what it had an epoch before. Lanes never touch each other,
but bits depend on the size of the program: equal bits are promised only within one size.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Int, Integer, Key, PyTree

from jaxnet.acceleration.padding import UnitMasks, pad_tree
from jaxnet.acceleration.programs import Program
from jaxnet.acceleration.xla_options import DRAWS, evaluation_options, training_options
from jaxnet.core.network import Network, zero_params
from jaxnet.core.types import AnyArray, Dataset, History, KeyArray, Params, Split
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.trainable import TrainableMasks
from jaxnet.sweeps.recipe_batch import group_axes
from jaxnet.training.epoch_results import EpochResult, finish_epoch
from jaxnet.training.epochs import EpochAddress, EpochProgram, Measurements, train_epoch
from jaxnet.training.mini_batches import Subset
from jaxnet.training.parallelism import SINGLE, SingleNetwork
from jaxnet.training.step import TrainState, draw_params, start

GroupKeys = Key[Array, " groups"]
"""The run key of each group of a program."""


@dataclass(frozen=True)
class LaneGroup(SingleNetwork):
    """Runs a one-network function on all lanes of a group, by `vmap` over their lane axis.

    Stacked leaves with the first layer's shape, (n_in, lanes, n_out), have their lane axis at 1.
    Scalars, which all lanes share, have none; all other leaves have it at 0.
    """

    n_lanes: int = 1
    """How many networks the group has."""
    first_layer_shape: tuple[int, ...] | None = None
    """n_in and n_out of the first layer, or None if all lane axes are to be at 0."""

    def lane_axis(self, leaf: ArrayLike | jax.ShapeDtypeStruct) -> int | None:
        """The lane axis of a stacked leaf, None for a scalar that all lanes share."""
        shape = np.shape(leaf)
        if not shape:
            return None
        is_inner = (
            len(shape) == 3
            and shape[1] == self.n_lanes
            and self.has_inner_lane_axis((shape[0], shape[2]))
        )
        return 1 if is_inner else 0

    def has_inner_lane_axis(self, shape: tuple[int, ...]) -> bool:
        """Whether a leaf of this shape in one lane has its lane axis at 1 when stacked."""
        return shape == self.first_layer_shape

    def single_lane_struct(self, leaf: AnyArray | jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        """The shape and element type that a stacked leaf has in a single lane."""
        axis, shape = self.lane_axis(leaf), np.shape(leaf)
        if axis is not None:
            shape = shape[:axis] + shape[axis + 1 :]
        return jax.ShapeDtypeStruct(shape, leaf.dtype)

    def squeeze_single(self, stacked: PyTree) -> PyTree:
        """Remove a lane axis of length 1, which XLA handles badly."""

        def squeeze(leaf: ArrayLike) -> ArrayLike:
            axis = self.lane_axis(leaf)
            return leaf if axis is None else jnp.squeeze(leaf, axis)

        return stacked if self.n_lanes > 1 else jax.tree.map(squeeze, stacked)

    def unsqueeze_single(self, tree: PyTree) -> PyTree:
        """Put the lane axis back that `squeeze_single` removed."""

        def unsqueeze(leaf: AnyArray) -> Array:
            return jnp.expand_dims(leaf, int(self.has_inner_lane_axis(leaf.shape)))

        return tree if self.n_lanes > 1 else jax.tree.map(unsqueeze, tree)

    def __call__(self, f: Callable[..., PyTree]) -> Callable[..., PyTree]:
        """`f` mapped over the lanes: its first argument is stacked, the lanes share the others."""

        def of_all_lanes(stacked: PyTree, *shared: PyTree) -> PyTree:
            single = jax.tree.map(self.single_lane_struct, stacked)
            single_out = jax.eval_shape(f, single, *shared)
            out_axes = jax.tree.map(
                lambda leaf: int(self.has_inner_lane_axis(leaf.shape)), single_out
            )
            in_axes = (jax.tree.map(self.lane_axis, stacked), *[None] * len(shared))
            return jax.vmap(f, in_axes, out_axes, axis_size=self.n_lanes)(stacked, *shared)

        return of_all_lanes


class LaneState(NamedTuple):
    """What the lanes of a program carry from epoch to epoch."""

    train: TrainState
    """Stacked: the group axis first, then the lane axis where `LaneGroup` has it."""
    alive: Bool[Array, "groups lanes"]
    """False for a lane that diverged or stopped, and for an empty slot."""


def lane_group(net: Network, recipe: Recipe, n_lanes: int) -> LaneGroup:
    """The parallelism that trains `n_lanes` lanes of this network and recipe together."""
    # JAX's conjugate gradients take no arrays whose lanes have different axes.
    return LaneGroup(n_lanes, None if recipe.optimizer.curvature else net.sizes[:2])


class LaneInputs(NamedTuple):
    """What a program reads of its groups and lanes and never changes, stacked as their states."""

    keys: GroupKeys
    """The groups' run keys."""
    recipe: Recipe
    """How the lanes are trained."""
    units: UnitMasks | None
    """The lanes' masks of padded units; None if no lane is padded."""
    trainable: TrainableMasks | None
    """What is trained of each lane; None for everything."""
    subset: Subset | None
    """The examples of each group; None for all."""

    def axes(self) -> "LaneInputs":
        """The axes of the groups, for `vmap`."""
        subset = self.subset
        if subset is not None and subset.sizes.last_step is not None:  # the same for all groups
            sizes = replace(jax.tree.map(lambda _: 0, subset.sizes), last_step=None)
            subset = replace(jax.tree.map(lambda _: 0, subset), sizes=sizes)
        else:
            subset = 0
        return LaneInputs(0, group_axes(self.recipe), 0, 0, subset)  # pyright: ignore[reportArgumentType]


def _begin(
    net: Network, keep_best: bool, parallelism: LaneGroup, inputs: LaneInputs, params: Params
) -> TrainState:
    """The stacked states before the first mini-batch, from stacked initial parameters."""

    def of_group(inputs: LaneInputs, params: Params) -> TrainState:
        def start_lane(lane: tuple[Recipe, Params, TrainableMasks | None]) -> TrainState:
            recipe, params, trainable = lane
            return start(net, recipe, inputs.keys, params, keep_best, trainable)

        return parallelism(start_lane)((inputs.recipe, params, inputs.trainable))

    return jax.vmap(of_group, (inputs.axes(), 0))(inputs, params)


def _train(
    program: EpochProgram,
    data: Split,
    index: Int[AnyArray, ""],
    inputs: LaneInputs,
    state: TrainState,
) -> tuple[TrainState, Measurements]:
    """Train epoch number `index`, counted from 0, of all lanes.

    Returns:
      Their states after it, and what the monitors measured, (groups, lanes, measurements, columns).
    """

    def of_group(inputs: LaneInputs, state: TrainState) -> tuple[TrainState, Measurements]:
        group = lane_group(program.net, inputs.recipe, state.step.shape[-1])
        recipe, units, trainable, state = group.squeeze_single(
            (inputs.recipe, inputs.units, inputs.trainable, state)
        )
        trained, measured = train_epoch(
            _group_program(program, group), data, EpochAddress(inputs.keys, index), recipe, units,
            state, trainable, inputs.subset,
        )  # fmt: skip
        if measured is not None and group.n_lanes == 1:
            measured = measured[None]
        return group.unsqueeze_single(trained), measured

    return jax.vmap(of_group, (inputs.axes(), 0))(inputs, state)


def _finish(
    program: EpochProgram,
    data: Dataset,
    index: Int[AnyArray, ""],
    inputs: LaneInputs,
    state: LaneState,
    trained: TrainState,
) -> tuple[LaneState, History]:
    """Evaluate an epoch of all lanes; those that are dead, or diverged in it, keep their state.

    Args:
      program: the static choices of the epoch.
      data: the splits.
      index: the epoch's number, counted from 0.
      inputs: what the program reads of its lanes.
      state: the lanes before the epoch.
      trained: their training states after it.

    Returns:
      The lanes after the epoch, and their rows of the history, (groups, lanes).
    """

    def of_group(
        inputs: LaneInputs, state: LaneState, trained: TrainState
    ) -> tuple[LaneState, History]:
        group = lane_group(program.net, inputs.recipe, state.alive.shape[-1])
        group_program = _group_program(program, group)
        recipe, units, trainable, state, trained = group.squeeze_single(
            (inputs.recipe, inputs.units, inputs.trainable, state, trained)
        )
        result = finish_epoch(
            group_program, data, index, recipe, units, trained, trainable, inputs.subset
        )
        freeze = group_program.parallelism(_freeze_if_diverged)
        return group.unsqueeze_single(freeze((state, result)))

    return jax.vmap(of_group, (inputs.axes(), 0, 0))(inputs, state, trained)


def _group_program(program: EpochProgram, group: LaneGroup) -> EpochProgram:
    """The epoch program of a group of lanes, from that of one network."""
    return replace(program, parallelism=group if group.n_lanes > 1 else SINGLE)


def _freeze_if_diverged(lane: tuple[LaneState, EpochResult]) -> tuple[LaneState, History]:
    """One lane after an epoch if it is alive and finite, else as it was, with a row of NaN."""
    (old, alive), result = lane
    new, finite = result.state, result.finite
    finite_steps = jnp.where(alive, new.finite_steps, old.finite_steps)
    state = jax.tree.map(lambda n, o: jnp.where(alive & finite, n, o), new, old)
    # The step is the same for all lanes: it addresses the mini-batches that they share.
    state = state._replace(step=new.step, finite_steps=finite_steps)
    row = jax.tree.map(lambda x: jnp.where(alive & finite, x, jnp.nan), result.row)
    return LaneState(state, alive & finite & ~state.watch.stopped), row


def _key(seed: Integer[AnyArray, ""]) -> KeyArray:
    return jax.random.key(seed, impl="threefry2x32")


def _draw(net: Network, keys: GroupKeys) -> Params:
    """The initial parameters of a network under each run key, with an axis for these."""
    return jax.vmap(partial(draw_params, net))(keys)


def _place(
    net: Network,
    parallelism: LaneGroup,
    drawn: tuple[Params, ...],
    kinds: Int[AnyArray, "groups lanes"],
) -> Params:
    """The stacked parameters of all lanes, from those that were drawn for each group.

    Args:
      net: the network of the program.
      parallelism: where the stacked arrays have their lane axis.
      drawn: for each network of the program's lanes its parameters, of its own widths, with an axis
        for the groups.
      kinds: the network of each lane, by its place in `drawn`.
    """
    shapes = jax.tree.map(
        lambda array: jax.ShapeDtypeStruct(array.shape[1:], array.dtype),
        zero_params(net, axes=(1,)),
    )

    def of_group(drawn: tuple[Params, ...], kinds: AnyArray) -> Params:
        padded = [pad_tree(params, shapes) for params in drawn]
        if len(padded) == 1:
            return parallelism(lambda kind: padded[0])(kinds)
        stacked = jax.tree.map(lambda *arrays: jnp.stack(arrays), *padded)
        return parallelism(lambda kind: jax.tree.map(lambda array: array[kind], stacked))(kinds)

    return jax.vmap(of_group)(drawn, kinds)


class LaneStarts(NamedTuple):
    """The static choices of a program that begins with drawn parameters."""

    net: Network
    """The network of the program."""
    keep_best: bool
    """Whether the states have the best epoch's parameters, too."""
    parallelism: LaneGroup
    """Where the stacked arrays have their lane axis."""


def _begin_drawn(
    start: LaneStarts,
    inputs: LaneInputs,
    drawn: tuple[Params, ...],
    kinds: Int[AnyArray, "groups lanes"],
) -> TrainState:
    """The stacked states before the first mini-batch, from drawn parameters: see `_place`."""
    net, keep_best, parallelism = start
    params = _place(net, parallelism, drawn, kinds)
    return _begin(net, keep_best, parallelism, inputs, params)


run_keys = jax.jit(jax.vmap(_key))
"""The run key of each seed of an array."""
draw_groups = Program(_draw, lambda net: DRAWS)
begin_drawn_lanes = Program(_begin_drawn, lambda start: DRAWS)
begin_lanes = jax.jit(_begin, static_argnames=("net", "keep_best", "parallelism"))
train_lanes = Program(_train, lambda program: training_options(program.net))
finish_lanes = Program(_finish, lambda program: evaluation_options(program.net))
