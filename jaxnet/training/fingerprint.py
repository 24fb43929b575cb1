"""Fingerprints: the settings that make two runs the same run, in JSON's types.

A checkpoint is resumed only by the run that wrote it, a study trains only the lanes that are
missing, a comparison is continued only with the same contenders. All of them compare fingerprints,
which therefore have to stay the same when a file of the library is moved or an option is added. So
a fingerprint names parts of the library by their registry names, never by their modules; it follows
the fields of the dataclasses; and it leaves out what has its default value. A field that is added
later, with a default that changes nothing, changes no fingerprint. A user's own function is named
by the path by which it can be imported. A function or class without such a path, a lambda or a
closure, is named by its code, its defaults and what it has captured; an object of a user's own
class by the class and the object's state. What remains, such as an object of a C library that shows
no state, cannot be told from another one, and is refused.

If the same settings are to give other bits on purpose, a version number is raised: the `version` of
an optimizer or a schedule if its formula, its defaults or its rounding changed, `ENGINE` if that
holds for all runs.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping

import jax
import numpy as np

from jaxnet.core import activations, costs, initializers
from jaxnet.core.network import Network
from jaxnet.core.registry import Registry
from jaxnet.io.files import JsonObject
from jaxnet.recipes import optimizers, schedules
from jaxnet.recipes.augmentation import Augmentation
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.schedules import Schedule
from jaxnet.recipes.stopping import Stopping
from jaxnet.training.definitions import Definition, parts_of, public_path
from jaxnet.training.part_registries import own_name_of, unknown_names

JsonValue = bool | int | float | str | list | dict | None
"""A value of JSON's types; lists and dictionaries hold such values."""

ENGINE = 1
"""The version of all code that trains, except the rules: raised when bits change on purpose."""
UNIDENTIFIED = (
    "files name a run by all that it is made of, but {} does not show what it holds; use a "
    "module-level function or a frozen dataclass for it."
)
"""The error for a part that cannot be told from another one."""

ONE_OF_A_KIND = (Network, Recipe, Augmentation, Stopping)
"""Classes whose name is left out, because nothing else can stand in their place."""


def fingerprint(net: Network, recipe: Recipe, batch_size: int) -> JsonObject:
    """The settings that identify a run, as a JSON object: equal for equal networks and training.

    The caller adds the settings that not all runs have, or that it handles itself: data, seed,
    epochs.

    Args:
      net: the architecture.
      recipe: how it is trained; its numbers are scalars.
      batch_size: examples per mini-batch.

    Returns:
      The number of the training engine (`ENGINE`), the network, the recipe and the batch size.

    Raises:
      ValueError: a part of a user's own cannot be told from another one: see `described`.

    >>> from jaxnet.recipes.optimizers import adam
    >>> fingerprint(Network((2, 3, 2)), Recipe(adam(b1=0.5), l2=1.0), 10)["recipe"]
    {'optimizer': {'rule': 'adam', 'b1': 0.5}, 'l2': 1.0}
    """
    try:
        return {
            "engine": ENGINE,
            "network": described(net),
            "recipe": _described_recipe(recipe),
            "batch_size": batch_size,
        }
    except RecursionError:
        raise ValueError(UNIDENTIFIED.format("a part that refers to itself")) from None


def _described_recipe(recipe: Recipe) -> JsonObject:
    """The parts of a recipe that are not at their default."""
    parts = _changed_fields(recipe)
    if stops_without_penalties(recipe):
        parts["stopping"] |= {"cost": "without penalties"}
    return parts


def stops_without_penalties(recipe: Recipe) -> bool:
    """Whether the stopping rule leaves penalties out of the costs that it compares.

    In version 0.2.0 it did not, so that such a run is another one there.

    >>> from jaxnet.recipes import sgd, stopping
    >>> rule = stopping.no_improvement_in(5, metric="cost")
    >>> stops_without_penalties(Recipe(sgd(0.5), stopping=rule))
    False
    >>> stops_without_penalties(Recipe(sgd(0.5), l2=1.0, stopping=rule))
    True
    """
    has_penalty = recipe.l1 is not None or recipe.l2 is not None
    return has_penalty and recipe.stopping is not None and recipe.stopping.metric == "cost"


def described(value: object) -> JsonValue:
    """A part of a network or a recipe as JSON; fields that have their default value are left out.

    Args:
      value: a part of the library's or of a user's own: a dataclass, a function, a number, an
        array, or a collection of these.

    Returns:
      The registry name of a part that has one; a dictionary for a dataclass, a mapping, a function
      or an object with a state; a list for a sequence or an array; numbers, strings and `None` as
      they are; the `repr` of anything else.

    Raises:
      ValueError: the part shows no more of itself than its address in memory.

    >>> described(activations.relu), described(activations.LeakyRelu(0.1))
    ('relu', {'kind': 'LeakyRelu', 'slope': 0.1})
    """
    if isinstance(value, (Optimizer, Schedule)):
        return _described_rule(value)
    for registry in (activations.NAMED, initializers.NAMED):
        if (name := registry.name_of(value)) is not None:
            return name
    if (name := own_name_of(value)) is not None:
        return name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = {} if isinstance(value, ONE_OF_A_KIND) else {"kind": _class_name(value)}
        return kind | _changed_fields(value)
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
    if isinstance(value, Definition):
        return {"function": _described_definition(value)}
    return _described_object(value)


def _described_object(value: object) -> JsonValue:
    """An object: the class and the state of one of a user's own class, else its `repr`."""
    if hasattr(value, "__dict__"):
        kind, state = _described_definition(type(value)), described(value.__getstate__())
        return {"kind": kind, "state": state}
    text = repr(value)
    if " at 0x" in text:
        raise ValueError(UNIDENTIFIED.format(text))
    return text


def _described_definition(definition: Definition) -> JsonValue:
    """The path by which a function or a class can be imported, or else what it is made of."""
    path = public_path(definition)
    if path is not None:
        return path
    parts = parts_of(definition)
    if parts is None:
        raise ValueError(UNIDENTIFIED.format(definition.__qualname__))
    return {name: described(part) for name, part in parts.items()}


def _class_name(value: object) -> JsonValue:
    """The registry name of a part's class, or its own name; for a user's class its definition."""
    cls = type(value)
    if (name := costs.NAMED.name_of(cls)) is not None:
        return name
    if cls.__module__.partition(".")[0] == "jaxnet":
        return cls.__qualname__
    return _described_definition(cls)


def _changed_fields(value: object) -> JsonObject:
    """The fields of a dataclass instance whose value is not their default."""
    changed = {}
    for field in dataclasses.fields(value):  # pyright: ignore[reportArgumentType]
        part = getattr(value, field.name)
        description = described(part)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is not dataclasses.MISSING and default is not None:
            default = _in_type_of(part, default)
        if default is dataclasses.MISSING or description != described(default):
            changed[field.name] = description
    return changed


def _in_type_of(value: object, default: object) -> object:
    """A default number in the type of an array: 0.1 is 0.100000001 in float32."""
    dtype = getattr(value, "dtype", None)
    return default if dtype is None else np.asarray(default, dtype)


def _described_rule(part: Optimizer | Schedule) -> JsonObject:
    """An optimizer or a schedule: the registry name of its rule, and what is not at its default."""
    version = {} if part.version == 1 else {"version": part.version}
    name = _registered_name(part)
    if name is None:  # a user's own rule
        fields = _changed_fields(part)
        return {"custom": fields.pop("rule")} | fields
    lengths: dict[str, object] = {}
    if isinstance(part, Schedule):
        lengths.update(part.spans)
        if part.unit != "epochs":
            lengths["unit"] = part.unit
    registry: Registry = optimizers.NAMED if isinstance(part, Optimizer) else schedules.NAMED
    defaults = inspect.signature(registry[name]).parameters
    changed = {
        key: described(value)
        for key, value in {**part.hyper, **lengths, **dict(part.options)}.items()
        if key not in defaults or not _at_default(value, defaults[key].default)
    }
    return {"rule": name} | version | changed


def _at_default(value: object, default: object) -> bool:
    """Whether an argument of a constructor has its default value."""
    if default is inspect.Parameter.empty or default is None:
        return default is value
    return described(value) == described(_in_type_of(value, default))


def _registered_name(part: Optimizer | Schedule) -> str | None:
    """The registry name of the constructor that made a rule; `None` for a user's own rule."""
    name, like = registered_rules().get(part.rule, (None, part))
    arguments = ("hyper", "options", "spans", "unit", "version")
    same = all(
        getattr(part, field.name) == getattr(like, field.name)
        for field in dataclasses.fields(part)
        if field.name not in arguments
    )
    return name if same and set(like.hyper) <= set(part.hyper) else None


@functools.cache
def registered_rules() -> Mapping[Callable[..., object], tuple[str, Optimizer | Schedule]]:
    """The registry name of each of the library's rules, and an example of what is made with it.

    Returns:
      The pairs by the rule's function: optimizers and schedules with all their defaults.

    >>> sorted(name for name, part in registered_rules().values() if isinstance(part, Schedule))[:2]
    ['constant', 'cosine']
    """
    rules: dict[Callable[..., object], tuple[str, Optimizer | Schedule]] = {}
    required = {"horizon": 2.0, "warmup": 1.0}
    for registry in (optimizers.NAMED, schedules.NAMED):
        for name, constructor in registry.items():
            parameters = inspect.signature(constructor).parameters
            part = constructor(**{key: required[key] for key in required if key in parameters})
            rules[part.rule] = (name, part)
    return rules


RENAMED_SETTINGS = {"monitor": "evaluate_on"}
"""The names of arguments today by their names in files, which stay as they were."""
_DEFAULT = object()
"""Stands for a setting that a fingerprint leaves out."""
MOST_ENTRIES = 8
"""Entries up to which a list, such as one of seeds, is shown whole in an error message."""


def differences(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """The differences between the settings of two runs, each as a clause: "seed was 0 and is 4".

    Args:
      before: the settings of the run that wrote a file; nested dictionaries are compared by key.
      now: the settings of the run that is asked for.

    Returns:
      A clause for each setting that differs, in alphabetical order.

    >>> differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    ['a.c was 2 and is 3']
    """
    clauses = []
    for name in sorted({*before, *now}):
        old, new = before.get(name, _DEFAULT), now.get(name, _DEFAULT)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            clauses += [f"{name}.{clause}" for clause in differences(old, new)]
        elif old != new:
            clauses.append(_clause(RENAMED_SETTINGS.get(name, name), old, new))
    return clauses


def _clause(name: str, old: object, new: object) -> str:
    """The difference between two values of a setting, as a clause."""
    if name == "data" and isinstance(old, str) and isinstance(new, str):  # hashes
        return f"the data are others (their SHA-256 was {old[:8]}… and is {new[:8]}…)"
    return f"{name} was {_shown(old)} and is {_shown(new)}"


def _shown(value: object) -> str:
    """A setting's value in an error message."""
    if isinstance(value, (list, tuple)) and len(value) > MOST_ENTRIES:
        first, second, *_, last = value
        return f"[{first!r}, {second!r}, …, {last!r}] ({len(value)} entries)"
    return "at its default" if value is _DEFAULT else repr(value)


def require_same(
    refusal: str, before: Mapping[str, object], now: Mapping[str, object], remedy: str
) -> None:
    """Refuse to continue a file's run with other settings.

    Args:
      refusal: the beginning of the error message.
      before: the settings of the run that wrote the file.
      now: the settings of the run that is asked for.
      remedy: what the caller's user can do, as a sentence.

    Raises:
      ValueError: the settings differ; the message names each difference.
    """
    if changes := differences(before, now):
        if unknown := unknown_names(before):
            remedy = (
                f"Its parts {', '.join(unknown)} are not known here: register them first, by "
                f"jaxnet.register({unknown[0]!r}, …)."
            )
        raise ValueError(f"{refusal}: {'; '.join(changes)}. {remedy}")
