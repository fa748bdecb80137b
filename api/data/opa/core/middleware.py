"""ASGI middleware from the group `middleware`, and finding the one that swallows the lifespan."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opa.core.errors import GroupError
from opa.core.groups import Member


class BaseMiddleware:
    """A base for ASGI middleware; override `__call__`.

    Attributes:
        app: what is behind it. Await `self.app(scope, receive, send)` for every scope type that is not handled.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def middleware_of_group(members: Iterable[Member]) -> list[Middleware]:
    """The members as Starlette's middleware, the first outermost.

    Raises:
        GroupError: a member is no class, nor a factory that takes the application.
    """
    middleware = []
    for member in members:
        if not callable(member.value):
            raise GroupError(
                f"'{member.uri}' in the group middleware is a {type(member.value).__name__},"
                " not an ASGI middleware class",
                where="setting PLUGINS",
                hint="Name a class whose __init__ takes the application",
            )
        middleware.append(Middleware(member.value, **member.opts))
    return middleware


async def swallower(middleware: Sequence[Middleware]) -> str:
    """The name of the middleware that does not pass the lifespan on to what is behind it."""
    for item in middleware:
        reached = False

        async def probe(_scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal reached
            reached = True
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

        messages: list[Message] = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]

        async def receive(messages: list[Message] = messages) -> Message:
            return messages.pop() if messages else {"type": "lifespan.shutdown"}

        async def send(_message: Message) -> None:
            pass

        await item.cls(probe, *item.args, **item.kwargs)(
            {"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send
        )
        if not reached:
            return f"'{item.cls.__module__}.{getattr(item.cls, '__qualname__', item.cls)}' ({_file(item.cls)})"
    return "(unknown)"


def _file(cls: object) -> str:
    try:
        return inspect.getsourcefile(cls) or "no source"  # type: ignore[arg-type]
    except TypeError:
        return "no source"
