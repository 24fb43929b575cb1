"""Gradient descent and its relatives: one learning rate for all parameters.

In the formulas g is the gradient, w a parameter, η the learning rate and t the step, from 1.
"""

import jax.numpy as jnp
import optax
import optax.contrib
from jax.typing import ArrayLike
from jaxtyping import PyTree

from jaxnet.core.arguments import lists_keywords
from jaxnet.core.hyperparameters import count, leaf
from jaxnet.core.types import KeyArray, Numbers
from jaxnet.recipes.optimizer import (
    SMALLEST_SHARE,
    Optimizer,
    padding_safe,
    weights_only,
    with_rate,
)


@lists_keywords
def sgd(learning_rate: Numbers = 0.5) -> Optimizer:
    """Stochastic gradient descent: w ← w − ηg.

    g is the gradient of a mini-batch's mean cost, w a parameter.

    Args:
      learning_rate: η ≥ 0, by default 0.5; an array makes a sweep.

    Returns:
      The optimizer.

    Raises:
      ValueError: the learning rate is out of its range.

    Source: Nielsen, chapter 1, equations 20 and 21.

    >>> sgd(0.5).hyper["learning_rate"].item()
    0.5
    """
    return padding_safe(optax.sgd, with_rate(learning_rate), linear=True)


@lists_keywords
def momentum(learning_rate: Numbers = 0.1, decay: Numbers = 0.9) -> Optimizer:
    """Gradient descent with momentum, in the book's form: v ← μv − ηg, w ← w + v.

    g is the gradient, w a parameter and v its velocity, which starts at 0.

    Differs: PyTorch and `optax.sgd` multiply by η after accumulating, v ← μv + g, w ← w − ηv. That
    is the same while η is constant, and another step whenever η changes. Keras's is the form here.

    Args:
      learning_rate: η ≥ 0, by default 0.1; an array makes a sweep.
      decay: μ in [0, 1), by default 0.9.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Nielsen, chapter 3, equations 107 and 108; Polyak, 1964.

    >>> momentum(0.1)
    momentum(learning_rate=0.1, decay=0.9)
    """
    hyper = with_rate(learning_rate, decay=leaf("decay", decay, high=1))
    return padding_safe(_momentum, hyper, linear=True)


def _momentum(learning_rate: ArrayLike, decay: ArrayLike) -> optax.GradientTransformation:
    # η comes before the trace, v' = μv − η∇C. optax.sgd(momentum=μ) has η after it, which differs
    # as soon as η changes during a run.
    return optax.chain(optax.scale_by_learning_rate(jnp.asarray(learning_rate)), optax.trace(decay))


@lists_keywords
def nesterov(learning_rate: Numbers = 0.1, decay: Numbers = 0.9) -> Optimizer:
    """Nesterov's momentum, in the book's form: v ← μv − ηg, w ← w + μv − ηg.

    w is the look-ahead point: g is the gradient where the parameters are. v, the velocity, starts
    at 0.

    Differs: PyTorch and `optax.sgd` multiply by η after accumulating, which is another step
    whenever η changes. Keras's is the form here.

    Args:
      learning_rate: η ≥ 0, by default 0.1; an array makes a sweep.
      decay: μ in [0, 1), by default 0.9.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Sutskever, Martens, Dahl, Hinton, On the importance of initialization and momentum in
    deep learning, 2013, section 2, in the variables of Bengio et al., 2012, equation 7.

    >>> nesterov(0.1)
    nesterov(learning_rate=0.1, decay=0.9)
    """
    hyper = with_rate(learning_rate, decay=leaf("decay", decay, high=1))
    return padding_safe(_nesterov, hyper, linear=True)


def _nesterov(learning_rate: ArrayLike, decay: ArrayLike) -> optax.GradientTransformation:
    return optax.chain(
        optax.scale_by_learning_rate(jnp.asarray(learning_rate)), optax.trace(decay, nesterov=True)
    )


@lists_keywords
def noisy_sgd(
    learning_rate: Numbers = 0.1, eta: Numbers = 0.01, gamma: Numbers = 0.55
) -> Optimizer:
    """Gradient descent with noise: w ← w − η(g + N(0, σ²)), with σ² = `eta`/t^`gamma`.

    g is the gradient, w a parameter, N(0, σ²) a Gaussian draw for each parameter and t the step,
    counted from 1. What is drawn depends on the run's seed and on the step alone.

    Args:
      learning_rate: η ≥ 0, by default 0.1; an array makes a sweep.
      eta: the noise's variance at the first step, at least 0, by default 0.01.
      gamma: how fast the variance falls, at least 0, by default 0.55.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Neelakantan et al., Adding gradient noise improves learning for very deep networks,
    2015, equation 1.

    >>> noisy_sgd().stochastic
    True
    """
    hyper = with_rate(learning_rate, eta=leaf("eta", eta), gamma=leaf("gamma", gamma))
    return Optimizer(_noisy_sgd, hyper, stochastic=True)


def _noisy_sgd(
    learning_rate: ArrayLike, eta: ArrayLike, gamma: ArrayLike, key: KeyArray
) -> optax.GradientTransformation:
    noise = optax.add_noise(eta, gamma, key)

    def init(params: PyTree) -> PyTree:
        state: PyTree = noise.init(params)
        return state.count

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        # The state counts the steps. optax would split a key of its own at each step, too; here
        # each step comes with its own key.
        noise_state: PyTree = optax.AddNoiseState(state, key)
        noisy_updates, noise_state = noise.update(updates, noise_state, params)
        return noisy_updates, noise_state.count

    return optax.chain(
        optax.GradientTransformation(init, update),
        optax.scale_by_learning_rate(jnp.asarray(learning_rate)),
    )


@lists_keywords
def schedule_free_sgd(learning_rate: Numbers = 1.0, b1: Numbers = 0.9) -> Optimizer:
    """Gradient descent with an average of its parameters in place of a learning-rate schedule.

    z ← z − ηg, x ← (1−c)x + cz, y = (1−β)z + βx, with g the gradient at y, the parameters that are
    trained. Networks are evaluated at x, the average of all z. Step t weighs wₜ in it, the square
    of the largest η so far: c = wₜ/Σw.

    Differs: the paper's equations have c = 1/t, which is the same while η is constant; the weights
    are those of its authors' code.

    Args:
      learning_rate: η ≥ 0, by default 1; an array makes a sweep.
      b1: β in [1e-6, 1), by default 0.9; x is found by a division by β.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Defazio et al., The road less scheduled, 2024, equations 3 to 5.

    >>> schedule_free_sgd().name
    'schedule_free_sgd'
    """
    hyper = with_rate(learning_rate, b1=leaf("b1", b1, low=SMALLEST_SHARE, high=1))
    evaluation = optax.contrib.schedule_free_eval_params
    return padding_safe(optax.contrib.schedule_free_sgd, hyper, evaluation=evaluation)


@lists_keywords
def lion(
    learning_rate: Numbers = 1e-4,
    b1: Numbers = 0.9,
    b2: Numbers = 0.99,
    weight_decay: Numbers = 1e-3,
) -> Optimizer:
    """Lion: steps of one size in the direction of a sign, w ← w − η(sgn(β₁m + (1−β₁)g) + λw).

    g is the gradient, w a parameter, m a running mean from 0: m ← β₂m + (1−β₂)g, after the step.

    Differs: biases are not decayed (the paper decays all parameters). Keras has η = 1e-3 and no
    decay by default.

    Args:
      learning_rate: η ≥ 0, by default 1e-4; an array makes a sweep.
      b1: β₁ in [0, 1), by default 0.9: how much of m is in the direction.
      b2: β₂ in [0, 1), by default 0.99: the decay of m.
      weight_decay: λ ≥ 0, by default 1e-3, for weights alone.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Chen et al., Symbolic discovery of optimization algorithms, 2023, algorithm 2.

    >>> lion().name
    'lion'
    """
    decays = {"b1": leaf("b1", b1, high=1), "b2": leaf("b2", b2, high=1)}
    decay = leaf("weight_decay", weight_decay)
    return padding_safe(_lion, with_rate(learning_rate, **decays, weight_decay=decay))


def _lion(
    learning_rate: ArrayLike, b1: ArrayLike, b2: ArrayLike, weight_decay: ArrayLike
) -> optax.GradientTransformation:
    rate, decay = jnp.asarray(learning_rate), jnp.asarray(weight_decay)
    return optax.lion(rate, b1, b2, weight_decay=decay, mask=weights_only)


@lists_keywords
def muon(learning_rate: Numbers = 0.02, beta: Numbers = 0.95, ns_steps: int = 5) -> Optimizer:
    """Muon: momentum made orthogonal for matrices of weights; NAdam for biases.

    m ← βm + (1−β)g, u = βm/(1−βᵗ⁺¹) + (1−β)g/(1−βᵗ), w ← w − η·√max(1, n_out/n_in)·O(u), with g the
    gradient of a layer's weights w, of shape (n_in, n_out), m from 0 and t the step from 1. O
    replaces the singular values of a matrix by numbers around 1, by Newton–Schulz iterations.
    Biases follow `nadam` with the same η, β₁ = 0.9, β₂ = 0.999, ε = 1e-8.

    Differs: here all weights are trained by Muon, where its author leaves the first and last layers
    to AdamW; nothing is decayed (PyTorch by 0.1, Keras by 0.004); the iterations run in the
    parameters' own type (PyTorch's in bfloat16); PyTorch refuses biases, Keras trains them by AdamW
    and scales by 0.2·√max(n_in, n_out).

    Args:
      learning_rate: η ≥ 0, by default 0.02; an array makes a sweep.
      beta: β in [0, 1), by default 0.95.
      ns_steps: the number of Newton–Schulz iterations, at least 1, by default 5: static.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.

    >>> muon().name
    'muon'
    """
    hyper = with_rate(learning_rate, beta=leaf("beta", beta, high=1))
    options = (("ns_steps", count("ns_steps", ns_steps, low=1)),)
    return Optimizer(_muon, hyper, options)


def _muon(learning_rate: ArrayLike, beta: ArrayLike, ns_steps: int) -> optax.GradientTransformation:
    return optax.contrib.muon(jnp.asarray(learning_rate), beta=beta, ns_steps=ns_steps)
