"""NumPy's files: no size is believed that the file does not hold, nothing is read for nothing."""

import tracemalloc
import zipfile

import numpy as np
import pytest

from jaxnet.io import numpy_files, reading


def _npy(header, body=b""):
    text = header.encode()
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + body


def _header(shape, kind="<f4"):
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"


ARRAYS = [
    np.float64(3),
    np.zeros((0, 3)),
    np.eye(3, dtype=">f2")[:, :2],
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.array(["λ"]),
]


@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_are_read_as_numpy_reads_them(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", x=array, y=1)
    np.savez_compressed(tmp_path / "c.npz", x=array)
    for read in (
        numpy_files.read_npy(tmp_path / "x.npy"),
        numpy_files.read_npz(tmp_path / "x.npz", ["x"])["x"],
        numpy_files.read_npz(tmp_path / "c.npz")["x"],
    ):
        assert read.dtype == array.dtype
        assert np.array_equal(read, np.asarray(array))
    assert set(numpy_files.read_npz(tmp_path / "x.npz")) == {"x", "y"}
    assert numpy_files.read_npz(tmp_path / "x.npz", ["z"]) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            _npy(_header((2**40,))),
            r"float32 of shape \(1099511627776,\), which is 4398046511104 by",
        ),
        (_npy(_header((-4, -4)), bytes(64)), r"shape \(-4, -4\)"),
        (_npy(_header((0, 2**62), "<V0")), "its header names"),
        (_npy(_header((2,)), bytes(9)), "which is 8 bytes, and 9 follow it"),
        (_npy(_header((2,)), bytes(7)), "which is 8 bytes, and 7 follow it"),
        (_npy(_header((1,), "|O"), bytes(8)), "it holds Python objects, which are never loaded"),
        (b"\x93NUMPY\7\0" + bytes(90), r"its format is 7\.0"),
        (b"\x93NUM", "expected 8"),
        (b"PK\3\4", r"it is an archive of named arrays \(\.npz\), not a single array \(\.npy\)"),
    ],
)
def test_a_header_is_believed_only_if_the_file_holds_it(tmp_path, content, message):
    (tmp_path / "x.npy").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"x\.npy is not a .*: .*{message}.*; save it again with"):
        numpy_files.read_npy(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", content)
    if not content.startswith(b"PK"):
        with pytest.raises(ValueError, match=rf"x\.npz is not a .*: its array x: .*{message}"):
            numpy_files.read_npz(tmp_path / "x.npz")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_what_nobody_asked_for_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.arange(3), big=np.zeros(2**22))
    monkeypatch.setattr(reading, "FREE_EXPANSION_BYTES", 2**20)
    tracemalloc.start()
    assert numpy_files.read_npz(path, ["x"])["x"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="its array big: it would expand to 33554560 bytes"):
        numpy_files.read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_an_archive_that_claims_a_size_it_does_not_have_is_refused(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.arange(8))
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\1\2")
    content[entry + 24 : entry + 28] = (2**30).to_bytes(4, "little")  # the uncompressed size
    path.write_bytes(content)
    with pytest.raises(ValueError, match="its array x: it would expand to 1073741824 bytes"):
        numpy_files.read_npz(path)


def test_an_array_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.arange(8))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x.npy", b"")
    with pytest.raises(ValueError, match="two of its arrays have the same name"):
        numpy_files.read_npz(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_numpy_does_not_write_is_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.writestr("x.npy", _npy(_header((1,)), bytes(4)))
    with pytest.raises(ValueError, match="its array x: it is compressed by a method that NumPy"):
        numpy_files.read_npz(tmp_path / "x.npz")
