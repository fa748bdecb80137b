"""The environment variables that are settings: `OPA_NAME` is a value, and `OPA_NAME__FILE` names a file with one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from opa._util.masking.hidden import hide
from opa.settings.names import ALIASES, KNOWN, is_mapping_setting, path_of
from opa.settings.sources import PREFIX, setting_variables
from opa.settings.value_files import SUFFIX, ValueFileError, read_value, source_of_file


class Variable(NamedTuple):
    """A setting in the environment.

    Attributes:
        name: of the setting, without the prefix; nested ones as `A__B`.
        text: its value, as it is written.
        source: where it stands, for people.
        is_literal: whether the text is the value, also where it looks like a number or a mark.
    """

    name: str
    text: str
    source: str
    is_literal: bool = False


class Variables(NamedTuple):
    """Those that there are, in the order in which they apply, and a line for each that cannot be used."""

    found: tuple[Variable, ...]
    mistakes: tuple[str, ...]

    def texts(self) -> dict[tuple[str, ...], str]:
        """What stands in those that are settings of plugins, by path: their models say what is a text.

        One that says by a mark of dynaconf what it is (`@int 1`) is not among them.
        """
        texts = {path_of(each.name.upper()): each.text for each in self.found if _is_text(each)}
        return {path: text for path, text in texts.items() if path[0] == "PLUGIN_SETTINGS"}


class _Given(NamedTuple):
    """A variable as it stands in the environment.

    Attributes:
        variable: its whole name.
        setting: whose value it has, or the file that it names.
        text: what is in it.
        is_file: whether that is the name of a file.
    """

    variable: str
    setting: str
    text: str
    is_file: bool

    def __str__(self) -> str:
        return f"{self.variable} ({self.text})" if self.is_file else self.variable

    @property
    def path(self) -> tuple[str, ...]:
        """Of the setting: it is the same for each spelling of the name."""
        return path_of(self.setting.upper())


def read_variables() -> Variables:
    """Read the environment, and the files that it names; `A__B` comes after `A`."""
    by_path: dict[tuple[str, ...], list[_Given]] = {}
    for each in sorted(map(_given, setting_variables()), key=lambda each: each.path):
        by_path.setdefault(each.path, []).append(each)
    found: list[Variable] = []
    mistakes: list[str] = []
    for path, spellings in by_path.items():
        # As with the images of databases, an empty variable gives way to the file.
        filled = [each for each in spellings if each.text or each.is_file] if _has_file(spellings) else spellings
        try:
            found.append(_read(filled, by_path))
        except _UnusableError as error:
            mistakes.append(f"{'.'.join(path)}: {error}")
    return Variables(tuple(found), tuple(mistakes))


class _UnusableError(Exception):
    """Why the variables of a setting give no value, and what to do."""


def _given(item: tuple[str, str]) -> _Given:
    name, text = item
    is_file = _names_a_file(name)
    return _Given(f"{PREFIX}{name}", name[: -len(SUFFIX)] if is_file else name, text, is_file)


def _names_a_file(name: str) -> bool:
    """Whether it ends in `__FILE`, which behind the name of a mapping is a key of that."""
    return name.upper().endswith(SUFFIX) and len(name) > len(SUFFIX) and not is_mapping_setting(name[: -len(SUFFIX)])


def _has_file(spellings: Iterable[_Given]) -> bool:
    return any(each.is_file for each in spellings)


def _read(spellings: list[_Given], all_paths: Collection[tuple[str, ...]]) -> Variable:
    """The value of a setting, from all variables that have one for it.

    Raises:
        _UnusableError: there are several, or the file cannot be used.
    """
    first, *others = spellings
    if others:
        *before, last = map(str, spellings)
        both = f"{', '.join(before)} and {last}"
        raise _UnusableError(f"is set more than once, by the environment variables {both}; keep one of them")
    if not first.is_file:
        return Variable(first.setting, first.text, f"environment variable {first.variable}")
    inner = next((path for path in all_paths if path[: len(first.path)] == first.path and path != first.path), None)
    if inner:
        raise _UnusableError(
            f"is a mapping, since {'.'.join(inner)} is set, and cannot be read from a file; {_as_key(first)} "
            f"(environment variable {first})"
        )
    try:
        text = read_value(first.text)
        hide(text, is_imported=first.path[0] in _IMPORTED)
    except ValueFileError as error:
        is_plugins = first.path[0] == "PLUGIN_SETTINGS" or first.path[0] not in KNOWN | ALIASES.keys()
        hint = f"; {_as_key(first)}" if is_plugins and error.is_missing else ""
        raise _UnusableError(f"{error}{hint} (environment variable {first.variable})") from error
    return Variable(first.setting, text, source_of_file(first.text, first.variable), is_literal=True)


_IMPORTED = frozenset({"INSTALLED_PLUGINS", "MIDDLEWARE", "PLUGINS", "PLUGIN_PATHS"})


def _as_key(given: _Given) -> str:
    variable = f"{PREFIX}{given.setting}"
    return f"""if FILE is a key of it, write {variable}='@merge {{"file": "…"}}'"""


def _is_text(variable: Variable) -> bool:
    return variable.is_literal or not variable.text.startswith("@")
