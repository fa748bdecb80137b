"""Where the route of a request is mounted, as it is declared: the scope has the text of the URL alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from opa.http.request_facts import MOUNTED_AT, mounted_at

_NOTES = "opa_notes_mounts"


def install() -> None:
    """Note the path of each mount that a request goes through, from now on, in this process.

    What a plugin or an agent has put into the place of `Mount.handle` is called for that.
    """
    if not hasattr(Mount.handle, _NOTES):
        Mount.handle = _noting(Mount.handle)  # type: ignore[method-assign]


def _noting(handle: Callable[..., Any]) -> Any:
    def noting(self: Mount, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        scope[MOUNTED_AT] = mounted_at(scope) + self.path
        handled: Awaitable[None] = handle(self, scope, receive, send)
        return handled

    setattr(noting, _NOTES, True)
    return noting
