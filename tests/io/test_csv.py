"""CSV files: their bytes stay those of version 0.2, and no locale changes them."""

import ast
import csv as standard
import io
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import jaxnet
from jaxnet.core.types import History
from jaxnet.io import csv

NAN = float("nan")


def test_history_is_exact_and_has_the_columns_of_version_0_2_and_the_data_costs():
    costs = np.array([0.1, 1 / 3, 1e-9], np.float32)
    accuracies = np.array([0.5, 0.9634, 1], np.float32)
    nan = np.full(3, np.nan, np.float32)
    content = csv.history_csv(History(costs, accuracies, nan, nan, costs / 2))
    assert content.decode() == (
        "epoch,evaluation_cost,evaluation_accuracy,training_cost,training_accuracy,"
        "evaluation_data_cost,training_data_cost\n"
        "1,0.1,0.5,,,0.05,\n"
        "2,0.33333334,0.9634,,,0.16666667,\n"
        "3,1e-09,1.0,,,5e-10,\n"
    )
    read = [np.float32(row[1]) for row in csv.decode(content)[1:]]
    assert np.array_equal(read, costs)


def test_monitors_have_the_bytes_of_version_0_2():
    measured = {
        "step": np.array([4, 8]),
        "learning_rate": np.array([[0.1], [np.nan]]),
        "delta_norm": np.array([[0.08121793, 0.6348218], [np.inf, 1 / 3]], np.float32),
    }
    assert csv.monitors_csv(measured).decode() == (
        "step,learning_rate,delta_norm_1,delta_norm_2\n4,0.1,0.08121793,0.6348218\n"
        "8,nan,inf,0.33333334\n"
    )


def test_a_table_of_counts_has_no_header():
    assert csv.encode(np.array([[19, 0], [21, 5]])) == b"19,0\n21,5\n"


def test_rows_have_the_bytes_of_version_0_2(tmp_path):
    rows = [
        {"label": 'say "5", λ', "n": 1, "score": 0.1 + 0.2},
        {"label": "two\nlines", "n": np.int64(2), "edge": None, "score": NAN},
        {"label": "", "n": True, "score": np.float64(1e-300)},
    ]
    csv.write_csv(tmp_path / "x.csv", rows)
    text = io.StringIO(newline="")
    writer = standard.DictWriter(text, ["label", "n", "edge", "score"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v != v else v for k, v in row.items()} for row in rows)
    assert (tmp_path / "x.csv").read_bytes() == text.getvalue().encode()
    csv.write_csv(tmp_path / "x.csv", [])
    assert (tmp_path / "x.csv").read_bytes() == b"\n"
    assert csv.read_csv(tmp_path / "x.csv") == []


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8")), st.integers(), st.floats(width=64)),
        min_size=1,
    )
)
@example([("a carriage\rreturn", 0, 0.0)])
def test_what_is_written_is_read(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    rows = [dict(zip(("label", "n", "score"), row, strict=True)) for row in table]
    csv.write_csv(path, rows)
    read = csv.read_csv(path, text=("label",))
    assert len(read) == len(rows)
    for row, expected in zip(read, rows, strict=True):
        assert (row["label"], row["n"]) == (expected["label"], expected["n"])
        assert np.array_equal(row["score"], expected["score"], equal_nan=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3\n", r"x\.csv is not .*: row 2 has 1 cells, and the first line 2; write"),
        (b"a,b\n1,2,3\n", r"x\.csv is not .*: row 1 has 3 cells, and the first line 2; write"),
        (b"a,b\n1,two\n", r"x\.csv is not .*: row 1, column 'b' is 'two', which is not a number;"),
        (b'a,b\n1,"2\n', r"x\.csv is not .*: its CSV is damaged: unexpected end of data;"),
        (b"a,b\n1,1_0\n", r"x\.csv is not .*: row 1, column 'b' is '1_0', which is not a number;"),
        (b"a,a\n1,2\n", r"x\.csv is not .*: its column 'a' occurs twice;"),
        (b"a,b\n1,\xff\n", r"x\.csv is not .*: it is not UTF-8: byte 6 is 0xff;"),
    ],
)
def test_a_damaged_table_is_refused_by_place(tmp_path, content, message):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        csv.read_csv(tmp_path / "x.csv")


def test_what_is_empty_is_read_as_nan(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"a,b\n1,\n\n")
    (row,) = csv.read_csv(tmp_path / "x.csv")
    assert row["a"] == 1
    assert math.isnan(row["b"])


SCRIPT = """
import locale
from jaxnet.io import csv
from jaxnet.sweeps.store import Folder
print(locale.getpreferredencoding(False))
rows = [{"optimizer": "adam, λ = 5", "score": 0.5}]
csv.write_csv("x.csv", rows)
assert csv.read_csv("x.csv", text=("optimizer",)) == rows
open("study.json", "wb").write('{"name": "λ"}'.encode("utf-8"))
Folder(".", {"name": "λ"})
"""


def test_a_greek_label_survives_a_locale_that_has_none(tmp_path):
    environment = os.environ | {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": str(Path(jaxnet.__file__).parent.parent),
    }
    run = [sys.executable, "script"]
    (tmp_path / "script").write_text(SCRIPT, encoding="utf-8")
    ended = subprocess.run(
        run, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip().lower() not in ("utf-8", "utf8")
    assert (tmp_path / "x.csv").read_bytes().decode() == 'optimizer,score\n"adam, λ = 5",0.5\n'


def _texts_without_encoding(path):
    """Calls that read or write text in the encoding of the locale."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = getattr(function, "attr", getattr(function, "id", ""))
        named = {keyword.arg for keyword in node.keywords}
        modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
        binary = any(isinstance(mode, str) and "b" in mode for mode in modes)
        # The open of gzip, PIL and zipfile is of bytes, os.open gives a descriptor.
        module = getattr(getattr(function, "value", None), "id", "")
        opens = name in ("open", "fdopen") and not binary
        opens = (
            opens
            and module not in ("gzip", "Image", "archive")
            and (module, name) != ("os", "open")
        )
        if (name in ("read_text", "write_text") or opens) and "encoding" not in named:
            yield f"{path}:{node.lineno}"


def test_no_file_is_read_or_written_in_the_encoding_of_the_locale(tmp_path):
    package = Path(jaxnet.__file__).parent
    assert [place for p in package.rglob("*.py") for place in _texts_without_encoding(p)] == []
    bad = 'p.read_text()\nopen(p)\nopen(p, "w")\np.open(newline="")\nopen(p, "rb")\n'
    (tmp_path / "x.py").write_text(bad, encoding="utf-8")
    assert len(list(_texts_without_encoding(tmp_path / "x.py"))) == 4


FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", '=HYPERLINK("x")']


@pytest.mark.parametrize("label", [*FORMULAS, *(f"'{text}" for text in FORMULAS), "''=1", "'", "a"])
def test_no_text_is_a_formula_and_all_are_read_back(tmp_path, label):
    rows = [{"label": label, label: -0.5, "score": -math.inf}]
    csv.write_csv(tmp_path / "x.csv", rows)
    # What a spreadsheet sees: cells that another reader gives.
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for line in standard.reader(file) for cell in line]
    for cell in cells:
        assert cell[:1] not in ("=", "+", "@", "\t", "\r", "\n", "＝") or not cell, cell
        assert cell[:1] != "-" or math.isfinite(float(cell)) or cell == "-inf"
    assert csv.read_csv(tmp_path / "x.csv", text=("label",)) == rows


def test_numbers_stay_as_they_are():
    numbers = [-1, -0.5, -1e-300, np.float32(-0.1), -math.inf, 1e22, "-5", "+5"]
    assert csv.encode([numbers]) == b"-1,-0.5,-1e-300,-0.1,-inf,1e+22,-5,+5\n"


def test_a_table_in_utf8_with_a_mark_is_read_as_spreadsheets_write_it(tmp_path):
    (tmp_path / "x.csv").write_bytes("label,score\r\nλ,0.5\r\n".encode("utf-8-sig"))
    assert csv.read_csv(tmp_path / "x.csv", text=("label",)) == [{"label": "λ", "score": 0.5}]


@pytest.mark.parametrize("content", [b"", b"a,b\n"])
def test_a_table_that_was_cut_to_nothing_is_refused(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"x\.csv is not a table in CSV: it (is empty|has no rows)"
    ):
        csv.read_csv(tmp_path / "x.csv")
