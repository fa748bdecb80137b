"""What an API key looks like: `opa_`, 12 characters that name it, 43 that are secret, and 6 that are a checksum.

As with the tokens of GitHub, the fixed beginning is for scanners that look for secrets in code and logs: they know a
key by `PATTERN` alone. By the checksum they know it from what only looks like one, as we do before we ask a store.
"""

import re
import secrets
import string
import zlib

PREFIX = "opa_"
PATTERN = r"opa_[0-9A-Za-z]{61}"
"""The regular expression of a whole key."""

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 12, 43, 6
LENGTH = len(PREFIX) + _ID_LENGTH + _SECRET_LENGTH + _CHECKSUM_LENGTH
_SECRET_BITS = 256  # 62 ** 43 is a little more
_TOKEN = re.compile(PATTERN, re.ASCII)


def new_id() -> str:
    """The part of a key that names it, and is not secret."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


def new_token(key_id: str) -> str:
    """A key with a new secret."""
    text = f"{PREFIX}{key_id}{_digits(secrets.randbits(_SECRET_BITS), _SECRET_LENGTH)}"
    return text + _checksum(text)


def id_in(token: str) -> str | None:
    """The part of a key that names it; None where `token` is none, whatever else it is."""
    if _TOKEN.fullmatch(token) is None or _checksum(token[:-_CHECKSUM_LENGTH]) != token[-_CHECKSUM_LENGTH:]:
        return None
    return token[len(PREFIX) : len(PREFIX) + _ID_LENGTH]


def _checksum(text: str) -> str:
    return _digits(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def _digits(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
