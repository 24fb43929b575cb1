"""Activation functions, each with a handwritten derivative.

A layer turns its weighted inputs z into activations a = f(z). Backpropagation asks an activation
function for one more thing, its *pullback*: the product of a vector g with the transposed Jacobian,
g ↦ (∂a/∂z)ᵀ g. Where f acts on each zₖ alone, the Jacobian is diagonal and the pullback is g·f'(z).
Softmax mixes its inputs, so it has a pullback of its own.

Names in lower case are activations ready for use (`relu`, `softmax`). Names in upper case are the
classes behind them, for those with a constant to choose: `LeakyRelu(slope=0.1)`,
`Softmax(temperature=2.0)`. A `Parametric` activation, such as `prelu`, has a number that is not
chosen but learned, together with the weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxnet.core.activation import ANY, Activation, Bounds, Vector
from jaxnet.core.hyperparameters import constant
from jaxnet.core.parametric import AtParameter as AtParameter
from jaxnet.core.parametric import Parametric as Parametric
from jaxnet.core.parametric import PRelu, Snake
from jaxnet.core.registry import Registry

LARGEST_EXPONENT = 40.0
"""Exponentials are exact up to e⁴⁰ ≈ 2·10¹⁷: costs of them stay finite in float32."""


@dataclass(frozen=True)
class Elementwise(Activation):
    """An activation function aₖ = f(zₖ), made of f and its derivative.

    Args:
      name: what it is called in tables and files.
      f: z ↦ a, elementwise. Pass a function defined in a module: programs are compiled again for
        each new lambda, and objects such as `jnp.tanh` cannot be pickled.
      prime: z ↦ da/dz, elementwise, a function defined in a module too.
      bounds: which activations f can approach; any by default.

    >>> cube = Elementwise("cube", f=lambda z: z**3, prime=lambda z: 3 * z**2)
    >>> cube.pullback(jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0])).tolist()
    [3.0, 12.0]
    """

    name: str
    f: Callable[[Vector], Vector]
    prime: Callable[[Vector], Vector]
    bounds: Bounds = ANY  # pyright: ignore[reportIncompatibleMethodOverride]

    def __repr__(self) -> str:
        return self.name

    def fn(self, z: Vector) -> Vector:
        """The activations a = f(z)."""
        return self.f(z)

    def pullback(self, z: Vector, g: Vector) -> Vector:
        """g·f'(z): the Jacobian is diagonal."""
        return g * self.prime(z)

    @property
    def apart(self) -> bool:
        """Whether masked units may be added, which is where f(0) and f'(0) are finite."""
        if NAMED.is_built_in(self):
            return True
        zero = jnp.zeros(1)
        return bool(jnp.isfinite(self.f(zero)) & jnp.isfinite(self.prime(zero)))


# Each function is followed by its derivative. They are plain functions of this module because
# JAX's own are often objects that cannot be pickled.


def _identity(z: Vector) -> Vector:
    return z


def _ones(z: Vector) -> Vector:
    return jnp.ones_like(z)


def _relu(z: Vector) -> Vector:
    return jnp.where(z <= 0, 0, z)  # NaN stays NaN


def _relu_prime(z: Vector) -> Vector:
    return _step(z, 0)


def _step(z: Vector, below: float) -> Vector:
    """1 where z > 0, `below` elsewhere, and NaN where z is NaN."""
    return jnp.where(z > 0, 1, jnp.where(z <= 0, below, z)).astype(z.dtype)


def _odds(z: Vector) -> tuple[Vector, Vector]:
    """The odds p : q of σ(z) against σ(−z), so that σ(z) = p/(p+q) and σ(−z) = q/(p+q).

    The larger of the two is 1 and the smaller e^−|z|, which never overflows.
    """
    is_positive = z >= 0
    smaller = jnp.exp(jnp.where(is_positive, -z, z))
    return jnp.where(is_positive, 1, smaller), jnp.where(is_positive, smaller, 1)


def _sigmoid(z: Vector) -> Vector:
    """1/(1+e⁻ᶻ), without overflow for any z."""
    p, q = _odds(z)
    return p / (p + q)


def _sigmoid_prime(z: Vector) -> Vector:
    """σ(z)σ(−z)."""
    p, q = _odds(z)
    return p / (p + q) * (q / (p + q))


def _tanh(z: Vector) -> Vector:
    return jnp.tanh(z)


def _tanh_prime(z: Vector) -> Vector:
    """sech²z, as 4σ(2z)σ(−2z)."""
    return 4 * _sigmoid_prime(2 * z)


def _exponential(z: Vector) -> Vector:
    """eᶻ, constant above z = 40 so that its square is finite in float32."""
    return jnp.exp(jnp.minimum(z, LARGEST_EXPONENT))


def _exponential_prime(z: Vector) -> Vector:
    return jnp.where(z > LARGEST_EXPONENT, 0, _exponential(z))


def _softplus(z: Vector) -> Vector:
    """ln(1+eᶻ)."""
    return jax.nn.softplus(z)


def _softplus_prime(z: Vector) -> Vector:
    """σ(z)."""
    return jax.nn.sigmoid(z)


def _gelu(z: Vector) -> Vector:
    """zΦ(z), with Φ the normal distribution function and φ its density."""
    return z * _normal_cdf(z)


def _gelu_prime(z: Vector) -> Vector:
    """Φ(z) + zφ(z)."""
    return _normal_cdf(z) + z * _normal_pdf(z)


def _normal_pdf(z: Vector) -> Vector:
    """φ(z) = exp(−z²/2)/√(2π)."""
    return jnp.exp(-0.5 * z**2) / jnp.sqrt(2 * jnp.pi)


def _normal_cdf(z: Vector) -> Vector:
    """Φ(z), as erfc(−z/√2)/2, which keeps its digits where Φ(z) is tiny."""
    return 0.5 * jax.scipy.special.erfc(-z / jnp.sqrt(2.0))


def _silu(z: Vector) -> Vector:
    """zσ(z)."""
    return z * jax.nn.sigmoid(z)


def _silu_prime(z: Vector) -> Vector:
    """σ(z)(1 + zσ(−z))."""
    return jax.nn.sigmoid(z) * (1 + z * jax.nn.sigmoid(-z))


class Sigmoid(Elementwise):
    """The logistic function σ(z) = 1/(1+e⁻ᶻ), with σ'(z) = σ(z)σ(−z).

    `sigmoid` is its one instance. The class adds a residual that keeps its digits where σ(z) rounds
    to 1:

    >>> z, y = jnp.array([20.0]), jnp.array([1.0])
    >>> (sigmoid.fn(z) - y).item(), round(sigmoid.residual(z, y).item(), 12)
    (0.0, -2.061e-09)
    """

    def residual(self, z: Vector, y: Vector) -> Vector:
        """σ(z) − y, computed as (1−y)σ(z) − yσ(−z): exact where σ(z) rounds to 1."""
        p, q = _odds(z)
        return ((1 - y) * p - y * q) / (p + q)


class Tanh(Elementwise):
    """The hyperbolic tangent, with tanh'(z) = sech²z = 4σ(2z)σ(−2z).

    `tanh` is its one instance. The class adds a residual that keeps its digits where |tanh z|
    rounds to 1:

    >>> z, y = jnp.array([10.0]), jnp.array([1.0])
    >>> round(tanh.residual(z, y).item(), 12)  # float32 has no number between this tanh and 1
    -4.122e-09
    """

    def residual(self, z: Vector, y: Vector) -> Vector:
        """tanh z − y; for |z| > 1 computed as (1−y)σ(2z) − (1+y)σ(−2z)."""
        p, q = _odds(2 * z)
        saturated = ((1 - y) * p - (1 + y) * q) / (p + q)
        return jnp.where(jnp.abs(z) > 1, saturated, jnp.tanh(z) - y)


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """The leaky rectifier: z where z > 0, slope·z elsewhere.

    Args:
      slope: the slope for z < 0, any finite number; 0.01 by default.

    Raises:
      ValueError: the slope is not one finite number.

    Source: Maas, Hannun, Ng, Rectifier nonlinearities improve neural network acoustic models, 2013.

    >>> LeakyRelu(slope=0.5).fn(jnp.array([-2.0, 3.0])).tolist()
    [-1.0, 3.0]
    """

    slope: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", constant("LeakyRelu: slope", self.slope))

    def fn(self, z: Vector) -> Vector:
        """The activations: z where z > 0, slope·z elsewhere."""
        return jnp.where(z > 0, z, self.slope * z)

    def pullback(self, z: Vector, g: Vector) -> Vector:
        """g where z > 0, slope·g elsewhere."""
        return _step(z, self.slope) * g

    @property
    def bounds(self) -> Bounds:
        """At least 0 where the slope is not positive, else any number."""
        return ANY if self.slope > 0 else Bounds(low=0.0)

    @property
    def apart(self) -> bool:
        """Whether masked units may be added; they may: f acts unit by unit and is finite at 0."""
        return True


@dataclass(frozen=True)
class Elu(Activation):
    """The exponential linear unit: z where z > 0, alpha·(eᶻ−1) elsewhere.

    Args:
      alpha: activations approach −alpha as z → −∞; any finite number, 1 by default.

    Raises:
      ValueError: alpha is not one finite number.

    Source: Clevert, Unterthiner, Hochreiter, Fast and accurate deep network learning by
    exponential linear units, 2016, equation 16.

    >>> Elu(alpha=2.0).fn(jnp.array([-1e4, 0.0, 3.0])).tolist()
    [-2.0, 0.0, 3.0]
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", constant("Elu: alpha", self.alpha))

    def fn(self, z: Vector) -> Vector:
        """The activations: z where z > 0, alpha·(eᶻ−1) elsewhere."""
        # The minimum keeps the branch that is not taken finite, so that its derivative is too.
        return jnp.where(z > 0, z, self.alpha * jnp.expm1(jnp.minimum(z, 0)))

    def pullback(self, z: Vector, g: Vector) -> Vector:
        """g where z > 0, alpha·eᶻ·g elsewhere."""
        return jnp.where(z > 0, g, self.alpha * jnp.exp(jnp.minimum(z, 0)) * g)

    @property
    def bounds(self) -> Bounds:
        """More than −alpha, or at least 0 where alpha is negative."""
        return Bounds(low=min(-self.alpha, 0.0))

    @property
    def apart(self) -> bool:
        """Whether masked units may be added; they may: f acts unit by unit and is finite at 0."""
        return True


@dataclass(frozen=True)
class Softmax(Activation):
    """The softmax at temperature T: aₖ = exp(zₖ/T) / Σⱼ exp(zⱼ/T), probabilities that sum to 1.

    It is computed relative to the largest logit m, with the sum R = Σ exp((zⱼ−m)/T) over the
    *other* logits: ln aₖ = (zₖ−m)/T − ln(1+R), and 1 − a of the largest is R/(1+R). Nothing
    cancels, so costs and errors stay accurate where a rounds to 1.

    Args:
      temperature: T > 0; 1, the default, is the usual softmax, and a higher temperature makes the
        probabilities more alike.

    Raises:
      ValueError: the temperature is not one positive, finite number.

    >>> Softmax().fn(jnp.zeros(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        temperature = constant("the softmax temperature", self.temperature, low=0)
        if not temperature:
            raise ValueError(
                "the softmax temperature must be a positive number, not 0; 1 is the usual softmax."
            )
        object.__setattr__(self, "temperature", temperature)

    @property
    def bounds(self) -> Bounds:
        """Probabilities, which add up to 1."""
        return Bounds(0.0, 1.0, total=1.0)

    def fn(self, z: Vector) -> Vector:
        """The probabilities exp(zₖ/T) / Σⱼ exp(zⱼ/T)."""
        _, shifted, sum_of_others = self._relative_to_largest(z)
        return jnp.exp(shifted) / (1 + sum_of_others)

    def log_fn(self, z: Vector) -> Vector:
        """The logarithms ln a of the probabilities, finite for every finite z.

        Args:
          z: the logits, (n,).

        Returns:
          The logarithms, (n,).
        """
        _, shifted, sum_of_others = self._relative_to_largest(z)
        return shifted - jnp.log1p(sum_of_others)

    def complement(self, z: Vector) -> Vector:
        """The complements 1 − a of the probabilities, accurate where a rounds to 1.

        Args:
          z: the logits, (n,).

        Returns:
          The complements, (n,).
        """
        is_largest, shifted, sum_of_others = self._relative_to_largest(z)
        others = jnp.where(is_largest, sum_of_others, 1 + sum_of_others - jnp.exp(shifted))
        return others / (1 + sum_of_others)

    def residual(self, z: Vector, y: Vector) -> Vector:
        """The difference a − y, computed as (1−y)a − y(1−a)."""
        return (1 - y) * self.fn(z) - y * self.complement(z)

    def pullback(self, z: Vector, g: Vector) -> Vector:
        """aₖ(gₖ − Σⱼaⱼgⱼ)/T: the Jacobian is (diag(a) − aaᵀ)/T."""
        a = self.fn(z)
        # The rows of the Jacobian sum to 0, so a constant may be subtracted from g. With g of the
        # largest logit as that constant, the one large term of the sum is 0.
        g = g - jnp.sum(jnp.where(self._is_largest(z), g, 0), axis=-1, keepdims=True)
        return a * (g - jnp.sum(a * g, axis=-1, keepdims=True)) / self.temperature

    def _is_largest(self, z: Vector) -> Bool[Array, " n"]:
        """True at the largest logit, the first of them where several are equal."""
        return jax.nn.one_hot(jnp.argmax(z, axis=-1), z.shape[-1], dtype=bool)

    def _relative_to_largest(
        self, z: Vector
    ) -> tuple[Bool[Array, " n"], Vector, Float[Array, " 1"]]:
        """Where the largest logit m is, all (zₖ−m)/T, and the sum R of the others' exponentials."""
        is_largest = self._is_largest(z)
        # By index rather than by `max`, whose derivative is shared out where logits are equal.
        largest = jnp.sum(jnp.where(is_largest, z, 0), axis=-1, keepdims=True)
        shifted = (z - largest) / self.temperature
        exponentials_of_others = jnp.where(is_largest, 0, jnp.exp(shifted))
        return is_largest, shifted, jnp.sum(exponentials_of_others, axis=-1, keepdims=True)


sigmoid = Sigmoid("sigmoid", _sigmoid, _sigmoid_prime, Bounds(0.0, 1.0))
"""1/(1+e⁻ᶻ)."""
tanh = Tanh("tanh", _tanh, _tanh_prime, Bounds(-1.0, 1.0))
"""The hyperbolic tangent."""
relu = Elementwise("relu", _relu, _relu_prime, Bounds(low=0.0))
"""max(z, 0), whose derivative at 0 is taken as 0."""
leaky_relu = LeakyRelu()
"""z where z > 0, 0.01·z elsewhere."""
elu = Elu()
"""z where z > 0, eᶻ−1 elsewhere."""
softplus = Elementwise("softplus", _softplus, _softplus_prime, Bounds(low=0.0))
"""ln(1+eᶻ), whose derivative is σ(z)."""
exponential = Elementwise("exponential", _exponential, _exponential_prime, Bounds(low=0.0))
"""eᶻ for z ≤ 40, and e⁴⁰ ≈ 2·10¹⁷ above, where its derivative is 0: for outputs, such as rates."""
gelu = Elementwise("gelu", _gelu, _gelu_prime, Bounds(low=-0.169972))
"""zΦ(z), with Φ the normal distribution function (Hendrycks, Gimpel, 2016); exact, not the
approximation by tanh."""
silu = Elementwise("silu", _silu, _silu_prime, Bounds(low=-0.278465))
"""zσ(z), also called swish."""
linear = Elementwise("linear", _identity, _ones)
"""z itself."""
softmax = Softmax()
"""exp(zₖ) / Σⱼ exp(zⱼ)."""
prelu = PRelu()
"""z where z > 0, p·z elsewhere, with a slope p that is learned, from 0.25."""
snake = Snake()
"""z + sin²(pz)/p, with a p that is learned, from 1."""

NAMED: Registry[Activation] = Registry(
    "activation",
    {
        "sigmoid": sigmoid,
        "tanh": tanh,
        "relu": relu,
        "leaky_relu": leaky_relu,
        "elu": elu,
        "softplus": softplus,
        "exponential": exponential,
        "gelu": gelu,
        "silu": silu,
        "linear": linear,
        "softmax": softmax,
        "prelu": prelu,
        "snake": snake,
    },
)
"""The activations that the command line and network files know by name."""
