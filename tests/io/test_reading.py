"""Every file that jaxnet reads goes through `read_file`."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

import jaxnet
from jaxnet.io import reading

PACKAGE = Path(jaxnet.__file__).parent
ALLOWED = {
    ("io/reading.py", "open"),
    ("io/files.py", "safe_open"),  # inside of read_file, of which it gets the file
    ("io/numpy_files.py", "open"),  # a member of an archive
    ("cli/streams.py", "open"),  # the null device, to write to
    ("io/picture_files.py", "open"),  # PIL's, of a content that was read
    ("sweeps/chunk_params.py", "load"),  # what this process wrote into its temporary folder
    ("data/datasets.py", "loadtxt"),  # a table that scikit-learn has installed
    ("acceleration/compilation_cache.py", "read_bytes"),  # to hash what may be damaged
    ("acceleration/compilation_cache.py", "read_text"),  # what the kernel says of the processor
    ("cli/live_server.py", "read_bytes"),  # its own page, and the status of the command above it
    ("reporting/demo_pages.py", "read_text"),  # the parts of a page, which lie in the package
    ("reporting/demo_pages.py", "open"),  # the beginning of a file, to know a page of ours by
}
READING = (
    "open", "safe_open", "read_bytes", "read_text", "fromfile", "loadtxt", "genfromtxt", "memmap",
    "imread", "load_file",
)  # fmt: skip


def _readings(path):
    """Calls that read a file, by the function's name."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        owner = getattr(getattr(node.func, "value", None), "id", "")
        is_of_numpy = owner in ("np", "numpy") and name == "load"
        if (name in READING and owner != "os") or is_of_numpy or (owner, name) == ("json", "load"):
            yield name


def test_no_other_function_reads_a_file(tmp_path):
    readings = {
        (str(path.relative_to(PACKAGE)), name)
        for path in PACKAGE.rglob("*.py")
        for name in _readings(path)
    }
    assert readings == ALLOWED
    bad = "open(p)\np.open()\np.read_bytes()\np.read_text()\nnp.load(p)\njson.load(f)\nos.open(p)\n"
    (tmp_path / "x.py").write_text(bad, encoding="utf-8")
    assert len(list(_readings(tmp_path / "x.py"))) == 6


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("sizes"), "it lacks 'sizes'"),
        (IndexError("list index out of range"), "list index out of range"),
        (RecursionError(), "it is nested too deeply"),
        (MemoryError(), "it needs more memory than there is"),
        (EOFError(), "EOFError"),
        (OSError("Not a gzipped file"), "Not a gzipped file"),
        (UserWarning("two\nlines."), "two lines"),
        (ZeroDivisionError("x" * 1000), "x" * 400 + " …"),
    ],
)
def test_whatever_a_parser_raises_is_one_sentence(tmp_path, error, message):
    (tmp_path / "x").touch()

    def parse(_):
        raise error

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        reading.read_file(tmp_path / "x", "a network", parse, "save it again")
    assert str(caught.value) == f"{tmp_path / 'x'} is not a network: {message}; save it again."
    assert caught.value.__cause__ is error


def test_an_interrupt_goes_through(tmp_path):
    (tmp_path / "x").touch()

    def parse(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reading.read_file(tmp_path / "x", "a network", parse)


def test_a_content_is_bounded_by_the_limit(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    assert reading.read_content(tmp_path / "x", "text", bytes, limit=5) == b"12345"
    with pytest.raises(ValueError, match="it has more than the 4 bytes that are read"):
        reading.read_content(tmp_path / "x", "text", bytes, limit=4)


@pytest.mark.skipif(not Path("/proc/kallsyms").exists(), reason="there is no such file")
def test_a_file_that_is_larger_than_the_system_says_is_bounded_too():
    path = Path("/proc/kallsyms")
    assert path.stat().st_size == 0
    with pytest.raises(ValueError, match="it has more than the 1000 bytes that are read"):
        reading.read_content(path, "text", bytes, limit=1000)


@pytest.mark.parametrize("content", ['{"λ": 0.5}', "\ufeff" + '{"λ": 0.5}'])
def test_json_is_utf8_with_or_without_a_mark(tmp_path, content):
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    assert reading.read_json(tmp_path / "x.json", "a description") == {"λ": 0.5}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1, "a": 2}', "a key of its JSON occurs twice"),
        (b"{", "its JSON is damaged or cut off: Expecting property name"),
        ('{"a": 1}'.encode("utf-16"), "it is not UTF-8: byte 0 is 0xff"),
        (b"[1]", "its JSON is not an object"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "it is nested deeper than 100 levels"),
        (b'{"a":' * 10**5 + b"1" + b"}" * 10**5, "nested"),
        (b'{"a": ' + b"9" * 5000 + b"}", "4300 digits"),
    ],
)
def test_json_that_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.json is not a description: .*{message}"):
        reading.read_json(tmp_path / "x.json", "a description")


def test_constants_that_json_does_not_have_may_be_refused():
    assert np.isnan(reading.json_object(b'{"a": NaN}')["a"])
    with pytest.raises(ValueError, match="it holds NaN, which is not a number in JSON"):
        reading.json_object(b'{"a": NaN}', constants=False)
    document = json.loads("[" * 99 + "1" + "]" * 99)
    assert reading.json_object(json.dumps({"a": document}).encode()) == {"a": document}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "it lacks 'epochs'"),
        ({"epochs": True}, "its entry 'epochs' is True, which is not of type int or float"),
        ({"epochs": ["x" * 99]}, r"is \['xxxx.* …, which is not of type int or float"),
    ],
)
def test_entries_of_another_type_are_refused(document, message):
    with pytest.raises(ValueError, match=message):
        reading.check_types(document, {"epochs": (int, float)})


def test_a_large_content_may_be_compressed_as_far_as_real_data_are():
    reading.check_expansion(2**28, 1)
    reading.check_expansion(2**36, 2**29)
    with pytest.raises(ValueError, match="it would expand to"):
        reading.check_expansion(2**28 + 1, 2**20)
