"""The fingerprints of version 0.2.0, so that its checkpoints and studies can be resumed.

They name rules by the modules they were in, and fields by a fixed list. This module changes only
where a rule does, and can be removed once files of 0.2.0 are no longer read.
"""

import re
from collections.abc import Callable

import jax
import numpy as np

from jaxnet.core.network import Network
from jaxnet.io.files import JsonObject
from jaxnet.recipes.augmentation import Augmentation, BatchRule
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.stopping import Stopping
from jaxnet.training.fingerprint import stops_without_penalties

MODULES = {
    "jaxnet.recipes.gradient_descent": "jaxnet.optimizers",
    "jaxnet.recipes.adaptive": "jaxnet.optimizers",
    "jaxnet.recipes.adam_family": "jaxnet.optimizers",
    "jaxnet.recipes.second_order": "jaxnet.optimizers",
    "jaxnet.recipes.schedules": "jaxnet.schedules",
}
"""The names that the modules of rules had in version 0.2.0, by today's names."""

RULES = {
    "jaxnet.optimizers._radam": "optax._src.alias.radam",
    "jaxnet.optimizers._sm3": "optax._src.alias.sm3",
}
"""The rules that were optax's own in version 0.2.0, by today's names; updates are the same."""


def fingerprint_0_2(net: Network, recipe: Recipe, batch_size: int) -> JsonObject:
    """What version 0.2.0 wrote about a network and how it is trained; see `fingerprint`.

    Args:
      net: the architecture.
      recipe: how it is trained; its numbers are scalars.
      batch_size: examples per mini-batch.

    Returns:
      The fingerprint, in JSON's types.
    """
    optimizer, keystr = recipe.optimizer, jax.tree_util.keystr
    leaves, _ = jax.tree_util.tree_flatten_with_path(recipe)
    schedule, augmentation = recipe.schedule, recipe.augmentation
    spans = (*schedule.spans, *schedule.options) if schedule else ()
    return {
        "network": re.sub(r" at 0x\w+", "", f"{net!r}, init {net.init!r}, {net.precision}"),
        "optimizer": [_path_in_0_2(optimizer.rule), *map(list, optimizer.options)],
        **{f"recipe{keystr(path)}": np.asarray(leaf).item() for path, leaf in leaves},
        "schedule": schedule and [_path_in_0_2(schedule.rule), schedule.unit, *map(list, spans)],
        "augmentation": augmentation and _augmentation_in_0_2(augmentation),
        "stopping": recipe.stopping and _stopping_in_0_2(recipe, recipe.stopping),
        "batch_size": batch_size,
    }


def _augmentation_in_0_2(rule: BatchRule) -> list | str:
    """The static numbers of the only rule of version 0.2.0; for any other one its text."""
    is_known = isinstance(rule, Augmentation)
    return [rule.shift, list(rule.shape or ())] if is_known else repr(rule)


def _stopping_in_0_2(recipe: Recipe, rule: Stopping) -> str:
    """The curve that a rule of version 0.2.0 compared, if today's rule compares the same numbers.

    A cost had the recipe's penalties in it. With penalties, today's rule is another one.
    """
    return rule.curve if stops_without_penalties(recipe) else f"{rule.split}_{rule.metric}"


def _path_in_0_2(rule: Callable[..., object]) -> str:
    """The module and name of a rule, as in version 0.2.0."""
    path = f"{MODULES.get(rule.__module__, rule.__module__)}.{rule.__name__}"
    return RULES.get(path, path)
