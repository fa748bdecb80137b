"""Checks what the settings say of people who sign in: USERS, and where the page is."""

import re
from typing import Annotated

from pydantic import AfterValidator

from opa.settings.field_types import Scopes, UpperKeys

# Not compiled here: most starts have no user to check.
_HASH = r"\$argon2id\$v=19\$m=([0-9]{1,8}),t=([0-9]{1,8}),p=([0-9]{1,8})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,171}"
_PATH = r"(?:/[A-Za-z0-9._~-]*[A-Za-z0-9_~-])+"

_LEAST = 7 * 1024
"""Of memory, in KiB, as OWASP recommends it."""
_MOST_MEMORY, _MOST_ROUNDS, _MOST_LANES = 1024 * 1024, 100, 64


def password_hash(value: str) -> str:
    """What is kept of a password in its place.

    Raises:
        ValueError: it is none of Argon2id, or one that is too cheap to try, or too expensive to check.
    """
    found = re.fullmatch(_HASH, value)
    if found is None:
        raise ValueError("should be the hash that opa passwd prints, which begins with $argon2id$, and not a password")
    memory, rounds, lanes = map(int, found.groups())
    if not _LEAST <= memory <= _MOST_MEMORY or not 1 <= rounds <= _MOST_ROUNDS or not 1 <= lanes <= _MOST_LANES:
        raise ValueError("should be made with m=7168 to 1048576 (KiB), t=1 to 100 and p=1 to 64, as opa passwd does")
    return value


class User(UpperKeys):
    """One of USERS."""

    PASSWORD: Annotated[str, AfterValidator(password_hash)]
    SCOPES: Scopes = []


def page_path(value: str) -> str:
    """The path of a page of ours.

    Raises:
        ValueError: it is none, or one that could be read in several ways.
    """
    if re.fullmatch(_PATH, value) is None:
        raise ValueError(
            "should be a path such as /sign-in, of letters, digits and - . _ ~, without a slash at its end"
        )
    return value


def sign_out_path(value: str, sign_in: str | None) -> str:
    """The path by which one signs out, beside that of the page.

    Raises:
        ValueError: they are the same.
    """
    if value == sign_in:
        raise ValueError("should be another path than SIGN_IN_URL")
    return value
