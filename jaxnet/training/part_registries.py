"""The registries of all kinds of parts that a user may register."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from jaxnet.core import activations, costs, initializers
from jaxnet.core.registry import Registry
from jaxnet.recipes import batch_rules, optimizers, schedules
from jaxnet.training import metrics

Kind = Literal[
    "activation", "cost", "initializer", "optimizer", "schedule", "metric", "augmentation"
]
"""What a part is."""
REGISTRIES: dict[Kind, Registry[Any]] = {
    "activation": activations.NAMED,
    "cost": costs.NAMED,
    "initializer": initializers.NAMED,
    "optimizer": optimizers.NAMED,
    "schedule": schedules.NAMED,
    "metric": metrics.NAMED,
    "augmentation": batch_rules.NAMED,
}
"""The registry of each kind of part."""
NAME = re.compile("[a-z][a-z0-9_-]*")
"""Names that a part may be registered by; none is the name of a class or the path of a function."""
NAMING_KEYS = {"hidden", "init", "kind", "rule", "function"}
"""Where a fingerprint names parts."""


def own_name_of(value: object) -> str | None:
    """The name that a user gave a function: an initializer, a metric or an augmentation.

    Args:
      value: any object.

    Returns:
      The name; None if it was not registered.

    >>> own_name_of(print) is None
    True
    """
    for kind in ("initializer", "metric", "augmentation"):
        registry = REGISTRIES[kind]
        name = registry.name_of(value)
        if name is not None and not registry.is_built_in(value):
            return name
    return None


def unknown_names(description: Mapping[str, object]) -> list[str]:
    """The names of parts in a fingerprint that are not registered in this process.

    Args:
      description: the fingerprint, or a part of it.

    >>> unknown_names({"network": {"sizes": [2, 2], "hidden": "my_activation"}})
    ['my_activation']
    """
    known = {name for registry in REGISTRIES.values() for name in registry}
    return sorted({name for name in _names(description) if NAME.fullmatch(name)} - known)


def _names(description: Mapping[str, object]) -> Iterator[str]:
    """All texts at places where a fingerprint names parts."""
    for key, value in description.items():
        if key == "device":  # whose kind is no part
            continue
        if isinstance(value, Mapping):
            yield from _names(value)
            if key == "metrics":
                yield from (metric for metric in value.values() if isinstance(metric, str))
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str) and key in NAMING_KEYS:
                yield part
            elif isinstance(part, Mapping) and isinstance(value, list):
                yield from _names(part)
