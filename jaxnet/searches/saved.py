"""The folder of a search that keeps a state of its own from step to step."""

import contextlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import jax
import numpy as np

from jaxnet.core.types import Dataset
from jaxnet.data import datasets
from jaxnet.data.doubtful import outer_stacklevel
from jaxnet.io.files import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.searches.ranges import Scale
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.store import Setting
from jaxnet.training import checkpoints
from jaxnet.training.devices import locked_folder
from jaxnet.training.fingerprint import fingerprint

_State = TypeVar("_State")


class SavedSearch(contextlib.AbstractContextManager["SavedSearch"]):
    """A context in which a folder is locked, with the last state of a search in it.

    Args:
      folder: the folder, made if it does not exist; `None` keeps nothing.
      description: what identifies the search: the folder of another one is refused.

    Raises:
      ValueError: another call holds the folder.
      OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path | None, description: JsonObject) -> None:
        self.folder = None if folder is None else folder.absolute()
        self.description = description
        self._lock = contextlib.ExitStack()

    def __enter__(self) -> "SavedSearch":
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.enter_context(locked_folder(self.folder, is_shared=False))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.close()

    def load(self, start: _State) -> _State:
        """The state that was saved last or, if there is none, the one to start from.

        Args:
          start: the state to start from, a pytree of arrays, which may have other shapes.

        Raises:
          ValueError: the file is damaged, or of another search.
        """
        if self.folder is None or not (self.folder / checkpoints.FILE).exists():
            return start
        like = jax.tree.map(lambda _: None, start)
        state = checkpoints.load(self.folder, like, self.description, self.description)
        return jax.tree.map(_in_kind_of, state, start)

    def save(self, state: object) -> None:
        """Replace the state in the folder, atomically.

        Args:
          state: a pytree of arrays.
        """
        if self.folder is not None:
            checkpoints.save(self.folder, state, self.description)


def _in_kind_of(array: jax.Array, like: object) -> object:
    """An array on the device, or a NumPy array, as another one is."""
    return array if isinstance(like, jax.Array) else np.asarray(array)


def described_search(
    name: str, setting: Setting, swept: Recipe, data: Dataset, scales: Mapping[str, Scale]
) -> JsonObject:
    """What identifies a search in its folder, besides its own counts.

    Args:
      name: the name of the search.
      setting: the setting of one of its networks.
      swept: the recipes that it starts with.
      data: the splits.
      scales: the range of each hyperparameter.
    """
    first = RecipeBatch(swept).rows()[0]
    return fingerprint(setting.network, first, setting.batch_size) | {
        "search": name,
        "data": datasets.sha256(data),
        "dtype": str(jax.dtypes.canonicalize_dtype(float)),
        "ranges": {key: [each.kind.__name__, each.low, each.high] for key, each in scales.items()},
    }


def check_not_fewer(name: str, now: int, before: int, folder: Path | None) -> None:
    """Refuse a search that asks for less than its folder holds.

    Args:
      name: what counts the work, such as "epochs".
      now: how much is asked for.
      before: how much there is.
      folder: the folder.

    Raises:
      ValueError: there is more than is asked for.

    >>> check_not_fewer("epochs", 3, 3, None)
    """
    if now < before:
        raise ValueError(
            f"{name} is {now}, but the search in {folder} has had {before} already; ask for as "
            "many or more, or choose another folder."
        )


def warn_of_interruption(done: str, folder: Path | None) -> None:
    """Warn the caller of a search that Ctrl-C has ended it, and say how to go on.

    Args:
      done: what there is, such as "2 of 5 segments".
      folder: the folder that keeps it; `None` if nothing does.
    """
    remedy = "make the same call again to go on"
    if folder is None:
        remedy = "the same call begins anew, and with a folder it would go on"
    warnings.warn(
        f"the search was interrupted after {done}; {remedy}.",
        RuntimeWarning,
        stacklevel=outer_stacklevel(),
    )
