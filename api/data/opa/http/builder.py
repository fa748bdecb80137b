"""Build the application of a plugin manager. No network, no event loop."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute, Mount, Route

from opa._compat.fastapi.remembered import forget_functions
from opa._util.garbage import no_collection
from opa._util.sources import where_is_function
from opa._util.words import kind_of
from opa.core.groups import MIDDLEWARE
from opa.core.manager import PluginManager
from opa.core.per_use_misfits import is_async
from opa.core.register import PluginObjects
from opa.errors import PluginError, RegistrationError
from opa.http.application import Api
from opa.http.component_parameters import component_misfits
from opa.http.convention_routes import add_routes_of, put_before_wider_ones
from opa.http.health_paths import health_paths, operating_paths
from opa.http.middleware import middleware_of
from opa.http.openapi.info import info_of
from opa.http.telemetry import watched_paths
from opa.loading.import_errors import deepest_line_in

if TYPE_CHECKING:
    from opa.settings.load import Config

MOUNT_AT_ROOT = 'Mount it at a path such as "/app", or in a Setup: app.mount("/", …)'


def build_app(manager: PluginManager) -> Api:
    """The application with the routes, middleware and exception handlers of all plugins, in load order.

    The group `middleware` is the outermost.

    Raises:
        PluginError: a member of the group is no middleware, or a router, middleware or exception handler cannot be
            added, and does not belong to a plugin that may be skipped.
    """
    config = manager.config
    forget_functions()
    app = Api(
        manager,
        **info_of(config),
        openapi_url=config.OPENAPI_URL,
        docs_url=None,
        redoc_url=None,
        debug=config.DEBUG,
        telemetry={"exclude": watched_paths(config)},
    )
    # FastAPI deprecates the argument in favour of the server's option, which a settings file cannot reach.
    app.root_path = config.OPENAPI_PREFIX
    with no_collection():
        _add_all(app)
        _put_own_routes_first(app)
        put_before_wider_ones(app)
        app.build_index()
    return app


def _add_all(app: Api) -> None:
    manager = app.manager
    for member in manager.groups.members(MIDDLEWARE):
        plugin = manager.plugin_of_module(member.home)
        if plugin is None and (not member.module or member in manager.groups.members(MIDDLEWARE)):
            app.append_middleware(middleware_of(member))
        elif plugin is None or plugin not in manager.roster:  # skipped by an earlier one
            continue
        elif member.module:
            with _added_by(plugin, app):
                app.append_middleware(middleware_of(member))
        else:  # what the settings say is no mistake of the plugin
            item = middleware_of(member)
            with app.contributed_by(plugin, at_end=True):
                app.append_middleware(item)
    routers: set[int] = set()
    declared = [convention for convention in manager.registry.conventions if convention.routes is not None]
    for found in manager.registry.objects:
        if found.plugin.name in manager.roster:
            with _added_by(found.plugin.name, app):
                _add(app, found, routers)
                for convention in declared:
                    add_routes_of(convention, found, app)


def _put_own_routes_first(app: Api) -> None:
    """Try the routes that come with opa-stack before those of plugins, among which one may take every path.

    One of a plugin that has the very path of a page is meant to take its place; the health routes cannot be replaced.
    """
    built_in = app.built_in_routers()
    own: list[Route] = []
    taken: set[tuple[str, str]] = set()
    for route, router in app.routes_with_routers():
        if id(router) in built_in and isinstance(route, Route):
            own.append(route)
        elif router is not None:
            taken.update((getattr(route, "path", ""), method) for method in getattr(route, "methods", None) or ())
    health = health_paths(app.manager.config)
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
    """What is added in the block belongs to `plugin`, which is skipped where that fails.

    Raises:
        PluginError: it fails, and the plugin may not be skipped.
    """
    try:
        with app.contributed_by(plugin, at_end=True):
            yield
    except PluginError as error:
        for gone in app.manager.skip(plugin, error):
            app.remove_contributions_of(gone.plugin.name)


def _add(app: Api, found: PluginObjects, routers: set[int]) -> None:
    # A plugin may have imported that of another.
    there = {id(item) for item in app.user_middleware}
    for item in found.middleware:
        if id(item) not in there:
            app.append_middleware(item)
    for key, handler in _exception_handlers(found, app.manager).items():
        app.add_exception_handler(key, _awaited(handler))
    # A plugin may import the router of another to add to it; it still stands in the application once.
    if found.router is not None and id(found.router) not in routers:
        routers.add(id(found.router))
        if _has_port_of_its_own(found.router, found, app.manager.config):
            app.operating_routes += tuple(found.router.routes)
        else:
            _include(app, found.router, found)


def _has_port_of_its_own(router: APIRouter, found: PluginObjects, config: Config) -> bool:
    """Whether the router has operating routes, which are not for the port of the api."""
    if config.OPERATING_PORT is None or not found.plugin.file.is_built_in or not router.routes:
        return False
    return operating_paths(config).issuperset(getattr(route, "path", "") for route in router.routes)


def _awaited(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler as Starlette awaits it, which does not see an `async def` that a decorator stands before."""
    if inspect.iscoroutinefunction(handler) or not is_async(handler):
        return handler

    @functools.wraps(handler)
    async def awaited(*arguments: Any) -> Any:
        answer = await run_in_threadpool(handler, *arguments)
        return await answer if inspect.isawaitable(answer) else answer

    return awaited


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
        if not _takes_two(handler):
            problem = f"'exception_handlers' of plugin '{plugin}' has a handler of {key!r} that does not take a request"
            raise RegistrationError(
                f"{problem} and an error", plugin=plugin, where=where_is_function(handler), hint=hint
            )
    checked: Mapping[Any, Any] = handlers
    return checked


def _takes_two(handler: Callable[..., Any]) -> bool:
    try:
        inspect.signature(handler).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # of a builtin, which has no signature
        return True
    return True


def _include(app: Api, router: APIRouter, found: PluginObjects) -> None:
    for misfit in component_misfits(router.routes, app.manager.component_states):
        raise RegistrationError(misfit.problem, plugin=found.plugin.name, where=misfit.where, hint=misfit.hint)
    try:
        app.include_router(router)
    except Exception as error:
        at_root = any(isinstance(route, Mount) and not route.path for route in router.routes)
        raise RegistrationError(
            f"the routes of plugin '{found.plugin.name}' cannot be added: {type(error).__name__}: {error}",
            plugin=found.plugin.name,
            where=str(found.plugin.file.file),
            hint=MOUNT_AT_ROOT if at_root else "Fix the route that the message names",
        ) from error
