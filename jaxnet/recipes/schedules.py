"""Schedules: what the learning rate is multiplied by at step t.

    η_t = learning_rate · schedule(t) · (the stopping rule's scale)

A schedule is an optax one whose numbers are leaves and whose lengths are static, given in epochs
or in steps. Lengths in epochs become steps when the run is known, so that an optax schedule, a
function of a whole number of steps, serves for both.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnet.core.hyperparameters import count, leaf, pytree, shown, static
from jaxnet.core.registry import Registry

Unit = Literal["epochs", "steps"]


@pytree
class Schedule:
    """A learning-rate schedule: a factor for every step, counted from 0.

    Args:
      rule: a module-level function that takes the lengths (in steps) and numbers as keywords, and
        returns a function of the step, as those of `optax.schedules` do.
      hyper: its numbers: the leaves.
      spans: its lengths, as (name, length) pairs in `unit`: static.
      unit: what lengths are counted in, "epochs" or "steps".
      horizon: the name of the length after which the schedule has ended, or `None`; a longer run
        is refused.
      options: structural keywords of the rule, as (name, value) pairs: static.
      version: raised when the same rule gives other factors on purpose: static. Files of runs
        name it.

    >>> cosine(30)
    cosine(horizon=30 epochs, end=0)
    """

    rule: Callable[..., Callable[[Any], Any]] = static()
    hyper: dict[str, Any]
    spans: tuple[tuple[str, float], ...] = static(default=())
    unit: Unit = static(default="epochs")
    horizon: str | None = static(default=None)
    options: tuple[tuple[str, Any], ...] = static(default=())
    version: int = static(default=1)
    linear: ClassVar[bool] = True
    """It changes the learning rate alone: see `Recipe.linear`."""

    def __post_init__(self) -> None:
        hyper = {name: leaf(name, value, low=-np.inf) for name, value in self.hyper.items()}
        object.__setattr__(self, "hyper", hyper)
        if self.unit not in ("epochs", "steps"):
            raise ValueError(f'unit must be "epochs" or "steps", not {self.unit!r}.')
        if self.horizon is not None and self.horizon not in dict(self.spans):
            raise ValueError(f"horizon must name one of the lengths, not {self.horizon!r}.")
        for name, length in self.spans:
            number = isinstance(length, (int, float, np.number)) and not isinstance(length, bool)
            if not number or not 0 < length < np.inf:
                raise ValueError(
                    f"{name} must be a positive number of {self.unit}, not {length!r}."
                )
        spans = tuple((name, float(length)) for name, length in self.spans)
        object.__setattr__(self, "spans", spans)
        object.__setattr__(self, "version", count("version", self.version, low=1))

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.rule.__name__.strip("_")

    def steps(self, length: float, steps_per_epoch: int) -> int:
        """A length in steps, at least 1."""
        return max(1, round(length * (steps_per_epoch if self.unit == "epochs" else 1)))

    def factor(self, step: Any, steps_per_epoch: int) -> Any:
        """What the learning rate is multiplied by at this step."""
        spans = {name: self.steps(length, steps_per_epoch) for name, length in self.spans}
        # In float64, int32 divided by an int would be float32.
        step = jnp.asarray(step, jax.dtypes.canonicalize_dtype(int))
        return self.rule(**spans, **self.hyper, **dict(self.options))(step)

    def ends(self, steps_per_epoch: int) -> int | None:
        """The number of steps after which it has ended, or `None`."""
        lengths = dict(self.spans)
        return self.steps(lengths[self.horizon], steps_per_epoch) if self.horizon else None

    def __repr__(self) -> str:
        numbers = [f"{name}={length:g} {self.unit}" for name, length in self.spans]
        numbers += [f"{name}={shown(value)}" for name, value in self.hyper.items()]
        return f"{self.name}({', '.join(numbers)})"


def _exponential(every: int, rate: Any) -> Callable[[Any], Any]:
    # optax.exponential_decay asks whether the rate is 0, which a traced one cannot answer.
    return lambda step: rate ** (step / every)


def _staircase(every: int, rate: Any) -> Callable[[Any], Any]:
    return lambda step: rate ** jnp.floor_divide(step, every)


def _cosine(horizon: int, end: Any) -> Callable[[Any], Any]:
    return optax.cosine_decay_schedule(1.0, horizon, alpha=end)


def _warmup(warmup: int, start: Any) -> Callable[[Any], Any]:
    return optax.linear_schedule(start, 1.0, warmup)


def _warmup_cosine(warmup: int, horizon: int, start: Any, end: Any) -> Callable[[Any], Any]:
    return optax.warmup_cosine_decay_schedule(start, 1.0, warmup, horizon, end)


def _one_cycle(warmup: int, horizon: int, start: Any, end: Any) -> Callable[[Any], Any]:
    up = optax.cosine_decay_schedule(start, warmup, alpha=1 / start)
    down = optax.cosine_decay_schedule(1.0, horizon - warmup, alpha=end)
    return optax.join_schedules([up, down], [warmup])


def constant(value: Any = 1.0) -> Schedule:
    """The same factor at every step: leaves the learning rate as it is, for comparisons.

    >>> constant().factor(7, steps_per_epoch=10).item()
    1.0
    """
    return Schedule(optax.constant_schedule, {"value": leaf("value", value)})


def exponential(rate: Any = 0.95, every: float = 1, unit: Unit = "epochs") -> Schedule:
    """rate^(t/every): a smooth decay by `rate` each `every` epochs or steps.

    >>> round(float(exponential(0.5).factor(10, steps_per_epoch=5)), 3)
    0.25
    """
    return Schedule(_exponential, {"rate": leaf("rate", rate)}, (("every", every),), unit)


def staircase(rate: Any = 0.5, every: float = 10, unit: Unit = "epochs") -> Schedule:
    """rate^⌊t/every⌋: a step down by `rate` each `every` epochs or steps.

    >>> [float(staircase(0.5, every=2).factor(t, steps_per_epoch=1)) for t in (0, 1, 2, 4)]
    [1.0, 1.0, 0.5, 0.25]
    """
    return Schedule(_staircase, {"rate": leaf("rate", rate)}, (("every", every),), unit)


def cosine(horizon: float, end: Any = 0.0, unit: Unit = "epochs") -> Schedule:
    """end + (1−end)(1+cos(πt/horizon))/2: from 1 down to `end` over the run.

    Source: Loshchilov, Hutter, SGDR, 2017, equation 5, without restarts.

    >>> round(float(cosine(10).factor(5, steps_per_epoch=1)), 3)
    0.5
    """
    return Schedule(_cosine, {"end": leaf("end", end)}, (("horizon", horizon),), unit, "horizon")


def warmup(length: float = 1, start: Any = 0.0, unit: Unit = "epochs") -> Schedule:
    """A straight line from `start` to 1 over `length`, and 1 from then on.

    >>> [float(warmup(4).factor(t, steps_per_epoch=1)) for t in (0, 1, 4, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """
    return Schedule(_warmup, {"start": leaf("start", start)}, (("warmup", length),), unit)


def warmup_cosine(
    horizon: float, warmup: float = 1, start: Any = 0.0, end: Any = 0.0, unit: Unit = "epochs"
) -> Schedule:
    """A straight line from `start` to 1 over `warmup`, then a cosine down to `end` at `horizon`.

    >>> [round(float(warmup_cosine(4, 2).factor(t, steps_per_epoch=1)), 3) for t in (0, 1, 2, 3, 4)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return _risen(_warmup_cosine, horizon, warmup, start, end, unit)


def one_cycle(
    horizon: float, warmup: float, start: Any = 0.04, end: Any = 4e-6, unit: Unit = "epochs"
) -> Schedule:
    """Half a cosine wave from `start` up to 1 over `warmup`, another down to `end` at `horizon`.

    Source: Smith, Topin, Super-convergence, 2018, with cosines for straight lines.

    >>> one_cycle(30, warmup=9).name
    'one_cycle'
    """
    # Dividing by 0 would be NaN from the first step on.
    leaf("start", start, low=1e-6)
    return _risen(_one_cycle, horizon, warmup, start, end, unit)


def custom(
    rule: Callable[..., Callable[[Any], Any]],
    spans: dict[str, float] | None = None,
    unit: Unit = "epochs",
    horizon: str | None = None,
    *,
    version: int = 1,
    **hyper: Any,
) -> Schedule:
    """Any other optax schedule, as a factor of the learning rate.

    Args:
      rule: a module-level function of lengths and numbers that returns a function of the step.
      spans: its lengths by name, in `unit`.
      unit: "epochs" or "steps".
      horizon: the name of the length after which it has ended, if it ends.
      version: raised when the rule gives other factors on purpose; no number of the rule.
      **hyper: its numbers, by name: leaves, which the rule must not ask questions of, since they
        are traced; booleans and strings are static.

    >>> polynomial = optax.polynomial_schedule
    >>> custom(polynomial, {"transition_steps": 10}, init_value=1, end_value=0, power=2)
    polynomial_schedule(transition_steps=10 epochs, init_value=1, end_value=0, power=2)
    """
    options = {k: v for k, v in hyper.items() if isinstance(v, (bool, str))}
    leaves = {k: v for k, v in hyper.items() if k not in options}
    lengths = tuple((spans or {}).items())
    return Schedule(rule, leaves, lengths, unit, horizon, tuple(options.items()), version)


def _risen(
    rule: Callable[..., Any], horizon: float, warmup: float, start: Any, end: Any, unit: Unit
) -> Schedule:
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
"""The schedules that the command line knows by name."""
