"""The files of the templates, filled in.

A file of a template ends with `.tmpl`, so that no tool takes it for a file of opa-stack itself, and `dot-` stands for
the dot of a hidden one, so that git does not act on it. `{{ name }}` in it is filled in; other braces mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opa import __version__

_FOLDER = Path(__file__).resolve().parent
_SUFFIX = ".tmpl"
_DOT = "dot-"
_FIELD = re.compile(r"\{\{ (\w+) \}\}")

_KINDS = {
    (False, False): ("route", "a route"),
    (False, True): ("task", "a route, and a task that it sends"),
    (True, False): ("sql", "a table, and routes for it"),
    (True, True): ("sql_task", "a table, routes for it, and a task that one of them sends"),
}
"""Which template a plugin has, and what it is, by whether it uses SQL and whether it has a task."""

SEEDS = ("plugins/", "plugins.lock", "settings/", "tests/")
"""What is the user's once it is written: no update touches it."""


@dataclass(frozen=True)
class File:
    """A file that a template gives.

    Attributes:
        path: from the project's folder on, with `/`.
        text: without carriage returns.
        what: what it is, for people; empty where its name says it.
    """

    path: str
    text: str
    what: str = ""

    @property
    def is_seed(self) -> bool:
        """Whether it is the user's once it is written."""
        return self.path.startswith(SEEDS)

    @property
    def is_lock(self) -> bool:
        """Whether it is written by a tool, so that two versions of it cannot be merged."""
        return self.path.endswith(".lock")


def project_files(name: str) -> tuple[File, ...]:
    """The files of a new project of this name, in the order of their paths."""
    fields = {"name": name, "version": __version__}
    folder = _FOLDER / "template"
    files = (File(_path(file, folder), _filled(file, fields)) for file in folder.rglob(f"*{_SUFFIX}"))
    return tuple(sorted(files, key=lambda file: file.path))


def plugin_files(name: str, *, with_task: bool, with_sql: bool = False) -> tuple[File, ...]:
    """The files of a new plugin of this name: itself, and its tests."""
    path = name.lower().replace("_", "-")
    fields = {"plugin": name, "path": path, "title": name.replace("_", " ").capitalize()}
    kind, what = _KINDS[with_sql, with_task]
    folder = _FOLDER / "plugin"
    return (
        File(f"plugins/{name}.py", _filled(folder / f"{kind}.py{_SUFFIX}", fields), what),
        File(f"tests/test_{name}.py", _filled(folder / f"test_{kind}.py{_SUFFIX}", fields), "its tests"),
    )


def _path(file: Path, folder: Path) -> str:
    return "/".join(_part(part) for part in file.relative_to(folder).parts).removesuffix(_SUFFIX)


def _part(part: str) -> str:
    return f".{part.removeprefix(_DOT)}" if part.startswith(_DOT) else part


def _filled(file: Path, fields: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda match: fields[match[1]], file.read_text(encoding="utf-8"))
