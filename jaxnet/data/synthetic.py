"""Small synthetic data sets, drawn from a seed: XOR, spirals, functions, a quadratic."""

from collections.abc import Callable

import numpy as np

from jaxnet.core.arguments import brief, reason_of
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.types import Dataset
from jaxnet.data.splits import checked_split


def xor(n: int = 200, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Points around the corners of the unit square; label 1 where exactly one coordinate is 1.

    Args:
      n: the number of examples in each of the three splits, at least 1.
      noise: the standard deviation of the points around their corners, at least 0.
      seed: the seed of the draw, at least 0; the same seed gives the same data.

    Returns:
      A `Dataset` of inputs (n, 2) and labels 0 and 1.

    Raises:
      ValueError: a number is out of its range.

    >>> [split.x.shape for split in xor(n=8)]
    [(8, 2), (8, 2), (8, 2)]
    """
    n, seed = count("n", n, low=1), _checked_seed(seed)
    constant("noise", noise, low=0)

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        corners = random.integers(2, size=(n, 2))
        return corners + noise * random.standard_normal((n, 2)), corners.sum(axis=1) % 2

    return _synthetic(draw, seed)


def spirals(
    n: int = 300, n_classes: int = 2, turns: float = 1.0, noise: float = 0.02, seed: int = 0
) -> Dataset:
    """Interleaved spirals in the plane, one per class: easy to see, hard for a shallow network.

    Args:
      n: the number of examples in each of the three splits, at least 1.
      n_classes: the number of classes, and so of spirals, at least 1.
      turns: the revolutions of each spiral, from its centre to its end at radius 1; negative ones
        turn clockwise.
      noise: the standard deviation of the points around their spiral, at least 0.
      seed: the seed of the draw, at least 0; the same seed gives the same data.

    Returns:
      A `Dataset` of inputs (n, 2) and labels 0 to n_classes − 1.

    Raises:
      ValueError: a number is out of its range.

    >>> spirals(n=9, n_classes=3).train.y.max().item() < 3
    True
    """
    n, seed = count("n", n, low=1), _checked_seed(seed)
    n_classes = count("n_classes", n_classes, low=1)
    constant("turns", turns)
    constant("noise", noise, low=0)

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = random.integers(n_classes, size=n)
        radii = np.sqrt(random.random(n))  # even along the spiral, not crowded at the centre
        angles = 2 * np.pi * (turns * radii + labels / n_classes)
        x = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
        return x + noise * random.standard_normal((n, 2)), labels

    return _synthetic(draw, seed)


def function(
    f: Callable[[np.ndarray], np.ndarray],
    low: float = 0.0,
    high: float = 1.0,
    n_in: int = 1,
    n: int = 1000,
    noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """A regression task: y = f(x) + noise, with x uniform in the cube [low, high]^n_in.

    Args:
      f: maps inputs (n, n_in) to targets, (n,) or (n, n_out).
      low: the lower bound of each input; 0 by default.
      high: the upper bound of each input, above `low`; 1 by default.
      n_in: the number of inputs, at least 1.
      n: the number of examples in each of the three splits, at least 1.
      noise: the standard deviation of what is added to the targets, at least 0; 0 by default.
      seed: the seed of the draw, at least 0; the same seed gives the same data.

    Returns:
      A `Dataset` of inputs (n, n_in) and float targets (n, n_out).

    Raises:
      ValueError: f raises an error, or returns something else than real numbers for each of the
        inputs; or a number is out of its range.

    >>> data = function(np.sin, high=np.pi, n=5)
    >>> bool(np.allclose(data.train.y, np.sin(data.train.x)))
    True
    """
    n, n_in, seed = count("n", n, low=1), count("n_in", n_in, low=1), _checked_seed(seed)
    constant("noise", noise, low=0)
    if not constant("low", low) < constant("high", high):
        raise ValueError(f"low must be below high, but low is {low} and high is {high}.")
    if not callable(f):
        raise ValueError(f"f must be a function of inputs (n, n_in), not {brief(f)}.")

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = random.uniform(low, high, (n, n_in))
        try:
            y = np.asarray(f(x))
        except Exception as error:  # a function of the caller's may raise anything
            raise ValueError(
                f"f cannot be computed of inputs {x.shape}: {reason_of(error)}."
            ) from error
        if y.dtype.kind not in "biuf" or y.ndim not in (1, 2) or len(y) != n or not y.size:
            raise ValueError(
                f"f must map inputs {x.shape} to numbers, ({n},) or ({n}, n_out), not to an array "
                f"{y.shape} of {y.dtype}."
            )
        y = y.astype(float).reshape(n, -1)
        return x, y + noise * random.standard_normal(y.shape)

    return _synthetic(draw, seed)


def quadratic(n: int = 1000, n_in: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """A linear regression whose cost is a quadratic of known curvatures, 1, 1/2, …, 1/n_in.

    y = Σ xⱼ√j + noise with xⱼ ~ N(0, 1/j). So the cost ½(a−y)² of a linear unit has, on average,
    the Hessian diag(1/j). Its best weights are √j, and at weights of 0 each direction has the same
    share of the cost.

    Args:
      n: the number of examples in each of the three splits, at least 1.
      n_in: the number of inputs, at least 1.
      noise: the standard deviation of the targets' noise, relative to that of the signal, √n_in; at
        least 0.
      seed: the seed of the draw, at least 0; the same seed gives the same data.

    Returns:
      A `Dataset` of inputs (n, n_in) and float targets (n, 1).

    Raises:
      ValueError: a number is out of its range.

    Source: the spectrum of Zhang et al., Which algorithmic choices matter at which batch sizes?,
    2019, section 3.1.

    >>> quadratic(n=5).train.x.shape
    (5, 100)
    """
    n, n_in, seed = count("n", n, low=1), count("n_in", n_in, low=1), _checked_seed(seed)
    constant("noise", noise, low=0)
    best_weights = np.sqrt(1 + np.arange(n_in))

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        z = random.standard_normal((n, n_in))
        target_noise = noise * np.sqrt(n_in) * random.standard_normal((n, 1))
        return z / best_weights, z.sum(axis=1, keepdims=True) + target_noise

    return _synthetic(draw, seed)


def _checked_seed(seed: int) -> int:
    """The seed of a draw."""
    return count("seed", seed, low=0, high=2**64)


def _synthetic(
    draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]], seed: int
) -> Dataset:
    """A data set of three splits, each drawn with a random generator of its own."""
    generators = np.random.default_rng(seed).spawn(3)
    return Dataset(*(checked_split(draw(random), "synthetic data") for random in generators))
