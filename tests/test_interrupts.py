"""Ctrl-C: in a block of `interruptible`, on the command line, and at any moment of a command."""

import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import interrupt
import pytest

from jaxnet.interrupts import interruptible


@pytest.fixture(autouse=True)
def ctrl_c_is_not_ignored():
    """A script's background job ignores Ctrl-C, and so would the processes started here."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )


def test_the_first_ctrl_c_is_a_request_and_the_second_an_exception():
    with interruptible() as requests:
        assert requests == []
        signal.raise_signal(signal.SIGINT)
        assert requests == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_block_inside_another_one_shares_its_requests():
    with interruptible() as outer:
        with interruptible() as inner:
            signal.raise_signal(signal.SIGINT)
        assert inner is outer
        assert outer == [signal.SIGINT]
    with interruptible() as later:
        assert later == []


def test_elsewhere_ctrl_c_is_left_as_it_is():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(interruptible().__enter__()))
    thread.start()
    thread.join()
    assert seen == [[]]
    previous = signal.signal(signal.SIGINT, lambda *_: seen.append("handled"))
    try:
        with interruptible() as requests:
            signal.raise_signal(signal.SIGINT)
        assert (seen[-1], requests) == ("handled", [])
    finally:
        signal.signal(signal.SIGINT, previous)


def test_neither_the_package_nor_its_handler_of_ctrl_c_imports_jax():
    result = run("""
        import sys, jaxnet, jaxnet.interrupts
        print("jax" in sys.modules, "numpy" in sys.modules)
        jaxnet.train
        print("jax" in sys.modules)
    """)
    assert result.stdout.split() == ["False", "False", "True"]


@pytest.mark.parametrize(
    "busy",
    [
        "time.sleep(60)",
        # As a compilation does, this keeps the main thread out of Python's interpreter.
        "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)",
        "exec('class Loud:\\n def __del__(self): time.sleep(60)\\nloud = Loud()\\ndel loud')",
    ],
    ids=["sleeping", "in compiled code", "in a finalizer, which loses exceptions"],
)
def test_on_the_command_line_one_line_and_status_130(busy):
    result = run(f"""
        import hashlib, os, signal, threading, time
        from jaxnet.interrupts import end_process_on_interrupt
        end_process_on_interrupt()
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        {busy}
    """)
    assert result.returncode == 130
    assert result.stderr == "jaxnet: interrupted at once; what was saved before is unharmed.\n"


def test_on_the_command_line_the_first_ctrl_c_is_a_request_and_the_second_ends():
    result = run("""
        import os, signal, time
        from jaxnet.interrupts import end_process_on_interrupt, interruptible
        end_process_on_interrupt()
        with interruptible() as requests:
            os.kill(os.getpid(), signal.SIGINT)
            while not requests:
                time.sleep(0.01)
            print(requests == [signal.SIGINT], flush=True)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
    """)
    assert (result.returncode, result.stdout) == (130, "True\n")


def test_where_ctrl_c_is_ignored_it_stays_so():
    result = run("""
        import signal
        from jaxnet.interrupts import end_process_on_interrupt
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end_process_on_interrupt()
        signal.raise_signal(signal.SIGINT)
        print("goes on")
    """)
    assert (result.returncode, result.stdout) == (0, "goes on\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "seconds"),
    [*zip(interrupt.COMMANDS, (3.0, 2.0, 1.2, 0.6, 0.3), strict=True)],
)
def test_a_command_ends_by_one_line_at_any_moment(command: str, seconds: float, tmp_path: Path):
    """`tests/support/interrupt.py` tries twenty moments of each command."""
    interrupt.write_network(tmp_path)
    end = interrupt.interrupt(command, tmp_path, seconds)
    assert end.kind != "WRONG", (end.status, end.errors)
