"""Learning-rate schedules: a factor that the learning rate is multiplied by at step t.

    η_t = learning_rate · schedule(t) · (the stopping rule's scale)

A schedule is an optax schedule whose numbers are leaves and whose lengths are static, given in
epochs or in steps. Lengths in epochs become steps when the number of steps per epoch is known, so
optax's schedules, which are functions of a whole number of steps, serve for both.
"""

from collections.abc import Callable, Hashable
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxnet.core.arguments import (
    brief,
    lists_keywords,
    require_choice,
    require_kind,
    require_options,
)
from jaxnet.core.hyperparameters import count, leaf, pytree, shown, static
from jaxnet.core.registry import Registry
from jaxnet.core.types import Numbers

Unit = Literal["epochs", "steps"]
"""What the lengths of a schedule are counted in."""


@runtime_checkable
class ScheduleRule(Protocol):
    """A function of lengths and numbers that returns a function of the step, as optax's are.

    It is called with keywords alone; lengths are whole numbers of steps, numbers may be traced.

    >>> isinstance(optax.cosine_decay_schedule, ScheduleRule)
    True
    """

    @property
    def __name__(self) -> str:
        """The name of the function: `Schedule.name` without underscores at its ends."""
        ...

    def __call__(self, *args: Any, **lengths_and_numbers: Any) -> optax.Schedule:
        """The factor as a function of the step, counted from 0."""
        ...


@pytree
class Schedule:
    """A learning-rate schedule: a factor for every step, counted from 0.

    The functions of this module, such as `cosine`, make one; `custom` makes one of any other optax
    schedule.

    Attributes:
      rule: a module-level function that takes the lengths (in steps), numbers and options as
        keywords and returns a function of the step, as those of `optax.schedules` do: static.
      hyper: its numbers by name: the leaves. They are cast to arrays of JAX's default float type;
        an array makes a sweep.
      spans: its lengths, as (name, length) pairs in `unit`, all positive: static.
      unit: what lengths are counted in, "epochs" or "steps".
      horizon: the name of the length at which the schedule ends, so that a longer run is refused;
        `None`, the default, where it has no end.
      options: further keywords of the rule that shape the program, as (name, value) pairs: static.
      version: the version of the rule, at least 1: to be raised when the same rule is changed to
        give other factors: static. Files of runs name it.
      linear: whether it leaves the first layer's update linear: it does, since it changes the
        learning rate alone. See `Recipe.linear`.

    Raises:
      ValueError: a number is not finite, a length is not positive, `unit` or `horizon` is unknown,
        or `version` is not a whole number of at least 1.

    >>> cosine(30)
    cosine(horizon=30 epochs, end=0)
    """

    rule: ScheduleRule = static()
    hyper: dict[str, Any]  # given as `Numbers`, and arrays from then on
    spans: tuple[tuple[str, float], ...] = static(default=())
    unit: Unit = static(default="epochs")
    horizon: str | None = static(default=None)
    options: tuple[tuple[str, Hashable], ...] = static(default=())
    version: int = static(default=1)
    linear: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.rule, ScheduleRule) or isinstance(self.rule, (type, Schedule)):
            raise ValueError(
                "rule must be a function that makes a schedule, such as "
                f"optax.cosine_decay_schedule, not {brief(self.rule)}."
            )
        require_kind("hyper", self.hyper, dict, '{"value": 1.0}')
        if missing := [name for name, value in self.hyper.items() if value is None]:
            raise ValueError(f"{missing[0]} must be a number, not None; leave it out.")
        hyper = {str(name): leaf(name, value, -np.inf) for name, value in self.hyper.items()}
        object.__setattr__(self, "hyper", hyper)
        require_choice("unit", self.unit, ("epochs", "steps"))
        require_options("options", self.options)
        require_options("spans", self.spans)
        lengths = [name for name, _ in self.spans]
        if self.horizon is not None and brief(self.horizon) not in map(brief, lengths):
            raise ValueError(
                f"horizon must name one of the lengths in spans, {lengths}, not "
                f"{brief(self.horizon)}."
            )
        spans = tuple((name, _length(name, length, self.unit)) for name, length in self.spans)
        object.__setattr__(self, "spans", spans)
        object.__setattr__(self, "version", count("version", self.version, low=1))

    @property
    def name(self) -> str:
        """The name of the rule's function, without underscores at its ends."""
        return self.rule.__name__.strip("_")

    def steps(self, length: float, steps_per_epoch: int) -> int:
        """Convert a length to steps.

        Args:
          length: a length in the schedule's unit.
          steps_per_epoch: how many steps an epoch has, at least 1.

        Returns:
          The nearest whole number of steps, at least 1.

        >>> cosine(30).steps(0.5, steps_per_epoch=100)
        50
        """
        return max(1, round(length * (steps_per_epoch if self.unit == "epochs" else 1)))

    def lowest(self, name: str) -> float:
        """The lowest value allowed of a number.

        Args:
          name: the number's name, a key of `hyper`.

        >>> cycle = one_cycle(30, warmup=9)
        >>> cycle.lowest("start"), cycle.lowest("end")
        (1e-06, 0.0)
        """
        return _LOWEST_START if self.rule is _one_cycle and name == "start" else 0.0

    def factor(self, step: ArrayLike, steps_per_epoch: int) -> ArrayLike:
        """The factor of the learning rate at a step.

        Args:
          step: the step, a whole number counted from 0, or an array of steps; may be traced.
          steps_per_epoch: how many steps an epoch has, at least 1.

        Returns:
          The factor; 1 leaves the learning rate as it is.

        >>> float(warmup(2).factor(5, steps_per_epoch=5))
        0.5
        """
        spans = {name: self.steps(length, steps_per_epoch) for name, length in self.spans}
        # In float64, int32 divided by an int would be float32.
        step = jnp.asarray(step, jax.dtypes.canonicalize_dtype(int))
        return self.rule(**spans, **self.hyper, **dict(self.options))(step)

    def ends(self, steps_per_epoch: int) -> int | None:
        """The number of steps after which the schedule has ended.

        Args:
          steps_per_epoch: how many steps an epoch has, at least 1.

        Returns:
          The horizon in steps, or `None` where there is no end.

        >>> cosine(30).ends(steps_per_epoch=100), warmup(2).ends(steps_per_epoch=100)
        (3000, None)
        """
        lengths = dict(self.spans)
        return self.steps(lengths[self.horizon], steps_per_epoch) if self.horizon else None

    def __repr__(self) -> str:
        numbers = [f"{name}={length:g} {self.unit}" for name, length in self.spans]
        numbers += [f"{name}={shown(value)}" for name, value in self.hyper.items()]
        return f"{self.name}({', '.join(numbers)})"


def _length(name: str, length: object, unit: Unit) -> float:
    """A length of a schedule as a float, validated."""
    is_number = isinstance(length, (int, float, np.integer, np.floating))
    if is_number and not isinstance(length, bool) and 0 < length < 2**31:
        return float(length)
    raise ValueError(f"{name} must be a positive number of {unit}, not {brief(length)}.")


@lists_keywords
def constant(value: Numbers = 1.0) -> Schedule:
    """The same factor at every step.

    Args:
      value: the factor, at least 0; 1, the default, leaves the learning rate as it is.

    Returns:
      The schedule.

    Raises:
      ValueError: the factor is out of its range.

    >>> constant().factor(7, steps_per_epoch=10).item()
    1.0
    """
    return Schedule(optax.constant_schedule, {"value": leaf("value", value)})


@lists_keywords
def exponential(rate: Numbers = 0.95, every: float = 1, unit: Unit = "epochs") -> Schedule:
    """A smooth exponential decay, rate^(t/every), with t the step or epoch from 0.

    Args:
      rate: the factor after each `every`, at least 0, by default 0.95.
      every: how many epochs or steps multiply the learning rate by `rate`, by default 1.
      unit: what `every` is counted in, "epochs" (the default) or "steps".

    Returns:
      The schedule.

    Raises:
      ValueError: the rate is negative, the length not positive or the unit unknown.

    >>> round(float(exponential(0.5).factor(10, steps_per_epoch=5)), 3)
    0.25
    """
    return Schedule(_exponential, {"rate": leaf("rate", rate)}, (("every", every),), unit)


def _exponential(every: int, rate: ArrayLike) -> optax.Schedule:
    # optax.exponential_decay asks whether the rate is 0, which a traced one cannot answer.
    return lambda step: rate ** (step / every)


@lists_keywords
def staircase(rate: Numbers = 0.5, every: float = 10, unit: Unit = "epochs") -> Schedule:
    """A decay in steps, rate^⌊t/every⌋, with t the step or epoch from 0.

    Args:
      rate: the factor after each `every`, at least 0, by default 0.5.
      every: after how many epochs or steps the learning rate is multiplied by `rate`, by default
        10.
      unit: what `every` is counted in, "epochs" (the default) or "steps".

    Returns:
      The schedule.

    Raises:
      ValueError: the rate is negative, the length not positive or the unit unknown.

    >>> [float(staircase(0.5, every=2).factor(t, steps_per_epoch=1)) for t in (0, 1, 2, 4)]
    [1.0, 1.0, 0.5, 0.25]
    """
    return Schedule(_staircase, {"rate": leaf("rate", rate)}, (("every", every),), unit)


def _staircase(every: int, rate: ArrayLike) -> optax.Schedule:
    return lambda step: rate ** jnp.floor_divide(step, every)


@lists_keywords
def cosine(horizon: float, end: Numbers = 0.0, unit: Unit = "epochs") -> Schedule:
    """Half a cosine wave from 1 down to `end`: end + (1−end)(1+cos(πt/horizon))/2.

    t is the step or epoch, from 0.

    Args:
      horizon: the length of the run, in `unit`; a longer run is refused.
      end: the factor at the horizon, at least 0, by default 0.
      unit: what `horizon` is counted in, "epochs" (the default) or "steps".

    Returns:
      The schedule.

    Raises:
      ValueError: `end` is negative, the horizon not positive or the unit unknown.

    Source: Loshchilov, Hutter, SGDR, 2017, equation 5, without restarts.

    >>> round(float(cosine(10).factor(5, steps_per_epoch=1)), 3)
    0.5
    """
    return Schedule(_cosine, {"end": leaf("end", end)}, (("horizon", horizon),), unit, "horizon")


def _cosine(horizon: int, end: ArrayLike) -> optax.Schedule:
    return optax.cosine_decay_schedule(1.0, horizon, alpha=end)


@lists_keywords
def warmup(length: float = 1, start: Numbers = 0.0, unit: Unit = "epochs") -> Schedule:
    """A straight line from `start` to 1 over `length`, and 1 from then on.

    Args:
      length: how long the factor rises, in `unit`, by default 1.
      start: the factor of the first step, at least 0, by default 0.
      unit: what `length` is counted in, "epochs" (the default) or "steps".

    Returns:
      The schedule.

    Raises:
      ValueError: `start` is negative, the length not positive or the unit unknown.

    >>> [float(warmup(4).factor(t, steps_per_epoch=1)) for t in (0, 1, 4, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """
    return Schedule(_warmup, {"start": leaf("start", start)}, (("warmup", length),), unit)


def _warmup(warmup: int, start: ArrayLike) -> optax.Schedule:
    return optax.linear_schedule(start, 1.0, warmup)


@lists_keywords
def warmup_cosine(
    horizon: float,
    warmup: float = 1,
    start: Numbers = 0.0,
    end: Numbers = 0.0,
    unit: Unit = "epochs",
) -> Schedule:
    """A straight line from `start` to 1 over `warmup`, then half a cosine wave down to `end`.

    Args:
      horizon: the length of the run, warm-up included, in `unit`; a longer run is refused.
      warmup: how long the factor rises, in `unit`, shorter than `horizon`, by default 1.
      start: the factor of the first step, at least 0, by default 0.
      end: the factor at the horizon, at least 0, by default 0.
      unit: what lengths are counted in, "epochs" (the default) or "steps".

    Returns:
      The schedule.

    Raises:
      ValueError: a factor is negative, a length not positive, the warm-up not shorter than the
        horizon, or the unit unknown.

    >>> [round(float(warmup_cosine(4, 2).factor(t, steps_per_epoch=1)), 3) for t in (0, 1, 2, 3, 4)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return _with_warmup(_warmup_cosine, horizon, warmup, start, end, unit)


def _warmup_cosine(warmup: int, horizon: int, start: ArrayLike, end: ArrayLike) -> optax.Schedule:
    return optax.warmup_cosine_decay_schedule(start, 1.0, warmup, horizon, end)


@lists_keywords
def one_cycle(
    horizon: float,
    warmup: float,
    start: Numbers = 0.04,
    end: Numbers = 4e-6,
    unit: Unit = "epochs",
) -> Schedule:
    """Half a cosine wave from `start` up to 1 over `warmup`, another one down to `end`.

    Args:
      horizon: the length of the run, warm-up included, in `unit`; a longer run is refused.
      warmup: how long the factor rises, in `unit`, shorter than `horizon`.
      start: the factor of the first step, at least 1e-6, by default 0.04.
      end: the factor at the horizon, at least 0, by default 4e-6.
      unit: what lengths are counted in, "epochs" (the default) or "steps".

    Returns:
      The schedule.

    Raises:
      ValueError: a factor is out of its range, a length not positive, the warm-up not shorter than
        the horizon, or the unit unknown.

    Source: Smith, Topin, Super-convergence, 2018, with cosines for straight lines.

    >>> one_cycle(30, warmup=9).name
    'one_cycle'
    """
    leaf("start", start, low=_LOWEST_START)
    return _with_warmup(_one_cycle, horizon, warmup, start, end, unit)


_LOWEST_START = 1e-6
"""Dividing by 0 would be NaN from the first step on."""


def _one_cycle(warmup: int, horizon: int, start: ArrayLike, end: ArrayLike) -> optax.Schedule:
    rise = optax.cosine_decay_schedule(start, warmup, alpha=1 / start)
    fall = optax.cosine_decay_schedule(1.0, horizon - warmup, alpha=end)
    return optax.join_schedules([rise, fall], [warmup])


def custom(
    rule: ScheduleRule,
    spans: dict[str, float] | None = None,
    unit: Unit = "epochs",
    horizon: str | None = None,
    *,
    version: int = 1,
    **hyper: Numbers | str,
) -> Schedule:
    """A schedule of any other rule, one of optax's or your own, as a factor of the learning rate.

    Args:
      rule: a module-level function of lengths and numbers, passed by name, that returns a function
        of the step.
      spans: its lengths by name, in `unit`, all positive; `None`, the default, for a rule without
        any.
      unit: what lengths are counted in, "epochs" (the default) or "steps".
      horizon: the name of the length at which the schedule ends, so that a longer run is refused;
        `None`, the default, where it has no end.
      version: the version of the rule, at least 1, by default 1: to be raised when it is changed
        to give other factors. It is not passed to the rule.
      **hyper: its numbers by name: leaves, on whose values the rule must not branch, since they are
        traced. Booleans and strings are static.

    Returns:
      The schedule.

    Raises:
      ValueError: a number is not finite, a length not positive, `unit` or `horizon` unknown, or
        `version` not a whole number of at least 1.

    >>> polynomial = optax.polynomial_schedule
    >>> custom(polynomial, {"transition_steps": 10}, init_value=1, end_value=0, power=2)
    polynomial_schedule(transition_steps=10 epochs, init_value=1, end_value=0, power=2)
    """
    leaves: dict[str, Numbers] = {}
    options: list[tuple[str, Hashable]] = []
    for name, value in hyper.items():
        if isinstance(value, (bool, str)):
            options.append((name, value))
        else:
            leaves[name] = value
    if spans is not None:
        require_kind("spans", spans, dict, '{"transition_steps": 10}')
    lengths = tuple((spans or {}).items())
    return Schedule(rule, leaves, lengths, unit, horizon, tuple(options), version)


def _with_warmup(
    rule: ScheduleRule, horizon: float, warmup: float, start: Numbers, end: Numbers, unit: Unit
) -> Schedule:
    """A schedule that rises over a warm-up and falls until the horizon."""
    hyper = {"start": leaf("start", start), "end": leaf("end", end)}
    schedule = Schedule(rule, hyper, (("warmup", warmup), ("horizon", horizon)), unit, "horizon")
    if warmup >= horizon:
        raise ValueError(f"warmup must be shorter than the horizon, {horizon:g}, not {warmup:g}.")
    return schedule


NAMED: Registry[Callable[..., Schedule]] = Registry(
    "schedule",
    {
        "constant": constant,
        "exponential": exponential,
        "staircase": staircase,
        "cosine": cosine,
        "warmup": warmup,
        "warmup-cosine": warmup_cosine,
        "one-cycle": one_cycle,
    },
)
"""The schedules by the names that the command line and fingerprints use."""
