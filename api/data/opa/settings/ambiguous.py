"""Values that other programs read in another way, such as `no`: a text in YAML 1.2, and false in YAML 1.1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from opa._util.masking.secrets import looks_secret
from opa._util.patterns import lazy_pattern
from opa.settings.names import ALIASES, KNOWN, path_of

SWITCHES = frozenset({"yes", "no", "on", "off"})

_CANDIDATE = lazy_pattern(r"(?:^|[\s:,\[{-])(?:yes|no|on|off|0[0-9]+)\s*(?:$|[\s,\]}#])", re.IGNORECASE | re.MULTILINE)
_OCTAL = lazy_pattern(r"[-+]?0[0-9]+")
_ANYTHING = frozenset({"CELERY_TASK_ROUTES", "CELERY_TASK_ANNOTATIONS", "CELERY_BEAT_SCHEDULE"})
"""Known settings that may have anything in them."""

Found = tuple[tuple[str, ...], str]


def in_yaml(text: str, path: Path) -> Iterator[Found]:
    """The path of each such value in a YAML file that parses, from its section on, and a warning with file and line."""
    if not _CANDIDATE.search(text):
        return
    from dynaconf.vendor.ruamel.yaml import YAML

    for place, event in _scalars(YAML(typ="safe", pure=True).parse(text)):
        name = ".".join(place[1:])
        if (problem := _problem_of(event.value, name)) and not event.style and event.tag is None:
            yield place, f"{name}: {problem} ({path}:{event.start_mark.line + 1})"


def in_variable(name: str, text: str, source: str) -> Iterator[str]:
    """A warning where a variable that is a setting of the user's own has such a text."""
    if text.strip().lower() in SWITCHES and is_own(path_of(name)):
        yield f"{name}: {_problem_of(text, name)} ({source})"


def is_own(place: tuple[str, ...]) -> bool:
    """Whether nothing but the user's code says what stands at this path of the settings."""
    name, *inner = (part.upper() for key in place for part in path_of(key))
    if name in KNOWN | ALIASES.keys():
        is_switch = name == "CELERY_BEAT_SCHEDULE" and inner[-1:] in (["ENABLED"], ["RELATIVE"])
        return (name in _ANYTHING and not is_switch) or "OPTS" in inner
    return True


def _problem_of(value: str, name: str) -> str:
    value = value.strip()
    if looks_secret(name):
        is_ambiguous = value.lower() in SWITCHES or _OCTAL.fullmatch(value)
        return "is a secret that may be read as a number or a switch; write it in quotes" if is_ambiguous else ""
    if value.lower() in SWITCHES:
        meant = "true" if value.lower() in ("yes", "on") else "false"
        return f'is the text "{value}", which counts as true in Python; write {meant}, or the text in quotes'
    if _OCTAL.fullmatch(value):
        sign, digits = ("-", value[1:]) if value[0] == "-" else ("", value.removeprefix("+"))
        octal = (
            f"0o{digits.lstrip('0') or '0'} for an octal number" if not set(digits) & set("89") else "no leading zero"
        )
        return f"is the number {sign}{int(digits)}; write {octal}, or the text in quotes"
    return ""


def _scalars(events: Iterable[Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The event of each value that is no key and no collection, with its path."""
    from dynaconf.vendor.ruamel.yaml import events as kinds

    around: list[_Collection] = []
    for event in events:
        outer = around[-1] if around else None
        if isinstance(event, kinds.CollectionEndEvent):
            around.pop()
            if around:
                around[-1].end_item("")
        elif isinstance(event, kinds.CollectionStartEvent):
            around.append(_Collection(is_mapping=isinstance(event, kinds.MappingStartEvent)))
        elif isinstance(event, kinds.ScalarEvent | kinds.AliasEvent) and outer is not None:
            is_key = outer.is_mapping and outer.key is None
            if isinstance(event, kinds.ScalarEvent) and not is_key:
                yield tuple(each.key for each in around if each.key is not None), event
            outer.end_item(event.value if isinstance(event, kinds.ScalarEvent) else "")


class _Collection:
    """A mapping or a list that is being read; `key` is that of the value which comes."""

    key: str | None = None

    def __init__(self, *, is_mapping: bool) -> None:
        self.is_mapping = is_mapping

    def end_item(self, text: str) -> None:
        """A key, which is `text`, or a value has been read."""
        self.key = text if self.is_mapping and self.key is None else None
