"""What stands on the pages of runs and studies, against numbers computed by hand."""

import dataclasses
import re

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.reporting import html_page, page_pictures, plots, run_page, study_page, style
from tests.support import page_samples

PAGE = 1_500_000
"""The most bytes of a page."""


def text_of(content):
    """The page without its style, script and pictures."""
    return re.sub(r"<style.*?</style>|<script.*?</script>|<svg.*?</svg>", "", content, flags=re.S)


def written(tmp_path, run, data):
    path = tmp_path / "run.html"
    run_page.write(path, run, data, data_text="<made up>", command="jaxnet train 'a b'")
    content = path.read_text()
    assert len(content.encode()) < PAGE
    assert not re.search(r'(src|href)="(https?:|/)', content)
    return text_of(content)


def test_a_page_of_images_shows_what_is_confused_and_most_confidently(tmp_path):
    run, data = page_samples.images()
    page = written(tmp_path, run, data)
    assert "&lt;made up&gt;" in page
    outputs = np.asarray(jn.predict(run.network, run.best_params, data.test.x))
    predicted, labels = outputs.argmax(axis=1), data.test.y
    counts = np.zeros((5, 5), int)
    np.add.at(counts, (labels, predicted), 1)
    cells = re.findall(r'<td class="(?:right|wrong|none)"[^>]*>([^<]*)</td>', page)
    assert [0 if cell == "·" else int(cell) for cell in cells] == counts.ravel().tolist()
    wrong = np.flatnonzero(predicted != labels)
    order = wrong[np.argsort(-outputs[wrong].max(axis=1))][:10]
    captions = re.findall(r"(\d), taken for (\d) \(([\d.]+)%\)", page)
    assert captions == [
        (str(labels[k]), str(predicted[k]), f"{100 * outputs[k].max():.1f}") for k in order
    ]
    assert len(re.findall(r"<img", page)) == 10 + 12  # the wrong examples, and the hidden units
    assert "Costs are without penalties" in page
    results, _, epochs = page.partition("The numbers by epoch")
    assert "0.6000" in results  # the validation cost of the best epoch without penalties
    assert "1.5000" not in results
    assert "1.5000" in epochs  # and with them


def test_a_page_of_a_table_shows_its_cells_and_escapes_them(tmp_path):
    run, data = page_samples.table()
    page = written(tmp_path, run, data)
    assert "<i>" not in page
    assert "yes &lt;i&gt;" in page
    assert "Bern &amp; more" in page
    first = run.report(data.test).wrong[0]
    age = data.encoding.columns[0]
    x = np.asarray(data.test.x[first.row])
    shown = "" if x[1] > 0.5 else f"{age.mean + age.sd * x[0]:.5g}"
    assert f"<td>{shown}</td>" in page.partition("Rows of the test set")[2]
    assert "taken for" in page
    assert "most confidently" not in page.lower().partition("rows of the test set")[2]


def test_a_page_of_numbers_shows_residuals_in_their_own_unit(tmp_path):
    run, data = page_samples.table("price")
    page = written(tmp_path, run, data)
    outputs = np.asarray(jn.predict(run.network, run.best_params, data.test.x), float)
    rmse = data.encoding.target.sd * np.sqrt(np.mean((outputs - data.test.y) ** 2))
    assert f"<td>{rmse:.4g}</td>" in page
    assert "Errors of the predictions" in page
    assert 'class="matrix"' not in page


def test_names_are_neither_formulas_nor_scripts_nor_headings_of_the_page(tmp_path):
    random = np.random.default_rng(0)
    cells = {
        "row": random.choice(["sold online=yes", "$5%-$10", "#1a1a1a"], 60),
        "taken for": random.normal(size=60),
        "$\\frac{$": random.normal(size=60),
    }
    table = jn.datasets.table(
        cells | {"label": np.repeat(["a", "b"], 30)}, "label", valid=0.2, test=0.4
    )
    net = jn.Network((table.n_inputs, 2, 2))
    run = jn.train(net, table, jn.Recipe(jn.sgd(0.1)), epochs=1)
    run_page.write(tmp_path / "run.html", run, table)
    page = (tmp_path / "run.html").read_text()
    assert "sold online=yes" in page
    assert "$5%-$10" in page
    wrong = page[page.index("Rows of the test set, from 0") :]
    outputs = jn.predict(run.network, run.best_params, table.test.x)
    first = re.findall(r"<td[^>]*>(?:<div>)?([^<]*)</", wrong)[:4]
    row = int(first[0])
    assert first[1] == "ab"[table.test.y[row]]
    assert first[2] == "ab"[int(outputs[row].argmax())] != first[1]
    assert first[3] == f"{run.report(table.test).wrong[0].probability:.1%}"


def test_without_a_test_set_the_page_says_so(tmp_path):
    run, data = page_samples.images()
    page = written(tmp_path, run, data._replace(test=None))
    assert "There is no test set" in page
    assert "taken for" not in page
    run = page_samples.run_of(run.network, data, "diverged", 1)
    assert "training diverged in epoch 3." in written(tmp_path, run, data)


def test_costs_of_version_0_2_are_not_called_those_without_penalties(tmp_path):
    run, data = page_samples.images()
    nothing = np.full(3, np.nan)
    history = run.history._replace(evaluation_data_cost=nothing, training_data_cost=nothing)
    page = written(tmp_path, dataclasses.replace(run, history=history), data)
    assert "Costs by epoch are with penalties" in page
    assert "are without penalties" not in page


def test_a_large_study_has_a_leaderboard_that_is_cut_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(study_page, "MOST_ROWS", 30)
    path = tmp_path / "study.html"
    study = page_samples.study(None, 20)
    study_page.write(path, study, conclusion=["Choose <1>."], data_text="xor")
    page = text_of(path.read_text())
    assert "The best 30 of 40 recipes; study.csv has all of them." in page
    assert "Choose &lt;1&gt;." in page
    rows = re.findall(r"<tr>(.*?)</tr>", page.partition("<tbody>")[2], flags=re.S)
    cells = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in rows]
    board = study.leaderboard()
    assert [row[1] for row in cells] == [str(row["recipe"]) for row in board[:30]]
    assert cells[0][2].startswith(f"{board[0]['evaluation_accuracy']:.2%} ± ")
    assert "study.csv</a>" not in page  # it does not lie beside the page


def test_a_name_that_is_missing_in_a_template_is_refused():
    with pytest.raises(Exception, match="'results' is undefined"):
        html_page.render("run.html", html_page.Top("Run", "a", []))


def test_a_picture_takes_the_inks_of_the_page_and_keeps_its_names_apart():
    history = page_samples.images()[0].history
    first, second = (page_pictures.of_figure(name, plots.curves(history)) for name in ("a b", "c"))
    for picture in (first, second):
        assert "var(--red)" in picture.content
        assert "#000000" not in picture.content
        assert style.RED not in picture.content
        ids = re.findall(r'\bid="([^"]+)"', picture.content)
        used = re.findall(r'(?:href="|url\()#([^")]+)', picture.content)
        assert set(used) <= set(ids)
    assert not set(re.findall(r'\bid="([^"]+)"', first.content)) & set(
        re.findall(r'\bid="([^"]+)"', second.content)
    )
    content = page_pictures.svg(plots.curves(history))
    assert page_pictures.of_svg("c", content) == second
    for wrong in (b"<html>", b"\xff", content.replace(b"</svg>", b"<script>1</script></svg>")):
        with pytest.raises(ValueError, match=r"it is no"):
            page_pictures.of_svg("x", wrong)


def test_costs_are_drawn_without_penalties_and_say_so():
    history = page_samples.images()[0].history
    cost = plots.curves(history).axes[0]
    assert cost.get_ylabel() == "cost, without penalties"
    drawn = {line.get_label(): line.get_ydata().tolist() for line in cost.lines}
    assert drawn["validation"] == [1.0, 0.6, 0.5]
    same = history._replace(evaluation_cost=history.evaluation_data_cost,
                            training_cost=history.training_data_cost)  # fmt: skip
    assert plots.curves(same).axes[0].get_ylabel() == "cost"
