"""A user's type checker reports wrong arguments: basedpyright against the built wheel."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RIGHT = """
import jaxnet as jn
net, data = jn.Network((784, 30, 10)), jn.datasets.mnist()
jn.train(net, data, jn.Recipe(jn.sgd([0.1, 0.5]), l2=5), epochs=2, evaluate_on=())
jn.sweep(net, data, jn.Recipe(jn.adam(b1=0.5)), seeds=[1, 2], log=None)
"""
WRONG = {
    "jn.train(net, data, jn.sgd(0.5))": '"Optimizer" is not assignable to "Recipe"',
    "jn.sgd('fast')": '"learning_rate"',
    "jn.Recipe(jn.sgd(0.5), l2='much')": '"l2"',
    "jn.train(net, data, jn.Recipe(jn.sgd(0.5)), monitor=())": 'No parameter named "monitor"',
    "jn.Network((784, 30, 10), cost='quadratic')": '"cost"',
    "jn.schedules.cosine('long')": '"horizon"',
    "jn.stopping.no_improvement_in('ten')": '"n"',
    "jn.train(net, data, jn.Recipe(jn.sgd(0.5)), on_epoch=3)": '"on_epoch"',
    "jn.trian(net, data)": '"trian"',
    "jn.stopping.no_improvment_in(3)": '"no_improvment_in"',
    "jn.stopping.reach(0.9, metrik='cost')": '"metrik"',
    "jn.train(net, data, jn.Recipe(jn.sgd(0.5)), evaluate_on='training')": '"evaluate_on"',
    "jn.plots.curve": '"curve"',
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with an environment into which the wheel alone is installed."""
    folder = tmp_path_factory.mktemp("user")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    base = str(folder / "venv")
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": base, "platbase": base}))
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        packages,
        ROOT,
    ]
    subprocess.run(install, check=True)
    assert (packages / "jaxnet" / "py.typed").exists()
    # The dependencies are those of this environment; a .pth in that folder is not followed.
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return folder


def _reports(folder, script):
    """The errors that basedpyright finds in a script, in standard mode."""
    (folder / "script.py").write_text(script)
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}')
    base = str(folder / "venv")
    scripts = sysconfig.get_path("scripts", "venv", {"base": base, "platbase": base})
    python = Path(scripts, "python")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", python]
    done = subprocess.run([*command, "script.py"], cwd=folder, capture_output=True, text=True)
    return [
        (report["range"]["start"]["line"], report["message"])
        for report in json.loads(done.stdout)["generalDiagnostics"]
        if report["severity"] == "error"
    ]


def test_a_right_script_has_no_error(installed):
    assert _reports(installed, RIGHT) == []


def test_a_wrong_argument_is_an_error(installed):
    lines = ["import jaxnet as jn", "net, data = jn.Network((2, 2)), jn.datasets.xor()", *WRONG]
    reports = _reports(installed, "\n".join(lines))
    for line, expected in enumerate(WRONG.values(), start=2):
        messages = [message for number, message in reports if number == line]
        assert any(expected in message for message in messages), (lines[line], messages)
