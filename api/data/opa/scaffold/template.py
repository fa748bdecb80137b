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


def plugin_files(name: str, *, with_task: bool, with_sql: bool = False, with_admin: bool = False) -> tuple[File, ...]:
    """The files of a new plugin of this name: itself, and its tests. With a panel of the admin it has a table too."""
    path = name.lower().replace("_", "-")
    fields = {"plugin": name, "path": path, "title": name.replace("_", " ").capitalize()}
    kind, what = _KINDS[with_sql or with_admin, with_task]
    folder = _FOLDER / "plugin"
    fields |= _of_admin(folder, path, fields) if with_admin else _WITHOUT_ADMIN
    what += ", and a panel of the admin" if with_admin else ""
    return (
        File(f"plugins/{name}.py", _filled(folder / f"{kind}.py{_SUFFIX}", fields), what),
        File(f"tests/test_{name}.py", _filled(folder / f"test_{kind}.py{_SUFFIX}", fields), "its tests"),
    )


_WITHOUT_ADMIN = {"extras": "sql", "admin": "", "admin_panel": "", "import_admin": "", "test_admin_panel": ""}


def _of_admin(folder: Path, path: str, fields: Mapping[str, str]) -> dict[str, str]:
    """What a plugin with a panel has besides."""
    panel = re.sub(r"-+", "-", path).strip("-")
    of_panel = {**fields, "panel": panel}
    return {
        "extras": "admin,sql",
        "admin": "admin, ",
        "admin_panel": _filled(folder / f"admin_panel.part{_SUFFIX}", of_panel),
        "import_admin": "from opa import admin\n",
        "test_admin_panel": _filled(folder / f"test_admin_panel.part{_SUFFIX}", of_panel).rstrip("\n"),
    }


def _path(file: Path, folder: Path) -> str:
    return "/".join(_part(part) for part in file.relative_to(folder).parts).removesuffix(_SUFFIX)


def _part(part: str) -> str:
    return f".{part.removeprefix(_DOT)}" if part.startswith(_DOT) else part


def _filled(file: Path, fields: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda match: fields[match[1]], file.read_text(encoding="utf-8"))
