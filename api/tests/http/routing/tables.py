"""Two applications side by side: one with FastAPI's own router, one with ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fastapi import FastAPI
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opa.http.routing.router import IndexedRouter


class Asked(NamedTuple):
    """A request."""

    type: str
    method: str
    path: str
    root_path: str = ""
    host: str = "localhost"


async def answer(app: FastAPI, asked: Asked) -> Any:
    """What the server gets to hear, or what is raised."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request" if asked.type == "http" else "websocket.connect"}

    async def send(message: Message) -> None:
        if "headers" in message:
            message["headers"] = sorted(
                (name, b",".join(sorted(value.split(b", ")))) for name, value in message["headers"]
            )
        sent.append(message)

    scope = {
        **asked._asdict(),
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "scheme": "http",
        "query_string": b"q=1",
        "headers": [(b"host", asked.host.encode())],
        "server": ("localhost", 80),
    }
    del scope["host"]
    try:
        await app(scope, receive, send)
    except Exception as error:  # the router's own, or one that a server would answer 500 with
        return sent, repr(error)
    return sent


def hold_together(theirs: FastAPI, ours: FastAPI, all_asked: Iterable[Asked]) -> None:
    """Both answer the same."""

    async def hold() -> None:
        for asked in all_asked:
            assert await answer(ours, asked) == await answer(theirs, asked), asked

    asyncio.run(hold())


def both() -> tuple[FastAPI, FastAPI]:
    """Two empty applications: with FastAPI's router, and with ours."""
    theirs, ours = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    ours.router = IndexedRouter.in_place_of(ours.router)
    return theirs, ours


def seen(scope: Scope, name: str) -> bytes:
    found = {key: scope.get(key) for key in ("path", "root_path", "app_root_path", "path_params", "picked")}
    return json.dumps({"endpoint": name, **found}, default=str).encode()


def answering(name: str) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": seen(scope, name).decode()})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": seen(scope, name)})

    return app


def assign(router: Router, routes: list[BaseRoute]) -> None:
    router.routes = routes


def add_in_place(router: Router, routes: list[BaseRoute]) -> None:
    router.routes += routes


CHANGES: dict[str, Callable[[Router, int, BaseRoute], object]] = {
    "append": lambda router, _, route: router.routes.append(route),
    "insert": lambda router, place, route: router.routes.insert(place, route),
    "extend": lambda router, _, route: router.routes.extend([route, route]),
    "+=": lambda router, _, route: add_in_place(router, [route]),
    "*=": lambda router, _, __: router.routes.__imul__(2),
    "set": lambda router, place, route: router.routes.__setitem__(place % len(router.routes), route),
    "set slice": lambda router, place, route: router.routes.__setitem__(slice(place, place + 2), [route]),
    "delete": lambda router, place, _: router.routes.__delitem__(place % len(router.routes)),
    "delete slice": lambda router, place, _: router.routes.__delitem__(slice(place, place + 2)),
    "pop": lambda router, place, _: router.routes.pop(place % len(router.routes)),
    "pop and append": lambda router, place, route: router.routes.append((router.routes.pop(), route)[1]),
    "remove": lambda router, place, _: router.routes.remove(router.routes[place % len(router.routes)]),
    "reverse": lambda router, _, __: router.routes.reverse(),
    "sort": lambda router, _, __: router.routes.sort(key=lambda route: getattr(route, "path", "")),
    "clear": lambda router, _, __: router.routes.clear(),
    "assign": lambda router, place, route: assign(router, [route, *router.routes[place:]]),
}
"""Ways to change the routes of a router: with a place in the list and a route."""
