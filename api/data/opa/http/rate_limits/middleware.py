"""The middleware that counts requests by the limits of the settings, and tells clients of all limits."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opa._compat.starlette import get_route_path
from opa.http.access.owners import Owners
from opa.http.access.refusals import refusal
from opa.http.handled import answer_error
from opa.http.rate_limits.callers import By
from opa.http.rate_limits.counter import Counter
from opa.http.rate_limits.headers import headers_of
from opa.http.rate_limits.limiting import KEY, Limiting
from opa.http.rate_limits.rules import Rules

_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})


class RateLimits:
    """Stands behind all other middleware, where the path is the one that is routed.

    Args:
        app: what is behind it.
        counter: counts for the application.
        rules: those of the settings.
        owners: knows which plugins a request belongs to.
    """

    def __init__(self, app: ASGIApp, counter: Counter, rules: Rules, owners: Owners) -> None:
        self.app = app
        self._counter = counter
        self._rules = rules
        self._owners = owners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request, and pass it on unless there were too many."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        limiting = scope[KEY] = Limiting(self._counter)

        # Not `async`, for it is called for each message: what it returns is awaited by who calls it.
        def send_on(message: Message) -> Awaitable[None]:
            if limiting.told and message["type"] in _STARTS:
                message = {**message, "headers": [*(message.get("headers") or ()), *headers_of(limiting.told)]}
            return send(message)

        for rule in self._rules.for_request(get_route_path(scope), partial(self._owners.of, scope)):
            if not rule.rates:
                continue
            by: By = self._plugin_of if rule.by == "plugin" else rule.by
            try:
                await limiting.take(HTTPConnection(scope), rule.name, rule.rates, by)
            except Exception as error:  # noqa: BLE001 - its handler answers; without one it is raised again
                problem = refusal(HTTPConnection(scope), error) if isinstance(error, HTTPException) else error
                await answer_error(problem, scope, receive, send_on)
                return
        await self.app(scope, receive, send_on)

    def _plugin_of(self, connection: HTTPConnection) -> str:
        # It is not routed yet, and may belong to several.
        return " ".join(sorted(self._owners.of(connection.scope)))
