"""What answers on the port for operating, where OPERATING_PORT has one."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opa.http.answer_headers import AnswerHeaders
from opa.http.cors import Cors
from opa.http.early_answer import refuse
from opa.http.health_paths import HealthRoutes
from opa.http.host_check import HostCheck

if TYPE_CHECKING:
    from opa.settings.load import Config

STOPPING = {"status": "stopping"}
RETRY_AFTER = "1"
"""Seconds after which who comes while the process starts may try again."""


class OperatingApp:
    """Answers the operating routes, and refuses everything else; no plugin sees any of it.

    Args:
        config: reads READY_URL, TRUSTED_HOSTS, the headers of answers, and those of CORS where it stands in.
        routes: the operating routes.
        stands_in: whether it answers on the port of the api, as long as that starts: what else is asked for may be
            there in a moment.

    Attributes:
        is_stopping: whether the process takes no more requests, so that it is not ready any more.
        start_waits: what it waits for while it starts, empty where it does not say; None once it has started.
    """

    def __init__(self, config: Config, routes: Iterable[BaseRoute], *, stands_in: bool = False) -> None:
        self._routes = HealthRoutes(routes)
        # As on the port of the api: who watches the process asks it by its address.
        self._hosts = HostCheck(config.TRUSTED_HOSTS, lambda scope: self._routes.answer_to(scope) is not None)
        # The port for operating is for no page of another site.
        self._cors = Cors.from_config(config) if stands_in else None
        self._headers = AnswerHeaders(config, self._cors, lambda _scope: ())
        self._ready_url = config.READY_URL
        self._prefix: str = config.OPENAPI_PREFIX if stands_in else ""
        self._stands_in = stands_in
        self.is_stopping = False
        self.start_waits: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self._prefix and scope["path"].startswith(f"{self._prefix}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self._prefix)}

        def send_on(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message = self._headers.added_to(message, message["status"], scope, None)
            return send(message)

        await self._answering(scope)(scope, receive, send_on)

    def _answering(self, scope: Scope) -> ASGIApp:
        preflight = self._cors.preflight(scope, STARTS) if self._cors is not None else None
        if preflight is not None:
            return preflight
        problem = self._hosts.problem(scope)
        if problem is not None:
            return partial(refuse, status=400, detail=problem)
        answer = self._routes.answer_to(scope)
        if answer is None:
            return STARTS if self._stands_in else partial(refuse, status=404, detail="Not Found")
        if scope["path"] == self._ready_url:
            if self.is_stopping:
                return _not_ready(STOPPING)
            if self.start_waits is not None:
                waits = {"waiting_for": self.start_waits} if self.start_waits else {}
                return _not_ready({"status": "starting"} | waits)
        return answer


def _not_ready(state: dict[str, str]) -> JSONResponse:
    return JSONResponse(state, status_code=503, headers={"Cache-Control": "no-store"})


# Whoever holds a connection to what stands in would not come to the api.
STARTS = JSONResponse(
    {"detail": "the application is starting"},
    status_code=503,
    headers={"Retry-After": RETRY_AFTER, "Cache-Control": "no-store"},
)
