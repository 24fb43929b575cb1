"""The house as the design has it: imports only go down, the top imports little, files are few."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jaxnet"
FLOORS = {
    "types": 0,
    "compiler": 0,
    "activations": 1,
    "initializers": 1,
    "statistics": 1,
    "datasets": 1,
    "costs": 2,
    "spans": 2,
    "network": 3,
    "backprop": 4,
    "gradcheck": 5,
    "optimizers": 5,
    "regularization": 5,
    "augmentation": 5,
    "schedules": 5,
    "stopping": 5,
    "monitors": 5,
    "storage": 5,
    "recipe": 6,
    "tables": 6,
    "checkpoints": 7,
    "spaces": 7,
    "doors": 7,
    "tasks": 8,
    "searches": 8,
    "findings": 9,
    "evaluation": 8,
    "widths": 8,
    "steps": 9,
    "blocks": 10,
    "training": 11,
    "lanes": 12,
    "driver": 12,
    "plans": 13,
    "records": 14,
    "studies": 15,
    "runners": 15,
    "books": 16,
    "sweeps": 17,
    "callbacks": 18,
    "plots": 18,
    "options": 18,
    "comparison": 18,
    "console": 19,
    "pictures": 19,
    "webpage": 7,
    "pages": 20,
    "scripts": 20,
    "gallery": 21,
    "sweep_command": 20,
    "compare_command": 21,
    "cli": 22,
    "__init__": 23,
    "__main__": 23,
}


def _imported(path):
    """The jaxnet modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "jaxnet":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxnet."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            assert not [name for name in names if name.startswith("jaxnet.")], "use from … import"


def test_every_file_has_a_floor():
    assert {path.stem for path in PACKAGE.glob("*.py")} == set(FLOORS)


@pytest.mark.parametrize("name", FLOORS)
def test_imports_only_go_down(name):
    for imported in _imported(PACKAGE / f"{name}.py"):
        assert FLOORS[imported] < FLOORS[name], f"{name} imports {imported}"


def test_experiments_import_only_the_public_face_and_never_each_other():
    for path in (ROOT / "experiments").glob("*.py"):
        tree = ast.parse(path.read_text())
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {m for m in modules if m and m.startswith(("jaxnet.", "experiments."))}, path


def test_importing_jaxnet_imports_nothing_heavy():
    script = (
        "import sys, jaxnet; "
        "print(*{m.split('.')[0] for m in sys.modules} & "
        "{'tyro', 'rich', 'matplotlib', 'sklearn', 'beartype', 'hypothesis', 'PIL', 'pandas'})"
    )
    run = [sys.executable, "-c", script]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.split() == []


def test_the_public_names_exist_and_are_documented():
    import jaxnet

    for name in jaxnet.__all__:
        assert getattr(jaxnet, name).__doc__, name
