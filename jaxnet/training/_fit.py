"""`fit`: a whole training run as a pure function."""

import operator
from collections.abc import Mapping, Sequence
from typing import SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer

from jaxnet.core.arguments import require_choice
from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.dtypes import FloatType, computing_in, in_dtype, on_host, unshared
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Dataset, EvaluatedSplit, History, Order, Params
from jaxnet.data.doubtful import warn_if_doubtful
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.trainable import Trainable, trainable_masks
from jaxnet.training.checks import check_monitors, check_not_traced, check_order, checked
from jaxnet.training.epoch_results import finish_epoch
from jaxnet.training.epochs import EpochAddress, EpochProgram, train_epoch
from jaxnet.training.measured import measured
from jaxnet.training.metrics import MetricFunction
from jaxnet.training.monitors import Monitors
from jaxnet.training.step import TrainState, evaluation_params, start


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
    evaluate_on: Sequence[EvaluatedSplit] = ("validation", "training"),
    metrics: Mapping[str, MetricFunction] | None = None,
    monitors: Monitors | None = None,
    order: Order = "shuffled",
    trainable: Trainable = None,
    dtype: FloatType | None = None,
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
      evaluate_on: which splits to evaluate after each epoch (static), of "validation", "training"
        (the default is these two) and "test", which decides on nothing.
      metrics: what else to evaluate on these splits, by name, as in `train` (static); `None` for
        nothing.
      monitors: what to measure during training (static): see `jaxnet.Monitors`; `None` for nothing.
      order: the order in which each epoch visits the examples (static): "shuffled" (the default), a
        random one for each seed and epoch, or "sequential", that of the data.
      trainable: which parameters are trained, as in `jaxnet.train`; arrays in it may be traced,
        single booleans are static. `None`, the default, trains all.
      dtype: "float32" or "float64" (static): the type to compute in, as in `jaxnet.train`. A
        function that is compiled or differentiated cannot change its type: call it within
        `jax.enable_x64(True)`. `None`, the default, is JAX's default.

    Returns:
      The parameters after the last epoch, or with a stopping rule those after the best one; and the
      history, whose curves have shape (epochs,), and its monitors (epochs, measurements, layers);
      all are NaN after a stop. To tune a number of the
      recipe, differentiate `history.evaluation_data_cost[-1]`: `evaluation_cost` contains the
      penalty itself, so that its derivative makes a larger λ look worse than it is.

    Raises:
      ValueError: network, data and recipe do not fit together, a count is out of range, or a
        derivative is taken of a run with `lbfgs` or `newton_cg`, or a type is asked for in a
        compiled function that has another one.

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
    _check_dtype(dtype, data, recipe, seed, params, trainable)
    with computing_in(dtype):
        recipe = in_dtype(dtype, recipe)
        choices = measured(evaluate_on, metrics, monitors)
        data = checked(net, data, recipe, epochs, batch_size, seed, params, choices)
        warn_if_doubtful(data, "the data")
        epochs, batch_size = operator.index(epochs), operator.index(batch_size)
        n_steps = -(-len(data.train.x) // batch_size)
        check_monitors(monitors, net, n_steps)
        check_order(order)
        data, params = unshared((data, params))
        key = jax.random.key(seed, impl="threefry2x32")
        masks = trainable_masks(net, trainable)
        state = start(net, recipe, key, params, trainable=masks)
        program = EpochProgram(
            net=net,
            batch_size=batch_size,
            evaluate_on=choices.evaluate_on,
            monitors=monitors,
            metrics=choices.metrics,
            criterion=choices.best_by(recipe.stopping),
            order=order,
        )

        def train_unless_stopped(state: TrainState, index: Array) -> tuple[TrainState, History]:
            def train() -> tuple[TrainState, History]:
                after, table = train_epoch(
                    program, data.train, EpochAddress(key, index), recipe, None, state, masks
                )
                result = finish_epoch(program, data, index, recipe, None, after, masks)
                return result.state, program.with_measurements(result.row, table)

            if recipe.stopping is None:
                return train()
            nan_row = program.unknown_row(n_steps, state.params[0].w.dtype)
            return jax.lax.cond(state.watch.stopped, lambda: (state, nan_row), train)

        state, history = jax.lax.scan(train_unless_stopped, state, jnp.arange(epochs))
        if recipe.stopping is not None:
            return on_host(dtype, (state.watch.best, history))
        return on_host(dtype, (evaluation_params(recipe, state, masks), history))


def _check_dtype(dtype: FloatType | None, *arrays: object) -> None:
    """Check that the type is known, and that no array is traced if it is not JAX's own."""
    if dtype is not None:
        require_choice("dtype", dtype, ("float32", "float64"))
    if dtype not in (None, str(jax.dtypes.canonicalize_dtype(float))):
        is_64 = dtype == "float64"
        instead = f"leave dtype out, and call that function within jax.enable_x64({is_64})"
        check_not_traced(f"fit with dtype={dtype!r}", instead, *arrays)
