"""Requests that come from a page of ours, and hosts of URLs that can only be this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opa._util.hosts import is_here_alone
from opa.settings.load import config

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

_PORTS = {"http": ":80", "https": ":443"}
_ENCRYPTED = ("https", "wss")
_SCHEMES = {"ws": "http", "wss": "https"}


def is_from_own_page(connection: HTTPConnection) -> bool:
    """Whether a page of ours has sent a request, as the browser says: no script of a page can change these headers.

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


def _own(connection: HTTPConnection) -> str:
    scheme = connection.scope["scheme"]
    return _normal(f"{_SCHEMES.get(scheme, scheme)}://{connection.headers.get('host', '')}")


def _normal(origin: str) -> str:
    """An origin in lower case and without the port of its scheme."""
    origin = origin.lower()
    return origin.removesuffix(_PORTS.get(origin.partition("://")[0], " "))


def is_own_host(host: str) -> bool:
    """Whether a host, such as `request.url.hostname`, is one that no page of others can have had pointed here.

    Ask it before you show in development what requires an actor elsewhere: a page on the internet can let a name of its
    own lead to this machine, and have the browser read what answers. `localhost`, addresses and the names of
    TRUSTED_HOSTS are our own.
    """
    # With TRUSTED_HOSTS, no other name has come this far.
    if config.TRUSTED_HOSTS and "*" not in config.TRUSTED_HOSTS:
        return True
    return is_here_alone(host)
