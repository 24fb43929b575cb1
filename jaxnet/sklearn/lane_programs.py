"""The compiled programs of a search: the start, an epoch and an evaluation of many networks.

The networks, called lanes, share the architecture, the examples and their order, so that the first
layer of all of them is one matrix product: see `jaxnet.sweeps.lanes`.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer

from jaxnet.acceleration.programs import Program
from jaxnet.acceleration.xla_options import evaluation_options, training_options
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Params, Split
from jaxnet.recipes.recipe import Recipe
from jaxnet.sklearn.programs import (
    COSTS_OF_STEPS,
    EpochShape,
    loss_of_epoch,
    outputs_of,
    run_key,
    with_learning_rate,
)
from jaxnet.sweeps.lanes import LaneGroup
from jaxnet.training.epochs import epoch
from jaxnet.training.mini_batches import Sizes, Subset
from jaxnet.training.step import TrainState, evaluation_params, mean_cost, start


@dataclass(frozen=True)
class LaneShape:
    """The static choices of an epoch of lanes: each combination is a program of its own."""

    epoch: EpochShape
    """The architecture, and the room for examples."""
    group: LaneGroup
    """The lanes, at least 2."""
    measures_losses: bool
    """Whether the mini-batches' costs are computed, which takes a third of an epoch's time."""

    @property
    def net(self) -> Network:
        """The architecture."""
        return self.epoch.net


class LaneOrder(NamedTuple):
    """What the lanes of an epoch share."""

    seed: Integer[AnyArray, ""]
    """That of the randomness that is not scikit-learn's, such as dropout's."""
    counts: Int[AnyArray, " 2"]
    """The numbers of examples, and of examples per mini-batch."""
    rows: Int[AnyArray, " rows"]
    """The examples in their order."""


def _begin(
    shape: LaneShape, recipe: Recipe, seed: Integer[AnyArray, ""], params: Params
) -> TrainState:
    """The lanes' states before the first epoch, all with the same parameters."""
    key = run_key(seed)
    return shape.group(lambda own: start(shape.net, own, key, params, keep_best=False))(recipe)


def _train(
    shape: LaneShape,
    data: Split,
    recipe: Recipe,
    order: LaneOrder,
    rates: Float[AnyArray, " lanes"],
    is_training: Bool[AnyArray, " lanes"],
    state: TrainState,
) -> tuple[TrainState, Float[Array, "lanes 2"]]:
    """The lanes' states after an epoch, and its mini-batches' mean costs and penalties.

    A lane that is not training keeps its state.
    """
    n_examples, batch_size = order.counts
    n_steps = shape.epoch.n_steps
    after, costs = epoch(
        shape.net, shape.epoch.batch_size, data, order.rows, run_key(order.seed),
        with_learning_rate(recipe, rates), state,
        COSTS_OF_STEPS if shape.measures_losses else None,
        parallelism=shape.group, subset=Subset(Sizes(n_examples, batch_size, n_steps), order.rows),
    )  # fmt: skip
    after = shape.group(_where_training)((is_training, after, state))
    if costs is None:
        return after, jnp.zeros((shape.group.n_lanes, 2), rates.dtype)
    return after, loss_of_epoch(costs, n_examples, batch_size)


def _where_training(lane: tuple[Array, TrainState, TrainState]) -> TrainState:
    is_training, after, before = lane
    state = jax.tree.map(partial(jnp.where, is_training), after, before)
    return state._replace(step=after.step)  # it addresses the mini-batches, which all lanes share


def _evaluate(
    shape: LaneShape, params: Params, data: Split
) -> tuple[Float[Array, "lanes n n_out"], Float[Array, " lanes"]]:
    """Each lane's outputs for the same examples, and their mean cost."""
    assert data.weight is not None  # it is 0 for rows that fill up
    weights = data.weight / jnp.sum(data.weight)

    def of_lane(own: Params, data: Split, weights: Array) -> tuple[Array, Array]:
        cost = mean_cost(shape.net, own, data.x, data.y, None, weights)
        return outputs_of(shape.net, own, jnp.asarray(data.x)), cost

    return shape.group(of_lane)(params, data, weights)


def _predicting(shape: LaneShape, recipe: Recipe, state: TrainState) -> Params:
    """The lanes' parameters to predict with."""
    return shape.group(lambda lane: evaluation_params(*lane))((recipe, state))


begin_lanes = Program(_begin, lambda shape: {})
train_lanes = Program(_train, lambda shape: training_options(shape.net))
evaluate_lanes = Program(_evaluate, lambda shape: evaluation_options(shape.net))
params_of_lanes = Program(_predicting, lambda shape: {})
