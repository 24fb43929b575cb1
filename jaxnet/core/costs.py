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

from jaxnet.core.activations import (
    ANY,
    LARGEST_EXPONENT,
    Activation,
    Bounds,
    Softmax,
    exponential,
    linear,
    sigmoid,
    softmax,
)
from jaxnet.core.arguments import require_kind
from jaxnet.core.hyperparameters import constant
from jaxnet.core.registry import Registry

Vector = Float[Array, " n_out"]
"""One number for each output, for one example."""
TargetVector = Float[Array, " n_targets"]
"""One number for each target, for one example."""


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

    @property
    def takes_labels(self) -> bool:
        """Whether integer targets are class labels: they are, unless a subclass says otherwise.

        Where they are not, as for counts, they are the numbers to predict.
        """
        return True

    def n_targets(self, n_out: int) -> int:
        """The number of targets of one example: as many as outputs, unless a subclass differs.

        Args:
          n_out: the number of outputs, ≥ 1.

        Returns:
          The number of targets, ≥ 1.

        Raises:
          ValueError: the cost is not for so many outputs.
        """
        return n_out

    @abstractmethod
    def fn(self, z: Vector, y: TargetVector) -> Float[Array, ""]:
        """The cost of one example, summed over the outputs.

        Args:
          z: the logits, (n_out,): the output layer's weighted inputs.
          y: the targets, (n_targets,).

        Returns:
          The cost, a scalar.
        """

    @abstractmethod
    def delta(self, z: Vector, y: TargetVector) -> Vector:
        """The error δ = ∂fn/∂z of the output layer, for one example.

        Args:
          z: the logits, (n_out,): the output layer's weighted inputs.
          y: the targets, (n_targets,).

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


@dataclass(frozen=True)
class Focal(Cost):
    """The focal cost −Σ y(1−a)^γ ln a of softmax outputs a: examples that are easy count less.

    An example whose class has the probability 0.9 costs (1−0.9)² = 1/100 of what it costs under
    `LogLikelihood`, for γ = 2. The paper's weights α of the classes are left out. For two classes
    take two outputs: the probability of the second is σ(z₂−z₁), and the cost is the paper's for
    this sigmoid.

    Its error is δⱼ = yⱼgⱼ − aⱼΣₖyₖgₖ with g = (1−a)^γ [γa ln(a)/(1−a) − 1]. It is not convex in
    the logits.

    Args:
      gamma: γ ≥ 0; 2 by default. γ = 0 is `LogLikelihood`.

    Raises:
      ValueError: γ is negative, or not one finite number.

    Source: Lin, Goyal, Girshick, He, Dollár, Focal loss for dense object detection, 2017,
    equation 4.

    >>> Focal().fn(jnp.zeros(2), jnp.array([1.0, 0.0])).item()  # ¼ ln 2
    0.1732867956161499
    """

    gamma: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", constant("Focal: gamma", self.gamma, low=0))

    @property
    def output(self) -> Softmax:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The softmax."""
        return softmax

    @property
    def target_bounds(self) -> Bounds:
        """Probabilities, which add up to 1."""
        return self.output.bounds

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """−Σ y(1−a)^γ ln a."""
        return -jnp.sum(y * self._complement(z) ** self.gamma * self.output.log_fn(z))

    def delta(self, z: Vector, y: Vector) -> Vector:
        """yg − aΣyg, computed as yg(1−a) − a(Σyg − yg)."""
        a, complement = self.output.fn(z), self._complement(z)
        # ln(a)/(1−a) → −1 as a → 1, where both are 0.
        slope = self.gamma * a * (self.output.log_fn(z) / complement) - 1
        yg = y * complement**self.gamma * slope
        return yg * complement - a * (jnp.sum(yg) - yg)

    def _complement(self, z: Vector) -> Vector:
        """1 − a, at least the smallest normal number: what follows divides by it."""
        return jnp.maximum(self.output.complement(z), jnp.finfo(z.dtype).tiny)


@dataclass(frozen=True)
class Huber(Cost):
    """The Huber cost: ½(a−y)² where |a−y| ≤ t, t(|a−y| − ½t) elsewhere, summed over outputs.

    It is `Quadratic` for small errors and grows like t times `AbsoluteError` for large ones, so
    that outliers pull with a force of at most t. PyTorch's `HuberLoss` is the same, with a mean
    over outputs in place of the sum.

    Args:
      output: the output activation; linear by default.
      threshold: t > 0, in the units of the targets; 1 by default.

    Raises:
      ValueError: the output is no activation, or the threshold not one positive, finite number.

    Source: Huber, Robust estimation of a location parameter, 1964.

    >>> Huber().fn(jnp.array([0.5, 3.0]), jnp.zeros(2)).item()  # ⅛ + 2½
    2.625
    """

    output: Activation = linear
    threshold: float = 1.0

    def __post_init__(self) -> None:
        require_kind("output", self.output, Activation, "jaxnet.activations.linear")
        threshold = constant("Huber: threshold", self.threshold, low=0)
        if not threshold:
            raise ValueError(
                "Huber: threshold must be a positive number, not 0; AbsoluteError is its limit."
            )
        object.__setattr__(self, "threshold", threshold)

    @property
    def target_bounds(self) -> Bounds:
        """What the output activation can approach."""
        return self.output.bounds

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """Σ c(|r| − ½c) with r = a − y and c = min(|r|, t)."""
        distance = jnp.abs(self.output.residual(z, y))
        clipped = jnp.minimum(distance, self.threshold)
        return jnp.sum(clipped * (distance - 0.5 * clipped))

    def delta(self, z: Vector, y: Vector) -> Vector:
        """The pullback of a − y, clipped to [−t, t]."""
        residual = self.output.residual(z, y)
        return self.output.pullback(z, jnp.clip(residual, -self.threshold, self.threshold))


@dataclass(frozen=True)
class Poisson(Cost):
    """The negative log-likelihood Σ(a − yz) of counts y ≥ 0 at rates a = eᶻ, without ln y!.

    ln y! does not depend on the network. The cost is lowest where a is the mean of the counts, and
    its error is δ = a − y. Targets need not be whole numbers. Integer targets are counts, not
    labels. A rate is eᶻ for z ≤ 40 and e⁴⁰ above, where the cost grows along its tangent, so that
    it stays finite. PyTorch's `PoissonNLLLoss` is the same, with a mean over outputs in place of
    the sum.

    Source: McCullagh, Nelder, Generalized linear models, 1989, chapter 6.

    >>> Poisson().delta(jnp.zeros(2), jnp.array([3.0, 1.0])).tolist()
    [-2.0, 0.0]
    """

    @property
    def output(self) -> Activation:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The exponential."""
        return exponential

    @property
    def target_bounds(self) -> Bounds:
        """Numbers ≥ 0."""
        return self.output.bounds

    @property
    def takes_labels(self) -> bool:
        """False: integers are counts."""
        return False

    def fn(self, z: Vector, y: Vector) -> Float[Array, ""]:
        """Σ eᶻ − yz."""
        return jnp.sum(_exponential_with_tangent(z) - y * z)

    def delta(self, z: Vector, y: Vector) -> Vector:
        """The difference a − y."""
        return self.output.residual(z, y)


@dataclass(frozen=True)
class GaussianNLL(Cost):
    """The negative log-likelihood ½Σ[s + (y−m)²e⁻ˢ] of a normal distribution, without ½ln 2π.

    The network predicts how uncertain it is: for k targets it has 2k outputs, first the k means m,
    then the k log-variances s. `jaxnet.predict` returns them in this order, and
    `mean, log_variance = jnp.split(jaxnet.predict(net, params, x), 2, axis=-1)` takes them apart;
    the standard deviation is `jnp.exp(log_variance / 2)`. Integer targets are numbers, not labels.

    Its errors are (m−y)e⁻ˢ for a mean and ½[1 − (y−m)²e⁻ˢ] for a log-variance. e⁻ˢ is exact for
    variances above e⁻⁴⁰ ≈ 4·10⁻¹⁸, and continued by its tangent below, so that the cost stays
    finite. PyTorch's `GaussianNLLLoss` takes the variance itself, not below 10⁻⁶, and has a mean
    over outputs in place of the sum. The cost has no lower bound where targets can be predicted
    exactly.

    Source: Nix, Weigend, Estimating the mean and variance of the target probability distribution,
    1994, equation 2.

    >>> GaussianNLL().delta(jnp.array([1.0, 0.0]), jnp.array([3.0])).tolist()
    [-2.0, -1.5]
    """

    @property
    def output(self) -> Activation:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The means and log-variances themselves."""
        return linear

    @property
    def takes_labels(self) -> bool:
        """False: integers are numbers."""
        return False

    def n_targets(self, n_out: int) -> int:
        """Half the number of outputs.

        Args:
          n_out: the number of outputs, even.

        Returns:
          The number of targets.

        Raises:
          ValueError: the number of outputs is odd.
        """
        if n_out % 2:
            raise ValueError(
                "GaussianNLL() has a mean and a log-variance for each target, so that the number "
                f"of outputs must be even, not {n_out}; choose sizes that end with twice the "
                "number of targets."
            )
        return n_out // 2

    def fn(self, z: Vector, y: TargetVector) -> Float[Array, ""]:
        """½Σ[s + (y−m)²e⁻ˢ]."""
        mean, log_variance = jnp.split(z, 2)
        return 0.5 * jnp.sum(
            log_variance + (mean - y) ** 2 * _exponential_with_tangent(-log_variance)
        )

    def delta(self, z: Vector, y: TargetVector) -> Vector:
        """(m−y)e⁻ˢ for the means, ½[1 − (y−m)²e⁻ˢ] for the log-variances."""
        mean, log_variance = jnp.split(z, 2)
        residual, slope = mean - y, exponential.fn(-log_variance)
        precision = _exponential_with_tangent(-log_variance)
        return jnp.concatenate([residual * precision, 0.5 * (1 - residual**2 * slope)])


def _exponential_with_tangent(z: Float[Array, " n"]) -> Float[Array, " n"]:
    """The integral of `exponential`: eᶻ for z ≤ 40, and its tangent e⁴⁰(1 + z − 40) above."""
    return exponential.fn(z) * (1 + jnp.maximum(z - LARGEST_EXPONENT, 0))


# `type[Any]` because the constructors differ, so that no narrower type says how to call them.
NAMED: Registry[type[Any]] = Registry(
    "cost",
    {
        "quadratic": Quadratic,
        "cross-entropy": CrossEntropy,
        "log-likelihood": LogLikelihood,
        "absolute-error": AbsoluteError,
        "focal": Focal,
        "huber": Huber,
        "poisson": Poisson,
        "gaussian-nll": GaussianNLL,
    },
)
"""The classes of costs that the command line and network files know by name."""
