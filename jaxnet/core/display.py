"""How objects show themselves: in a line of text, and in a notebook."""

from collections.abc import Sequence
from functools import singledispatch


@singledispatch
def html_of(value: object) -> str | None:
    """An object as HTML, which a notebook shows in place of its text.

    `jaxnet.reporting.notebook` registers a function for each class, so that what they draw with is
    imported by whoever looks at an object, and nothing below knows of it.

    Args:
      value: the object.

    Returns:
      The HTML; `None`, by which a notebook shows the text, where no function is registered.

    >>> html_of(3) is None
    True
    """
    del value
    return None


def brief_array(value: object) -> str:
    """The type and the shape of an array; other objects as they are.

    Args:
      value: any object, such as a field of a `Split`.

    Returns:
      Such as "float32 (5, 784)".

    >>> import numpy as np
    >>> brief_array(np.zeros((5, 2), np.uint8)), brief_array(None)
    ('uint8 (5, 2)', 'None')
    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return repr(value) if shape is None or not shape else f"{dtype} {tuple(shape)}"


def brief_repr(record: object, names: Sequence[str]) -> str:
    """A record in one line, with types and shapes in place of arrays.

    Args:
      record: the record.
      names: the fields to show; those that are `None` are left out.

    Returns:
      The text, such as "Split(x=uint8 (5, 784), y=int64 (5,))".

    >>> from jaxnet.core.types import Split
    >>> import numpy as np
    >>> brief_repr(Split(np.zeros((5, 2)), np.zeros((5, 1))), ["x", "y"])
    'Split(x=float64 (5, 2), y=float64 (5, 1))'
    """
    values = {name: getattr(record, name) for name in names}
    parts = [f"{name}={brief_array(v)}" for name, v in values.items() if v is not None]
    return f"{type(record).__name__}({', '.join(parts)})"
