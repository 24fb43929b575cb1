"""Phases: how `train(state=…)` goes on from the end of another call."""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np

from jaxnet.core import network
from jaxnet.core.arguments import require_kind
from jaxnet.core.dtypes import FloatType, unshared
from jaxnet.core.network import Network
from jaxnet.core.types import KeyArray, Params
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.trainable import TrainableMasks
from jaxnet.training.randomness import address
from jaxnet.training.run import RunState
from jaxnet.training.step import TrainState, compiled_draw_params, start


class Beginning(NamedTuple):
    """Where a call of `train` begins."""

    key: KeyArray
    """The key of the phase: the run's own in phase 0, else one derived from it."""
    phase: int
    """The number of the phase, from 0."""
    epochs: int
    """Epochs of this phase that earlier calls have done."""
    state: TrainState
    """The state before the first mini-batch of this call."""


def beginning(
    net: Network,
    recipe: Recipe,
    batch_size: int,
    masks: TrainableMasks | None,
    key: KeyArray,
    params: Params | None,
    before: RunState | None,
) -> Beginning:
    """Where a call of `train` begins: anew, going on, or with the next phase.

    Args:
      net: the architecture.
      recipe: how it is trained.
      batch_size: examples per mini-batch.
      masks: which numbers are trained; `None` for all.
      key: the key of this seed.
      params: initial parameters; `None` draws them, or takes those of `before`.
      before: where an earlier call ended; `None` for a new run.

    Returns:
      The beginning. The call goes on if network, recipe, batch size and masks are those of
      `before`, else the next phase begins, with the parameters of `before` as they are.
    """
    if before is None:
        # Drawn by a program of its own, which all recipes share: it takes longest to compile.
        drawn = compiled_draw_params(net, key) if params is None else unshared(params)
        return Beginning(key, 0, 0, _compiled_start(net, recipe, key, drawn, trainable=masks))
    phase = before.phase
    if is_same_phase(net, recipe, batch_size, masks, before):
        return Beginning(phase_key(key, phase), phase, before.epochs, before.train)
    key = phase_key(key, phase + 1)
    unscaled = dataclasses.replace(recipe, init_scale=None)  # the first phase has scaled them
    params = unshared(before.params)
    return Beginning(
        key, phase + 1, 0, _compiled_start(net, unscaled, key, params, trainable=masks)
    )


_compiled_start = jax.jit(start, static_argnames="net")


def phase_key(key: KeyArray, phase: int) -> KeyArray:
    """The key of a phase: so the phases of a run differ in the order of examples and in dropout.

    Args:
      key: the run's own key.
      phase: the number of the phase, from 0.

    Returns:
      The run's own key in phase 0, else a key of its own.
    """
    return address(key, "phase", phase) if phase else key


def is_same_phase(
    net: Network,
    recipe: Recipe,
    batch_size: int,
    masks: TrainableMasks | None,
    before: RunState,
) -> bool:
    """Whether a call with these settings goes on where an earlier one ended.

    Args:
      net: the architecture.
      recipe: how it is trained.
      batch_size: examples per mini-batch.
      masks: which numbers are trained; `None` for all.
      before: where the earlier call ended.
    """
    dtype = jax.dtypes.canonicalize_dtype(float)
    static = (net, recipe, batch_size, jax.tree.structure(masks), dtype)
    same = static == (
        before.network, before.recipe, before.batch_size, jax.tree.structure(before.trainable),
        before.params[0].w.dtype,
    )  # fmt: skip
    pairs = zip(jax.tree.leaves(masks), jax.tree.leaves(before.trainable))
    return same and all(np.array_equal(mask, earlier) for mask, earlier in pairs)


def type_to_go_on_in(dtype: FloatType | None, before: RunState | None) -> FloatType | None:
    """The type in which a call computes: without `dtype` that of the state it goes on from.

    Args:
      dtype: the type that was asked for, or `None`.
      before: the argument `state`, or `None`.

    Returns:
      The type; `None` for JAX's default, also if the state is in this type.
    """
    if dtype is not None or not isinstance(before, RunState):  # `check_state` refuses other states
        return dtype
    own_type = before.params[0].w.dtype
    if own_type == jax.dtypes.canonicalize_dtype(float):
        return None
    return "float64" if own_type == np.float64 else "float32"


def check_state(net: Network, seed: int, params: Params | None, before: RunState | None) -> None:
    """Raise an error unless a run can go on from a state.

    Args:
      net: the architecture.
      seed: the seed of this call.
      params: initial parameters, or `None`.
      before: the argument `state`, or `None`.

    Raises:
      ValueError: the state is of another network or of another seed, or there are parameters, too.
    """
    if before is None:
        return
    require_kind("state", before, RunState, "Run.state")
    network.check_params(net, before.params)
    if params is not None:
        raise ValueError("state has the parameters to go on from; leave params out.")
    if seed != before.seed:
        raise ValueError(
            f"seed is {seed}, but the state is of a run with seed {before.seed}; give seed="
            f"{before.seed}, or params=run.params in place of the state for another run."
        )
