"""A headless Chromium that opens the pages the tests have written."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome")
                 if (path := shutil.which(name))), None)  # fmt: skip
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
"""Without the last ones Chromium calls home, which a closed network answers with errors."""
WIDER = """() => [...document.querySelectorAll("body *")]
  .filter(element => element.getBoundingClientRect().right > window.innerWidth + 1)
  .filter(element => !element.closest(".wide"))
  .map(element => element.outerHTML.slice(0, 120))"""
"""The elements that reach out of the window; what lies in a box of class `wide` may scroll."""


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """A browser for all tests of the process."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page in the browser, with what it wrote to its console."""

    page: object
    problems: list[str]

    def wider(self) -> list[str]:
        """The beginnings of all elements that are wider than the window."""
        return self.page.evaluate(WIDER)

    def shoot(self, name: str) -> None:
        """Write a screenshot of the page as it is now, where SCREENSHOTS names a folder."""
        if shots := os.environ.get("SCREENSHOTS"):
            self.page.screenshot(path=str(Path(shots) / f"{name}.png"), full_page=True)


@pytest.fixture
def visit(chromium):
    """Returns a function that opens a file (or an address) at a width and in a colour scheme."""
    contexts = []

    def open_page(address: Path | str, width: int = 1400, scheme: str = "light") -> Visit:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page, problems = context.new_page(), []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: message.type in ("error", "warning") and problems.append(message.text),
        )
        page.goto(address.resolve().as_uri() if isinstance(address, Path) else address)
        seen = Visit(page, problems)
        seen.shoot(f"{Path(str(address)).stem}_{width}_{scheme}")
        return seen

    yield open_page
    for context in contexts:
        context.close()
