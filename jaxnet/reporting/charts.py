"""Small charts for notebooks, as SVG in the colours of the page, which may be light or dark."""

import html
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 40, 38
"""The margins of a chart, in units of its picture."""
MOST_POINTS = 400
"""Longer curves are drawn by so many of their points."""
STYLES = {"training": 'stroke="#5b8fb4" stroke-dasharray="5 3"', "validation": 'stroke="#c9573c"'}
"""Hues that are readable on white and on black, and for the colour-blind by the dashes."""


class Interval(NamedTuple):
    """A row of `interval_chart`.

    Attributes:
      label: its name.
      low: the lower end.
      mean: the mean, which is marked.
      high: the upper end.
    """

    label: str
    low: float
    mean: float
    high: float


def ticks(low: float, high: float) -> list[float]:
    """Two to six round numbers from low to high.

    Args:
      low: the smallest number that is shown.
      high: the largest.

    Returns:
      The multiples of 1, 2 or 5 times a power of ten in this range.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(k * power for k in (1, 2, 5, 10) if span / (k * power) <= 5 + 1e-9)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def line_chart(
    title: str, curves: Mapping[str, Float[np.ndarray, " epochs"]], best: int, text: str
) -> str:
    """Curves by epoch.

    Args:
      title: what they are of, which stands above them.
      curves: "training", "validation" or both, each with a number for each epoch; NaN leaves a gap.
      best: the epoch, from 1, that is marked on the validation curve; 0 for none.
      text: the format of the numbers at the y-axis, such as "{:.0%}".

    Returns:
      The picture as an SVG element; nothing if no number is finite.
    """
    finite = np.concatenate([curve[np.isfinite(curve)] for curve in curves.values()] or [[]])
    if not finite.size:
        return ""
    n_epochs = max(map(len, curves.values()))
    low, high = float(finite.min()), float(finite.max())
    margin = 0.05 * (high - low) or abs(high) * 0.05 or 0.5
    low, high = low - margin, high + margin
    x_of = lambda epoch: LEFT + (epoch - 1) / max(1, n_epochs - 1) * (WIDTH - LEFT - RIGHT)
    y_of = lambda y: TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM)
    parts = [_text(LEFT, 14, title, "start", "bold")]
    for y in ticks(low, high):
        parts += [_line(LEFT, y_of(y), WIDTH - RIGHT, y_of(y)),
                  _text(LEFT - 6, y_of(y) + 4, text.format(y), "end")]  # fmt: skip
    for epoch in sorted({max(1, round(x)) for x in ticks(1, n_epochs)} | {1}):
        parts.append(_text(x_of(epoch), HEIGHT - 20, str(epoch), "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, "epoch", "middle"))
    for place, (name, curve) in enumerate(curves.items()):
        points = [(x_of(k + 1), y_of(float(curve[k]))) for k in _shown(len(curve))]
        x = LEFT + 120 * place
        parts += [_path(points, name), _path([(x, 28), (x + 22, 28)], name),
                  _text(x + 27, 32, name, "start")]  # fmt: skip
    marked = curves.get("validation", np.array([]))
    if 0 < best <= len(marked) and np.isfinite(marked[best - 1]):
        x, y = x_of(best), y_of(float(marked[best - 1]))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#c9573c"/>')
    return _svg(HEIGHT, parts)


def interval_chart(title: str, rows: Sequence[Interval], text: Callable[[float], str]) -> str:
    """Means with their intervals, one below the other.

    Args:
      title: what they are of.
      rows: the means; those that are not finite are left out.
      text: writes the numbers at the axis.

    Returns:
      The picture as an SVG element; nothing if no row is finite.
    """
    rows = [row for row in rows if np.isfinite(row[1:]).all()]
    if not rows:
        return ""
    low, high = min(row.low for row in rows), max(row.high for row in rows)
    margin = 0.05 * (high - low) or 0.5
    left, height = 130, 30 + 24 * len(rows) + 24
    x_of = lambda x: left + (x - low + margin) / (high - low + 2 * margin) * (WIDTH - left - RIGHT)
    bottom = height - 24
    parts = [_text(4, 14, title, "start", "bold")]
    for x in ticks(low - margin, high + margin):
        parts += [_line(x_of(x), 24, x_of(x), bottom),
                  _text(x_of(x), height - 8, text(x), "middle")]  # fmt: skip
    for place, row in enumerate(rows):
        y = 40 + 24 * place
        label = row.label if len(row.label) <= 18 else f"{row.label[:17]}…"
        parts += [
            _text(left - 10, y + 4, label, "end"),
            f'<path d="M{x_of(row.low):.1f} {y}H{x_of(row.high):.1f}" stroke="#5b8fb4" '
            'stroke-width="3"/>',
            f'<circle cx="{x_of(row.mean):.1f}" cy="{y}" r="4.5" fill="#c9573c"/>',
        ]
    return _svg(height, parts)


def gray_png(pixels: UInt8[np.ndarray, "height width"]) -> bytes:
    r"""A grey picture as the content of a PNG file.

    Args:
      pixels: 0 for black to 255 for white.

    Returns:
      The bytes.

    >>> gray_png(np.zeros((2, 3), np.uint8))[:4]
    b'\x89PNG'
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    height, width = pixels.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), pixels])  # each row begins with its filter
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )


def _shown(n: int) -> list[int]:
    """The places of a curve's points that are drawn, its ends among them."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).astype(int)).tolist()


def _path(points: list[tuple[float, float]], name: str) -> str:
    """A line through points; where one is not finite there is a gap."""
    steps, is_drawn = [], False
    for x, y in points:
        if math.isfinite(y):
            steps.append(f"{'L' if is_drawn else 'M'}{x:.1f} {y:.1f}")
        is_drawn = math.isfinite(y)
    if len(steps) == 1:  # a point is drawn as the end of a short line
        steps.append("h0.1")
    style = STYLES[name]
    return (
        f'<path d="{"".join(steps)}" fill="none" stroke-width="2" stroke-linecap="round" {style}/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A line of the grid."""
    return (
        f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="currentColor" '
        'stroke-opacity=".18"/>'
    )


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    """A text in the colour of the page."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="12" fill="currentColor">{html.escape(text)}</text>'
    )


def _svg(height: int, parts: Sequence[str]) -> str:
    """The picture of these parts, which becomes as wide as there is room."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" xmlns="http://www.w3.org/2000/svg" role="img">'
        f"{''.join(parts)}</svg>"
    )
