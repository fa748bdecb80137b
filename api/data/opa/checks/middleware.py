"""Middleware classes of plugins that nothing adds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.middleware.base import BaseHTTPMiddleware

from opa._util.objects import is_a
from opa._util.sources import where_is
from opa.checks.finding import Finding
from opa.http.middleware import BaseMiddleware

if TYPE_CHECKING:
    from opa.checks.code import Code
    from opa.http.application import Api


def unused_middleware(app: Api, code: Code) -> Iterator[Finding]:
    """A finding for each subclass of `BaseMiddleware` that the application does not have.

    One that some code names is as it should be: it may be added under a condition, or be the base of another one. So is
    one whose name starts with an underscore.
    """
    added = {item.cls for item in app.user_middleware}
    found: dict[type, str] = {}
    for plugin, module in code.modules:
        for name, value in list(vars(module).items()):
            is_kind = is_a(value, type) and issubclass(value, BaseMiddleware | BaseHTTPMiddleware)
            if is_kind and value.__module__ == module.__name__ and not name.startswith("_") and value not in added:
                found[value] = plugin
    named = _names_in(code) if found else None
    if named is None:
        return
    for cls, plugin in found.items():
        if cls.__name__ not in named:
            yield Finding(
                f"middleware {cls.__name__} of plugin '{plugin}' is in no application",
                plugin=plugin,
                where=where_is(cls),
                hint=f"Add it: middleware = [Middleware({cls.__name__})], or name it in the setting MIDDLEWARE; a base"
                " class of your own has a name with a leading underscore",
            )


def _names_in(code: Code) -> set[str] | None:
    """The names and attributes that the code of plugins does something with; none where they are not all known."""
    names: set[str] = set()
    for _, module in code.modules:
        tree = code.tree_of(module)
        if tree is None:
            return None
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
    return names
