"""Where the route of a request is mounted, as it is declared: the scope has the text of the URL alone."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from opa.http.request_facts import MOUNTED_AT, mounted_at

_handle = Mount.handle


def install() -> None:
    """Note the path of each mount that a request goes through, from now on, in this process."""
    Mount.handle = _noting  # type: ignore[assignment, method-assign]


def _noting(self: Mount, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    scope[MOUNTED_AT] = mounted_at(scope) + self.path
    return _handle(self, scope, receive, send)
