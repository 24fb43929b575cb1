"""Compare optimizers with equal tuning budgets, paired seeds and confidence intervals.

`compare` tunes every optimizer with the same number of trials, extends all searches if a best
learning rate is at an edge, selects by validation loss, trains the selected recipes under fresh
seeds, and reports their test scores. `protocol` validates the settings, `tuning` makes the trials,
`stages` trains them, `statistics`, `result_tables` and `conclusions` evaluate them, and
`comparison_folder` writes and reads the result.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import SupportsIndex

from jaxnet.comparison import (
    comparison_folder,
    conclusions,
    looks,
    result_tables,
    statistics,
    tuning,
    tuning_curves,
)
from jaxnet.comparison.comparison_folder import Comparison
from jaxnet.comparison.protocol import Protocol, check, check_splits
from jaxnet.comparison.result_tables import Runs
from jaxnet.comparison.scores import chosen_score
from jaxnet.comparison.stages import Report, Stages, tune
from jaxnet.comparison.timing import known_seconds, measured_seconds
from jaxnet.comparison.tuning import Contender, Range, Search, Tier
from jaxnet.core.arguments import brief, path_of, require_function, require_kind
from jaxnet.core.checks import check_data
from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.hyperparameters import flag
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data.doubtful import warn_if_doubtful
from jaxnet.io import locks
from jaxnet.io.csv import Row
from jaxnet.io.files import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.executors import SweepReport
from jaxnet.sweeps.sweep_line import with_line
from jaxnet.training.metrics import MetricFunction
from jaxnet.training.progress_line import shown_line


@renamed_arguments(say="log")
def compare(
    net: Network,
    data: Dataset,
    optimizers: Sequence[Contender] | Mapping[str, Contender],
    *,
    tier: Tier = "lr",
    trials: SupportsIndex | None = None,
    epochs: SupportsIndex = 10,
    batch_size: SupportsIndex = 10,
    tuning_seeds: SupportsIndex | Sequence[int] = 5,
    seeds: SupportsIndex | Sequence[int] = 32,
    metric: MetricFunction | str | None = None,
    targets: float | Sequence[float] | None = None,
    margin: float | None = None,
    ranges: Mapping[str, Mapping[str, Range]] | None = None,
    until: float | None = None,
    timing: bool = True,
    seed: SupportsIndex = 0,
    folder: str | Path | None = None,
    on_progress: Callable[[str, SweepReport], None] | None = None,
    log: Callable[[str], None] | None = print,
    progress: bool = True,
) -> Comparison:
    """Compare optimizers: which one is better, by how much, and how certain is that?

    Tuning: every optimizer has the same number of trials, epochs and seeds. While an optimizer's
    best learning rate is within one place of an end of the searched range, all searches are
    extended there by a decade, twice at most. Selection: the recipe with the least mean validation
    loss after the last epoch, where a diverged run has an infinite loss. Report: the test scores of
    the selected recipes under fresh seeds; under each seed, all optimizers have the same initial
    weights and mini-batches. Two optimizers are different if the Wilcoxon signed-rank test over
    these seeds, with Holm's correction for all pairs, rejects at the 5% level.

    Args:
      net: the network that all runs train.
      data: the data set. All three splits are needed: the training split trains, the validation
        split selects, the test split reports.
      optimizers: two or more contenders: constructors such as `adam` or their names, or instances
        or recipes, whose numbers are used unless they are tuned. A sequence, or a mapping from
        labels to contenders; the default labels are the optimizers' names.
      tier: what is tuned: "lr" (the default) the learning rate, on a grid; "full" all usual
        numbers, at Sobol points; "random" the same at independent random points, which are not
        extended, but of which confidence bands of the tuning curves can be given; "defaults"
        nothing. See `jaxnet.comparison.tuning`.
      trials: trials of each optimizer before any extension, at least 5 and for "lr" one more than a
        multiple of 4; `None` (the default) is 21 for "lr", 64 for "full" and "random", 1 for
        "defaults".
      epochs: epochs of every run, at least 1; 10 by default.
      batch_size: examples per mini-batch, at least 1; 10 by default.
      tuning_seeds: the tuning seeds, or their number n: then 0, …, n − 1; 5 by default.
      seeds: the seeds of the report, at least two and none that tunes, or their number n: then
        1000, …, 999 + n; 32 by default.
      metric: what selects hyperparameters, by its mean on the validation split after the last
        epoch, and judges them on the test split: a function of outputs, targets and weights such
        as `jaxnet.metrics.f1`, or its name, "f1". Of one with `higher_is_better = False` all scores
        are negative. `None` (the default): the validation loss selects, and the score is the
        accuracy (of multi-label targets that of whole examples), or R² of numbers to predict,
        summed over the outputs, and 0 where it is negative. The metric "r2" is another one: the
        mean of the outputs' R², negative where they are worse than their means.
      targets: validation scores, fixed in advance, for which the time to reach them is reported;
        one number or several, in (0, 1) without a metric. `None` (the default) is (0.9, 0.95), or
        no target for a metric of which less is better, or that has no `worst` value.
      margin: the difference of test scores below which two optimizers are called equivalent, at
        least 0; none are at 0. `None` (the default) is 0.002, or 0 for a metric without a `worst`
        value, whose unit is not known, such as "rmse".
      ranges: ranges to search in place of the built-in ones, by label and number, such as
        `{"adam": {"learning_rate": (1e-4, 1)}}`.
      until: adds the seeds of the report in looks, such as 16, 32 and 64 of 64, and stops where
        each pair has a verdict, or an interval of its difference that is narrower than this:
        0.002 is 0.2 points of accuracy. It is a width above 0, in the score's unit; `seeds` are
        the most that may be trained, and need to be enough for two looks (15 for one pair). The
        error of 5% and the level of 95% hold over all looks. `None` (the default) trains all
        seeds.
      timing: whether to measure the seconds per epoch of each optimizer in a run of its own.
      seed: the seed of Sobol and random points and of the resampling, at least 0.
      folder: where all runs, tables and the manifest are written; `None` (the default) writes
        nothing. The comparison locks it. After an interruption, the same call continues, and ends
        with the same files.
      on_progress: called about twice a second with the stage's name and a `SweepReport`.
      log: called with a line of text about each stage's plan; `print` by default, `None` for
        silence.
      progress: whether to show the progress where a person watches, as in `train`; True by default.

    Returns:
      The comparison. `jaxnet.pages.publish(folder)` draws its figures and writes its page.

    Raises:
      ValueError: an argument is out of its range or does not fit the others, or the folder holds
        another comparison, or another process is writing into it.
      KeyboardInterrupt: Ctrl-C; with a folder, the same call continues.

    Warns:
      UserWarning: the data are hardly what is meant, such as float pixels up to 255.

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
    if folder is not None:
        path_of("folder", folder)
    require_function("on_progress", on_progress)
    require_function("log", log)
    timing, progress = flag("timing", timing), flag("progress", progress)
    require_kind("net", net, Network, "jaxnet.Network((784, 30, 10))")
    contenders, ranges = tuning.contenders(optimizers), {} if ranges is None else ranges
    data = check_data(net, data)
    check_splits(data)
    score = chosen_score(net, data, metric)
    protocol = Protocol.checked(
        tier, trials, epochs, batch_size, tuning_seeds, seeds, targets, margin, seed, score, until
    )
    check(net, data, contenders, protocol)
    warn_if_doubtful(data, "the data")
    searches = _initial_searches(contenders, protocol, ranges)
    identity = comparison_folder.identity(net, data, contenders, protocol, ranges)
    with contextlib.ExitStack() as stack:
        if folder is None:
            where = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        else:
            where = Path(folder)
            stack.enter_context(locks.locked(where))
            comparison_folder.start_or_continue(where, identity)
        reported = with_line(on_progress, stack.enter_context(shown_line(progress)))
        stages = Stages(net, data, protocol, score, where / "study", reported, log)
        searches, tuned = tune(searches, stages)
        chosen = {runs.label: [runs.recipes[result_tables.best_trial(runs)]] for runs in tuned}
        report = stages.train_report(chosen)
        seconds = (
            measured_seconds(where, net, data, chosen, protocol) if timing else known_seconds(where)
        )
        comparison = _make_comparison(identity, stages, searches, tuned, report, seconds)
        if folder is not None:
            comparison.write(where)
    return comparison


def _initial_searches(
    contenders: Mapping[str, Recipe],
    protocol: Protocol,
    ranges: Mapping[str, Mapping[str, Range]],
) -> list[Search]:
    """Each contender's search before any extension."""
    is_mapping = isinstance(ranges, Mapping)
    if not is_mapping or not all(isinstance(of_label, Mapping) for of_label in ranges.values()):
        raise ValueError(
            "ranges must be a dict of dicts such as "
            f'{{"adam": {{"learning_rate": (1e-4, 1)}}}}, not {brief(ranges)}.'
        )
    unknown = set(ranges) - set(contenders)
    if unknown:
        raise ValueError(
            f"ranges has an entry for {min(unknown)}, which is not among the labels that are "
            f"compared: {', '.join(contenders)}."
        )
    tier, trials = protocol.tier, protocol.trials
    return [
        tuning.begin(label, recipe, tier, trials, ranges.get(label, {}))
        for label, recipe in contenders.items()
    ]


def _make_comparison(
    identity: JsonObject,
    stages: Stages,
    searches: list[Search],
    tuned: list[Runs],
    report: Report,
    seconds: dict[str, float],
) -> Comparison:
    """The comparison from its runs: all tables, and the manifest.

    Args:
      identity: the first part of the manifest.
      stages: trained all runs.
      searches: each contender's search, extended.
      tuned: the runs of each under the tuning seeds.
      report: the runs of each under the report's seeds.
      seconds: seconds per epoch by label.
    """
    protocol, data, score, reports = stages.protocol, stages.data, stages.score, report.runs
    plan, last_look = protocol.looks(len(reports)), looks.last_of(report.looks)
    alpha = last_look[0]["alpha"] if last_look else result_tables.ALPHA
    scores, losses = (
        statistics.pigeonhole_bootstrap(by_example, protocol.seed) for by_example in report.on_test
    )
    summary = [
        result_tables.summary_row(
            *parts, (scores[:, k], losses[:, k]), protocol.seed, score.is_bounded, alpha
        )
        for k, parts in enumerate(zip(searches, tuned, reports, strict=True))
    ]
    pairs = result_tables.pair_rows(reports, scores, protocol.margin, protocol.seed, last_look)
    audits = conclusions.audits(searches, tuned, pairs)
    bands = tuning_curves.band_rows(tuned, score) if protocol.tier == "random" else []
    phases = [("tuning", runs) for runs in tuned] + [("report", runs) for runs in reports]
    manifest = identity | {
        **score.description(),
        "searches": {search.label: search.to_json() for search in searches},
        "networks": sum(runs.valid_loss.size for _, runs in phases),
        "network_epochs": stages.network_epochs,
        "audits": [sentence for _, sentence in audits],
        "warnings": conclusions.warnings(summary, tuned, pairs, audits, score, protocol.margin),
        "conclusion": conclusions.conclusion(
            summary, pairs, score.name, protocol.margin, len(plan)
        )
        + tuning_curves.sentences(bands, score),
    }  # fmt: skip
    if protocol.until is not None:
        manifest["looks"] = taken = looks.description(plan, last_look, len(reports))
        sentence = looks.sentence(taken, last_look, protocol.until, score.name)
        manifest["conclusion"].append(sentence)
    steps_per_epoch = -(-len(data.train.x) // protocol.batch_size)
    return Comparison(
        manifest=manifest,
        runs=_concatenated(result_tables.run_rows(*phase) for phase in phases),
        tuning_curves=_concatenated(result_tables.curve_rows("tuning", runs) for runs in tuned),
        report_curves=_concatenated(result_tables.curve_rows("report", runs) for runs in reports),
        summary=summary,
        pairwise=pairs,
        time_to_target=_concatenated(
            result_tables.speed_rows(runs, protocol.targets, steps_per_epoch) for runs in reports
        ),
        divergence=_concatenated(result_tables.divergence_rows(runs) for runs in tuned),
        expected_performance=_concatenated(
            result_tables.expected_performance_rows(runs, protocol.seed) for runs in tuned
        ),
        tuning_bands=bands,
        usual_study=list(result_tables.single_seed_rows(tuned, protocol.seed)),
        timing=seconds,
        looks=report.looks,
    )


def _concatenated(tables: Iterable[Iterable[Row]]) -> list[Row]:
    """The rows of several tables."""
    return [row for rows in tables for row in rows]
