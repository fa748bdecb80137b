"""Keeps passwords and tokens out of logs, errors and output."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

MASK = "***"

_SECRET_ANYWHERE = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY")
_SECRET_WORDS = frozenset({"PASS", "PWD", "KEY", "KEYS", "DSN", "AUTHORIZATION", "SIG", "SIGNATURE"})
# A switch of CORS, and whatever somebody writes there by mistake.
_NOT_SECRET = frozenset({"ALLOW_CREDENTIALS"})
# In running text "key = value" is mostly no secret.
_SECRET_WORDS_IN_TEXT = frozenset({"PASS", "PWD", "DSN", "AUTHORIZATION"})

_SCHEME_CHARACTERS = string.ascii_letters + string.digits + "+.-"
_PORT_AND_PATH = re.compile(r"\d*(?:[/?#]|$)")
_QUERY_ITEM = re.compile(r"(?P<before>[?&;#])(?P<name>[^=&;#?\s]+)=(?P<value>[^&;#\s]*)")
_ASSIGNMENT = re.compile(r"\b(?P<name>\w+)(?P<equals>\s*=\s*)(?P<value>[^&;#\s,]+)")

_MAPPING_ITEM = re.compile(
    r"""(?P<before>(?P<quote>["'])(?P<name>\w+)(?P=quote)\s*:\s*(?P<open>["']))(?:\\.|(?!(?P=open))[^\\])+""",
    re.DOTALL,
)


def mask_url(text: str) -> str:
    """`text` with `***` for the password of every URL, and for values whose name says password or token.

    `text` may be one URL, several joined with `;` or `,`, or any text with URLs in it, like an error message
    or a printed dict. A password is masked as a whole also where it has characters that should have
    been percent-encoded. Takes time in proportion to the length of the text.
    """
    if "://" in text:
        text = "".join(_masked_urls(text))
    if ":" in text:
        text = _MAPPING_ITEM.sub(_mask_mapping_item, text)
    return _ASSIGNMENT.sub(_mask_assignment, text) if "=" in text else text


def _masked_urls(text: str) -> Iterator[str]:
    first, *pieces = text.split("://")
    yield first
    body: list[str] = []
    for number, piece in enumerate(pieces, start=1):
        is_last = number == len(pieces)
        end = len(piece) if is_last else len(piece.rstrip(_SCHEME_CHARACTERS))
        # Without a scheme, or after ":" or "@", no other URL begins: it is a password that has "://" in it.
        if is_last or (end < len(piece) and not piece[:end].endswith((":", "@"))):
            yield f"://{_mask_body('://'.join([*body, piece[:end]]))}{piece[end:]}"
            body = []
        else:
            body.append(piece)


def _mask_body(body: str) -> str:
    """What follows the `://` of a URL, and the text behind the URL, masked."""
    url = body.split(maxsplit=1)[0] if body and not body[0].isspace() else ""
    rest = body[len(url) :]
    # A "/", "?" or "#" that stands unencoded in a password ends the authority too early, so the last "@" counts.
    userinfo = url.rpartition("@")[0]
    user, colon, password = userinfo.partition(":")
    authority = re.split(r"[/?#]", url, maxsplit=1)[0]
    if "@" not in authority and (
        not colon or "/" in user or userinfo.startswith("[") or _PORT_AND_PATH.match(password)
    ):
        userinfo = ""
    tail = url[len(userinfo) :]
    user, colon, password = userinfo.partition(":")
    if password:
        userinfo = f"{user}:{MASK}"
    return userinfo + _QUERY_ITEM.sub(_mask_query_item, tail) + rest


def _mask_query_item(match: re.Match[str]) -> str:
    value = match["value"]
    if not value or not looks_secret(unquote(match["name"])):
        return match[0]
    joint = value[-1] if value[-1] in ",;" else ""
    return f"{match['before']}{match['name']}={MASK}{joint}"


def _mask_assignment(match: re.Match[str]) -> str:
    if not _looks_secret(match["name"], _SECRET_WORDS_IN_TEXT):
        return match[0]
    return f"{match['name']}{match['equals']}{MASK}"


def _mask_mapping_item(match: re.Match[str]) -> str:
    return f"{match['before']}{MASK}" if _looks_secret(match["name"], _SECRET_WORDS_IN_TEXT) else match[0]


def looks_secret(name: str) -> bool:
    """Whether a setting, option or parameter of this name is a secret; every part of a dotted name counts."""
    return _looks_secret(name, _SECRET_WORDS)


@lru_cache(maxsize=1024)
def _looks_secret(name: str, words: frozenset[str]) -> bool:
    upper = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()
    if upper in _NOT_SECRET:
        return False
    return any(part in upper for part in _SECRET_ANYWHERE) or not words.isdisjoint(re.split(r"[^A-Z0-9]+", upper))


def mask_setting(name: str, value: Any) -> Any:
    """A copy of `value` that may be shown: masked where `name` or a key looks secret, and in every URL.

    Empty values and switches (true, false) stay visible: they give nothing away.
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
