"""`train`: runs the compiled epoch from the host, an epoch at a time.

Here live the things that a compiled program cannot do: to report, to write checkpoints and to go
on from them, to hear Ctrl-C, to look at the clock, to give up on a run that diverges.
"""

import math
import operator
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

import jax
import numpy as np

from jaxnet.acceleration.padding import program_network
from jaxnet.acceleration.xla_options import STEPS
from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, Params
from jaxnet.data import datasets
from jaxnet.recipes.recipe import Recipe
from jaxnet.training import checkpoints, interrupts
from jaxnet.training.checks import check_monitors, checked
from jaxnet.training.epochs import EpochProgram, EpochResult, finish_epoch, train_epoch_padded
from jaxnet.training.fingerprint import fingerprint
from jaxnet.training.fingerprint_0_2 import fingerprint_0_2
from jaxnet.training.host_loop import HostLoop
from jaxnet.training.monitors import Monitors
from jaxnet.training.parallelism import SINGLE, DataParallel, Parallelism, check_devices
from jaxnet.training.run import Ending, EpochReport, Run
from jaxnet.training.step import TrainState, compiled_draw_params, start


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
    evaluate_on: Sequence[str] = ("evaluation", "training"),
    monitors: Monitors | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    checkpoint: str | Path | None = None,
    every: SupportsIndex = 1,
    resume: str | Path | None = None,
    time_budget: float | None = None,
    devices: Sequence[Any] | None = None,
) -> Run:
    """Train a network, an epoch at a time.

    The program is compiled once for all epochs; a changed number in the recipe, or another seed,
    compiles nothing. Data goes to the device once.

    Args:
      net: the architecture.
      data: the training split is trained on; the validation split, where there is one, is
        evaluated after every epoch and decides on the best one. The test split is not touched.
      recipe: how it is trained, with scalars for leaves (arrays are for sweeps).
      epochs: how many times every example is visited, at most.
      batch_size: examples per mini-batch.
      seed: of initial weights and mini-batches, in [0, 2³²). The weights have their own address
        under it: they are not `init(net, jax.random.key(seed))`.
      params: initial parameters, instead of those drawn from the seed.
      evaluate_on: which splits to evaluate after each epoch: "evaluation", "training",
        both or none.
      monitors: what else to measure, inside the program: see `jaxnet.Monitors`.
      on_epoch: called after every epoch with an `EpochReport`; see `jaxnet.callbacks`.
      checkpoint: a folder to keep `checkpoint.safetensors` in.
      every: epochs from one checkpoint to the next; the end of the run always writes one.
      resume: a folder with a checkpoint to go on from, to the bits of a run that never stopped;
        checkpoints go on there too, unless `checkpoint` says otherwise. `epochs` may be more than
        before, as far as a schedule's horizon allows; all other settings and the data must be the
        same.
      time_budget: seconds after which no further epoch is begun. The one thing that the seed does
        not decide: where a run ends then depends on the machine. Not with devices of several
        processes.
      devices: devices that share each mini-batch, for a network so large that they gain by it;
        those of several processes, too, if each makes this call. On the cores of one CPU nothing
        is gained: a single device's large products use them all already. Sums over examples are
        rounded in another order: only the last places of numbers change. For many small networks
        `sweep` uses all devices better.

    Returns:
      A `Run`. Ctrl-C ends it after the epoch, a second Ctrl-C at once. If the parameters or a cost
      stop being finite, it ends with a `RuntimeWarning` that names the epoch, and holds the
      parameters and the history up to the epoch before.

    Raises:
      ValueError: network, data and settings do not fit together, or the checkpoint is damaged or
        of another run.
      OSError: a checkpoint cannot be written; the one before it is unharmed.

    >>> from jaxnet import datasets
    >>> from jaxnet.recipes.optimizers import sgd
    >>> run = train(Network((2, 8, 2)), datasets.xor(), Recipe(sgd(0.5)), epochs=20)
    >>> run.history.training_accuracy.shape
    (20,)
    """
    data = checked(net, data, recipe, epochs, batch_size, seed, params, evaluate_on)
    epochs, batch_size, seed = map(operator.index, (epochs, batch_size, seed))
    check_monitors(monitors, net, -(-len(data.train.x) // batch_size))
    every = count("every", every, low=1)
    if time_budget is not None:
        constant("time_budget", time_budget, low=0)
    if on_epoch is not None and not callable(on_epoch):
        raise ValueError(
            f"on_epoch must be one function, not {on_epoch!r}; call several from one of yours."
        )
    parallelism, put = _placement(devices, time_budget)
    program = EpochProgram(net, batch_size, tuple(sorted(set(evaluate_on))), monitors, parallelism)
    data, key = put((data, jax.random.key(seed, impl="threefry2x32")))
    # Drawn by a program of their own, which other recipes share: it is the larger one.
    begun = compiled_draw_params(net, key) if params is None else params
    state, log = _compiled_start(net, recipe, key, begun), _Log([], [])
    checkpoint = resume if checkpoint is None else checkpoint
    keeper = None
    if checkpoint is not None:  # hashing the data takes time
        settings, older_settings = _settings(program, data, recipe, seed, params)
        if resume is not None:
            state, log = _resumed(resume, state, settings, older_settings, epochs)
        keeper = _Keeper(checkpoint, settings, every, len(log.rows))
    loop = _SoloLoop(program, data, recipe, key, epochs, put(state), log, keeper, on_epoch)
    loop.time_budget = time_budget
    with interrupts.interruptible() as interrupted:
        loop.interrupted = interrupted
        loop.drive(epochs)
        loop.end()
    if loop.ending == "diverged":
        warnings.warn(str(loop.stopped), RuntimeWarning, stacklevel=2)
    return loop.run(seed)


_compiled_start = jax.jit(start, static_argnames="net")
_compiled_train = jax.jit(
    train_epoch_padded, static_argnames=("program", "net"), compiler_options=STEPS
)
_compiled_finish = jax.jit(finish_epoch, static_argnames="program")


class _Log(NamedTuple):
    """What each epoch so far came to."""

    rows: list[np.ndarray]
    measured: list[np.ndarray]


@dataclass
class _Keeper:
    """Writes the checkpoints of a run."""

    folder: str | Path
    settings: dict[str, Any]
    every: int
    written: int
    """Epochs done when the last one was written."""

    def write(self, state: TrainState, log: _Log) -> None:
        """Write one, if any epoch has been done since the last one."""
        if self.written < len(log.rows):
            arrays = {"history": np.array(log.rows), "measured": np.array(log.measured)}
            checkpoints.save(self.folder, {"state": state, **arrays}, self.settings)
            self.written = len(log.rows)


@dataclass
class _SoloLoop(HostLoop):
    """One network's epochs."""

    program: EpochProgram
    data: Dataset
    recipe: Recipe
    key: Any
    epochs: int
    state: TrainState
    log: _Log
    keeper: _Keeper | None
    on_epoch: Callable[[EpochReport], None] | None
    time_budget: float | None = None
    interrupted: list[int] = field(default_factory=list)
    ending: Ending = "done"
    stopped: str | None = None

    def __post_init__(self) -> None:
        net, recipe, state = self.program.net, self.recipe, self.state
        self.done, self.began = len(self.log.rows), time.perf_counter()
        self.params = recipe.optimizer.evaluation_params(state.opt_state, state.params)
        wide = program_network([net], recipe)
        self.padded = EpochProgram(
            wide, self.program.batch_size, (), self.program.monitors, self.program.parallelism
        )

    def enter(self, index: int) -> bool:
        """Whether nothing ends the run before this epoch."""
        after, budget = f"after epoch {index} of {self.epochs}", self.time_budget
        if self.state.watch.stopped:
            self.ending, self.stopped = _stopped(index, self.recipe, self.state)
        elif self.interrupted:
            self.ending, self.stopped = "interrupted", f"interrupted {after}."
        elif budget is not None and time.perf_counter() - self.began >= budget:
            self.ending = "out of time"
            self.stopped = f"the time budget of {budget:g} s ran out {after}."
        return self.stopped is None

    def advance(self, index: int) -> tuple[EpochResult, Any]:
        """Train it, in a program of padded width, and evaluate it."""
        number, net = np.int32(index), self.program.net
        after, measured = _compiled_train(
            self.padded, net, self.data.train, self.key, number, self.recipe, self.state
        )
        finish = EpochProgram(
            net, self.program.batch_size, self.program.evaluate_on, None, self.program.parallelism
        )
        return _compiled_finish(finish, self.data, number, self.recipe, None, after), measured

    def note(self, index: int, result: tuple[EpochResult, Any]) -> bool:
        """Log and report it, unless the run has diverged."""
        epoch, measured = result
        if not epoch.finite:
            self.ending = "diverged"
            self.stopped = _diverged(index + 1, float(epoch.learning_rate))
            return False
        self.state, self.params = epoch.state, epoch.params
        self.log.rows.append(np.asarray(epoch.row))
        self.log.measured.append(np.asarray(measured if self.program.monitors else []))
        if self.keeper is not None and (index + 1) % self.keeper.every == 0:
            self.keeper.write(self.state, self.log)
        if self.on_epoch is not None:
            self.on_epoch(self._report(index + 1, epoch, measured))
        return True

    def end(self) -> None:
        """Say whether the rule has stopped the run, and write its last checkpoint."""
        if self.stopped is None:
            self.ending, self.stopped = _stopped(self.epochs, self.recipe, self.state)
        if self.keeper is not None:
            self.keeper.write(self.state, self.log)

    def run(self, seed: int) -> Run:
        """The finished run."""
        net, watch = self.program.net, self.state.watch
        dtype = self.state.params[0].w.dtype
        return Run(
            net,
            self.recipe,
            self.epochs,
            self.program.batch_size,
            seed,
            self.params,
            History(*np.array(self.log.rows, dtype).reshape(-1, 4).T),
            int(watch.best_epoch),
            watch.best,
            self._measured(),
            self.ending,
            self.stopped,
        )

    def _report(self, epoch: int, result: EpochResult, measured: Any) -> EpochReport:
        net, monitors = self.program.net, self.program.monitors
        return EpochReport(
            epoch=epoch,
            epochs=self.epochs,
            **{name: float(number) for name, number in result.row._asdict().items()},
            learning_rate=float(result.learning_rate),
            best_epoch=int(result.state.watch.best_epoch),
            seconds=time.perf_counter() - self.began,
            params=jax.tree.map(np.asarray, result.params),
            monitors={} if monitors is None else monitors.split(net, np.asarray(measured)),
        )

    def _measured(self) -> dict[str, np.ndarray]:
        """All measurements of the run by name, and their steps."""
        net, monitors = self.program.net, self.program.monitors
        if monitors is None:
            return {}
        n_steps = -(-len(self.data.train.x) // self.program.batch_size)
        rows = monitors.rows(n_steps) + 1
        table = np.array(self.log.measured).reshape(-1, sum(monitors.widths(net).values()))
        steps = np.arange(len(self.log.measured))[:, None] * n_steps + rows
        return {"step": steps.reshape(-1)} | monitors.split(net, table)


def _placement(
    devices: Sequence[Any] | None, time_budget: float | None
) -> tuple[Parallelism, Callable[[Any], Any]]:
    """How mini-batches are shared among devices, and what puts arrays on them."""
    if devices is None:
        return SINGLE, jax.device_put
    parallelism = DataParallel(devices=check_devices(devices))
    if (
        time_budget is not None
        and len({device.process_index for device in parallelism.devices}) > 1
    ):
        raise ValueError(
            "time_budget is for the devices of one process, since each of several has a clock "
            "of its own, and would stop alone; leave it out."
        )
    # Not by device_put, which takes no random keys to another process.
    return parallelism, jax.jit(lambda tree: tree, out_shardings=parallelism.sharding())


def _stopped(epochs: int, recipe: Recipe, state: TrainState) -> tuple[Ending, str | None]:
    """Whether, and why, the stopping rule ended a run after so many epochs."""
    rule, watch = recipe.stopping, state.watch
    if rule is None or not watch.stopped:
        return "done", None
    metric = rule.curve.replace("_", " ")
    sign = 1 if rule.metric == "accuracy" else -1
    best = float(watch.best_score) * sign
    if rule.target is not None and float(watch.best_score) >= float(rule.target) * sign:
        why = f"the {metric} has reached {best:g}"
    elif rule.factor is None:
        n = int(watch.waited)
        why = f"the {metric} has had no new best for {n} epoch{'s' if n > 1 else ''}"
    else:
        why = f"the learning rate has come down to {float(watch.scale):g} of the first one"
    return "stopped", f"stopped after epoch {epochs}: {why}."


def _resumed(
    folder: str | Path,
    state: TrainState,
    settings: dict[str, Any],
    older_settings: dict[str, Any],
    epochs: int,
) -> tuple[TrainState, _Log]:
    """The state and the log that a checkpoint holds."""
    like = {"state": state, "history": None, "measured": None}
    saved = checkpoints.load(folder, like, settings, older_settings)
    log = _Log(list(np.asarray(saved["history"])), list(np.asarray(saved["measured"])))
    if len(log.rows) > epochs:
        raise ValueError(f"epochs is {epochs}, but {folder} has had {len(log.rows)} already.")
    return saved["state"], log


def _settings(
    program: EpochProgram, data: Dataset, recipe: Recipe, seed: int, params: Params | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What makes a run this run: the settings that a checkpoint names; and those of version 0.2.

    The number of epochs is none: a run may go on for longer.
    """
    training = (program.net, recipe, program.batch_size)
    others = {
        "data": datasets.sha256(data),
        "seed": seed,
        "monitor": list(program.evaluate_on),
        "monitors": None if program.monitors is None else repr(program.monitors),
        "initial parameters": None if params is None else "given",
    }
    return fingerprint(*training) | others, fingerprint_0_2(*training) | others


def _diverged(index: int, rate: float) -> str:
    cause = "Its steps are too large for this network and data; try larger mini-batches."
    if not math.isnan(rate):
        cause = f"The learning rate {rate:g} is probably too large; try a smaller one."
    kept = f" The {index - 1} epochs before it are kept." if index > 1 else ""
    fault = "a weight or a cost is no longer finite"
    return f"training diverged in epoch {index}: {fault}. {cause}{kept}"
