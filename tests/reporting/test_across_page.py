"""The page of several tasks: what it shows of tables made by hand."""

import html
import re

from matplotlib.text import Text

from jaxnet.comparison import across
from jaxnet.reporting import across_plots, comparison_page, plots
from tests.support import task_samples

LABELS = ("$\\frac{", "<b>&{}%s", "_hidden")


def test_the_page_has_tables_and_pictures_and_is_the_same_when_written_again(tmp_path):
    compared = task_samples.comparisons(2, LABELS)
    (tmp_path / "task 0").mkdir()
    (tmp_path / "task 0" / "report.html").touch()
    result = comparison_page.publish_across(tmp_path, compared, command="jaxnet compare")
    written = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 3
    assert re.findall(r'<a href="([^"]*)">', page) == ["task%200/report.html"]
    for sentence in (*result.conclusion, *result.warnings):
        assert str(html.escape(sentence, quote=False)) in page
    assert "<b>" not in page
    comparison_page.publish_across(tmp_path, compared, command="jaxnet compare")
    assert {path: path.read_bytes() for path in written} == written


def test_bars_join_what_the_tests_do_not_tell_apart():
    result = across(task_samples.comparisons(2, LABELS))
    figure = across_plots.critical_difference(result)
    plots.png(figure)  # a broken formula raises
    texts = [text.get_text().replace(r"\$", "$") for text in figure.findobj(Text)]
    assert all(any(label in text for text in texts) for label in LABELS)
    thick = lambda drawn: [line for line in drawn.axes[0].lines if line.get_linewidth() == 4]
    (bar,) = thick(figure)
    ranks = [row["mean_rank"] for row in result.task_ranks]
    low, high = bar.get_xdata()
    assert low < min(ranks)
    assert high > max(ranks)
    tests = [row | {"verdict": "better"} for row in result.task_tests]
    assert not thick(across_plots.critical_difference(result._replace(task_tests=tests)))
