"""Calls of `send`, `delay` and the like of a function that is no task, which fail when they are reached."""

from __future__ import annotations

import ast
import re
import sys
from collections import deque
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from opa._util.objects import is_a
from opa._util.sources import where_is_function
from opa.checks.finding import Finding

if TYPE_CHECKING:
    from opa.checks.code import Code

METHODS = frozenset({"send", "send_with", "delay", "apply_async", "s", "si", "signature"})
_CALLED = re.compile(rf"\.[\s\\]*(?:{'|'.join(sorted(METHODS))})\b".encode())
_UNKNOWN: Any = object()
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def sent_functions(code: Code) -> Iterator[Finding]:
    """A finding for each such call in the code of a plugin."""
    for plugin, module in code.modules:
        # Most plugins have none, and to look for the words takes next to no time.
        source = code.source_of(module)
        tree = code.tree_of(module) if source is not None and _CALLED.search(source) else None
        if tree is None:
            continue
        for call, function in _Calls(module).of(tree):
            yield Finding(
                f"'{ast.unparse(call.func)}()' in plugin '{plugin}' is called, and {function.__name__} "
                f"({where_is_function(function)}) is not a task",
                plugin=plugin,
                where=f"{module.__file__}:{call.lineno}",
                hint="Write @task above the function, or call it",
            )


class _Calls:
    """The calls in a module, with what each name stands for where it is used."""

    def __init__(self, module: ModuleType) -> None:
        self._globals = vars(module)

    def of(self, node: ast.AST, scope: dict[str, Any] | None = None) -> Iterator[tuple[ast.Call, FunctionType]]:
        """The calls of a method of tasks on a function."""
        scope = scope or {}
        for child in ast.iter_child_nodes(node):
            inner = {**scope, **_locals_of(child)} if isinstance(child, _Function | _Comprehension) else scope
            if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr in METHODS:
                value = self._value(child.func.value, scope)
                if type(value) is FunctionType and not hasattr(value, child.func.attr):
                    yield child, value
            yield from self.of(child, inner)

    def _value(self, node: ast.expr, scope: dict[str, Any]) -> Any:
        if isinstance(node, ast.Name):
            return scope[node.id] if node.id in scope else self._globals.get(node.id, _UNKNOWN)
        if isinstance(node, ast.Attribute):
            owner = self._value(node.value, scope)
            return vars(owner).get(node.attr, _UNKNOWN) if is_a(owner, ModuleType) else _UNKNOWN
        return _UNKNOWN


def _locals_of(function: _Function | _Comprehension) -> dict[str, Any]:
    """The names of its own that a function has; what it imports, and does nothing else to, is known."""
    imported: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for node in _nodes_of(function):
        if isinstance(node, ast.arg):
            others[node.arg] = _UNKNOWN
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            others[node.id] = _UNKNOWN
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            others[node.name] = _UNKNOWN
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = vars(sys.modules[node.module or ""]) if node.module in sys.modules else {}
            imported |= {alias.asname or alias.name: module.get(alias.name, _UNKNOWN) for alias in node.names}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {
                alias.asname or alias.name: sys.modules.get(alias.name, _UNKNOWN) if "." not in alias.name else _UNKNOWN
                for alias in node.names
            }
    return imported | others


def _nodes_of(function: _Function | _Comprehension) -> Iterator[ast.AST]:
    """What stands in a function, without what stands in those that it has inside."""
    nodes = deque(ast.iter_child_nodes(function))
    while nodes:
        node = nodes.popleft()
        yield node
        if not isinstance(node, _Function):
            nodes += ast.iter_child_nodes(node)
