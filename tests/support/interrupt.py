"""Ctrl-C at many moments of each command: one line and status 130, whenever it comes.

    python tests/support/interrupt.py --times 20

starts each command 20 times, sends it SIGINT after 0.1 to 5 seconds, and prints how it ended. A
process that Python has not started in full ends by the signal: a shell shows that as status 130.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import jaxnet as jn

NETWORK = "--sizes 64 32 10 --data digits"
COMMANDS = {
    "train": f"train {NETWORK} --epochs 100000",
    "sweep": f"sweep {NETWORK} --epochs 100000 --vary learning_rate=0.01:1:8 --seeds 2",
    "compare": f"compare {NETWORK} --tasks digits --optimizers sgd adam --epochs 1000",
    "check": "check --sizes 784 1000 1000 10",
    "predict": "predict network.json --data digits --test 0 1 2",
}
"""Commands that take longer than 5 seconds, but for `predict`."""


class End(NamedTuple):
    """How an interrupted command ended."""

    status: int
    """Its exit status; −2 if the signal ended it."""
    errors: list[str]
    """The lines of its standard error stream."""
    seconds: float
    """Seconds from the signal to the end."""

    @property
    def kind(self) -> str:
        """What the script counts."""
        if self.status == 130 and len(self.errors) == 1:
            return "130, one line"
        if self.status == -signal.SIGINT and not self.errors:
            return "by the signal"
        if self.status == 0 and not self.errors:
            return "finished before"
        return "WRONG"


def interrupt(command: str, folder: Path, after: float) -> End:
    """Start a command in a folder, and send it SIGINT after some seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxnet", *COMMANDS[command].split()],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    start = time.perf_counter()
    try:
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    return End(process.returncode, errors.splitlines(), time.perf_counter() - start)


def write_network(folder: Path) -> None:
    """Write the network that `predict` reads."""
    net = jn.Network((64, 32, 10))
    jn.save(folder / "network.json", net, jn.init(net, jax.random.key(0)))


def main() -> int:
    """Interrupt every command at moments spread over 0.1 to 5 seconds; 1 if any ends wrongly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="interrupts of each command")
    times = parser.parse_args().times
    # Where this is a script's background job, Ctrl-C would be ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    n_wrong = 0
    for command in COMMANDS:
        with tempfile.TemporaryDirectory() as name:
            write_network(Path(name))
            ends = [interrupt(command, Path(name), t) for t in np.linspace(0.1, 5, times)]
        kinds = Counter(end.kind for end in ends)
        longest = max(end.seconds for end in ends)
        print(f"{command}: {dict(kinds)}; at most {longest:.1f} s from the signal", flush=True)
        for end in ends:
            if end.kind == "WRONG":
                print("  ", end.status, *end.errors, sep="\n    ")
        n_wrong += kinds["WRONG"]
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
