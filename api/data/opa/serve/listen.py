"""The socket that a server listens on."""

from __future__ import annotations

import socket

from opa.core.errors import StartError

BACKLOG = 2048


def listening_socket(host: str, port: int) -> socket.socket:
    """A TCP socket that listens on `host` and `port`; port 0 is any free one.

    Raises:
        StartError: the address is taken, not allowed, or not one of this machine.
    """
    where = "settings HOST and PORT"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise StartError(f"HOST '{host}' is no address of this machine", where=where) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            where=where,
            hint="Stop what listens there, or set OPA_PORT to another port",
        ) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Where it listens, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
