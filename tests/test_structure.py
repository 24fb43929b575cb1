"""The walls of the house: what imports what, what is public, how long things are."""

import ast
import graphlib
import importlib.util
import os
import re
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest
import structure

import jaxnet

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.parent.name for path in (ROOT / "jaxnet").glob("*/__init__.py"))
LIBRARY = sorted((ROOT / "jaxnet").rglob("*.py"))
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.py"))
FOR_STUDENTS = (
    "activations", "costs", "initializers", "network", "backpropagation", "gradient_check",
)  # fmt: skip
HEAVY = (
    "scipy.stats", "matplotlib", "rich", "tyro", "sklearn", "pandas", "beartype", "hypothesis",
    "PIL", "jinja2",
)  # fmt: skip
PUBLIC_NAMES = (ROOT / "tests" / "data" / "public_names.txt").read_text().split()


def _python(script):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(
    importlib.util.find_spec("importlinter") is None, reason="import-linter is not installed"
)
def test_imports_between_packages_only_go_down():
    lint = (
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    )
    process = _python(lint)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "1 kept, 0 broken" in process.stdout


def test_no_private_name_crosses_the_wall_of_a_package():
    assert list(map(str, structure.imports_of_private_names(LIBRARY))) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_of_a_package_import_each_other_in_no_circle(package):
    graph = structure.module_graph(package)
    assert list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, with it


def test_core_imports_nothing_of_jaxnet_but_itself():
    imported = [name for path in LIBRARY if structure.package_of(path) == "core"
                for name in structure.imports(path)]  # fmt: skip
    assert imported
    assert [str(name) for name in imported if name.package != "core"] == []


@pytest.mark.parametrize("name", FOR_STUDENTS)
def test_what_a_student_reads_says_nothing_of_acceleration(name):
    text = (ROOT / "jaxnet" / "core" / f"{name}.py").read_text()
    words = r"\b(lane|lanes|span|spans|padding)\b"
    lines = [f"{number}: {line}" for number, line in enumerate(text.splitlines(), 1)
             if re.search(words, line, re.IGNORECASE)]  # fmt: skip
    assert lines == []


def test_functions_fit_a_screen():
    assert list(map(str, structure.long_functions(structure.sources()))) == []


def test_functions_that_are_not_public_have_few_parameters():
    assert list(map(str, structure.crowded_functions(structure.sources()))) == []


def test_no_module_is_long():
    assert list(structure.long_modules(structure.sources())) == []


def test_few_modules_are_in_no_package():
    assert len(structure.top_modules()) <= 6


def test_the_counts_can_be_had_by_hand(capsys):
    structure.main()
    assert len(re.findall(r"^\d+ ", capsys.readouterr().out, re.MULTILINE)) == 4


def test_importing_jaxnet_imports_nothing_heavy():
    process = _python(f"import sys, jaxnet; print(*sorted({{*sys.modules}} & {set(HEAVY)}))")
    assert process.returncode == 0, process.stderr
    assert process.stdout.split() == []


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiments_import_only_the_public_face_and_never_each_other(path):
    face = {"jaxnet", "jaxnet.reporting.experiment", "jaxnet.reporting.experiment_index"}
    assert {imported.source for imported in structure.imports(path)} <= face
    modules = {alias.name for node in ast.walk(ast.parse(path.read_text()))
               if isinstance(node, ast.Import) for alias in node.names}  # fmt: skip
    modules |= {node.module for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ImportFrom)}  # fmt: skip
    scripts = {script.stem for script in EXPERIMENTS} | {"experiments"}
    assert not {module.split(".")[0] for module in modules} & scripts


@pytest.mark.filterwarnings("ignore:.*is now called:DeprecationWarning")
@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_no_public_name_of_version_0_2_0_is_gone(name):
    """A name may be added to the list, and none may go from it but with a major version."""
    assert attrgetter(name)(jaxnet) is not None


def test_the_public_names_are_documented():
    for name in jaxnet.__all__:
        assert getattr(jaxnet, name).__doc__, name
