"""The FastAPI application, which starts its plugins before it starts itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from opa._compat.fastapi.inclusion import has_frontends, router_in
from opa.core.lifespan import Skip, running
from opa.core.manager import PluginManager
from opa.core.routers import has_lifespan
from opa.core.running import belonging_to
from opa.core.start_waits import note_step
from opa.current import current
from opa.errors import PluginError, RegistrationError
from opa.http import mount_paths, strict_json
from opa.http.access.refusals import RefusedHandshakeError, answer_refused_handshake
from opa.http.asgi_call import asgi_call
from opa.http.body_limits import BodyLimits, LimitedBody
from opa.http.contributions import Contributions
from opa.http.lifespan_protocol import LifespanProtocol
from opa.http.middleware import MiddlewareMaker, swallower
from opa.http.mount_points import MountPoints, RouteWithPlugin
from opa.http.mounted import MountedLifespans
from opa.http.openapi.answer import answers_with
from opa.http.openapi.cache import DocumentKeeper
from opa.http.plugin_lifespans import LifespanStarter
from opa.http.routing.choice import choose_routes
from opa.http.routing.plain import PlainRoutes, ScopeNoted
from opa.http.surrounding import outermost_in, surrounded, surrounded_again
from opa.http.telemetry import telemetry_watch
from opa.http.validation_answer import answer_invalid_request
from opa.settings.access import OPEN

if TYPE_CHECKING:
    from opa.http.access.owners import Owners
    from opa.http.access.rules import Rule, Rules
    from opa.http.outermost import Outermost
    from opa.http.rate_limits.rules import Rules as RateRules


class Api(FastAPI):
    """A FastAPI application that starts the plugins of its manager before it starts itself.

    The lifespan of the middleware, of the routers and of what these mount runs inside that of the plugins. A mistake at
    start is reported to the server as one line instead of a stack trace.

    Attributes:
        manager: the plugins.
        document: the OpenAPI document.
        access_rules: what the settings require of requests; None where they require nothing.
        health_routes: those of opa-stack by which the process is watched; they are answered before all middleware.
        operating_routes: the same where they are on a port of their own; they are no routes of this application then.
    """

    def __init__(self, manager: PluginManager, **options: Any) -> None:
        self.document = DocumentKeeper(self)
        strict_json.install()
        mount_paths.install()
        handlers: dict[int | type[Exception], Any] = {
            RequestValidationError: answer_invalid_request,
            RefusedHandshakeError: answer_refused_handshake,
        }
        super().__init__(lifespan=self._inner_lifespan, exception_handlers=handlers, **options)
        self._routes = choose_routes(self)
        self.manager = manager
        self.health_routes: tuple[BaseRoute, ...] = ()
        self.operating_routes: tuple[BaseRoute, ...] = ()
        self._body_limits = BodyLimits(manager.config)
        self._telemetry_watch = telemetry_watch(self)
        self.access_rules = _access_rules(manager)
        self._limit_rules = _limit_rules(manager)
        keeps_routes = self.access_rules is not None or self._limit_rules is not None
        self._contributions = Contributions(self, manager.roster.policy, keeps_routes=keeps_routes)
        self._skips: Skip | None = None
        self._mounted = MountedLifespans()
        self._mount_points = MountPoints(lambda: self.router.routes, self._routes_with_plugins)
        self._inner_started = False
        self._outermost: Outermost | None = None

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
        self.build_index()  # with what the plugins have added since the application was built
        self._mounted.watch(self._mount_points.current())
        async with AsyncExitStack() as started:
            starter = LifespanStarter(self.manager, self._skip, self.contributed_by, started)
            for lifespan, plugin in list(self._contributions.lifespans):
                await starter.start("a router", lifespan, self, plugin)
            entered = [lifespan for lifespan, _ in self._contributions.lifespans]
            await self._mounted.start(self._mount_points.current(), entered, starter, started)
            self.build_index()  # without what has been skipped
            yield starter.state or None

    def _routes_with_plugins(self) -> list[RouteWithPlugin]:
        """The routes, each with the plugin that has added it, where that is known."""
        objects = self.manager.registry.objects
        by_router = {id(found.router): found.plugin.name for found in objects if found.router is not None}
        by_route = {
            id(route): by_router[id(router)] for route, router in self.routes_with_routers() if id(router) in by_router
        }
        by_route |= self._contributions.plugins_of_routes()
        return [
            (route, by_route.get(id(route)) or by_router.get(id(getattr(route, "original_router", None))))
            for route in self.router.routes
        ]

    def routes_with_routers(self) -> Iterator[tuple[BaseRoute, APIRouter | None]]:
        """The routes in the order in which they are tried, each with the router that was included with it in it."""
        return self._routes.routes_with_routers()

    def routes_with_plugins(self) -> Iterator[tuple[BaseRoute, set[str]]]:
        """The routes in the order in which they are tried, each with the plugins that have added it."""
        return self._owners().all()

    def candidates(self, scope: Scope) -> Sequence[BaseRoute]:
        """Those that can match the path of a request, in the order in which they are tried."""
        return self._routes.candidates(scope)

    def build_index(self) -> None:
        """Do now what the next request, or the start of each process, would wait for."""
        self._routes.build_index()
        self._mount_points.current()

    def count_plugin_routes(self) -> int:
        """How many routes there are from routers of plugins that do not come with opa-stack."""
        built_in = self.built_in_routers()
        return sum(router is not None and id(router) not in built_in for _, router in self.routes_with_routers())

    def built_in_routers(self) -> set[int]:
        """The ids of the routers of plugins that come with opa-stack."""
        return {id(found.router) for found in self.manager.registry.objects if found.plugin.file.is_built_in}

    async def _skip(self, plugin: str, error: PluginError) -> None:
        if self._skips is None:
            raise error
        await self._skips(plugin, error)

    def include_router(self, router: APIRouter, **options: Any) -> None:
        """Do what FastAPI does; the lifespans of routers run one after another.

        FastAPI puts that of each router into that of the next. From some 490 on that is deeper than Python goes,
        and the application does not start.

        Raises:
            FastAPIError: FastAPI refuses a route, such as one with an empty path.
        """
        self._contributions.note_router(router)
        before = self.router.lifespan_context
        if not isinstance(self._routes, PlainRoutes):
            super().include_router(router, **options)
        elif id(router) in self.built_in_routers():
            self._routes.put_in(router)
        else:
            count = len(self.router.routes)
            super().include_router(router, **options)
            self._routes.note(router, count)
        self.router.lifespan_context = before
        if has_lifespan(router) or router.on_startup or router.on_shutdown:
            self._contributions.note_lifespan(router.lifespan_context)

    def frontend(self, *args: Any, **options: Any) -> None:
        """Do what FastAPI does, and remember which plugin the files are of."""
        super().frontend(*args, **options)
        self._contributions.note_frontend()

    def has_frontends(self) -> bool:
        """Whether files of a frontend are served, whose paths are in no list."""
        return has_frontends([self.router, *filter(None, map(router_in, self._routes.included()))])

    def contributed_by(self, plugin: str, *, at_end: bool = False) -> AbstractContextManager[None]:
        """What is added to the application in the block belongs to `plugin`.

        Args:
            plugin: its name.
            at_end: routes are added behind those that there are, so that these need not be looked at.
        """
        return self._contributions.adding(plugin, at_end=at_end)

    def remove_contributions_of(self, plugin: str) -> None:
        """Take out what `plugin` has added."""
        self._contributions.remove(plugin)

    @asgi_call
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """The ASGI application."""
        telemetry, now = self._telemetry_watch, monotonic()
        if scope["type"] == "http":
            receive = LimitedBody(receive, scope, self._body_limits, now)
        elif scope["type"] == "lifespan":
            return self._start_and_stop(scope, receive, send)
        if self.middleware_stack is None:
            with belonging_to(self.manager):
                self.middleware_stack = self._surrounded_stack()
        if now >= telemetry.next_look:
            telemetry.look(now)
        if telemetry.is_set_up:
            return super().__call__(scope, receive, send)
        # All else that FastAPI and Starlette do here.
        if self.root_path:
            scope["root_path"] = self.root_path
        scope["app"] = self
        return self.middleware_stack(scope, receive, send)  # type: ignore[return-value]  # all are coroutines

    def add_middleware(self, middleware_class: Any, *args: Any, **kwargs: Any) -> None:
        """Do what Starlette does, and remember which plugin it is of."""
        super().add_middleware(middleware_class, *args, **kwargs)
        self._contributions.note_middleware(self.user_middleware[0])

    def append_middleware(self, item: Middleware) -> None:
        """Add middleware inside of all that there is, and remember which plugin it is of."""
        self.user_middleware.append(item)
        self._contributions.note_middleware(item)

    def build_middleware_stack(self) -> ASGIApp:
        """Build it as FastAPI does; Starlette calls it.

        Raises:
            RegistrationError: middleware cannot be made; `plugin` is that which has added it, where that is known.
        """
        given = self.user_middleware
        self.user_middleware = [
            Middleware(MiddlewareMaker(item, self.manager, self._contributions.plugin_of_middleware(item)))
            for item in given
        ]
        if self._limit_rules is not None or current.rate_limits:
            self.user_middleware.append(self._limiter())
        if isinstance(self._routes, PlainRoutes):
            self.user_middleware.append(Middleware(ScopeNoted))
        if self.access_rules is not None:
            self.user_middleware.append(self._guard(self.access_rules))
        try:
            stack = super().build_middleware_stack()
        finally:
            self.user_middleware = given
        made = surrounded(stack, self)
        self._outermost = outermost_in(made)
        return made

    def _surrounded_stack(self) -> ASGIApp:
        """What `build_middleware_stack` gives, which an agent may have replaced for this object."""
        stack = self.build_middleware_stack()
        return surrounded_again(stack, self, self._outermost)

    def access_rules_of_routes(self, rules: Rules | None = None) -> Callable[[str, object], Rule]:
        """Gives what `rules`, or those of the settings, require of a route, by its path and endpoint."""
        from opa.http.access.rules import IS_OPEN

        rules = self.access_rules if rules is None else rules
        if rules is None:
            return lambda _path, _endpoint: IS_OPEN
        plugins = self._owners().by_path_and_endpoint()
        return lambda path, endpoint: rules.for_request(path, lambda: plugins.get((path, id(endpoint)), set()))

    def _guard(self, rules: Rules) -> Middleware:
        from opa.http.access.guard import Guard

        return Middleware(Guard, rules, self._owners())

    def _owners(self) -> Owners:
        from opa.http.access.owners import Owners

        return Owners(self, self.manager, self._routes, self._contributions)

    def _limiter(self) -> Middleware:
        from opa.http.rate_limits.counter import Counter
        from opa.http.rate_limits.middleware import RateLimits
        from opa.http.rate_limits.rules import Rules

        return Middleware(RateLimits, Counter(self.manager), self._limit_rules or Rules({}), self._owners())

    async def _start_and_stop(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = LifespanProtocol(await receive(), receive, send)
        try:
            self._mounted.watch(self._mount_points.current())
            if any(state.driver is not None for state in self.manager.component_states.values()):
                from opa.http import thread_limits  # with a part of anyio that nothing else needs at a start

                thread_limits.install()
            async with running(self.manager, self) as self._skips:
                self._inner_started = False
                note_step("what makes its middleware")
                await self._build_middleware()
                note_step("the lifespan of the application")
                await super().__call__(scope, server.receive, server.send)
                if not self._inner_started:
                    raise await self._swallowed()
        except BaseException as error:
            await server.fail(error)
            raise
        await server.end()

    async def _build_middleware(self) -> None:
        """Make the middleware of this start, without that of plugins where it cannot be made and they may be skipped.

        Raises:
            RegistrationError: it cannot be made, and its plugin may not be skipped.
        """
        self.middleware_stack = None
        while self.middleware_stack is None:
            try:
                self.middleware_stack = self._surrounded_stack()
            except PluginError as error:
                if error.plugin is None:
                    raise
                await self._skip(error.plugin, error)

    async def _swallowed(self) -> RegistrationError:
        name = await swallower(self.user_middleware)
        return RegistrationError(
            f"middleware {name} does not pass the lifespan on, so nothing behind it would start",
            where="group middleware",
            hint="In its __call__, await self.app(scope, receive, send) for every scope type that it does not handle",
        )


def _known_plugins(manager: PluginManager) -> set[str]:
    """The plugins that settings may name: those that there are, and those that may be missing."""
    return {*(decision.plugin.name for decision in manager.decisions), *manager.plugin_settings.expected}


def _access_rules(manager: PluginManager) -> Rules | None:
    """The rules of the settings; None where they require nothing."""
    config = manager.config
    if not config.ACCESS and config.ACCESS_DEFAULT == OPEN:
        return None
    from opa.http.access.rules import Rules  # only where they are used, as all that authenticates

    rules = Rules.from_config(config)
    if rules is not None:
        rules.check_plugins(_known_plugins(manager))
    return rules


def _limit_rules(manager: PluginManager) -> RateRules | None:
    """The limits of the settings; None where there are none."""
    if not manager.config.RATE_LIMITS:
        return None
    from opa.http.rate_limits.rules import Rules  # as above

    rules = Rules(manager.config.RATE_LIMITS)
    rules.check_plugins(_known_plugins(manager))
    return rules
