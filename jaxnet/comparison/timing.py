"""Measures the seconds per epoch of each optimizer, trained as a single network."""

import dataclasses
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxnet.comparison.comparison_folder import TIMING, read_timing, write_json
from jaxnet.comparison.protocol import Protocol
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.interrupts import interruptible
from jaxnet.recipes.recipe import Recipe
from jaxnet.training import train
from jaxnet.training.run import EpochReport

TIMED = 4
"""Epochs of each timed run. The first one compiles, and does not count."""


def known_seconds(folder: Path) -> dict[str, float]:
    """Seconds per epoch by label, from a comparison's folder; empty if none were measured."""
    path = folder / TIMING
    return read_timing(path) if path.exists() else {}


def measured_seconds(
    folder: Path,
    net: Network,
    data: Dataset,
    chosen: Mapping[str, list[Recipe]],
    protocol: Protocol,
) -> dict[str, float]:
    """Seconds per epoch by label, measured once per folder and written to its timing.json.

    An optimizer that diverges in the first epoch has no entry.
    """
    seconds = known_seconds(folder)
    if seconds:
        return seconds
    for label, (recipe,) in chosen.items():
        # The schedule may be shorter than the timed run, which is a few epochs.
        durations = _epoch_seconds(net, data, dataclasses.replace(recipe, schedule=None), protocol)
        if len(durations) > 1:
            seconds[label] = float(np.median(durations[1:]))
    write_json(folder / TIMING, seconds)
    return seconds


def _epoch_seconds(net: Network, data: Dataset, recipe: Recipe, protocol: Protocol) -> np.ndarray:
    """Seconds of each epoch of a short run; the first one includes compilation."""
    ends = [time.perf_counter()]

    def on_epoch(_: EpochReport) -> None:
        ends.append(time.perf_counter())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the report counts diverged runs already
        with interruptible() as interrupts:
            run = train(
                net, data, recipe, epochs=TIMED, batch_size=protocol.batch_size,
                seed=protocol.report_seeds[0], evaluate_on=(), on_epoch=on_epoch,
            )  # fmt: skip
    if interrupts or run.ending == "interrupted":
        raise KeyboardInterrupt
    return np.diff(ends)
