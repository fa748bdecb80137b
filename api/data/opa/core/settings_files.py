"""Reads settings files (YAML, TOML, JSON, INI, Python) into sections. One that does not parse is an error."""

from __future__ import annotations

import json
import re
import tomllib
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opa.core.errors import SettingsError
from opa.core.secrets import mask_url

DEFAULT_SECTION = "default"


class _UnparsableError(Exception):
    """`problem` never quotes the file: there may be a password on the line."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def settings_files(folder: Path) -> list[Path]:
    """The settings files in `folder` in reading order: by name, and `NAME.local.EXT` after all others.

    Raises:
        SettingsError: the folder cannot be read.
    """
    try:
        files = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in READERS and not path.name.startswith(".") and not path.is_dir()
        ]
    except OSError as error:
        raise _file_error(folder, f"the settings folder cannot be read: {error.strerror or error}") from error
    return sorted(files, key=lambda path: (".local." in path.name, path.name))


def read_sections(path: Path) -> dict[str, Any]:
    """The content of a settings file: values by section name.

    A Python file has no sections; its upper-case names come under `default`.

    Raises:
        SettingsError: the file cannot be read or does not parse, or is no mapping; with file and line.
    """
    try:
        text = path.read_text("utf-8-sig")
        content = READERS[path.suffix.lower()](text, path)
    except OSError as error:
        raise _file_error(path, f"settings file cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise _file_error(path, "settings file is not UTF-8 text") from error
    except _UnparsableError as error:
        raise _file_error(path, f"settings file does not parse: {error.problem}", error.line) from error.__cause__
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        kind = "list" if isinstance(content, list) else type(content).__name__
        raise _file_error(path, f"settings file has a {kind} at its top level instead of sections")
    return {str(key): value for key, value in content.items()}


def _file_error(path: Path, problem: str, line: int | None = None) -> SettingsError:
    where = f"{path}:{line}" if line is not None else str(path)
    return SettingsError(problem, where=where, mistakes=(f"{problem} ({where})",))


def _read_yaml(text: str, path: Path) -> Any:
    # The parser that dynaconf brings, so that a file means here what dynaconf's documentation says.
    from dynaconf.vendor.ruamel.yaml import YAML
    from dynaconf.vendor.ruamel.yaml.constructor import DuplicateKeyError
    from dynaconf.vendor.ruamel.yaml.error import MarkedYAMLError, YAMLError
    from dynaconf.vendor.ruamel.yaml.reader import ReaderError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        name = re.match(r'found duplicate key "([^"]*)"', error.problem or "")
        key = f' "{name[1]}"' if name else ""
        raise _UnparsableError(f"the key{key} is there twice", _line(error.problem_mark)) from None
    except MarkedYAMLError as error:
        problem = error.problem or error.context or "not valid YAML"
        raise _UnparsableError(problem, _line(error.problem_mark or error.context_mark)) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else None
        raise _UnparsableError("a control character", line) from error
    except YAMLError as error:
        raise _UnparsableError("not valid YAML") from error


def _line(mark: Any) -> int | None:
    return None if mark is None else int(mark.line) + 1


def _read_json(text: str, path: Path) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _UnparsableError(error.msg, error.lineno) from error


def _read_toml(text: str, path: Path) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        problem = str(error)[: position.start()] if position else str(error)
        line = int(position[1]) if position and position[1] else text.count("\n") + 1
        raise _UnparsableError(problem, line) from error


def _read_ini(text: str, path: Path) -> Any:
    from configobj import ConfigObj, ConfigObjError

    try:
        return ConfigObj(text.splitlines()).dict()
    except ConfigObjError as error:
        first = (getattr(error, "errors", None) or [error])[0]
        raise _UnparsableError("not valid INI", first.line_number) from None


def _read_python(text: str, path: Path) -> Any:
    namespace: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(text, str(path), "exec"), namespace)  # noqa: S102 - a settings file of the user's own
    except SyntaxError as error:
        raise _UnparsableError(error.msg, error.lineno if error.filename == str(path) else None) from error
    except Exception as error:  # the user's code may raise anything; it is reported with its line
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        message = f"{type(error).__name__}: {mask_url(str(error))}"
        raise _UnparsableError(message, lines[-1] if lines else None) from error
    values = {
        name: value for name, value in namespace.items() if name.split("__")[0].isupper() or name == "dynaconf_merge"
    }
    return {DEFAULT_SECTION: values}


READERS: dict[str, Callable[[str, Path], Any]] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
    ".toml": _read_toml,
    ".ini": _read_ini,
    ".py": _read_python,
}
