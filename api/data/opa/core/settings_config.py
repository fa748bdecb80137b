"""`Config`: the effective settings, as plain attributes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from dynaconf.nodes import DataDict

from opa.core.errors import MissingSettingError
from opa.core.settings_schema import ALIASES
from opa.core.settings_sources import FOLDER_VARIABLE, PREFIX

FOLDER_SETTING = FOLDER_VARIABLE.removeprefix(PREFIX)

_ABSENT: Final = object()


class Config:
    """The effective settings. `config.NAME` is a plain attribute; another case costs a look-up.

    Nested settings are dicts with attribute access: `config.OPTIONAL_COMPONENTS.WALRUS.OPTS.URL`.

    Args:
        values: the settings by upper-case name.
        sources: where they came from, by dotted upper-case name.
        load: called for the settings when the first one is asked for; instead of `values`.
    """

    # Only settings live in __dict__, so that no setting can collide with a private name.
    __slots__ = ("__dict__", "__weakref__", "_load", "_sources")

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        sources: Mapping[str, str] | None = None,
        *,
        load: Callable[[], Config] | None = None,
    ) -> None:
        self._load = load
        self._sources = dict(sources or {})
        for name, value in (values or {}).items():
            self.__dict__[name] = DataDict(value) if isinstance(value, Mapping) else value

    def __getattr__(self, name: str) -> Any:
        # Python comes here for names alone that are not in __dict__.
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Any:
        value = self.get(name, _ABSENT)
        if value is _ABSENT:
            raise self._missing(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name, _ABSENT) is not _ABSENT

    def __iter__(self) -> Iterator[str]:
        self._load_once()
        return iter(self.__dict__)

    def __repr__(self) -> str:
        return f"<Config: {'not loaded' if self._load else f'{len(self.__dict__)} settings'}>"

    def get(self, name: str, default: Any = None) -> Any:
        """The setting `name`, which may be dotted (`OPTIONAL_COMPONENTS.WALRUS.LOAD`), or `default`."""
        self._load_once()
        first, *rest = name.split(".")
        value = self.__dict__.get(_today(first), _ABSENT)
        for key in rest:
            value = value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        return default if value is _ABSENT else value

    def as_dict(self) -> dict[str, Any]:
        """A deep copy in plain dicts and lists."""
        self._load_once()
        return {name: _plain(value) for name, value in self.__dict__.items()}

    def source(self, name: str) -> str:
        """Where the setting `name`, which may be dotted, came from; several sources are separated by commas.

        Raises:
            MissingSettingError: there is no such setting.
        """
        if name not in self:
            raise self._missing(name)
        first, *rest = name.upper().split(".")
        wanted = ".".join([_today(first), *rest])
        inside = [source for path, source in self._sources.items() if f"{path}.".startswith(f"{wanted}.")]
        return ", ".join(dict.fromkeys(inside)) or "the program"

    def adopt(self, other: Config) -> None:
        """Become what `other` is: whoever has imported this object sees the new settings from now on."""
        other._load_once()
        self.__dict__.update(other.__dict__)
        for name in self.__dict__.keys() - other.__dict__.keys():
            del self.__dict__[name]
        self._sources = other._sources
        self._load = None

    def _load_once(self) -> None:
        if self._load is not None:
            self.adopt(self._load())

    def _missing(self, name: str) -> MissingSettingError:
        close = difflib.get_close_matches(name.upper(), list(_names(self.__dict__)), n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        folder = self.__dict__.get(FOLDER_SETTING, "the settings folder")
        places = f"default-settings.yaml, the files in {folder}, and environment variables {PREFIX}…"
        return MissingSettingError(
            f'there is no setting "{name}"', hint=f"{meant}Settings come from {places}"
        )


def _today(name: str) -> str:
    return ALIASES.get(name.upper(), name.upper())


def _names(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _names(value, f"{prefix}{key}.")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
