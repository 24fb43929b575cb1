"""What `train` calls: after every epoch, and where a callback wants it, before and after a run."""

import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from jaxnet.core.arguments import brief, require_plain_function
from jaxnet.core.network import Network
from jaxnet.data.doubtful import outer_stacklevel
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.run import EpochCallback, EpochReport, Run


class RunStart(NamedTuple):
    """What a call of `train` is about to do, for callbacks that write it down.

    Attributes:
      network: the architecture.
      recipe: how it is trained.
      batch_size: examples per mini-batch.
      seed: the seed of the run.
      examples: the number of training examples.
      epochs: epochs that the run has at most, those of earlier calls included.
      done: epochs that earlier calls have done: not 0 after `resume` or `state`.
      data_sha256: the `jaxnet.datasets.sha256` of the data set, in the type it is trained in.

    >>> from jaxnet import Recipe, sgd
    >>> start = RunStart(Network((2, 2)), Recipe(sgd(0.5)), batch_size=10, seed=0, examples=200,
    ...                  epochs=5, done=0, data_sha256="")
    >>> start.epochs - start.done
    5
    """

    network: Network
    recipe: Recipe
    batch_size: int
    seed: int
    examples: int
    epochs: int
    done: int
    data_sha256: str


@runtime_checkable
class RunCallback(EpochCallback, Protocol):
    """A callback that `train` also calls before the first epoch and after the last one.

    Every `begin` that returned is followed by one `end`, also where there are no epochs, and after
    an exception. If `begin` raises, this callback's own `end` is not called.
    """

    def begin(self, start: RunStart, /) -> None:
        """Take what is about to be trained.

        Args:
          start: network, recipe and settings of the run.
        """
        ...

    def end(self, run: Run | None, /) -> None:
        """Take the finished run.

        Args:
          run: what `train` returns; `None` if an exception ends the call.
        """
        ...


@dataclass
class Callbacks:
    """The callbacks of a run."""

    functions: tuple[EpochCallback, ...]
    """What is called after every epoch."""
    stopping: EpochCallback | None = None
    """The callback that returned "stop", if one did."""
    begun: list[RunCallback] = field(default_factory=list)
    """The callbacks that have been told of the beginning, and not yet of the end."""

    def begin(self, start: Callable[[], RunStart]) -> None:
        """Say what is about to be trained to the callbacks that want to know.

        Args:
          start: makes what they are told, which takes time; not called if no callback wants it.
        """
        callbacks = [callback for callback in self.functions if isinstance(callback, RunCallback)]
        if callbacks:
            run_start = start()
            for callback in callbacks:
                callback.begin(run_start)
                self.begun.append(callback)

    def report(self, report: EpochReport, interrupts: list[int]) -> None:
        """Pass the report of an epoch to all callbacks.

        Args:
          report: the report.
          interrupts: the signals received so far; a KeyboardInterrupt counts as one.
        """
        try:
            for callback in self.functions:
                answer = callback(report)
                if isinstance(answer, str) and answer == "stop":
                    self.stopping = callback
        except KeyboardInterrupt:  # the run ends as after Ctrl-C during the epoch
            interrupts.append(signal.SIGINT)

    def finish(self, run: Run) -> None:
        """Pass the finished run to the callbacks that have begun; Ctrl-C only ends what one does.

        Args:
          run: the run, which is not to be lost while a callback waits for a server, say.
        """
        while self.begun:
            try:
                self.end(run)
            except KeyboardInterrupt:
                message = "Ctrl-C ended a callback's end; the run was finished, and is returned."
                warnings.warn(message, RuntimeWarning, stacklevel=outer_stacklevel())

    def end(self, run: Run | None) -> None:
        """Pass the run to the callbacks that have begun; `None` after an exception."""
        while self.begun:
            self.begun.pop(0).end(run)


def callbacks_of(
    on_epoch: EpochCallback | Sequence[EpochCallback] | None,
) -> Callbacks:
    """The callbacks of a run, from what its caller gives.

    Args:
      on_epoch: a function, a list of functions, or `None`.

    Returns:
      The callbacks.

    Raises:
      ValueError: one of them is no function, or a call would not run it.

    >>> callbacks_of(None).functions
    ()
    """
    if on_epoch is None:
        return Callbacks(())
    callbacks = (on_epoch,)
    if isinstance(on_epoch, (list, tuple)) and not hasattr(on_epoch, "_fields"):
        callbacks = tuple(on_epoch)  # optax's transformations are tuples, too: named ones
    for callback in callbacks:
        if not callable(callback) or isinstance(callback, type):
            raise ValueError(
                "on_epoch must be a function of a report, or a list of such functions, not "
                f"{brief(on_epoch)}."
            )
        require_plain_function("on_epoch", callback)
    return Callbacks(callbacks)  # pyright: ignore[reportArgumentType]
