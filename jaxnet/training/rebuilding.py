"""Networks, recipes and metrics rebuilt from their fingerprints: the inverse of `fingerprint`.

A fingerprint names the library's parts by their registry names, and leaves out what has its
default. Parts of a user's own, of which it says no more than which function they are, cannot be
rebuilt. Whoever rebuilds a part compares its fingerprint with that from which it was made: another
version of the library may have other defaults.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from jaxnet.core import activations, costs, initializers
from jaxnet.core.activation import Activation
from jaxnet.core.network import Network
from jaxnet.io import network_files
from jaxnet.io.files import JsonObject
from jaxnet.recipes import batch_rules
from jaxnet.recipes.augmentation import Augmentation
from jaxnet.recipes.batch_rules import BatchRule, Chain
from jaxnet.recipes.mixing import CutMix, InputNoise, Mixup
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.schedules import Schedule
from jaxnet.recipes.stopping import Stopping
from jaxnet.training import metrics
from jaxnet.training.fingerprint import registered_rules
from jaxnet.training.metrics import Metric, MetricFunction

_Rule = TypeVar("_Rule", Optimizer, Schedule)
_Part = TypeVar("_Part")

ACTIVATIONS = {cls.__qualname__: cls for cls in network_files.ACTIVATIONS}
INITIALIZERS = {cls.__qualname__: cls for cls in network_files.INITIALIZERS}
BATCH_RULES = {cls.__qualname__: cls for cls in (CutMix, InputNoise, Mixup)}
METRICS: dict[str, type[Metric]] = {
    cls.__qualname__: cls
    for cls in vars(metrics).values()
    if inspect.isclass(cls) and issubclass(cls, Metric)
}
"""The classes of the library's parts by the names that fingerprints use."""
NOT_OURS = "its part {!r} is not one of jaxnet's own; register it first, by jaxnet.register"
"""The error for a part that cannot be rebuilt."""


def rebuilt_network(description: JsonObject) -> Network:
    """The network that a fingerprint describes.

    Args:
      description: the fingerprint's entry "network".

    Raises:
      ValueError: a part is not the library's own.

    >>> from jaxnet.training.fingerprint import described
    >>> net = Network((2, 3, 2), activations.LeakyRelu(0.1), costs.LogLikelihood())
    >>> rebuilt_network(described(net)) == net
    True
    """
    fields = _as_arguments(description)
    if "hidden" in fields:
        hidden = description["hidden"]
        is_list = isinstance(hidden, list)
        fields["hidden"] = tuple(map(_activation, hidden)) if is_list else _activation(hidden)
    if "cost" in fields:
        fields["cost"] = _instance(fields["cost"], costs.NAMED)
    if "init" in fields:
        name = fields["init"]
        named = initializers.NAMED.get(name) if isinstance(name, str) else None
        fields["init"] = named or _instance(name, INITIALIZERS)
    return Network(**fields)


def rebuilt_recipe(description: JsonObject) -> Recipe:
    """The recipe that a fingerprint describes, with numbers of JAX's default float type.

    Args:
      description: the fingerprint's entry "recipe".

    Raises:
      ValueError: a part is not the library's own, or of another version of it.

    >>> from jaxnet.recipes import schedules, sgd
    >>> from jaxnet.training.fingerprint import fingerprint
    >>> recipe = Recipe(sgd(0.1), l2=5.0, schedule=schedules.cosine(30))
    >>> rebuilt_recipe(fingerprint(Network((2, 2)), recipe, 10)["recipe"]) == recipe
    True
    """
    fields = dict(description)
    fields["optimizer"] = _rule(fields["optimizer"], Optimizer)
    if "schedule" in fields:
        fields["schedule"] = _rule(fields["schedule"], Schedule)
    if "stopping" in fields:
        # "cost" says that penalties do not count, which no rule of this version lets them.
        numbers = {name: value for name, value in fields["stopping"].items() if name != "cost"}
        fields["stopping"] = Stopping(**numbers)
    if "augmentation" in fields:
        fields["augmentation"] = _batch_rule(fields["augmentation"])
    return Recipe(**fields)


def rebuilt_metric(description: object) -> MetricFunction:
    """The metric that a fingerprint describes.

    Args:
      description: what `described` returned for it.

    Raises:
      ValueError: it is not the library's own.

    >>> rebuilt_metric({"kind": "F1", "label": 1})
    F1(label=1, average='macro')
    """
    if isinstance(description, str) and description in metrics.NAMED:
        return metrics.NAMED[description]
    return _instance(description, METRICS)


def _activation(description: object) -> Activation:
    """The activation that is described by its name, or by its class and constants."""
    if isinstance(description, str) and description in activations.NAMED:
        return activations.NAMED[description]
    return _instance(description, ACTIVATIONS)


def _batch_rule(description: JsonObject) -> BatchRule:
    """The augmentation that is described."""
    if "kind" not in description:
        return Augmentation(**_as_arguments(description))
    if description["kind"] == batch_rules.Custom.__qualname__:
        name = description["function"]
        if not isinstance(name, str) or name not in batch_rules.NAMED:
            raise ValueError(NOT_OURS.format(name))
        return batch_rules.custom(batch_rules.NAMED[name], **description.get("values", {}))
    if description["kind"] == Chain.__qualname__:
        return Chain(tuple(map(_batch_rule, description["rules"])))
    return _instance(description, BATCH_RULES)


def _instance(description: object, classes: Mapping[str, type[_Part]]) -> _Part:
    """An instance of one of these classes, which is described by its kind and its fields."""
    kind = description.get("kind") if isinstance(description, dict) else None
    if not isinstance(description, dict) or not isinstance(kind, str) or kind not in classes:
        raise ValueError(NOT_OURS.format(description))
    fields = _as_arguments(description)
    del fields["kind"]
    if "output" in fields:
        fields["output"] = _activation(fields["output"])
    return classes[kind](**fields)


def _rule(description: JsonObject, kind: type[_Rule]) -> _Rule:
    """The optimizer or schedule that is described by its rule, and what is not at its default."""
    examples = {name: part for name, part in registered_rules().values() if isinstance(part, kind)}
    if description.get("rule") not in examples:
        raise ValueError(NOT_OURS.format(description))
    example = examples[description["rule"]]
    if description.get("version", 1) != example.version:
        raise ValueError(
            f"its rule {description['rule']} has the version {description.get('version', 1)}, and "
            f"this version of jaxnet {example.version}"
        )
    numbers = {name: x for name, x in description.items() if name not in ("rule", "version")}
    spans = dict(example.spans) if isinstance(example, Schedule) else {}
    options = dict(example.options)
    fields: dict[str, Any] = {}
    if "unit" in numbers and isinstance(example, Schedule):
        fields["unit"] = numbers.pop("unit")
    if spans:
        fields["spans"] = tuple((name, numbers.pop(name, spans[name])) for name in spans)
    chosen = {name for name, value in numbers.items() if isinstance(value, (bool, str))}
    fields["options"] = tuple(
        (options | {name: numbers.pop(name) for name in chosen | options.keys() & numbers}).items()
    )
    return dataclasses.replace(example, hyper=example.hyper | numbers, **fields)


def _as_arguments(description: JsonObject) -> dict[str, Any]:
    """The entries of an object as the arguments of a class, which takes tuples for lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in description.items()
    }
