"""Lanes: many networks in one program, each as if it were trained alone.

A program trains a rectangle of lanes: groups of one seed each, with as many lanes to a group. The
lanes of a group share the mini-batches, so layer 1 of N networks is one matrix product,
(batch, n_in) times (n_in, N·n_out), if the lane axis of the first layer's weights, and of the
optimizer's state that mirrors them, stands next to the outputs: axis 1. It is the same `epoch`
under `vmap`, with that axis for those leaves and axis 0 for all others.

Hidden widths are padded with masked units, so that networks of different widths can share a
program: see `jaxnet.acceleration.padding`.

A lane that diverges is frozen: it keeps what it had an epoch before. Lanes never touch each other,
but bits depend on the size of the program: equal bits are promised only within one size.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxnet.acceleration.padding import UnitMasks
from jaxnet.acceleration.xla_options import ONE_THREAD, STEPS
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, KeyArray, Params, Split
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.recipe_batch import placed_axes
from jaxnet.training.epochs import EpochProgram, EpochResult, finish_epoch, train_epoch
from jaxnet.training.parallelism import SINGLE, Parallelism
from jaxnet.training.step import TrainState, start


@dataclass(frozen=True)
class LaneGroup(Parallelism):
    """The `parallelism` of `epoch`: makes of a function of one network that of a group of lanes.

    Stacked leaves with the first layer's shape, (n_in, lanes, n_out), have their lane axis at 1;
    numbers that all lanes share have none, all others have it at 0.
    """

    n_lanes: int = 1
    """How many networks share their mini-batches."""
    first: tuple[int, ...] | None = None
    """n_in and n_out of the first layer, if its lane axis is to stand next to the outputs."""

    def axis(self, leaf: Any) -> int | None:
        """Where a stacked leaf has its lanes."""
        if not np.ndim(leaf):
            return None
        shape = np.shape(leaf)
        return int(len(shape) == 3 and shape[1] == self.n_lanes and self.is_inner(shape[::2]))

    def is_inner(self, shape: tuple[int, ...]) -> bool:
        """Whether a leaf of one lane, of this shape, has its lanes at axis 1 when stacked."""
        return shape == self.first

    def one(self, leaf: Any) -> Any:
        """What a single lane has of a stacked leaf."""
        axis = self.axis(leaf)
        shape = np.shape(leaf)
        kept = shape if axis is None else shape[:axis] + shape[axis + 1 :]
        return jax.ShapeDtypeStruct(kept, leaf.dtype)

    def squeeze_single(self, tree: Any) -> Any:
        """A group of a single lane without its lane axis, over which XLA would stumble."""
        squeeze_single = lambda leaf: (
            leaf if self.axis(leaf) is None else jnp.squeeze(leaf, self.axis(leaf))
        )
        return tree if self.n_lanes > 1 else jax.tree.map(squeeze_single, tree)

    def unsqueeze_single(self, tree: Any) -> Any:
        """The inverse of `squeeze_single`."""
        unsqueeze_single = lambda leaf: jnp.expand_dims(leaf, int(self.is_inner(leaf.shape)))
        return tree if self.n_lanes > 1 else jax.tree.map(unsqueeze_single, tree)

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """The function of all lanes: f's first argument is stacked, the others are shared."""

        def many(tree: Any, *shared: Any) -> Any:
            given = jax.eval_shape(f, jax.tree.map(self.one, tree), *shared)
            out = jax.tree.map(lambda leaf: int(self.is_inner(leaf.shape)), given)
            axes = (jax.tree.map(self.axis, tree), *[None] * len(shared))
            return jax.vmap(f, axes, out, axis_size=self.n_lanes)(tree, *shared)

        return many


class LaneState(NamedTuple):
    """What the lanes of a program carry from epoch to epoch."""

    train: TrainState
    alive: Array
    """(groups, lanes): neither diverged, nor stopped, nor an empty place."""


def lanes_of(net: Network, recipe: Recipe, n_lanes: int) -> LaneGroup:
    """How a group of so many lanes is trained."""
    # JAX's conjugate gradients take no arrays whose lanes have different axes.
    return LaneGroup(n_lanes, None if recipe.optimizer.curvature else net.sizes[:2])


def _begin(
    net: Network, keep_best: bool, parallelism: LaneGroup, keys: Any, recipe: Recipe, params: Params
) -> TrainState:
    """The states before the first mini-batch, from initial parameters of lanes, axes as stored."""

    def of_group(key: Any, recipe: Recipe, params: Params) -> TrainState:
        begun = lambda lane: start(net, lane[0], key, lane[1], keep_best)
        return parallelism(begun)((recipe, params))

    axes = (0, placed_axes(recipe), 0)
    return jax.vmap(of_group, axes)(keys, recipe, params)


def _train(
    program: EpochProgram,
    data: Split,
    keys: Any,
    index: Any,
    recipe: Recipe,
    units: UnitMasks | None,
    state: TrainState,
) -> TrainState:
    """The states of all lanes when epoch number `index`, from 0, has trained them."""

    def of_group(key: Any, recipe: Recipe, units: UnitMasks | None, state: TrainState) -> Any:
        lanes = lanes_of(program.net, recipe, state.step.shape[-1])
        recipe, units, state = lanes.squeeze_single((recipe, units, state))
        after, _ = train_epoch(_of_group(program, lanes), data, key, index, recipe, units, state)
        return lanes.unsqueeze_single(after)

    return jax.vmap(of_group, (0, placed_axes(recipe), 0, 0))(keys, recipe, units, state)


def _finish(
    program: EpochProgram,
    data: Dataset,
    index: Any,
    recipe: Recipe,
    units: UnitMasks | None,
    state: LaneState,
    after: TrainState,
) -> tuple[LaneState, History]:
    """What all lanes are after an epoch; those that are dead, or die now, stay as they were."""

    def of_group(
        recipe: Recipe, units: UnitMasks | None, state: LaneState, after: TrainState
    ) -> Any:
        lanes = lanes_of(program.net, recipe, state.alive.shape[-1])
        grouped = _of_group(program, lanes)
        recipe, units, state, after = lanes.squeeze_single((recipe, units, state, after))
        result = finish_epoch(grouped, data, index, recipe, units, after)
        return lanes.unsqueeze_single(grouped.parallelism(_frozen)((state, result)))

    return jax.vmap(of_group, (placed_axes(recipe), 0, 0, 0))(recipe, units, state, after)


def _of_group(program: EpochProgram, lanes: LaneGroup) -> EpochProgram:
    """The program of a group of lanes, from that of one network."""
    return replace(program, parallelism=lanes if lanes.n_lanes > 1 else SINGLE)


def _frozen(lane: tuple[LaneState, EpochResult]) -> tuple[LaneState, History]:
    """A lane after an epoch, if it was alive and stays finite; else as it was."""
    (old, alive), result = lane
    new, finite = result.state, result.finite
    finite_steps = jnp.where(alive, new.finite_steps, old.finite_steps)
    kept = jax.tree.map(lambda n, o: jnp.where(alive & finite, n, o), new, old)
    # The step is the same for all: it addresses what they share.
    kept = kept._replace(step=new.step, finite_steps=finite_steps)
    row = jax.tree.map(lambda x: jnp.where(alive & finite, x, jnp.nan), result.row)
    return LaneState(kept, alive & finite & ~kept.watch.stopped), row


def _key(seed: Any) -> KeyArray:
    return jax.random.key(seed, impl="threefry2x32")


keys_of = jax.jit(jax.vmap(_key))
"""The run keys of seeds."""
begin_lanes = jax.jit(_begin, static_argnames=("net", "keep_best", "parallelism"))
train_lanes = jax.jit(_train, static_argnames="program", compiler_options=STEPS | ONE_THREAD)
finish_lanes = jax.jit(_finish, static_argnames="program", compiler_options=ONE_THREAD)
