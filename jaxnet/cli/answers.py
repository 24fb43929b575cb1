"""Answers of a network on the screen: tables, and images in characters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from rich import box
from rich.table import Table

from jaxnet.cli.questions import Question

SHADES = " ░▒▓█"
"""Characters from black to white, as on a dark terminal."""
PLAIN_SHADES = " .:*#"
"""The same in ASCII."""
LIKELIEST = 5
"""The classes that are shown where all would be too wide."""


def answers_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The answers to the first rows of a table.

    Args:
      rows: the cells of each row by the names of the columns.
    """
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("row", justify="right")
    for name, cell in rows[0].items():
        table.add_column(name, justify="right" if isinstance(cell, float) else "left")
    for index, row in enumerate(rows):
        cells = [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row.values()]
        table.add_row(str(index), *cells)
    return table


def outputs_table(
    title: str,
    questions: Sequence[Question],
    outputs: Sequence[np.ndarray],
    in_percent: bool,
    classes: Sequence[str] | None,
    width: int,
) -> Table:
    """A row per example: the predicted class, and each output, or the largest if all are too wide.

    Args:
      title: what the outputs are, the title's first word: "Probability".
      questions: the examples.
      outputs: the outputs for each of them, (n_out,). A single output that stands for a class is
        that of class 1.
      in_percent: whether the outputs are in [0, 1], and shown in percent.
      classes: the names of the classes that outputs stand for, empty for 0, 1, 2, …; `None` if
        they stand for none.
      width: the width of the terminal.
    """
    n_out = len(outputs[0])
    texts = [[f"{100 * x:.0f}" if in_percent else f"{x:.4g}" for x in a] for a in outputs]
    names = _class_names(classes, n_out)
    columns = _first_columns(questions, outputs, None if classes is None else names)
    used = 2 + sum(_width(heading, cells) for heading, cells in columns.items())
    headings = names[1:2] if classes is not None and n_out == 1 else names[:n_out]
    by_output = {heading: [row[k] for row in texts] for k, heading in enumerate(map(str, headings))}
    is_too_wide = used + sum(_width(*column) for column in by_output.items()) > width
    is_wide = n_out > 10 or (is_too_wide and classes is not None and n_out > 2)
    if is_wide:
        n_shown = n_out
        orders = [np.arange(n_out) for _ in outputs]
        pairs = [[f"{name}: {cell}" for name, cell in zip(names, row)] for row in texts]
        if classes is not None:
            longest = 3 + max(len(pair) for row in pairs for pair in row)
            n_shown = min(LIKELIEST, max(1, (width - used) // longest))
            orders = [np.argsort(-a, kind="stable") for a in outputs]
        rows = [[row[k] for k in order[:n_shown]] for row, order in zip(pairs, orders)]
        by_output = {"": ["   ".join(row) for row in rows]}
    if classes is not None:
        which = "the likeliest classes" if is_wide else "each class"
        title = f"{title} of {f'class {names[1]}' if n_out == 1 else which}"
    title = f"{title}, in %" if in_percent else title
    table = Table(box=box.SIMPLE, padding=(0, 1), title=title, title_justify="left")
    for heading in columns:
        table.add_column(heading, style="bold" if heading == "says" else "", no_wrap=True)
    for heading in by_output:
        table.add_column(heading, justify="left" if is_wide else "right", no_wrap=True)
    for row in zip(*columns.values(), *by_output.values(), strict=True):
        table.add_row(*row)
    return table


def _class_names(classes: Sequence[str] | None, n_out: int) -> list[str]:
    """The names of the classes, or the numbers of the outputs."""
    return list(classes or map(str, range(max(2, n_out))))


def _first_columns(
    questions: Sequence[Question], outputs: Sequence[np.ndarray], names: Sequence[str] | None
) -> dict[str, list[str]]:
    """The columns before those of the outputs: the examples' names, their labels, their classes."""
    columns = {"image": [question.name for question in questions]}
    if any(question.label for question in questions):
        heading = "target" if names is None else "label"
        columns[heading] = [question.label for question in questions]
    if names is not None:
        columns["says"] = [names[class_of(a)] for a in outputs]
    return columns


def class_of(outputs: np.ndarray) -> int:
    """The predicted class.

    Args:
      outputs: the outputs of the classes, or that of class 1 alone, (n_out,).

    Returns:
      The number of the class.

    >>> class_of(np.array([0.4])), class_of(np.array([0.1, 0.2, 0.9]))
    (0, 2)
    """
    return int(outputs[0] > 0.5) if len(outputs) == 1 else int(outputs.argmax())


def _width(heading: str, cells: Sequence[str]) -> int:
    """The width of a column with its padding."""
    return 2 + max(map(len, (heading, *cells)))


def lines_of(image: Float[np.ndarray, "height width"], encoding: str) -> list[str]:
    """An image in characters, each of which stands for a pixel and the one below it.

    Args:
      image: grey values in [0, 1].
      encoding: the encoding of the terminal, or of the file.

    Returns:
      The lines, without the empty ones above and below, and without spaces at their ends.

    >>> lines_of(np.array([[0.0, 1.0, 0.5], [0.0, 1.0, 0.0]]), "utf-8")
    [' █░']
    >>> lines_of(np.array([[0.0, 1.0, 0.5], [0.0, 1.0, 0.0]]), "ascii")
    [' #.']
    """
    try:
        SHADES.encode(encoding)
        shades = SHADES
    except (UnicodeEncodeError, LookupError):
        shades = PLAIN_SHADES
    padded = np.pad(image, ((0, len(image) % 2), (0, 0)))
    pairs = padded.reshape(-1, 2, image.shape[1]).mean(axis=1)
    levels = np.rint(np.clip(pairs, 0, 1) * (len(shades) - 1)).astype(int)
    lines = ["".join(shades[level] for level in row).rstrip() for row in levels]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines
