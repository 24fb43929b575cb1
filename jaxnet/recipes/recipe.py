"""Recipe: how a network is trained. Each part is a static shape with numeric leaves."""

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxnet.core.hyperparameters import leaf, number, pytree, shown
from jaxnet.recipes.augmentation import Augmentation
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.schedules import Schedule
from jaxnet.recipes.stopping import Stopping


@pytree
class Recipe:
    """How a network is trained: its parts are static shapes with numeric leaves.

    A part that is `None` is not in the program at all; a changed number compiles nothing, but for
    the lengths of a schedule and the pixels of a shift, which are static.

    Args:
      optimizer: the update rule, such as `sgd(0.5)`.
      l2: λ₂ ≥ 0 of (λ₂/2n)Σw², in the book's units.
      l1: λ₁ ≥ 0 of (λ₁/n)Σ|w|, likewise.
      dropout: the probability, in [0, 1), with which a hidden unit is dropped for one example.
      input_dropout: the same for an input.
      max_norm: the largest norm of the weights into a hidden unit; not for schedule-free rules.
      label_smoothing: ε in [0, 1): targets become (1−ε)y + ε/2, for softmax outputs (1−ε)y + ε/K.
      augmentation: how images are distorted in training.
      schedule: what the learning rate is multiplied by at each step.
      stopping: when to stop, or to lower the learning rate.
      init_scale: what the initial weights and biases are multiplied by.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> Recipe(sgd(0.5), l2=5.0).l2.item()
    5.0
    """

    optimizer: Optimizer
    l2: Any = number(default=None, linear=True)
    l1: Any = number(default=None, linear=False)
    dropout: Any = number(default=None, linear=True)  # of hidden units alone
    input_dropout: Any = number(default=None, linear=False)
    max_norm: Any = number(default=None, linear=False)
    label_smoothing: Any = number(default=None, linear=True)
    augmentation: Augmentation | None = None
    schedule: Schedule | None = None
    stopping: Stopping | None = None
    init_scale: Any = number(default=None, linear=True)

    def __post_init__(self) -> None:
        for name, kind, example, needed in (
            ("optimizer", Optimizer, "jaxnet.sgd(0.5)", True),
            ("augmentation", Augmentation, "jaxnet.Augmentation(shift=1)", False),
            ("schedule", Schedule, "jaxnet.schedules.cosine(30) or .custom(optax's)", False),
            ("stopping", Stopping, "jaxnet.stopping.no_improvement_in(10)", False),
        ):
            part = getattr(self, name)
            if not isinstance(part, kind) and (needed or part is not None):
                article = "an" if kind.__name__[0] in "AO" else "a"
                raise ValueError(
                    f"a recipe's {name} must be {article} {kind.__name__} such as {example}, "
                    f"not {part!r}."
                )
        for name in ("l2", "l1", "init_scale"):
            object.__setattr__(self, name, leaf(name, getattr(self, name)))
        object.__setattr__(self, "max_norm", leaf("max_norm", self.max_norm, low=1e-6))
        for name in ("dropout", "input_dropout", "label_smoothing"):
            object.__setattr__(self, name, leaf(name, getattr(self, name), high=1))
        if self.max_norm is not None and self.optimizer.evaluation is not None:
            raise ValueError(
                f"max_norm would not bound the weights that {self.optimizer.name} is evaluated at; "
                "leave it out, or take another optimizer."
            )
        changes = self.schedule is not None or (
            self.stopping is not None and self.stopping.factor is not None
        )
        if changes and not self.optimizer.follows_rate:
            raise ValueError(
                f"{self.optimizer.name} has no learning rate that may change during a run; leave "
                "schedule and halving out, or take another optimizer."
            )

    @property
    def linear(self) -> bool:
        """Whether all parts that are there declare to be linear.

        Then the first layer's update is linear in its weights, gradients and states, and its
        inputs are the same from step to step. A number declares it on its field, any other part by
        an attribute `linear`; what declares nothing is not.
        """
        declared = (
            field.metadata.get("linear", getattr(part, "linear", False))
            for field in dataclasses.fields(self)
            if (part := getattr(self, field.name)) is not None
        )
        return all(declared)

    def __len__(self) -> int:
        """How many recipes its arrays make: 1 without any.

        Raises:
          ValueError: they differ in length.
        """
        leaves, _ = jax.tree_util.tree_flatten_with_path(self)
        sizes = {jax.tree_util.keystr(path): np.shape(number) for path, number in leaves}
        swept = {name: shape for name, shape in sizes.items() if shape}
        if len(set(swept.values())) > 1 or any(len(shape) > 1 for shape in swept.values()):
            told = ", ".join(f"{name[1:]} {shape}" for name, shape in swept.items())
            raise ValueError(
                f"the arrays of a recipe zip, so they must have one length: {told}; "
                "jaxnet.grid makes all combinations."
            )
        return next(iter(swept.values()))[0] if swept else 1

    def optimizer_at(self, step: Any, steps_per_epoch: int, scale: Any) -> Optimizer:
        """The optimizer with η_t = learning rate × schedule(t) × the stopping rule's scale."""
        rate = self.optimizer.hyper.get("learning_rate")
        if self.schedule is not None:
            rate = rate * self.schedule.factor(step, steps_per_epoch)
        if self.stopping is not None and self.stopping.factor is not None:
            rate = rate * scale
        if rate is self.optimizer.hyper.get("learning_rate"):
            return self.optimizer
        hyper = self.optimizer.hyper | {"learning_rate": rate}
        return dataclasses.replace(self.optimizer, hyper=hyper)

    def parts(self) -> dict[str, str]:
        """All that is in it, in words."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        parts = (Optimizer, Augmentation, Schedule, Stopping)
        words = lambda part: repr(part) if isinstance(part, parts) else shown(part)
        return {name: words(part) for name, part in found.items() if part is not None}

    def __repr__(self) -> str:
        return f"Recipe({', '.join(f'{name}={part}' for name, part in self.parts().items())})"
