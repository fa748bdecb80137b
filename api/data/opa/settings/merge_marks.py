"""What dynaconf leaves open of a merge, in functions of plain values: what is there, and what a layer says.

Marks that survive in values, items that are there twice after a merge, and marks below a dict that is not merged
itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from dynaconf.utils import object_merge
from dynaconf.utils.parse_conf import MetaValue

from opa._compat.dynaconf import is_deleted, is_inserted
from opa.settings.field_types import without_doubles
from opa.settings.sources import MERGE_MARKS, as_switch

MISSING: Final = object()
"""Where there is no value."""
_MARK_IN_TEXT = re.compile(r"(?:^|[\s,])@|dynaconf", re.IGNORECASE)


def as_spelled(keys: list[str], value: Any) -> list[str]:
    """`keys` as they are written already where only their dashes differ: the name of a variable can have none."""
    if not keys:
        return []
    first, *rest = keys
    names = [name for name in value if isinstance(name, str)] if isinstance(value, dict) else []
    if not any(name.upper() == first.upper() for name in names):
        same = [name for name in names if name.upper().replace("-", "_") == first.upper()]
        first = same[0] if len(same) == 1 else first
    return [first, *as_spelled(rest, look_up(value, first))]


def nested(keys: list[str], value: Any) -> Any:
    """`value` in a dict in a dict, by these keys."""
    for key in reversed(keys):
        value = {key: value}
    return value


def with_value(before: Any, keys: list[str], value: Any) -> Any:
    """What was there before, with another value in the place that the keys lead to, in any case."""
    if not keys:
        return _merge_if_marked(value, before)
    first, *rest = keys
    found = before if isinstance(before, dict) else {}
    key = next((each for each in found if str(each).upper() == first.upper()), first)
    return {**found, key: with_value(found.get(key, MISSING), rest, value)}


def plain_copy(value: Any) -> Any:
    """A copy in plain dicts and lists that shares nothing: merging changes them in place."""
    if isinstance(value, dict):
        return {key: plain_copy(item) for key, item in dict.items(value)}
    if isinstance(value, Mapping):
        return {key: plain_copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_copy(item) for item in list.__iter__(value)]
    if type(value) is tuple:
        return [plain_copy(item) for item in value]
    return value


def look_up(value: Any, key: Any) -> Any:
    """`value[key]` where `value` is a dict that has it, in any case."""
    if not isinstance(value, dict):
        return MISSING
    if key in value:
        return value[key]
    same = (item for name, item in value.items() if isinstance(name, str) and name.upper() == str(key).upper())
    return next(same, MISSING)


def look_up_path(value: Any, keys: list[str]) -> Any:
    """What `look_up` finds step by step."""
    for key in keys:
        value = look_up(value, key)
    return value


def _is_mark(item: Any) -> bool:
    return isinstance(item, str) and item.lower() in MERGE_MARKS


def is_plain(name: str, value: Any) -> bool:
    """Whether dynaconf would make of a new setting what it says: with it, that takes ten times as long.

    As nearly all defaults: nothing that could be a mark, and no key that dynaconf reads in a way of its own.
    """
    return "DYNACONF" not in name and name.isidentifier() and _says_what_it_means(value)


def _says_what_it_means(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(type(key) is str and key.isidentifier() for key in value) and all(
            _says_what_it_means(each) for pair in value.items() for each in pair
        )
    if kind is list:
        return all(map(_says_what_it_means, value))
    if kind is str:
        return not _MARK_IN_TEXT.search(value)
    return value is None or kind in (bool, int, float)


def prepared(value: Any, before: Any) -> Any:
    """`value` with marks as dynaconf knows them, and without those for which nothing was there before.

    dynaconf would leave idle marks in the value, or take a text that was there for a list of its characters.
    """
    if isinstance(value, dict):
        marks = {key.lower(): as_switch(value.pop(key)) for key in [key for key in value if _is_mark(key)]}
        values = [mark for mark in marks.values() if not isinstance(mark, bool)]
        if values and not value and not isinstance(before, dict | list):
            return prepared(values[0], before)  # `dynaconf_merge: VALUE` stands for the value
        return {key: prepared(item, look_up(before, key)) for key, item in value.items()} | marks
    if isinstance(value, list):
        own = own_of(value)
        return own if len(own) == len(value) or not isinstance(before, list) else [*own, MERGE_MARKS[0]]
    return value


def merge_marked_below(value: Any, before: Any) -> Any:
    """Merge what is marked inside a dict that is not merged itself; dynaconf would leave the mark there."""
    if not isinstance(value, dict) or any(mark for key, mark in value.items() if _is_mark(key)):
        return value
    return {key: _merge_if_marked(item, look_up(before, key)) for key, item in value.items() if not _is_mark(key)}


def _merge_if_marked(value: Any, before: Any) -> Any:
    if isinstance(value, list) and isinstance(before, list) and len(own_of(value)) < len(value):
        return before + own_of(value)
    merged = merge_marked_below(value, before)
    if isinstance(merged, dict) and any(_is_mark(key) for key in merged):
        items = {key: item for key, item in merged.items() if not _is_mark(key)}
        return object_merge(plain_copy(before), items) if isinstance(before, dict) else items
    return merged


def settled(value: Any, before: Any, given: Any) -> Any:
    """`value` without marks, and without doubles in lists that a merge has put together."""
    if isinstance(value, MetaValue):  # a mark such as "@merge x" for which there was nothing to merge with
        inner = plain_copy(value.unwrap())
        return [inner] if is_inserted(value) else inner
    if isinstance(value, dict):
        return {
            key: settled(item, look_up(before, key), look_up(given, key))
            for key, item in value.items()
            if not _is_mark(key) and not is_deleted(item)
        }
    if isinstance(value, list):
        items = [settled(item, MISSING, MISSING) for item in value if not _is_mark(item)]
        return without_doubles(items) if isinstance(before, list) and items not in (before, own_of(given)) else items
    return value


def own_of(given: Any) -> Any:
    """What a source itself says, without marks."""
    return [item for item in given if not _is_mark(item)] if isinstance(given, list) else given
