"""Settings: read from all their sources, merged, checked at once, and then plain attributes of a `Config`."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time
from typing import Any

from dynaconf.nodes import DataDict

from opa.core.errors import MissingSettingError, SettingsError
from opa.core.settings_check import check
from opa.core.settings_merge import MergedSettings
from opa.core.settings_schema import ALIASES, LISTS, TEXTS, split_list
from opa.core.settings_sources import (
    FOLDER_VARIABLE,
    PREFIX,
    Layer,
    Sources,
    find_sources,
    setting_variables,
)

logger = logging.getLogger("opa.settings")

FOLDER_SETTING = FOLDER_VARIABLE.removeprefix(PREFIX)


def load_settings(base: Mapping[str, Any] | None = None, *, base_name: str = "base settings") -> Config:
    """Read, merge and check all settings, for the env in the environment variable `ENV`.

    Later sources win: default-settings.yaml, `base`, the files of the settings folder in the order of their
    names, the environment variables `OPA_…`.

    Args:
        base: settings of the program that starts opa-stack, such as the addresses of servers that it runs.
        base_name: what to call them as a source.

    Raises:
        SettingsError: a file does not parse or settings are wrong; `mistakes` has a line for each.
    """
    sources = find_sources(base, base_name)
    merged = MergedSettings()
    for layer in sources.layers:
        merged.add(_tidied(layer, sources))
    for name, text in setting_variables():
        layer = Layer(f"environment variable {PREFIX}{name}", {name: _variable_value(name, text, merged)})
        merged.add(_tidied(layer, sources))

    values = merged.values()
    result = check(values, merged.sources)
    for warning in dict.fromkeys([*sources.warnings, *result.warnings]):
        logger.warning("%s", warning)
    mistakes = (*sources.mistakes, *merged.mistakes, *result.mistakes)
    if mistakes:
        raise SettingsError(_summary(mistakes), mistakes=mistakes)

    origins = {".".join(path): source for path, source in merged.sources.items()}
    return Config(values | result.settings | {FOLDER_SETTING: str(sources.folder)}, origins)


def _variable_value(name: str, text: str, merged: MergedSettings) -> Any:
    """The value of an environment variable. Where the setting is a text, "1.10" is no number."""
    try:
        value = merged.parse_variable(text)
    except Exception:  # noqa: BLE001 - `add` parses it again and reports it together with all other mistakes
        return text
    is_text = name.upper() in TEXTS | LISTS
    return text if is_text and isinstance(value, int | float | date | time) else value


def _tidied(layer: Layer, sources: Sources) -> Layer:
    """The layer with today's names, and with lists that are written as text as lists, so that they merge."""
    values: dict[str, Any] = {}
    for key, value in layer.values.items():
        name = str(key).strip().upper()
        if name in (FOLDER_SETTING, "DYNACONF_INCLUDE"):
            sources.mistakes.append(_misplaced(name, layer.source))
            continue
        if name in ALIASES:
            warning = f"{name} is the former name of {ALIASES[name]}, use that"
            if not any(known.startswith(warning) for known in sources.warnings):
                sources.warnings.append(f"{warning} ({layer.source})")
            if any(str(other).strip().upper() == ALIASES[name] for other in layer.values):
                continue
            values[ALIASES[name]] = value
        elif name in LISTS and isinstance(value, str) and not value.startswith("@"):
            values[key] = split_list(value)
        else:
            values[key] = value
    return Layer(layer.source, values, layer.merge)


def _misplaced(name: str, source: str) -> str:
    if name == FOLDER_SETTING:
        return f"{name}: can only be set as the environment variable {FOLDER_VARIABLE} ({source})"
    return f"{name}: is not supported, every file in the settings folder is read anyway ({source})"


def _summary(mistakes: tuple[str, ...]) -> str:
    if len(mistakes) == 1:
        return mistakes[0]
    return f"{len(mistakes)} mistakes in the settings: " + "; ".join(mistakes)


class Config:
    """The effective settings. `config.NAME` is a plain attribute; `config.name` works too, and costs a look-up.

    Nested settings are dicts with attribute access: `config.OPTIONAL_COMPONENTS.WALRUS.OPTS.URL`.

    An empty `Config()` loads the settings when it is first asked for one.
    """

    # Settings alone live in __dict__, so no setting can collide with a private name.
    __slots__ = ("__dict__", "__weakref__", "_is_loaded", "_sources")

    _is_loaded: bool
    _sources: dict[str, str]

    def __init__(
        self, values: Mapping[str, Any] | None = None, sources: Mapping[str, str] | None = None
    ) -> None:
        self._is_loaded = values is not None
        self._sources = dict(sources or {})
        for name, value in (values or {}).items():
            self.__dict__[name] = DataDict(value) if isinstance(value, Mapping) else value

    def __getattr__(self, name: str) -> Any:
        # Only names that are not in __dict__ come here.
        if name.startswith("_"):
            raise AttributeError(name)
        self._load_if_empty()
        found = self._known_name(name)
        if found is None:
            raise self._missing(name)
        return self.__dict__[found]

    def __getitem__(self, name: str) -> Any:
        value = self.get(name, _ABSENT)
        if value is _ABSENT:
            raise self._missing(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name, _ABSENT) is not _ABSENT

    def __iter__(self) -> Iterator[str]:
        self._load_if_empty()
        return iter(self.__dict__)

    def __repr__(self) -> str:
        return f"<Config: {len(self.__dict__)} settings>" if self._is_loaded else "<Config: not loaded>"

    def get(self, name: str, default: Any = None) -> Any:
        """The setting `name`, which may be dotted (`OPTIONAL_COMPONENTS.WALRUS.LOAD`), or `default`."""
        self._load_if_empty()
        first, *rest = name.split(".")
        found = self._known_name(first)
        if found is None:
            return default
        value = self.__dict__[found]
        for key in rest:
            if not isinstance(value, Mapping) or key not in value:
                return default
            value = value[key]
        return value

    def as_dict(self) -> dict[str, Any]:
        """A deep copy in plain dicts and lists."""
        self._load_if_empty()
        return {name: _plain(value) for name, value in self.__dict__.items()}

    def source(self, name: str) -> str:
        """Where the setting `name`, which may be dotted, came from; several sources are separated by commas.

        Raises:
            MissingSettingError: there is no such setting.
        """
        if name not in self:
            raise self._missing(name)
        first, *rest = name.upper().split(".")
        wanted = ".".join([ALIASES.get(first, first), *rest])
        if wanted == FOLDER_SETTING:
            return f"environment variable {FOLDER_VARIABLE}, or its default"
        inside = [source for path, source in self._sources.items() if f"{path}.".startswith(f"{wanted}.")]
        return ", ".join(dict.fromkeys(inside)) or "set by code"

    def adopt(self, other: Config) -> None:
        """Become what `other` is; whoever imported this object sees the new settings from now on."""
        self.__dict__.update(other.__dict__)
        for name in self.__dict__.keys() - other.__dict__.keys():
            del self.__dict__[name]
        self._sources = other._sources
        self._is_loaded = other._is_loaded

    def _load_if_empty(self) -> None:
        if not self._is_loaded:
            self.adopt(load_settings())

    def _known_name(self, name: str) -> str | None:
        upper = name.upper()
        upper = ALIASES.get(upper, upper)
        return upper if upper in self.__dict__ else None

    def _missing(self, name: str) -> MissingSettingError:
        close = difflib.get_close_matches(name.upper(), _all_names(self.__dict__), n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        folder = self.__dict__.get(FOLDER_SETTING, "the settings folder")
        places = f"default-settings.yaml, the files in {folder} and environment variables {PREFIX}…"
        return MissingSettingError(
            f'there is no setting "{name}"', hint=f"{meant}Settings come from {places}"
        )


_ABSENT = object()


def _all_names(values: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _all_names(value, f"{prefix}{key}.")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


config = Config()
"""The settings of this process, for plugins: `from opa import config`."""
