"""State that a module has at its top, and that its functions, or those of other modules, change."""

from __future__ import annotations

import ast
from collections.abc import Iterator

CACHE = "_cache"
"""What names of caches end in: they may be emptied at any time, and cost no more than time then."""

_CHANGING = frozenset(
    {
        *("add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert", "pop", "popitem"),
        *("popleft", "put", "remove", "reverse", "rotate", "setdefault", "sort", "update"),
        *("difference_update", "intersection_update", "symmetric_difference_update", "__setitem__", "__delitem__"),
    }
)
"""Methods by which containers are changed; `set` is that of a `ContextVar`."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def changed_state(text: str, *, package: str, home: str) -> Iterator[str]:
    """Each place in a module at which a function changes a name of its top, or one of another module of the package.

    What belongs to other packages is theirs, and what a `ContextVar` has belongs to the request or task that runs.

    Args:
        text: of the module.
        package: to which it belongs.
        home: the module of it that has the state, which others may change.
    """
    tree = ast.parse(text)
    names = _names_at_top(tree, package, home)
    for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
        own = names - _bound_in(function)
        for node in (each for each in ast.walk(function) if isinstance(each, ast.stmt | ast.expr)):
            for changed in _changed(node):
                if changed in (names if isinstance(node, ast.Global) else own) and not changed.endswith(CACHE):
                    yield f"{node.lineno}: {changed}"


def _names_at_top(tree: ast.Module, package: str, home: str) -> set[str]:
    """The names that are set at the top, those of its classes, and what is imported from the package anywhere."""
    names: set[str] = set()
    for node in _outside_of_functions(tree):
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(name for target in targets for name in _names_in(target))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module != home:
            if node.level or (node.module or "").partition(".")[0] == package:
                names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.asname or package for alias in node.names if alias.name.partition(".")[0] == package)
    return names


def _outside_of_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function):
            yield child
            if not isinstance(child, ast.ClassDef):
                yield from _outside_of_functions(child)


def _bound_in(function: Function) -> set[str]:
    """The names that are the function's own: its parameters and variables."""
    given = function.args
    names = {
        each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if each
    }
    declared: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Global):
            declared.update(node.names)
    return names - declared


def _changed(node: ast.AST) -> Iterator[str]:
    """The names whose values a statement or a call changes."""
    if isinstance(node, ast.Global):
        yield from node.names
    elif isinstance(node, ast.Assign | ast.Delete):
        for target in node.targets:
            yield from _owners_in(target)
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        yield from _owners_in(node.target)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
        yield from _owner(node.func.value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr"):
        yield from _owner(node.args[0])


def _owners_in(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Tuple | ast.List):
        for each in target.elts:
            yield from _owners_in(each)
    elif isinstance(target, ast.Starred):
        yield from _owners_in(target.value)
    elif isinstance(target, ast.Attribute | ast.Subscript):
        yield from _owner(target.value)


def _owner(value: ast.expr) -> Iterator[str]:
    """The name before all dots and brackets."""
    while isinstance(value, ast.Attribute | ast.Subscript):
        value = value.value
    if isinstance(value, ast.Name):
        yield value.id


def _names_in(target: ast.expr) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
