"""Folders in a plugin path that have Python files and no `__init__.py`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from opa.checks.finding import Finding
from opa.loading.discover import BUILT_IN_FOLDER, PluginFile
from opa.loading.filters import PluginFilters, decide

if TYPE_CHECKING:
    from opa.core.manager import PluginManager

_TESTS = ("test_*.py", "*_test.py", "conftest.py", "setup.py")
# A folder of data may have a million files; a start does not read all their names.
_LOOKED_AT = 1000
_SHOWN = 3


def folders_without_init(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each folder that looks like a package and is none, where no plugin imports its files either.

    Hidden folders, those whose name starts with an underscore, those that are plugin paths themselves, those with
    nothing but tests, and those that a filter would skip are as they should be.
    """
    known = {
        (decision.plugin.folder, decision.plugin.name) for decision in manager.decisions if decision.plugin.is_package
    }
    filters = PluginFilters.from_config(manager.config)
    for path in manager.folders:
        if path == BUILT_IN_FOLDER:
            continue
        for name in _folders_in(path):
            if (path, name) in known:
                continue
            folder = path / name
            if folder in manager.folders or _is_imported(folder):
                continue
            files = _python_files(folder)
            if files and _would_be_loaded(folder, filters):
                yield _finding_of_files(folder, files)
            elif str(folder) not in sys.path and (packages := _packages(folder)) and _would_be_loaded(folder, filters):
                yield _finding_of_packages(folder, packages)


def _folders_in(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.name[0] not in "._" and _is_folder(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle, or something of the system that is gone
        return False


def _is_imported(folder: Path) -> bool:
    """Whether some plugin imports from it: without an `__init__.py` it is what Python calls a namespace package."""
    module = sys.modules.get(folder.name)
    return str(folder) in list(getattr(module, "__path__", ()))


def _python_files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _LOOKED_AT) if entry.name.endswith(".py")]
    except OSError:
        return []  # a folder of another user's, of which refused.py tells
    return [] if "__init__.py" in names else sorted(name for name in names if not _is_test(name))


def _packages(folder: Path) -> list[str]:
    """The packages in it, as in what is unpacked from an archive, where it has nothing else of Python."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in islice(entries, _LOOKED_AT) if _is_folder(entry)]
        if (folder / "__init__.py").exists():
            return []
        return sorted(entry.name for entry in found if entry.name[0] not in "._" and _is_package(entry))
    except OSError:
        return []


def _is_package(entry: os.DirEntry[str]) -> bool:
    return entry.name not in ("test", "tests") and os.path.isfile(os.path.join(entry.path, "__init__.py"))  # noqa: PTH113, PTH118


def _is_test(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _TESTS)


def _would_be_loaded(folder: Path, filters: PluginFilters) -> bool:
    name = folder.name
    (decision,) = decide([PluginFile(name, folder.parent, folder / "__init__.py", True, name)], filters)
    return decision.load


def _finding_of_packages(folder: Path, packages: list[str]) -> Finding:
    return _finding(
        folder, packages, "the packages in it", "Move them into the plugin path, or add the folder to PLUGIN_PATHS"
    )


def _finding_of_files(folder: Path, files: list[str]) -> Finding:
    hint = "Add an __init__.py; where each file is a plugin, add the folder to PLUGIN_PATHS"
    return _finding(folder, files, "what is in it", hint)


def _finding(folder: Path, names: list[str], what: str, hint: str) -> Finding:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return Finding(
        f"folder '{folder.name}' is not a plugin, since it has no __init__.py, and nothing imports {what}:"
        f" {', '.join(names[:_SHOWN])}{more}",
        plugin=folder.name,
        where=str(folder),
        hint=f"{hint}; where it is something else, let its name start with an underscore",
    )
