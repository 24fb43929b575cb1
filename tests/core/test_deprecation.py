"""Names of version 0.2 still work, and say what they are called now."""

import re
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.cli import main
from jaxnet.cli.options import RENAMED_OPTIONS
from jaxnet.core.deprecation import renamed_arguments
from jaxnet.sweeps import SweepReport
from jaxnet.training.parallelism import SINGLE

NET, XOR = jn.Network((2, 3, 2)), jn.datasets.xor(n=20)
RECIPE = jn.Recipe(jn.sgd([0.1, 0.5]))
RENAMED = {
    jn.stopping: {"halving": "reduce_on_plateau"},
    jn.augmentation: {"shifted": "shift_images"},
    jn.plots: {"measured": "monitors"},
    jn.pages: {"chosen": "chosen_hyperparameters"},
    jn.statistics: {
        "crossed": "pigeonhole_bootstrap",
        "detectable": "detectable_difference",
        "smallest_p": "smallest_p_value",
        "superiority": "probability_of_superiority",
    },
}


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [(module, *pair) for module, names in RENAMED.items() for pair in names.items()],
)
def test_an_old_attribute_is_the_new_one(module, old, new):
    with pytest.warns(DeprecationWarning, match=rf"^(\w+)\.{old} is now called \1\.{new};"):
        assert getattr(module, old) is getattr(module, new)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing


def test_old_arguments_do_what_the_new_ones_do():
    old = {"monitor": ("training",), "halving": 2, "say": None}
    new = {"evaluate_on": ("training",), "successive_halving": 2, "log": None}
    with pytest.warns(DeprecationWarning, match="is now called") as caught:
        study = jn.sweep(NET, XOR, RECIPE, epochs=2, **old)
    sentences = {re.sub(r"; the old.*", "", str(warning.message)) for warning in caught}
    assert sentences == {
        f"sweep({a}=) is now called sweep({b}=)" for a, b in zip(old, new, strict=True)
    }
    expected = jn.sweep(NET, XOR, RECIPE, epochs=2, **new)
    for curve, wanted in zip(study.history.to_array(), expected.history.to_array(), strict=True):
        assert curve.tobytes() == wanted.tobytes()
    with pytest.warns(DeprecationWarning, match=r"train\(monitor=\) is now called"):
        run = jn.train(NET, XOR, jn.Recipe(jn.sgd(0.1)), epochs=1, monitor=())
    with pytest.warns(DeprecationWarning, match=r"fit\(monitor=\) is now called"):
        jn.fit(NET, XOR, jn.Recipe(jn.sgd(0.1)), epochs=1, monitor=())
    assert np.isnan(run.history.training_cost).all()


def test_old_arguments_of_epoch_compare_and_page():
    key, recipe = jax.random.key(0), jn.Recipe(jn.sgd(0.1))
    state = jn.start(NET, recipe, key)
    with pytest.warns(DeprecationWarning, match=r"epoch\(over=\) is now called"):
        after, _ = jn.epoch(NET, 5, XOR.train, np.arange(20), key, recipe, state, over=SINGLE)
    with pytest.warns(DeprecationWarning, match=r"TrainState\.sound is now called"):
        assert after.sound == after.finite_steps == 4
    options = {"tier": "defaults", "epochs": 1, "tuning_seeds": 1, "seeds": 8, "timing": False}
    with pytest.warns(DeprecationWarning, match=r"compare\(say=\) is now called"):
        comparison = jn.compare(NET, XOR, [jn.sgd, jn.adam], say=None, **options)
    with pytest.warns(DeprecationWarning, match=r"page\((found|drawn)=\) is now called"):
        page = jn.pages.page(**dict(zip(("found", "drawn"), (comparison, {}), strict=True)))
    assert page == jn.pages.page(comparison, {})
    report = SweepReport(1, 2, 3, 4, 5, 6, 7, 8)
    with pytest.warns(DeprecationWarning, match=r"SweepReport\.(alive|frozen) is now called"):
        assert (report.alive, report.frozen) == (report.training, report.diverged) == (3, 4)


SCRIPT = """
import warnings
import jaxnet as jn

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    jn.stopping.halving
    jn.fit(jn.Network((2, 2)), jn.datasets.xor(n=10), jn.Recipe(jn.sgd(1)), epochs=1, monitor=())
    jn.train(jn.Network((2, 9, 2)), jn.datasets.xor(n=10), jn.Recipe(jn.sgd(1e38)), epochs=2)
print(*((warning.filename, warning.lineno) for warning in caught))
"""


def test_the_warning_is_of_the_line_that_has_the_old_name(tmp_path):
    """In a plain interpreter: the type checker of these tests is a call more."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    output = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    assert output.stdout.split("\n")[0] == " ".join(
        f"({str(path)!r}, {line})" for line in (7, 8, 9)
    )


def test_an_old_argument_beside_the_new_one_is_refused():
    doubled = renamed_arguments(old="new")(lambda new: 2 * new)
    assert doubled(new=2) == 4
    with pytest.raises(TypeError, match="takes new, or its old name old, not both"):
        doubled(old=1, new=2)


def test_old_options_of_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert set(RENAMED_OPTIONS) == {"halving", "keep", "measure", "measure_every", "monitor"}
    train = "train --patience 3 --halving --measure dead --measure-every=0 "
    train += "--monitor evaluation training"
    assert main.main(train.split()) == 2
    *warned, refused = capsys.readouterr().err.splitlines()
    assert [line.split(";")[0].removeprefix("jaxnet: warning: ") for line in warned] == [
        "--halving is now called --reduce-on-plateau",
        "--measure is now called --monitors",
        "--measure-every is now called --monitors-every",
        "--monitor is now called --evaluate-on",
    ]
    assert "every must be a whole number of at least 1, not 0" in refused
    command = main._parse(main._renamed(["sweep", "--keep=3"]))
    assert vars(command)["successive_halving"] == 3
    assert "--keep is now called --successive-halving" in capsys.readouterr().err
    assert main._renamed(["train", "--no-halving"]) == ["train", "--no-reduce-on-plateau"]
    assert main._renamed(["predict", "--keep"]) == ["predict", "--keep"]
