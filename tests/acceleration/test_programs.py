"""Programs are compiled once for all devices, and again for another type."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.acceleration.programs import Program

ON_TWO_DEVICES = """
import jax, jaxnet as jn, numpy as np
from jax import monitoring
from jaxnet.acceleration.programs import Program
jax.config.update("jax_num_cpu_devices", 2)
compiled = []
monitoring.register_event_duration_secs_listener(
    lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
)
program = Program(lambda power, x: jax.numpy.sort(x) ** power, lambda power: {})
x = np.arange(9.0, 0, -1, dtype=np.float32)
for run in range(2):
    for device in jax.devices():
        on_device = jax.device_put(x, device)
        result = program.on_device(3, on_device)(on_device)
        assert result.device == device
        assert np.array_equal(result, np.sort(x) ** 3)
print(len(compiled))
"""


def test_a_program_is_compiled_once_for_two_devices():
    """A sort, too, which XLA cannot serialize once it has run."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", ON_TWO_DEVICES]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_what_comes_from_jaxs_cache_on_disk_runs_on_two_devices(tmp_path):
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }  # fmt: skip
    command = [sys.executable, "-c", ON_TWO_DEVICES]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "cache").iterdir())) > 1


def test_options_depend_on_the_static_argument():
    seen = []
    program = Program(lambda factor, x: factor * x, lambda factor: seen.append(factor) or {})
    assert program(3, jnp.ones(2)).tolist() == [3.0, 3.0]
    assert program.on_device(2, jnp.ones(2))(jnp.ones(2)).tolist() == [2.0, 2.0]
    assert set(seen) == {2, 3}


@pytest.mark.parametrize("first", [True, False])
def test_what_is_drawn_has_the_type_of_the_call(first):
    program = Program(lambda n, key: jax.random.normal(key, (n,)), lambda n: {})
    key = jax.random.key(0)
    for in_float64 in (first, not first):
        with jax.enable_x64(in_float64):
            drawn = program.on_device(2, key)(key)
        assert drawn.dtype == (np.float64 if in_float64 else np.float32)
