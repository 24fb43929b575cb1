"""Rules that change each mini-batch of training: the base class, a user's own, several in a row.

A rule is a pure function of the mini-batch and of a random key, which belongs to one step of one
run. So a run stays a function of its seed, and can be resumed to the same bits. A pytree's leaves
are the rule's numbers, which a sweep may vary.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxnet.core import network
from jaxnet.core.arguments import brief, reason_of
from jaxnet.core.hyperparameters import leaf, pytree, shown, static
from jaxnet.core.registry import Registry
from jaxnet.core.types import AnyArray, Inputs, KeyArray, Numbers, Targets

FloatBatch = tuple[Float[Array, "batch n_in"], Float[Array, "batch n_out"]]
"""Inputs and targets of a mini-batch as the network reads them: floats, and a row per example."""
BatchFunction = Callable[..., tuple[Array, Array]]
"""`f(key, xs, ys, **numbers) -> (xs, ys)`: see `custom`."""


class BatchRule(abc.ABC):
    """A rule that changes the examples of each mini-batch before the network sees them.

    `jaxnet.Augmentation` is one; `jaxnet.augmentation` has functions that make others.

    Attributes:
      linear: whether it leaves the first layer's update linear: it does not, since inputs differ
        from step to step. See `Recipe.linear`.
      numbers: its hyperparameters that are set, by their names; an array of them makes a sweep.

    >>> from jaxnet.recipes.augmentation import mixup
    >>> isinstance(mixup(0.2), BatchRule), list(mixup(0.2).numbers)
    (True, ['alpha'])
    """

    linear: ClassVar[bool] = False

    @abc.abstractmethod
    def apply(
        self,
        key: KeyArray,
        xs: Inputs,
        ys: Targets,
        weights: Float[AnyArray, " batch"],
        n_out: int,
    ) -> tuple[Inputs, Targets]:
        """Change one mini-batch.

        Args:
          key: the random key of the step.
          xs: the inputs, (batch, n_in): uint8 pixels or floats.
          ys: the targets: labels (batch,) or floats (batch, n_out).
          weights: the examples' weights, (batch,). An example of weight 0 is not part of the
            mini-batch, whose rows it only fills up: no other example may depend on it.
          n_out: the number of the network's outputs.

        Returns:
          The inputs and targets, of the same number of examples.
        """

    @property
    def numbers(self) -> dict[str, Numbers]:
        """The hyperparameters that are set, by their names."""
        fields = dataclasses.fields(self)  # pyright: ignore[reportArgumentType]
        leaves = [field.name for field in fields if not field.metadata.get("static", False)]
        return {name: getattr(self, name) for name in leaves if getattr(self, name) is not None}

    def with_numbers(self, **numbers: Numbers) -> "BatchRule":
        """The rule with other numbers, whose ranges are checked.

        Args:
          **numbers: new values by the names in `numbers`.

        Returns:
          The rule; what is not given stays as it is.

        Raises:
          ValueError: a number is out of its range.
        """
        return dataclasses.replace(self, **numbers)  # pyright: ignore[reportArgumentType]

    def check(self, n_in: int, n_out: int) -> None:  # noqa: B027 (a rule need not have one)
        """Raise an error if the rule does not fit a network; by default all rules fit.

        Args:
          n_in: the number of the network's inputs.
          n_out: the number of its outputs.

        Raises:
          ValueError: the rule cannot be applied to such inputs or targets.
        """


def as_floats(
    xs: Inputs, ys: Targets, weights: Float[AnyArray, " batch"], n_out: int
) -> FloatBatch:
    """A mini-batch as the network reads it.

    Args:
      xs: uint8 pixels, which are divided by 255, or floats.
      ys: labels, which become one-hot (0 or 1 for one output), or floats.
      weights: the examples' weights, whose float type the results have.
      n_out: the number of the network's outputs.

    Returns:
      Inputs (batch, n_in) and targets (batch, n_out).

    >>> xs, ys = as_floats(np.array([[0, 255]], np.uint8), np.array([1]), jnp.ones(1), 3)
    >>> xs.tolist(), ys.tolist()
    ([[0.0, 1.0]], [[0.0, 1.0, 0.0]])
    """
    dtype = weights.dtype
    rows = jax.vmap(lambda y: network.targets(y, n_out, dtype))(jnp.asarray(ys))
    return network.inputs(xs, dtype), rows


def custom(function: BatchFunction, **numbers: Numbers) -> BatchRule:
    """A rule of your own, from a function of a mini-batch.

    `function(key, xs, ys, **numbers)` returns the changed `(xs, ys)`. It gets the mini-batch as the
    network reads it: `xs` are floats (batch, n_in), with pixels scaled to [0, 1], and `ys` are
    floats (batch, n_out), with labels one-hot; what it returns has the same shapes. `key` belongs
    to one step of one run. The function must be pure, made of operations of JAX, and draw all its
    random numbers from `key`; then a run is a function of its seed and can be resumed.

    Draw with the examples on the first axis, as by `jax.random.normal(key, xs.shape)`, or from a
    key for each example, `jax.random.split(key, len(xs))`: an example's numbers then depend on the
    step and on its place in the mini-batch alone. The last mini-batch of an epoch may be smaller.
    Its arrays are as long as the others', and repeat its own examples; only the first ones count.

    `Recipe(augmentation=function)` is short for `Recipe(augmentation=custom(function))`. Files name
    a run by the function: a module-level one by the path by which it can be imported, a lambda or a
    closure by its code and by what it has captured. Only a module-level one can be pickled.

    Args:
      function: the function, hashable.
      **numbers: finite numbers that it takes by keyword, none by default; an array makes a sweep.

    Returns:
      The rule.

    Raises:
      ValueError: `function` cannot be called or has no hash, or a number is not finite.

    >>> def flip_sign(key, xs, ys, share):
    ...     flipped = jax.random.uniform(key, (len(xs), 1)) < share
    ...     return jnp.where(flipped, -xs, xs), ys
    >>> custom(flip_sign, share=0.5)
    custom(flip_sign, share=0.5)
    """
    leaves: dict[str, AnyArray] = {}
    for name, value in numbers.items():
        number = leaf(name, value, low=-np.inf)
        if number is None:
            raise ValueError(f"{name} must be a number, not None; leave it out for its default.")
        leaves[name] = number
    return Custom(_checked_function(function), leaves)


def batch_rule(value: object) -> BatchRule | None:
    """The rule that a person gave as a recipe's augmentation.

    Args:
      value: a rule, a function as `custom` takes it, or a tuple or list of these, which are applied
        in their order; or `None`.

    Returns:
      One rule, or `None`.

    Raises:
      ValueError: it is something else.

    >>> batch_rule(None) is None
    True
    """
    if value is None or isinstance(value, BatchRule):
        return value
    if not isinstance(value, (tuple, list)) or not value:
        return Custom(_checked_function(value))
    rules = tuple(
        part if isinstance(part, BatchRule) else Custom(_checked_function(part)) for part in value
    )
    return rules[0] if len(rules) == 1 else Chain(rules)


def _checked_function(value: object) -> BatchFunction:
    """A function that can be a static part of a program."""
    if not callable(value) or isinstance(value, type):
        raise ValueError(
            "augmentation must be a rule such as jaxnet.Augmentation(shift=1), a function "
            f"f(key, xs, ys), or a tuple of these, not {brief(value)}."
        )
    try:
        hash(value)
    except TypeError:
        raise ValueError(
            f"augmentation must be hashable, not {brief(value)}; use a function, or a frozen "
            "dataclass that can be called."
        ) from None
    return value  # pyright: ignore[reportReturnType]


@pytree
class Custom(BatchRule):
    """A rule of a user's own function: see `custom`."""

    function: BatchFunction = static()
    values: dict[str, AnyArray] = dataclasses.field(default_factory=dict)

    def apply(
        self,
        key: KeyArray,
        xs: Inputs,
        ys: Targets,
        weights: Float[AnyArray, " batch"],
        n_out: int,
    ) -> FloatBatch:
        """What the function returns; rows that fill the mini-batch up repeat its examples."""
        rows = _repeated_examples(jnp.asarray(weights) > 0)
        inputs, targets = as_floats(xs, ys, weights, n_out)
        shapes = inputs.shape, targets.shape
        changed = self.function(key, inputs[rows], targets[rows], **self.values)
        if not isinstance(changed, (tuple, list)) or len(changed) != 2:
            raise ValueError(
                f"{self!r} must return a pair of inputs and targets, not {brief(changed)}."
            )
        new_xs, new_ys = (jnp.asarray(array, weights.dtype) for array in changed)
        if (new_xs.shape, new_ys.shape) != shapes:
            raise ValueError(
                f"{self!r} must return inputs and targets of the shapes that it gets, {shapes}, "
                f"not {(new_xs.shape, new_ys.shape)}."
            )
        return new_xs, new_ys

    @property
    def numbers(self) -> dict[str, Numbers]:
        """The numbers that the function takes."""
        return dict(self.values)

    def with_numbers(self, **numbers: Numbers) -> BatchRule:
        """The rule with other numbers; see `BatchRule.with_numbers`."""
        return custom(self.function, **self.values | numbers)

    def check(self, n_in: int, n_out: int) -> None:
        """Raise an error if the function cannot be traced; see `BatchRule.check`."""
        floats = jnp.zeros((), float).dtype
        shapes = ((2, n_in), (2, n_out), (2,))
        xs, ys, weights = (jax.ShapeDtypeStruct(shape, floats) for shape in shapes)
        key, apply = jax.random.key(0), lambda rule, *arrays: rule.apply(*arrays, n_out)

        def called(rule: "Custom", *arrays: Array) -> None:
            rule.function(*arrays, **rule.values)

        try:
            jax.eval_shape(called, self, key, xs, ys)
        except Exception as error:  # a function of the caller's may raise anything
            raise ValueError(
                f"{self!r} cannot change mini-batches: {reason_of(error)}; it is called with key, "
                f"xs, ys, of shapes such as {xs.shape} and {ys.shape}."
            ) from error
        jax.eval_shape(apply, self, key, xs, ys, weights)

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", None) or repr(self.function)
        numbers = [f"{key}={shown(value)}" for key, value in self.values.items()]
        return f"custom({', '.join([name, *numbers])})"


@pytree
class Chain(BatchRule):
    """Several rules, applied one after the other, each with a random key of its own."""

    rules: tuple[BatchRule, ...]

    def apply(
        self,
        key: KeyArray,
        xs: Inputs,
        ys: Targets,
        weights: Float[AnyArray, " batch"],
        n_out: int,
    ) -> tuple[Inputs, Targets]:
        """The mini-batch after all rules."""
        for index, rule in enumerate(self.rules):
            xs, ys = rule.apply(jax.random.fold_in(key, index), xs, ys, weights, n_out)
        return xs, ys

    @property
    def numbers(self) -> dict[str, Numbers]:
        """The numbers of all rules."""
        return {name: value for rule in self.rules for name, value in rule.numbers.items()}

    def with_numbers(self, **numbers: Numbers) -> BatchRule:
        """The rules with other numbers; a name has to belong to one of them alone."""
        for name in numbers:
            owners = [rule for rule in self.rules if name in rule.numbers]
            if len(owners) > 1:
                raise ValueError(
                    f"{name} is a number of {owners[0]!r} and of {owners[1]!r}; give the array to "
                    "the rule itself."
                )
        own = [
            {name: numbers[name] for name in rule.numbers.keys() & numbers} for rule in self.rules
        ]
        return Chain(tuple(rule.with_numbers(**n) for rule, n in zip(self.rules, own, strict=True)))

    def check(self, n_in: int, n_out: int) -> None:
        """Raise an error if one of the rules does not fit a network."""
        for rule in self.rules:
            rule.check(n_in, n_out)

    def __repr__(self) -> str:
        return f"({', '.join(map(repr, self.rules))})"


def _repeated_examples(is_present: Bool[Array, " batch"]) -> Int[Array, " batch"]:
    """For each row the row of an example that is present: its own, or else one after the other."""
    places = jnp.arange(len(is_present))
    present_first = jnp.argsort(~is_present, stable=True)
    n_present = jnp.maximum(1, jnp.sum(is_present))
    return jnp.where(is_present, places, present_first[places % n_present])


NAMED: Registry[BatchFunction] = Registry("augmentation", {})
"""The functions of mini-batches that `jaxnet.register` has given a name."""
