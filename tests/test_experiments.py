"""Every script of experiments/ runs on very little; the list, and the page of all results."""

import json
import os
import re
import runpy
import subprocess
import sys
import threading
from pathlib import Path

import jax
import joblib
import numpy as np
import pytest
from rich.console import Console

from jaxnet.reporting import experiment, experiment_index
from jaxnet.training import devices
from tests.support.parameters import representatives

ROOT = Path(__file__).parent.parent
SCRIPTS = experiment_index.catalogue(ROOT / "experiments")
NAMES = [script.name for script in SCRIPTS]


def _run(path, monkeypatch, *flags):
    """Run a script in this process, which has JAX imported."""
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, flags)])
    monkeypatch.syspath_prepend(path.parent)  # as for a script that is started by itself
    joblib.externals.loky.get_reusable_executor().shutdown()  # its processes have the path before
    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)
    with jax.numpy_rank_promotion("allow"):
        runpy.run_path(str(path), run_name="__main__")


@pytest.mark.parametrize(
    "name", representatives(sorted({*NAMES} - {"throughput"}), "calibration", "learning_rate")
)
def test_an_experiment_runs_and_draws(name, tmp_path, monkeypatch, capsys):
    _run(ROOT / "experiments" / f"{name}.py", monkeypatch, "--smoke", "--results", tmp_path)
    out = capsys.readouterr().out
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["config"]["smoke"]
    for row in results["rows"]:
        assert {"published", "mean", "low", "high", "sd", "n_seeds", "verdict"} <= set(row)
        assert row["name"] in out
        assert "BEYOND" not in row["verdict"]
        assert "WRONG" not in row["verdict"] or name == "calibration"  # of four repetitions
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert (tmp_path / "curves.npz").exists()


def test_the_throughput_experiment_runs(tmp_path):
    script = ROOT / "experiments" / "throughput.py"
    command = [sys.executable, script, "--smoke", "--results", tmp_path]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "scikit-learn" in process.stdout
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    rows = {row["contestant"]: row for row in rows}
    assert rows["jaxnet, train"]["of_first"] == 1
    assert rows["SGD, 8 recipes × 1 seed"]["networks"] == 8
    assert all(np.isfinite(row["mean"]) for row in rows.values())
    assert (tmp_path / "throughput.png").stat().st_size > 10_000


def test_what_the_features_cost_is_measured(tmp_path):
    script = ROOT / "experiments" / "throughput.py"
    command = [sys.executable, script, "--features", "--smoke", "--results", tmp_path]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = json.loads((tmp_path / "features.json").read_text())["rows"]
    assert rows[0]["contestant"] == "bare"
    assert rows[0]["of_first"] == 1
    assert all(row["contestant"] in process.stdout for row in rows)


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("small", {"digits", "digits, vmap by hand", "digits, scikit-learn"}),
        ("overheads", {"no cache", "fills the cache", "second, with the cache"}),
        pytest.param(
            "ensembles",
            {"jaxnet, sweep, Adam", "JAX by hand, vmap of a scan, Adam"},
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            "searches",
            {"digits, 32, float32, SweepSearchCV", "digits, 32, float32, GridSearchCV"},
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            "trials",
            {"jaxnet, in memory", "jaxnet, in SQLite", "scikit-learn, in memory"},
            marks=pytest.mark.exhaustive,
        ),
        pytest.param("watching", {"alone", "10,000 requests"}, marks=pytest.mark.exhaustive),
    ],
)
def test_small_networks_overheads_and_ensembles_are_measured(part, names, tmp_path):
    script = ROOT / "experiments" / "throughput.py"
    command = [sys.executable, script, f"--{part}", "--smoke", "--results", tmp_path]
    environment = os.environ | {"COLUMNS": "150"}
    process = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    rows = json.loads((tmp_path / f"{part}.json").read_text())["rows"]
    by_name = {next(iter(row.values())): row for row in rows}
    assert names <= {*by_name}
    assert all(name in process.stdout for name in by_name)
    if part == "overheads":
        assert by_name["no cache"]["compilations_first"] > 0
        assert by_name["second, with the cache"]["compilations_first"] == 0
        assert by_name["no cache"]["fetches_1_epoch"] > 0
    if part == "searches":
        assert len({row["best"] for row in rows}) == 1  # the same networks, and the same scores
    if part == "watching":
        assert by_name["10,000 requests"]["requests"] > 0
    if part == "small":
        assert by_name["digits"]["compilations_again"] == 0
        assert all(0.05 < row["best"] <= 1 for row in rows)


def test_the_list_names_every_script_with_its_question_and_time(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stopped:
        _run(ROOT / "experiments" / "__main__.py", monkeypatch)
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    for script in SCRIPTS:
        assert script.question.endswith(("?", "."))
        assert re.fullmatch(r"\d+ (seconds|minutes?)", script.duration)
        assert re.search(rf"{script.name} .*{script.duration}", out)


def test_what_was_run_is_on_one_page(tmp_path):
    """In processes of their own, as a user runs them."""
    flags = ["--smoke", "--results", tmp_path]
    command = [sys.executable, "-m", "experiments", "learning_rate", *flags]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    path = tmp_path / "smoke" / "index.html"
    assert str(path) in process.stdout.replace("\n", "")
    page = path.read_text()
    assert "learning_rate, only a smoke test: not counted." in page
    assert experiment.SMOKE_BANNER in page
    assert experiment.SMOKE_BANNER in process.stdout
    for judgement in ("verdict", "too few seeds", "reproduced"):
        assert judgement not in page + process.stdout
    assert "Published and measured" not in page
    assert f"Not run: {', '.join(name for name in NAMES if name != 'learning_rate')}." in page


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no threads")
@pytest.mark.parametrize(("jobs", "n"), [(2, 1), (2, 2), (1, 3)])
def test_jobs_share_the_cores_and_a_single_job_has_all(jobs, n, monkeypatch):
    module = runpy.run_path(str(ROOT / "experiments" / "__main__.py"))
    cores = os.sched_getaffinity(0)
    cores_of_jobs = []
    barrier = threading.Barrier(min(jobs, n))

    def run(config, script):
        cores_of_jobs.append(os.sched_getaffinity(0))
        barrier.wait(20)  # all run at once
        return True, ""

    monkeypatch.setitem(module["run_all"].__globals__, "run", run)
    config = module["Experiments"](jobs=jobs)
    chosen = [script for script in SCRIPTS if not script.measures_time][:n]
    assert module["run_all"](config, chosen, Console(quiet=True)) == []
    assert set().union(*cores_of_jobs) == cores
    assert len(cores_of_jobs) == n
    if n == 2 and len(cores) > 1:
        first, second = cores_of_jobs
        assert not first & second
    else:
        assert all(job == cores for job in cores_of_jobs)
    assert os.sched_getaffinity(0) == cores


@pytest.mark.parametrize("words", [["nonsense"], ["all", "--smok"]])
def test_what_does_not_exist_is_refused_in_a_line(words):
    command = [sys.executable, "-m", "experiments", *words]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "Traceback" not in process.stderr
    assert words[-1] in process.stderr


def _write_results(folder, rows):
    results = {"config": {"smoke": False}, "changed": [], "rows": rows, "seconds": 90.0}
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(results))
    (folder / f"{folder.name}.png").write_bytes(b"a picture")


def test_the_page_counts_what_is_reproduced_and_says_why_the_rest_is_not(tmp_path):
    values = np.linspace(0.94, 0.96, 16)
    rows = [
        experiment.estimate_row("a <b>", values, 0.95),
        experiment.estimate_row("c", values, 0.5, why="another set."),
        experiment.difference_row("a − c", values, values - 0.1, claimed=True),
        experiment.difference_row("a − a", values, values),
    ]
    _write_results(tmp_path / "l1", rows)
    path = experiment_index.publish(SCRIPTS, tmp_path)
    page = path.read_text()
    assert "1 of 2 published numbers reproduced" in page
    assert "1 of 1 claims reproduced" in page
    assert "1 experiments, 2 minutes" in page
    assert "<li>c: another set.</li>" in page
    assert "a &lt;b&gt;, %" in page
    assert "YSBwaWN0dXJl" in page  # the picture's bytes, in base 64
    assert not re.search(r"(src|href)=\"(http|/)", page)


def test_a_script_without_a_running_time_is_named(tmp_path):
    (tmp_path / "odd.py").write_text('"""Why?\n\n    python odd.py\n"""\n')
    with pytest.raises(ValueError, match=r"odd\.py: no running time"):
        experiment_index.catalogue(tmp_path)
