"""The protocol of a comparison: budgets, seeds and targets, validated before training begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np

from jaxnet.comparison import tuning
from jaxnet.comparison.looks import Look, fewest_seeds, preset
from jaxnet.comparison.scores import AccuracyScore, Score
from jaxnet.comparison.tuning import Tier
from jaxnet.core.arguments import brief
from jaxnet.core.hyperparameters import constant, count, leaf
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.checks import checked, count_of_seeds
from jaxnet.training.measured import Measured
from jaxnet.training.metrics import MetricFunction

REPORT_FROM = 1000
"""The first seed of the report, if the caller names only a number of seeds: far from the tuning
seeds, which begin at 0."""

DEFAULT_MARGIN = 0.002
"""The margin of scores whose unit is known: a fifth of a percent of accuracy."""


@dataclass(frozen=True)
class Protocol:
    """The settings of a comparison, besides network, data and contenders: see `compare`.

    Attributes:
      tier: which hyperparameters are tuned: "defaults" (none), "lr", "full" or "random".
      trials: trials of each optimizer before any extension, at least 1.
      epochs: epochs of every run, at least 1.
      batch_size: examples per mini-batch, at least 1.
      tuning_seeds: the seeds that select hyperparameters, at least one.
      report_seeds: the seeds of the report, at least two and none of `tuning_seeds`.
      targets: validation scores for which the time to reach them is reported; in (0, 1) without a
        metric.
      margin: the difference of test scores, at least 0, below which two optimizers are equivalent;
        none are at 0.
      seed: the seed of Sobol and random points and of the resampling, at least 0.
      metric: what selects hyperparameters and judges, or `None` for the validation loss, and the
        accuracy or R².
      until: the width of an interval of a difference, above 0 and in the score's unit, until which
        seeds are added in looks; `None` for all `report_seeds` at once.

    >>> protocol = Protocol.checked("lr", None, 10, 10, 5, 32, 0.9, 0.002, 0)
    >>> protocol.trials, protocol.tuning_seeds
    (21, (0, 1, 2, 3, 4))
    """

    tier: Tier
    trials: int
    epochs: int
    batch_size: int
    tuning_seeds: tuple[int, ...]
    report_seeds: tuple[int, ...]
    targets: tuple[float, ...]
    margin: float
    seed: int
    metric: MetricFunction | None = None
    until: float | None = None

    @classmethod
    def checked(
        cls,
        tier: Tier,
        trials: SupportsIndex | None,
        epochs: SupportsIndex,
        batch_size: SupportsIndex,
        tuning_seeds: SupportsIndex | Sequence[int],
        seeds: SupportsIndex | Sequence[int],
        targets: float | Sequence[float] | None,
        margin: float | None,
        seed: SupportsIndex,
        score: Score | None = None,
        until: float | None = None,
    ) -> "Protocol":
        """The protocol from the arguments of `compare`, each validated.

        Args:
          tier: see `Protocol.tier`.
          trials: see `Protocol.trials`; `None` is the tier's default.
          epochs: see `Protocol.epochs`.
          batch_size: see `Protocol.batch_size`.
          tuning_seeds: the seeds, or their number n: then 0, …, n − 1.
          seeds: the seeds of the report, or their number n: then 1000, …, 999 + n.
          targets: see `Protocol.targets`; one, or a sequence; `None` is (0.9, 0.95), or none for a
            metric of which less is better or that has no `worst` value. Where less is better they
            are values of the metric.
          margin: see `Protocol.margin`; `None` is 0.002, or 0 for a metric without a `worst` value.
          seed: see `Protocol.seed`.
          score: what judges; `None` (the default) for the accuracy.
          until: see `Protocol.until`; `None` by default.

        Returns:
          The protocol.

        Raises:
          ValueError: an argument is not in its range; the message names both.
        """
        score = AccuracyScore() if score is None else score
        return cls(
            tier=tier,
            trials=tuning.trials_of(tier, trials),
            epochs=count("epochs", epochs, low=1),
            batch_size=count("batch_size", batch_size, low=1),
            tuning_seeds=_seeds("tuning_seeds", tuning_seeds, start=0, least=1),
            report_seeds=_seeds("seeds", seeds, start=REPORT_FROM, least=2),
            targets=_targets(targets, score),
            margin=_margin(margin, score),
            seed=count("seed", seed, low=0, high=2**64),
            metric=score.metric,
            until=None if until is None else _until(until),
        )

    def looks(self, n_contenders: int) -> tuple[Look, ...]:
        """The preset looks of a report until an interval is narrow; none without `until`.

        Args:
          n_contenders: how many contenders are compared.

        Returns:
          The looks in turn, each with its number of seeds and its part of the error.
        """
        if self.until is None:
            return ()
        return preset(len(self.report_seeds), n_contenders)


def check_splits(data: Dataset) -> None:
    """Check that the data has all three splits.

    Args:
      data: the data set.

    Raises:
      ValueError: a split is missing; the message says what it is for.
    """
    for split, kind, use in (
        (data.valid, "validation", "selects hyperparameters on it"),
        (data.test, "test", "reports scores on it"),
    ):
        if split is None:
            raise ValueError(
                f"the data has no {kind} split, and a comparison {use}; move some examples there."
            )


def check(
    net: Network, data: Dataset, contenders: Mapping[str, Recipe], protocol: Protocol
) -> None:
    """Check that network, data, contenders and protocol fit together.

    Args:
      net: the network that all contenders train.
      data: the training, the validation and the test split, as `check_data` returns them.
      contenders: a recipe for each label.
      protocol: the settings.

    Raises:
      ValueError: they do not; the message names the reason and the remedy.
    """
    for recipe in contenders.values():
        checked(
            net,
            data,
            recipe,
            protocol.epochs,
            protocol.batch_size,
            0,
            None,
            Measured(("evaluation",)),
        )
    if shared := set(protocol.tuning_seeds) & set(protocol.report_seeds):
        raise ValueError(
            f"seed {min(shared)} would tune and report; seeds and tuning_seeds must have no number "
            "in common."
        )
    if protocol.until is not None and len(protocol.looks(len(contenders))) < 2:
        raise ValueError(
            "until needs seeds for at least two looks, which for "
            f"{len(contenders)} optimizers are {fewest_seeds(len(contenders))} or more, not "
            f"{len(protocol.report_seeds)}; give more seeds, or leave it out."
        )


def _seeds(
    name: str, seeds: SupportsIndex | Sequence[int], start: int, least: int
) -> tuple[int, ...]:
    """The given seeds or, for a number n of seeds, start, …, start + n − 1."""
    if isinstance(seeds, (list, tuple, np.ndarray, range)):
        numbers = tuple(count(name, seed, 0, 2**32) for seed in seeds)
        if len(numbers) < least or len(set(numbers)) < len(numbers):
            raise ValueError(
                f"{name} must be {least} or more different numbers, not {brief(seeds)}."
            )
        return numbers
    return tuple(range(start, start + count_of_seeds(name, seeds, least)))


def _margin(margin: float | None, score: Score) -> float:
    """The margin, validated."""
    if margin is None:
        return DEFAULT_MARGIN if score.is_bounded else 0.0
    return constant("margin", margin, low=0)


def _until(until: object) -> float:
    """The width at which a pair needs no more seeds, validated."""
    width = constant("until", until)
    if width <= 0:
        raise ValueError(
            "until must be a width above 0, such as 0.002 for 0.2 points of accuracy, not "
            f"{brief(until)}."
        )
    return width


def _targets(targets: object, score: Score) -> tuple[float, ...]:
    """The target scores, validated; those of a metric of which less is better are negated."""
    if targets is None:
        return (0.9, 0.95) if score.higher_is_better and score.is_bounded else ()
    array = leaf("targets", targets, low=-np.inf)
    is_fraction = score.metric is None
    if array is None or array.ndim > 1 or (is_fraction and not np.all((array > 0) & (array < 1))):
        allowed = "in (0, 1), such as 0.95" if is_fraction else f"of {score.name}, one or several"
        raise ValueError(f"targets are validation scores {allowed}, not {brief(targets)}.")
    if not array.size:
        raise ValueError("targets must be one validation score or more, such as 0.95.")
    sign = 1 if score.higher_is_better else -1
    return tuple(
        sign * constant("targets", number, low=-np.inf)
        for number in np.atleast_1d(np.asarray(targets, float)).tolist()
    )
