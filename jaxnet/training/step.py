"""One mini-batch: what training carries, where its randomness comes from, and the step itself.

Randomness is *addressed*, not consumed: the key for the initial weights, for the order of epoch e
and for the dropout mask, the distortions or the noise of mini-batch t are each derived from the
seed and that address alone (`address`). So a run that stops can go on to the same bits, and all
recipes under one seed see the same initial weights and the same mini-batches.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxnet.acceleration.first_layer import InSpan
from jaxnet.acceleration.padding import Units
from jaxnet.core import network
from jaxnet.core.backpropagation import gauss_newton_product, gradient, hessian_product
from jaxnet.core.network import Masks, Network
from jaxnet.core.types import AnyArray, KeyArray, Layer, Params
from jaxnet.recipes import regularization, stopping
from jaxnet.recipes.augmentation import augment
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.regularization import add_penalty_gradient, penalty
from jaxnet.recipes.stopping import Watch
from jaxnet.training.monitors import Monitors, measure
from jaxnet.training.randomness import address


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


def drawn(net: Network, key: KeyArray) -> Params:
    """The initial parameters of the run with this key."""
    return network.init(net, address(key, "init"))


compiled_drawn = jax.jit(drawn, static_argnames="net")
"""Compiled once for a network: to compile the draws takes longer than to train small networks."""


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
    given: Any = drawn(net, key) if params is None else params
    dtype = jax.dtypes.canonicalize_dtype(float)
    begun = tuple(Layer(*(jnp.asarray(array, dtype) for array in layer)) for layer in given)
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
) -> tuple[TrainState, Any]:
    """Train one mini-batch of a split of n examples, n_steps to the epoch.

    Returns:
      The state after it; and what the monitors measured, or the errors of a first layer that is
      trained in a span, or `None`.
    """
    l1, l2, params = recipe.l1, recipe.l2, state.params
    xs, masks = _masked(recipe, batch, units)

    def value_fn(params: Params) -> Float[Array, ""]:
        return _mean_cost(net, params, xs, masks, batch) + penalty(params, n, l1, l2)

    def regularized(product: Any, along: Params) -> Params:
        """The curvature of the penalties, (λ₂/n)v, added: L1 has none."""
        curved = product(net, params, along, xs, batch.ys, masks, batch.weights)
        return add_penalty_gradient(curved, along, n, None, l2)

    grads, found = gradient(net, params, xs, batch.ys, masks, batch.weights), None
    if isinstance(xs, InSpan):
        grads, found = (grads[0]._replace(w=xs.own[0]), *grads[1:]), grads[0].w
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
    if monitors is not None:
        rate = optimizer.hyper.get("learning_rate")
        moved = jax.tree.map(jnp.subtract, trained, params)
        if units is not None:
            net, params, grads, moved = units.cut(net, params, grads, moved)
            masks = [mask[:, :n] for mask, n in zip(masks or [], units.widths, strict=True)]
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
