"""Registries: the tables of activations, rules, tasks and the like by name."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: "did you mean adam or adamw?".

    Args:
      name: the name that is not known.
      known: the names that are.

    Returns:
      Up to three similar names as a question, the most similar first; without similar ones a
      statement of all names, with its full stop.

    >>> suggestion("adamm", ["sgd", "adam", "adamw"])
    'did you mean adam or adamw?'
    >>> suggestion("xyz", ["sgd", "adam", "adamw"])
    'known are sgd, adam and adamw.'
    """
    names = list(known)
    if similar := difflib.get_close_matches(name, names, n=3, cutoff=0.4):
        return f"did you mean {_listed(similar, 'or')}?"
    return f"known are {_listed(names, 'and')}." if names else "none are known."


class Registry(Mapping[str, T]):
    """A read-only mapping from names to things of one kind, which knows how to refuse a name.

    Its order is that of its entries. It is not to be changed in place: who needs other entries
    makes another registry, `Registry("task", {**tasks.NAMED, "mine": task})`.

    Args:
      kind: what an entry is, in the singular, for error messages: "optimizer".
      entries: the things by their names; later changes to this mapping are not seen.

    >>> numbers = Registry("number", {"one": 1, "two": 2})
    >>> numbers["one"], numbers.name_of(2), "three" in numbers, list(numbers)
    (1, 'two', False, ['one', 'two'])
    """

    def __init__(self, kind: str, entries: Mapping[str, T]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<{self.kind} registry: {', '.join(self)}>"

    def look_up(self, name: object) -> T:
        """The entry of a name that a person gave.

        Args:
          name: the name; anything but a string is refused in the same way.

        Returns:
          The entry.

        Raises:
          ValueError: there is none; the message, one sentence, suggests similar names.

        >>> Registry("number", {"one": 1, "two": 2}).look_up("ones")
        Traceback (most recent call last):
        ValueError: ones is no known number; did you mean one?
        """
        if isinstance(name, str) and name in self._entries:
            return self._entries[name]
        hint = suggestion(str(name), self._entries)
        raise ValueError(f"{name} is no known {self.kind}; {hint}")

    def name_of(self, value: Any) -> str | None:
        """The name of an entry, or of one that equals it.

        Args:
          value: anything, hashable or not.

        Returns:
          The name of the entry that is this very object, else the first name of an equal entry of
          the same class, else `None`.
        """
        for name, entry in self._entries.items():
            if entry is value:
                return name
        return next((name for name in self if _equal(self._entries[name], value)), None)


def _equal(entry: Any, value: Any) -> bool:
    """Whether two things are of one class and say that they are equal."""
    if type(entry) is not type(value):
        return False
    try:
        return bool(entry == value)
    except (TypeError, ValueError):  # arrays have no one truth value
        return False


def _listed(names: list[str], conjunction: str) -> str:
    """Names as a sentence lists them: "adam, adamw or adamax"."""
    return f" {conjunction} ".join(filter(None, (", ".join(names[:-1]), names[-1])))
