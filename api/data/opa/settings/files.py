"""Reads settings files (YAML, TOML, JSON, INI, Python) into sections. One that does not parse is an error."""

from __future__ import annotations

import ast
import json
import keyword
import re
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from opa._util.masking.secrets import looks_secret, mask_text
from opa._util.nesting import MAX_VALUES, TOO_DEEP, TOO_MANY, NestingError, check_nesting
from opa._util.patterns import lazy_pattern
from opa._util.reading import UnreadableError, read_text
from opa._util.watchdog import TimeLimitError, time_limit
from opa.errors import SettingsError
from opa.settings.envs import DEFAULT_SECTION

TIME_LIMIT = 30.0
"""Seconds for one file. A Python file may have to ask someone for a password."""


PYTHON_PACKAGE = "opa_settings"
"""The package that Python files of the settings folder are modules of, while they are run and afterwards."""

_MISSING = object()
_ANCHOR = lazy_pattern(r"(?:^|[\s\[{,:-])&\S", re.MULTILINE)


class _UnparsableError(Exception):
    """`problem` never quotes the file: there may be a password on the line."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def settings_files(folder: Path) -> list[Path]:
    """The settings files in `folder` in reading order: by name, and `NAME.local.EXT` after all others.

    Raises:
        SettingsError: the folder cannot be read, or an empty folder stands in the place of a file.
    """
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in READERS and not path.name.startswith(".")]
        folders = {path for path in found if path.is_dir()}
        empty = next((path for path in sorted(folders) if not any(path.iterdir())), None)
    except OSError as error:
        raise _file_error(folder, f"the settings folder cannot be read: {error.strerror or error}") from None
    if empty is not None:
        problem = "settings file is an empty folder, as Docker makes one in the place of a file that is not there"
        raise _file_error(empty, problem)
    return sorted(set(found) - folders, key=lambda path: (".local." in path.name, path.name))


def read_sections(path: Path) -> dict[str, Any]:
    """The content of a settings file: values by section name.

    A Python file has no sections; its upper-case names come under `default`.

    Raises:
        SettingsError: the file cannot be read or does not parse, takes too long, is nested too deeply, or is no
            mapping; with file and line.
    """
    try:
        with time_limit(TIME_LIMIT):
            content = READERS[path.suffix.lower()](read_text(path), path)
            check_nesting(content)
    except UnreadableError as error:
        raise _file_error(path, f"settings file {error}") from error
    except _UnparsableError as error:
        raise _file_error(path, f"settings file does not parse: {error.problem}", error.line) from error.__cause__
    except TimeLimitError:
        raise _file_error(path, f"settings file takes longer than {TIME_LIMIT:g} s to read") from None
    except NestingError as error:
        raise _file_error(path, f"settings file cannot be used: {error}") from None
    except RecursionError:
        raise _file_error(path, f"settings file cannot be used: {TOO_DEEP}") from None
    except Exception as error:  # noqa: BLE001 - parsers raise anything for a text that they do not expect
        raise _file_error(path, f"settings file does not parse: {_words_for(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        kind = "list" if isinstance(content, list) else type(content).__name__
        raise _file_error(path, f"settings file has a {kind} at its top level instead of sections")
    return {str(key): value for key, value in content.items()}


def _words_for(error: Exception) -> str:
    """Never the message: it may quote the file."""
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return "a number has too many digits"
    if isinstance(error, MemoryError):
        return "it is too large, or nested too deeply"
    return f"{type(error).__name__} while it was read"


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
        if _ANCHOR.search(text):
            _check_aliases(YAML(typ="safe", pure=True).parse(text))
        return YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        name = re.match(r'found duplicate key "([^"]*)"', error.problem or "")
        key = f' "{name[1]}"' if name else ""
        raise _UnparsableError(f"the key{key} is there twice", _line(error.problem_mark)) from None
    except MarkedYAMLError as error:
        problem = error.problem or error.context or "not valid YAML"
        told = next(
            (words for start, words in _YAML_PROBLEMS.items() if problem.startswith(start)), without_quotes(problem)
        )
        raise _UnparsableError(told, _line(error.problem_mark or error.context_mark)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else None
        raise _UnparsableError("a control character", line) from None
    except YAMLError:
        raise _UnparsableError("not valid YAML") from None


# A password without quotes may well begin with one of these signs.
_UNKNOWN_TAG = "a tag (!) that is not known; put a text that begins with ! in quotes"
_YAML_PROBLEMS = {
    "found undefined alias": "an alias (*) without an anchor; put a text that begins with * in quotes",
    "found duplicate anchor": "an anchor (&) that is there twice; put a text that begins with & in quotes",
    "found undefined tag handle": _UNKNOWN_TAG,
    "could not determine a constructor for the tag": _UNKNOWN_TAG,
}


def _check_aliases(events: Iterable[Any]) -> None:
    """Count the values with each alias as what it stands for, before anything is made of them.

    A few lines of aliases of aliases stand for billions of values, and `<<` makes them while the file is read.
    """
    from dynaconf.vendor.ruamel.yaml import events as kinds

    sizes: dict[str, int] = {}
    around: list[tuple[str | None, int]] = [(None, 0)]
    for event in events:
        if isinstance(event, kinds.CollectionStartEvent):
            around.append((event.anchor, 1))
            continue
        if isinstance(event, kinds.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in around):
                raise _UnparsableError("an alias (*) contains itself", _line(event.start_mark))
            size = sizes.get(event.anchor, 1)
        elif isinstance(event, kinds.ScalarEvent):
            size = 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, kinds.CollectionEndEvent):
            anchor, size = around.pop()
            if anchor:
                sizes[anchor] = size
        else:
            continue
        outer, before = around[-1]
        around[-1] = (outer, before + size)
        if before + size > MAX_VALUES:
            raise _UnparsableError(TOO_MANY, _line(event.start_mark))


def without_quotes(problem: str) -> str:
    """A parser's message without the parts of the file in it, which stand in quotes; one or two signs of it stay."""
    return _QUOTED.sub(lambda found: found[0] if _is_of_parser(found[2]) else "…", problem)


_QUOTED = lazy_pattern(r"""(["'])((?:\\.|(?!\1)[^\\])*)\1|\(('.*)\)""", re.DOTALL)
_WORDS = frozenset({"print", "exec", "unicodeescape", "utf-8"})


def _is_of_parser(quoted: str | None) -> bool:
    if quoted is None:
        return False
    is_token = quoted.startswith("<") and quoted.endswith(">")
    is_escape = re.fullmatch(r"\\(?:.|x\w{2}|u\w{4}|U\w{8})", quoted)
    return len(quoted) <= 2 or is_token or bool(is_escape) or keyword.iskeyword(quoted) or quoted in _WORDS


def _line(mark: Any) -> int | None:
    return None if mark is None else int(mark.line) + 1


def _read_json(text: str, path: Path) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _UnparsableError(without_quotes(error.msg), error.lineno) from None  # its `doc` is the whole file


def _read_toml(text: str, path: Path) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        problem = str(error)[: position.start()] if position else str(error)
        line = int(position[1]) if position and position[1] else text.count("\n") + 1
        raise _UnparsableError(without_quotes(problem), line) from None


def _read_ini(text: str, path: Path) -> Any:
    from configobj import ConfigObj, ConfigObjError

    try:
        return ConfigObj(text.splitlines()).dict()
    except ConfigObjError as error:
        first = (getattr(error, "errors", None) or [error])[0]
        raise _UnparsableError("not valid INI", getattr(first, "line_number", None)) from None


def _read_python(text: str, path: Path) -> Any:
    module = _new_module(path)
    try:
        # Without dont_inherit it would have this module's `annotations` feature.
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - a file of the user's own
    except SyntaxError as error:
        # No cause: its text is the line itself.
        raise _UnparsableError(
            without_quotes(error.msg), error.lineno if error.filename == str(path) else None
        ) from None
    except SystemExit as error:
        raise _UnparsableError(f"it calls sys.exit({error.code!r})") from None
    except Exception as error:  # the user's code may raise anything; it is reported with its line
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = lines[-1] if lines else None
        if any(_makes_secret(text, number) for number in lines if number) and not _is_told_of_secret(error):
            message = f"{type(error).__name__}, in what makes the value of a secret"
            raise _UnparsableError(message, line) from None
        raise _UnparsableError(f"{type(error).__name__}: {mask_text(str(error))}", line) from error
    values = {
        name: value
        for name, value in module.__dict__.items()
        if (name.split("__")[0].isupper() or name == "dynaconf_merge") and not isinstance(value, ModuleType)
    }
    for name in _from_standard_library(text, values):
        del values[name]
    return {DEFAULT_SECTION: values}


def _makes_secret(text: str, line: int) -> bool:
    """Whether what this line of a Python file makes is a secret, by its name."""
    for node in ast.walk(ast.parse(text)):
        named: list[tuple[ast.AST | None, ast.AST]] = []
        if isinstance(node, ast.Assign):
            named = [(target, node) for target in node.targets]
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            named = [(node.target, node)]
        elif isinstance(node, ast.Dict):
            named = list(zip(node.keys, node.values, strict=True))
        elif isinstance(node, ast.keyword):
            named = [(node, node)]
        for target, made in named:
            first, last = getattr(made, "lineno", 0), getattr(made, "end_lineno", 0)
            if first <= line <= last and target is not None and looks_secret(_name_of(target)):
                return True
    return False


def _name_of(target: ast.AST) -> str:
    if isinstance(target, ast.Subscript):
        return f"{_name_of(target.value)}.{_name_of(target.slice)}"
    for attribute in ("id", "attr", "arg", "value"):
        if isinstance(name := getattr(target, attribute, None), str):
            return name
    return ""


def _is_told_of_secret(error: Exception) -> bool:
    """Whether an error says where the value was looked for: in a file, or under the name of a variable."""
    if isinstance(error, KeyError):
        return re.fullmatch(r"'[A-Z_][A-Z0-9_]*'", str(error)) is not None
    return isinstance(error, OSError | ImportError)


def _new_module(path: Path) -> ModuleType:
    """A module for the file, in `sys.modules`, where dataclasses, pydantic and pickle look for it.

    It lies in a package that stands for the folder, so that it can import from its neighbours.
    """
    folder = str(path.parent.absolute())
    package = sys.modules.get(PYTHON_PACKAGE)
    if package is None or package.__path__ != [folder]:
        package = sys.modules[PYTHON_PACKAGE] = ModuleType(PYTHON_PACKAGE)
        package.__path__ = [folder]
    module = ModuleType(f"{PYTHON_PACKAGE}.{path.stem}")
    module.__package__, module.__file__ = PYTHON_PACKAGE, str(path.absolute())
    sys.modules[module.__name__] = module
    return module


def forget_python_files() -> None:
    """Let the next settings files in Python import one another anew."""
    if PYTHON_PACKAGE in sys.modules:
        for name in [name for name in sys.modules if name.partition(".")[0] == PYTHON_PACKAGE]:
            del sys.modules[name]


def _from_standard_library(text: str, values: Mapping[str, Any]) -> set[str]:
    """Those of `values` that are what the file imports from Python's standard library, such as `logging.DEBUG`."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom) or node.level or not node.module:
            continue
        if node.module.partition(".")[0] not in sys.stdlib_module_names:
            continue
        exported = vars(sys.modules.get(node.module, object))
        for alias in node.names:
            names = {name: name for name in exported} if alias.name == "*" else {alias.asname or alias.name: alias.name}
            found |= {
                name for name, its in names.items() if name in values and values[name] is exported.get(its, _MISSING)
            }
    return found


READERS: dict[str, Callable[[str, Path], Any]] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
    ".toml": _read_toml,
    ".ini": _read_ini,
    ".py": _read_python,
}
