"""The cookies that a browser keeps: the id of its session and, while a user signs in with a provider, the attempt."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from opa import RefusedCredentialError

if TYPE_CHECKING:
    from starlette.responses import Response

NAME = "__Host-opa-session"
"""By this beginning a browser takes it over TLS alone, from this very host, and not from one beside or below it."""
PLAIN_NAME = "opa-session"
"""Without TLS, on the machine of who works on the project. With TLS nobody reads it."""

FLOW_NAME = "__Host-opa-sign-in"
PLAIN_FLOW_NAME = "opa-sign-in"

PREFIX = "opas_"
"""By this the masking of the log, and scanners, know the id of a session wherever it stands."""
ID_BYTES = 32
_ID = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
_BLANKS = " \t"
"""No other: a browser lets any host of the site plant a cookie whose name is ours behind a no-break space."""
_DEVELOPMENT = "dev"


def new_session_id() -> str:
    """An id that nobody has had before, and nobody guesses."""
    return PREFIX + secrets.token_urlsafe(ID_BYTES)


def is_encrypted(connection: HTTPConnection) -> bool:
    """Whether the browser is connected over TLS, as the server or a proxy that it trusts has it."""
    return connection.scope["scheme"] in ("https", "wss")


def may_have_session(connection: HTTPConnection) -> bool:
    """Whether a session may be sent over this connection: over TLS, or else within a machine or in development."""
    return is_encrypted(connection) or _is_development() or _is_loopback(connection.url.hostname)


def session_id_in(connection: HTTPConnection) -> str | None:
    """The id of the session of the browser that asks; None where it sends none.

    Raises:
        RefusedCredentialError: it can be none, or there are several.
    """
    if not may_have_session(connection):
        return None
    found = _values(connection, _name(connection))
    if not found:
        return None
    if len(found) > 1 or _ID.fullmatch(found[0]) is None:
        raise RefusedCredentialError("a request has several sessions, or one whose id is none", is_guess=False)
    return found[0]


def _values(connection: HTTPConnection, name: str) -> list[str]:
    pairs = (pair.partition("=") for header in connection.headers.getlist("cookie") for pair in header.split(";"))
    return [value.strip(_BLANKS) for key, _, value in pairs if key.strip(_BLANKS) == name]


def former_session(connection: HTTPConnection) -> str | None:
    """The same for what ends or replaces it; None also where it can be none."""
    try:
        return session_id_in(connection)
    except RefusedCredentialError:
        return None


def set_session(response: Response, connection: HTTPConnection, session_id: str) -> None:
    """Give the browser a session. It keeps it until it is closed; when the session ends is known to us alone."""
    response.set_cookie(
        _name(connection), session_id, path="/", secure=is_encrypted(connection), httponly=True, samesite="lax"
    )


def delete_session(response: Response, connection: HTTPConnection) -> None:
    """Have the browser forget it."""
    response.delete_cookie(_name(connection), path="/", secure=is_encrypted(connection), httponly=True, samesite="lax")


def flow_in(connection: HTTPConnection) -> str | None:
    """What the browser has kept of an attempt to sign in; None where there is none, or there are several."""
    found = _values(connection, _flow_name(connection))
    return found[0] if len(found) == 1 else None


def set_flow(response: Response, connection: HTTPConnection, kept: str, seconds: int) -> None:
    """Have the browser keep an attempt to sign in, which comes back with it from the provider: `Lax`, as a session."""
    response.set_cookie(
        _flow_name(connection),
        kept,
        max_age=seconds,
        path="/",
        secure=is_encrypted(connection),
        httponly=True,
        samesite="lax",
    )


def _flow_name(connection: HTTPConnection) -> str:
    return FLOW_NAME if is_encrypted(connection) else PLAIN_FLOW_NAME


def _name(connection: HTTPConnection) -> str:
    return NAME if is_encrypted(connection) else PLAIN_NAME


def _is_development() -> bool:
    return _DEVELOPMENT in (name.strip().lower() for name in os.environ.get("ENV", "").split(","))


def _is_loopback(host: str | None) -> bool:
    # By the name that the browser has asked for: it knows where that leads.
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
