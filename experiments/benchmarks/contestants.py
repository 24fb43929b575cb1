"""Contestants that train networks in turns, and their seconds beside a matrix product's."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet as jn
from jaxnet.reporting import experiment


@dataclass(frozen=True)
class Contestant:
    """Something that trains networks."""

    turn: Callable[[], object]
    """Trains them for an epoch."""
    net: jn.Network
    """The architecture."""
    examples: int
    """Training examples of an epoch."""
    networks: int = 1
    """How many networks a turn trains."""


BOOK = jn.Network((784, 30, 10))
"""The network of Nielsen's book."""


def first_examples(n: int) -> jn.Split:
    """The first n training examples of MNIST."""
    train = jn.datasets.mnist().train
    return jn.Split(train.x[:n], train.y[:n])


def time_turns(turns: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each turn of each function: they take turns, after one turn to warm up."""
    seconds = {name: [] for name in turns}
    for round_number in range(rounds + 1):
        for name, turn in turns.items():
            began = time.perf_counter()
            turn()
            if round_number > 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def operations(net: jn.Network) -> int:
    """Useful operations to train one example."""
    pairs = list(zip(net.sizes, net.sizes[1:]))
    n_in, n_1 = pairs[0]
    return sum(6 * a * b for a, b in pairs) - 2 * n_in * n_1  # pixels need no gradient


def row_of(name: str, contestant: Contestant, seconds: list[float], product_rate: float) -> dict:
    """A contestant's seconds for an epoch and network, and its part of the product's rate."""
    per_example = np.array(seconds) / contestant.networks / contestant.examples
    epoch = 50_000 * per_example
    median = float(np.median(epoch))
    share = 50_000 * operations(contestant.net) / median / product_rate
    row = experiment.make_row(
        f"{name}: seconds an epoch",
        experiment.Summary(mean=median, low=epoch.min(), high=epoch.max()),
        len(epoch),
        f"{share:.1%} of the matrix product's rate",
    )
    row["contestant"] = name
    row["networks"] = contestant.networks
    row["of_matrix_product_rate"] = share
    return row


def measure(contestants: dict[str, Contestant], rounds: int) -> tuple[list[dict], float]:
    """Let contestants take turns with a matrix product.

    Returns:
      A row for each, relative to the first of them; operations a second of the product.
    """
    square = jax.random.normal(jax.random.key(0), (2048, 2048))
    product = jax.jit(jnp.dot)
    turns: dict[str, Callable[[], object]] = {
        "matrix product": lambda: product(square, square).block_until_ready()
    }
    for name, contestant in contestants.items():
        turns[name] = contestant.turn
    seconds = time_turns(turns, rounds)
    product_rate = 2 * 2048**3 / float(np.median(seconds["matrix product"]))
    rows = [
        row_of(name, contestant, seconds[name], product_rate)
        for name, contestant in contestants.items()
    ]
    first = next(iter(contestants))
    for row in rows:  # of each round, whose turns follow one another
        contestant = contestants[row["contestant"]]
        size = contestant.networks * contestant.examples
        first_size = contestants[first].networks * contestants[first].examples
        of_first = np.array(seconds[row["contestant"]]) / seconds[first] / size * first_size
        row["of_first"] = float(np.median(of_first))
        row["of_first_range"] = [float(of_first.min()), float(of_first.max())]
    return rows, product_rate
