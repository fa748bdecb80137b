"""Keeps passwords and tokens out of logs, errors and output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

MASK = "***"

_SECRET_ANYWHERE = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY")
_SECRET_WORDS = {"PASS", "PWD", "KEY", "KEYS", "DSN", "AUTHORIZATION", "SIG", "SIGNATURE"}

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_URL = re.compile(rf"({_SCHEME.pattern})((?:(?!{_SCHEME.pattern})\S)*)")
_QUERY_ITEM = re.compile(r"(?P<before>[?&;#])(?P<name>[^=&;#\s]+)=(?P<value>[^&;#\s]*)")
_STRONG_ITEM = re.compile(
    r"(?P<name>\b\w*(?:password|passwd|pwd|secret|token)\w*)(?P<is>\s*=\s*)(?P<value>[^&;#\s,]+)",
    re.IGNORECASE,
)
_PORT_AND_PATH = re.compile(r"\d*(?:[/?#]|$)")


def mask_url(url: str) -> str:
    """`url` with `***` in place of its password, and of query parameters that look like passwords or tokens.

    Works on several URLs joined with `;` or `,`, and on any text that has URLs in it, such as an error message.
    A password is masked as a whole also where it has characters that should have been percent-encoded.
    """
    masked = _URL.sub(lambda match: match[1] + _mask_url_body(match[2]), url)
    return _STRONG_ITEM.sub(lambda match: f"{match['name']}{match['is']}{MASK}", masked)


def _mask_url_body(body: str) -> str:
    """What follows `scheme://`, masked."""
    authority = re.split(r"[/?#]", body, maxsplit=1)[0]
    if "@" in authority:
        end = authority.rindex("@")
        userinfo, rest = body[:end], body[end:]
    else:
        # A "/", "?" or "#" that stands unencoded in a password ends the authority too early.
        userinfo, found, rest = body.rpartition("@")
        user, colon, password = userinfo.partition(":")
        misread = not colon or "/" in user or userinfo.startswith("[") or _PORT_AND_PATH.match(password)
        if not found or misread:
            userinfo, rest = "", body
    user, colon, password = userinfo.partition(":")
    if colon and password:
        userinfo = f"{user}:{MASK}"
    return userinfo + _QUERY_ITEM.sub(_mask_query_item, rest)


def _mask_query_item(match: re.Match[str]) -> str:
    value = match["value"]
    if not value or not looks_secret(unquote(match["name"])):
        return match[0]
    joint = value[-1] if value[-1] in ",;" else ""
    return f"{match['before']}{match['name']}={MASK}{joint}"


def looks_secret(name: str) -> bool:
    """Whether a setting, option or parameter of this name holds a secret; every part of a dotted name counts."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    upper = spaced.upper()
    words = set(re.split(r"[^A-Z0-9]+", upper))
    return any(part in upper for part in _SECRET_ANYWHERE) or not words.isdisjoint(_SECRET_WORDS)


def mask_setting(name: str, value: Any) -> Any:
    """A copy of `value` that may be shown: masked where `name` or a key inside looks secret, and in every URL.

    Values that are empty and switches (true, false) stay visible: they give nothing away.
    """
    if isinstance(value, Mapping):
        return {key: mask_setting(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_setting(name, item) for item in value]
    if value is None or isinstance(value, bool) or value in ("", b""):
        return value
    if looks_secret(name):
        return MASK
    return mask_url(value) if isinstance(value, str) else value
