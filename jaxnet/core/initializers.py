"""Initial weights and biases: functions `(key, n_in, n_out) -> Layer`.

Every draw is made in JAX's default float type (float32, or float64 under `jax_enable_x64`). A
network takes any hashable function of these three arguments in place of those below.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxnet.core.hyperparameters import constant
from jaxnet.core.registry import Registry
from jaxnet.core.types import Initializer, KeyArray, Layer


def default(key: KeyArray, n_in: int, n_out: int) -> Layer:
    """Weights N(0, 1/n_in) and biases N(0, 1): weighted inputs that start moderate, unsaturated.

    Args:
      key: a random key.
      n_in: the number of the layer's inputs.
      n_out: the number of its units.

    Returns:
      The layer's initial weights and biases.

    Source: Nielsen, Neural Networks and Deep Learning, chapter 3, "Weight initialization".

    >>> default(jax.random.key(0), 784, 30).w.std().round(3).item() - 784**-0.5 < 1e-3
    True
    """
    return _normal(key, n_in, n_out, n_in**-0.5, 1.0)


def large(key: KeyArray, n_in: int, n_out: int) -> Layer:
    """Weights and biases N(0, 1), as in chapters 1 and 2 of the book, for comparison with them.

    Args:
      key: a random key.
      n_in: the number of the layer's inputs.
      n_out: the number of its units.

    Returns:
      The layer's initial weights and biases.

    Source: Nielsen, Neural Networks and Deep Learning, chapter 1.

    >>> large(jax.random.key(0), 784, 30).w.shape
    (784, 30)
    """
    return _normal(key, n_in, n_out, 1.0, 1.0)


def he(key: KeyArray, n_in: int, n_out: int) -> Layer:
    """Weights N(0, 2/n_in) and biases 0: keeps the variance through layers of rectified units.

    Args:
      key: a random key.
      n_in: the number of the layer's inputs.
      n_out: the number of its units.

    Returns:
      The layer's initial weights and biases.

    Source: He, Zhang, Ren, Sun, Delving deep into rectifiers, 2015, equation 10.

    >>> he(jax.random.key(0), 784, 3).b.tolist()
    [0.0, 0.0, 0.0]
    """
    return _normal(key, n_in, n_out, (2 / n_in) ** 0.5, 0.0)


def glorot(key: KeyArray, n_in: int, n_out: int) -> Layer:
    """Weights N(0, 2/(n_in+n_out)) and biases 0: a compromise of forward and backward variance.

    Args:
      key: a random key.
      n_in: the number of the layer's inputs.
      n_out: the number of its units.

    Returns:
      The layer's initial weights and biases.

    Source: Glorot, Bengio, Understanding the difficulty of training deep feedforward neural
    networks, 2010, equation 12.

    >>> glorot(jax.random.key(0), 784, 3).b.tolist()
    [0.0, 0.0, 0.0]
    """
    return _normal(key, n_in, n_out, (2 / (n_in + n_out)) ** 0.5, 0.0)


@dataclass(frozen=True)
class gaussian:  # noqa: N801 (used as a function that returns an initializer: gaussian(0.01))
    """An initializer with weights N(0, std²) and biases 0.

    Args:
      std: the standard deviation of the weights, at least 0.

    Raises:
      ValueError: the standard deviation is negative, or not one finite number.

    >>> layer = gaussian(0.01)(jax.random.key(0), 784, 30)
    >>> layer.w.shape, float(layer.b.sum())
    ((784, 30), 0.0)
    """

    std: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", constant("gaussian: std", self.std, low=0))

    def __call__(self, key: KeyArray, n_in: int, n_out: int) -> Layer:
        """Draw a layer's initial weights and biases."""
        return _normal(key, n_in, n_out, self.std, 0.0)


@dataclass(frozen=True)
class truncated:  # noqa: N801 (as gaussian)
    """An initializer with weights N(0, std²), cut off at ±2·std, and biases 0.

    Args:
      std: the standard deviation of the normal distribution before it is cut off, at least 0.

    Raises:
      ValueError: the standard deviation is negative, or not one finite number.

    >>> layer = truncated(0.03)(jax.random.key(0), 784, 30)
    >>> bool(abs(layer.w).max() <= 0.06), float(layer.b.sum())
    (True, 0.0)
    """

    std: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", constant("truncated: std", self.std, low=0))

    def __call__(self, key: KeyArray, n_in: int, n_out: int) -> Layer:
        """Draw a layer's initial weights and biases."""
        key_w, _ = jax.random.split(key)
        w = self.std * jax.random.truncated_normal(key_w, -2.0, 2.0, (n_in, n_out))
        return Layer(w, jnp.zeros((n_out,)))


def _normal(key: KeyArray, n_in: int, n_out: int, w_std: float, b_std: float) -> Layer:
    """A layer of normal numbers with mean 0 and these standard deviations."""
    key_w, key_b = jax.random.split(key)
    w = w_std * jax.random.normal(key_w, (n_in, n_out))
    b = b_std * jax.random.normal(key_b, (n_out,)) if b_std else jnp.zeros((n_out,))
    return Layer(w, b)


NAMED: Registry[Initializer] = Registry(
    "initializer", {"default": default, "large": large, "he": he, "glorot": glorot}
)
"""The initializers that the command line and network files know by name."""
