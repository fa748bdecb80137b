"""Which names say that a value is secret."""

from __future__ import annotations

import re
from functools import lru_cache

from opa._util.patterns import lazy_pattern

_SECRET_ANYWHERE = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY")
_SECRET_WORDS = frozenset({"PASS", "PWD", "KEY", "KEYS", "DSN", "AUTHORIZATION", "SIG", "SIGNATURE"})
# A switch of CORS, and whatever someone writes there by mistake.
_NOT_SECRET = frozenset({"ALLOW_CREDENTIALS"})
# In running text "key = value" is mostly no secret.
_SECRET_WORDS_IN_TEXT = frozenset({"PASS", "PWD", "DSN", "AUTHORIZATION"})
# These make one of a "key" there too, and an "auth" of its own is no name of a way to log in.
_SECRET_PAIR = lazy_pattern(
    r"(?:^|_)(?:(?:API|ACCESS|ACCOUNT|AUTH|DEPLOY|ENCRYPTION|HMAC|MASTER|PRIVATE|SERVICE|SHARED|SIGNING|SSH|WEBHOOK)_KEYS?"
    r"|(?:BASIC|HTTP|PROXY)_AUTH)(?:_|$)"
)
_COOKIES = frozenset({"COOKIE", "COOKIES", "SET_COOKIE"})
# How many, how long, of which kind: said of a secret, and not one.
_MEASURES = lazy_pattern(
    r"_(?:COUNT|LEN|LENGTH|LIMIT|SIZE|TTL|AGE|LIFETIME|EXPIRY|EXPIRES(?:_AT|_IN)?|SECONDS|MINUTES|HOURS|DAYS|TYPE|POLICY)$"
    r"|^(?:MAX|MIN|NUM|TOTAL|INPUT|OUTPUT|PROMPT|COMPLETION|CACHED)(?:_NEW|_INPUT|_OUTPUT)?_TOKENS$"
)


@lru_cache(maxsize=4096)
def looks_secret(name: str) -> bool:
    """Whether a setting, option or parameter of this name is a secret; every part of a dotted name counts."""
    return _looks_secret(name, _SECRET_WORDS)


@lru_cache(maxsize=4096)
def looks_secret_in_text(name: str) -> bool:
    """The same for a name in a text or of a variable, where a `key` is mostly no secret."""
    return _looks_secret(name, _SECRET_WORDS_IN_TEXT)


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
    return upper.rpartition(".")[2].replace("-", "_") in _COOKIES or _SECRET_PAIR.search(joined) is not None


@lru_cache(maxsize=1024)
def is_secret_number(name: str) -> bool:
    """Whether a number of this name is secret; that of a `key` is mostly one of many, and `tokens` are counted."""
    return looks_secret_in_text(name) and not name.upper().endswith("TOKENS")


@lru_cache(maxsize=1024)
def is_secret_header(name: str) -> bool:
    """Whether it is a header, or a field like one, that holds a way to log in."""
    upper = name.upper().rpartition(".")[2].replace("-", "_")
    return upper in _COOKIES or upper.endswith(("AUTHORIZATION", "API_KEY", "AUTH_TOKEN", "CSRF_TOKEN", "ACCESS_TOKEN"))
