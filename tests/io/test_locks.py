import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jaxnet.io import locks

ROOT = str(Path(__file__).parents[2])
HOLD = """
import sys, time
from jaxnet.io.locks import locked
with locked(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which holds a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"locked\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_another_process_is_named_and_its_lock_ends_with_it(tmp_path, holder):
    sentence = rf"{tmp_path} is in use by process {holder.pid} on .* since 20\d\d-.*; wait until"
    with pytest.raises(ValueError, match=sentence), locks.locked(tmp_path):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert {path.name for path in tmp_path.iterdir()} == {locks.LOCK, locks.HOLDER}
    with locks.locked(tmp_path):
        assert json.loads((tmp_path / locks.HOLDER).read_text())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_who_waits_says_for_whom_and_has_the_folder_afterwards(tmp_path, holder):
    sentences = []

    def on_wait(sentence):
        sentences.append(sentence)
        holder.kill()

    with locks.locked(tmp_path, on_wait):
        assert str(os.getpid()) in (tmp_path / locks.HOLDER).read_text()
    assert len(sentences) == 1
    assert f"in use by process {holder.pid}" in sentences[0]


def test_a_thread_and_a_nested_call_of_this_process_are_refused(tmp_path):
    refusals = []

    def lock():
        try:
            with locks.locked(tmp_path):
                pass
        except ValueError as refusal:
            refusals.append(str(refusal))

    with locks.locked(tmp_path):
        thread = threading.Thread(target=lock)
        thread.start()
        thread.join()
        lock()
    lock()
    assert len(refusals) == 2
    assert all(f"in use by process {os.getpid()}" in refusal for refusal in refusals)


def test_a_lent_folder_is_used_by_one_call_of_the_same_thread_at_a_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with locks.locked("run", lend=True):
        for _ in range(2):
            with locks.locked(tmp_path / "run"):  # the same folder by another path
                assert _is_refused("run")
            assert Path("run", locks.LOCK).exists()
        thread_refusals = []
        thread = threading.Thread(target=lambda: thread_refusals.append(_is_refused("run")))
        thread.start()
        thread.join()
        assert thread_refusals == [True]
    assert not Path("run").exists()  # it was empty


def _is_refused(folder):
    try:
        with locks.locked(folder):
            return False
    except ValueError:
        return True


def test_of_many_threads_one_at_a_time_holds_a_folder_that_comes_and_goes(tmp_path):
    """Each removes the lock's file, and the empty folder, while others open them."""
    folder, inside, most = tmp_path / "folder", [], []

    def work():
        for _ in range(20):
            with locks.locked(folder, on_wait=lambda _: None):
                inside.append(0)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert (len(most), max(most)) == (80, 1)
    assert not list(tmp_path.glob("folder/*"))


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    stale = ".a.csv.01234567-1-0123abcd"
    for name in (stale, ".a.csv", "a.csv", ".lock", ".lock.json", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    os.utime(tmp_path / stale, (0, 0))
    with locks.locked(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {".a.csv", "a.csv", ".hidden"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_description_of_the_holder_hides_no_refusal(tmp_path, content):
    with locks.locked(tmp_path):
        (tmp_path / locks.HOLDER).write_bytes(content)
        with pytest.raises(ValueError, match="in use by another process"), locks.locked(tmp_path):
            pass


def test_folders_asked_for_at_the_same_moment_are_different(tmp_path):
    names, start = [], threading.Barrier(8)

    def work():
        start.wait()
        with locks.new_folder(tmp_path / "runs" / "20250101-000000-x") as folder:
            names.append(folder.name)
            (folder / "file").write_bytes(b"")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stem = "20250101-000000-x"
    assert sorted(names) == sorted([stem, *(f"{stem}-{k}" for k in range(2, 9))])
    with locks.new_folder(tmp_path / "other" / stem):
        pass
    assert not (tmp_path / "other").exists()  # nothing was written
