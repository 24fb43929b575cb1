"""Executors: train the chunks of a sweep on the devices of this process, or by other workers.

A chunk is idempotent: trained twice, on any device of a kind, it gives the same bits. On a CPU a
program uses one thread, whatever the machine has. So it does not matter which worker takes it, and
one that dies costs only the time.
"""

import queue
import signal
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import numpy as np

from jaxnet.core.arguments import brief
from jaxnet.core.checks import check_data
from jaxnet.core.deprecation import warn_renamed
from jaxnet.core.dtypes import unshared, uses_float64
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, Device, History
from jaxnet.data import datasets
from jaxnet.sweeps.chunk import ChunkResult, ChunkSpec, TrainedChunk, train_chunk
from jaxnet.sweeps.layout import layout_of
from jaxnet.sweeps.ranking import ranking_scores
from jaxnet.sweeps.score_curves import ScoreCurves
from jaxnet.sweeps.store import Lane, first_examples, select_lanes
from jaxnet.training.measured import Measured

Data = Dataset | Callable[[], Dataset]
"""The splits, or a function that returns them."""
REPORT_SECONDS = 0.5
"""Seconds between two reports of progress."""

_Result = TypeVar("_Result")


@runtime_checkable
class TaskExecutor(Protocol):
    """What `sweep(executor=)` takes: an object that runs functions elsewhere, by `submit`.

    Examples are `concurrent.futures.ProcessPoolExecutor` and dask's `Client.get_executor()`.
    """

    def submit(self, fn: Callable[..., _Result], /, *args: object) -> Future[_Result]:
        """Start `fn(*args)` in a worker, and return its future at once.

        Args:
          fn: a picklable function.
          args: its picklable arguments.
        """
        ...


class Job(NamedTuple):
    """A chunk to train, from its start or from where an earlier call ended."""

    spec: ChunkSpec
    """The lanes, and how long to train them."""
    lanes: tuple[Lane, ...]
    """The place of each lane on the study's axes recipe and seed."""
    n_examples: int
    """Training examples, from the first on."""
    before: TrainedChunk | None
    """The results and states to go on from, or None to start."""

    @property
    def n_epochs_before(self) -> int:
        """Epochs that the lanes have had."""
        return 0 if self.before is None else self.before.n_epochs

    @property
    def n_lane_epochs(self) -> int:
        """The epochs of all lanes together that the job takes, if none ends early."""
        return len(self.lanes) * (self.spec.epochs - self.n_epochs_before)


class FinishedJob(NamedTuple):
    """A job whose chunk was trained."""

    job: Job
    """The job as it was trained; a job that needed too much memory ends as two of half its size."""
    chunk: TrainedChunk
    """Its results and last states."""


class SweepReport(NamedTuple):
    """The progress of a sweep, which `sweep` passes to `on_progress` about twice a second.

    Attributes:
      lanes: networks of the whole sweep.
      done: networks that have ended, in this call or before.
      training: networks that are being trained.
      diverged: networks that diverged in this call: they keep the parameters of an epoch before.
      best: the highest score of any network so far: see `Study.score`. It is −∞ before the first
        epoch has ended.
      trained: epochs trained by this process in this call, of all its networks together.
      total: the value that `trained` has at the end, if no network ends early.
      seconds: seconds since the training began.
      interrupted: whether Ctrl-C has asked for an end: networks end after their present epoch.
      planned: the seconds that the plan expects, compiling included; 0 before there is one.
      first_epoch: seconds until an epoch of this process had ended, most of them to compile; 0
        before it.
      evaluating: whether all networks are trained, and a comparison evaluates them.
      curves: the scores of the networks after each epoch so far, which go on being filled: an
        object with `settings`, with `values` of shape (settings, networks of a setting, epochs),
        NaN for epochs to come, with the `name` of their curve, and with `best()`. None in a report
        that no sweep has made.

    >>> import jaxnet as jn
    >>> reports = []
    >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd([0.1, 1.0])),
    ...                  epochs=2, on_progress=reports.append, log=None)
    >>> reports[-1].done, reports[-1].trained, reports[-1].total
    (2, 4, 4)
    """

    lanes: int
    done: int
    training: int
    diverged: int
    best: float
    trained: int
    total: int
    seconds: float
    interrupted: bool = False
    planned: float = 0.0
    first_epoch: float = 0.0
    evaluating: bool = False
    curves: ScoreCurves | None = None

    @property
    def alive(self) -> int:
        """The old name of `training`."""
        warn_renamed("SweepReport.alive", "SweepReport.training")
        return self.training

    @property
    def frozen(self) -> int:
        """The old name of `diverged`."""
        warn_renamed("SweepReport.frozen", "SweepReport.diverged")
        return self.diverged


class Progress:
    """Counts what the chunks report, from all threads, and passes it on as `SweepReport`s.

    Args:
      n_lanes: networks of the whole sweep.
      on_progress: called by `report`, or None.
      choices: what the networks measure, and what ranks them.
      curves: the scores of networks that were trained before, where those to come are noted; None
        notes none.
    """

    def __init__(
        self,
        n_lanes: int,
        on_progress: Callable[[SweepReport], None] | None,
        choices: Measured,
        curves: ScoreCurves | None = None,
    ) -> None:
        self.n_lanes, self.on_progress, self.choices = n_lanes, on_progress, choices
        self.curves = curves
        self.start_time = time.perf_counter()
        self.n_lane_epochs_expected = self.n_lane_epochs_trained = 0
        self.n_ended = self.n_diverged = 0
        self.best_score = -np.inf
        self.planned_seconds = self.first_epoch_seconds = 0.0
        self.n_alive_by_job: dict[int, int] = {}
        self.lock = threading.Lock()

    def add_jobs(self, jobs: Sequence[Job]) -> None:
        """Expect more chunks; all lanes that are in none of them count as ended."""
        with self.lock:
            jobs_of_process = jobs[jax.process_index() :: jax.process_count()]
            self.n_lane_epochs_expected += sum(job.n_lane_epochs for job in jobs_of_process)
            self.n_ended = self.n_lanes - sum(len(job.lanes) for job in jobs)

    def add_epoch(self, job: Job, curves: np.ndarray, alive: np.ndarray) -> None:
        """Count an epoch of a job that is being trained in this process.

        Args:
          job: the job.
          curves: its curves so far, (curves, lanes, epochs).
          alive: whether each of its lanes is still trained.
        """
        with self.lock:
            n_lanes = len(alive)
            if not self.first_epoch_seconds:
                self.first_epoch_seconds = time.perf_counter() - self.start_time
            self.n_lane_epochs_trained += n_lanes
            self.n_alive_by_job[id(job)] = int(alive.sum())
            # NaN for a lane that ended before
            newest = History.from_array(curves[:, :, -1:], self.choices.metric_names)
            scores = ranking_scores(
                newest, np.ones(n_lanes, int), np.zeros(n_lanes, bool), self.choices.rank_by
            )
            self.best_score = max(self.best_score, scores.max())
            if self.curves is not None:
                self.curves.add(job.lanes, newest, until=curves.shape[-1])

    def add_result(self, job: Job, result: ChunkResult) -> None:
        """Count a job that has ended."""
        with self.lock:
            if self.n_alive_by_job.pop(id(job), None) is None:  # a worker trained it
                self.n_lane_epochs_trained += job.n_lane_epochs
                scores = ranking_scores(
                    result.history, result.best_epoch, result.diverged_epoch, self.choices.rank_by
                )
                self.best_score = max(self.best_score, scores.max())
            n_epochs = result.history.training_cost.shape[1]
            goes_on = n_epochs < job.spec.epochs  # after Ctrl-C
            if self.curves is not None:
                diverged = result.diverged_epoch > 0
                self.curves.add(job.lanes, result.history, until=n_epochs, diverged=diverged)
            self.n_ended += len(job.lanes) - int(goes_on and result.alive().sum())
            n_diverged_before = (
                0 if job.before is None else np.count_nonzero(job.before.result.diverged_epoch)
            )
            self.n_diverged += int(np.count_nonzero(result.diverged_epoch) - n_diverged_before)

    def report(self, interrupted: list[int]) -> None:
        """Call `on_progress` with the progress so far.

        Args:
          interrupted: not empty once the user has asked for an end, as `on_progress` does by a
            KeyboardInterrupt.
        """
        if self.on_progress is None:
            return
        with self.lock:
            report = SweepReport(
                lanes=self.n_lanes,
                done=self.n_ended,
                training=sum(self.n_alive_by_job.values()),
                diverged=self.n_diverged,
                best=float(self.best_score),
                trained=self.n_lane_epochs_trained,
                total=self.n_lane_epochs_expected,
                seconds=time.perf_counter() - self.start_time,
                interrupted=bool(interrupted),
                planned=self.planned_seconds,
                first_epoch=self.first_epoch_seconds,
                curves=self.curves,
            )
        try:
            self.on_progress(report)
        except KeyboardInterrupt:
            interrupted.append(signal.SIGINT)


@runtime_checkable
class ChunkRunner(Protocol):
    """Trains jobs: on the devices of this process, or by an executor's workers.

    Attributes:
      devices: one device for each job that can be trained at the same time.
      n_bisections: how often a chunk was bisected because memory ran out.
    """

    devices: list[Device]
    n_bisections: int

    def run(
        self, jobs: Sequence[Job], progress: Progress, interrupted: list[int]
    ) -> Iterator[FinishedJob]:
        """Train jobs, and yield each as soon as it has ended.

        Args:
          jobs: the jobs of all processes.
          progress: told of every epoch and report.
          interrupted: not empty once the user has asked for an end.
        """
        ...


class LocalDevices:
    """Trains jobs on all devices of this process: one thread per device.

    Args:
      data: the splits.
    """

    def __init__(self, data: Dataset) -> None:
        self.data, self.devices = data, jax.local_devices()
        self.n_bisections = 0
        self._data_on_device: dict[tuple[Device, int], Dataset] = {}

    def run(
        self, jobs: Sequence[Job], progress: Progress, interrupted: list[int]
    ) -> Iterator[FinishedJob]:
        """Train this process's share of the jobs; see `ChunkRunner.run`."""
        jobs_of_process = jobs[jax.process_index() :: jax.process_count()]
        free_devices: queue.SimpleQueue[Device] = queue.SimpleQueue()
        for device in self.devices:
            free_devices.put(device)
        x64 = uses_float64()  # threads do not inherit what `jax.enable_x64` says

        def train(job: Job) -> list[FinishedJob]:
            device = free_devices.get()
            try:
                with jax.enable_x64(x64):
                    return [] if interrupted else self._train(job, device, progress, interrupted)
            finally:
                free_devices.put(device)

        with ThreadPoolExecutor(len(self.devices)) as pool:
            try:
                futures = {pool.submit(train, job) for job in jobs_of_process}
                yield from _results_as_they_end(futures, progress, interrupted)
            except BaseException:
                interrupted.append(0)  # end the chunks in progress after their epoch
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _train(
        self, job: Job, device: Device, progress: Progress, interrupted: list[int]
    ) -> list[FinishedJob]:
        """Train a job on a device, in halves if it needs too much memory."""

        def on_epoch(_: int, curves: np.ndarray, alive: np.ndarray) -> bool:
            progress.add_epoch(job, curves, alive)
            return bool(interrupted)

        try:
            data = self._load_data(device, job.n_examples)
            return [FinishedJob(job, train_chunk(job.spec, data, device, job.before, on_epoch))]
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            is_memory = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
            if not is_memory or len(job.lanes) == 1:
                raise
        self.n_bisections += 1
        return [
            finished
            for half in bisect_chunk(job)
            for finished in self._train(half, device, progress, interrupted)
        ]

    def _load_data(self, device: Device, n_examples: int) -> Dataset:
        """The data on a device, copied there once."""
        if (device, n_examples) not in self._data_on_device:
            data = first_examples(self.data, n_examples)
            self._data_on_device[device, n_examples] = jax.device_put(unshared(data), device)
        return self._data_on_device[device, n_examples]


def _check_executor(executor: object) -> None:
    """Refuse what has no `submit`, and processes that are forked, in which JAX hangs."""
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise ValueError(
            "executor must be an object with submit, such as "
            f"concurrent.futures.ProcessPoolExecutor(…), not {brief(executor)}."
        )
    # The standard library's executor has its context under the first name, loky's under the other.
    context = getattr(executor, "_mp_context", getattr(executor, "_context", None))
    get_start_method = getattr(context, "get_start_method", None)
    if get_start_method is not None and get_start_method() == "fork":
        raise ValueError(
            "the executor forks its processes, in which JAX would hang; give it "
            'mp_context=multiprocessing.get_context("spawn").'
        )


@dataclass(frozen=True)
class ReadableData:
    """A function that loads a data set, and converts it to arrays that a network can read.

    Args:
      network: a network that the data has to fit.
      load: returns the splits.
      has_test: whether the test split is evaluated; otherwise it is left out.
      sha256: the SHA-256 of the data that the sweep itself has loaded. Workers keep the data by
        it, too, since a function may return other data in a later sweep.
    """

    network: Network
    load: Callable[[], Dataset]
    has_test: bool
    sha256: str

    def __call__(self) -> Dataset:
        """The data set.

        Raises:
          ValueError: it is not the one that the sweep has loaded.
        """
        data = check_data(self.network, self.load())
        data = data if self.has_test else data._replace(test=None)
        if datasets.sha256(data) != self.sha256:
            name = getattr(self.load, "__name__", brief(self.load))
            raise ValueError(
                f"the function data, {name}, returned other data in a worker than in the process "
                "that called sweep; make it deterministic, or pass the data themselves."
            )
        return data


class ExecutorWorkers:
    """Trains jobs by an executor's workers, each of which uses its first device.

    Args:
      executor: runs the jobs.
      data: the splits, or what loads them, which each worker calls once.
    """

    def __init__(self, executor: TaskExecutor, data: Dataset | ReadableData) -> None:
        _check_executor(executor)
        self.executor, self.data, self.n_bisections = executor, data, 0
        dask_client = getattr(executor, "_client", None)
        if dask_client is not None:
            n_workers = len(dask_client.nthreads())
        else:
            n_workers = getattr(executor, "_max_workers", 1)
        self.devices = jax.local_devices()[:1] * max(1, n_workers)

    def run(
        self, jobs: Sequence[Job], progress: Progress, interrupted: list[int]
    ) -> Iterator[FinishedJob]:
        """Train the jobs; see `ChunkRunner.run`.

        Raises:
          RuntimeError: the executor lost its workers.
        """
        x64 = uses_float64()
        futures: set[Future[list[FinishedJob]]] = set()
        try:
            futures |= {self.executor.submit(_train_in_worker, job, self.data, x64) for job in jobs}
            yield from _results_as_they_end(futures, progress, interrupted)
        except BrokenExecutor as error:
            raise RuntimeError(
                f"the executor lost its workers ({error}); if sweep was given a folder, "
                "make the same call again to continue."
            ) from None
        finally:
            for future in futures:
                future.cancel()


def bisect_chunk(job: Job) -> list[Job]:
    """The lanes of a job as two jobs of half its size, without a half that has nothing to train.

    Args:
      job: a job of two or more lanes.
    """
    middle = -(-len(job.lanes) // 2)
    halves = [_part_of_job(job, rows) for rows in (slice(0, middle), slice(middle, None))]
    return [half for half in halves if half is not None]


def _part_of_job(job: Job, rows: slice) -> Job | None:
    """A job for these lanes alone, in the smallest program that holds them; None if all ended."""
    spec = job.spec.of_rows(rows)
    before = None if job.before is None else select_lanes(job.before, rows)
    alive = np.ones(len(spec.seeds), bool) if before is None else before.result.alive()
    if not alive.any():
        return None
    rows_by_group: dict[Hashable, list[int]] = {}
    for row in np.flatnonzero(alive).tolist():
        rows_by_group.setdefault(spec.groups[row], []).append(row)
    groups = list(rows_by_group.values())
    shape = len(groups), max(map(len, groups))
    layout = layout_of(groups, shape, 0 if before is None else before.n_epochs)
    return Job(spec._replace(layouts=(layout,)), job.lanes[rows], job.n_examples, before)


def _results_as_they_end(
    futures: set[Future[list[FinishedJob]]], progress: Progress, interrupted: list[int]
) -> Iterator[FinishedJob]:
    """The results of futures as they end; each is removed then, so that its memory is freed.

    After an interruption, or an exception of a job or of `on_progress`, no further job begins. The
    results of those in progress are still taken, and then the first exception is raised.
    """
    failure: Exception | None = None
    while futures:
        ended, _ = wait(futures, REPORT_SECONDS, FIRST_COMPLETED)
        try:
            while ended:
                future = ended.pop()
                futures.discard(future)
                yield from future.result()
            progress.report(interrupted)
        except Exception as error:
            failure = failure or error
            interrupted.append(0)
        if interrupted:
            futures -= {future for future in futures if future.cancel()}
    if failure is not None:
        raise failure


def _train_in_worker(job: Job, data: Dataset | ReadableData, x64: bool) -> list[FinishedJob]:
    """Train a job in a worker's process, which leaves Ctrl-C to the process that asked for it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with jax.enable_x64(x64):
        whole = _load_data(data) if callable(data) else data
        part = first_examples(whole, job.n_examples)
        return [FinishedJob(job, train_chunk(job.spec, part, None, job.before))]


@lru_cache(maxsize=1)
def _load_data(data: ReadableData) -> Dataset:
    """The data of a sweep, loaded once per worker."""
    return data()
