"""What stands around all middleware.

It refuses what no plugin should see, gives a request its id and each answer its headers, tells the health of the
process, answers 500, and says which request has failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import Protocol

from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opa._compat.starlette import ServerErrorAnswer
from opa.context import current_context
from opa.http import request_facts
from opa.http.after_response import run_after_response
from opa.http.allowed_methods import ROOT_PATH
from opa.http.answer_headers import AnswerHeaders
from opa.http.body_limits import RefusedBodyError, answer_refused, refusal_of
from opa.http.cors import Cors
from opa.http.early_answer import refuse
from opa.http.gone import WATCHED, WatchedWebSocket, says_that_client_is_gone
from opa.http.health_paths import HealthRoutes
from opa.http.host_check import HostCheck
from opa.http.observers import CLIENT_GONE, observers_of
from opa.http.plugin_exit import as_error_of_plugin, is_of_the_server
from opa.http.request_context import RequestContext
from opa.http.request_facts import ACTOR, MOUNTED_AT, KnownRoutes, facts_of
from opa.http.telemetry import exception_telemetry
from opa.http.websocket_origin import OriginCheck
from opa.logging.failed_request import in_words, note_request, take_note
from opa.logging.logger import log
from opa.logging.request_id import HEADER, get_request_id, request_id_of


class Application(request_facts.Application, Protocol):
    """The application whose requests are handled."""

    @property
    def health_routes(self) -> tuple[BaseRoute, ...]:
        """Those of opa-stack by which the process is watched."""

    def candidates(self, scope: Scope) -> Sequence[BaseRoute]:
        """The routes that can match the path of a request."""


class Outermost(ServerErrorMiddleware):
    """Starlette's middleware for errors that nothing caught, which also knows of request ids.

    They are no middleware of their own, since that would stand inside of this one, whose answers and errors need the id
    most; and one around it would take twice the time.

    Args:
        original: what Starlette has built; it is replaced.
        api: whose requests it handles.
    """

    def __init__(self, original: ServerErrorMiddleware, api: Application) -> None:
        super().__init__(original.app, original.handler, original.debug)
        self._reported = exception_telemetry()
        if type(original.app) is self._reported:  # it does nothing until there is an error; see `_answer`
            self.app = original.app.app  # type: ignore[attr-defined]  # middleware of FastAPI
        self._api, self._manager = api, api.manager
        config = api.manager.config
        self._has_ids = bool(config.REQUEST_ID)
        self._origins = OriginCheck(config.ALLOW_ORIGINS)
        self._cors = Cors.from_config(config)
        self._headers = AnswerHeaders(config, self._cors, api.candidates)
        self._health = HealthRoutes(api.health_routes)
        self._observers = observers_of(api.manager, KnownRoutes(api))
        # Who watches the process asks it by its address. What else is sent to such a path may reach a plugin.
        self._hosts = HostCheck(config.TRUSTED_HOSTS, lambda scope: self._health.answer_to(scope) is not None)
        # With CORS, each request is looked at.
        self._good_hosts = self._hosts.good if self._cors is None else frozenset()
        self._health_paths = self._health.paths

    # In one piece, since each call costs a small request a percent.
    async def __call__(  # noqa: PLR0912, PLR0915 - as above
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer what is answered here, and pass the rest on."""
        websocket: WatchedWebSocket | None = None
        if scope["type"] != "http":
            if scope["type"] != "websocket":
                await self.app(scope, receive, send)
                return
            websocket = scope[WATCHED] = WatchedWebSocket(receive, send)
            receive, send = websocket.receive, websocket.send
        # One look for all that asks: a loop or a function of its own each would cost a small request a percent.
        host = given_id = None
        hosts = 0
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                hosts += 1
            elif name == HEADER and given_id is None:
                given_id = value
        # Of nearly all requests nothing else need be known: they are for the application.
        app = (
            self.app
            if hosts == 1
            and host in self._good_hosts
            and scope["path"] not in self._health_paths
            and websocket is None
            and not scope.get("root_path")
            else None
        )
        request_id = request_id_of(given_id) if self._has_ids else None
        observers = self._observers
        if observers is not None:
            going_on = observers.going_on
            is_counted = going_on.is_counted_here
            if websocket is not None:
                going_on.websockets += 1
            elif is_counted:
                going_on.requests += 1
            if observers.hears_of_begin:
                observers.began(scope)
            try:
                began = receive.came  # type: ignore[attr-defined]  # that of `Application`, as nearly always
            except AttributeError:
                began = monotonic()
        before = current_context.get()
        context = RequestContext(self._manager, request_id, scope, send, self._headers)
        current_context.set(context)
        send_on = context.send
        try:
            await (self._answering(scope) if app is None else app)(scope, receive, send_on)
        except RefusedBodyError as refused:  # a middleware has read the body: its exceptions have no handlers
            if context.status:
                raise
            await answer_refused(refused)(scope, receive, send_on)
        except BaseException as error:
            if says_that_client_is_gone(error, scope, websocket):
                has_started = bool(context.status)
                context.status = context.status or CLIENT_GONE
                await self._end(error, scope, receive, _nowhere if has_started else send_on, websocket)
                return
            has_started = bool(context.status)
            if isinstance(error, BaseExceptionGroup) and not has_started and (refusal := _only_refusal(error)):
                await answer_refused(refusal)(scope, receive, send_on)
                return
            if not isinstance(error, Exception):
                if is_of_the_server(error):  # it stops, and waits no longer
                    note_request(error, facts_of(scope, self._api))
                    raise
                error = as_error_of_plugin(error)
            note_request(error, facts_of(scope, self._api))
            await self._answer(error, scope, receive, _nowhere if has_started else send_on, has_started=has_started)
        finally:
            if observers is not None:
                # Nearly all requests are like one before.
                record = observers.records.get((id(scope.get("route")), scope.get("method"), context.status))
                if record is None or ACTOR in scope or MOUNTED_AT in scope:
                    status = context.status
                    # What a server answers where the application does not, or how it refuses a websocket.
                    if not status:
                        status = 500 if websocket is None or not websocket.is_closed else 403
                    observers.ended(scope, status, monotonic() - began)
                else:
                    try:
                        record(monotonic() - began)
                    except Exception as error:  # noqa: BLE001 - who looks on disturbs nobody
                        observers.failed(record, error)
                if websocket is not None:
                    going_on.websockets -= 1
                elif is_counted:
                    going_on.requests -= 1
            if context.after is not None:
                await run_after_response(context)
            context.after = ()
            current_context.set(before)

    def _answering(self, scope: Scope) -> ASGIApp:
        """What answers: the application, unless the request is not for it."""
        if scope.get("root_path"):
            scope[ROOT_PATH] = scope["root_path"]
        problem = self._hosts.problem(scope)
        if problem is not None:
            return partial(refuse, status=400, detail=problem)
        if scope["type"] == "websocket":
            problem = self._origins.problem(scope)
            return self.app if problem is None else partial(refuse, status=403, detail=problem)
        preflight = self._cors.preflight(scope, self.app) if self._cors is not None else None
        return preflight or self._health.answer_to(scope) or self.app

    async def _end(
        self, error: BaseException, scope: Scope, receive: Receive, send: Send, websocket: WatchedWebSocket | None
    ) -> None:
        refusal = refusal_of(scope)
        if refusal is not None:  # someone has caught it, and read on
            await answer_refused(refusal)(scope, receive, send)
            return
        log.opt(lazy=True).debug("the client is gone: {}", partial(self._words_for, error, scope))
        if websocket is not None:
            await websocket.end()

    def _words_for(self, error: BaseException, scope: Scope) -> str:
        note_request(error, facts_of(scope, self._api))
        return in_words(take_note(error))

    async def _answer(self, error: Exception, scope: Scope, receive: Receive, send: Send, *, has_started: bool) -> None:
        """Answer as Starlette does, and raise `error` again.

        Args:
            has_started: whether an answer is on its way already: handlers still hear of the error.
        """

        async def again(_scope: Scope, _receive: Receive, inner_send: Send) -> None:
            if has_started:
                await inner_send({"type": "http.response.start"})
            raise error

        failing = again if self._reported is None else self._reported(again)
        await _Answer(failing, self.handler, self.debug)(scope, receive, send)


class _Answer(ServerErrorAnswer):
    def error_response(self, request: Request, exc: Exception) -> Response:
        answer = super().error_response(request, exc)
        request_id = get_request_id()
        if request_id is None:
            return answer
        return PlainTextResponse(f"{bytes(answer.body).decode()}\nrequest id: {request_id}", answer.status_code)


def _only_refusal(group: BaseExceptionGroup[BaseException]) -> RefusedBodyError | None:
    """The refusal of the body for which a group of errors stands, as of two of Starlette's BaseHTTPMiddleware."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, RefusedBodyError) else None


async def _nowhere(_message: Message) -> None:
    """Stands for `send` where there is an answer already."""
