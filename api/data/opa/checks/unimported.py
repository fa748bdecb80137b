"""Files of a package with a router, tasks or handlers, which nothing imports: they look like parts of the plugin."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from opa._util.reading import MAX_FILE_BYTES
from opa.checks.finding import Finding
from opa.loading.candidates import is_for_others

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

_LOOKED_AT = 500
"""Files of a package, which may be one with much besides."""
_OF_OPA = re.compile(r"^(?:from|import)\s+opa\b", re.MULTILINE)
_PARTS = {
    "a router": re.compile(r"^router\b[^=\n]*=\s*(?:\w+\.)?get_router\(", re.MULTILINE),
    "a task": re.compile(r"^@(?:opa\.)?task\b", re.MULTILINE),
    "a handler of events": re.compile(r"^@(?:opa\.)?on\(", re.MULTILINE),
}
_NO_PARTS = frozenset({"migrations", "static", "tests"})


def unimported_parts(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each file that has such a part, and that neither was imported nor is named by an import."""
    for found in manager.registry.objects:
        file = found.plugin.file
        if file.is_built_in or not file.is_package or not file.file.parent.is_dir():
            continue
        folder = file.file.parent
        texts = {path: _text(path) for path in islice(_files(folder, manager.folders), _LOOKED_AT)}
        for path, text in texts.items():
            module = ".".join((file.module, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
            if module in sys.modules or not _OF_OPA.search(text):
                continue
            part, line = _part_in(text)
            name = module.rpartition(".")[2]
            if part and not any(_names(name, other) for at, other in texts.items() if at != path):
                yield Finding(
                    f"{path.relative_to(folder)} of plugin '{found.plugin.name}' has {part}, and nothing imports it",
                    where=f"{path}:{line}",
                    hint=_hint(module, part),
                    plugin=found.plugin.name,
                )


def _files(folder: Path, paths: Iterable[Path]) -> Iterator[Path]:
    """Its files of Python, without those of a plugin path inside of it."""
    others = set(paths)
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if name[0] not in "._" and name not in _NO_PARTS and Path(at, name) not in others
        )
        yield from (Path(at, name) for name in sorted(names) if name.endswith(".py") and _may_be_part(name))


def _may_be_part(name: str) -> bool:
    return name == "__init__.py" or (name[0] not in "._" and not is_for_others(name))


def _text(path: Path) -> str:
    with suppress(OSError):
        if path.is_file() and path.stat().st_size <= MAX_FILE_BYTES:
            return path.read_text("utf-8", errors="replace")
    return ""


def _part_in(text: str) -> tuple[str, int]:
    for part, pattern in _PARTS.items():
        if match := pattern.search(text):
            return part, text.count("\n", 0, match.start()) + 1
    return "", 0


def _names(module: str, text: str) -> bool:
    """Whether an import in `text` names the module, such as one inside of a function, which has not run yet."""
    name = re.escape(module)  # a file may have any name
    return re.search(rf"(?:from|import)\b[^\n]*\b{name}\b|[\"'][\w.]*\.{name}[\"':]", text) is not None


def _hint(module: str, part: str) -> str:
    if part == "a router":
        return f"Write 'from {module} import router' into its __init__.py; several are joined there by include_router"
    usual = "tasks.py" if part == "a task" else "events.py"
    return f"Write 'import {module}' into its __init__.py, or name the file {usual}, which is imported by itself"
