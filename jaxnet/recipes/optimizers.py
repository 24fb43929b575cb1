"""Optimizers: optax's update rules with their hyperparameters as leaves of a pytree.

An optax rule is a function of hyperparameters that returns a pair of pure functions. Here the two
are kept apart until the step: the rule is static, its numbers are leaves. So a changed learning
rate never recompiles, `adam(jnp.logspace(-4, -1, 16))` is sixteen optimizers, and the rule, built
anew inside the traced step, sees the numbers as traced values.

Each constructor states its defaults, which are optax's where the book names none. In the formulas
g is the gradient, w a parameter, η the learning rate.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import jax.scipy.sparse.linalg
import numpy as np
import optax
import optax.contrib

from jaxnet.core.hyperparameters import count, leaf, pytree, shown, static
from jaxnet.core.registry import Registry
from jaxnet.core.types import KeyArray, Params


@pytree
class Optimizer:
    """An update rule and its hyperparameters.

    Args:
      rule: a module-level function that takes the hyperparameters and options as keywords and
        returns an `optax.GradientTransformation` (a fresh lambda would be a fresh program).
      hyper: its numeric hyperparameters, `learning_rate` among them, as arrays: the leaves.
      options: structural keywords of the rule, as (name, value) pairs: static.
      stochastic: whether the rule takes a keyword `key`, the addressed random key of the step.
      evaluation: `(opt_state, params) -> params`, where a rule is evaluated elsewhere than where
        it is trained, as schedule-free ones are.
      constant_rate: whether the rule reads its learning rate only at the start.
      curvature: whether its update takes `hessian_product` and `gauss_newton_product`, functions
        of a direction, besides optax's `value`, `grad` and `value_fn`.
      shaped: whether an update may depend on the shapes of the arrays, so that a network padded
        with zeros would train otherwise.
      linear: whether each number's update is linear in the gradients, weights and states of that
        number alone: see `jaxnet.acceleration.first_layer`.
      version: raised when the same rule gives other updates on purpose. Files of runs name it.

    >>> sgd(0.5)
    sgd(learning_rate=0.5)
    """

    rule: Callable[..., optax.GradientTransformation] = static()
    hyper: dict[str, Any]
    options: tuple[tuple[str, Any], ...] = static(default=())
    stochastic: bool = static(default=False)
    evaluation: Callable[[Any, Params], Params] | None = static(default=None)
    constant_rate: bool = static(default=False)
    curvature: bool = static(default=False)
    shaped: bool = static(default=True)
    linear: bool = static(default=False)
    version: int = static(default=1)

    def __post_init__(self) -> None:
        for name, value in self.hyper.items():
            if value is None:
                raise ValueError(
                    f"{name} must be a number, not None; leave it out for its default."
                )
        hyper = {name: leaf(name, value, low=-np.inf) for name, value in self.hyper.items()}
        object.__setattr__(self, "hyper", hyper)
        object.__setattr__(self, "version", count("version", self.version, low=1))

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.rule.__name__.strip("_")

    @property
    def follows_rate(self) -> bool:
        """Whether it has a learning rate that may change during a run."""
        return "learning_rate" in self.hyper and not self.constant_rate

    def transformation(self, key: KeyArray) -> optax.GradientTransformationExtraArgs:
        """The optax transformation of one step; `key` is that step's own."""
        randomness = {"key": key} if self.stochastic else {}
        rule = self.rule(**self.hyper, **dict(self.options), **randomness)
        return optax.with_extra_args_support(rule)

    def evaluation_params(self, opt_state: Any, params: Params) -> Params:
        """The parameters to evaluate and to keep."""
        return self.evaluation(opt_state, params) if self.evaluation else params

    def __repr__(self) -> str:
        numbers = [f"{name}={shown(value)}" for name, value in self.hyper.items()]
        return f"{self.name}({', '.join(numbers)})"


def _momentum(learning_rate: Any, decay: Any) -> optax.GradientTransformation:
    # η before the trace, v' = μv − η∇C: optax.sgd(momentum=μ) has η after it, which differs as
    # soon as η changes during a run.
    return optax.chain(optax.scale_by_learning_rate(learning_rate), optax.trace(decay))


def _nesterov(learning_rate: Any, decay: Any) -> optax.GradientTransformation:
    return optax.chain(
        optax.scale_by_learning_rate(learning_rate), optax.trace(decay, nesterov=True)
    )


def _weights_only(params: Params) -> Any:
    return tuple(layer._replace(w=True, b=False) for layer in params)


def _adamw(
    learning_rate: Any, b1: Any, b2: Any, eps: Any, weight_decay: Any
) -> optax.GradientTransformation:
    return optax.adamw(learning_rate, b1, b2, eps, weight_decay=weight_decay, mask=_weights_only)


def _nadam(learning_rate: Any, b1: Any, b2: Any, eps: Any) -> optax.GradientTransformation:
    return optax.adam(learning_rate, b1, b2, eps, nesterov=True)


def _lion(learning_rate: Any, b1: Any, b2: Any, weight_decay: Any) -> optax.GradientTransformation:
    return optax.lion(learning_rate, b1, b2, weight_decay=weight_decay, mask=_weights_only)


def _lamb(
    learning_rate: Any, b1: Any, b2: Any, eps: Any, weight_decay: Any
) -> optax.GradientTransformation:
    return optax.lamb(learning_rate, b1, b2, eps, weight_decay=weight_decay, mask=_weights_only)


def _noisy_sgd(
    learning_rate: Any, eta: Any, gamma: Any, key: KeyArray
) -> optax.GradientTransformation:
    noise: Any = optax.add_noise(eta, gamma, key)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        # Its own state would consume one key after the other; the step's key is addressed.
        noisy, state = noise.update(updates, optax.AddNoiseState(state, key), params)
        return noisy, state.count

    addressed = optax.GradientTransformation(lambda params: noise.init(params).count, update)
    return optax.chain(addressed, optax.scale_by_learning_rate(learning_rate))


def _rprop(
    learning_rate: Any, eta_minus: Any, eta_plus: Any, min_step_size: Any, max_step_size: Any
) -> optax.GradientTransformation:
    # Our own: optax.rprop (0.2.8) applies each step one call late, the first one not at all.
    def init(params: Any) -> Any:
        return optax.tree.full_like(params, learning_rate), optax.tree.zeros_like(params)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def resize(size: Any, turn: Any) -> Any:
            grown = size * jnp.where(turn > 0, eta_plus, eta_minus)
            return jnp.where(turn == 0, size, jnp.clip(grown, min_step_size, max_step_size))

        sizes, last = state
        turns = jax.tree.map(jnp.multiply, updates, last)
        sizes = jax.tree.map(resize, sizes, turns)
        # Where the sign turned there is no step, and the next one compares with nothing.
        grads = jax.tree.map(lambda g, turn: jnp.where(turn < 0, 0, g), updates, turns)
        return jax.tree.map(lambda size, g: -size * jnp.sign(g), sizes, grads), (sizes, grads)

    return optax.GradientTransformation(init, update)


class _NewtonState(NamedTuple):
    damping: Any
    step: Any


def _newton_cg(
    learning_rate: Any, damping: Any, tolerance: Any, iterations: int, gauss_newton: bool
) -> optax.GradientTransformationExtraArgs:
    tree: Any = optax.tree

    def init(params: Any) -> Any:
        dtype = jax.tree.leaves(params)[0].dtype
        return _NewtonState(jnp.asarray(damping, dtype), tree.zeros_like(params))

    def update(
        updates: Any,
        state: Any,
        params: Any = None,
        *,
        value: Any = None,
        value_fn: Any = None,
        hessian_product: Any = None,
        gauss_newton_product: Any = None,
        **_unused: Any,
    ) -> Any:
        curvature = gauss_newton_product if gauss_newton else hessian_product
        damped = lambda v: tree.add_scale(curvature(v), state.damping, v)
        # From 0.95 of the last step instead of 0: a third of the work on MNIST, as Martens found.
        warm = tree.scale(0.95, state.step)
        down, _ = jax.scipy.sparse.linalg.cg(
            damped, tree.scale(-1.0, updates), warm, tol=tolerance, maxiter=iterations
        )
        down = tree.scale(learning_rate, down)
        promised: Any = tree.vdot(updates, down) + tree.vdot(down, curvature(down)) / 2
        change = value_fn(tree.add(params, down)) - value
        good: Any = (change < 0) & (promised < 0)  # false for NaN, too
        ratio = jnp.where(good, change / promised, 0)
        factor = jnp.where(ratio > 0.75, 1 / 3, jnp.where(ratio < 0.25, 4, 1))
        idle = promised == 0  # where η is 0, as at the start of a warm-up: nothing was learnt
        factor = jnp.where(idle, 1, factor)
        damping = jnp.clip(state.damping * factor, 1e-10, 1e10).astype(state.damping.dtype)
        taken = jax.tree.map(lambda leaf: jnp.where(good, leaf, 0), down)
        guess = jax.tree.map(lambda new, old: jnp.where(idle, old, new), taken, state.step)
        return taken, _NewtonState(damping, guess)

    return optax.GradientTransformationExtraArgs(init, update)


def _schedule_free_adam(
    learning_rate: Any, b1: Any, b2: Any, eps: Any
) -> optax.GradientTransformation:
    return optax.contrib.schedule_free_adamw(learning_rate, b1=b1, b2=b2, eps=eps)


def _muon(learning_rate: Any, beta: Any, ns_steps: int) -> optax.GradientTransformation:
    return optax.contrib.muon(learning_rate, beta=beta, ns_steps=ns_steps)


# Zeros that are added to its arrays stay zeros, and change nothing else:
# tests/acceleration/test_padding.py.
_unshaped = partial(Optimizer, shaped=False)


def sgd(learning_rate: Any = 0.5) -> Optimizer:
    """Stochastic gradient descent, w ← w − ηg.

    Source: Nielsen, chapter 1, equations 20 and 21.

    >>> sgd(0.5).hyper["learning_rate"].item()
    0.5
    """
    return _unshaped(optax.sgd, _rate_and(learning_rate), linear=True)


def momentum(learning_rate: Any = 0.1, decay: Any = 0.9) -> Optimizer:
    """Momentum in the book's form, v ← μv − ηg, w ← w + v, with μ = `decay` in [0, 1).

    Source: Nielsen, chapter 3, equations 107 and 108; Polyak, 1964.

    >>> momentum(0.1)
    momentum(learning_rate=0.1, decay=0.9)
    """
    hyper = _rate_and(learning_rate, decay=leaf("decay", decay, high=1))
    return _unshaped(_momentum, hyper, linear=True)


def nesterov(learning_rate: Any = 0.1, decay: Any = 0.9) -> Optimizer:
    """Nesterov's momentum in the book's form, v ← μv − ηg, w ← w + μv − ηg.

    The gradient is taken where the parameters are; they stand for the look-ahead point.

    Source: Sutskever, Martens, Dahl, Hinton, On the importance of initialization and momentum in
    deep learning, 2013, section 2, in the variables of Bengio et al., 2012, equation 7.

    >>> nesterov(0.1)
    nesterov(learning_rate=0.1, decay=0.9)
    """
    hyper = _rate_and(learning_rate, decay=leaf("decay", decay, high=1))
    return _unshaped(_nesterov, hyper, linear=True)


def adagrad(
    learning_rate: Any = 0.01, initial_accumulator_value: Any = 0.1, eps: Any = 1e-7
) -> Optimizer:
    """Adagrad: s ← s + g², w ← w − ηg/√(s+ε), with s starting at `initial_accumulator_value`.

    Source: Duchi, Hazan, Singer, Adaptive subgradient methods, 2011, figure 1 (diagonal form).

    >>> adagrad()
    adagrad(learning_rate=0.01, initial_accumulator_value=0.1, eps=1e-07)
    """
    start = leaf("initial_accumulator_value", initial_accumulator_value)
    hyper = _rate_and(learning_rate, initial_accumulator_value=start, eps=leaf("eps", eps))
    return _unshaped(optax.adagrad, hyper)


def adadelta(learning_rate: Any = 1.0, rho: Any = 0.9, eps: Any = 1e-6) -> Optimizer:
    """Adadelta: w ← w − ηΔ, Δ = g√(D+ε)/√(s+ε), s and D the running means of g² and Δ².

    Source: Zeiler, ADADELTA, 2012, algorithm 1 (where η = 1).

    >>> adadelta()
    adadelta(learning_rate=1, rho=0.9, eps=1e-06)
    """
    hyper = _rate_and(learning_rate, rho=leaf("rho", rho, high=1), eps=leaf("eps", eps))
    return _unshaped(optax.adadelta, hyper)


def rmsprop(
    learning_rate: Any = 1e-3,
    decay: Any = 0.9,
    eps: Any = 1e-8,
    momentum: Any = None,
    centered: bool = False,
) -> Optimizer:
    """RMSProp: s ← ρs + (1−ρ)g², w ← w − ηg/√(s+ε), with ρ = `decay` in [0, 1), s from 0.

    `centered` subtracts the square of the running mean of g from s; `momentum` μ in [0, 1) adds
    v ← μv − ηg/√(s+ε), w ← w + v.

    Source: Tieleman, Hinton, Lecture 6.5, rmsprop, 2012; Graves, Generating sequences with
    recurrent neural networks, 2013, equations 38 to 41 (centered, with momentum).

    >>> rmsprop()
    rmsprop(learning_rate=0.001, decay=0.9, eps=1e-08)
    """
    hyper = _rate_and(learning_rate, decay=leaf("decay", decay, high=1), eps=leaf("eps", eps))
    if momentum is not None:
        hyper["momentum"] = leaf("momentum", momentum, high=1)
    return _unshaped(optax.rmsprop, hyper, (("centered", centered),) if centered else ())


def adam(learning_rate: Any = 1e-3, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Optimizer:
    """Adam: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − ηm̂/(√v̂+ε), corrected for bias.

    Source: Kingma, Ba, Adam, 2015, algorithm 1.

    >>> adam()
    adam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08)
    """
    return _unshaped(optax.adam, _rate_and(learning_rate, **_moments(b1, b2, eps)))


def adamw(
    learning_rate: Any = 1e-3,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    weight_decay: Any = 1e-4,
) -> Optimizer:
    """AdamW: Adam's step and w ← w − ηλw for weights, never biases, with λ = `weight_decay`.

    The decay is decoupled: it does not pass through Adam's scaling, as `Recipe.l2` does.

    Source: Loshchilov, Hutter, Decoupled weight decay regularization, 2019, algorithm 2.

    >>> adamw().name
    'adamw'
    """
    decay = leaf("weight_decay", weight_decay)
    return _unshaped(_adamw, _rate_and(learning_rate, **_moments(b1, b2, eps), weight_decay=decay))


def amsgrad(
    learning_rate: Any = 1e-3, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8
) -> Optimizer:
    """AMSGrad: Adam whose v̂ never decreases, w ← w − ηm̂/(√max(v̂₁, …, v̂ₜ) + ε).

    Source: Reddi, Kale, Kumar, On the convergence of Adam and beyond, 2018, algorithm 2, with
    Adam's corrections for bias.

    >>> amsgrad().name
    'amsgrad'
    """
    return _unshaped(optax.amsgrad, _rate_and(learning_rate, **_moments(b1, b2, eps)))


def nadam(learning_rate: Any = 1e-3, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Optimizer:
    """NAdam: Adam with Nesterov's look-ahead, m̂ = β₁m/(1−β₁ᵗ⁺¹) + (1−β₁)g/(1−β₁ᵗ).

    Source: Dozat, Incorporating Nesterov momentum into Adam, 2016, algorithm 2, at constant β₁.

    >>> nadam().name
    'nadam'
    """
    return _unshaped(_nadam, _rate_and(learning_rate, **_moments(b1, b2, eps)))


def adamax(learning_rate: Any = 1e-3, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Optimizer:
    """AdaMax: u ← max(β₂u, |g| + ε), w ← w − ηm̂/u.

    Source: Kingma, Ba, Adam, 2015, algorithm 2.

    >>> adamax().name
    'adamax'
    """
    return _unshaped(optax.adamax, _rate_and(learning_rate, **_moments(b1, b2, eps)))


def lion(
    learning_rate: Any = 1e-4, b1: Any = 0.9, b2: Any = 0.99, weight_decay: Any = 1e-3
) -> Optimizer:
    """Lion: w ← w − η(sgn(β₁m + (1−β₁)g) + λw), then m ← β₂m + (1−β₂)g; no decay of biases.

    Source: Chen et al., Symbolic discovery of optimization algorithms, 2023, algorithm 2.

    >>> lion().name
    'lion'
    """
    hyper = {"b1": leaf("b1", b1, high=1), "b2": leaf("b2", b2, high=1)}
    decay = leaf("weight_decay", weight_decay)
    return _unshaped(_lion, _rate_and(learning_rate, **hyper, weight_decay=decay))


def lamb(
    learning_rate: Any = 1e-3,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-6,
    weight_decay: Any = 0.0,
) -> Optimizer:
    """LAMB: r = m̂/(√v̂+ε) + λw, and for each array w ← w − η(‖w‖/‖r‖)r; no decay of biases.

    Source: You et al., Large batch optimization for deep learning, 2020, algorithm 2.

    >>> lamb().name
    'lamb'
    """
    decay = leaf("weight_decay", weight_decay)
    return _unshaped(_lamb, _rate_and(learning_rate, **_moments(b1, b2, eps), weight_decay=decay))


def adabelief(
    learning_rate: Any = 1e-3,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-16,
    eps_root: Any = 1e-16,
) -> Optimizer:
    """AdaBelief: Adam with s ← β₂s + (1−β₂)(g−m)² + ε_root in place of v.

    Source: Zhuang et al., AdaBelief optimizer, 2020, algorithm 2.

    >>> adabelief().name
    'adabelief'
    """
    hyper = _rate_and(learning_rate, **_moments(b1, b2, eps), eps_root=leaf("eps_root", eps_root))
    return _unshaped(optax.adabelief, hyper)


def radam(
    learning_rate: Any = 1e-3,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    threshold: Any = 5.0,
) -> Optimizer:
    """RAdam: Adam times a rectification, and plain momentum while ρₜ < `threshold`.

    Source: Liu et al., On the variance of the adaptive learning rate and beyond, 2020, algorithm 2.

    >>> radam().name
    'radam'
    """
    hyper = _rate_and(learning_rate, **_moments(b1, b2, eps))
    return _unshaped(optax.radam, hyper | {"threshold": leaf("threshold", threshold)})


def yogi(learning_rate: Any = 1e-2, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-3) -> Optimizer:
    """Yogi: Adam with v ← v − (1−β₂)·sgn(v−g²)·g²; m and v start at 1e-6.

    Source: Zaheer et al., Adaptive methods for nonconvex optimization, 2018, algorithm 2.

    >>> yogi().name
    'yogi'
    """
    return _unshaped(optax.yogi, _rate_and(learning_rate, **_moments(b1, b2, eps)))


def sm3(learning_rate: Any = 0.1, momentum: Any = 0.9) -> Optimizer:
    """SM3: Adagrad whose sums are kept per row and per column, sᵢⱼ = min(rᵢ, cⱼ) + gᵢⱼ².

    w ← w − ηm, with m the running mean of g/√s; then rᵢ = maxⱼ sᵢⱼ and cⱼ = maxᵢ sᵢⱼ.

    Source: Anil, Gupta, Koren, Singer, Memory-efficient adaptive optimization, 2019, SM3-II.

    >>> sm3().name
    'sm3'
    """
    hyper = _rate_and(learning_rate, momentum=leaf("momentum", momentum, high=1))
    return _unshaped(optax.sm3, hyper)


def noisy_sgd(learning_rate: Any = 0.1, eta: Any = 0.01, gamma: Any = 0.55) -> Optimizer:
    """SGD with noise: w ← w − η(g + N(0, `eta`/tᵞ)), drawn at the address of step t.

    Source: Neelakantan et al., Adding gradient noise improves learning for very deep networks,
    2015, equation 1.

    >>> noisy_sgd().stochastic
    True
    """
    hyper = _rate_and(learning_rate, eta=leaf("eta", eta), gamma=leaf("gamma", gamma))
    return Optimizer(_noisy_sgd, hyper, stochastic=True)


def rprop(
    learning_rate: Any = 1e-3,
    eta_minus: Any = 0.5,
    eta_plus: Any = 1.2,
    min_step_size: Any = 1e-6,
    max_step_size: Any = 50.0,
) -> Optimizer:
    """Rprop⁻: each parameter has a step size, from η; × η₊ where g keeps its sign, × η₋ where not.

    It follows signs alone, so it is meant for full batches; it takes no schedule.

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
    return _unshaped(_rprop, _rate_and(learning_rate, **sizes), constant_rate=True)


def schedule_free_sgd(learning_rate: Any = 1.0, b1: Any = 0.9) -> Optimizer:
    """Schedule-free SGD: steps of z, gradients at y = (1−β)z + βx, evaluated at the average x.

    Source: Defazio et al., The road less scheduled, 2024, equations 3 to 5.

    >>> schedule_free_sgd().name
    'schedule_free_sgd'
    """
    hyper = _rate_and(learning_rate, b1=leaf("b1", b1, high=1))
    evaluation = optax.contrib.schedule_free_eval_params
    return _unshaped(optax.contrib.schedule_free_sgd, hyper, evaluation=evaluation)


def schedule_free_adam(
    learning_rate: Any = 2.5e-3, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8
) -> Optimizer:
    """Schedule-free Adam: the same averaging around RMSProp's corrected steps.

    Source: Defazio et al., The road less scheduled, 2024, algorithm 1.

    >>> schedule_free_adam().name
    'schedule_free_adam'
    """
    hyper = _rate_and(learning_rate, **_moments(b1, b2, eps))
    evaluation = optax.contrib.schedule_free_eval_params
    return _unshaped(_schedule_free_adam, hyper, evaluation=evaluation)


def muon(learning_rate: Any = 0.02, beta: Any = 0.95, ns_steps: int = 5) -> Optimizer:
    """Muon: Nesterov momentum made orthogonal by Newton–Schulz for weights, Adam for biases.

    `ns_steps` is static.

    Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.

    >>> muon().name
    'muon'
    """
    hyper = _rate_and(learning_rate, beta=leaf("beta", beta, high=1))
    return Optimizer(_muon, hyper, (("ns_steps", ns_steps),))


def lbfgs(memory_size: int = 10) -> Optimizer:
    """L-BFGS with a zoom line search: for full or large batches; it needs no learning rate.

    Args:
      memory_size: pairs of past steps and gradient differences; static.

    Source: Nocedal, Wright, Numerical optimization, 2006, algorithms 7.4, 3.5 and 3.6.

    >>> lbfgs()
    lbfgs()
    """
    return _unshaped(optax.lbfgs, {}, (("memory_size", memory_size),))


def newton_cg(
    learning_rate: Any = 1.0,
    damping: Any = 1.0,
    tolerance: Any = 0.3,
    iterations: int = 10,
    gauss_newton: bool = True,
) -> Optimizer:
    """Damped Newton steps by conjugate gradients: (B + λI)p = −g, w ← w + ηp; for full batches.

    B is the Gauss–Newton matrix, or the Hessian; only its products with vectors are computed,
    from the handwritten gradient, and the last step is the first guess. λ follows how much of the
    promised decrease came true, ρ = ΔC/(gᵀp + pᵀBp/2): a third of it after ρ > ¾, four times it
    after ρ < ¼. A step that would not decrease the cost is not taken.

    Args:
      learning_rate: η; Newton's is 1.
      damping: λ at the start.
      tolerance: conjugate gradients end when the residual is this part of ‖g‖,
      iterations: or after so many; static. A step costs at most a gradient, 2 + `iterations`
        products with B and two values of the cost.
      gauss_newton: whether B is the Gauss–Newton matrix, which has no negative direction under
        cross-entropy and log-likelihood (convex in the logits); static.

    Source: Martens, Deep learning via Hessian-free optimization, 2010, section 4; Marquardt, 1963;
    Nocedal, Wright, Numerical optimization, 2006, algorithm 7.1.

    >>> newton_cg()
    newton_cg(learning_rate=1, damping=1, tolerance=0.3)
    """
    hyper = {"damping": leaf("damping", damping), "tolerance": leaf("tolerance", tolerance, high=1)}
    options = (
        ("iterations", count("iterations", iterations, low=1)),
        ("gauss_newton", bool(gauss_newton)),
    )
    return _unshaped(_newton_cg, _rate_and(learning_rate, **hyper), options, curvature=True)


def custom(
    rule: Callable[..., optax.GradientTransformation], *, version: int = 1, **hyper: Any
) -> Optimizer:
    """Anyone's own rule as an optimizer.

    Args:
      rule: a module-level function that takes `hyper` by name and returns an optax transformation.
      version: raised when the rule gives other updates on purpose; no hyperparameter of the rule.
      **hyper: its hyperparameters: numbers are leaves; booleans, strings and functions are static
        (a whole number that shapes the state belongs into the rule itself).

    >>> custom(optax.fromage, learning_rate=0.01)
    fromage(learning_rate=0.01)
    """

    def structural(value: Any) -> bool:
        return isinstance(value, (bool, str)) or callable(value)

    leaves = {k: v for k, v in hyper.items() if not structural(v)}
    options = tuple((k, v) for k, v in hyper.items() if structural(v))
    return Optimizer(rule, leaves, options, version=version)


def _rate_and(learning_rate: Any, **hyper: Any) -> dict[str, Any]:
    return {"learning_rate": leaf("learning_rate", learning_rate), **hyper}


def _moments(b1: Any, b2: Any, eps: Any) -> dict[str, Any]:
    return {
        "b1": leaf("b1", b1, high=1),
        "b2": leaf("b2", b2, high=1),
        "eps": leaf("eps", eps),
    }


NAMED: Registry[Callable[..., Optimizer]] = Registry(
    "optimizer",
    {
        "sgd": sgd,
        "momentum": momentum,
        "nesterov": nesterov,
        "adagrad": adagrad,
        "adadelta": adadelta,
        "rmsprop": rmsprop,
        "adam": adam,
        "amsgrad": amsgrad,
        "nadam": nadam,
        "adamax": adamax,
        "adamw": adamw,
        "lion": lion,
        "lamb": lamb,
        "adabelief": adabelief,
        "radam": radam,
        "yogi": yogi,
        "sm3": sm3,
        "noisy_sgd": noisy_sgd,
        "rprop": rprop,
        "schedule_free_sgd": schedule_free_sgd,
        "schedule_free_adam": schedule_free_adam,
        "muon": muon,
        "lbfgs": lbfgs,
        "newton_cg": newton_cg,
    },
)
"""The optimizers that the command line knows by name."""
