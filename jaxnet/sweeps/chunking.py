"""Chunking: which lanes are trained together, from the missing part of a sweep to chunks."""

import dataclasses
import itertools
import time
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from jaxnet.acceleration.padding import can_pad, program_network
from jaxnet.core.dtypes import unshared
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, Device, Order
from jaxnet.sweeps import chunk_sizes, planning, store, time_estimates
from jaxnet.sweeps.chunk import ChunkSpec, TrainedChunk, train_chunk
from jaxnet.sweeps.executors import Job
from jaxnet.sweeps.layout import Layout, layout_of
from jaxnet.sweeps.ledger import Ledger
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.store import Lane, Record, Setting
from jaxnet.sweeps.time_estimates import EpochSize, n_evaluated
from jaxnet.training.measured import Measured

N_TIMED_STEPS = 100
"""Mini-batches of each epoch that is timed."""
N_TIMED_EPOCHS = 4
"""Epochs of each size that is timed; the first one compiles and does not count."""


class _EarlierChunk(NamedTuple):
    """What lanes that continue must have in common to share a chunk."""

    program_sizes: tuple[int, ...]
    """The sizes of the program that trained them."""
    n_epochs: int
    """Epochs that they have had."""


@dataclass(frozen=True)
class ChunkPlanner:
    """Divides the lanes that are still to be trained into chunks.

    Attributes:
      ledger: what is known of all lanes.
      data: the splits.
      choices: what to measure.
      order: in which order each epoch visits the examples.
      tune_plan: whether to time how many lanes make the best program.
      devices: the devices of this process that train.
    """

    ledger: Ledger
    data: Dataset
    choices: Measured
    order: Order
    tune_plan: bool
    devices: Sequence[Device]

    def jobs(self, lanes: Sequence[Lane], until: int) -> list[Job]:
        """The chunks to train until each of these lanes has had `until` epochs.

        A chunk whose lanes all go on continues in the program that it was in last. Lanes that
        leave a chunk, and lanes that start, are put into new chunks.
        """
        jobs = []
        # Lanes that start are cut as if none were trained yet, so that the same call, after a
        # crash, has the same programs.
        lanes_by_earlier_chunk: dict[_EarlierChunk | None, list[Lane]] = {
            None: self.ledger.lanes_to_start(lanes)
        }
        for record, lanes_to_continue in self.ledger.records_to_continue(lanes, until):
            all_are_asked_for = None not in self.ledger.lanes_of(record)
            if all_are_asked_for and len(lanes_to_continue) == record.result.alive().sum():
                jobs.append(self._continue_record(record, until))
            else:
                earlier = _EarlierChunk(record.program_sizes, record.n_epochs)
                lanes_by_earlier_chunk.setdefault(earlier, []).extend(lanes_to_continue)
        for earlier, lanes_to_place in lanes_by_earlier_chunk.items():
            for compatible_lanes in self._compatible_lanes(lanes_to_place, until):
                jobs.extend(self._new_chunks(compatible_lanes, earlier, until))
        return jobs

    def _new_chunks(
        self, lanes: list[Lane], earlier: _EarlierChunk | None, until: int
    ) -> list[Job]:
        """Jobs for lanes that may share a program; `earlier` is None for lanes that start."""
        setting = self._setting(lanes[0])
        net = self._program_network(lanes)
        trained_lanes: dict[Lane, TrainedChunk] | None = None
        if earlier is not None:
            net = dataclasses.replace(net, sizes=earlier.program_sizes)
            trained_lanes = self.ledger.trained_lanes(lanes)
        n_devices = len(self.devices) * jax.process_count()
        most = self._most_lanes(lanes, net)
        jobs = []
        may_stop = setting.recipe.stopping is not None
        platform = self.devices[0].platform
        lanes_by_number: dict[int, list[Lane]] = {}
        for lane in lanes:  # lanes of one number of examples have equally long epochs
            lanes_by_number.setdefault(self._setting(lane).examples, []).append(lane)
        rectangles = itertools.chain.from_iterable(
            _rectangles(same_number, most, n_devices, platform, may_stop)
            for same_number in lanes_by_number.values()
        )
        for groups, shape in rectangles:
            if trained_lanes is None:
                groups = [
                    [lane for lane in group if lane not in self.ledger.row_by_lane]
                    for group in groups
                ]
            if any(groups):
                jobs.append(self._new_chunk(groups, shape, net, until, trained_lanes))
        return jobs

    def _most_lanes(self, lanes: list[Lane], net: Network) -> int:
        """The most lanes of a program for these, calculated or timed."""
        setting = self._setting(lanes[0])
        most_per_seed = max(Counter(seed for _, seed in lanes).values())
        most = chunk_sizes.most_lanes(
            net, setting.recipe, setting.batch_size, most_per_seed, self.devices[0]
        )
        if not self.tune_plan:
            return most
        for record in self.ledger.records:
            if record.program_sizes == net.sizes:  # what was timed once stays
                slot = record.result.slots[0][0]
                return slot.n_groups * slot.n_lanes
        return self._fastest_n_lanes(lanes, net, most)

    def _fastest_n_lanes(self, lanes: list[Lane], net: Network, most: int) -> int:
        """Of half, once, twice and four times `most` lanes, the number with the highest rate."""
        rates = {most: 0.0}
        for n_lanes in sorted({max(1, most // 2), most, 2 * most, 4 * most}):
            seconds = self._seconds_per_epoch(lanes, net, n_lanes)
            if seconds is not None:
                rates[n_lanes] = n_lanes / seconds
        return max(rates, key=lambda n_lanes: rates[n_lanes])

    def _seconds_per_epoch(self, lanes: list[Lane], net: Network, n_lanes: int) -> float | None:
        """The time of a short epoch of a program of so many lanes; None if all diverge at once."""
        setting = self._setting(lanes[0])
        data = store.first_examples(
            self.data, min(setting.examples, N_TIMED_STEPS * setting.batch_size)
        )
        if "training" in self.choices.evaluate_on:
            data = data._replace(valid=None)
        data = jax.device_put(unshared(data), self.devices[0])
        timed_lanes = [lanes[index % len(lanes)] for index in range(n_lanes)]
        seed = timed_lanes[0][1]
        group = [(recipe, seed) for recipe, _ in timed_lanes]
        job = self._new_chunk([group], (1, n_lanes), net, N_TIMED_EPOCHS, None)
        recipe = dataclasses.replace(job.spec.recipes.recipe, stopping=None)
        spec = job.spec._replace(recipes=RecipeBatch(recipe), repack=False, keep_best=False)
        times = [time.perf_counter()]

        def add_time(n_epochs: int, curves: np.ndarray, alive: np.ndarray) -> bool:
            times.append(time.perf_counter())
            return False

        train_chunk(spec, data, self.devices[0], None, add_time)
        return min(np.diff(times)[1:]) if len(times) > 2 else None

    def _continue_record(self, record: Record, until: int) -> Job:
        """The job that goes on with a chunk in the program that it was in last."""
        lanes = tuple(lane for lane in self.ledger.lanes_of(record) if lane is not None)
        last_slots = [slots[-1] for slots in record.result.slots]
        epoch, n_groups, n_lanes, _ = max(last_slots)
        members = np.full(n_groups * n_lanes, -1)
        for row, slot in enumerate(last_slots):
            if slot[:3] == (epoch, n_groups, n_lanes):
                members[slot.position] = row
        layout = Layout(epoch, n_groups, n_lanes, tuple(members.tolist()))
        before = TrainedChunk(record.result, self.ledger.states(record))
        return self._job(lanes, record.program_sizes, layout, until, before)

    def _new_chunk(
        self,
        groups: list[list[Lane]],
        shape: tuple[int, int],
        net: Network,
        until: int,
        trained_lanes: dict[Lane, TrainedChunk] | None,
    ) -> Job:
        """The job of a new chunk with these groups of lanes, in a program of this shape."""
        lanes = tuple(lane for group in groups for lane in group)
        rows = iter(range(len(lanes)))
        row_groups = [list(itertools.islice(rows, len(group))) for group in groups]
        before = None
        if trained_lanes is not None:
            before = store.concatenate_chunks([trained_lanes[lane] for lane in lanes])
        layout = layout_of(row_groups, shape, 0 if before is None else before.n_epochs)
        return self._job(lanes, net.sizes, layout, until, before)

    def _job(
        self,
        lanes: tuple[Lane, ...],
        program_sizes: tuple[int, ...],
        layout: Layout,
        until: int,
        before: TrainedChunk | None,
    ) -> Job:
        """The job of training these lanes in a program whose network has these sizes."""
        settings = [self._setting(lane) for lane in lanes]
        first = settings[0]
        choices, rule = self.choices, first.recipe.stopping
        room = self.ledger.room_of(lanes[0])
        recipes = RecipeBatch.stacked([setting.recipe for setting in settings])
        spec = ChunkSpec(
            networks=tuple(setting.network for setting in settings),
            recipes=recipes.with_shared_inputs(),
            seeds=tuple(self.ledger.seeds[seed] for _, seed in lanes),
            program_network=dataclasses.replace(first.network, sizes=program_sizes),
            layouts=(layout,),
            batch_size=first.batch_size,
            epochs=until,
            evaluate_on=choices.evaluate_on,
            repack=rule is not None,
            # Where nothing decides on the best epoch, it is the last one.
            keep_best="evaluation" in choices.evaluate_on or bool(rule or choices.rank_by),
            metrics=choices.metrics,
            monitors=choices.monitors,
            criterion=choices.best_by(rule),
            order=self.order,
            folds=self.ledger.parts_of(lanes),
            batch_sizes=None if room is None else (first.batch_size,) * len(lanes),
            room=room,
            starts=self.ledger.starts_of(lanes),
        )
        n_train = first.examples if room is None or not room.ends_early else room.n_train
        return Job(spec, lanes, n_train, before)

    def _compatible_lanes(self, lanes: Sequence[Lane], until: int) -> list[list[Lane]]:
        """Lanes that share a program: they differ in numbers, seeds and widths only.

        Networks of widths up to the same power of 2 share one. So do those of others, where to
        compile another program would take longer than the additional arithmetic.
        """
        has_monitors = self.choices.monitors is not None
        lanes_by_program: dict[tuple, dict[Hashable, list[Lane]]] = {}
        for lane in lanes:
            widths, others = _shared_program_key(self._setting(lane), has_monitors)
            room = self.ledger.room_of(lane)
            if room is not None and room.ends_early:
                others = others._replace(n_examples=room.n_train)
            key = (others, room, self.ledger.trains_first_layer_whole(lane))
            lanes_by_widths = lanes_by_program.setdefault(key, {})
            lanes_by_widths.setdefault(widths, []).append(lane)
        merged: list[list[Lane]] = []
        for (others, *_), lanes_by_widths in lanes_by_program.items():
            programs = list(lanes_by_widths.values())
            merged += programs if others.needs_true_widths else self._merged(programs, until)
        return merged

    def _merged(self, programs: list[list[Lane]], until: int) -> list[list[Lane]]:
        """Lanes of the programs, of which each narrow one is joined to the next if that pays."""
        programs = sorted(programs, key=lambda lanes: self._program_network(lanes).n_params)
        merged = [programs[0]]
        for lanes in programs[1:]:
            together = [*merged[-1], *lanes]
            apart = self._train_seconds(merged[-1], until) + self._train_seconds(lanes, until)
            more_seconds = self._train_seconds(together, until) - apart
            compile_seconds = time_estimates.compile_seconds(self._program_network(lanes))
            if more_seconds < compile_seconds:
                merged[-1] = together
            else:
                merged.append(lanes)
        return merged

    def _train_seconds(self, lanes: list[Lane], until: int) -> float:
        """The time of training these lanes in one program, on all devices."""
        setting = self._setting(lanes[0])
        n_train = round(np.mean([self._setting(lane).examples for lane in lanes]))
        evaluated = n_evaluated(self.choices.evaluate_on, self.data, n_train)
        size = EpochSize(setting.batch_size, n_train, evaluated)
        net, recipe = self._program_network(lanes), setting.recipe
        seconds = time_estimates.lane_epoch_seconds(net, recipe, size, len(lanes))
        return len(lanes) * until * seconds / len(self.devices)

    def _program_network(self, lanes: list[Lane]) -> Network:
        """The network of a program for these lanes."""
        networks = dict.fromkeys(self._setting(lane).network for lane in lanes)
        return program_network(list(networks), self._setting(lanes[0]).recipe)

    def _setting(self, lane: Lane) -> Setting:
        return self.ledger.settings[lane[0]]


class _SharedParts(NamedTuple):
    """What lanes that share a program have in common, whatever their widths."""

    network: Network
    """The network, with hidden layers of one unit."""
    recipe_structure: Hashable
    """The structure of their recipes."""
    batch_size: int
    """Examples per mini-batch."""
    n_examples: int
    """Training examples."""
    needs_true_widths: bool
    """Whether hidden layers cannot be padded."""


def _shared_program_key(
    setting: Setting, has_monitors: bool
) -> tuple[tuple[int, ...], _SharedParts]:
    """The widths of a setting's program, and what other lanes of this program have in common."""
    net, recipe, batch_size, n_examples = setting
    # Dropout is drawn at true widths, monitors measure a network's own units, and some rules and
    # activations depend on their number.
    needs_true_widths = not can_pad(net, recipe) or recipe.dropout is not None or has_monitors
    hidden_widths = net.sizes[1:-1]
    if not needs_true_widths:  # widths up to the same power of 2 share a program
        hidden_widths = tuple(1 << (width - 1).bit_length() for width in hidden_widths)
    sizes = (net.sizes[0], *[1] * len(hidden_widths), net.sizes[-1])
    return hidden_widths, _SharedParts(
        network=dataclasses.replace(net, sizes=sizes),
        recipe_structure=jax.tree.structure(recipe),
        batch_size=batch_size,
        n_examples=n_examples,
        needs_true_widths=needs_true_widths,
    )


def _rectangles(
    lanes: Sequence[Lane], most: int, n_devices: int, platform: str, may_stop: bool
) -> Iterator[tuple[list[list[Lane]], tuple[int, int]]]:
    """Cuts lanes into chunks of at most `most`, each a rectangle of recipes and seeds.

    Yields:
      The lanes of a chunk, one list per seed, and the shape of its program: groups and lanes per
      group.
    """
    recipes_by_seed: dict[int, list[int]] = {}
    for recipe, seed in lanes:
        recipes_by_seed.setdefault(seed, []).append(recipe)
    seeds_by_recipes: dict[tuple[int, ...], list[int]] = {}
    for seed, recipes in recipes_by_seed.items():
        seeds_by_recipes.setdefault(tuple(recipes), []).append(seed)
    for recipes, seeds in seeds_by_recipes.items():
        shape = chunk_sizes.program_shape(
            len(recipes), len(seeds), most, n_devices, platform, may_stop
        )
        n_groups, n_lanes = shape
        first_seeds, first_recipes = range(0, len(seeds), n_groups), range(0, len(recipes), n_lanes)
        for first_seed, first_recipe in itertools.product(first_seeds, first_recipes):
            chunk_recipes = recipes[first_recipe : first_recipe + n_lanes]
            chunk_seeds = seeds[first_seed : first_seed + n_groups]
            yield [[(recipe, seed) for recipe in chunk_recipes] for seed in chunk_seeds], shape


def planned_sizes(jobs: Sequence[Job], choices: Measured, data: Dataset) -> list[planning.Size]:
    """The sizes of the programs that train these chunks, each size once.

    Args:
      jobs: the chunks.
      choices: what is measured.
      data: the splits.
    """
    jobs_by_size: dict[Hashable, list[Job]] = {}
    for job in jobs:
        spec, layout = job.spec, job.spec.layouts[-1]
        key = (
            spec.program_network, spec.batch_size, job.n_examples, layout.n_groups, layout.n_lanes,
            jax.tree.structure(spec.recipes.recipe),
        )  # fmt: skip
        jobs_by_size.setdefault(key, []).append(job)
    return [_size_of(jobs_of_size, choices, data) for jobs_of_size in jobs_by_size.values()]


def _size_of(jobs: Sequence[Job], choices: Measured, data: Dataset) -> planning.Size:
    """The size that these jobs have in common."""
    spec, layout = jobs[0].spec, jobs[0].spec.layouts[-1]
    n_examples = round(np.mean([_most_examples(job) for job in jobs]))
    return planning.Size(
        network=spec.program_network,
        recipe=spec.recipes.recipe,
        batch_size=spec.batch_size,
        examples=n_examples,
        groups=layout.n_groups,
        lanes=layout.n_lanes,
        chunks=len(jobs),
        epochs=sum(job.n_lane_epochs for job in jobs),
        evaluated=n_evaluated(choices.evaluate_on, data, n_examples),
        own=frozenset(net.sizes for job in jobs for net in job.spec.networks),
    )


def _most_examples(job: Job) -> int:
    """The training examples of the lane of a chunk that has the most: the others wait for it."""
    folds = job.spec.folds
    return job.n_examples if folds is None else max(len(own.fold.train) for own in folds)
