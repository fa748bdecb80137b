"""The plain case, which most processes are: default-settings.yaml, and variables with plain values on top of it.

What comes out is what dynaconf makes of it, without its import, which takes as long as a tenth of a small start.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from opa._util.patterns import lazy_pattern
from opa.settings.ambiguous import in_variable
from opa.settings.field_types import split_list
from opa.settings.names import ALIASES, LISTS, TEXTS, path_of
from opa.settings.sources import DEFAULTS_FILE, FOLDER_VARIABLE, PREFIX, Layer
from opa.settings.variables import Variable

KeyPath = tuple[str, ...]

_NAME = lazy_pattern(r"[A-Z][A-Z0-9]*(?:__?[A-Z0-9]+)*", re.IGNORECASE)
_FOR_DYNACONF = lazy_pattern(r"(?:^|[\s,])@|[\[{]|dynaconf", re.IGNORECASE)
"""Marks, lists and mappings in a text."""


class PlainSettings:
    """Values by upper-case name.

    Attributes:
        values: plain dicts, lists and scalars.
        sources: where each value came from, by its path in upper case.
        warnings: what is accepted, and probably not meant.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[KeyPath, str] = {}
        self.warnings: list[str] = []

    def put(self, name: str, value: Any, source: str) -> None:
        """Replace a setting, or add one."""
        for path in [path for path in self.sources if path[0] == name]:
            del self.sources[path]
        self.values[name] = value
        self.sources |= dict.fromkeys(_leaves((name,), value), source)


def plain_settings(layers: Iterable[Layer], variables: Iterable[Variable]) -> PlainSettings | None:
    """The settings; None where dynaconf has to say what they are.

    Args:
        layers: those before the variables.
        variables: those of the environment.
    """
    settings = PlainSettings()
    for layer in layers:
        if layer.values and not layer.source.startswith(DEFAULTS_FILE.name):
            return None
        for name, value in layer.values.items():
            if isinstance(settings.values.get(name), dict) or "dynaconf" in repr(value):
                return None  # it may be merged
            settings.put(name, deepcopy(value), layer.source)
    return settings if all(_put_variable(settings, variable) for variable in variables) else None


def _put_variable(settings: PlainSettings, variable: Variable) -> bool:
    """Whether it is a plain one."""
    name, source = variable.name, variable.source
    value = literal_value(variable) if variable.is_literal else _value(name.upper(), variable.text)
    if value is None or not _NAME.fullmatch(name) or "DYNACONF" in name.upper():
        return False
    if name.upper() in ALIASES or name.upper() == FOLDER_VARIABLE.removeprefix(PREFIX):
        return False
    first, *inner = path_of(name)
    before = settings.values.get(first)
    if not inner:
        if isinstance(before, dict):
            return False
        settings.put(first, value, source)
    else:
        found = _place_of(before, inner)
        if found is None:
            return False
        around, key = found
        around[key] = value
        settings.sources[first, *(step.upper() for step in inner)] = source
    if not variable.is_literal:
        settings.warnings += in_variable(name, variable.text, source)
    return True


def literal_value(variable: Variable) -> Any:
    """The value of one whose text is not to be interpreted: that text, or the list of texts that a known setting is."""
    return split_list(variable.text) if variable.name.upper() in LISTS else variable.text


def _value(name: str, text: str) -> Any:
    """The value that a text stands for, as TOML has it; None of one that is not plain."""
    if not text or _FOR_DYNACONF.search(text):
        return None
    try:
        value = tomllib.loads(f"key={text.lower() if text.strip() in ('True', 'False') else text}")["key"]
    except (tomllib.TOMLDecodeError, KeyError):
        value = text
    except ValueError:  # a number of too many digits
        return None
    if name in TEXTS | LISTS and not isinstance(value, str):
        value = text
    if name in LISTS:
        return split_list(value)
    return value if isinstance(value, str | int | float) else None


def _place_of(value: Any, inner: list[str]) -> tuple[dict[str, Any], str] | None:
    """The dict and the key where the steps lead to a scalar that is there; else None."""
    for number, step in enumerate(inner, 1):
        if not isinstance(value, dict):
            return None
        keys = [key for key in value if isinstance(key, str) and key.upper() == step.upper()]
        if len(keys) != 1:
            return None
        if number == len(inner):
            return None if isinstance(value[keys[0]], dict | list) else (value, keys[0])
        value = value[keys[0]]
    return None


def _leaves(path: KeyPath, value: Any) -> Iterable[KeyPath]:
    if not isinstance(value, Mapping) or not value:
        yield path
        return
    for key, item in value.items():
        yield from _leaves((*path, str(key).upper()), item)
