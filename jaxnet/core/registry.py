"""Registries: the tables of activations, rules, tasks and the like by name."""

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from jaxnet.core.arguments import brief

T = TypeVar("T")


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: "did you mean adam or adamw?".

    Args:
      name: the unknown name.
      known: all known names.

    Returns:
      Up to three similar names as a question, the most similar first; without similar names a list
      of all of them. It ends with the message's question mark or full stop.

    >>> suggestion("adamm", ["sgd", "adam", "adamw"])
    'did you mean adam or adamw?'
    >>> suggestion("xyz", ["sgd", "adam", "adamw"])
    'known are sgd, adam and adamw.'
    """
    names = list(known)
    if similar := difflib.get_close_matches(name, names, n=3, cutoff=0.4):
        return f"did you mean {_join_names(similar, 'or')}?"
    return f"known are {_join_names(names, 'and')}." if names else "none are known."


class Registry(Mapping[str, T]):
    """A read-only mapping from names to objects of one kind; an unknown name is a clear error.

    It keeps the order of its entries. Only `add`, which `jaxnet.register` calls, changes it in
    place. For other entries in one place alone, make another registry:
    `Registry("task", {**tasks.NAMED, "mine": task})`.

    Args:
      kind: what an entry is, in the singular, for error messages: "optimizer".
      entries: the objects by their names; they are copied, so that later changes to this mapping
        have no effect.

    Attributes:
      kind: what an entry is, in the singular.

    >>> numbers = Registry("number", {"one": 1, "two": 2})
    >>> numbers["one"], numbers.name_of(2), "three" in numbers, list(numbers)
    (1, 'two', False, ['one', 'two'])
    """

    def __init__(self, kind: str, entries: Mapping[str, T]) -> None:
        self.kind = kind
        self._entries = dict(entries)
        self._n_built_in = len(self._entries)

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<{self.kind} registry: {', '.join(self)}>"

    def look_up(self, name: object) -> T:
        """The entry with a name that a person gave.

        Args:
          name: the name; anything but a string is an unknown name.

        Returns:
          The entry.

        Raises:
          ValueError: the name is unknown; the message suggests similar names.

        >>> Registry("number", {"one": 1, "two": 2}).look_up("ones")
        Traceback (most recent call last):
        ValueError: ones is not a known number; did you mean one?
        """
        if isinstance(name, str) and name in self._entries:
            return self._entries[name]
        text = name if isinstance(name, str) else brief(name)
        hint = suggestion(text, self._entries)
        raise ValueError(f"{text} is not a known {self.kind}; {hint}")

    def add(self, name: str, entry: T) -> None:
        """Add an entry of a user's own.

        Args:
          name: its name.
          entry: the object.

        Raises:
          ValueError: the name belongs to another entry, or the entry has another name. What was
            added and is defined anew, as by a notebook's cell that runs again, is replaced.

        >>> numbers = Registry("number", {"one": 1})
        >>> numbers.add("two", 2)
        >>> numbers.name_of(2), numbers.is_built_in(1), numbers.is_built_in(2)
        ('two', True, False)
        """
        present, is_own = self._entries.get(name), name in list(self)[self._n_built_in :]
        is_same = name in self and (present is entry or _equal(present, entry))
        if is_same:
            return
        if name in self and not (is_own and _is_defined_anew(present, entry)):
            raise ValueError(
                f"name {name} belongs to another {self.kind}, {brief(present)}; choose another "
                "name."
            )
        if (other := self.name_of(entry)) not in (None, name):
            raise ValueError(
                f"name {name} is a second one for the {self.kind} {other}; use that name."
            )
        self._entries[name] = entry

    def is_built_in(self, value: object) -> bool:
        """Whether an object is an entry of the library's own, not one that was added.

        Args:
          value: any object.

        >>> Registry("number", {"one": 1}).is_built_in(2)
        False
        """
        return self.name_of(value) in list(self)[: self._n_built_in]

    def name_of(self, value: object) -> str | None:
        """The name of an entry.

        Args:
          value: any object, hashable or not.

        Returns:
          The name of the entry that is this very object; else the name of the first entry of the
          same class that equals it; else `None`.

        >>> Registry("number", {"one": 1, "two": 2}).name_of(3) is None
        True
        """
        for name, entry in self._entries.items():
            if entry is value:
                return name
        for name, entry in self._entries.items():
            if _equal(entry, value):
                return name
        return None


def _equal(entry: object, value: object) -> bool:
    """Whether two objects are of one class and equal."""
    if type(entry) is not type(value):
        return False
    try:
        return bool(entry == value)
    except (TypeError, ValueError):  # the comparison of arrays is not one truth value
        return False


def _is_defined_anew(old: object, new: object) -> bool:
    """Whether a function or class stands where another one stood; or a dataclass of such parts.

    Several functions that one function has made, or lambdas, share a name, and are different parts.
    """
    if type(old) is not type(new):
        return False
    name = getattr(old, "__qualname__", None)
    if name is not None:
        place = lambda definition: (definition.__module__, definition.__qualname__)
        return place(old) == place(new) and "<" not in name
    if not dataclasses.is_dataclass(old):
        return False
    pairs = [(getattr(old, f.name), getattr(new, f.name)) for f in dataclasses.fields(old)]
    return all(_equal(*pair) or _is_defined_anew(*pair) for pair in pairs)


def _join_names(names: list[str], conjunction: str) -> str:
    """Names as a sentence lists them: "adam, adamw or adamax"."""
    return f" {conjunction} ".join(filter(None, (", ".join(names[:-1]), names[-1])))
