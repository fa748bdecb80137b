"""Gets a small JSON document by HTTPS, bounded in size and time, whoever answers.

With the standard library, in a thread: it happens once in some minutes, or when a user signs in.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Timer
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, unquote, urlencode, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

MAX_BYTES = 1024 * 1024
MAX_REDIRECTS = 3

_HEADERS = {"Accept": "application/json", "User-Agent": "opa-stack"}
_FORM = "application/x-www-form-urlencoded"
_OF_A_FORM = (200, 400, 401)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class DownloadError(Exception):
    """The document cannot be had; the message says why, and quotes nothing of what was answered."""


def get_json(url: str, deadline: float) -> Any:
    """The document at `url`.

    Args:
        url: with http:// or https://. Redirects are followed on this host alone.
        deadline: when it has to be there, by `time.monotonic`.

    Raises:
        DownloadError: it cannot be had in that time, is too large, or is not JSON.
    """
    for _ in range(MAX_REDIRECTS + 1):
        answer = _ask(url, deadline, "GET", _HEADERS)
        if answer.status not in _REDIRECTS:
            return answer.document(url, (200,))
        try:
            target = urljoin(url, answer.location or url)
        except ValueError:
            raise DownloadError(f"{url} redirects to what is no URL") from None
        if _origin(target) != _origin(url):
            raise DownloadError(f"{url} redirects to another host")
        url = target
    raise DownloadError(f"{url} redirects more than {MAX_REDIRECTS} times")


def post_form(url: str, fields: Mapping[str, str], deadline: float, headers: Mapping[str, str]) -> tuple[int, Any]:
    """Send a form, and give the status of the answer and its document. Redirects are not followed.

    Args:
        url: with http:// or https://.
        fields: of the form.
        deadline: when the document has to be there, by `time.monotonic`.
        headers: besides those that the request has anyway.

    Raises:
        DownloadError: it cannot be had in that time, is too large, is not JSON, or has another status than 200, 400
            and 401.
    """
    body = urlencode(fields).encode()
    answer = _ask(url, deadline, "POST", {**_HEADERS, "Content-Type": _FORM, **headers}, body)
    return answer.status, answer.document(url, _OF_A_FORM)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    location: str
    content: bytes

    def document(self, url: str, statuses: Collection[int]) -> Any:
        if self.status not in statuses:
            raise DownloadError(f"{url} answers {self.status}")
        if len(self.content) > MAX_BYTES:
            raise DownloadError(f"{url} answers with more than {MAX_BYTES} bytes")
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise DownloadError(f"{url} answers with something else than JSON") from error


def _ask(url: str, deadline: float, method: str, headers: Mapping[str, str], body: bytes | None = None) -> _Answer:
    parts = urlsplit(url)
    target = (parts.path or "/") + (parts.query and f"?{parts.query}")
    try:
        connection = _connection(parts, _remaining(deadline))
        try:
            connection.connect()
            with _broken_off(connection.sock, deadline):
                connection.request(method, target, body, headers)
                with connection.getresponse() as response:
                    location = response.headers.get("Location") or ""
                    content = b"" if response.status in _REDIRECTS else response.read(MAX_BYTES + 1)
                    answer = _Answer(response.status, location, content)
                _remaining(deadline)  # what was broken off looks like an end
                return answer
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, TimeoutError) or monotonic() >= deadline:
            raise DownloadError(f"{url} did not answer in time") from error
        reason = "" if isinstance(error, HTTPException) else f": {error}"
        raise DownloadError(f"{url} cannot be had: {type(error).__name__}{reason}") from error


def _connection(parts: SplitResult, timeout: float) -> HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":  # of this machine alone
        return HTTPConnection(host, parts.port or 80, timeout=timeout)
    context = ssl.create_default_context()
    proxy = None if proxy_bypass(host) else getproxies().get("https")
    if not proxy:
        return HTTPSConnection(host, parts.port or 443, timeout=timeout, context=context)
    try:
        via = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        port = via.port or 80
    except ValueError:  # it says what was wrong, which may be of a password
        raise DownloadError("the URL of the proxy in the environment variable HTTPS_PROXY cannot be used") from None
    connection = HTTPSConnection(via.hostname or "", port, timeout=timeout, context=context)
    headers = {}
    if via.username is not None:
        login = f"{unquote(via.username)}:{unquote(via.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    connection.set_tunnel(host, parts.port or 443, headers)
    return connection


@contextmanager
def _broken_off(connected: socket.socket, deadline: float) -> Iterator[None]:
    """End what the block reads at the deadline: the time limit of a socket begins anew with each byte that arrives."""
    timer = Timer(_remaining(deadline), _break_off, [connected])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _break_off(connected: socket.socket) -> None:
    try:
        # Not the shutdown of an SSLSocket, which takes away what the other thread is using.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    except OSError:  # it is closed already
        return


def _remaining(deadline: float) -> float:
    remaining = deadline - monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "", None, None
