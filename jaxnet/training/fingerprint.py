"""Fingerprints: what makes a run this run, in JSON's types, for every file that names one.

A checkpoint goes on only as the run that it is of, a study trains only what is missing, a
comparison is continued only with the same contenders. Each compares fingerprints, which must
survive a moved file and a new option. So they name what the library has by its registry name, never
by its module; they follow the tree's own fields; and they leave out whatever stands at its default,
so that a field that is added later, with a default that changes nothing, changes no fingerprint.
A user's own function goes by the path by which it is imported; two that are made by one function,
as closures and lambdas are, cannot be told apart.

Where the same fingerprint is to give other bits on purpose, a number goes up: the `version` of an
optimizer or a schedule, if its formula, its defaults or its rounding changed, or `ENGINE`, if those
of all runs did.
"""

import dataclasses
import functools
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxnet.core import activations, costs, initializers
from jaxnet.core.network import Network
from jaxnet.recipes import optimizers, schedules
from jaxnet.recipes.augmentation import Augmentation
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.schedules import Schedule
from jaxnet.recipes.stopping import Stopping

ENGINE = 1
"""The version of all that trains but the rules: raised when bits change on purpose."""


ONE_OF_A_KIND = (Network, Recipe, Augmentation, Stopping)


def fingerprint(net: Network, recipe: Recipe, batch_size: int) -> dict[str, Any]:
    """What a network and its training are: equal where the runs would be.

    What not all runs have in common is left to callers: data, seed, epochs.

    Args:
      net: the architecture.
      recipe: how it is trained; its numbers are scalars.
      batch_size: examples per mini-batch.

    Returns:
      A dictionary in JSON's types.

    >>> from jaxnet.recipes.optimizers import adam
    >>> fingerprint(Network((2, 3, 2)), Recipe(adam(b1=0.5), l2=1.0), 10)["recipe"]
    {'optimizer': {'rule': 'adam', 'b1': 0.5}, 'l2': 1.0}
    """
    return {
        "engine": ENGINE,
        "network": described(net),
        "recipe": described(recipe),
        "batch_size": batch_size,
    }


def described(value: Any) -> Any:
    """Anything that a network or a recipe is made of, in JSON's types, without what is at default.

    Args:
      value: a part of the library's own or of a user's: a dataclass, a function, a number, an
        array, or a collection of these.

    >>> described(activations.relu), described(activations.LeakyRelu(0.1))
    ('relu', {'kind': 'LeakyRelu', 'slope': 0.1})
    """
    if isinstance(value, (Optimizer, Schedule)):
        return _rule(value)
    for registry in (activations.NAMED, initializers.NAMED):
        if (name := registry.name_of(value)) is not None:
            return name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # Where only one class can stand, its name would say nothing.
        kind = {} if isinstance(value, ONE_OF_A_KIND) else {"kind": _kind(value)}
        return kind | _fields(value)
    if isinstance(value, Mapping):
        return {name: described(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [described(part) for part in value]
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        return np.asarray(value).tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, functools.partial):
        return {"partial": [described(part) for part in (value.func, value.args, value.keywords)]}
    if inspect.ismethod(value):
        return {"method": [described(value.__self__), value.__name__]}
    if hasattr(value, "__qualname__"):
        return {"function": _public_path(value)}
    # Where an object lies in memory is no setting.
    return re.sub(r" at 0x\w+", "", repr(value))


def _public_path(function: Any) -> str:
    """The shortest path by which a user's or another library's function can be imported.

    A library may move it from one private module to another: it is optax.fromage all the same.

    >>> import optax
    >>> _public_path(optax.fromage)
    'optax.fromage'
    """
    parts = function.__module__.split(".")
    for n in range(1, len(parts)):
        package = sys.modules.get(".".join(parts[:n]))
        if getattr(package, function.__qualname__, None) is function:
            return f"{'.'.join(parts[:n])}.{function.__qualname__}"
    return f"{function.__module__}.{function.__qualname__}"


def _kind(value: Any) -> str:
    """The registry name of a part's class, or the class's own name; the path of a user's class."""
    cls = type(value)
    if cls.__module__.partition(".")[0] == "jaxnet":
        return costs.NAMED.name_of(cls) or cls.__qualname__
    return _public_path(cls)


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that do not stand at their default."""
    parts = {}
    for field in dataclasses.fields(value):
        part = described(getattr(value, field.name))
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is dataclasses.MISSING or part != described(_like(default, value, field.name)):
            parts[field.name] = part
    return parts


def _like(default: Any, value: Any, name: str) -> Any:
    """A default number in the type of the number itself: 0.1 is 0.100000001 in float32."""
    dtype = getattr(getattr(value, name), "dtype", None)
    return default if dtype is None or default is None else np.asarray(default, dtype)


def _rule(part: Optimizer | Schedule) -> dict[str, Any]:
    """An optimizer or a schedule: its rule by name, and what is not the rule's default."""
    version = {} if part.version == 1 else {"version": part.version}
    name = _registered_name(part)
    if name is None:  # a user's own: all of it, as far as it is not at the class's defaults
        fields = _fields(part)
        return {"custom": fields.pop("rule")} | fields
    lengths: dict[str, Any] = {}
    if isinstance(part, Schedule):
        lengths = dict(part.spans) | ({} if part.unit == "epochs" else {"unit": part.unit})
    registry = optimizers.NAMED if isinstance(part, Optimizer) else schedules.NAMED
    defaults = inspect.signature(registry[name]).parameters
    numbers = {
        key: described(value)
        for key, value in {**part.hyper, **lengths, **dict(part.options)}.items()
        if key not in defaults or not _at_default(value, defaults[key].default)
    }
    return {"rule": name} | version | numbers


def _at_default(value: Any, default: Any) -> bool:
    """Whether a number stands at its constructor's default."""
    if default is inspect.Parameter.empty or default is None:
        return default is value
    dtype = getattr(value, "dtype", None)
    return described(value) == described(default if dtype is None else np.asarray(default, dtype))


def _registered_name(part: Optimizer | Schedule) -> str | None:
    """The registry name of the constructor that made it; `None` for a user's own."""
    name, like = _registered_rules().get(part.rule, (None, part))
    chosen = ("hyper", "options", "spans", "unit", "version")
    same = all(
        getattr(part, field.name) == getattr(like, field.name)
        for field in dataclasses.fields(part)
        if field.name not in chosen
    )
    return name if same and set(like.hyper) <= set(part.hyper) else None


@functools.cache
def _registered_rules() -> Mapping[Callable[..., Any], tuple[str, Any]]:
    """The registry name of each rule of the library's own, and what its constructor makes."""
    rules: dict[Callable[..., Any], tuple[str, Any]] = {}
    needed = {"horizon": 2.0, "warmup": 1.0}
    for registry in (optimizers.NAMED, schedules.NAMED):
        for name, constructor in registry.items():
            parameters = inspect.signature(constructor).parameters
            part = constructor(**{key: needed[key] for key in needed if key in parameters})
            rules[part.rule] = (name, part)
    return rules


RENAMED_SETTINGS = {"monitor": "evaluate_on"}
"""What arguments are called today whose names in files stay as they were."""
_DEFAULT = object()
"""Stands for what a fingerprint leaves out."""


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two runs, a clause for each: "seed was 0 and is 4".

    Args:
      before: the settings of the run that a file is of, dictionaries within allowed.
      now: those of the run that is asked for.

    >>> differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    ['a.c was 2 and is 3']
    """
    clauses = []
    for name in sorted({*before, *now}):
        old, new = before.get(name, _DEFAULT), now.get(name, _DEFAULT)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            clauses += [f"{name}.{clause}" for clause in differences(old, new)]
        elif old != new:
            name = RENAMED_SETTINGS.get(name, name)
            clauses.append(f"{name} was {_shown(old)} and is {_shown(new)}")
    return clauses


def _shown(value: Any) -> str:
    return "at its default" if value is _DEFAULT else repr(value)


def require_same(
    refusal: str, before: Mapping[str, Any], now: Mapping[str, Any], remedy: str
) -> None:
    """Raise a ValueError unless two runs are the same: the one check of every file.

    Args:
      refusal: the beginning of the message.
      before: the settings of the run that a file is of.
      now: those of the run that is asked for.
      remedy: what to do, as a sentence.
    """
    if changes := differences(before, now):
        raise ValueError(f"{refusal}: {'; '.join(changes)}. {remedy}")
