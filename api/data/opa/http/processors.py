"""Request processors: members of the group `middleware` that see a request instead of ASGI's scope and messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from opa._util.words import kind_of
from opa.core.groups import Member, configured
from opa.core.hooks import is_async_function
from opa.http.handled import answer_error
from opa.loading.conventions import PROCESS, REQUEST

Process = Callable[[Request], Any]


class ProcessorRequest(Request):
    """The request as a processor gets it: Starlette's, without its body, which belongs to the route."""

    @property
    def path(self) -> str:
        """The path of the URL."""
        return self.url.path

    @property
    def remote_addr(self) -> str:
        """The address of the client; empty where the server does not know it."""
        return self.client.host if self.client else ""


class RequestProcessor:
    """The ASGI middleware around one processor. Other scopes than http pass.

    Args:
        app: what is behind it.
        process: is given the request. It returns the request, or nothing, and the request goes on; a response, and
            that is the answer; or it raises, and the exception handlers of the application answer.
        name: of the processor, for messages.
    """

    def __init__(self, app: ASGIApp, process: Process, name: str) -> None:
        self.app = app
        self._process = process
        self._name = name
        self._is_async = is_async_function(process)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the processor on a request before it is passed on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            result = await self._run(ProcessorRequest(scope))
        except Exception as error:  # noqa: BLE001 - its handler answers; without one it is raised again
            await answer_error(error, scope, receive, send)
            return
        if isinstance(result, Response):
            await result(scope, receive, send)
        else:
            await self.app(scope if result is None else result.scope, receive, send)

    async def _run(self, request: Request) -> HTTPConnection | Response | None:
        result = self._process(request) if self._is_async else await run_in_threadpool(self._process, request)
        if inspect.isawaitable(result):
            result = await result
        if not isinstance(result, HTTPConnection | Response | None):
            raise TypeError(
                f"'{self._name}' in the group middleware returned {kind_of(result)},"
                " not the request, a response or nothing"
            )
        return result


def processor_of(member: Member) -> Process | None:
    """The function that processes requests; None where `member` is none, and so must be ASGI middleware.

    It is a function whose first parameter is called `request`, or the method `process` of something that cannot be
    called as ASGI middleware is: a module, an object, or a class, which is instantiated.

    Raises:
        UriError: it has OPTS and cannot be configured.
    """
    value = member.value
    if inspect.isclass(value):
        is_processor = hasattr(value, PROCESS.name) and not _is_callable_once_made(value)
    elif callable(value):
        is_processor = _first_parameter(value) == REQUEST.name
    else:
        is_processor = callable(getattr(value, PROCESS.name, None))
    if not is_processor:
        return None
    if member.opts:
        value = configured(value, member.opts)
    elif inspect.isclass(value):
        value = value()
    return value if callable(value) else getattr(value, PROCESS.name)  # type: ignore[no-any-return]


def _is_callable_once_made(cls: type) -> bool:
    # A class itself is always callable, so hasattr() would not tell.
    return any("__call__" in base.__dict__ for base in cls.__mro__)


def _first_parameter(function: Callable[..., Any]) -> str | None:
    try:
        return next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError):  # builtins have no signature
        return None
