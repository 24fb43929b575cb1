"""Published sets of files: every set of the table is written by hand, read, and damaged."""

import re
import shutil

import data_files
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.data import datasets, file_sets

SETS = [pytest.param(s, id=s.files[0]) for s in file_sets.ALL]
ONE_OF_EACH_FORMAT = [
    pytest.param(next(s for s in file_sets.ALL if s.format == name), id=name)
    for name in dict.fromkeys(s.format for s in file_sets.ALL)
]


def examples(file_set, n=12, n_test=5):
    """Training and test images, and labels from 0 of which the last class of the set is one."""
    side = 16 if file_set in file_sets.USPS else 28
    x = [data_files.images(n, side, 0), data_files.images(n_test, side, 1)]
    last = (file_set.n_classes or 10) - 1
    y = [np.where(np.arange(len(images)) % 3, np.arange(len(images)) % 4, last) for images in x]
    return x, y


def written(folder, file_set, suffix="", **changes):
    """The examples whose files were written to a folder."""
    x, y = examples(file_set)
    data_files.write_files(folder, data_files.contents_of(file_set, x, y) | changes, suffix)
    return x, y


def assert_holds(data, file_set, x, y):
    """The data set has exactly these images and labels; the last sixth validates."""
    n = len(x[0]) - len(x[0]) // 6
    parts = ((x[0][:n], y[0][:n]), (x[0][n:], y[0][n:]), (x[1], y[1]))
    for split, (images, labels) in zip(data, parts, strict=True):
        assert split.y.tolist() == labels.tolist()
        assert split.y.dtype == np.int32
        rows = images.reshape(len(images), -1)
        if file_set in file_sets.USPS:
            np.testing.assert_allclose(split.x, data_files.scaled(rows), rtol=0, atol=1e-12)
        else:
            assert split.x.dtype == np.uint8
            assert np.array_equal(split.x, rows)


@pytest.mark.parametrize("file_set", SETS)
def test_every_published_set_is_read_exactly(tmp_path, file_set):
    x, y = written(tmp_path, file_set)
    assert_holds(datasets.load(tmp_path), file_set, x, y)
    assert_holds(datasets.load(tmp_path / file_set.files[-1]), file_set, x, y)


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
@pytest.mark.parametrize(
    "file_set",
    [param for param in ONE_OF_EACH_FORMAT if param.values[0].format not in ("npz", "mat")],
)
def test_compressed_files_are_read(tmp_path, file_set, suffix):
    x, y = written(tmp_path, file_set, suffix)
    assert_holds(datasets.load(tmp_path), file_set, x, y)


def test_the_numbers_of_classes_are_those_of_the_papers():
    classes = {s.name: s.n_classes for s in file_sets.ALL if s.n_classes}
    assert classes == {
        "QMNIST": 10, "EMNIST balanced": 47, "EMNIST byclass": 62, "EMNIST bymerge": 47,
        "EMNIST digits": 10, "EMNIST letters": 26, "EMNIST mnist": 10, "KMNIST": 10,
        "Kuzushiji-49": 49, "USPS": 10,
    }  # fmt: skip


def test_the_letters_of_emnist_stand_upright(tmp_path):
    """A T whose bar is at the top, stored column by column."""
    letter = np.zeros((28, 28), np.uint8)
    letter[2, 4:24], letter[2:25, 14] = 255, 255
    contents = {
        "emnist-letters-train-images-idx3-ubyte": np.stack([letter.T] * 6),
        "emnist-letters-train-labels-idx1-ubyte": np.array([1, 26, 20, 20, 20, 20]),
        "emnist-letters-test-images-idx3-ubyte": letter.T[None],
        "emnist-letters-test-labels-idx1-ubyte": np.array([20]),
    }
    for name, array in contents.items():
        (tmp_path / name).write_bytes(data_files.idx_bytes(array))
    data = datasets.emnist(tmp_path, n_valid=0)
    assert np.array_equal(data.train.x[0].reshape(28, 28), letter)
    assert data.train.y.tolist() == [0, 25, 19, 19, 19, 19]  # A is 0, Z is 25


def test_a_folder_of_several_parts_needs_a_name(tmp_path):
    parts = {s.part: written(tmp_path, s) for s in file_sets.EMNIST if s.format == "idx"}
    for read in (datasets.load, datasets.idx, datasets.emnist):
        with pytest.raises(ValueError, match="has the files of 6 sets, such as .*; name one of"):
            read(tmp_path)
    for part, (x, y) in parts.items():
        file_set = next(s for s in file_sets.EMNIST if s.part == part)
        assert_holds(datasets.emnist(tmp_path, part), file_set, x, y)
        assert_holds(datasets.idx(tmp_path / file_set.files[0]), file_set, x, y)
    with pytest.raises(ValueError, match="part must be .*balanced.* or .mnist., not 'capitals'"):
        datasets.emnist(tmp_path, "capitals")


def test_each_function_reads_its_own_sets(tmp_path):
    functions = {"emnist-balanced.mat": datasets.emnist, "usps": datasets.usps,
                 "zip.train": datasets.usps, "kmnist-train-imgs.npz": datasets.npz,
                 "train-images-idx3-ubyte": datasets.idx}  # fmt: skip
    for first, read in functions.items():
        file_set = next(s for s in file_sets.ALL if s.files[0] == first)
        folder = tmp_path / first
        folder.mkdir()
        x, y = written(folder, file_set)
        assert_holds(read(folder / first), file_set, x, y)
    with pytest.raises(ValueError, match="usps has none of these files: train-images-idx3-ubyte, "):
        datasets.idx(tmp_path / "usps")


def test_an_empty_folder_and_a_missing_path_are_refused_with_the_names(tmp_path):
    for read in (datasets.load, datasets.idx, datasets.emnist, datasets.usps):
        with pytest.raises(
            ValueError, match=r"none of these files: .* \(.gz or not\), or"
        ) as error:
            read(tmp_path)
        assert len(str(error.value)) < 500
        with pytest.raises(ValueError, match="gone is not a folder, nor one of these files"):
            read(tmp_path / "gone")


# --- Faults ------------------------------------------------------------------------------------


def refused(read, path, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert str(path) in text
    assert len(text) < 500


@pytest.mark.parametrize("file_set", ONE_OF_EACH_FORMAT)
def test_a_missing_partner_is_named(tmp_path, file_set):
    written(tmp_path, file_set)
    for name in file_set.needed[1:]:
        (tmp_path / name).rename(tmp_path / "away")
        refused(datasets.load, tmp_path, f"has no {re.escape(name)}, neither compressed nor not")
        (tmp_path / "away").rename(tmp_path / name)


@pytest.mark.parametrize("file_set", ONE_OF_EACH_FORMAT)
@pytest.mark.parametrize("n_bytes", [0, 1, 7, 12, -2, -40])
def test_a_cut_file_is_named(tmp_path, file_set, n_bytes):
    if n_bytes and (file_set.format == "libsvm" or (file_set.format == "csv" and n_bytes > 0)):
        return  # fewer pairs, or fewer pixels, are a file of the format
    written(tmp_path, file_set)
    for name in file_set.files:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:n_bytes])
        if not (file_set.format in ("csv", "columns") and n_bytes == -2):  # a digit less
            refused(datasets.load, tmp_path, f"{re.escape(name)} is not a")
        (tmp_path / name).write_bytes(content)


@pytest.mark.parametrize("file_set", ONE_OF_EACH_FORMAT)
def test_labels_beyond_the_classes_are_refused(tmp_path, file_set):
    for part, wrong in ((0, 61), (1, 61)) if file_set.n_classes else ():
        x, y = examples(file_set)
        y[part][3] = wrong
        data_files.write_files(tmp_path, data_files.contents_of(file_set, x, y))
        refused(datasets.load, tmp_path, "row 3 has the label 6[12]; ")


@pytest.mark.parametrize("file_set", ONE_OF_EACH_FORMAT)
def test_images_of_other_sizes_and_numbers_are_refused(tmp_path, file_set):
    x, y = examples(file_set)
    if file_set not in file_sets.USPS:
        other = [x[0], data_files.images(5, 14)]
        data_files.write_files(tmp_path, data_files.contents_of(file_set, other, y))
        refused(datasets.load, tmp_path, "differ in their number of inputs: 784 .training., .*196")
    if file_set.format in ("idx", "npz", "mat"):
        data_files.write_files(tmp_path, data_files.contents_of(file_set, x, [y[0][1:], y[1]]))
        refused(datasets.load, tmp_path, "training files.: 12 inputs, but 11 targets")


def test_a_label_below_the_first_is_refused(tmp_path):
    for file_set in file_sets.ALL:
        if file_set.first_label:
            x, y = examples(file_set)
            y[0][2] = -1  # which is stored as 0
            shutil.rmtree(tmp_path)
            tmp_path.mkdir()
            data_files.write_files(tmp_path, data_files.contents_of(file_set, x, y))
            refused(datasets.load, tmp_path, "row 2 has the label 0; the labels of .* are 1 to")


def test_images_of_emnist_that_are_not_square_are_refused(tmp_path):
    x, y = examples(file_sets.EMNIST[0])
    contents = data_files.contents_of(file_sets.EMNIST[0], [i[:, 1:] for i in x], y)
    data_files.write_files(tmp_path, contents)
    refused(datasets.load, tmp_path, r"EMNIST balanced have shape \(28, 27\), and are not square")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"x": np.eye(3)}, "it has no array dataset.train.images"),
        ({"dataset": np.eye(3)}, "it has no array dataset.train.images"),
        ({"dataset": {"train": {"images": "text"}}}, "it has no array dataset.train.images"),
        ({"dataset": {"train": {"images": np.eye(4)}}}, "it has no array dataset.train.labels"),
    ],
)
def test_a_matlab_file_of_something_else_is_refused(tmp_path, variables, message):
    (tmp_path / "emnist-digits.mat").write_bytes(data_files.mat_bytes(**variables))
    refused(datasets.emnist, tmp_path, message)


def test_nothing_pickled_is_loaded(tmp_path):
    file_set = file_sets.KUZUSHIJI[0]
    objects = data_files.npz_bytes(arr_0=np.array([{"a": 1}], object))
    written(tmp_path, file_set, **{file_set.files[1]: objects})
    refused(datasets.load, tmp_path, "its array arr_0: it holds Python objects, which are never")
    other = data_files.npz_bytes(images=np.zeros(3))
    written(tmp_path, file_set, **{file_set.files[1]: other})
    refused(datasets.load, tmp_path, "kmnist-train-labels.npz has no array arr_0")


# --- MedMNIST ----------------------------------------------------------------------------------


def medmnist(path, shape=(28, 28), n_labels=1, **changes):
    random = np.random.default_rng(0)
    arrays = {}
    for use, n in (("train", 9), ("val", 4), ("test", 5)):
        arrays[f"{use}_images"] = random.integers(0, 256, (n, *shape), np.uint8)
        arrays[f"{use}_labels"] = random.integers(0, 2, (n, n_labels), np.uint8)
        arrays[f"{use}_labels"][:2] = [[0] * n_labels, [1] * n_labels]
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    path.write_bytes(data_files.npz_bytes(compressed=True, **arrays))
    return arrays


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (12, 12, 12)])
@pytest.mark.parametrize("read", [datasets.npz, datasets.load])
def test_medmnist_has_its_own_validation_split(tmp_path, shape, read):
    arrays = medmnist(tmp_path / "pathmnist.npz", shape)
    data = read(tmp_path / "pathmnist.npz")
    for use, split in zip(("train", "val", "test"), data, strict=True):
        images = arrays[f"{use}_images"]
        assert np.array_equal(split.x, images.reshape(len(images), -1))
        assert split.y.tolist() == arrays[f"{use}_labels"][:, 0].tolist()


def test_chestmnist_is_multi_label(tmp_path):
    arrays = medmnist(tmp_path / "chestmnist.npz", n_labels=14)
    data = datasets.npz(tmp_path / "chestmnist.npz")
    assert data.train.y.dtype == np.float32
    assert np.array_equal(data.test.y, arrays["test_labels"])
    net = jn.Network((784, 4, 14))
    jn.train(net, data, jn.Recipe(jn.sgd(0.1)), epochs=1, batch_size=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_labels": None}, "has no array val_labels; of train_images, train_labels, .* pairs"),
        ({"train_images": None, "train_labels": None}, "has no arrays train_images and train_lab"),
        ({"test_images": np.zeros((5, 3, 3), np.uint8)}, "differ in their number of inputs: 784"),
        ({"val_labels": np.zeros((3, 1), int)}, r"\(val\): 4 inputs, but 3 targets"),
        ({"train_labels": np.array([None] * 9)}, "train_labels: it holds Python objects, which"),
    ],
)
def test_a_faulty_archive_of_medmnist_is_refused(tmp_path, changes, message):
    medmnist(tmp_path / "pathmnist.npz", **changes)
    refused(datasets.npz, tmp_path / "pathmnist.npz", message)


# --- CSV ---------------------------------------------------------------------------------------

KAGGLE = ["label", *(f"pixel{n}" for n in range(64))]


def rows_of_digits(n=6):
    return [[k % 3, *(row % 256 for row in range(k, 64 + k))] for k in range(190, 190 + n)]


def test_pixels_with_and_without_a_test_file(tmp_path):
    rows = rows_of_digits()
    (tmp_path / "a.csv").write_bytes(data_files.csv_bytes([KAGGLE, *rows]))
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf" + data_files.csv_bytes(rows[:2]) + b"\n\n")
    data = datasets.pixels(tmp_path / "a.csv", tmp_path / "b.csv", n_valid=2)
    table = np.array(rows)
    for split, part in zip(data, (table[:4], table[4:], table[:2]), strict=True):
        assert np.array_equal(split.x, part[:, 1:])
        assert split.y.tolist() == part[:, 0].tolist()
    assert datasets.pixels(tmp_path / "a.csv", n_valid=0).test is None
    assert len(datasets.load(tmp_path / "a.csv", n_valid=2).valid.x) == 2


def test_kaggles_test_file_has_no_labels(tmp_path):
    rows = rows_of_digits()
    (tmp_path / "train.csv").write_bytes(data_files.csv_bytes([KAGGLE, *rows]))
    unlabelled = [KAGGLE[1:], *(row[1:] for row in rows)]
    (tmp_path / "test.csv").write_bytes(data_files.csv_bytes(unlabelled))
    data = datasets.load(tmp_path)
    assert (len(data.train.x), len(data.valid.x), data.test) == (5, 1, None)
    with pytest.raises(ValueError, match=r"test\.csv is not a table of .*: it has no labels, as"):
        datasets.pixels(tmp_path / "train.csv", tmp_path / "test.csv")
    (tmp_path / "train.csv").unlink()
    refused(datasets.load, tmp_path, "none of these files")
    with pytest.raises(ValueError, match=r"has no train\.csv, neither compressed nor not"):
        datasets.load(tmp_path / "test.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no rows"),
        (b"label,pixel0\n", "it has no rows"),
        (b"label,pixel0\n1,2,3\n", "line 2 has 3 cells, and line 1 has 2"),
        (b"1,2\n1,2\n1\n", "line 3 has 1 cells, and line 1 has 2"),
        (b"1,256\n", "line 1 holds '256', which is not a whole number from 0 to 255"),
        (b"1,-1\n", "line 1 holds '-1'"),
        (b"1,2.0\n", "line 1 holds '2.0'"),
        (b"label,pixel0\n1,\n", "line 2 holds ''"),
        (b"age,height\n1,2\n", "line 1 holds 'age'"),
        (b"1,\xff\n", "line 1 holds"),
        (b"1," + b"9" * 5000 + b"\n", "line 1 holds '99999999999999999999'"),
    ],
)
def test_a_faulty_table_of_pixels_is_refused(tmp_path, content, message):
    (tmp_path / "x.csv").write_bytes(content)
    refused(
        datasets.pixels, tmp_path / "x.csv", rf"x\.csv is not a table of .*: {message}.*; begin"
    )


def test_any_other_csv_file_is_no_set_of_images(tmp_path):
    (tmp_path / "x.csv").write_text("age,height\n1,2\n")
    refused(datasets.load, tmp_path / "x.csv", "is not a folder, nor one of these files: train-im")
