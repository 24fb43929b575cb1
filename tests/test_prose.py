"""Names, docstrings and annotations can be understood: counts of what is missing, all 0."""

import sys

import prose


def test_nothing_is_missing_and_the_script_says_so(monkeypatch, capsys):
    missing = prose.missing()
    assert {title: members for title, members in missing.items() if members} == {}
    monkeypatch.setattr(prose, "missing", lambda: missing)
    monkeypatch.setattr(sys, "argv", ["prose.py", "--strict"])
    assert prose.main() == 0
    assert capsys.readouterr().out.splitlines() == [f"0 {title}" for title in missing]


def test_the_script_lists_what_is_missing(monkeypatch, capsys):
    lists = {"names": ["told", "said"], "examples": []}
    monkeypatch.setattr(prose, "missing", lambda: lists)
    monkeypatch.setattr(sys, "argv", ["prose.py", "--strict"])
    assert prose.main() == 1
    assert capsys.readouterr().out == "2 names\n  told\n  said\n0 examples\n"
    monkeypatch.setattr(sys, "argv", ["prose.py"])
    assert prose.main() == 0


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


def test_a_draw_depends_on_its_seed_alone(monkeypatch):
    docstrings, messages = (
        find(sorted((prose.ROOT / "jaxnet" / "core").glob("*.py")))
        for find in (prose.all_docstrings, prose.all_messages)
    )
    monkeypatch.setattr(prose, "all_docstrings", lambda paths: docstrings)
    monkeypatch.setattr(prose, "all_messages", lambda paths: messages)
    first = prose.draw(1)
    assert first == prose.draw(1) != prose.draw(2)
    assert first.count("\n----\n") == prose.N_DOCSTRINGS + prose.N_MESSAGES - 1
