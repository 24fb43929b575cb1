"""HTML pages that open offline: one family of templates, with all that a page shows in its file.

The templates lie in the folder `templates`; all of them extend `base.html`, which has the style,
the script that sorts and filters tables, and the head with data, date, versions and command.
Whatever is filled in is escaped.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from jaxnet.io import files
from jaxnet.io.csv import Row

Column = tuple[str, Callable[[Row], str]]
"""A column of a table: its heading, and a function that returns the cell's text for a row."""


class Table(NamedTuple):
    """A table as the templates show it; people sort it by a heading, and filter long ones."""

    name: str
    """What it shows, which stands above it."""
    headings: list[tuple[str, bool]]
    """The text of each heading, and whether its column is text and no number."""
    rows: list[list[str]]
    """The texts of the cells, row by row."""
    note: str = ""
    """What has to be known to read it."""
    is_sorted: bool = True
    """Whether people may sort it."""


class Top(NamedTuple):
    """What stands at the top of a page."""

    kind: str
    """What the page is of, such as "Training run"."""
    title: str
    """Which one."""
    facts: list[tuple[str, str]]
    """Names and texts: data, date, versions."""
    command: str = ""
    """The command that does all of it again; empty where there is none."""
    warnings: tuple[str, ...] = ()
    """What makes the results doubtful, in sentences."""


def table(
    name: str,
    rows: Sequence[Row],
    columns: Sequence[Column],
    texts: Sequence[str] = (),
    note: str = "",
    *,
    is_sorted: bool = True,
) -> Table:
    """A table of rows.

    Args:
      name: what it shows.
      rows: the rows, each a dict of values.
      columns: heading and cell text of each column; the first column is text.
      texts: the headings of other columns that are text instead of numbers.
      note: what has to be known to read it.
      is_sorted: whether people may sort it.

    Returns:
      The table, for a template.

    >>> table("Seeds", [{"n": 3}], [("seeds", lambda row: str(row["n"]))]).rows
    [['3']]
    """
    headings = [
        (heading, place == 0 or heading in texts) for place, (heading, _) in enumerate(columns)
    ]
    return Table(
        name, headings, [[text(row) for _, text in columns] for row in rows], note, is_sorted
    )


def date_text(seconds: float | None = None) -> str:
    """A date and a time of day in this place, such as "2026-07-31 09:00".

    Args:
      seconds: since 1970; `None`, the default, for now.
    """
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def versions_text(environment: Mapping[str, Any] | None = None) -> str:
    """The versions and the device that a result may depend on, in a line.

    Args:
      environment: what `jaxnet.io.files.environment` returned where the result was made; `None`,
        the default, for this process.

    >>> versions_text({"versions": {"jaxnet-mlp": "0.3.0"}, "device": {"kind": "cpu"}})
    'jaxnet-mlp 0.3.0; cpu'
    """
    made_in = files.environment() if environment is None else environment
    versions = sorted(made_in["versions"].items(), key=lambda item: item[0] != "jaxnet-mlp")
    texts = ", ".join(f"{name} {version}" for name, version in versions)
    return f"{texts}; {made_in['device']['kind']}"


def render(template: str, top: Top, **content: object) -> str:
    """A complete page.

    Args:
      template: the name of a file in the folder `templates`.
      top: what stands at its top.
      **content: what else the template shows, by name. A template whose name is missing refuses.

    Returns:
      The page, as the content of an .html file.

    >>> page = render("base.html", Top("Run", "A < B", [("Data", "xor")]))
    >>> "<title>A &lt; B</title>" in page
    True
    """
    return _environment().get_template(template).render(top=top, **content)


@functools.cache
def _environment() -> Environment:
    """The templates of this package."""
    return Environment(
        loader=PackageLoader("jaxnet.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
