"""Nested settings: dicts with attribute access, whose keys are found in any case, as those of dynaconf are."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

_OF_DYNACONF = frozenset({"to_dict", "to_json", "to_yaml", "to_toml"})


class MissingKeyError(KeyError, AttributeError):
    """There is no such key."""


class Section(dict[Any, Any]):
    """A dict with attribute access; so are the dicts inside."""

    def __init__(self, *args: Any, **items: Any) -> None:
        super().__init__(*args, **items)
        for key, value in self.items():
            super().__setitem__(key, _wrapped(value))

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self._spelled(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, _wrapped(value))

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(self._spelled(key))

    def __contains__(self, key: object) -> bool:
        return super().__contains__(self._spelled(key))

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key in any case, or `default`."""
        return super().get(self._spelled(key), default)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            pass
        if name in _OF_DYNACONF:
            from dynaconf.nodes import DataDict

            return getattr(DataDict(self), name)
        raise MissingKeyError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __dir__(self) -> list[str]:
        keys = [str(key) for key in self]
        return [*super().__dir__(), *keys, *(key.lower() for key in keys), *(key.upper() for key in keys)]

    def copy(self) -> Section:
        """A copy; so are the dicts inside."""
        return type(self)(self)

    def __copy__(self) -> Section:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Section:
        return type(self)({deepcopy(key, memo): deepcopy(value, memo) for key, value in self.items()})

    def __reduce__(self) -> tuple[type[Section], tuple[dict[Any, Any]]]:
        return type(self), (dict(self),)

    def _spelled(self, key: Any) -> Any:
        """The key as it stands here."""
        if not isinstance(key, str) or super().__contains__(key):
            return key
        wanted = key.lower()
        texts = (each for each in self if isinstance(each, str))
        return next((each for each in texts if wanted in (each.lower(), each.replace(" ", "_").lower())), key)


def _wrapped(value: Any) -> Any:
    if isinstance(value, Section):
        return value
    if isinstance(value, Mapping):
        return Section(value)
    return [_wrapped(item) for item in value] if type(value) is list else value
