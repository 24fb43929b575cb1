"""What a person passes: checks of kinds and keywords, and values in error messages."""

import difflib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

_Target = TypeVar("_Target", bound=Callable[..., object])

LONGEST = 100
"""The most characters of a value in an error message."""


def brief(value: object) -> str:
    """The text of a value in an error: its `repr` in one line, cut off where it is long.

    Args:
      value: any object, also one that has no `repr`, or an int too large for one.

    Returns:
      The text, of at most 100 characters.

    >>> brief([[1, 2], [3]]), len(brief(10**400))
    ('[[1, 2], [3]]', 100)
    """
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a class of the caller's may raise anything
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def reason_of(error: BaseException) -> str:
    r"""The reason in an error, to be part of a sentence: its first line, without a full stop.

    Args:
      error: an error, such as one that a function of the caller's has raised.

    Returns:
      The text; the error's class where it says nothing.

    >>> reason_of(ValueError("it is wrong.\nDetails follow.")), reason_of(KeyError())
    ('it is wrong', 'KeyError')
    """
    first_line = str(error).strip().partition("\n")[0].rstrip(".")
    return first_line or type(error).__name__


def likeliest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant by one that is not known.

    Args:
      name: the unknown name.
      known: the known names.

    Returns:
      The name with these initials, or else one that is spelled much alike; `None` if none is.

    >>> likeliest("lr", ["l1", "l2", "learning_rate"]), likeliest("dropuot", ["l1", "dropout"])
    ('learning_rate', 'dropout')
    >>> likeliest("speed", ["l1", "dropout"]) is None
    True
    """
    names = list(known)
    by_initials = ("".join(word[:1] for word in each.split("_")) for each in names)
    same = [each for each, initials in zip(names, by_initials, strict=True) if initials == name]
    return (same or difflib.get_close_matches(name, names, 1, cutoff=0.7) or [None])[0]


def require_kind(name: str, value: object, kind: type, example: str) -> None:
    """Refuse an argument that is not of its class.

    Args:
      name: what the argument is called, for the error.
      value: the argument.
      kind: the class that it has to be of.
      example: how a person makes one: "jaxnet.Network((784, 30, 10))".

    Raises:
      ValueError: the argument is of another class.

    >>> require_kind("net", None, int, "7")
    Traceback (most recent call last):
    ValueError: net must be an int such as 7, not None.
    """
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOaeio" else "a"
        raise ValueError(
            f"{name} must be {article} {kind.__name__} such as {example}, not {brief(value)}."
        )


def path_of(name: str, value: object) -> Path:
    """The path of an argument that names a file or a folder.

    Args:
      name: what the argument is called, for the error.
      value: the argument.

    Returns:
      The path.

    Raises:
      ValueError: the argument is neither a text nor a path, or an empty text.

    >>> path_of("folder", "runs/xor").name
    'xor'
    """
    if not isinstance(value, (str, os.PathLike)) or value == "":
        raise ValueError(
            f"{name} must be the path of a file or a folder, as text or pathlib.Path, not "
            f"{brief(value)}."
        )
    return Path(value)


def require_function(name: str, value: object) -> None:
    """Refuse an argument that is neither a function nor `None`.

    Args:
      name: what the argument is called, for the error.
      value: the argument.

    Raises:
      ValueError: it cannot be called, is a class, or a call would not run it.

    >>> require_function("log", print)
    """
    if value is None:
        return
    if not callable(value) or isinstance(value, type):
        raise ValueError(f"{name} must be a function, or None, not {brief(value)}.")
    require_plain_function(name, value)


def require_plain_function(name: str, function: object) -> None:
    """Refuse coroutines and generators: a call makes an object, and runs nothing of them.

    Args:
      name: what the argument is called, for the error.
      function: a function, or an object that is called like one.

    Raises:
      ValueError: it is declared by `async def`, or has a `yield`.

    >>> require_plain_function("log", print)
    """
    kinds = (
        inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction,
    )  # fmt: skip
    called = function if inspect.isroutine(function) else type(function).__call__
    if any(is_kind(called) for is_kind in kinds):
        raise ValueError(
            f"{name} must be a plain function, without async or yield, which a call would not run, "
            f"not {brief(function)}."
        )


def require_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse an argument that is none of a few texts.

    Args:
      name: what the argument is called, for the error.
      value: the argument.
      choices: the texts, two or more.

    Raises:
      ValueError: it is something else.

    >>> require_choice("unit", "days", ("epochs", "steps"))
    Traceback (most recent call last):
    ValueError: unit must be "epochs" or "steps", not 'days'.
    """
    if not isinstance(value, str) or value not in choices:
        quoted = [f'"{choice}"' for choice in choices]
        listed = f"{', '.join(quoted[:-1])} or {quoted[-1]}"
        raise ValueError(f"{name} must be {listed}, not {brief(value)}.")


def require_options(name: str, value: object) -> None:
    """Refuse options that are not a tuple of names with values that a program can depend on.

    Args:
      name: what the argument is called, for the error.
      value: the argument.

    Raises:
      ValueError: it is no tuple of pairs, or a value is not hashable.

    >>> require_options("options", (("nesterov", True),))
    """
    pairs = value if isinstance(value, tuple) else (None,)
    try:
        hash(pairs)
        is_static = all(
            isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
            for pair in pairs
        )
    except TypeError:  # a value is not hashable
        is_static = False
    if not is_static:
        raise ValueError(
            f'{name} must be a tuple of (name, hashable value) pairs such as (("nesterov", True),)'
            f", not {brief(value)}."
        )


def check_keywords(function_name: str, given: Iterable[str], function: object) -> None:
    """Refuse keywords that a function does not take, and say which ones it takes.

    Args:
      function_name: what the function is called, for the error.
      given: the names of the keywords that it is to be called with.
      function: the function or class.

    Raises:
      TypeError: it does not take one of the keywords, as Python says, too; the message lists those
        that it takes.

    >>> check_keywords("paint", ["colour"], lambda color, size: None)
    Traceback (most recent call last):
    TypeError: paint takes no colour; its arguments are color and size.
    """
    parameters = _parameters(function)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    names = [parameter.name for parameter in parameters if parameter.name != "self"]
    unknown = [name for name in given if name not in names]
    if unknown:
        listed = " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
        known = f"its arguments are {listed}" if names else "it has no arguments"
        raise TypeError(f"{function_name} takes no {unknown[0]}; {known}.")


def lists_keywords(target: _Target) -> _Target:
    """A decorator: an unknown keyword is refused with a list of those that there are.

    Args:
      target: a function, or a class that takes its arguments in `__init__`.

    Returns:
      The function with this check before each call, or the class itself.

    >>> @lists_keywords
    ... def paint(color: str = "red") -> str:
    ...     return color
    >>> paint(colour="blue")
    Traceback (most recent call last):
    TypeError: paint takes no colour; its arguments are color.
    """
    name = target.__name__
    if isinstance(target, type):
        target.__init__ = _checked(target.__init__, name)
        return target  # pyright: ignore[reportReturnType]
    return _checked(target, name)


def _checked(function: _Target, name: str) -> _Target:
    """The function with a check of its keywords before each call."""
    known = frozenset(parameter.name for parameter in _parameters(function))

    @functools.wraps(function)
    def with_listed_keywords(*args: object, **kwargs: object) -> object:
        if not known.issuperset(kwargs):  # fast where all is well
            check_keywords(name, kwargs, function)
        return function(*args, **kwargs)

    return with_listed_keywords  # pyright: ignore[reportReturnType]


def _parameters(function: object) -> tuple[inspect.Parameter, ...]:
    """The parameters of a function."""
    return tuple(inspect.signature(function).parameters.values())  # pyright: ignore[reportArgumentType]
