"""One mini-batch: what training carries, and the step itself."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxnet.acceleration.padding import UnitMasks
from jaxnet.core import backpropagation, network
from jaxnet.core.deprecation import warn_renamed
from jaxnet.core.network import Masks, Network
from jaxnet.core.types import AnyArray, KeyArray, Layer, Params
from jaxnet.recipes import regularization, stopping
from jaxnet.recipes.augmentation import augment
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.regularization import add_penalty_gradient, penalty
from jaxnet.recipes.stopping import Watch
from jaxnet.training.monitors import Monitors, StepRecord, measure
from jaxnet.training.randomness import address

GradientOf = Callable[[Params, Any, Masks, Any], tuple[Params, Any]]
"""`(params, ys, masks, weights) -> (gradient, what else is worth keeping)`."""


class TrainState(NamedTuple):
    """What training carries from one mini-batch to the next."""

    params: Params
    opt_state: Any
    step: Int[Array, ""]
    """Mini-batches trained so far: the address of the next one's randomness."""
    finite_steps: Int[Array, ""]
    """Of them, those that left the output layer finite: what follows has diverged."""
    watch: Watch
    """The best so far, and what the stopping rule remembers."""

    @property
    def sound(self) -> Int[Array, ""]:
        """The old name of `finite_steps`."""
        warn_renamed("TrainState.sound", "TrainState.finite_steps")
        return self.finite_steps


class Context(NamedTuple):
    """What all steps of an epoch have in common."""

    net: Network
    n_examples: int
    """In the training split: the n of λ/n."""
    n_steps: int
    """Mini-batches to the epoch."""
    key: KeyArray
    """The run's own key, from which each mini-batch's is addressed."""


class Batch(NamedTuple):
    """What one step trains on: a function of the data and of the step's address."""

    xs: Any
    ys: Array
    weights: Float[Array, " batch"]
    """They sum to 1, and are 0 for examples that only fill the mini-batch up."""
    hidden_keep: list[Bool[Array, "..."]] | None
    """Which units of each hidden layer dropout keeps."""
    input_keep: Bool[Array, "..."] | None


def draw_params(net: Network, key: KeyArray) -> Params:
    """The initial parameters of the run with this key."""
    return network.init(net, address(key, "init"))


compiled_draw_params = jax.jit(draw_params, static_argnames="net")
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
    given: Any = draw_params(net, key) if params is None else params
    dtype = jax.dtypes.canonicalize_dtype(float)
    begun = tuple(Layer(*(jnp.asarray(array, dtype) for array in layer)) for layer in given)
    if recipe.init_scale is not None:
        begun = jax.tree.map(lambda array: array * recipe.init_scale, begun)
    transformation = recipe.optimizer.transformation(address(key, "rule"))
    zero = jnp.zeros((), jnp.int32)
    watch = stopping.watch(begun, keep_best)
    return TrainState(begun, transformation.init(begun), zero, zero, watch)


def mini_batch(
    context: Context,
    recipe: Recipe,
    units: UnitMasks | None,
    step: Int[AnyArray, ""],
    xs: Any,
    ys: Any,
    weights: Float[Array, " batch"],
) -> Batch:
    """What step number `step` trains on: examples, distorted, and the masks of dropout."""
    net, key, dtype = context.net, context.key, weights.dtype
    if recipe.augmentation is not None:
        xs = augment(recipe.augmentation, address(key, "augmentation", step), xs, dtype)
    if recipe.label_smoothing is not None:
        ys = jax.vmap(lambda y: network.targets(y, net.sizes[-1], dtype))(ys)
        ys = regularization.smooth_labels(net.cost, ys, recipe.label_smoothing)
    hidden_keep = input_keep = None
    layer_key = partial(jax.random.fold_in, address(key, "dropout", step))
    if recipe.input_dropout is not None:
        input_keep = regularization.keep_mask(layer_key(0), xs.shape, recipe.input_dropout)
    if recipe.dropout is not None:
        # At the true width: the first 30 of 32 draws are not 30 draws.
        widths = net.sizes[1:-1] if units is None else units.widths
        hidden_keep = [
            jnp.pad(
                regularization.keep_mask(layer_key(index), (len(weights), width), recipe.dropout),
                ((0, 0), (0, net.sizes[index] - width)),
            )
            for index, width in enumerate(widths, start=1)
        ]
    return Batch(xs, ys, weights, hidden_keep, input_keep)


def step(
    context: Context,
    recipe: Recipe,
    units: UnitMasks | None,
    state: TrainState,
    batch: Batch,
    gradient_of: GradientOf | None = None,
    monitors: Monitors | None = None,
) -> tuple[TrainState, Any]:
    """Train one mini-batch.

    Args:
      context: what all steps of the epoch have in common.
      recipe: how it is trained.
      units: which hidden units are there, if not all.
      state: what the last step left.
      batch: what to train on.
      gradient_of: the gradient of the mini-batch's mean cost, where it is not computed from the
        inputs.
      monitors: what to measure.

    Returns:
      The state after it; and what the monitors measured, or what `gradient_of` gave besides the
      gradient, or `None`.
    """
    net, params = context.net, state.params
    xs, masks = _masked(recipe, batch, units)
    if gradient_of is None:
        grads = backpropagation.gradient(net, params, xs, batch.ys, masks, batch.weights)
        extra = None
    else:
        grads, extra = gradient_of(params, batch.ys, masks, batch.weights)
    total = add_penalty_gradient(grads, params, context.n_examples, recipe.l1, recipe.l2)
    optimizer = recipe.optimizer_at(state.step, context.n_steps, state.watch.scale)
    transformation = optimizer.transformation(address(context.key, "step", state.step))
    known = _rule_arguments(context, recipe, optimizer, params, xs, masks, batch, total)
    updates: Any
    updates, opt_state = transformation.update(total, state.opt_state, params, **known)
    trained: Any = optax.apply_updates(params, updates)
    if recipe.max_norm is not None:
        trained = regularization.apply_max_norm(trained, recipe.max_norm)
    if monitors is not None:
        rate = optimizer.hyper.get("learning_rate")
        moved = jax.tree.map(jnp.subtract, trained, params)
        extra = _measured(
            monitors, net, units, StepRecord(params, grads, moved, rate, xs, masks, batch.weights)
        )
    # One NaN spreads to all of the output layer in the next step: ten numbers tell.
    finite_steps = state.finite_steps + jnp.isfinite(jnp.sum(trained[-1].b)).astype(jnp.int32)
    return TrainState(trained, opt_state, state.step + 1, finite_steps, state.watch), extra


def _rule_arguments(
    context: Context,
    recipe: Recipe,
    optimizer: Optimizer,
    params: Params,
    xs: Any,
    masks: Masks,
    batch: Batch,
    total: Params,
) -> dict[str, Any]:
    """What rules with line searches or curvature ask for; where a rule ignores it, so does XLA."""
    if optimizer.linear:  # such a rule sees nothing but gradients, weights and its own state
        return {}
    net, n, l1, l2 = context.net, context.n_examples, recipe.l1, recipe.l2

    def value_fn(params: Params) -> Float[Array, ""]:
        return _mean_cost(net, params, xs, masks, batch) + penalty(params, n, l1, l2)

    def regularized(product: Any, along: Params) -> Params:
        """The curvature of the penalties, (λ₂/n)v, added: L1 has none."""
        curved = product(net, params, along, xs, batch.ys, masks, batch.weights)
        return add_penalty_gradient(curved, along, n, None, l2)

    known: dict[str, Any] = {"value": value_fn(params), "grad": total, "value_fn": value_fn}
    if optimizer.curvature:
        known["hessian_product"] = partial(regularized, backpropagation.hessian_product)
        known["gauss_newton_product"] = partial(regularized, backpropagation.gauss_newton_product)
    return known


def _measured(
    monitors: Monitors, net: Network, units: UnitMasks | None, record: StepRecord
) -> Float[Array, " n"]:
    """What the monitors measure of a step, of the units that are there."""
    if units is not None:
        net, params, grads, moved = units.unpad(net, record.params, record.grads, record.moved)
        pairs = zip(record.masks or [], units.widths, strict=True)
        masks = [mask[:, :width] for mask, width in pairs]
        record = record._replace(params=params, grads=grads, moved=moved, masks=masks)
    return measure(monitors, net, record)


def _masked(recipe: Recipe, batch: Batch, units: UnitMasks | None) -> tuple[Any, Masks]:
    """The inputs after dropout, and the masks of the hidden layers."""
    xs, masks, dtype = batch.xs, None, batch.weights.dtype
    if batch.input_keep is not None:
        mask = regularization.dropout_mask(batch.input_keep, recipe.input_dropout)
        xs = network.inputs(xs, dtype) * mask
    if batch.hidden_keep is not None:
        masks = [
            regularization.dropout_mask(keep, recipe.dropout).astype(dtype)
            for keep in batch.hidden_keep
        ]
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
