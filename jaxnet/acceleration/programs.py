"""Programs: compile a function once for all devices of a process, and load it on each of them.

JAX compiles a jitted function anew for each device that it runs on, although the machine code is
the same on all cores of a CPU. A `Program` compiles once: its executable is serialized and loaded
on the other devices, which takes milliseconds. Where JAX's cache on disk is on, each device
compiles its own, and finds it there in the next process.
"""

import io
import threading
from collections.abc import Callable, Hashable
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable
from jax.sharding import SingleDeviceSharding

from jaxnet.acceleration.xla_options import Options
from jaxnet.core.dtypes import uses_float64
from jaxnet.core.types import Device

MOST_EXECUTABLES = 64
"""The most shapes of arguments, of all programs together, whose executables are kept."""


class Program:
    """A function of a static argument and arrays, compiled once for all devices of this process.

    Args:
      function: `function(static, *arrays)`: its first argument is hashable, the others are pytrees
        of arrays.
      options: XLA's options for each value of the static argument.

    >>> double = Program(lambda factor, x: factor * x, lambda factor: {})
    >>> ones = jax.numpy.ones(3)
    >>> double(2, ones).tolist(), double.on_device(2, ones)(ones).tolist()
    ([2.0, 2.0, 2.0], [2.0, 2.0, 2.0])
    """

    def __init__(self, function: Callable[..., Any], options: Callable[[Any], Options]) -> None:
        self._options = options
        self._with_options = lru_cache(maxsize=None)(
            lambda items: jax.jit(function, static_argnums=0, compiler_options=dict(items))
        )

    def jitted(self, static: Hashable) -> Any:
        """The jitted function, with the options for this value of its static argument."""
        return self._with_options(tuple(sorted(self._options(static).items())))

    def __call__(self, static: Hashable, *arrays: Any) -> Any:
        """The function's result."""
        return self.jitted(static)(static, *arrays)

    def on_device(self, static: Hashable, *arrays: Any) -> Callable[..., Any]:
        """The compiled function of arrays like these, on the device where they are.

        Args:
          static: the static argument.
          *arrays: arrays, all on one device.

        Returns:
          A function of the arrays alone, of the same shapes and types.
        """
        leaves, structure = jax.tree.flatten(arrays)
        shapes = tuple(
            (leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False)) for leaf in leaves
        )
        device = next(leaf.device for leaf in leaves if isinstance(leaf, jax.Array))
        executables = _executables(self, static, structure, shapes, uses_float64())
        return executables.on_device(device, partial(self._compiled_for, static, arrays))

    def _compiled_for(self, static: Hashable, arrays: Any, device: Device) -> jax.stages.Compiled:
        sharding = SingleDeviceSharding(device)

        def on_that_device(leaf: Any) -> jax.ShapeDtypeStruct:
            dtype = jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True)
            return jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=sharding)

        structs = jax.tree.map(on_that_device, arrays)
        return self.jitted(static).lower(static, *structs).compile()


class _Executables:
    """The executables of one program and one list of shapes, by their devices."""

    def __init__(self) -> None:
        self.by_device: dict[Device, jax.stages.Compiled] = {}
        self.serialized: tuple[bytes, Any, Any] | None = None
        self.lock = threading.Lock()

    def on_device(
        self, device: Device, compiled_for: Callable[[Device], jax.stages.Compiled]
    ) -> jax.stages.Compiled:
        """The executable for a device: one that is there, a copy of another's, or a new one."""
        with self.lock:
            if device not in self.by_device:
                copied = None if self.serialized is None else _loaded(self.serialized, device)
                compiled = copied or compiled_for(device)
                has_others = len(device.client.local_devices()) > 1
                if not self.by_device and has_others and not _may_come_from_disk():
                    # Before it first runs: XLA cannot serialize a sort that has run.
                    self.serialized = _serialized(compiled)
                self.by_device[device] = compiled
            return self.by_device[device]


@lru_cache(maxsize=MOST_EXECUTABLES)
def _executables(
    program: Program, static: Hashable, structure: Hashable, shapes: Hashable, in_float64: bool
) -> _Executables:
    """The executables of a program for arrays of these shapes; the cache makes them once.

    Even with the same arrays a program may compute in another type: one that draws numbers does.
    """
    return _Executables()


def forget_executables() -> None:
    """Forget all executables, as `jax.clear_caches` does with those of jitted functions."""
    _executables.cache_clear()


def _may_come_from_disk() -> bool:
    """Whether JAX's cache on disk is on: what comes from there cannot be serialized again.

    XLA serializes such an executable, and loads it, but does not find its functions when it runs.
    The cache has an executable for each device, so that only the first process compiles them all.
    """
    config: Any = jax.config
    return bool(config.jax_compilation_cache_dir and config.jax_enable_compilation_cache)


def _serialized(compiled: jax.stages.Compiled) -> tuple[bytes, Any, Any] | None:
    """An executable in bytes, with its trees of arguments and results; None if it has no bytes."""
    try:
        return serialize_executable.serialize(compiled)
    except (jax.errors.JaxRuntimeError, ValueError):
        return None


def _loaded(serialized: tuple[bytes, Any, Any], device: Device) -> jax.stages.Compiled | None:
    """A serialized executable on another device of its kind; None if JAX cannot load it there.

    JAX has no public function for this: `serialize_executable.deserialize_and_load` loads an
    executable only on the device that it was compiled for. If a version of JAX has no such
    internals, each device compiles its own.
    """
    payload, in_tree, out_tree = serialized
    try:
        from jax._src.compiler import get_compile_options
        from jax.experimental.serialize_executable import (
            _JaxPjrtUnpickler,  # pyright: ignore[reportPrivateUsage]
        )

        options = get_compile_options(1, 1, device_assignment=np.array([[device]]))

        class UnpicklerForDevice(_JaxPjrtUnpickler):
            """Puts the device in the place of that for which the executable was compiled."""

            def persistent_load(self, pid: tuple) -> object:
                if pid[0] == "exec":
                    devices = self.execution_devices
                    return device.client.deserialize_executable(pid[1], devices, options)
                return device if pid[0] == "device" else super().persistent_load(pid)

        unpickler = UnpicklerForDevice(io.BytesIO(payload), device.client, [device])
        unloaded, args_info, no_kwargs = unpickler.load()
        return jax.stages.Compiled(
            unloaded.load(), [], in_tree.unflatten(args_info), out_tree, no_kwargs=no_kwargs
        )
    except (ImportError, AttributeError, TypeError, jax.errors.JaxRuntimeError):
        return None
