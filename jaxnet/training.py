"""Training: one loop body, `epoch`, and `fit`, a whole run as a pure function of it.

A run is a function of (network, data, recipe, seed). Randomness is *addressed*, not consumed: the
key for the initial weights, for the order of epoch e and for the dropout mask, the distortions or
the noise of mini-batch t are each derived from the seed and that address alone (`address`). So a
run that stops can go on to the same bits, and all recipes under one seed see the same initial
weights and the same mini-batches.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxnet import doors, network, regularization, spans, stopping
from jaxnet.augmentation import augment
from jaxnet.backprop import gauss_newton_product, gradient, hessian_product
from jaxnet.evaluation import Scores, scores
from jaxnet.monitors import Monitors, measure
from jaxnet.network import Masks, Network
from jaxnet.recipe import Recipe
from jaxnet.regularization import add_penalty_gradient, penalty
from jaxnet.spans import InSpan
from jaxnet.stopping import Watch
from jaxnet.types import (
    AnyArray,
    Dataset,
    History,
    KeyArray,
    Layer,
    Over,
    Params,
    Split,
    alone,
    pytree,
)

BLOCK_ROWS = 640
"""Examples gathered at once: one gather of 500 rows costs less than fifty of 10, and as uint8 they
still fit into the cache."""

SPAN = 8
"""A block's examples are at most this part of the inputs, where the first layer is trained in
their span: 4 to 12 differ by less than noise."""

SHARING = 4
"""Lanes that make training in the span faster: alone, a network would pay more for XXᵀ than it
saves, 0.26 s an epoch against 0.22."""

Visits = tuple[Array, ...]
"""Mini-batches to come: their examples' indices and weights, each (n_steps, batch)."""
Stream = Literal["init", "order", "step", "rule", "dropout", "augmentation"]
STREAMS: tuple[Stream, ...] = ("init", "order", "step", "rule", "dropout", "augmentation")


@pytree("widths")
@dataclass(frozen=True, eq=False)
class Units:
    """Which hidden units of a network are there, where others only fill up its width.

    A padded unit's activation would be f(0), and it would learn; masked it stays out, exactly.
    """

    masks: tuple[Float[AnyArray, "..."], ...]
    """For each hidden layer, 1 where a unit is there and 0 where none is."""
    widths: tuple[int, ...]
    """The hidden layers' true widths, at which dropout is drawn."""

    def only(self, params: Params) -> Params:
        """The parameters, with 0 for those of units that are not there."""
        dtype = params[0].w.dtype
        ends = (jnp.ones(params[0].w.shape[0]), jnp.ones(params[-1].w.shape[1]))
        masks = [jnp.asarray(mask, dtype) for mask in (ends[0], *self.masks, ends[1])]
        return tuple(
            Layer(layer.w * into[:, None] * out[None], layer.b * out)
            for layer, into, out in zip(params, masks, masks[1:])
        )


class TrainState(NamedTuple):
    """What training carries from one mini-batch to the next."""

    params: Params
    opt_state: Any
    step: Int[Array, ""]
    """Mini-batches trained so far: the address of the next one's randomness."""
    sound: Int[Array, ""]
    """Of them, those that left the output layer finite: what follows has diverged."""
    watch: Watch
    """The best so far, and what the stopping rule remembers."""


class Batch(NamedTuple):
    """What one step trains on: a function of the data and of the step's address."""

    xs: Any
    ys: Array
    weights: Float[Array, " batch"]
    """They sum to 1, and are 0 for examples that only fill the mini-batch up."""
    kept: list[Bool[Array, "..."]] | None
    """Which units of each hidden layer dropout keeps."""
    kept_inputs: Bool[Array, "..."] | None


def address(key: KeyArray, stream: Stream, index: Any = 0) -> KeyArray:
    """The random key of one place in a run, from the run's own key."""
    return jax.random.fold_in(jax.random.fold_in(key, STREAMS.index(stream)), index)


def shuffle(key: KeyArray, n: int) -> Int[Array, " n"]:
    """A random order of n examples, by sorting on random 32-bit keys.

    One sort instead of the two of `jax.random.permutation` halves its time. Of 50,000 keys a pair
    is equal in one epoch of four, and keeps its order then: a bias of 10⁻¹⁰ that nothing can see.
    """
    return jnp.argsort(jax.random.bits(key, (n,), jnp.uint32))


def start(
    net: Network,
    recipe: Recipe,
    key: KeyArray,
    params: Params | None = None,
    keep_best: bool = True,
) -> TrainState:
    """The state before the first mini-batch: initial parameters drawn at their address.

    Parameters that are given come to JAX's default float type, that of the recipe's leaves.
    """
    drawn: Any = network.init(net, address(key, "init")) if params is None else params
    dtype = jax.dtypes.canonicalize_dtype(float)
    begun = tuple(Layer(*(jnp.asarray(array, dtype) for array in layer)) for layer in drawn)
    if recipe.init_scale is not None:
        begun = jax.tree.map(lambda array: array * recipe.init_scale, begun)
    transformation = recipe.optimizer.transformation(address(key, "rule"))
    zero = jnp.zeros((), jnp.int32)
    watch = stopping.watch(begun, keep_best)
    return TrainState(begun, transformation.init(begun), zero, zero, watch)


def mini_batch(
    net: Network,
    key: KeyArray,
    recipe: Recipe,
    step: Int[AnyArray, ""],
    xs: Any,
    ys: Any,
    weights: Float[Array, " batch"],
    units: Units | None = None,
) -> Batch:
    """What step number `step` trains on: examples, distorted, and the masks of dropout."""
    dtype = weights.dtype
    if recipe.augmentation is not None:
        xs = augment(recipe.augmentation, address(key, "augmentation", step), xs, dtype)
    if recipe.label_smoothing is not None:
        ys = jax.vmap(lambda y: network.targets(y, net.sizes[-1], dtype))(ys)
        ys = regularization.smoothed(net.cost, ys, recipe.label_smoothing)
    kept = kept_inputs = None
    layer_key = partial(jax.random.fold_in, address(key, "dropout", step))
    if recipe.input_dropout is not None:
        kept_inputs = regularization.kept(layer_key(0), xs.shape, recipe.input_dropout)
    if recipe.dropout is not None:
        # At the true width: the first 30 of 32 draws are not 30 draws.
        widths = net.sizes[1:-1] if units is None else units.widths
        kept = [
            jnp.pad(
                regularization.kept(layer_key(index), (len(weights), width), recipe.dropout),
                ((0, 0), (0, net.sizes[index] - width)),
            )
            for index, width in enumerate(widths, start=1)
        ]
    return Batch(xs, ys, weights, kept, kept_inputs)


def step(
    net: Network,
    n: int,
    n_steps: int,
    key: KeyArray,
    recipe: Recipe,
    state: TrainState,
    batch: Batch,
    monitors: Monitors | None = None,
    units: Units | None = None,
) -> tuple[TrainState, Float[Array, " n_monitored"] | None]:
    """Train one mini-batch of a split of n examples, n_steps to the epoch.

    Returns:
      The state after it, and what the monitors measured, or `None`.
    """
    l1, l2, params = recipe.l1, recipe.l2, state.params
    xs, masks = _masked(recipe, batch, units)

    def value_fn(params: Params) -> Float[Array, ""]:
        return _mean_cost(net, params, xs, masks, batch) + penalty(params, n, l1, l2)

    def regularized(product: Any, along: Params) -> Params:
        """The curvature of the penalties, (λ₂/n)v, added: L1 has none."""
        curved = product(net, params, along, xs, batch.ys, masks, batch.weights)
        return add_penalty_gradient(curved, along, n, None, l2)

    grads = gradient(net, params, xs, batch.ys, masks, batch.weights)
    total = add_penalty_gradient(grads, params, n, l1, l2)
    optimizer = recipe.optimizer_at(state.step, n_steps, state.watch.scale)
    transformation = optimizer.transformation(address(key, "step", state.step))
    # Line searches need the value and its function; where a rule ignores them, so does XLA.
    extra: dict[str, Any] = {"value": value_fn(params), "grad": total, "value_fn": value_fn}
    if optimizer.curvature:
        extra["hessian_product"] = partial(regularized, hessian_product)
        extra["gauss_newton_product"] = partial(regularized, gauss_newton_product)
    updates: Any
    updates, opt_state = transformation.update(total, state.opt_state, params, **extra)
    trained: Any = optax.apply_updates(params, updates)
    if recipe.max_norm is not None:
        trained = regularization.constrained(trained, recipe.max_norm)
    found = None
    if monitors is not None:
        rate = optimizer.hyper.get("learning_rate")
        moved = jax.tree.map(jnp.subtract, trained, params)
        found = measure(monitors, net, params, grads, moved, rate, xs, masks, batch.weights)
    # One NaN spreads to all of the output layer in the next step: ten numbers tell.
    sound = state.sound + jnp.isfinite(jnp.sum(trained[-1].b)).astype(jnp.int32)
    return TrainState(trained, opt_state, state.step + 1, sound, state.watch), found


def _masked(recipe: Recipe, batch: Batch, units: Units | None) -> tuple[Any, Masks]:
    """The inputs after dropout, and the masks of the hidden layers."""
    xs, masks, dtype = batch.xs, None, batch.weights.dtype
    if batch.kept_inputs is not None:
        mask = regularization.inverted(batch.kept_inputs, recipe.input_dropout)
        xs = network.inputs(xs, dtype) * mask
    if batch.kept is not None:
        masks = [regularization.inverted(kept, recipe.dropout).astype(dtype) for kept in batch.kept]
    elif units is not None:
        masks = [
            jnp.broadcast_to(mask.astype(dtype), (len(batch.weights), *mask.shape))
            for mask in units.masks
        ]
    return xs, masks


def _mean_cost(net: Network, params: Params, xs: Any, masks: Masks, batch: Batch) -> Array:
    def cost_of_one(x: Any, y: Array, masks: Masks) -> Array:
        z = network.forward(net, params, x, masks)[1][-1]
        return net.cost.fn(z, network.targets(y, net.sizes[-1], z.dtype))

    return jnp.sum(batch.weights * jax.vmap(cost_of_one)(xs, batch.ys, masks))


def epoch(
    net: Network,
    batch_size: int,
    data: Split,
    order: Int[AnyArray, " n"],
    key: KeyArray,
    recipe: Recipe,
    state: TrainState,
    monitors: Monitors | None = None,
    units: Units | None = None,
    over: Over = alone,
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
      over: `alone`, or what makes many networks of one: then `recipe`, `units` and `state` are
        those of many, which share key and order, and there are no monitors. Or what splits the
        mini-batches.

    Returns:
      The state after the epoch, and what the monitors measured (`Monitors.split` names it), or
      `None`.
    """
    n = len(order)
    n_steps = -(-n // batch_size)
    padded = jnp.pad(jnp.asarray(order), (0, n_steps * batch_size - n)).reshape(-1, batch_size)
    sizes = np.minimum(batch_size, n - batch_size * np.arange(n_steps))
    weights = (np.arange(batch_size) < sizes[:, None]) / sizes[:, None]
    visits = (padded, jnp.asarray(weights, state.params[0].w.dtype))
    all_xs, all_ys = jnp.asarray(data.x), jnp.asarray(data.y)
    most = span_steps(net, recipe, batch_size, over.lanes) if monitors is None else 0
    spanned, most = most > 0, most or max(1, BLOCK_ROWS // batch_size)

    def drawn(one: Any, step: Any, xs: Any, ys: Any, weights: Any) -> Batch:
        return mini_batch(net, key, one[0], step, xs, ys, weights, one[1])

    def trained(one: Any, batch: Batch, monitors: Monitors | None = None) -> Any:
        recipe, units, state = one
        return step(net, n, n_steps, key, recipe, state, batch, monitors, units)

    def train_batch(state: TrainState, visit: Any) -> tuple[TrainState, Any]:
        bases, own, visit = visit

        def one_step(one: Any, own: Any, *visit: Any) -> Any:
            *one, bases = one
            batch = visit[0] if over.lanes == 1 else drawn(one, *visit)
            xs = batch.xs if bases is None else InSpan(bases, batch.xs, own)
            return trained(one, batch._replace(xs=xs))

        return over(one_step)((recipe, units, state, bases), own, *visit)

    def train_block(state: TrainState, block: Visits) -> tuple[TrainState, Any]:
        indices, weights = block
        steps = _step(state) + jnp.arange(len(indices))
        xs, ys = over.split((all_xs[indices], all_ys[indices]), axis=1)
        rows = bases = own = None
        begun = state
        if spanned:
            rows = network.inputs(xs.reshape(-1, net.sizes[0]), weights.dtype)
            gram = jnp.dot(rows, rows.T, precision=net.precision)
            state, bases = over(partial(_enter, net))(begun, rows)
            n_bases, split = len(bases), (*indices.shape, -1)
            own = jnp.arange(len(rows)).reshape(indices.shape)
            xs = jnp.pad(gram, ((0, 0), (0, n_bases))).reshape(split)
            bases = tuple(base.reshape(*indices.shape, *base.shape[1:]) for base in bases)
        visits = (steps, xs, ys, weights)
        if over.lanes == 1:  # to draw for many steps at once is faster
            visits = (jax.vmap(partial(drawn, (recipe, units)))(*visits),)
        state, found = jax.lax.scan(train_batch, state, (bases, own, visits))
        if spanned:
            state = over(partial(_leave, net))((state, begun), rows)
        return state, found

    def train_many(state: TrainState, visits: Visits) -> TrainState:
        n_visits = len(visits[0])
        if not n_visits:
            return state
        size = _block_steps(n_visits, batch_size, most)
        whole = n_visits // size * size
        blocks = tuple(a[:whole].reshape(-1, size, batch_size) for a in visits)
        state, _ = jax.lax.scan(train_block, state, blocks)
        rest = tuple(a[whole:] for a in visits)
        return train_block(state, rest)[0] if whole < n_visits else state

    if monitors is None:
        return train_many(state, visits), None

    def train_stretch(state: TrainState, stretch: Visits) -> tuple[TrainState, Any]:
        """As many steps as lie between two measurements; the last one is measured."""
        state = train_many(state, tuple(a[:-1] for a in stretch))
        indices, weights = (a[-1] for a in stretch)
        xs, ys = over.split((all_xs[indices], all_ys[indices]))
        batch = drawn((recipe, units), state.step, xs, ys, weights)
        return trained((recipe, units, state), batch, monitors)

    every = monitors.every or n_steps
    whole = n_steps // every * every
    stretches = tuple(a[:whole].reshape(-1, every, batch_size) for a in visits)
    state, measured = jax.lax.scan(train_stretch, state, stretches)
    return train_many(state, tuple(a[whole:] for a in visits)), measured


def _step(state: TrainState) -> Int[Array, ""]:
    """The step's number, which is the same for all networks that are trained together."""
    return jnp.ravel(state.step)[0]


def span_steps(net: Network, recipe: Recipe, batch_size: int, lanes: int) -> int:
    """Mini-batches in whose span the first layer is trained (`spans`); 0 if it is not.

    Only under a linear rule, without what is not linear in the weights or changes the inputs from
    step to step; only if the inputs are so many that the coefficients are far fewer, and if enough
    lanes share the block's XXᵀ.
    """
    bent = (recipe.l1, recipe.max_norm, recipe.augmentation, recipe.input_dropout)
    linear = recipe.optimizer.linear and not any(part is not None for part in bent)
    if not linear or lanes < SHARING:
        return 0
    steps = net.sizes[0] // SPAN // batch_size
    return steps if steps >= 4 else 0


def span_rows(net: Network, recipe: Recipe, batch_size: int, n: int, lanes: int) -> tuple[int, ...]:
    """The rows that first-layer-like arrays have besides n_in: see `lanes`."""
    most = span_steps(net, recipe, batch_size, lanes)
    if not most:
        return ()
    n_steps = -(-n // batch_size)
    size = _block_steps(n_steps, batch_size, most)
    steps = {size, n_steps % size} - {0}
    return (batch_size, *(s * batch_size + bases for s in steps for bases in (0, 1, 2)))


def _firsts(state: TrainState) -> list[int]:
    """Which leaves of a state are the first layer's weights, or mirror them."""
    leaves, _ = jax.tree_util.tree_flatten_with_path((state.params, state.opt_state))
    return [
        index for index, (path, _) in enumerate(leaves)
        if jax.tree_util.keystr(path[-2:]) == "[0].w"
    ]  # fmt: skip


def _replaced(state: TrainState, arrays: Sequence[Array]) -> TrainState:
    """The state with other first layers."""
    leaves, tree = jax.tree.flatten((state.params, state.opt_state))
    for index, array in zip(_firsts(state), arrays, strict=True):
        leaves[index] = array
    params, opt_state = jax.tree.unflatten(tree, leaves)
    return state._replace(params=params, opt_state=opt_state)


def _matrices(state: TrainState) -> list[Array]:
    leaves = jax.tree.leaves((state.params, state.opt_state))
    return [leaves[index] for index in _firsts(state)]


def _enter(net: Network, state: TrainState, rows: Array) -> tuple[TrainState, tuple[Array, ...]]:
    """The state with coefficients in the span of a block's inputs for its first layer."""
    coefficients, bases = spans.enter(_matrices(state), rows, net.precision)
    return _replaced(state, coefficients), bases


def _leave(net: Network, one: tuple[TrainState, TrainState], rows: Array) -> TrainState:
    """The state with the matrix of its coefficients for its first layer."""
    state, begun = one
    matrices = spans.leave(_matrices(state), _matrices(begun), rows, net.precision)
    return _replaced(state, matrices)


def _block_steps(n_steps: int, batch_size: int, most: int) -> int:
    """Mini-batches per block: if possible so many that no smaller block, and program, is left."""
    most = min(n_steps, most)
    divisors = [size for size in range(most // 2 + 1, most + 1) if n_steps % size == 0]
    return max(divisors, default=most)


class Advance(NamedTuple):
    """What an epoch of a run comes to."""

    state: TrainState
    params: Params
    """Those to evaluate and to keep, the rule's evaluation parameters."""
    row: History
    measured: Float[Array, "n_measured n_monitored"] | None
    learning_rate: Float[Array, ""]
    """η of the last step; NaN where the optimizer has none."""
    finite: Bool[Array, ""]
    """Whether all parameters and costs are."""


def advance(
    net: Network,
    batch_size: int,
    monitor: tuple[str, ...],
    monitors: Monitors | None,
    data: Dataset,
    key: KeyArray,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    state: TrainState,
    units: Units | None = None,
    over: Over = alone,
) -> Advance:
    """Shuffle, train, evaluate, watch: epoch number `index`, from 0, of a run.

    With `over`, of many runs: see `epoch`.
    """
    n = len(data.train.x)
    order = shuffle(address(key, "order", index), n)
    state, measured = epoch(
        net, batch_size, data.train, order, key, recipe, state, monitors, units, over
    )

    def evaluated(one: tuple[Recipe, Units | None, TrainState]) -> Params:
        recipe, units, state = one
        params = recipe.optimizer.evaluation_params(state.opt_state, state.params)
        return params if units is None else units.only(params)

    def scored(name: str, split: Split | None) -> Scores | None:
        if name in monitor and split is not None:
            return scores(net, params, split, recipe.l1, recipe.l2, over)
        return None

    def closed(one: tuple[Recipe, TrainState, Params, Scores | None, Scores | None]) -> Any:
        recipe, state, params, *given = one
        dtype = params[0].w.dtype
        known = [some for some in given if some is not None]
        finite = [jnp.all(jnp.isfinite(array)) for array in jax.tree.leaves(state.params)]
        finite += [jnp.isfinite(some.cost) for some in known]
        nothing = Scores(*[jnp.full((), jnp.nan, dtype)] * 2)
        row = History(*[x for some in given for x in (nothing if some is None else some)])
        optimizer = recipe.optimizer_at(state.step - 1, -(-n // batch_size), state.watch.scale)
        rate = jnp.asarray(optimizer.hyper.get("learning_rate", jnp.nan), dtype)
        watch = stopping.update(recipe.stopping, state.watch, params, row, index + 1)
        return state._replace(watch=watch), row, rate, jnp.all(jnp.stack(finite))

    params = over(evaluated)((recipe, units, state))
    evaluation, training = scored("evaluation", data.valid), scored("training", data.train)
    state, row, rate, finite = over(closed)((recipe, state, params, evaluation, training))
    return Advance(state, params, row, measured, rate, finite)


def fit(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    *,
    epochs: SupportsIndex,
    batch_size: SupportsIndex = 10,
    seed: Any = 0,
    params: Params | None = None,
    monitor: Sequence[str] = ("evaluation", "training"),
) -> tuple[Params, History]:
    """A whole training run as a pure function: `jit`, `vmap` or differentiate it.

    Args:
      net, epochs, batch_size, monitor: static; see `train`.
      data: the splits to train on and to evaluate; an argument of the program, not a constant.
      recipe: how it is trained; its leaves may be traced: `jax.jvp` with respect to the learning
        rate works.
      seed: an integer, traced or not.
      params: initial parameters, instead of those drawn from the seed.

    Returns:
      The parameters after the last epoch, or with a stopping rule those of the best one; and the
      history, which is NaN after a stop.

    Raises:
      ValueError: network and data do not fit together, or a count is out of range.

    >>> from jaxnet import datasets
    >>> from jaxnet.optimizers import adam
    >>> run = partial(fit, Network((2, 8, 2)), epochs=3)
    >>> params, history = jax.jit(run)(datasets.xor(), Recipe(adam(0.01)))
    >>> history.training_cost.shape
    (3,)
    """
    data = doors.checked(net, data, recipe, epochs, batch_size, seed, params, monitor)
    epochs, batch_size = operator.index(epochs), operator.index(batch_size)
    key = jax.random.key(seed, impl="threefry2x32")
    state = start(net, recipe, key, params)

    def body(state: TrainState, index: Array) -> tuple[TrainState, History]:
        def go_on() -> tuple[TrainState, History]:
            done = advance(net, batch_size, tuple(monitor), None, data, key, index, recipe, state)
            return done.state, done.row

        if recipe.stopping is None:
            return go_on()
        nothing = History(*[jnp.full((), jnp.nan, state.params[0].w.dtype)] * 4)
        return jax.lax.cond(state.watch.stopped, lambda: (state, nothing), go_on)

    state, history = jax.lax.scan(body, state, jnp.arange(epochs))
    if recipe.stopping is not None:
        return state.watch.best, history
    return recipe.optimizer.evaluation_params(state.opt_state, state.params), history
