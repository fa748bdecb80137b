"""Middleware classes of plugins that nothing adds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from starlette.middleware.base import BaseHTTPMiddleware

from opa.checks.mistake import Mistake
from opa.core.importing import modules_of
from opa.core.middleware import BaseMiddleware
from opa.core.sources import where_is

if TYPE_CHECKING:
    from opa.core.app import Api


def unused_middleware(app: Api) -> Iterator[Mistake]:
    """A mistake for each subclass of `BaseMiddleware` that the application does not have.

    One that some code names is as it should be: it may be added under a condition, or be the base of another one. So is
    one whose name starts with an underscore.
    """
    manager = app.manager
    added = {item.cls for item in app.user_middleware}
    plugins = {
        found.plugin.file.module: found.plugin.name
        for found in manager.registry.objects
        if found.plugin.name in manager.roster and not found.plugin.file.is_built_in
    }
    found: dict[type, str] = {}
    modules = list(modules_of(plugins))
    for plugin, module in modules:
        for name, value in list(vars(module).items()):
            is_own = isinstance(value, type) and value.__module__ == module.__name__ and not name.startswith("_")
            if is_own and issubclass(value, BaseMiddleware | BaseHTTPMiddleware) and value not in added:
                found[value] = plugin
    for cls, plugin in found.items():
        if not any(_names(module, cls.__name__) for _, module in modules):
            yield Mistake(
                f"middleware {cls.__name__} of plugin '{plugin}' is in no application",
                plugin=plugin,
                where=where_is(cls),
                hint=f"Add it: middleware = [Middleware({cls.__name__})], or name it in the setting MIDDLEWARE; a base"
                " class of your own has a name with a leading underscore",
            )


def _names(module: ModuleType, name: str) -> bool:
    """Whether the code of `module` does something with what has this name."""
    file = getattr(module, "__file__", None)
    try:
        tree = ast.parse(Path(file).read_bytes()) if file else None
    except (OSError, SyntaxError, ValueError):  # compiled, or gone since it was imported
        return True
    return tree is not None and any(
        getattr(node, "id", None) == name or getattr(node, "attr", None) == name for node in ast.walk(tree)
    )
