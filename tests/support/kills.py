"""Kill trainings, sweeps and comparisons while they write, run them again, and compare the bits.

    python tests/support/kills.py --random      # SIGKILL at random moments
    python tests/support/kills.py --boundaries  # at every boundary of every write, one by one

A boundary is a moment before, within or after a write, a rename, a removal or the making of a file
or folder. There the process exits at once (`--child SCENARIO FOLDER --die-at N`), or, many times
faster, an exception ends the run within this process: after it no file can be changed any more, so
that no clean-up is done which a killed process would not do. `tests/test_kills.py` runs a sample.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import jaxnet as jn
from jaxnet.cli import main as cli
from jaxnet.io import network_files
from jaxnet.io.csv import history_csv
from jaxnet.io.files import write_atomic
from jaxnet.sweeps import chunk_sizes
from jaxnet.training import devices

TEMPORARY = re.compile(r"\..+\.[0-9a-f-]{8,}|\.lock.*")
"""Names of files that only a killed process leaves."""
TIMES = ("timing.json", "report.html", "run.html", "study.html")
"""Files that hold times."""
DATA, NET = jn.datasets.xor(n=60), jn.Network((2, 4, 2))
WEIGHTED = DATA._replace(train=DATA.train._replace(weight=np.linspace(0.0, 2.0, len(DATA.train.x))))
METRICS = {"balanced": jn.metrics.balanced_accuracy}
MASK = (jn.Layer(np.eye(2, 4) > 0, True), True)
"""Of the first layer's weights only two are trained."""


class Killed(BaseException):
    """The process was killed, as far as its files are concerned."""


class Boundaries:
    """Counts the boundaries of changes below a folder, and dies at one of them.

    Args:
      root: the folder.
      die_at: the number of the boundary to die at, from 1; None to count only.
      die: called there; `Boundaries` refuses all changes if it returns by an exception.
    """

    def __init__(self, root: Path, die_at: int | None, die: Callable[[], None]) -> None:
        self.root, self.die_at, self.die = str(root.resolve()), die_at, die
        self.count, self.is_dead = 0, False
        self.descriptors: set[int] = set()

    def cross(self) -> None:
        """Cross a boundary, or die there."""
        if self.is_dead:
            raise Killed
        self.count += 1
        if self.count == self.die_at:
            self.is_dead = True
            self.die()

    def is_below(self, path: Any) -> bool:
        """Whether a path is the root or below it."""
        if not isinstance(path, (str, os.PathLike)):
            return False
        absolute = os.path.abspath(path)
        return absolute == self.root or absolute.startswith(self.root + os.sep)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """A context in which the changes are counted."""
        originals = {name: getattr(os, name) for name in ("open", "fdopen", *CHANGES)}
        for name in CHANGES:
            setattr(os, name, self._between_boundaries(originals[name]))
        os.open, os.fdopen = self._open(os.open), self._fdopen(os.fdopen)
        try:
            yield
        finally:
            for name, original in originals.items():
                setattr(os, name, original)

    def _between_boundaries(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(path: Any, *args: Any, **options: Any) -> Any:
            if not self.is_below(path):
                return change(path, *args, **options)
            self.cross()
            result = change(path, *args, **options)
            self.cross()
            return result

        return changed

    def _open(self, open_file: Callable[..., int]) -> Callable[..., int]:
        def opened(path: Any, flags: int, *args: Any, **options: Any) -> int:
            if not self.is_below(path):
                return open_file(path, flags, *args, **options)
            if self.is_dead:
                raise Killed
            descriptor = open_file(path, flags, *args, **options)
            if flags & os.O_CREAT:
                self.descriptors.add(descriptor)
                self.cross()
            return descriptor

        return opened

    def _fdopen(self, fdopen: Callable[..., Any]) -> Callable[..., Any]:
        def opened(descriptor: int, *args: Any, **options: Any) -> Any:
            file = fdopen(descriptor, *args, **options)
            if descriptor not in self.descriptors:
                return file
            self.descriptors.discard(descriptor)
            return _HalfWriting(file, self.cross)

        return opened


CHANGES = ("replace", "rename", "unlink", "remove", "mkdir", "rmdir")
"""The functions of `os` that change a folder."""


class _HalfWriting:
    """A file whose writes have a boundary in their middle."""

    def __init__(self, file: Any, cross: Callable[[], None]) -> None:
        self.file, self.cross = file, cross

    def __enter__(self) -> "_HalfWriting":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, content: bytes) -> int:
        middle = len(content) // 2
        for part in (content[:middle], content[middle:]):
            self.file.write(part)
            self.file.flush()
            self.cross()
        return len(content)


def _train(folder: Path) -> None:
    """A training, whose network and history are written at its end."""
    resume = folder if (folder / "checkpoint.safetensors").exists() else None
    recipe = jn.Recipe(jn.adam(0.02), l2=0.1)
    run = jn.train(NET, DATA, recipe, epochs=4, seed=3, checkpoint=folder, resume=resume)
    network_files.save(folder / "network.safetensors", run.network, run.best_params)
    network_files.save(folder / "network.json", run.network, run.params)
    write_atomic(folder / "history.csv", history_csv(run.history))


def _sweep(folder: Path) -> None:
    """A sweep of several chunks, which go on from one rung of successive halving to the next."""
    recipe = jn.grid(jn.Recipe(jn.momentum(0.1)), learning_rate=[0.1, 1.0, 3.0])
    with mock.patch.object(chunk_sizes, "most_lanes", return_value=4):
        study = jn.sweep(
            NET, DATA, recipe, seeds=4, epochs=4, successive_halving=2, folder=folder, log=None
        )
    study.to_csv(folder / "study.csv")


def _weighted_train(folder: Path) -> None:
    """A training with weights of examples, frozen parameters and a metric that stops it."""
    resume = folder if (folder / "checkpoint.safetensors").exists() else None
    rule = jn.stopping.no_improvement_in(2, metric="balanced")
    run = jn.train(
        NET, WEIGHTED, jn.Recipe(jn.adam(0.5), dropout=0.2, stopping=rule), epochs=4, seed=3,
        metrics=METRICS, trainable=MASK, checkpoint=folder, resume=resume,
    )  # fmt: skip
    network_files.save(folder / "network.safetensors", run.network, run.params)
    write_atomic(folder / "history.csv", history_csv(run.history))


def _weighted_sweep(folder: Path) -> None:
    """A sweep over folds, with weights of examples, and masks of some of the networks."""
    recipe = jn.grid(jn.Recipe(jn.momentum(0.1)), learning_rate=[0.1, 1.0])
    with mock.patch.object(chunk_sizes, "most_lanes", return_value=4):
        study = jn.sweep(
            NET, WEIGHTED, recipe, seeds=2, epochs=2, successive_halving=2, folder=folder,
            resample=jn.resampling.k_fold(3, valid=0.2), standardize=True, metrics=METRICS,
            trainable=[MASK, True], log=None,
        )  # fmt: skip
    study.to_csv(folder / "study.csv")
    for fold in range(study.n_folds):
        network_files.save(folder / f"{fold}.safetensors", NET, study.params(0, 1, fold))


def _compare(folder: Path) -> None:
    """A comparison whose tuning and report are a sweep each."""
    jn.compare(
        NET, DATA, ["sgd", "momentum"], tier="defaults", epochs=2, tuning_seeds=1, seeds=8,
        timing=False, folder=folder, log=None,
    )  # fmt: skip


def _cli(command: list[str], *options: str) -> None:
    """Run a command, silently."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        status = cli.main([*command, *options])
    if status:
        raise RuntimeError(f"status {status} of jaxnet {' '.join([*command, *options])}")


def npz(folder: Path) -> str:
    """The data as a file beside the folder."""
    path = folder.parent / "xor.npz"
    if not path.exists():
        train, valid = DATA.train, DATA.valid
        assert valid is not None
        arrays = {"x_train": train.x, "y_train": train.y, "x_test": valid.x, "y_test": valid.y}
        np.savez(path, **arrays, x_valid=valid.x, y_valid=valid.y)
    return str(path)


def _train_command(folder: Path) -> None:
    """`jaxnet train`, or `jaxnet train --resume` as soon as there is a config.json."""
    for run in folder.glob("*-run*"):
        if (run / "config.json").exists():
            return _cli(["train"], "--resume", str(run))
        shutil.rmtree(run)  # nothing was begun
    options = f"--sizes 2 4 2 --epochs 3 --learning-rate 0.1 --runs {folder} --name run".split()
    return _cli(["train", "--data", npz(folder)], *options)


def _sweep_command(folder: Path) -> None:
    """`jaxnet sweep --folder`."""
    options = f"--sizes 2 4 2 --epochs 2 --seeds 2 --vary learning_rate=0.1,1 --folder {folder}"
    _cli(["sweep", "--data", npz(folder)], *options.split())


def _compare_command(folder: Path) -> None:
    """`jaxnet compare`."""
    options = (
        "--sizes 2 4 2 --epochs 2 --tier defaults --optimizers sgd momentum --quick --tuning-seeds"
        f" 1 --seeds 8 --comparisons {folder.parent} --name {folder.name}"
    )
    _cli(["compare", "--data", npz(folder)], *options.split())


SCENARIOS = {
    "train": _train,
    "sweep": _sweep,
    "weighted-train": _weighted_train,
    "weighted-sweep": _weighted_sweep,
    "compare": _compare,
    "train-command": _train_command,
    "sweep-command": _sweep_command,
    "compare-command": _compare_command,
}
"""What is killed: a function that runs it in a folder, or runs it again, by name."""


def results(folder: Path) -> dict[str, bytes]:
    """The contents of all files of a folder, without what holds times, paths or pictures."""
    contents = {}
    for path in sorted(folder.rglob("*")):
        # A run of the command has its time in its folder's name.
        name = re.sub(r"^\d{8}-\d{6}-", "", str(path.relative_to(folder)))
        if path.is_dir() or path.suffix == ".png" or path.name in TIMES:
            continue
        contents[name] = path.read_bytes()
        if path.name == "config.json":  # it names the folder
            config = json.loads(contents[name])
            del config["settings"]["runs"], config["settings"]["data"]
            contents[name] = json.dumps(config).encode()
    return contents


def leftovers(folder: Path) -> list[str]:
    """The files below a folder that only a killed process leaves."""
    return [str(path) for path in folder.rglob("*") if TEMPORARY.fullmatch(path.name)]


def check(folder: Path, expected: dict[str, bytes]) -> None:
    """Assert that a folder has these files, to the bit, and no others."""
    actual = results(folder)
    different = [name for name in expected if actual.get(name) != expected[name]]
    assert not different, f"{folder}: {different} differ"
    assert set(actual) == set(expected), f"{folder}: {set(actual) ^ set(expected)}"
    assert not leftovers(folder), leftovers(folder)


def n_boundaries(scenario: str, folder: Path) -> int:
    """Run a scenario to its end, and count its boundaries."""
    boundaries = Boundaries(folder, None, _raise_killed)
    with boundaries.watched():
        SCENARIOS[scenario](folder)
    return boundaries.count


def killed_at(scenario: str, folder: Path, boundary: int) -> bool:
    """Run a scenario within this process until a boundary; whether it got there."""
    try:
        with Boundaries(folder, boundary, _raise_killed).watched():
            SCENARIOS[scenario](folder)
    except Killed:
        return True
    return False


def _raise_killed() -> None:
    raise Killed


def _exit() -> None:
    os._exit(137)


def child(scenario: str, folder: Path, die_at: int | None = None) -> subprocess.Popen[bytes]:
    """A process that runs a scenario and, if asked to, exits at a boundary."""
    command = [sys.executable, __file__, "--child", scenario, str(folder)]
    if die_at is not None:
        command += ["--die-at", str(die_at)]
    root = str(Path(__file__).parents[2])
    environment = os.environ | {
        "PYTHONPATH": root,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir(), "kills")))
    return subprocess.Popen(command, env=environment)


def kill_at_random(scenario: str, folder: Path, n: int, moments: random.Random) -> str:
    """Kill a scenario at n random moments, each in a folder of its own, and run it again.

    Returns:
      A line that says when it was killed.
    """
    whole = folder / "whole"
    assert child(scenario, whole).wait() == 0  # fills the cache of compiled programs
    shutil.rmtree(whole)
    start_time = time.perf_counter()
    assert child(scenario, whole).wait() == 0
    seconds = time.perf_counter() - start_time
    expected = results(whole)
    n_killed = n_empty = 0
    for k in range(n):
        where = folder / f"killed-{k}"
        process = child(scenario, where)
        time.sleep(moments.uniform(0.3, 1.0) * seconds)
        process.send_signal(signal.SIGKILL)
        n_killed += process.wait() == -signal.SIGKILL
        n_empty += not where.exists() or not results(where)
        assert child(scenario, where).wait() == 0
        check(where, expected)
    return (
        f"{scenario}: {n} SIGKILLs within {seconds:.1f} s, {n_killed} before the end, {n_empty} "
        "before the first file; all ended with the bits of a run that was never killed"
    )


def kill_at_every_boundary(scenario: str, folder: Path, step: int = 1) -> str:
    """Kill a scenario at each boundary, each in a folder of its own, and run it again."""
    count = n_boundaries(scenario, folder / "whole")
    expected = results(folder / "whole")
    boundaries = range(1, count + 1, step)
    for boundary in boundaries:
        where = folder / f"killed-{boundary}"
        assert killed_at(scenario, where, boundary)
        SCENARIOS[scenario](where)
        check(where, expected)
        shutil.rmtree(where)
    return (
        f"{scenario}: {len(boundaries)} kills at {count} boundaries; all ended with the same bits"
    )


def kill_in_a_row(scenario: str, folder: Path, step: int) -> int:
    """Kill a scenario at its boundary `step`, run it again until its boundary 2·`step`, and so on.

    Returns:
      How often it was killed before it came to its end, with the bits of one that was not killed.
    """
    SCENARIOS[scenario](folder / "whole")
    n_kills = 0
    while killed_at(scenario, folder / "killed", (n_kills + 1) * step):
        n_kills += 1
    check(folder / "killed", results(folder / "whole"))
    return n_kills


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", action="store_true")
    parser.add_argument("--boundaries", action="store_true")
    parser.add_argument("--child", nargs=2)
    parser.add_argument("--die-at", type=int)
    options = parser.parse_args()
    if options.child:
        devices.use_all_cores = lambda: 1
        scenario, folder = options.child
        with Boundaries(Path(folder), options.die_at, _exit).watched():
            SCENARIOS[scenario](Path(folder))
    with tempfile.TemporaryDirectory() as temporary:
        if options.random:
            moments = random.Random(0)
            counts = {"train": 10, "sweep": 8, "compare": 8}
            for name, n in counts.items():
                for scenario, n_kills in ((name, n), (f"{name}-command", n - (name != "train"))):
                    folder = Path(temporary, scenario)
                    folder.mkdir()
                    print(kill_at_random(scenario, folder, n_kills, moments), flush=True)
        if options.boundaries:
            devices.use_all_cores = lambda: 1
            for scenario in SCENARIOS:
                folder = Path(temporary, f"{scenario}-boundaries")
                folder.mkdir()
                print(kill_at_every_boundary(scenario, folder), flush=True)


if __name__ == "__main__":
    main()
