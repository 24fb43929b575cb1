"""Answers of a network on the screen: tables, and images in characters."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from rich import box
from rich.cells import cell_len
from rich.table import Table

from jaxnet.cli import console
from jaxnet.cli.questions import Question

SHADES = " ░▒▓█"
"""Characters from black to white, as on a dark terminal."""
PLAIN_SHADES = " .:*#"
"""The same in ASCII."""
LIKELIEST = 5
"""The classes that are shown where all would be too wide."""


LEAST_ROOM = 20
"""The characters for the likeliest classes for which other names are cut."""
SHORTEST_NAME = 4
"""The length below which no name is cut."""


class _Column(NamedTuple):
    """A column of a table."""

    heading: str
    cells: list[str]
    is_name: bool = False
    """Whether it holds names, which are cut where the table is too wide; numbers never are."""
    justify: Literal["left", "right"] = "right"


def number_text(number: float) -> str:
    """A number to four digits; from a thousand up to one decimal, without an exponent.

    Args:
      number: any number.

    >>> number_text(280641.21), number_text(0.51239), number_text(2e-7)
    ('280641.2', '0.5124', '2e-07')
    """
    return f"{number:.1f}" if 1e3 <= abs(number) < 1e9 else f"{number:.4g}"


def answers_table(
    rows: Sequence[dict[str, Any]], are_classes: bool, in_percent: bool, width: int
) -> Table:
    """The answers to the first rows of a table.

    Args:
      rows: the cells of each row by the names of the columns: the answer, then numbers.
      are_classes: whether the numbers are the outputs p(CLASS) of classes. Where all of them are
        too wide, those of the two likeliest are shown.
      in_percent: whether these outputs are in [0, 1], and shown in percent.
      width: the width of the terminal.
    """
    text = lambda number: (_share if in_percent else number_text)(float(number))
    answer, *others = rows[0]
    answers = [row[answer] for row in rows]
    first = [
        _Column("row", [str(index) for index in range(len(rows))]),
        _Column(answer, list(map(str, answers)), is_name=True, justify="left")
        if are_classes
        else _Column(answer, [number_text(float(number)) for number in answers]),
    ]
    columns = first + [_Column(name, [text(row[name]) for row in rows]) for name in others]
    if not are_classes or _width(columns) <= width:
        return _table(columns, width)
    pairs = [sorted(others, key=lambda name, row=row: -row[name])[:2] for row in rows]
    largest, second = ([(pair[k], row) for pair, row in zip(pairs, rows)] for k in (0, 1))
    columns = [
        *first,
        _Column("p", [text(row[name]) for name, row in largest]),
        _Column(
            "next",
            [name.removeprefix("p(").removesuffix(")") for name, _ in second],
            is_name=True,
            justify="left",
        ),
        _Column("p", [text(row[name]) for name, row in second]),
    ]
    return _table(columns, width, "The two likeliest classes; --output FILE writes all")


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
    texts = [
        [f"{100 * x:.0f}" if in_percent else number_text(float(x)) for x in a] for a in outputs
    ]
    names = _class_names(classes, n_out)
    first = _first_columns(questions, outputs, None if classes is None else names)
    headings = names[1:2] if classes is not None and n_out == 1 else names[:n_out]
    by_output = [_Column(name, [row[k] for row in texts]) for k, name in enumerate(headings)]
    is_wide = n_out > 10 or (n_out > 2 and _width([*first, *by_output]) > width)
    if is_wide:
        # Names are whole, or as short as they may be, where that leaves too little to the outputs.
        shortest = [_cut(column, SHORTEST_NAME) if column.is_name else column for column in first]
        whole, most = (
            width - _width([*columns, _Column("", [""])]) for columns in (first, shortest)
        )
        room = max(whole, min(most, LEAST_ROOM))
        by_output = [_pairs(names, texts, outputs if classes is not None else None, room)]
    if classes is not None:
        which = "the likeliest classes" if is_wide else "each class"
        title = f"{title} of {f'class {names[1]}' if n_out == 1 else which}"
    title = f"{title}, in %" if in_percent else title
    return _table([*first, *by_output], width, title)


def _share(output: float) -> str:
    """An output in [0, 1] in percent; "<0.1%" if that would be 0.0% of a number above 0."""
    return "<0.1%" if 0 < output < 5e-4 else console.percent(output, 1)


def _pairs(
    names: Sequence[str],
    texts: Sequence[Sequence[str]],
    ranked_by: Sequence[np.ndarray] | None,
    room: int,
) -> _Column:
    """A column of as many outputs with their names as fit: the largest, or the first ones."""
    longest_text = max(len(text) for row in texts for text in row)
    limit = max(SHORTEST_NAME, room - len(": ") - longest_text)
    cells = [
        [f"{_shortened(name, limit)}: {text}" for name, text in zip(names, row)] for row in texts
    ]
    between = "   "
    longest = len(between) + max(len(cell) for row in cells for cell in row)
    n_shown = max(1, (room + len(between)) // longest)
    if ranked_by is None:
        orders = [np.arange(len(names))[:n_shown] for _ in texts]
    else:
        orders = [np.argsort(-a, kind="stable")[: min(LIKELIEST, n_shown)] for a in ranked_by]
    rows = [between.join(row[k] for k in order) for row, order in zip(cells, orders)]
    heading = ""
    if ranked_by is None and n_shown < len(names):
        heading = f"the first {n_shown} of {len(names)}"
    return _Column(heading if len(heading) <= room else "", rows, justify="left")


def _shortened(name: str, limit: int) -> str:
    """A name of at most so many characters."""
    return name if len(name) <= limit else f"{name[: limit - 1]}…"


def _cut(column: _Column, limit: int) -> _Column:
    """A column of names of at most so many characters."""
    cells = [_shortened(cell, limit) for cell in column.cells]
    return column._replace(heading=_shortened(column.heading, limit), cells=cells)


def _table(columns: Sequence[_Column], width: int, title: str | None = None) -> Table:
    """A table whose longest names are cut until it fits; numbers are whole in any case."""
    columns = list(columns)
    while _width(columns) > width:
        lengths = [_length(column) if column.is_name else 0 for column in columns]
        widest = lengths.index(max(lengths))
        if lengths[widest] <= SHORTEST_NAME:
            break
        columns[widest] = _cut(columns[widest], lengths[widest] - 1)
    table = Table(box=box.SIMPLE, padding=(0, 1), title=title, title_justify="left")
    for column in columns:
        style = "bold" if column.heading == "says" else ""
        table.add_column(
            column.heading,
            style=style,
            justify=column.justify,
            no_wrap=True,
            min_width=_length(column),
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table


def _length(column: _Column) -> int:
    """The length of a column's longest text."""
    return max(map(cell_len, (column.heading, *column.cells)))


def _width(columns: Sequence[_Column]) -> int:
    """The width of a table: its texts, a blank on both sides of each, and lines between them."""
    return 1 + sum(3 + _length(column) for column in columns)


def _class_names(classes: Sequence[str] | None, n_out: int) -> list[str]:
    """The names of the classes, or the numbers of the outputs."""
    return list(classes or map(str, range(max(2, n_out))))


def _first_columns(
    questions: Sequence[Question], outputs: Sequence[np.ndarray], names: Sequence[str] | None
) -> list[_Column]:
    """The columns before those of the outputs: the examples' names, their labels, their classes."""
    columns = [
        _Column("image", [question.name for question in questions], is_name=True, justify="left")
    ]
    if any(question.label for question in questions):
        labels = [question.label for question in questions]
        columns.append(
            _Column("target", labels, justify="left")
            if names is None
            else _Column("label", labels, is_name=True, justify="left")
        )
    if names is not None:
        says = [names[class_of(a)] for a in outputs]
        columns.append(_Column("says", says, is_name=True, justify="left"))
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
