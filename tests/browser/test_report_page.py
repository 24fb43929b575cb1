"""The report of a comparison, as a browser shows it."""

import pytest

from jaxnet.reporting import html_page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_a_wide_table_scrolls_in_its_own_box(visit, tmp_path, width):
    row = {f"a column with a long heading {i}": "x" * 30 for i in range(20)}
    columns = [(name, lambda row, name=name: row[name]) for name in row]
    path = tmp_path / "page.html"
    path.write_text(
        html_page.document("A page", ["<h1>A page</h1>", html_page.table([row], columns)])
    )
    seen = visit(path, width)
    assert seen.problems == []
    assert seen.wider() == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
