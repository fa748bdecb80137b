"""The middleware behind all others, which lets pass only who may: it sees the path that is routed."""

from __future__ import annotations

from functools import partial

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from opa._compat.starlette import get_route_path
from opa.http.access.owners import Owners
from opa.http.access.requires import require
from opa.http.access.rules import Rules
from opa.http.handled import answer_error


class Guard:
    """Applies the rules of the settings.

    Args:
        app: what is behind it.
        rules: those of the settings.
        owners: knows which plugins a request belongs to.
    """

    def __init__(self, app: ASGIApp, rules: Rules, owners: Owners) -> None:
        self.app = app
        self._rules = rules
        self._owners = owners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless its rule refuses it."""
        if scope["type"] in ("http", "websocket"):
            rule = self._rules.for_request(get_route_path(scope), partial(self._owners.of, scope))
            if not rule.is_open:
                try:
                    await require(HTTPConnection(scope), rule.scopes)
                except Exception as error:  # noqa: BLE001 - its handler answers; without one it is raised again
                    await answer_error(error, scope, receive, send)
                    return
        await self.app(scope, receive, send)
