"""`.opa-template.json`: which template a project has, as it was written. An update compares with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from opa import __version__
from opa._util.reading import UnreadableError, read_text
from opa.errors import ProjectError
from opa.scaffold.names import check_project_name
from opa.scaffold.template import File

NAME = ".opa-template.json"
LONGEST_PATH = 255
"""Bytes of a path in a project: more than the template has, and no more than each file system takes as a name."""
_NOTE = "Written by opa new, for opa new --update. Commit it, and do not edit it."


@dataclass(frozen=True)
class Record:
    """What was written into a project.

    Attributes:
        version: that of the opa-stack which wrote it.
        name: the name of the project.
        texts: the text of each file, by its path.
        hashes: of files that are not merged, such as locks, the SHA-256 of their text.
    """

    version: str
    name: str
    texts: Mapping[str, str]
    hashes: Mapping[str, str]

    @property
    def paths(self) -> set[str]:
        """Those of all files that it knows."""
        return {*self.texts, *self.hashes}

    def is_as_written(self, path: str, text: str) -> bool:
        """Whether a text is the one that was written."""
        return self.texts[path] == text if path in self.texts else self.hashes.get(path) == hash_of(text)


def hash_of(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


def record_file(name: str, files: Iterable[File]) -> File:
    """The record of these files, as a file of the project."""
    kept = [file for file in files if not file.is_seed]
    content = {
        "note": _NOTE,
        "opa_stack": __version__,
        "name": name,
        "files": {file.path: file.text for file in kept if not file.is_lock},
        "hashes": {file.path: hash_of(file.text) for file in kept if file.is_lock},
    }
    return File(NAME, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_record(project: Path) -> Record:
    """The record of a project.

    Raises:
        ProjectError: there is none, or it is none.
    """
    file = project / NAME
    try:
        content = json.loads(read_text(file))
    except UnreadableError as error:
        if error.is_missing and not file.is_symlink():
            raise ProjectError(
                f"there is no {NAME} in this folder, so this is not a project that opa new has made",
                where=str(project),
                hint="Run opa new --update in the folder of the project",
            ) from None
        raise _broken(file, str(error)) from None
    except (ValueError, RecursionError) as error:
        raise _broken(file, f"is not JSON: {error}") from None
    try:
        record = Record(
            _text(content["opa_stack"]), _text(content["name"]), _texts(content["files"]), _texts(content["hashes"])
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(file, f"does not have what it should have: {error}") from None
    check_project_name(record.name)
    return record


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value


def _texts(value: Any) -> dict[str, str]:
    """Texts by path. A path that leads out of the project is refused: files are written and deleted by it."""
    found: dict[str, str] = {}
    for name, text in value.items():
        path = PurePosixPath(name)
        is_inside = not path.is_absolute() and ".." not in path.parts and str(path) == name
        is_named = name.isprintable() and len(name.encode()) <= LONGEST_PATH
        if not is_inside or not is_named or path.parts[:1] in ((".git",), ()):
            raise ValueError(f"{name!r:.60} is not a path in the project")
        found[name] = _text(text)
    return found


def _broken(file: Path, problem: str) -> ProjectError:
    return ProjectError(
        f"{NAME} {problem}", where=str(file), hint="Restore it as it was committed: git checkout -- " + NAME
    )
