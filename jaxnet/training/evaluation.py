"""Evaluation: what a network scores on a split, as a whole and class by class."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxnet.core import network
from jaxnet.core.checks import check_split
from jaxnet.core.hyperparameters import leaf
from jaxnet.core.network import Network
from jaxnet.core.types import Params, Split
from jaxnet.recipes.regularization import penalty
from jaxnet.training.parallelism import SINGLE, Parallelism

CHUNK = 1000
"""Examples evaluated at once: bounds the memory, keeps the matrix products large."""


class Scores(NamedTuple):
    """A network's regularized cost and its accuracy on a split."""

    cost: Float[Array, ""]
    accuracy: Float[Array, ""]


def evaluate(
    net: Network,
    params: Params,
    split: Split,
    l1: Any = None,
    l2: Any = None,
) -> Scores:
    """The cost and the accuracy of a network on a split.

    The cost is the mean over the split plus the penalties, with the *split's* size for n, as in
    network2's `total_cost`. The accuracy is the fraction of examples whose largest output is
    their label's (for one output: whose side of ½ is); it is NaN for float targets.

    Args:
      net: the architecture.
      params: its parameters.
      split: what to evaluate it on.
      l1: λ₁ of the penalty, or `None`.
      l2: λ₂ of the penalty, or `None`.

    Raises:
      ValueError: network and split do not fit together.

    >>> net = Network((2, 3, 2))
    >>> split = Split(jnp.ones((4, 2)), jnp.zeros(4, int))
    >>> evaluate(net, network.init(net, jax.random.key(0)), split).accuracy.item() in (0.0, 1.0)
    True
    """
    network.check_params(net, params)
    check_split(net, "evaluated", split)
    return _compiled_scores(net, params, split, leaf("l1", l1), leaf("l2", l2))


def scores(
    net: Network, params: Params, split: Split, l1: Any, l2: Any, parallelism: Parallelism = SINGLE
) -> Scores:
    """What `evaluate` computes, inside a program; nothing is checked.

    With `parallelism`, of many networks: `params`, `l1` and `l2` are those of
    many; or by many devices.
    """
    xs, ys = jnp.asarray(split.x), jnp.asarray(split.y)

    def sums(params: Params, xs: Array, ys: Array) -> Scores:
        of_example = jax.vmap(lambda x, y: _score(net, params, x, y))
        return jax.tree.map(jnp.sum, of_example(xs, ys))

    def means(one: tuple[Params, Any, Any, Scores]) -> Scores:
        params, l1, l2, total = one
        # Behind the barrier XLA divides; else it multiplies by 1/n, rounded: not 0.9634.
        n = jax.lax.optimization_barrier(jnp.asarray(len(xs), total.cost.dtype))
        return Scores(total.cost / n + penalty(params, len(xs), l1, l2), total.accuracy / n)

    many = parallelism(sums)
    size = min(CHUNK, len(xs))
    whole = len(xs) // size * size
    chunks = tuple(a[:whole].reshape(-1, size, *a.shape[1:]) for a in (xs, ys))
    of_chunk = lambda _, chunk: (None, many(params, *parallelism.split(chunk)))
    parts = jax.lax.scan(of_chunk, None, chunks)[1]
    total = jax.tree.map(lambda part: jnp.sum(part, axis=0), parts)
    if whole < len(xs):
        total = jax.tree.map(jnp.add, total, many(params, xs[whole:], ys[whole:]))
    return parallelism(means)((params, l1, l2, total))


_compiled_scores = jax.jit(scores, static_argnames="net")


def by_example(
    net: Network, params: Params, split: Split
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The cost of each example, without penalties, and whether it is classified rightly (1 or 0).

    Args:
      net: the architecture.
      params: its parameters.
      split: the examples; with float targets the second array is NaN.

    Raises:
      ValueError: network and split do not fit together.

    >>> net = Network((2, 3, 2))
    >>> split = Split(jnp.ones((4, 2)), jnp.zeros(4, int))
    >>> [array.shape for array in by_example(net, network.init(net, jax.random.key(0)), split)]
    [(4,), (4,)]
    """
    network.check_params(net, params)
    check_split(net, "evaluated", split)
    arrays = _compiled_by_example(net, params, jnp.asarray(split.x), jnp.asarray(split.y))
    costs, hits = (np.asarray(array) for array in arrays)
    return costs, hits


def confusion(net: Network, params: Params, split: Split) -> Int[np.ndarray, "n_true n_said"]:
    """The confusion matrix: row i, column j counts the examples of class i that are taken for j.

    `confusion.diagonal() / confusion.sum(axis=1)` is the accuracy of each class.

    Args:
      net: the architecture.
      params: its parameters.
      split: examples and their integer labels.

    Raises:
      ValueError: network and split do not fit together, or its targets are no labels.

    >>> net = Network((2, 3, 2))
    >>> split = Split(jnp.ones((4, 2)), jnp.array([0, 0, 0, 1]))
    >>> confusion(net, network.init(net, jax.random.key(0)), split).sum(axis=1).tolist()
    [3, 1]
    """
    network.check_params(net, params)
    check_split(net, "evaluated", split)
    labels = np.asarray(split.y)
    if not network.are_labels(labels):
        raise ValueError("a confusion matrix needs integer labels, not float targets.")
    n = max(2, net.sizes[-1])
    said = np.asarray(_compiled_classes(net, params, jnp.asarray(split.x)))
    return np.bincount(n * labels.astype(np.int64) + said, minlength=n * n).reshape(n, n)


def _score(net: Network, params: Params, x: Array, y: Array) -> Scores:
    """The cost of one example, without penalties, and whether its label is said."""
    label = _label(net, net.cost.output.fn(z := network.logits(net, params, x)))
    target = network.targets(y, net.sizes[-1], z.dtype)
    classes = network.are_labels(y)
    hit = (label == y).astype(z.dtype) if classes else jnp.full((), jnp.nan, z.dtype)
    return Scores(net.cost.fn(z, target), hit)


def _label(net: Network, a: Float[Array, " n_out"]) -> Int[Array, ""]:
    """The class that output activations say: of one output, whether it is above ½."""
    says = (a[0] > 0.5) if net.sizes[-1] == 1 else jnp.argmax(a)
    return says.astype(jnp.int32)


def _classes(net: Network, params: Params, xs: Array) -> Int[Array, " n"]:
    says = lambda x: _label(net, net.cost.output.fn(network.logits(net, params, x)))
    return jax.lax.map(says, xs, batch_size=min(CHUNK, len(xs)))


def _by_example(net: Network, params: Params, xs: Array, ys: Array) -> Scores:
    of_example = lambda pair: _score(net, params, *pair)
    return jax.lax.map(of_example, (xs, ys), batch_size=min(CHUNK, len(xs)))


_compiled_by_example = jax.jit(_by_example, static_argnames="net")
_compiled_classes = jax.jit(_classes, static_argnames="net")
