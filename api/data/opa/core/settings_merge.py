"""Merges layers into one set of values, as dynaconf does, and remembers which source each value came from.

dynaconf decides what merging means (`dynaconf_merge`, `@merge`, `A__B`, `@json` and so on). What it leaves open is
settled here: merge marks that survive in values, list items that are there twice after a merge, and marks below a
dict that is not merged itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from dynaconf.base import Settings as DynaconfSettings
from dynaconf.loaders.base import SourceMetadata
from dynaconf.nodes import recursively_evaluate_lazy_format
from dynaconf.utils import object_merge, upperfy
from dynaconf.utils.functional import empty
from dynaconf.utils.parse_conf import Lazy, MetaValue, boolean_fix, parse_conf_data

from opa.core.secrets import looks_secret, mask_url
from opa.core.settings_schema import without_doubles
from opa.core.settings_sources import MERGE_MARKS, Layer, as_switch

Path = tuple[str, ...]

_MISSING: Final = object()


class MergedSettings:
    """Values by upper-case name, built up by `add`.

    Attributes:
        sources: where each value came from; the path of the value (upper case) is the key.
        mistakes: one line for each value that could not be merged or evaluated.
    """

    def __init__(self) -> None:
        # Without its loaders dynaconf reads neither files nor variables: it parses and merges what `add` gives it.
        self._dynaconf = DynaconfSettings(
            dynaconf_skip_loaders=True,
            dynaconf_skip_validators=True,
            AUTO_CAST_FOR_DYNACONF=True,
            DOTTED_LOOKUP_FOR_DYNACONF=True,
            ENVIRONMENTS_FOR_DYNACONF=True,
            ENVVAR_PREFIX_FOR_DYNACONF="OPA",
            ENV_SWITCHER_FOR_DYNACONF="ENV",
            INDEX_SEPARATOR_FOR_DYNACONF=None,
            LOWERCASE_READ_FOR_DYNACONF=True,
            MERGE_ENABLED_FOR_DYNACONF=False,
            NESTED_SEPARATOR_FOR_DYNACONF="__",
            SYSENV_FALLBACK_FOR_DYNACONF=False,
            VALIDATE_ON_UPDATE_FOR_DYNACONF=False,
        )
        self._names: list[str] = []
        self.sources: dict[Path, str] = {}
        self.mistakes: list[str] = []

    def parse_variable(self, text: str) -> Any:
        """The value that the text of an environment variable stands for."""
        return parse_conf_data(boolean_fix(text), tomlfy=True, box_settings=self._dynaconf)

    def add(self, layer: Layer) -> None:
        """Put the values of `layer` on top of what is there."""
        for key, written in layer.values.items():
            try:
                self._set(str(key), written, layer)
            except Exception as error:  # noqa: BLE001 - converters such as @int raise what they like
                name = ".".join(_path_of(str(key)))
                self.mistakes.append(f"{name}: {_reason(name, error)} ({layer.source})")

    def _set(self, key: str, written: Any, layer: Layer) -> None:
        path = _path_of(key)
        name = path[0]
        before = self._raw(name)
        given = _nested(path[1:], _copy(written))
        value = _copy(written)
        if len(path) == 1 and not layer.merge:
            value = _merge_marked_below(value, before)
        metadata = SourceMetadata("opa", layer.source)
        self._dynaconf.set(
            key, value, loader_identifier=metadata, merge=empty if layer.merge is None else layer.merge
        )

        after = self._raw(name)
        if after is _MISSING:
            self._forget(name)
            return
        after = _settled(after, before, given)
        self._dynaconf.store[name] = after
        self._dynaconf.__core__.clear_cache()
        if name not in self._names:
            self._names.append(name)
        noted = dict(self._sources_of((name,), after, before, given, layer.source))
        self._forget(name, keep_name=True)
        self.sources |= noted

    def _raw(self, name: str) -> Any:
        store = self._dynaconf.store
        return _copy(dict.__getitem__(store, name)) if dict.__contains__(store, name) else _MISSING

    def _forget(self, name: str, keep_name: bool = False) -> None:
        if not keep_name and name in self._names:
            self._names.remove(name)
        self.sources = {path: source for path, source in self.sources.items() if path[0] != name}

    def _sources_of(
        self, path: Path, after: Any, before: Any, given: Any, source: str
    ) -> Iterator[tuple[Path, str]]:
        if isinstance(after, dict) and after:
            for key, value in after.items():
                inner = (*path, str(key).upper())
                yield from self._sources_of(inner, value, _look_up(before, key), _look_up(given, key), source)
            return
        former = self.sources.get(path)
        if former is not None and _is_extended(after, before, given):
            yield path, former if former.endswith(source) else f"{former}, {source}"
        elif former is not None and given is _MISSING and after == before:
            yield path, former
        else:
            yield path, source

    def values(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars; `@format`, `@read_file` and the like are evaluated, or become mistakes."""
        evaluated = {name: self._evaluated((name,), self._raw(name)) for name in self._names}
        return {name: value for name, value in evaluated.items() if value is not empty}

    def _evaluated(self, path: Path, value: Any) -> Any:
        if isinstance(value, dict):
            inner = {key: self._evaluated((*path, str(key).upper()), item) for key, item in value.items()}
            return {key: item for key, item in inner.items() if item is not empty}
        if isinstance(value, list):
            return [item for item in (self._evaluated(path, item) for item in value) if item is not empty]
        if not isinstance(value, Lazy):
            return value
        try:
            return _copy(recursively_evaluate_lazy_format(value, self._dynaconf))
        except Exception as error:  # noqa: BLE001 - templates raise what they like
            name = ".".join(path)
            self.mistakes.append(f"{name}: {_reason(name, error)} ({self.sources.get(path, 'unknown')})")
            return empty


def _path_of(key: str) -> Path:
    first, *rest = key.strip().replace("__", ".").split(".")
    return (upperfy(first), *rest)


def _nested(keys: Path, value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value


def _copy(value: Any) -> Any:
    """A copy in plain dicts and lists, with nothing shared: merging changes them in place."""
    if isinstance(value, Mapping):
        return {
            key: _copy(dict.__getitem__(value, key) if isinstance(value, dict) else value[key])
            for key in value
        }
    if isinstance(value, list):
        return [_copy(item) for item in list.__iter__(value)]
    if type(value) is tuple:
        return [_copy(item) for item in value]
    return value


def _look_up(value: Any, key: Any) -> Any:
    """`value[key]` where `value` is a dict that has it, in any case."""
    if not isinstance(value, dict):
        return _MISSING
    if key in value:
        return value[key]
    same = (
        item for name, item in value.items() if isinstance(name, str) and name.upper() == str(key).upper()
    )
    return next(same, _MISSING)


def _is_mark(item: Any) -> bool:
    return isinstance(item, str) and item.lower() in MERGE_MARKS


def _merge_marked_below(value: Any, before: Any) -> Any:
    """Merge what is marked inside a dict that is not merged itself; dynaconf would leave the mark there."""
    if not isinstance(value, dict):
        return value
    marks = {key: as_switch(mark) for key, mark in value.items() if _is_mark(key)}
    if any(marks.values()):
        return value | marks
    return {
        key: _merge_if_marked(item, _look_up(before, key)) for key, item in value.items() if not _is_mark(key)
    }


def _merge_if_marked(value: Any, before: Any) -> Any:
    if isinstance(value, list) and any(_is_mark(item) for item in value):
        own = [item for item in value if not _is_mark(item)]
        return before + own if isinstance(before, list) else own
    merged = _merge_marked_below(value, before)
    if isinstance(merged, dict) and any(_is_mark(key) for key in merged):
        own = {key: item for key, item in merged.items() if not _is_mark(key)}
        return object_merge(_copy(before), own) if isinstance(before, dict) else own
    return merged


def _settled(value: Any, before: Any, given: Any) -> Any:
    """`value` without marks, and without doubles in lists that a merge has put together."""
    if isinstance(value, MetaValue):  # a mark such as "@merge x" for which there was nothing to merge with
        inner = _copy(value.unwrap())
        return [inner] if getattr(value, "_dynaconf_insert", False) else inner
    if isinstance(value, dict):
        return {
            key: _settled(item, _look_up(before, key), _look_up(given, key))
            for key, item in value.items()
            if not _is_mark(key) and not getattr(item, "_dynaconf_del", False)
        }
    if isinstance(value, list):
        items = [_settled(item, _MISSING, _MISSING) for item in value if not _is_mark(item)]
        own = [item for item in given if not _is_mark(item)] if isinstance(given, list) else given
        return without_doubles(items) if isinstance(before, list) and items not in (before, own) else items
    return value


def _is_extended(after: Any, before: Any, given: Any) -> bool:
    """Whether a list holds the items it had before and those of the new source."""
    if given is _MISSING or not (isinstance(after, list) and isinstance(before, list) and before):
        return False
    return after != given and all(item in after for item in before)


def _reason(name: str, error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return "cannot be read" if looks_secret(name) else mask_url(text)
