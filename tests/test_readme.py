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
LENGTHS = (3000, 500, 500)
"""Images of each split in the shortened examples."""


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


def test_the_python_examples_run(tmp_path, monkeypatch, capsys):
    """Shortened: few images, an epoch of the sweep, and nothing tuned in the comparison."""
    monkeypatch.chdir(tmp_path)
    mnist = jn.datasets.mnist()
    few = jn.Dataset(*(jn.Split(split.x[:n], split.y[:n]) for split, n in zip(mnist, LENGTHS)))
    monkeypatch.setattr(jn.datasets, "mnist", lambda: few)
    train, sweep, compare = _blocks("python")
    assert all(len([line for line in block.splitlines() if line]) <= 12 for block in (train, sweep))
    assert train.count("jn.use_all_cores()") == sweep.count("epochs=10") == 1
    assert compare.count("epochs=10") == 1
    namespace = {}
    exec(train.replace("jn.use_all_cores()", "None"), namespace)
    out = capsys.readouterr().out
    assert "the first test image is a 7" in out
    assert float(re.search(r"on the test set: (\d\.\d+)", out)[1]) > 0.85
    exec(sweep.replace("epochs=10", "epochs=1"), namespace)
    assert "(16, 4, 1) ('recipe', 'seed', 'epoch')" in capsys.readouterr().out
    assert len((tmp_path / "momentum.csv").read_text().splitlines()) == 16 * 4 + 1
    short = 'epochs=1, tier="defaults", tuning_seeds=1, seeds=6, timing=False'
    exec(compare.replace("epochs=10", short), namespace)
    assert "has the best mean test accuracy" in capsys.readouterr().out
    assert (tmp_path / "comparisons" / "adam" / "report.html").exists()


def test_it_has_no_more_words_than_a_reader_has_minutes_for():
    assert len(README.split()) <= 1200


@pytest.mark.parametrize("line", _blocks("sh")[2].splitlines())
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
