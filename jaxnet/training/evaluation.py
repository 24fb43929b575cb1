"""Evaluation: the cost and accuracy of a network on a split, per example and per class, too."""

from collections.abc import Mapping
from typing import NamedTuple, overload

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from jaxnet.acceleration.blocks import block_steps
from jaxnet.core import accuracy, network
from jaxnet.core.arguments import brief
from jaxnet.core.checks import check_split
from jaxnet.core.conversion import labels_of_floats
from jaxnet.core.dtypes import computing_in, on_host, unrounded_type, unshared
from jaxnet.core.hyperparameters import leaf
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Dataset, Input, Numbers, Params, Split, Target
from jaxnet.recipes.regularization import penalty
from jaxnet.training.measured import check_metrics, measured
from jaxnet.training.metrics import MetricFunction, NamedMetrics
from jaxnet.training.mini_batches import Rows, Subset
from jaxnet.training.parallelism import SINGLE, Parallelism

CHUNK = 1000
"""The most examples evaluated at once: bounds the memory, keeps the matrix products large."""
CACHE_BYTES = 2**20
"""On a CPU, the bytes that the activations of all lanes should have, to stay in a core's cache. At
[64, 32, 10] 32 lanes take 0.26 ms for 1,797 examples, with ten times as many bytes 0.32 ms."""


class Scores(NamedTuple):
    """A network's cost and its accuracy on a split."""

    cost: Float[AnyArray, ""]
    """The mean cost per example, plus the penalties that were asked for."""
    accuracy: Float[AnyArray, ""]
    """The fraction of examples classified correctly, in [0, 1]; NaN for numbers to predict."""


class ScoresAndMetrics(NamedTuple):
    """A network's cost, its accuracy, and its metrics on a split."""

    cost: Float[AnyArray, ""]
    """As in `Scores`."""
    accuracy: Float[AnyArray, ""]
    """As in `Scores`."""
    metrics: dict[str, Float[AnyArray, ""]]
    """The metrics, by the names that they were given."""


@overload
def evaluate(
    net: Network,
    params: Params,
    split: Split,
    l1: Numbers | None = None,
    l2: Numbers | None = None,
    metrics: None = None,
) -> Scores: ...
@overload
def evaluate(
    net: Network,
    params: Params,
    split: Split,
    l1: Numbers | None = None,
    l2: Numbers | None = None,
    *,
    metrics: Mapping[str, MetricFunction],
) -> ScoresAndMetrics: ...
def evaluate(
    net: Network,
    params: Params,
    split: Split,
    l1: Numbers | None = None,
    l2: Numbers | None = None,
    metrics: Mapping[str, MetricFunction] | None = None,
) -> Scores | ScoresAndMetrics:
    """The cost and the accuracy of a network on a split, and metrics.

    The cost is the mean over the split plus the penalties, with the *split's* size for n, as in
    network2's `total_cost`. Where the split has weights, mean and accuracy are weighted. An example
    is classified correctly if its largest output is that of its label; a network of one output says
    1 where it is above ½, and 0 elsewhere. An example with an output that is NaN is classified
    wrongly. Float targets have an accuracy where they are probabilities of a softmax, whose most
    probable class has to be predicted, or multi-label ones of sigmoid outputs, 0 or 1, all of which
    have to be on the right side of ½.

    Args:
      net: the architecture.
      params: its parameters.
      split: the examples and their targets.
      l1: λ₁ ≥ 0 of the penalty (λ₁/n)Σ|w|; `None` leaves it out.
      l2: λ₂ ≥ 0 of the penalty (λ₂/2n)Σw²; `None` leaves it out.
      metrics: what else to compute, by names of your choice, as `train` takes them:
        `{"auc": jaxnet.metrics.roc_auc}`. `None`, the default, for nothing.

    Returns:
      `cost` and `accuracy`, two scalars; the accuracy is a fraction, NaN for numbers to predict.
      With metrics there is a third field, `metrics`, a dictionary of scalars by these names. All
      are computed in the parameters' type, and are NumPy arrays where that is float64 and JAX's
      default is float32.

    Raises:
      ValueError: network, parameters and split do not fit together, a λ is negative, or a metric
        cannot be computed.

    >>> net = Network((2, 3, 2))
    >>> split = Split(jnp.ones((4, 2)), jnp.zeros(4, int))
    >>> evaluate(net, network.init(net, jax.random.key(0)), split).accuracy.item() in (0.0, 1.0)
    True
    >>> from jaxnet.training.metrics import mae
    >>> zeros = network.zero_params(net)  # of which all outputs are ½
    >>> evaluate(net, zeros, split, metrics={"error": mae}).metrics["error"].item()
    0.5
    """
    network.check_params(net, params)
    split = unshared(check_split(net, "evaluated", split))
    dtype = unrounded_type(params, *split, l1, l2)
    with computing_in(dtype):
        choices = measured(("training",), metrics)
        check_metrics(net, Dataset(split), choices)
        (cost, accuracy), values = _compiled_penalized_scores(
            net, params, split, leaf("l1", l1), leaf("l2", l2), choices.metrics
        )
        cost, accuracy, values = on_host(dtype, (cost, accuracy, values))
    if metrics is None:
        return Scores(cost, accuracy)
    return ScoresAndMetrics(cost, accuracy, values)


def scores(
    net: Network,
    params: Params,
    split: Split,
    parallelism: Parallelism = SINGLE,
    rows: Rows | None = None,
    subset: Subset | None = None,
) -> Scores:
    """The accuracy, and the cost without penalties, for use inside a program: nothing is checked.

    Args:
      net: the architecture.
      params: its parameters; those of all lanes, stacked, if `parallelism` has lanes.
      split: the examples and their targets, which lanes share. Both are means over the examples,
        weighted if the split has weights.
      parallelism: how many networks and devices take part.
      rows: which of the examples count; `None`, the default, for all.
      subset: how the inputs are scaled; `None`, the default, if they are not.

    Returns:
      The scores; with lanes, each has an axis for them.
    """
    examples = jax.tree.map(jnp.asarray, split)
    n = len(examples.x) if rows is None else rows.indices.shape[-1]

    def sum_over_examples(params: Params, examples: Split) -> Scores:
        scores = jax.vmap(lambda x, y: _score(net, params, x, y))(examples.x, examples.y)
        if examples.weight is None:
            return jax.tree.map(jnp.sum, scores)
        weight = examples.weight.astype(scores.cost.dtype)
        return jax.tree.map(lambda scores: jnp.dot(weight, scores, precision="highest"), scores)

    def means(total: Scores, divisor: int | Array) -> Scores:
        # Behind the barrier XLA divides; else it multiplies by 1/n, rounded: not 0.9634.
        divisor = jax.lax.optimization_barrier(jnp.asarray(divisor, total.cost.dtype))
        return Scores(total.cost / divisor, total.accuracy / divisor)

    to_cut, divisor = examples, n if examples.weight is None else jnp.sum(examples.weight)
    if rows is not None:
        weight = _weights_of_rows(examples, rows)
        to_cut, divisor = _WeightedRows(jnp.asarray(rows.indices), weight), jnp.sum(weight)
    size = block_steps(n, _examples_at_once(net, parallelism.n_lanes))

    def sums_of_chunk(index: Array) -> Scores:
        # The last chunk ends with the last example: those before it that it repeats do not count.
        first = jnp.minimum(index * size, n - size)
        cut = lambda array: jax.lax.dynamic_slice_in_dim(array, first, size)
        part: Split | _WeightedRows = jax.tree.map(cut, to_cut)
        if isinstance(part, _WeightedRows):
            part = Split(examples.x[part.indices], examples.y[part.indices], part.weight)
        if n % size:
            is_new = first + jnp.arange(size) >= index * size
            weight = is_new if part.weight is None else jnp.where(is_new, part.weight, 0)
            part = part._replace(weight=weight)
        if subset is not None:
            part = part._replace(x=subset.inputs(part.x, params[0].w.dtype))
        return parallelism(sum_over_examples)(params, parallelism.split(part))

    n_chunks = -(-n // size)
    if rows is None or rows.most is None:
        chunk_sums = jax.lax.map(sums_of_chunk, jnp.arange(n_chunks))
        total = jax.tree.map(lambda array: jnp.sum(array, axis=0), chunk_sums)
    else:  # the chunks after these have no rows
        n_needed = jnp.minimum(-(-rows.most // size), n_chunks)
        add = lambda index, total: jax.tree.map(jnp.add, total, sums_of_chunk(index))
        total = jax.lax.fori_loop(1, n_needed, add, sums_of_chunk(jnp.zeros((), jnp.int32)))
    return parallelism(means)(total, divisor)


def _examples_at_once(net: Network, n_lanes: int) -> int:
    """The most examples to evaluate at once in a program of so many lanes."""
    if n_lanes == 1 or jax.default_backend() != "cpu":
        return CHUNK
    item_bytes = jax.dtypes.canonicalize_dtype(float).itemsize
    return min(CHUNK, max(1, CACHE_BYTES // (item_bytes * n_lanes * sum(net.sizes[1:]))))


class _WeightedRows(NamedTuple):
    """Some examples of a split, by their indices, and how much each counts."""

    indices: Int[Array, " n_all"]
    weight: Float[Array, " n_all"]


def _weights_of_rows(examples: Split, rows: Rows) -> Float[Array, " n_all"]:
    """The weight of each example of some rows, 0 where it only fills them up."""
    is_example = jnp.arange(rows.indices.shape[-1]) < rows.n
    if examples.weight is None:
        return is_example.astype(jax.dtypes.canonicalize_dtype(float))
    return jnp.where(is_example, examples.weight[rows.indices], 0)


def scores_and_metrics(
    net: Network,
    params: Params,
    split: Split,
    metrics: NamedMetrics,
    parallelism: Parallelism = SINGLE,
    rows: Rows | None = None,
    subset: Subset | None = None,
) -> tuple[Scores, dict[str, Float[Array, "..."]]]:
    """What `scores` returns, and the values of metrics, for use inside a program.

    Outputs are computed in chunks of examples; a metric sees those of the whole split.

    Args:
      net: the architecture.
      params: its parameters; those of all lanes, stacked, if `parallelism` has lanes.
      split: the examples and their targets, which lanes share.
      metrics: the metrics with their names; without any nothing but the scores is computed.
      parallelism: how many networks and devices take part.
      rows: which of the examples count; `None`, the default, for all.
      subset: how the inputs are scaled; `None`, the default, if they are not.

    Returns:
      The scores, and each metric by its name; with lanes, each has an axis for them.
    """
    if not metrics:
        return scores(net, params, split, parallelism, rows, subset), {}
    examples, dtype = jax.tree.map(jnp.asarray, split), params[0].w.dtype
    if rows is not None:
        weight = _weights_of_rows(examples, rows)
        examples = examples.take(rows.indices)._replace(weight=weight)
    if examples.weight is None:
        examples = examples._replace(weight=jnp.ones(len(examples.x)))
    # Behind the barrier XLA divides by the sum of the weights: see `scores`.
    weights = jax.lax.optimization_barrier(examples.weight.astype(dtype))

    def of_network(
        params: Params, examples: Split, weights: Array
    ) -> tuple[Scores, dict[str, Array]]:
        def of_example(example: tuple[Input, Target]) -> tuple[Scores, Array]:
            x, y = example
            x = x if subset is None else subset.inputs(x, dtype)
            z = _logits(net, params, x)
            return _score_of_logits(net, z, y), net.cost.output.fn(z)

        xs, ys = examples.x, examples.y
        of_examples, outputs = jax.lax.map(of_example, (xs, ys), batch_size=min(CHUNK, len(xs)))
        means = jax.tree.map(lambda array: jnp.sum(weights * array) / jnp.sum(weights), of_examples)
        values = {name: metric(outputs, ys, weights) for name, metric in metrics}
        return means, {name: jnp.asarray(value, dtype) for name, value in values.items()}

    return parallelism(of_network)(params, examples, weights)


def resampled_scores(
    net: Network,
    params: Params,
    split: Split,
    weights: Num[AnyArray, "resamples n"] | Bool[AnyArray, "resamples n"],
    metric: str | MetricFunction,
) -> Float[Array, " resamples"]:
    """One score of a network on each of several resamples, for use inside a program.

    Args:
      net: the architecture.
      params: its parameters.
      split: the examples and their targets.
      weights: how often each example is in each resample; its own weight is multiplied by that.
      metric: "accuracy", "cost" (without penalties) or a metric.

    Returns:
      The score on each resample.
    """
    examples, dtype = jax.tree.map(jnp.asarray, split), params[0].w.dtype

    def of_example(example: tuple[Input, Target]) -> tuple[Scores, Array]:
        x, y = example
        z = _logits(net, params, x)
        return _score_of_logits(net, z, y), net.cost.output.fn(z)

    xs, ys = examples.x, examples.y
    of_examples, outputs = jax.lax.map(of_example, (xs, ys), batch_size=min(CHUNK, len(xs)))
    weights = jnp.asarray(weights, dtype)
    if examples.weight is not None:
        weights = weights * examples.weight.astype(dtype)[None]
    if not isinstance(metric, str):
        return jax.lax.map(lambda own: jnp.asarray(metric(outputs, ys, own), dtype), weights)
    values = {"accuracy": of_examples.accuracy, "cost": of_examples.cost}[metric]
    return jnp.dot(weights, values, precision="highest") / jnp.sum(weights, axis=1)


def _penalized_scores(
    net: Network,
    params: Params,
    split: Split,
    l1: Numbers | None,
    l2: Numbers | None,
    metrics: NamedMetrics,
) -> tuple[Scores, dict[str, Float[Array, ""]]]:
    """The scores and metrics that `evaluate` returns."""
    (cost, accuracy), values = scores_and_metrics(net, params, split, metrics)
    return Scores(cost + penalty(params, len(split.x), l1, l2), accuracy), values


_compiled_penalized_scores = jax.jit(_penalized_scores, static_argnames=("net", "metrics"))


def by_example(
    net: Network, params: Params, split: Split
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The cost of each example, and whether it is classified correctly.

    Args:
      net: the architecture.
      params: its parameters.
      split: the examples and their targets.

    Returns:
      Two arrays of shape (n,): the costs without penalties; and 1.0 where the example is classified
      correctly, 0.0 where it is not, NaN for numbers to predict.

    Raises:
      ValueError: network, parameters and split do not fit together.

    >>> net = Network((2, 3, 2))
    >>> split = Split(jnp.ones((4, 2)), jnp.zeros(4, int))
    >>> [array.shape for array in by_example(net, network.init(net, jax.random.key(0)), split)]
    [(4,), (4,)]
    """
    network.check_params(net, params)
    split = unshared(check_split(net, "evaluated", split))
    with computing_in(unrounded_type(params)):
        arrays = _compiled_by_example(net, params, jnp.asarray(split.x), jnp.asarray(split.y))
        costs, hits = (np.asarray(array) for array in arrays)
    return costs, hits


def confusion(
    net: Network, params: Params, split: Split
) -> Int[np.ndarray, "n_classes n_predicted"] | Int[np.ndarray, "n_out 2 2"]:
    """The confusion matrix: entry (i, j) counts the examples of class i that are classified as j.

    `confusion.diagonal() / confusion.sum(axis=1)` is the accuracy of each class. Multi-label
    targets have a matrix for each output, as scikit-learn's `multilabel_confusion_matrix`.

    Args:
      net: the architecture.
      params: its parameters.
      split: examples and their integer labels, which may be one-hot, or multi-label targets: a
        matrix of 0 and 1 whose rows are not all one-hot. Weights do not count.

    Returns:
      Counts of shape (classes, classes): rows are true classes, columns predicted ones. A network
      of one output has two classes. For multi-label targets counts of shape (n_out, 2, 2), where
      entry (k, 1, 0) counts the examples with label k for which output k is at most ½.

    Raises:
      ValueError: network, parameters and split do not fit together, its targets are numbers to
        predict, or an output is NaN.

    >>> net = Network((2, 3, 2))
    >>> split = Split(jnp.ones((4, 2)), jnp.array([0, 0, 0, 1]))
    >>> confusion(net, network.init(net, jax.random.key(0)), split).sum(axis=1).tolist()
    [3, 1]
    """
    network.check_params(net, params)
    split = check_split(net, "evaluated", split)
    n = max(2, net.sizes[-1])
    labels = np.asarray(split.y)
    if not network.are_labels(labels):
        whole_labels = labels_of_floats(labels)
        if whole_labels is None and accuracy.are_multi_label(net.cost, labels):
            return _multi_label_confusion(net, params, split)
        if whole_labels is None or whole_labels.max() >= n:
            raise ValueError(
                "a confusion matrix needs integer labels, not float targets, of which row 0 is "
                f"{brief(labels[0].tolist())}; jaxnet.evaluate has the cost of a regression."
            )
        labels = whole_labels
    with computing_in(unrounded_type(params)):
        predicted = np.asarray(_compiled_classes(net, params, jnp.asarray(unshared(split.x))))
    _require_predictions(predicted < 0)
    return _counts(n, labels, predicted)


def _multi_label_confusion(
    net: Network, params: Params, split: Split
) -> Int[np.ndarray, "n_out 2 2"]:
    """The confusion matrix of each output, which says yes above ½."""
    outputs = np.asarray(network.predict(net, params, split.x))
    _require_predictions(np.isnan(outputs.sum(axis=1)))
    pairs = zip(np.asarray(split.y).T, (outputs > 0.5).T, strict=True)
    return np.stack([_counts(2, labels, predicted) for labels, predicted in pairs])


def _require_predictions(is_nan: Bool[np.ndarray, " n"]) -> None:
    """Refuse outputs of which some are NaN."""
    if is_nan.any():
        raise ValueError(
            f"the network's outputs are NaN for {np.sum(is_nan)} of {len(is_nan)} examples, so "
            "that it predicts no class; use parameters from before it diverged."
        )


def _counts(n: int, labels: np.ndarray, predicted: np.ndarray) -> Int[np.ndarray, "n n"]:
    """How often each of n classes was predicted for each of them."""
    cells = n * labels.astype(np.int64) + predicted
    return np.bincount(cells, minlength=n * n).reshape(n, n)


def _logits(net: Network, params: Params, x: Input) -> Float[Array, " n_out"]:
    """The logits of one example, inside a program."""
    return network.forward(net, params, x)[1][-1]


def _score(net: Network, params: Params, x: Input, y: Target) -> Scores:
    """The cost of one example, without penalties, and 1 if it is classified correctly, else 0."""
    return _score_of_logits(net, _logits(net, params, x), y)


def _score_of_logits(net: Network, z: Float[Array, " n_out"], y: Target) -> Scores:
    """The score of one example, from its logits."""
    a = net.cost.output.fn(z)
    label = _predicted_label(net, a)
    target = network.targets(y, net.n_targets, z.dtype)
    is_correct = accuracy.is_correct(net.cost, a, y, label)
    return Scores(net.cost.fn(z, target), is_correct)


def _predicted_label(net: Network, a: Float[Array, " n_out"]) -> Int[Array, ""]:
    """The class that output activations predict: for one output, whether it is above ½.

    It is −1, which is no class, where an output is NaN.
    """
    label = (a[0] > 0.5) if net.sizes[-1] == 1 else jnp.argmax(a)
    return jnp.where(jnp.any(jnp.isnan(a)), -1, label).astype(jnp.int32)


def _classes(net: Network, params: Params, xs: Array) -> Int[Array, " n"]:
    """The predicted class of each example."""
    of_example = lambda x: _predicted_label(net, net.cost.output.fn(_logits(net, params, x)))
    return jax.lax.map(of_example, xs, batch_size=min(CHUNK, len(xs)))


def _by_example(net: Network, params: Params, xs: Array, ys: Array) -> Scores:
    """The scores of each example, without penalties."""
    of_example = lambda example: _score(net, params, *example)
    return jax.lax.map(of_example, (xs, ys), batch_size=min(CHUNK, len(xs)))


_compiled_by_example = jax.jit(_by_example, static_argnames="net")
_compiled_classes = jax.jit(_classes, static_argnames="net")
