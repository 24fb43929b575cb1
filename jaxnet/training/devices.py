"""The devices that JAX works on, and the processes that share them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxnet.io import locks


def use_all_cores() -> int:
    """Make every CPU core a device of its own, so that a sweep trains on all of them.

    Call it before JAX starts: before the first array, and before `jax.devices()`.

    Returns:
      The number of CPU devices.

    Raises:
      RuntimeError: JAX has started already, with fewer devices.

    >>> import jaxnet
    >>> jaxnet.use_all_cores()  # doctest: +SKIP
    8
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        n_devices = jax.local_device_count("cpu")
        if n_devices < cores:
            raise RuntimeError(
                f"JAX has started already, with {n_devices} CPU device(s) for {cores} cores; call "
                f"jaxnet.use_all_cores() right after the imports, before the first array, or set "
                f"JAX_NUM_CPU_DEVICES={cores} in the environment."
            ) from None
    return jax.local_device_count("cpu")


@contextlib.contextmanager
def locked_folder(folder: str | Path | None, is_shared: bool) -> Iterator[None]:
    """A context in which only this call writes into a folder: see `jaxnet.io.locks.locked`.

    Args:
      folder: the folder; `None` locks nothing.
      is_shared: whether all processes of JAX make this call together: the first one of them then
        locks the folder for all.

    Yields:
      Nothing.

    Raises:
      ValueError: somebody else holds the folder.
      OSError: the folder cannot be written.
    """
    if folder is None:
        yield
        return
    refusal: ValueError | OSError | None = None
    with contextlib.ExitStack() as stack:
        if not is_shared or jax.process_index() == 0:
            try:
                stack.enter_context(locks.locked(folder))
            except (ValueError, OSError) as error:
                refusal = error
        is_refused = refusal is not None
        if is_shared and jax.process_count() > 1:
            is_refused = bool(multihost_utils.broadcast_one_to_all(np.array(is_refused)))
        if is_refused:
            raise refusal or ValueError(
                f"the first process could not lock {folder}; its message says why."
            )
        yield
