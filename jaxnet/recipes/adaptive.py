"""Optimizers that adapt each parameter's step size to the history of its gradients.

In the formulas g is the gradient, w a parameter and η the learning rate. `adam_family` has those
that also keep a running mean of gradients.
"""

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from jaxnet.core.arguments import lists_keywords
from jaxnet.core.hyperparameters import flag, leaf
from jaxnet.core.types import AnyArray, Numbers
from jaxnet.recipes.optimizer import Optimizer, padding_safe, with_rate


@lists_keywords
def adagrad(
    learning_rate: Numbers = 0.01, initial_accumulator_value: Numbers = 0.1, eps: Numbers = 1e-7
) -> Optimizer:
    """Adagrad: steps divided by the root of all squared gradients, s ← s + g², w ← w − ηg/√(s+ε).

    g is the gradient, w a parameter, s the sum of its squared gradients.

    Differs: s starts at 0.1, as in Keras, and at 0 in PyTorch and the paper; ε stands inside the
    root, as in Keras, and outside in PyTorch (where it is 1e-10) and the paper. Keras's η is 1e-3.

    Args:
      learning_rate: η ≥ 0, by default 0.01; an array makes a sweep.
      initial_accumulator_value: s at the start, at least 0, by default 0.1.
      eps: ε ≥ 0, by default 1e-7.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Duchi, Hazan, Singer, Adaptive subgradient methods, 2011, figure 1 (diagonal form).

    >>> adagrad()
    adagrad(learning_rate=0.01, initial_accumulator_value=0.1, eps=1e-07)
    """
    start = leaf("initial_accumulator_value", initial_accumulator_value)
    hyper = with_rate(learning_rate, initial_accumulator_value=start, eps=leaf("eps", eps))
    return padding_safe(optax.adagrad, hyper)


@lists_keywords
def adadelta(learning_rate: Numbers = 1.0, rho: Numbers = 0.9, eps: Numbers = 1e-6) -> Optimizer:
    """Adadelta: steps in the parameter's own unit, Δ = g√(D+ε)/√(s+ε), w ← w − ηΔ.

    g is the gradient, w a parameter; s and D are running means, from 0, of g² and Δ²:
    s ← ρs + (1−ρ)g² before the step, D ← ρD + (1−ρ)Δ² after it.

    Differs: the paper has no η. Keras has η = 1e-3, ρ = 0.95 and ε = 1e-7 by default.

    Args:
      learning_rate: η ≥ 0, by default 1; an array makes a sweep.
      rho: ρ in [0, 1), by default 0.9.
      eps: ε ≥ 0, by default 1e-6; the first steps are about √(ε/(1−ρ)) long.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Zeiler, ADADELTA, 2012, algorithm 1 (where η = 1).

    >>> adadelta()
    adadelta(learning_rate=1, rho=0.9, eps=1e-06)
    """
    hyper = with_rate(learning_rate, rho=leaf("rho", rho, high=1), eps=leaf("eps", eps))
    return padding_safe(optax.adadelta, hyper)


@lists_keywords
def rmsprop(
    learning_rate: Numbers = 1e-3,
    decay: Numbers = 0.9,
    eps: Numbers = 1e-8,
    momentum: Numbers | None = None,
    centered: bool = False,
) -> Optimizer:
    """RMSProp: steps divided by a running root mean square, s ← ρs + (1−ρ)g², w ← w − ηg/√(s+ε).

    g is the gradient, w a parameter, s a running mean of g² from 0.

    Differs: ρ is 0.9, as in Keras, and 0.99 in PyTorch (there `alpha`); ε stands inside the root,
    as in Keras (where it is 1e-7), and outside in PyTorch. With momentum, PyTorch multiplies by η
    after accumulating. PyTorch's η is 0.01.

    Args:
      learning_rate: η ≥ 0, by default 1e-3; an array makes a sweep.
      decay: ρ in [0, 1), by default 0.9.
      eps: ε ≥ 0, by default 1e-8.
      momentum: μ in [0, 1): v ← μv − ηg/√(s+ε), w ← w + v. `None`, the default, leaves v out.
      centered: whether the square of the running mean of g is subtracted from s, by default not:
        static.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Tieleman, Hinton, Lecture 6.5, rmsprop, 2012; Graves, Generating sequences with
    recurrent neural networks, 2013, equations 38 to 41 (centered, with momentum).

    >>> rmsprop()
    rmsprop(learning_rate=0.001, decay=0.9, eps=1e-08)
    """
    hyper = with_rate(learning_rate, decay=leaf("decay", decay, high=1), eps=leaf("eps", eps))
    if momentum is not None:
        hyper["momentum"] = leaf("momentum", momentum, high=1)
    options = (("centered", True),) if flag("centered", centered) else ()
    return padding_safe(optax.rmsprop, hyper, options)


@lists_keywords
def sm3(learning_rate: Numbers = 0.1, momentum: Numbers = 0.9) -> Optimizer:
    """SM3: Adagrad that keeps one number per row and one per column instead of one per weight.

    sᵢⱼ = min(rᵢ, cⱼ) + gᵢⱼ², w ← w − ηm, then rᵢ = maxⱼ sᵢⱼ and cⱼ = maxᵢ sᵢⱼ, with g the gradient
    of the weights w, r and c from 0, and m ← μm + (1−μ)g/√(s+ε) from 0, with ε = 1e-8. For biases s
    is Adagrad's sum of squares.

    Differs: the paper has no ε, and takes 0/0 as 0.

    Args:
      learning_rate: η ≥ 0, by default 0.1; an array makes a sweep.
      momentum: μ in [0, 1), by default 0.9.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Anil, Gupta, Koren, Singer, Memory-efficient adaptive optimization, 2019, SM3-II.

    >>> sm3().name
    'sm3'
    """
    hyper = with_rate(learning_rate, momentum=leaf("momentum", momentum, high=1))
    return padding_safe(_sm3, hyper)


def _sm3(learning_rate: ArrayLike, momentum: ArrayLike) -> optax.GradientTransformation:
    # optax.sm3 (0.2.8) takes no scalars: the parameter of an activation is a vector of length 1.
    rule = optax.sm3(learning_rate, momentum)

    def as_vector(array: AnyArray) -> AnyArray:
        return array if array.ndim else array[None]

    def init(params: PyTree) -> PyTree:
        return rule.init(jax.tree.map(as_vector, params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        moved, state = rule.update(jax.tree.map(as_vector, updates), state)
        return jax.tree.map(lambda new, g: new if g.ndim else new[0], moved, updates), state

    return optax.GradientTransformation(init, update)


@lists_keywords
def rprop(
    learning_rate: Numbers = 1e-3,
    eta_minus: Numbers = 0.5,
    eta_plus: Numbers = 1.2,
    min_step_size: Numbers = 1e-6,
    max_step_size: Numbers = 50.0,
) -> Optimizer:
    """Rprop without weight backtracking (iRprop⁻): w ← w − Δ·sgn(g), with a step size Δ for each w.

    g is the gradient, w a parameter. Δ starts at η. It is multiplied by η₊ where g has the sign it
    had in the step before, and by η₋ where the sign turned, and is then kept within its limits.
    Where the sign turned, w stays, and g counts as 0 in the next comparison.

    It follows signs alone, so it is meant for full batches. It takes no schedule.

    Differs: PyTorch has η = 0.01 by default and also keeps the first Δ within the limits;
    `optax.rprop` (0.2.8) takes each step one call late.

    Args:
      learning_rate: η ≥ 0, the first step size, by default 1e-3; an array makes a sweep.
      eta_minus: η₋ in [0, 1), by default 0.5.
      eta_plus: η₊ ≥ 1, by default 1.2.
      min_step_size: the smallest Δ, at least 0, by default 1e-6.
      max_step_size: the largest Δ, at least 0, by default 50.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Igel, Hüsken, Empirical evaluation of the improved Rprop learning algorithms, 2003.

    >>> rprop().name
    'rprop'
    """
    sizes = {
        "eta_minus": leaf("eta_minus", eta_minus, high=1),
        "eta_plus": leaf("eta_plus", eta_plus, low=1),
        "min_step_size": leaf("min_step_size", min_step_size),
        "max_step_size": leaf("max_step_size", max_step_size),
    }
    return padding_safe(_rprop, with_rate(learning_rate, **sizes), constant_rate=True)


def _rprop(
    learning_rate: ArrayLike,
    eta_minus: ArrayLike,
    eta_plus: ArrayLike,
    min_step_size: ArrayLike,
    max_step_size: ArrayLike,
) -> optax.GradientTransformation:
    # Our own: optax.rprop (0.2.8) applies each step one call late, the first one not at all.
    def init(params: PyTree) -> tuple[PyTree, PyTree]:
        return optax.tree.full_like(params, learning_rate), optax.tree.zeros_like(params)

    def resize(size: AnyArray, turn: Array) -> Array:
        resized = size * jnp.where(turn > 0, eta_plus, eta_minus)
        return jnp.where(turn == 0, size, jnp.clip(resized, min_step_size, max_step_size))

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None
    ) -> tuple[PyTree, tuple[PyTree, PyTree]]:
        sizes, last_grads = state
        turns = jax.tree.map(jnp.multiply, updates, last_grads)
        sizes = jax.tree.map(resize, sizes, turns)
        # Where the sign turned there is no step, and the next one compares with nothing.
        grads = jax.tree.map(lambda g, turn: jnp.where(turn < 0, 0, g), updates, turns)
        return jax.tree.map(lambda size, g: -size * jnp.sign(g), sizes, grads), (sizes, grads)

    return optax.GradientTransformation(init, update)
