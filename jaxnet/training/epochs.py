"""Training: one loop body, `epoch`, and `fit`, a whole run as a pure function of it.

A run is a function of (network, data, recipe, seed).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxnet.acceleration import blocks, first_layer
from jaxnet.acceleration.padding import Units, cut, filled, masks
from jaxnet.core import network
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Dataset, History, KeyArray, Layer, Params, Split
from jaxnet.recipes import stopping
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.evaluation import Scores, scores
from jaxnet.training.monitors import Monitors
from jaxnet.training.parallelism import Over, alone
from jaxnet.training.randomness import address, shuffle
from jaxnet.training.step import Batch, TrainState, mini_batch, start, step

Visits = tuple[Array, ...]
"""Mini-batches to come: their examples' indices and weights, each (n_steps, batch)."""


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
    places = jnp.pad(jnp.asarray(order), (0, n_steps * batch_size - n)).reshape(-1, batch_size)
    sizes = np.minimum(batch_size, n - batch_size * np.arange(n_steps))
    weights = (np.arange(batch_size) < sizes[:, None]) / sizes[:, None]
    visits = (places, jnp.asarray(weights, state.params[0].w.dtype))
    all_xs, all_ys = jnp.asarray(data.x), jnp.asarray(data.y)
    most = blocks.span_steps(net, recipe, batch_size, over.lanes) if monitors is None else 0
    spanned, most = most > 0, most or max(1, blocks.BLOCK_ROWS // batch_size)

    def drawn(one: Any, step: Any, xs: Any, ys: Any, weights: Any) -> Batch:
        return mini_batch(net, key, one[0], step, xs, ys, weights, one[1])

    def stepped(one: Any, batch: Batch, monitors: Monitors | None = None) -> Any:
        recipe, units, state = one
        return step(net, n, n_steps, key, recipe, state, batch, monitors, units)

    def train_batch(carry: Any, visit: Any) -> tuple[Any, Any]:
        place, gram, visit = visit

        def one_step(one: Any, place: Any, gram: Any, *visit: Any) -> Any:
            *one, span = one
            batch = visit[0] if over.lanes == 1 else drawn(one, *visit)
            if span is None:
                state, found = stepped(one, batch)
                return (state, None), found
            xs = first_layer.seen(one[2].params[0].w, span, place, gram, net.precision)
            state, errors = stepped(one, batch._replace(xs=xs))
            return (state, span.noted(place, errors)), None

        return over(one_step)((recipe, units, *carry), place, gram, *visit)

    def train_block(state: TrainState, block: Visits) -> tuple[TrainState, Any]:
        indices, weights = block
        places = jnp.arange(len(indices))
        xs, ys = over.split((all_xs[indices], all_ys[indices]), axis=1)
        rows = gram = span = None
        begun = state
        if spanned:
            rows = network.inputs(xs.reshape(-1, net.sizes[0]), weights.dtype)
            gram = jnp.dot(rows, rows.T, precision=net.precision).reshape(*indices.shape, -1)
            state, span = over(partial(blocks.enter, net, len(indices)))(begun, rows)
        visits = (_step(state) + places, xs, ys, weights)
        if over.lanes == 1:  # to draw for many steps at once is faster
            visits = (jax.vmap(partial(drawn, (recipe, units)))(*visits),)
        (state, span), found = jax.lax.scan(train_batch, (state, span), (places, gram, visits))
        if spanned:
            state = over(partial(blocks.leave, net))((state, begun, span), rows)
        return state, found

    def train_many(state: TrainState, visits: Visits) -> TrainState:
        n_visits = len(visits[0])
        if not n_visits:
            return state
        size = blocks.block_steps(n_visits, most)
        whole = n_visits // size * size
        blocked = tuple(a[:whole].reshape(-1, size, batch_size) for a in visits)
        state, _ = jax.lax.scan(train_block, state, blocked)
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
        return stepped((recipe, units, state), batch, monitors)

    every = monitors.every or n_steps
    whole = n_steps // every * every
    stretches = tuple(a[:whole].reshape(-1, every, batch_size) for a in visits)
    state, measured = jax.lax.scan(train_stretch, state, stretches)
    return train_many(state, tuple(a[whole:] for a in visits)), measured


def _step(state: TrainState) -> Int[Array, ""]:
    """The step's number, which is the same for all networks that are trained together."""
    return jnp.ravel(state.step)[0]


def trained(
    net: Network,
    batch_size: int,
    monitors: Monitors | None,
    data: Split,
    key: KeyArray,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    state: TrainState,
    units: Units | None = None,
    over: Over = alone,
) -> tuple[TrainState, Any]:
    """Shuffle and train: epoch number `index`, from 0, of a run; see `epoch`."""
    order = shuffle(address(key, "order", index), len(data.x))
    return epoch(net, batch_size, data, order, key, recipe, state, monitors, units, over)


def trained_in(
    program: Network,
    net: Network,
    batch_size: int,
    monitors: Monitors | None,
    data: Split,
    key: KeyArray,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    state: TrainState,
    over: Over = alone,
) -> tuple[TrainState, Any]:
    """`trained` in the program of a network with wider hidden layers (static): see `widths`.

    The state is filled up as the epoch begins, and cut to the network's own widths as it ends. Not
    to be differentiated: at 0 norms and roots have no derivative.
    """
    if program == net:
        return trained(net, batch_size, monitors, data, key, index, recipe, state, None, over)
    nothing = tuple(
        Layer(jnp.zeros(pair), jnp.zeros(pair[1])) for pair in zip(program.sizes, program.sizes[1:])
    )
    like = jax.eval_shape(lambda: start(program, recipe, key, nothing))
    held = (state.params, state.opt_state)
    params, opt_state = filled(held, (like.params, like.opt_state))
    wide = state._replace(params=params, opt_state=opt_state)
    units = Units(masks(net, program), net.sizes[1:-1])
    wide, measured = trained(
        program, batch_size, monitors, data, key, index, recipe, wide, units, over
    )
    params, opt_state = cut((wide.params, wide.opt_state), held)
    return wide._replace(params=params, opt_state=opt_state), measured


class Closed(NamedTuple):
    """What an epoch of a run came to."""

    state: TrainState
    params: Params
    """Those to evaluate and to keep, the rule's evaluation parameters."""
    row: History
    learning_rate: Float[Array, ""]
    """η of the last step; NaN where the optimizer has none."""
    finite: Bool[Array, ""]
    """Whether all parameters and costs are."""


def closed(
    net: Network,
    batch_size: int,
    monitor: tuple[str, ...],
    data: Dataset,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    state: TrainState,
    units: Units | None = None,
    over: Over = alone,
) -> Closed:
    """Evaluate and watch what epoch number `index`, from 0, has trained.

    With `over`, of many runs: see `epoch`.
    """
    n_steps = -(-len(data.train.x) // batch_size)

    def evaluated(one: tuple[Recipe, Units | None, TrainState]) -> Params:
        recipe, units, state = one
        params = recipe.optimizer.evaluation_params(state.opt_state, state.params)
        return params if units is None else units.only(params)

    def scored(name: str, split: Split | None) -> Scores | None:
        if name in monitor and split is not None:
            return scores(net, params, split, recipe.l1, recipe.l2, over)
        return None

    def watched(one: tuple[Recipe, TrainState, Params, Scores | None, Scores | None]) -> Any:
        recipe, state, params, *given = one
        dtype = params[0].w.dtype
        known = [some for some in given if some is not None]
        finite = [jnp.all(jnp.isfinite(array)) for array in jax.tree.leaves(state.params)]
        finite += [jnp.isfinite(some.cost) for some in known]
        nothing = Scores(*[jnp.full((), jnp.nan, dtype)] * 2)
        row = History(*[x for some in given for x in (nothing if some is None else some)])
        optimizer = recipe.optimizer_at(state.step - 1, n_steps, state.watch.scale)
        rate = jnp.asarray(optimizer.hyper.get("learning_rate", jnp.nan), dtype)
        watch = stopping.update(recipe.stopping, state.watch, params, row, index + 1)
        return state._replace(watch=watch), row, rate, jnp.all(jnp.stack(finite))

    params = over(evaluated)((recipe, units, state))
    evaluation, training = scored("evaluation", data.valid), scored("training", data.train)
    state, row, rate, finite = over(watched)((recipe, state, params, evaluation, training))
    return Closed(state, params, row, rate, finite)
