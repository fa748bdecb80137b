"""The page in the place of an api that does not start because of a mistake, in development.

A process of its own, which the supervisor of the reload starts, and ends before it starts the api again:
`python -m opa.serve.mistake_page SUPERVISOR FILE HOST PORT SOCKET ORIGIN…`. It has no part of the project in it.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import sys
from base64 import b64encode
from hashlib import sha256
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opa._util.flag import Flag
from opa._util.hosts import is_here_alone
from opa.process.listen import listening_socket, refuse_connections, refuses_connections
from opa.process.orphans import end_with_parent
from opa.serve.mistake import Mistake, read_mistakes

TIMEOUT = 10
"""Seconds that a client has for its request."""
MARK = "X-Opa-Mistake"
"""The header by which the page knows whether it is still what the server has."""
SUMMARY = "the api does not start because of a mistake; the log has it"

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 64rem; margin: 0 auto; padding: 1rem }
pre { font: .875rem/1.6 ui-monospace, monospace; overflow-x: auto }
pre { border: 1px solid #8886; border-radius: .5rem; padding: .8rem }
mark { display: inline-block; min-width: 100%; background: light-dark(#fdd, #622); color: inherit }
h2 { font-size: 1.1rem; overflow-wrap: anywhere; color: light-dark(#a3141e, #ff9a9a) }
"""
_SCRIPT = """
let asks = false;
setInterval(async () => {
  if (asks) return; // it waits for the api, which starts
  asks = true;
  try {
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
    if (answer.headers.get("MARK") !== document.documentElement.dataset.mark) location.reload();
  } catch { /* nothing listens */ }
  asks = false;
}, 700);
""".replace("MARK", MARK)
_POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none';"
    f" script-src 'sha256-{b64encode(sha256(_SCRIPT.encode()).digest()).decode()}'"
)


class Server(ThreadingHTTPServer):
    """Answers each request with the mistakes, and finishes what it has begun to answer.

    Args:
        origins: of the pages of other sites that may read an answer, as ALLOW_ORIGINS has them.
        handed: the socket of its supervisor, on which the api serves after it; it opens one by itself without that.
    """

    daemon_threads = False
    timeout = 0

    def __init__(
        self,
        mistakes: tuple[Mistake, ...],
        host: str,
        port: int,
        origins: frozenset[str] = frozenset(),
        handed: socket.socket | None = None,
    ) -> None:
        super().__init__((host, port), Handler, bind_and_activate=False)
        self.socket.close()
        self._has_successor = handed is not None
        self.socket = listening_socket(host, port) if handed is None else handed
        self.mistakes = mistakes
        self.origins = origins
        self.mark = sha256(repr(mistakes).encode()).hexdigest()[:16]
        self._connections: set[Any] = set()

    def serve_until(self, stop: Flag) -> None:
        """Answer until it is set, and then those who have asked before, unless the api will."""
        poll = select.poll()
        poll.register(stop)
        poll.register(self)
        while not stop.is_set():
            poll.poll()
            self.handle_request()
        if not self._has_successor or refuses_connections(self.socket, where_unknown=False):
            refuse_connections(self.socket)
            while select.select([self], [], [], 0)[0]:
                self.handle_request()
        for connection in tuple(self._connections):
            # What was received can be read. Who has asked nothing is waited for no more.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)


class Handler(BaseHTTPRequestHandler):
    """Answers 503 with the page, or with JSON to whoever asks for no page."""

    server: Server
    timeout = TIMEOUT
    protocol_version = "HTTP/1.0"

    def __getattr__(self, name: str) -> object:
        """A request with any method has the same answer."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def answer(self) -> None:
        """Answer."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin", "")
        is_let_in = bool(origin) and not self.server.origins.isdisjoint((origin, "*"))
        if is_let_in and self.command == "OPTIONS" and "Access-Control-Request-Method" in self.headers:
            self._answer_preflight(origin)
            return
        # Other sites, which may be any of them, are told that there is a mistake, and see none of the code.
        is_own = _is_own_name(host) and origin.partition("://")[2] in ("", host)
        mistakes = self.server.mistakes if is_own else ()
        is_page = "text/html" in self.headers.get("Accept", "")
        if is_page:
            content = page(mistakes, self.server.mark)
        else:
            content = json.dumps({"detail": "; ".join(mistake.text for mistake in mistakes) or SUMMARY})
        body = content.encode()
        self.send_response(HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Type", "text/html; charset=utf-8" if is_page else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Retry-After", "1")
        if is_let_in:
            self._let_in(origin)
        self.send_header(MARK, self.server.mark)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer_preflight(self, origin: str) -> None:
        """Let the page of another site ask: without that it is told nothing but that it is blocked."""
        self.send_response(HTTPStatus.NO_CONTENT)
        self._let_in(origin)
        self.send_header("Access-Control-Allow-Methods", _in_one_line(self.headers["Access-Control-Request-Method"]))
        wanted = self.headers.get("Access-Control-Request-Headers", "")
        self.send_header("Access-Control-Allow-Headers", _in_one_line(wanted))
        self.end_headers()

    def _let_in(self, origin: str) -> None:
        self.send_header("Access-Control-Allow-Origin", _in_one_line(origin))
        self.send_header("Access-Control-Allow-Credentials", "true")
        self.send_header("Vary", "Origin")

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: the log has the mistake."""


def page(mistakes: tuple[Mistake, ...], mark: str) -> str:
    """The page."""
    parts = "".join(map(_part, mistakes)) or f"<p>{SUMMARY}</p>"
    return f"""<!doctype html>
<html lang="en" data-mark="{mark}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The api does not start</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>The api does not start</h1>
{parts}
<p>It starts again when a file changes, and this page follows.</p>
</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _part(mistake: Mistake) -> str:
    lines = [_line(number, text, mistake.line) for number, text in enumerate(mistake.code, mistake.first)]
    code = f"<pre><code>{''.join(lines)}</code></pre>" if lines else ""
    trace = f"<pre>{escape(mistake.trace)}</pre>" if mistake.trace else ""
    return f"<section><h2>{escape(mistake.text)}</h2>{code}{trace}</section>"


def _line(number: int, text: str, wrong: int) -> str:
    line = f"{number:5}  {escape(text)}"
    return f"<mark>{line}</mark>\n" if number == wrong else f"{line}\n"


def _in_one_line(value: str) -> str:
    """A header of a request may have several lines, and would end one of an answer."""
    return " ".join(value.split())


def _is_own_name(host: str) -> bool:
    """Whether it is no name that a page on the internet may have pointed here, to read this one."""
    return is_here_alone(host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host)


def main() -> None:
    """Serve the page until SIGTERM."""
    supervisor, file, host, port, descriptor, *origins = sys.argv[1:]
    stop = Flag()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    end_with_parent(int(supervisor))
    handed = socket.socket(fileno=int(descriptor)) if descriptor else None
    Server(read_mistakes(Path(file)), host, int(port), frozenset(origins), handed).serve_until(stop)


if __name__ == "__main__":
    main()
