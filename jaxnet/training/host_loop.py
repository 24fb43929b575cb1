"""The loop over epochs on the host, which `train` and a chunk of a sweep share."""

from typing import Generic, TypeVar

Result = TypeVar("Result")


class HostLoop(Generic[Result]):
    """Runs epochs from the host, one after the other; a subclass defines the steps of an epoch.

    Attributes:
      done: how many epochs are done.
    """

    done: int = 0

    def enter(self, index: int) -> bool:
        """Prepare an epoch.

        Args:
          index: the number of the epoch, from 0.

        Returns:
          Whether to train it; if not, the loop ends.
        """
        raise NotImplementedError

    def advance(self, index: int) -> Result:
        """Train and evaluate an epoch, by compiled programs.

        Args:
          index: the number of the epoch, from 0.

        Returns:
          The result of the epoch.
        """
        raise NotImplementedError

    def note(self, index: int, result: Result) -> bool:
        """Record the result of an epoch.

        Args:
          index: the number of the epoch, from 0.
          result: what `advance` returned.

        Returns:
          Whether the epoch counts as done; if not, the loop ends.
        """
        raise NotImplementedError

    def drive(self, epochs: int) -> None:
        """Run epochs until enough are done, or `enter` or `note` ends the loop.

        Args:
          epochs: how many epochs are to be done, those before this call included.
        """
        while self.done < epochs and self.enter(self.done):
            if not self.note(self.done, self.advance(self.done)):
                break
            self.done += 1
