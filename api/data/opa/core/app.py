"""Build the FastAPI application of a plugin manager. No network, no event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import Message, Receive, Scope, Send

from opa.core.errors import OpaError, RegistrationError
from opa.core.lifespan import running
from opa.core.manager import PluginManager
from opa.core.register import PluginObjects
from opa.core.routes import add_routes


class Api(FastAPI):
    """A FastAPI application that connects components and runs setups while it starts.

    Two things differ from its base: a mistake at start is reported to the server as one line instead of a stack
    trace, and a `Setup` may still add middleware, as it could in the original opa-stack.
    """

    def __init__(self, manager: PluginManager, **options: Any) -> None:
        super().__init__(lifespan=self._lifespan, **options)
        self.manager = manager
        self._starting = False
        self._start_error: OpaError | None = None

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self._starting = True
        try:
            async with running(self.manager, self):
                self._starting = False
                yield
        except OpaError as error:
            self._start_error = error if self._starting else None
            raise

    def add_middleware(self, *args: Any, **kwargs: Any) -> None:
        if self._starting:
            # The stack was built for the lifespan scope; the first request builds it again, with this one in it.
            self.middleware_stack = None
        super().add_middleware(*args, **kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._start_and_stop(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _start_and_stop(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_one_line(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self._start_error is not None:
                message = {**message, "message": str(self._start_error)}
            await send(message)

        await super().__call__(scope, receive, send_one_line)


def build_app(manager: PluginManager) -> Api:
    """The application with the routes, middleware and exception handlers of all plugins, in load order.

    Raises:
        RegistrationError: a router or an exception handler of a plugin cannot be added.
    """
    config = manager.config
    app = Api(
        manager,
        title=config.PROJECT_NAME,
        description=config.PROJECT_DESCRIPTION,
        version=config.PROJECT_VERSION,
        openapi_url=config.OPENAPI_URL,
        docs_url=None,
        redoc_url=None,
        debug=config.DEBUG,
        middleware=[middleware for found in manager.registry.objects for middleware in found.middleware],
    )
    # FastAPI deprecates the argument in favour of the server's option, which a settings file cannot reach.
    app.root_path = config.OPENAPI_PREFIX
    routers: set[int] = set()
    for found in manager.registry.objects:
        for key, handler in _exception_handlers(found, manager).items():
            app.add_exception_handler(key, handler)
        # A plugin may import the router of another to add to it; it still stands in the application once.
        if found.router is not None and id(found.router) not in routers:
            routers.add(id(found.router))
            _include(app, found.router, found)
    return app


def _exception_handlers(found: PluginObjects, manager: PluginManager) -> Mapping[Any, Any]:
    if callable(found.exception_handlers):
        return found.exception_handlers(manager)
    return found.exception_handlers


def _include(app: FastAPI, router: APIRouter, found: PluginObjects) -> None:
    try:
        add_routes(app, router)
    except Exception as error:
        raise RegistrationError(
            f"the routes of plugin '{found.plugin.name}' cannot be added: {type(error).__name__}: {error}",
            where=str(found.plugin.file.file),
            hint="Mend the route that the message speaks of",
        ) from error
