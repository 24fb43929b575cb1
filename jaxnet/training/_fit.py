"""`fit`: a whole training run as a pure function."""

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, Params
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.checks import checked
from jaxnet.training.epochs import EpochProgram, finish_epoch, train_epoch
from jaxnet.training.step import TrainState, start


@renamed_arguments(monitor="evaluate_on")
def fit(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    *,
    epochs: SupportsIndex,
    batch_size: SupportsIndex = 10,
    seed: Any = 0,
    params: Params | None = None,
    evaluate_on: Sequence[str] = ("evaluation", "training"),
) -> tuple[Params, History]:
    """A whole training run as a pure function: `jit`, `vmap` or differentiate it.

    Args:
      net, epochs, batch_size, evaluate_on: static; see `train`.
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

    >>> from functools import partial
    >>> from jaxnet import datasets
    >>> from jaxnet.recipes.optimizers import adam
    >>> run = partial(fit, Network((2, 8, 2)), epochs=3)
    >>> params, history = jax.jit(run)(datasets.xor(), Recipe(adam(0.01)))
    >>> history.training_cost.shape
    (3,)
    """
    data = checked(net, data, recipe, epochs, batch_size, seed, params, evaluate_on)
    epochs, batch_size = operator.index(epochs), operator.index(batch_size)
    key = jax.random.key(seed, impl="threefry2x32")
    state = start(net, recipe, key, params)
    program = EpochProgram(net, batch_size, tuple(evaluate_on))

    def body(state: TrainState, index: Array) -> tuple[TrainState, History]:
        def go_on() -> tuple[TrainState, History]:
            after, _ = train_epoch(program, data.train, key, index, recipe, None, state)
            result = finish_epoch(program, data, index, recipe, None, after)
            return result.state, result.row

        if recipe.stopping is None:
            return go_on()
        nothing = History(*[jnp.full((), jnp.nan, state.params[0].w.dtype)] * 4)
        return jax.lax.cond(state.watch.stopped, lambda: (state, nothing), go_on)

    state, history = jax.lax.scan(body, state, jnp.arange(epochs))
    if recipe.stopping is not None:
        return state.watch.best, history
    return recipe.optimizer.evaluation_params(state.opt_state, state.params), history
