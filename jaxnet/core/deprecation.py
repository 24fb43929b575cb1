"""Old names that still work for one minor version, with a warning that says the new one."""

import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from jaxnet.core.arguments import check_keywords

P = ParamSpec("P")
R = TypeVar("R")


def renaming(old: str, new: str) -> str:
    """The sentence that says a new name.

    Args:
      old: the old name, as a person writes it.
      new: the new one.

    Returns:
      The sentence.

    >>> renaming("--keep", "--successive-halving")
    '--keep is now called --successive-halving; the old name will be removed in version 0.4.'
    """
    return f"{old} is now called {new}; the old name will be removed in version 0.4."


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn that a name has changed.

    Args:
      old: the old name, as a person writes it.
      new: the new one.
      stacklevel: how many calls above this one the person's own line is, at least 1.

    Warns:
      DeprecationWarning: always.
    """
    warnings.warn(renaming(old, new), DeprecationWarning, stacklevel=stacklevel)


def renamed_arguments(**new_names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for functions whose keyword arguments have new names: old ones still work.

    Args:
      **new_names: the new name of each argument, by its old one.

    Returns:
      The decorator. The decorated function passes an old name on as the new one, warns, and
      raises a TypeError where both are given. An unknown name is a TypeError that lists the known
      ones. Its signature has the new names alone.

    >>> @renamed_arguments(colour="color")
    ... def paint(color: str) -> str:
    ...     return color
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     paint(colour="red"), str(caught[0].message)[:43]
    ('red', 'paint(colour=) is now called paint(color=);')
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = function.__name__

        @functools.wraps(function)
        def with_new_names(*args: P.args, **kwargs: P.kwargs) -> R:
            for old, new in new_names.items():
                if old in kwargs:
                    if new in kwargs:
                        raise TypeError(f"{name} takes {new}, or its old name {old}, not both.")
                    warn_renamed(f"{name}({old}=)", f"{name}({new}=)")
                    kwargs[new] = kwargs.pop(old)
            check_keywords(name, kwargs, function)
            return function(*args, **kwargs)

        with_new_names.__signature__ = inspect.signature(function)  # pyright: ignore[reportAttributeAccessIssue]
        return with_new_names

    return decorate


def renamed_attributes(
    module: str, new_names: Mapping[str, str], public_name: str | None = None
) -> Callable[[str], object]:
    """The `__getattr__` of a module whose public names have changed.

    Args:
      module: the module's `__name__`.
      new_names: the new name of each object of the module, by its old one.
      public_name: what users call the module, where it is not the last part of `module`.

    Returns:
      A function that returns the object of an old name, and warns.

    >>> old_name = renamed_attributes(__name__, {"rename_warning": "warn_renamed"})
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     old_name("rename_warning") is warn_renamed, caught[0].category.__name__
    (True, 'DeprecationWarning')
    """

    def look_up(name: str) -> object:
        if name not in new_names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        short = public_name or module.rpartition(".")[2]
        warn_renamed(f"{short}.{name}", f"{short}.{new_names[name]}")
        return getattr(sys.modules[module], new_names[name])

    return look_up
