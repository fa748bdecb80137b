"""Keeps passwords and tokens out of logs, errors and output.

By structure where there is one (`masked`, `mask_setting`), by names and signs in a text that was already made
(`mask_text`), and by the shape of what an issuer has made (`opa.core.secret_shapes`).
"""

from __future__ import annotations

import base64
import binascii
import re
import string
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from opa.core.secret_shapes import MASK, mask_shapes

_SECRET_ANYWHERE = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY")
_SECRET_WORDS = frozenset({"PASS", "PWD", "KEY", "KEYS", "DSN", "AUTHORIZATION", "SIG", "SIGNATURE"})
# A switch of CORS, and whatever somebody writes there by mistake.
_NOT_SECRET = frozenset({"ALLOW_CREDENTIALS"})
# In running text "key = value" is mostly no secret.
_SECRET_WORDS_IN_TEXT = frozenset({"PASS", "PWD", "DSN", "AUTHORIZATION"})
# These make one of a "key" there too, and an "auth" of its own is no name of a way to log in.
_SECRET_PAIR = re.compile(
    r"(?:^|_)(?:(?:API|ACCESS|ACCOUNT|AUTH|DEPLOY|ENCRYPTION|HMAC|MASTER|PRIVATE|SERVICE|SHARED|SIGNING|SSH|WEBHOOK)_KEYS?"
    r"|(?:BASIC|HTTP|PROXY)_AUTH)(?:_|$)"
)
_COOKIES = frozenset({"COOKIE", "COOKIES", "SET_COOKIE"})
# How many, how long, of which kind: said of a secret, and not one.
_MEASURES = re.compile(
    r"_(?:COUNT|LEN|LENGTH|LIMIT|SIZE|TTL|AGE|LIFETIME|EXPIRY|EXPIRES(?:_AT|_IN)?|SECONDS|MINUTES|HOURS|DAYS|TYPE|POLICY)$"
    r"|^(?:MAX|MIN|NUM|TOTAL|INPUT|OUTPUT|PROMPT|COMPLETION|CACHED)(?:_NEW|_INPUT|_OUTPUT)?_TOKENS$"
)

_SCHEME_CHARACTERS = string.ascii_letters + string.digits + "+.-"
_PORT_AND_PATH = re.compile(r"\d*(?:[/?#]|$)")
_QUERY_ITEM = re.compile(r"(?P<before>[?&;#])(?P<name>[^=&;#?\s]+)=(?P<value>[^&;#\s]*)")

# A name and the sign behind it. Each repetition is possessive or short, so that a text is read in time linear to its length.
_NAMED = re.compile(
    r"""
    (?P<quote>\\{0,4}["'])(?P<quoted>[\w.\- ]{1,80})(?P=quote)\s*+(?P<between>:(?!:)|=>|,)\s*+
    | (?<![\w.\-])--(?P<option>[\w\-]++)(?:\s++|["'],\s{0,9}["'])(?!-)
    | (?<![\w.\-])(?P<name>(?:(?:api|access|secret|private|auth)[ ](?=key))?[\w.\-]++)\s*+(?P<sign>:?=(?![=~])|:(?![:/=]))\s*+
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUOTED_VALUE = re.compile(r"""[bBrRuUfF]{0,2}(?P<open>["'])((?:\\.|(?!(?P=open))[^\\])++)\\?""", re.DOTALL)
# Inside of a text that is itself quoted.
_ESCAPED_VALUE = re.compile(r"""(?P<open>\\{1,4}["'])((?:(?!(?P=open)).)++)""", re.DOTALL)
_PLAIN_VALUE = re.compile(r"[^&;#\s,]++")
_VALUE_IN_MAPPING = re.compile(r"""[^\s,;}\])([{"']++""")
_REST_OF_LINE = re.compile(r"[^\r\n]++")
_REST_OF_QUOTED_LINE = re.compile(r"""[^\r\n"']++""")
_BRACKETS = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*+"?|'(?:\\.|[^'\\])*+'?)|(?P<open>[\[({])|(?P<close>[\])}])""", re.DOTALL
)
_NOTHING = re.compile(r"(?i:none|null|true|false|nil|undefined)\b|\*+|(?:SecretStr|SecretBytes|Secret)\(b?'\**'\)|<")

_SCHEMES = re.compile(
    r"\b(?P<scheme>bearer|basic|token|digest|negotiate|apikey)(?P<gap>[ ]++)(?P<given>[\w.~+/\-]{8,}+=*+)",
    re.IGNORECASE,
)
_HAS_SCHEME = re.compile(r"(?:bearer|basic|digest|negotiate|token|apikey|aws4-hmac-sha256|hawk|ntlm)\s", re.IGNORECASE)
# Pydantic's messages show the value, shortened in its middle, and do not say in this line whose it is.
_INPUT_VALUE = re.compile(r"input_value=(?:(?!input_value=)[^\n])*?(?=, input_type=)")


def mask_text(text: str) -> str:
    """`text` with `***` for every secret that can be told: by the name before it, by its place in a URL, by its shape.

    `text` may be one URL, several joined with `;` or `,`, or any text, like an error message or a printed dict. A password
    in a URL is masked as a whole also where it has characters that should have been percent-encoded. Takes time in
    proportion to the length of the text.
    """
    if "://" in text:
        text = "".join(_masked_urls(text))
    has_sign = "=" in text
    if has_sign and "?" in text and "://" not in text:  # the path of a request, as in an access log
        text = _QUERY_ITEM.sub(_mask_query_item, text)
    lower = text.lower()
    if (
        "pass" in lower
        or "token" in lower
        or "secret" in lower
        or "key" in lower
        or "auth" in lower
        or "cred" in lower
        or "cookie" in lower
        or "pwd" in lower
        or "dsn" in lower
    ):
        text = _mask_named(text)
        if "token " in lower:
            text = _SCHEMES.sub(_mask_scheme, text)
    if "bearer " in lower or "basic " in lower:
        text = _SCHEMES.sub(_mask_scheme, text)
    if has_sign and "input_value=" in text:
        text = _INPUT_VALUE.sub(f"input_value={MASK}", text)
    return mask_shapes(text)


mask_url = mask_text
"""The same, where the text is mostly a URL."""


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


def _mask_named(text: str) -> str:
    """Mask what stands behind a secret's name: `name=value`, `"name": value`, `--name value`, `Name: value`."""
    pieces = []
    done = position = 0
    while found := _NAMED.search(text, position):
        position = found.end()
        span = _value_behind(found, text)
        if span is not None:
            start, end = span
            pieces += [text[done:start], MASK]
            done = position = end
    return "".join([*pieces, text[done:]]) if pieces else text


def _value_behind(found: re.Match[str], text: str) -> tuple[int, int] | None:
    """Where the secret value begins and ends, or None where it is none."""
    name = found["quoted"] or found["option"] or found["name"]
    if not looks_secret_in_text(name):
        return None
    start = found.end()
    if start == len(text) or _NOTHING.match(text, start):
        return None
    if value := _QUOTED_VALUE.match(text, start) or _ESCAPED_VALUE.match(text, start):
        return None if found["between"] == "," and not _is_header(name) else _inside(value)
    if text[start] in "\"'":
        return None  # an empty text
    if found["quoted"]:
        return _value_in_mapping(found, text)
    return _value_in_line(found, name, text)


def _inside(value: re.Match[str]) -> tuple[int, int] | None:
    return None if set(value[2]) == {"*"} else value.span(2)


def _value_in_mapping(found: re.Match[str], text: str) -> tuple[int, int] | None:
    """Of a printed dict or JSON; not of a sentence, as in "plugin 'tokens': 3 routes"."""
    if found["between"] == "," or not _is_in_mapping(text, found.start()):
        return None
    start = found.end()
    value = _VALUE_IN_MAPPING.match(text, start)
    end = value.end() if value else start
    end = _end_of_brackets(text, end) if text[end : end + 1] in ("(", "[", "{") else end
    return (start, end) if end > start else None


def _is_in_mapping(text: str, quote: int) -> bool:
    before = text[max(0, quote - 80) : quote].rstrip()
    return not before or before[-1] in "{,[("


def _value_in_line(found: re.Match[str], name: str, text: str) -> tuple[int, int] | None:
    start = found.end()
    if _is_header(name):
        # Behind `=` the value ends with the word, unless it is one with a scheme before it.
        has_scheme = _HAS_SCHEME.match(text, start)
        is_cookie = found["sign"] == ":" and "=" in _REST_OF_LINE.match(text, start)[0]  # type: ignore[index]  # it is not empty
        if has_scheme or (is_cookie and "COOKIE" in name.upper()):
            digest = has_scheme and has_scheme[0].lower().startswith("digest")
            return (_REST_OF_LINE if digest else _REST_OF_QUOTED_LINE).match(text, start).span()  # type: ignore[union-attr]
    if text[start] in "[{(":
        return (start, _end_of_brackets(text, start)) if found["sign"] == "=" else None
    value = _PLAIN_VALUE.match(text, start)
    if value is None or (name.upper().endswith("TOKENS") and value[0].isdecimal()):
        return None
    if found["sign"] == ":" and not _looks_random(value[0]):
        return None
    shown = value[0].rstrip(")]}'\">") if found["sign"] else value[0].rstrip("]'\"")
    return None if not shown or shown == MASK else (start, start + len(shown))


def _looks_random(word: str) -> bool:
    """Whether what stands behind `name: ` is a secret, and not the next word of a sentence or a date."""
    word = word.rstrip(".)]}'\"!?")
    return len(word) >= 6 and "://" not in word and any(character in "0123456789!@$%^*+" for character in word)


def _end_of_brackets(text: str, start: int) -> int:
    """The end of what begins with a bracket at `start`; of the line, where it is cut off."""
    depth = 0
    for found in _BRACKETS.finditer(text, start):
        if found["open"]:
            depth += 1
        elif found["close"]:
            depth -= 1
            if depth == 0:
                return found.end()
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _is_header(name: str) -> bool:
    upper = name.upper().replace("-", "_")
    return upper in _COOKIES or upper.endswith(("AUTHORIZATION", "API_KEY", "AUTH_TOKEN", "CSRF_TOKEN", "ACCESS_TOKEN"))


def _mask_scheme(match: re.Match[str]) -> str:
    scheme, given = match["scheme"].lower(), match["given"]
    if scheme == "basic":
        is_secret = _is_user_and_password(given)
    else:
        has_digit = any(character.isdecimal() for character in given)
        is_secret = len(given) >= (20 if scheme == "token" else 8) and has_digit or len(given) >= 32
    return f"{match['scheme']}{match['gap']}{MASK}" if is_secret else match[0]


def _is_user_and_password(text: str) -> bool:
    try:
        return b":" in base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return False


def looks_secret(name: str) -> bool:
    """Whether a setting, option or parameter of this name is a secret; every part of a dotted name counts."""
    return _looks_secret(name, _SECRET_WORDS)


def looks_secret_in_text(name: str) -> bool:
    """The same for a name in a text or of a variable, where a `key` is mostly no secret."""
    return _looks_secret(name, _SECRET_WORDS_IN_TEXT)


@lru_cache(maxsize=4096)
def _looks_secret(name: str, words: frozenset[str]) -> bool:
    upper = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()
    if upper in _NOT_SECRET or _MEASURES.search(re.sub(r"[^A-Z0-9]+", "_", upper)):
        return False
    if any(part in upper for part in _SECRET_ANYWHERE):
        return True
    parts = re.split(r"[^A-Z0-9]+", upper)
    if not words.isdisjoint(parts):
        return True
    joined = "_".join(part for part in parts if part)
    return joined in _COOKIES or _SECRET_PAIR.search(joined) is not None


def mask_setting(name: str, value: Any) -> Any:
    """A copy of `value` that may be shown: masked where `name` or a key looks secret, and whatever `mask_text` finds.

    Empty values and switches (true, false) stay visible: they give nothing away.
    """
    if isinstance(value, Mapping):
        return {mask_key(key): mask_setting(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_setting(name, item) for item in value]
    if value is None or isinstance(value, bool) or value in ("", b""):
        return value
    if looks_secret(name):
        return MASK
    return mask_value(value)


def mask_key(key: Any) -> Any:
    """A key as it may be shown: it may itself be a token."""
    return mask_shapes(key) if isinstance(key, str) else key


def mask_value(value: Any) -> Any:
    """`value` of no telling name; one that is neither a text nor a number is not looked into."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, bytes | bytearray):
        text = value.decode("latin-1")
        return value if (masked_text := mask_text(text)) == text else masked_text.encode("latin-1")
    return value


DEEPEST = 50
"""How far `masked` looks into what holds what holds …"""


def masked(value: Any, name: str = "", depth: int = 0) -> Any:
    """`value` itself where nothing in it is secret, or else a copy of what dicts, lists, tuples and sets hold.

    For values that are about to become a text, while it is still known what belongs to which name.

    Raises:
        RecursionError: it holds itself, or is nested deeper than `DEEPEST`.
    """
    kind = type(value)
    if kind is str:
        return MASK if value and looks_secret(name) else mask_text(value)
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        return MASK if is_secret_number(name) else value
    if depth > DEEPEST:
        raise RecursionError
    if isinstance(value, dict) or (isinstance(value, Mapping) and kind.__module__ != "os"):
        return _masked_mapping(value, name, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return _masked_items(value, name, depth)
    if name and looks_secret(name):
        return MASK
    return mask_value(value) if isinstance(value, str | bytes | bytearray) else value


def is_secret_number(name: str) -> bool:
    """Whether a number of this name is secret; that of a `key` is mostly one of many, and `tokens` are counted."""
    return looks_secret_in_text(name) and not name.upper().endswith("TOKENS")


def _masked_mapping(value: Mapping[Any, Any], name: str, depth: int) -> Any:
    # An error of Pydantic says in one place whose value another one shows.
    about = str(value["loc"]) if "loc" in value and "input" in value else ""
    changed = False
    copy = {}
    for key, item in value.items():
        shown_key = mask_key(key)
        path = _path(name, key if key != "input" or not about else re.sub(r"\W+", ".", about))
        copy[shown_key] = shown = masked(item, path, depth + 1)
        changed = changed or shown is not item or shown_key is not key
    return copy if changed else value


def _path(name: str, key: Any) -> str:
    # A secret name makes all that is below it secret; any other need not be remembered.
    text = key if isinstance(key, str) else key.decode("latin-1") if isinstance(key, bytes) else str(key)
    return name if name and looks_secret(name) else text[:200]


def _masked_items(value: Any, name: str, depth: int) -> Any:
    kind = type(value)
    if kind is tuple and len(value) == 2 and isinstance(value[0], str | bytes) and isinstance(value[1], str | bytes):
        header = value[0] if isinstance(value[0], str) else value[0].decode("latin-1")
        if value[1] and looks_secret(header):  # as in a list of headers
            return (value[0], MASK if isinstance(value[1], str) else MASK.encode())
    items = [masked(item, name, depth + 1) for item in value]
    if all(shown is item for shown, item in zip(items, value, strict=True)):
        return value
    if kind in (list, tuple, set, frozenset):
        return kind(items)
    # Something like a named tuple takes its items one by one; its name is not worth a mistake.
    return tuple(items) if isinstance(value, tuple) else items
