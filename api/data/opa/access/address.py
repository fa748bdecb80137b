"""Where a request comes from."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from ipaddress import AddressValueError, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

IPV6_NETWORK = 64
"""Bits of an IPv6 address that stand for a caller, who may choose the others anew for each request."""

LONGEST = 100
"""Characters of an address. A proxy may hand on any text as one."""


def host_of(connection: HTTPConnection) -> str:
    """The address of the client, as the server sees it; empty where it does not know it."""
    client = connection.scope.get("client")
    host = str(client[0]) if client else ""
    if len(host) <= LONGEST and host.isprintable():
        return host
    return f"#{blake2b(host.encode(errors='backslashreplace'), digest_size=16).hexdigest()}"


def address_of(connection: HTTPConnection) -> str:
    """The address of the client, as far as it stands for one; empty where the server does not know it."""
    host = host_of(connection)
    return _network_of(host) if ":" in host else host


@lru_cache(1000)
def _network_of(host: str) -> str:
    try:
        address = IPv6Address(host.partition("%")[0])
    except AddressValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, IPV6_NETWORK), strict=False))
