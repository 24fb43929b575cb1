"""The class `Recipe`: how a network is trained."""

import dataclasses
from dataclasses import field
from typing import Any, Literal, get_args

import jax
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxnet.core.arguments import brief, require_choice, require_kind
from jaxnet.core.hyperparameters import leaf, number, pytree, shown
from jaxnet.core.types import Numbers
from jaxnet.recipes import optimizers
from jaxnet.recipes.batch_rules import BatchRule, batch_rule
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.schedules import Schedule
from jaxnet.recipes.stopping import Stopping

Normalization = Literal["training set", "batch"]
"""What the costs of a mini-batch are divided by: see `Recipe.normalization`."""


@pytree
class Recipe:
    """How a network is trained: an optimizer, and optional parts.

    A part that is `None` is not in the compiled program at all. A changed number compiles nothing
    anew, except for lengths of a schedule and the shift of an augmentation, which are static. An
    array in place of a number is a sweep: see `len`.

    Attributes:
      optimizer: the update rule, such as `sgd(0.5)`.
      l2: λ₂ ≥ 0 of the penalty (λ₂/2n)Σw², in the book's units: n is the number of training
        examples, and biases are not penalized.
      l1: λ₁ ≥ 0 of the penalty (λ₁/n)Σ|w|, likewise.
      dropout: the probability, in [0, 1), with which a hidden unit is dropped for one example.
      input_dropout: the probability, in [0, 1), with which an input is dropped for one example.
      max_norm: the largest Euclidean norm of the weights into a hidden unit, at least 1e-6; not for
        schedule-free optimizers.
      label_smoothing: ε in [0, 1): targets become (1−ε)y + ε/2, or (1−ε)y + ε/K with K softmax
        outputs. Monitors use the true targets.
      augmentation: how the examples of each mini-batch are changed in training: an
        `Augmentation`, a rule such as `augmentation.mixup(0.2)`, a function
        `f(key, xs, ys) -> (xs, ys)` (see `augmentation.custom`), or a tuple of these, which are
        applied in their order.
      schedule: the factor of the learning rate at each step.
      stopping: when to stop, or to lower the learning rate.
      init_scale: what the initial weights and biases are multiplied by, at least 0.
      normalization: what the costs in a mini-batch, and its penalties, are divided by (static).
        With "training set", the default, an example's weight is divided by the mean weight of all
        training examples and by the mini-batch's size, and λ by n: a step is an unbiased estimate
        of the weighted cost's gradient. With "batch" both are divided by the sum of the
        mini-batch's own weights, as scikit-learn does. Without weights the two differ in what λ
        means. In both a mini-batch whose weights are all 0 is skipped.

    Raises:
      ValueError: a number is out of its range, a part is of another class, or two parts do not go
        together.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> Recipe(sgd(0.5), l2=5.0).l2.item()
    5.0
    """

    optimizer: Optimizer
    l2: Numbers | None = number(default=None, linear=True)
    l1: Numbers | None = number(default=None, linear=False)
    dropout: Numbers | None = number(default=None, linear=True)  # of hidden units alone
    input_dropout: Numbers | None = number(default=None, linear=False)
    max_norm: Numbers | None = number(default=None, linear=False)
    label_smoothing: Numbers | None = number(default=None, linear=True)
    augmentation: Any = None  # given as functions or tuples, too; a `BatchRule` from then on
    schedule: Schedule | None = None
    stopping: Stopping | None = None
    init_scale: Numbers | None = number(default=None, linear=True)
    normalization: Normalization = field(
        default="training set", metadata={"static": True, "linear": True}
    )

    def __post_init__(self) -> None:
        self._check_classes()
        require_choice("normalization", self.normalization, get_args(Normalization))
        for name in ("l2", "l1", "init_scale"):
            object.__setattr__(self, name, leaf(name, getattr(self, name)))
        object.__setattr__(self, "max_norm", leaf("max_norm", self.max_norm, low=1e-6))
        object.__setattr__(self, "augmentation", batch_rule(self.augmentation))
        for name in ("dropout", "input_dropout", "label_smoothing"):
            object.__setattr__(self, name, leaf(name, getattr(self, name), high=1))
        if self.max_norm is not None and self.optimizer.evaluation is not None:
            raise ValueError(
                f"max_norm would not bound the weights that {self.optimizer.name} is evaluated at; "
                "leave it out, or take another optimizer."
            )
        changes_rate = self.schedule is not None or (
            self.stopping is not None and self.stopping.factor is not None
        )
        if changes_rate and not self.optimizer.follows_rate:
            raise ValueError(
                f"{self.optimizer.name} has no learning rate that may change during a run; leave "
                "schedule and reduce_on_plateau out, or take another optimizer."
            )

    def _check_classes(self) -> None:
        """Refuse a part that is not of its class."""
        if not isinstance(self.optimizer, Optimizer):
            raise ValueError(
                "optimizer must be an Optimizer such as jaxnet.sgd(0.5): "
                f"{_remedy(self.optimizer)}."
            )
        for name, kind, example in (
            ("schedule", Schedule, "jaxnet.schedules.cosine(30) or .custom(optax's)"),
            ("stopping", Stopping, "jaxnet.stopping.no_improvement_in(10)"),
        ):
            part = getattr(self, name)
            if part is not None:
                require_kind(name, part, kind, example)

    @property
    def linear(self) -> bool:
        """Whether the first layer's update is linear in its weights, gradients and optimizer state.

        If so, and if its inputs are not changed at random, training can be accelerated: see
        `jaxnet.acceleration.first_layer`. True if every part of the recipe is declared linear: a
        number in the definition of its field, any other part by its attribute `linear`. A part
        without a declaration counts as not linear.
        """
        declared = (
            field.metadata.get("linear", getattr(part, "linear", False))
            for field in dataclasses.fields(self)
            if (part := getattr(self, field.name)) is not None
        )
        return all(declared)

    def __len__(self) -> int:
        """The number of recipes that its arrays stand for: their length, or 1 without any.

        Raises:
          ValueError: the arrays differ in length, or have more than one axis.
        """
        leaves, _ = jax.tree_util.tree_flatten_with_path(self)
        shapes = {jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in leaves}
        swept = {name: shape for name, shape in shapes.items() if shape}
        if len(set(swept.values())) > 1 or any(len(shape) > 1 for shape in swept.values()):
            listed = ", ".join(f"{name[1:]} {shape}" for name, shape in swept.items())
            raise ValueError(
                f"the arrays of a recipe are zipped, so they must have one length: {listed}; for "
                "all combinations use jaxnet.grid."
            )
        return next(iter(swept.values()))[0] if swept else 1

    def optimizer_at(self, step: ArrayLike, steps_per_epoch: int, scale: ArrayLike) -> Optimizer:
        """The optimizer with the learning rate of one step, η_t = η · schedule(t) · scale.

        Args:
          step: the step t, a whole number counted from 0; may be traced.
          steps_per_epoch: how many steps an epoch has.
          scale: what the stopping rule multiplies the learning rate by, see `Watch.scale`.

        Returns:
          The recipe's own optimizer if nothing changes the rate, else a copy with η_t.

        >>> from jaxnet.recipes import schedules, sgd
        >>> recipe = Recipe(sgd(0.5), schedule=schedules.warmup(2))
        >>> recipe.optimizer_at(step=5, steps_per_epoch=5, scale=1.0)
        sgd(learning_rate=0.25)
        """
        factors: list[ArrayLike] = []
        if self.schedule is not None:
            factors.append(self.schedule.factor(step, steps_per_epoch))
        if self.stopping is not None and self.stopping.factor is not None:
            factors.append(scale)
        if not factors:
            return self.optimizer
        rate = self.optimizer.hyper["learning_rate"]
        for factor in factors:
            rate = rate * factor
        hyper = self.optimizer.hyper | {"learning_rate": rate}
        return dataclasses.replace(self.optimizer, hyper=hyper)

    def parts(self) -> dict[str, str]:
        """All parts and numbers that the recipe has, in words.

        Returns:
          What each is, by its name; those that are `None`, or a static choice at its default, are
          left out.

        >>> from jaxnet.recipes.optimizers import sgd
        >>> Recipe(sgd(0.5), l2=5.0).parts()
        {'optimizer': 'sgd(learning_rate=0.5)', 'l2': '5'}
        """
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if not (field.metadata.get("static") and getattr(self, field.name) == field.default)
        }
        with_repr = (Optimizer, BatchRule, Schedule, Stopping)
        return {
            name: repr(value) if isinstance(value, (*with_repr, str)) else shown(value)
            for name, value in values.items()
            if value is not None
        }

    def __repr__(self) -> str:
        return f"Recipe({', '.join(f'{name}={part}' for name, part in self.parts().items())})"


def _remedy(optimizer: object) -> str:
    """What to write in place of an argument that is no optimizer."""
    if isinstance(optimizer, optax.GradientTransformation):
        return (
            "in place of an optax transformation such as optax.adam(0.001), write "
            "jaxnet.custom(optax.adam, learning_rate=0.001)"
        )
    if isinstance(optimizer, str) and optimizer in optimizers.NAMED:
        return f"in place of the name {optimizer!r}, write jaxnet.{optimizer}()"
    name = getattr(optimizer, "__name__", None)
    if callable(optimizer) and optimizers.NAMED.name_of(optimizer) is not None:
        return f"in place of the function jaxnet.{name}, write what it returns, jaxnet.{name}()"
    if callable(optimizer) and not isinstance(optimizer, type) and name is not None:
        return f"in place of the function {name}, write jaxnet.custom({name}, learning_rate=0.001)"
    return f"it is not {brief(optimizer)}"
