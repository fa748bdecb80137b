"""Build the FastAPI application of a plugin manager. No network, no event loop."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from opa._util.garbage import no_collection
from opa._util.words import kind_of
from opa.core.groups import MIDDLEWARE
from opa.core.lifespan import LeaveOut, running
from opa.core.manager import PluginManager
from opa.core.register import PluginObjects
from opa.core.routers import has_lifespan
from opa.core.running import current_manager
from opa.errors import OpaError, PluginError, RegistrationError
from opa.http import mount_paths, strict_json, thread_limits
from opa.http.body_limits import BodyLimits, LimitedBody
from opa.http.middleware import MiddlewareMaker, middleware_of, swallower
from opa.http.mounted import MountedLifespans
from opa.http.openapi.answer import answers_with
from opa.http.openapi.cache import DocumentKeeper
from opa.http.outermost import Outermost
from opa.http.plugin_lifespans import LifespanStarter
from opa.http.routing.router import IndexedRouter
from opa.http.telemetry import TelemetryWatch
from opa.http.validation_answer import answer_invalid_request
from opa.loading.importing import deepest_line_in


@dataclass
class Contributions:
    """What a plugin has added to the application, so that it can be taken out again."""

    routes: list[BaseRoute] = field(default_factory=list)
    middleware: list[Middleware] = field(default_factory=list)
    exception_handlers: list[Any] = field(default_factory=list)


class Api(FastAPI):
    """A FastAPI application that starts the plugins of its manager before it starts itself.

    The lifespan of the middleware, of the routers and of what these mount runs inside that of the plugins. A mistake at
    start is reported to the server as one line instead of a stack trace.

    Attributes:
        manager: the plugins.
        document: the OpenAPI document.
        health_routes: those of opa-stack by which the process is watched; they are answered before all middleware.
    """

    def __init__(self, manager: PluginManager, **options: Any) -> None:
        self.document = DocumentKeeper(self)
        strict_json.install()
        mount_paths.install()
        handlers: dict[int | type[Exception], Any] = {RequestValidationError: answer_invalid_request}
        super().__init__(lifespan=self._inner_lifespan, exception_handlers=handlers, **options)
        self.router: IndexedRouter = IndexedRouter.in_place_of(self.router)
        self.manager = manager
        self.health_routes: tuple[BaseRoute, ...] = ()
        self._body_limits = BodyLimits(manager.config)
        self._telemetry_watch = TelemetryWatch(self)
        self._contributions: dict[str, Contributions] = {}
        self._lifespans: list[tuple[Lifespan[Any], str | None]] = []
        self._adding: str | None = None
        self._added_by: dict[Middleware, str] = {}
        self._leaves_out: LeaveOut | None = None
        self._mounted = MountedLifespans()
        self._inner_started = False

    def setup(self) -> None:
        """Add the route of the OpenAPI document; FastAPI calls it. That of FastAPI would build it in the event loop."""
        if self.openapi_url:
            self.add_route(self.openapi_url, answers_with(self.document), include_in_schema=False)

    @asynccontextmanager
    async def _inner_lifespan(self, _: FastAPI) -> AsyncIterator[Any]:
        """Run the lifespans of the plugins' routers, then those of the applications that are mounted.

        Gives their states together; of two with a key the first.
        """
        self._inner_started = True
        self.router.build_index()  # with what the plugins have added since the application was built
        self._mounted.watch(self.router.routes)
        async with AsyncExitStack() as started:
            starter = LifespanStarter(self.manager, self._leave_out, started)
            for lifespan, plugin in list(self._lifespans):
                await starter.start("a router", lifespan, self, plugin)
            entered = [lifespan for lifespan, _ in self._lifespans]
            await self._mounted.start(self._routes_with_plugins(), entered, starter, started)
            self.router.build_index()  # without what has been left out
            yield starter.state or None

    def _routes_with_plugins(self) -> list[tuple[BaseRoute, str | None]]:
        """The routes, each with the plugin that has added it, where that is known."""
        objects = self.manager.registry.objects
        by_router = {id(found.router): found.plugin.name for found in objects if found.router is not None}
        by_route = {
            id(route): by_router[id(router)]
            for route, router in self.router.routes_with_routers()
            if id(router) in by_router
        }
        by_route |= {id(route): plugin for plugin, mine in self._contributions.items() for route in mine.routes}
        return [
            (route, by_route.get(id(route)) or by_router.get(id(getattr(route, "original_router", None))))
            for route in self.router.routes
        ]

    def count_plugin_routes(self) -> int:
        """How many routes there are from routers of plugins that do not come with opa-stack."""
        built_in = self._built_in_routers()
        return sum(router is not None and id(router) not in built_in for _, router in self.router.routes_with_routers())

    def _built_in_routers(self) -> set[int]:
        return {id(found.router) for found in self.manager.registry.objects if found.plugin.file.is_built_in}

    async def _leave_out(self, plugin: str, error: PluginError) -> None:
        if self._leaves_out is None:
            raise error
        await self._leaves_out(plugin, error)

    def include_router(self, router: APIRouter, **options: Any) -> None:
        """Do what FastAPI does; the lifespans of routers run one after another.

        FastAPI puts that of each router into that of the next. From some 490 on that is deeper than Python goes,
        and the application does not start.

        Raises:
            FastAPIError: FastAPI refuses a route, such as one with an empty path.
        """
        before = self.router.lifespan_context
        super().include_router(router, **options)
        self.router.lifespan_context = before
        if has_lifespan(router) or router.on_startup or router.on_shutdown:
            self._lifespans.append((router.lifespan_context, self._adding))

    @contextmanager
    def contributed_by(self, plugin: str, *, at_end: bool = False) -> Iterator[None]:
        """What is added to the application in the block belongs to `plugin`.

        Args:
            plugin: its name.
            at_end: routes are added behind those that there are, so that nobody has to look at these.
        """
        self._adding = plugin
        if not self.manager.roster.policy.skips(plugin):
            try:
                yield
            finally:
                self._adding = None
            return
        count = len(self.router.routes) if at_end else 0
        routes = set() if at_end else {id(route) for route in self.router.routes}
        middleware = {id(item) for item in self.user_middleware}
        handlers = set(self.exception_handlers)
        try:
            yield
        finally:
            self._adding = None
            mine = self._contributions.setdefault(plugin, Contributions())
            mine.routes += [route for route in self.router.routes[count:] if id(route) not in routes]
            mine.middleware += [item for item in self.user_middleware if id(item) not in middleware]
            mine.exception_handlers += [key for key in self.exception_handlers if key not in handlers]

    def remove_contributions_of(self, plugin: str) -> None:
        """Take out what `plugin` has added."""
        mine = self._contributions.pop(plugin, Contributions())
        self.router.routes[:] = [route for route in self.router.routes if route not in mine.routes]
        self.user_middleware[:] = [item for item in self.user_middleware if item not in mine.middleware]
        for key in mine.exception_handlers:
            self.exception_handlers.pop(key, None)
        self._lifespans = [(lifespan, whose) for lifespan, whose in self._lifespans if whose != plugin]
        self.openapi_schema = None
        if mine.middleware or mine.exception_handlers:
            self.middleware_stack = None  # it may stand already, where a lifespan has failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._start_and_stop(scope, receive, send)
            return
        if scope["type"] == "http":
            receive = LimitedBody(receive, scope, self._body_limits)
        # As `belonging_to` does; a context manager would cost a fiftieth of a small request.
        before = current_manager.get()
        current_manager.set(self.manager)
        try:
            if self._telemetry_watch.is_set_up():
                await super().__call__(scope, receive, send)
            else:
                # All else that FastAPI and Starlette do here.
                if self.root_path:
                    scope["root_path"] = self.root_path
                scope["app"] = self
                if self.middleware_stack is None:
                    self.middleware_stack = self.build_middleware_stack()
                await self.middleware_stack(scope, receive, send)
        finally:
            current_manager.set(before)

    def add_middleware(self, middleware_class: Any, *args: Any, **kwargs: Any) -> None:
        """Do what Starlette does, and remember which plugin it is of."""
        super().add_middleware(middleware_class, *args, **kwargs)
        self._note_middleware(self.user_middleware[0])

    def append_middleware(self, item: Middleware) -> None:
        """Add middleware inside of all that there is, and remember which plugin it is of."""
        self.user_middleware.append(item)
        self._note_middleware(item)

    def _note_middleware(self, item: Middleware) -> None:
        if self._adding is not None:
            self._added_by[item] = self._adding

    def build_middleware_stack(self) -> ASGIApp:
        """Build it as FastAPI does; Starlette calls it.

        Raises:
            RegistrationError: middleware cannot be made; `plugin` is that which has added it, where that is known.
        """
        given = self.user_middleware
        self.user_middleware = [
            Middleware(MiddlewareMaker(item, self.manager, self._added_by.get(item))) for item in given
        ]
        try:
            stack = super().build_middleware_stack()
        finally:
            self.user_middleware = given
        return Outermost(stack, self) if type(stack) is ServerErrorMiddleware else stack

    async def _start_and_stop(self, scope: Scope, receive: Receive, send: Send) -> None:
        startup = await receive()
        inner = _InnerLifespan(startup, receive, send)
        try:
            self._mounted.watch(self.router.routes)
            thread_limits.install()
            async with running(self.manager, self) as self._leaves_out:
                self._inner_started = False
                await self._build_middleware()
                await super().__call__(scope, inner.receive, inner.send)
                if not self._inner_started:
                    raise await self._swallowed()
        except BaseException as error:
            # The server must hear of it, or it would take the end for a mistake in the protocol. That it was told to
            # stop while it was starting needs no words.
            if inner.failure is None:
                phase = "shutdown" if inner.is_started else "startup"
                await send({"type": f"lifespan.{phase}.failed", "message": _words_for(error)})
            else:
                await send({**inner.failure, "message": _words_for(error)})
            raise
        if inner.failure is not None:
            await send(inner.failure)
        if inner.last_word is not None:
            await send(inner.last_word)

    async def _build_middleware(self) -> None:
        """Make the middleware of this start, without that of plugins where it cannot be made and they may be left out.

        Raises:
            RegistrationError: it cannot be made, and its plugin may not be left out.
        """
        self.middleware_stack = None
        while self.middleware_stack is None:
            try:
                self.middleware_stack = self.build_middleware_stack()
            except PluginError as error:
                if error.plugin is None:
                    raise
                await self._leave_out(error.plugin, error)

    async def _swallowed(self) -> RegistrationError:
        name = await swallower(self.user_middleware)
        return RegistrationError(
            f"middleware {name} does not pass the lifespan on, so nothing behind it would start",
            where="group middleware",
            hint="In its __call__, await self.app(scope, receive, send) for every scope type that it does not handle",
        )


class _InnerLifespan:
    """Stands between the server and the application inside: the plugins start before it, and stop after it."""

    def __init__(self, startup: Message, receive: Receive, send: Send) -> None:
        self._startup: Message | None = startup
        self._receive = receive
        self._send = send
        self.is_started = False
        self.failure: Message | None = None
        self.last_word: Message | None = None

    async def receive(self) -> Message:
        if self._startup is not None:
            startup, self._startup = self._startup, None
            return startup
        return await self._receive()

    async def send(self, message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            self.last_word = message
            return
        if message["type"] == "lifespan.startup.failed":
            self.failure = message  # a stack trace, in place of which the error itself may have words
            return
        self.is_started = message["type"] == "lifespan.startup.complete"
        await self._send(message)


def _words_for(error: BaseException) -> str:
    """One line for a mistake that somebody can fix, the stack trace for what nobody foresaw."""
    if isinstance(error, OpaError):
        return str(error)
    return "".join(traceback.format_exception(error)) if isinstance(error, Exception) else ""


def build_app(manager: PluginManager) -> Api:
    """The application with the routes, middleware and exception handlers of all plugins, in load order.

    The group `middleware` is the outermost.

    Raises:
        PluginError: a member of the group is no middleware, or a router, middleware or exception handler cannot be
            added, and does not belong to a plugin that may be left out.
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
    )
    # FastAPI deprecates the argument in favour of the server's option, which a settings file cannot reach.
    app.root_path = config.OPENAPI_PREFIX
    with no_collection():
        _add_all(app)
        _put_own_routes_first(app)
        app.router.build_index()
    return app


def _add_all(app: Api) -> None:
    manager = app.manager
    for member in manager.groups.members(MIDDLEWARE):
        plugin = manager.plugin_of_module(member.home)
        if plugin is None and not member.module:
            app.append_middleware(middleware_of(member))
        elif plugin is None or plugin not in manager.roster:  # left out by an earlier one
            continue
        elif member.module:
            with _added_by(plugin, app):
                app.append_middleware(middleware_of(member))
        else:  # what the settings say is no mistake of the plugin
            item = middleware_of(member)
            with app.contributed_by(plugin, at_end=True):
                app.append_middleware(item)
    routers: set[int] = set()
    for found in manager.registry.objects:
        if found.plugin.name in manager.roster:
            with _added_by(found.plugin.name, app):
                _add(app, found, routers)


def _put_own_routes_first(app: Api) -> None:
    """Try the routes that come with opa-stack before those of plugins, among which one may take every path.

    One of a plugin that has the very path of a page is meant to take its place; the health routes nobody can replace.
    """
    built_in = app._built_in_routers()
    own: list[Route] = []
    taken: set[tuple[str, str]] = set()
    for route, router in app.router.routes_with_routers():
        if id(router) in built_in and isinstance(route, Route):
            own.append(route)
        elif router is not None:
            taken.update((getattr(route, "path", ""), method) for method in getattr(route, "methods", None) or ())
    health = {app.manager.config.HEALTH_URL, app.manager.config.READY_URL}
    watched = [route for route in own if route.path in health]
    app.health_routes = tuple(watched)
    first: list[BaseRoute] = [
        route
        for route in own
        if route in watched or taken.isdisjoint((route.path, method) for method in route.methods or ())
    ]
    moved = {id(route) for route in first}
    app.router.routes[:] = [*first, *(route for route in app.router.routes if id(route) not in moved)]


@contextmanager
def _added_by(plugin: str, app: Api) -> Iterator[None]:
    """What is added in the block belongs to `plugin`, which is left out where that fails.

    Raises:
        PluginError: it fails, and the plugin may not be left out.
    """
    try:
        with app.contributed_by(plugin, at_end=True):
            yield
    except PluginError as error:
        for gone in app.manager.leave_out(plugin, error):
            app.remove_contributions_of(gone.plugin.name)


def _add(app: Api, found: PluginObjects, routers: set[int]) -> None:
    # A plugin may have imported that of another.
    there = {id(item) for item in app.user_middleware}
    for item in found.middleware:
        if id(item) not in there:
            app.append_middleware(item)
    for key, handler in _exception_handlers(found, app.manager).items():
        app.add_exception_handler(key, handler)
    # A plugin may import the router of another to add to it; it still stands in the application once.
    if found.router is not None and id(found.router) not in routers:
        routers.add(id(found.router))
        _include(app, found.router, found)


def _exception_handlers(found: PluginObjects, manager: PluginManager) -> Mapping[Any, Any]:
    handlers: Any = found.exception_handlers
    plugin, where = found.plugin.name, str(found.plugin.file.file)
    hint = "Map exception classes, or status codes, to functions that take a request and an error"
    if callable(handlers):
        try:
            handlers = handlers(manager)
        except Exception as error:
            place = deepest_line_in([found.plugin.file.file.parent], error) or where
            problem = f"exception_handlers() of plugin '{plugin}' raised {type(error).__name__}: {error}"
            raise RegistrationError(problem, plugin=plugin, where=place, hint="Fix it") from error
        if not isinstance(handlers, Mapping):
            problem = f"exception_handlers() of plugin '{plugin}' returned {kind_of(handlers)}, not a dict"
            raise RegistrationError(problem, plugin=plugin, where=where, hint=hint)
    for key, handler in handlers.items():
        is_kind = isinstance(key, int) or (isinstance(key, type) and issubclass(key, Exception))
        if not is_kind or not callable(handler):
            wrong = f"the key {key!r}" if not is_kind else f"{kind_of(handler)} as its handler of {key!r}"
            problem = f"'exception_handlers' of plugin '{plugin}' has {wrong}"
            raise RegistrationError(problem, plugin=plugin, where=where, hint=hint)
    checked: Mapping[Any, Any] = handlers
    return checked


def _include(app: FastAPI, router: APIRouter, found: PluginObjects) -> None:
    try:
        app.include_router(router)
    except Exception as error:
        raise RegistrationError(
            f"the routes of plugin '{found.plugin.name}' cannot be added: {type(error).__name__}: {error}",
            plugin=found.plugin.name,
            where=str(found.plugin.file.file),
            hint="Fix the route that the message speaks of",
        ) from error
