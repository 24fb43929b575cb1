"""An epoch: the one training loop, `epoch`, its three strategies, and what follows it.

The examples are visited in mini-batches, several of which are gathered at once: a block. There are
three ways through an epoch, one below the other:

- plain: a block's steps, one after the other;
- in the span of the block's inputs, where many linear recipes share the mini-batches
  (`jaxnet.acceleration.first_layer`);
- measured: plain, where some of the steps are measured by monitors.

`train_epoch` shuffles and trains, `finish_epoch` evaluates and watches. Both are written for one
network; with a `parallelism` other than `SINGLE` they are of many networks, or of many devices.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxnet.acceleration import first_layer
from jaxnet.acceleration.blocks import BLOCK_ROWS, block_steps
from jaxnet.acceleration.first_layer import Span
from jaxnet.acceleration.padding import UnitMasks, masks, pad_tree, unpad_tree
from jaxnet.core import network
from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Dataset, History, KeyArray, Layer, Params, Split
from jaxnet.recipes import stopping
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.evaluation import Scores, scores
from jaxnet.training.monitors import Monitors
from jaxnet.training.parallelism import SINGLE, Parallelism
from jaxnet.training.randomness import address, shuffle
from jaxnet.training.step import Context, TrainState, mini_batch, start, step

Visits = tuple[Array, ...]
"""Mini-batches to come: their examples' indices and weights, each (n_steps, batch)."""


@dataclass(frozen=True)
class EpochProgram:
    """The static choices of an epoch: with other ones it is another compiled program."""

    net: Network
    batch_size: int
    evaluate_on: tuple[str, ...] = ()
    """Which splits are evaluated: "evaluation", "training"."""
    monitors: Monitors | None = None
    """What is measured in some of the mini-batches."""
    parallelism: Parallelism = SINGLE


@renamed_arguments(over="parallelism")
def epoch(
    net: Network,
    batch_size: int,
    data: Split,
    order: Int[AnyArray, " n"],
    key: KeyArray,
    recipe: Recipe,
    state: TrainState,
    monitors: Monitors | None = None,
    units: UnitMasks | None = None,
    parallelism: Parallelism = SINGLE,
) -> tuple[TrainState, Any]:
    """Train every example once, in this order, in mini-batches: the one training loop.

    The last, smaller mini-batch is filled up with examples of weight 0, and is divided by its
    true size.

    Args:
      net: the architecture (static).
      batch_size: examples per mini-batch (static).
      data: the split to train on.
      order: the examples' indices, in the order in which to visit them.
      key: the run's own key, from which each mini-batch's is addressed.
      recipe: how it is trained.
      state: what the last epoch left.
      monitors: what to measure in some of the mini-batches (static).
      units: which hidden units are there, if not all.
      over: `SINGLE`, or what makes many networks of one: then `recipe`, `units` and `state` are
        those of many, which share key and order, and there are no monitors. Or what splits the
        mini-batches.

    Returns:
      The state after the epoch, and what the monitors measured (`Monitors.split` names it), or
      `None`.
    """
    n = len(order)
    context = Context(net, n, -(-n // batch_size), key)
    arrays = Split(jnp.asarray(data.x), jnp.asarray(data.y))
    visits = _visits(order, batch_size, state.params[0].w.dtype)
    span = 0 if monitors else first_layer.span_steps(net, recipe, batch_size, parallelism.n_lanes)
    most = span or max(1, BLOCK_ROWS // batch_size)
    shared = _Shared(context, arrays, parallelism, units, recipe, most, in_span=span > 0)
    if monitors is None:
        return _train_blocks(shared, state, visits), None
    return _train_measured(shared, monitors, state, visits)


class _Shared(NamedTuple):
    """What the strategies of an epoch have in common."""

    context: Context
    data: Split
    parallelism: Parallelism
    units: UnitMasks | None
    recipe: Recipe
    most: int
    """Mini-batches to a block, at most."""
    in_span: bool
    """Whether the first layer is trained in the span of each block."""


def _visits(order: Int[AnyArray, " n"], batch_size: int, dtype: Any) -> Visits:
    """The mini-batches of an epoch."""
    n = len(order)
    n_steps = -(-n // batch_size)
    indices = jnp.pad(jnp.asarray(order), (0, n_steps * batch_size - n)).reshape(-1, batch_size)
    sizes = np.minimum(batch_size, n - batch_size * np.arange(n_steps))
    weights = (np.arange(batch_size) < sizes[:, None]) / sizes[:, None]
    return indices, jnp.asarray(weights, dtype)


def _train_blocks(shared: _Shared, state: TrainState, visits: Visits) -> TrainState:
    """Train mini-batches in blocks, and those that are left over in a smaller one."""
    n_visits, batch_size = visits[0].shape
    if not n_visits:
        return state
    train_block = partial(_train_in_span if shared.in_span else _train_block, shared)
    size = block_steps(n_visits, shared.most)
    whole = n_visits // size * size
    blocks = tuple(a[:whole].reshape(-1, size, batch_size) for a in visits)
    state, _ = jax.lax.scan(lambda state, block: (train_block(state, block), None), state, blocks)
    rest = tuple(a[whole:] for a in visits)
    return train_block(state, rest) if whole < n_visits else state


def _train_block(shared: _Shared, state: TrainState, block: Visits) -> TrainState:
    """Plain: the steps of a block, one after the other."""
    context, parallelism, recipe, units = (
        shared.context,
        shared.parallelism,
        shared.recipe,
        shared.units,
    )
    steps, xs, ys, weights = _gathered(shared, state, block)
    if parallelism.n_lanes == 1:  # to draw for many steps at once is faster
        batches = jax.vmap(partial(mini_batch, context, recipe, units))(steps, xs, ys, weights)
        train_batch = lambda state, batch: step(context, recipe, units, state, batch)
        return jax.lax.scan(train_batch, state, batches)[0]

    def train_visit(state: TrainState, visit: Any) -> tuple[TrainState, None]:
        def of_network(network: Any, *visit: Any) -> TrainState:
            recipe, units, state = network
            batch = mini_batch(context, recipe, units, *visit)
            return step(context, recipe, units, state, batch)[0]

        return parallelism(of_network)((recipe, units, state), *visit), None

    return jax.lax.scan(train_visit, state, (steps, xs, ys, weights))[0]


def _train_in_span(shared: _Shared, state: TrainState, block: Visits) -> TrainState:
    """In the span of the block's inputs: coefficients stand for the first layer's weights."""
    context, parallelism, recipe, units = (
        shared.context,
        shared.parallelism,
        shared.recipe,
        shared.units,
    )
    net, n_steps = context.net, len(block[0])
    steps, xs, ys, weights = _gathered(shared, state, block)
    rows = network.inputs(xs.reshape(-1, net.sizes[0]), weights.dtype)
    gram = jnp.dot(rows, rows.T, precision=net.precision).reshape(*block[0].shape, -1)

    def enter(state: TrainState, rows: Array) -> tuple[TrainState, Span]:
        trained, span = first_layer.enter(net, n_steps, (state.params, state.opt_state), rows)
        return state._replace(params=trained[0], opt_state=trained[1]), span

    def leave(network: tuple[TrainState, TrainState, Span], rows: Array) -> TrainState:
        state, begun, span = network
        begun = (begun.params, begun.opt_state)
        params, opt_state = first_layer.leave(
            net, (state.params, state.opt_state), begun, span, rows
        )
        return state._replace(params=params, opt_state=opt_state)

    def train_visit(carry: tuple[TrainState, Span], visit: Any) -> tuple[Any, None]:
        def of_network(network: Any, place: Array, gram: Array, *visit: Any) -> Any:
            recipe, units, state, span = network
            batch = mini_batch(context, recipe, units, *visit)
            gradient_of = partial(first_layer.gradient_in_span, net, span, place, gram)
            state, errors = step(context, recipe, units, state, batch, gradient_of)
            return state, span.with_errors(place, errors)

        return parallelism(of_network)((recipe, units, *carry), *visit), None

    visits = (jnp.arange(n_steps), gram, steps, xs, ys, weights)
    (last, span), _ = jax.lax.scan(train_visit, parallelism(enter)(state, rows), visits)
    return parallelism(leave)((last, state, span), rows)


def _train_measured(
    shared: _Shared, monitors: Monitors, state: TrainState, visits: Visits
) -> tuple[TrainState, Any]:
    """Measured: plain stretches of steps, the last step of each by itself, with the monitors."""
    context, recipe, units = shared.context, shared.recipe, shared.units

    def train_stretch(state: TrainState, stretch: Visits) -> tuple[TrainState, Any]:
        state = _train_blocks(shared, state, tuple(a[:-1] for a in stretch))
        indices, weights = (a[-1] for a in stretch)
        xs, ys = shared.parallelism.split((shared.data.x[indices], shared.data.y[indices]))
        batch = mini_batch(context, recipe, units, state.step, xs, ys, weights)
        return step(context, recipe, units, state, batch, None, monitors)

    n_steps, batch_size = visits[0].shape
    every = monitors.every or n_steps
    whole = n_steps // every * every
    stretches = tuple(a[:whole].reshape(-1, every, batch_size) for a in visits)
    state, measured = jax.lax.scan(train_stretch, state, stretches)
    return _train_blocks(shared, state, tuple(a[whole:] for a in visits)), measured


def _gathered(shared: _Shared, state: TrainState, block: Visits) -> tuple[Array, ...]:
    """A block's steps by number, their examples and weights."""
    indices, weights = block
    # The step's number is the same for all networks that are trained together.
    steps = jnp.ravel(state.step)[0] + jnp.arange(len(indices))
    xs, ys = shared.parallelism.split((shared.data.x[indices], shared.data.y[indices]), axis=1)
    return steps, xs, ys, weights


def train_epoch(
    program: EpochProgram,
    data: Split,
    key: KeyArray,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    units: UnitMasks | None,
    state: TrainState,
) -> tuple[TrainState, Any]:
    """Shuffle and train: epoch number `index`, from 0, of a run; see `epoch`."""
    order = shuffle(address(key, "order", index), len(data.x))
    return epoch(
        program.net, program.batch_size, data, order, key, recipe, state, program.monitors, units,
        program.parallelism,
    )  # fmt: skip


def train_epoch_padded(
    program: EpochProgram,
    net: Network,
    data: Split,
    key: KeyArray,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    state: TrainState,
) -> tuple[TrainState, Any]:
    """`train_epoch` of `net` in a program whose network has wider hidden layers (both static).

    The state is padded as the epoch begins, and cut to the network's own widths as it ends. Not to
    be differentiated: at 0 norms and roots have no derivative.
    """
    wide = program.net
    if wide == net:
        return train_epoch(program, data, key, index, recipe, None, state)
    zeros = tuple(
        Layer(jnp.zeros(pair), jnp.zeros(pair[1])) for pair in zip(wide.sizes, wide.sizes[1:])
    )
    like = jax.eval_shape(lambda: start(wide, recipe, key, zeros))
    own = (state.params, state.opt_state)
    params, opt_state = pad_tree(own, (like.params, like.opt_state))
    units = UnitMasks(masks(net, wide), net.sizes[1:-1])
    padded = state._replace(params=params, opt_state=opt_state)
    padded, measured = train_epoch(program, data, key, index, recipe, units, padded)
    params, opt_state = unpad_tree((padded.params, padded.opt_state), own)
    return padded._replace(params=params, opt_state=opt_state), measured


class EpochResult(NamedTuple):
    """Result of one epoch."""

    state: TrainState
    params: Params
    """Those to evaluate and to keep, the rule's evaluation parameters."""
    row: History
    learning_rate: Float[Array, ""]
    """η of the last step; NaN where the optimizer has none."""
    finite: Bool[Array, ""]
    """Whether all parameters and costs are."""


def finish_epoch(
    program: EpochProgram,
    data: Dataset,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    units: UnitMasks | None,
    state: TrainState,
) -> EpochResult:
    """Evaluate and watch what epoch number `index`, from 0, has trained.

    With the program's `parallelism`, of many runs: see `epoch`.
    """
    net, parallelism = program.net, program.parallelism
    n_steps = -(-len(data.train.x) // program.batch_size)

    def evaluated(network: tuple[Recipe, UnitMasks | None, TrainState]) -> Params:
        recipe, units, state = network
        params = recipe.optimizer.evaluation_params(state.opt_state, state.params)
        return params if units is None else units.zero_padding(params)

    def scored(name: str, split: Split | None) -> Scores | None:
        if name in program.evaluate_on and split is not None:
            return scores(net, params, split, recipe.l1, recipe.l2, parallelism)
        return None

    def watched(network: tuple[Recipe, TrainState, Params, Scores | None, Scores | None]) -> Any:
        recipe, state, params, *splits = network
        row, finite = _row(state, params[0].w.dtype, splits)
        optimizer = recipe.optimizer_at(state.step - 1, n_steps, state.watch.scale)
        rate = jnp.asarray(optimizer.hyper.get("learning_rate", jnp.nan), params[0].w.dtype)
        watch = stopping.update(recipe.stopping, state.watch, params, row, index + 1)
        return state._replace(watch=watch), row, rate, finite

    params = parallelism(evaluated)((recipe, units, state))
    evaluation, training = scored("evaluation", data.valid), scored("training", data.train)
    state, row, rate, finite = parallelism(watched)((recipe, state, params, evaluation, training))
    return EpochResult(state, params, row, rate, finite)


def _row(
    state: TrainState, dtype: Any, splits: list[Scores | None]
) -> tuple[History, Bool[Array, ""]]:
    """The epoch's row of the history, and whether all parameters and costs are finite."""
    unknown = Scores(*[jnp.full((), jnp.nan, dtype)] * 2)
    finite = [jnp.all(jnp.isfinite(array)) for array in jax.tree.leaves(state.params)]
    finite += [jnp.isfinite(split.cost) for split in splits if split is not None]
    row = History(*[x for split in splits for x in (unknown if split is None else split)])
    return row, jnp.all(jnp.stack(finite))
