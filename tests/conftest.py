"""Shapes in signatures are checked at run time here, and nowhere else.

The checks take a fifth of the tests' time. SHAPE_CHECKS=off leaves them out, as users do.
"""

import gc
import itertools
import os
from importlib import metadata
from pathlib import Path

# Compiling takes most of the tests' time. Without XLA's optimizations it takes a third less, with
# the older of jaxlib 0.10's two generators of loops less than half of that, and a fifth less if a
# program is not cut into parts for several threads, all of whose cores have tests to run. A jaxlib
# that knows no such flag ends the process. The pass of `.ci/run` with
# JAX_DISABLE_MOST_OPTIMIZATIONS=0 tests what users have.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1":
    flags = {
        "--xla_cpu_use_fusion_emitters=false": ("0.10",),
        "--xla_cpu_parallel_codegen_split_count=1": ("0.10", "0.11", "0.12"),
    }
    jaxlib = metadata.version("jaxlib").rpartition(".")[0]
    known = (flag for flag, versions in flags.items() if jaxlib.startswith(versions))
    os.environ.setdefault("XLA_FLAGS", " ".join(known))

# Commands that run in processes of their own leave the user's cache of programs alone.
os.environ["JAXNET_CACHE"] = "off"

import jax
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

if os.environ.get("SHAPE_CHECKS", "on") != "off":
    install_import_hook("jaxnet", "typecheck.typecheck")
jax.config.update("jax_numpy_rank_promotion", "raise")
settings.register_profile("jaxnet", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("jaxnet")


MEMORY_MAPS = Path("/proc/self/maps")
"""The memory maps of this process, a line each, where the system is Linux."""
N_TESTS = itertools.count(1)
"""Counts the tests that this process has run."""


@pytest.fixture(autouse=True)
def _few_memory_maps():
    """Forget compiled programs in time: each has maps, of which Linux allows a process 65,530.

    Without this XLA ends a process that has run half of the tests, or many of one module that
    compile much, by a segmentation fault. Every tenth test looks, since that takes milliseconds.
    """
    yield
    if next(N_TESTS) % 10 or not MEMORY_MAPS.exists():
        return
    if MEMORY_MAPS.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()
        from jaxnet.acceleration.programs import forget_executables

        forget_executables()
        gc.collect()


@pytest.fixture(autouse=True)
def _registries_as_before():
    """Forget the parts that the test has registered."""
    from jaxnet.training.fingerprint import registered_rules
    from jaxnet.training.part_registries import REGISTRIES

    before = {kind: dict(registry) for kind, registry in REGISTRIES.items()}
    yield
    for kind, registry in REGISTRIES.items():
        if len(registry) > len(before[kind]):
            registry._entries = before[kind]
            registered_rules.cache_clear()


collect_ignore = ["data/version_0_2_0"]
"""Files of other versions, and the script that wrote them."""


ROOT = Path(__file__).parents[1]
SLOW = (
    "jaxnet/comparison", "jaxnet/core/gradient_check.py", "jaxnet/reporting", "jaxnet/searches",
    "jaxnet/sklearn", "jaxnet/sweeps", "jaxnet/training", "tests/acceleration", "tests/browser",
    "tests/cli", "tests/comparison", "tests/estimators", "tests/integrations/test_callbacks.py",
    "tests/integrations/test_exported_networks.py", "tests/integrations/test_trackers.py",
    "tests/test_wheel.py", "tests/reporting", "tests/searches", "tests/sweeps", "tests/training",
    "tests/core/test_deprecation.py", "tests/core/test_gradient_check.py",
    "tests/recipes/test_augmentation.py", "tests/recipes/test_batch_rules.py",
    "tests/recipes/test_derivatives.py", "tests/recipes/test_pruning.py",
    "tests/recipes/test_optimizers.py", "tests/recipes/test_recipe.py",
    "tests/recipes/test_regularization.py", "tests/recipes/test_stopping.py", "tests/test_docs.py",
    "tests/test_contributing.py", "tests/test_experiments.py",
    "tests/test_readme.py", "tests/test_types.py", "tests/test_version_0_2.py",
)  # fmt: skip
"""What trains networks, or compiles as much."""
CLUSTER = ("tests/sweeps/test_executors.py",)
"""What starts several processes."""
OPTIMIZED = (
    "jaxnet", "tests/acceleration", "tests/book", "tests/core", "tests/estimators",
    "tests/integrations", "tests/recipes", "tests/sweeps",
    "tests/training", "tests/test_accelerator.py", "tests/test_docs.py", "tests/test_kills.py",
    "tests/test_program_guards.py", "tests/test_readme.py", "tests/test_registries.py",
    "tests/test_version_0_2.py",
)  # fmt: skip
"""What compares numbers that programs compute, or is what users read; all the rest uses the same
programs, and is about what is done with their results."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their path: `pytest -m "not slow"` leaves out those that train networks."""
    for item in items:
        if any(item.path.is_relative_to(ROOT / name) for name in OPTIMIZED):
            item.add_marker(pytest.mark.optimized)
        if any(item.path.is_relative_to(ROOT / name) for name in CLUSTER):
            item.add_marker(pytest.mark.cluster)
        if any(item.path.is_relative_to(ROOT / name) for name in SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def x64():
    """JAX's default float type is float64 within the test."""
    with jax.enable_x64(True):
        yield
