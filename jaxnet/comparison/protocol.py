"""The protocol of a comparison: budgets, seeds, targets, and the check that all fits together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxnet.comparison import tuning
from jaxnet.comparison.tuning import Tier
from jaxnet.core.checks import check_split
from jaxnet.core.costs import Quadratic
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, Split
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.checks import checked

REPORT_FROM = 1000
"""The report's seeds begin here, unless told otherwise: none of them tunes."""


@dataclass(frozen=True)
class Protocol:
    """All that makes a comparison this comparison, besides network, data and contenders."""

    tier: Tier
    trials: int
    epochs: int
    batch_size: int
    tuning_seeds: tuple[int, ...]
    report_seeds: tuple[int, ...]
    targets: tuple[float, ...]
    margin: float
    seed: int
    """Of Sobol points and of resampling."""

    @classmethod
    def checked(
        cls,
        tier: Tier,
        trials: Any,
        epochs: Any,
        batch_size: Any,
        tuning_seeds: Any,
        seeds: Any,
        targets: Any,
        margin: Any,
        seed: Any,
    ) -> "Protocol":
        """The protocol of these arguments of `compare`, which says what each is.

        Raises:
          ValueError: one is not what it must be.
        """
        return cls(
            tier,
            tuning.trials_of(tier, trials),
            count("epochs", epochs, low=1),
            count("batch_size", batch_size, low=1),
            _seeds("tuning_seeds", tuning_seeds, 0, 1),
            _seeds("seeds", seeds, REPORT_FROM, 2),
            tuple(_target(target) for target in np.atleast_1d(targets).tolist()),
            constant("margin", margin, low=0),
            count("seed", seed, low=0),
        )


def check(
    net: Network, data: Dataset, contenders: Mapping[str, Recipe], protocol: Protocol
) -> None:
    """Check that network, data, contenders and protocol fit together.

    Raises:
      ValueError: they do not.
    """
    _check_data(net, data)
    if not protocol.targets:
        raise ValueError("targets must be one validation score or more, such as 0.95.")
    for label, recipe in contenders.items():
        if not has_labels(data.train) and not recipe.l1 is recipe.l2 is None:
            raise ValueError(
                f"on float targets curves are of the cost, which must be without penalties: leave "
                f"l1 and l2 out of {label}."
            )
        checked(net, data, recipe, protocol.epochs, protocol.batch_size, 0, None, ("evaluation",))
    if both := set(protocol.tuning_seeds) & set(protocol.report_seeds):
        raise ValueError(
            f"seed {min(both)} would tune and report; the report's seeds must be fresh ones."
        )


def has_labels(split: Split) -> bool:
    """Whether targets are classes."""
    return np.issubdtype(split.y.dtype, np.integer)


def _check_data(net: Network, data: Dataset) -> None:
    if not isinstance(data, Dataset):
        raise ValueError(f"data must be a Dataset, not {type(data).__name__}.")
    for split, kind, use in (
        (data.valid, "validation", "selects on one, never on the test set"),
        (data.test, "test", "reports on one that nothing was selected by"),
    ):
        if split is None:
            raise ValueError(
                f"the data has no {kind} split, and a comparison {use}: give it some examples."
            )
        check_split(net, kind, split)
    if not has_labels(data.train) and not isinstance(net.cost, Quadratic):
        raise ValueError(
            f"on float targets the score is R², which needs the quadratic cost, not {net.cost!r}."
        )


def _seeds(name: str, given: Any, start: int, least: int) -> tuple[int, ...]:
    """The seeds that an argument names: themselves, or how many from `start`."""
    if isinstance(given, (list, tuple, np.ndarray, range)):
        seeds = tuple(count(name, seed, 0, 2**32) for seed in given)
        if len(seeds) < least or len(set(seeds)) < len(seeds):
            raise ValueError(f"{name} must be {least} or more different numbers, not {given!r}.")
        return seeds
    return tuple(range(start, start + count(name, given, low=least)))


def _target(target: Any) -> float:
    number = constant("targets", target)
    if not 0 < number < 1:
        raise ValueError(f"targets are validation scores in (0, 1), such as 0.95, not {number:g}.")
    return number
