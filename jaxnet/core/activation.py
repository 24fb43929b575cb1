"""The base class of activation functions, and what bounds their values."""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

from jaxtyping import Array, Float

Vector = Float[Array, " n"]
"""One number for each unit of a layer, for one example."""


class Bounds(NamedTuple):
    """Which numbers outputs can approach, or targets may be.

    Attributes:
      low: the smallest number; −∞, the default, for no limit.
      high: the largest number; ∞, the default, for no limit.
      total: what the numbers of one example add up to; `None`, the default, for any sum.

    >>> from jaxnet.core.activations import softmax
    >>> softmax.bounds
    Bounds(low=0.0, high=1.0, total=1.0)
    """

    low: float = -math.inf
    high: float = math.inf
    total: float | None = None


ANY = Bounds()
"""No limits."""


class Activation(ABC):
    """Base class of all activation functions.

    A subclass defines `fn` and `pullback`; for a function of each zₖ alone, `Elementwise` needs
    only f and f'. Networks are compared and hashed, so instances must be hashable and equal by
    value: make the subclass a frozen dataclass. `jaxnet.check_gradients` compares a pullback with
    automatic differentiation.

    >>> from dataclasses import dataclass
    >>> import jax.numpy as jnp
    >>> @dataclass(frozen=True)
    ... class Square(Activation):
    ...     def fn(self, z):
    ...         return z**2
    ...     def pullback(self, z, g):
    ...         return 2 * z * g
    >>> Square().pullback(jnp.array([1.0, 3.0]), jnp.ones(2)).tolist()
    [2.0, 6.0]
    """

    @abstractmethod
    def fn(self, z: Vector) -> Vector:
        """The activations a = f(z) of one layer, for one example.

        Args:
          z: the layer's weighted inputs, (n,).

        Returns:
          The activations, (n,).
        """

    @abstractmethod
    def pullback(self, z: Vector, g: Vector) -> Vector:
        """The product of g with the transposed Jacobian of `fn` at z: (∂a/∂z)ᵀ g.

        With g = ∂C/∂a, the gradient of a cost with respect to the activations, it is ∂C/∂z.

        Args:
          z: the layer's weighted inputs, (n,).
          g: any vector, (n,).

        Returns:
          The product, (n,).
        """

    def residual(self, z: Vector, y: Vector) -> Vector:
        """The difference f(z) − y between activations and targets.

        Functions that saturate override it with a formula that keeps its digits where f(z) rounds
        to y.

        Args:
          z: the layer's weighted inputs, (n,).
          y: the targets, (n,).

        Returns:
          The differences, (n,).
        """
        return self.fn(z) - y

    @property
    def bounds(self) -> Bounds:
        """Which activations the function can approach: any, unless a subclass says otherwise.

        As an output activation it is for targets within these bounds.
        """
        return ANY

    @property
    def apart(self) -> bool:
        """Whether masked units may be added to a layer without changing its other units.

        They may if each aₖ depends on zₖ alone, and f(0) and f'(0) are finite. False unless a
        subclass says otherwise.
        """
        return False
