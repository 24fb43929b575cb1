"""What is read off names, docstrings and annotations: whether they can be understood.

    python tests/support/prose.py               counts what is missing, and lists it
    python tests/support/prose.py --strict      the same; exit status 1 if anything is missing
    python tests/support/prose.py --draw 7      draws 20 docstrings and 10 error messages

`tests/test_prose.py` asserts the counts. A draw is for a reader who knows optax and
not this code: what is not understood at first reading is rewritten, and the next draw is made.
"""

import ast
import dataclasses
import inspect
import io
import random
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VAGUE = {"found", "told", "one", "some", "said", "it"}
"""Names that say nothing of what they hold."""
RETIRED = {
    "Over", "Spread", "Book", "Here", "Elsewhere", "Work", "Outcome", "Packing", "Place",
    "doors", "books", "closed",
}  # fmt: skip
"""Names that version 0.2 used and that were hard to guess."""
MOST_ANY = 289
"""Half of the 578 times that version 0.2 said `Any`."""
N_DOCSTRINGS, N_MESSAGES = 20, 10


@dataclass(frozen=True)
class PublicObject:
    """A public function or class, or a public method of such a class."""

    name: str
    """As a user writes it after `jaxnet.`."""
    value: Any
    is_method: bool = False

    @property
    def docstring(self) -> str:
        """Its own docstring, cleaned, or nothing."""
        return inspect.cleandoc(self.value.__doc__ or "")

    def __str__(self) -> str:
        return self.name


def public_modules() -> dict[str, ModuleType]:
    """The public modules by name, jaxnet itself under the empty name."""
    sys.path.insert(0, str(ROOT))
    import jaxnet

    modules = {"": jaxnet}
    for name in (*jaxnet.__all__, "pages", "plots"):
        if isinstance(value := getattr(jaxnet, name), ModuleType):
            modules[name] = value
    return modules


def public_objects() -> list[PublicObject]:
    """All public functions and classes, each once, and the public methods of the classes."""
    objects: dict[int, PublicObject] = {}
    for module_name, module in public_modules().items():
        names = getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")])
        for name in names:
            value = getattr(module, name)
            listed = hasattr(module, "__all__")
            at_home = getattr(value, "__module__", "") == module.__name__
            if (inspect.isfunction(value) or inspect.isclass(value)) and (listed or at_home):
                full_name = f"{module_name}.{name}".strip(".")
                objects.setdefault(id(value), PublicObject(full_name, value))
    classes = [entry for entry in objects.values() if inspect.isclass(entry.value)]
    return [*objects.values(), *(method for entry in classes for method in _methods(entry))]


def _methods(entry: PublicObject) -> Iterator[PublicObject]:
    for name, value in vars(entry.value).items():
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        inherited = any(hasattr(base, name) for base in entry.value.__bases__)
        if inspect.isfunction(function) and not name.startswith("_") and not inherited:
            yield PublicObject(f"{entry.name}.{name}", function, is_method=True)


def section(docstring: str, title: str) -> str:
    """The indented text under a title such as "Args:"."""
    match = re.search(rf"^{title}:\n((?:[ ]+.*\n?|\n)*)", docstring, re.M)
    return match[1] if match else ""


def described_names(docstring: str, *titles: str) -> set[str]:
    """The names that a section of a docstring describes."""
    text = "\n".join(section(docstring, title) for title in titles)
    indents = [len(line) - len(line.lstrip()) for line in text.splitlines() if line.strip()]
    entry = re.compile(rf"^ {{{min(indents, default=0)}}}\**(\w+)(?: \(.*?\))?:", re.M)
    return set(entry.findall(text))


def functions_without_args() -> list[str]:
    """Public functions and methods whose Args lack a parameter, with what is lacking."""
    incomplete = []
    for entry in public_objects():
        if not inspect.isfunction(entry.value):
            continue
        parameters = [name for name in inspect.signature(entry.value).parameters
                      if name not in ("self", "cls")]  # fmt: skip
        lacking = set(parameters) - described_names(entry.docstring, "Args")
        if lacking:
            incomplete.append(f"{entry.name}: {', '.join(sorted(lacking))}")
    return incomplete


def classes_without_attributes() -> list[str]:
    """Public classes with a field that neither Args, Attributes nor a line below it describes."""
    incomplete = []
    for entry in public_objects():
        cls = entry.value
        if not inspect.isclass(cls):
            continue
        fields = getattr(cls, "_fields", None) or [
            field.name
            for field in (dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ())
        ]
        described = described_names(entry.docstring, "Args", "Attributes")
        described |= {name for base in cls.__mro__ for name in _documented_fields(base)}
        if lacking := [name for name in fields if name not in described]:
            incomplete.append(f"{entry.name}: {', '.join(lacking)}")
    return incomplete


def _documented_fields(cls: type) -> set[str]:
    """The fields of a class that a string below them documents, or a base's Args."""
    if not cls.__module__.startswith("jaxnet"):
        return set()
    body = ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    documented = described_names(inspect.cleandoc(cls.__doc__ or ""), "Args", "Attributes")
    for statement, following in zip(body.body, body.body[1:]):
        is_field = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if is_field and is_text:
            documented.add(statement.target.id)
    return documented


def objects_without_example() -> list[str]:
    """Public functions and classes, not methods, without a line that runs."""
    return [
        entry.name
        for entry in public_objects()
        if not entry.is_method and ">>> " not in entry.docstring
    ]


def objects_without_docs() -> list[str]:
    """Public functions and classes that no page of the reference has."""
    pages = (ROOT / "docs" / "reference").glob("*.md")
    text = "\n".join(page.read_text() for page in pages)
    documented = set(re.findall(r"(?:auto\w+|py:\w+):: (?:jaxnet\.)?([\w.]+)", text))
    documented |= set(re.findall(r"`jn\.([\w.]+)`", text))
    objects = [entry for entry in public_objects() if not entry.is_method]
    aliases = {id(entry.value): set() for entry in objects}
    for module_name, module in public_modules().items():
        for name, value in vars(module).items():
            if id(value) in aliases:
                aliases[id(value)].add(f"{module_name}.{name}".strip("."))
    return [entry.name for entry in objects if not aliases[id(entry.value)] & documented]


def vague_names(paths: list[Path]) -> list[str]:
    """Where a variable, parameter, attribute or function has a name that says nothing."""
    places = []
    for path in paths:
        tree = ast.parse(path.read_text())
        allowed = _keywords_of_renamed_arguments(tree)
        for node in ast.walk(tree):
            names = {
                ast.Name: "id", ast.arg: "arg", ast.keyword: "arg", ast.Attribute: "attr",
                ast.FunctionDef: "name", ast.ClassDef: "name",
            }  # fmt: skip
            name = getattr(node, names[type(node)]) if type(node) in names else None
            docstring = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
            is_old_name = node in allowed or (docstring or "").startswith("The old name of")
            if name in VAGUE | RETIRED and not is_old_name:
                places.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)} {name}")
    return places


def _keywords_of_renamed_arguments(tree: ast.Module) -> set[ast.AST]:
    """The arguments of `renamed_arguments`, which are old names."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        keyword
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "renamed_arguments"
        for keyword in call.keywords
    }


def uses_of_any(paths: list[Path]) -> list[str]:
    """Where `Any` stands, imports of it included."""
    places = []
    for path in paths:
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type == tokenize.NAME and token.string == "Any":
                places.append(f"{path.relative_to(ROOT)}:{token.start[0]}")
    return places


def all_docstrings(paths: list[Path]) -> list[str]:
    """Every docstring of these files, with the place and the signature it belongs to."""
    docstrings = []
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Module)
    for path in paths:
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, kinds) and (docstring := ast.get_docstring(node)):
                place = str(path.relative_to(ROOT))
                if not isinstance(node, ast.Module):
                    header = ast.unparse(node).split('"""')[0].split("\n    ")[0]
                    place = f"{place}:{node.lineno}\n{header}"
                docstrings.append(f"{place}\n{docstring}")
    return docstrings


def all_messages(paths: list[Path]) -> list[str]:
    """Every error message of these files, with {…} where a value is put in."""
    messages = []
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                text = _template(node.exc.args[0])
                if " " in text:
                    messages.append(f"{path.relative_to(ROOT)}:{node.lineno}\n{text}")
    return messages


def _template(node: ast.expr) -> str:
    """The text of a string with its values as {expression}."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_template, node.values))
    if isinstance(node, ast.FormattedValue):
        return f"{{{ast.unparse(node.value)}}}"
    return ""


def draw(seed: int) -> str:
    """Docstrings and error messages drawn at random: the same for the same seed and source."""
    library = sorted((ROOT / "jaxnet").rglob("*.py"))
    chance = random.Random(seed)
    docstrings = chance.sample(all_docstrings(library), N_DOCSTRINGS)
    messages = chance.sample(all_messages(library), N_MESSAGES)
    return "\n\n----\n\n".join([*docstrings, *messages])


def missing() -> dict[str, list[str]]:
    """What is missing, by what it is: all lists should be empty."""
    library = sorted((ROOT / "jaxnet").rglob("*.py"))
    everything = [*library, *sorted((ROOT / "experiments").glob("*.py"))]
    everything += [
        path for path in sorted((ROOT / "tests").rglob("*.py")) if "data" not in path.parts
    ]
    return {
        "public functions without full Args": functions_without_args(),
        "public classes without a description of each field": classes_without_attributes(),
        "public names without an example": objects_without_example(),
        "public names without an entry in docs/reference": objects_without_docs(),
        "vague or retired names": vague_names(everything),
        f"uses of Any beyond {MOST_ANY}": uses_of_any(library)[MOST_ANY:],
    }


def main() -> int:
    """Print each count and what it counts, or a draw."""
    if sys.argv[1:2] == ["--draw"]:
        print(draw(int(sys.argv[2])))
        return 0
    lists = missing()
    for title, members in lists.items():
        print("\n  ".join([f"{len(members)} {title}", *members]))
    return int(sys.argv[1:2] == ["--strict"] and any(lists.values()))


if __name__ == "__main__":
    sys.exit(main())
