"""Count what no noise can touch: compilations, and arrays that are fetched from the device."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import jax
import numpy as np
from jax._src.array import ArrayImpl


@dataclass
class Counts:
    """What JAX did within a block."""

    compilations: int = 0
    """Programs that were compiled; those that were read from the cache on disk do not count."""
    compile_seconds: float = 0.0
    """Seconds that this took, on all threads together."""
    fetches: int = 0
    """Arrays that were fetched from the device."""
    bytes: int = 0
    """Their size."""
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    """Their shapes, in order."""


_open: list[Counts] = []
_lock = threading.Lock()


def _on_duration(event: str, duration: float, **_: str | int) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        for counts in _open:
            with _lock:
                counts.compilations += 1
                counts.compile_seconds += duration


def _on_event(event: str, **_: str | int) -> None:
    """JAX reports a program that it reads from the cache as a compilation, too."""
    if event == "/jax/compilation_cache/cache_hits":
        for counts in _open:
            with _lock:
                counts.compilations -= 1


jax.monitoring.register_event_duration_secs_listener(_on_duration)  # pyright: ignore
jax.monitoring.register_event_listener(_on_event)


@contextlib.contextmanager
def counted() -> Iterator[Counts]:
    """Count the compilations and fetches of a block, in all threads.

    A fetch is an array of JAX that NumPy, `jax.device_get`, `float` or a printout reads. It is
    counted on CPUs, too, where JAX copies nothing, and transfer guards therefore see nothing.

    Yields:
      The counts, which are complete at the end.
    """
    counts = Counts()
    inside = threading.local()

    def counting(read: Callable[..., object]) -> Callable[..., object]:
        def reading(array: object, *args: object, **kwargs: object) -> object:
            is_outermost = not getattr(inside, "reads", False)
            if is_outermost and isinstance(array, ArrayImpl):
                with _lock:
                    counts.fetches += 1
                    counts.bytes += array.nbytes
                    counts.shapes.append(array.shape)
            inside.reads = True
            try:
                return read(array, *args, **kwargs)
            finally:
                inside.reads = not is_outermost

        return reading

    as_array, array, value = np.asarray, np.array, ArrayImpl._value
    np.asarray, np.array = counting(as_array), counting(array)
    ArrayImpl._value = property(counting(value.fget))  # pyright: ignore
    _open.append(counts)
    try:
        yield counts
    finally:
        _open.remove(counts)
        np.asarray, np.array, ArrayImpl._value = as_array, array, value  # pyright: ignore
