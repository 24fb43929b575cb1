"""Every kind of file that jaxnet reads, damaged: it is read, or refused in one sentence."""

import os
import socket
import threading
from pathlib import Path

import fuzz
import pytest

SAMPLE = 30
"""Damaged files of each kind; `tests/support/fuzz.py` makes as many as are asked for."""
SKIPPED = object()
QUICK = ("network .json", "checkpoint", "table .csv")
READERS = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in fuzz.READERS
]


class Cases(dict):
    """The readers of the registry, each with its file, which is written when it is asked for."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def __missing__(self, name):
        self[name] = fuzz.build(name, self.folder / str(len(self)))
        return self[name]


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return Cases(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_in_a_sentence(cases, name):
    others = [cases[other].content for other in QUICK]
    outcomes = list(fuzz.fuzz(cases[name], SAMPLE, 1, others))
    assert len(outcomes) == SAMPLE
    failures = [f"{kind}: {detail}" for kind, detail, _ in outcomes if kind in fuzz.FAILURES]
    assert failures == []


def test_the_registry_is_complete():
    """Every place that reads a file is reached by a reader of the registry."""
    package = Path(fuzz.jn.__file__).parent
    calls = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if any(f"{name}(" in path.read_text(encoding="utf-8") for name in READING_FUNCTIONS)
    }
    assert calls == {*READ_IN}, calls ^ {*READ_IN}
    assert set().union(*READ_IN.values()) == set(fuzz.READERS)


READING_FUNCTIONS = (
    "read_file", "read_content", "read_json", "read_npy", "read_npz", "read_csv", "read_sealed",
    "read_decompressed", "read_decompressed_content",
)  # fmt: skip
TABLES = {f"{name}.csv" for name in fuzz.comparison_folder.TABLES}
READ_IN = {
    "io/reading.py": set(),
    "io/files.py": set(),
    "io/csv.py": {"table .csv"},
    "io/network_files.py": {
        "network .json", "network .safetensors", "network .json of network2",
        "network .json of 0.2", "network .safetensors of 0.2",
    },
    "io/numpy_files.py": set(),
    "io/table_files.py": {"columns .csv", "columns .parquet"},
    "book/network2.py": {"network of network2's program"},
    "io/locks.py": set(),  # tests/io/test_locks.py
    "io/version_0_2.py": set(),
    "io/compressed.py": set(),
    "io/idx_files.py": {"IDX", "IDX .gz", "MNIST .gz"},
    "io/matlab_files.py": {"EMNIST .mat", "EMNIST .mat, compressed"},
    "io/number_text.py": {
        "pixels .csv", "pixels .csv.gz", "LIBSVM", "LIBSVM .bz2", "columns .gz",
    },
    "data/npz.py": {"data .npz", "data .npz, compressed"},
    "data/published.py": {"KMNIST .npz"},
    "sweeps/call_file.py": {"call"},
    "sweeps/ensemble.py": {"ensemble"},
    "sweeps/opening.py": {"study.json"},
    "training/checkpoints.py": {"checkpoint", "checkpoint of 0.2"},
    "integrations/callbacks.py": {"callback .csv"},
    "sweeps/store.py": {"chunk", "chunk of 0.2", "study.json"},
    "comparison/comparison_folder.py": {
        "manifest", "manifest, unfinished", "manifest of 0.2", "timing.json", *TABLES,
        "luck.csv of 0.2", "curves.csv of 0.2", "summary.csv of 0.2",
    },
    "reporting/pictures.py": {"history.csv", "monitors.csv", "config.json"},
    "reporting/experiment.py": {"results.json"},
    "reporting/experiment_index.py": {"experiment's script"},
    "reporting/page_pictures.py": {"experiment's picture"},
    "cli/saved_options.py": {"config.json", "sweep.json"},
    "io/picture_files.py": {
        "image .png", "image .jpg", "image .gif", "image .bmp", "image .tif", "pictures .csv",
    },
    "cli/questions.py": {"image .npy"},
    "cli/data_options.py": {"data .npz"},
    "cli/train.py": {"config.json"},
}  # fmt: skip
"""The readers of the registry, by the module that reads their files."""


def _missing(path):
    pass


def _directory(path):
    path.mkdir()


def _fifo(path):
    os.mkfifo(path)


def _socket(path):
    server = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may have 100 characters
    try:
        server.bind(path.name)
    finally:
        os.chdir(before)
    server.close()


def _endless(path):
    path.symlink_to("/dev/zero")


def _sparse(path):
    with path.open("wb") as file:
        file.truncate(2**31 + 2**20)


def _unreadable(path):
    path.touch(mode=0)
    return SKIPPED if os.geteuid() == 0 else None  # root may read everything


def _writer(content):
    return lambda path: path.write_bytes(content)


DAMAGE = {
    "missing": _missing,
    "a directory": _directory,
    "a pipe": _fifo,
    "a socket": _socket,
    "endless": _endless,
    "huge": _sparse,
    "unreadable": _unreadable,
    "empty": _writer(b""),
    "zeros": _writer(bytes(1000)),
    "a JSON list": _writer(b"[]"),
    "a JSON number": _writer(b"3"),
    "nested": _writer(b"[" * 100_000),
    "nested objects": _writer(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "nested a little": _writer(b'{"a":' * 500 + b"1" + b"}" * 500),
    "another encoding": _writer("λ = 5".encode("utf-16")),
    "a picture": _writer(b"\x89PNG\r\n\x1a\n" + bytes(50)),
    "a zip archive": _writer(b"PK\5\6" + bytes(18)),
    "cut": lambda path: None,  # its own content, to the half
}
ACCEPTED = {
    ("table .csv", "cut"), ("columns .csv", "cut"),  # no seal: a row is cut within a cell
    ("monitors.csv", "missing"),  # there is no such picture
    *((name, "missing") for name in ("study.json", "manifest, unfinished", "callback .csv")),
    # A folder of no experiments, and a script that is skipped as no file.
    ("experiment's script", "missing"),
    ("chunk", "missing"), ("chunk of 0.2", "missing"),  # they are trained again
    ("sweep.json", "missing"),  # all options are those of the call
}  # fmt: skip
"""Where there is no fault: a new file is begun, or there is nothing to read."""


@pytest.mark.skipif(os.name != "posix", reason="there are no such files")
@pytest.mark.parametrize("name", READERS)
def test_no_reader_is_held_up_or_deceived_by_a_file_that_is_none(cases, name):
    reader, content, _ = cases[name]
    for damage, make in DAMAGE.items():
        reader.path.unlink()
        try:
            if make(reader.path) is SKIPPED:
                continue
            if damage == "cut":
                reader.path.write_bytes(content[: len(content) // 2])
            error = _error_of(reader)
        finally:
            _remove(reader.path)
            reader.path.write_bytes(content)
        assert (error == "") == ((name, damage) in ACCEPTED), (damage, error)
        names = (reader.path.name, str(reader.path.parent))
        assert not error or any(place in error for place in names), (damage, error)
        assert "\n" not in error, (damage, error)


def _error_of(reader):
    try:
        with fuzz.time_limit():
            reader.read()
    except ValueError as error:
        return str(error)
    return ""


def _remove(path):
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def test_a_pipe_with_a_writer_is_refused_too(tmp_path):
    os.mkfifo(tmp_path / "net.json")

    def write():
        with (tmp_path / "net.json").open("wb") as file:
            file.write(b"{}")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    with pytest.raises(ValueError, match=r"net\.json: it is not a regular file, but a pipe or"):
        fuzz.jn.load(tmp_path / "net.json")
    with open(os.open(tmp_path / "net.json", os.O_RDONLY | os.O_NONBLOCK)):
        writer.join(5)
