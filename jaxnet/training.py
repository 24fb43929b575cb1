"""Training: one loop body, `epoch`, and `fit`, a whole run as a pure function of it.

A run is a function of (network, data, recipe, seed). Randomness is *addressed*, not consumed: the
key for the initial weights, for the order of epoch e and for the dropout mask, the distortions or
the noise of mini-batch t are each derived from the seed and that address alone (`address`). So a
run that stops can go on to the same bits, and all recipes under one seed see the same initial
weights and the same mini-batches.
"""

import operator
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxnet import doors, network, regularization, stopping
from jaxnet.augmentation import augment
from jaxnet.backprop import gauss_newton_product, gradient, hessian_product
from jaxnet.evaluation import Scores, scores
from jaxnet.monitors import Monitors, measure
from jaxnet.network import Masks, Network
from jaxnet.recipe import Recipe
from jaxnet.regularization import add_penalty_gradient, penalty
from jaxnet.stopping import Watch
from jaxnet.types import AnyArray, Dataset, History, KeyArray, Layer, Params, Split

BLOCK_ROWS = 640
"""Examples gathered at once: one gather of 500 rows costs less than fifty of 10, and as uint8 they
still fit into the cache."""

Visits = tuple[Array, ...]
"""Mini-batches to come: their examples' indices and weights, each (n_steps, batch)."""
Stream = Literal["init", "order", "step", "rule", "dropout", "augmentation"]
STREAMS: tuple[Stream, ...] = ("init", "order", "step", "rule", "dropout", "augmentation")


class TrainState(NamedTuple):
    """What training carries from one mini-batch to the next."""

    params: Params
    opt_state: Any
    step: Int[Array, ""]
    """Mini-batches trained so far: the address of the next one's randomness."""
    watch: Watch
    """The best so far, and what the stopping rule remembers."""


class Batch(NamedTuple):
    """What one step trains on: a function of the data and of the step's address."""

    xs: Array
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


def start(net: Network, recipe: Recipe, key: KeyArray, params: Params | None = None) -> TrainState:
    """The state before the first mini-batch: initial parameters drawn at their address.

    Parameters that are given come to JAX's default float type, that of the recipe's leaves.
    """
    drawn = network.init(net, address(key, "init")) if params is None else params
    dtype = jax.dtypes.canonicalize_dtype(float)
    params = tuple(Layer(*(jnp.asarray(array, dtype) for array in layer)) for layer in drawn)
    transformation = recipe.optimizer.transformation(address(key, "rule"))
    opt_state = transformation.init(params)
    return TrainState(params, opt_state, jnp.zeros((), jnp.int32), stopping.watch(params))


def mini_batch(
    net: Network,
    key: KeyArray,
    recipe: Recipe,
    data: Split,
    step: Int[AnyArray, ""],
    indices: Int[Array, " batch"],
    weights: Float[Array, " batch"],
) -> Batch:
    """What step number `step` trains on: examples, distorted, and the masks of dropout."""
    xs: Any = jnp.asarray(data.x)[indices]
    ys = jnp.asarray(data.y)[indices]
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
        shapes = [(len(xs), width) for width in net.sizes[1:-1]]
        kept = [
            regularization.kept(layer_key(index), shape, recipe.dropout)
            for index, shape in enumerate(shapes, start=1)
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
) -> tuple[TrainState, Float[Array, " n_monitored"] | None]:
    """Train one mini-batch of a split of n examples, n_steps to the epoch.

    Returns:
      The state after it, and what the monitors measured, or `None`.
    """
    l1, l2, params = recipe.l1, recipe.l2, state.params
    xs, masks = _dropped(recipe, batch)

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
    return TrainState(trained, opt_state, state.step + 1, state.watch), found


def _dropped(recipe: Recipe, batch: Batch) -> tuple[Array, Masks]:
    """The inputs, and the hidden layers' masks, after dropout."""
    xs, masks, dtype = batch.xs, None, batch.weights.dtype
    if batch.kept_inputs is not None:
        mask = regularization.inverted(batch.kept_inputs, recipe.input_dropout)
        xs = network.inputs(xs, dtype) * mask
    if batch.kept is not None:
        masks = [regularization.inverted(kept, recipe.dropout).astype(dtype) for kept in batch.kept]
    return xs, masks


def _mean_cost(net: Network, params: Params, xs: Array, masks: Masks, batch: Batch) -> Array:
    def cost_of_one(x: Array, y: Array, masks: Masks) -> Array:
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
) -> tuple[TrainState, Float[Array, "n_measured n_monitored"] | None]:
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
    drawn = partial(mini_batch, net, key, recipe, data)

    def train_batch(state: TrainState, batch: Batch) -> tuple[TrainState, Any]:
        return step(net, n, n_steps, key, recipe, state, batch)

    def train_block(state: TrainState, block: Visits) -> tuple[TrainState, Any]:
        steps = state.step + jnp.arange(len(block[0]))
        return jax.lax.scan(train_batch, state, jax.vmap(drawn)(steps, *block))

    def train_many(state: TrainState, visits: Visits) -> TrainState:
        n_visits = len(visits[0])
        if not n_visits:
            return state
        size = _block_steps(n_visits, batch_size)
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
        batch = drawn(state.step, *(a[-1] for a in stretch))
        return step(net, n, n_steps, key, recipe, state, batch, monitors)

    every = monitors.every or n_steps
    whole = n_steps // every * every
    stretches = tuple(a[:whole].reshape(-1, every, batch_size) for a in visits)
    state, measured = jax.lax.scan(train_stretch, state, stretches)
    return train_many(state, tuple(a[whole:] for a in visits)), measured


def _block_steps(n_steps: int, batch_size: int) -> int:
    """Mini-batches per block: if possible so many that no smaller block, and program, is left."""
    most = min(n_steps, max(1, BLOCK_ROWS // batch_size))
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
) -> Advance:
    """Shuffle, train, evaluate, watch: epoch number `index`, from 0, of a run."""
    n = len(data.train.x)
    order = shuffle(address(key, "order", index), n)
    state, measured = epoch(net, batch_size, data.train, order, key, recipe, state, monitors)
    params = recipe.optimizer.evaluation_params(state.opt_state, state.params)
    dtype = params[0].w.dtype
    nothing = Scores(*[jnp.full((), jnp.nan, dtype)] * 2)

    def scored(name: str, split: Split | None) -> Scores:
        if name not in monitor or split is None:
            return nothing
        return scores(net, params, split, recipe.l1, recipe.l2)

    evaluation, training = scored("evaluation", data.valid), scored("training", data.train)
    finite = [jnp.all(jnp.isfinite(array)) for array in jax.tree.leaves(state.params)]
    finite += [jnp.isfinite(given.cost) for given in (evaluation, training) if given is not nothing]
    row = History(evaluation.cost, evaluation.accuracy, training.cost, training.accuracy)
    optimizer = recipe.optimizer_at(state.step - 1, -(-n // batch_size), state.watch.scale)
    rate = jnp.asarray(optimizer.hyper.get("learning_rate", jnp.nan), dtype)
    watch = stopping.update(recipe.stopping, state.watch, params, row, index + 1)
    state = state._replace(watch=watch)
    return Advance(state, params, row, measured, rate, jnp.all(jnp.stack(finite)))


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
