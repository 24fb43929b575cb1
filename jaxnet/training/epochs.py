"""The training loop over one epoch, `epoch`, and the evaluation after it.

The examples are visited in mini-batches. The examples of several mini-batches, a block, are
gathered together. `epoch` trains a block in one of two ways:

- step by step;
- in the span of the block's inputs, where many linear recipes share the mini-batches
  (`jaxnet.acceleration.first_layer`).

An epoch with monitors is trained step by step, and each measured step by itself.

`train_epoch` shuffles and trains, `finish_epoch` evaluates and updates the stopping rule. Both are
written for one network on one device; a `parallelism` other than `SINGLE` runs them on many
networks, or on several devices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxnet.acceleration import first_layer
from jaxnet.acceleration.blocks import BLOCK_ROWS, block_steps
from jaxnet.acceleration.first_layer import Span
from jaxnet.acceleration.padding import UnitMasks, masks, pad_tree, unpad_tree
from jaxnet.core import network
from jaxnet.core.arguments import brief, require_kind
from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.network import Network
from jaxnet.core.types import (
    AnyArray,
    Dataset,
    EvaluatedSplit,
    History,
    KeyArray,
    Layer,
    Order,
    Params,
    Split,
)
from jaxnet.recipes import stopping
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.regularization import penalty
from jaxnet.training.checks import check_epoch
from jaxnet.training.evaluation import Scores, scores
from jaxnet.training.monitors import Monitors
from jaxnet.training.parallelism import SINGLE, Parallelism
from jaxnet.training.randomness import address, shuffle
from jaxnet.training.step import Context, TrainState, mini_batch, start, step


@dataclass(frozen=True)
class EpochProgram:
    """The static choices of an epoch: each combination is a compiled program of its own."""

    net: Network
    """The architecture."""
    batch_size: int
    """Examples per mini-batch."""
    evaluate_on: tuple[EvaluatedSplit, ...] = ()
    """The splits to evaluate after the epoch: "evaluation", "training", both or none."""
    monitors: Monitors | None = None
    """What to measure in some of the mini-batches."""
    parallelism: Parallelism = SINGLE
    """How many networks and devices take part."""
    order: Order = "shuffled"
    """In which order to visit the examples."""


Measurements = Float[Array, "n_measured n_columns"] | None
"""What monitors measured, a row per measurement (`Monitors.split` names the columns); or `None`."""


class MiniBatches(NamedTuple):
    """Mini-batches to train, one after the other."""

    indices: Int[Array, "n_steps batch"]
    """Each mini-batch's examples, by their indices in the split."""
    weights: Float[Array, "n_steps batch"]
    """Each example's weight in its mini-batch's mean; 0 where it only fills the mini-batch up."""


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
) -> tuple[TrainState, Measurements]:
    """Train on every example once, in mini-batches.

    The last, smaller mini-batch is filled up with examples of weight 0, and is divided by its true
    size. This is the one training loop of jaxnet.

    Args:
      net: the architecture (static).
      batch_size: examples per mini-batch (static), in [1, n].
      data: the split to train on: `x` of shape (n, n_in), `y` of shape (n,) for labels or
        (n, n_out) for float targets.
      order: the examples' indices in the order in which to visit them, of shape (n,).
      key: the run's own key, from which the key of each mini-batch is derived.
      recipe: how it is trained.
      state: the state before the epoch, from `start` or from the epoch before.
      monitors: what to measure in some of the mini-batches (static), or `None`; not with lanes.
      units: which hidden units are the network's own, if some are padding; `None` if all are.
      parallelism: `SINGLE` (the default) for one network on one device; another one (static) trains
        several networks, which share `data`, `order` and `key` and are stacked in `recipe`, `units`
        and `state`, or divides the mini-batches among devices.

    Returns:
      The state after the epoch, of the same shapes; and the measurements, of shape (measurements,
      columns), which `Monitors.split` takes apart, or `None` without monitors.

    Raises:
      ValueError: an argument is of another kind.

    >>> from jaxnet import datasets, sgd
    >>> net, data, recipe = Network((2, 3, 2)), datasets.xor(n=20).train, Recipe(sgd(0.5))
    >>> key = jax.random.key(0)
    >>> n = len(data.x)
    >>> state, _ = epoch(net, 4, data, np.arange(n), key, recipe, start(net, recipe, key))
    >>> state.step.item() == -(-n // 4)
    True
    """
    require_kind("state", state, TrainState, "jaxnet.start(net, recipe, key)")
    if monitors is not None:
        require_kind("monitors", monitors, Monitors, "jaxnet.Monitors()")
    if units is not None:
        require_kind("units", units, UnitMasks, "jaxnet.acceleration.padding.masks(nets, net)")
    if not isinstance(parallelism, Parallelism):
        raise ValueError(f"parallelism must be a Parallelism, not {brief(parallelism)}.")
    batch_size = check_epoch(net, batch_size, data, order, key, recipe)
    n = len(order)
    context = Context(net=net, n_examples=n, n_steps=-(-n // batch_size), key=key)
    arrays = Split(jnp.asarray(data.x), jnp.asarray(data.y))
    batches = _mini_batches(order, batch_size, state.params[0].w.dtype)
    n_span_steps = first_layer.span_steps(net, recipe, batch_size, parallelism.n_lanes)
    in_span = monitors is None and n_span_steps > 0
    shared = _Shared(
        context=context,
        data=arrays,
        parallelism=parallelism,
        units=units,
        recipe=recipe,
        max_steps=n_span_steps if in_span else max(1, BLOCK_ROWS // batch_size),
        in_span=in_span,
    )
    if monitors is None:
        return _train_blocks(shared, state, batches), None
    return _train_measured(shared, monitors, state, batches)


class _Shared(NamedTuple):
    """What all steps of an epoch read and none changes."""

    context: Context
    data: Split
    parallelism: Parallelism
    units: UnitMasks | None
    recipe: Recipe
    max_steps: int
    """The largest number of mini-batches in a block."""
    in_span: bool
    """Whether the first layer is trained in the span of each block."""


def _mini_batches(order: Int[AnyArray, " n"], batch_size: int, dtype: np.dtype) -> MiniBatches:
    """All mini-batches of an epoch."""
    n = len(order)
    n_steps = -(-n // batch_size)
    indices = jnp.pad(jnp.asarray(order), (0, n_steps * batch_size - n)).reshape(-1, batch_size)
    sizes = np.minimum(batch_size, n - batch_size * np.arange(n_steps))
    weights = (np.arange(batch_size) < sizes[:, None]) / sizes[:, None]
    return MiniBatches(indices, jnp.asarray(weights, dtype))


def _train_blocks(shared: _Shared, state: TrainState, batches: MiniBatches) -> TrainState:
    """Train mini-batches in blocks of equal size, and those left over in a smaller block."""
    n_steps, batch_size = batches.indices.shape
    if not n_steps:
        return state
    train_block = partial(_train_in_span if shared.in_span else _train_steps, shared)
    size = block_steps(n_steps, shared.max_steps)
    n_full = n_steps // size * size
    blocks = MiniBatches(*(a[:n_full].reshape(-1, size, batch_size) for a in batches))
    state, _ = jax.lax.scan(lambda state, block: (train_block(state, block), None), state, blocks)
    rest = MiniBatches(*(a[n_full:] for a in batches))
    return train_block(state, rest) if n_full < n_steps else state


def _train_steps(shared: _Shared, state: TrainState, block: MiniBatches) -> TrainState:
    """Train a block step by step."""
    context, parallelism = shared.context, shared.parallelism
    recipe, units = shared.recipe, shared.units
    steps, xs, ys, weights = _gather(shared, state, block)
    if parallelism.n_lanes == 1:  # drawing masks for many steps at once is faster
        batches = jax.vmap(partial(mini_batch, context, recipe, units))(steps, xs, ys, weights)
        train_batch = lambda state, batch: step(context, recipe, units, state, batch)
        return jax.lax.scan(train_batch, state, batches)[0]

    def train_step(state: TrainState, arrays: tuple[AnyArray, ...]) -> tuple[TrainState, None]:
        def of_network(
            network: tuple[Recipe, UnitMasks | None, TrainState], *arrays: AnyArray
        ) -> TrainState:
            recipe, units, state = network
            batch = mini_batch(context, recipe, units, *arrays)
            return step(context, recipe, units, state, batch)[0]

        return parallelism(of_network)((recipe, units, state), *arrays), None

    return jax.lax.scan(train_step, state, (steps, xs, ys, weights))[0]


def _train_in_span(shared: _Shared, state: TrainState, block: MiniBatches) -> TrainState:
    """Train a block with coefficients in place of the first layer's weights."""
    context, parallelism = shared.context, shared.parallelism
    recipe, units = shared.recipe, shared.units
    net, n_steps = context.net, len(block.indices)
    steps, xs, ys, weights = _gather(shared, state, block)
    rows = network.inputs(xs.reshape(-1, net.sizes[0]), weights.dtype)
    gram = jnp.dot(rows, rows.T, precision=net.precision).reshape(*block.indices.shape, -1)

    def to_coefficients(state: TrainState, rows: Array) -> tuple[TrainState, Span]:
        (params, opt_state), span = first_layer.weights_to_coefficients(
            net, n_steps, (state.params, state.opt_state), rows
        )
        return state._replace(params=params, opt_state=opt_state), span

    def to_weights(network: tuple[TrainState, TrainState, Span], rows: Array) -> TrainState:
        state, initial, span = network
        params, opt_state = first_layer.coefficients_to_weights(
            net, (state.params, state.opt_state), (initial.params, initial.opt_state), span, rows
        )
        return state._replace(params=params, opt_state=opt_state)

    def train_step(
        carry: tuple[TrainState, Span], arrays: tuple[AnyArray, ...]
    ) -> tuple[tuple[TrainState, Span], None]:
        def of_network(
            network: tuple[Recipe, UnitMasks | None, TrainState, Span],
            index: Array,
            gram: Array,
            *arrays: AnyArray,
        ) -> tuple[TrainState, Span]:
            recipe, units, state, span = network
            batch = mini_batch(context, recipe, units, *arrays)
            gradient_of = partial(first_layer.gradient_in_span, net, span, index, gram)
            state, errors = step(context, recipe, units, state, batch, gradient_of)
            assert errors is not None  # gradient_of returns them
            return state, span.with_errors(index, errors)

        return parallelism(of_network)((recipe, units, *carry), *arrays), None

    arrays = (jnp.arange(n_steps), gram, steps, xs, ys, weights)
    (last, span), _ = jax.lax.scan(train_step, parallelism(to_coefficients)(state, rows), arrays)
    return parallelism(to_weights)((last, state, span), rows)


def _train_measured(
    shared: _Shared, monitors: Monitors, state: TrainState, batches: MiniBatches
) -> tuple[TrainState, Measurements]:
    """Train in stretches: the last step of each is trained by itself and measured."""
    context, recipe, units = shared.context, shared.recipe, shared.units

    def train_stretch(state: TrainState, stretch: MiniBatches) -> tuple[TrainState, Array | None]:
        state = _train_blocks(shared, state, MiniBatches(*(a[:-1] for a in stretch)))
        indices, weights = (a[-1] for a in stretch)
        xs, ys = shared.parallelism.split((shared.data.x[indices], shared.data.y[indices]))
        batch = mini_batch(context, recipe, units, state.step, xs, ys, weights)
        return step(context, recipe, units, state, batch, None, monitors)

    n_steps, batch_size = batches.indices.shape
    every = monitors.every or n_steps
    n_full = n_steps // every * every
    stretches = MiniBatches(*(a[:n_full].reshape(-1, every, batch_size) for a in batches))
    state, measured = jax.lax.scan(train_stretch, state, stretches)
    rest = MiniBatches(*(a[n_full:] for a in batches))
    return _train_blocks(shared, state, rest), measured


def _gather(shared: _Shared, state: TrainState, block: MiniBatches) -> tuple[AnyArray, ...]:
    """The numbers of a block's steps, their inputs, targets and weights."""
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
) -> tuple[TrainState, Measurements]:
    """Order the examples and train epoch `index`, counted from 0; returns what `epoch` does."""
    n = len(data.x)
    is_shuffled = program.order == "shuffled"
    order = shuffle(address(key, "order", index), n) if is_shuffled else jnp.arange(n)
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
) -> tuple[TrainState, Measurements]:
    """Run `train_epoch` for a network in a program whose hidden layers are wider.

    The network and the program are static. The state is padded before the epoch and cut to the
    network's own widths after it. Not for differentiation: norms and roots have no derivative at 0.
    """
    wide = program.net
    if wide == net:
        return train_epoch(program, data, key, index, recipe, None, state)
    zeros = tuple(
        Layer(jnp.zeros((n_in, n_out)), jnp.zeros(n_out))
        for n_in, n_out in zip(wide.sizes, wide.sizes[1:])
    )
    like = jax.eval_shape(lambda: start(wide, recipe, key, zeros))
    narrow = (state.params, state.opt_state)
    params, opt_state = pad_tree(narrow, (like.params, like.opt_state))
    units = UnitMasks(masks(net, wide), net.sizes[1:-1])
    padded = state._replace(params=params, opt_state=opt_state)
    padded, measured = train_epoch(program, data, key, index, recipe, units, padded)
    params, opt_state = unpad_tree((padded.params, padded.opt_state), narrow)
    return padded._replace(params=params, opt_state=opt_state), measured


class EpochResult(NamedTuple):
    """Result of one epoch; with lanes each array has an axis for them."""

    state: TrainState
    """The state after the epoch, with the stopping rule's state updated."""
    params: Params
    """The parameters to evaluate and to keep, as `Optimizer.evaluation_params` gives them."""
    row: History
    """The epoch's costs and accuracies, NaN where a split is not evaluated."""
    learning_rate: Float[Array, "..."]
    """η of the last step; NaN where the optimizer has none."""
    finite: Bool[Array, "..."]
    """Whether all parameters and costs are finite."""


def finish_epoch(
    program: EpochProgram,
    data: Dataset,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    units: UnitMasks | None,
    state: TrainState,
) -> EpochResult:
    """Evaluate the networks after an epoch and update their stopping rules.

    With lanes in the program's `parallelism`, `recipe`, `units` and `state` are those of all lanes,
    stacked.

    Args:
      program: the static choices.
      data: the splits to evaluate.
      index: the number of the epoch, from 0.
      recipe: how it was trained.
      units: which hidden units are the network's own, if some are padding.
      state: the state after `train_epoch`.

    Returns:
      The result of the epoch.
    """
    net, parallelism = program.net, program.parallelism
    n_steps = -(-len(data.train.x) // program.batch_size)
    sizes = [0 if split is None else len(split.x) for split in (data.valid, data.train)]

    def evaluation_params(network: tuple[Recipe, UnitMasks | None, TrainState]) -> Params:
        recipe, units, state = network
        params = recipe.optimizer.evaluation_params(state.opt_state, state.params)
        return params if units is None else units.zero_padding(params)

    def scores_on(name: str, split: Split | None) -> Scores | None:
        if name in program.evaluate_on and split is not None:
            return scores(net, params, split, parallelism)
        return None

    def update_watch(
        network: tuple[Recipe, TrainState, Params, Scores | None, Scores | None],
    ) -> tuple[TrainState, History, Array, Array]:
        recipe, state, params, *split_scores = network
        row, finite = _history_row(recipe, state, params, split_scores, sizes)
        optimizer = recipe.optimizer_at(state.step - 1, n_steps, state.watch.scale)
        rate = jnp.asarray(optimizer.hyper.get("learning_rate", jnp.nan), params[0].w.dtype)
        watch = stopping.update(recipe.stopping, state.watch, params, row, index + 1)
        return state._replace(watch=watch), row, rate, finite

    params = parallelism(evaluation_params)((recipe, units, state))
    evaluation, training = scores_on("evaluation", data.valid), scores_on("training", data.train)
    state, row, rate, finite = parallelism(update_watch)(
        (recipe, state, params, evaluation, training)
    )
    return EpochResult(state=state, params=params, row=row, learning_rate=rate, finite=finite)


def _history_row(
    recipe: Recipe,
    state: TrainState,
    params: Params,
    split_scores: Sequence[Scores | None],
    sizes: Sequence[int],
) -> tuple[History, Bool[Array, ""]]:
    """The epoch's row of the history, and whether all parameters and costs are finite.

    Args:
      recipe: how the network is trained; its penalties are added to the costs.
      state: the state after the epoch.
      params: the parameters that were evaluated.
      split_scores: the scores, without penalties, on the evaluated split and on the training split;
        None for a split that was not evaluated.
      sizes: the number of examples of each.
    """
    unknown = jnp.full((), jnp.nan, params[0].w.dtype)
    finite = [jnp.all(jnp.isfinite(array)) for array in jax.tree.leaves(state.params)]
    curves = []
    for scores_of_split, n in zip(split_scores, sizes, strict=True):
        if scores_of_split is None:
            curves.append((unknown, unknown, unknown))
        else:
            data_cost, accuracy = scores_of_split
            cost = data_cost + penalty(params, n, recipe.l1, recipe.l2)
            finite.append(jnp.isfinite(cost))
            curves.append((cost, accuracy, data_cost))
    (cost, accuracy, data_cost), training = curves
    row = History(cost, accuracy, training[0], training[1], data_cost, training[2])
    return row, jnp.all(jnp.stack(finite))
