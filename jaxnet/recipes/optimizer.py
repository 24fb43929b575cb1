"""The class `Optimizer`: an optax update rule whose hyperparameters are leaves of a pytree.

An optax rule is a function of hyperparameters that returns a pair of pure functions. Here the
function is static, and its numbers are leaves, until a training step calls it. So another learning
rate never recompiles, and `adam(jnp.logspace(-4, -1, 16))` stands for sixteen optimizers. The rule
is called anew inside of each traced step, with traced numbers.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import optax
from jaxtyping import PyTree

from jaxnet.core.arguments import brief, check_keywords, reason_of, require_kind, require_options
from jaxnet.core.hyperparameters import count, flag, leaf, pytree, shown, static
from jaxnet.core.types import KeyArray, Numbers, Params
from jaxnet.recipes.derivatives import with_finite_slopes, without_derivative


@runtime_checkable
class UpdateRule(Protocol):
    """A function of hyperparameters that returns an optax transformation, as `optax.adam` is.

    It is called with keywords alone: `rule(learning_rate=…, b1=…)`. Its numbers may be traced, so
    it must not branch on their values.

    >>> isinstance(optax.adam, UpdateRule)
    True
    """

    @property
    def __name__(self) -> str:
        """The name of the function: `Optimizer.name` without underscores at its ends."""
        ...

    def __call__(self, *args: Any, **hyper: Any) -> optax.GradientTransformation:
        """The transformation for these hyperparameters."""
        ...


@pytree
class Optimizer:
    """An update rule together with its hyperparameters.

    The constructors in `jaxnet.recipes.optimizers`, such as `sgd`, make one; `custom` makes one of
    any other optax rule.

    Attributes:
      rule: a module-level function that takes the hyperparameters and the options as keywords and
        returns an `optax.GradientTransformation`: static, so a fresh lambda is a fresh program.
      hyper: the numeric hyperparameters by name, `learning_rate` among them: the leaves. Numbers
        are cast to arrays of JAX's default float type; an array makes a sweep.
      options: further keywords of the rule that shape the program, as (name, value) pairs: static.
      stochastic: whether the rule also takes the keyword `key`, the random key of the step.
      evaluation: a function `(opt_state, params) -> params`, for rules whose networks are evaluated
        at other parameters than those they are trained at, such as schedule-free ones; else `None`.
      constant_rate: whether the rule reads its learning rate only at the start of a run.
      curvature: whether the update takes `hessian_product` and `gauss_newton_product`, functions of
        a direction, besides optax's `value`, `grad` and `value_fn`.
      shaped: whether an update may depend on the shapes of the arrays. Then networks that are
        padded with zeros would be trained differently, so they are not padded.
      linear: whether each number's update is linear in the gradients, weights and states of that
        number alone: see `jaxnet.acceleration.first_layer`.
      version: the version of the rule, at least 1: to be raised when the same rule is changed to
        give other updates. Files of runs name it.
      differentiable: whether a run has a derivative with respect to its hyperparameters; if not,
        `jax.jvp` and `jax.grad` of a run raise a ValueError that names the rule.

    Raises:
      ValueError: the rule is no function with a name, a hyperparameter is not a finite number, or
        another field is not of its type.

    >>> sgd = Optimizer(optax.sgd, {"learning_rate": 0.5})
    >>> sgd, sgd.hyper["learning_rate"].dtype
    (sgd(learning_rate=0.5), dtype('float32'))
    """

    rule: UpdateRule = static()
    hyper: dict[str, Any]  # given as `Numbers`, and arrays from then on
    options: tuple[tuple[str, Hashable], ...] = static(default=())
    stochastic: bool = static(default=False)
    evaluation: Callable[[PyTree, Params], Params] | None = static(default=None)
    constant_rate: bool = static(default=False)
    curvature: bool = static(default=False)
    shaped: bool = static(default=True)
    linear: bool = static(default=False)
    version: int = static(default=1)
    differentiable: bool = static(default=True)

    def __post_init__(self) -> None:
        _check_rule(self.rule)
        require_kind("hyper", self.hyper, dict, '{"learning_rate": 0.5}')
        for name, value in self.hyper.items():
            if value is None:
                raise ValueError(
                    f"{name} must be a number, not None; leave it out for its default."
                )
        hyper = {str(name): leaf(name, value, -np.inf) for name, value in self.hyper.items()}
        object.__setattr__(self, "hyper", hyper)
        require_options("options", self.options)
        for name in ("stochastic", "constant_rate", "curvature", "shaped", "linear"):
            object.__setattr__(self, name, flag(name, getattr(self, name)))
        if self.evaluation is not None and not callable(self.evaluation):
            raise ValueError(
                "evaluation must be a function (opt_state, params) -> params, or None, not "
                f"{brief(self.evaluation)}."
            )
        object.__setattr__(self, "version", count("version", self.version, low=1))

    @property
    def name(self) -> str:
        """The name of the rule's function, without underscores at its ends."""
        return self.rule.__name__.strip("_")

    @property
    def follows_rate(self) -> bool:
        """Whether it has a learning rate that may change during a run."""
        return "learning_rate" in self.hyper and not self.constant_rate

    def transformation(self, key: KeyArray) -> optax.GradientTransformationExtraArgs:
        """The optax transformation for one step.

        Args:
          key: the random key of that step; only a stochastic rule draws from it.

        Returns:
          A transformation whose update takes optax's extra arguments, and ignores those that the
          rule does not use. Its derivative is finite also where gradients are 0: see
          `jaxnet.recipes.derivatives`.

        >>> import jax
        >>> updates, _ = Optimizer(optax.sgd, {"learning_rate": 0.5}).transformation(
        ...     jax.random.key(0)
        ... ).update(np.ones(2), (optax.EmptyState(), optax.EmptyState()))
        >>> updates.tolist()
        [-0.5, -0.5]
        """
        randomness = {"key": key} if self.stochastic else {}
        as_is = partial(without_derivative, self.name)
        hyper = self.hyper if self.differentiable else as_is(self.hyper)
        rule = optax.with_extra_args_support(self.rule(**hyper, **dict(self.options), **randomness))

        def update(
            updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any
        ) -> tuple[PyTree, PyTree]:
            if not self.differentiable:
                return rule.update(as_is(updates), state, params, **extra_args)
            with_extra_args = partial(rule.update, **extra_args)
            return with_finite_slopes(with_extra_args)(updates, state, params)

        return optax.GradientTransformationExtraArgs(rule.init, update)

    def evaluation_params(self, opt_state: PyTree, params: Params) -> Params:
        """The parameters to evaluate a network with, and to keep at the end of a run.

        Args:
          opt_state: the optimizer's state.
          params: the parameters that are trained.

        Returns:
          `evaluation(opt_state, params)` if the optimizer has such a function, else `params`.
        """
        return self.evaluation(opt_state, params) if self.evaluation else params

    def __repr__(self) -> str:
        numbers = [f"{name}={shown(value)}" for name, value in self.hyper.items()]
        return f"{self.name}({', '.join(numbers)})"


def _check_rule(rule: object) -> None:
    """Refuse what is no function of hyperparameters, and say what to write instead."""
    if isinstance(rule, optax.GradientTransformation):
        raise ValueError(
            "rule must be the function that makes a transformation, not the transformation, whose "
            "numbers are fixed: write jaxnet.custom(optax.adam, learning_rate=0.001) in place of "
            "optax.adam(0.001)."
        )
    if isinstance(rule, partial):
        raise ValueError(
            "rule must be a function with a name, not a functools.partial: define one that calls "
            f"{getattr(rule.func, '__name__', 'its function')}."
        )
    if not isinstance(rule, UpdateRule) or isinstance(rule, (type, Optimizer)):
        raise ValueError(
            "rule must be a function of hyperparameters such as optax.adam, with a name: "
            f"jaxnet.custom(optax.adam, learning_rate=0.001), not {brief(rule)}."
        )


def custom(
    rule: UpdateRule, *, version: int = 1, **hyper: Numbers | str | Callable[..., object]
) -> Optimizer:
    """An optimizer with any other update rule: one of optax's or your own.

    Args:
      rule: a module-level function that takes `hyper` by name and returns an optax transformation.
      version: the version of the rule, at least 1, by default 1: to be raised when it is changed
        to give other updates. It is not passed to the rule.
      **hyper: the rule's hyperparameters by name. Numbers and arrays of them are leaves; booleans,
        strings and functions are static. A whole number that shapes the state must be written into
        the rule itself.

    Returns:
      The optimizer.

    Raises:
      ValueError: a hyperparameter is not a finite number, the rule does not take one of them, or
        does not make a transformation of them, or `version` is not a whole number of at least 1.

    >>> custom(optax.fromage, learning_rate=0.01)
    fromage(learning_rate=0.01)
    """
    _check_rule(rule)
    leaves: dict[str, Numbers] = {}
    options: list[tuple[str, Hashable]] = []
    for name, value in hyper.items():
        if isinstance(value, (bool, str)) or callable(value):
            options.append((name, value))
        else:
            leaves[name] = value
    optimizer = Optimizer(rule, leaves, tuple(options), version=version)
    _check_transformation(optimizer)
    return optimizer


def _check_transformation(optimizer: Optimizer) -> None:
    """Refuse a rule that does not make an optax transformation of traced numbers."""
    rule, options = optimizer.rule, dict(optimizer.options)
    made: list[object] = []
    try:
        check_keywords(optimizer.name, [*optimizer.hyper, *options], rule)
        number = jax.ShapeDtypeStruct((), jax.dtypes.canonicalize_dtype(float))
        jax.eval_shape(
            lambda hyper: made.append(rule(**hyper, **options)),
            dict.fromkeys(optimizer.hyper, number),
        )
    except Exception as error:  # a rule may be anyone's
        fault = reason_of(error)
        if isinstance(error, jax.errors.ConcretizationTypeError):
            fault = "numbers are traced, so a rule must not branch on their values"
        raise ValueError(f"rule cannot be called as {brief(optimizer)}: {fault}.") from None
    if not isinstance(made[0], optax.GradientTransformation):
        raise ValueError(
            f"rule must return an optax transformation, but {optimizer.name} returned "
            f"{brief(made[0])}; jaxnet's own optimizers are called as they are: jaxnet.sgd(0.5)."
        )


SMALLEST_SHARE = 1e-6
"""The smallest β of schedule-free rules, which divide by it."""

padding_safe = partial(Optimizer, shaped=False)
"""`Optimizer` for rules that may train networks padded with zeros: zeros that are added to an array
stay zeros, and change no other number. Tested by `tests/acceleration/test_padding.py`."""


def with_rate(learning_rate: Numbers, **others: Numbers) -> dict[str, Numbers]:
    """The learning rate, checked to be at least 0, and further hyperparameters by name."""
    return {"learning_rate": leaf("learning_rate", learning_rate), **others}


def moments(b1: Numbers, b2: Numbers, eps: Numbers) -> dict[str, Numbers]:
    """Adam's two decays, checked to lie in [0, 1), and ε, checked to be at least 0."""
    return {
        "b1": leaf("b1", b1, high=1),
        "b2": leaf("b2", b2, high=1),
        "eps": leaf("eps", eps),
    }


def weights_only(params: Params) -> PyTree:
    """A mask for optax that is true for weights and false for all else."""
    return tuple(layer._make(name == "w" for name in layer._fields) for layer in params)
