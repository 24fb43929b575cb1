"""What identifies a function or a class in files: its path, or else its code.

A module-level function is what a person can import by its path, whatever code stands there today.
A lambda or a function that was made by another function has no such path: two of them may share
their module and name, and be told apart only by their code and by what they have captured.
"""

import hashlib
import inspect
import sys
from types import CodeType, FunctionType
from typing import Protocol, runtime_checkable


@runtime_checkable
class Definition(Protocol):
    """A function or a class: it knows the name that it was defined with."""

    __module__: str
    __qualname__: str


def public_path(definition: Definition) -> str | None:
    """The shortest path by which a function or a class can be imported.

    A library may move it between its private modules; its public path stays the same.

    Args:
      definition: the function or class.

    Returns:
      The path; None for a definition that is not what stands at its own module and name.

    >>> import optax
    >>> public_path(optax.fromage), public_path(lambda: 0)
    ('optax.fromage', None)
    """
    module, name = definition.__module__, definition.__qualname__
    parts = str(module).split(".")
    for n in range(1, len(parts)):
        package = sys.modules.get(".".join(parts[:n]))
        if getattr(package, name, None) is definition:
            return f"{'.'.join(parts[:n])}.{name}"
    place: object = sys.modules.get(str(module))
    for part in name.split("."):
        place = getattr(place, part, None)
    is_there = definition in (place, getattr(place, "__wrapped__", None))
    return f"{module}.{name}" if is_there else None


def parts_of(definition: Definition) -> dict[str, object] | None:
    """What a definition without a path is made of.

    What a function reads from its module is not among it, as little as for one with a path.

    Args:
      definition: a lambda, a function of another function, or such a class.

    Returns:
      By name: the path where it was defined, and for a function its code, as this version of Python
      compiles it, its defaults, and the values of the variables that it has captured; for a class
      its bases, its methods and its attributes. None for what is neither of both.

    >>> scale = [lambda x, factor=factor: factor * x for factor in (2, 3)]
    >>> [parts_of(function)["defaults"] for function in scale]
    [(2,), (3,)]
    """
    origin: dict[str, object] = {"path": f"{definition.__module__}.{definition.__qualname__}"}
    if isinstance(definition, type):
        return origin | {"bases": definition.__bases__, "members": _members(definition)}
    function = definition
    if not isinstance(function, FunctionType):  # such as what jax.jit returns
        function = inspect.unwrap(function)  # pyright: ignore[reportArgumentType]
        origin |= {"type": type(definition).__name__}
    if not isinstance(function, FunctionType):
        return None
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    parts: dict[str, object] = {
        "code": hashlib.sha256(_code_text(function.__code__).encode()).hexdigest()[:16],
        "captured": {name: _content(cell) for name, cell in cells if name != "__class__"},
        "defaults": function.__defaults__,
        "keyword_defaults": function.__kwdefaults__,
    }
    return origin | {name: part for name, part in parts.items() if part}


def _members(cls: type) -> dict[str, object]:
    """The methods and attributes of a class, without what Python or `dataclass` adds."""
    members: dict[str, object] = {}
    for name, member in vars(cls).items():
        function = getattr(member, "fget", getattr(member, "__func__", member))
        if isinstance(function, FunctionType):
            if function.__code__.co_filename != "<string>":  # where dataclass writes its methods
                members[name] = function
        elif not name.startswith(("__", "_abc_")):
            members[name] = member
    return members


def _content(cell: object) -> object:
    """The value of a captured variable; None if it has none yet."""
    try:
        return cell.cell_contents  # pyright: ignore[reportAttributeAccessIssue]
    except ValueError:
        return None


def _code_text(code: CodeType) -> str:
    """All of a code object that decides what it computes; not where it stands."""
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return repr((code.co_code, *names, *map(_constant_text, code.co_consts)))


def _constant_text(constant: object) -> str:
    """The text of a constant of compiled code; the order of a set is random."""
    if isinstance(constant, CodeType):
        return _code_text(constant)
    if isinstance(constant, frozenset):
        return f"set {sorted(map(_constant_text, constant))}"
    if isinstance(constant, tuple):
        return f"tuple {[_constant_text(part) for part in constant]}"
    return repr(constant)
