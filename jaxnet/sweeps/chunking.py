"""Which lanes are trained together: from what is missing of a sweep to chunks."""

import dataclasses
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxnet.acceleration.padding import can_pad, program_network
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.sweeps import chunk_sizes, planning, store
from jaxnet.sweeps.chunk import ChunkResult, ChunkSpec, train_chunk
from jaxnet.sweeps.executors import Job
from jaxnet.sweeps.layout import Layout
from jaxnet.sweeps.ledger import Ledger
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.store import Lane, Record
from jaxnet.training.step import TrainState


def jobs_to_train(
    ledger: Ledger,
    data: Dataset,
    evaluate_on: tuple[str, ...],
    tune: bool,
    left: list[Lane],
    until: int,
    devices: Sequence[Any],
) -> list[Job]:
    """The chunks that are missing until these lanes have had so many epochs."""
    jobs = []
    # Lanes that begin, in programs as wide as they need, and those that leave a chunk. The former
    # are cut as if none were there, so that the same call, after a crash, has the same programs.
    apart: dict[tuple[tuple[int, ...], int] | None, list[Lane]] = {None: ledger.wanted(left)}
    for record, go_on in ledger.unfinished(left, until):
        if None not in ledger.members(record) and len(go_on) == record.result.alive().sum():
            jobs.append(_continued(ledger, record, until, evaluate_on))
        else:
            apart.setdefault((record.program, record.length()), []).extend(go_on)
    for begun, lanes in apart.items():
        for group in _groups(ledger, lanes):
            setting = ledger.settings[group[0][0]]
            nets = [ledger.settings[recipe].network for recipe, _ in group]
            net, before = program_network(nets, setting.recipe), None
            if begun is not None:
                net, before = dataclasses.replace(net, sizes=begun[0]), ledger.gathered(group)
            together = max(Counter(seed for _, seed in group).values())
            most = chunk_sizes.most_lanes(
                net, setting.recipe, setting.batch_size, together, devices[0]
            )
            before_this = [r.result.places[0][0] for r in ledger.records if r.program == net.sizes]
            if tune and before_this:  # what was timed once stays
                most = before_this[0].groups * before_this[0].lanes
            elif tune:
                most = _tuned(ledger, group, net, data, most, evaluate_on, devices[0])
            n_devices = len(devices) * jax.process_count()
            for some, shape in _cut(group, most, n_devices, devices[0].platform):
                if before is None:
                    some = [[lane for lane in one if lane not in ledger.where] for one in some]
                if any(some):
                    jobs.append(_job(ledger, some, shape, net, until, evaluate_on, before))
    return jobs


def program_sizes(jobs: list[Job]) -> list[planning.Size]:
    """The sizes of programs that train these chunks, each once."""
    first: dict[Any, Job] = {}
    counts: Counter[Any] = Counter()
    epochs: Counter[Any] = Counter()
    own: dict[Any, set[tuple[int, ...]]] = {}
    for job in jobs:
        spec, (_, groups, lanes, _) = job.spec, job.spec.layouts[-1]
        key = (spec.program, spec.batch_size, job.examples, groups, lanes)
        named = (key, jax.tree.structure(spec.recipes.recipe))
        first.setdefault(named, job)
        counts[named] += 1
        epochs[named] += job.epochs()
        own.setdefault(named, set()).update(net.sizes for net in spec.networks)
    found = []
    for (key, tree), n in counts.items():
        net, batch_size, examples, groups, lanes = key
        recipe = first[key, tree].spec.recipes.recipe
        total = epochs[key, tree]
        mine = frozenset(own[key, tree])
        found.append(
            planning.Size(net, recipe, batch_size, examples, groups, lanes, n, total, mine)
        )
    return found


def _groups(ledger: Ledger, lanes: list[Lane]) -> list[list[Lane]]:
    """Lanes that may share a program: all but numbers, seeds and some widths are the same."""
    found: dict[Any, list[Lane]] = {}
    for lane in lanes:
        net, recipe, batch_size, n = ledger.settings[lane[0]]
        # Dropout is drawn at true widths, and some rules and activations depend on them.
        exact = not can_pad(net, recipe) or recipe.dropout is not None
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
        shape = chunk_sizes.rectangle(len(recipes), len(seeds), most, devices, platform)
        groups, wide = shape
        for s, r in itertools.product(range(0, len(seeds), groups), range(0, len(recipes), wide)):
            some = recipes[r : r + wide]
            yield [[(recipe, seed) for recipe in some] for seed in seeds[s : s + groups]], shape


def _tuned(
    ledger: Ledger,
    lanes: list[Lane],
    net: Network,
    data: Dataset,
    most: int,
    evaluate_on: tuple[str, ...],
    device: Any,
) -> int:
    """Of half, once, twice and four times as many lanes, what trains most in a second."""
    setting = ledger.settings[lanes[0][0]]
    few = store.first_examples(data, min(setting.examples, 100 * setting.batch_size))
    few = jax.device_put(
        few._replace(valid=None if "training" in evaluate_on else few.valid), device
    )
    rates: dict[int, float] = {most: 0.0}
    for n in sorted({max(1, most // 2), most, 2 * most, 4 * most}):
        some = [lanes[index % len(lanes)] for index in range(n)]
        seed = some[0][1]
        job = _job(
            ledger, [[(recipe, seed) for recipe, _ in some]], (1, n), net, 4, evaluate_on, None
        )
        times = [time.perf_counter()]

        def tick(*_: Any, times: list[float] = times) -> bool:
            times.append(time.perf_counter())
            return False

        recipe = dataclasses.replace(job.spec.recipes.recipe, stopping=None)
        spec = job.spec._replace(recipes=RecipeBatch(recipe), repack=False, keep_best=False)
        train_chunk(spec, few, device, None, tick)
        if len(times) > 2:  # else all lanes diverged at once
            rates[n] = n / min(np.diff(times)[1:])
    return max(rates, key=lambda n: rates[n])


def _continued(ledger: Ledger, record: Record, until: int, evaluate_on: tuple[str, ...]) -> Job:
    """A chunk that has had fewer epochs, in the program that it was in last."""
    lanes: Any = tuple(ledger.members(record))
    places = record.result.places
    epoch, groups, wide, _ = max(some[-1] for some in places)
    members = np.full(groups * wide, -1)
    for lane, some in enumerate(places):
        if some[-1][:3] == (epoch, groups, wide):
            members[some[-1].place] = lane
    layout = Layout(epoch, groups, wide, tuple(members.tolist()))
    before = (record.result, ledger.states(record))
    return _of(ledger, lanes, record.program, layout, until, evaluate_on, before)


def _job(
    ledger: Ledger,
    groups: list[list[Lane]],
    shape: tuple[int, int],
    net: Network,
    until: int,
    evaluate_on: tuple[str, ...],
    before: dict[Lane, Any] | None,
) -> Job:
    """A chunk of lanes in a program of this shape."""
    members = np.full(shape, -1)
    ends = np.cumsum([0, *map(len, groups)])
    for row, begin, end in zip(members, ends, ends[1:]):
        row[: end - begin] = np.arange(begin, end)
    lanes = tuple(lane for group in groups for lane in group)
    kept = None if before is None else store.joined_chunks([before[lane] for lane in lanes])
    epoch = 0 if kept is None else kept[0].history.training_cost.shape[1]
    layout = Layout(epoch, *shape, tuple(members.ravel().tolist()))
    return _of(ledger, lanes, net.sizes, layout, until, evaluate_on, kept)


def _of(
    ledger: Ledger,
    lanes: tuple[Lane, ...],
    sizes: tuple[int, ...],
    layout: Layout,
    until: int,
    evaluate_on: tuple[str, ...],
    before: tuple[ChunkResult, TrainState] | None,
) -> Job:
    """The job of training these lanes in a program of these sizes."""
    settings = [ledger.settings[recipe] for recipe, _ in lanes]
    first = settings[0]
    recipes = RecipeBatch.stacked([setting.recipe for setting in settings])
    stops = first.recipe.stopping is not None
    spec = ChunkSpec(
        tuple(setting.network for setting in settings),
        recipes.sharing_inputs(),
        tuple(ledger.seeds[seed] for _, seed in lanes),
        dataclasses.replace(first.network, sizes=sizes),
        (layout,),
        first.batch_size,
        until,
        evaluate_on,
        repack=stops,
        keep_best=stops,
    )
    return Job(spec, lanes, first.examples, before)
