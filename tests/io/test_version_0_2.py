"""Files of version 0.2 are read: written here byte by byte, as that version laid them out."""

import hashlib
import json

import jax
import numpy as np
import pytest
import safetensors.numpy

import jaxnet as jn
from jaxnet.core.types import History
from jaxnet.io import files, reading, version_0_2
from jaxnet.sweeps import store
from jaxnet.sweeps.chunk import ChunkResult
from jaxnet.sweeps.layout import Slot
from jaxnet.training import checkpoints

NET = jn.Network((2, 3, 1), jn.activations.LeakyRelu(0.1), jn.costs.Quadratic(jn.activations.tanh))
SETTINGS = {"schedule": ["jaxnet.schedules._cosine"], "seed": 3}
TREE = {"state": np.arange(4, dtype=np.float32), "step": np.int32(2)}
LANES = [["09e3953cb0d2432d", 0], ["1b3d62dd2fff114c", 0]]


def _sha256(arrays):
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _write_network(folder):
    params = jn.init(NET, jax.random.key(0))
    arrays = {
        f"layers.{index}.{name}": np.asarray(array)
        for index, layer in enumerate(params)
        for name, array in layer._asdict().items()
    }
    header = {
        "format": 1,
        "sizes": [2, 3, 1],
        "hidden": [["LeakyRelu", {"slope": 0.1}]],
        "cost": ["Quadratic", {"output": "tanh"}],
        "init": "default",
        "precision": "highest",
    }
    sealed = json.dumps(header, sort_keys=True) + _sha256(arrays)
    header["sha256"] = hashlib.sha256(sealed.encode()).hexdigest()
    path = folder / "net.safetensors"
    safetensors.numpy.save_file(arrays, path, {"jaxnet": json.dumps(header)})
    return path, params


def _write_checkpoint(folder):
    arrays = {f"['{name}']": np.asarray(array) for name, array in TREE.items()}
    header = {"format": 3, "settings": SETTINGS, "sha256": _sha256(arrays)}
    path = folder / checkpoints.FILE
    safetensors.numpy.save_file(arrays, path, {"checkpoint": json.dumps(header)})
    return path


def _outcome():
    rng = np.random.default_rng(0)
    numbers = {name: rng.integers(0, 9, 2) for name in store.ARRAYS}
    numbers |= {"stopped": np.zeros(2, bool), "best_score": rng.random(2).astype(np.float32)}
    slots = ((Slot(0, 1, 2, 0),), (Slot(0, 1, 2, 1),))
    return ChunkResult(
        History.from_array(rng.random((4, 2, 5))),
        **numbers,
        slots=slots,
        has_own_inputs=True,
        origins=(),
    )


def _state_leaves(setting, program):
    like = store.state_like(program, setting)
    shapes = [leaf.shape for leaf in jax.tree.leaves(like)]
    rng = np.random.default_rng(1)
    return [rng.random((2, *shape)).astype(np.float32) for shape in shapes]


def _write_chunk(folder, leaves, lanes=LANES):
    result = _outcome()
    arrays = {"history": result.history.to_array()[:4]}  # it kept no data costs
    arrays |= {name: np.asarray(getattr(result, name)) for name in store.ARRAYS}
    states = {f"state/{index:03d}": leaf for index, leaf in enumerate(leaves)}
    header = {
        "format": 1,
        "lanes": lanes,
        "program": [2, 3, 1],
        "places": [[[0, 1, 2, 0]], [[0, 1, 2, 1]]],
        "epochs": 5,
        "swept": True,
        "sha256": [_sha256(arrays), _sha256(states)],
    }
    name = hashlib.sha256(json.dumps([LANES, [2, 3, 1]]).encode()).hexdigest()[:16]
    path = folder / "chunks" / f"{name}.safetensors"
    path.parent.mkdir(exist_ok=True)
    safetensors.numpy.save_file(arrays | states, path, {"chunk": json.dumps(header)})
    return path


def _flip_last_byte(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_a_network_is_read_and_a_changed_one_refused(tmp_path):
    path, params = _write_network(tmp_path)
    loaded, again = jn.load(path)
    assert loaded == NET
    assert all(map(np.array_equal, jax.tree.leaves(again), jax.tree.leaves(params)))
    with open(path, "rb") as file:
        _, header = files.read_sealed(file, "network", 2, older=version_0_2.read_network)
    assert header["format"] == 1
    assert header["origin"] == version_0_2.ORIGIN._asdict()
    assert str(version_0_2.ORIGIN) == "jaxnet 0.2.0"
    whole = path.read_bytes()
    for change in (b'"highest', b'"default'), (b"0.1", b"0.2"):
        assert change[0].replace(b'"', b'\\"') in whole
        path.write_bytes(whole.replace(*(part.replace(b'"', b'\\"') for part in change)))
        with pytest.raises(ValueError, match="is not a network: its contents do not have the SHA"):
            jn.load(path)
    path.write_bytes(whole)
    _flip_last_byte(path)
    with pytest.raises(ValueError, match="is not a network: its contents do not have the SHA-256"):
        jn.load(path)


def test_a_checkpoint_is_read_and_a_changed_one_refused(tmp_path):
    path = _write_checkpoint(tmp_path)
    with pytest.warns(UserWarning, match="was written by jaxnet 0.2.0, and the run goes on with"):
        loaded = checkpoints.load(tmp_path, {"state": None, "step": None}, {}, SETTINGS)
    assert all(np.array_equal(loaded[name], TREE[name]) for name in TREE)
    _, header = checkpoints.read(tmp_path)
    assert header == {"format": 3, "settings": SETTINGS, "origin": version_0_2.ORIGIN._asdict()}
    _flip_last_byte(path)
    with pytest.raises(ValueError, match="is not a checkpoint: its arrays do not have the SHA-256"):
        checkpoints.read(tmp_path)


@pytest.fixture
def study(tmp_path):
    """A study's folder of version 0.2, what it is about today, its chunk and that one's states."""
    setting = store.Setting(NET, jn.Recipe(jn.sgd(0.1)), 10, 20)
    leaves = _state_leaves(setting, (2, 3, 1))
    (tmp_path / "study.json").write_text('{"format": 1, "data": "λ"}', encoding="utf-8")
    about = {"format": store.FORMAT, "data": "λ"}
    like = store.state_like((2, 3, 1), setting)
    return tmp_path, about, _write_chunk(tmp_path, leaves), leaves, like


def test_a_chunk_is_read(study):
    folder, about, _, leaves, like = study
    kept = store.Folder(folder, about)
    (record,) = kept.records({})
    assert record.lanes == (("09e3953cb0d2432d", 0), ("1b3d62dd2fff114c", 0))
    assert record.result.origins == (version_0_2.ORIGIN,)
    assert record.file is not None
    expected = _outcome()
    assert all(map(np.array_equal, record.result.history[:4], expected.history))
    assert np.isnan(record.result.history.to_array()[4:]).all()
    for name in store.ARRAYS:
        assert np.array_equal(getattr(record.result, name), getattr(expected, name)), name
    assert (record.result.slots, record.result.has_own_inputs) == (expected.slots, True)
    states = kept.states(record, like)
    assert all(map(np.array_equal, jax.tree.leaves(states), leaves))


def test_a_folder_is_marked_when_a_chunk_of_this_version_joins(study):
    folder, about, _, leaves, like = study
    before = (folder / "study.json").read_bytes()
    kept = store.Folder(folder, about)
    (record,) = kept.records({})
    states = kept.states(record, like)
    assert (folder / "study.json").read_bytes() == before
    kept.write(record._replace(states=states))
    assert json.loads((folder / "study.json").read_bytes()) == about
    (again,) = store.Folder(folder, about).records({})
    assert again.file is None
    assert all(
        map(
            np.array_equal, jax.tree.leaves(store.Folder(folder, about).states(again, like)), leaves
        )
    )
    with pytest.raises(ValueError, match="holds another study: the data are others"):
        store.Folder(folder, about | {"data": "other"})


def test_another_study_of_version_0_2_is_refused(study):
    folder, about, *_ = study
    with pytest.raises(ValueError, match=r"was λ… and is other…\)\. Choose another folder"):
        store.Folder(folder, about | {"data": "other"})


def test_a_changed_chunk_is_refused(study):
    folder, about, path, leaves, like = study
    kept = store.Folder(folder, about)
    (record,) = kept.records({})
    whole = path.read_bytes()
    for array, read in (
        (_outcome().history.to_array()[:4], lambda: list(kept.records({}))),
        (max(leaves, key=np.size), lambda: kept.states(record, like)),
    ):
        position = whole.index(array.tobytes())
        path.write_bytes(whole[:position] + b"\7" + whole[position + 1 :])
        with pytest.raises(ValueError, match=r"is not .*: its arrays do not have .*; delete it"):
            read()
    _write_chunk(folder, leaves, lanes=[["09e3953cb0d2432d", 1], LANES[1]])
    with pytest.raises(ValueError, match=r"is not .*: it holds the networks of"):
        list(kept.records({}))


@pytest.mark.parametrize(("key", "kind"), [("checkpoint", "checkpoint"), ("chunk", "chunk")])
@pytest.mark.parametrize("header", ["[]", "{}", '{"format": 9}', '{"format": 3}', '{"format": 1}'])
def test_a_damaged_header_is_refused_with_a_reason(tmp_path, key, kind, header):
    safetensors.numpy.save_file({"w": np.zeros(1)}, tmp_path / "x", {key: header})
    older = getattr(version_0_2, f"read_{kind}")
    with pytest.raises(ValueError, match=r"it lacks '|its format is|its JSON is not an object"):
        reading.read_file(
            tmp_path / "x", "x", lambda file: files.read_sealed(file, kind, 5, older=older)
        )
