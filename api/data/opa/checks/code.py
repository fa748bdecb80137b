"""The code of the plugins that are in, which several checks read."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from opa._util.reading import MAX_FILE_BYTES
from opa.loading.imported_modules import modules_of

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def _content_of(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)  # a compiled module may have any size
    except (OSError, ValueError):  # gone since it was imported
        return None
    return content if len(content) <= MAX_FILE_BYTES else None


class Code:
    """The modules of the plugins that are in, and what stands in their files; each is read and parsed once.

    It is made for one run of the checks, since files change.

    Attributes:
        modules: each with the name of its plugin; not those that come with opa-stack.
    """

    def __init__(self, manager: PluginManager) -> None:
        plugins = {
            found.plugin.file.module: found.plugin.name
            for found in manager.registry.objects
            if found.plugin.name in manager.roster and not found.plugin.file.is_built_in
        }
        self.modules: list[tuple[str, ModuleType]] = list(modules_of(plugins))
        self._sources: dict[ModuleType, bytes | None] = {}
        self._trees: dict[ModuleType, ast.Module | None] = {}

    def source_of(self, module: ModuleType) -> bytes | None:
        """Its text; none where it is large or not to be read; empty where there is no `__init__.py`."""
        if module not in self._sources:
            file = getattr(module, "__file__", None)
            self._sources[module] = _content_of(Path(file)) if file else b""
        return self._sources[module]

    def tree_of(self, module: ModuleType) -> ast.Module | None:
        """Its syntax tree, which is not to be changed; None if there is no source, as for a compiled module."""
        if module not in self._trees:
            source = self.source_of(module)
            try:
                self._trees[module] = None if source is None else ast.parse(source)
            # Compiled, changed since it was imported, or nested so deeply that Python runs it and makes no tree of it.
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._trees[module] = None
        return self._trees[module]
