"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.parameters import representatives

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^## (Add an? .*?)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S))
EDIT = re.compile(
    r"[Ii]n\s`(?P<path>[^`]+)`, (?P<where>above|below)\s+the\s+line\s+"
    r"(?P<ticks>`+)(?P<line>.+?)(?P=ticks):"
    r"\n\n```\w+\n(?P<text>.*?)```",
    re.S,
)
IGNORED = shutil.ignore_patterns("__pycache__", "_build", "version_0_2_0")


def _follow(folder, edit):
    """Insert the text of a recipe where it says."""
    path = folder / edit["path"]
    lines = path.read_text().splitlines(keepends=True)
    places = [index for index, line in enumerate(lines) if line.strip() == edit["line"]]
    assert len(places) == 1, f"{edit['path']} has {len(places)} lines {edit['line']!r}"
    lines.insert(places[0] + (edit["where"] == "below"), edit["text"])
    path.write_text("".join(lines))


@pytest.mark.parametrize("name", representatives(RECIPES, "Add a cost"))
def test_a_recipe_works_as_it_is_written(name, tmp_path):
    for part in ("jaxnet", "tests", "docs"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=IGNORED)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    edits = list(EDIT.finditer(RECIPES[name]))
    assert len(edits) == len(re.findall(r"the\s+line", RECIPES[name])) >= 3
    for edit in edits:
        _follow(tmp_path, edit)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(tmp_path),
        "PYTEST_ADDOPTS": "-n 0 -p no:cacheprovider",
    }
    (commands,) = re.findall(r"```sh\n(.*?)```", RECIPES[name], re.S)
    for command in commands.splitlines():
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "no tests ran" not in done.stdout


def test_there_are_five_recipes():
    assert list(RECIPES) == [
        f"Add {thing}"
        for thing in ("an activation", "a cost", "an optimizer", "a schedule", "a dataset")
    ]
