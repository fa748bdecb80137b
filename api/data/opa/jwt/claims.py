"""What a verified token says: of whom, for whom, when, and what its subject may do (RFC 7519, section 4)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from opa.errors import RefusedCredentialError

MAX_SUBJECT = 255
"""Characters, by OpenID Connect."""


def subject(claims: Mapping[str, Any]) -> str:
    """Whom the token is of.

    Raises:
        RefusedCredentialError: it does not say.
    """
    value = claims.get("sub")
    if not (isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT and value.isprintable()):
        raise RefusedCredentialError(f"the claim sub is not a printable text of 1 to {MAX_SUBJECT} characters")
    return value


def check_times(claims: Mapping[str, Any], now: float, leeway: float) -> None:
    """See that a token is valid now.

    Args:
        claims: of the token.
        now: in seconds since 1970.
        leeway: seconds that clocks may differ.

    Raises:
        RefusedCredentialError: it is not, or does not say until when.
    """
    expires, begins, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise RefusedCredentialError("the claim exp is missing: a token that does not expire")
    if now >= expires + leeway:
        raise RefusedCredentialError("a token has expired", is_guess=False)  # its signature was right
    if begins is not None and now < begins - leeway:
        raise RefusedCredentialError("a token is not valid yet")
    if issued is not None and now < issued - leeway:
        raise RefusedCredentialError("a token was issued in the future")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise RefusedCredentialError(f"the claim {name} is not a time")
    return value


def check_audience(claims: Mapping[str, Any], audiences: Collection[str] | None) -> None:
    """See that a token is for one of `audiences`; None is any.

    Raises:
        RefusedCredentialError: it is for another audience.
    """
    if audiences is not None and not set(_texts(claims, "aud")) & set(audiences):
        raise RefusedCredentialError("a token is for another audience")


def check_required(claims: Mapping[str, Any], required: Mapping[str, Any]) -> None:
    """See that a token says what it must.

    Args:
        claims: of the token.
        required: the value that each claim must have, or a list of which it must have one.

    Raises:
        RefusedCredentialError: it says something else.
    """
    for name, expected in required.items():
        if not is_one_of(claim_in(claims, name), expected):
            raise RefusedCredentialError(f"the claim {name} is not as CLAIMS has it")


def is_one_of(given: Any, expected: Any) -> bool:
    """Whether a claim is what is expected; of a list, on either side, one is enough."""
    values = given if isinstance(given, list) else [given]
    wanted = expected if isinstance(expected, list) else [expected]
    # Python holds 1 and true for equal.
    return any(type(value) is type(each) and value == each for value in values for each in wanted)


def scopes_in(claims: Mapping[str, Any], name: str, prefix: str) -> frozenset[str]:
    """What the subject may do.

    Args:
        claims: of the token.
        name: of the claim that says it, a text with spaces between scopes, or a list.
        prefix: only scopes that begin with it count, and without it.
    """
    scopes = _texts(claims, name, is_split=True)
    return frozenset(scope.removeprefix(prefix) for scope in scopes if scope.startswith(prefix) and scope != prefix)


def _texts(claims: Mapping[str, Any], name: str, *, is_split: bool = False) -> list[str]:
    value = claim_in(claims, name)
    if value is None:
        return []
    if isinstance(value, str):
        return value.split() if is_split else [value]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise RefusedCredentialError(f"the claim {name} is neither a text nor a list of texts")
    return value


def claim_in(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of this name; with dots one inside another, as `realm_access.roles` is."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
