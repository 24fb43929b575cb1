"""Golden files: what a command printed when a person last looked at it."""

import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "cli" / "golden"


def assert_golden(name: str, text: str) -> None:
    """Compare a text with its file in tests/cli/golden, or write it where RENEW_GOLDEN is set.

    Args:
      name: the file's name, without its suffix.
      text: what was printed.
    """
    path = FOLDER / f"{name}.txt"
    if os.environ.get("RENEW_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    assert text == expected, f"{path.name} differs; RENEW_GOLDEN=1 pytest … writes it anew"
