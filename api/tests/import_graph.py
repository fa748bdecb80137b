"""Which modules of a package import which, at the top of a module, in a function or for types."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Graph = Mapping[str, set[str]]


def imports_of(package: Path) -> Graph:
    """For each module of `package`, by its dotted name, the other modules of it that it imports."""
    modules = dict(_modules(package))
    return {name: set(_imported(name, file, modules)) - {name} for name, file in modules.items()}


def circle_in(graph: Graph) -> list[str]:
    """A circle of modules of which each imports the next; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # It goes from what is imported to what imports it.
        return list(reversed(error.args[1]))
    return []


def _modules(package: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package.parent).with_suffix("").parts
        if all(part.isidentifier() for part in parts):  # a folder of plugins is no package
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def _imported(name: str, file: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for statement in ast.walk(ast.parse(file.read_text())):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names if alias.name in modules)
        elif isinstance(statement, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - statement.level] if statement.level else []
            base = ".".join([*above, *([statement.module] if statement.module else [])])
            for alias in statement.names:
                inner = f"{base}.{alias.name}"
                if inner in modules or base in modules:
                    yield inner if inner in modules else base
