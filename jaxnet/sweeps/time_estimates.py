"""Estimates of the time that programs take, to compile and to train.

They decide, together with shapes alone, which networks share a program and whether a smaller one
pays, and they make a plan's seconds. A decision never depends on a measured time: the same call
makes the same programs, on whatever machine, so that its results are the same to the last bit.

An epoch of one lane among many takes, on the core that the numbers below are from,

    operations / (0.6 · rate of a matrix product) + 3 ns · activations + (0.2 + 0.5 · moments) ns ·
    parameters · steps,

where activations are examples times units, and moments the arrays of the optimizer's state that
mirror the parameters. Its evaluation takes half as long for each activation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax

from jaxnet.acceleration import first_layer
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, EvaluatedSplit
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.step import state_struct

REFERENCE_RATE = 1.4e11
"""The operations per second of a matrix product on the core that all other numbers are from."""
PRODUCT_EFFICIENCY = 0.6
"""The rate of the small products of a step, as a part of the rate of a large one."""
TRAINED_ACTIVATION_SECONDS = 3e-9
EVALUATED_ACTIVATION_SECONDS = 1.5e-9
PARAMETER_SECONDS = 0.2e-9
"""For each parameter and step; none where the first layer is trained in the span of its inputs."""
MOMENT_SECONDS = 0.5e-9
"""For each number of the optimizer's state and step."""
DISPATCH_SECONDS = 1.5e-3
"""For each epoch of a chunk: two calls, and the results of its lanes."""
COMPILE_SECONDS = 1.0
"""To compile the two programs of a chunk, for each layer. With 1.6 eight widths from 4 to 128 would
share two programs, not three, and take longer, the first time as well."""
DRAW_SECONDS = 0.2
"""To compile what draws the initial weights of networks of one shape."""
FIRST_CALL_SECONDS = 1.0
"""To trace and to begin, in a process that has not done it yet."""


class EpochSize(NamedTuple):
    """What one lane is trained on in an epoch."""

    batch_size: int
    """Examples per mini-batch."""
    n_train: int
    """Training examples."""
    n_evaluated: int
    """Examples evaluated after the epoch."""


def n_evaluated(evaluate_on: Sequence[EvaluatedSplit], data: Dataset, n_train: int) -> int:
    """The examples that are evaluated after each epoch.

    Args:
      evaluate_on: the names of the splits: "evaluation", "test", "training".
      data: the splits.
      n_train: training examples.

    >>> from jaxnet.data import datasets
    >>> n_evaluated(("training", "test"), datasets.xor(n=20)._replace(test=None), 15)
    15
    """
    numbers = {"training": n_train}
    for name, split in (("evaluation", data.valid), ("test", data.test)):
        numbers[name] = 0 if split is None else len(split.x)
    return sum(numbers[name] for name in evaluate_on)


def operations(net: Network) -> int:
    """Multiplications and additions to train one example: no gradient with respect to inputs.

    Args:
      net: the network.

    >>> operations(Network((784, 30, 10)))
    95880
    """
    pairs = list(zip(net.sizes, net.sizes[1:]))
    return sum(6 * n_in * n_out for n_in, n_out in pairs) - 2 * pairs[0][0] * pairs[0][1]


def lane_epoch_seconds(
    net: Network, recipe: Recipe, size: EpochSize, n_lanes: int, rate: float = REFERENCE_RATE
) -> float:
    """The time of one epoch of one lane, evaluation included.

    Only the products are as fast as the rate says where that is above the reference: what a core
    has more of then, such as wider registers, hardly helps the loops over small arrays.

    Args:
      net: the network of the program, as wide as it is padded.
      recipe: how the lane is trained; only its structure counts.
      size: what it is trained on.
      n_lanes: lanes that share its mini-batches.
      rate: the operations per second of a matrix product; those of the reference core by default.
    """
    product_seconds = 1 / (PRODUCT_EFFICIENCY * rate)
    n_units, n_steps = sum(net.sizes[1:]), -(-size.n_train // size.batch_size)
    n_params, n_moments = net.n_params, _optimizer_numbers(net, recipe)
    if first_layer.span_steps(net, recipe, size.batch_size, n_lanes):
        share = 1 - net.sizes[0] * net.sizes[1] / n_params
        n_params, n_moments = share * n_params, share * n_moments
    products = operations(net) * size.n_train + 2 * net.n_params * size.n_evaluated
    loops = (
        size.n_train * n_units * TRAINED_ACTIVATION_SECONDS
        + size.n_evaluated * n_units * EVALUATED_ACTIVATION_SECONDS
        + n_steps * (n_params * PARAMETER_SECONDS + n_moments * MOMENT_SECONDS)
    )
    return products * product_seconds + loops * max(1.0, REFERENCE_RATE / rate)


def compile_seconds(net: Network) -> float:
    """The time to compile the programs of an epoch of this network.

    Args:
      net: the network of the program.
    """
    return COMPILE_SECONDS * (len(net.sizes) - 1)


def _optimizer_numbers(net: Network, recipe: Recipe) -> int:
    """The numbers of the optimizer's state of one lane."""
    leaves = jax.tree.leaves(state_struct(net, recipe, keep_best=False).opt_state)
    return sum(leaf.size for leaf in leaves)
