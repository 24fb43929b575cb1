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

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

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
    EvaluatedSplit,
    History,
    KeyArray,
    Order,
    Split,
)
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.stopping import Criterion
from jaxnet.recipes.trainable import TrainableMasks, check_masks, is_first_layer_whole, pad_masks
from jaxnet.training.checks import check_epoch
from jaxnet.training.measured import metric_names
from jaxnet.training.metrics import NamedMetrics
from jaxnet.training.mini_batches import MiniBatches, Subset, mini_batches
from jaxnet.training.monitors import Monitors
from jaxnet.training.parallelism import SINGLE, Parallelism
from jaxnet.training.randomness import address, shuffle
from jaxnet.training.step import Context, StepExamples, TrainState, mini_batch, start, step


@dataclass(frozen=True)
class EpochProgram:
    """The static choices of an epoch: each combination is a compiled program of its own."""

    net: Network
    """The architecture."""
    batch_size: int
    """Examples per mini-batch."""
    evaluate_on: tuple[EvaluatedSplit, ...] = ()
    """The splits to evaluate after the epoch: "evaluation", "test", "training", or none."""
    monitors: Monitors | None = None
    """What to measure in some of the mini-batches."""
    parallelism: Parallelism = SINGLE
    """How many networks and devices take part."""
    metrics: NamedMetrics = ()
    """What to evaluate besides costs and accuracies."""
    criterion: Criterion | None = None
    """Which curve decides on the best epoch; None for the stopping rule's, or the default."""
    order: Order = "shuffled"
    """In which order to visit the examples."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the history's metrics, in alphabetical order."""
        return metric_names(self.evaluate_on, self.metrics)

    def with_measurements(self, row: History, table: Array | None) -> History:
        """The row of the history of an epoch, with what its monitors measured.

        Args:
          row: the row.
          table: the measurements, (measurements, columns); None without monitors.
        """
        if self.monitors is None or table is None:
            return row
        return row._replace(monitors=self.monitors.split(self.net, table))

    def unknown_row(self, n_steps: int, dtype: np.dtype) -> History:
        """The row of the history of an epoch that is not trained: all numbers are NaN.

        Args:
          n_steps: mini-batches per epoch.
          dtype: the float type of the numbers.
        """
        unknown, monitors = jnp.full((), jnp.nan, dtype), {}
        if self.monitors is not None:
            n_measured = len(self.monitors.rows(n_steps))
            monitors = {
                name: jnp.full((n_measured, width), jnp.nan, dtype)
                for name, width in self.monitors.widths(self.net).items()
            }
        curves = [unknown] * len(History.CURVES)
        return History(
            *curves, metrics=dict.fromkeys(self.metric_names, unknown), monitors=monitors
        )


Measurements = Float[Array, "*networks n_measured n_columns"] | None
"""What monitors measured, a row per measurement (`Monitors.split` names the columns); or `None`."""


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
    trainable: TrainableMasks | None = None,
    subset: Subset | None = None,
) -> tuple[TrainState, Measurements]:
    """Train on every example once, in mini-batches.

    The last, smaller mini-batch is filled up with examples of weight 0, and is divided by its true
    size. A mini-batch whose examples all have the weight 0 is skipped: the state stays as it is,
    with its counters. This is the one training loop of jaxnet.

    Args:
      net: the architecture (static).
      batch_size: examples per mini-batch (static), in [1, n].
      data: the split to train on: `x` of shape (n, n_in), `y` of shape (n,) for labels or
        (n, n_out) for float targets.
      order: the examples' indices in the order in which to visit them, of shape (n,).
      key: the run's own key, from which the key of each mini-batch is derived.
      recipe: how it is trained.
      state: the state before the epoch, from `start` or from the epoch before.
      monitors: what to measure in some of the mini-batches (static), or `None`.
      units: which hidden units are the network's own, if some are padding; `None` if all are.
      parallelism: `SINGLE` (the default) for one network on one device; another one (static) trains
        several networks, which share `data`, `order`, `key` and `subset` and are stacked in
        `recipe`, `units`, `state` and `trainable`, or divides the mini-batches among devices.
      trainable: which numbers are trained, from `jaxnet.recipes.trainable.trainable_masks`;
        `None`, the default, trains all.
      subset: the network's own number of examples and batch size, if `order` and `batch_size` are
        larger, and how its inputs are scaled; the first `subset.sizes.n_examples` entries of
        `order` are the network's own. `None`, the default, for all of the data as they are.

    Returns:
      The state after the epoch, of the same shapes; and the measurements, of shape (measurements,
      columns), which `Monitors.split` takes apart, or `None` without monitors; with several
      networks their axis comes first.

    Raises:
      ValueError: an argument is of another kind.

    >>> import numpy as np
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
    check_masks(trainable)
    if subset is not None:
        require_kind("subset", subset, Subset, "a fold's, as jaxnet.sweep makes it; leave it out")
    if not isinstance(parallelism, Parallelism):
        raise ValueError(f"parallelism must be a Parallelism, not {brief(parallelism)}.")
    batch_size = check_epoch(net, batch_size, data, order, key, recipe)
    sizes = None if subset is None else subset.sizes
    batches = mini_batches(
        order, batch_size, state.params[0].w.dtype, data.weight, recipe.normalization, sizes
    )
    n_examples = len(order) if sizes is None else sizes.n_examples
    context = Context(net=net, n_examples=n_examples, n_steps=len(batches.indices), key=key)
    arrays = Split(jnp.asarray(data.x), jnp.asarray(data.y))
    n_span_steps = first_layer.span_steps(net, recipe, batch_size, parallelism.n_lanes)
    in_span = monitors is None and n_span_steps > 0 and is_first_layer_whole(trainable)
    shared = _Shared(
        context=context,
        data=arrays,
        parallelism=parallelism,
        units=units,
        recipe=recipe,
        subset=subset,
        max_steps=n_span_steps if in_span else max(1, BLOCK_ROWS // batch_size),
        in_span=in_span,
        trainable=trainable,
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
    subset: Subset | None
    max_steps: int
    """The largest number of mini-batches in a block."""
    in_span: bool
    """Whether the first layer is trained in the span of each block."""
    trainable: TrainableMasks | None
    """Which numbers are trained."""


def _train_blocks(shared: _Shared, state: TrainState, batches: MiniBatches) -> TrainState:
    """Train mini-batches in blocks of equal size, and those left over in a smaller block."""
    n_steps = len(batches.indices)
    if not n_steps:
        return state
    train_block = partial(_train_in_span if shared.in_span else _train_steps, shared)
    size = block_steps(n_steps, shared.max_steps)
    blocks = _blocks(batches, size)
    last_step = None if shared.subset is None else shared.subset.sizes.last_step
    if last_step is not None:
        return _train_until(last_step, train_block, state, blocks, _rest(batches, size))
    state, _ = jax.lax.scan(lambda state, block: (train_block(state, block), None), state, blocks)
    return train_block(state, _rest(batches, size)) if n_steps % size else state


def _train_until(
    last_step: Int[AnyArray, ""],
    train_block: Callable[[TrainState, MiniBatches], TrainState],
    state: TrainState,
    blocks: MiniBatches,
    rest: MiniBatches,
) -> TrainState:
    """Train the blocks up to the one with this mini-batch; all later ones would be skipped."""
    n_blocks, size = blocks.indices.shape[:2]
    n_needed = jnp.minimum(-(-last_step // size), n_blocks)

    def train_numbered(number: Array, state: TrainState) -> TrainState:
        return train_block(state, jax.tree.map(lambda array: array[number], blocks))

    state = jax.lax.fori_loop(0, n_needed, train_numbered, state)
    if not len(rest.indices):
        return state
    is_needed = last_step > n_blocks * size
    return jax.lax.cond(is_needed, train_block, lambda state, _: state, state, rest)


def _blocks(batches: MiniBatches, size: int) -> MiniBatches:
    """As many whole blocks of `size` mini-batches as there are, with an axis for the blocks."""
    n_full = len(batches.indices) // size * size
    return jax.tree.map(lambda a: a[:n_full].reshape(-1, size, *a.shape[1:]), batches)


def _rest(batches: MiniBatches, size: int) -> MiniBatches:
    """The mini-batches after the whole blocks of `size`."""
    n_full = len(batches.indices) // size * size
    return jax.tree.map(lambda a: a[n_full:], batches)


def _train_steps(shared: _Shared, state: TrainState, block: MiniBatches) -> TrainState:
    """Train a block step by step."""
    context, parallelism = shared.context, shared.parallelism
    recipe, units, trainable = shared.recipe, shared.units, shared.trainable
    examples = _gather(shared, state, block)
    if parallelism.n_lanes == 1:  # drawing masks for many steps at once is faster
        batches = jax.vmap(partial(mini_batch, context, recipe, units))(examples)
        train_batch = lambda state, batch: step(
            context, recipe, units, state, batch, trainable=trainable
        )
        return jax.lax.scan(train_batch, state, batches)[0]

    def train_step(state: TrainState, examples: StepExamples) -> tuple[TrainState, None]:
        def of_network(
            network: tuple[Recipe, UnitMasks | None, TrainableMasks | None, TrainState],
            examples: StepExamples,
        ) -> TrainState:
            recipe, units, trainable, state = network
            batch = mini_batch(context, recipe, units, examples)
            return step(context, recipe, units, state, batch, trainable=trainable)[0]

        return parallelism(of_network)((recipe, units, trainable, state), examples), None

    return jax.lax.scan(train_step, state, examples)[0]


def _train_in_span(shared: _Shared, state: TrainState, block: MiniBatches) -> TrainState:
    """Train a block with coefficients in place of the first layer's weights."""
    context, parallelism = shared.context, shared.parallelism
    recipe, units, trainable = shared.recipe, shared.units, shared.trainable
    net, n_steps = context.net, len(block.indices)
    examples = _gather(shared, state, block)
    rows = network.inputs(examples.xs.reshape(-1, net.sizes[0]), block.weights.dtype)
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
        carry: tuple[TrainState, Span], arrays: tuple[Array, Array, StepExamples]
    ) -> tuple[tuple[TrainState, Span], None]:
        def of_network(
            network: tuple[Recipe, UnitMasks | None, TrainableMasks | None, TrainState, Span],
            index: Array,
            gram: Array,
            examples: StepExamples,
        ) -> tuple[TrainState, Span]:
            recipe, units, trainable, state, span = network
            batch = mini_batch(context, recipe, units, examples)
            gradient_of = partial(first_layer.gradient_in_span, net, span, index, gram)
            state, errors = step(
                context, recipe, units, state, batch, gradient_of, trainable=trainable
            )
            assert errors is not None  # gradient_of returns them
            return state, span.with_errors(index, errors)

        return parallelism(of_network)((recipe, units, trainable, *carry), *arrays), None

    arrays = (jnp.arange(n_steps), gram, examples)
    (last, span), _ = jax.lax.scan(train_step, parallelism(to_coefficients)(state, rows), arrays)
    return parallelism(to_weights)((last, state, span), rows)


def _train_measured(
    shared: _Shared, monitors: Monitors, state: TrainState, batches: MiniBatches
) -> tuple[TrainState, Measurements]:
    """Train in stretches: the last step of each is trained by itself and measured."""
    context, parallelism = shared.context, shared.parallelism

    def measured_step(
        network: tuple[Recipe, UnitMasks | None, TrainableMasks | None, TrainState],
        examples: StepExamples,
    ) -> tuple[TrainState, Array | None]:
        recipe, units, trainable, state = network
        batch = mini_batch(context, recipe, units, examples)
        return step(context, recipe, units, state, batch, None, monitors, trainable)

    def train_stretch(state: TrainState, stretch: MiniBatches) -> tuple[TrainState, Array | None]:
        state = _train_blocks(shared, state, jax.tree.map(lambda a: a[:-1], stretch))
        last = _gather(shared, state, jax.tree.map(lambda a: a[-1:], stretch))
        networks = (shared.recipe, shared.units, shared.trainable, state)
        return parallelism(measured_step)(networks, jax.tree.map(lambda a: a[0], last))

    every = monitors.every or len(batches.indices)
    state, measured = jax.lax.scan(train_stretch, state, _blocks(batches, every))
    if parallelism.n_lanes > 1 and measured is not None:
        measured = jnp.moveaxis(measured, 0, 1)
    return _train_blocks(shared, state, _rest(batches, every)), measured


def _gather(shared: _Shared, state: TrainState, block: MiniBatches) -> StepExamples:
    """What `mini_batch` takes of each step of a block."""
    # The step's number is the same for all networks that are trained together.
    first = jnp.ravel(state.step)[0]
    if block.is_trained is None:
        steps = first + jnp.arange(len(block.indices))
    else:  # a skipped step is not counted
        steps = first + jnp.cumsum(block.is_trained, dtype=jnp.int32) - block.is_trained
    data, rows = shared.data, block.indices
    xs, ys = shared.parallelism.split((data.x[rows], data.y[rows]), axis=1)
    if shared.subset is not None:
        xs = shared.subset.inputs(xs, block.weights.dtype)
    return StepExamples(steps, xs, ys, block.weights, block.weight_sums, block.is_trained)


class EpochAddress(NamedTuple):
    """Where an epoch's randomness comes from."""

    key: KeyArray
    """The run's own key."""
    number: Int[AnyArray, ""]
    """The number of the epoch, from 0."""


def train_epoch(
    program: EpochProgram,
    data: Split,
    epoch_address: EpochAddress,
    recipe: Recipe,
    units: UnitMasks | None,
    state: TrainState,
    trainable: TrainableMasks | None = None,
    subset: Subset | None = None,
) -> tuple[TrainState, Measurements]:
    """Order the examples and train an epoch; returns what `epoch` does."""
    key, index = epoch_address
    n, n_examples = len(data.x), None
    if subset is not None:
        n, n_examples = subset.train.shape[-1], subset.sizes.n_examples
    if program.order == "shuffled":
        order = shuffle(address(key, "order", index), n, n_examples)
    else:
        order = jnp.arange(n)
    if subset is not None:
        order = jnp.asarray(subset.train)[order]
    return epoch(
        program.net, program.batch_size, data, order, key, recipe, state, program.monitors, units,
        program.parallelism, trainable, subset,
    )  # fmt: skip


def train_epoch_padded(
    program: EpochProgram,
    net: Network,
    data: Split,
    key: KeyArray,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    state: TrainState,
    trainable: TrainableMasks | None = None,
) -> tuple[TrainState, Measurements]:
    """Run `train_epoch` for a network in a program whose hidden layers are wider.

    The network and the program are static. The state is padded before the epoch and cut to the
    network's own widths after it. Not for differentiation: norms and roots have no derivative at 0.
    """
    wide = program.net
    if wide == net:
        return train_epoch(program, data, EpochAddress(key, index), recipe, None, state, trainable)
    like = jax.eval_shape(lambda: start(wide, recipe, key, network.zero_params(wide)))
    narrow = (state.params, state.opt_state)
    params, opt_state = pad_tree(narrow, (like.params, like.opt_state))
    units = UnitMasks(masks(net, wide), net.sizes[1:-1])
    padded = state._replace(params=params, opt_state=opt_state)
    trainable = pad_masks(trainable, wide)
    padded, measured = train_epoch(
        program, data, EpochAddress(key, index), recipe, units, padded, trainable
    )
    params, opt_state = unpad_tree((padded.params, padded.opt_state), narrow)
    return padded._replace(params=params, opt_state=opt_state), measured
