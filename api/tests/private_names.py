"""Private names of other packages outside `opa/_compat/`: `make lint` prints them, by file and line.

A private name begins with one underscore. It is another package's where no code of ours makes it: an import, an
attribute, a text for `getattr` and its like, and what a class of ours takes from, or hides of, a class of theirs. The
standard library is no other package, since what its modules have under an underscore is documented, as `os._exit`.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SEAM = "_compat"
BY_TEXT = {"attrgetter", "delattr", "getattr", "hasattr", "setattr"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def names_made(tree: ast.AST) -> Iterator[str]:
    """The private names that code makes: functions, classes, variables, attributes of `self`, and slots."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.alias(asname=str(name)):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self" | "cls")):
                yield name
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
                yield from (str(each.value) for each in ast.walk(value) if isinstance(each, ast.Constant))


class Module:
    """A module of a package."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text())
        self.made = frozenset(filter(is_private, names_made(self.tree)))
        self.of_classes = Counter(
            name
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ClassDef)
            for name in {each for each in names_made(node) if is_private(each)}
        )
        self.standard = {
            name.asname or name.name
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import)
            for name in node.names
            if name.name.partition(".")[0] in sys.stdlib_module_names
        }

    def findings(self, package: str, of_classes: Counter[str]) -> Iterator[tuple[int, str]]:
        """The private names of other packages, each with its line; `of_classes` counts those that our classes make."""
        for node in ast.walk(self.tree):
            match node:
                case ast.ImportFrom(module=str(module), names=names) if module.partition(".")[0] != package:
                    if any(map(is_private, module.split("."))):
                        yield node.lineno, f"module {module}"
                    yield from ((node.lineno, f"{module}.{each.name}") for each in names if is_private(each.name))
                case ast.Import(names=names):
                    for each in names:
                        if each.name.partition(".")[0] != package and any(map(is_private, each.name.split("."))):
                            yield node.lineno, f"module {each.name}"
                case ast.Attribute(attr=name, value=ast.Call(func=ast.Name(id="super"))) if is_private(name):
                    if of_classes[name] < 2:
                        yield node.lineno, f"super().{name}"
                case ast.Attribute(attr=name, value=ast.Name(id="self" | "cls")) if is_private(name):
                    if not of_classes[name]:
                        yield node.lineno, f"self.{name}"
                case ast.Attribute(attr=name, value=value) if is_private(name) and name not in self.made | DOCUMENTED:
                    if not (isinstance(value, ast.Name) and value.id in self.standard):
                        yield node.lineno, ast.unparse(node)
                case ast.Call(func=ast.Name(id=function) | ast.Attribute(attr=function)) if function in BY_TEXT:
                    yield from ((node.lineno, text) for text in self._texts(node) if text not in self.made)

    @staticmethod
    def _texts(call: ast.Call) -> Iterator[str]:
        for argument in call.args:
            first = argument.values[0] if isinstance(argument, ast.JoinedStr) and argument.values else argument
            text = first.value if isinstance(first, ast.Constant) else None
            if isinstance(text, str) and is_private(text) and text not in DOCUMENTED:
                yield text


DOCUMENTED = frozenset(name for name in dir(inspect.FrameInfo) if is_private(name))
"""The attributes of named tuples, which have an underscore so that a field can have any name."""


def in_text(folder: Path) -> list[str]:
    """What the text of a package has, as lines."""
    modules = [Module(path) for path in sorted(folder.rglob("*.py")) if SEAM not in path.relative_to(folder).parts]
    of_classes = sum((module.of_classes for module in modules), Counter[str]())
    return [
        f"{module.path}:{line}: {what}" for module in modules for line, what in module.findings(folder.name, of_classes)
    ]


def names_of(cls: type) -> dict[str, int]:
    """The private names in the source of a class, each with its line there; none where it is not written in Python."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
    return written_classes(file).get(cls.__name__, {}) if file.endswith(".py") else {}


@functools.cache
def written_classes(file: str) -> dict[str, dict[str, int]]:
    """The private names in each class that a file has."""
    found: dict[str, dict[str, int]] = {}
    for written in ast.walk(ast.parse(Path(file).read_text())):
        if not isinstance(written, ast.ClassDef):
            continue
        names = found.setdefault(written.name, {})
        for node in ast.walk(written):
            match node:
                case ast.Attribute(attr=name, value=ast.Name(id="self" | "cls")) if is_private(name):
                    names.setdefault(name, node.lineno)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if is_private(name):
                    names.setdefault(name, node.lineno)
                case ast.Name(id=name, ctx=ast.Store()) if is_private(name):
                    names.setdefault(name, node.lineno)
    return found


def in_classes(package: str) -> list[str]:
    """Where a class has a private name that one of another package has, from which it is made, as lines."""
    found = []
    for cls in classes_of(package):
        mine = names_of(cls)
        for base in cls.__mro__[1:] if mine else ():
            if base.__module__.partition(".")[0] in {package, *sys.stdlib_module_names}:
                continue
            both = sorted(mine.keys() & (names_of(base).keys() | vars(base).keys()))
            found += [f"{inspect.getfile(cls)}:{mine[name]}: {cls.__name__}.{name} of {base.__name__}" for name in both]
    return found


def classes_of(package: str) -> Iterator[type]:
    """The classes of all modules, imported."""
    root = importlib.import_module(package)
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        parts = found.name.split(".")
        if SEAM in parts or "__main__" in parts or any("-" in part for part in parts):
            continue
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == found.name:
                yield value


def main() -> int:
    package = sys.argv[1] if len(sys.argv) > 1 else "opa"
    root = importlib.import_module(package)
    found = in_text(Path(root.__file__ or "").parent) + in_classes(package)
    print(*found, sep="\n", end="\n" if found else "")
    if found:
        print(f"Private names of other packages belong into {package}/{SEAM}/, behind a plain name and with a test")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
