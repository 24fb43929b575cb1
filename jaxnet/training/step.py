"""One training step: the state that training carries, and what a mini-batch does to it."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxnet.acceleration.padding import UnitMasks
from jaxnet.acceleration.xla_options import DRAWS
from jaxnet.core import backpropagation, network
from jaxnet.core.arguments import require_kind
from jaxnet.core.deprecation import warn_renamed
from jaxnet.core.hyperparameters import flag
from jaxnet.core.network import Masks, Network
from jaxnet.core.types import (
    AnyArray,
    Input,
    Inputs,
    KeyArray,
    ParametricLayer,
    Params,
    Target,
    Targets,
)
from jaxnet.recipes import regularization, stopping
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.regularization import add_penalty_gradient, penalty
from jaxnet.recipes.stopping import Watch
from jaxnet.recipes.trainable import TrainableMasks, check_masks, hide_frozen, where_trainable
from jaxnet.training.monitors import Monitors, StepRecord, measure
from jaxnet.training.randomness import address

GradientOf = Callable[[Params, Targets, Masks, AnyArray], tuple[Params, Array]]
"""`(params, ys, masks, weights) -> (gradient, extra)`: the gradient of a mini-batch's mean cost,
and an array that `step` returns to its caller."""


class TrainState(NamedTuple):
    """The state that training carries from one mini-batch to the next.

    Attributes:
      params: the parameters.
      opt_state: the optimizer's state, such as its momenta: a pytree of arrays, as optax returns
        it.
      step: mini-batches trained so far: the address of the next one's randomness.
      finite_steps: how many of them left the output layer finite; the first other one diverged.
      watch: the best epoch so far, and the state of the stopping rule.

    >>> from jaxnet import Recipe, adam
    >>> net = Network((2, 3, 2))
    >>> state = start(net, Recipe(adam(0.01)), jax.random.key(0))
    >>> state.step.item(), [layer.w.shape for layer in state.params]
    (0, [(2, 3), (3, 2)])
    """

    params: Params
    opt_state: PyTree
    step: Int[Array, ""]
    finite_steps: Int[Array, ""]
    watch: Watch

    @property
    def sound(self) -> Int[Array, ""]:
        """The old name of `finite_steps`."""
        warn_renamed("TrainState.sound", "TrainState.finite_steps")
        return self.finite_steps


class Context(NamedTuple):
    """What is constant over all steps of an epoch."""

    net: Network
    """The architecture."""
    n_examples: int | Int[AnyArray, ""]
    """Examples in the training split: the n of λ/n."""
    n_steps: int
    """Mini-batches per epoch."""
    key: KeyArray
    """The run's own key, from which the key of each mini-batch is derived."""


class StepExamples(NamedTuple):
    """The examples of a step; or of all steps of a block, stacked."""

    step: Int[AnyArray, "..."]
    """The number of the step, from 0: the address of its randomness."""
    xs: AnyArray
    """The inputs, (batch, n_in)."""
    ys: AnyArray
    """The targets, (batch,) or (batch, n_out)."""
    weights: Float[AnyArray, "..."]
    """The factors of the examples' costs, 0 for examples that only fill the mini-batch up."""
    weight_sum: Float[AnyArray, "..."] | None = None
    """The n of λ/n, if it is the mini-batch's own; `None` if it is that of the training set."""
    is_trained: Bool[AnyArray, "..."] | None = None
    """Whether the step is trained, or skipped whole; `None` if it is trained."""


class Batch(NamedTuple):
    """The examples and dropout masks of one step: a function of the data and the step's address."""

    xs: Inputs
    """The inputs, after the recipe's augmentation."""
    ys: Targets
    """The targets, after augmentation and label smoothing."""
    weights: Float[AnyArray, " batch"]
    """The factors of the examples' costs, 0 for examples that only fill the mini-batch up."""
    weight_sum: Float[AnyArray, ""] | None
    """The n of λ/n, if it is the mini-batch's own; `None` if it is that of the training set."""
    is_trained: Bool[AnyArray, ""] | None
    """Whether the step is trained, or skipped whole; `None` if it is trained."""
    hidden_keep: list[Bool[Array, "..."]] | None
    """Which units of each hidden layer dropout keeps, (batch, n_l); `None` without dropout."""
    input_keep: Bool[Array, "..."] | None
    """Which inputs dropout keeps, (batch, n_in); `None` without dropout of inputs."""


def draw_params(net: Network, key: KeyArray) -> Params:
    """Draw the initial parameters of a run.

    Args:
      net: the architecture.
      key: the run's own key.

    Returns:
      What `network.init` draws: a layer of parameters per layer, in JAX's default float type.
    """
    return network.init(net, address(key, "init"))


compiled_draw_params = jax.jit(draw_params, static_argnames="net", compiler_options=DRAWS)
"""`draw_params`, compiled once for each network: compiling the draws takes longer than training a
small network."""


def start(
    net: Network,
    recipe: Recipe,
    key: KeyArray,
    params: Params | None = None,
    keep_best: bool = True,
    trainable: TrainableMasks | None = None,
) -> TrainState:
    """The state before the first mini-batch.

    Args:
      net: the architecture (static).
      recipe: how it is trained: its optimizer makes `opt_state`, its `init_scale` multiplies the
        initial weights and biases.
      key: the run's own key, such as `jax.random.key(0)`. The initial weights are drawn at their
        own address under it, so they are not `init(net, key)`.
      params: initial parameters instead of drawn ones, of any float type: layer l has weights of
        shape (n_in, n_out) and biases of shape (n_out,). The default, `None`, draws them.
      keep_best: whether the state holds the best epoch's parameters, too (static).
      trainable: which numbers are trained, from `jaxnet.recipes.trainable.trainable_masks`;
        `None`, the default, trains all. The optimizer's state is as if the others were 0.

    Returns:
      The state at step 0: parameters in JAX's default float type, with the shapes of `net.sizes`;
      the optimizer's initial state; no best epoch yet.

    Raises:
      ValueError: an argument is of another kind, or the parameters are another network's.

    >>> from jaxnet import momentum
    >>> net = Network((2, 3, 2))
    >>> state = start(net, Recipe(momentum(0.1)), jax.random.key(0))
    >>> state.step.item(), [layer.w.shape for layer in state.params]
    (0, [(2, 3), (3, 2)])
    """
    require_kind("recipe", recipe, Recipe, "jaxnet.Recipe(jaxnet.sgd(0.5))")
    network.check_key("start", key)
    keep_best = flag("keep_best", keep_best)
    check_masks(trainable)
    if params is not None:
        network.check_params(net, params)
    arrays = draw_params(net, key) if params is None else params
    dtype = jax.dtypes.canonicalize_dtype(float)
    initial: Params = tuple(
        layer._make(jnp.asarray(array, dtype) for array in layer) for layer in arrays
    )
    if recipe.init_scale is not None:
        scale = jnp.asarray(recipe.init_scale)
        initial = tuple(layer._replace(w=layer.w * scale, b=layer.b * scale) for layer in initial)
    transformation = recipe.optimizer.transformation(address(key, "rule"))
    zero = jnp.zeros((), jnp.int32)
    watch = stopping.watch(initial, keep_best)
    return TrainState(
        params=initial,
        opt_state=transformation.init(hide_frozen(trainable, initial)),
        step=zero,
        finite_steps=zero,
        watch=watch,
    )


def state_struct(net: Network, recipe: Recipe, keep_best: bool = True) -> TrainState:
    """The shapes and types of the state of one network; nothing is computed or compiled.

    Args:
      net: the network.
      recipe: how it is trained; only its structure counts, so that it may be that of many lanes.
      keep_best: whether the state holds the best epoch's parameters, too.

    >>> from jaxnet import momentum
    >>> state_struct(Network((2, 3, 2)), Recipe(momentum(0.1))).params[0].w.shape
    (2, 3)
    """
    dtype = str(jax.dtypes.canonicalize_dtype(float))
    return _state_struct(net, jax.tree.structure(recipe), dtype, keep_best)


@lru_cache(maxsize=64)
def _state_struct(net: Network, structure: Any, dtype: str, keep_best: bool) -> TrainState:
    number = jax.ShapeDtypeStruct((), dtype)
    recipe = jax.tree.unflatten(structure, [number] * structure.num_leaves)

    def begin(recipe: Recipe) -> TrainState:
        key = jax.random.key(0, impl="threefry2x32")  # traced: otherwise it would be compiled
        return start(net, recipe, key, keep_best=keep_best)

    return jax.eval_shape(begin, recipe)


def evaluation_params(
    recipe: Recipe, state: TrainState, trainable: TrainableMasks | None = None
) -> Params:
    """The parameters to evaluate a network with, and to keep at the end of a run.

    Args:
      recipe: how it is trained.
      state: the state after a step.
      trainable: which numbers are trained; `None`, the default, for all.

    Returns:
      The optimizer's choice (`Optimizer.evaluation_params`), and what is frozen as it is.
    """
    optimizer = recipe.optimizer
    if optimizer.evaluation is None:
        return state.params
    params = optimizer.evaluation_params(state.opt_state, state.params)
    return where_trainable(trainable, params, state.params)


def mini_batch(
    context: Context,
    recipe: Recipe,
    units: UnitMasks | None,
    examples: StepExamples,
) -> Batch:
    """The mini-batch of one step: augmented, with smoothed targets, and dropout's choices.

    Args:
      context: the constants of the epoch.
      recipe: how it is trained.
      units: which hidden units are the network's own, if some are padding.
      examples: the step's number and its examples.

    Returns:
      What `step` trains on.
    """
    step, xs, ys, weights, weight_sum, is_trained = examples
    net, key, dtype = context.net, context.key, weights.dtype
    if recipe.augmentation is not None:
        rule_key = address(key, "augmentation", step)
        xs, ys = recipe.augmentation.apply(rule_key, xs, ys, weights, net.n_targets)
    if recipe.label_smoothing is not None:
        ys = jax.vmap(lambda y: network.targets(y, net.n_targets, dtype))(ys)
        ys = regularization.smooth_labels(net.cost, ys, recipe.label_smoothing)
    hidden_keep = input_keep = None
    layer_key = partial(jax.random.fold_in, address(key, "dropout", step))
    if recipe.input_dropout is not None:
        input_keep = regularization.keep_mask(layer_key(0), xs.shape, recipe.input_dropout)
    if recipe.dropout is not None:
        # Drawn at the true width, then padded: the first 30 of 32 draws differ from 30 draws.
        widths = net.sizes[1:-1] if units is None else units.widths
        hidden_keep = [
            jnp.pad(
                regularization.keep_mask(layer_key(index), (len(weights), width), recipe.dropout),
                ((0, 0), (0, net.sizes[index] - width)),
            )
            for index, width in enumerate(widths, start=1)
        ]
    return Batch(
        xs=xs, ys=ys, weights=weights, weight_sum=weight_sum, is_trained=is_trained,
        hidden_keep=hidden_keep, input_keep=input_keep,
    )  # fmt: skip


def step(
    context: Context,
    recipe: Recipe,
    units: UnitMasks | None,
    state: TrainState,
    batch: Batch,
    gradient_of: GradientOf | None = None,
    monitors: Monitors | None = None,
    trainable: TrainableMasks | None = None,
) -> tuple[TrainState, Array | None]:
    """Train one mini-batch, or leave the state as it is where `batch.is_trained` is false.

    Args:
      context: the constants of the epoch.
      recipe: how it is trained.
      units: which hidden units are the network's own, if some are padding.
      state: the state before the step.
      batch: the mini-batch.
      gradient_of: computes the gradient of the mini-batch's mean cost; by default it is computed
        from the inputs, by backpropagation.
      monitors: what to measure.
      trainable: which numbers are trained; `None`, the default, for all.

    Returns:
      The state after the step; and the measurements, if there are monitors, or else the extra array
      that `gradient_of` returned, or `None`.
    """
    net, params = context.net, state.params
    xs, masks = _apply_dropout(recipe, batch, units)
    if gradient_of is None:
        grads = backpropagation.gradient(net, params, xs, batch.ys, masks, batch.weights)
        extra = None
    else:
        grads, extra = gradient_of(params, batch.ys, masks, batch.weights)
    n = context.n_examples if batch.weight_sum is None else batch.weight_sum
    total = add_penalty_gradient(grads, params, n, recipe.l1, recipe.l2)
    total = hide_frozen(trainable, total)
    optimizer = recipe.optimizer_at(state.step, context.n_steps, state.watch.scale)
    transformation = optimizer.transformation(address(context.key, "step", state.step))
    extra_args = _update_arguments(
        context, recipe, optimizer, params, batch._replace(xs=xs), masks, total, trainable
    )
    seen = hide_frozen(trainable, params)
    updates: PyTree
    updates, opt_state = transformation.update(total, state.opt_state, seen, **extra_args)
    trained: PyTree = optax.apply_updates(params, updates)
    if recipe.max_norm is not None:
        trained = regularization.apply_max_norm(trained, recipe.max_norm)
    trained = where_trainable(trainable, trained, params)
    last_numbers = _last_numbers(trained, None if trainable is None else grads)
    finite_steps = state.finite_steps + jnp.isfinite(last_numbers).astype(jnp.int32)
    after = TrainState(
        params=trained, opt_state=opt_state, step=state.step + 1, finite_steps=finite_steps,
        watch=state.watch,
    )  # fmt: skip
    if batch.is_trained is not None:
        after = jax.tree.map(partial(jnp.where, batch.is_trained), after, state)
    if monitors is not None:
        rate = optimizer.hyper.get("learning_rate")
        moved = jax.tree.map(jnp.subtract, after.params, params)
        record = StepRecord(
            params=params, grads=grads, moved=moved, rate=rate, xs=xs, masks=masks,
            weights=batch.weights,
            cost=lambda: (
                mean_cost(net, params, xs, batch.ys, masks, batch.weights),
                penalty(params, n, recipe.l1, recipe.l2),
            ),
        )  # fmt: skip
        extra = _measured(monitors, net, units, record)
    return after, extra


def _last_numbers(trained: Params, grads: Params | None) -> Float[Array, ""]:
    """A number that is not finite once a step has diverged.

    A NaN in weights or biases spreads to the whole output layer in the next step: its biases
    suffice, or where they may be frozen, their gradient. A NaN in the parameter of an activation
    may do nothing for a while: a slope for z < 0 does not count where all z > 0.
    """
    last_biases = trained[-1].b if grads is None else trained[-1].b + grads[-1].b
    total = jnp.sum(last_biases)
    for layer in trained:
        if isinstance(layer, ParametricLayer):
            total += layer.activation
    return total


def _update_arguments(
    context: Context,
    recipe: Recipe,
    optimizer: Optimizer,
    params: Params,
    batch: Batch,
    masks: Masks,
    total: Params,
    trainable: TrainableMasks | None,
) -> dict[str, PyTree]:
    """The cost, its gradient and its curvature, for optimizers whose update asks for them.

    Where an optimizer ignores one of them, XLA removes its computation.
    """
    if optimizer.linear:  # its update depends on gradients, weights and its own state alone
        return {}
    net, l1, l2 = context.net, recipe.l1, recipe.l2
    n = context.n_examples if batch.weight_sum is None else batch.weight_sum

    def value_fn(seen: Params) -> Float[Array, ""]:
        moved = where_trainable(trainable, seen, params)
        cost = mean_cost(net, moved, batch.xs, batch.ys, masks, batch.weights)
        return cost + penalty(moved, n, l1, l2)

    def regularized(product: Callable[..., Params], along: Params) -> Params:
        """The curvature of the penalties, (λ₂/n)v, added: L1 has none."""
        along = hide_frozen(trainable, along)
        curved = product(net, params, along, batch.xs, batch.ys, masks, batch.weights)
        return hide_frozen(trainable, add_penalty_gradient(curved, along, n, None, l2))

    arguments: dict[str, PyTree] = {
        "value": value_fn(params), "grad": total, "value_fn": value_fn,
    }  # fmt: skip
    if optimizer.curvature:
        arguments["hessian_product"] = partial(regularized, backpropagation.hessian_product)
        arguments["gauss_newton_product"] = partial(
            regularized, backpropagation.gauss_newton_product
        )
    return arguments


def _measured(
    monitors: Monitors, net: Network, units: UnitMasks | None, record: StepRecord
) -> Float[Array, " n_columns"]:
    """The measurements of a step, of the network's own units alone."""
    if units is not None:
        net, (params, grads, moved) = units.unpad(net, record.params, record.grads, record.moved)
        pairs = zip(record.masks or [], units.widths, strict=True)
        masks = [mask[:, :width] for mask, width in pairs]
        record = record._replace(params=params, grads=grads, moved=moved, masks=masks)
    return measure(monitors, net, record)


def _apply_dropout(
    recipe: Recipe, batch: Batch, units: UnitMasks | None
) -> tuple[Inputs, list[Array] | None]:
    """The inputs after dropout, and the hidden layers' masks of dropout and padding."""
    xs, masks, dtype = batch.xs, None, batch.weights.dtype
    if batch.input_keep is not None and recipe.input_dropout is not None:
        mask = regularization.dropout_mask(batch.input_keep, recipe.input_dropout)
        xs = network.inputs(xs, dtype) * mask
    if batch.hidden_keep is not None and recipe.dropout is not None:
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


def mean_cost(
    net: Network,
    params: Params,
    xs: Inputs,
    ys: Targets,
    masks: Masks,
    weights: Float[AnyArray, " batch"],
) -> Float[Array, ""]:
    """The mean cost of a mini-batch, without penalties.

    Args:
      net: the architecture.
      params: its parameters.
      xs: the inputs, (batch, n_in).
      ys: the targets, (batch,) or (batch, n_out).
      masks: the hidden layers' masks of dropout and padding; `None` for none.
      weights: the factors of the examples' costs, which add up to 1 where all count the same.

    Returns:
      The sum of the examples' costs times their factors.
    """

    def cost_of_example(x: Input, y: Target, masks: Masks) -> Array:
        z = network.forward(net, params, x, masks)[1][-1]
        return net.cost.fn(z, network.targets(y, net.n_targets, z.dtype))

    return jnp.sum(weights * jax.vmap(cost_of_example)(xs, ys, masks))
