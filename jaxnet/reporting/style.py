"""The one style of all figures: palette, frame and sizes, readable in print and in grey."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypedDict, TypeVar

import matplotlib
from matplotlib.axes import Axes

P = ParamSpec("P")
Drawn = TypeVar("Drawn")
Dashes = str | tuple[int, tuple[int, ...]]
"""A line style of matplotlib: a name, or an offset and the lengths of dashes and gaps."""

ON_DARK, ON_LIGHT = "#fdfdfd", "#111111"
"""Texts on colours, which stay as they are on a dark page, where black is shown as white."""
RED, BLUE, BLACK, LIGHT_BLUE, GREY = "#b3402a", "#0072b2", "#1a1a1a", "#7aa6c2", "#7f7f7f"
# Okabe and Ito's colours, with a line style each: readable in grey and by the colour-blind.
COLOURS = (RED, BLUE, BLACK, "#c98a00", "#009e73", "#a8508c", "#56b4e9", GREY)
"""The palette."""
DASHES: tuple[Dashes, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1)),
    (0, (3, 1, 1, 1)),
    (0, (1, 1)),
    (0, (7, 2)),
)
"""The line styles."""
SEQUENTIAL, DIVERGING = "viridis", "PuOr"
"""Colour maps of amounts, and of differences from 0."""
WIDTH = 7.0
"""The width of most figures in inches: that of a printed text, where sizes are what they say."""
MOST_DOTS = 300
"""Dots that an SVG file has one by one: more are pixels, which take less space."""
SETTINGS: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "figure.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "figure.dpi": 150,
    "savefig.dpi": "figure",
    "svg.hashsalt": "jaxnet",  # the same figure gives the same bytes
    "pdf.fonttype": 42,  # journals refuse matplotlib's own Type 3 fonts
}
"""The settings of matplotlib."""


def ink_on(colour: Iterable[float]) -> str:
    """The colour of a text on a coloured ground: the one of two that stands out more.

    Args:
      colour: red, green and blue of the ground, from 0 to 1.

    Returns:
      `ON_DARK` or `ON_LIGHT`.

    Source: Web Content Accessibility Guidelines 2.2, relative luminance and contrast ratio.

    >>> ink_on((0.0, 0.0, 0.5)), ink_on((0.1, 0.6, 0.6))
    ('#fdfdfd', '#111111')
    """
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
             for part in [*colour][:3]]  # fmt: skip
    luminance = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    return ON_DARK if luminance < 0.18 else ON_LIGHT  # where both inks have the same contrast


class LineStyle(TypedDict):
    """Keyword arguments of `Axes.plot` that tell lines apart."""

    color: str
    linestyle: Dashes


def line_style(k: int) -> LineStyle:
    """The style of the k-th line of a figure.

    Args:
      k: its place, from 0; 64 of them are different.

    Returns:
      The colour and the dashes.

    >>> line_style(1)
    {'color': '#0072b2', 'linestyle': '--'}
    """
    n = len(COLOURS)  # from the n-th line on, the same colours have other dashes
    return {"color": COLOURS[k % n], "linestyle": DASHES[(k + k // n) % n]}


def literal(text: str) -> str:
    r"""A text that matplotlib draws letter by letter.

    Between two "$" it would read a formula, and it leaves labels that begin with "_" out of
    legends; nobody sees the space of no width in front of them.

    Args:
      text: the text, such as the name of a column.

    >>> literal("$5-$10")
    '\\$5-\\$10'
    """
    text = text.replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text


def styled(draw: Callable[P, Drawn]) -> Callable[P, Drawn]:
    """A function that draws in this style, whatever matplotlib is set to.

    Args:
      draw: a function that makes a figure, or renders one.

    Returns:
      The function.

    >>> styled(lambda: matplotlib.rcParams["font.size"])()
    9.0
    """

    @functools.wraps(draw)
    def within(*args: P.args, **kwargs: P.kwargs) -> Drawn:
        with matplotlib.rc_context(SETTINGS):
            return draw(*args, **kwargs)

    return within


def remove_frame(axes: Axes) -> None:
    """Remove the upper and the right line of a frame, and draw a light grid.

    Args:
      axes: the panel.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
