"""The devices that JAX works on."""

import os

import jax


def use_all_cores() -> int:
    """Make every core of the CPU a device of its own, so that a sweep trains on all of them.

    To be called before JAX begins to work: before the first array, and before `jax.devices()`.

    Returns:
      The number of devices.

    Raises:
      RuntimeError: JAX has begun already, with fewer devices.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        if jax.local_device_count("cpu") < cores:
            raise RuntimeError(
                f"JAX works with {jax.local_device_count('cpu')} CPU device(s) already; call "
                f"jaxnet.use_all_cores() right after the imports, before the first array, or set "
                f"JAX_NUM_CPU_DEVICES={cores} in the environment."
            ) from None
    return jax.local_device_count("cpu")
