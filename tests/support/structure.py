"""What is read off the source itself: sizes, imports, public names.

    python tests/support/structure.py

prints the counts over jaxnet/ and experiments/ of what makes code hard to read: long functions,
many parameters, long modules. `tests/test_structure.py` asserts their limits.
"""

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FUNCTION = 60
"""Lines, without its docstring."""
MOST_PARAMETERS = 8
"""Of a function that is not public; `self` and `cls` do not count."""
LONGEST_MODULE = 400
"""Lines, without docstrings."""
DOCUMENTED = ("optuna", "pages", "plots")
"""Submodules that the README names, and that need an extra: so they are not in `__all__`."""

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Function:
    """A function of a source file, with what is counted of it."""

    path: Path
    qualified_name: str
    line: int
    n_lines: int
    """Without its docstring, with its signature and decorators."""
    n_parameters: int

    def __str__(self) -> str:
        place = f"{self.path.relative_to(ROOT)}:{self.line}"
        return (
            f"{place} {self.qualified_name}: {self.n_lines} lines, {self.n_parameters} parameters"
        )


def sources(root: Path = ROOT) -> list[Path]:
    """The Python files of the library and of its experiments."""
    return sorted([*(root / "jaxnet").rglob("*.py"), *(root / "experiments").rglob("*.py")])


def functions(path: Path) -> Iterator[Function]:
    """All functions of a file: methods and functions inside of functions, too."""
    yield from _functions(path, ast.parse(path.read_text()), "")


def long_functions(paths: list[Path]) -> list[Function]:
    """Functions that do not fit a screen."""
    every = (function for path in paths for function in functions(path))
    return [function for function in every if function.n_lines > LONGEST_FUNCTION]


def crowded_functions(paths: list[Path]) -> list[Function]:
    """Functions with many parameters that are not public: a public one documents each."""
    public = public_functions()
    return [
        function
        for path in paths
        for function in functions(path)
        if function.n_parameters > MOST_PARAMETERS
        and (path.resolve(), function.qualified_name) not in public
    ]


def long_modules(paths: list[Path]) -> list[tuple[Path, int]]:
    """Modules that are too long to be read in one go, with their lines but for docstrings."""
    lengths = [(path, _n_lines_of_code(path.read_text())) for path in paths]
    return [(path, length) for path, length in lengths if length > LONGEST_MODULE]


def _n_lines_of_code(source: str) -> int:
    strings = [
        node for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]  # fmt: skip
    n_docstring_lines = sum((node.end_lineno or 0) - node.lineno + 1 for node in strings)
    return len(source.splitlines()) - n_docstring_lines


def top_modules(root: Path = ROOT) -> list[Path]:
    """Modules directly in jaxnet/, in no package of it."""
    return sorted((root / "jaxnet").glob("*.py"))


@dataclass(frozen=True)
class Import:
    """One name that a file of jaxnet imports from jaxnet."""

    path: Path
    line: int
    module: str
    """Where it comes from, such as `jaxnet.core.costs`."""
    name: str
    """What is imported of it; empty for `import jaxnet.core.costs`."""

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.module}: {self.name}"

    @property
    def package(self) -> str:
        """The package of jaxnet that it comes from, such as `core`; empty for jaxnet itself."""
        name = self.name if self.module == "jaxnet" else self.module.split(".")[1]
        return name if (ROOT / "jaxnet" / name / "__init__.py").exists() else ""

    @property
    def source(self) -> str:
        """The module that holds the name: one of that name, or the one it is imported from."""
        below = ROOT.joinpath(*self.module.split("."), self.name)
        is_module = below.with_suffix(".py").exists() or (below / "__init__.py").exists()
        return f"{self.module}.{self.name}" if self.name and is_module else self.module


def imports(path: Path) -> list[Import]:
    """What a file imports from jaxnet, at its top or inside of functions."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise ValueError(f"{path}:{node.lineno}: write the whole name, not a relative import.")
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jaxnet":
            module = node.module or ""
            names += [Import(path, node.lineno, module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
            names += [
                Import(path, node.lineno, module, "")
                for module in modules
                if module.split(".")[0] == "jaxnet"
            ]
    return names


def package_of(path: Path) -> str:
    """The package of jaxnet that a file is in; empty for jaxnet/__init__.py and __main__.py."""
    parts = path.relative_to(ROOT / "jaxnet").parts
    return parts[0] if len(parts) > 1 else ""


def imports_of_private_names(paths: list[Path]) -> list[Import]:
    """Imports of `_names` from another package than the file's own."""
    every = (imported for path in paths for imported in imports(path))
    return [
        imported
        for imported in every
        if imported.package != package_of(imported.path)
        and any(_is_private(part) for part in (*imported.module.split("."), imported.name))
    ]


def module_graph(package: str) -> dict[str, set[str]]:
    """The modules of a package, each with those of the same package that it imports."""
    prefix = f"jaxnet.{package}"
    return {
        _module_name(path): {
            imported.source
            for imported in imports(path)
            if f"{imported.source}.".startswith(f"{prefix}.")
        }
        for path in sorted((ROOT / "jaxnet" / package).rglob("*.py"))
    }


def public_functions() -> set[tuple[Path, str]]:
    """File and qualified name of every public function and method."""
    # Public is what a caller reaches without an underscore as jaxnet.NAME, NAME in jaxnet.__all__,
    # or as jaxnet.MODULE.NAME of a module there or in DOCUMENTED, wherever it is defined; of a
    # public class, its constructor and its methods without an underscore.
    public = set()
    for _, value in public_objects():
        members = [value]
        if inspect.isclass(value):
            members += [
                inspect.unwrap(getattr(member, "fget", None) or getattr(member, "__func__", member))
                for name, member in vars(value).items()
                if name in ("__init__", "__call__") or not name.startswith("_")
            ]
        for member in filter(inspect.isfunction, map(inspect.unwrap, members)):
            public.add((Path(member.__code__.co_filename).resolve(), member.__qualname__))
    return public


def public_objects() -> Iterator[tuple[str, object]]:
    """Every public name of jaxnet, such as `train` or `costs.CrossEntropy`, with its value."""
    package = importlib.import_module("jaxnet")
    for name in (*package.__all__, *DOCUMENTED):
        value = getattr(package, name)
        yield name, value
        if isinstance(value, ModuleType):
            yield from ((f"{name}.{member}", getattr(value, member)) for member in _members(value))


def _members(module: ModuleType) -> list[str]:
    """The names that a module offers: its `__all__`, or what it defines and its registry."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (name == "NAMED" or getattr(value, "__module__", None) == module.__name__)
    ]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _functions(path: Path, parent: ast.AST, prefix: str) -> Iterator[Function]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, FunctionNode):
            name = f"{prefix}{node.name}"
            yield Function(path, name, node.lineno, _length(node), _n_parameters(node))
            yield from _functions(path, node, f"{name}.<locals>.")
        elif isinstance(node, ast.ClassDef):
            yield from _functions(path, node, f"{prefix}{node.name}.")
        else:
            yield from _functions(path, node, prefix)


def _length(node: FunctionNode) -> int:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    length = (node.end_lineno or first) - first + 1
    if ast.get_docstring(node) is not None:
        docstring = node.body[0]
        length -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return length


def _n_parameters(node: FunctionNode) -> int:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    starred = [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
    return len([name for name in named if name.arg not in ("self", "cls")]) + len(starred)


def main() -> None:
    """Print each count and what it counts."""
    paths = sources()
    for title, members in (
        (f"functions over {LONGEST_FUNCTION} lines without docstring", long_functions(paths)),
        (
            f"non-public functions with more than {MOST_PARAMETERS} parameters",
            crowded_functions(paths),
        ),
        (
            f"modules over {LONGEST_MODULE} lines without docstrings",
            [f"{path.relative_to(ROOT)}: {length}" for path, length in long_modules(paths)],
        ),
        ("modules directly in jaxnet/", [path.relative_to(ROOT) for path in top_modules()]),
    ):
        print(f"{len(members)} {title}")
        for member in members:
            print(f"  {member}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
