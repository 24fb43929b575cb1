"""Settings of the documentation.

Build it, without a network connection, by

    python -m sphinx -W --keep-going -b html docs docs/_build/html
"""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

# Document the jaxnet beside this folder, whether or not it is installed.
sys.path.insert(0, str(Path(__file__).parent.parent))

import jaxnet
from jaxnet.reporting import demo_pages

project = "jaxnet"
version = release = jaxnet.__version__
extensions = [
    "myst_parser",  # pages are written in Markdown
    "sphinx.ext.autodoc",  # the reference is generated from the docstrings,
    "sphinx.ext.napoleon",  # which are in Google's style
]
exclude_patterns = ["_build"]
myst_heading_anchors = 3  # links such as first_network.md#train

html_theme = "furo"
html_title = f"jaxnet {version}"
html_static_path = ["_static"]
html_css_files = ["jaxnet.css"]
html_copy_source = html_show_copyright = html_show_sphinx = False
pygments_dark_style = "monokai"

# `name` in a docstring is a link if the reference has an object of that name, and code otherwise.
default_role = "py:obj"
# Report links of the pages that lead nowhere, but not what docstrings name without a link.
nitpicky = True
nitpick_ignore_regex = [("py:obj", r"(?s:.*)"), (r"py:\w+", r"(?!jaxnet\b)(?s:.*)")]
napoleon_numpy_docstring = False
napoleon_attr_annotations = False  # unions of array types would fill the page
napoleon_use_ivar = True  # attributes as a compact list, as arguments are
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings state types and shapes in words
python_maximum_signature_line_length = 80  # longer signatures have one parameter per line
toc_object_entries_show_parents = "hide"

# Group 1 is markup that stays: code, links, *emphasis*, escapes. Group 2 is text that
# reStructuredText would take for markup: *args, |z|, w_.
MARKUP = re.compile(
    r"(`+[^`]+`+_*|\*\*?[^\s*](?:[^*]*[^\s*])?\*\*?|\\.)|(\*(?=\S)|\|(?=\S)|(?<=\w)_(?!\w))"
)


def prepare_attribute(app, what, name, obj, options, lines):
    """Before napoleon, which takes "text: more text" about an attribute for "type: description"."""
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()  # what Python writes about a field of a NamedTuple without a docstring
    elif what in ("attribute", "property"):
        lines[:0] = ["..", ""]  # an empty comment


def escape_plain_text(app, what, name, obj, options, lines):
    """After napoleon: escape plain text, and show `parameter` as code, never as a link.

    Doctests and literal blocks (after ::) stay as they are.
    """
    try:
        parameters = {f"`{parameter}`" for parameter in inspect.signature(obj).parameters}
    except (TypeError, ValueError):  # not callable
        parameters = set()

    def protected(match):
        if match[0] in parameters:
            return f"`{match[0]}`"
        return match[1] or "\\" + match[2]

    doctest, literal = False, None  # in a doctest; the indentation of the line before a block
    for index, line in enumerate(lines):
        indentation = len(line) - len(line.lstrip())
        doctest = bool(line.strip()) and (doctest or line.lstrip().startswith(">>>"))
        if literal is not None and line.strip() and indentation <= literal:
            literal = None
        if not doctest and literal is None:
            lines[index] = MARKUP.sub(protected, line)
            literal = indentation if line.rstrip().endswith("::") else None


def name_functions(app, what, name, obj, options, signature, annotation):
    """Show a default that is a function by its name, not as <function name>."""
    return signature and re.sub(r"<function (\w+)>", r"\1", signature), annotation


class CommandHelp(Directive):
    """The help page of a command of jaxnet, or of all."""

    optional_arguments = 1

    def run(self):
        """The page as a literal block, 92 columns wide."""
        command = [sys.executable, "-m", "jaxnet", *self.arguments, "--help"]
        environment = os.environ | {"COLUMNS": "92", "NO_COLOR": "1"}
        page = subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment,
            cwd=Path(__file__).parent.parent,
        ).stdout  # fmt: skip
        block = nodes.literal_block(page, page)
        block["language"] = "text"
        return [block]


def write_notebook(app, exception):
    """Write the page notebook_tour.md beside it as a notebook, which the page links to."""
    if exception is not None or app.builder.format != "html":
        return
    page = (Path(__file__).parent / "notebook_tour.md").read_text(encoding="utf-8")
    outputs = r"^(```text\n.*?^```|!\[.*?\)|It needs the .*?cells\.)\n"
    source_alone = re.sub(outputs, "", page, flags=re.M | re.S)
    cells = []
    for index, part in enumerate(
        re.split(r"^```python\n(.*?)^```\n", source_alone, flags=re.M | re.S)
    ):
        if source := part.strip():
            code = {"cell_type": "code", "execution_count": None, "outputs": []}
            cells.append(
                (code if index % 2 else {"cell_type": "markdown"})
                | {"id": f"cell-{index}", "metadata": {}, "source": source}
            )
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = Path(app.outdir) / "notebook_tour.ipynb"
    path.write_text(json.dumps(notebook, indent=1), encoding="utf-8")


def write_demos(app, exception):
    """Write the interactive pages to the folder demos, to which the page demos.md links."""
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "demos"
    folder.mkdir(exist_ok=True)
    for name in demo_pages.TITLES:
        (folder / f"{name}.html").write_text(demo_pages.demo_page(name), encoding="utf-8")


def setup(app):
    """Connect the functions above to events; napoleon has priority 500."""
    app.add_directive("command-help", CommandHelp)
    app.connect("autodoc-process-docstring", prepare_attribute, priority=400)
    app.connect("autodoc-process-docstring", escape_plain_text, priority=600)
    app.connect("autodoc-process-signature", name_functions)
    app.connect("build-finished", write_notebook)
    app.connect("build-finished", write_demos)
