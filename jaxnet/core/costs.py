"""Cost functions, each *with its output activation* and a handwritten `delta`.

A cost takes the logits z of the output layer, not its activations a: so it is finite and accurate
at |z| = 10⁴, where a has long rounded to 0 or 1 and ln a to −∞. For one example, `fn(z, y)` is
the cost, a sum over outputs, and `delta(z, y)` = ∂fn/∂z is the error δ of the output layer, the
first equation of backpropagation (BP1).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.core.activations import Activation, Softmax, sigmoid
from jaxnet.core.registry import Registry

Vector = Float[Array, " n_out"]


class Cost:
    """A cost of one example: subclass it, as a frozen dataclass, for your own.

    A subclass gives `output`, `fn` and `delta`; `jaxnet.check_deltas` proves that they agree.
    """

    output: Activation

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """The cost of the logits z where y is wanted, summed over outputs."""
        raise NotImplementedError

    def delta(self, z: Vector, y: Vector) -> Vector:
        """∂fn/∂z, the error of the output layer."""
        raise NotImplementedError


@dataclass(frozen=True)
class Quadratic(Cost):
    """½‖a − y‖², a the output activations. With δ = J(z)ᵀ(a − y) it learns slowly when saturated.

    Source: Nielsen, chapter 1, equation 6 (for one example), and chapter 2, equation BP1.

    >>> Quadratic().fn(jnp.zeros(2), jnp.array([0.0, 1.0])).item()
    0.25
    """

    output: Activation = sigmoid

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """½Σ(a−y)²."""
        return 0.5 * jnp.sum(self.output.residual(z, y) ** 2)

    def delta(self, z: Vector, y: Vector) -> Vector:
        """The residual a − y, pulled back through the output activation."""
        return self.output.pullback(z, self.output.residual(z, y))


@dataclass(frozen=True)
class AbsoluteError(Cost):
    """Σ|a − y|, a the output activations: robust to outliers; not differentiable at a = y.

    >>> AbsoluteError().fn(jnp.zeros(2), jnp.array([0.0, 1.0])).item()
    1.0
    """

    output: Activation = sigmoid

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """Σ|a−y|."""
        return jnp.sum(jnp.abs(self.output.residual(z, y)))

    def delta(self, z: Vector, y: Vector) -> Vector:
        """The sign of a − y, pulled back through the output activation."""
        return self.output.pullback(z, jnp.sign(self.output.residual(z, y)))


@dataclass(frozen=True)
class CrossEntropy(Cost):
    """−Σ[y ln a + (1−y) ln(1−a)] over sigmoid outputs a = σ(z).

    The derivative of the sigmoid cancels, δ = a − y: a saturated, wrong output learns fast. This
    holds for every 0 ≤ y ≤ 1.

    Source: Nielsen, chapter 3, equations 57 and 68.

    >>> CrossEntropy().delta(jnp.zeros(2), jnp.array([0.0, 1.0])).tolist()
    [0.5, -0.5]
    """

    @property
    def output(self) -> Activation:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The sigmoid, always."""
        return sigmoid

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """Σ y·softplus(−z) + (1−y)·softplus(z); softplus(z) − yz would cancel to 0 at z = 30."""
        return jnp.sum(y * jax.nn.softplus(-z) + (1 - y) * jax.nn.softplus(z))

    def delta(self, z: Vector, y: Vector) -> Vector:
        """a − y."""
        return self.output.residual(z, y)


@dataclass(frozen=True)
class LogLikelihood(Cost):
    """−Σ y ln a over softmax outputs a, at a temperature T: for one class, −ln of its probability.

    δ = (aΣy − y)/T, which is (a − y)/T where the targets are probabilities.

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

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """−Σ y ln a."""
        return -jnp.sum(y * self.output.log_fn(z))

    def delta(self, z: Vector, y: Vector) -> Vector:
        """(aΣy − y)/T, as [(Σy−y)a − y(1−a)]/T."""
        a, complement = self.output.fn(z), self.output.complement(z)
        return ((jnp.sum(y) - y) * a - y * complement) / self.temperature


# Their constructors differ, so that no narrower type can say how to call them.
NAMED: Registry[type[Any]] = Registry(
    "cost",
    {
        "quadratic": Quadratic,
        "cross-entropy": CrossEntropy,
        "log-likelihood": LogLikelihood,
        "absolute-error": AbsoluteError,
    },
)
"""The costs that the command line and the files know by name."""
