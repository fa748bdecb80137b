"""`Config`: the effective settings, as plain attributes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from opa._util.suggestions import LOOSE_SIMILARITY, nearest
from opa.errors import MissingSettingError
from opa.settings.names import ALIASES
from opa.settings.section import Section
from opa.settings.sources import FOLDER_VARIABLE, PREFIX

FOLDER_SETTING = FOLDER_VARIABLE.removeprefix(PREFIX)

KeyPath = tuple[str, ...]

_ABSENT: Final = object()


class Leaf(NamedTuple):
    """A value that is no dict.

    Attributes:
        name: its dotted name.
        value: as it is, not masked.
        source: where it came from; `default` where it is not set.
    """

    name: str
    value: Any
    source: str


class Config:
    """The effective settings. `config.NAME` is a plain attribute; another case costs a look-up.

    Nested settings are dicts with attribute access: `config.OPTIONAL_COMPONENTS.WALRUS.OPTS.URL`.

    Args:
        values: the settings by upper-case name.
        sources: where they came from, by their path in upper case.
        texts: what stands in the variables that they came from, by their path in upper case.
        load: called for the settings when the first one is asked for; instead of `values`.
    """

    # Only settings live in __dict__, so that no setting can collide with a private name.
    __slots__ = ("__dict__", "__weakref__", "_load", "_sources", "_texts")

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        sources: Mapping[KeyPath, str] | None = None,
        *,
        texts: Mapping[KeyPath, str] | None = None,
        load: Callable[[], Config] | None = None,
    ) -> None:
        self._load = load
        self._sources = dict(sources or {})
        self._texts = dict(texts or {})
        for name, value in (values or {}).items():
            # Python takes its short ways to an attribute only where the name is interned, as those in code are.
            self.__dict__[sys.intern(name)] = Section(value) if isinstance(value, Mapping) else value

    def __getattr__(self, name: str) -> Any:
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
        return iter(self._loaded())

    def __repr__(self) -> str:
        return f"<Config: {'not loaded' if self._load else f'{len(self.__dict__)} settings'}>"

    def __reduce__(self) -> tuple[type[Config], tuple[dict[str, Any], dict[KeyPath, str]]]:
        return type(self), (self._loaded(), self._sources)

    def get(self, name: str, default: Any = None) -> Any:
        """The setting `name`, which may be dotted (`OPTIONAL_COMPONENTS.WALRUS.LOAD`), or `default`."""
        found = self._find(name)
        return default if found is None else found[1]

    def as_dict(self) -> dict[str, Any]:
        """A deep copy in plain dicts and lists."""
        return {name: _plain(value) for name, value in self._loaded().items()}

    def source(self, name: str) -> str:
        """Where the setting `name`, which may be dotted, came from; several sources are separated by commas.

        Raises:
            MissingSettingError: there is no such setting.
        """
        return ", ".join(dict.fromkeys(leaf.source for leaf in self.leaves(name)))

    def leaves(self, name: str | None = None) -> Iterator[Leaf]:
        """Every value that is no dict, with its source; those inside of `name` alone where that is given.

        Raises:
            MissingSettingError: there is no setting `name`.
        """
        if name is None:
            for key, value in self._loaded().items():
                yield from self._leaves((key,), value)
            return
        found = self._find(name)
        if found is None:
            raise self._missing(name)
        yield from self._leaves(*found)

    def variable_text(self, path: Iterable[object]) -> str | None:
        """The text of the environment variable that the value at `path` came from; None where it came from none.

        A dash in the path is an underscore there.
        """
        return self._texts.get(tuple(str(part).upper().replace("-", "_") for part in path))

    def adopt(self, other: Config) -> None:
        """Become what `other` is: anyone who has imported this object sees the new settings from now on."""
        settings = other._loaded()
        self.__dict__.update(settings)
        for name in self.__dict__.keys() - settings.keys():
            del self.__dict__[name]
        self._sources = other._sources
        self._texts = other._texts
        self._load = None

    def replaced(self, values: Mapping[str, Any], source: str) -> Config:
        """A copy in which some settings have other values.

        Args:
            values: plain ones, by upper-case name.
            source: where they came from, for people.
        """
        sources = {path: where for path, where in self._sources.items() if path[0] not in values}
        made = Config({**self.as_dict(), **values}, sources, texts=self._texts)
        made._sources |= {
            tuple(part.upper() for part in leaf.name.split(".")): source
            for name in values
            for leaf in made.leaves(name)
        }
        return made

    def unload(self, load: Callable[[], Config]) -> None:
        """Have no settings any more: `load` is called for them when the first one is asked for."""
        self.__dict__.clear()
        self._sources, self._texts, self._load = {}, {}, load

    def _leaves(self, path: KeyPath, value: Any) -> Iterator[Leaf]:
        if isinstance(value, Mapping) and value:
            for key, item in value.items():
                yield from self._leaves((*path, str(key)), item)
        else:
            known = tuple(part.upper() for part in path)
            # A list that stands for a mapping has one source.
            steps = (known[:length] for length in range(len(known), 0, -1))
            source = next((self._sources[step] for step in steps if step in self._sources), "default")
            yield Leaf(".".join(path), value, source)

    def _find(self, name: str) -> tuple[KeyPath, Any] | None:
        first, *rest = name.split(".")
        first = ALIASES.get(first.upper(), first.upper())
        return _find_in(self._loaded(), (first, *rest))

    def _loaded(self) -> dict[str, Any]:
        """The settings by name, read now if they were not yet."""
        if self._load is not None:
            self.adopt(self._load())
        return self.__dict__

    def _missing(self, name: str) -> MissingSettingError:
        close = nearest(name.upper(), _names(self.__dict__), LOOSE_SIMILARITY)
        meant = f"Did you mean {close}? " if close else ""
        folder = self.__dict__.get(FOLDER_SETTING, "the settings folder")
        places = f"default-settings.yaml, the files in {folder}, and environment variables {PREFIX}…"
        return MissingSettingError(f'there is no setting "{name}"', hint=f"{meant}Settings come from {places}")


def _find_in(values: Mapping[Any, Any], parts: KeyPath) -> tuple[KeyPath, Any] | None:
    """The value at the dotted name and its path; a key may itself have dots in it."""
    for length in range(len(parts), 0, -1):
        wanted, rest = ".".join(parts[:length]).upper(), parts[length:]
        for key in [key for key in values if str(key).upper() == wanted]:
            value = values[key]
            if not rest:
                return (str(key),), value
            if isinstance(value, Mapping) and (found := _find_in(value, rest)) is not None:
                return (str(key), *found[0]), found[1]
    return None


def _names(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _names(value, f"{prefix}{key}.")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
