"""What the code that runs belongs to is known to it, and to nothing beside it."""

from __future__ import annotations

import asyncio
import contextvars

import pytest
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import Receive, Scope, Send

from bench.asgi import Caller, scope_of
from opa import get_actor, get_plugin_manager, get_request_id
from opa.context import NOTHING, changed_context, context_to_change, current_context
from tests.project import Project

INSIDE = """
    from bench.asgi import Caller, scope_of
    from fastapi import Request
    from opa import Actor, Requires, get_actor, get_request_id, get_router, register

    router = get_router()

    @register("authenticators")
    async def by_name(connection):
        name = connection.headers.get("x-name")
        return Actor(name, "test") if name else None

    def here():
        return [get_request_id(), getattr(get_actor(), "id", None)]

    @router.get("/inner")
    async def inner(request: Request):
        request.app.state.inner = here()

    @router.get("/outer", dependencies=[Requires()])
    async def outer(request: Request):
        scope = scope_of("/inner")
        scope["headers"].append((b"x-request-id", b"second"))
        before = here()
        await Caller(request.app).request(scope)
        return [before, request.app.state.inner, here()]
"""


def test_what_code_outside_of_all_requests_changes_is_its_own() -> None:
    def change() -> str | None:
        context_to_change().address = "mine"
        return current_context.get().address

    assert contextvars.copy_context().run(change) == "mine"
    assert NOTHING.address is None
    assert current_context.get().address is None


def test_a_block_has_a_context_of_its_own_which_begins_as_that_around_it() -> None:
    with changed_context() as outer:
        outer.request_id, outer.address = b"one", "here"
        with changed_context() as inner:
            assert (inner.request_id, inner.address) == (b"one", "here")
            inner.request_id = b"two"
            assert get_request_id() == "two"
        assert get_request_id() == "one"
    assert get_request_id() is None


def test_a_request_that_another_one_makes_to_the_application_has_an_id_of_its_own_and_is_of_nobody(
    project: Project,
) -> None:
    project.settings(REQUEST_ID=True)
    project.plugin("calls.py", INSIDE)
    with project.client() as client:
        answer = client.get("/outer", headers={"x-request-id": "first", "x-name": "anna"})
    first = ["first", "anna"]
    assert answer.json() == [first, ["second", None], first]
    assert (get_request_id(), get_actor()) == (None, None)


@pytest.mark.parametrize("is_usual", [True, False], ids=["the usual stack", "a stack of another kind"])
def test_a_request_belongs_to_its_application_whatever_middleware_starlette_has_built(
    project: Project, monkeypatch: pytest.MonkeyPatch, *, is_usual: bool
) -> None:
    app = project.app()
    second = project.app()
    found = []

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(get_plugin_manager())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    app.mount("/here", endpoint)
    if not is_usual:

        class Other(ServerErrorMiddleware):
            pass

        monkeypatch.setattr("starlette.applications.ServerErrorMiddleware", Other)
    asyncio.run(Caller(app).request(scope_of("/here/x")))
    assert found == [app.manager]
    assert app.manager is not second.manager
