"""Comparisons of optimizers that survive review: equal budgets, paired seeds, honest intervals.

`compare` tunes each optimizer with the same number of trials, extends every search if a best
learning rate is at its edge, selects on the validation set, and reports, on the test set, what
fresh seeds give: `searches` says where is searched, `statistics` and `findings` what is concluded.
"""

import dataclasses
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

import jax
import numpy as np

from jaxnet.comparison import conclusions, result_tables, statistics, tuning
from jaxnet.comparison.result_tables import Runs
from jaxnet.comparison.tuning import Search, Tier
from jaxnet.core.checks import check_split
from jaxnet.core.costs import Quadratic
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, Split
from jaxnet.data import datasets
from jaxnet.io import csv, files, parquet
from jaxnet.io.csv import Row
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps import sweep
from jaxnet.sweeps.executors import SweepReport
from jaxnet.sweeps.store import Setting
from jaxnet.sweeps.study import Study
from jaxnet.training import evaluation, train
from jaxnet.training.checks import checked
from jaxnet.training.run import EpochReport

FORMAT = 1
REPORT_FROM = 1000
"""The report's seeds begin here, unless told otherwise: none of them tunes."""
TIMED = 4
"""Epochs of the solo runs that are timed; the first one compiles, and does not count."""
TABLES = (
    "runs", "curves", "summary", "pairwise", "time_to_target", "divergence", "luck", "usual_study",
)  # fmt: skip


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


class Comparison(NamedTuple):
    """What a comparison has found: its tables, as rows of named values, and its manifest.

    A `score` is the accuracy, or R²; a `loss` is without penalties; `valid_cost` is the cost that
    is monitored, with them. `_low` and `_high` are the ends of 95 % intervals over seeds,
    `_low_examples` and `_high_examples` over seeds and examples. A `trial` counts the points of a
    search, by learning rate; the report has one, the chosen point. `diverged_epoch` 0: it did not.
    """

    manifest: dict[str, Any]
    """Protocol, searches, versions, device, data, warnings, conclusion: see `manifest.json`."""
    runs: list[Row]
    curves: list[Row]
    summary: list[Row]
    pairwise: list[Row]
    time_to_target: list[Row]
    divergence: list[Row]
    luck: list[Row]
    usual_study: list[Row]
    timing: dict[str, float]
    """Seconds an epoch of each optimizer in a run by itself; empty if it was not measured."""

    @property
    def conclusion(self) -> list[str]:
        """What was found, in sentences."""
        return self.manifest["conclusion"]

    @property
    def warnings(self) -> list[str]:
        """What a reader has to know before believing it."""
        return self.manifest["warnings"]

    def write(self, folder: str | Path) -> None:
        """Write all tables as CSV, and as Parquet where pyarrow is installed; manifest.json last.

        The same version, device, protocol and data give the same bytes, but for timing.json.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            rows = getattr(self, name)
            csv.write_csv(folder / f"{name}.csv", rows)
            if parquet.has_parquet():
                parquet.write_parquet(folder / f"{name}.parquet", rows)
        _write_json(folder / "timing.json", self.timing)
        _write_json(folder / "manifest.json", self.manifest)

    def __repr__(self) -> str:
        return "\n".join([*self.conclusion, *(f"Warning: {said}" for said in self.warnings)])


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
    say: Callable[[str], None] | None = print,
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
        "defaults" nothing: see `jaxnet.searches`.
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
      say: what to call with each stage's plan; `None` for silence.

    Returns:
      A `Comparison`. `jaxnet.pages.publish(folder)` draws its pictures and its page, as `jaxnet
      compare` does.

    Raises:
      ValueError: something does not fit together, or the folder holds another comparison.
      KeyboardInterrupt: Ctrl-C; with a folder, the same call goes on.

    Source: Choi et al., On empirical comparisons of optimizers for deep learning, 2019; Bouthillier
    et al., Accounting for variance in machine learning benchmarks, 2021; Schmidt, Schneider,
    Hennig, Descending through a crowded valley, 2021.

    >>> from jaxnet.recipes.optimizers import adam, sgd
    >>> found = compare(
    ...     Network((2, 4, 2)), datasets.xor(), [sgd, adam], tier="defaults", epochs=2, seeds=8,
    ...     tuning_seeds=1, timing=False, say=None,
    ... )
    >>> [row["optimizer"] for row in found.summary], len(found.pairwise)
    (['sgd', 'adam'], 1)
    """
    named = tuning.contenders(optimizers)
    protocol = Protocol(
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
    _checked(net, data, named, protocol)
    unknown = set(ranges or {}) - set(named)
    if unknown:
        raise ValueError(
            f"ranges name {min(unknown)}, which is not compared: {', '.join(named)} are."
        )
    begun = [
        tuning.begin(label, recipe, tier, protocol.trials, (ranges or {}).get(label, {}))
        for label, recipe in named.items()
    ]
    n = len(data.train.x)
    about = files.environment() | {
        "format": FORMAT,
        "protocol": _json(asdict(protocol)),
        "network": repr(net),
        "contenders": {label: repr(recipe) for label, recipe in named.items()},
        # What a repr leaves out: initial weights, precision, an optimizer's options, last digits.
        "settings": {
            f"settings of {label}": Setting(net, recipe, protocol.batch_size, n).key()
            for label, recipe in named.items()
        },
        "ranges": repr(ranges or {}),
        "examples": [len(split.x) for split in data if split is not None],
        "data_sha256": datasets.sha256(data),
        # Bits depend on these two: see `jaxnet.plans`.
        "devices": jax.local_device_count(),
        "dtype": str(jax.dtypes.canonicalize_dtype(float)),
    }
    with tempfile.TemporaryDirectory() as temporary:
        where = Path(temporary if folder is None else folder)
        if folder is not None:
            _enter(where, about)
        stage = _Stage(net, data, protocol, where / "study", on_progress, say)
        found, tuned = _tuned(begun, stage)
        chosen = {runs.label: [runs.recipes[result_tables.best_trial(runs)]] for runs in tuned}
        reports, on_test = stage.reported(chosen)
        seconds = _timing(where, net, data, chosen, protocol, timing)
        result = _concluded(about, stage, found, tuned, reports, on_test, seconds)
        if folder is not None:
            result.write(where)
    return result


def read(folder: str | Path) -> Comparison:
    """A comparison from its files.

    Raises:
      ValueError: the folder holds none, or one that was not finished.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if "conclusion" not in manifest:
            raise ValueError("it was not finished; the same command goes on")
        rows = {name: csv.read_csv(folder / f"{name}.csv", result_tables.TEXT) for name in TABLES}
        timing = json.loads((folder / "timing.json").read_bytes())
    except OSError as error:
        raise ValueError(f"{folder} holds no comparison: {error.strerror}.") from None
    except ValueError as error:
        raise ValueError(f"{folder} cannot be read: {error}.") from None
    return Comparison(manifest, **rows, timing=timing)


class _Stage:
    """Trains the runs that a comparison asks for, and says what became of them."""

    def __init__(
        self,
        net: Network,
        data: Dataset,
        protocol: Protocol,
        folder: Path,
        on_progress: Callable[[str, SweepReport], None] | None,
        say: Callable[[str], None] | None,
    ) -> None:
        self.net, self.data, self.protocol, self.folder = net, data, protocol, folder
        self.on_progress, self.say = on_progress, say
        self.network_epochs = 0

    def tuned(self, name: str, recipes: Mapping[str, list[Recipe]]) -> list[Runs]:
        """The runs of these trials from the tuning seeds, a `Runs` for each label."""
        return [runs for runs, _ in self._runs(name, recipes, self.protocol.tuning_seeds)]

    def reported(self, recipes: Mapping[str, list[Recipe]]) -> tuple[list[Runs], np.ndarray]:
        """The runs from the report's seeds, and scores and losses: (2, label, seed, example)."""
        found = self._runs("Report", recipes, self.protocol.report_seeds)
        return [runs for runs, _ in found], np.stack([table[:, 0] for _, table in found], axis=1)

    def _runs(
        self, name: str, recipes: Mapping[str, list[Recipe]], seeds: tuple[int, ...]
    ) -> list[tuple[Runs, np.ndarray]]:
        protocol, told, say = self.protocol, self.on_progress, self.say
        study = sweep(
            self.net,
            self.data,
            [recipe for some in recipes.values() for recipe in some],
            seeds=seeds,
            epochs=protocol.epochs,
            batch_size=protocol.batch_size,
            monitor=("evaluation",),
            folder=self.folder,
            on_progress=None if told is None else lambda report: told(name, report),
            say=None if say is None else lambda plan: say(f"{name}: {plan}"),
        )
        if any(study.ending(*lane) == "interrupted" for lane in np.ndindex(study.epochs.shape)):
            raise KeyboardInterrupt
        self.network_epochs += study.epochs.size * protocol.epochs
        ends = np.cumsum([0, *(len(some) for some in recipes.values())])
        return [
            self._examined(label, study, range(begin, end))
            for label, begin, end in zip(recipes, ends, ends[1:])
        ]

    def _examined(self, label: str, study: Study, places: range) -> tuple[Runs, np.ndarray]:
        """What some recipes of a study came to, on the validation and the test set."""
        shape = (len(places), len(study.seeds))
        losses, scores = np.full((2, *shape), np.inf), np.zeros((2, *shape))
        assert self.data.valid is not None
        assert self.data.test is not None
        on_test = np.zeros((2, *shape, len(self.data.test.x)), np.float32)
        on_test[1] = np.inf
        for trial, recipe in enumerate(places):
            for seed in range(shape[1]):
                if study.diverged_epoch[recipe, seed]:
                    continue
                params = study.params(recipe, seed)
                for k, split in enumerate((self.data.valid, self.data.test)):
                    cost, hit = evaluation.by_example(self.net, params, split)
                    score = hit if _labels(split) else 1 - cost / _cost_of_mean(split)
                    score = np.where(np.mean(score) > 0, score, 0.0)  # R² of less is no better
                    losses[k, trial, seed] = np.mean(cost, dtype=float)
                    scores[k, trial, seed] = np.mean(score, dtype=float)
                    if k:
                        on_test[:, trial, seed] = score, cost
        losses[~np.isfinite(losses)] = np.inf
        some = slice(places.start, places.stop)
        cost_curve = np.asarray(study.history.evaluation_cost[some])
        # The counts behind the fractions: 0.95, not float32's 0.949999988, is 0.95.
        n = len(self.data.valid.x)
        score_curve = np.rint(n * np.asarray(study.history.evaluation_accuracy[some], float)) / n
        if not _labels(self.data.valid):
            score_curve = np.maximum(0.0, 1 - cost_curve / _cost_of_mean(self.data.valid))
        runs = Runs(
            label, tuple(study.settings[recipe].recipe for recipe in places),
            tuple(study.seeds.tolist()), losses[0], scores[0], losses[1], scores[1],
            study.diverged_epoch[some], study.diverged_step[some], cost_curve, score_curve,
        )  # fmt: skip
        return runs, on_test


def _tuned(begun: list[Search], stage: _Stage) -> tuple[list[Search], list[Runs]]:
    """The searches, extended as far as need be, and all their runs."""
    seed = stage.protocol.seed
    found = begun
    runs = stage.tuned("Tuning", {search.label: search.points(seed) for search in found})
    for extension in range(1, tuning.EXTENSIONS + 1):
        chosen = [some.recipes[result_tables.best_trial(some)] for some in runs]
        edges = {s.edge(tuning.rate_of(recipe)) for s, recipe in zip(found, chosen, strict=True)}
        for side in sorted(edges - {0}):  # for all, where it is needed for any
            more = [search.extended(side, seed + extension) for search in found]
            found = [search for search, _ in more]
            name = f"Extension {extension}, {'smaller' if side < 0 else 'larger'} learning rates"
            new = stage.tuned(name, {search.label: recipes for search, recipes in more})
            runs = [_joined(*some) for some in zip(runs, new, strict=True)]
    return found, runs


def _joined(a: Runs, b: Runs) -> Runs:
    """The runs of two parts of a search, in the order of their learning rates."""
    recipes = (*a.recipes, *b.recipes)
    order = np.argsort([tuning.rate_of(recipe) for recipe in recipes], kind="stable")
    arrays = {
        name: np.concatenate([getattr(a, name), getattr(b, name)])[order]
        for name in Runs._fields[3:]
    }
    return Runs(a.label, tuple(recipes[k] for k in order), a.seeds, **arrays)


def _concluded(
    about: dict[str, Any],
    stage: _Stage,
    found: list[Search],
    tuned: list[Runs],
    reports: list[Runs],
    on_test: np.ndarray,
    seconds: dict[str, float],
) -> Comparison:
    """All tables, and the manifest."""
    protocol, data = stage.protocol, stage.data
    drawn = [statistics.crossed(table, protocol.seed) for table in on_test]
    steps = -(-len(data.train.x) // protocol.batch_size)
    summary = [
        result_tables.summary_row(*some, [means[:, k] for means in drawn], protocol.seed)
        for k, some in enumerate(zip(found, tuned, reports, strict=True))
    ]
    pairs = result_tables.pair_rows(reports, drawn[0], protocol.margin, protocol.seed)
    audited = conclusions.audits(found, tuned, pairs)
    kind = "accuracy" if _labels(data.train) else "R²"
    phases = [("tuning", runs) for runs in tuned] + [("report", runs) for runs in reports]
    manifest = about | {
        "score": kind,
        "searches": {search.label: search.described() for search in found},
        "networks": sum(runs.valid_loss.size for _, runs in phases),
        "network_epochs": stage.network_epochs,
        "audits": [told for _, told in audited],
        "warnings": conclusions.warnings(summary, tuned, len(pairs), audited, protocol.margin),
        "conclusion": conclusions.conclusion(summary, pairs, kind, protocol.margin),
    }  # fmt: skip
    flat = lambda rows: [row for some in rows for row in some]
    return Comparison(
        manifest,
        flat(result_tables.run_rows(*some) for some in phases),
        flat(result_tables.curve_rows(*some) for some in phases),
        summary,
        pairs,
        flat(result_tables.speed_rows(runs, protocol.targets, steps) for runs in reports),
        flat(result_tables.divergence_rows(runs) for runs in tuned),
        flat(result_tables.luck_rows(runs, protocol.seed) for runs in tuned),
        list(result_tables.usual_rows(tuned, protocol.seed)),
        seconds,
    )


def _timing(
    folder: Path,
    net: Network,
    data: Dataset,
    chosen: Mapping[str, list[Recipe]],
    protocol: Protocol,
    measure: bool,
) -> dict[str, float]:
    """Seconds an epoch of each optimizer in a run by itself, measured once for a folder.

    An optimizer that diverges at once has none.
    """
    known = folder / "timing.json"
    found = json.loads(known.read_bytes()) if known.exists() else {}
    if found or not measure:
        return found
    for label, (recipe,) in chosen.items():
        recipe = dataclasses.replace(recipe, schedule=None)  # it may end before the runs timed here
        ends = [time.perf_counter()]

        def on_epoch(_: EpochReport, ends: list[float] = ends) -> None:
            ends.append(time.perf_counter())

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the report has said what diverged
            run = train(
                net, data, recipe, epochs=TIMED, batch_size=protocol.batch_size,
                seed=protocol.report_seeds[0], monitor=(), on_epoch=on_epoch,
            )  # fmt: skip
        if run.ending == "interrupted":
            raise KeyboardInterrupt
        if len(ends) > 2:
            found[label] = float(np.median(np.diff(ends)[1:]))
    _write_json(known, found)
    return found


def _enter(folder: Path, about: dict[str, Any]) -> None:
    """Begin a comparison in a folder, or go on with the same one."""
    path = folder / "manifest.json"
    if path.exists():
        try:
            before = json.loads(path.read_bytes())
        except ValueError:
            raise ValueError(f"{path} is damaged; delete it, and the same call goes on.") from None
        for name, now in about.items():
            was = before.get(name)
            if was != now:
                if isinstance(now, dict) and isinstance(was, dict):
                    name = next(k for k in {**was, **now} if was.get(k) != now.get(k))
                    was, now = was.get(name), now.get(name)
                remedy = "choose another folder (--name)"
                if name == "devices":  # bits depend on it
                    remedy = "call jaxnet.use_all_cores() first, or not, as then"
                raise ValueError(
                    f"{folder} holds another comparison: its {name} was {was} and is {now}; "
                    f"{remedy}. jaxnet.comparison.read opens what is there."
                )
        return
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(path, about)


def _checked(net: Network, data: Dataset, named: Mapping[str, Recipe], protocol: Protocol) -> None:
    """Whether all fits together."""
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
    if not _labels(data.train) and not isinstance(net.cost, Quadratic):
        raise ValueError(
            f"on float targets the score is R², which needs the quadratic cost, not {net.cost!r}."
        )
    if not protocol.targets:
        raise ValueError("targets must be one validation score or more, such as 0.95.")
    for label, recipe in named.items():
        if not _labels(data.train) and not recipe.l1 is recipe.l2 is None:
            raise ValueError(
                f"on float targets curves are of the cost, which must be without penalties: leave "
                f"l1 and l2 out of {label}."
            )
        checked(net, data, recipe, protocol.epochs, protocol.batch_size, 0, None, ("evaluation",))
    if both := set(protocol.tuning_seeds) & set(protocol.report_seeds):
        raise ValueError(
            f"seed {min(both)} would tune and report; the report's seeds must be fresh ones."
        )


def _seeds(name: str, given: Any, start: int, least: int) -> tuple[int, ...]:
    if isinstance(given, (list, tuple, np.ndarray, range)):
        found = tuple(count(name, seed, 0, 2**32) for seed in given)
        if len(found) < least or len(set(found)) < len(found):
            raise ValueError(f"{name} must be {least} or more different numbers, not {given!r}.")
        return found
    return tuple(range(start, start + count(name, given, low=least)))


def _target(target: Any) -> float:
    number = constant("targets", target)
    if not 0 < number < 1:
        raise ValueError(f"targets are validation scores in (0, 1), such as 0.95, not {number:g}.")
    return number


def _labels(split: Split) -> bool:
    """Whether targets are classes."""
    return np.issubdtype(split.y.dtype, np.integer)


def _cost_of_mean(split: Split) -> float:
    """The quadratic cost of answering every input with the mean of the targets."""
    return float(np.mean(np.sum((split.y - split.y.mean(axis=0)) ** 2, axis=-1)) / 2)


def _json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _write_json(path: Path, value: Any) -> None:
    files.write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())
