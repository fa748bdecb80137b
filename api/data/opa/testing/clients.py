"""Clients that send requests to the application of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

import httpx2
from starlette.testclient import TestClient

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from opa.settings.load import Config
    from opa.testing.application import OpaApp

__tracebackhide__ = True  # for pytest, which shows the line of the test

ANY_HOST = "testserver"


def base_url(config: Config) -> str:
    """An address with a host that the application answers for."""
    named = [host for host in config.TRUSTED_HOSTS if "*" not in host]
    return f"http://{named[0] if named else ANY_HOST}"


class _Clients:
    """What makes clients of one kind."""

    _opa_app: OpaApp

    def as_(
        self,
        id: str,
        /,
        scopes: Iterable[str] = (),
        *,
        kind: str = "test",
        claims: Mapping[str, Any] | None = None,
    ) -> Self:
        """The same client, whose requests come from an actor.

        Args:
            id: says who it is.
            scopes: what it may do.
            kind: what made it known, in a word.
            claims: what is known of it besides.

        Raises:
            OpaError: there can be no such actor.
        """
        make: Callable[..., Self] = type(self)
        return make(self._opa_app, self._opa_app.actors.headers(id, scopes, kind, claims))


class OpaClient(_Clients, TestClient):
    """Starlette's test client for an application that runs: what the fixture `opa_client` gives."""

    __test__ = False  # no class of tests, for pytest

    def __init__(self, opa_app: OpaApp, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(
            opa_app.fastapi,
            base_url=base_url(opa_app.config),
            raise_server_exceptions=opa_app.raises,
            headers=dict(headers or {}),
        )
        self._opa_app = opa_app
        self.portal = opa_app.life.portal
        self.app_state = opa_app.life.state


class OpaAsyncClient(_Clients, httpx2.AsyncClient):
    """An asynchronous client for an application that runs: what the fixture `opa_async_client` gives."""

    def __init__(self, opa_app: OpaApp, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(transport=_Transport(opa_app), base_url=base_url(opa_app.config), headers=dict(headers or {}))
        self._opa_app = opa_app


class _Transport(httpx2.AsyncBaseTransport):
    """Hands requests to the application, on the event loop on which it runs."""

    def __init__(self, opa_app: OpaApp) -> None:
        self._app = opa_app
        with_state = _with_state(opa_app.fastapi, opa_app.life.state)
        self._inner = httpx2.ASGITransport(with_state, raise_app_exceptions=opa_app.raises)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        life = self._app.life
        if life.loop is None:  # a fixture asks before the test begins
            await asyncio.to_thread(self._app.start)
        if life.is_here:
            return await self._inner.handle_async_request(request)
        await request.aread()
        assert life.loop is not None  # noqa: S101 - start() has set it
        sent = asyncio.run_coroutine_threadsafe(self._inner.handle_async_request(request), life.loop)
        return await asyncio.wrap_future(sent)


def _with_state(app: ASGIApp, state: Mapping[str, Any]) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(state)
        await app(scope, receive, send)

    return call
