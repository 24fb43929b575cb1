"""Activations with a parameter of their own, which is learned, and its handwritten derivative."""

from abc import abstractmethod
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.core.activation import Activation, Vector
from jaxnet.core.hyperparameters import constant
from jaxnet.core.types import AnyArray

Parameter = Float[AnyArray, ""] | float
"""The parameter of an activation: one number."""


@dataclass(frozen=True)
class Parametric(Activation):
    """Base class of activations aₖ = f(zₖ, p) with a parameter p that is learned, one per layer.

    A hidden layer with such an activation is a `jaxnet.ParametricLayer`: its field `activation`
    holds p, which starts at `initial` and is trained like weights and biases, by every optimizer.
    Like biases, it is not penalized and does not decay; neither does `init_scale` multiply it. With
    `trainable=` it can be frozen, and with `params=` start elsewhere, in each network of a sweep.

    A subclass defines f and its two derivatives, elementwise. As an output activation, of a cost,
    it is the function with p = `initial`, a constant.

    Args:
      initial: p before training, any finite number.

    Raises:
      ValueError: it is not one finite number.

    >>> import jax
    >>> @dataclass(frozen=True)
    ... class Swish(Parametric):  # z·σ(pz)
    ...     initial: float = 1.0
    ...     def f(self, z, p):
    ...         return z * jax.nn.sigmoid(p * z)
    ...     def prime(self, z, p):
    ...         s = jax.nn.sigmoid(p * z)
    ...         return s + p * z * s * (1 - s)
    ...     def parameter_prime(self, z, p):
    ...         s = jax.nn.sigmoid(p * z)
    ...         return z**2 * s * (1 - s)
    >>> from jaxnet.core.gradient_check import check_gradients
    >>> from jaxnet.core.network import Network
    >>> check_gradients(Network((2, 3, 1), Swish()))[2].name
    'layer 1 activation ()'
    """

    initial: float

    def __post_init__(self) -> None:
        name = f"{type(self).__name__}: initial"
        object.__setattr__(self, "initial", constant(name, self.initial))

    @abstractmethod
    def f(self, z: Vector, p: Parameter) -> Vector:
        """The activations a, elementwise.

        Args:
          z: the layer's weighted inputs, (n,).
          p: the parameter, a number, which may be traced.

        Returns:
          The activations, (n,).
        """

    @abstractmethod
    def prime(self, z: Vector, p: Parameter) -> Vector:
        """The derivative ∂f/∂z, elementwise.

        Args:
          z: the layer's weighted inputs, (n,).
          p: the parameter.

        Returns:
          The derivatives, (n,).
        """

    @abstractmethod
    def parameter_prime(self, z: Vector, p: Parameter) -> Vector:
        """The derivative ∂f/∂p, elementwise.

        Args:
          z: the layer's weighted inputs, (n,).
          p: the parameter.

        Returns:
          The derivatives, (n,).
        """

    def at(self, p: Parameter) -> "AtParameter":
        """The activation with another parameter, a layer's own one.

        Args:
          p: the parameter, a number, which may be traced.

        Returns:
          The function z ↦ f(z, p), with its pullbacks.

        >>> PRelu().at(0.5).fn(jnp.array([-2.0, 3.0])).tolist()
        [-1.0, 3.0]
        """
        return AtParameter(self, p)

    def fn(self, z: Vector) -> Vector:
        """The activations with the initial parameter."""
        return self.f(z, self.initial)

    def pullback(self, z: Vector, g: Vector) -> Vector:
        """g·∂f/∂z with the initial parameter: the Jacobian is diagonal."""
        return g * self.prime(z, self.initial)

    @property
    def apart(self) -> bool:
        """Whether masked units may be added, which is where f and its derivatives are finite at 0.

        The parameter is the initial one.
        """
        zero = jnp.zeros(1)
        parts = (self.f, self.prime, self.parameter_prime)
        return all(bool(jnp.isfinite(part(zero, self.initial)).all()) for part in parts)


@dataclass(frozen=True, eq=False)
class AtParameter(Activation):
    """A `Parametric` activation with the parameter of a layer, as `Parametric.at` returns it.

    Args:
      activation: the activation.
      p: the parameter, a number, which may be traced.

    >>> rectifier = AtParameter(PRelu(), p=0.5)
    >>> rectifier.parameter_pullback(jnp.array([-2.0, 3.0]), jnp.ones(2)).item()
    -2.0
    """

    activation: Parametric
    p: Parameter

    def fn(self, z: Vector) -> Vector:
        """The activations f(z, p)."""
        return self.activation.f(z, self.p)

    def pullback(self, z: Vector, g: Vector) -> Vector:
        """g·∂f/∂z: the Jacobian is diagonal."""
        return g * self.activation.prime(z, self.p)

    def parameter_pullback(self, z: Vector, g: Vector) -> Float[Array, ""]:
        """The product of g with the transposed derivative by the parameter, Σₖ gₖ·∂f(zₖ, p)/∂p.

        With g = ∂C/∂a, the gradient of a cost with respect to the activations, it is ∂C/∂p.

        Args:
          z: the layer's weighted inputs, (n,).
          g: any vector, (n,).

        Returns:
          The product, a number.
        """
        return jnp.sum(g * self.activation.parameter_prime(z, self.p))


@dataclass(frozen=True)
class PRelu(Parametric):
    """The parametric rectifier: z where z > 0, p·z elsewhere, with a slope p that is learned.

    There is one slope for a layer (the paper's channel-shared variant).

    Args:
      initial: p before training, any finite number; 0.25 by default.

    Raises:
      ValueError: it is not one finite number.

    Source: He, Zhang, Ren, Sun, Delving deep into rectifiers, 2015, section 2.1.

    >>> PRelu(initial=0.5).fn(jnp.array([-2.0, 3.0])).tolist()
    [-1.0, 3.0]
    """

    initial: float = 0.25

    def f(self, z: Vector, p: Parameter) -> Vector:
        """The activations: z where z > 0, p·z elsewhere."""
        return jnp.where(z > 0, z, p * z)

    def prime(self, z: Vector, p: Parameter) -> Vector:
        """1 where z > 0, p elsewhere."""
        return jnp.where(z > 0, 1, jnp.where(z <= 0, p, z))  # NaN stays NaN

    def parameter_prime(self, z: Vector, p: Parameter) -> Vector:
        """0 where z > 0, z elsewhere."""
        return jnp.where(z > 0, 0, z)


@dataclass(frozen=True)
class Snake(Parametric):
    """Snake: z + sin²(pz)/p, for functions that repeat, with a period π/p that is learned.

    There is one p for a layer. At p = 0 it is z, the limit.

    Args:
      initial: p before training, any finite number; 1 by default. Larger numbers are for functions
        that repeat more often.

    Raises:
      ValueError: it is not one finite number.

    Source: Liu Ziyin, Hartwig, Ueda, Neural networks fail to learn periodic functions and how to
    fix it, 2020, equation 4; there p is called a.

    >>> Snake(initial=jnp.pi / 2).fn(jnp.array([1.0, 2.0])).round(4).tolist()
    [1.6366000175476074, 2.0]
    """

    initial: float = 1.0

    # With u = pz, sin²(u)/p is z·sin(u)·(sin(u)/u), in which nothing is divided by p.

    def f(self, z: Vector, p: Parameter) -> Vector:
        """The activations z + sin²(pz)/p."""
        u = z * p
        return z + z * jnp.sin(u) * _sine_quotient(u)

    def prime(self, z: Vector, p: Parameter) -> Vector:
        """1 + sin(2pz)."""
        return 1 + jnp.sin(2 * (z * p))

    def parameter_prime(self, z: Vector, p: Parameter) -> Vector:
        """z·sin(2pz)/p − sin²(pz)/p², as z²q(2cos(pz) − q) with q = sin(pz)/(pz)."""
        u = z * p
        q = _sine_quotient(u)
        return (z * q) * (z * (2 * jnp.cos(u) - q))


def _sine_quotient(u: Vector) -> Vector:
    """sin(u)/u, by its series near 0, where the quotient's derivative would lose its digits."""
    is_small = jnp.abs(u) < 0.1
    s = jnp.where(is_small, u, 0) ** 2
    series = 1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72)))
    divisor = jnp.where(is_small, 1, u)
    return jnp.where(is_small, series, jnp.sin(divisor) / divisor)
