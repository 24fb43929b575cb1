"""Cost functions, each *with its output activation* and a handwritten `delta`.

A cost is a function of the logits z of the output layer, not of its activations a. So it is finite
and accurate even at |z| = 10⁴, where a has long rounded to 0 or 1 and ln a to −∞. For one example,
`fn(z, y)` is the cost, a sum over outputs, and `delta(z, y)` = ∂fn/∂z is the error δ of the output
layer, with which backpropagation starts (equation BP1).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.core.activations import ANY, Activation, Bounds, Softmax, sigmoid
from jaxnet.core.arguments import require_kind
from jaxnet.core.registry import Registry

Vector = Float[Array, " n_out"]
"""One number for each output, for one example."""


class Cost(ABC):
    """Base class of all costs: the cost of one example, with the output activation it belongs to.

    A subclass defines `output`, `fn` and `delta`. Networks are compared and hashed, so make it a
    frozen dataclass. `jaxnet.check_deltas` compares `delta` with automatic differentiation.

    Attributes:
      output: the activation of the output layer, which `jaxnet.predict` applies to the logits.

    >>> from jaxnet.core.activations import linear
    >>> @dataclass(frozen=True)
    ... class HalfSquare(Cost):
    ...     output: Activation = linear
    ...     def fn(self, z, y):
    ...         return 0.5 * jnp.sum((z - y) ** 2)
    ...     def delta(self, z, y):
    ...         return z - y
    >>> HalfSquare().delta(jnp.array([3.0]), jnp.array([1.0])).tolist()
    [2.0]
    """

    output: Activation

    @property
    def target_bounds(self) -> Bounds:
        """Which targets the cost is for: any, unless a subclass says otherwise.

        Other targets are refused before training.
        """
        return ANY

    @abstractmethod
    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """The cost of one example, summed over the outputs.

        Args:
          z: the logits, (n_out,): the output layer's weighted inputs.
          y: the targets, (n_out,).

        Returns:
          The cost, a scalar.
        """

    @abstractmethod
    def delta(self, z: Vector, y: Vector) -> Vector:
        """The error δ = ∂fn/∂z of the output layer, for one example.

        Args:
          z: the logits, (n_out,): the output layer's weighted inputs.
          y: the targets, (n_out,).

        Returns:
          The error, (n_out,).
        """


@dataclass(frozen=True)
class Quadratic(Cost):
    """The quadratic cost ½‖a − y‖² = ½Σ(a−y)², with a the output activations.

    Its error δ = J(z)ᵀ(a − y) is small where the output saturates, even if the output is wrong: it
    learns slowly there.

    Args:
      output: the output activation; sigmoid by default.

    Raises:
      ValueError: the output is no activation.

    Source: Nielsen, chapter 1, equation 6 (for one example), and chapter 2, equation BP1.

    >>> Quadratic().fn(jnp.zeros(2), jnp.array([0.0, 1.0])).item()
    0.25
    """

    output: Activation = sigmoid

    def __post_init__(self) -> None:
        require_kind("output", self.output, Activation, "jaxnet.activations.linear")

    @property
    def target_bounds(self) -> Bounds:
        """What the output activation can approach."""
        return self.output.bounds

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """½Σ(a−y)²."""
        return 0.5 * jnp.sum(self.output.residual(z, y) ** 2)

    def delta(self, z: Vector, y: Vector) -> Vector:
        """The pullback of a − y through the output activation."""
        return self.output.pullback(z, self.output.residual(z, y))


@dataclass(frozen=True)
class AbsoluteError(Cost):
    """The absolute error Σ|a − y|, with a the output activations.

    It is less sensitive to outliers than `Quadratic`, and not differentiable at a = y, where its
    delta is taken as 0.

    Args:
      output: the output activation; sigmoid by default.

    Raises:
      ValueError: the output is no activation.

    >>> AbsoluteError().fn(jnp.zeros(2), jnp.array([0.0, 1.0])).item()
    1.0
    """

    output: Activation = sigmoid

    def __post_init__(self) -> None:
        require_kind("output", self.output, Activation, "jaxnet.activations.linear")

    @property
    def target_bounds(self) -> Bounds:
        """What the output activation can approach."""
        return self.output.bounds

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """Σ|a−y|."""
        return jnp.sum(jnp.abs(self.output.residual(z, y)))

    def delta(self, z: Vector, y: Vector) -> Vector:
        """The pullback of sign(a − y) through the output activation."""
        return self.output.pullback(z, jnp.sign(self.output.residual(z, y)))


@dataclass(frozen=True)
class CrossEntropy(Cost):
    """The cross-entropy −Σ[y ln a + (1−y) ln(1−a)] of sigmoid outputs a = σ(z).

    The derivative of the sigmoid cancels, δ = a − y, so that a saturated, wrong output learns fast.
    This holds for all targets 0 ≤ y ≤ 1. The output activation is always the sigmoid.

    Source: Nielsen, chapter 3, equations 57 and 68.

    >>> CrossEntropy().delta(jnp.zeros(2), jnp.array([0.0, 1.0])).tolist()
    [0.5, -0.5]
    """

    @property
    def output(self) -> Activation:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The sigmoid."""
        return sigmoid

    @property
    def target_bounds(self) -> Bounds:
        """Numbers from 0 to 1: with others the cost has no lower bound."""
        return self.output.bounds

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """Σ y·softplus(−z) + (1−y)·softplus(z); softplus(z) − yz would cancel to 0 at z = 30."""
        return jnp.sum(y * jax.nn.softplus(-z) + (1 - y) * jax.nn.softplus(z))

    def delta(self, z: Vector, y: Vector) -> Vector:
        """The difference a − y."""
        return self.output.residual(z, y)


@dataclass(frozen=True)
class LogLikelihood(Cost):
    """The negative log-likelihood −Σ y ln a of softmax outputs a, at a temperature T.

    For a class label it is −ln of the probability of that class. Its error is δ = (aΣy − y)/T,
    which is (a − y)/T where the targets are probabilities.

    Args:
      temperature: T > 0 of the softmax; 1 by default.

    Raises:
      ValueError: the temperature is not one positive, finite number.

    Source: Nielsen, chapter 3, equations 80 and 82.

    >>> LogLikelihood().fn(jnp.zeros(10), jnp.eye(10)[3]).item()  # ln 10
    2.3025851249694824
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "temperature", Softmax(self.temperature).temperature)

    @property
    def output(self) -> Softmax:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The softmax at this temperature."""
        return Softmax(self.temperature)

    @property
    def target_bounds(self) -> Bounds:
        """Probabilities, which add up to 1."""
        return self.output.bounds

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """−Σ y ln a."""
        return -jnp.sum(y * self.output.log_fn(z))

    def delta(self, z: Vector, y: Vector) -> Vector:
        """(aΣy − y)/T, computed as [(Σy−y)a − y(1−a)]/T."""
        a, complement = self.output.fn(z), self.output.complement(z)
        return ((jnp.sum(y) - y) * a - y * complement) / self.temperature


# `type[Any]` because the constructors differ, so that no narrower type says how to call them.
NAMED: Registry[type[Any]] = Registry(
    "cost",
    {
        "quadratic": Quadratic,
        "cross-entropy": CrossEntropy,
        "log-likelihood": LogLikelihood,
        "absolute-error": AbsoluteError,
    },
)
"""The classes of costs that the command line and network files know by name."""
