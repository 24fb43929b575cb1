"""`jaxnet plot`: the pictures of a run, a sweep and a comparison, from their files alone."""

import os
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.cli import main as cli
from jaxnet.io import csv
from jaxnet.reporting import pictures, plots, study_plots

COMPARISON = Path(__file__).parents[1] / "data" / "version_0_2_0" / "comparison"
NET, DATA = jn.Network((2, 3, 2)), jn.datasets.xor(n=40)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run with monitors, a sweep, and a comparison."""
    folder = tmp_path_factory.mktemp("results")
    run = folder / "runs" / "first"
    run.mkdir(parents=True)
    curves = [np.linspace(0.5, 0.9, 3) + k / 100 for k in range(4)]
    (run / "history.csv").write_bytes(csv.history_csv(jn.History(*curves)))
    measured = {"step": np.arange(0, 6, 2), "dead": np.ones((3, 2)), "cost": np.ones((3, 1))}
    (run / "monitors.csv").write_bytes(csv.monitors_csv(measured))
    recipe = jn.grid(jn.Recipe(jn.sgd()), learning_rate=[0.1, 2.0], l2=[0.0, 1.0])
    jn.sweep(NET, DATA, recipe, epochs=1, folder=folder / "study", log=None)
    shutil.copytree(COMPARISON, folder / "comparison")
    tasks = {name: folder / "tasks" / name for name in ("a", "b")}
    for task in tasks.values():
        shutil.copytree(COMPARISON, task)
    across = jn.comparison.across({name: jn.comparison.read(tasks[name]) for name in tasks})
    across.write(folder / "tasks")
    return folder


def _plot(capsys, *args):
    status = cli.main(["plot", *map(str, args)])
    return status, *capsys.readouterr()


KINDS = {
    "runs": {"curves", "monitors"},
    "study": {"sweep", "parallel", "heat_map"},
    "comparison": {"curves", "strips", "differences", "time_to_target"},
    "tasks": {"score_profiles", "critical_difference"},
}


@pytest.mark.parametrize("name", KINDS)
def test_all_pictures_are_drawn_again_as_svg(folders, capsys, tmp_path, name):
    status, out, err = _plot(capsys, folders / name, "--output", tmp_path)
    assert (status, err) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {f"{kind}.svg" for kind in KINDS[name]}
    for path in tmp_path.iterdir():
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
        assert str(path) in out.replace("\n", "")


def test_of_several_studies_the_newest_is_drawn(folders, capsys, tmp_path):
    for k, name in enumerate(("new", "older", "oldest")):
        shutil.copytree(folders / "study", tmp_path / "studies" / name)
        for file in (tmp_path / "studies" / name).rglob("*.*"):
            os.utime(file, (1e9 - 1000 * k,) * 2)
    os.utime(tmp_path / "studies" / "new" / "study.json", (1e8, 1e8))  # its chunks are newer
    status, out, err = _plot(capsys, tmp_path / "studies")
    assert (status, err) == (0, "")
    assert f"The newest in {tmp_path / 'studies'} is drawn: {tmp_path / 'studies' / 'new'}/" in out
    drawn = [path.parent.name for path in (tmp_path / "studies").glob("*/sweep.svg")]
    assert drawn == ["new"]


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_one_picture_is_written_in_the_format_that_its_name_says(
    folders, capsys, tmp_path, suffix, start
):
    path = tmp_path / f"new/a.{suffix}"
    contents = []
    for _ in range(2):
        assert _plot(capsys, folders / "study", "--kind", "sweep", "--output", path)[0] == 0
        contents.append(path.read_bytes())
    assert contents[0].startswith(start)
    assert contents[0] == contents[1]


def test_a_picture_shows_the_numbers_of_the_files(folders):
    drawings = pictures.figures_of(folders / "runs" / "first")
    cost, accuracy = drawings["curves"]().axes
    lines = {line.get_label(): line.get_ydata() for line in (*cost.lines, *accuracy.lines)}
    np.testing.assert_allclose(lines["validation"], np.linspace(0.5, 0.9, 3) + 0.01)
    assert [len(axes.lines) for axes in drawings["monitors"]().axes] == [2, 1]
    study = jn.open_study(folders / "study")
    assert study_plots.varied_numbers(study) == ["learning_rate", "l2"]
    left, right = pictures.figures_of(folders / "study")["sweep"]().axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("learning rate η", "L2 penalty λ")
    best = study.settings[study.best_recipe]
    circles = [line for line in left.lines if line.get_fillstyle() == "none"]
    assert [float(line.get_xdata()[0]) for line in circles] == [best.number("learning_rate")]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("gone", "the folder gone does not exist; name that of a run, or of runs"),
        ("empty", "is no folder of a run, a sweep or a comparison"),
        ("study --kind swep", "has no picture of the kind 'swep'; did you mean sweep"),
        ("runs --output a.png", "is one file, but there are 2 pictures, curves, monitors"),
        ("study --output a.jpg", r"--output must end with .svg, .pdf or .png, or be a folder"),
        ("broken", "history.csv lacks the column evaluation_cost"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(folders, capsys, monkeypatch, args, message):
    monkeypatch.chdir(folders)
    for name in ("broken", "empty"):
        (folders / name).mkdir(exist_ok=True)
    (folders / "broken" / "history.csv").write_text("epoch\n1\n")
    status, out, err = _plot(capsys, *args.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert re.search(message, err)


def test_the_title_of_a_run_is_in_words():
    recipe = jn.Recipe(
        jn.momentum(0.1), l2=0.5, dropout=0.1, schedule=jn.schedules.cosine(3),
        augmentation=jn.Augmentation(shift=1),
    )  # fmt: skip
    title = plots.run_title(NET, recipe, 10, 3)
    assert not set("()[]=") & set(title)
    for part in ("2-3-2 sigmoid", "cross-entropy", "momentum", "learning rate η 0.1",
                 "L2 penalty λ 0.5", "schedule cosine", "augmented images", "seed 3"):  # fmt: skip
        assert part in title
