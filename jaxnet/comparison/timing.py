"""Seconds that an epoch of each optimizer takes in a run by itself."""

import dataclasses
import json
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxnet.comparison.comparison_folder import write_json
from jaxnet.comparison.protocol import Protocol
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.recipes.recipe import Recipe
from jaxnet.training import train
from jaxnet.training.run import EpochReport

TIMED = 4
"""Epochs of the solo runs that are timed; the first one compiles, and does not count."""


def known_seconds(folder: Path) -> dict[str, float]:
    """What was measured for a folder before, by label; empty if nothing was."""
    path = folder / "timing.json"
    return json.loads(path.read_bytes()) if path.exists() else {}


def measured_seconds(
    folder: Path,
    net: Network,
    data: Dataset,
    chosen: Mapping[str, list[Recipe]],
    protocol: Protocol,
) -> dict[str, float]:
    """Seconds an epoch of each optimizer in a run by itself, measured once for a folder.

    An optimizer that diverges at once has none.
    """
    seconds = known_seconds(folder)
    if seconds:
        return seconds
    for label, (recipe,) in chosen.items():
        recipe = dataclasses.replace(recipe, schedule=None)  # it may end before the runs timed here
        durations = _epoch_seconds(net, data, recipe, protocol)
        if len(durations) > 1:
            seconds[label] = float(np.median(durations[1:]))
    write_json(folder / "timing.json", seconds)
    return seconds


def _epoch_seconds(net: Network, data: Dataset, recipe: Recipe, protocol: Protocol) -> np.ndarray:
    """How long each epoch of a short run took; the first one was compiled, too."""
    ends = [time.perf_counter()]

    def on_epoch(_: EpochReport) -> None:
        ends.append(time.perf_counter())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the report has said what diverged
        run = train(
            net, data, recipe, epochs=TIMED, batch_size=protocol.batch_size,
            seed=protocol.report_seeds[0], evaluate_on=(), on_epoch=on_epoch,
        )  # fmt: skip
    if run.ending == "interrupted":
        raise KeyboardInterrupt
    return np.diff(ends)
