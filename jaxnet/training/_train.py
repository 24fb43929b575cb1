"""`train`: runs compiled epochs from the host, one at a time.

This module does what a compiled program cannot do: report, write checkpoints and resume from them,
react to Ctrl-C, look at the clock, and end a run that diverges.
"""

import math
import operator
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, SupportsIndex

import jax
import numpy as np
from jaxtyping import PyTree

from jaxnet.acceleration.padding import program_network
from jaxnet.acceleration.xla_options import STEPS
from jaxnet.core.arguments import brief, path_of
from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.network import Network
from jaxnet.core.types import (
    AnyArray,
    Dataset,
    EvaluatedSplit,
    History,
    KeyArray,
    Order,
    Params,
)
from jaxnet.data import datasets
from jaxnet.data.doubtful import warn_if_doubtful
from jaxnet.interrupts import interruptible
from jaxnet.io.files import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.regularization import penalty
from jaxnet.training import checkpoints
from jaxnet.training.checks import check_monitors, check_not_traced, check_order, checked
from jaxnet.training.devices import locked_folder
from jaxnet.training.epochs import EpochProgram, EpochResult, finish_epoch, train_epoch_padded
from jaxnet.training.fingerprint import fingerprint
from jaxnet.training.fingerprint_0_2 import fingerprint_0_2
from jaxnet.training.host_loop import HostLoop
from jaxnet.training.monitors import Monitors
from jaxnet.training.parallelism import SINGLE, DataParallel, Devices, Parallelism, check_devices
from jaxnet.training.run import Ending, EpochCallback, EpochReport, Run
from jaxnet.training.step import TrainState, compiled_draw_params, start

Measured = tuple[EpochResult, AnyArray | None]
"""The result of an epoch, and what the monitors measured."""


@renamed_arguments(monitor="evaluate_on")
def train(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    *,
    epochs: SupportsIndex = 30,
    batch_size: SupportsIndex = 10,
    seed: SupportsIndex = 0,
    params: Params | None = None,
    evaluate_on: Sequence[EvaluatedSplit] = ("evaluation", "training"),
    order: Order = "shuffled",
    monitors: Monitors | None = None,
    on_epoch: EpochCallback | None = None,
    checkpoint: str | Path | None = None,
    every: SupportsIndex = 1,
    resume: str | Path | None = None,
    time_budget: float | None = None,
    devices: Devices | None = None,
) -> Run:
    """Train a network, an epoch at a time.

    The program is compiled once for all epochs. Another number in the recipe, or another seed,
    compiles nothing. The data is copied to the device once.

    Args:
      net: the architecture.
      data: the training split is trained on; the validation split, where there is one, is
        evaluated after every epoch and decides on the best one. The test split is not touched.
      recipe: how the network is trained, with scalars for numbers (arrays are for sweeps).
      epochs: how many times every example is visited, at most; at least 1, 30 by default.
      batch_size: examples per mini-batch, in [1, number of training examples]; 10 by default.
      seed: the seed of initial weights and mini-batches, in [0, 2³²); 0 by default. The weights are
        drawn at an address of their own under it: they are not `init(net, jax.random.key(seed))`.
      params: initial parameters, of the shapes of `net.sizes`; `None` draws them from the seed.
      evaluate_on: which splits to evaluate after each epoch: "evaluation" (the validation split),
        "training", both (the default) or none.
      order: the order in which each epoch visits the examples: "shuffled" (the default), a random
        one for each seed and epoch, or "sequential", that of the data.
      monitors: what else to measure during training: see `jaxnet.Monitors`; `None` for nothing.
      on_epoch: a function that is called after every epoch with an `EpochReport`, such as those of
        `jaxnet.callbacks`; `None` for none. A KeyboardInterrupt that it raises ends the run like
        Ctrl-C; any other exception ends this call.
      checkpoint: a folder to keep `checkpoint.safetensors` in, which the run locks; `None` writes
        no checkpoints, unless `resume` names a folder.
      every: epochs from one checkpoint to the next, at least 1 (the default); the end of the run
        always writes one, also an end by an exception.
      resume: a folder with a checkpoint to resume from, to the same bits as if the run had never
        stopped. Further checkpoints are written there, too, unless `checkpoint` names another
        folder. `epochs` may be more than before, as far as a schedule's horizon allows; all other
        settings and the data must be the same. `None` starts a new run.
      time_budget: seconds after which no further epoch is started; `None` for no limit. This is the
        one setting that makes a run's end depend on the machine. Not for devices of several
        processes.
      devices: devices that share each mini-batch, for a network so large that it trains faster so;
        those of several processes, too, if each makes this call. `None` uses one device. The cores
        of one CPU gain nothing: the large products of a single device use them all already. Sums
        over examples are rounded in another order, so only the last places of numbers change. For
        many small networks `sweep` uses all devices better.

    Returns:
      The finished `Run`. Ctrl-C ends the run after the epoch, a second Ctrl-C at once. If the
      parameters or a cost are no longer finite, the run ends, and holds the parameters and the
      history of the epochs before.

    Raises:
      ValueError: network, data and settings do not fit together, the checkpoint is missing, damaged
        or of another run, or another run is writing into its folder.
      OSError: a checkpoint cannot be written; the one before it is unharmed.

    Warns:
      RuntimeWarning: the run diverged; the message names the epoch.
      UserWarning: the data are hardly what is meant, such as float pixels up to 255; the
        checkpoint to resume from was written with another version of JAX or on
        another kind of device.

    >>> from jaxnet import datasets
    >>> from jaxnet.recipes.optimizers import sgd
    >>> run = train(Network((2, 8, 2)), datasets.xor(), Recipe(sgd(0.5)), epochs=20)
    >>> run.history.training_accuracy.shape
    (20,)
    """
    check_not_traced("train", "jaxnet.fit is a pure function", data, recipe, seed, params)
    data = checked(net, data, recipe, epochs, batch_size, seed, params, evaluate_on)
    warn_if_doubtful(data, "the data")
    epochs, batch_size, seed = map(operator.index, (epochs, batch_size, seed))
    check_order(order)
    check_monitors(monitors, net, -(-len(data.train.x) // batch_size))
    every = count("every", every, low=1)
    _check_folders(checkpoint, resume)
    if time_budget is not None:
        constant("time_budget", time_budget, low=0)
    if on_epoch is not None and (not callable(on_epoch) or isinstance(on_epoch, type)):
        raise ValueError(
            f"on_epoch must be one function, not {brief(on_epoch)}; call several from one of yours."
        )
    parallelism, put, is_shared = _parallelism(devices, time_budget)
    splits = tuple(sorted(set(evaluate_on)))
    program = EpochProgram(net, batch_size, splits, monitors, parallelism, order)
    data, key = put((data, jax.random.key(seed, impl="threefry2x32")))
    # Drawn by a program of its own, which all recipes share: it takes longest to compile.
    initial = compiled_draw_params(net, key) if params is None else params
    state, log = _compiled_start(net, recipe, key, initial), _Log([], [])
    checkpoint = resume if checkpoint is None else checkpoint
    with locked_folder(checkpoint, is_shared):
        writer = None
        if checkpoint is not None:  # hashing the data takes time
            settings, older_settings = _run_settings(program, data, recipe, seed, params)
            if resume is not None:
                state, log = _read_checkpoint(resume, state, settings, older_settings, epochs)
                state = _with_unpenalized_best_score(state, log, data, recipe)
            writer = _CheckpointWriter(checkpoint, settings, every, n_written=len(log.rows))
        loop = _TrainLoop(
            program=program, data=data, recipe=recipe, key=key, epochs=epochs, state=put(state),
            log=log, writer=writer, on_epoch=on_epoch, time_budget=time_budget,
        )  # fmt: skip
        with interruptible() as interrupts_so_far:
            loop.interrupts = interrupts_so_far
            loop.run_epochs()
    if loop.ending == "diverged":
        warnings.warn(str(loop.stopped), RuntimeWarning, stacklevel=3)
    return loop.run(seed)


def _check_folders(checkpoint: object, resume: object) -> None:
    """Check the arguments that name folders of checkpoints, where they are given."""
    for name, folder in (("checkpoint", checkpoint), ("resume", resume)):
        if folder is not None:
            path_of(name, folder)


_compiled_start = jax.jit(start, static_argnames="net")
_compiled_train = jax.jit(
    train_epoch_padded, static_argnames=("program", "net"), compiler_options=STEPS
)
_compiled_finish = jax.jit(finish_epoch, static_argnames="program")


class _Log(NamedTuple):
    """The results of the epochs so far."""

    rows: list[np.ndarray]
    """The row of the history of each epoch, a number for each field of `History`."""
    measured: list[np.ndarray]
    """The measurements of each epoch, (measurements, columns); (0,) without monitors."""


@dataclass
class _CheckpointWriter:
    """Writes the checkpoints of a run."""

    folder: str | Path
    settings: JsonObject
    every: int
    """Epochs from one checkpoint to the next."""
    n_written: int
    """Epochs done when the last checkpoint was written."""

    def write(self, state: TrainState, log: _Log) -> None:
        """Write a checkpoint, if any epoch has been done since the last one."""
        if self.n_written < len(log.rows):
            arrays = {"history": np.array(log.rows), "measured": np.array(log.measured)}
            checkpoints.save(self.folder, {"state": state, **arrays}, self.settings)
            self.n_written = len(log.rows)


@dataclass
class _TrainLoop(HostLoop[Measured]):
    """The epochs of one network."""

    program: EpochProgram
    data: Dataset
    recipe: Recipe
    key: KeyArray
    epochs: int
    state: TrainState
    log: _Log
    writer: _CheckpointWriter | None
    on_epoch: EpochCallback | None
    time_budget: float | None
    interrupts: list[int] = field(default_factory=list)
    """The signals received so far: not empty after Ctrl-C."""
    ending: Ending = "done"
    stopped: str | None = None
    """Why the run ended early, as a sentence."""

    def __post_init__(self) -> None:
        net, recipe, state, program = self.program.net, self.recipe, self.state, self.program
        self.done, self.start_time = len(self.log.rows), time.perf_counter()
        self.params = recipe.optimizer.evaluation_params(state.opt_state, state.params)
        self.training_program = EpochProgram(
            net=program_network([net], recipe),
            batch_size=program.batch_size,
            monitors=program.monitors,
            parallelism=program.parallelism,
            order=program.order,
        )
        self.evaluation_program = EpochProgram(
            net=net,
            batch_size=program.batch_size,
            evaluate_on=program.evaluate_on,
            parallelism=program.parallelism,
        )

    def enter(self, index: int) -> bool:
        """Whether to train this epoch: no stop, Ctrl-C or time budget has ended the run."""
        after, budget = f"after epoch {index} of {self.epochs}", self.time_budget
        if self.state.watch.stopped:
            self.ending, self.stopped = _ending_by_rule(index, self.recipe, self.state)
        elif self.interrupts:
            self.ending, self.stopped = "interrupted", f"interrupted {after}."
        elif budget is not None and time.perf_counter() - self.start_time >= budget:
            self.ending = "out of time"
            self.stopped = f"the time budget of {budget:g} s ran out {after}."
        return self.stopped is None

    def advance(self, index: int) -> Measured:
        """Train this epoch, in a program of padded widths, and evaluate the network."""
        number, net = np.int32(index), self.program.net
        after, measured = _compiled_train(
            self.training_program, net, self.data.train, self.key, number, self.recipe, self.state
        )
        result = _compiled_finish(
            self.evaluation_program, self.data, number, self.recipe, None, after
        )
        return result, measured

    def note(self, index: int, result: Measured) -> bool:
        """Log and report this epoch, unless the run has diverged."""
        epoch, measured = result
        if not epoch.finite:
            self.ending = "diverged"
            self.stopped = _divergence_message(index + 1, float(epoch.learning_rate))
            return False
        self.state, self.params = epoch.state, epoch.params
        self.log.rows.append(np.asarray(epoch.row))
        self.log.measured.append(np.asarray([] if measured is None else measured))
        if self.writer is not None and (index + 1) % self.writer.every == 0:
            self._write_checkpoint()
        if self.on_epoch is not None:
            try:
                self.on_epoch(self._report(index + 1, epoch, measured))
            except KeyboardInterrupt:  # the run ends as after Ctrl-C during the epoch
                self.interrupts.append(signal.SIGINT)
        return True

    def run_epochs(self) -> None:
        """Run all epochs; whatever ends them, write the last checkpoint."""
        try:
            self.drive(self.epochs)
        except BaseException as error:
            try:
                self._write_checkpoint()
            except OSError as failure:
                error.add_note(f"The last checkpoint could not be written: {failure}.")
            raise
        if self.stopped is None:
            self.ending, self.stopped = _ending_by_rule(self.epochs, self.recipe, self.state)
        self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        if self.writer is not None:
            self.writer.write(self.state, self.log)

    def run(self, seed: int) -> Run:
        """The finished run."""
        watch = self.state.watch
        dtype = self.state.params[0].w.dtype
        return Run(
            network=self.program.net,
            recipe=self.recipe,
            epochs=self.epochs,
            batch_size=self.program.batch_size,
            seed=seed,
            params=self.params,
            history=History(*np.array(self.log.rows, dtype).reshape(-1, len(History._fields)).T),
            best_epoch=int(watch.best_epoch),
            best_params=watch.best,
            monitors=self._all_measurements(),
            ending=self.ending,
            stopped=self.stopped,
        )

    def _report(self, epoch: int, result: EpochResult, measured: AnyArray | None) -> EpochReport:
        net, monitors = self.program.net, self.program.monitors
        return EpochReport(
            epoch=epoch,
            epochs=self.epochs,
            **{name: float(number) for name, number in result.row._asdict().items()},
            learning_rate=float(result.learning_rate),
            best_epoch=int(result.state.watch.best_epoch),
            seconds=time.perf_counter() - self.start_time,
            params=jax.tree.map(np.asarray, result.params),
            monitors={} if monitors is None else monitors.split(net, np.asarray(measured)),
        )

    def _all_measurements(self) -> dict[str, np.ndarray]:
        """All measurements of the run by name, and their steps."""
        net, monitors = self.program.net, self.program.monitors
        if monitors is None:
            return {}
        n_steps = -(-len(self.data.train.x) // self.program.batch_size)
        rows = monitors.rows(n_steps) + 1
        table = np.array(self.log.measured).reshape(-1, sum(monitors.widths(net).values()))
        steps = np.arange(len(self.log.measured))[:, None] * n_steps + rows
        return {"step": steps.reshape(-1)} | monitors.split(net, table)


def _parallelism(
    devices: Devices | None, time_budget: float | None
) -> tuple[Parallelism, Callable[[PyTree], PyTree], bool]:
    """How devices share mini-batches, and what depends on it.

    Returns:
      The parallelism; a function that puts a pytree of arrays on the devices; and whether all
      processes of JAX share them.
    """
    if devices is None:
        return SINGLE, jax.device_put, False
    parallelism = DataParallel(devices=check_devices(devices))
    n_processes = len({device.process_index for device in parallelism.devices})
    if time_budget is not None and n_processes > 1:
        raise ValueError(
            "time_budget is for the devices of one process: each of several processes has its own "
            "clock, so they would stop at different times; leave it out."
        )
    # Not by device_put, which takes no random keys to another process.
    put = jax.jit(lambda tree: tree, out_shardings=parallelism.sharding())
    return parallelism, put, n_processes == jax.process_count() > 1


def _ending_by_rule(epochs: int, recipe: Recipe, state: TrainState) -> tuple[Ending, str | None]:
    """Whether, and why, the stopping rule ended a run after this many epochs."""
    rule, watch = recipe.stopping, state.watch
    if rule is None or not watch.stopped:
        return "done", None
    metric = rule.curve.replace("_", " ")
    sign = 1 if rule.metric == "accuracy" else -1
    best = float(watch.best_score) * sign
    if rule.target is not None and float(watch.best_score) >= float(np.asarray(rule.target)) * sign:
        reason = f"the {metric} has reached {best:g}"
    elif rule.factor is None:
        n = int(watch.waited)
        reason = f"the {metric} has had no new best for {n} epoch{'s' if n > 1 else ''}"
    else:
        reason = f"the learning rate has come down to {float(watch.scale):g} of the first one"
    return "stopped", f"stopped after epoch {epochs}: {reason}."


def _read_checkpoint(
    folder: str | Path,
    state: TrainState,
    settings: JsonObject,
    older_settings: JsonObject,
    epochs: int,
) -> tuple[TrainState, _Log]:
    """The state and the log in the checkpoint of a run, if it has had no more epochs."""
    like = {"state": state, "history": None, "measured": None}
    saved = checkpoints.load(folder, like, settings, older_settings)
    curves = np.asarray(saved["history"]).T
    rows = np.array(History.from_array(curves)).T
    log = _Log(list(rows), list(np.asarray(saved["measured"])))
    if len(log.rows) > epochs:
        raise ValueError(
            f"epochs is {epochs}, but the run in {folder} has had {len(log.rows)} already; give at "
            "least as many."
        )
    return saved["state"], log


def _with_unpenalized_best_score(
    state: TrainState, log: _Log, data: Dataset, recipe: Recipe
) -> TrainState:
    """The state of a resumed run, with a best score that is comparable with those to come.

    Until version 0.3 the best epoch of a run without accuracies and without a rule was that of the
    lowest cost with penalties. Of that epoch the parameters are known, hence its penalty.
    """
    history = History(*np.array(log.rows).reshape(-1, len(History._fields)).T)
    has_data_cost = np.isfinite(history.evaluation_data_cost)
    is_older = np.isfinite(history.evaluation_cost) & ~has_data_cost
    ranks_by_cost = recipe.stopping is None and np.isnan(history.evaluation_accuracy).all()
    if data.valid is None or not ranks_by_cost or not is_older.any() or has_data_cost.any():
        return state
    watch = state.watch
    penalty_of_best = penalty(watch.best, len(data.valid.x), recipe.l1, recipe.l2)
    return state._replace(watch=watch._replace(best_score=watch.best_score + penalty_of_best))


def _run_settings(
    program: EpochProgram, data: Dataset, recipe: Recipe, seed: int, params: Params | None
) -> tuple[JsonObject, JsonObject]:
    """The settings that identify a run in its checkpoints; and the same as version 0.2 wrote them.

    The number of epochs is none of them: a run may be continued for longer.
    """
    training = (program.net, recipe, program.batch_size)
    run_settings = {
        "data": datasets.sha256(data),
        "seed": seed,
        "monitor": list(program.evaluate_on),
        "monitors": None if program.monitors is None else repr(program.monitors),
        "initial parameters": None if params is None else "given",
    }
    if program.order != "shuffled":
        run_settings["order"] = program.order
    return fingerprint(*training) | run_settings, fingerprint_0_2(*training) | run_settings


def _divergence_message(epoch: int, rate: float) -> str:
    """Why a run ended in this epoch, counted from 1, with this learning rate (NaN if unknown)."""
    advice = "Its steps are too large for this network and data; try larger mini-batches."
    if not math.isnan(rate):
        advice = f"The learning rate {rate:g} is probably too large; try a smaller one."
    remaining = f" The {epoch - 1} epochs before it are kept." if epoch > 1 else ""
    fault = "a weight or a cost is no longer finite"
    return f"training diverged in epoch {epoch}: {fault}. {advice}{remaining}"
