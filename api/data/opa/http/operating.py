"""What answers on the port for operating, where OPERATING_PORT has one."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opa.http.answer_headers import AnswerHeaders
from opa.http.early_answer import refuse
from opa.http.health_paths import HealthRoutes
from opa.http.host_check import HostCheck

if TYPE_CHECKING:
    from opa.settings.load import Config

STOPPING = {"status": "stopping"}


class OperatingApp:
    """Answers the operating routes, and 404 for everything else; no plugin sees any of it.

    Args:
        config: reads READY_URL, TRUSTED_HOSTS and the headers of answers.
        routes: the operating routes.

    Attributes:
        is_stopping: whether the process takes no more requests, so that it is not ready any more.
    """

    def __init__(self, config: Config, routes: Iterable[BaseRoute]) -> None:
        self._routes = HealthRoutes(routes)
        # As on the port of the api: who watches the process asks it by its address.
        self._hosts = HostCheck(config.TRUSTED_HOSTS, lambda scope: self._routes.answer_to(scope) is not None)
        self._headers = AnswerHeaders(config, None, lambda _scope: ())
        self._ready_url = config.READY_URL
        self.is_stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        def send_on(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message = self._headers.added_to(message, message["status"], scope, None)
            return send(message)

        await self._answering(scope)(scope, receive, send_on)

    def _answering(self, scope: Scope) -> ASGIApp:
        problem = self._hosts.problem(scope)
        if problem is not None:
            return partial(refuse, status=400, detail=problem)
        answer = self._routes.answer_to(scope)
        if answer is None:
            return partial(refuse, status=404, detail="Not Found")
        if self.is_stopping and scope["path"] == self._ready_url:
            return JSONResponse(STOPPING, status_code=503, headers={"Cache-Control": "no-store"})
        return answer
