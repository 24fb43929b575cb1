"""Executors: who trains the chunks of a sweep: the devices of this process, or another's workers.

A chunk is idempotent: trained twice, on any device of a kind, it gives the same bits. On a CPU a
program uses one thread, whatever the machine has. So it does not matter which worker takes it, and
one that dies costs only the time.
"""

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.core.types import Dataset, History
from jaxnet.sweeps.chunk import ChunkResult, ChunkSpec, train_chunk
from jaxnet.sweeps.layout import Layout
from jaxnet.sweeps.store import Lane, first_examples, part_of_chunk, ranked
from jaxnet.training.step import TrainState

Data = Dataset | Callable[[], Dataset]
Done = tuple["Job", ChunkResult, TrainState]
INTERVAL = 0.5
"""Seconds between two reports of progress."""


class Job(NamedTuple):
    """A chunk to train, and what of it is there already."""

    spec: ChunkSpec
    lanes: tuple[Lane, ...]
    """By their places on the axes recipe and seed."""
    examples: int
    before: tuple[ChunkResult, TrainState] | None

    def epochs(self) -> int:
        """The epochs of lanes that it will take, if none ends early."""
        begun = 0 if self.before is None else self.before[0].history.training_cost.shape[1]
        return len(self.lanes) * (self.spec.epochs - begun)


class SweepReport(NamedTuple):
    """What `sweep` tells `on_progress`."""

    lanes: int
    """All that there are."""
    done: int
    """Those that have ended, in this call or before."""
    alive: int
    """Those that are being trained."""
    frozen: int
    """Those that diverged."""
    best: float
    """The highest score so far: see `Study.score`."""
    trained: int
    """Epochs of lanes, in this call."""
    total: int
    """What that will be at the end, if no lane ends early."""
    seconds: float


class Progress:
    """Counts what the chunks report, from all threads."""

    def __init__(self, lanes: int, on_progress: Callable[[SweepReport], None] | None) -> None:
        self.lanes, self.call = lanes, on_progress
        self.began = time.perf_counter()
        self.total = self.trained = self.done = self.frozen = 0
        self.best = -np.inf
        self.running: dict[int, int] = {}
        self.lock = threading.Lock()

    def expect(self, jobs: Sequence[Job]) -> None:
        """More chunks are to come."""
        with self.lock:
            mine = jobs[jax.process_index() :: jax.process_count()]
            self.total += sum(job.epochs() for job in mine)
            self.done = self.lanes - sum(len(job.lanes) for job in jobs)

    def epoch(self, job: Job, history: np.ndarray, alive: np.ndarray) -> None:
        """A chunk has had another epoch."""
        with self.lock:
            self.trained += len(alive)
            self.running[id(job)] = int(alive.sum())
            newest = History(*history[:, :, -1:])
            score = ranked(newest, np.ones(len(alive), int), ~alive)
            self.best = max(self.best, score.max())

    def ended(self, job: Job, result: ChunkResult) -> None:
        """A chunk is done."""
        with self.lock:
            if self.running.pop(id(job), None) is None:  # it was trained elsewhere
                self.trained += job.epochs()
                score = ranked(result.history, result.epochs, result.diverged_epoch)
                self.best = max(self.best, score.max())
            self.done += len(job.lanes)
            before = 0 if job.before is None else np.count_nonzero(job.before[0].diverged_epoch)
            self.frozen += int(np.count_nonzero(result.diverged_epoch) - before)

    def report(self) -> None:
        """Tell the caller."""
        if self.call is not None:
            with self.lock:
                alive = sum(self.running.values())
                told = SweepReport(
                    self.lanes, self.done, alive, self.frozen, float(self.best), self.trained,
                    self.total, time.perf_counter() - self.began,
                )  # fmt: skip
            self.call(told)


class LocalDevices:
    """All devices of this process: a thread each takes one chunk after the other."""

    def __init__(self, data: Dataset) -> None:
        self.data, self.devices = data, jax.local_devices()
        self.backed_off = 0
        self._there: dict[Any, Dataset] = {}

    def run(self, jobs: list[Job], progress: Progress, interrupted: list[int]) -> Iterator[Done]:
        """Train them, in whatever order they end."""
        mine = jobs[jax.process_index() :: jax.process_count()]
        free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for device in self.devices:
            free.put(device)

        wide = _wide()  # threads do not inherit what `jax.enable_x64` says

        def train(job: Job) -> list[Done]:
            device = free.get()
            try:
                with jax.enable_x64(wide):
                    return [] if interrupted else self._trained(job, device, progress, interrupted)
            finally:
                free.put(device)

        with ThreadPoolExecutor(len(self.devices)) as pool:
            try:
                yield from _collected({pool.submit(train, job) for job in mine}, progress)
            except BaseException:
                interrupted.append(0)  # end the chunks in progress after their epoch
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _trained(
        self, job: Job, device: Any, progress: Progress, interrupted: list[int]
    ) -> list[Done]:
        def told(_: int, history: np.ndarray, alive: np.ndarray) -> bool:
            progress.epoch(job, history, alive)
            return bool(interrupted)

        try:
            data = self._on(device, job.examples)
            return [(job, *train_chunk(job.spec, data, device, job.before, told))]
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            short = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
            if not short or len(job.lanes) == 1:
                raise
        self.backed_off += 1
        return [
            done
            for half in bisect_chunk(job)
            for done in self._trained(half, device, progress, interrupted)
        ]

    def _on(self, device: Any, n: int) -> Dataset:
        if (device, n) not in self._there:
            self._there[device, n] = jax.device_put(first_examples(self.data, n), device)
        return self._there[device, n]


class ExecutorWorkers:
    """An executor's workers, each of which trains on its first device."""

    def __init__(self, executor: Executor, data: Data) -> None:
        self.executor, self.data, self.backed_off = executor, data, 0
        client = getattr(executor, "_client", None)  # dask's
        workers = getattr(executor, "_max_workers", 1) if client is None else len(client.nthreads())
        self.devices = jax.local_devices()[:1] * max(1, workers)

    def run(self, jobs: list[Job], progress: Progress, interrupted: list[int]) -> Iterator[Done]:
        """Train them, in whatever order they end."""
        wide = _wide()
        futures: set[Any] = set()
        try:
            futures |= {self.executor.submit(_remote, job, self.data, wide) for job in jobs}
            for done in _collected(futures, progress):
                yield done
                if interrupted:  # those in progress are still taken up
                    futures -= {future for future in futures if future.cancel()}
        except BrokenExecutor as error:
            raise RuntimeError(
                f"the executor lost its workers ({error}); with a folder, the same call goes on."
            ) from None
        finally:
            for future in futures:
                future.cancel()


def bisect_chunk(job: Job) -> list[Job]:
    """The same lanes in two chunks of half the size."""
    middle = -(-len(job.lanes) // 2)
    found = []
    for part in (slice(0, middle), slice(middle, None)):
        spec, lanes = job.spec, job.lanes[part]
        seeds = spec.seeds[part]
        before = None if job.before is None else part_of_chunk(job.before, part)
        alive = [True] * len(seeds) if before is None else before[0].alive()
        if not any(alive):
            continue
        groups = [
            [row for row, seed in enumerate(seeds) if seed == given and alive[row]]
            for given in dict.fromkeys(seed for seed, lives in zip(seeds, alive) if lives)
        ]
        members = np.full((len(groups), max(map(len, groups))), -1)
        for place, group in zip(members, groups, strict=True):
            place[: len(group)] = group
        begun = 0 if before is None else before[0].history.training_cost.shape[1]
        layout = Layout(begun, *members.shape, tuple(members.ravel().tolist()))
        spec = spec._replace(
            networks=spec.networks[part],
            recipes=spec.recipes.part(part),
            seeds=seeds,
            layouts=(layout,),
        )
        found.append(Job(spec, lanes, job.examples, before))
    return found


def _collected(left: set[Any], progress: Progress) -> Iterator[Done]:
    """What futures give, as they end; each is let go then, and what it holds with it."""
    while left:
        ended, _ = wait(left, INTERVAL, FIRST_COMPLETED)
        while ended:
            future = ended.pop()
            left.discard(future)
            yield from future.result()
        progress.report()


def _wide() -> bool:
    return jax.dtypes.canonicalize_dtype(float).itemsize == 8


def _remote(job: Job, data: Data, x64: bool) -> list[Done]:
    """Train a chunk in a worker's process, which leaves Ctrl-C to the one that asked for it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with jax.enable_x64(x64):
        whole = _loaded(data) if callable(data) else data
        return [
            (job, *train_chunk(job.spec, first_examples(whole, job.examples), None, job.before))
        ]


@lru_cache(maxsize=1)
def _loaded(data: Callable[[], Dataset]) -> Dataset:
    return data()._replace(test=None)
