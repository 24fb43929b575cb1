"""The driver: `train` runs the compiled epoch from the host, an epoch at a time.

Here live the things that a compiled program cannot do: to report, to write checkpoints and to go
on from them, to hear Ctrl-C, to look at the clock, to give up on a run that diverges.
"""

import math
import operator
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

import jax
import numpy as np

from jaxnet.acceleration.padding import program_network
from jaxnet.acceleration.xla_options import STEPS
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, History, Params
from jaxnet.data import datasets
from jaxnet.recipes.recipe import Recipe
from jaxnet.training import checkpoints, interrupts
from jaxnet.training.checks import checked
from jaxnet.training.epochs import Closed, closed, trained_in
from jaxnet.training.monitors import Monitors
from jaxnet.training.parallelism import Spread, alone, distinct
from jaxnet.training.run import Ending, EpochReport, Run
from jaxnet.training.step import TrainState, compiled_drawn, start


def train(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    *,
    epochs: SupportsIndex = 30,
    batch_size: SupportsIndex = 10,
    seed: SupportsIndex = 0,
    params: Params | None = None,
    monitor: Sequence[str] = ("evaluation", "training"),
    monitors: Monitors | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    checkpoint: str | Path | None = None,
    every: SupportsIndex = 1,
    resume: str | Path | None = None,
    time_budget: float | None = None,
    devices: Sequence[Any] | None = None,
) -> Run:
    """Train a network, an epoch at a time: the driver around the compiled `epoch`.

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
      monitor: which splits to evaluate after each epoch: "evaluation", "training", both or none.
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
    data = checked(net, data, recipe, epochs, batch_size, seed, params, monitor, monitors)
    epochs, batch_size, seed = map(operator.index, (epochs, batch_size, seed))
    every = count("every", every, low=1)
    if time_budget is not None:
        constant("time_budget", time_budget, low=0)
    if on_epoch is not None and not callable(on_epoch):
        raise ValueError(
            f"on_epoch must be one function, not {on_epoch!r}; call several from one of yours."
        )
    monitor = tuple(sorted(set(monitor)))
    over, put = alone, jax.device_put
    if devices is not None:
        over = Spread(devices=distinct(devices))
        if time_budget is not None and len({one.process_index for one in over.devices}) > 1:
            raise ValueError(
                "time_budget is for the devices of one process, since each of several has a clock "
                "of its own, and would stop alone; leave it out."
            )
        # Not by device_put, which takes no random keys to another process.
        put = jax.jit(lambda tree: tree, out_shardings=over.sharding())
    data, key = put((data, jax.random.key(seed, impl="threefry2x32")))
    # Drawn by a program of their own, which other recipes share: it is the larger one.
    begun = compiled_drawn(net, key) if params is None else params
    state = _compiled_start(net, recipe, key, begun)
    log = _Log([], [])
    checkpoint = resume if checkpoint is None else checkpoint
    settings: dict[str, Any] = {}
    if checkpoint is not None:  # hashing the data takes time
        settings = _settings(net, data, recipe, batch_size, seed, monitor, monitors, params)
    if resume is not None:
        state, log = _resumed(resume, state, settings, epochs)
    state = put(state)
    current = recipe.optimizer.evaluation_params(state.opt_state, state.params)
    program = program_network([net], recipe)
    ending: Ending = "done"
    stopped, written = None, len(log.rows)
    began = time.perf_counter()

    def write() -> int:
        assert checkpoint is not None
        tree = {"state": state, "history": np.array(log.rows), "measured": np.array(log.measured)}
        checkpoints.save(checkpoint, tree, settings)
        return len(log.rows)

    with interrupts.interruptible() as interrupted:
        for index in range(len(log.rows), epochs):
            ending, stopped = _before(index, epochs, recipe, state, interrupted, began, time_budget)
            if stopped:
                break
            after, measured = _compiled_trained(
                program, net, batch_size, monitors, data.train, key, np.int32(index), recipe, state,
                over=over,
            )  # fmt: skip
            done = _compiled_closed(
                net, batch_size, monitor, data, np.int32(index), recipe, after, over=over
            )
            if not done.finite:
                ending, stopped = "diverged", _diverged(index + 1, float(done.learning_rate))
                warnings.warn(stopped, RuntimeWarning, stacklevel=2)
                break
            state, current = done.state, done.params
            log.rows.append(np.asarray(done.row))
            log.measured.append(np.asarray(measured if monitors else []))
            if checkpoint is not None and (index + 1) % every == 0:
                written = write()
            if on_epoch is not None:
                seconds = time.perf_counter() - began
                on_epoch(_report(index + 1, epochs, done, measured, seconds, net, monitors))
        else:
            ending, stopped = _after(epochs, recipe, state)
        if checkpoint is not None and written < len(log.rows):
            write()
    history = History(*np.array(log.rows, state.params[0].w.dtype).reshape(-1, 4).T)
    found = {} if monitors is None else _measured(log, net, monitors, len(data.train.x), batch_size)
    return Run(
        net,
        recipe,
        epochs,
        batch_size,
        seed,
        current,
        history,
        int(state.watch.best_epoch),
        state.watch.best,
        found,
        ending,
        stopped,
    )


_compiled_start = jax.jit(start, static_argnames="net")
_compiled_trained = jax.jit(
    trained_in,
    static_argnames=("program", "net", "batch_size", "monitors", "over"),
    compiler_options=STEPS,
)
_compiled_closed = jax.jit(closed, static_argnames=("net", "batch_size", "monitor", "over"))


class _Log(NamedTuple):
    """What each epoch so far came to."""

    rows: list[np.ndarray]
    measured: list[np.ndarray]


def _before(
    index: int,
    epochs: int,
    recipe: Recipe,
    state: TrainState,
    interrupted: list[int],
    began: float,
    budget: float | None,
) -> tuple[Ending, str | None]:
    """Whether, and why, a run ends before epoch number `index`, from 0."""
    after = f"after epoch {index} of {epochs}"
    if state.watch.stopped:
        return _after(index, recipe, state)
    if interrupted:
        return "interrupted", f"interrupted {after}."
    if budget is not None and time.perf_counter() - began >= budget:
        return "out of time", f"the time budget of {budget:g} s ran out {after}."
    return "done", None


def _after(epochs: int, recipe: Recipe, state: TrainState) -> tuple[Ending, str | None]:
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


def _report(
    epoch: int,
    epochs: int,
    done: Closed,
    measured: Any,
    seconds: float,
    net: Network,
    monitors: Monitors | None,
) -> EpochReport:
    named = {} if monitors is None else monitors.split(net, np.asarray(measured))
    return EpochReport(
        epoch=epoch,
        epochs=epochs,
        **{name: float(number) for name, number in done.row._asdict().items()},
        learning_rate=float(done.learning_rate),
        best_epoch=int(done.state.watch.best_epoch),
        seconds=seconds,
        params=jax.tree.map(np.asarray, done.params),
        monitors=named,
    )


def _measured(
    log: _Log, net: Network, monitors: Monitors, n: int, batch_size: int
) -> dict[str, np.ndarray]:
    """All measurements of a run by name, and their steps."""
    n_steps = -(-n // batch_size)
    rows = monitors.rows(n_steps) + 1
    width = sum(monitors.widths(net).values())
    table = np.array(log.measured).reshape(-1, width)
    steps = (np.arange(len(log.measured))[:, None] * n_steps + rows).reshape(-1)
    return {"step": steps} | monitors.split(net, table)


def _resumed(
    folder: str | Path, state: TrainState, settings: dict[str, Any], epochs: int
) -> tuple[TrainState, _Log]:
    """The state and the log that a checkpoint holds."""
    like = {"state": state, "history": None, "measured": None}
    saved = checkpoints.load(folder, like, settings)
    log = _Log(list(np.asarray(saved["history"])), list(np.asarray(saved["measured"])))
    if len(log.rows) > epochs:
        raise ValueError(f"epochs is {epochs}, but {folder} has had {len(log.rows)} already.")
    return saved["state"], log


def _settings(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    batch_size: int,
    seed: int,
    monitor: tuple[str, ...],
    monitors: Monitors | None,
    params: Params | None,
) -> dict[str, Any]:
    """What makes a run this run: the settings that a checkpoint names.

    The number of epochs is none: a run may go on for longer.
    """
    return {
        **checkpoints.described(net, recipe, batch_size),
        "data": datasets.sha256(data),
        "seed": seed,
        "monitor": list(monitor),
        "monitors": None if monitors is None else repr(monitors),
        "initial parameters": None if params is None else "given",
    }


def _diverged(index: int, rate: float) -> str:
    cause = "Its steps are too large for this network and data; try larger mini-batches."
    if not math.isnan(rate):
        cause = f"The learning rate {rate:g} is probably too large; try a smaller one."
    kept = f" The {index - 1} epochs before it are kept." if index > 1 else ""
    fault = "a weight or a cost is no longer finite"
    return f"training diverged in epoch {index}: {fault}. {cause}{kept}"
