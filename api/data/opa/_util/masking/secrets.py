"""Keeps passwords and tokens out of logs, errors and output.

By structure where there is one (`masked`, `mask_setting`), otherwise in the text that was made of it: `mask_text` goes
by names (`opa._util.masking.names`) and by the shapes that issuers have chosen (`opa._util.masking.shapes`).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import Any

from opa._util.masking.names import is_secret_number, looks_secret, looks_secret_in_text
from opa._util.masking.shapes import MASK, SHORTEST, mask_shapes
from opa._util.masking.text import mask_text, mask_url, may_hold_secret
from opa._util.patterns import lazy_pattern

__all__ = [
    "MASK",
    "PRINTED_WHOLE",
    "is_secret_number",
    "looks_secret",
    "looks_secret_in_text",
    "mask_key",
    "mask_setting",
    "mask_setting_name",
    "mask_text",
    "masked",
    "masked_argument",
    "may_hold_secret",
]


def mask_setting(name: str, value: Any) -> Any:  # noqa: PLR0911  a kind of value each
    """A copy of `value` that may be shown: masked where `name` or a key looks secret, and whatever `mask_text` finds.

    Empty values and switches (true, false) stay visible: they give nothing away.
    """
    if isinstance(value, Mapping):
        return {mask_key(key): mask_setting(f"{name}.{key}", item) for key, item in value.items()}
    if (fields := _fields_of(value)) is not None:
        try:
            return mask_setting(name, fields)
        except RecursionError:  # it holds itself
            return MASK
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_setting(name, item) for item in value]
    if value is None or isinstance(value, bool) or value in ("", b""):
        return value
    if looks_secret(name):
        return MASK
    if isinstance(value, str):
        return _mask_webhook(value) if _WEBHOOK_URL.fullmatch(name) else mask_url(value)
    return mask_value(value)


def _fields_of(value: object) -> dict[str, Any] | None:
    """What an object of a settings file in Python has under which name; None of one that has no fields."""
    kind = type(value)
    if isinstance(value, tuple):
        names: Any = getattr(kind, "_fields", None)
    else:
        names = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "model_fields", None)
        if not names:
            names = [field.name for field in getattr(kind, "__attrs_attrs__", ())]
    return {name: getattr(value, name, None) for name in names} if names else None


_WEBHOOK_URL = lazy_pattern(r"(?:WEBHOOKS_OUT|NOTIFY)\..*\bURL", re.IGNORECASE | re.DOTALL)
"""The settings whose URL may be the secret itself: whoever knows its path posts there."""
_HOST = lazy_pattern(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20}://)(?P<host>[A-Za-z0-9.:\[\]-]*)(?P<rest>.*)", re.DOTALL)


def _mask_webhook(text: str) -> str:
    """The host of a URL; of one that is wrong, no more than what is surely none of a secret."""
    found = _HOST.fullmatch(text)
    if found is None:
        return MASK
    scheme, host, rest = found.groups()
    if scheme.lower() not in ("http://", "https://") or "@" in rest or rest[:1] not in ("", "/", "?", "#"):
        return f"{scheme}{MASK}"
    return mask_text(text) if rest in ("", "/") else f"{scheme}{host}/{MASK}"


_URL_IN_NAME = lazy_pattern(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+-]{0,20}://)(?:(?P<host>[A-Za-z0-9.:\[\]-]+)(?=[/?#])(?!.*@))?.*?"
    r"(?P<keys>(?:\.(?:[A-Z][A-Z_]*|\[key\]))*)\Z",
    re.DOTALL,
)
_ADDRESS_IN_NAME = lazy_pattern(
    r"(?P<host>(?:WEBHOOKS_OUT|NOTIFY)\.[^/?#@]*)[/?#@].*?(?P<keys>(?:\.(?:[A-Z][A-Z_]*|\[key\]))*)\Z",
    re.IGNORECASE | re.DOTALL,
)


def mask_setting_name(name: str) -> str:
    """A dotted name of a setting as it may be shown: a key in it may be a URL, where a name was to stand.

    The URL is shown up to its host, and the keys behind it are.
    """
    if "://" in name:
        return _URL_IN_NAME.sub(_up_to_host, name, count=1)
    return _ADDRESS_IN_NAME.sub(rf"\g<host>/{MASK}\g<keys>", name, count=1)


def _up_to_host(found: re.Match[str]) -> str:
    host = f"{found['host']}/" if found["host"] else ""
    return f"{found['scheme']}{host}{MASK}{found['keys']}"


def mask_key(key: Any) -> Any:
    """A key as it may be shown: it may itself be a token."""
    return mask_shapes(key) if isinstance(key, str) and len(key) >= SHORTEST else key


def mask_value(value: Any) -> Any:
    """`value` of no telling name; of one that is neither a text nor a number, the text where that has a secret."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, bytes | bytearray):
        text = value.decode("latin-1")
        return value if (masked_text := mask_text(text)) == text else masked_text.encode("latin-1")
    if isinstance(value, int | float):
        return value
    try:
        text = str(value)
    except Exception:  # noqa: BLE001 - any object of a user's
        return MASK
    return value if (masked_text := mask_text(text)) == text else masked_text


MAX_DEPTH = 50
"""How far `masked` looks into what holds what holds …"""
_ITEMS = (list, tuple, set, frozenset)
PRINTED_WHOLE = frozenset({dict, *_ITEMS})
"""What shows in its `repr` every name and value that `masked` would look at."""


def masked_argument(value: Any, name: str = "") -> Any:
    """The same as `masked`, for an argument of a message: it is looked into only where its text may hold a secret.

    Raises:
        RecursionError: as `masked`.
    """
    if type(value) in PRINTED_WHOLE and not (name and looks_secret(name)):
        try:
            if not may_hold_secret(repr(value)):
                return value
        except Exception:  # noqa: BLE001  something in it cannot be printed
            return masked(value, name)
    return masked(value, name)


def masked(value: Any, name: str = "", depth: int = 0) -> Any:  # noqa: PLR0911  a kind of value each
    """`value` itself where nothing in it is secret, or else a copy of what dicts, lists, tuples and sets hold.

    For values that are about to become a text, while it is still known what belongs to which name.

    Raises:
        RecursionError: it holds itself, or is nested deeper than `MAX_DEPTH`.
    """
    kind = type(value)
    if kind is str:
        return MASK if value and looks_secret(name) else mask_text(value)
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        return MASK if is_secret_number(name) else value
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, _ITEMS):
        return _masked_items(value, name, depth)
    if isinstance(value, dict) or (isinstance(value, Mapping) and kind.__module__ != "os"):
        return _masked_mapping(value, name, depth)
    if name and looks_secret(name):
        return MASK
    return mask_value(value) if isinstance(value, str | bytes | bytearray) else value


def _masked_mapping(value: Mapping[Any, Any], name: str, depth: int) -> Any:
    # An error of Pydantic says in one place whose value another one shows.
    about = str(value["loc"]) if "loc" in value and "input" in value else ""
    # A secret name makes all that is below it secret; any other need not be remembered.
    above = name if name and looks_secret(name) else ""
    changed = False
    copy = {}
    for key, item in value.items():
        if type(key) is str and len(key) < SHORTEST and not about:
            shown_key, path = key, above or key
        else:
            shown_key = mask_key(key)
            path = above or _as_name(key if key != "input" or not about else re.sub(r"\W+", ".", about))
        copy[shown_key] = shown = masked(item, path, depth + 1)
        changed = changed or shown is not item or shown_key is not key
    return copy if changed else value


def _as_name(key: Any) -> str:
    text = key if isinstance(key, str) else key.decode("latin-1") if isinstance(key, bytes) else str(key)
    return text[:200]


def _masked_items(value: Any, name: str, depth: int) -> Any:
    kind = type(value)
    if kind is tuple and len(value) == 2 and isinstance(value[0], str | bytes) and isinstance(value[1], str | bytes):
        header = value[0] if isinstance(value[0], str) else value[0].decode("latin-1")
        if value[1] and looks_secret(header):  # as in a list of headers
            return (value[0], MASK if isinstance(value[1], str) else MASK.encode())
    items = [masked(item, name, depth + 1) for item in value]
    if all(map(operator.is_, items, value)):
        return value
    if kind in (list, tuple, set, frozenset):
        return kind(items)
    # Something like a named tuple takes its items one by one; its name is not worth a mistake.
    return tuple(items) if isinstance(value, tuple) else items
