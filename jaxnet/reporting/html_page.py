"""HTML pages that open offline: styles, tables and images are all inside one file."""

import base64
import html
from collections.abc import Callable, Sequence

from jaxnet.io.csv import Row

Column = tuple[str, Callable[[Row], str]]
"""A column of a table: its heading, and a function that returns the cell's text for a row."""
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
.sub, figcaption, .note { color: #555; font-size: .9rem; }
ul { padding-left: 1.2rem; }
.warning { border-left: 4px solid #b3402a; background: #fbf1ee; padding: .4rem .8rem;
           margin: .5rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #ddd;
         white-space: nowrap; }
th { border-bottom: 2px solid #999; font-weight: 600; white-space: normal;
     vertical-align: bottom; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
figure { margin: 1.2rem 0 1.8rem; }
img { max-width: 100%; height: auto; }
code { font-size: .85rem; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; }
               figure, table, .warning { break-inside: avoid; } h2 { break-after: avoid; }
               .wide { overflow: visible; } table { font-size: 7.5pt; }
               th, td { white-space: normal; padding: .15rem .3rem; } }
"""


def document(title: str, parts: Sequence[str]) -> str:
    """A complete HTML page.

    Args:
      title: the title, as plain text; it is escaped.
      parts: the elements of the body, as HTML; empty ones are left out.

    Returns:
      The page, as the content of an .html file.

    >>> "<title>A &lt; B</title>" in document("A < B", ["<h1>A &lt; B</h1>"])
    True
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def table(rows: Sequence[Row], columns: Sequence[Column], texts: Sequence[str] = ()) -> str:
    """An HTML table, with a scroll bar of its own if it is wider than the screen.

    Args:
      rows: the rows, each a dict of values.
      columns: heading and cell text of each column; the first column is aligned as text.
      texts: the headings of other columns that are aligned as text instead of numbers.

    Returns:
      The table as HTML; headings and cells are escaped.

    >>> table([{"n": 3}], [("seeds", lambda row: str(row["n"]))])
    '<div class="wide"><table><tr><th>seeds</th></tr><tr><td>3</td></tr></table></div>'
    """
    css_class = lambda heading: ' class="text"' if heading in texts else ""
    head = "".join(f"<th{css_class(heading)}>{html.escape(heading)}</th>" for heading, _ in columns)
    body = ""
    for row in rows:
        cells = (
            f"<td{css_class(heading)}>{html.escape(cell_text(row))}</td>"
            for heading, cell_text in columns
        )
        body += f"<tr>{''.join(cells)}</tr>"
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def figure(name: str, content: bytes, caption: str = "") -> str:
    """A PNG image inside of the page, with a caption.

    Args:
      name: the image's name; with spaces for underscores it is the alternative text.
      content: the bytes of the PNG file.
      caption: the text below the image, which is escaped.

    Returns:
      The figure as HTML.

    >>> figure("a_b", b"", "a caption")[:40]
    '<figure><img alt="a b" src="data:image/p'
    """
    source = base64.b64encode(content).decode()
    return (
        f'<figure><img alt="{name.replace("_", " ")}" src="data:image/png;base64,{source}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )
