"""Which files cause a reload: Python files, and what opa-stack itself reads beside them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from opa.settings.files import READERS

IGNORED_FOLDERS = {"__pycache__", "node_modules"}
VIRTUAL_ENVIRONMENT = "pyvenv.cfg"
"""The file that each folder of a virtual environment has."""
PACKAGE_FILES = ("default-settings.yaml",)
PLUGIN_FILES = ("meta.json", "pyproject.toml")
"""The metadata of a plugin that is a package; that of another one is `NAME-meta.json` beside `NAME.py`."""

Stamp = tuple[int, int, int]
"""Inode, size and time of change in nanoseconds."""
Entries = Mapping[str, os.DirEntry[str]]
Counts = Callable[[str, int, Entries], bool]
"""Whether a file counts, by its name, the number of folders that it is inside of, and what lies beside it."""


@dataclass(frozen=True)
class Watched:
    """A folder that is watched, with what is below it.

    Attributes:
        folder: it need not exist.
        counts: which of its files do.
    """

    folder: Path
    counts: Counts

    def files(self) -> Iterator[tuple[str, Stamp]]:
        """Every file that counts, by its path.

        Hidden folders, `__pycache__`, `node_modules` and virtual environments are left out; links are followed.
        """
        seen = set[tuple[int, int]]()
        # A list instead of a call for each level, of which there may be more than Python allows calls.
        folders = [(str(self.folder), 0)]
        while folders:
            folder, depth = folders.pop()
            for entry, entries in _listed(folder, is_outermost=not depth):
                try:
                    found = entry.stat()
                except OSError:  # gone since it was listed, or a link that leads nowhere
                    continue
                if stat.S_ISDIR(found.st_mode):
                    if (found.st_dev, found.st_ino) not in seen:
                        seen.add((found.st_dev, found.st_ino))
                        folders.append((entry.path, depth + 1))
                elif self.counts(entry.name, depth, entries):
                    yield entry.path, (found.st_ino, found.st_size, found.st_mtime_ns)


def _listed(folder: str, *, is_outermost: bool) -> Iterator[tuple[os.DirEntry[str], Entries]]:
    """What lies in the folder and may count, each with all that lies there."""
    try:
        with os.scandir(folder) as listed:
            entries = {entry.name: entry for entry in listed}
    except OSError:  # gone since it was listed, not ours to read, or too deep: the import says so
        return
    if VIRTUAL_ENVIRONMENT in entries and not is_outermost:
        return
    for name, entry in entries.items():
        if not name.startswith(".") and name not in IGNORED_FOLDERS:
            yield entry, entries


def in_package(name: str, depth: int, _beside: Entries) -> bool:
    """Of the package `opa`: its modules, and the defaults of the settings."""
    return name.endswith(".py") or (depth == 0 and name in PACKAGE_FILES)


def in_settings(name: str, depth: int, _beside: Entries) -> bool:
    """Of the settings folder: what is read as settings, and what Python files there may import."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path would cost more
    return suffix == ".py" or (depth == 0 and suffix in READERS)


def in_plugin_path(name: str, depth: int, beside: Entries) -> bool:
    """Of a plugin path: Python files, and the metadata of plugins."""
    if name.endswith(".py"):
        return True
    if depth == 0:
        return name.endswith("-meta.json") and f"{name.removesuffix('-meta.json')}.py" in beside
    return depth == 1 and name in PLUGIN_FILES and "__init__.py" in beside
