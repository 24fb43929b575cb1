"""Sweeps: hundreds of networks over recipes and seeds, several at a time in one program.

`sweep` cuts the lanes into chunks (`plans`), trains them (`lanes`) on all devices of this process,
of all processes, or by an executor's workers (`runners`), keeps each as soon as it is done
(`books`, `records`), and gathers a `Study` (`studies`).
"""

import dataclasses
import itertools
import operator
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any, SupportsIndex

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxnet import datasets, doors, plans, records, spaces
from jaxnet.books import Book
from jaxnet.driver import interruptible
from jaxnet.lanes import Outcome, Packing, Work, shared, train_chunk
from jaxnet.network import Network
from jaxnet.recipe import Recipe
from jaxnet.records import Folder, Lane, Record, Setting
from jaxnet.runners import Data, Elsewhere, Here, Job, Progress, SweepReport
from jaxnet.steps import TrainState
from jaxnet.studies import Study
from jaxnet.types import Dataset, count
from jaxnet.widths import fills, program_network


def sweep(
    net: Network | Sequence[Network],
    data: Data,
    recipe: Recipe | Sequence[Recipe],
    *,
    seeds: SupportsIndex | Sequence[int] = 1,
    epochs: SupportsIndex = 10,
    batch_size: SupportsIndex | Sequence[int] = 10,
    examples: SupportsIndex | Sequence[int] | None = None,
    monitor: Sequence[str] | None = None,
    folder: str | Path | None = None,
    executor: Executor | None = None,
    halving: SupportsIndex | None = None,
    tune_plan: bool = False,
    on_progress: Callable[[SweepReport], None] | None = None,
    say: Callable[[str], None] | None = print,
) -> Study:
    """Train many networks: every recipe under every seed, as many as fit together in one program.

    Each network is trained as `train` would train it alone: to 1e-9 in float64, and in float32 to
    the bits of any program of the same size (`Study.replay`).

    Args:
      net: the architecture, or several. Those that differ only in the widths of hidden layers may
        share a program; any other difference makes one for each.
      data: the splits; or a function that returns them, which an executor's workers call.
      recipe: how to train. Its numbers may be arrays, which zip (`grid` and `sample` make such
        recipes); or several recipes.
      seeds: how many, from 0, or which. All recipes under one seed start from the same weights
        (of a network) and see the same mini-batches.
      epochs: how many, at most.
      batch_size: examples per mini-batch; several make a program each.
      examples: train on so many of the training examples only; several make a program each.
      monitor: what to evaluate after each epoch, as for `train`. The training split would take
        about half an epoch: the default is "evaluation" alone, if the data has a validation split.
      folder: where to keep the study. The same call goes on where an earlier one ended; one with
        more seeds, recipes or epochs trains only what is missing.
      executor: where to train: any with `submit`, such as
        `concurrent.futures.ProcessPoolExecutor` or dask's `Client.get_executor()`. Without it, on
        all devices of this process: see `jaxnet.use_all_cores`.
      halving: successive halving: after 1/halving², 1/halving, … of the epochs only the best
        1/halving of the recipes, by the mean over seeds, go on, down to a single one if there
        are epochs enough.
      tune_plan: whether to time how many lanes make the best program, instead of calculating it.
      on_progress: called about twice a second with a `SweepReport`.
      say: what to call with the plan, in one line, before the start; `None` for silence.

    Returns:
      A `Study`. Ctrl-C ends it after the epoch (with an executor, after the chunks that its
      workers have begun): a study with a folder can go on from there.

    Raises:
      ValueError: network, data and settings do not fit together, or the folder holds another study.
      OSError: the folder cannot be written.

    >>> from jaxnet.optimizers import momentum
    >>> recipe = Recipe(momentum([0.1, 1.0], decay=0.5))
    >>> study = sweep(Network((2, 4, 2)), datasets.xor(), recipe, seeds=3, epochs=2, say=None)
    >>> study.history.evaluation_accuracy.shape, study.axes
    ((2, 3, 2), ('recipe', 'seed', 'epoch'))
    """
    began = time.perf_counter()
    loaded = data() if callable(data) else data
    if monitor is None:
        there = isinstance(loaded, Dataset) and loaded.valid is not None
        monitor = ("evaluation",) if there else ("training",)
    settings, seed_list = _expanded(
        net, loaded, recipe, seeds, epochs, batch_size, examples, monitor
    )
    epochs, monitor = operator.index(epochs), tuple(sorted(set(monitor)))
    rungs = _rungs(epochs, len(settings), halving)
    if len(rungs) > 1 and not monitor:
        raise ValueError('halving ranks by what is monitored; monitor "evaluation" or "training".')
    loaded = loaded._replace(test=None)
    store = None if folder is None else Folder(folder, _about(loaded, monitor))
    if len(rungs) > 1 and store is None and jax.process_count() > 1:
        raise ValueError("halving over several processes needs a folder that all of them see.")
    book = Book(settings, seed_list, store)
    _together("read", store)  # before any process writes
    left = list(np.ndindex(len(settings), len(seed_list)))
    if tune_plan and jax.process_count() > 1:
        raise ValueError("tune_plan is for one process: several might choose different sizes.")
    if (longest := book.longest()) > epochs:
        raise ValueError(
            f"epochs is {epochs}, but lanes of this study in {folder} have had {longest} already; "
            "ask for as many or more, or choose another folder."
        )
    work = partial(_jobs, book, loaded, monitor, tune_plan)
    progress = Progress(len(left), on_progress)
    runner = Here(loaded) if executor is None else Elsewhere(executor, data)
    n_bytes = sum(array.nbytes for split in loaded if split is not None for array in split)
    n_lanes = len(left)
    planned = lambda sizes: plans.predicted(
        sizes, n_lanes, epochs, n_bytes, runner.devices, tune_plan
    )
    plan, out = None, []
    with interruptible() as interrupted:
        for until in rungs:
            jobs = work(left, until, runner.devices)
            book.let_go()
            _together(f"jobs to epoch {until}", store)
            if plan is None and (jobs or until == epochs):
                plan = planned(_sizes(jobs))
                if say is not None:
                    say(str(plan))
            progress.expect(jobs)
            for job, outcome, states in runner.run(jobs, progress, interrupted):
                book.enter(job.lanes, job.work.program.sizes, outcome, states, until < epochs)
                progress.ended(job, outcome)
            if book.exchange(bool(interrupted)):
                break
            if until < epochs:
                stay = _survivors(book, left, until, count("halving", halving, low=2))
                out += [lane for lane in left if lane[0] not in stay]
                left = [lane for lane in left if lane[0] in stay]
    progress.report()
    if plan is None:  # interrupted before there was anything to do
        plan = planned([])
    plan = plan._replace(backed_off=runner.backed_off)
    return book.study(epochs, out, plan, time.perf_counter() - began, loaded, monitor)


def use_all_cores() -> int:
    """Make every core of the CPU a device of its own, so that a sweep trains on all of them.

    To be called before JAX begins to work: before the first array, and before `jax.devices()`.

    Returns:
      The number of devices.

    Raises:
      RuntimeError: JAX has begun already, with fewer devices.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        if jax.local_device_count("cpu") < cores:
            raise RuntimeError(
                f"JAX works with {jax.local_device_count('cpu')} CPU device(s) already; call "
                f"jaxnet.use_all_cores() right after the imports, before the first array, or set "
                f"JAX_NUM_CPU_DEVICES={cores} in the environment."
            ) from None
    return jax.local_device_count("cpu")


def _expanded(
    net: Any, data: Dataset, recipe: Any, seeds: Any, epochs: Any, batch_size: Any,
    examples: Any, monitor: Any,
) -> tuple[tuple[Setting, ...], tuple[int, ...]]:  # fmt: skip
    """All settings and seeds, checked: one after the other by network, sizes and recipe."""
    listing = (list, tuple, range, np.ndarray)
    several = lambda given: list(given) if isinstance(given, listing) else [given]
    nets, recipes = several(net), several(recipe)
    if not all(several(given) for given in (nets, recipes, batch_size, examples)):
        raise ValueError(
            "a sweep needs at least one network, one recipe, one batch size and one number of "
            "examples, not an empty list."
        )
    settings = []
    if not isinstance(data, Dataset):
        raise ValueError(f"data must be a Dataset, not {type(data).__name__}.")
    for net, size, n, recipe in itertools.product(
        nets, several(batch_size), several(examples), recipes
    ):
        n = len(data.train.x) if n is None else count("examples", n, 1, len(data.train.x) + 1)
        doors.check_recipe(recipe)
        scalars = spaces.rows(recipe)
        if not scalars:
            raise ValueError("the arrays of a recipe are empty: there is nothing to train.")
        doors.checked(net, records.examples(data, n), scalars[0], epochs, size, 0, None, monitor)
        settings += [Setting(net, one, operator.index(size), n) for one in scalars]
    listed = several(seeds) if isinstance(seeds, listing) else range(count("seeds", seeds, 1))
    listed = tuple(count("seeds", seed, 0, 2**32) for seed in listed)
    if not listed or len(set(listed)) < len(listed):
        raise ValueError(f"seeds must be one or more different numbers, not {seeds!r}.")
    return tuple(settings), listed


def _together(where: str, store: Folder | None) -> None:
    """Wait for the other processes, if there are any, and a folder that all read and write."""
    if store is not None and jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)


def _about(data: Dataset, monitor: tuple[str, ...]) -> dict[str, Any]:
    """What a folder is of: the same in every call."""
    return {
        "format": records.FORMAT,
        "data": datasets.sha256(data),
        "monitor": list(monitor),
        "dtype": str(jax.dtypes.canonicalize_dtype(float)),
    }


def _rungs(epochs: int, n: int, halving: SupportsIndex | None) -> list[int]:
    """The epochs after which recipes are ranked, the last ones included."""
    if halving is None:
        return [epochs]
    factor = count("halving", halving, low=2)
    n_rungs = 1
    while n > factor ** (n_rungs - 1) and epochs >= factor**n_rungs:
        n_rungs += 1
    return [epochs // factor**k for k in reversed(range(n_rungs))]


def _survivors(book: Book, left: list[Lane], until: int, factor: int) -> set[int]:
    """The best recipes after so many epochs, by the mean over seeds."""
    score = book.scores(until)
    recipes = sorted({recipe for recipe, _ in left}, key=lambda recipe: -score[recipe].mean())
    return set(recipes[: -(-len(recipes) // factor)])


def _jobs(
    book: Book,
    data: Dataset,
    monitor: tuple[str, ...],
    tune: bool,
    left: list[Lane],
    until: int,
    devices: Sequence[Any],
) -> list[Job]:
    """The chunks that are missing until these lanes have had so many epochs."""
    jobs = []
    # Lanes that begin, in programs as wide as they need, and those that leave a chunk. The former
    # are cut as if none were there, so that the same call, after a crash, has the same programs.
    apart: dict[tuple[tuple[int, ...], int] | None, list[Lane]] = {None: book.wanted(left)}
    for record, go_on in book.unfinished(left, until):
        if None not in book.members(record) and len(go_on) == record.outcome.alive().sum():
            jobs.append(_continued(book, record, until, monitor))
        else:
            apart.setdefault((record.program, record.length()), []).extend(go_on)
    for begun, lanes in apart.items():
        for group in _groups(book, lanes):
            setting = book.settings[group[0][0]]
            nets = [book.settings[recipe].network for recipe, _ in group]
            net, before = program_network(nets, setting.recipe), None
            if begun is not None:
                net, before = dataclasses.replace(net, sizes=begun[0]), book.gathered(group)
            together = max(Counter(seed for _, seed in group).values())
            most = plans.most_lanes(net, setting.recipe, setting.batch_size, together, devices[0])
            before_this = [r.outcome.places[0][0] for r in book.records if r.program == net.sizes]
            if tune and before_this:  # what was timed once stays
                most = before_this[0].groups * before_this[0].lanes
            elif tune:
                most = _tuned(book, group, net, data, most, monitor, devices[0])
            n_devices = len(devices) * jax.process_count()
            for some, shape in _cut(group, most, n_devices, devices[0].platform):
                if before is None:
                    some = [[lane for lane in one if lane not in book.where] for one in some]
                if any(some):
                    jobs.append(_job(book, some, shape, net, until, monitor, before))
    return jobs


def _sizes(jobs: list[Job]) -> list[plans.Size]:
    """The sizes of programs that train these chunks, each once."""
    first: dict[Any, Job] = {}
    counts: Counter[Any] = Counter()
    epochs: Counter[Any] = Counter()
    own: dict[Any, set[tuple[int, ...]]] = {}
    for job in jobs:
        work, (_, groups, lanes, _) = job.work, job.work.packings[-1]
        key = (work.program, work.batch_size, job.examples, groups, lanes)
        named = (key, jax.tree.structure(work.recipe))
        first.setdefault(named, job)
        counts[named] += 1
        epochs[named] += job.epochs()
        own.setdefault(named, set()).update(net.sizes for net in work.networks)
    found = []
    for (key, tree), n in counts.items():
        net, batch_size, examples, groups, lanes = key
        recipe = first[key, tree].work.recipe
        total = epochs[key, tree]
        mine = frozenset(own[key, tree])
        found.append(plans.Size(net, recipe, batch_size, examples, groups, lanes, n, total, mine))
    return found


def _groups(book: Book, lanes: list[Lane]) -> list[list[Lane]]:
    """Lanes that may share a program: all but numbers, seeds and some widths are the same."""
    found: dict[Any, list[Lane]] = {}
    for lane in lanes:
        net, recipe, batch_size, n = book.settings[lane[0]]
        # Dropout is drawn at true widths, and some rules and activations depend on them.
        exact = not fills(net, recipe) or recipe.dropout is not None
        hidden = net.sizes[1:-1] if exact else [1 << (w - 1).bit_length() for w in net.sizes[1:-1]]
        sizes = (net.sizes[0], *hidden, net.sizes[-1])
        alike = dataclasses.replace(net, sizes=sizes)
        key = (alike, jax.tree.structure(recipe), batch_size, n, exact)
        found.setdefault(key, []).append(lane)
    return list(found.values())


def _cut(
    lanes: list[Lane], most: int, devices: int, platform: str
) -> Iterator[tuple[list[list[Lane]], tuple[int, int]]]:
    """Chunks of lanes, a list for each seed, and the shape of each one's program."""
    by_seed: dict[int, list[int]] = {}
    for recipe, seed in lanes:
        by_seed.setdefault(seed, []).append(recipe)
    alike: dict[tuple[int, ...], list[int]] = {}
    for seed, recipes in by_seed.items():
        alike.setdefault(tuple(recipes), []).append(seed)
    for recipes, seeds in alike.items():
        shape = groups, wide = plans.rectangle(len(recipes), len(seeds), most, devices, platform)
        for s, r in itertools.product(range(0, len(seeds), groups), range(0, len(recipes), wide)):
            some = recipes[r : r + wide]
            yield [[(recipe, seed) for recipe in some] for seed in seeds[s : s + groups]], shape


def _tuned(
    book: Book,
    lanes: list[Lane],
    net: Network,
    data: Dataset,
    most: int,
    monitor: tuple[str, ...],
    device: Any,
) -> int:
    """Of half, once, twice and four times as many lanes, what trains most in a second."""
    setting = book.settings[lanes[0][0]]
    few = records.examples(data, min(setting.examples, 100 * setting.batch_size))
    few = jax.device_put(few._replace(valid=None if "training" in monitor else few.valid), device)
    rates: dict[int, float] = {most: 0.0}
    for n in sorted({max(1, most // 2), most, 2 * most, 4 * most}):
        some = [lanes[index % len(lanes)] for index in range(n)]
        seed = some[0][1]
        job = _job(book, [[(recipe, seed) for recipe, _ in some]], (1, n), net, 4, monitor, None)
        times = [time.perf_counter()]

        def tick(*_: Any, times: list[float] = times) -> bool:
            times.append(time.perf_counter())
            return False

        recipe = dataclasses.replace(job.work.recipe, stopping=None)
        work = job.work._replace(recipe=recipe, repack=False, keep_best=False)
        train_chunk(work, few, device, None, tick)
        if len(times) > 2:  # else all lanes diverged at once
            rates[n] = n / min(np.diff(times)[1:])
    return max(rates, key=lambda n: rates[n])


def _continued(book: Book, record: Record, until: int, monitor: tuple[str, ...]) -> Job:
    """A chunk that has had fewer epochs, in the program that it was in last."""
    lanes: Any = tuple(book.members(record))
    places = record.outcome.places
    epoch, groups, wide, _ = max(some[-1] for some in places)
    members = np.full(groups * wide, -1)
    for lane, some in enumerate(places):
        if some[-1][:3] == (epoch, groups, wide):
            members[some[-1].place] = lane
    packing = Packing(epoch, groups, wide, tuple(members.tolist()))
    before = (record.outcome, book.states(record))
    return _of(book, lanes, record.program, packing, until, monitor, before)


def _job(
    book: Book,
    groups: list[list[Lane]],
    shape: tuple[int, int],
    net: Network,
    until: int,
    monitor: tuple[str, ...],
    before: dict[Lane, Any] | None,
) -> Job:
    """A chunk of lanes in a program of this shape."""
    members = np.full(shape, -1)
    ends = np.cumsum([0, *map(len, groups)])
    for row, begin, end in zip(members, ends, ends[1:]):
        row[: end - begin] = np.arange(begin, end)
    lanes = tuple(lane for group in groups for lane in group)
    kept = None if before is None else records.joined([before[lane] for lane in lanes])
    epoch = 0 if kept is None else kept[0].history.training_cost.shape[1]
    packing = Packing(epoch, *shape, tuple(members.ravel().tolist()))
    return _of(book, lanes, net.sizes, packing, until, monitor, kept)


def _of(
    book: Book,
    lanes: tuple[Lane, ...],
    sizes: tuple[int, ...],
    packing: Packing,
    until: int,
    monitor: tuple[str, ...],
    before: tuple[Outcome, TrainState] | None,
) -> Job:
    """The job of training these lanes in a program of these sizes."""
    settings = [book.settings[recipe] for recipe, _ in lanes]
    first = settings[0]
    stacked = jax.tree.map(lambda *n: np.stack(n), *(setting.recipe for setting in settings))
    stops = first.recipe.stopping is not None
    work = Work(
        tuple(setting.network for setting in settings),
        shared(stacked),
        tuple(book.seeds[seed] for _, seed in lanes),
        dataclasses.replace(first.network, sizes=sizes),
        (packing,),
        first.batch_size,
        until,
        monitor,
        repack=stops,
        keep_best=stops,
    )
    return Job(work, lanes, first.examples, before)
