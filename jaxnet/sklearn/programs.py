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
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxnet.acceleration.programs import Program
from jaxnet.acceleration.xla_options import evaluation_options, training_options
from jaxnet.core import backpropagation, network
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, KeyArray, Params, Split
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.regularization import add_penalty_gradient, penalty
from jaxnet.training.epochs import epoch
from jaxnet.training.mini_batches import Sizes, Subset
from jaxnet.training.monitors import Monitors
from jaxnet.training.step import TrainState, evaluation_params, mean_cost, start

FEWEST_ROWS = 64
"""The smallest room for examples."""
MOST_ROWS = 4096
"""The most examples that are predicted at once."""
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
    """How many rows to predict at once: a power of two, so that few sizes are compiled.

    Args:
      n: the number of examples.

    >>> rows_at_once(3), rows_at_once(300), rows_at_once(100_000)
    (64, 512, 4096)
    """
    return min(max(FEWEST_ROWS, 1 << (n - 1).bit_length()), MOST_ROWS)


def padded(array: np.ndarray, n_rows: int) -> np.ndarray:
    """The array with rows of zeros up to this number.

    Args:
      array: an array of examples.
      n_rows: the number of rows to have, at least as many as there are.
    """
    return np.pad(array, [(0, n_rows - len(array)), *[(0, 0)] * (array.ndim - 1)])


@dataclass(frozen=True)
class EpochShape:
    """The static choices of an epoch: each combination is a compiled program of its own."""

    net: Network
    """The architecture."""
    batch_size: int
    """The room for examples in a mini-batch."""
    n_steps: int
    """The room for mini-batches in an epoch."""

    @property
    def n_rows(self) -> int:
        """The room for examples."""
        return self.batch_size * self.n_steps


def epoch_shape(net: Network, n_examples: int, batch_size: int) -> EpochShape:
    """The program that trains so many examples in such mini-batches.

    Args:
      net: the architecture.
      n_examples: the number of examples.
      batch_size: examples per mini-batch.
    """
    if batch_size >= n_examples:
        # So few examples cost less time than another compilation.
        n_rows = rows_at_once(n_examples) if n_examples <= 256 else room(n_examples)
        return EpochShape(net, n_rows, 1)
    return EpochShape(net, batch_size, room(-(-n_examples // batch_size)))


class Member(NamedTuple):
    """What differs between the members; stacked."""

    seed: Int[AnyArray, "..."]
    """The seed of the randomness that is not scikit-learn's, such as dropout's."""
    order: Int[AnyArray, "..."]
    """The examples of the epoch in their order."""
    learning_rate: Float[AnyArray, "..."]
    """That of the epoch."""
    is_training: Bool[AnyArray, "..."]
    """Whether the member trains; its state stays as it is if not."""
    state: TrainState
    """The state before the epoch."""


def _of_members(function, members: PyTree, n: int) -> PyTree:  # noqa: ANN001
    """Apply a function to each member: a single one has no axis, which would cost time."""
    if n > 1:
        return jax.vmap(function)(members)
    result = function(jax.tree.map(lambda array: array[0], members))
    return jax.tree.map(lambda array: array[None], result)


def _key(seed: Int[Array, ""]) -> KeyArray:
    return jax.random.key(seed, impl="threefry2x32")


def _begin(net: Network, recipe: Recipe, seeds: Int[Array, " members"], params: Params) -> TrainState:
    """The states before the first epoch."""
    begin = lambda member: start(net, recipe, _key(member[0]), member[1], keep_best=False)
    return _of_members(begin, (seeds, params), len(seeds))


def _train(
    shape: EpochShape,
    data: Split,
    recipe: Recipe,
    n_examples: Int[AnyArray, ""],
    batch_size: Int[AnyArray, ""],
    members: Member,
) -> tuple[TrainState, Float[Array, "members 2"]]:
    """The states after an epoch; the mean of each mini-batch's cost, and that of its penalties."""
    sizes = Sizes(n_examples, batch_size, shape.n_steps)
    first = batch_size * jnp.arange(shape.n_steps)
    shares = jnp.clip(n_examples - first, 0, batch_size) / n_examples

    def of_member(member: Member) -> tuple[TrainState, Float[Array, " 2"]]:
        own = _with_rate(recipe, member.learning_rate)
        after, costs = epoch(
            shape.net, shape.batch_size, data, member.order, _key(member.seed), own, member.state,
            COSTS_OF_STEPS, subset=Subset(sizes, member.order),
        )  # fmt: skip
        assert costs is not None  # it is measured
        return after, shares.astype(costs.dtype) @ costs

    states, losses = _of_members(of_member, members, len(members.order))
    if len(members.order) > 1:
        states = jax.vmap(
            lambda trains, after, before: jax.tree.map(partial(jnp.where, trains), after, before)
        )(members.is_training, states, members.state)
    return states, losses


def _with_rate(recipe: Recipe, learning_rate: Float[Array, ""]) -> Recipe:
    """The recipe with another learning rate, where it has one that may change."""
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
        return _outputs_of(net, own, xs), cost

    return _of_members(of_member, (params, xs, ys, weights), len(xs))


def _outputs(net: Network, params: Params, xs: Float[Array, "n n_in"]) -> Array:
    """Each member's outputs for the same examples, (members, n, n_out)."""
    return _of_members(lambda own: _outputs_of(net, own, xs), params, len(params[0].w))


def _outputs_of(net: Network, params: Params, xs: Float[Array, "n n_in"]) -> Array:
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


begin_members = Program(_begin, lambda net: {})
train_members = Program(_train, lambda shape: training_options(shape.net))
evaluate_members = Program(_evaluate, evaluation_options)
outputs_of_members = Program(_outputs, evaluation_options)
cost_and_gradient = Program(_cost_and_gradient, evaluation_options)
params_to_predict_with = jax.jit(_evaluated)
