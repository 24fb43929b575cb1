"""Adam and its variants: a running mean of gradients, divided by a running measure of their size.

In the formulas g is the gradient, w a parameter, η the learning rate and t the step, from 1.
m ← β₁m + (1−β₁)g and v ← β₂v + (1−β₂)g² start at 0, and are corrected for that: m̂ = m/(1−β₁ᵗ) and
v̂ = v/(1−β₂ᵗ).
"""

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from jaxnet.core.arguments import lists_keywords
from jaxnet.core.hyperparameters import leaf
from jaxnet.core.types import Numbers
from jaxnet.recipes.optimizer import (
    SMALLEST_SHARE,
    Optimizer,
    moments,
    padding_safe,
    weights_only,
    with_rate,
)


@lists_keywords
def adam(
    learning_rate: Numbers = 1e-3, b1: Numbers = 0.9, b2: Numbers = 0.999, eps: Numbers = 1e-8
) -> Optimizer:
    """Adam: w ← w − ηm̂/(√v̂+ε), with running means m of g and v of g², corrected for their start.

    g is the gradient, w a parameter, t the step from 1. m ← β₁m + (1−β₁)g and v ← β₂v + (1−β₂)g²
    start at 0; m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ).

    Differs: ε is added to √v̂, as in PyTorch and algorithm 1 of the paper; Keras (where it is 1e-7)
    and scikit-learn add it to √v, before the correction, so that it weighs more in early steps.

    Args:
      learning_rate: η ≥ 0, by default 1e-3; an array makes a sweep.
      b1: β₁ in [0, 1), by default 0.9.
      b2: β₂ in [0, 1), by default 0.999.
      eps: ε ≥ 0, by default 1e-8.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Kingma, Ba, Adam, 2015, algorithm 1.

    >>> adam()
    adam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08)
    """
    return padding_safe(optax.adam, with_rate(learning_rate, **moments(b1, b2, eps)))


@lists_keywords
def adamw(
    learning_rate: Numbers = 1e-3,
    b1: Numbers = 0.9,
    b2: Numbers = 0.999,
    eps: Numbers = 1e-8,
    weight_decay: Numbers = 1e-4,
) -> Optimizer:
    """AdamW: `adam`'s step, and weights that decay besides: w ← w − η(m̂/(√v̂+ε) + λw).

    m̂ and v̂ are Adam's corrected running means of the gradient g and of g². The decay does not pass
    through the division by √v̂, as that of `Recipe.l2` does.

    Differs: λ is 1e-4 by default, 1e-2 in PyTorch and 4e-3 in Keras; biases are not decayed, there
    they are. The decay is multiplied by η, as there; the paper multiplies it by the schedule alone.

    Args:
      learning_rate: η ≥ 0, by default 1e-3; an array makes a sweep.
      b1: β₁ in [0, 1), by default 0.9.
      b2: β₂ in [0, 1), by default 0.999.
      eps: ε ≥ 0, by default 1e-8.
      weight_decay: λ ≥ 0, by default 1e-4, for weights alone.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Loshchilov, Hutter, Decoupled weight decay regularization, 2019, algorithm 2.

    >>> adamw().name
    'adamw'
    """
    decay = leaf("weight_decay", weight_decay)
    return padding_safe(
        _adamw, with_rate(learning_rate, **moments(b1, b2, eps), weight_decay=decay)
    )


def _adamw(
    learning_rate: ArrayLike, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, weight_decay: ArrayLike
) -> optax.GradientTransformation:
    rate, decay = jnp.asarray(learning_rate), jnp.asarray(weight_decay)
    return optax.adamw(rate, b1, b2, eps, weight_decay=decay, mask=weights_only)


@lists_keywords
def amsgrad(
    learning_rate: Numbers = 1e-3, b1: Numbers = 0.9, b2: Numbers = 0.999, eps: Numbers = 1e-8
) -> Optimizer:
    """AMSGrad: Adam whose divisor never falls, w ← w − ηm̂/(√max(v̂₁, …, v̂ₜ) + ε).

    m̂ and v̂ are Adam's corrected running means of the gradient g and of g², t the step.

    Differs: the maximum is taken of the corrected v̂; PyTorch and Keras take it of v and correct it
    afterwards; the paper corrects neither v nor m, and has no ε.

    Args:
      learning_rate: η ≥ 0, by default 1e-3; an array makes a sweep.
      b1: β₁ in [0, 1), by default 0.9.
      b2: β₂ in [0, 1), by default 0.999.
      eps: ε ≥ 0, by default 1e-8.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Reddi, Kale, Kumar, On the convergence of Adam and beyond, 2018, algorithm 2, with
    Adam's corrections for bias.

    >>> amsgrad().name
    'amsgrad'
    """
    return padding_safe(optax.amsgrad, with_rate(learning_rate, **moments(b1, b2, eps)))


@lists_keywords
def nadam(
    learning_rate: Numbers = 1e-3, b1: Numbers = 0.9, b2: Numbers = 0.999, eps: Numbers = 1e-8
) -> Optimizer:
    """NAdam: Adam with Nesterov's look-ahead, m̂ = β₁m/(1−β₁ᵗ⁺¹) + (1−β₁)g/(1−β₁ᵗ).

    w ← w − ηm̂/(√v̂+ε), with g the gradient, w a parameter, m and v̂ Adam's running means of g and g²
    and t the step from 1.

    Differs: β₁ is constant here. PyTorch and the paper let it rise, β₁(1 − 0.96^(t/250)/2), and
    Keras with 0.96^t; the paper also multiplies v̂ by β₂. PyTorch's η is 2e-3.

    Args:
      learning_rate: η ≥ 0, by default 1e-3; an array makes a sweep.
      b1: β₁ in [0, 1), by default 0.9.
      b2: β₂ in [0, 1), by default 0.999.
      eps: ε ≥ 0, by default 1e-8.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Dozat, Incorporating Nesterov momentum into Adam, 2016, algorithm 2, at constant β₁.

    >>> nadam().name
    'nadam'
    """
    return padding_safe(_nadam, with_rate(learning_rate, **moments(b1, b2, eps)))


def _nadam(
    learning_rate: ArrayLike, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike
) -> optax.GradientTransformation:
    return optax.adam(jnp.asarray(learning_rate), b1, b2, eps, nesterov=True)


@lists_keywords
def adamax(
    learning_rate: Numbers = 1e-3, b1: Numbers = 0.9, b2: Numbers = 0.999, eps: Numbers = 1e-8
) -> Optimizer:
    """AdaMax: Adam with a decaying maximum in place of the root, u ← max(β₂u, |g| + ε).

    w ← w − ηm̂/u, with g the gradient, w a parameter, m̂ Adam's corrected running mean of g; u starts
    at 0.

    Differs: PyTorch's has the same formula with η = 2e-3, the paper's value; Keras adds ε, 1e-7, to
    u outside of the maximum; the paper has no ε.

    Args:
      learning_rate: η ≥ 0, by default 1e-3; an array makes a sweep.
      b1: β₁ in [0, 1), by default 0.9.
      b2: β₂ in [0, 1), by default 0.999: the decay of the maximum.
      eps: ε ≥ 0, by default 1e-8.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Kingma, Ba, Adam, 2015, algorithm 2.

    >>> adamax().name
    'adamax'
    """
    return padding_safe(optax.adamax, with_rate(learning_rate, **moments(b1, b2, eps)))


@lists_keywords
def lamb(
    learning_rate: Numbers = 1e-3,
    b1: Numbers = 0.9,
    b2: Numbers = 0.999,
    eps: Numbers = 1e-6,
    weight_decay: Numbers = 0.0,
) -> Optimizer:
    """LAMB: AdamW whose steps are as long as the array they change, times η.

    r = m̂/(√v̂+ε) + λw, and for each array of weights or biases w ← w − η(‖w‖/‖r‖)r, where a norm of
    0 makes the quotient 1. m̂ and v̂ are Adam's corrected running means of the gradient g and of g².

    Differs: biases are not decayed; ‖w‖ is not clipped, as the paper's φ may do. Keras decays
    outside of r, so that λ does not change ‖r‖, and has ε = 1e-7.

    Args:
      learning_rate: η ≥ 0, by default 1e-3; an array makes a sweep.
      b1: β₁ in [0, 1), by default 0.9.
      b2: β₂ in [0, 1), by default 0.999.
      eps: ε ≥ 0, by default 1e-6.
      weight_decay: λ ≥ 0, by default 0, for weights alone.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: You et al., Large batch optimization for deep learning, 2020, algorithm 2.

    >>> lamb().name
    'lamb'
    """
    decay = leaf("weight_decay", weight_decay)
    return padding_safe(_lamb, with_rate(learning_rate, **moments(b1, b2, eps), weight_decay=decay))


def _lamb(
    learning_rate: ArrayLike, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, weight_decay: ArrayLike
) -> optax.GradientTransformation:
    rate, decay = jnp.asarray(learning_rate), jnp.asarray(weight_decay)
    return optax.lamb(rate, b1, b2, eps, weight_decay=decay, mask=weights_only)


@lists_keywords
def adabelief(
    learning_rate: Numbers = 1e-3,
    b1: Numbers = 0.9,
    b2: Numbers = 0.999,
    eps: Numbers = 1e-16,
    eps_root: Numbers = 1e-16,
) -> Optimizer:
    """AdaBelief: Adam divided by how far gradients are from their mean, not by their size.

    s ← β₂s + (1−β₂)(g−m)² + ε_root, w ← w − ηm̂/(√ŝ+ε), with g the gradient, w a parameter, m̂ and ŝ
    the corrected running means, as in `adam`.

    Differs: the paper has one ε for both places; its authors' package for PyTorch also rectifies
    the step, as `radam` does, by default.

    Args:
      learning_rate: η ≥ 0, by default 1e-3; an array makes a sweep.
      b1: β₁ in [0, 1), by default 0.9.
      b2: β₂ in [0, 1), by default 0.999.
      eps: ε ≥ 0, by default 1e-16, added to the root.
      eps_root: ε_root ≥ 0, by default 1e-16, added to s in each step.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Zhuang et al., AdaBelief optimizer, 2020, algorithm 2.

    >>> adabelief().name
    'adabelief'
    """
    hyper = with_rate(learning_rate, **moments(b1, b2, eps), eps_root=leaf("eps_root", eps_root))
    return padding_safe(optax.adabelief, hyper)


@lists_keywords
def radam(
    learning_rate: Numbers = 1e-3,
    b1: Numbers = 0.9,
    b2: Numbers = 0.999,
    eps: Numbers = 1e-8,
    threshold: Numbers = 5.0,
) -> Optimizer:
    """RAdam: Adam times a rectification r that makes up for the few gradients in v̂ at the start.

    w ← w − ηr·m̂/(√v̂+ε) where ρ ≥ `threshold`, else w ← w − ηm̂, with m̂ and v̂ Adam's corrected
    running means of the gradient g and of g², t the step from 1, ρ∞ = 2/(1−β₂) − 1,
    ρ = ρ∞ − 2tβ₂ᵗ/(1−β₂ᵗ) and r² = (ρ−4)(ρ−2)ρ∞/((ρ∞−4)(ρ∞−2)ρ).

    Differs: the threshold is 5, as in PyTorch, which asks for ρ > 5, and 4 in the paper. ε is added
    to √v̂; PyTorch adds it to √v, before the correction, and the paper has none.

    Args:
      learning_rate: η ≥ 0, by default 1e-3; an array makes a sweep.
      b1: β₁ in [0, 1), by default 0.9.
      b2: β₂ in [0, 1), by default 0.999.
      eps: ε ≥ 0, by default 1e-8.
      threshold: the ρ from which on v̂ is used, at least 4, since r is not real below; by default 5.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Liu et al., On the variance of the adaptive learning rate and beyond, 2020, algorithm 2.

    >>> radam().name
    'radam'
    """
    hyper = with_rate(learning_rate, **moments(b1, b2, eps))
    return padding_safe(_radam, hyper | {"threshold": leaf("threshold", threshold, low=4)})


def _radam(
    learning_rate: ArrayLike, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, threshold: ArrayLike
) -> optax.GradientTransformation:
    # Our own: optax.radam (0.2.8) takes the root of a negative number in steps that do not use r,
    # which makes the derivative of a run NaN. Everything else is as there, to the bit.
    tree, longest = optax.tree, 2.0 / (1.0 - jnp.asarray(b2)) - 1.0

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None
    ) -> tuple[PyTree, optax.ScaleByAdamState]:
        count = optax.safe_increment(state.count)
        mu = tree.update_moment(updates, state.mu, b1, 1)
        nu = tree.update_moment_per_elem_norm(updates, state.nu, b2, 2)
        decay = b2**count
        length = longest - 2 * count * decay / (1 - decay)
        is_long = length >= threshold
        squared = (length - 4.0) * (length - 2.0) * longest
        squared = squared / ((longest - 4.0) * (longest - 2.0) * length)
        r = jnp.sqrt(jnp.where(is_long, squared, 1))

        def rectified(m: Array, v: Array) -> Array:
            return jnp.where(is_long, r.astype(m.dtype) * m / (jnp.sqrt(v) + eps), m)

        m_hat = tree.bias_correction(mu, b1, count)
        v_hat = tree.bias_correction(nu, b2, count)
        directions = jax.tree.map(rectified, m_hat, v_hat)
        return directions, optax.ScaleByAdamState(count=count, mu=mu, nu=nu)

    rescale = optax.GradientTransformation(optax.scale_by_adam().init, update)
    return optax.chain(rescale, optax.scale_by_learning_rate(jnp.asarray(learning_rate)))


@lists_keywords
def yogi(
    learning_rate: Numbers = 1e-2, b1: Numbers = 0.9, b2: Numbers = 0.999, eps: Numbers = 1e-3
) -> Optimizer:
    """Yogi: Adam whose v changes by (1−β₂)g² in a step, either way, v ← v − (1−β₂)·sgn(v−g²)·g².

    w ← w − ηm̂/(√v̂+ε), with g the gradient, w a parameter, m̂ and v̂ corrected as in `adam`; m and v
    start at 1e-6.

    Differs: the paper does not correct m and v for their start.

    Args:
      learning_rate: η ≥ 0, by default 1e-2; an array makes a sweep.
      b1: β₁ in [0, 1), by default 0.9.
      b2: β₂ in [0, 1), by default 0.999.
      eps: ε ≥ 0, by default 1e-3.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Zaheer et al., Adaptive methods for nonconvex optimization, 2018, algorithm 2.

    >>> yogi().name
    'yogi'
    """
    return padding_safe(optax.yogi, with_rate(learning_rate, **moments(b1, b2, eps)))


@lists_keywords
def schedule_free_adam(
    learning_rate: Numbers = 2.5e-3, b1: Numbers = 0.9, b2: Numbers = 0.999, eps: Numbers = 1e-8
) -> Optimizer:
    """Adam with an average of its parameters in place of momentum and a learning-rate schedule.

    z ← z − ηg/(√v̂+ε), with g the gradient and v̂ Adam's corrected running mean of g². Parameters are
    averaged, trained and evaluated as in `schedule_free_sgd`; there is no m.

    Args:
      learning_rate: η ≥ 0, by default 2.5e-3; an array makes a sweep.
      b1: β in [1e-6, 1), by default 0.9, as in `schedule_free_sgd`.
      b2: β₂ in [0, 1), by default 0.999.
      eps: ε ≥ 0, by default 1e-8.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Defazio et al., The road less scheduled, 2024, algorithm 1.

    >>> schedule_free_adam().name
    'schedule_free_adam'
    """
    hyper = with_rate(learning_rate, **moments(b1, b2, eps))
    hyper["b1"] = leaf("b1", b1, low=SMALLEST_SHARE, high=1)
    evaluation = optax.contrib.schedule_free_eval_params
    return padding_safe(_schedule_free_adam, hyper, evaluation=evaluation)


def _schedule_free_adam(
    learning_rate: ArrayLike, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike
) -> optax.GradientTransformation:
    return optax.contrib.schedule_free_adamw(learning_rate, b1=b1, b2=b2, eps=eps)
