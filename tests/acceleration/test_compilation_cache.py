"""The cache of compiled programs: used again, shared by processes, and harmless when damaged."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.acceleration import compilation_cache

TRAIN = """
import sys, jax, jaxnet as jn
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name.rpartition("/")[2]))
assert jn.use_compilation_cache(sys.argv[1]) == jn.use_compilation_cache(sys.argv[1])
run = jn.train(jn.Network((2, 3, 2)), jn.datasets.xor(20), jn.Recipe(jn.sgd()), epochs=1)
print(hits.count("cache_hits"), hits.count("cache_misses"), float(run.history.evaluation_cost[-1]))
"""


def _start(command: list[str | Path], **variables: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | variables, **pipes)


def _end(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err == ""
    return out


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*-cache"))


def _is_sealed(entry: Path) -> bool:
    seal = Path(str(entry).removesuffix("-cache") + "-sha256")
    return seal.read_bytes() == compilation_cache._sha256(entry)


def test_processes_share_programs_and_the_next_one_compiles_nothing(tmp_path):
    command = [sys.executable, "-c", TRAIN, tmp_path]
    outs = [_end(process) for process in [_start(command), _start(command)]]
    n_programs = len(_entries(tmp_path))
    assert n_programs > 0
    hits, misses, cost = _end(_start(command)).split()
    assert int(hits) >= n_programs
    assert misses == "0"
    assert {out.split()[2] for out in outs} == {cost}


def test_a_command_uses_the_cache_and_a_damaged_one_does_no_harm(tmp_path):
    cache = tmp_path / "cache"
    x, y = np.eye(2, dtype=np.float32), np.arange(2)
    np.savez(tmp_path / "data.npz", x_train=np.tile(x, (9, 1)), y_train=np.tile(y, 9))
    options = f"--data {tmp_path}/data.npz --sizes 2 3 2 --epochs 1 --runs {tmp_path} --name run"
    command = [sys.executable, "-m", "jaxnet", "train", *options.split()]
    _end(_start(command, JAXNET_CACHE=str(cache)))
    entries = _entries(cache)
    assert entries
    assert all(_is_sealed(entry) for entry in entries)
    for file in cache.glob("*/*"):
        file.write_bytes(b"no program")
    _end(_start(command, JAXNET_CACHE=str(cache)))
    assert _entries(cache) == entries
    assert all(_is_sealed(entry) and entry.stat().st_size > 100 for entry in entries)


@pytest.mark.parametrize("damage", ["cut", "a bit", "no seal", "another seal", "no access time"])
def test_what_is_damaged_is_removed_and_nothing_else(damage, tmp_path, monkeypatch):
    monkeypatch.setattr(compilation_cache, "_opened", {tmp_path})
    for name in ("a", "b"):
        (tmp_path / f"{name}-cache").write_bytes(bytes(range(100)))
        (tmp_path / f"{name}-atime").write_bytes(bytes(8))
    compilation_cache.seal()
    entry, seal = tmp_path / "a-cache", tmp_path / "a-sha256"
    if damage == "cut":
        entry.write_bytes(bytes(range(50)))
    elif damage == "a bit":
        entry.write_bytes(bytes([1, *range(1, 100)]))
    elif damage == "no seal":
        seal.unlink()
    elif damage == "another seal":
        seal.write_bytes(b"?")
    else:
        (tmp_path / "a-atime").unlink()
    compilation_cache.remove_unsealed(tmp_path)
    left = {file.name for file in tmp_path.iterdir()}
    assert left - {".lockfile"} == {"b-cache", "b-atime", "b-sha256"}


def test_the_environment_names_the_folder_or_turns_it_off(tmp_path, monkeypatch):
    assert jn.use_compilation_cache() is None  # JAXNET_CACHE=off, for all tests
    monkeypatch.setenv("JAXNET_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        jn.use_compilation_cache()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_the_cache_lies_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compilation_cache._default_folder() == tmp_path / "jaxnet"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert compilation_cache._default_folder() == Path.home() / ".cache" / "jaxnet"


def test_a_cache_that_jax_has_already_stays_as_it_is(tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        assert jn.use_compilation_cache() == tmp_path
        assert jax.config.jax_compilation_cache_max_size == -1
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
