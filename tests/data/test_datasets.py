import gzip
import struct

import numpy as np
import pytest
import sklearn.datasets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxnet.data import datasets
from jaxnet.io.idx_files import read_idx


def _idx_bytes(array):
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    return header + array.astype(np.uint8).tobytes()


def _write(folder, n=30, n_test=10, shape=(4, 3), compress=False, **changes):
    random = np.random.default_rng(0)
    contents = dict(
        zip(
            datasets.IDX_FILES,
            [
                _idx_bytes(random.integers(256, size=(n, *shape))),
                _idx_bytes(np.arange(n) % 10),
                _idx_bytes(random.integers(256, size=(n_test, *shape))),
                _idx_bytes(np.arange(n_test) % 10),
            ],
            strict=True,
        )
    )
    contents |= changes
    for name, content in contents.items():
        if content is not None:
            path = folder / (f"{name}.gz" if compress else name)
            path.write_bytes(gzip.compress(content) if compress else content)
    return contents


def test_mnist_is_split_as_the_book_does():
    data = datasets.mnist()
    assert [split.x.shape for split in data] == [(50_000, 784), (10_000, 784), (10_000, 784)]
    assert all(split.x.dtype == np.uint8 for split in data)
    # Known of MNIST: its first labels, and how often each digit is in the test set.
    assert data.train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.test.y).tolist() == counts
    assert data.valid.y[-1] == 8  # the last of the training file
    assert data.train.x.mean() / 255 == pytest.approx(0.1307, abs=1e-3)


@pytest.mark.parametrize("compress", [True, False])
def test_a_folder_of_idx_files(tmp_path, compress):
    contents = _write(tmp_path, compress=compress)
    data = datasets.idx(tmp_path, n_valid=5)
    assert [len(split.x) for split in data] == [25, 5, 10]
    pixels = np.frombuffer(contents[datasets.IDX_FILES[0]][16:], np.uint8).reshape(30, 12)
    assert np.array_equal(np.concatenate([data.train.x, data.valid.x]), pixels)


TRAIN_X, TRAIN_Y, TEST_X, _ = datasets.IDX_FILES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {TRAIN_X: b"\0\0\x0d\3" + bytes(50)},
            r"idx3-ubyte is not .*: magic number 0x00000d03 instead",
        ),
        ({TRAIN_X: b""}, r"train-images-idx3-ubyte is not .*: magic number \(none\) instead"),
        ({TRAIN_X: _idx_bytes(np.zeros((30, 12)))}, "magic number 0x00000802"),
        ({TRAIN_X: _idx_bytes(np.zeros((30, 4, 3)))[:-1]}, "truncated: 359 of 360 bytes"),
        (
            {TRAIN_X: _idx_bytes(np.zeros((30, 4, 3)))[:9]},
            "train-images-idx3-ubyte is not .*: it is truncated",
        ),
        ({TRAIN_X: _idx_bytes(np.zeros((30, 4, 3))) + b"\0"}, "longer than the 360 bytes"),
        ({TRAIN_X: struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3)}, "truncated: 0 of"),
        ({TRAIN_Y: _idx_bytes(np.zeros(29))}, "training files.: 30 inputs, but 29 targets"),
        (
            {TRAIN_Y: _idx_bytes(np.full(30, 99))},
            r"row 0 has the label 99; labels must be in \[0, 9\]",
        ),
        (
            {TEST_X: _idx_bytes(np.zeros((10, 3, 3)))},
            r"differ in their number of inputs: 12 .training., 12 .validation., 9 .test.",
        ),
        ({TRAIN_Y: None}, "has no train-labels-idx1-ubyte, neither compressed"),
    ],
)
def test_a_damaged_folder_is_refused_by_name(tmp_path, changes, message):
    _write(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        datasets.idx(tmp_path, n_valid=5, n_classes=10)
    assert str(tmp_path) in str(caught.value)


def test_a_truncated_gzip_file_is_refused(tmp_path):
    _write(tmp_path, compress=True)
    path = tmp_path / f"{TRAIN_X}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        ValueError,
        match=r"train-images-idx3-ubyte\.gz is not an IDX file .*: .*; download it again",
    ):
        datasets.idx(tmp_path, n_valid=5)
    path.write_bytes(b"not gzip")
    with pytest.raises(
        ValueError,
        match=r"train-images-idx3-ubyte\.gz is not an IDX file .*: .*; download it again",
    ):
        datasets.idx(tmp_path, n_valid=5)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=64))
def test_random_bytes_are_no_idx_file(tmp_path, content):
    _write(tmp_path, **{TRAIN_X: content})
    with pytest.raises(ValueError, match="train-images-idx3-ubyte"):
        datasets.idx(tmp_path, n_valid=5)


def test_changed_mnist_is_refused(tmp_path):
    _write(tmp_path)
    with pytest.raises(ValueError, match="do not have MNIST's SHA-256"):
        read_idx(tmp_path / TRAIN_X, datasets.MNIST_SHA256[0])


def test_a_missing_folder_and_too_large_a_validation_set(tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        datasets.idx("nowhere")
    _write(tmp_path)
    with pytest.raises(ValueError, match=r"n_valid must be in \[0, 29\].*not 30"):
        datasets.idx(tmp_path, n_valid=30)
    assert datasets.idx(tmp_path, n_valid=0).valid is None
    assert len(datasets.idx(tmp_path).valid.x) == 5  # a sixth


def test_npz_in_kerass_layout_and_with_its_own_validation_set(tmp_path):
    x, y = np.arange(160, 256, dtype=np.uint8).reshape(8, 3, 4), np.arange(8) % 2
    np.savez(tmp_path / "keras.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    data = datasets.npz(tmp_path / "keras.npz", n_valid=3)
    assert [len(split.x) for split in data] == [5, 3, 2]
    assert np.array_equal(data.valid.x, x[5:].reshape(3, 12))
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_valid=x[:1], y_valid=y[:1])
    own = datasets.npz(tmp_path / "own.npz")
    assert (len(own.train.x), len(own.valid.x), own.test) == (8, 1, None)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x_train": np.zeros((3, 2))},
            "has no array y_train; of x_train, y_train, .* it needs the first two",
        ),
        ({"z": np.zeros(3)}, "has no arrays x_train and y_train"),
        ({"x_train": np.zeros((3, 2)), "y_train": np.arange(2)}, "3 inputs, but 2 targets"),
        (
            {"x_train": np.array([[np.nan, 0]] * 3), "y_train": np.arange(3)},
            "row 0, column 0 of the inputs is nan; give",
        ),
        (
            {"x_train": np.zeros((3, 2)), "y_train": np.array([0, 2**40, 0])},
            "row 1 has the label 1099511627776",
        ),
        ({"x_train": np.zeros((3, 2), complex), "y_train": np.arange(3)}, "inputs are complex128"),
        ({"x_train": np.array([object()]), "y_train": np.arange(1)}, "no.* readable .npz archive"),
    ],
)
def test_a_bad_npz_is_refused_by_name(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", allow_pickle=True, **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        datasets.npz(tmp_path / "bad.npz", n_valid=1)
    assert "bad.npz" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 not a zip", b"\x93NUMPY"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.npz is not a readable \.npz archive"):
        datasets.npz(tmp_path / "bad.npz")
    with pytest.raises(
        ValueError, match=r"cannot read .*gone\.npz: No such file or directory; name a"
    ):
        datasets.npz(tmp_path / "gone.npz")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros(3), [0, 1, 0], "they must be .n, n_in."),
        (np.zeros((0, 2)), [], "there are no examples"),
        (
            np.zeros((2, 2)),
            np.array([["a"], ["b"]] * 1)[:, [0, 0]],
            "strings, such as 'a'; number the",
        ),
        (np.zeros((2, 2)), [0.0, np.inf], "row 1 of the targets is inf; give finite numbers"),
        (np.zeros((2, 2)), np.zeros((2, 1, 1)), "must be n integer labels, or floats .n, n_out."),
        ([["a"]], [0], "inputs are strings, such as 'a'"),
        ([[np.inf]], [0], "row 0, column 0 of the inputs is inf"),
        (
            np.zeros((1, 2)),
            np.array([2**32], np.uint64),
            "row 0 has the label 4294967296; labels must",
        ),
    ],
)
def test_bad_arrays_are_refused(x, y, message):
    with pytest.raises(ValueError, match=f"training data: .*{message}"):
        datasets.arrays(x, y)


def test_arrays_are_flattened_and_typed():
    data = datasets.arrays(
        np.zeros((4, 3, 3), np.uint8),
        np.arange(4, dtype=np.int64),
        test=(np.ones((2, 9)), [1, 2]),
    )
    assert data.train.x.shape == (4, 9)
    assert data.train.y.dtype == np.int32
    assert data.valid is None
    assert data.test.y.tolist() == [1, 2]
    assert datasets.arrays(np.ones((2, 4)), [1.0, 2]).train.y.shape == (2, 1)


def test_digits_are_scikit_learns():
    data, bunch = datasets.digits(), sklearn.datasets.load_digits()
    assert np.array_equal(np.concatenate([split.y for split in data]), bunch.target)
    assert np.allclose(np.concatenate([split.x for split in data]) * 16, bunch.data)


def test_synthetic_sets_are_what_they_say():
    for split in datasets.xor(noise=0.0):
        assert np.array_equal(split.y, split.x[:, 0].astype(int) ^ split.x[:, 1].astype(int))
    for split in datasets.spirals(n_classes=3, turns=0.5, noise=0.0):
        radius, angle = np.hypot(*split.x.T), np.arctan2(split.x[:, 1], split.x[:, 0])
        arm = (angle / (2 * np.pi) - 0.5 * radius) * 3
        distance = (arm - split.y + 1.5) % 3 - 1.5
        np.testing.assert_allclose(distance, 0, atol=1e-6)
    data = datasets.function(lambda x: x.sum(axis=1), low=-1, high=2, n_in=3, n=50)
    np.testing.assert_allclose(data.test.y[:, 0], data.test.x.sum(axis=1))
    assert data.train.x.min() < -0.5
    assert data.train.x.max() > 1.5


def test_synthetic_sets_are_addressed_by_seed_and_split():
    first, same, other = datasets.xor(seed=1), datasets.xor(seed=1), datasets.xor(seed=2)
    assert np.array_equal(first.train.x, same.train.x)
    assert not np.array_equal(first.train.x, other.train.x)
    assert not np.array_equal(first.train.x, first.valid.x)


def test_the_hash_sees_every_number():
    data = datasets.xor()
    changed = data.test.y.copy()
    changed[-1] = 1 - changed[-1]
    assert datasets.sha256(data) == datasets.sha256(datasets.xor())
    assert datasets.sha256(data) != datasets.sha256(
        data._replace(test=data.test._replace(y=changed))
    )


def test_splits_that_do_not_match_are_refused(tmp_path):
    x, y = np.zeros((3, 2)), np.arange(3)
    with pytest.raises(ValueError, match=r"differ in their number of inputs: 2 .training., 5 .tes"):
        datasets.arrays(x, y, test=(np.zeros((3, 5)), y))
    with pytest.raises(ValueError, match="training targets are class labels, but the test targets"):
        datasets.arrays(x, y, test=(x, np.full(3, 0.5)))
    with pytest.raises(ValueError, match=r"number of targets: 1 .training., 2 .test."):
        datasets.arrays(x, np.full(3, 0.5), test=(x, np.full((3, 2), 0.5)))
    np.savez(tmp_path / "bad.npz", x_train=x, y_train=y, x_test=np.zeros((3, 5)), y_test=y)
    with pytest.raises(ValueError, match=r"bad\.npz: the splits differ"):
        datasets.npz(tmp_path / "bad.npz", n_valid=1)


def test_a_single_array_is_no_archive(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(ValueError, match=r"not a readable \.npz archive: it is a single array"):
        datasets.npz(tmp_path / "one.npz")


def test_the_arrays_of_mnist_are_shared_and_read_only():
    data = datasets.mnist()
    assert data is datasets.mnist()
    for split in data:
        for array in (split.x, split.y):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.stack([x[:, 0], 10 + x[:, 0]]),  # (2, n): reshaped, they were scrambled
        lambda x: x[:3],
        lambda x: 1.0,
        lambda x: x[..., None],
        lambda x: x * 1j,
        lambda x: x.astype(str),
    ],
)
def test_a_function_whose_targets_are_not_one_row_for_each_input_is_refused(f):
    with pytest.raises(ValueError, match=r"f must map inputs \(4, 1\) to numbers, \(4,\) or"):
        datasets.function(f, n=4)
