"""The compiled programs of estimators: an epoch, an evaluation, a cost with its gradient.

Networks of one call are its members, stacked along the first axis. Arrays of examples have room for
more than there are, so that data sets of about the same size share a program.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, PyTree

from jaxnet.acceleration.programs import Program
from jaxnet.acceleration.xla_options import evaluation_options, training_options
from jaxnet.core import backpropagation, network
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, KeyArray, Params, Split
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.regularization import add_penalty_gradient, penalty
from jaxnet.training.epochs import epoch
from jaxnet.training.metrics import MetricFunction
from jaxnet.training.mini_batches import Sizes, Subset
from jaxnet.training.monitors import Monitors
from jaxnet.training.step import TrainState, evaluation_params, mean_cost, start

SIZES_OF_ROWS = (64, 256, 1024, 4096)
"""How many rows are predicted at once: few sizes, so that little is compiled."""
MOST_EPOCHS = 10
"""Epochs that are trained at once where they are short."""
FEW_STEPS = 16
"""The most mini-batches of a short epoch."""
COSTS_OF_STEPS = Monitors(("cost",), every=1)
"""Measures the cost and the penalties of each mini-batch."""


def room(n: int, fewest: int = 1) -> int:
    """How much room to make for n things: n rounded up, by at most a sixteenth where n is large.

    Args:
      n: their number, at least 1.
      fewest: the smallest room.

    Returns:
      A number that has at most four binary digits other than 0 after its first one.

    >>> room(13), room(1437), room(5, fewest=64)
    (13, 1472, 64)
    """
    unit = 2 ** max(n.bit_length() - 5, 0)
    return max(-(-n // unit) * unit, fewest)


def rows_at_once(n: int) -> int:
    """How many rows to predict at once: few sizes, so that little is compiled.

    Args:
      n: the number of examples.

    >>> rows_at_once(3), rows_at_once(300), rows_at_once(100_000)
    (64, 1024, 4096)
    """
    return next(size for size in SIZES_OF_ROWS if size >= min(n, SIZES_OF_ROWS[-1]))


def padded(array: np.ndarray, n_rows: int, n_columns: int | None = None) -> np.ndarray:
    """The array with rows of zeros, and columns of zeros, up to these numbers.

    Args:
      array: an array of examples, (n,) or (n, columns).
      n_rows: the number of rows to have, at least as many as there are.
      n_columns: the number of columns to have; `None` for those that there are.
    """
    n_new = (n_rows, *array.shape[1:]) if n_columns is None else (n_rows, n_columns)
    if n_new == array.shape:
        return array
    return np.pad(array, [(0, new - old) for new, old in zip(n_new, array.shape, strict=True)])


def room_for_inputs(n_in: int) -> int:
    """How many inputs a program has for a network of so many.

    Args:
      n_in: the number of inputs.

    >>> room_for_inputs(2), room_for_inputs(10), room_for_inputs(64)
    (8, 16, 64)
    """
    return max(8, -(-n_in // 8) * 8) if n_in <= 32 else n_in


def with_inputs(params: Params, n_in: int) -> Params:
    """Stacked parameters for another number of inputs: further weights are 0, or cut off.

    Args:
      params: the parameters, with an axis for the members.
      n_in: the number of inputs to have.
    """
    w = np.asarray(params[0].w)[:, :n_in]
    w = np.pad(w, ((0, 0), (0, n_in - w.shape[1]), (0, 0)))
    return (params[0]._replace(w=w), *params[1:])


@dataclass(frozen=True)
class EpochShape:
    """The static choices of an epoch: each combination is a compiled program of its own."""

    net: Network
    """The architecture."""
    batch_size: int
    """The room for examples in a mini-batch."""
    n_steps: int
    """The room for mini-batches in an epoch."""
    n_epochs: int
    """The room for epochs in a call."""

    @property
    def n_rows(self) -> int:
        """The room for examples."""
        return self.batch_size * self.n_steps


def epoch_shape(net: Network, n_examples: int, batch_size: int, is_single: bool) -> EpochShape:
    """The program that trains so many examples in such mini-batches.

    Args:
      net: the architecture.
      n_examples: the number of examples.
      batch_size: examples per mini-batch.
      is_single: whether it trains a single epoch.
    """
    n_steps = 1
    if batch_size < n_examples:
        n_steps = room(-(-n_examples // batch_size))
    elif n_examples <= 256:  # so few cost less time than another compilation
        batch_size = rows_at_once(n_examples)
    else:
        batch_size = room(n_examples)
    n_epochs = 1 if is_single or n_steps > FEW_STEPS else MOST_EPOCHS
    return EpochShape(net, batch_size, n_steps, n_epochs)


class Member(NamedTuple):
    """What differs between the members; stacked."""

    seed: Integer[AnyArray, "..."]
    """The seed of the randomness that is not scikit-learn's, such as dropout's."""
    orders: Int[AnyArray, "..."]
    """The examples in their order in each epoch, (epochs, rows)."""
    learning_rate: Float[AnyArray, "..."]
    """That of the epochs."""
    is_training: Bool[AnyArray, "..."]
    """Whether the member trains; its state stays as it is if not."""
    state: TrainState
    """The state before the first of the epochs."""


def _of_members(function, members: PyTree, n: int) -> PyTree:
    """Apply a function to each member: a single one has no axis, which would cost time."""
    if n > 1:
        return jax.vmap(function)(members)
    result = function(jax.tree.map(lambda array: array[0], members))
    return jax.tree.map(lambda array: array[None], result)


def run_key(seed: Integer[AnyArray, ""]) -> KeyArray:
    """The key of a network's randomness that is not scikit-learn's, such as dropout's.

    Args:
      seed: a number that belongs to the network.
    """
    return jax.random.key(seed, impl="threefry2x32")


def _begin(
    net: Network, recipe: Recipe, seeds: Integer[Array, " members"], params: Params
) -> TrainState:
    """The states before the first epoch."""
    begin = lambda member: start(net, recipe, run_key(member[0]), member[1], keep_best=False)
    return _of_members(begin, (seeds, params), len(seeds))


def _train(
    shape: EpochShape,
    data: Split,
    recipe: Recipe,
    counts: Int[AnyArray, " 3"],
    members: Member,
) -> tuple[TrainState, Float[Array, "members epochs 2"]]:
    """The states after some epochs, and of each epoch its mini-batches' mean cost and penalties.

    `counts` are the number of epochs, of examples, and of examples per mini-batch.
    """
    n_epochs, n_examples, batch_size = counts
    sizes = Sizes(n_examples, batch_size, shape.n_steps)

    def of_member(member: Member) -> tuple[TrainState, Float[Array, "epochs 2"]]:
        own, key = with_learning_rate(recipe, member.learning_rate), run_key(member.seed)
        dtype = member.learning_rate.dtype

        def train_epoch(index: Array, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            state, losses = carry
            order = member.orders[index]
            state, costs = epoch(
                shape.net, shape.batch_size, data, order, key, own, state, COSTS_OF_STEPS,
                subset=Subset(sizes, order),
            )  # fmt: skip
            assert costs is not None  # they are measured
            return state, losses.at[index].set(loss_of_epoch(costs, n_examples, batch_size))

        losses = jnp.zeros((shape.n_epochs, 2), dtype)
        return jax.lax.fori_loop(0, n_epochs, train_epoch, (member.state, losses))

    states, losses = _of_members(of_member, members, len(members.orders))
    if len(members.orders) > 1:
        states = jax.vmap(
            lambda trains, after, before: jax.tree.map(partial(jnp.where, trains), after, before)
        )(members.is_training, states, members.state)
    return states, losses


def loss_of_epoch(
    costs: Float[Array, "*lanes n_steps 2"],
    n_examples: Int[AnyArray, ""],
    batch_size: Int[AnyArray, ""],
) -> Float[Array, "*lanes 2"]:
    """The mean of the mini-batches' costs and penalties, each counted by its examples.

    Args:
      costs: those of each mini-batch; those beyond the last example do not count.
      n_examples: the examples of the epoch.
      batch_size: examples per mini-batch.
    """
    first = batch_size * jnp.arange(costs.shape[-2])
    shares = jnp.clip(n_examples - first, 0, batch_size) / n_examples
    return shares.astype(costs.dtype) @ costs


def with_learning_rate(recipe: Recipe, learning_rate: Float[AnyArray, "..."]) -> Recipe:
    """The recipe with another learning rate, where it has one that may change.

    Args:
      recipe: the recipe.
      learning_rate: η, or one for each recipe.
    """
    optimizer = recipe.optimizer
    if not optimizer.follows_rate:
        return recipe
    hyper = optimizer.hyper | {"learning_rate": learning_rate}
    return replace(recipe, optimizer=replace(optimizer, hyper=hyper))


def _evaluate(
    net: Network, params: Params, xs: Float[Array, "..."], ys: Array, weights: Array
) -> tuple[Float[Array, "members n n_out"], Float[Array, " members"]]:
    """Each member's outputs for its own examples, and their mean cost."""

    def of_member(member: tuple[Params, Array, Array, Array]) -> tuple[Array, Array]:
        own, xs, ys, weights = member
        cost = mean_cost(net, own, xs, ys, None, weights / jnp.sum(weights))
        return outputs_of(net, own, xs), cost

    return _of_members(of_member, (params, xs, ys, weights), len(xs))


def _outputs(net: Network, params: Params, xs: Float[Array, "n n_in"]) -> Array:
    """Each member's outputs for the same examples, (members, n, n_out)."""
    return _of_members(lambda own: outputs_of(net, own, xs), params, len(params[0].w))


def outputs_of(net: Network, params: Params, xs: Float[Array, "n n_in"]) -> Array:
    """The outputs of a network for each example, (n, n_out).

    Args:
      net: the network.
      params: its parameters.
      xs: the inputs.
    """
    return jax.vmap(lambda x: net.cost.output.fn(network.forward(net, params, x)[1][-1]))(xs)


def _cost_and_gradient(
    net: Network, data: Split, recipe: Recipe, params: Params
) -> tuple[Float[Array, " 2"], Params]:
    """The mean cost and the penalties of all examples together, and the gradient of their sum."""
    assert data.weight is not None  # it is 0 for rows that fill up
    weight_sum = jnp.sum(data.weight)
    weights = data.weight / weight_sum
    cost = mean_cost(net, params, data.x, data.y, None, weights)
    grads = backpropagation.gradient(net, params, data.x, data.y, None, weights)
    costs = jnp.stack([cost, penalty(params, weight_sum, recipe.l1, recipe.l2)])
    return costs, add_penalty_gradient(grads, params, weight_sum, recipe.l1, recipe.l2)


def _evaluated(recipe: Recipe, states: TrainState) -> Params:
    """The parameters to predict with, of all members."""
    return jax.vmap(lambda state: evaluation_params(recipe, state))(states)


def _metric_value(
    metric: MetricFunction, outputs: AnyArray, targets: AnyArray, weights: AnyArray
) -> Float[Array, ""]:
    """The value of a metric of a network's outputs, (n, n_out)."""
    return metric(outputs, targets, weights)


begin_members = Program(_begin, lambda net: {})
train_members = Program(_train, lambda shape: training_options(shape.net))
evaluate_members = Program(_evaluate, evaluation_options)
outputs_of_members = Program(_outputs, evaluation_options)
cost_and_gradient = Program(_cost_and_gradient, evaluation_options)
params_to_predict_with = jax.jit(_evaluated)
metric_value = jax.jit(_metric_value, static_argnames="metric")
