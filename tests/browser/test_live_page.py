"""The live page, as a browser shows it."""

import re

import live
import pytest

from jaxnet.cli import live_page, live_status

pytestmark = pytest.mark.browser


@pytest.fixture
def page(tmp_path):
    """A live page with its server, and its address."""
    page = live_page.LivePage(live.HEADING)
    address = page.begin(0, tmp_path)
    yield page, address
    if page.server is not None:
        page.server.kill()  # it would wait for the page that a test has opened
    page.end()


def contrast(page, selector):
    """The contrast of an element's text with the page, by the formula of WCAG 2."""
    numbers = page.evaluate(
        """selector => [getComputedStyle(document.querySelector(selector)).color,
                        getComputedStyle(document.body).backgroundColor]""",
        selector,
    )
    levels = []
    for text in numbers:
        parts = [int(part) / 255 for part in re.findall(r"\d+", text)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        levels.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(levels) + 0.05) / (min(levels) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_progress_leaderboard_and_curves_fit_the_window(page, visit, width, scheme):
    page[0].report(live.report_after(12))
    seen = visit(page[1], width, scheme)
    seen.page.wait_for_selector("#rows tr")
    assert seen.problems == []
    assert seen.wider() == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.inner_text("#word") == "Training"
    assert "576 of 1,440" in seen.page.inner_text("#facts")
    assert seen.page.get_attribute("#track", "aria-valuenow") == "40"
    assert seen.page.title() == "40% · jaxnet sweep"
    assert len(seen.page.query_selector_all("#rows tr")) == 10
    assert len(seen.page.query_selector_all("#chart path.line")) == 6
    for selector in ("#word", "#about", "#caption", "#rows td:nth-child(2)", "#updated"):
        assert contrast(seen.page, selector) >= 4.5, selector
    seen.shoot(f"live_{width}_{scheme}")


def test_the_page_follows_the_command_to_its_end(page, visit):
    seen = visit(page[1], 800)
    seen.page.wait_for_selector("#word:text-is('preparing')")
    assert seen.page.is_hidden("#board")
    page[0].report(live.report_after(1))
    seen.page.wait_for_selector("#rows tr")
    assert seen.page.is_visible("#chart circle")  # a curve of one epoch is a point
    page[0].next_time = 0.0
    page[0].report(live.report_after(20))
    seen.page.wait_for_selector("#track[aria-valuenow='66']")
    hostile = "<img src=x onerror=alert(1)>"
    page[0].finish([f"Choose recipe 3: validation accuracy 97.10%. {hostile}"])
    seen.page.wait_for_selector("#word:text-is('finished')")
    assert hostile in seen.page.inner_text("#result")
    assert seen.page.title() == "finished · jaxnet sweep"
    page[0].end()
    seen.page.wait_for_timeout(1500)
    assert seen.page.is_hidden("#gone")  # a command that has ended need not answer
    assert seen.problems == []
    seen.shoot("live_finished")


@pytest.mark.parametrize("size", ["1e-200", "1e300"])
def test_tiny_and_huge_costs_are_drawn(page, visit, size):
    status = live_status.of_report(live.HEADING, live.report_after(12))
    for curve in status["curves"]:
        curve["values"] = [float(size) * value for value in curve["values"]]
    page[0]._write(status | {"is_share": False})
    seen = visit(page[1], 800)
    seen.page.wait_for_selector("#chart path.line")
    ticks = seen.page.locator("#chart text").all_text_contents()[:3]
    power = int(size[2:]) - 1
    assert ticks == [f"{digit}e{power}" for digit in (7, 8, 9)]
    assert seen.problems == []
    assert seen.page.is_hidden("#gone")


def test_what_cannot_be_drawn_is_no_silence_of_the_command(page, visit):
    seen = visit(page[1], 800)
    seen.page.evaluate("""() => {
      const later = setTimeout;
      Object.assign(globalThis, { nErrors: 0, setTimeout: poll => later(poll, 50) });
      showTable = () => { nErrors += 1; null.x };
    }""")
    seen.page.wait_for_timeout(1800)
    assert seen.page.evaluate("nErrors") >= 3  # it goes on asking
    assert seen.page.is_hidden("#gone")


def test_the_page_says_that_nothing_answers_any_more(page, visit):
    page[0].report(live.report_after(20))
    seen = visit(page[1], 400, "dark")
    seen.page.wait_for_selector("#rows tr")
    page[0].server.kill()
    seen.page.wait_for_selector("#gone:not([hidden])", timeout=10_000)
    assert "Nothing answers any more" in seen.page.inner_text("#gone")
    assert seen.page.is_visible("#rows tr")  # the last that is known stays
    seen.shoot("live_gone")
