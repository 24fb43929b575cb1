import io
import re

import numpy as np
import pytest
from rich.console import Console

from jaxnet.cli import main as cli
from jaxnet.cli import printed_comparison
from jaxnet.cli.compare import Compare
from jaxnet.comparison import TABLES, across_tables, compare, read, tasks
from jaxnet.comparison.tasks import Task
from jaxnet.core.network import Network
from jaxnet.core.registry import Registry
from jaxnet.data.datasets import xor
from jaxnet.reporting import comparison_page
from jaxnet.training import devices
from tests.support import task_samples
from tests.support.command_line import with_options
from tests.support.json_schema import manifest_faults

SMALL = (
    "compare --tasks xor --optimizers sgd momentum --epochs 3 --tuning-seeds 2 --trials 9 "
    "--range sgd.learning_rate=0.05:500 momentum.learning_rate=0.005:50"
).split()
FILES = {
    *(f"{name}.parquet" for name in TABLES),
    *(f"{name}.csv" for name in TABLES), "manifest.json", "timing.json", "methods.txt",
    "report.html", "sensitivity.png", "curves.png", "strips.png", "differences.png",
    "expected_performance.png", "time_to_target.png",
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)  # JAX has begun in this process
    task = Task(Network((2, 6, 2)), lambda: xor(n=60), 10, 5, (0.6, 0.9), "four corners")
    named = {**tasks.NAMED, "xor": task, "xor-again": task}
    monkeypatch.setattr(tasks, "NAMED", Registry("task", named))
    return tmp_path


def test_a_comparison_prints_its_conclusion_writes_all_and_draws_again(here, capsys):
    assert cli.main([*SMALL, "--seeds", "8", "--l2", "0.1"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"\d trials × 2 seeds, then 8 fresh seeds, of 2 optimizers: ", out)
    assert re.search(r"network·epochs trained in \d+ s, \d+\.\d a second", out)
    assert "has the best mean test accuracy" in out
    folder = here / "comparisons" / "xor-sgd-momentum"
    assert {path.name for path in folder.iterdir() if path.is_file()} == FILES
    timing = read(folder).timing
    assert set(timing) == {"sgd", "momentum"}
    assert all(0 < seconds < 60 for seconds in timing.values())

    page = (folder / "report.html").read_text()
    assert len(re.findall(r'<svg role="img"', page)) == 6
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # it opens offline
    command = r"<dt>Command</dt><dd><code>(.*)</code></dd>\n"
    [typed] = re.findall(command, page)
    assert typed.startswith("jaxnet compare --optimizers sgd momentum --tasks xor")
    assert "--l2 0.1" in typed
    result = read(folder)
    assert f"<li>{result.conclusion[0]}</li>" in page

    for path in folder.glob("*.png"):
        path.unlink()
    (folder / "report.html").unlink()
    assert cli.main([*SMALL, "--plot-only"]) == 0
    assert {path.name for path in folder.iterdir() if path.is_file()} == FILES
    assert (folder / "report.html").read_text() == re.sub(command, "", page)


def test_several_tasks_make_profiles_and_a_full_search_its_own_picture(here, capsys, monkeypatch):
    both = {"xor": tasks.NAMED["xor"], "xor-2": tasks.NAMED["xor"]}
    monkeypatch.setattr(tasks, "NAMED", Registry("task", both))
    options = ["--tasks", "xor", "xor-2", "--tier", "full", "--trials", "16", "--seeds", "4"]
    options += ["--targets", "0.3", "0.999"]
    assert cli.main(with_options(SMALL, *options, "--name", "both")) == 0
    out = capsys.readouterr().out
    assert "profile.png, of speed. It is relative" in " ".join(out.split())
    assert "Warning: 4 seeds can never show a difference" in out
    both = here / "comparisons" / "both"
    assert (both / "profile.png").read_bytes().startswith(b"\x89PNG")
    assert (both / "profile.csv").read_text().startswith("optimizer,factor,fraction")
    assert "2 tasks can never show a difference over tasks" in " ".join(out.split())
    names = {path.name for path in both.iterdir()}
    assert {f"{name}.csv" for name in across_tables.TABLES} < names
    assert {"score_profiles.png", "critical_difference.png", "report.html"} < names
    page = (both / "report.html").read_text()
    assert page.count("<svg") == 3
    assert 'href="xor-2/report.html"' in page
    assert (both / "xor" / "search.png").exists()
    page = (both / "xor-2" / "report.html").read_text()
    assert "OneMinus(0.01, 1.0)" in page
    assert 'class="warning"' in page


@pytest.mark.parametrize(
    ("there", "asked", "message"),
    [
        ("mix", ["xor", "digits"], "holds a comparison on one task, and this is one on several"),
        ("mix/digits", ["xor"], "holds a comparison on several tasks, and this is one on one"),
    ],
)
def test_a_folder_is_of_one_task_or_of_several(here, capsys, there, asked, message):
    folder = here / "comparisons" / there
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    assert cli.main(with_options(SMALL, "--tasks", *asked, "--name", "mix")) == 2
    assert message in capsys.readouterr().err


def test_tasks_without_targets_have_no_statistics_across_them(tmp_path):
    scores = {"a": [-2.0, -3.0], "b": [-3.0, -4.0]}
    results = dict.fromkeys(("one", "two"), task_samples.comparison(scores, [], score="−rmse"))
    out = Console(file=io.StringIO(), width=1000)
    printed_comparison.show_across(results, tmp_path, "", out)
    assert out.file.getvalue() == (
        "one has no target, which would normalize its scores: there are no statistics across "
        "tasks. --targets names one.\n"
    )
    assert not [*tmp_path.iterdir()]


def test_ctrl_c_ends_with_its_own_status_and_the_same_command_goes_on(here, capsys, monkeypatch):
    monkeypatch.setattr("jaxnet.comparison.stages.sweep", _interrupted)
    assert cli.main([*SMALL, "--seeds", "4"]) == 130
    assert (
        capsys.readouterr().err == "jaxnet: interrupted; run the same command again to continue.\n"
    )
    assert cli.main([*SMALL, "--plot-only"]) == 2
    assert "was not finished; repeat the same command" in capsys.readouterr().err


@pytest.mark.slow
def test_until_an_interval_is_narrow_takes_few_of_the_seeds(here, capsys):
    options = ["--tier", "defaults", "--seeds", "15", "--quick", "--until", "0.99"]
    assert cli.main(with_options(SMALL[: SMALL.index("--trials")], *options)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "then 8 fresh seeds, of 2 optimizers" in out
    assert "over 8 fresh seeds" in out
    assert "The report stopped after 8 of at most 15 seeds, at look 1 of 2" in out
    folder = here / "comparisons" / "xor-sgd-momentum-quick"
    assert (folder / "looks.csv").read_text().startswith("look,seeds,alpha,a,b,difference,")
    assert "<h2>Looks</h2>" in (folder / "report.html").read_text()


def _interrupted(*_, **__):
    raise KeyboardInterrupt


def test_tier_defaults_draws_no_search(here):
    options = ["--tier", "defaults", "--seeds", "3", "--quick", "--epochs", "2"]
    assert cli.main(with_options(SMALL[: SMALL.index("--trials")], *options)) == 0
    folder = here / "comparisons" / "xor-sgd-momentum-quick"
    assert not (folder / "sensitivity.png").exists()
    assert manifest_faults(folder) == []
    assert "Nothing was tuned." in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("data", "name"),
    [("my data (2).npz", "my-data-2--sgd"), ("../.npz", "npz-sgd"), ("…/", "data-sgd")],
)
def test_the_folder_is_named_after_any_data(data, name):
    assert Compare(optimizers=("sgd",), data=data)._folder().name == name


def test_labels_are_escaped(here):
    result = compare(
        Network((2, 4, 2)), xor(n=40), {"<b>&": "sgd", "b": "sgd"}, tier="defaults", epochs=2,
        seeds=3, timing=False, log=None, folder=here / "x",
    )  # fmt: skip
    page = comparison_page.page(result, {})
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--optimizers", "sgd", "adamm"],
            "invalid choice 'adamm' for argument '--optimizers'; did you mean adam",
        ),
        (["--seeds", "1"], "seeds must be a whole number of at least 2, not 1"),
        (["--targets", "0.9", "1.5"], "targets are validation scores in (0, 1), such as 0.95"),
        (["--data", "novalid.npz"], "the data has no validation split"),
        (["--tasks", "bok"], "bok is not a known task; did you mean book"),
        (
            ["--tasks", "xor", "noisy-quadratic", "--metric", "f1"],
            "noisy-quadratic: the metric f1 is for classes",
        ),
        (
            ["--tasks", "xor", "xor-again", "--data", "xor"],
            "make xor and xor-again the same comparison",
        ),
        (["--tasks"], "--tasks needs at least one task"),
        (["--optimizers", "sgd", "sgd"], "sgd is named twice"),
        (["--optimizers", "sgd"], "needs two optimizers or more"),
        (["--trials", "6"], "one more than a multiple of 4; not 6"),
        (["--range", "sgd=1"], "--range must be OPTIMIZER.NAME=LOW:HIGH"),
        (
            ["--range", "sgd.learning_rate=1:2", "sgd.learning_rate=1:3"],
            "--range names sgd.learning_rate twice; give one range",
        ),
        (["--range", "lion.learning_rate=1:2"], "ranges has an entry for lion, which is not among"),
        (
            ["--output", "linear"],
            "--output needs a --cost: quadratic, absolute-error",
        ),
        (
            ["--until", "0"],
            "until must be a width above 0, such as 0.002 for 0.2 points",
        ),
        (["--until", "0.1", "--seeds", "8"], "for 2 optimizers are 15 or more, not 8"),
        (["--name", ".."], "--name must be made of letters"),
        (["--name", "a/b"], "--name must be made of letters"),
        (["--plot-only"], "there is no folder comparisons/xor-sgd-momentum to draw; name one of"),
        (["--optimizers", "sgd", "lbfgs", "--range"], "lbfgs has no learning rate to be tuned"),
    ],
)
def test_a_bad_call_is_one_line(here, capsys, options, message):
    x, y = np.zeros((4, 2), np.float32), np.arange(4) % 2
    np.savez(here / "novalid.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert cli.main(with_options(SMALL, *options)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
