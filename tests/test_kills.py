"""Whatever writes a folder may be killed at any moment, and has the folder to itself."""

import re
import threading
import time

import kills
import pytest

from jaxnet.io import locks
from jaxnet.reporting import comparison_plots, plots
from jaxnet.training import devices
from tests.support.parameters import representatives

pytestmark = pytest.mark.slow
STEPS = {
    "train": 2, "sweep": 6, "weighted-train": 13, "weighted-sweep": 31, "compare": 42,
    "train-command": 11, "sweep-command": 9, "compare-command": 49,
}  # fmt: skip
"""Boundaries from one tested kill to the next; `tests/support/kills.py --boundaries` tests all."""


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)  # JAX has begun in this process
    monkeypatch.setattr(plots, "png", lambda _: b"a picture")
    monkeypatch.setattr(comparison_plots, "draw_figures", lambda _: {})


@pytest.mark.parametrize("scenario", representatives(kills.SCENARIOS, "train", "sweep-command"))
def test_a_kill_at_any_boundary_of_a_write_changes_no_bit_of_the_result(scenario, tmp_path):
    kills.kill_at_every_boundary(scenario, tmp_path, STEPS[scenario])


@pytest.mark.parametrize("scenario", kills.SCENARIOS)
def test_killed_again_and_again_it_comes_to_the_same_end(scenario, tmp_path):
    step = 35 if scenario.startswith("compare") else 9
    assert kills.kill_in_a_row(scenario, tmp_path, step) >= 2


def test_a_process_that_exits_within_a_write_leaves_what_another_one_continues(tmp_path):
    assert kills.child("train", tmp_path / "killed", die_at=20).wait() == 137
    left = kills.leftovers(tmp_path / "killed")
    assert {".lock", ".lock.json"} < {path.rpartition("/")[2] for path in left}
    kills.SCENARIOS["train"](tmp_path / "killed")
    kills.SCENARIOS["train"](tmp_path / "whole")
    kills.check(tmp_path / "killed", kills.results(tmp_path / "whole"))


@pytest.mark.parametrize("scenario", kills.SCENARIOS)
def test_a_folder_that_is_in_use_is_refused_and_stays_as_it_is(scenario, tmp_path, capsys):
    kills.SCENARIOS[scenario](tmp_path / "whole")
    (folder,) = list((tmp_path / "whole").glob("*-run")) or [tmp_path / "whole"]
    with locks.locked(folder):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        if scenario.endswith("-command"):
            with pytest.raises(RuntimeError, match="status 2"):
                kills.SCENARIOS[scenario](tmp_path / "whole")
            message = capsys.readouterr().err
            assert re.fullmatch(r"jaxnet: .* is in use by process .* --wait.*\.\n", message)
        else:
            with pytest.raises(ValueError, match="is in use by process"):
                kills.SCENARIOS[scenario](tmp_path / "whole")
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("scenario", [name for name in kills.SCENARIOS if "command" in name])
def test_with_wait_a_command_goes_on_once_the_folder_is_free(
    scenario, tmp_path, capsys, monkeypatch
):
    kills.SCENARIOS[scenario](tmp_path / "whole")
    expected = kills.results(tmp_path / "whole")
    (folder,) = list((tmp_path / "whole").glob("*-run")) or [tmp_path / "whole"]
    is_locked, released = threading.Event(), []

    def hold():
        with locks.locked(folder):
            is_locked.set()
            time.sleep(0.5)
            released.append(time.monotonic())

    holder = threading.Thread(target=hold)
    holder.start()
    is_locked.wait()
    main = kills.cli.main
    monkeypatch.setattr(kills.cli, "main", lambda command: main([*command, "--wait"]))
    kills.SCENARIOS[scenario](tmp_path / "whole")
    assert released
    holder.join()
    kills.check(tmp_path / "whole", expected)


def test_runs_begun_in_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda *_: "20250101-000000")
    data = kills.npz(tmp_path / "x")
    for _ in range(2):
        for command in ("train", "sweep"):
            options = ["--sizes", "2", "2", "--epochs", "1", "--data", data]
            vary = ["--vary", "learning_rate=0.1,1"] if command == "sweep" else []
            assert kills.cli.main([command, *options, *vary]) == 0
    names = ["20250101-000000-2-2", "20250101-000000-2-2-2"]
    for parent in ("runs", "studies"):
        assert sorted(path.name for path in (tmp_path / parent).iterdir()) == names
