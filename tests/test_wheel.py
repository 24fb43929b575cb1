"""The wheel could be published: it has all files, states its licences, and runs where it is put."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import jaxnet

ROOT = Path(__file__).parents[1]
MISSING = [
    name
    for name in ("build", "hatchling", "twine", "pip")
    if importlib.util.find_spec(name) is None
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


def _python(*arguments, cwd, **variables):
    """Run Python in a folder outside the repository, and return what it prints."""
    process = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=os.environ | variables, capture_output=True,
        text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built by the tools that are installed."""
    folder = tmp_path_factory.mktemp("dist")
    _python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    [path] = folder.glob("*.whl")
    return path


def test_the_wheel_has_every_file_and_its_licences(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith("/METADATA")]
        fields = Parser().parsestr(archive.read(metadata).decode())
    package = ROOT / "jaxnet"
    files = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == files
    assert {"jaxnet/py.typed", "jaxnet/data/mnist/train-images-idx3-ubyte.gz"} <= files
    assert fields["License-Expression"] == "MIT AND CC-BY-SA-3.0"
    assert fields.get_all("License-File") == ["LICENSE", "jaxnet/data/mnist/README.md"]
    assert fields["Version"] == jaxnet.__version__
    _python("-m", "twine", "check", "--strict", wheel, cwd=wheel.parent)


def test_the_wheel_trains_outside_the_repository(wheel, tmp_path):
    target = tmp_path / "site"
    _python("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel,
            cwd=tmp_path)  # fmt: skip
    place = _python("-c", "import jaxnet; print(jaxnet.__file__)", cwd=tmp_path,
                    PYTHONPATH=str(target))  # fmt: skip
    assert Path(place.strip()).is_relative_to(target)
    command = ["-m", "jaxnet", "train", "--epochs", "1", "--evaluate-on", "evaluation"]
    printed = _python(*command, cwd=tmp_path, PYTHONPATH=str(target))
    assert "test accuracy" in printed
    [run] = (tmp_path / "runs").iterdir()
    assert (run / "network.safetensors").exists()
