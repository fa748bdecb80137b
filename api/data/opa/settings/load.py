"""Settings: read from all their sources, merged, checked at once, and then plain attributes of a `Config`."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Mapping
from datetime import date, time, timedelta
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from opa._util.watchdog import TimeLimitError, time_limit
from opa.errors import SettingsError
from opa.settings.ambiguous import in_variable
from opa.settings.config import FOLDER_SETTING, Config
from opa.settings.envs import DEFAULT_SECTION
from opa.settings.field_types import split_list
from opa.settings.names import ALIASES, LISTS, PLAIN, TEXTS, is_mapping_setting, is_secret_text, path_of
from opa.settings.plain import PlainSettings, literal_value, plain_settings
from opa.settings.sources import (
    FOLDER_VARIABLE,
    Layer,
    Sources,
    default_layers,
    find_sources,
    folder_source,
)
from opa.settings.telemetry import hide_telemetry_headers
from opa.settings.validation import Checked, check
from opa.settings.variables import Variable, Variables, read_variables

if TYPE_CHECKING:
    from opa.settings.merge import MergedSettings

__all__ = ["Config", "config", "load_settings"]

logger = logging.getLogger("opa.settings")

TIME_LIMIT = 30.0
"""Seconds to put together what the files and variables say; a template (`@jinja`) can go on forever."""


def load_settings(
    base: Mapping[str, Any] | None = None,
    *,
    base_name: str = "the program",
    last: Mapping[str, Any] | None = None,
    last_name: str = "the program",
) -> Config:
    """Read, merge and check all settings, for the env in the environment variable `ENV`.

    Later sources win: default-settings.yaml, what `opa up` says of its servers, `base`, the files of the settings
    folder in the order of their names, the environment variables `OPA_…`, `last`.

    Args:
        base: settings of the program that starts opa-stack, such as the addresses of servers that it runs.
        base_name: what to call them as a source.
        last: settings that win over all others, as a file would write them.
        last_name: what to call those as a source.

    Raises:
        SettingsError: a file does not parse or settings are wrong; `mistakes` has a line for each.
    """
    hide_telemetry_headers(os.environ)
    sources = find_sources(base, base_name)
    variables = read_variables()
    sources.mistakes += variables.mistakes
    plain = None if sources.mistakes or last else plain_settings(sources.layers, variables.found)
    top = Layer(last_name, last or {})
    found = _by_dynaconf(sources, variables, top) if plain is None else _checked(plain)
    for warning in (*sources.warnings, *found.warnings, *found.checked.warnings):
        logger.warning("%s", warning)
    if mistakes := (*sources.mistakes, *found.mistakes, *found.checked.mistakes):
        raise SettingsError(_summary(mistakes), mistakes=mistakes)

    folder = {FOLDER_SETTING: str(sources.folder)}
    where = found.sources | {(FOLDER_SETTING,): folder_source()}
    return Config(found.values | found.checked.settings | folder, where, texts=variables.texts())


class _Found(NamedTuple):
    """Settings that are put together, and what is wrong with them."""

    values: dict[str, Any]
    sources: dict[tuple[str, ...], str]
    mistakes: tuple[str, ...]
    warnings: tuple[str, ...]
    checked: Checked


def _checked(plain: PlainSettings) -> _Found:
    return _Found(plain.values, plain.sources, (), tuple(plain.warnings), check(plain.values, plain.sources))


def _by_dynaconf(sources: Sources, variables: Variables, top: Layer) -> _Found:
    from opa.settings.merge import MergedSettings

    merged = MergedSettings(env=sources.envs[-1] if sources.envs else DEFAULT_SECTION)
    try:
        with time_limit(TIME_LIMIT), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="dynaconf")  # they repeat the value, which may be a secret
            _merge(sources, variables, merged)
            merged.add(_tidied(top, sources))
            values = merged.values()
            checked = check(values, merged.sources, already_wrong=merged.mistakes.keys())
    except TimeLimitError:
        name, source = merged.at
        mistake = f"{name}: putting the settings together takes longer than {TIME_LIMIT:g} s ({source})"
        raise SettingsError(mistake, mistakes=(mistake,)) from None
    return _Found(values, merged.sources, tuple(merged.mistakes.values()), (), checked)


def default_of(name: str) -> Any:
    """What `default-settings.yaml` says of the setting `name` in this env."""
    from opa.settings.merge import MergedSettings

    merged = MergedSettings()
    for layer in default_layers():
        merged.add(layer)
    return merged.values()[name]


def _merge(sources: Sources, variables: Variables, merged: MergedSettings) -> None:
    for layer in sources.layers:
        merged.add(_tidied(layer, sources))
    for variable in variables.found:
        merged.at = (variable.name, variable.source)
        if variable.is_literal:
            layer = Layer(variable.source, {variable.name: literal_value(variable)}, is_literal=True)
        else:
            sources.warnings += in_variable(variable.name, variable.text, variable.source)
            layer = Layer(variable.source, {variable.name: _variable_value(variable, merged)})
        merged.add(_tidied(layer, sources))


def _variable_value(variable: Variable, merged: MergedSettings) -> Any:
    """The value of an environment variable. Where the setting is a text, "1.10" is no number."""
    name, text = variable.name, variable.text
    try:
        value = merged.parse_variable(text)
    except Exception:  # noqa: BLE001 - `add` parses it again and reports it together with all other mistakes
        return text
    if name.upper() in TEXTS | LISTS and isinstance(value, int | float | date | time):
        return text
    if is_secret_text(name) and isinstance(value, int | float | date | time) and not isinstance(value, bool):
        return text
    return _from_json(name, text) if value == text else value


def _from_json(name: str, text: str) -> Any:
    """The list that the text is in JSON, or the mapping where the setting is one. What JSON has TOML mostly has too."""
    is_mapping = text.lstrip().startswith("{") and is_mapping_setting(name)
    if not is_mapping and not text.lstrip().startswith("["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _tidied(layer: Layer, sources: Sources) -> Layer:
    """The layer with today's names, and with lists that are written as text as lists, so that they merge."""
    values: dict[str, Any] = {}
    names = {str(key).strip().upper() for key in layer.values}
    for key, value in layer.values.items():
        name = str(key).strip().upper()
        if name in (FOLDER_SETTING, "DYNACONF_INCLUDE"):
            sources.mistakes.append(_misplaced(name, layer.source))
        elif name in ALIASES:
            _warn_of_alias(name, layer.source, sources)
            if ALIASES[name] not in names:
                values[ALIASES[name]] = value
        else:
            plain = _without_python(value) if path_of(name)[0] in PLAIN else value
            is_text = name in LISTS and isinstance(plain, str) and not plain.startswith("@")
            values[key] = split_list(plain) if is_text else plain
    return layer._replace(values=values)


def _without_python(value: Any) -> Any:  # noqa: PLR0911 - one for each kind
    """`value` as another format than Python would have it: a path is a text, a member of an enum is its value."""
    if isinstance(value, Enum):
        return _without_python(value.value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {_without_python(key): _without_python(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_without_python, value), key=str)
    if isinstance(value, list | tuple):
        return [_without_python(item) for item in value]
    return value


def _warn_of_alias(name: str, source: str, sources: Sources) -> None:
    warning = f"{name} is the former name of {ALIASES[name]}, use that"
    if not any(given.startswith(warning) for given in sources.warnings):
        sources.warnings.append(f"{warning} ({source})")


def _misplaced(name: str, source: str) -> str:
    if name == FOLDER_SETTING:
        return f"{name}: can only be set as the environment variable {FOLDER_VARIABLE} ({source})"
    return f"{name}: is not supported, every file in the settings folder is read anyway ({source})"


def _summary(mistakes: tuple[str, ...]) -> str:
    if len(mistakes) == 1:
        return mistakes[0]
    return f"{len(mistakes)} mistakes in the settings: {'; '.join(mistakes)}"


config = Config(load=load_settings)
"""The settings of this process, for plugins: `from opa import config`."""
