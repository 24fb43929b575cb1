"""Golden files: what a command printed when a person last looked at it."""

import os
import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "cli" / "golden"


def assert_golden(name: str, text: str, has_numbers: bool = False) -> None:
    """Compare a text with its file in tests/cli/golden, or write it where RENEW_GOLDEN is set.

    Args:
      name: the file's name, without its suffix.
      text: what was printed.
      has_numbers: whether it has numbers that may differ between machines, which then do not count,
        nor do the blanks, lines and rules that depend on their widths.
    """
    path = FOLDER / f"{name}.txt"
    comparable = _without_numbers if has_numbers else str
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    if os.environ.get("RENEW_GOLDEN") and comparable(text) != comparable(expected):
        path.write_text(text, encoding="utf-8")
        return
    assert comparable(text) == comparable(expected), (
        f"{path.name} differs; RENEW_GOLDEN=1 pytest … writes it anew"
    )


def _without_numbers(text: str) -> str:
    """A text with # for each number, and one blank for each run of blanks, lines and rules."""
    text = re.sub(r"(?<!\w)[−+-]?\d[\d.,]*(?:e[+-]\d+)?", "#", text)
    return re.sub(r"[\s─]+", " ", text)
