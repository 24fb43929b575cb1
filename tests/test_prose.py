"""Names, docstrings and annotations can be understood: counts of what is missing, all 0."""

import subprocess
import sys
from pathlib import Path

import prose
import pytest

MISSING = prose.missing()


@pytest.mark.parametrize("title", MISSING)
def test_nothing_is_missing(title):
    assert MISSING[title] == []


def _with_docstring(docstring):
    def function(width, *rates, **options):
        pass

    function.__doc__ = docstring
    return prose.PublicObject("function", function)


FULL = """Widen a layer.

    Args:
      width: number of units, at least 1:
        and so on.
      *rates: learning rates.
      **options: others.

    >>> 1 + 1
    2
    """


def test_the_counts_find_what_is_missing(monkeypatch, tmp_path):
    """Each detector finds a fault that is planted, and none where there is none."""
    monkeypatch.setattr(prose, "public_objects", lambda: [_with_docstring(FULL)])
    assert prose.functions_without_args() == prose.objects_without_example() == []
    assert prose.objects_without_docs() == ["function"]
    shorter = FULL.replace("*rates:", "rates").replace(">>> 1", "1")
    monkeypatch.setattr(prose, "public_objects", lambda: [_with_docstring(shorter)])
    assert prose.functions_without_args() == ["function: rates"]
    assert prose.objects_without_example() == ["function"]
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    source = "def found(one, x: Any):\n    'The found one.'\n    return told.some(said=it)\n"
    (tmp_path / "module.py").write_text(source)
    names = {place.split()[1] for place in prose.vague_names([tmp_path / "module.py"])}
    assert names == {"found", "one", "told", "some", "said", "it"}
    assert prose.uses_of_any([tmp_path / "module.py"]) == ["module.py:1"]


def test_a_draw_depends_on_its_seed_alone():
    first = prose.draw(1)
    assert first == prose.draw(1) != prose.draw(2)
    assert first.count("\n----\n") == prose.N_DOCSTRINGS + prose.N_MESSAGES - 1


def test_the_script_counts():
    script = Path(prose.__file__)
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert len([line for line in run.stdout.splitlines() if line[0].isdigit()]) == len(MISSING)
