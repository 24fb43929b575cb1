"""Sweeps: hundreds of networks over recipes and seeds, several at a time in one program.

`sweep` cuts the lanes into chunks (`chunk_sizes`, `chunking`), trains them (`chunk`, `lanes`) on
all devices of this process, of all processes, or by an executor's workers (`executors`), keeps each
as soon as it is done (`ledger`, `store`), and gathers a `Study` (`study`).
"""

import itertools
import operator
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsIndex

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.hyperparameters import count
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data import datasets
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.chunking import jobs_to_train, program_sizes
from jaxnet.sweeps.executors import Data, ExecutorWorkers, Job, LocalDevices, Progress, SweepReport
from jaxnet.sweeps.ledger import Ledger
from jaxnet.sweeps.planning import Plan, predicted
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.store import FORMAT, Folder, Lane, Setting, first_examples
from jaxnet.sweeps.study import Study
from jaxnet.training import interrupts
from jaxnet.training.checks import check_recipe, checked


@renamed_arguments(monitor="evaluate_on", halving="successive_halving", say="log")
def sweep(
    net: Network | Sequence[Network],
    data: Data,
    recipe: Recipe | Sequence[Recipe],
    *,
    seeds: SupportsIndex | Sequence[int] = 1,
    epochs: SupportsIndex = 10,
    batch_size: SupportsIndex | Sequence[int] = 10,
    examples: SupportsIndex | Sequence[int] | None = None,
    evaluate_on: Sequence[str] | None = None,
    folder: str | Path | None = None,
    executor: Executor | None = None,
    successive_halving: SupportsIndex | None = None,
    tune_plan: bool = False,
    on_progress: Callable[[SweepReport], None] | None = None,
    log: Callable[[str], None] | None = print,
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
      evaluate_on: what to evaluate after each epoch, as for `train`. The training split would take
        about half an epoch: the default is "evaluation" alone, if the data has a validation split.
      folder: where to keep the study. The same call goes on where an earlier one ended; one with
        more seeds, recipes or epochs trains only what is missing.
      executor: where to train: any with `submit`, such as
        `concurrent.futures.ProcessPoolExecutor` or dask's `Client.get_executor()`. Without it, on
        all devices of this process: see `jaxnet.use_all_cores`.
      successive_halving: a whole number k ≥ 2: after 1/k², 1/k, … of the epochs only the best 1/k
        of the recipes, by the mean score over seeds, go on, down to a single one if there are
        epochs enough.
      tune_plan: whether to time how many lanes make the best program, instead of calculating it.
      on_progress: called about twice a second with a `SweepReport`.
      log: what to call with the plan, in one line, before the start; `None` for silence.

    Returns:
      A `Study`. Ctrl-C ends it after the epoch (with an executor, after the chunks that its
      workers have begun): a study with a folder can go on from there.

    Raises:
      ValueError: network, data and settings do not fit together, or the folder holds another study.
      OSError: the folder cannot be written.

    Warns:
      UserWarning: some of its networks were trained with another version of jaxnet or JAX, or on
        another kind of device.

    >>> from jaxnet.recipes.optimizers import momentum
    >>> recipe = Recipe(momentum([0.1, 1.0], decay=0.5))
    >>> study = sweep(Network((2, 4, 2)), datasets.xor(), recipe, seeds=3, epochs=2, log=None)
    >>> study.history.evaluation_accuracy.shape, study.axes
    ((2, 3, 2), ('recipe', 'seed', 'epoch'))
    """
    began = time.perf_counter()
    loaded = data() if callable(data) else data
    if evaluate_on is None:
        there = isinstance(loaded, Dataset) and loaded.valid is not None
        evaluate_on = ("evaluation",) if there else ("training",)
    settings, seed_list = _expanded(
        net, loaded, recipe, seeds, epochs, batch_size, examples, evaluate_on
    )
    epochs, evaluate_on = operator.index(epochs), tuple(sorted(set(evaluate_on)))
    rungs = _rungs(epochs, len(settings), successive_halving)
    _check_processes(len(rungs) > 1, folder, evaluate_on, tune_plan)
    loaded = loaded._replace(test=None)
    store = None if folder is None else Folder(folder, _about(loaded, evaluate_on))
    ledger = Ledger(settings, seed_list, store)
    _together("read", store)  # before any process writes
    if (longest := ledger.longest()) > epochs:
        raise ValueError(
            f"epochs is {epochs}, but lanes of this study in {folder} have had {longest} already; "
            "ask for as many or more, or choose another folder."
        )
    lanes = list(np.ndindex(len(settings), len(seed_list)))
    progress = Progress(len(lanes), on_progress)
    runner = LocalDevices(loaded) if executor is None else ExecutorWorkers(executor, data)
    rounds = _Rounds(ledger, loaded, evaluate_on, tune_plan, runner, progress, log)
    with interrupts.interruptible() as interrupted:
        rounds.train(lanes, rungs, successive_halving, interrupted)
    progress.report()
    plan = rounds.plan or rounds.planned([])  # interrupted before there was anything to do
    plan = plan._replace(backed_off=runner.backed_off)
    seconds = time.perf_counter() - began
    study = ledger.study(epochs, rounds.out, plan, seconds, loaded, evaluate_on)
    if len(study.origins) > 1:
        warnings.warn(
            f"the study mixes networks that were trained by {'; by '.join(map(str, study.origins))}"
            ": their results may differ in the last places.",
            stacklevel=2,
        )
    return study


@dataclass
class _Rounds:
    """Trains the lanes of a sweep, from rung to rung of successive halving."""

    ledger: Ledger
    data: Dataset
    evaluate_on: tuple[str, ...]
    tune: bool
    runner: LocalDevices | ExecutorWorkers
    progress: Progress
    log: Callable[[str], None] | None
    plan: Plan | None = None
    out: list[Lane] = field(default_factory=list)
    """Lanes that went no further."""

    def train(
        self, lanes: list[Lane], rungs: list[int], successive_halving: Any, interrupted: list[int]
    ) -> None:
        """Train these lanes to each rung, where the best go on; or until an interruption."""
        self.n_lanes, self.epochs = len(lanes), rungs[-1]
        for until in rungs:
            self._train_until(lanes, until, interrupted)
            if self.ledger.exchange(bool(interrupted)):
                return
            if until < self.epochs:
                stay = _survivors(
                    self.ledger,
                    lanes,
                    until,
                    count("successive_halving", successive_halving, low=2),
                )
                self.out += [lane for lane in lanes if lane[0] not in stay]
                lanes = [lane for lane in lanes if lane[0] in stay]

    def planned(self, jobs: list[Job]) -> Plan:
        """The plan of a sweep that begins with these chunks."""
        splits = [split for split in self.data if split is not None]
        n_bytes = sum(array.nbytes for split in splits for array in split)
        return predicted(
            program_sizes(jobs), self.n_lanes, self.epochs, n_bytes, self.runner.devices, self.tune
        )

    def _train_until(self, lanes: list[Lane], until: int, interrupted: list[int]) -> None:
        ledger, runner, keep = self.ledger, self.runner, until < self.epochs
        jobs = jobs_to_train(
            ledger, self.data, self.evaluate_on, self.tune, lanes, until, runner.devices
        )
        ledger.let_go()
        _together(f"jobs to epoch {until}", ledger.folder)
        if self.plan is None and (jobs or not keep):
            self.plan = self.planned(jobs)
            if self.log is not None:
                self.log(str(self.plan))
        self.progress.expect(jobs)
        for job, result, states in runner.run(jobs, self.progress, interrupted):
            ledger.enter(job.lanes, job.spec.program.sizes, result, states, keep)
            self.progress.ended(job, result)


def _check_processes(
    successive_halving: bool, folder: Any, evaluate_on: tuple[str, ...], tune_plan: bool
) -> None:
    """Whether successive halving and several processes have what they need."""
    if successive_halving and not evaluate_on:
        raise ValueError(
            'successive_halving ranks by evaluations; evaluate_on "evaluation" or "training".'
        )
    if successive_halving and folder is None and jax.process_count() > 1:
        raise ValueError(
            "successive halving over several processes needs a folder that all of them see."
        )
    if tune_plan and jax.process_count() > 1:
        raise ValueError("tune_plan is for one process: several might choose different sizes.")


def _expanded(
    net: Any, data: Dataset, recipe: Any, seeds: Any, epochs: Any, batch_size: Any,
    examples: Any, evaluate_on: Any,
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
        check_recipe(recipe)
        scalars = RecipeBatch(recipe).rows()
        if not scalars:
            raise ValueError("the arrays of a recipe are empty: there is nothing to train.")
        checked(net, first_examples(data, n), scalars[0], epochs, size, 0, None, evaluate_on)
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


def _about(data: Dataset, evaluate_on: tuple[str, ...]) -> dict[str, Any]:
    """What a folder is of: the same in every call."""
    return {
        "format": FORMAT,
        "data": datasets.sha256(data),
        "monitor": list(evaluate_on),
        "dtype": str(jax.dtypes.canonicalize_dtype(float)),
    }


def _rungs(epochs: int, n: int, successive_halving: SupportsIndex | None) -> list[int]:
    """The epochs after which recipes are ranked, the last ones included."""
    if successive_halving is None:
        return [epochs]
    factor = count("successive_halving", successive_halving, low=2)
    n_rungs = 1
    while n > factor ** (n_rungs - 1) and epochs >= factor**n_rungs:
        n_rungs += 1
    return [epochs // factor**k for k in reversed(range(n_rungs))]


def _survivors(ledger: Ledger, left: list[Lane], until: int, factor: int) -> set[int]:
    """The best recipes after so many epochs, by the mean over seeds."""
    score = ledger.scores(until)
    recipes = sorted({recipe for recipe, _ in left}, key=lambda recipe: -score[recipe].mean())
    return set(recipes[: -(-len(recipes) // factor)])
