"""The documentation runs, is complete, and builds without a warning.

A page's ```python blocks run in order, in one namespace and in an empty folder. A ```text block
right after one of them is what it prints, where "..." stands for any text.
"""

import doctest
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import notebooks
import pytest

import jaxnet as jn
from jaxnet.reporting import demo_pages

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text()
    for path in sorted(DOCS.rglob("*.md"))
    if "_build" not in path.parts
}
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\s*^```text\n(?P<printed>.*?)^```\n)?", re.M | re.S
)
BUILD_NEEDS = ("sphinx", "myst_parser", "furo")
MISSING = [name for name in BUILD_NEEDS if importlib.util.find_spec(name) is None]


NOTEBOOKS = ("notebook_tour.md",)
"""Pages that run as notebooks, in tests/reporting/test_notebook.py."""


@pytest.mark.parametrize(
    "page", [page for page in PAGES if BLOCK.search(PAGES[page]) and page not in NOTEBOOKS]
)
def test_code_of_a_page_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    namespace = {"__name__": "__main__"}
    for number, block in enumerate(BLOCK.finditer(PAGES[page]), start=1):
        first_line = PAGES[page].count("\n", 0, block.start("code"))
        where = f"docs/{page}, line {first_line + 1}, block {number}"
        # The empty lines let a traceback show the page's line numbers.
        try:
            exec(compile("\n" * first_line + block["code"], f"docs/{page}", "exec"), namespace)
        except Exception as error:
            pytest.fail(f"{where} raises {type(error).__name__}: {error}\n{block['code']}")
        printed, expected = capsys.readouterr().out, block["printed"]
        if expected is not None:
            same = doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)
            assert same, f"{where} should print\n{expected}\nbut prints\n{printed}"


def test_every_page_is_in_a_table_of_contents():
    """Starting from index.md, following toctrees."""
    reached, left = set(), ["index.md"]
    while left:
        page = left.pop()
        reached.add(page)
        assert page in PAGES, f"docs/{page} is in a toctree, but there is no such page"
        for toctree in re.findall(r"^```\{toctree\}\n(.*?)^```", PAGES[page], re.M | re.S):
            entries = [line.strip() for line in toctree.splitlines()]
            names = [entry for entry in entries if entry and not entry.startswith(":")]
            pages = [(Path(page).parent / f"{name}.md").as_posix() for name in names]
            left += [name for name in pages if name not in reached]
    assert set(PAGES) - reached == set(), "pages that no toctree leads to"


def test_every_public_name_is_in_the_reference():
    modules = {name for name in jn.__all__ if getattr(jn, name).__class__.__name__ == "module"}
    names = set(jn.__all__) - modules
    for module in ("activations", "costs", "initializers", "schedules"):
        registered = list(getattr(jn, module).NAMED.values())
        public = [name for name in vars(getattr(jn, module)) if not name.startswith("_")]
        for entry in registered:
            aliases = {name for name in public if getattr(getattr(jn, module), name) is entry}
            names.add(f"{module}.{min(aliases)}")
    text = "\n".join(text for page, text in PAGES.items() if page.startswith("reference/"))
    directives = r"(?:auto\w+|py:data|py:module):: (?:jaxnet\.)?"
    documented = set(re.findall(rf"{directives}([\w.]+)", text))
    documented |= set(re.findall(r"`jn\.([\w.]+)`", text))
    assert names - documented == set(), "public names that docs/reference does not have"
    undocumented = {m for m in modules if not any(d.startswith(f"{m}.") for d in documented)}
    assert undocumented == set(), "public modules that docs/reference does not have"


@pytest.mark.skipif(bool(MISSING), reason=f"needs the extra docs: no {', '.join(MISSING)}")
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    folders = ["-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "html")]
    build = subprocess.run([*command, *folders], capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
    assert (tmp_path / "html" / "index.html").exists()
    notebook = json.loads((tmp_path / "html" / "notebook_tour.ipynb").read_text(encoding="utf-8"))
    codes = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert codes == [code for code, _ in notebooks.cells_of(PAGES["notebook_tour.md"])]
    links = re.findall(r'href="(demos/\w+\.html)"', PAGES["demos.md"])
    assert links == [f"demos/{name}.html" for name in demo_pages.TITLES]
    assert all((tmp_path / "html" / link).exists() for link in links)


def test_the_page_of_packages_names_every_module():
    rows = re.findall(r"^\| \d+ \| `(\w+)` \| (.*?) \|", PAGES["packages.md"], re.M)
    documented = {package: set(re.findall(r"`(\w+)`", modules)) for package, modules in rows}
    source = DOCS.parent / "jaxnet"
    assert documented == {
        folder.name: {path.stem for path in folder.glob("*.py")} - {"__init__"}
        for folder in source.iterdir()
        if (folder / "__init__.py").exists()
    }
