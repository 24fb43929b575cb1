"""`register`: names for parts of a user's own, so that files can name them."""

import inspect
from collections.abc import Callable
from typing import TypeVar, get_args, overload

from jaxnet.core.activation import Activation
from jaxnet.core.arguments import brief, reason_of
from jaxnet.core.costs import Cost
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.schedules import Schedule
from jaxnet.training.fingerprint import registered_rules
from jaxnet.training.metrics import Metric
from jaxnet.training.part_registries import NAME, REGISTRIES, Kind

Part = TypeVar("Part")
CONSTRUCTED = {"optimizer": Optimizer, "schedule": Schedule}
"""The kinds of which the function is registered that makes them."""


@overload
def register(name: str, part: None = None, kind: Kind | None = None) -> Callable[[Part], Part]: ...
@overload
def register(name: str, part: Part, kind: Kind | None = None) -> Part: ...
def register(
    name: str, part: Part | None = None, kind: Kind | None = None
) -> Part | Callable[[Part], Part]:
    """Give a part of your own a name, by which files and tables know it.

    A network or a recipe with the part can then be saved, loaded, resumed and opened like those of
    the library's parts, by every process that registers the part under this name first. The name
    stands for the part: a file does not hold its code.

    Args:
      name: the name: small letters, digits, "-" and "_", with a letter first; one that no other
        part of this kind has. The same part may be registered again.
      part: an activation; the class of a cost, a frozen dataclass; a metric; or a function, whose
        kind is given: an initializer `(key, n_in, n_out) -> Layer`, a metric, an augmentation
        `(key, xs, ys) -> (xs, ys)`, or the function that makes an optimizer or a schedule, with a
        default for each number but `horizon` and `warmup`. `None`, the default, makes a decorator.
      kind: what the part is: "activation", "cost", "initializer", "optimizer", "schedule", "metric"
        or "augmentation". `None`, the default, takes it from the part's type; functions need it.

    Returns:
      The part as it was; without a part, a decorator that registers what it decorates.

    Raises:
      ValueError: the name is taken or no such name, the kind is unknown or not that of the part, or
        the function does not make an optimizer or a schedule.

    >>> from jaxnet.core import activations
    >>> register("relu", activations.relu)  # it has this name already
    relu
    >>> register("sine", activations.relu)
    Traceback (most recent call last):
    ValueError: name sine is a second one for the activation relu; use that name.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            "name must be of small letters, digits, - and _, with a letter first, such as "
            f'"my_activation", not {brief(name)}.'
        )
    if kind is not None and (not isinstance(kind, str) or kind not in REGISTRIES):
        raise ValueError(f"kind must be one of {', '.join(REGISTRIES)}, not {brief(kind)}.")
    if part is None:
        return lambda decorated: register(name, decorated, kind)
    actual, entry = _kind_and_entry(part, kind)
    if actual in CONSTRUCTED:
        _check_constructor(name, entry, actual)
    REGISTRIES[actual].add(name, entry)
    registered_rules.cache_clear()
    return part


def _kind_and_entry(part: object, kind: Kind | None) -> tuple[Kind, object]:
    """What a part is, and what stands for it in the registry of this kind."""
    actual: Kind | None = kind
    entry = part
    if isinstance(part, Activation):
        actual = "activation"
    elif isinstance(part, Cost) or (isinstance(part, type) and issubclass(part, Cost)):
        actual, entry = "cost", part if isinstance(part, type) else type(part)
    elif isinstance(part, Metric):
        actual = "metric"
    is_function = callable(part) and not isinstance(part, (type, Activation, Cost))
    if actual is None or kind not in (None, actual) or not _may_be(entry, actual, is_function):
        listed = ", ".join(f'"{each}"' for each in get_args(Kind)[2:])
        raise ValueError(
            "part must be an activation, the class of a cost or a metric; or a function with "
            f"kind= one of {listed}; not {brief(part)} with kind={kind!r}."
        )
    try:
        hash(entry)
    except TypeError as error:
        raise ValueError(f"part must be hashable, not {brief(part)}: {reason_of(error)}.") from None
    return actual, entry


def _may_be(entry: object, kind: Kind, is_function: bool) -> bool:
    """Whether a part may be of a kind."""
    if kind == "activation":
        return isinstance(entry, Activation)
    if kind == "cost":
        return isinstance(entry, type) and issubclass(entry, Cost) and not inspect.isabstract(entry)
    return is_function


def _check_constructor(name: str, constructor: object, kind: Kind) -> None:
    """Refuse a function that makes no optimizer or schedule, or that of another one's rule."""
    required = {"horizon": 2.0, "warmup": 1.0}
    try:
        parameters = inspect.signature(constructor).parameters  # pyright: ignore
        arguments = {key: required[key] for key in required if key in parameters}
        made = constructor(**arguments)  # pyright: ignore[reportCallIssue]
    except Exception as error:  # a function of the caller's may raise anything
        raise ValueError(
            f"part must make the {kind} of its defaults, but {brief(constructor)} cannot be called "
            f"without arguments: {reason_of(error)}."
        ) from error
    if not isinstance(made, CONSTRUCTED[kind]):
        raise ValueError(
            f"part must be a function that makes a jaxnet.{CONSTRUCTED[kind].__name__}, but "
            f"{brief(constructor)} made {brief(made)}."
        )
    other, _ = registered_rules().get(made.rule, (name, made))
    if other != name:
        raise ValueError(
            f"part makes a {kind} of the rule {brief(made.rule)}, which {other} makes, too; "
            f"use {other}."
        )
