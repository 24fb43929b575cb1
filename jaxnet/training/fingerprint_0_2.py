"""The fingerprints of version 0.2.0, so that its checkpoints and studies go on.

They named rules by their modules, as those were called then, and fields by a list kept by hand. It
stays as it is, and goes when files of 0.2.0 are no longer read.
"""

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxnet.core.network import Network
from jaxnet.recipes.recipe import Recipe

MODULES = {
    "jaxnet.recipes.gradient_descent": "jaxnet.optimizers",
    "jaxnet.recipes.adaptive": "jaxnet.optimizers",
    "jaxnet.recipes.adam_family": "jaxnet.optimizers",
    "jaxnet.recipes.second_order": "jaxnet.optimizers",
    "jaxnet.recipes.schedules": "jaxnet.schedules",
}
"""Today's modules of rules, and what they were called."""


def fingerprint_0_2(net: Network, recipe: Recipe, batch_size: int) -> dict[str, Any]:
    """What version 0.2.0 wrote of a network and its training; see `fingerprint`."""
    optimizer, keystr = recipe.optimizer, jax.tree_util.keystr
    leaves, _ = jax.tree_util.tree_flatten_with_path(recipe)
    schedule, augmentation = recipe.schedule, recipe.augmentation
    spans = (*schedule.spans, *schedule.options) if schedule else ()
    return {
        "network": re.sub(r" at 0x\w+", "", f"{net!r}, init {net.init!r}, {net.precision}"),
        "optimizer": [_qualified(optimizer.rule), *map(list, optimizer.options)],
        **{f"recipe{keystr(path)}": np.asarray(leaf).item() for path, leaf in leaves},
        "schedule": schedule and [_qualified(schedule.rule), schedule.unit, *map(list, spans)],
        "augmentation": augmentation and [augmentation.shift, list(augmentation.shape or ())],
        "stopping": recipe.stopping and recipe.stopping.curve,
        "batch_size": batch_size,
    }


def _qualified(rule: Callable[..., Any]) -> str:
    return f"{MODULES.get(rule.__module__, rule.__module__)}.{rule.__name__}"
