"""The loop over epochs on the host, which `train` and a chunk of a sweep share."""

from typing import Any


class HostLoop:
    """Runs epochs from the host, one after the other: a subclass says what an epoch is.

    Attributes:
      done: how many epochs are done.
    """

    done: int = 0

    def enter(self, index: int) -> bool:
        """Prepare epoch number `index`, from 0; returns whether it is to be trained."""
        raise NotImplementedError

    def advance(self, index: int) -> Any:
        """Train and evaluate it, by compiled programs."""
        raise NotImplementedError

    def note(self, index: int, result: Any) -> bool:
        """Write down what it came to; returns whether it counts, and the loop goes on."""
        raise NotImplementedError

    def drive(self, epochs: int) -> None:
        """Run epochs until so many are done, or the loop is over."""
        while self.done < epochs and self.enter(self.done):
            if not self.note(self.done, self.advance(self.done)):
                break
            self.done += 1
