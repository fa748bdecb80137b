"""Calls of `send`, `delay` and the like of a function that is no task, which fail when they are reached."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from opa.checks.mistake import Mistake
from opa.core.importing import modules_of
from opa.core.sources import where_is_function

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

METHODS = frozenset({"send", "send_with", "delay", "apply_async", "s", "si", "signature"})
_UNKNOWN: Any = object()
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def sent_functions(manager: PluginManager) -> Iterator[Mistake]:
    """A mistake for each such call in the code of a plugin."""
    plugins = {
        found.plugin.file.module: found.plugin.name
        for found in manager.registry.objects
        if found.plugin.name in manager.roster and not found.plugin.file.is_built_in
    }
    for plugin, module in modules_of(plugins):
        file = getattr(module, "__file__", None)
        if file is None:
            continue
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):  # compiled, or gone since it was imported
            continue
        for call, function in _Calls(module).of(tree):
            yield Mistake(
                f"'{ast.unparse(call.func)}()' in plugin '{plugin}' is called, and {function.__name__} "
                f"({where_is_function(function)}) is no task",
                plugin=plugin,
                where=f"{file}:{call.lineno}",
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
                if isinstance(value, FunctionType) and not hasattr(value, child.func.attr):
                    yield child, value
            yield from self.of(child, inner)

    def _value(self, node: ast.expr, scope: dict[str, Any]) -> Any:
        if isinstance(node, ast.Name):
            return scope[node.id] if node.id in scope else self._globals.get(node.id, _UNKNOWN)
        if isinstance(node, ast.Attribute):
            owner = self._value(node.value, scope)
            return vars(owner).get(node.attr, _UNKNOWN) if isinstance(owner, ModuleType) else _UNKNOWN
        return _UNKNOWN


def _locals_of(function: _Function | _Comprehension) -> dict[str, Any]:
    """The names of its own that a function has; what it imports is known."""
    found: dict[str, Any] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            found[node.arg] = _UNKNOWN
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = _UNKNOWN
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node is not function:
            found[node.name] = _UNKNOWN
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = vars(sys.modules[node.module or ""]) if node.module in sys.modules else {}
            found |= {alias.asname or alias.name: module.get(alias.name, _UNKNOWN) for alias in node.names}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {
                alias.asname or alias.name: sys.modules.get(alias.name, _UNKNOWN) if "." not in alias.name else _UNKNOWN
                for alias in node.names
            }
    return found
