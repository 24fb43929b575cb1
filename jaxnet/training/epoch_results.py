"""Results of an epoch: its evaluation, its row of the history, and the stopping rule's state."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxnet.acceleration.padding import UnitMasks
from jaxnet.core.types import AnyArray, Dataset, History, Params, Split
from jaxnet.recipes import stopping
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.regularization import penalty
from jaxnet.recipes.trainable import TrainableMasks
from jaxnet.training.epochs import EpochProgram
from jaxnet.training.evaluation import Scores, scores_and_metrics
from jaxnet.training.mini_batches import Rows, Subset
from jaxnet.training.step import TrainState, evaluation_params

Evaluated = dict[str, tuple[Scores, dict[str, Float[Array, "..."]]]]
"""The scores and the metrics on each split that was evaluated, by the split's name."""


class EpochResult(NamedTuple):
    """Result of one epoch; with lanes each array has an axis for them."""

    state: TrainState
    """The state after the epoch, with the stopping rule's state updated."""
    params: Params
    """The parameters to evaluate and to keep, as `Optimizer.evaluation_params` gives them."""
    row: History
    """The epoch's costs, accuracies and metrics, NaN where a split is not evaluated."""
    learning_rate: Float[Array, "..."]
    """η of the last step; NaN where the optimizer has none."""
    finite: Bool[Array, "..."]
    """Whether all parameters and costs are finite."""


def finish_epoch(
    program: EpochProgram,
    data: Dataset,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    units: UnitMasks | None,
    state: TrainState,
    trainable: TrainableMasks | None = None,
    subset: Subset | None = None,
) -> EpochResult:
    """Evaluate the networks after an epoch and update their stopping rules.

    With lanes in the program's `parallelism`, `recipe`, `units`, `state` and `trainable` are those
    of all lanes, stacked.

    Args:
      program: the static choices.
      data: the splits to evaluate.
      index: the number of the epoch, from 0.
      recipe: how it was trained.
      units: which hidden units are the network's own, if some are padding.
      state: the state after `train_epoch`.
      trainable: which numbers are trained; `None`, the default, for all.
      subset: the examples of the networks, and how their inputs are scaled; `None`, the default,
        for all as they are.

    Returns:
      The result of the epoch.
    """
    net, parallelism = program.net, program.parallelism
    n_steps = -(-len(data.train.x) // program.batch_size)
    if subset is not None:
        n_steps = subset.sizes.n_steps

    def evaluated_params(
        network: tuple[Recipe, UnitMasks | None, TrainableMasks | None, TrainState],
    ) -> Params:
        recipe, units, trainable, state = network
        params = evaluation_params(recipe, state, trainable)
        return params if units is None else units.zero_padding(params)

    def update_watch(
        network: tuple[Recipe, TrainState, Params, Evaluated],
    ) -> tuple[TrainState, History, Array, Array]:
        recipe, state, params, evaluated = network
        row, finite = _history_row(program, n_evaluated, recipe, state, params, evaluated)
        optimizer = recipe.optimizer_at(state.step - 1, n_steps, state.watch.scale)
        rate = jnp.asarray(optimizer.hyper.get("learning_rate", jnp.nan), params[0].w.dtype)
        watch = stopping.update(
            recipe.stopping, state.watch, params, row, index + 1, program.criterion
        )
        return state._replace(watch=watch), row, rate, finite

    params = parallelism(evaluated_params)((recipe, units, trainable, state))
    n_evaluated, evaluated = {}, {}
    for name in program.evaluate_on:
        split, rows = _examples_called(data, name, subset)
        if split is not None:
            n_evaluated[name] = len(split.x) if rows is None else rows.n
            evaluated[name] = scores_and_metrics(
                net, params, split, program.metrics, parallelism, rows, subset
            )
    state, row, rate, finite = parallelism(update_watch)((recipe, state, params, evaluated))
    return EpochResult(state=state, params=params, row=row, learning_rate=rate, finite=finite)


def _examples_called(
    data: Dataset, name: str, subset: Subset | None
) -> tuple[Split | None, Rows | None]:
    """The split that is evaluated under this name, and its rows if not all of them count."""
    splits = {"evaluation": data.valid, "training": data.train, "test": data.test}
    if subset is None:
        return splits[name], None
    sizes, most = subset.sizes, None
    if sizes.last_step is not None:
        most = sizes.last_step * jnp.max(sizes.batch_size)
    rows = {
        "evaluation": subset.valid,
        "training": Rows(subset.train, sizes.n_examples, most),
        "test": subset.test,
    }[name]
    return (splits[name], None) if rows is None else (data.train, rows)


def _history_row(
    program: EpochProgram,
    n_evaluated: Mapping[str, int | Int[AnyArray, ""]],
    recipe: Recipe,
    state: TrainState,
    params: Params,
    evaluated: Evaluated,
) -> tuple[History, Bool[Array, ""]]:
    """The epoch's row of the history, and whether all parameters and costs are finite.

    The test split decides on nothing, so that a cost on it may be infinite.

    Args:
      program: the static choices.
      n_evaluated: the examples of each split that was evaluated: they divide the penalties.
      recipe: how the network is trained; its penalties are added to the costs.
      state: the state after the epoch.
      params: the parameters that were evaluated.
      evaluated: the scores, without penalties, and the metrics on each split that was evaluated.
    """
    unknown = jnp.full((), jnp.nan, params[0].w.dtype)
    finite = [jnp.all(jnp.isfinite(array)) for array in jax.tree.leaves(state.params)]
    curves = dict.fromkeys((*History.CURVES, *program.metric_names), unknown)
    for split, (split_scores, metrics) in evaluated.items():
        cost = split_scores.cost + penalty(params, n_evaluated[split], recipe.l1, recipe.l2)
        if split != "test":
            finite.append(jnp.isfinite(cost))
        numbers = {
            "cost": cost, "accuracy": split_scores.accuracy, "data_cost": split_scores.cost,
        } | metrics  # fmt: skip
        curves |= {f"{split}_{name}": number for name, number in numbers.items()}
    known = [curves.pop(name) for name in History.CURVES]
    return History(*known, metrics={**curves}), jnp.all(jnp.stack(finite))
