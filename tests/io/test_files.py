"""Sealed files: each kind of them is refused wherever it was changed or cut."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy

import jaxnet as jn
from jaxnet.io import files, network_files, reading
from jaxnet.sweeps import store
from jaxnet.training import checkpoints

NET = jn.Network((2, 3, 2))
TREE = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.int32(7), "log": np.ones(0)}
SETTINGS = {"seed": 3, "recipe.l2": 0.1, "monitor": ["training"], "name": "λ"}


@dataclasses.dataclass
class Kind:
    """A file that one of jaxnet's parts wrote, and how that part reads it."""

    path: Path
    read: Callable[[], Any]


def _network(folder):
    path = folder / "net.safetensors"
    jn.save(path, NET, jn.init(NET, jax.random.key(0)))
    return Kind(path, lambda: jn.load(path))


def _checkpoint(folder):
    checkpoints.save(folder, TREE, SETTINGS)
    like = jax.tree.map(lambda _: None, TREE)
    return Kind(folder / checkpoints.FILE, lambda: checkpoints.load(folder, like, SETTINGS, {}))


def _chunk(folder):
    recipe = jn.Recipe(jn.sgd(np.array([0.1, 0.5])))
    options = {"seeds": 1, "epochs": 2, "batch_size": 10, "folder": folder, "log": None}
    jn.sweep(NET, jn.datasets.xor(n=20), recipe, **options)
    kept = _opened(folder)
    (path,) = (folder / "chunks").iterdir()

    def read():
        kept.last_read = None
        (record,) = kept.records({})
        return record._asdict(), kept.states(record, _like(record))

    return Kind(path, read)


def _opened(folder):
    """A study's folder, whatever study it is of."""
    return store.Folder(folder, json.loads((folder / "study.json").read_bytes()))


def _like(record):
    setting = store.Setting(NET, jn.Recipe(jn.sgd(0.1)), 10, 20)
    return store.state_like(record.program_sizes, setting)


KINDS = {"network": _network, "checkpoint": _checkpoint, "chunk": _chunk}


@pytest.fixture(params=KINDS, scope="module")
def kind(request, tmp_path_factory):
    return KINDS[request.param](tmp_path_factory.mktemp(request.param))


def _same(tree, other):
    leaves, others = (jax.tree.leaves(tree) for tree in (tree, other))
    return jax.tree.structure(tree) == jax.tree.structure(other) and all(
        np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
        for a, b in zip(leaves, others, strict=True)
    )


def _padding(content):
    """Where the spaces stand that fill up the header: they say nothing."""
    end = 8 + int.from_bytes(content[:8], "little")
    return range(len(content[:end].rstrip(b" ")), end)


def test_a_byte_changed_anywhere_is_refused(kind):
    whole = kind.path.read_bytes()
    expected = kind.read()
    end = 8 + int.from_bytes(whole[:8], "little")
    random = np.random.default_rng(0)
    body = random.integers(end, len(whole), 200)
    try:
        for position in [*range(end), *body.tolist()]:
            changed = bytearray(whole)
            changed[position] ^= int(random.integers(1, 256))
            kind.path.write_bytes(bytes(changed))
            if position in _padding(whole):
                with contextlib.suppress(ValueError):
                    assert _same(kind.read(), expected)
            else:
                with pytest.raises(ValueError, match=kind.path.name):
                    kind.read()
    finally:
        kind.path.write_bytes(whole)
    assert _same(kind.read(), expected)


def test_every_bit_of_the_metadata_is_sealed(kind):
    """No flip within the header's text is let through because it means the same to a parser."""
    whole = kind.path.read_bytes()
    begin, end = whole.index(b"{\\"), whole.index(b'}"}')
    assert end - begin > 300
    try:
        for position in range(begin, end):
            changed = bytearray(whole)
            changed[position] ^= 1 << position % 8
            kind.path.write_bytes(bytes(changed))
            with pytest.raises(ValueError, match=kind.path.name):
                kind.read()
    finally:
        kind.path.write_bytes(whole)


def test_a_file_that_was_cut_is_refused(kind):
    whole = kind.path.read_bytes()
    try:
        for length in range(0, len(whole), 50):
            kind.path.write_bytes(whole[:length])
            with pytest.raises(ValueError, match=kind.path.name):
                kind.read()
        kind.path.write_bytes(whole + b"\0")
        with pytest.raises(ValueError, match=kind.path.name):
            kind.read()
    finally:
        kind.path.write_bytes(whole)


def test_a_file_says_where_it_was_made(kind):
    with open(kind.path, "rb") as file, files.open_arrays(file) as arrays:
        document = json.loads(arrays.metadata["jaxnet"])
    assert document["origin"] == files.origin()._asdict()
    assert document["origin"]["jax"] == jax.__version__
    assert document["origin"]["device"] == jax.devices()[0].device_kind


def test_a_kind_of_file_is_not_another(tmp_path):
    network = _network(tmp_path)
    with pytest.raises(ValueError, match="it is a network and not a chunk"):
        _read_sealed(network.path, store.KIND, store.FORMAT)
    os.replace(network.path, tmp_path / checkpoints.FILE)
    with pytest.raises(ValueError, match="is not a checkpoint: it is a network and not a checkp"):
        checkpoints.read(tmp_path)


def test_a_later_format_is_refused_with_a_remedy(tmp_path):
    path = tmp_path / "net.safetensors"
    files.write_sealed(path, "network", 99, {"params/w": np.zeros(2)}, {})
    with pytest.raises(ValueError, match=r"its format is 99; this version reads 2, so use the ve"):
        jn.load(path)
    assert network_files.FORMAT == 2


ARRAYS = {
    "history/cost": np.linspace(0, 1, 5),
    "history/scalar": np.array(3, np.int32),
    "state/w": np.arange(12, dtype=np.float32).reshape(3, 4).T,
}


def _read_sealed(path, *arguments):
    return reading.read_file(path, "sealed", lambda file: files.read_sealed(file, *arguments))


def test_what_is_written_is_read(tmp_path):
    header = {"lanes": [["a", 1]], "λ": 0.1, "nothing": None, "nan": float("inf")}
    files.write_sealed(tmp_path / "x", "chunk", 7, ARRAYS, header)
    for path in (tmp_path / "x", str(tmp_path / "x")):
        arrays, read = _read_sealed(path, "chunk", 7)
        assert read == header | {"format": 7, "origin": files.origin()._asdict()}
        assert set(arrays) == set(ARRAYS)
        for name, array in ARRAYS.items():
            assert arrays[name].dtype == array.dtype
            assert arrays[name].shape == array.shape
            assert np.array_equal(arrays[name], array)


def test_a_section_is_read_without_the_others(tmp_path):
    path = tmp_path / "x"
    files.write_sealed(path, "chunk", 1, ARRAYS, {"lanes": 2})
    arrays, header = _read_sealed(path, "chunk", 1, ["history"])
    assert set(arrays) == {"history/cost", "history/scalar"}
    assert set(files.section(arrays, "history")) == {"cost", "scalar"}
    assert header["lanes"] == 2
    with pytest.raises(ValueError, match="it has no section 'states', only history, state"):
        _read_sealed(path, "chunk", 1, ["states"])
    whole = path.read_bytes()
    position = whole.rindex(ARRAYS["state/w"].tobytes("C"))
    path.write_bytes(whole[:position] + b"\1" + whole[position + 1 :])
    assert set(_read_sealed(path, "chunk", 1, ["history"])[0]) == set(arrays)
    for sections in (["state"], None):
        with pytest.raises(ValueError, match="section 'state' do not have the SHA-256 it names"):
            _read_sealed(path, "chunk", 1, sections)


def test_an_array_cannot_be_added_or_taken_away(tmp_path):
    path = tmp_path / "x"
    files.write_sealed(path, "chunk", 1, ARRAYS, {})
    with open(path, "rb") as file, files.open_arrays(file) as arrays:
        metadata = arrays.metadata
    for arrays in (
        ARRAYS | {"history/more": np.zeros(1)},
        ARRAYS | {"other/w": np.zeros(1)},
        {name: array for name, array in ARRAYS.items() if name != "history/cost"},
        {name: array for name, array in ARRAYS.items() if name != "state/w"},
    ):
        contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        safetensors.numpy.save_file(contiguous, path, metadata)
        with pytest.raises(ValueError, match="it was changed"):
            _read_sealed(path, "chunk", 1, ["history"])


def test_names_that_a_file_could_not_hold_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a header's names may not be .*; rename \['seal'\]"):
        files.write_sealed(tmp_path / "x", "chunk", 1, ARRAYS, {"seal": 1})
    with pytest.raises(ValueError, match=r"called section/name; \['w'\] name no section"):
        files.write_sealed(tmp_path / "x", "chunk", 1, {"w": np.zeros(1)}, {})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "header", ["[]", "3", "null", "[" * 100_000, "{}", '{"kind": "chunk"}', '{"kind": ["chunk"]}']
)
def test_metadata_of_others_are_refused_with_a_reason(tmp_path, header):
    safetensors.numpy.save_file({"a/b": np.zeros(1)}, tmp_path / "x", {"jaxnet": header})
    with pytest.raises(
        ValueError, match=r"x is not sealed: its? .*; write it again, or name anoth"
    ):
        _read_sealed(tmp_path / "x", "chunk", 1)


def test_a_file_that_cannot_be_opened_says_why(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*gone: No such file"):
        _read_sealed(tmp_path / "gone", "chunk", 1)
    with pytest.raises(ValueError, match=r"cannot read .*: Is a directory"):
        _read_sealed(tmp_path, "chunk", 1)


def test_a_source_tree_that_was_never_installed_writes_files(tmp_path, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(files, "version", missing)
    assert files.origin().jaxnet == "unknown"
    jn.load(_network(tmp_path).path)


def test_a_chunk_has_its_origin(tmp_path):
    _chunk(tmp_path)
    (record,) = _opened(tmp_path).records({})
    assert record.result.origins == (files.origin(),)
    assert record.file is None
    other = store.Setting(NET, jn.Recipe(jn.adam()), 10, 20)
    like = store.state_like(record.program_sizes, other)
    with pytest.raises(ValueError, match=r"holds 15 arrays of states, and .* has 24\. Delete it"):
        _opened(tmp_path).states(record, like)


def test_a_chunk_of_another_name_is_refused(tmp_path):
    """Its name is that of its lanes: one in another's place is not taken for it."""
    path = _chunk(tmp_path).path
    os.replace(path, path.with_name(f"{'0' * 16}.safetensors"))
    with pytest.raises(
        ValueError, match=f"it holds the networks of {path.name}: it was renamed; delete it"
    ):
        list(_opened(tmp_path).records({}))


def test_a_damaged_header_of_a_study_is_named(tmp_path):
    for content in ("", "[]", "{"):
        (tmp_path / "study.json").write_text(content, encoding="utf-8")
        with pytest.raises(
            ValueError,
            match=r"study\.json is not the study.* of a sweep: .*; choose another folder",
        ):
            store.Folder(tmp_path, {})


def _temporary(folder, name="net.json", process=None, host=None, age=0.0):
    """A temporary file as a writer that was killed leaves it behind."""
    process = os.getpid() if process is None else process
    path = folder / f".{name}.{host or files._host()}-{process}-0123abcd"
    path.touch()
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def _dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.skipif(os.name != "posix", reason="it cannot be asked which processes there are")
def test_a_write_removes_what_killed_writers_of_the_file_left(tmp_path):
    stale = [
        _temporary(tmp_path),  # an earlier process had the number of this one
        _temporary(tmp_path, process=_dead_process()),
        _temporary(tmp_path, host="0" * 8, age=2 * 3600),
        _temporary(tmp_path, process=os.getppid(), age=2 * 3600).rename(
            tmp_path / f".net.json.{files._host()}-{os.getppid()}-76543210"
        ),
    ]
    kept = [
        _temporary(tmp_path, process=os.getppid()),  # alive
        _temporary(tmp_path, host="1" * 8),  # of another machine, a moment ago
        _temporary(tmp_path, "net.json.old", process=_dead_process()),  # of another file
    ]
    (tmp_path / ".net.json.settings").touch()
    files.write_atomic(tmp_path / "net.json", b"{}")
    assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in kept)
    files.remove_stale(tmp_path)
    assert not kept[2].exists()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"net.json", ".net.json.settings", kept[0].name, kept[1].name}
    files.remove_stale(tmp_path / "gone")


def test_a_file_that_another_thread_writes_is_not_removed(tmp_path, monkeypatch):
    seen = []

    def fsync(_):
        if not seen:
            seen.append(set(tmp_path.iterdir()))
            files.write_atomic(Path(os.path.relpath(tmp_path), "net.json"), b"2")
            seen.append(set(tmp_path.iterdir()))

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_atomic(tmp_path / "net.json", b"1")
    assert seen[0] <= seen[1]
    assert [path.name for path in tmp_path.iterdir()] == ["net.json"]
    assert (tmp_path / "net.json").read_bytes() == b"1"


@pytest.mark.parametrize("function", ["open", "fsync", "replace", "unlink"])
def test_every_error_of_a_write_names_the_file(tmp_path, monkeypatch, function):
    files.write_atomic(tmp_path / "x", b"old")

    def fail(path, *_, **__):
        raise PermissionError(13, "Permission denied", path if function != "fsync" else None)

    if function == "unlink":  # the removal of a temporary file must not hide why there is one
        monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="full" if function == "unlink" else "denied") as caught:
        files.write_atomic(tmp_path / "x", b"new")
    assert caught.value.filename == str(tmp_path / "x")
    assert caught.value.filename2 is None
    monkeypatch.undo()
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_seal_covers_every_entry():
    document = {"a": [1, {"b": float("nan")}], "c": (2, 3)}
    sealed = json.loads(json.dumps(files.seal(document)))
    assert json.dumps(files.unseal(sealed)) == json.dumps(document)
    assert files.unseal({"a": 1}) == {"a": 1}
    for changed in (sealed | {"c": [2, 4]}, sealed | {"d": 1}, sealed | {"seal": "0" * 64}):
        with pytest.raises(ValueError, match="SHA-256 that its seal names; it was changed"):
            files.unseal(changed)


@pytest.mark.skipif(os.name != "posix", reason="the system has no umask")
def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path, monkeypatch):
    """And the umask, which is the whole process's, is never changed."""
    previous = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was set"))
        files.write_atomic(tmp_path / "result.csv", b"1")
        monkeypatch.undo()
        assert (tmp_path / "result.csv").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(previous)
    assert [path.name for path in tmp_path.iterdir()] == ["result.csv"]
