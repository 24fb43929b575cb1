"""Optimizers: optax's update rules with their hyperparameters as leaves of a pytree.

An optax rule is a function of hyperparameters that returns a pair of pure functions. Here the two
are kept apart until the step: the rule is static, its numbers are leaves. So a changed learning
rate never recompiles, `adam(jnp.logspace(-4, -1, 16))` is sixteen optimizers, and the rule, built
anew inside the traced step, sees the numbers as traced values.

Each constructor states its defaults, which are optax's where the book names none. In the formulas
g is the gradient, w a parameter, η the learning rate.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax.core
import optax

from jaxnet.types import KeyArray, Params, leaf, pytree


@pytree("rule", "options", "stochastic", "evaluation")
@dataclass(frozen=True)
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

    >>> sgd(0.5)
    sgd(learning_rate=0.5)
    """

    rule: Callable[..., optax.GradientTransformation]
    hyper: dict[str, Any]
    options: tuple[tuple[str, Any], ...] = ()
    stochastic: bool = False
    evaluation: Callable[[Any, Params], Params] | None = field(default=None)

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.rule.__name__.strip("_")

    def transformation(self, key: KeyArray) -> optax.GradientTransformationExtraArgs:
        """The optax transformation of one step; `key` is that step's own."""
        randomness = {"key": key} if self.stochastic else {}
        rule = self.rule(**self.hyper, **dict(self.options), **randomness)
        return optax.with_extra_args_support(rule)

    def evaluation_params(self, opt_state: Any, params: Params) -> Params:
        """The parameters to evaluate and to keep."""
        return self.evaluation(opt_state, params) if self.evaluation else params

    def __repr__(self) -> str:
        def show(value: Any) -> str:
            return f"{value:g}" if getattr(value, "ndim", 1) == 0 else repr(value)

        traced = any(isinstance(value, jax.core.Tracer) for value in self.hyper.values())
        numbers = [f"{name}={'…' if traced else show(x)}" for name, x in self.hyper.items()]
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


def sgd(learning_rate: Any = 0.5) -> Optimizer:
    """Stochastic gradient descent, w ← w − ηg.

    Source: Nielsen, chapter 1, equations 20 and 21.

    >>> sgd(0.5).hyper["learning_rate"].item()
    0.5
    """
    return Optimizer(optax.sgd, {"learning_rate": leaf("learning_rate", learning_rate)})


def momentum(learning_rate: Any = 0.1, decay: Any = 0.9) -> Optimizer:
    """Momentum in the book's form, v ← μv − ηg, w ← w + v, with μ = `decay` in [0, 1).

    Source: Nielsen, chapter 3, equations 107 and 108; Polyak, 1964.

    >>> momentum(0.1)
    momentum(learning_rate=0.1, decay=0.9)
    """
    return Optimizer(_momentum, _rate_and(learning_rate, decay=leaf("decay", decay, high=1)))


def nesterov(learning_rate: Any = 0.1, decay: Any = 0.9) -> Optimizer:
    """Nesterov's momentum in the book's form, v ← μv − ηg, w ← w + μv − ηg.

    The gradient is taken where the parameters are; they stand for the look-ahead point.

    Source: Sutskever, Martens, Dahl, Hinton, On the importance of initialization and momentum in
    deep learning, 2013, section 2, in the variables of Bengio et al., 2012, equation 7.

    >>> nesterov(0.1)
    nesterov(learning_rate=0.1, decay=0.9)
    """
    return Optimizer(_nesterov, _rate_and(learning_rate, decay=leaf("decay", decay, high=1)))


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
    return Optimizer(optax.adagrad, hyper)


def rmsprop(learning_rate: Any = 1e-3, decay: Any = 0.9, eps: Any = 1e-8) -> Optimizer:
    """RMSProp: s ← ρs + (1−ρ)g², w ← w − ηg/√(s+ε), with ρ = `decay` in [0, 1), s from 0.

    Source: Tieleman, Hinton, Lecture 6.5, rmsprop, 2012.

    >>> rmsprop()
    rmsprop(learning_rate=0.001, decay=0.9, eps=1e-08)
    """
    hyper = _rate_and(learning_rate, decay=leaf("decay", decay, high=1), eps=leaf("eps", eps))
    return Optimizer(optax.rmsprop, hyper)


def adam(learning_rate: Any = 1e-3, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Optimizer:
    """Adam: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − ηm̂/(√v̂+ε), corrected for bias.

    Source: Kingma, Ba, Adam, 2015, algorithm 1.

    >>> adam()
    adam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08)
    """
    return Optimizer(optax.adam, _rate_and(learning_rate, **_moments(b1, b2, eps)))


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
    return Optimizer(_adamw, _rate_and(learning_rate, **_moments(b1, b2, eps), weight_decay=decay))


def _rate_and(learning_rate: Any, **hyper: Any) -> dict[str, Any]:
    return {"learning_rate": leaf("learning_rate", learning_rate), **hyper}


def _moments(b1: Any, b2: Any, eps: Any) -> dict[str, Any]:
    return {
        "b1": leaf("b1", b1, high=1),
        "b2": leaf("b2", b2, high=1),
        "eps": leaf("eps", eps),
    }


NAMED: dict[str, Callable[..., Optimizer]] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}
"""The optimizers that the command line knows by name."""
