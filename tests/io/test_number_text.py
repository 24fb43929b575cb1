"""Numbers in text: what a first line says, and lines of other forms."""

import bz2
import gzip

import numpy as np
import pytest
import sklearn.datasets

from jaxnet.io import number_text, reading

NINE = ",".join("9" * 65)  # a label, and 8×8 pixels


@pytest.mark.parametrize(
    ("first_line", "expected"),
    [
        ("label,pixel0,pixel1", True),
        ("label,1x1,1x2", True),
        ('"label","pixel0","pixel1"', True),
        ("Label,Pixel1", True),
        ("pixel0,pixel1", True),
        (NINE, True),
        (NINE + ",9", False),  # not square
        (NINE[:-1] + "300", False),
        ("1,2,3,4,5", False),  # a square of 2×2, but of any other table
        ("label,age", False),
        ("label,pixel0,age", False),
        ("label", False),
        ("", False),
        ("1x" + "1" * 5000 + "!", False),
    ],
)
def test_a_first_line_tells_pixels_from_other_tables(tmp_path, first_line, expected):
    for name, write in (("x.csv", bytes), ("x.csv.gz", gzip.compress), ("x.csv.bz2", bz2.compress)):
        (tmp_path / name).write_bytes(write(f"{first_line}\n1,2\n".encode()))
        assert number_text.is_pixel_table(tmp_path / name) is expected


def test_libsvms_format_is_read_as_scikit_learn_reads_it(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(20, 7)) * (random.random((20, 7)) < 0.5)
    x[:, 3] = 1  # a line without inputs is refused
    y = random.integers(-3, 3, 20)
    sklearn.datasets.dump_svmlight_file(x, y, str(tmp_path / "x"), zero_based=False)
    inputs, labels = number_text.read_libsvm(tmp_path / "x", 7)
    expected, _ = sklearn.datasets.load_svmlight_file(str(tmp_path / "x"), n_features=7)
    assert np.array_equal(inputs, expected.toarray())
    assert labels.tolist() == y.tolist()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1", "line 2: it has no inputs"),
        ("1 8:1", "line 2: it has the input 8, and there are 7"),
        ("1 0:1", "line 2: it has the input 0, and there are 7"),
        ("1 -1:1", "line 2: it has the input -1"),
        ("1 1", "line 2: could not convert string to float"),
        ("1 a:1", "line 2: invalid literal"),
        ("one 1:1", "line 2: could not convert string to float"),
        ("1 " + "9" * 5000 + ":1", "line 2: "),
    ],
)
def test_a_faulty_line_of_libsvm_is_named(tmp_path, line, message):
    (tmp_path / "x").write_text(f"1 1:1\n{line}\n")
    with pytest.raises(ValueError, match=rf"x is not a LIBSVM file: {message}.*; download"):
        number_text.read_libsvm(tmp_path / "x", 7)


def test_short_lines_do_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "FREE_EXPANSION_BYTES", 2**20)
    (tmp_path / "x").write_text("1\n" * 1000)
    with pytest.raises(ValueError, match="it would expand to 2058056 bytes"):
        number_text.read_libsvm(tmp_path / "x", 256)


def test_columns_are_read_as_numpy_reads_them(tmp_path):
    table = np.random.default_rng(0).normal(size=(5, 4)).round(4)
    np.savetxt(tmp_path / "x.gz", table, fmt="%.4f")
    inputs, labels = number_text.read_columns(tmp_path / "x.gz", 3)
    assert np.array_equal(inputs, table[:, 1:])
    assert np.array_equal(labels, table[:, 0])
    with pytest.raises(ValueError, match="line 1: it has 4 numbers, and not a label and 5 inputs"):
        number_text.read_columns(tmp_path / "x.gz", 5)
    (tmp_path / "x").write_text("\n \n")
    with pytest.raises(ValueError, match="it has no rows"):
        number_text.read_columns(tmp_path / "x", 5)


def test_a_compressed_content_is_bounded(tmp_path, monkeypatch):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"1,2\n" * 100))
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="it has more than the 100 bytes that are read"):
        number_text.read_pixels(tmp_path / "x.csv.gz")
    monkeypatch.setattr(reading, "FREE_EXPANSION_BYTES", 50)
    monkeypatch.setattr(reading, "MAX_EXPANSION", 1)
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="it would expand to 400 bytes"):
        number_text.read_pixels(tmp_path / "x.csv.gz")
