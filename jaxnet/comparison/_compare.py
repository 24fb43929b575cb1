"""Comparisons of optimizers that survive review: equal budgets, paired seeds, honest intervals.

`compare` tunes each optimizer with the same number of trials, extends every search if a best
learning rate is at its edge, selects on the validation set, and reports, on the test set, what
fresh seeds give. `protocol` holds the budgets, `tuning` says where is searched, `stages` trains,
`statistics`, `result_tables` and `conclusions` say what follows, `comparison_folder` keeps it.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from jaxnet.comparison import comparison_folder, conclusions, result_tables, statistics, tuning
from jaxnet.comparison.comparison_folder import Comparison
from jaxnet.comparison.protocol import Protocol, check, has_labels
from jaxnet.comparison.result_tables import Runs
from jaxnet.comparison.stages import Stages, tune
from jaxnet.comparison.timing import known_seconds, measured_seconds
from jaxnet.comparison.tuning import Search, Tier
from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.executors import SweepReport


@renamed_arguments(say="log")
def compare(
    net: Network,
    data: Dataset,
    optimizers: Sequence[Any] | Mapping[str, Any],
    *,
    tier: Tier = "lr",
    trials: SupportsIndex | None = None,
    epochs: SupportsIndex = 10,
    batch_size: SupportsIndex = 10,
    tuning_seeds: SupportsIndex | Sequence[int] = 5,
    seeds: SupportsIndex | Sequence[int] = 32,
    targets: float | Sequence[float] = (0.9, 0.95),
    margin: float = 0.002,
    ranges: Mapping[str, Mapping[str, Any]] | None = None,
    timing: bool = True,
    seed: SupportsIndex = 0,
    folder: str | Path | None = None,
    on_progress: Callable[[str, SweepReport], None] | None = None,
    log: Callable[[str], None] | None = print,
) -> Comparison:
    """Which optimizer is better here, by how much, and how sure are we?

    Tuning: every optimizer has the same trials, epochs and seeds. While a best learning rate is
    within one place of an end of those searched, all searches are extended there by a decade,
    twice at most. Selection: the least mean validation loss after the last epoch, where a
    diverged run's is infinite. Report: the chosen numbers, on the test set, from fresh seeds,
    under which all optimizers have the same initial weights and mini-batches. Two are different
    if the signed-rank test over these seeds rejects at 5 %, with Holm's correction for all pairs.

    Args:
      net: the architecture.
      data: the splits, all three: one to train on, one to select by, one to report.
      optimizers: constructors such as `adam` or their names; optimizers or recipes, whose numbers
        are kept but for those that are tuned; or a dict of labels for these.
      tier: "lr" tunes the learning rate on a grid, "full" all usual numbers at Sobol points,
        "defaults" nothing: see `jaxnet.comparison.tuning`.
      trials: of each optimizer, before any extension: 21 for "lr", 64 for "full".
      epochs: of every run.
      batch_size: examples per mini-batch.
      tuning_seeds: how many, from 0, or which.
      seeds: how many for the report, from 1000, or which: none that tunes.
      targets: validation scores in (0, 1), fixed in advance, whose first epoch is reported.
      margin: of the test score, within which two optimizers are called equivalent.
      ranges: other ranges to search, by label and name: {"adam": {"learning_rate": (1e-4, 1)}}.
      timing: whether to time each optimizer in a run by itself.
      seed: of Sobol points and of resampling.
      folder: where to keep all runs, tables and the manifest. The same call goes on where an
        earlier one was interrupted, and ends with the same files.
      on_progress: called about twice a second with the stage and a `SweepReport`.
      log: what to call with each stage's plan; `None` for silence.

    Returns:
      A `Comparison`. `jaxnet.pages.publish(folder)` draws its pictures and its page, as `jaxnet
      compare` does.

    Raises:
      ValueError: something does not fit together, or the folder holds another comparison.
      KeyboardInterrupt: Ctrl-C; with a folder, the same call goes on.

    Source: Choi et al., On empirical comparisons of optimizers for deep learning, 2019; Bouthillier
    et al., Accounting for variance in machine learning benchmarks, 2021; Schmidt, Schneider,
    Hennig, Descending through a crowded valley, 2021.

    >>> from jaxnet.data import datasets
    >>> from jaxnet.recipes.optimizers import adam, sgd
    >>> comparison = compare(
    ...     Network((2, 4, 2)), datasets.xor(), [sgd, adam], tier="defaults", epochs=2, seeds=8,
    ...     tuning_seeds=1, timing=False, log=None,
    ... )
    >>> [row["optimizer"] for row in comparison.summary], len(comparison.pairwise)
    (['sgd', 'adam'], 1)
    """
    contenders, ranges = tuning.contenders(optimizers), ranges or {}
    protocol = Protocol.checked(
        tier, trials, epochs, batch_size, tuning_seeds, seeds, targets, margin, seed
    )
    check(net, data, contenders, protocol)
    searches = _begun(contenders, protocol, ranges)
    identity = comparison_folder.identity(net, data, contenders, protocol, ranges)
    with tempfile.TemporaryDirectory() as temporary:
        where = Path(temporary if folder is None else folder)
        if folder is not None:
            comparison_folder.enter(where, identity)
        stages = Stages(net, data, protocol, where / "study", on_progress, log)
        searches, tuned = tune(searches, stages)
        chosen = {runs.label: [runs.recipes[result_tables.best_trial(runs)]] for runs in tuned}
        reports, on_test = stages.reported(chosen)
        seconds = (
            measured_seconds(where, net, data, chosen, protocol) if timing else known_seconds(where)
        )
        result = _concluded(identity, stages, searches, tuned, reports, on_test, seconds)
        if folder is not None:
            result.write(where)
    return result


def _begun(
    contenders: Mapping[str, Recipe], protocol: Protocol, ranges: Mapping[str, Mapping[str, Any]]
) -> list[Search]:
    """Each contender's search, before it is extended."""
    unknown = set(ranges) - set(contenders)
    if unknown:
        raise ValueError(
            f"ranges name {min(unknown)}, which is not compared: {', '.join(contenders)} are."
        )
    tier, trials = protocol.tier, protocol.trials
    return [
        tuning.begin(label, recipe, tier, trials, ranges.get(label, {}))
        for label, recipe in contenders.items()
    ]


def _concluded(
    identity: dict[str, Any],
    stages: Stages,
    searches: list[Search],
    tuned: list[Runs],
    reports: list[Runs],
    on_test: np.ndarray,
    seconds: dict[str, float],
) -> Comparison:
    """All tables, and the manifest."""
    protocol, data = stages.protocol, stages.data
    drawn = [statistics.pigeonhole_bootstrap(table, protocol.seed) for table in on_test]
    steps = -(-len(data.train.x) // protocol.batch_size)
    summary = [
        result_tables.summary_row(*parts, [means[:, k] for means in drawn], protocol.seed)
        for k, parts in enumerate(zip(searches, tuned, reports, strict=True))
    ]
    pairs = result_tables.pair_rows(reports, drawn[0], protocol.margin, protocol.seed)
    audits = conclusions.audits(searches, tuned, pairs)
    kind = "accuracy" if has_labels(data.train) else "R²"
    phases = [("tuning", runs) for runs in tuned] + [("report", runs) for runs in reports]
    manifest = identity | {
        "score": kind,
        "searches": {search.label: search.described() for search in searches},
        "networks": sum(runs.valid_loss.size for _, runs in phases),
        "network_epochs": stages.network_epochs,
        "audits": [text for _, text in audits],
        "warnings": conclusions.warnings(summary, tuned, len(pairs), audits, protocol.margin),
        "conclusion": conclusions.conclusion(summary, pairs, kind, protocol.margin),
    }  # fmt: skip
    flat = lambda tables: [row for rows in tables for row in rows]
    return Comparison(
        manifest,
        flat(result_tables.run_rows(*phase) for phase in phases),
        flat(result_tables.curve_rows(*phase) for phase in phases),
        summary,
        pairs,
        flat(result_tables.speed_rows(runs, protocol.targets, steps) for runs in reports),
        flat(result_tables.divergence_rows(runs) for runs in tuned),
        flat(result_tables.expected_performance_rows(runs, protocol.seed) for runs in tuned),
        list(result_tables.usual_rows(tuned, protocol.seed)),
        seconds,
    )
