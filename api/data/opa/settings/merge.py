"""Merges layers into one set of values, as dynaconf does, and remembers which source each value came from.

dynaconf decides what merging means (`dynaconf_merge`, `@merge`, `A__B`, `@json` and so on), and `merge_marks` what it
leaves open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynaconf.base import Settings as DynaconfSettings
from dynaconf.loaders.base import SourceMetadata
from dynaconf.nodes import DataDict, DataList, recursively_evaluate_lazy_format
from dynaconf.utils.functional import empty
from dynaconf.utils.parse_conf import Lazy, MetaValue, boolean_fix, parse_conf_data

from opa._util.masking.secrets import looks_secret, mask_text, masked
from opa._util.nesting import MAX_DEPTH, TOO_DEEP, NestingError, check_nesting
from opa.settings.envs import DEFAULT_SECTION
from opa.settings.merge_marks import (
    MISSING,
    as_spelled,
    is_plain,
    look_up,
    look_up_path,
    merge_marked_below,
    nested,
    own_of,
    plain_copy,
    prepared,
    settled,
    with_value,
)
from opa.settings.names import path_of
from opa.settings.sources import Layer

KeyPath = tuple[str, ...]

_SHOWN = 100

ALWAYS_MERGED = frozenset({"ACCESS_KEYS", "OIDC_PROVIDERS", "PLUGINS", "PLUGIN_SETTINGS", "PLUGIN_OPTIONS", "USERS"})
"""Settings to which each layer adds: their keys are names of things, which a layer has no reason to take away."""


class MergedSettings:
    """Values by upper-case name, built up by `add`.

    Args:
        env: the name that `@format {this.current_env}` gives.

    Attributes:
        sources: where each value came from; the key is the path of the value in upper case.
        at: the value that is being looked at, and its source.
        mistakes: one line for each value that could not be merged or evaluated, by its path.
    """

    def __init__(self, env: str = DEFAULT_SECTION) -> None:
        # Without its loaders dynaconf reads no files and no variables: it merges what `add` gives it.
        self._dynaconf = DynaconfSettings(
            dynaconf_skip_loaders=True,
            dynaconf_skip_validators=True,
            AUTO_CAST_FOR_DYNACONF=True,
            DOTTED_LOOKUP_FOR_DYNACONF=True,
            ENVIRONMENTS_FOR_DYNACONF=True,
            ENVVAR_PREFIX_FOR_DYNACONF="OPA",
            ENV_FOR_DYNACONF=env,
            ENV_SWITCHER_FOR_DYNACONF="ENV",
            FORCE_ENV_FOR_DYNACONF=None,
            INDEX_SEPARATOR_FOR_DYNACONF=None,
            LOWERCASE_READ_FOR_DYNACONF=True,
            MERGE_ENABLED_FOR_DYNACONF=False,
            NESTED_SEPARATOR_FOR_DYNACONF="__",
            SYSENV_FALLBACK_FOR_DYNACONF=False,
            VALIDATE_ON_UPDATE_FOR_DYNACONF=False,
        )
        self._names: dict[str, None] = {}
        self._removed: set[str] = set()  # dynaconf remembers them, until it is told of a new value
        self.at = ("", "")
        self.sources: dict[KeyPath, str] = {}
        self.mistakes: dict[KeyPath, str] = {}

    def parse_variable(self, text: str) -> Any:
        """The value that the text of an environment variable stands for."""
        return parse_conf_data(boolean_fix(text), tomlfy=True, box_settings=self._dynaconf)

    def add(self, layer: Layer) -> None:
        """Put the values of `layer` on top of what is there."""
        for key, written in layer.values.items():
            self.at = (".".join(path_of(str(key)[:_SHOWN])), layer.source)
            try:
                self._check(str(key), written, is_literal=layer.is_literal)
                set_value = self._set_literal if layer.is_literal else self._set
                set_value(str(key), written, layer)
            except Exception as error:  # noqa: BLE001 - converters such as @int raise what they like
                path = path_of(str(key))
                self._note_mistake(path, _reason(error, _holds_secret(".".join(path), written, error)), layer.source)

    def _check(self, key: str, written: Any, *, is_literal: bool) -> None:
        """Refuse what is nested so deeply that merging it would end in the middle."""
        if len(path_of(key)) > MAX_DEPTH:
            raise NestingError(TOO_DEEP)
        if isinstance(written, str) and not is_literal and written.count("[") + written.count("{") > MAX_DEPTH:
            written = self.parse_variable(written)
            written = written.unwrap() if isinstance(written, MetaValue) else written
        check_nesting(written)

    def values(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars; `@format`, `@read_file` and so on are evaluated."""
        evaluated = {name: self._evaluated((name,), self._raw(name)) for name in self._names}
        return {name: value for name, value in evaluated.items() if value is not empty}

    def _set(self, key: str, written: Any, layer: Layer) -> None:
        name, *inner = path_of(key)
        before = self._raw(name)
        if inner:
            inner = as_spelled(inner, before)
            key = "__".join([name, *inner])
        if before is MISSING and not inner and name not in self._removed and is_plain(name, written):
            self._put(name, plain_copy(written), before, written, layer.source)
            return
        given = nested(inner, plain_copy(written))
        value = prepared(plain_copy(written), look_up_path(before, inner))
        if not inner and self._merges(name, layer) is not True:
            value = merge_marked_below(value, before)
        merge = self._merges(name, layer)
        if any("." in part for part in inner):  # dynaconf would take the dot for a step into a dict
            key, value, merge = name, with_value(before, inner, value), False
        self._dynaconf.set(key, value, loader_identifier=SourceMetadata("opa", layer.source), merge=merge)
        merged = self._raw(name)
        if merged is MISSING:
            self._forget_sources(name)
            self._names.pop(name, None)
            self._removed.add(name)
            return
        self._put(name, settled(merged, before, given), before, given, layer.source)

    def _set_literal(self, key: str, written: Any, layer: Layer) -> None:
        """The same for a value in which dynaconf is to find no marks: it does not get to see it."""
        name, *inner = path_of(key)
        before = self._raw(name)
        inner = as_spelled(inner, before)
        self._put(name, with_value(before, inner, written), before, nested(inner, written), layer.source)

    def _put(self, name: str, after: Any, before: Any, given: Any, source: str) -> None:
        """Store what the setting is `after` the merge, and where each value in it comes from."""
        attribution = _Attribution(self._forget_sources(name), source)
        self._dynaconf.store[name] = self._as_node(after)
        self._names[name] = None
        self.sources |= attribution.of((name,), after, before, given)

    @staticmethod
    def _merges(name: str, layer: Layer) -> Any:
        if layer.merge is None:
            return True if name in ALWAYS_MERGED else empty
        return layer.merge

    def _raw(self, name: str) -> Any:
        store = self._dynaconf.store
        return plain_copy(dict.__getitem__(store, name)) if dict.__contains__(store, name) else MISSING

    def _as_node(self, value: Any) -> Any:
        if isinstance(value, dict):
            return DataDict(value, box_settings=self._dynaconf)
        return DataList(value, box_settings=self._dynaconf) if isinstance(value, list) else value

    def _forget_sources(self, name: str) -> dict[KeyPath, str]:
        forgotten = {path: source for path, source in self.sources.items() if path[0] == name}
        for path in forgotten:
            del self.sources[path]
        return forgotten

    def _evaluated(self, path: KeyPath, value: Any) -> Any:
        if isinstance(value, dict):
            items = {key: self._evaluated((*path, str(key).upper()), item) for key, item in value.items()}
            return {key: item for key, item in items.items() if item is not empty}
        if isinstance(value, list):
            return [item for item in (self._evaluated(path, item) for item in value) if item is not empty]
        if not isinstance(value, Lazy):
            return value
        self.at = (".".join(path), self.sources.get(path, "unknown source"))
        try:
            evaluated = recursively_evaluate_lazy_format(value, self._dynaconf)
            check_nesting(evaluated)
            return plain_copy(evaluated)
        except Exception as error:  # noqa: BLE001 - templates raise what they like
            # What stands behind @read_file is a path, whatever it leads to.
            is_secret = looks_secret(".".join(path)) and str(value.formatter) != "read_file"
            self._note_mistake(path, _reason(error, is_secret), self.sources.get(path, "unknown source"))
            return empty

    def _note_mistake(self, path: KeyPath, reason: str, source: str) -> None:
        self.mistakes[tuple(part.upper() for part in path)] = f"{'.'.join(path)}: {reason} ({source})"


@dataclass(frozen=True)
class _Attribution:
    """Tells which values come from a new source and which still from a former one."""

    former: Mapping[KeyPath, str]
    source: str

    def of(self, path: KeyPath, after: Any, before: Any, given: Any) -> dict[KeyPath, str]:
        """The source of each value in `after`, given what was there `before` and what the new source says."""
        if not isinstance(after, dict) or not after:
            return {path: self._of_value(path, after, before, given)}
        found: dict[KeyPath, str] = {}
        for key, value in after.items():
            found |= self.of((*path, str(key).upper()), value, look_up(before, key), look_up(given, key))
        return found

    def _of_value(self, path: KeyPath, after: Any, before: Any, given: Any) -> str:
        known = self.former.get(path)
        if known is None:
            return self.source
        if given is MISSING and after == before:
            return known
        if isinstance(before, list) and isinstance(after, list) and before and after != own_of(given):
            is_extended = all(item in after for item in before)
            return f"{known}, {self.source}" if is_extended else self.source
        return self.source


_QUOTING_REASONS = {
    r"Cannot convert .* to integer": "is not a whole number, as @int needs",
    r"Cannot convert .* to float": "is not a number, as @float needs",
    r"Cannot parse as JSON": "is not valid JSON, as @json needs",
    r"Unclosed quote in": "has a quote that is not closed",
}


def _holds_secret(name: str, written: Any, error: Exception) -> bool:
    """Whether a value, or something in it, is secret by its name: then the message about it is not shown."""
    if isinstance(error, RecursionError | NestingError):  # it cannot be looked through, and nothing of it is shown
        return True
    return looks_secret(name) or masked(written) is not written


def _reason(error: Exception, is_secret: bool) -> str:
    """What is wrong with a value, without the value: what is around it may well be a password."""
    if isinstance(error, RecursionError | NestingError):
        return f"cannot be used: {TOO_DEEP if isinstance(error, RecursionError) else error}"
    text = " ".join(str(error).split()).removesuffix(".")
    text = text if len(text) <= 5 * _SHOWN else f"{text[: 5 * _SHOWN]}…"
    for pattern, reason in _QUOTING_REASONS.items():
        if re.match(pattern, text):
            return reason
    hidden = is_secret or not text
    return f"cannot be read: {type(error).__name__ if hidden else mask_text(text)}"
