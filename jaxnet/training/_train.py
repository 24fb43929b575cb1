"""`train`: runs compiled epochs from the host, one at a time.

This module does what a compiled program cannot do: report, write checkpoints and resume from them,
react to Ctrl-C, look at the clock, and end a run that diverges.
"""

import operator
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import SupportsIndex

import jax
import numpy as np
from jaxtyping import PyTree

from jaxnet.acceleration.padding import program_network
from jaxnet.acceleration.xla_options import STEPS
from jaxnet.core.deprecation import renamed_arguments
from jaxnet.core.dtypes import FloatType, computing_in, in_dtype, on_host
from jaxnet.core.hyperparameters import count, flag
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Dataset, EvaluatedSplit, History, Order, Params
from jaxnet.data import datasets
from jaxnet.data.doubtful import outer_stacklevel, warn_if_doubtful
from jaxnet.interrupts import interruptible
from jaxnet.io.files import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.trainable import Trainable, TrainableMasks, trainable_masks
from jaxnet.training import checkpoints
from jaxnet.training.checkpoints import INITIAL, tree_sha256
from jaxnet.training.checks import (
    check_host_settings,
    check_monitors,
    check_not_traced,
    check_order,
    check_settings,
    checked,
)
from jaxnet.training.devices import locked_folder
from jaxnet.training.endings import divergence_message, ending_by_rule
from jaxnet.training.epoch_results import EpochResult, finish_epoch
from jaxnet.training.epochs import EpochProgram, train_epoch_padded
from jaxnet.training.fingerprint import fingerprint
from jaxnet.training.fingerprint_0_2 import fingerprint_0_2
from jaxnet.training.host_loop import HostLoop
from jaxnet.training.measured import Measured, measured
from jaxnet.training.metrics import MetricFunction
from jaxnet.training.monitors import Monitors
from jaxnet.training.parallelism import Devices, parallelism_of
from jaxnet.training.phases import Beginning, beginning, check_state, type_to_go_on_in
from jaxnet.training.progress_callback import run_line
from jaxnet.training.progress_line import EpochLine
from jaxnet.training.run import Ending, EpochCallback, EpochReport, Run, RunState
from jaxnet.training.run_callbacks import Callbacks, RunStart, callbacks_of
from jaxnet.training.run_log import (
    CheckpointWriter,
    RunLog,
    history_of,
    read_checkpoint,
    with_unpenalized_best_score,
)
from jaxnet.training.step import TrainState, evaluation_params

ResultAndTable = tuple[EpochResult, AnyArray | None]
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
    evaluate_on: Sequence[EvaluatedSplit] = ("validation", "training"),
    metrics: Mapping[str, MetricFunction] | None = None,
    order: Order = "shuffled",
    monitors: Monitors | None = None,
    on_epoch: EpochCallback | Sequence[EpochCallback] | None = None,
    checkpoint: str | Path | None = None,
    every: SupportsIndex = 1,
    resume: str | Path | None = None,
    time_budget: float | None = None,
    devices: Devices | None = None,
    trainable: Trainable = None,
    state: RunState | None = None,
    dtype: FloatType | None = None,
    progress: bool = True,
) -> Run:
    """Train a network, an epoch at a time.

    The program is compiled once for all epochs. Another number in the recipe, or another seed,
    compiles nothing. The data is copied to the device once.

    Args:
      net: the architecture.
      data: the training split is trained on; the validation split, where there is one, is
        evaluated after every epoch and decides on the best one. The test split is not touched,
        unless `evaluate_on` names it; it decides on nothing.
      recipe: how the network is trained, with scalars for numbers (arrays are for sweeps).
      epochs: how many times every example is visited, at most; 30 by default. With a state to
        go on from, these are epochs more. With 0 the network is evaluated, and not trained: its
        history has one row, of the initial parameters.
      batch_size: examples per mini-batch, in [1, number of training examples]; 10 by default.
      seed: the seed of initial weights and mini-batches, in [0, 2³²); 0 by default. The weights are
        drawn at an address of their own under it: they are not `init(net, jax.random.key(seed))`.
      params: initial parameters, of the shapes of `net.sizes`; `None` draws them from the seed.
      evaluate_on: which splits to evaluate after each epoch, of "validation", "training" (the
        default is these two) and "test". The curves of the validation split are called
        "evaluation_cost" and so on, as in network2; those of the test split are in
        `History.metrics`.
      metrics: what else to evaluate on these splits, by names of your choice: functions such as
        those of `jaxnet.metrics`, or your own, of the output activations (n, n_out), the targets
        and the examples' weights (n,). `{"auc": jaxnet.metrics.roc_auc}` records
        "evaluation_auc" and "training_auc" in `History.metrics`. `None` for nothing.
      order: the order in which each epoch visits the examples: "shuffled" (the default), a random
        one for each seed and epoch, or "sequential", that of the data.
      monitors: what else to measure during training: see `jaxnet.Monitors`; `None` for nothing.
      on_epoch: a function that is called after every epoch with an `EpochReport`, such as those of
        `jaxnet.callbacks`, or a list of them; `None` for none. One that returns "stop" ends the run
        after this epoch. A KeyboardInterrupt that it raises ends the run like Ctrl-C; any other
        exception ends this call.
      checkpoint: a folder to keep `checkpoint.safetensors` in, which the run locks; `None` writes
        no checkpoints, unless `resume` names a folder. A folder with the checkpoint of another run
        is refused. If it is one of the same run, the run begins anew all the same, and replaces it,
        with a warning: `resume` goes on from it.
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
      trainable: which parameters are trained: one boolean, or a tuple with an entry per layer, each
        a boolean or a `Layer(w, b)` of booleans and arrays of the parameters' shapes (where the
        activation has a parameter, a `ParametricLayer(w, b, activation)`); 0 and 1 are booleans,
        too. All others keep the bits that they have at the start, and the optimizer sees 0 for them
        and for their gradients. Other values in the arrays compile nothing anew. `None`, the
        default, trains all.
      state: where an earlier call ended (`Run.state`), to go on from. If network, recipe, batch
        size, `trainable` and `dtype` (by default the state's own type) are the same, the run goes
        on with the optimizer's state, to the same bits as one longer run; epochs are counted on.
        Otherwise its next phase begins, from the state's parameters: the optimizer, the schedule
        and the stopping rule begin anew, epochs are counted from 1, `init_scale` does not scale
        again, and all randomness has addresses of the phase's own. The seed has to be the same;
        the data and `order` may be others. `None` (the default) starts a new run. With `resume`,
        give the state that the call had that was stopped.
      dtype: "float32" or "float64": the type to compute in, whatever JAX's default is; the results
        are then NumPy arrays. It holds for this call, and not for other threads. The recipe's
        numbers are those of the type that they were made in: 0.1 is 0.100000001 in float32. `None`
        (the default) is the type of `state`, if there is one, and else JAX's default.
      progress: whether to show the progress where a person watches: on a terminal that stderr goes
        to (by rich, of the extra `cli`), or in a notebook; True by default. Calls inside of another
        one and workers show nothing, nor does this one beside `callbacks.progress`.

    Returns:
      The finished `Run`. Ctrl-C ends the run after the epoch, and what was trained is returned,
      with a warning and the `ending` "interrupted"; a second Ctrl-C raises KeyboardInterrupt at
      once. If the parameters or a cost are no longer finite, the run ends, and holds the
      parameters and the history of the epochs before.

    Raises:
      ValueError: network, data and settings do not fit together, a checkpoint is missing, damaged
        or of another run, or another run is writing into its folder.
      OSError: a checkpoint cannot be written; the one before it is unharmed.

    Warns:
      RuntimeWarning: the run diverged, or Ctrl-C ended it; the message names the epoch. Or Ctrl-C
        ended what a callback did after the last epoch.
      UserWarning: the data are hardly what is meant, such as float pixels up to 255; the
        checkpoint to resume from was written with another version of JAX or on
        another kind of device; or a checkpoint of the same run is replaced.

    >>> from jaxnet import datasets
    >>> from jaxnet.recipes.optimizers import sgd
    >>> run = train(Network((2, 8, 2)), datasets.xor(), Recipe(sgd(0.5)), epochs=20)
    >>> run.history.training_accuracy.shape
    (20,)
    """
    check_not_traced(
        "train", "jaxnet.fit is a pure function", data, recipe, seed, params, trainable
    )
    with computing_in(dtype := type_to_go_on_in(dtype, state)):
        epochs = count("epochs", epochs, low=0)
        recipe = in_dtype(dtype, recipe)
        choices = measured(evaluate_on, metrics, monitors)
        data = checked(net, data, recipe, max(1, epochs), batch_size, seed, params, choices)
        warn_if_doubtful(data, "the data")
        batch_size, seed = map(operator.index, (batch_size, seed))
        check_state(net, seed, params, state)
        masks = trainable_masks(net, trainable)
        check_monitors(monitors, net, -(-len(data.train.x) // batch_size))
        check_order(order)
        check_host_settings(epochs, every, checkpoint, resume, time_budget)
        parallelism, put, is_shared = parallelism_of(devices, time_budget)
        program = EpochProgram(
            net, batch_size, choices.evaluate_on, monitors, parallelism, choices.metrics,
            choices.best_by(recipe.stopping), order,
        )  # fmt: skip
        data, key, masks = put((data, jax.random.key(seed, impl="threefry2x32"), masks))
        begin = beginning(net, recipe, batch_size, masks, key, params, state)
        total = begin.epochs + epochs
        if begin.epochs:  # a schedule has to last for the whole phase
            check_settings(net, data, recipe, total, batch_size, seed, None, choices)
        loop = _TrainLoop(
            program=program, data=data, recipe=recipe, trainable=masks, seed=seed, begin=begin,
            epochs=total, dtype=dtype, put=put, callbacks=callbacks_of(on_epoch),
            time_budget=time_budget, is_shown=flag("progress", progress),
        )  # fmt: skip
        folder = resume if checkpoint is None else checkpoint
        with locked_folder(folder, is_shared):
            _open_checkpoint(loop, folder, resume, every, params, choices)
            loop.run_epochs()
    return _finished_run(loop, folder)


def _finished_run(loop: "_TrainLoop", folder: str | Path | None) -> Run:
    """The finished run; it warns the caller of `train` if it diverged, or if Ctrl-C ended it."""
    run = loop.run()
    loop.callbacks.finish(run)
    remedy = "state=run.state" if folder is None else f"resume={str(folder)!r}"
    message = str(loop.stopped)
    if loop.ending == "interrupted":
        message += f" Call train with {remedy} to go on."
    if loop.ending in ("diverged", "interrupted"):
        warnings.warn(message, RuntimeWarning, stacklevel=outer_stacklevel())
    return run


_compiled_train = jax.jit(
    train_epoch_padded, static_argnames=("program", "net"), compiler_options=STEPS
)
_compiled_finish = jax.jit(finish_epoch, static_argnames="program")


@dataclass
class _TrainLoop(HostLoop[ResultAndTable]):
    """The epochs of one network."""

    program: EpochProgram
    data: Dataset
    recipe: Recipe
    trainable: TrainableMasks | None
    seed: int
    begin: Beginning
    epochs: int
    """Epochs of the phase at most, those of earlier calls included."""
    dtype: FloatType | None
    put: Callable[[PyTree], PyTree]
    """Puts arrays on the devices."""
    callbacks: Callbacks
    time_budget: float | None
    is_shown: bool
    """Whether the progress is shown where a person watches."""
    writer: CheckpointWriter | None = None
    line: EpochLine | None = None
    """Shows the progress, if a person watches."""
    interrupts: list[int] = field(default_factory=list)
    """The signals received so far: not empty after Ctrl-C."""
    ending: Ending = "done"
    stopped: str | None = None
    """Why the run ended early, as a sentence."""

    def __post_init__(self) -> None:
        net, recipe, program = self.program.net, self.recipe, self.program
        self.start_time = time.perf_counter()
        self.go_on_from(self.begin.state, RunLog([], []))
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
            metrics=program.metrics,
            criterion=program.criterion,
        )

    def go_on_from(self, state: TrainState, log: RunLog) -> None:
        """Set the state before the next epoch, and the results of this call so far."""
        self.state, self.log = self.put(state), log
        self.done = self.begin.epochs + len(log.rows)
        self.params = evaluation_params(self.recipe, self.state, self.trainable)

    def enter(self, index: int) -> bool:
        """Whether to train this epoch: no stop, Ctrl-C or time budget has ended the run."""
        after, budget = f"after epoch {index} of {self.epochs}", self.time_budget
        if self.state.watch.stopped:
            self.ending, self.stopped = ending_by_rule(
                index, self.recipe, self.state, self.program.criterion
            )
        elif self.interrupts:
            self.ending, self.stopped = "interrupted", f"interrupted {after}."
        elif (stopping := self.callbacks.stopping) is not None:
            name = getattr(stopping, "__name__", type(stopping).__name__)
            self.ending, self.stopped = "stopped", f'stopped {after}: {name} returned "stop".'
        elif budget is not None and time.perf_counter() - self.start_time >= budget:
            self.ending = "out of time"
            self.stopped = f"the time budget of {budget:g} s ran out {after}."
        return self.stopped is None

    def advance(self, index: int) -> ResultAndTable:
        """Train this epoch, in a program of padded widths, and evaluate the network."""
        number, net = np.int32(index), self.program.net
        after, measured = _compiled_train(
            self.training_program, net, self.data.train, self.begin.key, number, self.recipe,
            self.state, self.trainable,
        )  # fmt: skip
        result = _compiled_finish(
            self.evaluation_program, self.data, number, self.recipe, None, after, self.trainable
        )
        return result, measured

    def note(self, index: int, result: ResultAndTable) -> bool:
        """Log and report this epoch, unless the run has diverged."""
        epoch, measured = result
        if not epoch.finite:
            self.ending = "diverged"
            self.stopped = divergence_message(index + 1, float(epoch.learning_rate))
            return False
        self.state, self.params = epoch.state, epoch.params
        row = epoch.row.to_array()
        self.log.rows.append(row)
        self.log.measured.append(np.asarray([] if measured is None else measured))
        if self.writer is not None and (index + 1) % self.writer.every == 0:
            self._write_checkpoint()
        if self.line is not None:
            self.line.show(index + 1, self.epochs, dict(zip(History.CURVES, row.tolist())),
                           time.perf_counter() - self.start_time)  # fmt: skip
        if self.callbacks.functions:
            self.callbacks.report(self._report(index + 1, epoch, measured), self.interrupts)
        return True

    def _evaluate_start(self) -> None:
        """Evaluate the initial parameters, and train nothing."""
        number = np.int32(self.done - 1)
        result = _compiled_finish(
            self.evaluation_program, self.data, number, self.recipe, None, self.state,
            self.trainable,
        )  # fmt: skip
        self.log.rows.append(result.row.to_array())

    def run_epochs(self) -> None:
        """Run all epochs, or those before Ctrl-C; if there are none, evaluate the parameters."""
        n_examples = len(self.data.train.x)
        try:
            self.callbacks.begin(self._start)
            if self.epochs == self.begin.epochs:
                return self._evaluate_start()
            with (
                interruptible() as self.interrupts,
                run_line(self.is_shown, self.callbacks.functions, n_examples) as self.line,
            ):
                self._run_epochs()
        except BaseException:
            self.callbacks.end(None)
            raise

    def _start(self) -> RunStart:
        """What is about to be trained; hashing the data takes time."""
        return RunStart(
            network=self.program.net,
            recipe=self.recipe,
            batch_size=self.program.batch_size,
            seed=self.seed,
            examples=len(self.data.train.x),
            epochs=self.epochs,
            done=self.done,
            data_sha256=datasets.sha256(self.data),
        )

    def _run_epochs(self) -> None:
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
            self.ending, self.stopped = ending_by_rule(
                self.epochs, self.recipe, self.state, self.program.criterion
            )
        self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        if self.writer is not None:
            self.writer.write(self.state, self.log)

    def run(self) -> Run:
        """The finished run."""
        params, best_params, initial_params = on_host(
            self.dtype, (self.params, self.state.watch.best, self.begin.state.params)
        )
        monitors, history = self.program.monitors, self._history(self.state.params[0].w.dtype)
        n_steps = -(-len(self.data.train.x) // self.program.batch_size)
        return Run(
            network=self.program.net,
            recipe=self.recipe,
            epochs=self.epochs,
            batch_size=self.program.batch_size,
            seed=self.seed,
            params=params,
            history=history,
            best_epoch=int(self.state.watch.best_epoch),
            best_params=best_params,
            monitors=(
                {}
                if monitors is None
                else monitors.by_measurement(history.monitors, n_steps, self.begin.epochs)
            ),
            ending=self.ending,
            stopped=self.stopped,
            initial_params=initial_params,
            state=self._run_state(),
        )

    def _run_state(self) -> RunState:
        """Where the run ended."""
        return RunState(
            network=self.program.net,
            recipe=self.recipe,
            batch_size=self.program.batch_size,
            seed=self.seed,
            trainable=self.trainable,
            phase=self.begin.phase,
            epochs=self.done,
            train=on_host(self.dtype, self.state),
            params=on_host(self.dtype, self.params),
        )

    def _report(self, epoch: int, result: EpochResult, measured: AnyArray | None) -> EpochReport:
        net, monitors = self.program.net, self.program.monitors
        return EpochReport(
            epoch=epoch,
            epochs=self.epochs,
            **{name: float(getattr(result.row, name)) for name in History.CURVES},
            learning_rate=float(result.learning_rate),
            best_epoch=int(result.state.watch.best_epoch),
            seconds=time.perf_counter() - self.start_time,
            params=jax.tree.map(np.asarray, result.params),
            monitors={} if monitors is None else monitors.split(net, np.asarray(measured)),
            metrics={name: float(number) for name, number in result.row.metrics.items()},
        )

    def _history(self, dtype: np.dtype) -> History:
        """The curves of all epochs, and what the monitors measured in each."""
        net, monitors = self.program.net, self.program.monitors
        history = history_of(self.log, self.program.metric_names, dtype)
        if monitors is None:
            return history
        n_measured = len(monitors.rows(-(-len(self.data.train.x) // self.program.batch_size)))
        shape = (len(self.log.measured), n_measured, sum(monitors.widths(net).values()))
        table = np.array(self.log.measured, dtype).reshape(shape)
        return history._replace(monitors=monitors.split(net, table))


def _open_checkpoint(
    loop: _TrainLoop,
    folder: str | Path | None,
    resume: str | Path | None,
    every: SupportsIndex,
    params: Params | None,
    choices: Measured,
) -> None:
    """Let a loop write checkpoints into a folder, if any, after reading the one to resume from."""
    if folder is None:
        return
    settings = _run_settings(loop, params)  # hashing the data takes time
    settings = [setting | choices.settings() for setting in settings]
    if resume is None or Path(folder).resolve() != Path(resume).resolve():
        checkpoints.check_replaceable(folder, *settings)
    if resume is not None:
        n_epochs = loop.epochs - loop.begin.epochs
        state, log = read_checkpoint(resume, loop.state, settings, loop.program, n_epochs)
        state = with_unpenalized_best_score(state, log, loop.data, loop.recipe, loop.program)
        loop.go_on_from(state, log)
    loop.writer = CheckpointWriter(
        Path(folder).absolute(), settings[0], operator.index(every), n_written=len(loop.log.rows)
    )


def _run_settings(loop: _TrainLoop, params: Params | None) -> tuple[JsonObject, JsonObject]:
    """The settings that identify a run in its checkpoints; and the same as version 0.2 wrote them.

    The number of epochs is none of them: a run may be continued for longer.
    """
    program, begin = loop.program, loop.begin
    training = (program.net, loop.recipe, program.batch_size)
    run_settings = {
        "data": datasets.sha256(loop.data),
        "seed": loop.seed,
        "monitor": list(program.evaluate_on),
        "monitors": None if program.monitors is None else repr(program.monitors),
        INITIAL: None if params is None else tree_sha256(begin.state.params),
    }
    if program.order != "shuffled":
        run_settings["order"] = program.order
    if loop.dtype is not None:
        run_settings["dtype"] = loop.dtype
    if loop.trainable is not None:
        run_settings["trainable"] = tree_sha256(loop.trainable)
    if begin.phase or begin.epochs:
        before = {"phase": begin.phase, "epochs": begin.epochs, "state": tree_sha256(begin.state)}
        run_settings["begins after"] = before
    return fingerprint(*training) | run_settings, fingerprint_0_2(*training) | run_settings
