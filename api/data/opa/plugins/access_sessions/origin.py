"""Where a request comes from: a page of ours, or one of others, to which browsers add our cookies as well."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException, WebSocketException

from opa import config

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing, and whose answers no page of another origin can read."""
REFUSED = "a request with a session must come from a page of this host"
POLICY_VIOLATION = 1008

_PORTS = {"http": ":80", "https": ":443"}
_ENCRYPTED = ("https", "wss")
_SCHEMES = {"ws": "http", "wss": "https"}


def refuse_foreign(connection: HTTPConnection) -> None:
    """See that a request that may change something, or opens a websocket, comes from a page of ours.

    Raises:
        HTTPException: it does not, or does not say so (403).
        WebSocketException: the same, of a handshake.
    """
    if connection.scope["type"] == "websocket":
        if not is_own(connection):
            raise WebSocketException(POLICY_VIOLATION, REFUSED)
    elif connection.scope["method"] not in SAFE_METHODS and not is_own(connection):
        raise HTTPException(403, REFUSED)


def is_own(connection: HTTPConnection) -> bool:
    """Whether a page of ours has sent it, as the browser says: no script of a page can change these headers.

    `Sec-Fetch-Site` has the browser's own judgement, over TLS and on the same machine; else `Origin` is compared.
    Scheme, host and port have to be ours: a page of the same site is not. Without TLS both have to say so: a proxy that
    puts its own `Host: localhost` in the place of that of the browser would have sessions go through the network.
    """
    sites, origins = connection.headers.getlist("sec-fetch-site"), connection.headers.getlist("origin")
    if len(sites) > 1 or len(origins) > 1 or (sites and sites[0] != "same-origin"):
        return False
    if sites and connection.scope["scheme"] in _ENCRYPTED:
        return True
    return bool(origins) and _normal(origins[0]) == _own(connection)


def is_own_name(host: str) -> bool:
    """Whether a host is one that no page of others can have had pointed here: what needs no credential asks it."""
    # With TRUSTED_HOSTS, no other name has come this far.
    if config.TRUSTED_HOSTS and "*" not in config.TRUSTED_HOSTS:
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return True


def _own(connection: HTTPConnection) -> str:
    scheme = connection.scope["scheme"]
    return _normal(f"{_SCHEMES.get(scheme, scheme)}://{connection.headers.get('host', '')}")


def _normal(origin: str) -> str:
    """An origin in lower case and without the port of its scheme."""
    origin = origin.lower()
    return origin.removesuffix(_PORTS.get(origin.partition("://")[0], " "))
