"""`sweep` trains many networks, several at a time in one program.

It divides the networks into chunks (`chunk_sizes`, `chunking`), trains these (`chunk`, `lanes`) on
all devices of this process, on those of all processes, or by an executor's workers (`executors`),
keeps each chunk as soon as it has ended (`ledger`, `store`), and returns a `Study` (`study`).
"""

import operator
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import SupportsIndex

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.typing import ArrayLike

from jaxnet.core.checks import check_data
from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.dtypes import FloatType, computing_in, in_dtype
from jaxnet.core.hyperparameters import flag
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, EvaluatedSplit, Order, Params, Split
from jaxnet.data import datasets
from jaxnet.data.doubtful import outer_stacklevel, warn_if_doubtful
from jaxnet.data.resampling import Fold, Resampling
from jaxnet.interrupts import interruptible
from jaxnet.io.files import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.trainable import Trainable
from jaxnet.sweeps.call_file import SweepCall, write_call
from jaxnet.sweeps.checks import (
    as_list,
    check_deciding_metrics,
    check_options,
    check_processes,
    check_with_folds,
    checked_folds,
    checked_seeds,
    checked_settings,
)
from jaxnet.sweeps.chunking import ChunkPlanner, planned_sizes
from jaxnet.sweeps.executors import (
    ChunkRunner,
    Data,
    ExecutorWorkers,
    Job,
    LocalDevices,
    Progress,
    ReadableData,
    SweepReport,
    TaskExecutor,
)
from jaxnet.sweeps.folds import LaneFold, smallest_fold
from jaxnet.sweeps.halving import (
    Halving,
    Ranking,
    Rung,
    checked_halving,
    checked_rungs,
    has_several,
)
from jaxnet.sweeps.ledger import Ledger
from jaxnet.sweeps.planning import Plan, note_trained, predict_plan
from jaxnet.sweeps.settings import Settings
from jaxnet.sweeps.starts import LaneStart, lane_starts
from jaxnet.sweeps.store import FORMAT, Folder, Lane, Setting
from jaxnet.sweeps.study import Study
from jaxnet.sweeps.sweep_line import with_line
from jaxnet.training.checks import check_not_traced
from jaxnet.training.devices import locked_folder
from jaxnet.training.measured import Measured, measured
from jaxnet.training.metrics import MetricFunction
from jaxnet.training.monitors import Monitors
from jaxnet.training.progress_line import shown_line

Resample = Resampling | Iterable[Fold | tuple[ArrayLike, ArrayLike]]
"""What `sweep(resample=)` takes."""


@renamed_arguments(monitor="evaluate_on", halving="successive_halving", say="log")
def sweep(
    net: Network | Sequence[Network],
    data: Data,
    recipe: Recipe | Sequence[Recipe] | Settings,
    *,
    seeds: SupportsIndex | Sequence[int] = 1,
    epochs: SupportsIndex = 10,
    batch_size: SupportsIndex | Sequence[int] = 10,
    examples: SupportsIndex | Sequence[int] | None = None,
    resample: Resample | None = None,
    standardize: bool | None = None,
    params: Params | list | None = None,
    trainable: Trainable = None,
    evaluate_on: Sequence[EvaluatedSplit] | None = None,
    metrics: Mapping[str, MetricFunction] | None = None,
    monitors: Monitors | None = None,
    select_by: str | None = None,
    order: Order = "shuffled",
    folder: str | Path | None = None,
    executor: TaskExecutor | None = None,
    successive_halving: SupportsIndex | Halving | None = None,
    tune_plan: bool = False,
    on_progress: Callable[[SweepReport], None] | None = None,
    log: Callable[[str], None] | None = print,
    dtype: FloatType | None = None,
    progress: bool = True,
) -> Study:
    """Train many networks: every recipe under every seed, several at a time in one program.

    Each network is trained as `train` would train it alone: in float64 the two agree within 1e-9.
    In float32 rounding depends on the size of the program; `Study.replay` trains a network again in
    a program of the same size, to the same bits. All combinations of networks, batch sizes, numbers
    of examples and recipes are settings of the study, in this order, the recipes varying fastest.

    Args:
      net: the architecture, or several. Networks that differ only in the widths of hidden layers
        may share a program; any other difference makes another program.
      data: the splits, or a function of no arguments that returns them, which each worker of an
        executor calls once.
      recipe: how to train, or several recipes. A recipe whose hyperparameters are arrays stands for
        one recipe per entry (`grid`, `zipped` and `sample` make such recipes). `Settings`, which
        they make, too, also replace the network, the batch size or the number of examples of this
        call, where they say so.
      seeds: the number of seeds, which are then 0, 1, …, or a list of different seeds in [0, 2³²).
        All recipes under one seed see the same mini-batches, and for each network they start
        from the same weights.
      epochs: the most epochs per network, at least 1.
      batch_size: examples per mini-batch, at least 1, or a list of sizes; each size makes another
        program.
      examples: the number of training examples to use, at least 1, from the first on, or a list of
        such numbers, which share a program unless there are schedules or monitors. None uses all
        examples.
      resample: folds of the training split, on each of which every recipe is trained under every
        seed: such as `resampling.k_fold(5)`, or pairs of indices (train, test), as scikit-learn's
        splitters yield them. The study has an axis "fold" then, and `Study.score` is that of each
        fold's own test rows, after the best epoch by its validation rows (or by the data's
        validation split; after the last epoch without either). None trains on the whole training
        split.
      standardize: whether to shift and scale the inputs of each fold so that those of its training
        rows have the mean 0 and the standard deviation 1; only with `resample`. `None`, the
        default, does so for the numbers of a `jaxnet.datasets.table`, and leaves all other inputs
        as they are, as False does.
      params: initial parameters of all networks, as `train` takes them, or a list with one entry
        per setting; an entry may be a list with one for each seed. None draws them.
      trainable: which parameters are trained, as in `train`, for all networks, or lists as for
        `params`. None trains all.
      evaluate_on: the splits to evaluate after each epoch, of "validation", "training" and "test",
        which ranks nothing. None is ("validation",) if the data has a validation split, and
        ("training",) otherwise. Evaluating the training split takes about half as long as an epoch
        of training. With `resample` the test rows are always evaluated.
      metrics: what else to evaluate on these splits, by name, as in `train`; None for nothing.
      monitors: what to measure in each network during training: see `jaxnet.Monitors`. Networks of
        different widths share no program then. None for nothing.
      select_by: "accuracy", "cost" or the name of one of `metrics`, on the validation split or,
        where it is not evaluated, on the training split: it ranks the networks and decides on the
        best epoch of those without a stopping rule. None is the metric that all stopping rules have
        in common, if it is one of `metrics`, and otherwise accuracy, or cost without labels.
      order: the order in which each epoch visits the examples: "shuffled" (the default), a random
        one for each seed and epoch, or "sequential", that of the data.
      folder: a folder that keeps the study, made if it does not exist, and locked by the sweep. The
        same call goes on where an earlier one ended; a call with more seeds, recipes or epochs
        trains only what is missing.
      executor: an object with `submit`, which trains the networks, such as
        `concurrent.futures.ProcessPoolExecutor` or dask's `Client.get_executor()`. None trains on
        all devices of this process: see `jaxnet.use_all_cores`.
      successive_halving: a whole number k ≥ 2: after …, 1/k², 1/k of the epochs only the best 1/k
        of the recipes, by the mean of `Study.score` over the seeds, go on, down to a single one if
        there are enough epochs. The score of a network is that of its best epoch so far, so that it
        never falls, and a recipe that was left behind stays behind, if no network diverges later
        and if validation decides on the best epoch by the same metric. An object with a method
        `rungs` chooses in another way: see `jaxnet.searches`. None trains all recipes to the end.
      tune_plan: whether to time how many networks make the fastest program, instead of calculating
        it.
      on_progress: called about twice a second with a `SweepReport`. A KeyboardInterrupt that it
        raises ends the sweep like Ctrl-C. After any other exception the chunks in progress are
        ended and written, too, and then it is raised.
      log: called with the plan, in one line, before the training, and with how long it took after
        it; None for silence.
      dtype: "float32" or "float64": the type to compute in, as in `train`, also for an executor's
        workers and for what `Study` trains again. None is JAX's default.
      progress: whether to show the progress where a person watches, as in `train`; True by default.

    Returns:
      A `Study`. Ctrl-C ends it after the present epoch (with an executor, after the chunks that its
      workers have begun), and the study of what was trained is returned, with a warning: the same
      call with the same folder goes on from there. `Study.interruption` says what is missing.

    Raises:
      ValueError: network, data and settings do not fit together, the folder holds another study, or
        another sweep is writing into it.
      OSError: the folder cannot be written.
      RuntimeError: the executor lost its workers.

    Warns:
      RuntimeWarning: Ctrl-C ended the sweep, and networks are missing.
      UserWarning: the data are hardly what is meant, such as float pixels up to 255; or some
        networks were trained with another version of jaxnet or JAX, or on another kind of device.

    Source: successive halving: Jamieson and Talwalkar, 2016.

    >>> from jaxnet.recipes.optimizers import momentum
    >>> recipe = Recipe(momentum([0.1, 1.0], decay=0.5))
    >>> study = sweep(Network((2, 4, 2)), datasets.xor(), recipe, seeds=3, epochs=2, log=None)
    >>> study.history.evaluation_accuracy.shape, study.axes
    ((2, 3, 2), ('recipe', 'seed', 'epoch'))
    """
    check_not_traced("sweep", "map jaxnet.fit, a pure function", data, recipe)
    check_options(order, folder, tune_plan, on_progress, log)
    progress = flag("progress", progress)
    start_time = time.perf_counter()
    with computing_in(dtype):
        loaded, recipe = _loaded(net, data), in_dtype(dtype, recipe)
        seed_list = checked_seeds(seeds)
        folds = checked_folds(resample, standardize, loaded, seed_list)
        whole = loaded if folds is None else smallest_fold(folds, loaded)
        splits = _evaluated_splits(evaluate_on, whole, folds is not None)
        choices = measured(splits, metrics, monitors, select_by)
        check_with_folds(folds, examples, recipe, tune_plan)
        settings = checked_settings(
            net, loaded, recipe, epochs, batch_size, examples, choices, whole
        )
        check_deciding_metrics(settings, loaded, folds, choices)
        starts = lane_starts([each.network for each in settings], len(seed_list), params, trainable)
        epochs = operator.index(epochs)
        halving = checked_halving(successive_halving, len(settings), epochs)
        check_processes(has_several(halving), folder, choices, tune_plan)
        test = loaded.test
        loaded = loaded if "test" in choices.evaluate_on else loaded._replace(test=None)
        runner = _runner(executor, net, data, loaded)
        with locked_folder(folder, is_shared=True), shown_line(progress) as line:
            store = None if folder is None else Folder(folder, _description(loaded, choices, order))
            ledger = _read_ledger(settings, seed_list, store, choices, epochs, folds, starts)
            planner = ChunkPlanner(ledger, loaded, ledger.choices, order, tune_plan, runner.devices)
            counts = _progress(ledger, with_line(on_progress, line), epochs)
            loop = _RungLoop(ledger, loaded, planner, runner, counts, log, epochs)
            _train(loop, halving, order)
        return _study(loop, time.perf_counter() - start_time, test, order, dtype)


@dataclass
class _RungLoop:
    """Trains the lanes of a sweep from rung to rung of successive halving."""

    ledger: Ledger
    data: Dataset
    planner: ChunkPlanner
    runner: ChunkRunner
    progress: Progress
    log: Callable[[str], None] | None
    epochs: int
    """Epochs of the last rung."""
    plan: Plan | None = None
    """The plan of the first rung; None before it is made."""
    dropped_lanes: list[Lane] = field(default_factory=list)
    """The lanes that successive halving ended."""

    def train(self, lanes: list[Lane], halving: Halving, interrupted: list[int]) -> None:
        """Train lanes to each rung, from which some recipes go on; or until an interruption.

        Args:
          lanes: the lanes to train.
          halving: chooses the recipes and epochs of each rung.
          interrupted: not empty once the user has asked for an end.
        """
        n_recipes, finished = len(self.ledger.settings), set[int]()
        ranked = Ranking(self.ledger.scores)
        for rung in checked_rungs(halving, n_recipes, self.epochs, ranked):
            if rung.ends_others:
                self.dropped_lanes = [lane for lane in lanes if lane[0] not in rung.recipes]
            self._train_rung(lanes, rung, interrupted)
            if self.ledger.exchange_with_processes(bool(interrupted)):
                return
            if rung.epochs == self.epochs:
                finished.update(rung.recipes)
        self.dropped_lanes = [lane for lane in lanes if lane[0] not in finished]

    def plan_of(self, jobs: Sequence[Job]) -> Plan:
        """The plan of a sweep whose first rung trains these chunks."""
        splits = [split for split in self.data if split is not None]
        data_bytes = sum(array.nbytes for array in jax.tree.leaves(splits))
        return predict_plan(
            planned_sizes(jobs, self.planner.choices, self.data),
            self.ledger.lane_scores.size,
            self.epochs,
            data_bytes,
            self.runner.devices,
            self.planner.tune_plan,
        )

    def _train_rung(self, lanes: list[Lane], rung: Rung, interrupted: list[int]) -> None:
        """Train those of the lanes that are in a rung until they have had its epochs."""
        until, recipes = rung.epochs, set(rung.recipes)
        is_last_rung = until == self.epochs
        jobs = self.planner.jobs([lane for lane in lanes if lane[0] in recipes], until)
        if rung.ends_others:
            self.ledger.release_states()
        _wait_for_processes(f"jobs to epoch {until}", self.ledger.folder)
        if self.plan is None and (jobs or is_last_rung):
            self.plan = self.plan_of(jobs)
            self.progress.planned_seconds = self.plan.seconds
            if self.log is not None:
                self.log(str(self.plan))
        self.progress.add_jobs(jobs)
        for job, chunk in self.runner.run(jobs, self.progress, interrupted):
            program_sizes = job.spec.program_network.sizes
            self.ledger.add_chunk(job.lanes, program_sizes, chunk, keep_states=not is_last_rung)
            self.progress.add_result(job, chunk.result)


def _train(loop: _RungLoop, halving: Halving, order: Order) -> None:
    """Train all lanes, and write into the folder what the call asks for, and how it ended."""
    _write_call(loop.ledger, loop.epochs, order)
    with interruptible() as interrupted:
        loop.train(loop.ledger.lanes(), halving, interrupted)
        loop.progress.report(interrupted)
    if loop.dropped_lanes:
        _write_call(loop.ledger, loop.epochs, order, loop.dropped_lanes)


def _study(
    loop: _RungLoop, seconds: float, test: Split | None, order: Order, dtype: FloatType | None
) -> Study:
    """The study of a loop that has ended; it warns the caller of `sweep` of mixed versions."""
    plan = loop.plan or loop.plan_of([])  # interrupted before there was anything to do
    study = loop.ledger.study(
        epochs=loop.epochs,
        dropped_lanes=loop.dropped_lanes,
        plan=plan._replace(backed_off=loop.runner.n_bisections),
        seconds=seconds,
        data=loop.data,
        test=test,
        order=order,
        dtype=dtype,
    )
    _warn_of_versions(study)
    _warn_of_interruption(study)
    note_trained(plan)
    if loop.log is not None and plan.sizes and study.interruption is None:
        loop.log(plan.compared_with(seconds))
    return study


def _with_rules_metric(choices: Measured, settings: tuple[Setting, ...]) -> Measured:
    """The choices with the metric that all stopping rules have in common, if nothing else ranks."""
    rules = [setting.recipe.stopping for setting in settings]
    names = {None if rule is None else rule.metric for rule in rules}
    metric = names.pop()
    if choices.select_by is not None or names or metric not in dict(choices.metrics):
        return choices
    return replace(choices, select_by=metric)


def _evaluated_splits(
    evaluate_on: Sequence[EvaluatedSplit] | None, data: Dataset, has_folds: bool
) -> Sequence[EvaluatedSplit]:
    """The splits that were asked for, or the default ones, and the folds' test rows."""
    if evaluate_on is None:
        evaluate_on = ("training",) if data.valid is None else ("validation",)
    is_list = isinstance(evaluate_on, (tuple, list))  # anything else is refused later
    return (*evaluate_on, "test") if has_folds and is_list else evaluate_on


def _read_ledger(
    settings: tuple[Setting, ...],
    seeds: tuple[int, ...],
    store: Folder | None,
    choices: Measured,
    epochs: int,
    folds: list[list[LaneFold]] | None,
    starts: list[list[LaneStart]] | None,
) -> Ledger:
    """The ledger with the chunks of a folder, which have had no more than `epochs` epochs."""
    ledger = Ledger(settings, seeds, store, _with_rules_metric(choices, settings), folds, starts)
    _wait_for_processes("read", store)  # before any process writes
    most_epochs = ledger.most_epochs()
    if store is not None and most_epochs > epochs:
        raise ValueError(
            f"epochs is {epochs}, but networks of this study in {store.path} have had "
            f"{most_epochs} already; ask for as many or more, or choose another folder."
        )
    return ledger


def _progress(
    ledger: Ledger, on_progress: Callable[[SweepReport], None] | None, epochs: int
) -> Progress:
    """What counts the epochs to come, and notes their scores if somebody asks for reports."""
    curves = None if on_progress is None else ledger.score_curves(epochs)
    return Progress(ledger.lane_scores.size, on_progress, ledger.choices, curves)


def _warn_of_versions(study: Study) -> None:
    """Warn the caller of `sweep` of results that another version or kind of device made."""
    if len(study.origins) > 1:
        warnings.warn(
            f"the study mixes networks that were trained by {'; by '.join(map(str, study.origins))}"
            ": their results may differ in the last places.",
            stacklevel=5,
        )
    if _penalties_rank(study):
        warnings.warn(
            "the study holds networks of an older version of jaxnet, which kept no costs without "
            "penalties: their costs with penalties rank them. For others, train them again in "
            "another folder.",
            stacklevel=5,
        )


def _warn_of_interruption(study: Study) -> None:
    """Warn the caller of `sweep` that networks are missing, and say how to go on."""
    if study.interruption is None:
        return
    remedy = "make the same call again to go on"
    if study.source.folder is None:
        remedy = "the same call begins anew, and with a folder it would go on"
    message = f"the sweep was interrupted: {study.interruption}; {remedy}."
    warnings.warn(message, RuntimeWarning, stacklevel=outer_stacklevel())


def _penalties_rank(study: Study) -> bool:
    """Whether costs rank, and those of some networks are known with penalties only."""
    name = study.ranked_by
    if not name.endswith("data_cost") or name in study.history.metrics:
        return False  # metrics are younger than costs without penalties
    data_costs = np.asarray(getattr(study.history, name))
    costs = np.asarray(getattr(study.history, name.replace("data_cost", "cost")))
    is_unknown = (np.isfinite(costs) & np.isnan(data_costs)).any(axis=(1, 2))
    recipes = (setting.recipe for setting in study.settings)
    has_penalty = np.array([recipe.l1 is not None or recipe.l2 is not None for recipe in recipes])
    return bool(np.any(is_unknown & has_penalty))


def _loaded(net: Network | Sequence[Network], data: Data) -> Dataset:
    """The splits, loaded, and converted to arrays that the networks can read."""
    loaded = data() if callable(data) else data
    for first_net in as_list(net)[:1]:  # `checked_settings` refuses an empty list
        loaded = check_data(first_net, loaded)
        warn_if_doubtful(loaded, "the data")
    return loaded


def _runner(
    executor: TaskExecutor | None, net: Network | Sequence[Network], data: Data, loaded: Dataset
) -> ChunkRunner:
    """What trains the chunks: the devices of this process, or an executor's workers."""
    if executor is None:
        return LocalDevices(loaded)
    if not callable(data):
        return ExecutorWorkers(executor, loaded)
    has_test = loaded.test is not None
    to_load = ReadableData(as_list(net)[0], data, has_test, datasets.sha256(loaded))
    return ExecutorWorkers(executor, to_load)


def _write_call(
    ledger: Ledger,
    epochs: int,
    order: Order,
    dropped_lanes: Sequence[Lane] = (),
) -> None:
    """Write into the folder what this call asks for, and in the end how it ended."""
    if ledger.folder is None or jax.process_index():
        return
    n_folds, folds = ledger.n_folds or 1, ledger.folds
    groups = range(0, len(ledger.seeds), n_folds)
    call = SweepCall(
        settings=ledger.settings,
        seeds=tuple(ledger.seeds[group] for group in groups),
        epochs=epochs,
        measured=ledger.choices,
        order=order,
        folds=None if folds is None else [folds[group : group + n_folds] for group in groups],
        has_starts=ledger.starts is not None,
        dropped_lanes=tuple(dropped_lanes),
    )
    write_call(ledger.folder.path, call, ledger.descriptions)


def _wait_for_processes(point: str, store: Folder | None) -> None:
    """Wait until all processes that share a folder have come to this point of the program."""
    if store is not None and jax.process_count() > 1:
        multihost_utils.sync_global_devices(point)


def _description(data: Dataset, choices: Measured, order: Order) -> JsonObject:
    """The contents of study.json: equal in all calls for one folder."""
    description = {
        "format": FORMAT,
        "data": datasets.sha256(data),
        "monitor": list(choices.evaluate_on),
        "dtype": str(jax.dtypes.canonicalize_dtype(float)),
    }
    if choices.monitors is not None:
        description["monitors"] = repr(choices.monitors)
    if order != "shuffled":
        description["order"] = order
    return description | choices.settings()
