from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.trace import INVALID_SPAN, NoOpTracer, Span, Tracer, TracerProvider
from starlette.applications import Starlette

from opa.http.telemetry import CHECK_INTERVAL
from tests.project import Project
from tests.serve.process import wait_until

HELLO = """
from fastapi import Request
from opa import get_router

router = get_router()

@router.get("/hello")
async def hello(request: Request):
    return request.scope["root_path"]
"""


AGENT = """
import functools

from opa import get_router
from starlette.applications import Starlette

router = get_router()
watched = []
call = Starlette.__call__


@functools.wraps(call)
async def watching(self, scope, receive, send):
    if scope["type"] == "http":
        watched.append(scope["path"])
    await call(self, scope, receive, send)


Starlette.__call__ = watching


@router.get("/watched")
async def get_watched() -> list[str]:
    return watched
"""


class Noting(TracerProvider):
    """Keeps the paths of the requests that were reported."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        return NotingTracer(self)


class NotingTracer(NoOpTracer):
    def __init__(self, provider: Noting) -> None:
        self._provider = provider

    def start_span(self, *_: Any, attributes: Any = None, **__: Any) -> Span:
        if "url.path" in attributes:  # not so in a span for a part of a request
            self._provider.paths.append(attributes["url.path"])
        return INVALID_SPAN


def set_provider(provider: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by its own function, which works once in a process."""
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)


def test_requests_are_reported_to_opentelemetry(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.plugin("hello.py", HELLO)
    provider = Noting()
    set_provider(provider, monkeypatch)
    with project.client() as client:
        client.get("/hello")
        client.get("/nothing")
    assert provider.paths == ["/hello", "/nothing"]


def test_a_provider_that_comes_while_requests_are_served_is_found(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("hello.py", HELLO)
    provider = Noting()
    with project.client() as client:
        client.get("/hello")
        set_provider(provider, monkeypatch)
        wait_until(lambda: client.get("/hello") and provider.paths, seconds=20 * CHECK_INTERVAL)


@pytest.mark.parametrize("is_reported", [False, True])
def test_a_route_sees_the_prefix_of_the_application(
    project: Project, monkeypatch: pytest.MonkeyPatch, is_reported: bool
) -> None:
    project.plugin("hello.py", HELLO)
    project.settings(OPENAPI_PREFIX="/api")
    if is_reported:
        set_provider(Noting(), monkeypatch)
    with project.client() as client:
        assert client.get("/hello").json() == "/api"


def test_an_agent_that_replaces_the_call_of_starlette_sees_each_request(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("hello.py", HELLO)
    project.plugin("agent.py", AGENT)
    monkeypatch.setattr(Starlette, "__call__", Starlette.__call__)  # and put back what the plugin puts in its place
    project.settings(OPENAPI_PREFIX="/api")
    with project.client() as client:
        assert client.get("/hello").json() == "/api"
        assert client.get("/nothing").status_code == 404
        assert client.get("/watched").json() == ["/hello", "/nothing", "/watched"]
