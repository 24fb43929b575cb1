"""Parameters of tests, of which some are representatives of all."""

from collections.abc import Iterable

import pytest


def representatives(names: Iterable[str], *always: str) -> list[object]:
    """Parameters of a test: some are always tested, the others among the exhaustive tests.

    Args:
      names: all parameters, such as a registry's names.
      always: those that stand for the others.

    Returns:
      All of them; the others have the mark "exhaustive".
    """
    names = list(names)
    assert set(always) <= set(names), f"{set(always) - set(names)} are no parameters"
    exhaustive = pytest.mark.exhaustive
    return [name if name in always else pytest.param(name, marks=exhaustive) for name in names]
