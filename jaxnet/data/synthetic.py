"""Small synthetic tasks, drawn from a seed: XOR, spirals, functions, a quadratic."""

from collections.abc import Callable

import numpy as np

from jaxnet.core.types import Dataset
from jaxnet.data.splits import checked_split


def xor(n: int = 200, noise: float = 0.1, seed: int = 0) -> Dataset:
    """The corners of the unit square, blurred: label 1 where exactly one coordinate is 1.

    Args:
      n: examples in each of the three splits.
      noise: standard deviation around the corners.
      seed: of the draw.

    >>> [split.x.shape for split in xor(n=8)]
    [(8, 2), (8, 2), (8, 2)]
    """

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        corners = random.integers(2, size=(n, 2))
        return corners + noise * random.standard_normal((n, 2)), corners.sum(axis=1) % 2

    return _synthetic(draw, seed)


def spirals(
    n: int = 300, n_classes: int = 2, turns: float = 1.0, noise: float = 0.02, seed: int = 0
) -> Dataset:
    """Interleaved spirals in the plane, one per class: easy to see, hard for a shallow network.

    Args:
      n: examples in each of the three splits.
      n_classes: arms.
      turns: revolutions of each arm.
      noise: standard deviation around an arm, whose radius ends at 1.
      seed: of the draw.

    >>> spirals(n=9, n_classes=3).train.y.max().item() < 3
    True
    """

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        label = random.integers(n_classes, size=n)
        radius = np.sqrt(random.random(n))  # even along the arm, not crowded at the centre
        angle = 2 * np.pi * (turns * radius + label / n_classes)
        x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return x + noise * random.standard_normal((n, 2)), label

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
    """Regression: y = f(x) + noise, with x uniform in the cube [low, high]^n_in.

    Args:
      f: maps inputs (n, n_in) to targets, (n,) or (n, n_out).
      low: the cube's lower bound.
      high: its upper bound.
      n_in: its dimension.
      n: examples in each of the three splits.
      noise: standard deviation added to the targets.
      seed: of the draw.

    >>> data = function(np.sin, high=np.pi, n=5)
    >>> bool(np.allclose(data.train.y, np.sin(data.train.x)))
    True
    """

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = random.uniform(low, high, (n, n_in))
        y = np.asarray(f(x), float).reshape(n, -1)
        return x, y + noise * random.standard_normal(y.shape)

    return _synthetic(draw, seed)


def quadratic(n: int = 1000, n_in: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Linear regression whose cost is a quadratic of known curvatures, 1, 1/2, …, 1/n_in.

    y = Σ xⱼ√j + noise with xⱼ ~ N(0, 1/j): so a linear unit's mean squared error has the Hessian
    diag(1/j), its best weights are √j, and each direction is worth as much of the cost.

    Args:
      n: examples in each of the three splits.
      n_in: inputs.
      noise: standard deviation of the targets' noise, relative to that of the signal, √n_in.
      seed: of the draw.

    Source: the spectrum of Zhang et al., Which algorithmic choices matter at which batch sizes?,
    2019, section 3.1.

    >>> quadratic(n=5).train.x.shape
    (5, 100)
    """
    scale = np.sqrt(1 + np.arange(n_in))

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        z = random.standard_normal((n, n_in))
        error = noise * np.sqrt(n_in) * random.standard_normal((n, 1))
        return z / scale, z.sum(axis=1, keepdims=True) + error

    return _synthetic(draw, seed)


def _synthetic(
    draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]], seed: int
) -> Dataset:
    randoms = np.random.default_rng(seed).spawn(3)
    return Dataset(*(checked_split(*draw(random), "synthetic data") for random in randoms))
