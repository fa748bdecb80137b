"""The connection of one request, which ends when nobody waits for the answer any more."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from urllib.request import BaseHandler, HTTPHandler, HTTPSHandler, Request


class Wire:
    """That of one request.

    A server that sends a byte now and then keeps within each limit of a socket: without a cut, the thread that reads
    stays for hours, with its socket, and another one with each further try.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def hold(self, connected: socket.socket) -> None:
        """This is its socket.

        Raises:
            TimeoutError: nobody waits any more.
        """
        with self._lock:
            self._socket = connected
            if self._is_cut:
                raise TimeoutError

    def cut(self) -> None:
        """End it: whoever reads or writes gets an error."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                with suppress(OSError):  # it is closed
                    self._socket.shutdown(socket.SHUT_RDWR)

    def handlers(self) -> tuple[BaseHandler, BaseHandler]:
        """What opens it for urllib."""
        wire = self

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                wire.hold(self.sock)

        class Tls(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                wire.hold(self.sock)

        class OpenPlain(HTTPHandler):
            def http_open(self, req: Request) -> HTTPResponse:
                return self.do_open(Plain, req)

        class OpenTls(HTTPSHandler):
            def https_open(self, req: Request) -> HTTPResponse:
                return self.do_open(Tls, req)

        return OpenPlain(), OpenTls()
