"""The README is the contract: its commands run, its numbers are what the code gives."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxnet as jn
from jaxnet.cli import main as cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def _blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_main_job_gives_the_numbers_of_the_readme(tmp_path):
    assert ".venv/bin/jaxnet train" in _blocks("sh")[0]
    command = [sys.executable, "-m", "jaxnet", "train"]
    optimized = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}  # 30 epochs pay for it
    subprocess.run(command, check=True, cwd=tmp_path, env=optimized, stdout=subprocess.DEVNULL)
    (config,) = tmp_path.glob("runs/*/config.json")
    results = json.loads(config.read_text())["results"]
    assert results["best"]["evaluation_accuracy"] >= 0.96
    rows = re.findall(r"(\w+) accuracy +(\d+\.\d+)% +(\d+\.\d+)%", _blocks("text")[0])
    assert len(rows) == 3
    for kind, best, last in rows:
        key = {"validation": "evaluation"}.get(kind, kind) + "_accuracy"
        # With another processor training takes another path: runs differ by what seeds do.
        assert 100 * results["best"][key] == pytest.approx(float(best), abs=0.6)
        assert 100 * results["last"][key] == pytest.approx(float(last), abs=1.5)


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    example = _blocks("python")[0]
    assert len([line for line in example.splitlines() if line]) <= 12
    exec(example, {})
    out = capsys.readouterr().out
    assert "the first test image is a 7" in out
    accuracy = float(re.search(r"on the test set: (\d\.\d+)", out)[1])
    assert accuracy > 0.94


def test_the_recipe_with_many_parts_runs(tmp_path, monkeypatch, capsys):
    """Shortened: two epochs of 5,000 images, measured as often."""
    monkeypatch.chdir(tmp_path)
    mnist = jn.datasets.mnist()
    few = jn.Split(mnist.train.x[:5000], mnist.train.y[:5000])
    example = _blocks("python")[1]
    assert example.count("epochs=30") == example.count("every=500") == 1
    example = example.replace("epochs=30", "epochs=2").replace("every=500", "every=50")
    exec(example, {"jn": jn, "net": jn.Network((784, 30, 10)), "data": mnist._replace(train=few)})
    out = capsys.readouterr().out
    assert out.startswith("None 2 [")
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 3
    numbers = re.findall(r"\d+", out[out.index("[[") :])
    assert sum(map(int, numbers)) == 10_000


def test_the_table_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(_blocks("python")[2], {})
    out = capsys.readouterr().out
    assert "precision" in out
    assert out.endswith("['yes']\n")


def test_the_sweep_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    """Shortened: one epoch of 1,000 images."""
    monkeypatch.chdir(tmp_path)
    mnist = jn.datasets.mnist()
    few = jn.Split(mnist.train.x[:1000], mnist.train.y[:1000])
    example = _blocks("python")[3]
    assert example.count("jn.use_all_cores()") == example.count("epochs=10") == 1
    example = example.replace("jn.use_all_cores()", "None").replace("epochs=10", "epochs=1")
    example = example.replace("(16, 4, 10)", "(16, 4, 1)")
    monkeypatch.setattr(jn.datasets, "mnist", lambda: mnist._replace(train=few))
    exec(example, {})
    assert "(16, 4, 1) ('recipe', 'seed', 'epoch')" in capsys.readouterr().out
    assert len((tmp_path / "momentum.csv").read_text().splitlines()) == 16 * 4 + 1


def test_the_comparison_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    """Shortened: one epoch of 500 images, nothing tuned."""
    monkeypatch.chdir(tmp_path)
    mnist = jn.datasets.mnist()
    few = jn.Dataset(*(jn.Split(split.x[:500], split.y[:500]) for split in mnist))
    example = _blocks("python")[4]
    assert example.count("jn.use_all_cores()") == example.count("epochs=10") == 1
    example = example.replace("jn.use_all_cores()", "None")
    short = 'epochs=1, tier="defaults", tuning_seeds=1, seeds=6, timing=False'
    monkeypatch.setattr(jn.datasets, "mnist", lambda: few)
    exec(example.replace("epochs=10", short), {})
    out = capsys.readouterr().out
    assert "has the best mean test accuracy" in out
    assert (tmp_path / "comparisons" / "adam" / "report.html").exists()


@pytest.mark.parametrize("line", "".join(_blocks("sh")[2:4]).splitlines())
def test_every_command_line_parses_and_starts(line, tmp_path, monkeypatch):
    """The commands with their real options; cut short, since each is trained elsewhere."""
    monkeypatch.chdir(tmp_path)
    words = line.split("#")[0].split()
    assert words[0] == "jaxnet"
    data = jn.datasets.mnist()
    trained = lambda self, _: self.for_data(data).network() and self.recipe()
    monkeypatch.setattr(cli.Train, "__call__", trained)
    swept = lambda self, _: self.for_data(data).full_network() and self._varied(self.recipe())
    monkeypatch.setattr(cli.Sweep, "__call__", swept)
    compared = lambda self, _: [jn.tasks.named(name) for name in self.tasks] and self._folder()
    monkeypatch.setattr(cli.Compare, "__call__", compared)
    monkeypatch.setattr(cli.Predict, "__call__", lambda self, _: self.test or self.files or 1 / 0)
    monkeypatch.setattr(cli.Plot, "__call__", lambda self, _: self.format == "pdf" or 1 / 0)
    monkeypatch.setattr(cli.Check, "__call__", lambda self, _: self.network())
    assert cli.main(words[1:]) == 0


def test_files_and_commands_that_the_readme_names_exist():
    for path in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / path).exists(), path
    run = (ROOT / ".ci" / "run").read_text()
    assert ".venv/bin/pip install -e '.[test]'" in run
    assert ".venv/bin/pip install -e '.[test]' && .venv/bin/pytest" in _blocks("sh")[1]
