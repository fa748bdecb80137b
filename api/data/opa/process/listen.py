"""The socket that a server listens on."""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable

from opa.errors import StartError
from opa.logging.logger import log
from opa.logging.refusal_log import refusals

BACKLOG = 2048

# The socket module does not have it; asm-generic/socket.h, since Linux 5.1, and for everyone since 5.7.
SO_BINDTOIFINDEX = 62
NO_INTERFACE = 2**31 - 1


def listening_socket(host: str, port: int, *, prefix: str = "") -> socket.socket:
    """A TCP socket that listens on `host` and `port`; port 0 is any free one.

    Args:
        host: an address or a name of this machine.
        port: the port.
        prefix: what stands before HOST and PORT in the names of the settings that they are from.

    Raises:
        StartError: the address is taken, not allowed, or not one of this machine.
    """
    where = f"settings {prefix}HOST and {prefix}PORT"
    # Of a text, Python makes what IDNA has for it, and imports that, also where it is an address.
    name = host.encode() if host.isascii() else host
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            name or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise StartError(f"{prefix}HOST '{host}' is not an address of this machine", where=where) from None
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
            hint=f"Stop what listens there, or set OPA_{prefix}PORT to another port",
        ) from None
    return listener


def refuse_connections(listener: socket.socket) -> None:
    """Let no new connection come about, while those that wait to be accepted still can be.

    Closing a listening socket resets the connections that wait. A client has sent its request on those, so a
    server that is told to stop first calls this, then accepts what waits, and then closes. It holds for every
    process that has this socket. Where the kernel cannot do it, connections go on coming until the socket is
    closed.
    """
    if sys.platform != "linux" or refuses_connections(listener, where_unknown=False):
        return
    try:
        # A listening socket that is bound to an interface sees only what arrives there, and none has this number.
        listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)
    except OSError as error:
        log.debug(f"connections go on coming until the listening socket is closed: {error}")


def refuses_connections(listener: socket.socket, *, where_unknown: bool = True) -> bool:
    """Whether a process that has this socket has called `refuse_connections`.

    Args:
        where_unknown: what it is where the kernel cannot do that.
    """
    if sys.platform != "linux":
        return where_unknown
    try:
        return listener.getsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX) == NO_INTERFACE
    except OSError:
        return where_unknown


class Listeners:
    """Brings back a listening socket that the event loop has given up.

    Where no descriptor is free, uvloop closes new connections, and in bad luck the socket that they come from, for good
    and without a word. The process would live on, and nobody could reach it.

    Args:
        sockets: what it listens on; what is brought back takes the place of what is gone.
        listen: begins to accept from a socket.
    """

    def __init__(self, sockets: list[socket.socket], listen: Callable[[socket.socket], Awaitable[None]]) -> None:
        self._sockets = sockets
        self._listen = listen
        self._spares = [listener.dup() for listener in sockets]

    async def revive(self) -> None:
        """Begin anew with the sockets that are gone; called now and then."""
        for place, spare in enumerate(self._spares):
            if self._sockets[place].fileno() >= 0:
                continue
            try:
                listener = spare.dup()
            except OSError:
                continue  # there is still no descriptor
            refusals.note("the event loop gave up listening, since no file could be opened; it listens again")
            self._sockets[place] = listener
            await self._listen(listener)

    def close(self) -> None:
        """Keep no socket open."""
        for spare in self._spares:
            spare.close()


def address_of(listener: socket.socket) -> str:
    """Where it listens, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
