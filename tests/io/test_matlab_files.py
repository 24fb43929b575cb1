"""MATLAB's files, as SciPy writes and reads them; and those that are refused."""

import struct
import tracemalloc
import zlib

import data_files
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from jaxnet.io import matlab_files, reading

ARRAYS = [
    np.arange(6, dtype=np.uint8).reshape(2, 3),
    np.random.default_rng(0).normal(size=(3, 4)),
    np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    np.float32([[1.5]]),
    np.zeros((0, 3)),
    np.array([[2**40, -1]]),
]


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype} {array.shape}")
def test_arrays_are_read_as_scipy_reads_them(tmp_path, array, compressed):
    path = tmp_path / "x.mat"
    others = {"text": "a", "cell": np.array([1, "a"], object), "sparse": scipy.sparse.eye_array(3)}
    nested = {"inner": {"deep": array, "a name of some length": 2 * array}, "text": "b"}
    path.write_bytes(data_files.mat_bytes(compressed, x=array, s=nested, **others))
    names = ["s.inner.deep", "x", "s.inner.a name of some length"]
    read, expected = (
        matlab_files.read_mat(path, names),
        scipy.io.loadmat(path, variable_names=["x", "s"]),
    )
    inner = expected["s"]["inner"][0, 0]
    expected_arrays = (inner["deep"][0, 0], expected["x"], inner["a name of some length"][0, 0])
    for array_read, other in zip(read, expected_arrays, strict=True):
        assert np.array_equal(array_read, other)
    for name in ("text", "cell", "s.text", "s.inner", "s", "gone"):
        with pytest.raises(
            ValueError, match=rf"x\.mat is not a readable MATLAB.* no array {name};"
        ):
            matlab_files.read_mat(path, [name])


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def array_element(flags=b"\x09\0\0\0\0\0\0\0", shape=(2, 2), data=None):
    dimensions = struct.pack(f"<{len(shape)}i", *shape)
    data = element(2, bytes(4)) if data is None else data
    return element(14, element(6, flags) + element(5, dimensions) + element(1, b"x") + data)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it does not begin as a little-endian MAT-file of level 5"),
        (b"MATLAB 7.3 MAT-file".ljust(200), "it is of MATLAB 7.3, which is not read; save it with"),
        (HEADER[:-4] + b"\x01\x00MI", "it does not begin as a little-endian"),
        (HEADER + b"\x0e", "it is truncated within the tag of an element"),
        (HEADER + struct.pack("<II", 14, 2**32 - 1), "truncated: 0 of the 4294967295 bytes"),
        (HEADER + element(15, b"not compressed"), "incorrect header check"),
        (
            HEADER + element(15, zlib.compress(array_element())[:-9]),
            "a compressed array has no end",
        ),
        (HEADER + element(15, zlib.compress(b"")), "an array lacks a part"),
        (HEADER + element(14, element(6, bytes(8))), "an array lacks a part"),
        (HEADER + array_element(shape=(2,)), r"an array has the dimensions \[2\]"),
        (HEADER + array_element(shape=(-1, 2)), r"an array has the dimensions \[-1, 2\]"),
        (HEADER + array_element(shape=(2**31 - 1,) * 2), "cannot reshape"),
        (HEADER + array_element(data=element(16, b"text")), "numbers of the unknown type 16"),
        (HEADER + array_element(data=b""), "an array lacks a part"),
        (HEADER + array_element(flags=b""), "out of"),
        (HEADER + array_element(data=struct.pack("<I", 2 + (9 << 16))), "it is truncated"),
        (
            HEADER
            + array_element(b"\x02" + bytes(7), (1, 1), element(5, bytes(4)) + element(1, b"")),
            "the names of a structure's fields have 0 characters",
        ),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, message):
    (tmp_path / "x.mat").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(
        ValueError, match=rf"x\.mat is not a readable MATLAB file: .*{message}.*; d"
    ):
        matlab_files.read_mat(tmp_path / "x.mat", ["x"])
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_what_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "FREE_EXPANSION_BYTES", 2**20)
    content = data_files.mat_bytes(x=np.zeros(2**20))
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(ValueError, match="it would expand to "):
        matlab_files.read_mat(tmp_path / "x.mat", ["x"])


def test_structures_that_are_nested_without_end_are_refused(tmp_path):
    inner = array_element()[8:]
    for _ in range(3000):
        fields = element(5, struct.pack("<i", 2)) + element(1, b"a\0") + element(14, inner)
        inner = element(6, b"\x02" + bytes(7)) + element(5, struct.pack("<2i", 1, 1))
        inner += element(1, b"s") + fields
    (tmp_path / "x.mat").write_bytes(HEADER + element(14, inner))
    with pytest.raises(ValueError, match="it is nested too deeply"):
        matlab_files.read_mat(tmp_path / "x.mat", ["x"])
