"""Noise in the inputs, mixup and CutMix: rules that make new examples of a mini-batch's own.

All random numbers are drawn with the examples on the first axis, so that the examples of a
mini-batch have the same numbers however many rows fill it up.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxnet.core import network
from jaxnet.core.arguments import lists_keywords
from jaxnet.core.hyperparameters import leaf, pytree, shown, static
from jaxnet.core.types import AnyArray, Inputs, KeyArray, Numbers, Targets
from jaxnet.recipes.batch_rules import BatchRule, FloatBatch, as_floats
from jaxnet.recipes.images import checked_shape, image_shape


@lists_keywords
def input_noise(sd: Numbers) -> BatchRule:
    """Gaussian noise, drawn anew in every step: x ← x + sd·ε with ε ~ N(0, 1) for each input.

    Targets stay as they are. With a quadratic cost and a small sd this is close to a penalty on the
    outputs' derivatives by the inputs (Bishop 1995).

    Args:
      sd: the standard deviation, at least 0, in the units in which the network reads inputs: a
        pixel goes from 0 to 1. An array makes a sweep.

    Returns:
      The rule.

    Raises:
      ValueError: `sd` is out of its range.

    Source: Bishop, Training with noise is equivalent to Tikhonov regularization, 1995.

    >>> input_noise(0.1)
    input_noise(sd=0.1)
    """
    return InputNoise(sd)


@lists_keywords
def mixup(alpha: Numbers) -> BatchRule:
    """Mixup: each example is mixed with a partner, x ← λx + (1−λ)x' and y ← λy + (1−λ)y'.

    λ ~ Beta(α, α) is drawn for each example. The partners are a random permutation of the
    mini-batch's own examples: one may be its own partner. Labels become one-hot, pixels floats.
    With example weights, a mixed example has the weight of x; examples of weight 0 are no partners.

    Differs: the paper's code, torchvision and Keras's first versions draw one λ per mini-batch; the
    paper's formula, as here, one for each pair.

    Args:
      alpha: α ≥ 0; 0 mixes nothing (λ = 1), 1 draws λ uniformly. The paper has 0.1 to 0.4 for
        ImageNet and 1 for CIFAR-10. An array makes a sweep.

    Returns:
      The rule.

    Raises:
      ValueError: `alpha` is out of its range.

    Source: Zhang, Cisse, Dauphin, Lopez-Paz, mixup: Beyond empirical risk minimization, 2018,
    equation 2.

    >>> mixup(0.2)
    mixup(alpha=0.2)
    """
    return Mixup(alpha)


@lists_keywords
def cutmix(alpha: Numbers, shape: tuple[int, int] | None = None) -> BatchRule:
    """CutMix: a rectangle of each image is replaced by a partner's, y ← λy + (1−λ)y'.

    λ' ~ Beta(α, α) is drawn for each image. The rectangle has ⌊h√(1−λ')⌋ by ⌊w√(1−λ')⌋ pixels
    around a pixel drawn uniformly, and is cut off at the borders; λ is the share of pixels that
    stay. Partners are drawn, and weights treated, as in `mixup`.

    Differs: the paper's code draws one rectangle per mini-batch.

    Args:
      alpha: α ≥ 0; 0 replaces nothing, 1 (the paper's) draws λ' uniformly. An array makes a sweep.
      shape: (height, width) of an image in pixels; `None`, the default, for a square.

    Returns:
      The rule.

    Raises:
      ValueError: `alpha` is out of its range, or `shape` is not a pair of positive numbers.

    Source: Yun et al., CutMix, 2019, equations 1 and 2.

    >>> cutmix(1.0, shape=(5, 7))
    cutmix(alpha=1, shape=(5, 7))
    """
    return CutMix(alpha, shape)


@pytree
class InputNoise(BatchRule):
    """The rule of `input_noise`."""

    sd: Numbers

    def __post_init__(self) -> None:
        object.__setattr__(self, "sd", _required("sd", self.sd))

    def apply(
        self,
        key: KeyArray,
        xs: Inputs,
        ys: Targets,
        weights: Float[AnyArray, " batch"],
        n_out: int,
    ) -> tuple[Float[Array, "batch n_in"], Targets]:
        """The mini-batch with noise in its inputs."""
        noise = jax.random.normal(key, xs.shape, weights.dtype)
        return network.inputs(xs, weights.dtype) + jnp.asarray(self.sd) * noise, ys

    def __repr__(self) -> str:
        return f"input_noise(sd={shown(self.sd)})"


@pytree
class Mixup(BatchRule):
    """The rule of `mixup`."""

    alpha: Numbers

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", _required("alpha", self.alpha))

    def apply(
        self,
        key: KeyArray,
        xs: Inputs,
        ys: Targets,
        weights: Float[AnyArray, " batch"],
        n_out: int,
    ) -> FloatBatch:
        """The mini-batch with each example mixed with its partner."""
        partner_key, share_key = jax.random.split(key)
        xs, ys = as_floats(xs, ys, weights, n_out)
        partners = draw_partners(partner_key, jnp.asarray(weights) > 0)
        shares = draw_shares(share_key, self.alpha, weights)[:, None]
        return _mixed(shares, xs, xs[partners]), _mixed(shares, ys, ys[partners])

    def __repr__(self) -> str:
        return f"mixup(alpha={shown(self.alpha)})"


@pytree
class CutMix(BatchRule):
    """The rule of `cutmix`."""

    alpha: Numbers
    shape: tuple[int, int] | None = static(default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", _required("alpha", self.alpha))
        object.__setattr__(self, "shape", checked_shape(self.shape))

    def apply(
        self,
        key: KeyArray,
        xs: Inputs,
        ys: Targets,
        weights: Float[AnyArray, " batch"],
        n_out: int,
    ) -> FloatBatch:
        """The mini-batch with a rectangle of each image replaced by its partner's."""
        partner_key, share_key, place_key = jax.random.split(key, 3)
        xs, ys = as_floats(xs, ys, weights, n_out)
        partners = draw_partners(partner_key, jnp.asarray(weights) > 0)
        cuts = jnp.sqrt(1 - draw_shares(share_key, self.alpha, weights))
        places = jax.random.uniform(place_key, (len(xs), 2), weights.dtype)
        sides = image_shape(self.shape, xs.shape[1])
        rows, columns = (
            _in_interval(size, jnp.floor(size * cuts), jnp.floor(size * places[:, axis]))
            for axis, size in enumerate(sides)
        )
        is_cut = (rows[:, :, None] & columns[:, None, :]).reshape(xs.shape)
        shares = 1 - jnp.mean(is_cut, axis=1, keepdims=True, dtype=weights.dtype)
        return jnp.where(is_cut, xs[partners], xs), _mixed(shares, ys, ys[partners])

    def check(self, n_in: int, n_out: int) -> None:
        """Raise an error if `shape` does not fit the network's inputs."""
        image_shape(self.shape, n_in)

    def __repr__(self) -> str:
        shape = "" if self.shape is None else f", shape={self.shape}"
        return f"cutmix(alpha={shown(self.alpha)}{shape})"


def _required(name: str, value: Numbers) -> AnyArray:
    """The leaf of a number that a rule cannot do without."""
    number = leaf(name, value)
    if number is None:
        raise ValueError(f"{name} must be a number in [0, inf), not None; 0 changes nothing.")
    return number


def draw_partners(key: KeyArray, is_present: Bool[Array, " batch"]) -> Int[Array, " batch"]:
    """A random partner for each example of a mini-batch.

    Args:
      key: a random key.
      is_present: which examples are part of the mini-batch; the others only fill it up.

    Returns:
      The partners' places: a uniform permutation of the examples that are present, whose draw does
      not depend on the number of the others, which stay where they are.

    >>> draw_partners(jax.random.key(0), jnp.array([True, True, True, False, False])).tolist()[3:]
    [3, 4]
    """
    n = len(is_present)
    bits = jax.random.bits(key, (n,), jnp.uint32)
    present_first = jnp.lexsort((bits, ~is_present))  # in random order
    ranks = jnp.cumsum(is_present) - 1
    return jnp.where(is_present, present_first[ranks], jnp.arange(n))


def draw_shares(
    key: KeyArray, alpha: Numbers, weights: Float[AnyArray, " batch"]
) -> Float[Array, " batch"]:
    """λ ~ Beta(α, α) for each example; 1 if α is 0.

    Args:
      key: a random key.
      alpha: α ≥ 0, a scalar.
      weights: the examples' weights: an array of the shape and type of the result.

    Returns:
      The draws, in [0, 1].

    >>> draw_shares(jax.random.key(0), 0.0, jnp.ones(2)).tolist()
    [1.0, 1.0]
    """
    alpha = jnp.asarray(alpha, weights.dtype)
    positive = jnp.where(alpha > 0, alpha, 1)  # Beta(0, 0) has no draw, and no derivative
    shares = jax.random.beta(key, positive, positive, weights.shape, weights.dtype)
    return jnp.where(alpha > 0, shares, 1)


def _mixed(shares: Array, rows: Array, others: Array) -> Array:
    """λ·rows + (1−λ)·others."""
    return shares * rows + (1 - shares) * others


def _in_interval(
    size: int, lengths: Float[Array, " batch"], middles: Float[Array, " batch"]
) -> Bool[Array, "batch size"]:
    """Which of `size` pixels lie in an interval of so many pixels around a middle one."""
    firsts = middles - jnp.floor(lengths / 2)
    places = jnp.arange(size, dtype=lengths.dtype)[None]
    return (places >= firsts[:, None]) & (places < (firsts + lengths)[:, None])
