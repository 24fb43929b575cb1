"""Evaluation: what a network scores on a split, as a whole and class by class."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxnet import doors, network
from jaxnet.network import Network
from jaxnet.regularization import penalty
from jaxnet.types import Over, Params, Split, alone, leaf

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
    doors.check_split(net, "evaluated", split)
    return _compiled_scores(net, params, split, leaf("l1", l1), leaf("l2", l2))


def scores(
    net: Network, params: Params, split: Split, l1: Any, l2: Any, over: Over = alone
) -> Scores:
    """What `evaluate` computes, inside a program; nothing is checked.

    With `over`, of many networks: `params`, `l1` and `l2` are those of many; or by many devices.
    """
    xs, ys = jnp.asarray(split.x), jnp.asarray(split.y)
    classes = jnp.issubdtype(ys.dtype, jnp.integer)

    def sums(params: Params, xs: Array, ys: Array) -> Scores:
        def score(x: Array, y: Array) -> Scores:
            label = _label(net, net.cost.output.fn(z := network.logits(net, params, x)))
            target = network.targets(y, net.sizes[-1], z.dtype)
            hit = (label == y).astype(z.dtype) if classes else jnp.full((), jnp.nan, z.dtype)
            return Scores(net.cost.fn(z, target), hit)

        return jax.tree.map(jnp.sum, jax.vmap(score)(xs, ys))

    def means(one: tuple[Params, Any, Any, Scores]) -> Scores:
        params, l1, l2, total = one
        # Behind the barrier XLA divides; else it multiplies by 1/n, rounded: not 0.9634.
        n = jax.lax.optimization_barrier(jnp.asarray(len(xs), total.cost.dtype))
        return Scores(total.cost / n + penalty(params, len(xs), l1, l2), total.accuracy / n)

    many = over(sums)
    size = min(CHUNK, len(xs))
    whole = len(xs) // size * size
    chunks = tuple(a[:whole].reshape(-1, size, *a.shape[1:]) for a in (xs, ys))
    of_chunk = lambda _, chunk: (None, many(params, *over.split(chunk)))
    parts = jax.lax.scan(of_chunk, None, chunks)[1]
    total = jax.tree.map(lambda part: jnp.sum(part, axis=0), parts)
    if whole < len(xs):
        total = jax.tree.map(jnp.add, total, many(params, xs[whole:], ys[whole:]))
    return over(means)((params, l1, l2, total))


_compiled_scores = jax.jit(scores, static_argnames="net")


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
    doors.check_split(net, "evaluated", split)
    labels = np.asarray(split.y)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError("a confusion matrix needs integer labels, not float targets.")
    n = max(2, net.sizes[-1])
    said = np.asarray(_compiled_classes(net, params, jnp.asarray(split.x)))
    return np.bincount(n * labels.astype(np.int64) + said, minlength=n * n).reshape(n, n)


def _label(net: Network, a: Float[Array, " n_out"]) -> Int[Array, ""]:
    """The class that output activations say: of one output, whether it is above ½."""
    says = (a[0] > 0.5) if net.sizes[-1] == 1 else jnp.argmax(a)
    return says.astype(jnp.int32)


def _classes(net: Network, params: Params, xs: Array) -> Int[Array, " n"]:
    says = lambda x: _label(net, net.cost.output.fn(network.logits(net, params, x)))
    return jax.lax.map(says, xs, batch_size=min(CHUNK, len(xs)))


_compiled_classes = jax.jit(_classes, static_argnames="net")
