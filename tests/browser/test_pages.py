"""The pages of runs, studies, comparisons and experiments, as a browser shows and prints them."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from jaxnet.reporting import (
    comparison_page,
    experiment,
    experiment_index,
    html_page,
    run_page,
    study_page,
)
from tests.support import page_samples, task_samples

pytestmark = pytest.mark.browser
SCRIPTS = Path(__file__).parents[2] / "experiments"
NAMES = ("images", "classes", "numbers", "study", "report", "across", "index")
UNREADABLE = """() => {
  const parts = (colour) => {
    const numbers = colour.match(/[\\d.]+/g).map(Number);
    return colour.startsWith("color(srgb") ? [...numbers.slice(0, 3).map((x) => 255 * x),
      numbers[3] ?? 1] : [...numbers.slice(0, 3), numbers[3] ?? 1];
  };
  const over = (top, below) => [0, 1, 2].map((k) => top[3] * top[k] + (1 - top[3]) * below[k]);
  const groundOf = (element) => {
    if (!element) return [255, 255, 255];
    const own = parts(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, groundOf(element.parentElement));
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((x) => x / 255)
      .map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bad = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!hasText || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const isPicture = element instanceof SVGElement;
    // Texts on coloured cells of a picture have a ground of their own, and do not change.
    if (isPicture && ["rgb(17, 17, 17)", "rgb(253, 253, 253)"].includes(style.fill)) continue;
    const ground = groundOf(isPicture ? element.closest("figure") : element);
    const ink = over(parts(isPicture ? style.fill : style.color), ground);
    const [low, high] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) bad.push(`${contrast.toFixed(2)} ${element.outerHTML.slice(0, 120)}`);
  }
  return bad;
}"""
"""The beginnings of all elements whose text has a contrast below 4.5 to its ground."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of each kind, by name."""
    folder = tmp_path_factory.mktemp("pages")
    paths = {name: folder / f"{name}.html" for name in NAMES}
    about = {"data_text": "made up", "command": f"jaxnet train --data {'x' * 200}"}
    for name, sample in (
        ("images", page_samples.images()),
        ("classes", page_samples.table()),
        ("numbers", page_samples.table("price")),
    ):
        run_page.write(paths[name], *sample, **about)
    sentences = ["Choose recipe 3."]
    study_page.write(paths["study"], page_samples.study(None, 20), conclusion=sentences, **about)
    shutil.copytree(page_samples.COMPARISON, folder / "comparison")
    comparison_page.publish(folder / "comparison", command="jaxnet compare")
    paths["report"] = folder / "comparison" / "report.html"
    compared = task_samples.comparisons(3)
    comparison_page.publish_across(folder / "across", compared, command="jaxnet compare")
    paths["across"] = folder / "across" / "report.html"
    paths["index"] = _experiments(folder / "results")
    return paths


def _experiments(folder):
    """The page of two experiments, of which the second was a smoke test."""
    values = np.linspace(0.94, 0.96, 16)
    rows = [
        experiment.estimate_row("accuracy of a network with a long name", values, 0.95),
        experiment.difference_row("a − c", values, values - 0.1, claimed=True),
    ]
    for name, is_smoke in (("l1", False), ("mixup", True)):
        results = {"config": {"smoke": is_smoke}, "changed": [], "rows": rows, "seconds": 90.0}
        (folder / name).mkdir(parents=True)
        (folder / name / "results.json").write_text(json.dumps(results))
    return experiment_index.publish(experiment_index.catalogue(SCRIPTS), folder)


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (400, "dark"), (1400, "dark")])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_the_window_and_is_readable(visit, pages, name, width, scheme):
    seen = visit(pages[name], width, scheme)
    assert seen.problems == []
    assert seen.wider() == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.evaluate(UNREADABLE) == []
    assert seen.page.evaluate("document.documentElement.lang") == "en"
    assert seen.page.evaluate("document.querySelectorAll('h1').length") == 1
    ids = seen.page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_prints_on_a4(visit, pages, name):
    page = visit(pages[name], 1400, "dark").page
    content = page.pdf(prefer_css_page_size=True)
    assert set(re.findall(rb"/MediaBox ?\[([\d. ]+)\]", content)) == {b"0 0 594.95996 841.91998"}
    page.set_viewport_size({"width": 687, "height": 1000})  # what the margins leave, in pixels
    page.emulate_media(media="print", color_scheme="dark")
    too_wide = """[...document.querySelectorAll("main *")]
        .filter((element) => element.getBoundingClientRect().right > 688)
        .map((element) => element.outerHTML.slice(0, 99))"""
    assert page.evaluate(too_wide) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def _column(page, place):
    cells = f".sorted tbody tr:not([hidden]) td:nth-child({place + 1})"
    return page.eval_on_selector_all(cells, "cells => cells.map((cell) => cell.textContent)")


def test_a_leaderboard_sorts_and_filters(visit, pages):
    page = visit(pages["study"]).page
    assert _column(page, 0) == [str(k + 1) for k in range(40)]
    rates = sorted(map(float, _column(page, 3)))
    page.click("text=learning rate η")
    assert list(map(float, _column(page, 3))) == rates
    page.click("text=learning rate η")
    assert list(map(float, _column(page, 3))) == rates[::-1]
    assert page.get_attribute("th:nth-child(4)", "aria-sort") == "descending"
    page.fill("input[type=search]", "  0.01 ")
    assert _column(page, 3)
    assert all("0.01" in rate for rate in _column(page, 3))
    n = len(_column(page, 3))
    assert page.text_content(".filter output") == f"{n} of 40 rows"


def test_numbers_are_sorted_as_numbers_whatever_stands_around_them(visit, tmp_path):
    cells = ["1,234", "–", "96.40% ± 0.16%", "−3.38 to 13.77", "∞", "< 0.0001", "8 of 9", "1e-06"]
    shown = html_page.table(
        "", [{"x": cell} for cell in cells], [("", lambda row: "x"), ("n", lambda row: row["x"])]
    )
    top = html_page.Top("Test", "numbers", [])
    content = dict.fromkeys(("missing", "sections", "is_judged"), ())
    path = tmp_path / "page.html"
    path.write_text(html_page.render("experiments.html", top, summary=shown, **content))
    page = visit(path).page
    order = ["−3.38 to 13.77", "1e-06", "< 0.0001", "8 of 9", "96.40% ± 0.16%", "1,234", "∞", "–"]
    page.click("th:nth-child(2) button")
    assert _column(page, 1) == order
    page.click("th:nth-child(2) button")
    assert _column(page, 1) == [*order[-2::-1], "–"]
