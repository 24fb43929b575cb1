"""Pictures inside of pages: figures as SVG in the page's colours, small images as PNG."""

import base64
import functools
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from markupsafe import Markup
from matplotlib import image
from matplotlib.figure import Figure

from jaxnet.io import reading
from jaxnet.reporting import charts
from jaxnet.reporting.style import BLUE, DIVERGING, LIGHT_BLUE, RED, styled

PAGE_COLOURS = {
    "#000000": "currentColor",
    "#1a1a1a": "currentColor",
    "#ffffff": "var(--page)",
    "#d9d9d9": "var(--band)",
    "#b0b0b0": "var(--line)",
    "#4f6d3a": "var(--green)",
    RED: "var(--red)",
    BLUE: "var(--blue)",
    LIGHT_BLUE: "var(--light-blue)",
}
"""The colours that a dark page shows in another one: inks, paper, and the darker hues."""
READABLE = 0.85
"""The least scale of a figure on narrow screens, where it scrolls in its box: 9 pt become 10 px."""
HALF_COLUMN = 400
"""The width in pixels up to which a figure fits a narrow screen as it is."""


class Picture(NamedTuple):
    """A figure of a page."""

    name: str
    """What it shows, for those who do not see it."""
    content: Markup
    """Its HTML."""
    caption: str
    """What stands below it."""
    width: int
    """Its natural width in pixels; 0 for one that becomes as wide as there is room."""

    @property
    def least_width(self) -> int:
        """The width below which it scrolls in its box; 0 for none, as of half a column."""
        return round(READABLE * self.width) if self.width > HALF_COLUMN else 0


class Thumbnail(NamedTuple):
    """A small image of a page, in a row of others."""

    source: str
    """The address, which holds the image itself."""
    caption: str
    """What stands below it."""


def of_figure(name: str, figure: Figure, caption: str = "") -> Picture:
    """A figure as SVG, whose inks are those of the page.

    Args:
      name: what it shows, in words; no other figure of the page has the same.
      figure: the figure.
      caption: what stands below it.

    Returns:
      The picture.

    >>> of_figure("nothing", Figure()).width
    614
    """
    return of_svg(name, svg(figure), caption)


@styled
def svg(figure: Figure) -> bytes:
    """A figure as the content of an SVG file, with texts as texts and without paper.

    Args:
      figure: the figure.
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def of_svg(name: str, content: bytes, caption: str = "") -> Picture:
    """The content of an SVG file that matplotlib has written, as a part of a page.

    Args:
      name: what it shows, in words; no other figure of the page has the same.
      content: the content of the file.
      caption: what stands below it.

    Returns:
      The picture.

    Raises:
      ValueError: it is no such content, or would run a script; the message is a bare reason.
    """
    text = reading.utf8(content)
    opening = re.search(r'<svg [^>]*?width="([\d.]+)pt" height="[\d.]+pt" ([^>]*)>', text)
    if opening is None or re.search(r"<script|<[^>]*\son\w+=", text):
        raise ValueError("it is no SVG file that matplotlib has written")
    body = text[opening.end() : text.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>|<!--.*?-->", "", body, flags=re.S)
    body = re.sub(r'<g id="[^"]*"', "<g", body)  # nothing refers to these
    prefix = re.sub(r"\W+", "-", name)  # the same names stand in other figures, too
    body = re.sub(r"<[^>]*>", lambda tag: _adapted_tag(tag[0], prefix), body)  # texts stay
    body = re.sub(r"\s*\n\s*", "\n", body)
    view_box = re.search(r'viewBox="[^"]*"', opening[2])
    label = Markup.escape(name)
    tag = f'<svg role="img" aria-label="{label}" {view_box[0] if view_box else ""}>'
    return Picture(name, Markup(f"{tag}{body}</svg>"), caption, round(float(opening[1]) * 96 / 72))


def _adapted_tag(tag: str, prefix: str) -> str:
    """A tag of an SVG file with names of its own, the page's font and the page's colours."""
    tag = re.sub(r'\bid="', f'id="{prefix}-', tag)
    tag = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", tag)
    tag = re.sub(r"px '[^;\"]*sans-serif", "px system-ui, sans-serif", tag)
    return re.sub(r"#[0-9a-f]{6}\b", lambda colour: PAGE_COLOURS.get(colour[0], colour[0]), tag)


def of_svg_file(name: str, path: Path) -> Picture:
    """An SVG file that matplotlib has written, as a part of a page.

    Args:
      name: what it shows, in words; no other figure of the page has the same.
      path: the file.

    Raises:
      ValueError: the file cannot be read, or is no such picture.
    """
    remedy = "draw it again"
    return reading.read_content(path, "a picture", functools.partial(of_svg, name), remedy)


def of_png(name: str, content: bytes, caption: str = "") -> Picture:
    """The content of a PNG file as a part of a page.

    Args:
      name: what it shows, in words.
      content: the content of the file.
      caption: what stands below it.

    Returns:
      The picture.
    """
    tag = Markup('<img alt="{}" src="{}">').format(name, _png_address(content))
    return Picture(name, tag, caption, 0)


def grey_image(pixels: UInt8[np.ndarray, "height width"], caption: str) -> Thumbnail:
    """An example as a small image.

    Args:
      pixels: 0 for black to 255 for white.
      caption: what stands below it.
    """
    return Thumbnail(_png_address(charts.gray_png(pixels)), caption)


def signed_image(
    numbers: Float[np.ndarray, "height width"], largest: float, caption: str
) -> Thumbnail:
    """Numbers of both signs, such as the weights of a unit, as a small image; white is 0.

    Args:
      numbers: the numbers.
      largest: the size above which colours are no stronger.
      caption: what stands below it.
    """
    buffer = io.BytesIO()
    image.imsave(
        buffer, numbers, cmap=DIVERGING, vmin=-largest, vmax=largest, format="png"
    )  # fmt: skip
    return Thumbnail(_png_address(buffer.getvalue()), caption)


def scaled_to_bytes(
    examples: np.ndarray,
) -> Callable[[np.ndarray], UInt8[np.ndarray, "height width"]]:
    """How the inputs of a data set become pixels from 0 to 255.

    Args:
      examples: inputs, whose range becomes black to white; uint8 stays as it is.
    """
    low, high = (0, 255) if examples.dtype == np.uint8 else (examples.min(), examples.max())
    span = max(float(high) - float(low), 1e-12)
    return lambda pixels: (255.0 * np.clip((pixels - float(low)) / span, 0, 1)).astype(np.uint8)


def _png_address(content: bytes) -> str:
    """An address that holds a PNG image."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
