"""People who sign in, and the pages of a project that knows them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from argon2 import PasswordHasher
from httpx2 import Response
from starlette.testclient import TestClient

import opa.plugins
from tests.project import Project

PASSWORD = "correct horse battery"
HASH = PasswordHasher(time_cost=1, memory_cost=7168, parallelism=1).hash(PASSWORD)
"""As cheap as the settings allow."""
USERS = {
    "ada": {"PASSWORD": HASH, "SCOPES": ["shop:*"]},
    "ben": {"PASSWORD": HASH, "SCOPES": []},
}
HOST = "https://testserver"
OURS = {"Origin": HOST}
COOKIE = "__Host-opa-session"

SHOP = """
    from typing import Annotated

    from fastapi import WebSocket
    from opa import Actor, Requires, get_router

    router = get_router()

    @router.get("/orders")
    def orders(actor: Annotated[Actor, Requires("shop:read")]):
        return [actor.id, actor.kind, sorted(actor.scopes), dict(actor.claims)]

    @router.post("/orders")
    @router.api_route("/orders", methods=["PUT", "PATCH", "DELETE"], include_in_schema=False)
    def order(actor: Annotated[Actor, Requires("shop:write")]):
        return "ordered"

    @router.post("/open")
    def is_open():
        return "open"

    @router.websocket("/socket")
    async def socket(websocket: WebSocket, actor: Annotated[Actor, Requires()]):
        await websocket.accept()
        await websocket.send_text(actor.id)
"""


def forget_sessions() -> None:
    """An application imports the plugin with its own settings, and some tests import what is in it without one."""
    for name in [name for name in sys.modules if name.startswith("opa.plugins.access_sessions")]:
        del sys.modules[name]
    vars(opa.plugins).pop("access_sessions", None)


def use_sessions(project: Project, redis_url: str, **settings: Any) -> None:
    """Give the project people, and a redis for their sessions."""
    forget_sessions()
    project.plugin("shop.py", SHOP)
    project.component("AIOREDIS", "redis-aioredis", URL=redis_url)
    project.settings(**{"PROJECT_ID": uuid4().hex, "USERS": USERS, **settings})


@contextmanager
def browser(project: Project, host: str = HOST) -> Iterator[TestClient]:
    with project.client(base_url=host, follow_redirects=False) as client:
        yield client


def sign_in(
    client: TestClient, user: str = "ada", password: str = PASSWORD, headers: dict[str, str] = OURS, **fields: str
) -> Response:
    form = {"user": user, "password": password, **fields}
    response: Response = client.post("/sign-in", data=form, headers=headers)
    return response
