"""Outputs and scores of many trained networks, by few programs and within bounded memory."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from jaxnet.core import network
from jaxnet.core.checks import check_split
from jaxnet.core.dtypes import computing_in, unrounded_type, unshared
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Dataset, Input, Inputs, Params, Split
from jaxnet.sweeps.folds import standardized
from jaxnet.training import evaluation
from jaxnet.training.evaluation import CHUNK, ScoresAndMetrics
from jaxnet.training.measured import Measured, check_metrics
from jaxnet.training.metrics import MetricFunction, NamedMetrics

MOST_BYTES = 2**28
"""About as many bytes, at most, a program has for activations, and for what it returns."""


class NetworkScores(NamedTuple):
    """Costs, accuracies and metrics of many networks on a split: one number for each of them.

    Attributes:
      cost: the mean cost per example, without penalties.
      accuracy: the fraction of examples classified correctly, in [0, 1]; NaN for numbers to
        predict.
      metrics: the metrics, by the names that they were given.

    >>> NetworkScores(np.array([0.5, 0.25]), np.array([0.75, 1.0]), {}).accuracy.max().item()
    1.0
    """

    cost: Float[np.ndarray, "..."]
    accuracy: Float[np.ndarray, "..."]
    metrics: dict[str, Float[np.ndarray, "..."]]


class NetworkStack(NamedTuple):
    """Trained networks of one architecture that read their inputs in the same way."""

    network: Network
    """The architecture."""
    params: Params
    """The parameters, (networks, …)."""
    places: Int[np.ndarray, " networks"]
    """The places of the networks among all those that are asked for."""
    shift: Float[np.ndarray, " n_in"] | None = None
    """What is subtracted from each input; None for nothing."""
    scale: Float[np.ndarray, " n_in"] | None = None
    """What each input is multiplied by then; None for nothing."""

    def outputs(self, xs: Inputs) -> Float[np.ndarray, "networks n n_out"]:
        """The output activations of all networks for these inputs."""
        xs = unshared(np.asarray(standardized(xs, self.shift, self.scale)))
        with computing_in(unrounded_type(self.params)):
            parts = [
                np.asarray(_compiled_outputs(self.network, params, xs))[:n]
                for params, n in self._parts(len(xs))
            ]
        return np.concatenate(parts)

    def scores(self, split: Split, metrics: NamedMetrics) -> ScoresAndMetrics:
        """The scores of all networks on a split, each of shape (networks,)."""
        split = check_split(self.network, "evaluated", split)
        split = split._replace(x=standardized(split.x, self.shift, self.scale))
        with computing_in(unrounded_type(self.params)):
            check_metrics(self.network, Dataset(split), Measured(("training",), metrics))
            parts = [
                jax.tree.map(
                    lambda array, n=n: np.asarray(array)[:n],
                    _compiled_scores(self.network, params, unshared(split), metrics),
                )
                for params, n in self._parts(len(split.x))
            ]
        return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)

    def resampled_scores(
        self,
        split: Split,
        weights: Num[np.ndarray, "resamples n"] | Bool[np.ndarray, "resamples n"],
        metric: str | MetricFunction,
    ) -> Float[np.ndarray, "networks resamples"]:
        """One score of all networks on each resample of a split."""
        split = check_split(self.network, "evaluated", split)
        split = split._replace(x=standardized(split.x, self.shift, self.scale))
        with computing_in(unrounded_type(self.params)):
            parts = [
                np.asarray(
                    _compiled_resampled(self.network, params, unshared(split), weights, metric)
                )[:n]
                for params, n in self._parts(len(split.x))
            ]
        return np.concatenate(parts)

    def _parts(self, n: int) -> Iterator[tuple[Params, int]]:
        """The networks in parts of equal size for n examples, and how many are in each part.

        The last part is filled up with copies, so that all are one program.
        """
        n_networks, sizes = len(self.places), self.network.sizes
        n_numbers = min(n, CHUNK) * sum(sizes) + n * sizes[-1] + self.network.n_params
        most = max(1, MOST_BYTES // (self.params[0].w.dtype.itemsize * n_numbers))
        size = -(-n_networks // -(-n_networks // most))
        for first in range(0, n_networks, size):
            rows = np.minimum(np.arange(first, first + size), n_networks - 1)
            yield (
                jax.tree.map(lambda array, rows=rows: array[rows], self.params),
                min(size, n_networks - first),
            )


def outputs_of(
    stacks: Sequence[NetworkStack], n_networks: int, x: object
) -> Float[np.ndarray, "networks *batch n_out"]:
    """The output activations of networks of one or more architectures.

    Args:
      stacks: the networks, one stack or more.
      n_networks: how many networks there are; those in no stack have NaN.
      x: one example, (n_in,), or many, (n, n_in), as `jaxnet.predict` takes them.

    Returns:
      The activations in the parameters' type, (networks, n_out) or (networks, n, n_out).

    Raises:
      ValueError: x does not fit the networks.
    """
    first = stacks[0]
    examples = np.asarray(network.flat_examples(x, first.network.sizes[0]))
    xs = examples[None] if examples.ndim == 1 else examples
    shape = (n_networks, len(xs), first.network.sizes[-1])
    outputs = np.full(shape, np.nan, first.params[0].w.dtype)
    for stack in stacks:
        outputs[stack.places] = stack.outputs(xs)
    return outputs[:, 0] if examples.ndim == 1 else outputs


def scores_of(
    stacks_and_splits: Sequence[tuple[NetworkStack, Split]],
    shape: tuple[int, ...],
    metrics: NamedMetrics,
) -> NetworkScores:
    """The scores of networks of one or more architectures.

    Args:
      stacks_and_splits: the networks, and the split that each stack is evaluated on.
      shape: the axes of all networks; those in no stack have NaN.
      metrics: what to compute besides costs and accuracies.

    Returns:
      Arrays of this shape.

    Raises:
      ValueError: a split does not fit the networks, or a metric cannot be computed.
    """
    names = [name for name, _ in metrics]
    table = np.full((2 + len(names), int(np.prod(shape))), np.nan)
    for stack, split in stacks_and_splits:
        scores = stack.scores(split, metrics)
        rows = (scores.cost, scores.accuracy, *(scores.metrics[name] for name in names))
        table[:, stack.places] = rows
    cost, accuracy, *values = table.reshape(-1, *shape)
    return NetworkScores(cost, accuracy, dict(zip(names, values, strict=True)))


def resampled_scores(
    stacks: Sequence[NetworkStack],
    n_networks: int,
    split: Split,
    weights: Num[np.ndarray, "resamples n"] | Bool[np.ndarray, "resamples n"],
    metric: str | MetricFunction,
) -> Float[np.ndarray, "networks resamples"]:
    """One score of networks of one or more architectures on each resample of a split.

    Args:
      stacks: the networks, one stack or more.
      n_networks: how many networks there are; those in no stack have NaN.
      split: the examples and their targets.
      weights: how often each example is in each resample; its own weight is multiplied by that.
      metric: "accuracy", "cost" (without penalties) or a metric.

    Returns:
      The scores, NaN where the metric has no value.

    Raises:
      ValueError: the split does not fit the networks.
    """
    scores = np.full((n_networks, len(weights)), np.nan)
    for stack in stacks:
        scores[stack.places] = stack.resampled_scores(split, weights, metric)
    return scores


def _outputs(net: Network, params: Params, xs: AnyArray) -> Float[Array, "networks n n_out"]:
    """The output activations of stacked networks."""

    def of_example(x: Input) -> Array:
        return jax.vmap(lambda own: net.cost.output.fn(network.forward(net, own, x)[1][-1]))(params)

    outputs = jax.lax.map(of_example, jnp.asarray(xs), batch_size=min(CHUNK, len(xs)))
    return jnp.moveaxis(outputs, 0, 1)


_compiled_outputs = jax.jit(_outputs, static_argnames="net")


def _scores(net: Network, params: Params, split: Split, metrics: NamedMetrics) -> ScoresAndMetrics:
    """The scores of stacked networks."""

    def of_network(own: Params) -> ScoresAndMetrics:
        scores, values = evaluation.scores_and_metrics(net, own, split, metrics)
        return ScoresAndMetrics(*scores, dict[str, AnyArray](values))

    return jax.vmap(of_network)(params)


_compiled_scores = jax.jit(_scores, static_argnames=("net", "metrics"))


def _resampled(
    net: Network, params: Params, split: Split, weights: AnyArray, metric: str | MetricFunction
) -> Float[Array, "networks resamples"]:
    """One score of stacked networks on each resample of a split."""
    of_network = lambda own: evaluation.resampled_scores(net, own, split, weights, metric)
    return jax.vmap(of_network)(params)


_compiled_resampled = jax.jit(_resampled, static_argnames=("net", "metric"))
