"""The parameters of trained chunks, which are kept so that nothing has to be trained twice.

With a folder they lie in the chunks' files. Without one they stay in memory up to `KEPT_BYTES`, and
beyond it in a temporary folder, which is removed together with the last study that reads from it.
"""

import itertools
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from jaxnet.core.network import Network, param_shapes
from jaxnet.core.types import Params
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.trainable import TrainableMasks, where_trainable
from jaxnet.training.step import TrainState

KEPT_BYTES = 2**30
"""The parameters of a sweep stay in memory as long as all together take no more bytes than this."""
Epoch = Literal["last", "best"]
"""After which epoch of a network its parameters are meant."""


class ChunkParams(NamedTuple):
    """The parameters of a chunk's lanes at the widths of its program, with one row per lane."""

    last: Params
    """Those after each lane's last epoch, at which it is evaluated."""
    best: Params | tuple[()]
    """Those after its best epoch; empty where only the last ones were carried along."""

    def of_rows(self, net: Network, rows: Int[np.ndarray, " lanes"], epoch: Epoch) -> Params:
        """Copies of some lanes' parameters, without padded units.

        Args:
          net: the network of these lanes.
          rows: the rows of the lanes.
          epoch: which parameters; the best ones have to be there.

        Returns:
          The parameters, (lanes, …).
        """
        return tuple(
            layer._make(
                np.asarray(array[(rows, *map(slice, shape))])
                for array, shape in zip(layer, shapes, strict=True)
            )
            for layer, shapes in zip(getattr(self, epoch), param_shapes(net), strict=True)
        )


def chunk_params(
    optimizer: Optimizer, masks: TrainableMasks | None, states: TrainState
) -> ChunkParams:
    """The parameters of a chunk's lanes, from their last states.

    Args:
      optimizer: the optimizer of one of the lanes; those of the others differ in numbers alone.
      masks: what is trained of each lane, one row per lane; None for everything.
      states: the states, one row per lane.

    Returns:
      NumPy arrays that share memory with the states, where the states are NumPy arrays.
    """
    last = states.params
    if optimizer.evaluation is not None:
        evaluated = jax.vmap(optimizer.evaluation_params)(states.opt_state, states.params)
        last = where_trainable(masks, evaluated, states.params)
    return jax.tree.map(np.asarray, ChunkParams(last, states.watch.best))


class TemporaryFolder:
    """A folder that is removed together with this object, or when the process ends.

    Attributes:
      path: the folder.
      numbers: the numbers of the files to come.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="jaxnet-"))
        self.numbers = itertools.count()
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class KeptParams:
    """The parameters of one chunk, in memory or in files.

    Args:
      params: the parameters.
      folder: where to write them; None, the default, keeps them in memory. The folder lives as long
        as this object.

    Raises:
      OSError: the files cannot be written.
    """

    def __init__(self, params: ChunkParams, folder: TemporaryFolder | None = None) -> None:
        leaves, self._structure = jax.tree.flatten(params)
        self._folder = folder
        self._leaves: list[np.ndarray] = leaves if folder is None else []
        self._files: list[Path] = []
        if folder is not None:
            # A file for each array, of which a reader maps the rows that it needs.
            self._files = [folder.path / f"{next(folder.numbers)}.npy" for _ in leaves]
            for path, leaf in zip(self._files, leaves, strict=True):
                np.save(path, leaf)

    @property
    def n_bytes(self) -> int:
        """The bytes that it takes in memory."""
        return sum(leaf.nbytes for leaf in self._leaves)

    def read(self) -> ChunkParams:
        """The parameters; arrays in files are mapped into memory."""
        leaves = self._leaves or [np.load(path, mmap_mode="r") for path in self._files]
        return jax.tree.unflatten(self._structure, leaves)

    def remove_files(self) -> None:
        """Remove the files, if there are any."""
        for path in self._files:
            path.unlink(missing_ok=True)

    def __reduce__(self) -> tuple[Callable[..., "KeptParams"], tuple[ChunkParams]]:
        """A copy, such as that in another process, has the parameters in memory."""
        return KeptParams, (jax.tree.map(np.array, self.read()),)


class ParamsKeeper:
    """Keeps the parameters of chunks: in memory up to a budget, beyond it in a temporary folder.

    Args:
      budget: how many bytes may stay in memory; None, the default, for `KEPT_BYTES`.
    """

    def __init__(self, budget: int | None = None) -> None:
        self._free_bytes = KEPT_BYTES if budget is None else budget
        self._folder: TemporaryFolder | None = None

    def keep(self, params: ChunkParams) -> KeptParams | None:
        """Keep the parameters of a chunk.

        Args:
          params: the parameters.

        Returns:
          What reads them; None if they do not fit on the disk either, so that a study has to train
          its networks again.
        """
        n_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
        if n_bytes <= self._free_bytes:
            self._free_bytes -= n_bytes
            return KeptParams(params)
        try:
            self._folder = self._folder or TemporaryFolder()
            return KeptParams(params, self._folder)
        except OSError:
            return None

    def drop(self, kept: KeptParams) -> None:
        """Free what kept parameters take, which nobody will read again.

        Args:
          kept: what `keep` returned.
        """
        self._free_bytes += kept.n_bytes
        kept.remove_files()


def stacked(params: Sequence[Params]) -> Params:
    """The parameters of several networks of one shape as arrays with an axis for the networks."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *params)
