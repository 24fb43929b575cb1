"""Activation functions, each with a handwritten derivative.

Backpropagation needs one thing of an activation a = f(z): its *pullback*, the product of a
vector g with the transposed Jacobian, g ↦ (∂a/∂z)ᵀ g. For an elementwise function that is
g·f'(z); softmax mixes its inputs and has a pullback of its own.

A lower-case name is a ready activation (`relu`, `softmax`); an upper-case one is the class
with a constant to choose (`LeakyRelu(slope=0.1)`, `Softmax(temperature=2.0)`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.core.hyperparameters import constant
from jaxnet.core.registry import Registry

Vector = Float[Array, " n"]


class Activation:
    """An activation function of one layer: subclass it, or use `Elementwise`, for your own.

    Instances are static choices: make them hashable and equal by value (a frozen dataclass).
    """

    def fn(self, z: Vector) -> Vector:
        """The activations a = f(z) of one layer, for one example."""
        raise NotImplementedError

    def pullback(self, z: Vector, g: Vector) -> Vector:
        """g times the transposed Jacobian of `fn` at z."""
        raise NotImplementedError

    def residual(self, z: Vector, y: Vector) -> Vector:
        """The residual f(z) − y; saturating functions override it to avoid cancellation."""
        return self.fn(z) - y

    @property
    def apart(self) -> bool:
        """Whether a unit is a function of its own z alone, finite with its slope at 0.

        Only then can masked units widen a layer and leave the others as they are.
        """
        return False


@dataclass(frozen=True)
class Elementwise(Activation):
    """An activation that acts on each weighted input alone, from `f` and its derivative `prime`.

    Args:
      name: what it is called in tables and files.
      f: z ↦ a, a plain module-level function: a fresh lambda would be a fresh program, and an
        object such as `jnp.tanh` cannot be pickled.
      prime: z ↦ da/dz, likewise.

    >>> cube = Elementwise("cube", f=lambda z: z**3, prime=lambda z: 3 * z**2)
    >>> cube.pullback(jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0])).tolist()
    [3.0, 12.0]
    """

    name: str
    f: Callable[[Vector], Vector]
    prime: Callable[[Vector], Vector]

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
        """Whether f and f' are finite at 0."""
        if self in NAMED.values():
            return True
        zero = jnp.zeros(1)
        return bool(jnp.isfinite(self.f(zero)) & jnp.isfinite(self.prime(zero)))


class Sigmoid(Elementwise):
    """The logistic function σ(z) = 1/(1+e⁻ᶻ); σ'(z) = σ(z)σ(−z)."""

    def residual(self, z: Vector, y: Vector) -> Vector:
        """σ(z) − y as (1−y)σ(z) − yσ(−z), exact where σ(z) rounds to 1."""
        p, q = _odds(z)
        return ((1 - y) * p - y * q) / (p + q)


class Tanh(Elementwise):
    """The hyperbolic tangent; tanh'(z) = sech²z = 4σ(2z)σ(−2z)."""

    def residual(self, z: Vector, y: Vector) -> Vector:
        """tanh z − y; away from 0 as (1−y)σ(2z) − (1+y)σ(−2z), exact where |tanh z| rounds to 1."""
        p, q = _odds(2 * z)
        saturated = ((1 - y) * p - (1 + y) * q) / (p + q)
        return jnp.where(jnp.abs(z) > 1, saturated, jnp.tanh(z) - y)


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """z where z > 0, slope·z elsewhere.

    Source: Maas, Hannun, Ng, Rectifier nonlinearities improve neural network acoustic models, 2013.
    """

    slope: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", constant("LeakyRelu: slope", self.slope))

    def fn(self, z: Vector) -> Vector:
        """max(z, 0) + slope·min(z, 0)."""
        return jnp.where(z > 0, z, self.slope * z)

    def pullback(self, z: Vector, g: Vector) -> Vector:
        """g where z > 0, slope·g elsewhere."""
        return jnp.where(z > 0, g, self.slope * g)

    @property
    def apart(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class Elu(Activation):
    """z where z > 0, alpha·(eᶻ−1) elsewhere.

    Source: Clevert, Unterthiner, Hochreiter, Fast and accurate deep network learning by
    exponential linear units, 2016, equation 16.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", constant("Elu: alpha", self.alpha))

    def fn(self, z: Vector) -> Vector:
        """z where z > 0, alpha·(eᶻ−1) elsewhere."""
        # The minimum keeps the branch that is not taken finite, so that its derivative is too.
        return jnp.where(z > 0, z, self.alpha * jnp.expm1(jnp.minimum(z, 0)))

    def pullback(self, z: Vector, g: Vector) -> Vector:
        """g where z > 0, alpha·eᶻ·g elsewhere."""
        return jnp.where(z > 0, g, self.alpha * jnp.exp(jnp.minimum(z, 0)) * g)

    @property
    def apart(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class Softmax(Activation):
    """aₖ = exp(zₖ/T) / Σⱼ exp(zⱼ/T), at temperature T.

    Written around the largest logit m, in the sum R = Σ exp((zⱼ−m)/T) over the *other* ones:
    ln aₖ = (zₖ−m)/T − ln(1+R), and 1−a of the winner is R/(1+R). Nothing cancels, so costs and
    errors stay accurate where a rounds to 1.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        temperature = constant("the softmax temperature", self.temperature, low=0)
        if not temperature:
            raise ValueError(
                "the softmax temperature must be a positive number, not 0; 1 is the usual softmax."
            )
        object.__setattr__(self, "temperature", temperature)

    def log_fn(self, z: Vector) -> Vector:
        """ln a, finite for every finite z."""
        _, shifted, rest = self._parts(z)
        return shifted - jnp.log1p(rest)

    def fn(self, z: Vector) -> Vector:
        """exp(zₖ/T) / Σⱼ exp(zⱼ/T)."""
        _, shifted, rest = self._parts(z)
        return jnp.exp(shifted) / (1 + rest)

    def complement(self, z: Vector) -> Vector:
        """1 − a, without cancellation where a rounds to 1."""
        top, shifted, rest = self._parts(z)
        return jnp.where(top, rest, 1 + rest - jnp.exp(shifted)) / (1 + rest)

    def residual(self, z: Vector, y: Vector) -> Vector:
        """a − y as (1−y)a − y(1−a)."""
        return (1 - y) * self.fn(z) - y * self.complement(z)

    def pullback(self, z: Vector, g: Vector) -> Vector:
        """aₖ(gₖ − Σⱼaⱼgⱼ)/T: the Jacobian is (diag(a) − aaᵀ)/T."""
        a = self.fn(z)
        # The rows of the Jacobian sum to 0, so g may be shifted: by its value at the winner, which
        # takes the one large term out of the sum.
        g = g - jnp.sum(jnp.where(self._top(z), g, 0), axis=-1, keepdims=True)
        return a * (g - jnp.sum(a * g, axis=-1, keepdims=True)) / self.temperature

    def _top(self, z: Vector) -> Array:
        return jax.nn.one_hot(jnp.argmax(z, axis=-1), z.shape[-1], dtype=bool)

    def _parts(self, z: Vector) -> tuple[Array, Vector, Float[Array, " 1"]]:
        top = self._top(z)
        # By index rather than by `max`, whose derivative is shared out where logits are equal.
        largest = jnp.sum(jnp.where(top, z, 0), axis=-1, keepdims=True)
        shifted = (z - largest) / self.temperature
        return top, shifted, jnp.sum(jnp.where(top, 0, jnp.exp(shifted)), axis=-1, keepdims=True)


def _normal_pdf(z: Vector) -> Vector:
    return jnp.exp(-0.5 * z**2) / jnp.sqrt(2 * jnp.pi)


def _normal_cdf(z: Vector) -> Vector:
    return 0.5 * jax.scipy.special.erfc(-z / jnp.sqrt(2.0))


def _identity(z: Vector) -> Vector:
    return z


def _ones(z: Vector) -> Vector:
    return jnp.ones_like(z)


def _relu(z: Vector) -> Vector:
    return jnp.where(z > 0, z, 0)


def _relu_prime(z: Vector) -> Vector:
    return jnp.where(z > 0, 1, 0).astype(z.dtype)


def _odds(z: Vector) -> tuple[Vector, Vector]:
    """p and q, one of them 1, with σ(z) = p/(p+q) and σ(−z) = q/(p+q), by one exponential."""
    positive = z >= 0
    e = jnp.exp(jnp.where(positive, -z, z))
    return jnp.where(positive, 1, e), jnp.where(positive, e, 1)


def _sigmoid(z: Vector) -> Vector:
    p, q = _odds(z)
    return p / (p + q)


def _sigmoid_prime(z: Vector) -> Vector:
    p, q = _odds(z)
    return p / (p + q) * (q / (p + q))


# JAX's own functions are often objects that pickle cannot name: these plain ones it can.
def _tanh(z: Vector) -> Vector:
    return jnp.tanh(z)


def _tanh_prime(z: Vector) -> Vector:
    return 4 * _sigmoid_prime(2 * z)


def _softplus(z: Vector) -> Vector:
    return jax.nn.softplus(z)


def _softplus_prime(z: Vector) -> Vector:
    return jax.nn.sigmoid(z)


def _gelu(z: Vector) -> Vector:
    return z * _normal_cdf(z)


def _gelu_prime(z: Vector) -> Vector:
    return _normal_cdf(z) + z * _normal_pdf(z)


def _silu(z: Vector) -> Vector:
    return z * jax.nn.sigmoid(z)


def _silu_prime(z: Vector) -> Vector:
    return jax.nn.sigmoid(z) * (1 + z * jax.nn.sigmoid(-z))


sigmoid = Sigmoid("sigmoid", _sigmoid, _sigmoid_prime)
tanh = Tanh("tanh", _tanh, _tanh_prime)
relu = Elementwise("relu", _relu, _relu_prime)
leaky_relu = LeakyRelu()
elu = Elu()
softplus = Elementwise("softplus", _softplus, _softplus_prime)
"""ln(1+eᶻ), whose derivative is σ(z)."""
gelu = Elementwise("gelu", _gelu, _gelu_prime)
"""zΦ(z), with Φ the normal distribution function (Hendrycks, Gimpel, 2016); exact, no tanh."""
silu = Elementwise("silu", _silu, _silu_prime)
"""zσ(z), also called swish."""
linear = Elementwise("linear", _identity, _ones)
softmax = Softmax()

NAMED: Registry[Activation] = Registry(
    "activation",
    {
        "sigmoid": sigmoid,
        "tanh": tanh,
        "relu": relu,
        "leaky_relu": leaky_relu,
        "elu": elu,
        "softplus": softplus,
        "gelu": gelu,
        "silu": silu,
        "linear": linear,
        "softmax": softmax,
    },
)
"""The activations that the command line and the files know by name."""
