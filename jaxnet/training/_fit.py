"""`fit`: a whole training run as a pure function."""

import operator
from collections.abc import Sequence
from typing import SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer

from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Dataset, EvaluatedSplit, History, Order, Params
from jaxnet.data.doubtful import warn_if_doubtful
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.checks import check_order, checked
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
    seed: int | np.integer | Integer[AnyArray, ""] = 0,
    params: Params | None = None,
    evaluate_on: Sequence[EvaluatedSplit] = ("evaluation", "training"),
    order: Order = "shuffled",
) -> tuple[Params, History]:
    """Train a network as a pure function, which can be compiled, mapped and differentiated.

    Under `jax.jit` the arguments called static below must be known, not traced; all others may be
    traced.

    Args:
      net: the architecture (static).
      data: the splits to train on and to evaluate. Pass it as an argument of the compiled function:
        closed over, it would become a constant of the program.
      recipe: how it is trained, with scalars for numbers. Its structure is static, its numbers may
        be traced. `jax.jvp` and `jax.grad` with respect to them work with all optimizers but
        `lbfgs` and `newton_cg`. The derivative by a dropout rate is that of the factor of the units
        that are kept: which ones are is a choice that has none.
      epochs: how many times every example is visited (static), at least 1.
      batch_size: examples per mini-batch (static), in [1, number of training examples]; 10 by
        default.
      seed: the seed of initial weights and mini-batches, in [0, 2³²); 0 by default.
      params: initial parameters, of the shapes of `net.sizes`; `None` draws them from the seed.
      evaluate_on: which splits to evaluate after each epoch (static): "evaluation" (the validation
        split), "training", both (the default) or none.
      order: the order in which each epoch visits the examples (static): "shuffled" (the default), a
        random one for each seed and epoch, or "sequential", that of the data.

    Returns:
      The parameters after the last epoch, or with a stopping rule those after the best one; and the
      history, whose curves have shape (epochs,) and are NaN after a stop. To tune a number of the
      recipe, differentiate `history.evaluation_data_cost[-1]`: `evaluation_cost` contains the
      penalty itself, so that its derivative makes a larger λ look worse than it is.

    Raises:
      ValueError: network, data and recipe do not fit together, a count is out of range, or a
        derivative is taken of a run with `lbfgs` or `newton_cg`.

    Warns:
      UserWarning: the data are hardly what is meant, such as float pixels up to 255.

    >>> from functools import partial
    >>> from jaxnet import datasets
    >>> from jaxnet.recipes.optimizers import adam
    >>> run = partial(fit, Network((2, 8, 2)), epochs=3)
    >>> params, history = jax.jit(run)(datasets.xor(), Recipe(adam(0.01)))
    >>> history.training_cost.shape
    (3,)
    """
    data = checked(net, data, recipe, epochs, batch_size, seed, params, evaluate_on)
    check_order(order)
    warn_if_doubtful(data, "the data")
    epochs, batch_size = operator.index(epochs), operator.index(batch_size)
    key = jax.random.key(seed, impl="threefry2x32")
    state = start(net, recipe, key, params)
    program = EpochProgram(net, batch_size, tuple(evaluate_on), order=order)

    def train_unless_stopped(state: TrainState, index: Array) -> tuple[TrainState, History]:
        def train() -> tuple[TrainState, History]:
            after, _ = train_epoch(program, data.train, key, index, recipe, None, state)
            result = finish_epoch(program, data, index, recipe, None, after)
            return result.state, result.row

        if recipe.stopping is None:
            return train()
        nan_row = History(*[jnp.full((), jnp.nan, state.params[0].w.dtype)] * len(History._fields))
        return jax.lax.cond(state.watch.stopped, lambda: (state, nan_row), train)

    state, history = jax.lax.scan(train_unless_stopped, state, jnp.arange(epochs))
    if recipe.stopping is not None:
        return state.watch.best, history
    return recipe.optimizer.evaluation_params(state.opt_state, state.params), history
