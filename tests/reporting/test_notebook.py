"""What notebooks show: well-formed HTML that escapes names, and says what the object holds."""

import doctest
import html.parser
import importlib.util
import json
from pathlib import Path

import jax
import notebooks
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.reporting import charts
from jaxnet.searches import BestNetwork, Hypergradient, Progress
from jaxnet.sweeps.ensemble import Member
from jaxnet.sweeps.store import Setting

ROOT = Path(__file__).parents[2]
COMPARISON = ROOT / "tests" / "data" / "version_0_2_0" / "comparison"

VOID = {"img", "circle", "path", "meta", "br"}
DATA, NET = jn.datasets.xor(n=60), jn.Network((2, 4, 2))


class _Page(html.parser.HTMLParser):
    """The texts of a page whose elements are all closed, in order."""

    def __init__(self, content):
        super().__init__()
        self.texts, self.open, self.rows = [], [], []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)
        if self.open[-1:] in (["td"], ["th"]):
            self.rows[-1].append(data)


def _page(value):
    content = value._repr_html_()
    assert "<script" not in content
    assert "http://" not in content.replace("http://www.w3.org/2000/svg", "")
    return _Page(content)


def test_a_network_is_a_table_of_its_layers():
    net = jn.Network((784, 30, 20, 10), (jn.activations.relu, jn.activations.prelu))
    page = _page(net)
    assert page.rows[2] == ["hidden 1", "30", "relu", "784 × 30", "23,550"]
    assert page.rows[3][-1] == "621"  # with the slope of prelu
    assert sum(int(row[-1].replace(",", "")) for row in page.rows[2:]) == net.n_params


def test_a_data_set_says_its_sizes_and_classes_and_shows_examples():
    page = _page(DATA)
    counts = [str(n) for n in np.bincount(DATA.train.y)]
    assert page.rows[1] == ["training", "60", *counts]
    assert float(page.rows[5][0]) == pytest.approx(DATA.train.x[0, 0], rel=1e-3)
    images = jn.Dataset(jn.Split(np.arange(196, dtype=np.uint8).reshape(4, 49), np.arange(4) % 2))
    assert "data:image/png;base64" in images._repr_html_()
    assert "the first training images: 0, 1, 0, 1" in _page(images).texts
    numbers = jn.Dataset(jn.Split(np.zeros((3, 20)), np.array([[0.5, 1.0]] * 3)))
    assert "0.5, 1" in _page(numbers).texts


def test_names_of_a_table_are_escaped():
    rows = {"a": [1, 2, 3, 4] * 20, "<b>": ["x", "y"] * 40, "t": ["yes", "<no>"] * 40}
    page = _page(jn.datasets.table(rows, target="t"))
    assert "class <no>" in page.texts
    assert "<b> = x" in page.texts


@pytest.fixture(scope="module")
def run_and_report():
    """A run, and the report of its last epoch."""
    reports = []
    recipe = jn.Recipe(jn.adam(0.02))
    run = jn.train(NET, DATA, recipe, epochs=3, on_epoch=reports.append)
    return run, reports[-1]


@pytest.fixture(scope="module")
def study():
    """A study of two numbers."""
    recipe = jn.grid(jn.Recipe(jn.sgd()), learning_rate=[0.1, 0.5], l2=[0.0, 0.1])
    return jn.sweep(NET, DATA, recipe, seeds=2, epochs=2, log=None)


def test_a_run_and_its_history_show_curves_and_values(run_and_report):
    run, _ = run_and_report
    for value in (run, run.history):
        content, page = value._repr_html_(), _page(value)
        assert content.count("<svg") == 2  # cost and accuracy
        last = next(row for row in page.rows if row and row[0] == "validation accuracy")
        assert last[-1] == f"{run.history.evaluation_accuracy[-1]:.2%}"
    assert f"best (epoch {run.best_epoch})" in _page(run).texts


def test_a_study_shows_its_leaderboard_and_a_map_of_two_numbers(study):
    page, best = _page(study), study.leaderboard()[0]
    assert page.rows[1][:3] == ["1", f"{best['learning_rate']:.4g}", f"{best['l2']:.4g}"]
    means = study.score.mean(axis=1).reshape(2, 2)
    assert [row[1:] for row in page.rows[-2:]] == [[f"{x:.2%}" for x in row] for row in means]


def test_a_comparison_shows_its_conclusion_and_intervals():
    comparison = jn.comparison.comparison_folder.read(COMPARISON)
    page = _page(comparison)
    assert comparison.conclusion[0] in page.texts
    assert {row[0] for row in page.rows[1:]} == {row["optimizer"] for row in comparison.summary}
    assert "<svg" in comparison._repr_html_()


def test_an_ensemble_counts_its_architectures():
    zeros = [(net, jn.init(net, jax.random.key(0))) for net in (NET, jn.Network((2, 8, 2)))]
    ensemble = jn.Ensemble(tuple(Member(*zeros[k]) for k in (0, 0, 1)))
    rows = _page(ensemble).rows
    assert [row[:2] for row in rows[1:]] == [["2-4-2", "2"], ["2-8-2", "1"]]


def test_a_search_shows_its_best_setting():
    numbers = np.ones((1, 2))
    best = BestNetwork(Setting(NET, jn.Recipe(jn.sgd(0.5)), 10, 60), 0.75, ())
    progress = Progress(np.array([20]), np.array([0.75]))
    search = Hypergradient(best, 20, progress, {"learning_rate": numbers}, numbers, best.setting[1])
    assert ["learning_rate", "0.5"] in _page(search).rows
    assert repr(search) == (
        "Hypergradient(20 epochs of networks; best: 2-4-2, "
        "Recipe(optimizer=sgd(learning_rate=0.5)), score 0.75)"
    )


def test_texts_of_what_a_sweep_takes_are_short():
    rows = {name: [1.0, 2.0] * 30 for name in "abcdefgh"} | {"t": ["no", "yes"] * 30}
    encoding = jn.datasets.table(rows, target="t").encoding
    assert repr(encoding) == (
        "Encoding(a, b, c, d, e and 3 more → 8 inputs; target: Target(name='t', "
        "classes=('no', 'yes'), mean=0.0, sd=1.0))"
    )
    settings = jn.grid(jn.Recipe(jn.sgd()), widths=[[4], [8, 8]], learning_rate=[0.1, 1.0, 2.0])
    assert repr(settings) == "Settings(6 settings; widths (4,), (8, 8))"


def test_texts_are_short(run_and_report, study):
    run, report = run_and_report
    scores = np.zeros((2, 5))
    result = jn.CrossValidation(study, scores, 0.5, 0.1, scores, np.zeros(5, int), 0.6, None)
    for value in (DATA, DATA.train, run, run.history, result, report, NET):
        assert len(repr(value)) < 450, value
        assert "\n" not in repr(value)
    assert repr(DATA.valid) == f"Split(x=float64 (60, 2), y={DATA.valid.y.dtype} (60,))"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.91, 0.97, [0.92, 0.94, 0.96]), (1, 30, [10, 20, 30]),
     (-3, 3, [-2, 0, 2])],
)  # fmt: skip
def test_ticks_are_round_numbers(low, high, expected):
    np.testing.assert_allclose(charts.ticks(low, high), expected, atol=1e-12)


def test_a_grey_picture_is_a_png_that_others_read():
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    import io

    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    read = np.asarray(image.open(io.BytesIO(charts.gray_png(pixels))))
    np.testing.assert_array_equal(read, pixels)


CELLS = [
    "import jaxnet as jn",
    "data, net = jn.datasets.xor(n=40), jn.Network((2, 4, 2))\ndata",
    "net",
    "run = jn.train(net, data, jn.Recipe(jn.sgd(0.5)), epochs=5)\nrun",
    "study = jn.sweep(net, data, jn.Recipe(jn.sgd([0.1, 1.0])), epochs=2, log=None)\nstudy",
    "jn.train(net, data, jn.Recipe(jn.sgd(0.5)), epochs=1, progress=False).history",
]


def _needs(*modules):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{' and '.join(missing)} is not installed")


@pytest.fixture
def _kernel(tmp_path, monkeypatch):
    """A kernel of Jupyter finds the library, and writes to no folder of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.slow
@_needs("nbclient", "ipykernel")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("_kernel")
def test_a_notebook_shows_objects_and_progress():
    cells = notebooks.run(CELLS)
    outputs = [[output.get("data", {}).get("text/html", json.dumps(output)) for output in
                cell.outputs] for cell in cells]  # fmt: skip
    assert outputs[0] == []
    assert [len(own) for own in outputs[1:]] == [1, 1, 2, 2, 1]
    assert all('<div class="jaxnet">' in own[-1] for own in outputs[1:])
    line = outputs[3][0]
    assert "<progress" in line
    assert 'value="5" max="5"></progress>epoch 5/5  validation' in line
    assert "2 of 2 networks" in outputs[4][0]


@pytest.mark.slow
@_needs("nbclient", "ipykernel", "pandas", "onnx", "onnxruntime")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("_kernel")
def test_the_notebook_of_the_documentation_runs_without_a_warning(tmp_path):
    page = (ROOT / "docs" / "notebook_tour.md").read_text()
    codes, printed = zip(*notebooks.cells_of(page), strict=True)
    assert len(codes) == 12
    cells = notebooks.run(codes)
    for cell, expected in zip(cells, printed, strict=True):
        assert cell.errors() == ""
        if expected is not None:
            assert doctest.OutputChecker().check_output(expected, cell.text(), doctest.ELLIPSIS)
    # The table, the network, the study, a run and the ensemble show themselves.
    assert sum('<div class="jaxnet">' in cell.html() for cell in cells) == 5
    assert (tmp_path / "diagnosis.onnx").exists()
