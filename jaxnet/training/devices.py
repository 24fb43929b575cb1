"""The devices that JAX works on."""

import os

import jax


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
